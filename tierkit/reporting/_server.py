"""A night from a server of either kind: one that keeps a history, or Prometheus."""

from __future__ import annotations

import time
from typing import Any

from tierkit import Address, Report, Trust
from tierkit.plugin import Network

from ._ask import NotThere
from ._history import from_history
from ._prometheus import from_prometheus

__all__ = ["from_server"]


async def from_server(
    where: str | Address,
    start: float,
    end: float,
    step: float = 15.0,
    *,
    selector: str = "",
    trust: Trust | None = None,
    network: Network | None = None,
    **more: Any,
) -> Report:
    """A report of what a control address remembers, or Prometheus where it is one; see `from_prometheus`.

    A control address remembers two days at most, up to now: it is asked for what there is since `start`.
    Raises TierkitError.
    """
    try:
        since = max(1.0, time.time() - start)
        return await from_history(where, seconds=since, trust=trust, network=network, **more)
    except NotThere:
        pass
    try:
        return await from_prometheus(where, start, end, step, selector=selector, trust=trust, network=network, **more)
    except NotThere:
        raise NotThere(
            f"{Address.parse(where)} has neither /history nor /api/v1/query_range: "
            "give the control address of a graph, or the URL of a Prometheus"
        ) from None
