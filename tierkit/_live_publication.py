"""Somebody's presence on a stream: a publisher's, or the off-air clip's.

What it sends becomes what players are shown, from the first message on that a decoder can begin with; where something
else is shown until then, its place is taken at that moment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from ._events import PublisherLeft, StreamEnded
from ._fanout import Pump
from ._live_encoding import METADATA_TIME
from ._live_epoch import Epoch, Place
from ._live_pinned import Pinned
from ._live_rings import Rings
from ._plugin import Context
from .codecs.flv import Kind, classify
from .codecs.rtmp_message import AUDIO, DATA, VIDEO

__all__ = ["Player", "Publication"]

#: Seconds over which a bitrate is measured at least: an encoder's first burst is no bitrate.  Publishers are looked at
#: every five.
MEASURE = 4.5
#: Seconds after which metadata that names sound is not believed any more, where none has come.
SOUND_WITHIN = 2.0


class Player(Protocol):
    """Who plays a stream or waits for it, as far as the stream must know."""

    def end(self, code: str, reason: str) -> None:
        """The stream has ended for good: say so with the RTMP status `code`, and close."""

    def resumed(self) -> None:
        """A publisher has begun, or the off-air clip."""

    def begun(self) -> None:
        """What is shown has come to what a player can begin with: a keyframe, or sound where that leads."""


class Stage(Protocol):
    """What a publication asks of its stream."""

    name: str
    rings: Rings
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

    @property
    def players(self) -> Collection[Player]:
        """Who plays it now, or waits for it."""

    def tell(self, type_id: int, timestamp: int, payload: bytes) -> None:
        """Give a message to those who follow the stream in this process."""

    def gone(self, publication: Publication) -> None:
        """A publisher, or the clip, has ended."""


class Offices(Protocol):
    """What it asks of the tier."""

    ctx: Context
    clock: Callable[[], float]
    pump: Pump


class Publication:
    """One publisher's presence on a stream, from `Stream.publish` to `end`; or that of the off-air clip.

    Attributes:
        on_end: called when somebody else ends it (a takeover, a kick).
        since: when it began, on the tier's clock.
        last: when its last message came, on the tier's clock.
        pinned: what a newcomer needs first.
    """

    def __init__(
        self, stream: Stage, publisher: str, streams: Offices, *, pulled: bool = False, slate: bool = False
    ) -> None:
        self.stream = stream
        self.publisher = publisher
        self.on_end: Callable[[], None] | None = None
        self.since = self.last = streams.clock()
        self._measured = (self.last, stream.bytes_in)
        self.pinned = Pinned()
        self._streams = streams
        self._pulled = pulled
        self._slate = slate
        self._codecs: dict[int, str] = {}
        #: The types of message that it has sent.
        self._types: set[int] = set()
        self._later = stream.shown is not None
        self._epoch = Epoch(stream.last_timestamp if self._later else None)

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return (self.stream.slate if self._slate else self.stream.publication) is self

    @property
    def begun(self) -> bool:
        """Whether it has sent what a player can begin with."""
        return self._epoch.open

    def carries(self, type_id: int) -> bool:
        """Whether it has pictures (9) or sound (8), as far as can be told: what came, and for sound that may come
        behind the first picture what the metadata says."""
        if type_id in self._types:
            return True
        young = self._streams.clock() - self.since < SOUND_WITHIN
        return type_id == AUDIO and young and b"audiocodecid" in self.pinned.metadata

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
            stream.rings.close_syncs()  # pictures have joined the sound: players begin with those
        if epoch.open and not began and not self._slate:
            stream.codecs = self._codecs
        if epoch.open and not began and self._later:
            # Players that have stayed need the new headers, and before the keyframe.
            stream.rings.append_headers(shown)
        if place is Place.HELD:
            stream.held += not kind.is_pinned
        else:
            stream.last_shown = self.last
            stamp = METADATA_TIME if kind.is_metadata and type_id == DATA else shown
            stream.rings.append(type_id, stamp, payload, at=shown, sync=place is Place.SYNC)
        if epoch.open and not began:
            self._streams.pump.in_turns([player.begun for player in stream.players])
        stream.tell(type_id, shown, payload)

    def _take(self, type_id: int, payload: bytes, kind: Kind) -> None:
        if not self._slate:
            self.stream.messages += 1
            self.stream.bytes_in += len(payload)
        self._types.add(type_id)
        if not kind.is_pinned:
            if kind.codec:
                self._codecs.setdefault(type_id, kind.codec)
        elif self.pinned.keep(type_id, payload, kind) and self.stream.shown is self:
            self.stream.rings.close_syncs()  # the GOP that is kept was made with the header before

    def bitrate(self, now: float) -> float | None:
        """Bits per second since this was last measured; None while that is less than `MEASURE` seconds ago."""
        then, before = self._measured
        if now - then < MEASURE:
            return None
        self._measured = (now, self.stream.bytes_in)
        return (self.stream.bytes_in - before) * 8 / (now - then)

    async def room(self, *, more: bool = True) -> None:
        """Until players have been sent enough of what came; at once for publishers of any usual rate.

        Args:
            more: whether more may be there already.  Where it is not, this waits, as long as players are only sent a
                batch every so often, until one is about to leave: 0.3 s at most by default.
        """
        await self.stream.rings.room(more=more)

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
