"""A night from Prometheus: range queries of the metrics that `/metrics` has, made into a history.

One query for each figure; what is by type and by site is added up here, so that the two graphs agree.  The history has
the shape of the console's own, so one report serves both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from attrs import define, field

from tierkit import Address, Report, Trust, report
from tierkit.errors import TierkitError
from tierkit.plugin import Network

from ._ask import Asker

__all__ = ["QUERIES", "from_prometheus"]

#: What is asked; SEL is a selector, WIN the window of rates.
QUERIES: Final = {
    "role": "max by (tier, site, role, instance) (tierkit_tier_info{SEL})",
    "bits": "8 * sum by (tier, site, protocol) (rate(tierkit_sent_bytes_total{SEL}[WIN]))",
    "bits_in": "8 * sum by (tier) (rate(tierkit_received_bytes_total{SEL}[WIN]))",
    "upstream_bits": "8 * sum by (tier) (rate(tierkit_upstream_received_bytes_total{SEL}[WIN]))",
    "viewers": "sum by (tier) (tierkit_viewers{SEL})",
    "chopped": "sum by (tier) (tierkit_viewers_chopped{SEL})",
    "hit_ratio": "sum by (tier) (rate(tierkit_request_hits_total{SEL}[WIN]))"
    " / (sum by (tier) (rate(tierkit_requests_total{SEL}[WIN])) > 0)",
    "cpu": "sum by (process, instance) (rate(tierkit_process_cpu_seconds_total{SEL}[WIN]))",
    "memory": "sum by (process, instance) (tierkit_process_resident_memory_bytes{SEL}"
    " + tierkit_process_memfd_bytes{SEL} + tierkit_process_socket_memory_bytes{SEL})",
}
#: Prometheus' own bound on the points of a query.
_POINTS: Final = 11_000
#: Seconds of the shortest window of rates: four scrapes of the default 15 s.
_WINDOW: Final = 60.0

Labels = Mapping[str, str]
Values = list[float | None]


async def from_prometheus(
    url: str | Address,
    start: float,
    end: float,
    step: float = 15.0,
    *,
    selector: str = "",
    window: float = 0.0,
    trust: Trust | None = None,
    network: Network | None = None,
    **more: Any,
) -> Report:
    """A report of a night that Prometheus has seen.

    Args:
        url: of Prometheus, with a path where it has one.
        start: unix time of the first point, `end` of the last.
        step: seconds between points.
        selector: which series, as between the braces of PromQL: ``job="tierkit-live"``.
        window: seconds that rates are taken over; 0 for four scrapes of 15 s, or a step where that is longer.
        trust: how its certificate is verified.
        network: to dial on; by default this machine's sockets.
        more: what `tierkit.report` takes besides: title, conditions, beside, ...

    Raises:
        TierkitError: it does not answer, or has seen no tier; in one line.
    """
    if not (end > start and step > 0 and (end - start) / step < _POINTS):
        raise TierkitError(
            f"from {start:.0f} to {end:.0f} by {step:g} s is no range for Prometheus: it ends behind its beginning, "
            f"and has {_POINTS} points at most"
        )
    window = window or max(_WINDOW, step)
    night = _Night(points=math.floor((end - start) / step) + 1, start=start, step=step)
    with Asker(url, trust=trust, network=network) as asker:
        for figure, query in QUERIES.items():
            asked = query.replace("{SEL}", f"{{{selector}}}" if selector else "").replace("WIN", f"{window:.0f}s")
            target = f"/api/v1/query_range?query={quote(asked, safe='')}&start={start}&end={end}&step={step}"
            for labels, values in night.read(await asker.json(target)):
                night.put(figure, labels, values)
        if not night.tiers:
            chosen = f" with {selector}" if selector else ""
            raise TierkitError(
                f"{asker.address.scheme}://{asker.address.authority} has seen no tier{chosen} in that time: "
                "does it scrape /metrics, and did it then?"
            )
    return report(night.history(), **more)


@define
class _Night:
    """What the queries have brought so far."""

    points: int
    start: float
    step: float
    tiers: dict[str, dict[str, Any]] = field(factory=dict)
    by_type: dict[str, Values] = field(factory=dict)
    by_site: dict[str, Values] = field(factory=dict)
    #: Which tiers an instance has: a process that names no tier is that of the only one.
    _instances: dict[str, set[str]] = field(factory=dict)

    def read(self, answer: Mapping[str, Any]) -> Iterator[tuple[Labels, Values]]:
        """The series of an answer.  Raises TierkitError."""
        try:
            for series in answer["data"]["result"]:
                values: Values = [None] * self.points
                for at, value in series["values"]:
                    index = round((float(at) - self.start) / self.step)
                    if 0 <= index < self.points:
                        number = float(value)
                        values[index] = number if math.isfinite(number) else None  # NaN is no JSON
                yield {str(name): str(value) for name, value in series["metric"].items()}, values
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise TierkitError("Prometheus answers what is no range of values: is it one?") from None

    def put(self, figure: str, labels: Labels, values: Values) -> None:
        """Take one series."""
        if figure == "role":
            self._instances.setdefault(labels.get("instance", ""), set()).add(labels.get("tier", ""))
            self._tier(labels)["role"] = labels.get("role", "")
        elif figure == "bits":
            tier = self._tier(labels)
            tier["bits"] = _add(tier.get("bits"), values)
            for table, name in ((self.by_type, "protocol"), (self.by_site, "site")):
                table[labels.get(name, "")] = _add(table.get(labels.get(name, "")), values)
        elif figure in ("cpu", "memory"):
            name = labels.get("process") or self._only(labels.get("instance", ""))
            if name in self.tiers:
                self.tiers[name][figure] = _add(self.tiers[name].get(figure), values)
        else:
            self._tier(labels)[figure] = values

    def _tier(self, labels: Labels) -> dict[str, Any]:
        tier = self.tiers.setdefault(labels.get("tier", ""), {"site": "", "role": "", "state": "unknown"})
        tier["site"] = labels.get("site", tier["site"])
        return tier

    def _only(self, instance: str) -> str:
        tiers = self._instances.get(instance, set())
        return next(iter(tiers)) if len(tiers) == 1 else ""

    def history(self) -> dict[str, Any]:
        """The same as a history."""
        return {
            "from": self.start,
            "step": self.step,
            "points": self.points,
            "type": self.by_type,
            "site": self.by_site,
            "tiers": self.tiers,
        }


def _add(one: Values | None, other: Values) -> Values:
    """Point by point; what is not known adds nothing to what is."""
    if one is None:
        return other
    return [b if a is None else a if b is None else a + b for a, b in zip(one, other, strict=True)]
