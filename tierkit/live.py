"""The live kit: the named streams of a tier, their rings, and who publishes into them.

`streams_of(ctx)` gives the tier's one `Streams`, kept in `ctx.streams`, so that every service of a tier sees
the same streams and none imports another.

A stream outlives its publishers.  Players that are there when one leaves stay, for `linger` seconds; the next
publisher goes on where the last one stopped: timestamps are rebased for each *epoch* (one publisher's
presence, see `_live_epoch`), and nobody is shown the middle of a GOP.

While nobody publishes, a stream may be shown a clip (`Stream.show_off_air`, see `tierkit.off_air`): an epoch like any
other for those who read it, but no publisher.  A publisher who comes meanwhile takes its place with the first keyframe.

What passes through is FLV-level messages: type 8 (audio), 9 (video), 18 (data), a timestamp in ms, a payload.
Codecs are not understood, only told apart: keyframes, sequence headers, metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from ._fanout import FanoutPolicy, Pump
from ._live_encoding import FLV_TAGS, RTMP_CHUNKS, WEBSOCKET_FLV, Encoding
from ._live_errors import Busy, Unavailable
from ._live_publication import Player, Publication
from ._live_rings import EncodingStatistics
from ._live_statistics import StreamStatistics
from ._live_stream import Cover, Stream, Subscriber
from ._live_takeover import TAKEOVER_HELP as TAKEOVER_HELP
from ._live_takeover import TAKEOVERS as TAKEOVERS
from ._live_takeover import takeover_of as takeover_of
from ._live_watch import Watchers
from ._plugin import Context, Figures, StreamState

__all__ = [
    "Busy",
    "Encoding",
    "EncodingStatistics",
    "FLV_TAGS",
    "Player",
    "Provider",
    "Publication",
    "RTMP_CHUNKS",
    "Stream",
    "StreamStatistics",
    "Streams",
    "Subscriber",
    "Unavailable",
    "WEBSOCKET_FLV",
    "streams_of",
]

#: Where `Streams` is kept in `ctx.streams`.
KEY = "tierkit.live"


class Provider(Protocol):
    """Who fetches streams that are asked for: how a service that speaks something else gets what another pulls.

    It is asked by path, and told of players as they come and go, which keeps a pull alive.
    """

    async def want(self, path: str, *, id: str = "") -> Stream:
        """The stream that somebody, who may play it, asks for; it may still be off air.  Raises Unavailable.

        `id` is what his request is called in logs, and goes on to where the stream is fetched from.
        """

    def joined(self, stream: Stream) -> None:
        """A player has come: it is in `stream.players`, and plays or waits."""

    def left(self, stream: Stream) -> None:
        """A player has left, `stream.players` too; the last one's departure may end a pull."""


class Streams:
    """The streams of one tier; `streams_of` gives it."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.clock = ctx.clock
        self.pump = ctx.shared(Pump)
        #: Bounds for the streams that begin from now on.
        self.policy = FanoutPolicy()
        self.watchers: Watchers[Stream] = Watchers(ctx)
        #: Who shows a clip while nobody publishes, and the names that are programmes before anybody did.
        self.cover: Cover | None = None
        self.standing: frozenset[str] = frozenset()
        #: Who fetches streams that are asked for; None where there are those alone that publishers bring.
        self.provider: Provider | None = None
        #: Bytes that streams which are forgotten have brought, and the GOPs that their players lost: totals never go
        #: back.
        self._gone_bytes = self._gone_gops = 0
        #: The same of rebufferings: over RTMP, and in all other encodings.
        self._gone_rebufferings = (0, 0)
        self._streams: dict[str, Stream] = {}

    def __iter__(self) -> Iterator[Stream]:
        return iter(tuple(self._streams.values()))

    def __len__(self) -> int:
        return len(self._streams)

    def get(self, name: str) -> Stream | None:
        """The stream of this name, where there is one."""
        return self._streams.get(name)

    def open(self, name: str) -> Stream:
        """The stream of this name, made where there is none."""
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Stream(self, name)
        return stream

    def discard(self, stream: Stream) -> None:
        """Forget a stream that nobody publishes and nobody watches; whatever else stays."""
        if not stream.on_air and not stream.watched and self._streams.get(stream.name) is stream:
            self._forget(stream)

    def expire(self, linger: float) -> list[Stream]:
        """End what has been off air for `linger` seconds, and forget it; call it now and then.

        Who waits for a stream that has never been on air is not ended by it: whoever let it wait does that.
        """
        now = self.clock()
        old = [s for s in self if s.off_since is not None and now - s.off_since >= linger and not s.goes_on]
        gone = [s for s in old if s.epochs or not s.players]
        for stream in gone:
            stream.end("NetStream.Play.UnpublishNotify", "the stream has ended")
            if stream.kept:
                stream.off_since = None  # once for each time that it goes off air
            else:
                self._forget(stream)
        return [stream for stream in gone if not stream.kept]

    def _forget(self, stream: Stream) -> None:
        del self._streams[stream.name]
        self._gone_bytes += stream.bytes_in
        self._gone_gops += stream.rings.skipped_gops
        self._gone_rebufferings = _sums([self._gone_rebufferings, stream.rings.rebufferings])
        if stream.slate is not None:
            stream.slate.end("its stream is forgotten")

    def follow(self, watcher: Callable[[Stream], None]) -> Callable[[], None]:
        """Call `watcher` whenever a publisher or the clip has come, before its first message, or gone.

        It is called synchronously and must not block.  A takeover is a going and a coming.  Returns how to end it.
        """
        return self.watchers.add(watcher)

    @property
    def bytes_in(self) -> int:
        """Bytes of media that have come so far, for whatever stream."""
        return self._gone_bytes + sum(stream.bytes_in for stream in self)

    def figures(self) -> Figures:
        """What the rings can tell; for the one service of a tier that brings its streams."""
        rings = [stream.rings for stream in self]
        chopped, rebufferings = self._standing()
        return Figures(
            chopped=chopped[0],
            rebufferings=rebufferings[0],
            lag=max((each.lag for each in rings), default=0.0),
            skipped_gops=self._gone_gops + sum(each.skipped_gops for each in rings),
            memory={"ring": sum(each.bytes_kept for each in rings)},
        )

    def figures_of_others(self) -> Figures:
        """What the rings of all other encodings than RTMP can tell of those who play them."""
        chopped, rebufferings = self._standing()
        return Figures(chopped=chopped[1], rebufferings=rebufferings[1])

    def _standing(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Players whose picture stands still, and how often one has come to: over RTMP, and in other encodings."""
        now = self.clock()
        chopped = _sums(each.rings.chopped(now - each.last_shown if each.playable else 0.0) for each in self)
        return chopped, _sums([self._gone_rebufferings, *(each.rings.rebufferings for each in self)])

    def states(self) -> list[StreamState]:
        """Every stream for `Running.streams`."""
        return [_state(s) for s in self]


def streams_of(ctx: Context) -> Streams:
    """The tier's streams: one for all its services."""
    found = ctx.streams.get(KEY)
    if found is None:
        found = ctx.streams[KEY] = Streams(ctx)
    assert isinstance(found, Streams)
    return found


def _sums(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    first = second = 0
    for one, other in pairs:
        first, second = first + one, second + other
    return first, second


def _state(stream: Stream) -> StreamState:
    return StreamState(
        name=stream.name.strip("/"),
        on_air=stream.on_air,
        source=stream.source,
        viewers=len(stream.players),
        bytes_in=stream.bytes_in,
        bytes_out=stream.rings.bytes_sent,
    )
