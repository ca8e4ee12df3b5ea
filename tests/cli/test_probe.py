"""Upstreams tried from here: what each resolves to, and why one cannot be used, all at once and in time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest
import trio
import trio.testing
from attrs import frozen

from tierkit import Address, Edge, Graph, Listener, Origin, Probe, Relay, Trust, probe
from tierkit.errors import UpstreamError
from tierkit.plugin import Connection, Context, LiveSource, Source
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP
from tierkit.plugins.wowza import Wowza
from tierkit.testing import MemoryNetwork


def tried(found: list[Probe]) -> list[tuple[str, str, str, str]]:
    return [(each.tier, each.upstream, each.url, each.problem) for each in found]


@pytest.fixture
async def network() -> MemoryNetwork:
    """A network on which a web server and an RTMP server answer at up.example."""
    network = MemoryNetwork()
    for url in ("http://up.example:80", "rtmp://up.example:1935"):
        await network.listen(Listener(Address.parse(url)))
    return network


async def test_each_upstream_by_what_its_tier_pulls(network: MemoryNetwork) -> None:
    web = Origin("web", "http://u:secret@up.example:80/live?token=t")
    wowza = Origin("wowza", "up.example:1935", speaks=Wowza(app="live"))
    gone = Origin("gone", "rtmp://gone.example/")
    graph = Graph.of(
        Edge("edge", listen=":80", upstream=(web, wowza), serves=HLS()),
        Relay("relay", listen=":1935", upstream=wowza, push=gone, serves=RTMP()),
    )
    found = await probe(graph, network=network)
    assert tried(found)[:3] == [
        ("edge", "web", "http://***@up.example:80/live", ""),
        ("edge", "wowza", "http://up.example:1935/live", ""),
        ("relay", "wowza", "rtmp://up.example:1935/live", ""),
    ]
    *_, last = found
    assert (last.tier, last.upstream, last.url) == ("relay", "gone", "rtmp://gone.example/")
    assert "gone.example" in last.problem
    assert not any("secret" in str(each) for each in found)


async def test_tiers_of_this_process_are_not_expected_to_answer_yet(network: MemoryNetwork) -> None:
    studio = Origin("studio", host="up.example", listen=("http://:80", "rtmp://:1935"), serves=Ingest())
    graph = Graph.of(Edge("edge", listen="127.0.0.1:81", upstream=studio, serves=HLS()))
    assert await probe(graph, network=network) == []
    assert tried(await probe(graph.only("edge"), network=network)) == [("edge", "studio", "http://up.example:80/", "")]
    off = Graph.of(Edge("edge", listen=":81", upstream=Origin("s", listen="http://:0", serves=Ingest()), serves=HLS()))
    (found,) = await probe(off.only("edge"), network=network)
    assert (found.url, found.problem) == ("", "upstream s: has no address for http yet: is it running?")


class Odd(LiveSource):
    schemes = frozenset({"http"})

    def __init__(self, how: str) -> None:
        self.how = how

    async def target(self, path: str, schemes: object) -> Address:
        if self.how == "sleeps":
            await trio.sleep_forever()
        raise UpstreamError("odd", f"does not know {path}")


@frozen
class OddSource(Source):
    name: ClassVar[str] = "odd"
    schemes = ("http",)

    how: str = ""

    @asynccontextmanager
    async def open(self, origin: Origin, ctx: Context) -> AsyncIterator[LiveSource]:
        if self.how == "broken":
            raise RuntimeError("a plugin's own mistake")
        yield Odd(self.how)


async def test_what_goes_wrong_is_that_upstreams_problem_alone(
    network: MemoryNetwork, autojump_clock: trio.testing.MockClock
) -> None:
    def odd(how: str) -> Origin:
        return Origin(how, "up.example", speaks=OddSource(how))

    web = Origin("web", "http://up.example")
    graph = Graph.of(
        Edge("edge", listen=":80", upstream=(odd("sleeps"), odd("refuses"), odd("broken"), web), serves=HLS())
    )
    found = await probe(graph, network=network, seconds=3)
    assert tried(found) == [
        ("edge", "sleeps", "", "no answer within 3 s"),
        ("edge", "refuses", "", "upstream odd: does not know /"),
        ("edge", "broken", "", "RuntimeError: a plugin's own mistake"),
        ("edge", "web", "http://up.example/", ""),
    ]
    assert [each.seconds for each in found] == [3.0, 0.0, 0.0, 0.0]


async def test_an_upstreams_certificate_is_verified_as_the_plan_says(network: MemoryNetwork) -> None:
    asked: list[Trust | None] = []

    class Watched(MemoryNetwork):
        async def connect(self, address: Address, *, trust: Trust | None = None) -> Connection:
            asked.append(trust)
            return await network.connect(Address.parse("http://up.example:80"))

    trust = Trust(server_name="other.example")
    graph = Graph.of(Edge("edge", listen=":80", upstream=Origin("o", "https://x", trust=trust), serves=HLS()))
    assert tried(await probe(graph, network=Watched())) == [("edge", "o", "https://x/", "")]
    assert asked == [trust]
