"""How many bytes a stream has had by which media time, so that who only counts bytes knows where it is.

Reading players write it: each puts the bytes that it has received beside the newest timestamp among them.  All
players of a stream get the same bytes, save a few of their own, whoever they are and whenever they came; so a
player that joined at a known timestamp and has received so many bytes since stands at a media time that can be
looked up here, keyframes and quiet passages included.

Media time is the stream's own timestamps in ms, unwrapped.  Where these begin anew (a publisher that came back, and
a server that does not hide it) an *epoch* ends: all that was known is forgotten.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right

__all__ = ["WRAP", "Timeline", "step"]

#: Timestamps are ms modulo 2**32; less than half of that is forward (RTMP specification section 5.3.1.1).
WRAP = 1 << 32
#: Milliseconds between two points: 10 a second make 600 KB an hour.
_GRAIN = 100
#: Milliseconds of media that the rate beyond the newest point is taken from.
_RATE_SPAN = 5000


def step(before: int, now: int) -> int:
    """Milliseconds from one timestamp to another, negative where it goes back."""
    found = (now - before) % WRAP
    return found - WRAP if found >= WRAP // 2 else found


class Timeline:
    """One for all players of a run.  Positions are bytes since its first point."""

    def __init__(self) -> None:
        #: Counts how often the stream's timestamps began anew.
        self.epoch = 0
        #: Seconds: the least arrival minus media time that any reading player saw in this epoch.
        self.least = math.inf
        #: Whether the server has said that the stream is over, and nothing has come since.
        self.over = False
        self._media = array("d")
        self._bytes = array("d")

    @property
    def empty(self) -> bool:
        """Whether nobody has written anything in this epoch."""
        return not self._media

    @property
    def known(self) -> bool:
        """Whether there is enough to look anything up."""
        return len(self._media) > 1

    @property
    def end(self) -> float:
        """The newest position.  `known` must hold."""
        return self._bytes[-1]

    def restart(self) -> None:
        """Another epoch."""
        self.epoch += 1
        self.least = math.inf
        del self._media[:]
        del self._bytes[:]

    def unwrap(self, stamp: int) -> int:
        """A timestamp as media time: the one of its meanings that is nearest to what is here."""
        if not self._media:
            return stamp
        newest = int(self._media[-1])
        return newest + step(newest % WRAP, stamp)

    def reached(self, media: float, position: float) -> None:
        """A reading player has all of the stream up to here.  Only who leads has something to say."""
        if not self._media or (media >= self._media[-1] + _GRAIN and position > self._bytes[-1]):
            self.over = False
            self._media.append(media)
            self._bytes.append(position)

    def position(self, media: float) -> float:
        """Bytes at a media time; outside of what is known, by its rate.  `known` must hold."""
        return self._look_up(media, self._media, self._bytes, self._rate())

    def media(self, position: float) -> float:
        """Media time at which so many bytes have come; the inverse of `position`."""
        return self._look_up(position, self._bytes, self._media, 1 / self._rate())

    def _rate(self) -> float:
        """Bytes per ms of the newest media."""
        first = min(bisect_left(self._media, self._media[-1] - _RATE_SPAN), len(self._media) - 2)
        return (self._bytes[-1] - self._bytes[first]) / (self._media[-1] - self._media[first])

    @staticmethod
    def _look_up(x: float, xs: array[float], ys: array[float], slope: float) -> float:
        if x >= xs[-1]:
            return ys[-1] + (x - xs[-1]) * slope
        if x <= xs[0]:
            return ys[0] + (x - xs[0]) * slope
        at = bisect_right(xs, x)
        share = (x - xs[at - 1]) / (xs[at] - xs[at - 1])
        return ys[at - 1] + share * (ys[at] - ys[at - 1])
