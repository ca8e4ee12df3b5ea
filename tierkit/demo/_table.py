"""The live table: per tier its viewers, rate, hit ratio and connections upstream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

__all__ = ["Rates", "table"]


class Rates:
    """Turns the counters of two looks at `handle.statistics()` into rates."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, int]] = {}

    def mbit(self, tier: str, now: float, bytes_out: int) -> float:
        """Mbit/s that a tier has sent since the last look; 0 at the first."""
        then, before = self._last.get(tier, (now, bytes_out))
        self._last[tier] = (now, bytes_out)
        return (bytes_out - before) * 8 / 1e6 / (now - then) if now > then else 0.0


def table(statistics: Mapping[str, Any], rates: Rates, *, origin: str = "") -> Table:
    """A table of one look at `handle.statistics()`.

    Args:
        origin: the name of the tier whose connections are shown as "at the origin", empty for none.
    """
    tiers = statistics["tiers"]
    now = statistics["process"]["uptime"]
    found = Table(title_justify="left", caption_justify="left")
    found.add_column("tier")
    found.add_column("site")
    for head in ("viewers", "Mbit/s", "hit ratio", "upstream connections"):
        found.add_column(head, justify="right")
    for name, tier in tiers.items():
        figures = tier["figures"]
        ratio = f"{figures['hits'] / figures['requests']:.1%}" if figures["requests"] else "-"
        rate = rates.mbit(name, now, tier["bytes_out"])
        pulls = str(figures["upstream_connections"]) if tier["upstreams"] else "-"
        found.add_row(name, tier["site"], str(figures["viewers"]), f"{rate:.2f}", ratio, pulls)
    if origin in tiers:
        found.caption = f"{tiers[origin]['connections']} connections at {origin}, its publisher among them"
    return found
