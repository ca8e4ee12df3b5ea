"""Opening graphs: in somebody's own program (`open_graph`, `open_tier`) or as a process (`serve`).

`open_graph` touches no signals and prints nothing: it belongs to the program that calls it.  Leaving its
context drains; cancelling drops.  `serve` owns the process: the first SIGTERM or SIGINT leaves, the
second cancels, SIGHUP reads certificates again.
"""

from __future__ import annotations

import random
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from enum import Enum
from itertools import chain
from typing import Any

import attrs
import trio

from ._address import Address
from ._check import check
from ._companion import ControlRoute, Handle
from ._events import Event, GraphReady, GraphStopped, PluginFailed
from ._model import Graph, Node
from ._net import RealNetwork
from ._plugin import Observer, Running
from ._ports import Bound, Network
from ._process import Process
from ._process_figures import LoopDelay, ProcessStatistics, cpu_seconds, memory_limit, resident_bytes
from ._registry import Registry
from ._serve_signals import leave_when_done, obey
from ._tier import LiveTier, open_doors
from ._version import __version__
from ._watch import LoopWatch
from .errors import GraphError, ListenError

__all__ = ["DRAIN_SECONDS", "GraphHandle", "TierHandle", "open_graph", "open_tier", "plain", "serve"]

#: Seconds that connections have to end once a tier drains: a segment of 10 s on a line of half the
#: stream's rate is done by then.
DRAIN_SECONDS = 20.0


class GraphHandle(Handle):
    """A graph at work in this process; `open_graph` yields it."""

    def __init__(
        self,
        process: Process,
        tiers: Mapping[str, LiveTier],
        registry: Registry,
        watch: LoopWatch,
        delay: LoopDelay,
        routes: Sequence[ControlRoute] = (),
    ) -> None:
        self.graph = process.graph
        self.network = process.network
        self._process = process
        self._tiers = dict(tiers)
        self._registry = registry
        self._watch = watch
        self._delay = delay
        self._routes = tuple(routes)
        self._memory_limit = memory_limit()

    @property
    def ready(self) -> bool:
        """Whether every tier of this process accepts connections and none drains."""
        return all(tier.state == "running" for tier in self._tiers.values())

    @property
    def tiers(self) -> tuple[str, ...]:
        """The names of the tiers of this process, upstreams first."""
        return tuple(self._tiers)

    def addresses(self, tier: str) -> tuple[Address, ...]:
        """The bound addresses of a tier of this process, in a form that can be dialled."""
        return self._process.addresses(self._tiers[tier].node.name)

    def running(self, tier: str) -> Mapping[str, Running]:
        """The live services of a tier of this process, by the services' names."""
        return self._tiers[tier].running

    def url(self, tier: str, path: str = "", *, scheme: str = "") -> str:
        """A URL of a tier of this process: by its first listener, or by its first one of `scheme`."""
        for address in self.addresses(tier):
            if not scheme or address.scheme == scheme:
                return str(address) + path
        raise KeyError(f"{tier} has no listener for {scheme}")

    def statistics(self) -> dict[str, Any]:
        """Every `statistics()` of this process as plain values that JSON can carry."""
        tiers = {name: tier.statistics() for name, tier in self._tiers.items()}
        figures = {name: tier.figures() for name, tier in self._tiers.items()}
        return {
            "process": plain(self._figures(sum(each.socket_bytes for each in tiers.values()))),
            "tiers": {
                name: {
                    **plain(tiers[name]),
                    "figures": plain(tier.together(figures[name])),
                    "figures_by_service": plain(figures[name]),
                    "services": {key: plain(running.statistics()) for key, running in tier.running.items()},
                    # Services of one tier share its streams: what several tell alike is told once.
                    "streams": [
                        plain(each)
                        for each in dict.fromkeys(s for running in tier.running.values() for s in running.streams())
                    ],
                }
                for name, tier in self._tiers.items()
            },
        }

    def _figures(self, socket_bytes: int) -> ProcessStatistics:
        process = self._process
        return ProcessStatistics(
            started_at=process.started_at,
            uptime=process.clock() - process.started,
            ready=self.ready,
            descriptors=process.network.descriptors,
            long_steps=self._watch.long_steps,
            longest_step=self._watch.longest,
            loop_delay=self._delay.statistics(),
            cpu_seconds=cpu_seconds(),
            resident_bytes=resident_bytes(),
            memfd_bytes=process.network.descriptors.memfd_bytes,
            socket_bytes=socket_bytes,
            memory_limit=self._memory_limit,
            events=process.events(),
            access_log=process.access_logs.statistics(),
        )

    def control_routes(self) -> tuple[ControlRoute, ...]:
        """The control routes that the loaded plugins and the companions bring."""
        return (*self._registry.control_routes(), *self._routes)

    def emit(self, event: Event) -> None:
        """Tell the observers; never blocks, never raises."""
        self._process.emit(event)

    @property
    def listeners(self) -> int:
        """How many listeners its tiers have."""
        return sum(len(tier.doors) for tier in self._tiers.values())

    def reopen_logs(self) -> None:
        """Open access logs anew, whose files were moved."""
        self._process.access_logs.reopen()

    def reload_certificates(self) -> list[str]:
        """Read every certificate file again; returns a line for each that is no good and was not taken."""
        problems = []
        for tier in self._tiers.values():
            for door in tier.doors:
                try:
                    door.reload()
                except ListenError as error:
                    problems.append(f"{tier.node.name}: {error}")
        return problems


class TierHandle:
    """One tier at work; `open_tier` yields it."""

    def __init__(self, graph: GraphHandle, name: str) -> None:
        self.graph = graph
        self.name = name

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Its bound addresses, in a form that can be dialled."""
        return self.graph.addresses(self.name)

    @property
    def running(self) -> Mapping[str, Running]:
        """Its live services, by their names."""
        return self.graph.running(self.name)

    def url(self, path: str = "", *, scheme: str = "") -> str:
        """A URL of this tier: by its first listener, or by its first one of `scheme`."""
        return self.graph.url(self.name, path, scheme=scheme)

    def statistics(self) -> dict[str, Any]:
        """Its statistics as plain values."""
        found: dict[str, Any] = self.graph.statistics()["tiers"][self.name]
        return found


@asynccontextmanager
async def open_graph(
    graph: Graph,
    *,
    network: Network | None = None,
    registry: Registry | None = None,
    observers: Sequence[Observer] = (),
    drain: float = DRAIN_SECONDS,
    bound: Mapping[str, Sequence[str | Address]] | None = None,
    jitter: Callable[[], float] = random.random,
    threads: bool = True,
) -> AsyncIterator[GraphHandle]:
    """Run the tiers of `graph` that are selected, inside the caller's own trio program.

    When this yields, every tier accepts connections.  Leaving drains for up to `drain` seconds;
    cancelling, or leaving by an exception, drops at once.

    Args:
        network: what to listen and dial on; by default this machine's sockets.
        registry: the plugins; by default those that are installed.
        observers: called with each event.
        bound: where tiers in other processes are bound, by name, where the plan says port 0.
        threads: False runs blocking work inline, for tests under a mock clock.

    Raises:
        GraphError: the graph cannot run; all problems at once.
        ListenError: an address cannot be listened on.
    """
    known = {name: tuple(map(Address.parse, addresses)) for name, addresses in (bound or {}).items()}
    if problems := check(graph, bound=known):
        raise GraphError(problems)
    if registry is None:
        registry = Registry.load()
    process = Process(
        graph,
        network or RealNetwork(),
        observers=(*observers, *registry.observers()),
        elsewhere=known,
        jitter=jitter,
        threads=threads,
    )
    companions = registry.companions()
    for each in registry.failures:
        process.emit(PluginFailed(plugin=each.plugin, reason=each.reason))
    process.open_access_logs()
    doors = await _open_all(process, known)
    tiers = {node.name: LiveTier(process, node, doors[node.name], drain=drain) for node in graph.running}
    watch, delay = LoopWatch(process.emit), LoopDelay()
    routes = [route for companion in companions for route in companion.routes()]
    handle = GraphHandle(process, tiers, registry, watch, delay, routes)
    # A failure to start, and the caller's own, are raised from outside the nurseries, so that they come out
    # as themselves; that of a running tier comes in the groups that it has passed through.
    failure: Exception | None = None
    trio.lowlevel.add_instrument(watch)
    try:
        async with trio.open_nursery() as background:
            process.background = background
            background.start_soon(process.access_logs.run, name="writes access logs")
            background.start_soon(delay.run, name="how late the event loop is")
            async with trio.open_nursery() as running, AsyncExitStack() as stack:
                try:
                    for tier in tiers.values():
                        await running.start(tier.run, name=f"tier {tier.node.name}")
                    for companion in companions:
                        await stack.enter_async_context(companion.open(handle))
                    yield handle
                    # Companions stay until all have drained, so that `/readyz` can tell of it.
                    await _drain(tiers.values(), trio.current_time() + drain)
                except Exception as error:
                    failure = error
                    running.cancel_scope.cancel()
            background.cancel_scope.cancel()
    finally:
        trio.lowlevel.remove_instrument(watch)
        for door in chain.from_iterable(doors.values()):
            door.close()
        process.access_logs.close()
    if failure is not None:
        raise failure


async def _drain(tiers: Iterable[LiveTier], deadline: float) -> None:
    """Let every tier leave, each once those that pull from it have stopped: while they drain they still need it.

    One deadline holds for all; at the deadline whatever is left goes at once.
    """
    names = {tier.node.name: tier for tier in tiers}
    feeds: dict[str, list[LiveTier]] = {name: [] for name in names}
    for tier in names.values():
        for other in {node.name for node in (*tier.node.upstreams, *tier.node.targets)} & names.keys():
            feeds[other].append(tier)

    async def leave(tier: LiveTier) -> None:
        with trio.move_on_at(deadline):
            for child in feeds[tier.node.name]:
                await child.stopped.wait()
        tier.leave(deadline)
        await tier.stopped.wait()

    async with trio.open_nursery() as nursery:
        for tier in names.values():
            nursery.start_soon(leave, tier)


async def _open_all(process: Process, known: Mapping[str, Sequence[Address]]) -> dict[str, list[Bound]]:
    doors: dict[str, list[Bound]] = {}
    try:
        for node in process.graph.running:
            doors[node.name] = await open_doors(process, node, known.get(node.name, ()))
    except BaseException:
        for door in chain.from_iterable(doors.values()):
            door.close()
        raise
    return doors


@asynccontextmanager
async def open_tier(tier: Node, **options: Any) -> AsyncIterator[TierHandle]:
    """Run one tier inside the caller's own trio program; takes the options of `open_graph`.

    Its upstreams are only dialled: what runs elsewhere goes on running elsewhere.
    """
    graph = Graph.of(tier).only(tier.name)
    async with open_graph(graph, **options) as handle:
        yield TierHandle(handle, tier.name)


async def serve(
    graph: Graph,
    *,
    registry: Registry | None = None,
    observers: Sequence[Observer] = (),
    drain: float = DRAIN_SECONDS,
    bound: Mapping[str, Sequence[str | Address]] | None = None,
    beside: Callable[[GraphHandle], Any] | None = None,
) -> None:
    """Run a graph as this process until it is told to end.

    The first SIGTERM or SIGINT drains, the second drops; SIGHUP reads certificate files again and opens
    access logs anew.

    Args:
        beside: an async function that runs beside the graph, given its handle; the graph ends when it
            returns.
    """
    failure: Exception | None = None
    began = trio.current_time()

    def tell(event: Event) -> None:
        # One of several processes leaves it to whoever has started them to tell of all together.
        for handle in handles if bound is None else ():
            handle.emit(event)

    handles: list[GraphHandle] = []
    with (
        trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals,
        trio.CancelScope() as everything,
    ):
        async with trio.open_nursery() as listening:
            leave = trio.Event()
            listening.start_soon(obey, signals, leave, everything, handles, tell)
            try:
                async with open_graph(
                    graph, registry=registry, observers=observers, drain=drain, bound=bound
                ) as handle:
                    handles.append(handle)
                    ready = trio.current_time()
                    tell(GraphReady(version=__version__, tiers=handle.tiers, seconds=ready - began))
                    async with trio.open_nursery() as company:
                        if beside is not None:
                            company.start_soon(leave_when_done, beside, handle, leave)
                        await leave.wait()
                        company.cancel_scope.cancel()
                tell(GraphStopped(seconds=trio.current_time() - began))
            except Exception as error:  # raised outside, so that it comes out as itself
                failure = error
            listening.cancel_scope.cancel()
    if failure is not None:
        raise failure


def plain(value: Any) -> Any:
    """A statistics value as dicts, lists, numbers and strings."""
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if attrs.has(type(value)) and not isinstance(value, Address):
        return {each.name: plain(getattr(value, each.name)) for each in attrs.fields(type(value))}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each) for each in value]
    return value.value if isinstance(value, Enum) else str(value)
