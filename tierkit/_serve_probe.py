"""Trying a graph's upstreams from here, without running anything: what `tierkit check --live` shows.

For each tier that runs here, each upstream and push target, and each service that would use it, the source
is asked for a URL and that is dialled (TLS included) and closed again.  Nothing is requested: what a
server makes of a path nobody has named says nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack

import trio
from attrs import frozen

from ._model import Graph, Node
from ._net import RealNetwork
from ._ports import Network
from ._process import Process, TierContext
from ._restream import Restream
from ._sources import open_candidate
from .errors import TierkitError

__all__ = ["Probe", "probe"]

#: Seconds for one upstream, name look-up and handshakes included; a viewer has given up by then.
PROBE_SECONDS = 5.0


@frozen
class Probe:
    """How one upstream of one tier has answered."""

    tier: str
    upstream: str
    #: What was dialled, without credentials; empty where it could not be told.
    url: str
    #: Why it cannot be used; empty where it answers.
    problem: str
    #: Seconds until it was connected, or given up.
    seconds: float


async def probe(graph: Graph, *, network: Network | None = None, seconds: float = PROBE_SECONDS) -> list[Probe]:
    """Try every upstream of every tier that runs here, all at once.

    A tier that runs in this very graph is not expected to answer yet, so those are left out unless they
    run on another host or in another process.

    Args:
        network: what to dial on; by default this machine's sockets.
        seconds: how long one may take.
    """
    process = Process(graph, network or RealNetwork())
    here = {node.name for node in graph.running}
    found: dict[int, Probe] = {}
    async with trio.open_nursery() as nursery:

        async def one(index: int, tier: Node, other: Node, backup: int, schemes: tuple[str, ...]) -> None:
            found[index] = await _probe(process, tier, other, backup, schemes, seconds)

        index = 0
        for tier in graph.running:
            for other, backup, schemes in _links(tier):
                if other.name not in here:
                    nursery.start_soon(one, index, tier, other, backup, schemes)
                    index += 1
    return [found[i] for i in sorted(found)]


def _links(tier: Node) -> Iterable[tuple[Node, int, tuple[str, ...]]]:
    """Whom a tier dials, at which of its addresses (0, then its backups), by which schemes, for each service."""
    for service in tier.serves:
        for others, schemes in ((tier.upstreams, service.pulls), (tier.targets, service.pushes)):
            for other in others:
                if wanted := tuple(s for s in schemes if s in other.schemes):
                    for backup in range(len(other.addresses) if isinstance(other, Restream) else 1):
                        yield other, backup, wanted


async def _probe(
    process: Process, tier: Node, other: Node, backup: int, schemes: tuple[str, ...], seconds: float
) -> Probe:
    started = trio.current_time()
    name, url = other.name, ""
    problem = f"no answer within {seconds:g} s"
    with trio.move_on_after(seconds):
        try:
            async with AsyncExitStack() as stack:
                candidate = await open_candidate(stack, process, TierContext(process, tier.name), other)
                candidate = candidate.backups[backup - 1] if backup else candidate
                name = candidate.name
                target = await candidate.source.target(candidate.source.scope, schemes)
                url = str(target)
                (await process.network.connect(target, trust=candidate.trust)).close()
                problem = ""
        except Exception as error:  # whatever a plugin's source does, the other upstreams are tried
            problem = _told(error)
    return Probe(tier.name, name, url, problem, trio.current_time() - started)


def _told(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    said = " ".join(str(error).split())
    return said if isinstance(error, TierkitError) else f"{type(error).__name__}: {said}".removesuffix(": ")
