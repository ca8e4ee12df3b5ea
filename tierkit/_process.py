"""What the tiers of one process have in common: the network, the observers, where everybody is bound.

A `Process` is made by `open_graph`.  It knows no protocol.  Tiers find each other through it by name and
at call time, so a tier may move to another process or machine without anybody noticing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from typing import Any, TypeVar

import trio
from attrs import evolve

from ._accesslog import AccessRecorder
from ._address import Address
from ._events import Event, PluginFailed
from ._logwriter import AccessLogs
from ._model import Graph, Node
from ._notable import Notable, Tally
from ._plugin import Candidate, Context, Observer, Shared, Upstreams
from ._ports import Network

__all__ = ["Process", "TierContext"]

T = TypeVar("T")
SharedT = TypeVar("SharedT", bound=Shared)

#: Threads for what blocks.  Our own limiter: 40 parked threads of trio's default one would starve name
#: look-up for the whole process.
THREADS = 8


class Process:
    """One process's share of a graph.

    Args:
        graph: the plan; `graph.running` is what runs here.
        network: to listen and dial on.
        observers: told each event.
        elsewhere: bound addresses of tiers that run in other processes, by name.
        threads: False runs `run_sync` inline, for tests.
    """

    def __init__(
        self,
        graph: Graph,
        network: Network,
        *,
        observers: Sequence[Observer] = (),
        elsewhere: Mapping[str, Sequence[Address]] | None = None,
        clock: Callable[[], float] = trio.current_time,
        jitter: Callable[[], float] = random.random,
        threads: bool = True,
    ) -> None:
        self.graph = graph
        self.network = network
        self.clock = clock
        self.jitter = jitter
        self.started = clock()
        #: Wall time of the start, for people and for exported statistics.
        self.started_at = time.time()
        self.background: trio.Nursery | None = None
        self._observers = list(observers)
        self._notable = Notable()
        self._bound: dict[str, tuple[Address, ...]] = {n: tuple(a) for n, a in (elsewhere or {}).items()}
        self._shared: dict[type[Shared], Shared] = {}
        self._limiter = trio.CapacityLimiter(THREADS) if threads else None
        self.access_logs = AccessLogs(graph.access_log, graph.viewer_addresses, self.emit, self.run_sync)
        self._recorders: dict[str, AccessRecorder | None] = {}

    def emit(self, event: Event) -> None:
        """Tell every observer; one that raises is told to the others, and stays."""
        self._notable.note(event, time.time())
        for observer in self._observers:
            try:
                observer(event)
            except Exception as error:
                if isinstance(event, PluginFailed):
                    continue  # its report of a report's failure would never end
                name = getattr(observer, "__qualname__", None) or type(observer).__qualname__
                self.emit(PluginFailed(plugin=f"observer {name}", reason=f"{type(error).__name__}: {error}"))

    def open_access_logs(self) -> None:
        """Make ready to log what each tier is asked for.  Raises GraphError where a file cannot be opened."""
        for node in self.graph.running:
            self._recorders[node.name] = self.access_logs.recorder(node.name, node.site)

    def access_log(self, tier: str) -> AccessRecorder | None:
        """Where a tier notes what it is asked for; None where there is no access log."""
        return self._recorders.get(tier)

    def tally(self, tier: str) -> Tally:
        """How many a tier has closed and refused so far, and why."""
        return self._notable.tally(tier)

    def events(self) -> list[dict[str, Any]]:
        """The last events that are not viewers coming and going, newest last, as plain values."""
        return self._notable.events(self.graph.viewer_addresses)

    def bound(self, name: str, addresses: Sequence[Address]) -> None:
        """Note what a tier is really bound to, in a form that can be dialled."""
        self._bound[name] = tuple(addresses)

    def addresses(self, name: str) -> tuple[Address, ...]:
        """The dialable addresses of a tier, as far as they are known here."""
        return self._bound.get(name, ())

    def locate(self, node: Node, schemes: Collection[str]) -> Address | None:
        """What to dial for a node that runs: where it is bound in this run, else where the plan puts it."""
        for address in self._bound.get(node.name, ()):
            if address.scheme in schemes:
                return address
        return node.reach_address(schemes)

    def shared(self, kind: type[SharedT]) -> SharedT:
        """The one instance of `kind`, made and started on first use."""
        found = self._shared.get(kind)
        if found is None:
            if self.background is None:
                raise RuntimeError("ctx.shared() works only while the graph is open")
            found = self._shared[kind] = kind(self.network, self.clock)
            self.background.start_soon(found.run, name=kind.__qualname__)
        assert isinstance(found, kind)
        return found

    async def run_sync(self, fn: Callable[..., T], *args: Any) -> T:
        """Run what blocks in a thread of our own limiter, or inline."""
        if self._limiter is None:
            await trio.lowlevel.checkpoint()
            return fn(*args)
        return await trio.to_thread.run_sync(fn, *args, limiter=self._limiter)


class TierContext(Context):
    """What the services and sources of one tier are given."""

    upstream: Upstreams

    def __init__(self, process: Process, tier: str) -> None:
        self.tier = tier
        self.network = process.network
        self.clock = process.clock
        self.streams: MutableMapping[str, Any] = {}
        self.push: tuple[Candidate, ...] = ()
        self.access_log = process.access_log(tier)
        self._process = process

    def shared(self, kind: type[SharedT]) -> SharedT:
        return self._process.shared(kind)

    def emit(self, event: Event) -> None:
        self._process.emit(event if event.tier else evolve(event, tier=self.tier))

    async def run_sync(self, fn: Callable[..., T], *args: Any) -> T:
        return await self._process.run_sync(fn, *args)
