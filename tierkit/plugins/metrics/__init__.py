"""GET /metrics at the control address, for Prometheus and whatever else reads its formats; by prometheus-client.

Everything is read from `handle.statistics()` when somebody scrapes, so that it costs nothing in between, and holds for
services of strangers and for tiers in processes of their own.  Which metrics there are stands in `_table`, what bounds
their number in `_bounded`.

``tierkit metrics dashboard`` and ``tierkit metrics rules`` write what comes with them: a Grafana dashboard, and
recording and alerting rules.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from tierkit.plugin import Companion, ControlAnswer, ControlRequest, ControlRoute, Handle, hookimpl

from ._collect import Collector

__all__ = ["Metrics"]

_MISSING = b"metrics need prometheus-client, which is not installed: pip install 'tierkit[metrics]'\n"


class Metrics(Companion):
    """Answers scrapers."""

    def __init__(self) -> None:
        self._collector = Collector()

    def routes(self) -> Sequence[ControlRoute]:
        """`/metrics`."""
        return (ControlRoute("GET", "/metrics", self._metrics),)

    @asynccontextmanager
    async def open(self, handle: Handle) -> AsyncIterator[None]:
        """Nothing runs beside the graph: all is done when somebody asks."""
        await trio.lowlevel.checkpoint()
        yield

    async def _metrics(self, request: ControlRequest) -> ControlAnswer:
        try:
            from ._exposition import exposed, takes_gzip
        except ImportError:
            return ControlAnswer(501, _MISSING)
        samples = self._collector.collect(request.handle.statistics())
        gzip = takes_gzip(request.headers.get("accept-encoding", ""))
        body, content_type = await exposed(samples, accept=request.headers.get("accept", ""), gzip=gzip)
        headers = [(b"Content-Encoding", b"gzip")] if gzip else []
        return ControlAnswer(200, body, content_type, [*headers, (b"Vary", b"Accept, Accept-Encoding")])


@hookimpl
def tierkit_companions() -> Sequence[Companion]:
    """Brings `/metrics`."""
    return [Metrics()]


@hookimpl
def tierkit_commands() -> Sequence[object]:
    """Brings ``tierkit metrics``."""
    from ._commands import metrics  # typer is the command line's own

    return [metrics]
