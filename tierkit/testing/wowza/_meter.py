"""Bytes over time."""

from __future__ import annotations

from typing import Final

__all__ = ["Meter"]

#: Seconds over which a rate is taken.
RATE_OVER: Final = 10


class Meter:
    """Bytes over time."""

    def __init__(self) -> None:
        self.total = 0
        self._seconds: dict[int, int] = {}

    def add(self, now: float, count: int) -> None:
        """Count some bytes."""
        self.total += count
        second = int(now)
        self._seconds[second] = self._seconds.get(second, 0) + count
        while next(iter(self._seconds)) <= second - RATE_OVER:
            del self._seconds[next(iter(self._seconds))]

    def rate(self, now: float) -> float:
        """Bytes a second over the last ten."""
        oldest = int(now) - RATE_OVER
        return sum(count for second, count in self._seconds.items() if second > oldest) / RATE_OVER
