"""One publisher's presence on a stream: where its clock stands on the stream's, and where players may begin.

Pure: messages are told, answers are values.  Rules:

* The first epoch's timestamps pass unchanged.  Each later one is shifted as a whole, so that its first picture or
  sound stands one frame behind the last that players have seen: for them a stream's time never goes back.
* While something else is shown until it can begin (the off-air clip), it *follows* that: it stands one frame behind
  what was shown last when its first keyframe comes.
* What carries no time of its own (headers, metadata, often stamped 0) is stamped like what is there already.
* A kind of media whose clock leaps back by more than a second was started anew: the epoch is shifted again.
* Players begin with *lead* media: pictures (of the lowest track that has keyframes), else sound.  Nothing of an epoch
  is shown before the first message that a decoder can begin with; pictures wait for a keyframe, also where sound was
  there first.
* Sound leads where the metadata names no picture, or where two seconds of it came without one.
"""

from __future__ import annotations

from enum import Enum

from .codecs.flv import Kind
from .codecs.rtmp_message import AUDIO, VIDEO

__all__ = ["EPOCH_GAP", "Epoch", "Place"]

#: Milliseconds between the last timestamp of one epoch and the first of the next: one picture at 25 a second.
EPOCH_GAP = 40
#: Sound alone has no keyframes: players may begin with any message, and one in so many ms is marked for it.
AUDIO_SYNC = 1000
#: Sound counts as alone once that many ms of it have come without a picture, whatever the metadata says.
AUDIO_ONLY_AFTER = 2000
#: Milliseconds by which one kind of media may step back without having been started anew.  Real encoders do so
#: by a frame or two.
STEP_BACK = 1000

_MASK = 0xFFFFFFFF


def behind(later: int, earlier: int) -> int:
    """How far `later` stands behind `earlier` in ms, negative before it, on a clock that wraps at 2**32."""
    return ((later - earlier + 0x80000000) & _MASK) - 0x80000000


class Place(Enum):
    """What becomes of a message."""

    #: Players cannot begin yet: it is kept from them.
    HELD = 0
    #: It is shown.
    SHOWN = 1
    #: It is shown, and players may begin with it.
    SYNC = 2


class Epoch:
    """One epoch.  `last` is the newest timestamp that players have seen, None for the first epoch."""

    def __init__(self, last: int | None) -> None:
        #: Whether players have been given something to begin with.
        self.open = False
        #: How often the publisher's clock leapt.
        self.leaps = 0
        self._first = last is None
        self._floor = self._last = last or 0
        self._shift: int | None = None
        self._came: dict[int, int] = {}
        self._pictures = False
        self._picture_shown = False
        #: The video track whose keyframes players begin with.
        self._lead: int | None = None
        self._may_have_pictures = True
        self._sound_since: int | None = None
        self._sound_sync: int | None = None

    @property
    def last(self) -> int:
        """The newest timestamp so far, as players see it."""
        return self._last

    def follow(self, last: int) -> None:
        """Something else is shown meanwhile, and has come to `last`: begin behind that.  Only before it is open."""
        self._first, self._shift = False, None
        self._floor = self._last = last
        self._came.clear()

    def stamp(self, type_id: int, timestamp: int, kind: Kind) -> int:
        """The timestamp that players see."""
        if kind.is_pinned or type_id not in (AUDIO, VIDEO):
            return self._last
        came = self._came.get(type_id)
        if self._shift is None:
            self._shift = 0 if self._first else self._last + EPOCH_GAP - timestamp
            self._last = timestamp & _MASK if self._first else self._last
        elif came is not None and behind(timestamp, came) < -STEP_BACK:
            self._shift = self._last + EPOCH_GAP - timestamp
            self._floor = (self._last + EPOCH_GAP) & _MASK
            self._first = False
            self._came.clear()
            self.leaps += 1
        self._came[type_id] = timestamp
        shown = (timestamp + self._shift) & _MASK
        if not self._first and behind(shown, self._floor) < 0:
            shown = self._floor  # sound and pictures do not begin at the same moment
        if behind(shown, self._last) > 0:
            self._last = shown
        return shown

    def place(self, type_id: int, shown: int, kind: Kind, payload: bytes) -> Place:
        """Whether players are shown a message with this timestamp of theirs."""
        if kind.is_pinned or type_id not in (AUDIO, VIDEO):
            if kind.is_metadata and type_id not in (AUDIO, VIDEO):
                self._may_have_pictures = b"videocodecid" in payload
            self._pictures = self._pictures or type_id == VIDEO
            return Place.SHOWN if self.open else Place.HELD
        found = self._picture(kind) if type_id == VIDEO else self._sound(shown)
        self.open = self.open or found is Place.SYNC
        return found if self.open else Place.HELD

    def _picture(self, kind: Kind) -> Place:
        self._pictures = True
        if kind.is_keyframe and (self._lead is None or kind.track < self._lead):
            self._lead = kind.track
        sync = kind.is_keyframe and kind.track == self._lead
        self._picture_shown = self._picture_shown or sync
        if sync:
            return Place.SYNC
        return Place.SHOWN if self._picture_shown else Place.HELD

    def _sound(self, shown: int) -> Place:
        if self._sound_since is None:
            self._sound_since = shown
        if self._pictures:
            return Place.SHOWN
        if self._may_have_pictures and behind(shown, self._sound_since) < AUDIO_ONLY_AFTER:
            return Place.SHOWN
        if self._sound_sync is None or behind(shown, self._sound_sync) >= AUDIO_SYNC:
            self._sound_sync = shown
            return Place.SYNC
        return Place.SHOWN

    @property
    def alone(self) -> bool:
        """Whether sound leads: players began with it, and no picture has been seen."""
        return self.open and not self._pictures
