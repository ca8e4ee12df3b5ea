"""From two looks at a tier's statistics to what it did in between: CPU, bits, requests, memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from attrs import fields, frozen

__all__ = ["Rates", "Sample", "rates"]

#: Seconds of one window: a segment of the embedded origin's, so that each has as many as the next.
WINDOW = 2.0
#: A child tells once a second, and a little late.
_SLACK = 0.3


@frozen(kw_only=True)
class Sample:
    """One look at a tier that is a process by itself."""

    #: Seconds since it began: the clock of all its counters.
    uptime: float
    cpu: float
    bytes_out: int
    bytes_in: int
    requests: int
    viewers: int
    upstream_connections: int
    resident: int
    memfds: int
    sockets: int
    #: Of the pump: passes, sends, and CPU-seconds of all sends.
    passes: int
    sends: int
    pump: float

    @classmethod
    def of(cls, statistics: Mapping[str, Any], tier: str) -> Sample | None:
        """None while it has told nothing.  Raises KeyError or TypeError for statistics of another shape."""
        process, told = statistics["processes"][tier], statistics["tiers"][tier]
        if "cpu_seconds" not in process:
            return None
        figures = told["figures"]
        pumps = [each["pump"] for each in told["services"].values() if "pump" in each]
        return cls(
            uptime=process["uptime"],
            cpu=process["cpu_seconds"],
            bytes_out=told["bytes_out"],
            bytes_in=told["bytes_in"],
            requests=figures["requests"],
            viewers=figures["viewers"],
            upstream_connections=figures["upstream_connections"],
            resident=process["resident_bytes"],
            memfds=process["memfd_bytes"],
            sockets=process["socket_bytes"],
            passes=pumps[0]["passes"] if pumps else 0,
            sends=pumps[0]["sends"] if pumps else 0,
            pump=pumps[0]["cost"] if pumps else 0.0,
        )


@frozen(kw_only=True)
class Rates:
    """A tier at work: medians over windows, by the second."""

    viewers: float = 0.0
    #: Shares of a core: of the whole process, and of the pump in it.
    cpu: float = 0.0
    pump: float = 0.0
    #: Bit/s.
    bits_out: float = 0.0
    bits_in: float = 0.0
    requests: float = 0.0
    passes: float = 0.0
    sends: float = 0.0
    upstream_connections: float = 0.0
    #: Bytes.
    resident: float = 0.0
    memfds: float = 0.0
    sockets: float = 0.0


def rates(samples: Sequence[Sample], window: float = WINDOW) -> Rates:
    """What a tier did: each figure is the median of all windows, so that one which others have spoilt does no harm.

    Raises ValueError where the samples are not even one window.
    """
    samples = sorted({each.uptime: each for each in samples}.values(), key=lambda each: each.uptime)
    pairs = []
    for number, first in enumerate(samples):
        last = next((each for each in samples[number:] if each.uptime - first.uptime >= window - _SLACK), None)
        if last is not None:
            pairs.append((first, last))
    if not pairs:
        raise ValueError(f"{len(samples)} samples are less than {window:g} s")

    def rate(value: Callable[[Sample], float]) -> float:
        return median((value(last) - value(first)) / (last.uptime - first.uptime) for first, last in pairs)

    def level(value: Callable[[Sample], float]) -> float:
        return float(median(map(value, samples)))

    found = Rates(
        viewers=level(lambda each: each.viewers),
        cpu=rate(lambda each: each.cpu),
        pump=rate(lambda each: each.pump),
        bits_out=8 * rate(lambda each: each.bytes_out),
        bits_in=8 * rate(lambda each: each.bytes_in),
        requests=rate(lambda each: each.requests),
        passes=rate(lambda each: each.passes),
        sends=rate(lambda each: each.sends),
        upstream_connections=level(lambda each: each.upstream_connections),
        resident=level(lambda each: each.resident),
        memfds=level(lambda each: each.memfds),
        sockets=level(lambda each: each.sockets),
    )
    assert all(getattr(found, each.name) >= 0 for each in fields(Rates)), "counters only grow"
    return found
