"""What a window answers over HTTP: conditions and parts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support_http import Viewer, dial, open_server
from tierkit._packaging_answer import answer
from tierkit._packaging_window import Description, Window
from tierkit.http import Request, Response
from tierkit.testing import MemoryNetwork

FILE = "/media_7.ts"


@asynccontextmanager
async def viewer_of(data: bytes) -> AsyncIterator[tuple[Viewer, str]]:
    """A viewer of a window of one segment, and its entity tag."""
    window = Window(size=3, keep=0, target=2.0, first_sequence=7)
    window.add(data, duration=2.0, at=0.0, discontinuity=False, description=Description(codecs=""))
    segment = window.segment("media_7.ts")
    assert segment is not None

    async def handler(request: Request) -> Response:
        return answer(request, window, request.path[1:]) or Response(404, [], b"")

    network = MemoryNetwork()
    async with open_server(network, handler):
        yield await dial(network), segment.etag


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("If-None-Match: {}", 304),
        ('If-None-Match: "x", W/{}', 304),
        ('If-None-Match: "x"', 200),
        ("If-Match: {}", 200),
        ('If-Match: "x"', 412),
    ],
)
async def test_conditions(condition: str, status: int) -> None:
    async with viewer_of(b"0123456789") as (viewer, etag):
        found = await viewer.ask(FILE, condition.format(etag))
        assert found.status == status
        assert found.get(b"access-control-allow-origin") == b"*"
        if status == 304:
            assert (found.get(b"etag"), found.get(b"content-type")) == (etag.encode(), None)
            assert found.get(b"cache-control") is not None


@pytest.mark.parametrize(
    ("fields", "status", "said", "body"),
    [
        (["Range: bytes=2-3"], 206, b"bytes 2-3/10", b"23"),
        (["Range: bytes=-1"], 206, b"bytes 9-9/10", b"9"),
        (["Range: bytes=2-3", "If-Range: {}"], 206, b"bytes 2-3/10", b"23"),
        (["Range: bytes=2-3", "If-Range: W/{}"], 200, None, b"0123456789"),
        (["Range: bytes=3-2"], 200, None, b"0123456789"),
        (["Range: bytes=10-"], 416, b"bytes */10", b""),
    ],
)
async def test_parts(fields: list[str], status: int, said: bytes | None, body: bytes) -> None:
    async with viewer_of(b"0123456789") as (viewer, etag):
        found = await viewer.ask(FILE, *(each.format(etag) for each in fields))
        assert (found.status, found.get(b"content-range"), found.body) == (status, said, body)


async def test_several_parts_come_at_once() -> None:
    async with viewer_of(b"0123456789") as (viewer, _):
        found = await viewer.ask(FILE, "Range: bytes=0-1,8-9")
        assert found.status == 206
        kind = found.get(b"content-type") or b""
        assert kind.startswith(b"multipart/byteranges; boundary=")
        boundary = kind.partition(b"=")[2].strip(b'"')
        first, second, end = found.body.split(b"--" + boundary)[1:]
        assert first.endswith(b"Content-Range: bytes 0-1/10\r\n\r\n01\r\n")
        assert second.endswith(b"Content-Range: bytes 8-9/10\r\n\r\n89\r\n")
        assert end == b"--\r\n"
