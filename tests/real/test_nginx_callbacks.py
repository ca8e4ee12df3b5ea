"""A back end that was made for nginx-rtmp hears the same from us: the same clients at both."""

from __future__ import annotations

import json
import os
from functools import partial
from urllib.parse import parse_qsl

import pytest
import trio

from tests.real.nginx_callbacks import GOLDEN, MODULE, OPTIONS, Backend, drive, nginx
from tierkit import Graph, Relay, open_graph
from tierkit._registry import Registry
from tierkit.plugins.callbacks import Callbacks
from tierkit.plugins.networks import Networks
from tierkit.plugins.rtmp import RTMP

recorded = [tuple(json.loads(line)) for line in GOLDEN.read_text().splitlines()]


@pytest.mark.real("nginx", "ffmpeg", "rtmpdump")
@pytest.mark.skipif(not MODULE.exists() and os.environ.get("TIERKIT_REAL") != "1", reason=f"not run: no {MODULE}")
def test_nginx_says_what_was_recorded() -> None:
    with Backend() as backend, nginx(backend.url) as port:
        assert drive(backend, port) == recorded


@pytest.mark.real("ffmpeg", "rtmpdump")
async def test_we_say_the_same_field_by_field() -> None:
    with Backend() as backend:
        urls = {f"on_{each}": f"{backend.url}/{each}" for each in OPTIONS}
        serves = RTMP(authorise=(Callbacks(**urls, update_every=1.0),), linger=0.2)
        graph = Graph.of(Relay("relay", listen="rtmp://127.0.0.1:0", serves=serves))
        async with open_graph(graph, registry=Registry(), drain=0.5) as handle:
            port = handle.addresses("relay")[0].port
            assert port is not None
            heard = await trio.to_thread.run_sync(partial(drive, backend, port))
            figures = handle.statistics()["tiers"]["relay"]["services"]["rtmp"]["access"]
    assert sorted(map(comparable, heard)) == sorted(map(comparable, recorded))  # type: ignore[type-var]
    assert (figures["failed"], figures["notices_failed"], figures["denied"]) == (0, 0, 2)


@pytest.mark.real("ffmpeg", "rtmpdump")
async def test_real_clients_give_up_when_they_are_denied() -> None:
    serves = RTMP(authorise=(Networks(deny=("127.0.0.0/8",)),))
    graph = Graph.of(Relay("relay", listen="rtmp://127.0.0.1:0", serves=serves))
    async with open_graph(graph, registry=Registry(), drain=0.5) as handle:
        url = handle.url("relay", "/live/s")
        picture = ["-f", "lavfi", "-i", "testsrc2=s=128x96:r=25", "-t", "20", "-c:v", "libx264"]
        for command in (
            ["ffmpeg", "-loglevel", "error", "-nostdin", "-re", *picture, "-f", "flv", url],
            ["ffmpeg", "-loglevel", "error", "-nostdin", "-i", url, "-f", "null", "-"],
            ["rtmpdump", "-q", "--live", "-r", url, "-o", "/dev/null"],
        ):
            with trio.fail_after(10):
                done = await trio.run_process(command, check=False, capture_stderr=True)
            assert done.returncode != 0, command
        figures = handle.statistics()["tiers"]["relay"]["services"]["rtmp"]
        assert (figures["access"]["denied"], figures["publishers"], figures["waiting"]) == (3, 0, 0)


def comparable(call: tuple[str, str, str]) -> tuple[str, str, list[tuple[str, str]]]:
    """A call as fields, without what nginx does in its own way."""
    method, path, form = call
    fields = dict(parse_qsl(form, keep_blank_values=True))
    fields["flashver"] = fields["flashver"].removesuffix(")")  # nginx cuts it after 31 characters
    if fields["call"] == "connect":
        fields.pop("clientid", None)
    return method, path, sorted(fields.items())
