"""Counters as rates: what restarts, and who tells the same twice.

A tier in another process tells once a second and is looked at once a second, by clocks that are not the same: now and
then a look finds nothing new, and the next one two seconds' worth.  So time is taken from whoever tells, by his uptime,
and a look that finds nothing new goes by the last rate.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Meter"]

#: Looks in a row without news that go by the last rate; after them nothing is known.
HELD = 5
#: Seconds: a counter that has just begun is not divided by less.
SHORTEST = 1.0


class Meter:
    """The counters of one teller."""

    def __init__(self) -> None:
        self._then: float | None = None
        self._counts: Mapping[str, float] = {}
        self._rates: dict[str, float] = {}
        self._held = 0

    def rates(self, now: float, counts: Mapping[str, float]) -> Mapping[str, float]:
        """Each counter's growth in a second; empty where there is nothing to compare with.

        Args:
            now: seconds on a clock of the teller's, from when these counts are; it begins again where he does.
        """
        then, self._then = self._then, now
        if then is None:
            self._counts = dict(counts)
            return {}
        if now == then:
            self._held += 1
            return self._rates if self._held <= HELD else {}
        self._held = 0
        before: Mapping[str, float] = self._counts
        seconds = now - then
        if seconds < 0:  # begun again: all there is has come since
            before, seconds = {}, max(now, SHORTEST)
        self._counts = dict(counts)
        self._rates = {name: _growth(before.get(name, 0), count) / seconds for name, count in counts.items()}
        return self._rates


def _growth(before: float, now: float) -> float:
    # One that goes back was set to nothing in between, as Prometheus reads it too.
    return now - before if now >= before else now
