"""The live kit: the named streams of a tier, their rings, and who publishes into them.

`streams_of(ctx)` gives the tier's one `Streams`, kept in `ctx.streams`, so that every service of a tier sees
the same streams and none imports another.

A stream outlives its publishers.  Players that are there when one leaves stay, for `linger` seconds; the next
publisher goes on where the last one stopped: timestamps are rebased for each *epoch* (one publisher's
presence, see `_live_epoch`), and nobody is shown the middle of a GOP.

What passes through is FLV-level messages: type 8 (audio), 9 (video), 18 (data), a timestamp in ms, a payload.
Codecs are not understood, only told apart: keyframes, sequence headers, metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

import trio

from ._events import PublisherJoined, PublisherLeft, StreamEnded, StreamFault, StreamStarted
from ._fanout import Cursor, FanoutPolicy, Pump
from ._live_encoding import FLV_TAGS, METADATA_TIME, RTMP_CHUNKS, WEBSOCKET_FLV, Encoding
from ._live_epoch import Epoch, Place
from ._live_pinned import Pinned
from ._live_rings import EncodingStatistics, Rings
from ._live_statistics import StreamStatistics
from ._plugin import Context, StreamState
from ._ports import Connection
from .codecs.flv import Kind, classify
from .codecs.rtmp_message import AUDIO, DATA, VIDEO
from .codecs.rtmp_url import Route
from .errors import TierkitError

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

#: In-process consumers of a stream (the HLS packager): called with each message, synchronously; they must not
#: block.  One that raises is told of as a StreamFault and not called again.
Subscriber = Callable[[int, int, bytes], None]

#: Where `Streams` is kept in `ctx.streams`.
KEY = "tierkit.live"
#: Seconds after which metadata that names sound is not believed any more, where none has come.
SOUND_WITHIN = 2.0


class Busy(TierkitError):
    """Somebody publishes under this name already."""


class Unavailable(TierkitError):
    """A stream cannot be had; `code` is RTMP's status code for why, such as "NetStream.Play.StreamNotFound"."""

    def __init__(self, code: str, description: str) -> None:
        self.code = code
        super().__init__(description)


class Player(Protocol):
    """Who plays a stream or waits for it, as far as the stream must know."""

    def end(self, code: str, reason: str) -> None:
        """The stream has ended for good: say so with the RTMP status `code`, and close."""

    def resumed(self) -> None:
        """A publisher has begun."""

    def begun(self) -> None:
        """It has sent what a player can begin with: a keyframe, or sound where that leads."""


class Provider(Protocol):
    """Who fetches streams that are asked for: how a service that speaks something else gets what another pulls.

    It is asked by path, and told of players as they come and go, which keeps a pull alive.
    """

    async def want(self, route: Route) -> Stream:
        """The stream that somebody asks for; it may still be off air.  Raises Unavailable."""

    def joined(self, stream: Stream) -> None:
        """A player has come: it is in `stream.players`, and plays or waits."""

    def left(self, stream: Stream) -> None:
        """A player has left, `stream.players` too; the last one's departure may end a pull."""


class Stream:
    """One named stream.

    Attributes:
        name: the joined path, "/live/s".
        ring: what players read over RTMP.
        rings: that, and one for each other encoding that is played.
        players: who plays it now, or waits for it.
        epochs: how many publishers it has had.
        trouble: why it is not on air, for those who wait; whoever pulls it sets this.
    """

    def __init__(self, streams: Streams, name: str) -> None:
        self.name = name
        self.rings = Rings(streams.pump, streams.policy, self.pinned)
        self.ring = self.rings.rtmp
        self.players: set[Player] = set()
        self.publication: Publication | None = None
        self.epochs = 0
        self.messages = 0
        self.bytes_in = 0
        self.held = 0
        self.leaps = 0
        self.trouble = ""
        #: When the last publisher left, on the tier's clock; None while there is one.
        self.off_since: float | None = streams.clock()
        self._streams = streams
        self._subscribers: list[Subscriber] = []
        self._pinned = Pinned()
        #: The types of message that this publisher has sent.
        self._types: set[int] = set()
        self._last = 0
        self._on_air = trio.Event()

    @property
    def on_air(self) -> bool:
        """Whether somebody publishes it."""
        return self.publication is not None

    @property
    def begun(self) -> bool:
        """Whether its publisher has sent what a player can begin with."""
        return self.publication is not None and self.publication.begun

    def carries(self, type_id: int) -> bool:
        """Whether it has pictures (9) or sound (8), as far as can be told: what came, and for sound that may come
        behind the first picture what the metadata says."""
        if type_id in self._types:
            return True
        publication = self.publication
        young = publication is not None and self._streams.clock() - publication.since < SOUND_WITHIN
        return type_id == AUDIO and young and b"audiocodecid" in self._pinned.metadata

    @property
    def last_timestamp(self) -> int:
        """Of the newest message as players see it, ms."""
        return self._last

    async def wait_on_air(self) -> None:
        """Until somebody publishes it."""
        while not self.on_air:
            await self._on_air.wait()

    def attach(
        self, encoding: Encoding, connection: Connection, on_end: Callable[[str], None], *, first: bytes = b""
    ) -> Cursor:
        """Let a connection play in an encoding: it is sent `first`, headers and the current GOP now, and all that
        follows; see `Ring.attach`."""
        return self.rings.attach(encoding, connection, on_end, first)

    def pinned(self) -> Iterator[tuple[int, bytes]]:
        """Type and payload of what a newcomer needs first: metadata, then all else in the order it came in."""
        return iter(self._pinned)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with each message from now on, pinned ones first; returns how to end it."""
        for type_id, payload in self.pinned():
            subscriber(type_id, self._last, payload)
        self._subscribers.append(subscriber)

        def cancel() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return cancel

    def publish(self, publisher: str, *, takeover: bool = False, pulled: bool = False) -> Publication:
        """Begin to publish.  With `takeover` a publisher that is there already is ended, else raises Busy.

        `pulled` says that this tier has fetched it: no publisher has come to us, and no event says so.
        """
        if (old := self.publication) is not None:
            if not takeover:
                raise Busy(f"{self.name} is published by {old.publisher} already: end that, or choose another name")
            old.end("another publisher has taken its name over")
            if old.on_end is not None:
                old.on_end()
        self._pinned.clear()
        self._types.clear()
        self.publication = Publication(self, publisher, self._streams, pulled=pulled)
        self.epochs += 1
        self.off_since = None
        self.trouble = ""
        self._on_air.set()
        if not pulled:
            self._streams.ctx.emit(PublisherJoined(peer=publisher, stream=self.name))
        self._streams.ctx.emit(StreamStarted(stream=self.name, origin=publisher))
        self._streams.pump.in_turns([player.resumed for player in self.players])
        return self.publication

    def end(self, code: str, reason: str) -> None:
        """End every player with an RTMP status code."""
        self._streams.pump.in_turns([partial(player.end, code, reason) for player in self.players])

    def statistics(self) -> StreamStatistics:
        """The stream now and so far."""
        return StreamStatistics(
            name=self.name,
            on_air=self.on_air,
            publisher=self.publication.publisher if self.publication is not None else "",
            players=len(self.players),
            epochs=self.epochs,
            messages=self.messages,
            bytes_in=self.bytes_in,
            held=self.held,
            leaps=self.leaps,
            ring=self.ring.statistics(),
            encodings=self.rings.statistics(),
        )

    def _off_air(self) -> None:
        self.publication = None
        self.rings.close_syncs()  # who joins now is not shown the last GOP of what has ended
        self.off_since = self._streams.clock()
        self._on_air = trio.Event()

    def _take(self, type_id: int, timestamp: int, payload: bytes, kind: Kind) -> None:
        self.messages += 1
        self.bytes_in += len(payload)
        self._last = timestamp
        self._types.add(type_id)
        if kind.is_pinned and self._pinned.keep(type_id, payload, kind):
            self.rings.close_syncs()  # the GOP that is kept was made with the header before

    def _tell(self, type_id: int, timestamp: int, payload: bytes) -> None:
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(type_id, timestamp, payload)
            except Exception as error:
                self._subscribers.remove(subscriber)
                reason = f"a consumer of it failed and is left out: {type(error).__name__}: {error}"
                self._streams.ctx.emit(StreamFault(stream=self.name, reason=reason))


class Publication:
    """One publisher's presence on a stream, from `Stream.publish` to `end`.

    Attributes:
        on_end: called when somebody else ends it (a takeover, a kick).
        since: when it began, on the tier's clock.
        last: when its last message came, on the tier's clock.
    """

    def __init__(self, stream: Stream, publisher: str, streams: Streams, *, pulled: bool = False) -> None:
        self.stream = stream
        self.publisher = publisher
        self.on_end: Callable[[], None] | None = None
        self.since = self.last = streams.clock()
        self._streams = streams
        self._pulled = pulled
        self._later = stream.epochs > 0
        self._epoch = Epoch(stream.last_timestamp if self._later else None)

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.stream.publication is self

    @property
    def begun(self) -> bool:
        """Whether it has sent what a player can begin with."""
        return self._epoch.open

    def send(self, type_id: int, timestamp: int, payload: bytes) -> None:
        """One message from the publisher, its timestamp as it was sent.  Follow a burst of them by `room`."""
        if not self.live or type_id not in (AUDIO, VIDEO, DATA):
            return
        self.last = self._streams.clock()
        epoch, stream = self._epoch, self.stream
        kind = classify(type_id, payload)
        leaps = epoch.leaps
        shown = epoch.stamp(type_id, timestamp, kind)
        began, alone = epoch.open, epoch.alone
        place = epoch.place(type_id, shown, kind, payload)
        stream.leaps += epoch.leaps - leaps
        stream._take(type_id, shown, payload, kind)
        if alone and not epoch.alone:
            stream.rings.close_syncs()  # pictures have joined the sound: players begin with those
        if epoch.open and not began and self._later:
            # Players that have stayed need the new headers, and before the keyframe.
            stream.rings.append_headers(shown)
        if place is Place.HELD:
            stream.held += not kind.is_pinned
        else:
            stamp = METADATA_TIME if kind.is_metadata and type_id == DATA else shown
            stream.rings.append(type_id, stamp, payload, at=shown, sync=place is Place.SYNC)
        if epoch.open and not began:
            self._streams.pump.in_turns([player.begun for player in stream.players])
        stream._tell(type_id, shown, payload)

    async def room(self) -> None:
        """Until players have been sent enough of what came; at once for publishers of any usual rate."""
        await self.stream.rings.room()

    def end(self, reason: str) -> None:
        """The publisher has gone; players stay for a while.  Idempotent."""
        if not self.live:
            return
        self.stream._off_air()
        if not self._pulled:
            self._streams.ctx.emit(PublisherLeft(peer=self.publisher, stream=self.stream.name, reason=reason))
        self._streams.ctx.emit(StreamEnded(stream=self.stream.name, reason=reason))


class Streams:
    """The streams of one tier; `streams_of` gives it."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.clock = ctx.clock
        self.pump = ctx.shared(Pump)
        #: Bounds for the streams that begin from now on.
        self.policy = FanoutPolicy()
        #: Who fetches streams that are asked for; None where there are those alone that publishers bring.
        self.provider: Provider | None = None
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
        """Forget a stream that is off air and that nobody waits for; whatever else stays."""
        if not stream.on_air and not stream.players and self._streams.get(stream.name) is stream:
            del self._streams[stream.name]

    def expire(self, linger: float) -> list[Stream]:
        """End what has been off air for `linger` seconds, and forget it; call it now and then.

        Who waits for a stream that has never been on air is not ended by it: whoever let it wait does that.
        """
        now = self.clock()
        old = [s for s in self if s.off_since is not None and now - s.off_since >= linger]
        gone = [s for s in old if s.epochs or not s.players]
        for stream in gone:
            stream.end("NetStream.Play.UnpublishNotify", "the stream has ended")
            del self._streams[stream.name]
        return gone

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


def _state(stream: Stream) -> StreamState:
    return StreamState(
        name=stream.name.strip("/"),
        on_air=stream.on_air,
        viewers=len(stream.players),
        bytes_in=stream.bytes_in,
        bytes_out=stream.rings.bytes_sent,
    )
