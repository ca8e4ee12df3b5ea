"""The history kit: what the statistics of a graph were over the last two days, in a bounded place.

`History().add(at, handle.statistics())`, once a second, and `as_dict(seconds)` gives rates and counts over time: by
type of traffic, by site, by tier.  10 minutes by the second, 6 hours by 10 seconds, 48 hours by the minute; the
coarser are means of the finer, and the highest of what is counted at a moment (viewers, chopped viewers, memory).

Bounds: a series takes 22,560 bytes.  A tier has eight and one for each of its protocols (9 at most), so a tier with
two takes 226 kB, one process's own two 45 kB, and a stream, of which 64 are kept, 45 kB: 1.2 MB for five tiers, and
never more than 28 MB, for 64 tiers.

It is fed with plain values, and so does not mind where they come from: this process, several of them by
``--processes tier``, or `/statistics` of a process elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from math import ceil
from typing import Any

from attrs import frozen

from ._history_rings import LEVELS, SERIES_BYTES, Series
from ._history_tier import STREAMS, ProcessSeries, TierSeries

__all__ = ["LEVELS", "SERIES_BYTES", "TIERS", "History"]

#: Tiers of one history; a graph with more is shown without the rest.
TIERS = 64
#: Seconds between two looks that are taken for one: the rate between them holds for all of them.
GAP = 5
#: Seconds that the clock may be set back; further, and the history begins anew.
BACK = 60

Points = list[Any]


class History:
    """The history of one graph."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._first = self._last = 0
        self._tiers: dict[str, TierSeries] = {}
        self._process = ProcessSeries()
        #: When each stream was seen last, by tier and name: the one to go is the one longest gone.
        self._seen: dict[tuple[str, str], int] = {}
        #: The second in which no stream had gone, so that it is looked for once.
        self._full = -1

    def add(self, at: float, statistics: Mapping[str, Any]) -> None:
        """One look.

        Args:
            at: unix time, seconds.
            statistics: what `handle.statistics()` gave then.
        """
        slot = int(at)
        if self._last and slot < self._last - BACK:
            self._clear()
        if not self._last:
            self._first, self._last = slot, slot - 1
        slot = max(slot, self._last)
        self._begin(slot)
        self._put(slot, at, statistics)
        self._fold(slot)
        self._last = slot

    def as_dict(self, seconds: float, *, points: int = 0, tiers: Collection[str] | None = None) -> dict[str, Any]:
        """The last seconds as plain values: of the finest resolution that has them all.

        `from` is the unix time of the first point, `step` the seconds between two; rates are in bit/s, whole, so that
        the sums by `type`, by `site` and by tier agree; `hit_ratio` is of the requests of that step, `cpu` a share of
        a core, `memory` bytes, both only where a tier has a process for itself.  None is for what is not known.

        Args:
            seconds: how far back, as far as there is something.
            points: at most about so many; steps are put together for that.  0 for all there are.
            tiers: give these tiers alone, with their streams, instead of all without them.
        """
        found = dict(self.pieces(seconds, points=points, tiers=tiers))
        return {**found.pop(None, {}), "tiers": found}

    def pieces(
        self, seconds: float, *, points: int = 0, tiers: Collection[str] | None = None
    ) -> Iterator[tuple[str | None, dict[str, Any]]]:
        """The same, a tier at a time by its name, and then, by None, all but the tiers.

        For whoever has an event loop to keep going: two days of a tier take a few milliseconds.
        """
        window = self._window(seconds, points)
        count = len(window.points)
        by_type: dict[str, Points] = {}
        by_site: dict[str, Points] = {}
        for name, tier in list(self._tiers.items()):
            bits: Points = [None] * count
            for protocol, series in tier.sent.items():
                values = window.whole(series)
                bits = _sum(bits, values)
                by_type[protocol] = _sum(by_type.get(protocol, []), values)
            by_site[tier.site] = _sum(by_site.get(tier.site, []), bits)
            if tiers is None or name in tiers:
                yield name, {**_tier(tier, bits, window), **({} if tiers is None else _streams(tier, window))}
        yield (
            None,
            {
                "from": window.first * LEVELS[window.level][0],
                "step": LEVELS[window.level][0] * window.group,
                "points": count,
                "type": by_type,
                "site": by_site,
                "process": _process(self._process, window),
            },
        )

    # --- in ----------------------------------------------------------------------------------------

    def _series(self) -> Iterable[Series]:
        for tier in self._tiers.values():
            yield from tier.series()
        yield from self._process.series()

    def _begin(self, slot: int) -> None:
        """Forget what stands where the seconds since the last look are to go."""
        since = range(max(self._last + 1, slot - LEVELS[0][1] + 1), slot + 1)
        for series in self._series():
            series.forget(0, since)

    def _put(self, slot: int, at: float, statistics: Mapping[str, Any]) -> None:
        since = range(self._last + 1, slot + 1) if 0 < slot - self._last <= GAP else (slot,)
        for series, value in self._values(slot, at, statistics):
            for each in since:
                series.put(each, value)

    def _values(self, slot: int, at: float, statistics: Mapping[str, Any]) -> Iterable[tuple[Series, float]]:
        told = statistics.get("tiers") or {}
        processes = statistics.get("processes") or {}
        process = statistics.get("process") or {}
        yield from self._process.values(at, process)
        for name, tier in self._tiers.items():
            if name not in told:
                tier.state = "unknown"
        for name, figures in told.items():
            if name not in self._tiers:
                if len(self._tiers) >= TIERS:
                    continue
                self._tiers[name] = TierSeries()
            tier = self._tiers[name]
            yield from tier.values(at, figures)
            own = processes.get(name) or (process if len(told) == 1 else {})
            yield from tier.process.values(at, own)
            yield from tier.stream_values(at, figures, self._room)
            for stream in figures.get("streams") or ():
                if (known := str(stream.get("name", ""))) in tier.streams:
                    self._seen[name, known] = slot

    def _room(self) -> bool:
        """Whether one more stream may be kept; the one that has been gone for longest makes room."""
        if self._full == self._last:
            return False
        if sum(len(tier.streams) for tier in self._tiers.values()) < STREAMS:
            return True
        (tier, name), seen = min(self._seen.items(), key=lambda each: each[1], default=(("", ""), self._last))
        if seen >= self._last:
            self._full = self._last
            return False
        del self._seen[tier, name], self._tiers[tier].streams[name]
        return True

    def _fold(self, slot: int) -> None:
        """Make the coarser slots whose time is over."""
        for level in range(1, len(LEVELS)):
            step, size = LEVELS[level]
            below = LEVELS[level - 1][0]
            newest = slot // below - (level > 1)
            over, last = slot // step, self._last // step
            # Between the slot of the last look and the newest there is nothing: a machine may have slept for hours.
            silent = range(max(last + 1, over - size), (slot - GAP) // step)
            heard = [last, *range(max(last + 1, silent.stop), over)] if over > last else []
            for series in self._series():
                series.forget(level, silent)
                for each in heard:
                    series.fold(level, each, newest)

    # --- out ---------------------------------------------------------------------------------------

    def _window(self, seconds: float, points: int) -> _Window:
        if not self._last:
            return _Window(0, 0, -1, 1)
        wanted = min(max(seconds, 1), self._last - self._first + 1)
        fits = (each for each, (step, size) in enumerate(LEVELS) if step * size >= wanted)
        level = next(fits, len(LEVELS) - 1)
        step, size = LEVELS[level]
        newest = self._last if level == 0 else self._last // step - 1
        slots = min(ceil(wanted / step), size)
        group = max(1, ceil(slots / points)) if points > 0 else 1
        # Points that always begin at the same slots: a picture that moves on does not flicker.
        first = max(newest - slots + 1, self._first // step)
        return _Window(level, -(-first // group) * group, newest, group)


@frozen
class _Window:
    """Which slots of which level, and how many of them make a point."""

    level: int
    first: int
    newest: int
    group: int

    @property
    def points(self) -> range:
        """The first slot of each point."""
        return range(self.first, self.newest + 1, self.group)

    def read(self, series: Series, digits: int) -> Points:
        """A series, rounded to so many digits."""
        values = series.read(self.level, self.first, self.newest, self.group)
        return [None if each is None else round(each, digits) for each in values]

    def whole(self, series: Series) -> Points:
        """A series in whole numbers."""
        values = series.read(self.level, self.first, self.newest, self.group)
        return [None if each is None else round(each) for each in values]


def _tier(tier: TierSeries, bits: Points, window: _Window) -> dict[str, Any]:
    asked = zip(window.read(tier.hits, 3), window.read(tier.requests, 3), strict=True)
    return {
        "site": tier.site,
        "role": tier.role,
        "state": tier.state,
        "bits": bits,
        "bits_in": window.whole(tier.bits_in),
        "upstream_bits": window.whole(tier.upstream_bits),
        "viewers": window.whole(tier.viewers),
        "chopped": window.whole(tier.chopped),
        "hit_ratio": [_ratio(hits, requests) for hits, requests in asked],
        **_process(tier.process, window),
    }


def _process(process: ProcessSeries, window: _Window) -> dict[str, Any]:
    return {"cpu": window.read(process.cpu, 4), "memory": window.whole(process.memory)}


def _streams(tier: TierSeries, window: _Window) -> dict[str, Any]:
    found = {
        name: {"bits": window.whole(each.bits), "viewers": window.whole(each.viewers)}
        for name, each in tier.streams.items()
    }
    return {"streams": found}


def _sum(one: Points, other: Points) -> Points:
    """Point by point; what is not known adds nothing to what is."""
    if not one:
        return list(other)
    return [b if a is None else a if b is None else a + b for a, b in zip(one, other, strict=True)]


def _ratio(hits: float | None, requests: float | None) -> float | None:
    return round(min((hits or 0) / requests, 1.0), 4) if requests else None
