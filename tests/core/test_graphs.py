"""Any valid graph: it checks, its parts find each other in one process and in one process for each tier."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import trio
import trio.testing
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from tierkit import Edge, Graph, Node, Origin, Relay
from tierkit._check import check
from tierkit.plugin import Connection, Context, Running
from tierkit.testing import MemoryNetwork

from .fakes import Echo, EchoStatistics
from .rig import Client, opened


@frozen
class Ask(Echo):
    """Answers a line with its own name, and after it what each of its upstreams answers: the whole way up."""

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        yield LiveAsk(ctx)


class LiveAsk(Running):
    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    async def handle(self, connection: Connection) -> None:
        line = await connection.recv()
        connection.settled()
        above = []
        for candidate in self.ctx.upstream.candidates(("http",)):
            target = await candidate.source.target("/", ("http",))
            client = Client(await self.ctx.network.connect(target))
            above.append(await client.ask(line.decode().strip()))
        await connection.send_all(f"{self.ctx.tier}({','.join(above)})\n".encode())

    def statistics(self) -> EchoStatistics:
        return EchoStatistics(lines=0)


def expected(node: Node) -> str:
    return f"{node.name}({','.join(map(expected, node.upstreams))})"


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Up to 12 tiers, four deep, under an origin that runs: several upstreams, hosts, ports and spellings."""
    nodes: list[Node] = [Origin("origin", listen="http://:0", serves=Ask())]
    depth = {0: 1}
    for i in range(1, 1 + draw(st.integers(1, 12))):
        shallow = [j for j, level in depth.items() if level < 4]
        above = draw(st.lists(st.sampled_from(shallow), min_size=1, max_size=2, unique=True))
        listen = draw(
            st.sampled_from([":0", "127.0.0.1:0", f":{9000 + i}", f"127.0.0.{i + 1}:80", f"[::1]:{9000 + i}"])
        )
        kind = draw(st.sampled_from([Edge, Relay]))
        upstream = tuple(nodes[j] for j in above)
        nodes.append(kind(f"t{i}", upstream=upstream, listen=listen, serves=Ask(), site=draw(st.sampled_from("ab"))))
        depth[i] = 1 + max(depth[j] for j in above)
    return Graph.of(*draw(st.permutations(nodes)))


@given(graphs())
@settings(max_examples=40)
def test_in_one_process(graph: Graph) -> None:
    assert check(graph) == []
    assert pickle.loads(pickle.dumps(graph)) == graph

    async def main() -> None:
        async with opened(graph) as rig:
            assert rig.handle.tiers == tuple(node.name for node in graph.running)
            for node in graph.running:
                assert await (await rig.client(node.name)).ask("who") == expected(node)
        assert rig.events.names.count("TierStopped") == len(graph.running)
        assert "ConnectionFailed" not in rig.events.names

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@given(graphs())
@settings(max_examples=20)
def test_in_one_process_for_each_tier(graph: Graph) -> None:
    async def main() -> None:
        network = MemoryNetwork()
        bound: dict[str, list[str]] = {}
        async with AsyncExitStack() as stack:
            for node in graph.running:
                part = pickle.loads(pickle.dumps(graph)).only(node.name)
                rig = await stack.enter_async_context(opened(part, network=network, bound=dict(bound)))
                bound[node.name] = [str(each) for each in rig.handle.addresses(node.name)]
                assert await (await rig.client(node.name)).ask("who") == expected(node)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
