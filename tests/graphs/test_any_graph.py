"""Any valid graph carries the same bytes to every leaf, and asks each upstream once.

hypothesis builds graphs of up to 12 tiers and depth 4, of HLS edges and RTMP relays, some with several
upstreams; they run whole, on the in-memory network and the autojump clock.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import ClassVar

import trio
import trio.testing
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from tierkit import Address, Edge, Graph, GraphHandle, Node, Origin, Registry, Relay, check, open_graph
from tierkit.http import HttpClient, Request, Response, serve_http, text_response
from tierkit.plugin import Connection, Context, Running, Service
from tierkit.plugins.hls import HLS
from tierkit.plugins.rtmp import RTMP
from tierkit.rtmp import open_publisher, pull
from tierkit.testing import MemoryNetwork

MAX_TIERS, MAX_DEPTH = 12, 4
PLAYLIST = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:1\n" + "".join(
    f"#EXTINF:4.000,\nmedia_{n}.ts\n" for n in (1, 2, 3)
)
#: A playlist, a segment that stays bytes, and two that become memfds.
OBJECTS: dict[str, bytes] = {"/live/s/chunklist.m3u8": PLAYLIST.encode()} | {
    f"/live/s/media_{n}.ts": random.Random(n).randbytes(size) for n, size in ((1, 30_000), (2, 150_000), (3, 700_001))
}
#: Message n of the stream that is published: a header, a keyframe each 10th picture, sound between.
MESSAGES = [(9, 0, b"\x17\x00\x00\x00\x00configuration"), (8, 0, b"\xaf\x00\x12\x10")] + [
    message
    for n in range(30)
    for message in (
        (9, n * 40, (b"\x17" if n % 10 == 0 else b"\x27") + b"\x01\x00\x00\x00" + random.Random(n).randbytes(900)),
        (8, n * 40 + 20, b"\xaf\x01" + random.Random(-n).randbytes(200)),
    )
]


@frozen
class Files(Service):
    """An origin that serves OBJECTS, slowly enough that everybody asks before the first has an answer."""

    name: ClassVar[str] = "files"
    roles: ClassVar = frozenset({"origin"})
    schemes: ClassVar[tuple[str, ...]] = ("http",)

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        yield _Files()


class _Files(Running):
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def handle(self, connection: Connection) -> None:
        await serve_http(connection, self.answer)

    async def answer(self, request: Request) -> Response:
        child = (request.get(b"via") or b"").decode().rpartition(", ")[2]
        self.asked.append((child, request.path))
        await trio.sleep(0.5)
        if request.path not in OBJECTS:
            return text_response(404, "not here")
        return Response(200, [(b"Cache-Control", b"max-age=60")], OBJECTS[request.path])

    def statistics(self) -> None:
        return None


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A graph whose tiers each pull from one to three nodes of their own kind, above them."""
    roots: dict[str, Node] = {
        "http": Origin("files", listen="http://127.0.0.1:8000", serves=Files()),
        "rtmp": Relay("studio", listen="rtmp://127.0.0.1:1900", serves=RTMP()),
    }
    above: dict[str, list[tuple[Node, int]]] = {kind: [(root, 0)] for kind, root in roots.items()}
    tiers: list[Node] = []
    for number in range(draw(st.integers(1, MAX_TIERS))):
        kind = draw(st.sampled_from(["http", "rtmp"]))
        usable = [(node, depth) for node, depth in above[kind] if depth < MAX_DEPTH]
        chosen = draw(st.lists(st.sampled_from(range(len(usable))), min_size=1, max_size=3, unique=True))
        upstream = tuple(usable[index][0] for index in chosen)
        options = {
            "upstream": upstream,
            "policy": draw(st.sampled_from(["ordered", "hash"])),
            "site": draw(st.sampled_from(["", "dc-a", "dc-b"])),
        }
        if kind == "http":
            tier: Node = Edge(f"edge-{number}", listen=f"127.0.1.{number}:8080", serves=HLS(), **options)
        else:
            tier = Relay(f"relay-{number}", listen=f"127.0.1.{number}:1935", serves=RTMP(), **options)
        tiers.append(tier)
        above[kind].append((tier, 1 + max(usable[index][1] for index in chosen)))
    return Graph.of(*tiers)


def leaves(graph: Graph, role: str) -> list[Node]:
    fed = {id(up) for node in graph for up in node.upstreams}
    return [node for node in graph if node.role == role and id(node) not in fed and node.upstreams]


async def fetch_all(network: MemoryNetwork, address: Address, got: list[dict[str, bytes]]) -> None:
    client = HttpClient(network, trio.current_time)
    found = {}
    for path in OBJECTS:
        async with client.request("GET", address.with_(path=path)) as response:
            assert response.status == 200
            found[path] = await response.read(1 << 20)
    got.append(found)
    client.close()


async def play(network: MemoryNetwork, address: Address, got: list[tuple[int, int, bytes]]) -> None:
    def started():  # type: ignore[no-untyped-def]
        return lambda *message: got.append(message)

    await pull(network, address.with_(path="/live/s"), started=started)


async def run_http(graph: Graph, handle: GraphHandle, network: MemoryNetwork) -> None:
    ends = leaves(graph, "edge")
    if not ends:
        return
    got: list[dict[str, bytes]] = []
    async with trio.open_nursery() as nursery:
        for node in ends:
            for _ in range(2):
                nursery.start_soon(fetch_all, network, handle.addresses(node.name)[0], got)
    assert len(got) == 2 * len(ends)
    assert all(each == OBJECTS for each in got)
    # The origin was asked for each object once by each child, and every edge asked once for each that it has.
    # (Which those are is for the hash to say, where there are several upstreams.)
    files = handle.running("files")["files"]
    assert isinstance(files, _Files)
    assert len(files.asked) == len(set(files.asked))
    for node in graph:
        if node.role == "edge":
            hls = handle.statistics()["tiers"][node.name]["services"]["hls"]
            assert hls["upstream_requests"] == hls["store"]["objects"] <= len(OBJECTS), node.name


async def run_rtmp(graph: Graph, handle: GraphHandle, network: MemoryNetwork) -> None:
    ends = leaves(graph, "relay")
    if not ends:
        return
    got: list[list[tuple[int, int, bytes]]] = []
    before = len(network.connections)
    async with trio.open_nursery() as nursery:
        for node in ends:
            for _ in range(2):
                got.append([])
                nursery.start_soon(play, network, handle.addresses(node.name)[0], got[-1])
        await trio.sleep(2)
        async with open_publisher(network, handle.addresses("studio")[0].with_(path="/live/s")) as publisher:
            for type_id, timestamp, payload in MESSAGES:
                await publisher.send(type_id, timestamp, payload)
                await trio.sleep(0.02)
            await trio.sleep(3)
            pulling = [
                n for n in graph if n.role == "relay" and handle.statistics()["tiers"][n.name]["figures"]["viewers"]
            ]
            children = [node for node in pulling if node.upstreams]
            # One connection for each relay that has viewers, whatever their number; the publisher and players.
            dialled = network.connections[before:]
            assert len(dialled) == len(children) + len(got) + 1
            for node in children:
                figures = handle.statistics()["tiers"][node.name]["figures"]
                assert figures["upstream_connections"] == 1, node.name
            nursery.cancel_scope.cancel()
    for each in got:
        assert [m for m in each if m[0] == 9] == [m for m in MESSAGES if m[0] == 9]
        assert [m for m in each if m[0] == 8] == [m for m in MESSAGES if m[0] == 8]


async def carry(graph: Graph) -> None:
    network = MemoryNetwork()
    async with open_graph(
        graph, network=network, registry=Registry.load(installed=False), drain=0, threads=False
    ) as handle:
        await run_http(graph, handle, network)
        await run_rtmp(graph, handle, network)


@settings(max_examples=60, deadline=None)
@given(graph=graphs())
def test_every_leaf_gets_the_same_bytes_and_each_upstream_is_asked_once(graph: Graph) -> None:
    assert check(graph) == []
    trio.run(partial(carry, graph), clock=trio.testing.MockClock(autojump_threshold=0))
