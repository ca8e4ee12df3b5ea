"""`/metrics` at a control address, with graphs that run."""

from __future__ import annotations

import gzip
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from tierkit import Graph, GraphHandle, Registry, Relay, open_graph
from tierkit.http import HttpClient
from tierkit.plugin import Address
from tierkit.plugins import control, metrics, rtmp
from tierkit.plugins.rtmp import RTMP
from tierkit.testing import MemoryNetwork

from .support import scraped

ADDRESS = Address.parse("http://127.0.0.1:9000/metrics")


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[MemoryNetwork, GraphHandle]]:
    registry = Registry()
    for name, plugin in (("control", control), ("metrics", metrics), ("rtmp", rtmp)):
        registry.add(name, plugin)
    assert registry.failures == []
    network = MemoryNetwork()
    relay = Relay("relay", site="dc-a", listen="rtmp://127.0.0.1:1935", serves=RTMP())
    async with open_graph(Graph.of(relay, control=":9000"), network=network, registry=registry, drain=5) as handle:
        yield network, handle


async def scrape(
    network: MemoryNetwork, *fields: tuple[bytes, bytes], method: str = "GET"
) -> tuple[int, dict[bytes, bytes], bytes]:
    client = HttpClient(network, trio.current_time)
    async with client.request(method, ADDRESS, fields) as response:
        found = response.status, dict(response.headers), await response.read(1 << 20)
    client.close()
    return found


async def test_a_scrape_says_what_the_statistics_say(autojump_clock: MockClock) -> None:
    async with opened() as (network, handle):
        viewer = await network.connect(Address.parse("rtmp://127.0.0.1:1935"))
        await viewer.send_all(b"\x03" + bytes(100))
        await trio.sleep(1)
        status, headers, body = await scrape(network)
        assert status == 200
        assert headers[b"content-type"] == b"text/plain; version=0.0.4; charset=utf-8"
        assert headers[b"vary"] == b"Accept, Accept-Encoding"
        assert headers[b"cache-control"] == b"no-store"
        found, tier = scraped(body.decode()), handle.statistics()["tiers"]["relay"]
        where = {"tier": "relay", "site": "dc-a"}.items()
        door = {*where, ("protocol", "rtmp"), ("scheme", "rtmp")}
        assert found["tierkit_connections", frozenset(door)] == 1
        assert found["tierkit_received_bytes_total", frozenset(door)] == tier["bytes_in"] == 101
        assert found["tierkit_connections_accepted_total", frozenset(where)] == 1
        viewer.close()


async def test_it_is_compressed_for_who_takes_that(autojump_clock: MockClock) -> None:
    async with opened() as (network, _):
        status, headers, body = await scrape(network, (b"Accept-Encoding", b"gzip"))
        assert (status, headers[b"content-encoding"]) == (200, b"gzip")
        assert scraped(gzip.decompress(body).decode())["tierkit_ready", frozenset()] == 1


async def test_openmetrics_for_who_asks(autojump_clock: MockClock) -> None:
    async with opened() as (network, _):
        _, headers, body = await scrape(network, (b"Accept", b"application/openmetrics-text; version=1.0.0"))
        assert headers[b"content-type"] == b"application/openmetrics-text; version=1.0.0; charset=utf-8"
        assert body.endswith(b"# EOF\n")


async def test_a_head_alone(autojump_clock: MockClock) -> None:
    async with opened() as (network, _):
        assert (await scrape(network, method="HEAD"))[::2] == (200, b"")


async def test_without_prometheus_client_it_says_what_to_install(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.startswith(("prometheus_client", metrics.__name__ + "._expo"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    async with opened() as (network, _):
        status, _, body = await scrape(network)
        line = b"metrics need prometheus-client, which is not installed: pip install 'tierkit[metrics]'\n"
        assert (status, body) == (501, line)


async def test_two_graphs_share_nothing(autojump_clock: MockClock) -> None:
    # Which streams have names is remembered for each graph.
    assert metrics.tierkit_companions()[0] is not metrics.tierkit_companions()[0]
