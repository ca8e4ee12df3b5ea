"""An edge on the network in memory, between an origin that does what a test tells it and viewers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from attrs import define, field

from tests.core.fakes import Record
from tests.core.rig import opened
from tests.support_http import Answer, Viewer, dial, open_server
from tierkit import Edge, Graph, Origin
from tierkit._serve import GraphHandle
from tierkit.codecs.hls import MediaPlaylist, Segment
from tierkit.http import BodySink, Request, Response
from tierkit.plugins.hls import HLS, HLSStatistics
from tierkit.testing import MemoryNetwork

PLAYLIST = "/live/s/playlist.m3u8"
SEGMENT = "/live/s/media_1.ts"
TD = 6


def playlist(first: int = 1, *, td: int = TD, ended: bool = False) -> bytes:
    segments = [Segment(uri=f"media_{first + i}.ts", duration=float(td)) for i in range(3)]
    return MediaPlaylist(segments=segments, media_sequence=first, target_duration=td, ended=ended).render()


def plain(body: bytes, *fields: tuple[bytes, bytes], status: int = 200, kind: bytes = b"video/MP2T") -> Response:
    if body.startswith(b"#EXTM3U"):
        kind = b"application/vnd.apple.mpegurl"
    return Response(status, [(b"Content-Type", kind), *fields], body)


def dripping(
    *pieces: bytes,
    pause: float = 1.0,
    length: int | None = None,
    fail: Exception | None = None,
    kind: bytes = b"video/MP2T",
) -> Response:
    """A body that comes a piece at a time, `pause` seconds between them, and may fail at its end."""

    async def body(sink: BodySink) -> None:
        for i, piece in enumerate(pieces):
            if i:
                await trio.sleep(pause)
            await sink.write(piece)
        if fail is not None:
            await trio.sleep(pause)
            raise fail

    return Response(200, [(b"Content-Type", kind)], body, length)


@define
class FakeOrigin:
    """An HTTP server that answers from `paths`: a response, or a function of the request."""

    paths: dict[str, Response | Callable[[Request], Any]] = field(factory=dict)
    asked: list[Request] = field(factory=list)
    #: Seconds before each answer.
    delay: float = 0.0

    async def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        if self.delay:
            await trio.sleep(self.delay)
        answer = self.paths.get(request.path)
        if answer is None:
            return Response(404, [], b"")
        if isinstance(answer, Response):
            return answer
        made = answer(request)
        return await made if isinstance(made, Awaitable) else made

    def count(self, path: str) -> int:
        return sum(request.path == path for request in self.asked)


@define
class Rig:
    network: MemoryNetwork
    origin: FakeOrigin
    handle: GraphHandle
    events: Record

    async def viewer(self, tier: str = "edge") -> Viewer:
        (address, *_) = self.handle.addresses(tier)
        return await dial(self.network, str(address))

    async def get(self, path: str = SEGMENT, *fields: str, method: str = "GET", tier: str = "edge") -> Answer:
        viewer = await self.viewer(tier)
        try:
            return await viewer.ask(path, *fields, method=method)
        finally:
            viewer.connection.close()

    def statistics(self, tier: str = "edge") -> HLSStatistics:
        found = self.handle.running(tier)["hls"].statistics()
        assert isinstance(found, HLSStatistics)
        return found


ORIGIN = Origin("origin", "http://origin.example:80")


@asynccontextmanager
async def open_edge(*more: Edge, origin: Origin | Edge = ORIGIN, network: MemoryNetwork | None = None, up: bool = True,
                    **options: Any) -> AsyncIterator[Rig]:  # fmt: skip
    """One edge before one origin; `more` are further tiers."""
    network = network or MemoryNetwork()
    fake = FakeOrigin({SEGMENT: plain(b"segment one"), PLAYLIST: plain(playlist())})
    edge = Edge("edge", upstream=origin, listen="http://edge.example:80", serves=HLS(**options))
    async with (
        open_server(network, fake, "http://origin.example:80"),
        opened(Graph.of(edge, *more), network=network, drain=1) as rig,
    ):
        yield Rig(network, fake, rig.handle, rig.events)
