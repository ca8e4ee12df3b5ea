"""How a stream is packaged, what came of it, and telling of faults without flooding anybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import field, frozen

__all__ = ["Faults", "PackagerStatistics", "Packaging"]

#: Seconds between two lines.
_TOLD: Final = 1.0
#: A stream that breaks twice within this many seconds is held off for as long.
_HOLD_OFF: Final = 1.0
#: Segments a second, and at once, whatever the timestamps say: half a millisecond each is one per cent of a
#: core.  A publisher that sends a file as fast as it can makes some thirty of a minute.
_CUTS: Final = 20.0
_CUTS_AT_ONCE: Final = 60.0
#: Different things that a stream may be told once each.
_ONCE: Final = 16


@frozen(kw_only=True)
class Packaging:
    """How a stream is packaged."""

    #: Seconds after which a segment is cut at the next keyframe.
    target: float = 2.0
    #: Segments in the playlist.
    window: int = 6
    #: Segments kept behind it for clients that are late.
    keep: int = 12
    #: Bytes of all segments beyond which late clients get less than `keep`; the playlist's own always stay.
    keep_bytes: int = 128 << 20
    #: Seconds without a keyframe after which a segment is cut all the same, and without video after which
    #: sound goes on alone.
    patience: float = 10.0
    #: Bytes after which a segment is cut all the same; one frame (8 MiB at most) may come on top.
    max_bytes: int = 32 << 20


@frozen(kw_only=True)
class PackagerStatistics:
    """What one packager has done so far."""

    #: Segments finished.
    segments: int = field(default=0, metadata={"merge": "sum"})
    #: Bytes of the segments that are kept now.
    bytes_kept: int = field(default=0, metadata={"merge": "sum"})
    #: Errors of libav and malformed media; each has ended a segment or cost a frame.
    faults: int = field(default=0, metadata={"merge": "sum"})
    #: Times that the media did not go on from what was before.
    breaks: int = field(default=0, metadata={"merge": "sum"})
    #: Segments cut where no keyframe stood, because none came in time.
    forced_cuts: int = field(default=0, metadata={"merge": "sum"})
    #: Frames left out: before the first keyframe, on another clock, of a track that cannot be packaged.
    frames_dropped: int = field(default=0, metadata={"merge": "sum"})


class Faults:
    """Counts faults and breaks, tells of them at most once a second, and holds off what breaks too often."""

    def __init__(self, clock: Callable[[], float], listener: Callable[[str], None] | None) -> None:
        self.faults = 0
        self.breaks = 0
        self._clock = clock
        self._listener = listener
        self._last_told = self._last_break = self._held_until = float("-inf")
        self._untold = 0
        self._once: set[str] = set()
        self._cuts, self._counted = _CUTS_AT_ONCE, clock()

    @property
    def held_off(self) -> bool:
        """Whether the stream has to wait before its next segment."""
        return self._clock() < self._held_until

    def fault(self, reason: str) -> None:
        """Count a fault and tell of it."""
        self.faults += 1
        self.tell(reason)

    def broke(self) -> None:
        """Count a break."""
        self.breaks += 1
        now = self._clock()
        if now - self._last_break < _HOLD_OFF:
            self._held_until = now + _HOLD_OFF
        self._last_break = now

    def spend_a_cut(self) -> bool:
        """Whether one more segment may be made now: timestamps may run faster than time, but not for nothing."""
        now = self._clock()
        self._cuts = min(_CUTS_AT_ONCE, self._cuts + (now - self._counted) * _CUTS)
        self._counted = now
        if self._cuts < 1:
            return False
        self._cuts -= 1
        return True

    def forget(self) -> None:
        """A new publisher may be told again what the last one was told once."""
        self._once.clear()

    def tell_once(self, reason: str) -> None:
        """Tell something that is true of every frame."""
        if reason not in self._once and len(self._once) < _ONCE:
            self._once.add(reason)
            self.tell(reason)

    def tell(self, reason: str) -> None:
        """Tell it now, or count it if something has been told within this second."""
        now = self._clock()
        if now - self._last_told < _TOLD:
            self._untold += 1
            return
        more = f" (and {self._untold} more)" if self._untold else ""
        self._last_told, self._untold = now, 0
        if self._listener is not None:
            self._listener(f"HLS: {reason}{more}")
