"""Somebody's presence on a stream: a publisher's, or the off-air clip's.

What it sends becomes what players are shown, from the first message on that a decoder can begin with; where something
else is shown until then, its place is taken at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from ._events import PublisherLeft, StreamEnded
from ._fanout import Ring
from ._live_epoch import Epoch, Place
from ._plugin import Context
from .codecs.flv import Kind, classify
from .codecs.rtmp_chunk import CHUNK_SIZE, encode_message
from .codecs.rtmp_message import AUDIO, DATA, MEDIA_CSID, VIDEO

__all__ = ["METADATA_TIME", "Publication", "encode_media"]

#: What is kept for late joiners: a header and metadata for each of so many tracks.  Real streams have up to 8.
MAX_PINNED = 64
#: Largest header or metadata kept.  Real ones have under 1 KB; `onMetaData` with a keyframe index some 10.
MAX_PINNED_BYTES = 65536
#: Seconds over which a bitrate is measured at least: an encoder's first burst is no bitrate.  Publishers are looked at
#: every five.
MEASURE = 4.5
#: Metadata is about the whole stream, and is stamped so: ffmpeg takes what is stamped later for subtitles.
METADATA_TIME = 0


class Stage(Protocol):
    """What a publication asks of its stream."""

    name: str
    ring: Ring
    publication: Publication | None
    slate: Publication | None
    #: Whose media is shown, or was last.
    shown: Publication | None
    codecs: Mapping[int, str]
    #: Of the newest message that was shown, ms.
    last_timestamp: int
    last_shown: float
    messages: int
    bytes_in: int
    held: int
    leaps: int

    def headers(self, timestamp: int) -> bytes:
        """What a newcomer needs before the picture at `timestamp`, encoded."""

    def tell(self, type_id: int, timestamp: int, payload: bytes) -> None:
        """Give a message to those who follow the stream in this process."""

    def gone(self, publication: Publication) -> None:
        """A publisher, or the clip, has ended."""


class Offices(Protocol):
    """What it asks of the tier."""

    ctx: Context
    clock: Callable[[], float]


class Publication:
    """One publisher's presence on a stream, from `Stream.publish` to `end`; or that of the off-air clip.

    Attributes:
        on_end: called when somebody else ends it (a takeover, a kick).
        last: when its last message came, on the tier's clock.
        pinned: what a newcomer needs first, by (type, role, track): the newest payload of each.
    """

    def __init__(
        self, stream: Stage, publisher: str, streams: Offices, *, pulled: bool = False, slate: bool = False
    ) -> None:
        self.stream = stream
        self.publisher = publisher
        self.on_end: Callable[[], None] | None = None
        self.last = streams.clock()
        self._measured = (self.last, stream.bytes_in)
        self.pinned: dict[tuple[int, str, int], bytes] = {}
        self._streams = streams
        self._pulled = pulled
        self._slate = slate
        self._codecs: dict[int, str] = {}
        self._later = stream.shown is not None
        self._epoch = Epoch(stream.last_timestamp if self._later else None)

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return (self.stream.slate if self._slate else self.stream.publication) is self

    def begin_again(self) -> None:
        """Something else is shown from now on: this one waits for a keyframe of its own, as if it had just come."""
        self._epoch, self._later = Epoch(self.stream.last_timestamp), True

    def send(self, type_id: int, timestamp: int, payload: bytes) -> None:
        """One message from the publisher, its timestamp as it was sent.  Follow a burst of them by `room`."""
        if not self.live or type_id not in (AUDIO, VIDEO, DATA):
            return
        self.last = self._streams.clock()
        epoch, stream = self._epoch, self.stream
        kind = classify(type_id, payload)
        behind_slate = stream.shown is not self
        if behind_slate:
            epoch.follow(stream.last_timestamp)
        leaps = epoch.leaps
        shown = epoch.stamp(type_id, timestamp, kind)
        began, alone = epoch.open, epoch.alone
        place = epoch.place(type_id, shown, kind, payload)
        stream.leaps += epoch.leaps - leaps
        self._take(type_id, payload, kind)
        if behind_slate:
            if not epoch.open:
                stream.held += not kind.is_pinned
                return
            assert stream.slate is not None, "nothing else is shown while there is a publisher"
            stream.gone(stream.slate)
        stream.last_timestamp = epoch.last
        if alone and not epoch.alone:
            stream.ring.close_syncs()  # pictures have joined the sound: players begin with those
        if epoch.open and not began and not self._slate:
            stream.codecs = self._codecs
        if epoch.open and not began and self._later:
            # Players that have stayed need the new headers, and before the keyframe.
            stream.ring.append(stream.headers(shown), shown)
        if place is Place.HELD:
            stream.held += not kind.is_pinned
        else:
            stream.last_shown = self.last
            stamp = METADATA_TIME if kind.is_metadata and type_id == DATA else shown
            stream.ring.append(encode_media(type_id, stamp, payload), shown, sync=place is Place.SYNC)
        stream.tell(type_id, shown, payload)

    def _take(self, type_id: int, payload: bytes, kind: Kind) -> None:
        if not self._slate:
            self.stream.messages += 1
            self.stream.bytes_in += len(payload)
        if kind.is_pinned:
            self._pin((type_id, kind.role, kind.track), payload, kind)
        elif kind.codec:
            self._codecs.setdefault(type_id, kind.codec)

    def _pin(self, key: tuple[int, str, int], payload: bytes, kind: Kind) -> None:
        pinned, before = self.pinned, self.pinned.get(key)
        if before == payload or len(payload) > MAX_PINNED_BYTES or (before is None and len(pinned) >= MAX_PINNED):
            return
        pinned[key] = payload
        if before is not None and kind.is_sequence_header and self.stream.shown is self:
            self.stream.ring.close_syncs()  # the GOP that is kept was made with the header before

    def bitrate(self, now: float) -> float | None:
        """Bits per second since this was last measured; None while that is less than `MEASURE` seconds ago."""
        then, before = self._measured
        if now - then < MEASURE:
            return None
        self._measured = (now, self.stream.bytes_in)
        return (self.stream.bytes_in - before) * 8 / (now - then)

    async def room(self) -> None:
        """Until players have been sent enough of what came; at once for publishers of any usual rate."""
        await self.stream.ring.room()

    def end(self, reason: str) -> None:
        """The publisher has gone; players stay for a while.  Idempotent."""
        if not self.live:
            return
        self.stream.gone(self)
        if self._slate:
            return
        if not self._pulled:
            self._streams.ctx.emit(PublisherLeft(peer=self.publisher, stream=self.stream.name, reason=reason))
        self._streams.ctx.emit(StreamEnded(stream=self.stream.name, reason=reason))


def encode_media(type_id: int, timestamp: int, payload: bytes) -> bytes:
    """One message as every player gets it."""
    # Once for all players: fmt 0, fixed chunk streams, message stream 1, chunks so large that nearly every
    # message is one.
    return encode_message(MEDIA_CSID[type_id], type_id, 1, timestamp, payload, CHUNK_SIZE)
