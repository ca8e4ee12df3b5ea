"""One tier's series, and those of a process: which figures of the statistics they are made of.

Read with care: statistics may come from a process of another version, or from a stranger's service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ._history_meter import Meter
from ._history_rings import UNKNOWN, Series

__all__ = ["PROTOCOLS", "STREAMS", "ProcessSeries", "StreamSeries", "TierSeries", "number"]

#: Kinds of traffic of one tier; whatever else there is counts as `OTHER`.
PROTOCOLS = 8
#: Streams of a whole history: those that come when there are so many wait until one has gone.
STREAMS = 64
OTHER = "other"
#: States of a tier that serves nobody, whatever it has told last.
_AWAY = ("down", "unknown")


def number(value: Any) -> float:
    """A figure, 0 where there is none."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else 0


class StreamSeries:
    """One stream of one tier."""

    def __init__(self) -> None:
        self.bits = Series()
        self.viewers = Series(peak=True)
        self._meter = Meter()

    def series(self) -> Iterator[Series]:
        """All of them."""
        yield self.bits
        yield self.viewers

    def values(self, now: float, told: Mapping[str, Any]) -> Iterator[tuple[Series, float]]:
        """What to put where."""
        out = number(told.get("bytes_out"))
        rates = self._meter.rates(now, {"out": out})
        # Not every service counts the bytes of a stream; one that does has received some before it sends.
        counted = out or number(told.get("bytes_in"))
        yield self.bits, 8 * rates.get("out", UNKNOWN) if counted else UNKNOWN
        yield self.viewers, number(told.get("viewers"))


class ProcessSeries:
    """The processor time and the memory of one process."""

    def __init__(self) -> None:
        self.cpu = Series()
        self.memory = Series(peak=True)
        self._meter = Meter()

    def series(self) -> Iterator[Series]:
        """All of them."""
        yield self.cpu
        yield self.memory

    def values(self, at: float, told: Mapping[str, Any]) -> Iterator[tuple[Series, float]]:
        """What to put where."""
        if "cpu_seconds" in told:
            rates = self._meter.rates(_uptime(told, at), {"cpu": number(told["cpu_seconds"])})
            yield self.cpu, rates.get("cpu", UNKNOWN)
        if "resident_bytes" in told and told.get("alive", True):
            kinds = ("resident_bytes", "memfd_bytes", "socket_bytes")
            yield self.memory, sum(number(told.get(each)) for each in kinds)


class TierSeries:
    """One tier."""

    def __init__(self) -> None:
        self.site = self.role = ""
        self.state = "unknown"
        #: What it sends, by protocol: what all sums are made of, so that they agree.
        self.sent: dict[str, Series] = {}
        self.bits_in = Series()
        self.upstream_bits = Series()
        self.hits = Series()
        self.requests = Series()
        self.viewers = Series(peak=True)
        self.chopped = Series(peak=True)
        self.process = ProcessSeries()
        self.streams: dict[str, StreamSeries] = {}
        self._meter = Meter()

    def series(self) -> Iterator[Series]:
        """All of them."""
        yield from self.sent.values()
        yield from (self.bits_in, self.upstream_bits, self.hits, self.requests, self.viewers, self.chopped)
        yield from self.process.series()
        for each in self.streams.values():
            yield from each.series()

    def values(self, at: float, told: Mapping[str, Any]) -> Iterator[tuple[Series, float]]:
        """What to put where.

        Args:
            at: unix time.
            told: its part of the statistics.
        """
        self.site, self.role = str(told.get("site", self.site)), str(told.get("role", self.role))
        self.state = str(told.get("state", "unknown"))
        figures = told.get("figures") or {}
        sent = self._sent(told)
        rates = self._meter.rates(
            _uptime(told, at),
            {
                **{f"out {name}": count for name, count in sent.items()},
                "in": number(told.get("bytes_in")),
                **{name: number(figures.get(name)) for name in ("upstream_bytes", "hits", "requests")},
            },
        )
        for name, series in self.sent.items():
            yield series, 8 * rates.get(f"out {name}", UNKNOWN)
        yield self.bits_in, 8 * rates.get("in", UNKNOWN)
        yield self.upstream_bits, 8 * rates.get("upstream_bytes", UNKNOWN)
        yield self.hits, rates.get("hits", UNKNOWN)
        yield self.requests, rates.get("requests", UNKNOWN)
        here = self.state not in _AWAY
        yield self.viewers, number(figures.get("viewers")) if here else 0
        yield self.chopped, number(figures.get("chopped")) if here else 0

    def stream_values(
        self, at: float, told: Mapping[str, Any], room: Callable[[], bool]
    ) -> Iterator[tuple[Series, float]]:
        """What to put where of its streams.

        Args:
            room: whether one more stream may be kept; it makes room where it can.
        """
        now = _uptime(told, at)
        for stream in told.get("streams") or ():
            name = str(stream.get("name", ""))
            if name not in self.streams:
                if not room():
                    continue
                self.streams[name] = StreamSeries()
            yield from self.streams[name].values(now, stream)

    def _sent(self, told: Mapping[str, Any]) -> dict[str, float]:
        """Bytes sent by protocol; a protocol that is new gets a series."""
        sent: dict[str, float] = {}
        traffic = told.get("traffic")
        if traffic is None:
            traffic = [{"protocol": OTHER, "bytes_out": told["bytes_out"]}] if "bytes_out" in told else []
        for each in traffic:
            name = str(each.get("protocol", OTHER))
            if name not in self.sent and len(self.sent) >= PROTOCOLS:
                name = OTHER
            if name not in self.sent:
                self.sent[name] = Series()
            sent[name] = sent.get(name, 0) + number(each.get("bytes_out"))
        return sent


def _uptime(told: Mapping[str, Any], at: float) -> float:
    uptime = told.get("uptime")
    return at if uptime is None else number(uptime)
