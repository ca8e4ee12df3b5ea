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
from attrs import field, frozen

from ._events import PublisherJoined, PublisherLeft, StreamEnded, StreamFault, StreamStarted
from ._fanout import FanoutPolicy, Pump, RingStatistics
from ._live_epoch import Epoch, Place
from ._live_watch import Watchers
from ._plugin import Context, StreamState
from .codecs.flv import Kind, classify
from .codecs.rtmp_chunk import CHUNK_SIZE, encode_message
from .codecs.rtmp_message import AUDIO, DATA, MEDIA_CSID, VIDEO
from .errors import TierkitError

__all__ = ["Busy", "Player", "Publication", "Stream", "StreamStatistics", "Streams", "Subscriber", "streams_of"]

#: In-process consumers of a stream (the HLS packager): called with each message, synchronously; they must not
#: block.  One that raises is told of as a StreamFault and not called again.
Subscriber = Callable[[int, int, bytes], None]

#: Where `Streams` is kept in `ctx.streams`.
KEY = "tierkit.live"
#: What is kept for late joiners: a header and metadata for each of so many tracks.  Real streams have up to 8.
MAX_PINNED = 64
#: Largest header or metadata kept.  Real ones have under 1 KB; `onMetaData` with a keyframe index some 10.
MAX_PINNED_BYTES = 65536


#: Metadata is about the whole stream, and is stamped so: ffmpeg takes what is stamped later for subtitles.
METADATA_TIME = 0


class Busy(TierkitError):
    """Somebody publishes under this name already."""


class Player(Protocol):
    """Who plays a stream or waits for it, as far as the stream must know."""

    def end(self, code: str, reason: str) -> None:
        """The stream has ended for good: say so with the RTMP status `code`, and close."""

    def resumed(self) -> None:
        """A publisher has begun."""


@frozen(kw_only=True)
class StreamStatistics:
    """One live stream now and so far."""

    name: str = field(metadata={"merge": "last"})
    on_air: bool = field(metadata={"merge": "max"})
    #: Who publishes it, empty when nobody does.
    publisher: str = field(metadata={"merge": "last"})
    #: Who plays it or waits for it.
    players: int = field(metadata={"merge": "sum"})
    #: How many publishers it has had.
    epochs: int = field(metadata={"merge": "sum"})
    messages: int = field(metadata={"merge": "sum"})
    bytes_in: int = field(metadata={"merge": "sum"})
    #: Messages kept from players because an epoch did not begin with a keyframe.
    held: int = field(default=0, metadata={"merge": "sum"})
    #: How often a publisher's clock leapt and was taken up anew.
    leaps: int = field(default=0, metadata={"merge": "sum"})
    #: What its players read.
    ring: RingStatistics = field(metadata={"merge": "sum"})


class Stream:
    """One named stream.

    Attributes:
        name: the joined path, "/live/s".
        ring: what players read.
        players: who plays it now, or waits for it.
        epochs: how many publishers it has had.
        trouble: why it is not on air, for those who wait; whoever pulls it sets this.
    """

    def __init__(self, streams: Streams, name: str) -> None:
        self.name = name
        self.ring = streams.pump.ring(streams.policy, self.headers)
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
        #: What a newcomer needs first, by (type, role, track): the newest payload of each.
        self._pinned: dict[tuple[int, str, int], bytes] = {}
        self._last = 0
        self._on_air = trio.Event()

    @property
    def on_air(self) -> bool:
        """Whether somebody publishes it."""
        return self.publication is not None

    @property
    def last_timestamp(self) -> int:
        """Of the newest message as players see it, ms."""
        return self._last

    async def wait_on_air(self) -> None:
        """Until somebody publishes it."""
        while not self.on_air:
            await self._on_air.wait()

    def headers(self, timestamp: int) -> bytes:
        """What a newcomer needs before the picture at `timestamp`: metadata, then sequence headers, encoded."""
        return b"".join(
            _encode(type_id, METADATA_TIME if type_id == DATA else timestamp, payload)
            for type_id, payload in self.pinned()
        )

    def pinned(self) -> Iterator[tuple[int, bytes]]:
        """Type and payload of what a newcomer needs first: metadata, then all else in the order it came in."""
        for key in sorted(self._pinned, key=lambda key: key[0] != DATA):
            yield key[0], self._pinned[key]

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
        # What the last one said of itself is no longer true.
        self._pinned.clear()
        self.publication = Publication(self, publisher, self._streams, pulled=pulled)
        self.epochs += 1
        self.off_since = None
        self.trouble = ""
        self._on_air.set()
        if not pulled:
            self._streams.ctx.emit(PublisherJoined(peer=publisher, stream=self.name))
        self._streams.ctx.emit(StreamStarted(stream=self.name, origin=publisher))
        self._streams.pump.in_turns([player.resumed for player in self.players])
        publication = self.publication
        self._streams.watchers.tell(self, self.name)
        return publication

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
        )

    def _off_air(self) -> None:
        self.publication = None
        self.ring.close_syncs()  # who joins now is not shown the last GOP of what has ended
        self.off_since = self._streams.clock()
        self._on_air = trio.Event()
        self._streams.watchers.tell(self, self.name)

    def _take(self, type_id: int, timestamp: int, payload: bytes, kind: Kind) -> None:
        self.messages += 1
        self.bytes_in += len(payload)
        self._last = timestamp
        if kind.is_pinned:
            self._pin((type_id, kind.role, kind.track), payload, kind)

    def _pin(self, key: tuple[int, str, int], payload: bytes, kind: Kind) -> None:
        before = self._pinned.get(key)
        if before == payload or len(payload) > MAX_PINNED_BYTES or (before is None and len(self._pinned) >= MAX_PINNED):
            return
        self._pinned[key] = payload
        if before is not None and kind.is_sequence_header:
            self.ring.close_syncs()  # the GOP that is kept was made with the header before

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
        last: when its last message came, on the tier's clock.
    """

    def __init__(self, stream: Stream, publisher: str, streams: Streams, *, pulled: bool = False) -> None:
        self.stream = stream
        self.publisher = publisher
        self.on_end: Callable[[], None] | None = None
        self.last = streams.clock()
        self._streams = streams
        self._pulled = pulled
        self._later = stream.epochs > 0
        self._epoch = Epoch(stream.last_timestamp if self._later else None)

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.stream.publication is self

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
            stream.ring.close_syncs()  # pictures have joined the sound: players begin with those
        if epoch.open and not began and self._later:
            # Players that have stayed need the new headers, and before the keyframe.
            stream.ring.append(stream.headers(shown), shown)
        if place is Place.HELD:
            stream.held += not kind.is_pinned
        else:
            stamp = METADATA_TIME if kind.is_metadata and type_id == DATA else shown
            stream.ring.append(_encode(type_id, stamp, payload), shown, sync=place is Place.SYNC)
        stream._tell(type_id, shown, payload)

    async def room(self) -> None:
        """Until players have been sent enough of what came; at once for publishers of any usual rate."""
        await self.stream.ring.room()

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
        self.watchers: Watchers[Stream] = Watchers(ctx)
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

    def follow(self, watcher: Callable[[Stream], None]) -> Callable[[], None]:
        """Call `watcher` whenever a stream has gone on air, before its first message, or off; returns how to end it.

        It is called synchronously and must not block.  A takeover is the one and then the other.
        """
        return self.watchers.add(watcher)

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
        bytes_out=stream.ring.bytes_sent,
    )


def _encode(type_id: int, timestamp: int, payload: bytes) -> bytes:
    # Once for all players: fmt 0, fixed chunk streams, message stream 1, chunks so large that nearly every
    # message is one.
    return encode_message(MEDIA_CSID[type_id], type_id, 1, timestamp, payload, CHUNK_SIZE)
