"""A graph as a whole program: `run`, for a file that ends in ``run(graph)`` and for the command line.

What `serve` raises becomes lines on standard error and an exit code, never a traceback: 1 for a failure
while running, 2 for a configuration that cannot run.  Besides these lines and the log on standard error,
standard output gets one line for each listener as soon as it accepts: ``ready NAME PROTOCOL HOST:PORT``.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import trio

from ._address import Address
from ._events import Event, TierStarted
from ._log import log_observer
from ._model import Graph
from ._plugin import Observer
from ._registry import Registry
from ._serve import DRAIN_SECONDS, GraphHandle, serve
from ._visible import visible
from .errors import AddressError, GraphError, ListenError, TierkitError

__all__ = ["explain", "ready_lines", "run"]

#: Exit codes, the ones of the command line's contract.
FAILED = 1
MISCONFIGURED = 2


def run(
    graph: Graph,
    *,
    log: str = "text",
    drain: float = DRAIN_SECONDS,
    registry: Registry | None = None,
    observers: Sequence[Observer] = (),
    bound: Mapping[str, Sequence[str | Address]] | None = None,
    beside: Callable[[GraphHandle], object] | None = None,
) -> None:
    """Run a graph as this process; returns when it was told to end and has drained.

    Args:
        log: "text", "json", or "" for none; on standard error.  How much of viewers' addresses it tells, and whether
            there is an access log, is the graph's to say.
        drain: seconds that connections have to end after the first SIGTERM or SIGINT.
        registry: the plugins; by default those that are installed.
        observers: called with each event, besides the log.
        bound: where tiers in other processes are bound, by name, where the plan says port 0.
        beside: an async function that runs beside the graph; the graph ends when it returns.

    Raises:
        SystemExit: 1 for a failure while running, 2 for a graph or an address that cannot be used; what
            was wrong stands on standard error then.
    """
    try:
        sites = {node.name: node.site for node in graph}
        logged = [log_observer(log, addresses=graph.viewer_addresses, sites=sites)] if log else []
    except TierkitError as error:
        _end(MISCONFIGURED, [str(error)])
    everybody: tuple[Observer, ...] = (_announce, *logged, *observers)

    async def main() -> None:
        await serve(graph, registry=registry, observers=everybody, drain=drain, bound=bound, beside=beside)

    failure: Exception | None = None
    try:
        trio.run(main)
    except Exception as error:
        failure = error
    for each in logged:
        each.flush()
    if failure is not None:
        _end(*explain(failure))


def _end(code: int, lines: Sequence[str]) -> NoReturn:
    for line in lines:
        print(line, file=sys.stderr, flush=True)
    raise SystemExit(code)


def ready_lines(event: Event) -> list[str]:
    """The lines that say which listeners of a tier accept connections, for a TierStarted; none for others."""
    if not isinstance(event, TierStarted):
        return []
    return [f"ready {event.tier} {each.scheme} {each.authority}" for each in event.addresses]


def _announce(event: Event) -> None:
    for line in ready_lines(event):
        print(line, flush=True)


def explain(error: BaseException) -> tuple[int, list[str]]:
    """The exit code that a failure means, and what to tell: a line for each problem or failure."""
    found: list[BaseException] = []
    _leaves(error, found)
    code = MISCONFIGURED if all(isinstance(each, (GraphError, ListenError, AddressError)) for each in found) else FAILED
    lines = [line for each in found for line in _told(each)]
    return code, list(dict.fromkeys(map(visible, lines)))


def _leaves(error: BaseException, found: list[BaseException]) -> None:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            _leaves(each, found)
    else:
        found.append(error)


def _told(error: BaseException) -> list[str]:
    if isinstance(error, GraphError):
        return list(error.problems)
    if isinstance(error, TierkitError):
        return [" ".join(str(error).split())]
    # Anything else is a mistake in somebody's code: where it happened is the most useful word about it.
    what = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return [f"failed: {what}{where}"]
