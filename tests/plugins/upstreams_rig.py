"""An edge before several upstreams in memory, each of which does what a test tells it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import trio
from attrs import define, field

from tests.core.rig import opened
from tests.plugins.edge_rig import SEGMENT, FakeOrigin, Rig
from tests.support_http import open_server
from tierkit import Edge, Graph, Origin
from tierkit.errors import ConnectionLost
from tierkit.http import BodySink, Request, Response
from tierkit.plugins.hls import HLS
from tierkit.plugins.hls._ask import Asker
from tierkit.testing import MemoryNetwork

BODY = bytes(range(1, 251)) * 400  # 100,000 bytes, no two neighbours alike
DATE = b"Mon, 23 Nov 2026 12:00:00 GMT"
OLDER = b"Mon, 23 Nov 2026 11:59:50 GMT"


@define
class Mirror:
    """An HTTP server with one object.

    It may break off: `breaks` holds, for each request in turn, after how many bytes of its answer it does so (None:
    never).
    """

    body: bytes = field(default=BODY, repr=False)
    etag: bytes = b'"one"'
    kind: bytes = b"video/MP2T"
    modified: bytes = b""
    #: "length", "chunked"
    framing: str = "length"
    #: Whether it knows ranges; a function makes something of its own of the request.
    ranges: bool = True
    breaks: list[int | None] = field(factory=list)
    #: "abort" or "stall"
    how: str = "abort"
    status: int = 200
    fields: list[tuple[bytes, bytes]] = field(factory=list)
    #: Seconds before each head.
    delay: float = 0.0
    #: Answers a request for the rest itself.
    rest: Callable[[Request], Response] | None = None
    #: Bytes of each write.
    piece: int = 1000
    asked: list[Request] = field(factory=list, repr=False)
    #: Bytes of bodies written so far.
    sent: int = 0

    async def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        if self.delay:
            await trio.sleep(self.delay)
        if self.status != 200:
            return Response(self.status, list(self.fields), b"no")
        wanted = request.get(b"range")
        if wanted is not None and self.rest is not None:
            return self.rest(request)
        condition = request.get(b"if-range")
        start = 0
        if wanted is not None and self.ranges and condition in (None, self.etag, self.modified):
            match = re.fullmatch(rb"bytes=([0-9]+)-", wanted)
            assert match is not None
            start = int(match.group(1))
        return self.answer(start, part=wanted is not None and start > 0)

    def answer(self, start: int = 0, *, part: bool = False) -> Response:
        fields = [(b"Content-Type", self.kind), (b"Date", DATE), *self.fields]
        fields += [(b"ETag", self.etag)] if self.etag else []
        fields += [(b"Last-Modified", self.modified)] if self.modified else []
        if part:
            fields.append((b"Content-Range", b"bytes %d-%d/%d" % (start, len(self.body) - 1, len(self.body))))
        cut = self.breaks.pop(0) if self.breaks else None

        async def write(sink: BodySink) -> None:
            whole = self.body[start:]
            whole = whole if cut is None else whole[:cut]
            for at in range(0, len(whole), self.piece):
                piece = whole[at : at + self.piece]
                await sink.write(piece)
                self.sent += len(piece)
            if cut is not None:
                await trio.sleep(1)  # what was written has arrived
                if self.how == "stall":
                    await trio.sleep_forever()
                sink.connection.abort()
                raise ConnectionLost("told to")

        return Response(
            206 if part else 200, fields, write, len(self.body) - start if self.framing == "length" else None
        )

    def ranges_asked(self) -> list[bytes | None]:
        return [each.get(b"range") for each in self.asked]


def asker(rig: Rig) -> Asker:
    found = rig.handle.running("edge")["hls"].flow.fetcher.asker  # type: ignore[attr-defined]
    assert isinstance(found, Asker)
    return found


@asynccontextmanager
async def mirrored(*mirrors: Any, policy: str = "ordered", **options: Any) -> AsyncIterator[Rig]:
    """An edge called "edge" before origins called a, b, c...; one that is None does not listen."""
    network = MemoryNetwork()
    origins = [Origin("abcdefgh"[i], f"http://{'abcdefgh'[i]}.example:80") for i in range(len(mirrors))]
    edge = Edge("edge", upstream=tuple(origins), policy=policy, listen="http://edge.example:80", serves=HLS(**options))
    async with AsyncExitStack() as stack:
        for origin, mirror in zip(origins, mirrors, strict=True):
            if mirror is not None:
                await stack.enter_async_context(open_server(network, mirror, str(origin.address)))
        rig = await stack.enter_async_context(opened(Graph.of(edge), network=network, drain=1))
        yield Rig(network, FakeOrigin(), rig.handle, rig.events)


__all__ = ["BODY", "DATE", "OLDER", "SEGMENT", "Mirror", "asker", "mirrored"]
