"""What runs once per process beside the graph, and what it is given to look at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from attrs import frozen

from ._address import Address
from ._events import Event, PluginFailed
from ._model import Graph
from ._plugin import Running
from ._ports import Network
from ._purge import Pattern

__all__ = ["Companion", "ControlAnswer", "ControlRequest", "ControlRoute", "Handle", "Sink"]


class Handle(ABC):
    """A graph at work."""

    graph: Graph
    network: Network
    #: Where the control address is bound; None until it is, and for a graph without one.
    control: Address | None = None

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether every tier of this process accepts connections and none is draining."""

    @abstractmethod
    def addresses(self, tier: str) -> tuple[Address, ...]:
        """The bound addresses of a tier of this process, in the order of its listeners; dialable."""

    @abstractmethod
    def running(self, tier: str) -> Mapping[str, Running]:
        """The live services of a tier of this process, by the services' names."""

    @abstractmethod
    def statistics(self) -> dict[str, Any]:
        """Every `statistics()` of this process as plain values that JSON can carry."""

    @abstractmethod
    def control_routes(self) -> tuple[ControlRoute, ...]:
        """The control routes that the loaded plugins bring."""

    async def purge(self, pattern: str, *, soft: bool = False, tiers: Sequence[str] = ()) -> dict[str, int | None]:
        """Have tiers forget what matches a pattern (see `Pattern`), all of them by default.

        Returns how many objects each had; None for one where it failed, which is told by an event, and for one in
        another process that did not answer in time.  Raises LocalProtocolError for what is no pattern.
        """
        Pattern.parse(pattern)
        return self._each(tiers, lambda running: running.purge(pattern, soft=soft))

    async def kick(self, pattern: str, *, tiers: Sequence[str] = ()) -> dict[str, int | None]:
        """Have tiers close the connections that play or publish what matches, and answer as `purge` does."""
        name = Pattern.parse(pattern).name
        return self._each(tiers, lambda running: running.kick(name))

    def _each(self, tiers: Sequence[str], act: Callable[[Running], int]) -> dict[str, int | None]:
        names = tiers or [node.name for node in self.graph.running]
        return {name: self._in_tier(name, act) for name in names}

    def _in_tier(self, tier: str, act: Callable[[Running], int]) -> int | None:
        """What the services of a tier have done, all told; one that fails keeps no other from it."""
        count: int | None = 0
        for service, running in self.running(tier).items():
            try:
                done = act(running)
            except Exception as error:
                self.emit(PluginFailed(tier=tier, plugin=service, reason=f"{type(error).__name__}: {error}"))
                count = None
            else:
                count = None if count is None else count + done
        return count

    @abstractmethod
    def emit(self, event: Event) -> None:
        """Tell the observers; never blocks, never raises."""


class Companion(ABC):
    """Something that a process runs once, beside the graph."""

    def routes(self) -> Sequence[ControlRoute]:
        """What it answers at the control address; asked once, before it is opened."""
        return ()

    @abstractmethod
    def open(self, handle: Handle) -> AbstractAsyncContextManager[None]:
        """Run beside `handle`; left when the graph has drained."""


@frozen
class ControlRequest:
    """A request to the control address that has passed its door."""

    handle: Handle
    method: str
    path: str
    query: Mapping[str, str]
    body: bytes = b""
    #: Who asks: an address, or "unix".
    peer: str = ""
    #: Names in lower case; several fields of one name are one, with commas.
    headers: Mapping[str, str] = {}


class Sink(Protocol):
    """Where a body goes that is written bit by bit."""

    async def write(self, data: bytes) -> None:
        """Send some of it.  Raises ConnectionLost where whoever asked has gone or takes nothing."""


@frozen
class ControlAnswer:
    """What a control route answers.

    A body that is an async function is given a `Sink` and writes for as long as it likes; once the graph drains it is
    cancelled.
    """

    status: int = 200
    body: bytes | Callable[[Sink], Awaitable[None]] = b""
    content_type: str = "text/plain; charset=utf-8"
    #: Further fields, names and values.
    headers: Sequence[tuple[bytes, bytes]] = ()


@frozen
class ControlRoute:
    """A path of the control address.  `changes` marks one that changes state and so needs the token."""

    method: str
    path: str
    answer: Callable[[ControlRequest], Awaitable[ControlAnswer]]
    changes: bool = False
