"""HLS out of the streams of a relay, as the embedded origin has it.

    Relay("r", listen=("rtmp://:1935", "http://:8080"), serves=(RTMP(), Package()))

`http://HOST/live/s/playlist.m3u8` is what `rtmp://HOST/live/s` is, remuxed.  What a request gets is in
`tierkit.packaging`.

* A stream is packaged from the first request for its playlist on, and until nobody has asked for `idle` seconds; what
  `always` names, for as long as it is on air.  That first player waits for the first segment: the next keyframe, and
  then a segment's length.
* It follows the streams that are on air at this tier, whoever brings them there: a request for HLS begins no pull.
* Memory: for each packaged stream `keep_bytes` (or the playlist's own segments, where those are more) and the open
  segment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from typing import ClassVar

import trio
from attrs import field, frozen

from tierkit.live import Stream, streams_of
from tierkit.packaging import Channels, PackagerStatistics, Packaging
from tierkit.plugin import Connection, Context, Figures, Node, Running, Service, hookimpl, option

__all__ = ["Package", "PackageStatistics", "PackagedStream"]


@frozen
class Package(Service):
    """HLS out of the streams of a relay, without transcoding."""

    name: ClassVar[str] = "package"
    roles: ClassVar = frozenset({"relay"})
    schemes: ClassVar[tuple[str, ...]] = ("http", "https")

    always: tuple[str, ...] = option(
        (),
        "Streams, such as 'live/hall' or 'live/*', that are packaged whenever they are on air; all others once they "
        "are asked for.",
    )
    idle: float = option(
        60.0,
        "Time without a request after which a stream that was asked for is no longer packaged.",
        minimum=5,
        maximum=86400,
        unit="s",
    )
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
    first_wait: float = option(
        15.0,
        "Longest time that a request for a playlist waits for the first segment.",
        minimum=0,
        maximum=60,
        unit="s",
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

    def wants(self, stream: str) -> bool:
        """Whether a stream of this name is packaged without being asked for."""
        return any(fnmatchcase(stream.strip("/"), each.strip("/")) for each in self.always)

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        """Begin to serve in `tier`."""
        async with trio.open_nursery() as nursery:
            running = _Packaging(self, ctx)
            nursery.start_soon(running.hls.look_after, name=f"{ctx.tier} packages its streams")
            try:
                yield running
            finally:
                nursery.cancel_scope.cancel()


@frozen(kw_only=True)
class PackagedStream:
    """One stream that is packaged."""

    name: str = field(metadata={"merge": "last"})
    #: Seconds since it was last asked for.
    idle: float = field(metadata={"merge": "max"})
    #: What became of it.
    hls: PackagerStatistics = field(metadata={"merge": "last"})


@frozen(kw_only=True)
class PackageStatistics:
    """HLS out of a relay, now and so far."""

    #: HTTP connections now, and requests answered so far.
    http_connections: int = field(metadata={"merge": "sum"})
    requests: int = field(metadata={"merge": "sum"})
    #: Requests for what is not there.
    not_found: int = field(metadata={"merge": "sum"})
    #: Every stream that is packaged.
    streams: tuple[PackagedStream, ...] = field(metadata={"merge": "last"})


class _Packaging(Running):
    def __init__(self, recipe: Package, ctx: Context) -> None:
        self.recipe = recipe
        self.ctx = ctx
        self.live = streams_of(ctx)
        self.hls = Channels(ctx, self.live, recipe.packaging, first_wait=recipe.first_wait, at_once=self._wants)
        self.hls.standing = self._standing
        self._adopt(recipe)

    async def handle(self, connection: Connection) -> None:
        await self.hls.handle(connection)

    def statistics(self) -> PackageStatistics:
        now = self.ctx.clock()
        return PackageStatistics(
            http_connections=self.hls.connections,
            requests=self.hls.requests,
            not_found=self.hls.not_found,
            streams=tuple(
                PackagedStream(name=each.stream.name, idle=now - each.asked, hls=each.packager.statistics())
                for each in self.hls
            ),
        )

    def figures(self) -> Figures:
        # What it answers comes from streams that are here already.
        requests, missing = self.hls.requests, self.hls.not_found
        return Figures(
            viewers=self.hls.connections,
            requests=requests,
            hits=requests,
            results={"hits": requests - missing, "errors": missing},
            memory={"window": self.hls.bytes_kept},
        )

    def draining(self) -> None:
        self.hls.wake()

    def replace(self, service: Service) -> bool:
        # How a stream is packaged is decided when that begins.
        if not isinstance(service, Package) or service.packaging != self.recipe.packaging:
            return False
        self._adopt(service)
        return True

    def _adopt(self, recipe: Package) -> None:
        self.recipe = recipe
        self.hls.first_wait, self.hls.cors, self.hls.idle = recipe.first_wait, recipe.cors, recipe.idle
        self.hls.audience = recipe.idle

    def _wants(self, stream: str) -> bool:
        return self.recipe.wants(stream)

    def _standing(self, name: str) -> Stream | None:
        return self.live.open(name) if name in self.live.standing else None


@hookimpl
def tierkit_services() -> Sequence[type[Service]]:
    """Brings `Package`."""
    return [Package]
