"""What `tierkit.history` keeps of one figure: a ring for each resolution, the coarser folded out of the finer.

All series of a history share its slots (unix time, whole steps), so a series is nothing but its numbers: 4 bytes
each, not-a-number where nothing is known.  A slot of a coarser ring is folded once, when its time is over: the mean of
what is known for a rate, so that rates still add up, the highest for what is counted at a moment, so that a minute of
trouble is not averaged away.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise

__all__ = ["LEVELS", "SERIES_BYTES", "UNKNOWN", "Series"]

#: Seconds of a slot, and how many there are: 10 minutes by the second, 6 hours by 10 s, 48 hours by the minute.
LEVELS = ((1, 600), (10, 2160), (60, 2880))
#: What one series takes.
SERIES_BYTES = 4 * sum(size for _, size in LEVELS)
UNKNOWN = float("nan")
#: How many slots of the level below one slot takes in.
_FOLDS = (1, *(coarse[0] // fine[0] for fine, coarse in pairwise(LEVELS)))


class Series:
    """One figure over time.

    Args:
        peak: whether slots are put together by their highest and not by their mean.
    """

    __slots__ = ("_peak", "_rings")

    def __init__(self, *, peak: bool = False) -> None:
        self._peak = peak
        self._rings = [array("f", (UNKNOWN,)) * size for _, size in LEVELS]

    def put(self, slot: int, value: float) -> None:
        """Set a second."""
        ring = self._rings[0]
        ring[slot % len(ring)] = value

    def forget(self, level: int, slots: Iterable[int]) -> None:
        """Nothing is known of these slots: what stood in their place is older than the ring is long."""
        ring = self._rings[level]
        size = len(ring)
        for slot in slots:
            ring[slot % size] = UNKNOWN

    def fold(self, level: int, slot: int, newest: int) -> None:
        """Make a slot of a coarser level; `newest` is the newest one of the level below."""
        below, ratio = self._rings[level - 1], _FOLDS[level]
        first = slot * ratio
        held = range(max(first, newest - len(below) + 1), first + ratio)
        ring = self._rings[level]
        ring[slot % len(ring)] = self._together([below[each % len(below)] for each in held])

    def read(self, level: int, first: int, newest: int, group: int) -> list[float | None]:
        """Points of `group` slots each, from the slot `first` to `newest`; None where nothing is known."""
        ring = self._rings[level]
        size = len(ring)
        begin, end = first % size, (newest + 1) % size
        values: Sequence[float] = ring[begin:end] if begin < end else ring[begin:] + ring[:end]
        if newest < first:
            return []
        if group > 1:
            values = [self._together(values[each : each + group]) for each in range(0, len(values), group)]
        return [each if each == each else None for each in values]

    def _together(self, values: Sequence[float]) -> float:
        if len(values) == 1:
            return values[0]
        known = [each for each in values if each == each]
        if not known:
            return UNKNOWN
        return max(known) if self._peak else sum(known) / len(known)
