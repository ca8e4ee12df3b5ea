"""When a viewer's picture stands still: media received against the wall clock.

Two rules, of one viewer's media (seconds of it that have come) and any clock.

*Stalled*: the viewer begins to play with the first media that it has, and plays at the speed of the clock.  It has
stalled once the clock is more than TOLERANCE ahead of the media: a real player's picture has frozen then.  A smaller
lag is borne, and adds up: a stream that comes ever later does stall in the end.  When media comes again, it plays on
from there, so that one interruption is one stall, however long it was.

*Starved*: in some WINDOW seconds less than SHARE of the stream was there to be played.  Bytes count when they are
played and not when they come: a segment is there at once and lasts its duration, so that nobody is blamed for the
time between two, and who gets 4 seconds of media every 5 runs dry, whatever is in his window.  So the picture plays as
soon as there are `begins_with` seconds of it, freezes when there is no more, without any tolerance, plays on with what
comes next, and may stand still for a twentieth of any 5 s.  That finds holes that are no stall; a shortage below 5 %
that goes on is found by the stall in which it ends.
"""

from __future__ import annotations

from collections import deque
from typing import Any

__all__ = ["SHARE", "TOLERANCE", "WINDOW", "Playback"]

#: Seconds that media may lag behind the clock; less is what a decoder's own buffers hide.
TOLERANCE = 1.0
#: Of any so many seconds of the stream this share must be there to be played.
WINDOW = 5.0
SHARE = 0.95
#: What sums of floats may be off by.
_NOTHING = 1e-9


class Playback:
    """One viewer's.  `now` is any clock in seconds.

    `begins_with` is the media in seconds that a player gathers before its picture moves; 0 for whatever comes first.
    """

    __slots__ = (
        *("_base", "_begins_with", "_counted", "_freezes", "_show"),
        *("frozen", "halts", "hungry", "media", "stalls"),
    )

    def __init__(self, begins_with: float = 0.0) -> None:
        self.stalls = 0
        #: Of each stall when media had run out, and when it came again; the latter is None while it lasts.
        self.halts: list[tuple[float, float | None]] = []
        #: Begin and end of each time in which it was starved: of freezes that made too much of a window.
        self.hungry: list[tuple[float, float]] = []
        #: Seconds that the picture has stood still, whether that was too long or not.
        self.frozen = 0.0
        #: Seconds of media received since playback began.
        self.media = 0.0
        self._begins_with = begins_with
        self._base: float | None = None  # when the media's first sample would have been shown, had nothing stalled
        self._counted = False
        self._show: float | None = None  # the same, moved on by each freeze
        self._freezes: deque[tuple[float, float]] = deque()  # of the newest window

    @property
    def started(self) -> bool:
        """Whether media has come, and no end since."""
        return self._base is not None

    @property
    def starved(self) -> bool:
        """Whether it ever was."""
        return bool(self.hungry)

    def received(self, now: float, seconds: float) -> None:
        """So many more seconds of media are here; the first of them begin playback."""
        if self._base is None:
            self._base = now
            self.media = 0.0
        else:
            if self._stalled(now):
                self._base = now - self.media
                self._resume(now)
            self._play(now)
        self.media += seconds
        self._begin(now)

    def ahead(self, now: float) -> float:
        """Seconds of media that are here and not yet shown; negative while it lags."""
        return 0.0 if self._base is None else self.media - (now - self._base)

    def buffered(self, now: float) -> float:
        """Seconds until the picture freezes, as a player counts its buffer; 0 while it stands still."""
        return self.media if self._show is None else max(0.0, self.media - (now - self._show))

    def fine(self, now: float) -> bool:
        """Whether nothing is wrong by what is known: the picture moves, and the media does not lag."""
        return self._show is not None and now < self._show + self.media and self.ahead(now) >= -TOLERANCE

    def check(self, now: float) -> None:
        """Nothing has come until now."""
        self._stalled(now)
        self._play(now)

    def noticed(self, now: float, seconds: float) -> None:
        """So many more seconds have come at some time until now, which nobody saw; see whether they were enough."""
        if self._counted and seconds > 0:
            self._base = now - self.media
            self._resume(now)
        self.media += seconds
        self._play(now)
        self._begin(now)
        self._stalled(now)

    def suppose(self, now: float) -> None:
        """Nobody can say what has come until now: suppose that nothing was missing."""
        if self._base is not None:
            self.media = max(self.media, now - self._base)
            self._resume(now)
            self._begin(now)

    def told(self, wall: float) -> dict[str, Any]:
        """`stalls` and `starved` as `Watched` has them; `wall` is Unix time at zero of `now`."""

        def at(now: float | None) -> float | None:
            return None if now is None else round(wall + now, 3)

        return {
            "stalls": tuple((at(begin), at(end)) for begin, end in self.halts),
            "starved": tuple((at(begin), at(end)) for begin, end in self.hungry),
        }

    def end(self, now: float) -> None:
        """The stream is over as far as the server says: waiting from now on is no stall."""
        self.check(now)
        self._base = self._show = None
        self._resume(now)

    def _stalled(self, now: float) -> bool:
        if self._base is None or self.media - (now - self._base) >= -TOLERANCE:
            return False
        if not self._counted:
            self._counted = True
            self.stalls += 1
            self.halts.append((self._base + self.media, None))
        return True

    def _resume(self, now: float) -> None:
        if self._counted:
            self._counted = False
            self.halts[-1] = (self.halts[-1][0], now)

    def _begin(self, now: float) -> None:
        if self._show is None and self._base is not None and self.media >= self._begins_with:
            self._show = now

    def _play(self, now: float) -> None:
        """Show what there is until now; where it was not enough, the picture has stood still."""
        if self._show is None:
            return
        dry = self._show + self.media
        if now > dry:
            self._show += now - dry
            self.frozen += now - dry
            self._froze(dry, now)

    def _froze(self, begin: float, end: float) -> None:
        freezes = self._freezes
        if freezes and begin - freezes[-1][1] < _NOTHING:
            begin = freezes.pop()[0]  # the same, seen to last
        freezes.append((begin, end))
        first = end - WINDOW
        while freezes[0][1] <= first:
            freezes.popleft()
        still = sum(until - max(since, first) for since, until in freezes)
        if still <= (1 - SHARE) * WINDOW + _NOTHING:
            return
        since = freezes[0][0]
        if self.hungry and since <= self.hungry[-1][1]:
            self.hungry[-1] = (self.hungry[-1][0], end)
        else:
            self.hungry.append((since, end))
