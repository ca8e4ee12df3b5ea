"""A night as values: what was delivered, to whom and at what cost, and what is reckoned from that.

Every point of a history is an average over `step` seconds.  HLS comes in bursts, one for each segment, so the highest
point of a short step says more of the bursts than of the night: the peak is the highest mean over `peak_over` seconds,
and graphs are drawn of means over five seconds or more (`drawn`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from attrs import field, frozen

from ._report_read import Values

__all__ = ["Night", "Series", "TierNight"]

#: Points of a graph at most, as finer than a pixel of a phone is not seen; seconds of one at least, which is more than
#: a segment mostly is; and how many there are on any account, as a graph of less is none.
_MOST, _SHORTEST, _LEAST = 300, 5.0, 16


@frozen
class Series:
    """A figure over time, one value for each point; None where nothing is known."""

    name: str
    values: Values = field(repr=False)

    @property
    def peak(self) -> float:
        """The highest value; 0 where there is none."""
        return max((each for each in self.values if each is not None), default=0.0)

    @property
    def mean(self) -> float:
        """Of the points that are known; 0 where none is."""
        known = [each for each in self.values if each is not None]
        return sum(known) / len(known) if known else 0.0

    @property
    def last(self) -> float | None:
        """The newest value that is known."""
        return next((each for each in reversed(self.values) if each is not None), None)


@frozen(kw_only=True)
class TierNight:
    """One tier of a night."""

    name: str
    role: str
    site: str
    #: Bits per second, out.
    bits: Series
    viewers: Series
    #: Viewers whose media ran out, as the tier has inferred it.
    chopped: Series
    #: From 0 to 1, of an edge.
    hit_ratio: Series
    #: Share of one core.
    cpu: Series
    #: Bytes: resident, blocks of memfds, and what the kernel holds for its sockets.
    memory: Series

    def cpu_seconds(self, step: float) -> float:
        """All that it took."""
        return sum(each or 0.0 for each in self.cpu.values) * step


@frozen(kw_only=True)
class Night:
    """One night; `tierkit.Report` is one that can be written."""

    title: str
    #: Unix time of the first point.
    began: float
    #: Seconds between points.
    step: float
    points: int
    #: Traffic out, bits per second, by protocol and by site: the two graphs.
    by_type: tuple[Series, ...] = field(repr=False)
    by_site: tuple[Series, ...] = field(repr=False)
    tiers: tuple[TierNight, ...] = field(repr=False)
    #: Clients that the origin had at most, publishers left out; None where nobody has asked it.
    origin_clients: int | None
    #: Viewers whose media fell behind, and how often it did, by the truth of a load tool; None where none was there.
    stalled_viewers: int | None
    stalls: int | None
    #: Of the run, in the order in which they are told: what was assumed, on what machine.
    conditions: tuple[tuple[str, str], ...]
    #: Figures of another night, by the words of `GRNET_2013`; others may be among them.
    beside: tuple[tuple[str, str], ...]
    #: Conditions that were not held, a line each.
    broken: tuple[str, ...]
    #: Seconds that a peak is averaged over, and unix time from which on; None for the best there is.
    peak_over: float
    peak_from: float | None
    #: The history that it was made from.
    history: Mapping[str, Any] = field(repr=False, eq=False)

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.points * self.step

    @property
    def total(self) -> Series:
        """Traffic of all types together, bits per second."""
        return _sum("all", self.by_type, self.points)

    @property
    def audience(self) -> Series:
        """Viewers of all tiers together; what an origin serves itself are tiers, or nobody's business here."""
        return _sum("viewers", [each.viewers for each in self.tiers if each.role != "origin"], self.points)

    @property
    def peak(self) -> tuple[float, int]:
        """Bits per second over the `peak_over` seconds of the peak, and the first point of them."""
        values, width = self.total.values, self.peak_width
        if self.peak_from is None:
            return _best(values, width)
        first = max(0, min(round((self.peak_from - self.began) / self.step), self.points - width))
        return _best(values[first : first + width], width)[0], first

    @property
    def peak_width(self) -> int:
        """Points of a peak."""
        return max(1, min(self.points, round(self.peak_over / self.step)))

    @property
    def drawn_step(self) -> float:
        """Seconds of one point of a graph."""
        return self.step * self._drawn_width

    @property
    def _drawn_width(self) -> int:
        finest = math.ceil(self.points / _MOST)
        calm = math.ceil(_SHORTEST / self.step)
        return max(finest, 1, min(calm, self.points // _LEAST))

    def drawn(self, series: Series) -> Series:
        """A series as graphs show it: means over `drawn_step` seconds; the last may be of less."""
        width = self._drawn_width
        pieces = [series.values[at : at + width] for at in range(0, self.points, width)]
        known = [[each for each in piece if each is not None] for piece in pieces]
        return Series(series.name, tuple(sum(each) / len(each) if each else None for each in known))

    def at_peak(self, series: Series) -> float | None:
        """The mean of a series over the peak; None where nothing is known of it then."""
        _, first = self.peak
        over = Series(series.name, series.values[first : first + self.peak_width])
        return None if over.last is None else over.mean


def _sum(name: str, several: Sequence[Series], points: int) -> Series:
    """Point by point; None where nothing is known of any."""
    values: list[float | None] = []
    for index in range(points):
        known = [value for each in several if (value := each.values[index]) is not None]
        values.append(sum(known) if known else None)
    return Series(name, tuple(values))


def _best(values: Values, width: int) -> tuple[float, int]:
    """The highest mean of `width` points in a row, what is unknown counted as nothing, and where they begin."""
    sums = [0.0, *accumulate(each or 0.0 for each in values)]
    means = [(sums[end] - sums[end - width]) / width for end in range(width, len(sums))]
    at = max(range(len(means)), key=means.__getitem__, default=0)
    return (means[at], at) if means else (0.0, 0)
