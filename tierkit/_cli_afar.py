"""What stands for tiers of other processes towards companions: the console, the control address, metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from tierkit import Graph, RealNetwork, Registry
from tierkit.plugin import ControlRoute, Handle, Network, Running

__all__ = ["Afar"]


class Afar(Handle):
    """A handle whose tiers live elsewhere.

    Args:
        registry: brings the companions that `answering` runs, and more control routes; None for neither.
    """

    def __init__(self, graph: Graph, registry: Registry | None, network: Network | None = None) -> None:
        self.graph = graph
        self.network = network or RealNetwork()
        self._companions = registry.companions() if registry is not None else []
        brought = [route for companion in self._companions for route in companion.routes()]
        self._routes = (*(registry.control_routes() if registry is not None else ()), *brought)

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Run the companions for as long as the block lasts.  Raises what they raise, ListenError for one."""
        async with AsyncExitStack() as stack:
            for companion in self._companions:
                await stack.enter_async_context(companion.open(self))
            yield

    def control_routes(self) -> tuple[ControlRoute, ...]:
        """The control routes that the loaded plugins and the companions bring."""
        return self._routes

    def running(self, tier: str) -> Mapping[str, Running]:
        """None: the live services are elsewhere."""
        return {}
