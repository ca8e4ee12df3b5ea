"""Tiers before a stand-in, in memory, and viewers who watch as players do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urljoin

import trio
from attrs import define, field

from tests.core.fakes import Record
from tierkit import Address, Edge, Graph, Listener, Origin, Relay
from tierkit._registry import Registry
from tierkit._serve import GraphHandle, open_graph
from tierkit.codecs.http1 import Headers
from tierkit.events import UpstreamFound
from tierkit.http import HttpClient
from tierkit.plugin import Bound, Connection, Network, Trust
from tierkit.plugins.hls import HLS
from tierkit.plugins.rtmp import RTMP
from tierkit.plugins.wowza import Wowza
from tierkit.testing import MemoryNetwork
from tierkit.testing.wowza import StandIn, Tag, open_wowza

PLAYLIST = "/live/myStream/playlist.m3u8"
ONE_BYTE: Headers = ((b"Range", b"bytes=0-0"),)


#: What tests of the adapter have relied on that is only assumed of Wowza; see conftest.py.
RELIED: set[str] = set()


@asynccontextmanager
async def wowza(**options: Any) -> AsyncIterator[StandIn]:
    """A stand-in; what a test relies on of it is noted."""
    async with open_wowza(**options) as made:
        try:
            yield made
        finally:
            RELIED.update(each.name for each in made.log.relied_on if each.tag is Tag.assumed)


class Machine(Network):
    """A network in memory, as one machine of it sees it: others see who dials."""

    def __init__(self, network: MemoryNetwork, host: str) -> None:
        self.descriptors = network.descriptors
        self._network = network
        self._host = host

    async def listen(self, listener: Listener, *, backlog: int = 1024, send_lowat: int = 131072) -> Bound:
        return await self._network.listen(listener, backlog=backlog, send_lowat=send_lowat)

    async def connect(self, address: Address, *, trust: Trust | None = None) -> Connection:
        return await self._network.connect(address, trust=trust, source=self._host)


@define
class Tiers:
    """Edges, each a machine of its own."""

    network: MemoryNetwork
    handles: dict[str, GraphHandle] = field(factory=dict)
    events: Record = field(factory=Record)

    def address(self, edge: str, scheme: str = "http") -> Address:
        return next(each for each in self.handles[edge].addresses(edge) if each.scheme == scheme)

    def source(self, edge: str) -> dict[str, Any]:
        """What an edge's source tells of the server."""
        found: dict[str, Any] = self.handles[edge].statistics()["tiers"][edge]["upstreams"][0]["source"]
        return found

    @property
    def found(self) -> list[str]:
        return [each.found for each in self.events if isinstance(each, UpstreamFound)]


@asynccontextmanager
async def edges(
    network: MemoryNetwork,
    *stand_ins: StandIn,
    count: int = 3,
    recipe: dict[str, Any] | None = None,
    relay: bool = False,
    **options: Any,
) -> AsyncIterator[Tiers]:
    """So many edges that pull from a stand-in, or from several in order, and a relay where it is wanted."""
    origins = [
        Origin(f"wowza{number}", str(each.address), speaks=Wowza(**(recipe or {"app": "live"})))
        for number, each in enumerate(stand_ins)
    ]
    made = Tiers(network)
    async with AsyncExitStack() as stack:
        tiers: list[Edge | Relay] = [
            Edge(
                name,
                host=f"{name}.example",
                listen=f"http://{name}.example:80",
                upstream=tuple(origins),
                serves=HLS(cache_bytes=64 << 20, **options),
            )
            for name in (f"edge{number}" for number in range(1, count + 1))
        ]
        if relay:
            listen = "rtmp://relay.example:1935"
            tiers.append(Relay("relay", host="relay.example", listen=listen, upstream=tuple(origins), serves=RTMP()))
        for number, tier in enumerate(tiers, 1):
            made.handles[tier.name] = await stack.enter_async_context(
                open_graph(
                    Graph.of(tier),
                    network=Machine(network, f"10.0.0.{number}"),
                    registry=Registry(),
                    threads=False,
                    jitter=lambda: 0.5,
                    observers=[made.events],
                )
            )
        yield made


@define
class Watcher:
    """A viewer of HLS: the master playlist once, the chunklist every half target duration, each segment once."""

    client: HttpClient
    base: Address
    #: Takes one byte of each segment: what it asks for is the same, and a crowd costs less.
    sips: bool = False
    #: What went wrong, in words.
    trouble: list[str] = field(factory=list)
    #: Segments by their media sequence number.
    segments: dict[int, bytes] = field(factory=dict)
    #: Numbers of segments that do not continue the one before, and the newest EXT-X-DISCONTINUITY-SEQUENCE.
    breaks: set[int] = field(factory=set)
    broken: int = 0
    requests: int = 0
    #: Names of all that it was given.
    names: set[str] = field(factory=set)

    async def get(self, path: str, headers: Headers = ()) -> tuple[int, bytes]:
        only, _, query = path.partition("?")
        self.requests += 1
        self.names.add(only.rpartition("/")[2])
        async with self.client.request("GET", self.base.with_(path=only, query=query), headers) as response:
            return response.status, await response.read(1 << 24)

    async def playlist(self, path: str) -> list[str]:
        status, body = await self.get(path)
        if status != 200:
            self.trouble.append(f"{trio.current_time():.1f}: {path}: {status}")
            return []
        return body.decode().splitlines()

    async def watch(self, seconds: float, path: str = PLAYLIST) -> None:
        until = trio.current_time() + seconds
        master = await self.playlist(path)
        listed = [each for each in master if each and not each.startswith("#")]
        while listed and trio.current_time() < until:
            lines = await self.playlist(chunklist := urljoin(path, listed[0]))
            await self._take(chunklist, lines)
            await trio.sleep(_half_target(lines))

    async def _take(self, chunklist: str, lines: Sequence[str]) -> None:
        number = next((int(each.partition(":")[2]) for each in lines if each.startswith("#EXT-X-MEDIA-SEQUENCE")), 0)
        for line in lines:
            if line == "#EXT-X-DISCONTINUITY":
                self.breaks.add(number)
            elif line.startswith("#EXT-X-DISCONTINUITY-SEQUENCE:"):
                self.broken = int(line.partition(":")[2])
            elif line and not line.startswith("#"):
                await self._segment(number, line, urljoin(chunklist, line))
                number += 1

    async def _segment(self, number: int, uri: str, path: str) -> None:
        if number in self.segments:
            return
        status, body = await self.get(path, ONE_BYTE if self.sips else ())
        if status == (206 if self.sips else 200):
            self.segments[number] = body
        else:
            self.trouble.append(f"{trio.current_time():.1f}: {uri}: {status}")


def _half_target(lines: Sequence[str]) -> float:
    return next((int(each.partition(":")[2]) / 2 for each in lines if each.startswith("#EXT-X-TARGETDURATION")), 2.0)


@asynccontextmanager
async def crowd(tiers: Tiers, count: int, *, whole: int = 1) -> AsyncIterator[list[Watcher]]:
    """So many viewers, spread over the edges; one in `whole` takes segments whole."""
    clients = []
    watchers = []
    names = [each for each in tiers.handles if each != "relay"]
    for number in range(count):
        client = HttpClient(Machine(tiers.network, f"198.51.100.{number % 250}"), trio.current_time)
        clients.append(client)
        watchers.append(Watcher(client, tiers.address(names[number % len(names)]), number % whole != 0))
    try:
        yield watchers
    finally:
        for each in clients:
            each.close()
