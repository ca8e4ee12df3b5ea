"""The embedded origin: takes RTMP publishers, serves their streams over RTMP and packages them to HLS.

Paths are Wowza's, so that a graph moves from one to the other unchanged:

    rtmp://HOST/live/s                      publish and play
    http://HOST/live/s/playlist.m3u8        HLS; chunklist.m3u8 and media_N.ts stand beside it

* What a request for HLS gets is in `tierkit.packaging`: every stream is packaged for as long as it is here.
* A stream whose publisher has left keeps its playlist for `linger` seconds, so that players bridge the time
  until it is back; then both its names are gone.
* While nobody publishes, the clip of `off_air` is shown and packaged, behind a discontinuity, for as long as somebody
  plays the stream or asks for its HLS.
* Memory: for each stream `keep_bytes`, or the playlist's own segments where those are more, the open segment,
  and the ring of the live kit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

import trio
from attrs import evolve, field, frozen

from tierkit.access import Access, AccessStatistics, authorise_option, decide_within_option, open_access
from tierkit.codecs.rtmp_session import ConnectRequested
from tierkit.live import (
    TAKEOVER_HELP,
    TAKEOVERS,
    Publication,
    Stream,
    Streams,
    StreamStatistics,
    streams_of,
    takeover_of,
)
from tierkit.off_air import (
    OffAir,
    OffAirOptions,
    clip_problem,
    load_clip,
    off_air_after_option,
    off_air_for_option,
    off_air_option,
)
from tierkit.packaging import Channels, PackagerStatistics, Packaging
from tierkit.plugin import (
    Attempt,
    Authoriser,
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
#: Seconds between looks at what has gone off air.
_LOOK = 0.25
#: Segments' lengths for which a player of HLS may ask for nothing and still be there.
_AWAY = 3


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
    takeover: str | bool = option("never", TAKEOVER_HELP, choices=TAKEOVERS, converter=takeover_of)
    max_streams: int = option(200, "Streams at once.", minimum=1, maximum=100_000)
    max_bitrate: int = option(
        100_000_000,
        "Bits per second, over five seconds, beyond which a publisher is dropped.",
        minimum=10_000,
        maximum=10**11,
        unit="bit/s",
    )
    authorise: tuple[Authoriser, ...] = authorise_option(
        "Who may publish and play over RTMP: authorisers, all of which must allow.  None lets everybody.  Who "
        "plays HLS is not asked: that is for an edge in front to guard."
    )
    decide_within: float = decide_within_option()
    cors: str = option(
        "*", "What Access-Control-Allow-Origin says to players on other sites' pages; empty sends no such header."
    )

    off_air: str = off_air_option()
    off_air_for: tuple[str, ...] = off_air_for_option()
    off_air_after: float = off_air_after_option()

    @property
    def clip(self) -> OffAirOptions:
        """What is shown while nobody publishes."""
        return OffAirOptions(self.off_air, self.off_air_for, self.off_air_after)

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
        found = [*super().problems(), *self.clip.problems()]
        if self.patience <= self.segment:
            found.append(f"option patience={self.patience!r} must be more than segment={self.segment!r}: raise it")
        return found

    def problems_here(self) -> list[str]:
        """What is wrong with the off-air clip's file."""
        return clip_problem(self.off_air)

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        """Begin to serve in `tier`."""
        clip = await load_clip(ctx, self.clip)
        async with (
            open_access(self.authorise, ctx, within=self.decide_within) as access,
            trio.open_nursery() as nursery,
        ):
            running = _Origin(self, ctx, access)
            running.off_air.start(self.clip, clip)
            nursery.start_soon(running.off_air.run, name=f"{ctx.tier} shows its off-air clip")
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
    #: What its authorisers have decided.
    access: AccessStatistics = field(metadata={"merge": "sum"})
    #: Every stream.
    streams: tuple[PackagedStream, ...] = field(metadata={"merge": "last"})


class _Origin(Running, RTMPHost):
    access: Access

    def __init__(self, recipe: Ingest, ctx: Context, access: Access) -> None:
        self.recipe = recipe
        self.ctx = ctx
        self.access = access
        self.sweeper = Sweeper(ctx)
        self.live: Streams = streams_of(ctx)
        self.off_air = OffAir(ctx, "ingest")
        self.hls = Channels(ctx, self.live, recipe.packaging, first_wait=recipe.first_wait, cors=recipe.cors)
        self.hls.standing = self._standing
        self._adopt(recipe)

    # --- what the core asks ----------------------------------------------------------------------

    async def handle(self, connection: Connection) -> None:
        door = connection.door
        if door is None or door.scheme in _RTMP:
            await serve_rtmp(connection, self)
            return
        await self.hls.handle(connection)

    def statistics(self) -> IngestStatistics:
        return IngestStatistics(
            publishers=self.sweeper.publishers,
            players=self.sweeper.players,
            http_connections=self.hls.connections,
            requests=self.hls.requests,
            not_found=self.hls.not_found,
            too_fast=self.sweeper.too_fast,
            access=self.access.statistics(),
            streams=tuple(
                PackagedStream(live=each.stream.statistics(), hls=each.packager.statistics()) for each in self.hls
            ),
        )

    def figures(self) -> Figures:
        # An origin has no upstream to miss at: every request is a hit.
        requests, missing = self.hls.requests, self.hls.not_found
        figures = self.live.figures()
        return evolve(
            figures,
            viewers=self.sweeper.players + self.hls.connections,
            requests=requests,
            hits=requests,
            results={"hits": requests - missing, "errors": missing},
            memory={**figures.memory, "window": self.hls.bytes_kept},
        )

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
        self._adopt(service)
        self.off_air.adopt(service.clip)
        self.access.replace(service.authorise, service.decide_within)
        return True

    def _adopt(self, recipe: Ingest) -> None:
        self.recipe = recipe
        self.sweeper.max_bitrate = recipe.max_bitrate
        self.hls.first_wait, self.hls.cors = recipe.first_wait, recipe.cors
        self.hls.audience = max(recipe.linger, _AWAY * recipe.segment)

    # --- publishing and playing over RTMP --------------------------------------------------------

    async def publish(self, attempt: Attempt) -> Publication:
        stream = self.live.get(attempt.path)
        if stream is None:
            if self._full:
                reason = f"{self.ctx.tier} has {len(self.live)} streams, its bound: raise max_streams"
                raise RTMPRefusal("NetStream.Publish.Denied", reason)
            stream = self.live.open(attempt.path)
        return stream.publish(str(attempt.peer), takeover=self.recipe.takeover)

    async def play(self, attempt: Attempt, request: ConnectRequested) -> Stream:
        stream = self.live.get(attempt.path) or self._standing(attempt.path)
        if stream is None:
            # Nobody is to fill the table with names that are only asked for.
            raise RTMPRefusal("NetStream.Play.StreamNotFound", f"nobody publishes {attempt.path}")
        return stream

    @property
    def _full(self) -> bool:
        return len(self.live) >= self.recipe.max_streams

    def _standing(self, name: str) -> Stream | None:
        """A stream that nobody has published yet and that is a programme all the same."""
        return self.live.open(name) if name in self.live.standing and not self._full else None

    # --- looking after streams -------------------------------------------------------------------

    async def look_after_streams(self) -> None:
        """End what has been off air for too long."""
        while True:
            await trio.sleep(_LOOK)
            self.live.expire(self.recipe.linger)


@hookimpl
def tierkit_services() -> Sequence[type[Service]]:
    """Brings `Ingest`."""
    return [Ingest]
