"""A graph in one process drains from its viewers upwards: who still serves somebody still has its upstream."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from tierkit import Edge, Graph, Origin, Registry, open_graph
from tierkit.events import Event, TierStopped
from tierkit.plugins.hls import HLS
from tierkit.testing import MemoryNetwork

from .test_any_graph import OBJECTS, Files

REQUEST = b"GET /live/s/media_2.ts HTTP/1.1\r\nHost: edge\r\n\r\n"


async def test_a_viewer_who_drains_still_gets_what_must_be_fetched(autojump_clock: MockClock) -> None:
    network, told = MemoryNetwork(), list[Event]()
    origin = Origin("files", listen="http://127.0.0.1:8000", serves=Files())
    edge = Edge("edge", upstream=origin, listen="127.0.0.1:8080", serves=HLS())
    registry = Registry.load(installed=False)
    got = bytearray()
    async with trio.open_nursery() as nursery:
        async with open_graph(Graph.of(edge), network=network, registry=registry, observers=[told.append]) as handle:
            viewer = await network.connect(handle.addresses("edge")[0])
            # Half a request keeps the tier; the other half comes when everything drains already.
            await viewer.send_all(REQUEST[:9])

            async def go_on() -> None:
                await trio.sleep(1)
                await viewer.send_all(REQUEST[9:])
                while data := await viewer.recv():
                    got.extend(data)

            nursery.start_soon(go_on)
            await trio.sleep(0.1)
        began = trio.current_time()
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert got.endswith(OBJECTS["/live/s/media_2.ts"])
    assert trio.current_time() - began < 5
    assert [event.tier for event in told if isinstance(event, TierStopped)] == ["edge", "files"]


async def test_the_deadline_is_one_for_all(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()
    origin = Origin("files", listen="http://127.0.0.1:8000", serves=Files())
    edge = Edge("edge", upstream=origin, listen="127.0.0.1:8080", serves=HLS())
    registry = Registry.load(installed=False)
    async with open_graph(Graph.of(edge), network=network, registry=registry, drain=3) as handle:
        # In the middle of a request neither is idle: both hold their tier until the deadline.
        held = [await network.connect(handle.addresses(name)[0]) for name in ("edge", "files")]
        for each in held:
            await each.send_all(b"GET /")
        await trio.sleep(0.1)
        left = trio.current_time()
    assert 2.9 < trio.current_time() - left < 3.2
    for each in held:
        each.close()
