"""Time: from RTMP's 32 bits of milliseconds to one line of 90 kHz ticks that never goes back.

* Differences are read modulo 2**32, so the wrap after 49.7 days is no event at all.
* One track leads: video where there is any.  If its time jumps (backwards by more than BACK, or ahead of
  everything seen by more than AHEAD), the line is laid anew: `place` says JUMP, and the packager begins again
  with `begin`, from which the output goes on where it ended.
* The other track follows.  What is too far from everything seen is STRAY: the leader jumps next, or never will.
* Smaller steps backwards are flattened: libav wants decoding times that rise strictly.
"""

from __future__ import annotations

from typing import Final

__all__ = ["AHEAD", "BACK", "JUMP", "STRAY", "Timeline"]

#: Milliseconds.  A second covers the disorder of encoders that stamp on arrival.
BACK: Final = 1000
#: A hole longer than this is no pause but another clock; slide shows send a picture every few seconds.
AHEAD: Final = 15000
JUMP: Final = -1
STRAY: Final = -2

_TICKS: Final = 90
#: What a frame is thought to last where nothing tells: 25 pictures a second.
_FRAME: Final = 40 * _TICKS
#: The last picture of a slide show is not given more than this.
_LONGEST: Final = 1000 * _TICKS


def _signed(difference: int) -> int:
    return (difference + 0x80000000 & 0xFFFFFFFF) - 0x80000000


class Timeline:
    """The clock of one stream, over all its publishers."""

    def __init__(self) -> None:
        self._running = False
        self._latest = 0  # ms, unwrapped: the newest of all tracks
        self._base_in = 0  # ms, unwrapped
        self._base_out = 0  # ticks
        self._last_in: dict[int, int] = {}
        self._last_out: dict[int, int] = {}
        self._step: dict[int, int] = {}

    @property
    def end(self) -> int:
        """Where the next frame of whichever track is ahead would begin, in ticks."""
        return max((at + self._step.get(slot, _FRAME) for slot, at in self._last_out.items()), default=0)

    def stop(self) -> None:
        """What comes next has nothing to do with what was before: a new publisher, a jump."""
        self._running = False

    def begin(self, timestamp: int) -> bool:
        """Make sure that a segment can begin at this timestamp; True where the line had to be laid anew."""
        if self._running:
            at = self._latest + _signed(timestamp - self._latest)
            if -BACK <= at - self._latest <= AHEAD:
                return False
        self._base_out = self.end
        self._base_in = self._latest = timestamp
        self._last_in.clear()
        self._step.clear()
        self._running = True
        return True

    def place(self, slot: int, timestamp: int, *, leads: bool) -> int:
        """Where this frame is decoded, in ticks; or JUMP (for the leading track) or STRAY."""
        latest = self._latest
        at = latest + _signed(timestamp - latest)
        last = self._last_in.get(slot, latest)
        if not (at >= last - BACK and at <= latest + AHEAD):
            return JUMP if leads else STRAY
        if at < self._base_in and slot not in self._last_in and not leads:
            # From before the first picture: there is nothing to see with it.
            return STRAY
        out = self._base_out + max(at - self._base_in, 0) * _TICKS
        before = self._last_out.get(slot, -1)
        if out <= before:
            out = before + 1
        elif slot in self._last_in:
            self._step[slot] = min(out - before, _LONGEST)
        # The furthest, not the last: many small steps back are one large one.
        self._last_in[slot] = max(at, last)
        self._last_out[slot] = out
        if at > latest:
            self._latest = at
        return out
