"""The embedded origin: takes RTMP publishers, serves their streams over RTMP and packages them to HLS.

Paths are Wowza's, so that a graph moves from one to the other unchanged:

    rtmp://HOST/live/s                      publish and play
    http://HOST/live/s/playlist.m3u8        HLS; chunklist.m3u8 and media_N.ts stand beside it

* What a request for HLS gets is in `tierkit.packaging`: every stream is packaged for as long as it is here.
* A stream whose publisher has left keeps its playlist for `linger` seconds, so that players bridge the time
  until it is back; then both its names are gone.
* Memory: for each stream `keep_bytes`, or the playlist's own segments where those are more, the open segment,
  and the ring of the live kit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

import trio
from attrs import field, frozen

from tierkit.codecs.rtmp_session import ConnectRequested
from tierkit.codecs.rtmp_url import Route
from tierkit.http import serve_http
from tierkit.live import Publication, Stream, Streams, StreamStatistics, streams_of
from tierkit.packaging import Channels, PackagerStatistics, Packaging
from tierkit.plugin import (
    Connection,
    Context,
    Figures,
    Node,
    Running,
    Service,
    StreamState,
    hookimpl,
    option,
)
from tierkit.rtmp import RTMPHost, RTMPRefusal, Sweeper, serve_rtmp

__all__ = ["Ingest", "IngestStatistics", "PackagedStream"]

_RTMP = ("rtmp", "rtmps")
#: Seconds between looks at what has gone off air, and over which a bitrate is measured.
_LOOK = 0.25
_MEASURE = 5.0


@frozen
class Ingest(Service):
    """An embedded origin: RTMP publishers in, RTMP and HLS out, without transcoding."""

    name: ClassVar[str] = "ingest"
    roles: ClassVar = frozenset({"origin"})
    schemes: ClassVar[tuple[str, ...]] = ("rtmp", "rtmps", "http", "https")
    send_lowat: ClassVar[int] = 262144

    segment: float = option(2.0, "Length of a segment; it ends at the next keyframe.", minimum=1, maximum=60, unit="s")
    window: int = option(6, "Segments in a playlist.", minimum=2, maximum=1000)
    keep: int = option(12, "Segments kept behind the playlist for players that are late.", minimum=1, maximum=10_000)
    keep_bytes: int = option(
        128 << 20,
        "Bytes of one stream's segments beyond which fewer are kept behind its playlist.",
        minimum=1 << 20,
        maximum=1 << 40,
        unit="bytes",
    )
    patience: float = option(
        10.0,
        "Time without a keyframe after which a segment ends all the same, and without a picture after which "
        "sound goes on alone.",
        minimum=2,
        maximum=120,
        unit="s",
    )
    linger: float = option(
        30.0,
        "Time that a stream keeps its playlist and its players when its publisher has gone.",
        minimum=0,
        maximum=86400,
        unit="s",
    )
    first_wait: float = option(
        8.0,
        "Longest time that a request for the playlist of a stream that has just begun waits for the first segment.",
        minimum=0,
        maximum=60,
        unit="s",
    )
    takeover: bool = option(
        False,
        "A new publisher of a name ends the one that is there, instead of being refused; for encoders that "
        "come back before their old connection is known to be dead.",
    )
    max_streams: int = option(200, "Streams at once.", minimum=1, maximum=100_000)
    max_bitrate: int = option(
        100_000_000,
        "Bits per second, over five seconds, beyond which a publisher is dropped.",
        minimum=10_000,
        maximum=10**11,
        unit="bit/s",
    )
    cors: str = option(
        "*", "What Access-Control-Allow-Origin says to players on other sites' pages; empty sends no such header."
    )

    @property
    def packaging(self) -> Packaging:
        """How each stream is packaged."""
        return Packaging(
            target=self.segment,
            window=self.window,
            keep=self.keep,
            keep_bytes=self.keep_bytes,
            patience=self.patience,
        )

    def problems(self) -> list[str]:
        """The ranges of the options, and how they go together."""
        found = super().problems()
        if self.patience <= self.segment:
            found.append(f"option patience={self.patience!r} must be more than segment={self.segment!r}: raise it")
        return found

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        """Begin to serve in `tier`."""
        async with trio.open_nursery() as nursery:
            running = _Origin(self, ctx)
            nursery.start_soon(running.sweeper.run, name=f"{ctx.tier} looks after the silent")
            nursery.start_soon(running.look_after_streams, name=f"{ctx.tier} looks after its streams")
            nursery.start_soon(running.hls.look_after, name=f"{ctx.tier} packages its streams")
            try:
                yield running
            finally:
                nursery.cancel_scope.cancel()


@frozen(kw_only=True)
class PackagedStream:
    """One stream of an embedded origin."""

    #: What it is over RTMP.
    live: StreamStatistics = field(metadata={"merge": "last"})
    #: What became of it as HLS.
    hls: PackagerStatistics = field(metadata={"merge": "last"})


@frozen(kw_only=True)
class IngestStatistics:
    """An embedded origin now and so far."""

    #: RTMP publishers and players now.
    publishers: int = field(metadata={"merge": "sum"})
    players: int = field(metadata={"merge": "sum"})
    #: HTTP connections now, and requests answered so far.
    http_connections: int = field(metadata={"merge": "sum"})
    requests: int = field(metadata={"merge": "sum"})
    #: Requests for what is not there.
    not_found: int = field(metadata={"merge": "sum"})
    #: Publishers dropped because they sent more than `max_bitrate`.
    too_fast: int = field(metadata={"merge": "sum"})
    #: Every stream.
    streams: tuple[PackagedStream, ...] = field(metadata={"merge": "last"})


class _Origin(Running, RTMPHost):
    def __init__(self, recipe: Ingest, ctx: Context) -> None:
        self.recipe = recipe
        self.ctx = ctx
        self.sweeper = Sweeper(ctx)
        self.live: Streams = streams_of(ctx)
        self.hls = Channels(ctx, self.live, recipe.packaging, first_wait=recipe.first_wait, cors=recipe.cors)
        #: When, and at how many bytes, each stream was last measured.
        self._measured: dict[Stream, tuple[float, int]] = {}
        self._http = self._too_fast = 0

    # --- what the core asks ----------------------------------------------------------------------

    async def handle(self, connection: Connection) -> None:
        door = connection.door
        if door is None or door.scheme in _RTMP:
            await serve_rtmp(connection, self)
            return
        self._http += 1
        try:
            await serve_http(connection, self.hls.answer)
        finally:
            self._http -= 1

    def statistics(self) -> IngestStatistics:
        return IngestStatistics(
            publishers=self.sweeper.publishers,
            players=self.sweeper.players,
            http_connections=self._http,
            requests=self.hls.requests,
            not_found=self.hls.not_found,
            too_fast=self._too_fast,
            streams=tuple(
                PackagedStream(live=each.stream.statistics(), hls=each.packager.statistics()) for each in self.hls
            ),
        )

    def figures(self) -> Figures:
        # An origin has no upstream to miss at: every request is a hit.
        viewers, requests = self.sweeper.players + self._http, self.hls.requests
        return Figures(viewers=viewers, requests=requests, hits=requests)

    def streams(self) -> Sequence[StreamState]:
        return self.live.states()

    def draining(self) -> None:
        self.sweeper.draining()
        self.hls.wake()

    def kick(self, pattern: str) -> int:
        return self.sweeper.kick(pattern)

    def replace(self, service: Service) -> bool:
        # How a stream is packaged is decided when it begins: that would need new streams, so a new tier.
        if not isinstance(service, Ingest) or service.packaging != self.recipe.packaging:
            return False
        self.recipe = service
        self.hls.first_wait, self.hls.cors = service.first_wait, service.cors
        return True

    # --- publishing and playing over RTMP --------------------------------------------------------

    async def publish(self, route: Route, peer: str) -> Publication:
        stream = self.live.get(route.path)
        if stream is None:
            if len(self.live) >= self.recipe.max_streams:
                reason = f"{self.ctx.tier} has {len(self.live)} streams, its bound: raise max_streams"
                raise RTMPRefusal("NetStream.Publish.Denied", reason)
            stream = self.live.open(route.path)
        return stream.publish(peer, takeover=self.recipe.takeover)

    async def play(self, route: Route, request: ConnectRequested) -> Stream:
        stream = self.live.get(route.path)
        if stream is None:
            # Nobody is to fill the table with names that are only asked for.
            raise RTMPRefusal("NetStream.Play.StreamNotFound", f"nobody publishes {route.path}")
        return stream

    # --- looking after streams -------------------------------------------------------------------

    async def look_after_streams(self) -> None:
        """End what has been off air for too long, and drop who sends too much."""
        while True:
            await trio.sleep(_LOOK)
            for stream in self.live:
                self._bound(stream)
            for gone in self.live.expire(self.recipe.linger):
                self._measured.pop(gone, None)

    def _bound(self, stream: Stream) -> None:
        now, total, publication = self.ctx.clock(), stream.bytes_in, stream.publication
        then, before = self._measured.setdefault(stream, (now, total))
        if now - then < _MEASURE:
            return
        self._measured[stream] = (now, total)
        rate = (total - before) * 8 / (now - then)
        if rate <= self.recipe.max_bitrate or publication is None:
            return
        self._too_fast += 1
        for served in self.sweeper:
            if publication in served.publications.values():
                served.stop(f"it sends {rate / 1e6:.1f} Mbit/s; max_bitrate is {self.recipe.max_bitrate / 1e6:g}")


@hookimpl
def tierkit_services() -> Sequence[type[Service]]:
    """Brings `Ingest`."""
    return [Ingest]
