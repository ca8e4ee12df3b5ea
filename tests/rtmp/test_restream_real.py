"""Restreaming to real servers: nginx-rtmp, which is killed and comes back, and ffmpeg, which takes one stream."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.ports import free_port
from tierkit import Graph, GraphHandle, Relay, Restream, open_graph
from tierkit._registry import Registry
from tierkit.plugins.rtmp import RTMP

from .test_real import FFMPEG, PICTURE, TONE, frames, make, run

MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
CONFIG = """
load_module {module};
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
rtmp {{ server {{ listen 127.0.0.1:{port}; application live2 {{ live on; wait_key on; }} }} }}
"""

#: Frames of the clip in a second, which is its GOP: 25 pictures and 43 sounds.
PER_SECOND = 68

pytestmark = [pytest.mark.real("ffmpeg", "nginx"), pytest.mark.timeout(90)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("clip") / "clip.flv", *PICTURE, *TONE)


def configured(folder: Path, port: int) -> Path:
    if not MODULE.exists():
        (pytest.fail if os.environ.get("TIERKIT_REAL") == "1" else pytest.skip)(f"{MODULE} is not here")
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(module=MODULE, folder=folder, port=port))
    return config


@asynccontextmanager
async def nginx(folder: Path, port: int) -> AsyncIterator[None]:
    """nginx with its RTMP module, killed at the end as a crash would."""
    config = configured(folder, port)
    async with trio.open_nursery() as nursery:
        command = ["nginx", "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
        process: Any = await nursery.start(partial(trio.run_process, command, check=False, capture_stderr=True))
        while True:
            try:
                await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                break
            except OSError:
                assert process.returncode is None, (folder / "error.log").read_text()
                await trio.sleep(0.05)
        try:
            yield
        finally:
            process.send_signal(signal.SIGKILL)
            with trio.CancelScope(shield=True):
                await process.wait()


def graph(*urls: str) -> Graph:
    target = Restream("far", urls[0], streams="live/s", backups=urls[1:])
    relay = Relay("relay", listen="rtmp://127.0.0.1:0", serves=RTMP(linger=0.2), push=target)
    return Graph.of(relay)


def target(handle: GraphHandle) -> dict[str, Any]:
    states = handle.statistics()["tiers"]["relay"]["services"]["rtmp"]["targets"]
    return states[0] if states else {"connected": None}


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    with trio.fail_after(seconds):
        while not condition():
            await trio.sleep(0.05)


async def play(url: str, out: Path) -> None:
    """Two seconds of it; what a decoder says of them."""
    with trio.fail_after(20):
        await run([*FFMPEG, "-rtmp_live", "live", "-i", url, "-t", "2", "-c", "copy", str(out)])
    decoded = await trio.run_process([*FFMPEG, "-i", str(out), "-f", "null", "-"], capture_stderr=True)
    assert decoded.stderr == b""
    assert len(frames(out)) > 80


async def test_a_server_that_dies_and_comes_back_is_pushed_to_from_a_keyframe(clip: Path, tmp_path: Path) -> None:
    port = free_port()
    far = f"rtmp://127.0.0.1:{port}/live2/s3cret-key"
    folder, got = tmp_path / "nginx", tmp_path / "player.flv"
    folder.mkdir()
    async with open_graph(graph(far), registry=Registry(), drain=0.5) as handle, trio.open_nursery() as nursery:
        ours = handle.url("relay", "/live/s")
        loop = [*FFMPEG, "-re", "-stream_loop", "-1", "-i", str(clip), "-c", "copy", "-f", "flv", ours]
        publisher: Any = await nursery.start(partial(trio.run_process, loop, check=False, capture_stderr=True))
        # Who plays meanwhile is there all the time: ten seconds without a hole.
        nursery.start_soon(run, [*FFMPEG, "-rtmp_live", "live", "-i", ours, "-t", "10", "-c", "copy", str(got)])
        await until(lambda: target(handle)["connected"] is False)
        assert "s3cret-key" not in repr(handle.statistics())
        for _ in range(2):
            async with nginx(folder, port):
                await until(lambda: target(handle)["connected"] is True)
                await play(far, tmp_path / "far.flv")
            await until(lambda: target(handle)["connected"] is False)
            assert "refuse" in target(handle)["trouble"] or "lost" in target(handle)["trouble"]
        await until(lambda: got.exists() and len(frames_or_none(got)) > 600)
        assert publisher.returncode is None
        assert handle.statistics()["tiers"]["relay"]["services"]["rtmp"]["streams"][0]["epochs"] == 1
        nursery.cancel_scope.cancel()
    decoded = await trio.run_process([*FFMPEG, "-i", str(got), "-f", "null", "-"], capture_stderr=True)
    assert decoded.stderr == b""


def frames_or_none(path: Path) -> list[str]:
    try:
        return frames(path)
    except Exception:
        return []  # it is being written


def listens(port: int) -> bool:
    """Whether somebody does; a look that is no connection, as ffmpeg takes one alone."""
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "0A" for row in rows)


@pytest.mark.parametrize("place", ["first", "backup"])
async def test_ffmpeg_takes_every_frame(place: str, clip: Path, tmp_path: Path) -> None:
    port, got = free_port(), tmp_path / "got.flv"
    where = f"rtmp://127.0.0.1:{port}/app/key"
    before = [] if place == "first" else [f"rtmp://127.0.0.1:{free_port()}/app/key"]
    async with (
        open_graph(graph(*before, where), registry=Registry(), drain=0.5) as handle,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(run, [*FFMPEG, "-listen", "1", "-i", where, "-c", "copy", str(got)])
        await until(lambda: listens(port))
        publish = [*FFMPEG, "-re", "-stream_loop", "1", "-i", str(clip), "-c", "copy", "-f", "flv"]
        with trio.fail_after(40):
            await run([*publish, handle.url("relay", "/live/s")])
            while nursery.child_tasks:
                await trio.sleep(0.05)
    sent, taken = 2 * len(frames(clip)), frames(got)
    assert set(taken) <= set(frames(clip))
    # A backup is tried when the first has failed: the GOP that has begun meanwhile is over for it.
    assert len(taken) == sent if place == "first" else sent - 2 * PER_SECOND <= len(taken) <= sent
