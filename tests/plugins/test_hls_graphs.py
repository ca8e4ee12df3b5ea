"""Any graph of HLS edges: every tier gives the same bytes, and each upstream sees one fetch per object and child."""

from __future__ import annotations

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.core.rig import opened
from tests.support_http import Answer, open_server
from tierkit import Edge, Graph, Node, Origin
from tierkit.plugins.hls import HLS
from tierkit.testing import MemoryNetwork

from .edge_rig import PLAYLIST, SEGMENT, FakeOrigin, Rig, dripping, plain, playlist

MAX_DEPTH = 4
VIEWERS = 3
BODY = bytes(range(256)) * 400  # grows into a memfd


@st.composite
def graphs(draw: st.DrawFn) -> list[Edge]:
    """Up to twelve edges before two origins that have the same, each pulling from one to three of those before it."""
    origins: list[Node] = [Origin(f"origin-{n}", f"http://origin-{n}.example:80") for n in range(2)]
    depth = {origin.name: 0 for origin in origins}
    edges: list[Edge] = []
    for number in range(draw(st.integers(1, 12))):
        usable = [node for node in [*origins, *edges] if depth[node.name] < MAX_DEPTH]
        upstream = draw(st.lists(st.sampled_from(usable), min_size=1, max_size=3, unique_by=lambda node: node.name))
        name = f"edge-{number}"
        depth[name] = 1 + max(depth[node.name] for node in upstream)
        listen = f"http://{name}.example:80"
        policy = draw(st.sampled_from(["ordered", "hash"]))
        edges.append(Edge(name, upstream=upstream, policy=policy, listen=listen, serves=HLS(prefetch=False)))
    return edges


@settings(max_examples=40)
@given(edges=graphs(), down=st.booleans())
def test_one_fetch_per_object_and_child(edges: list[Edge], down: bool) -> None:
    async def main() -> None:
        network = MemoryNetwork()
        origins = {}
        segment = dripping(*(BODY[i : i + 20_000] for i in range(0, len(BODY), 20_000)), pause=0.5)
        async with trio.open_nursery() as nursery:
            for number in range(2):
                fake = FakeOrigin({SEGMENT: segment, PLAYLIST: plain(playlist())}, delay=0.2)
                origins[f"origin-{number}"] = fake
                await nursery.start(serve, network, fake, f"http://origin-{number}.example:80")
            if down:
                network.fault("http://origin-0.example:80", refuse=True)
            async with opened(Graph.of(*edges), network=network, drain=1) as rig:
                await look(Rig(network, fake, rig.handle, rig.events), edges, origins, down=down)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def serve(
    network: MemoryNetwork, fake: FakeOrigin, at: str, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    async with open_server(network, fake, at):
        task_status.started()
        await trio.sleep_forever()


async def look(rig: Rig, edges: list[Edge], origins: dict[str, FakeOrigin], *, down: bool) -> None:
    answers: dict[str, list[Answer]] = {SEGMENT: [], PLAYLIST: []}

    async def ask(tier: str, path: str) -> None:
        answers[path].append(await rig.get(path, tier=tier))

    async with trio.open_nursery() as nursery:
        for path in answers:
            for edge in edges:
                for _ in range(VIEWERS):
                    nursery.start_soon(ask, edge.name, path)
    reachable = {name for name, fake in origins.items() if not (down and name == "origin-0")}
    for edge in edges:
        if any(node.name in reachable for node in edge.upstream):
            reachable.add(edge.name)
    if all(edge.name in reachable for edge in edges):
        assert {answer.body for answer in answers[SEGMENT]} == {BODY}
        assert {answer.body for answer in answers[PLAYLIST]} == {playlist()}
    else:
        assert {answer.body for answer in answers[SEGMENT] if answer.status == 200} <= {BODY}
        assert {answer.status for answer in answers[SEGMENT]} <= {200, 502}
    if not down:
        for edge in edges:
            assert rig.statistics(edge.name).upstream_requests == len(answers), edge.name
    # Each child asks each upstream once for each object: seen by the origins themselves.
    for fake in origins.values():
        for path in answers:
            children = [request.get(b"via") for request in fake.asked if request.path == path]
            last = [(via or b"").rpartition(b" ")[2] for via in children]
            assert len(last) == len(set(last))
