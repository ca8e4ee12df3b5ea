"""A graph opened on the network in memory, with clients that speak the echo's lines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from attrs import frozen

from tierkit import Edge, Graph, Node, Origin
from tierkit._registry import Registry
from tierkit._serve import GraphHandle, open_graph
from tierkit.plugin import Connection
from tierkit.testing import MemoryNetwork

from .fakes import Echo, Record

ORIGIN = Origin("origin", "http://origin.example")


def edge(name: str = "e", **changes: Any) -> Edge:
    return Edge(name, **{"upstream": ORIGIN, "listen": ":8080", "serves": Echo(), **changes})


class Client:
    """Somebody who has connected."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def ask(self, line: str) -> str:
        """Send a line and return the answer; "" where the other side ends instead."""
        await self.connection.send_all(line.encode() + b"\n")
        return await self.answer()

    async def answer(self) -> str:
        reply = b""
        while not reply.endswith(b"\n"):
            piece = await self.connection.recv()
            if not piece:
                return ""
            reply += piece
        return reply.decode().rstrip()

    async def ended(self) -> float:
        """Wait for the end; returns when it came."""
        assert await self.connection.recv() == b""
        return trio.current_time()


@frozen
class Rig:
    handle: GraphHandle
    network: MemoryNetwork
    events: Record

    async def client(self, tier: str = "e", *, source: str = "192.0.2.1") -> Client:
        (address, *_) = self.handle.addresses(tier)
        return Client(await self.network.connect(address, source=source))


@asynccontextmanager
async def opened(
    graph: Graph | Node, *, network: MemoryNetwork | None = None, events: Record | None = None, **options: Any
) -> AsyncIterator[Rig]:
    """`open_graph` without chance, threads, sockets or plugins."""
    events = Record() if events is None else events
    network = network or MemoryNetwork()
    options = {"registry": Registry(), "threads": False, "jitter": lambda: 0.5, "observers": [events], **options}
    graph = graph if isinstance(graph, Graph) else Graph.of(graph)
    async with open_graph(graph, network=network, **options) as handle:
        yield Rig(handle, network, events)


async def nothing_listens(network: MemoryNetwork, *texts: str) -> bool:
    """Whether each of these addresses can be had again."""
    from tierkit import Listener

    for text in texts:
        (await network.listen(Listener(text))).close()
    return True
