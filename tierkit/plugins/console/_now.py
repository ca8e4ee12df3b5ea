"""What is told once a second: the newest seconds of the history, and what the statistics say beside them.

Only what the page shows: statistics of a big graph are long, and a phone's line is not always good.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["STEADY", "HitRatios", "events", "now"]

#: Streams of one tier that are told of, those with most viewers first.
STREAMS = 50
#: Events that are told: as many as one process remembers.
EVENTS = 50
#: Seconds that rates are means of: segments of HLS leave in bursts, 2 to 10 s apart.
STEADY = 10
#: Seconds of requests that a hit ratio is of.
RECENT = 30
_OF_TIER = ("role", "site", "state", "uptime", "addresses", "connections", "accepted", "refused", "failed", "refusals")
_OF_FIGURES = (
    "viewers",
    "chopped",
    "upstream_connections",
    "upstream_errors",
    "lag",
    "skipped_gops",
    "results",
    "drops",
    "memory",
)
_OF_PROCESS = ("started_at", "uptime", "ready", "long_steps", "longest_step", "pid", "alive", "starts", "told_ago")
_OF_STREAM = ("name", "on_air", "source", "viewers")
_OF_UPSTREAM = ("name", "healthy", "failures", "failures_total", "reason")
_OF_TRAFFIC = ("protocol", "scheme", "connections", "bytes_in", "bytes_out")
_RATES = ("bits", "bits_in", "upstream_bits", "cpu")


class HitRatios:
    """Each tier's hit ratio over the last seconds."""

    def __init__(self) -> None:
        self._counts: dict[str, deque[tuple[int, int]]] = {}

    def add(self, statistics: Mapping[str, Any]) -> None:
        """One look."""
        tiers = statistics.get("tiers") or {}
        for name in self._counts.keys() - tiers.keys():
            del self._counts[name]
        for name, told in tiers.items():
            figures = told.get("figures") or {}
            counts = self._counts.setdefault(name, deque(maxlen=RECENT + 1))
            hits, requests = figures.get("hits", 0), figures.get("requests", 0)
            if counts and requests < counts[-1][1]:  # begun again
                counts.clear()
            counts.append((hits, requests))

    def of(self, tier: str) -> float | None:
        """A tier's; None where it had no requests."""
        counts = self._counts.get(tier)
        if not counts or counts[-1][1] == counts[0][1]:
            return None
        return round((counts[-1][0] - counts[0][0]) / (counts[-1][1] - counts[0][1]), 4)


def now(statistics: Mapping[str, Any], newest: Mapping[str, Any], ratios: HitRatios) -> dict[str, Any]:
    """The message.

    Args:
        newest: the last `STEADY` seconds of the history, with the streams of all tiers.
    """
    processes = statistics.get("processes") or {}
    return {
        "at": newest["from"] + newest["points"] - 1,
        "process": _some(statistics.get("process") or {}, _OF_PROCESS) | _means(newest["process"]),
        "processes": {name: _some(each, _OF_PROCESS) for name, each in processes.items()},
        "type": _means(newest["type"]),
        "site": _means(newest["site"]),
        "tiers": {
            name: _tier(told, newest["tiers"].get(name, {}), ratios.of(name))
            for name, told in (statistics.get("tiers") or {}).items()
        },
    }


def events(statistics: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The latest events of all processes, newest last."""
    found: list[Mapping[str, Any]] = list((statistics.get("process") or {}).get("events") or ())
    return found[-EVENTS:]


def _tier(told: Mapping[str, Any], newest: Mapping[str, Any], ratio: float | None) -> dict[str, Any]:
    figures = told.get("figures") or {}
    streams = sorted(told.get("streams") or (), key=lambda each: -each.get("viewers", 0))
    rates = newest.get("streams", {})
    return {
        **_some(told, _OF_TIER),
        **_some(figures, _OF_FIGURES),
        **{each: _mean(newest.get(each)) for each in _RATES},
        "process_memory": _mean(newest.get("memory")),
        "hit_ratio": ratio,
        "traffic": [_some(each, _OF_TRAFFIC) for each in told.get("traffic") or ()],
        "upstreams": [_some(each, _OF_UPSTREAM) for each in told.get("upstreams") or ()],
        "streams": [
            {**_some(each, _OF_STREAM), "bits": _mean(rates.get(each.get("name"), {}).get("bits"))}
            for each in streams[:STREAMS]
        ],
        "more_streams": max(0, len(streams) - STREAMS),
    }


def _some(told: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: told[name] for name in names if name in told}


def _mean(points: Sequence[float | None] | None) -> float | None:
    """Of what is known; a rate in bit/s, a share of a core with four digits."""
    known = [each for each in points or () if each is not None]
    return round(sum(known) / len(known), 4) if known else None


def _means(series: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _mean(points) for name, points in series.items()}
