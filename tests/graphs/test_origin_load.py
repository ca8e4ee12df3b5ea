"""What the origin really serves when four tiers have four hundred viewers: counted by a proxy before it."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
import trio

from tests.ports import free_port
from tierkit import Address, Edge, Graph, GraphHandle, Origin, Relay, open_graph
from tierkit.load import Report, run_hls, run_rtmp
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP
from tierkit.rtmp import open_publisher
from tierkit.testing.counting import CountingProxy, open_counting_proxy
from tierkit.testing.signal import TestSignal

EDGES = ("edge-a1", "edge-a2", "edge-b1")
PLAYLIST = "/live/s/playlist.m3u8"
SECONDS = 10


async def publish(handle: GraphHandle) -> None:
    url = next(each for each in handle.addresses("studio") if each.scheme == "rtmp")
    signal = TestSignal(width=320, height=180, video_bitrate=300_000)
    async with open_publisher(handle.network, url.with_(path="/live/s")) as publisher:
        await signal.play(lambda tag: publisher.send(tag.type_id, tag.timestamp, tag.payload))


async def until_segments(handle: GraphHandle, count: int = 3) -> None:
    """Until the origin lists that many segments, as a player of a live stream wants them."""
    from tierkit.http import HttpClient

    client = HttpClient(handle.network, trio.current_time)
    base = next(each for each in handle.addresses("studio") if each.scheme == "http")
    with trio.fail_after(30):
        while True:
            async with client.request("GET", base.with_(path="/live/s/chunklist.m3u8")) as response:
                body = await response.read(1 << 20)
            if response.status == 200 and body.count(b"#EXTINF") >= count:
                return client.close()
            await trio.sleep(0.2)


def tiers(http: CountingProxy, rtmp: CountingProxy) -> Graph:
    edge = partial(
        Edge,
        upstream=Origin("origin-http", f"http://{http.address.authority}"),
        serves=HLS(cache_bytes=64 << 20),
        listen="127.0.0.1:0",
    )
    origin = Origin("origin-rtmp", f"rtmp://{rtmp.address.authority}")
    return Graph.of(
        *(edge(name) for name in EDGES), Relay("relay-a", upstream=origin, serves=RTMP(), listen="127.0.0.1:0")
    )


async def watch_all(handle: GraphHandle) -> dict[str, Report]:
    found: dict[str, Report] = {}

    async def hls(name: str, viewers: int) -> None:
        found[name] = await run_hls(handle.url(name, PLAYLIST), viewers=viewers, seconds=SECONDS, ramp=1)

    async def rtmp(name: str) -> None:
        found[name] = await run_rtmp(handle.url(name, "/live/s"), viewers=200, seconds=SECONDS, ramp=1)

    async with trio.open_nursery() as nursery:
        for name, viewers in zip(EDGES, (67, 67, 66), strict=True):
            nursery.start_soon(hls, name, viewers)
        nursery.start_soon(rtmp, "relay-a")
    return found


@pytest.mark.timeout(120)
async def test_four_hundred_viewers_are_four_clients() -> None:
    studio = Origin("studio", listen=("rtmp://127.0.0.1:0", "http://127.0.0.1:0"), serves=Ingest())
    async with open_graph(Graph.of(studio), drain=0) as origin, trio.open_nursery() as nursery:
        nursery.start_soon(publish, origin)
        by = {each.scheme: each for each in origin.addresses("studio")}
        async with open_counting_proxy(by["http"]) as http, open_counting_proxy(by["rtmp"]) as rtmp:
            await until_segments(origin)
            async with open_graph(tiers(http, rtmp), drain=0) as handle:
                reports = await watch_all(handle)
                # Counted while everybody is connected: one connection for each edge, one RTMP player.
                assert rtmp.plays == ["live/s"]
            assert_once_per_edge(http)
        nursery.cancel_scope.cancel()

    for name, report in reports.items():
        assert not report.errors, (name, report)
        assert report.bytes > report.viewers * 300_000 / 8 * SECONDS * 0.5, (name, report)


def assert_once_per_edge(http: CountingProxy) -> None:
    """Each version of a playlist and each segment has been served once for each edge, whatever its viewers."""
    served = [each for each in http.requests if each.status == 200]
    assert {each.status for each in http.requests} <= {200, 304}
    times = Counter((each.headers.get("via", ""), each.target, each.sha256) for each in served)
    assert len({via for via, _, _ in times}) == len(EDGES)
    assert {key: count for key, count in times.items() if count > 1} == {}
    segments = {target for _, target, _ in times if target.endswith(".ts")}
    assert len(segments) >= SECONDS / 2
    # And no segment was ever asked for twice by one edge, not even to be told that it has not changed.
    asked = Counter((each.headers.get("via", ""), each.target) for each in http.requests if each.target in segments)
    assert set(asked.values()) == {1}


async def test_three_edges_on_one_port_are_fed_by_a_shield() -> None:
    port = free_port()
    studio = Origin("studio", listen=("rtmp://127.0.0.1:0", "http://127.0.0.1:0"), serves=Ingest())
    shield = Edge("shield", upstream=studio, listen="127.0.0.5:0", serves=HLS(cache_bytes=64 << 20))
    edges = [
        Edge(f"edge-{n}", upstream=shield, listen=f"127.0.0.{n}:{port}", serves=HLS(cache_bytes=64 << 20))
        for n in (2, 3, 4)
    ]
    async with open_graph(Graph.of(*edges), drain=0) as handle, trio.open_nursery() as nursery:
        nursery.start_soon(publish, handle)
        await until_segments(handle)
        for n in (2, 3, 4):
            address = Address.parse(f"http://127.0.0.{n}:{port}{PLAYLIST}")
            report = await run_hls(address, viewers=3, seconds=3)
            assert not report.errors, report
            assert report.bytes > 0
        assert handle.statistics()["tiers"]["studio"]["connections"] <= 6  # the publisher, and the shield's
        nursery.cancel_scope.cancel()
