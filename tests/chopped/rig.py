"""Three edges before one origin in memory, one of them throttled in some way, with players who know the truth."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import trio
from attrs import define, field, frozen

from tests.chopped.players import Player
from tests.core.rig import opened
from tests.support_http import open_server
from tierkit import Edge, Graph, Origin
from tierkit._serve import GraphHandle
from tierkit.codecs.hls import MediaPlaylist, Segment
from tierkit.codecs.viewings import Line, Viewing
from tierkit.http import BodySink, Request, Response
from tierkit.plugin import Connection
from tierkit.plugins.hls import HLS
from tierkit.testing import MemoryNetwork

#: Segments in a playlist.
WINDOW = 8
#: Seconds between two portions of what is let through.
TICK = 0.05


@define
class Link:
    """How fast something is, bytes per second, and when it is not there at all (from, to)."""

    rate: float = 50e6
    outages: tuple[tuple[float, float], ...] = ()

    def allowance(self, now: float) -> float:
        """Bytes until the next tick."""
        return 0.0 if any(begin <= now < end for begin, end in self.outages) else self.rate * TICK


@define
class LiveOrigin:
    """Streams without end, whose segments go to each edge at the pace of its uplink."""

    target: float
    size: int
    uplinks: dict[str, Link] = field(factory=dict)
    #: From when to when nothing new is published.
    silences: tuple[tuple[float, float], ...] = ()
    #: Seconds by which the playlist is old that a tier gets.
    behind: dict[str, float] = field(factory=dict)
    _begun: float = field(factory=trio.current_time)

    async def __call__(self, request: Request) -> Response:
        name, via = request.path.rpartition("/")[2], request.get(b"via") or b""
        if name == "playlist.m3u8":
            old = next((each for edge, each in self.behind.items() if edge.encode() in via), 0.0)
            return Response(200, [(b"Content-Type", b"application/vnd.apple.mpegurl")], self.playlist(old))
        link = next((each for edge, each in self.uplinks.items() if edge.encode() in via), None)
        headers = [(b"Content-Type", b"video/MP2T")]
        if link is None:
            return Response(200, headers, bytes(self.size))

        async def body(sink: BodySink) -> None:
            left = self.size
            while left:
                count = min(left, int(link.allowance(trio.current_time())))
                if count:
                    await sink.write(bytes(count))
                left -= count
                await trio.sleep(TICK)

        return Response(200, headers, body, self.size)

    def playlist(self, old: float = 0.0) -> bytes:
        now = trio.current_time() - old
        lost = sum(max(0.0, min(now, end) - begin) for begin, end in self.silences if now > begin)
        newest = 100 + WINDOW + int((now - self._begun - lost) / self.target)
        first = newest - WINDOW
        segments = [Segment(uri=f"media_{first + i}.ts", duration=self.target) for i in range(WINDOW)]
        return MediaPlaylist(segments=segments, media_sequence=first, target_duration=int(self.target + 0.5)).render()


@frozen
class Score:
    """How far what was inferred agrees with the truth."""

    right: int
    wrong: int
    missed: int
    healthy: int

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.right + other.right, self.wrong + other.wrong, self.missed + other.missed, self.healthy + other.healthy
        )


@define(eq=False)
class Bench:
    """The three edges, and who watches."""

    network: MemoryNetwork
    origin: LiveOrigin
    handle: GraphHandle
    nursery: trio.Nursery
    random: Random
    players: list[tuple[str, Player]] = field(factory=list)
    #: By edge: ports and session identities of those that it takes for chopped.
    ports: dict[str, set[int]] = field(factory=dict)
    standing: dict[str, Callable[[], set[int]]] = field(factory=dict)

    def watch(self, edge: str) -> None:
        """Write down whose picture an edge sees come to stand still."""
        ports = self.ports[edge] = set()
        lines: dict[Line, int] = {}
        watch = self.handle.running(edge)["hls"].flow.watch  # type: ignore[attr-defined]
        came = watch.came

        def noted(connection: Connection) -> Line:
            line: Line = came(connection)
            lines[line] = connection.peer.port
            return line

        def told(view: Viewing) -> None:
            ports.add(lines[view.line])

        watch.came, watch.rebuffering.told = noted, told
        # Whose picture stands still in the end counts as well, though that may yet turn out to be a pause.
        self.standing[edge] = lambda: {lines[each.line] for each in watch.rebuffering.viewings() if each.stands}

    def add(self, edge: str, **about: object) -> Player:
        """One more, from now on."""
        number = len(self.players)
        (address, *_) = self.handle.addresses(edge)
        about = {"source": f"192.0.2.{number % 200 + 1}", "streams": ("a", "b"), "random": self.random, **about}
        player = Player(network=self.network, base=str(address), **about)  # type: ignore[arg-type]
        self.players.append((edge, player))
        self.nursery.start_soon(player.watch)
        return player

    def score(self) -> Score:
        """Who was chopped, and who was taken for it."""
        right = wrong = missed = healthy = 0
        for edge, player in self.players:
            player.leave()
            told = bool(player.ports & (self.ports[edge] | self.standing[edge]()))
            right += bool(player.stalls) and told
            wrong += not player.stalls and told
            missed += bool(player.stalls) and not told
            healthy += not player.stalls and not told
        return Score(right, wrong, missed, healthy)

    async def pace(self, edge: str, link: Callable[[int], Link]) -> None:
        """Let what an edge has put into the kernel leave no faster than a link of each connection's own does."""
        links: dict[int, Link] = {}
        while True:
            now = trio.current_time()
            (address, *_) = self.handle.addresses(edge)
            for dialled in self.network.connections:
                if dialled.door.address.port != address.port:
                    continue
                pipe = dialled._down
                own = links.setdefault(dialled.source.port, link(dialled.source.port))
                portion = own.allowance(now)
                pipe.allowed = int(min((pipe.allowed or 0) + portion, max(2 * portion, 4096 if portion else 0)))
                pipe.changed.unpark_all()
            await trio.sleep(TICK)


@asynccontextmanager
async def three_edges(
    random: Random, *, target: float = 2.0, size: int = 60_000, uplinks: dict[str, Link] | None = None,
    silences: tuple[tuple[float, float], ...] = (),
) -> AsyncIterator[Bench]:  # fmt: skip
    """edge-1, edge-2 and edge-3 before an origin."""
    network = MemoryNetwork()
    fake = LiveOrigin(target, size, uplinks or {}, silences)
    origin = Origin("origin", "http://origin.example:80")
    edges = [
        Edge(f"edge-{n}", upstream=origin, listen=f"http://:{8080 + n}", serves=HLS(ignore_query=("CMCD",)))
        for n in (1, 2, 3)
    ]
    async with (
        open_server(network, fake, "http://origin.example:80"),
        opened(Graph.of(*edges), network=network, drain=0.1) as rig,
        trio.open_nursery() as nursery,
    ):
        bench = Bench(network, fake, rig.handle, nursery, random)
        for edge in edges:
            bench.watch(edge.name)
        yield bench
        nursery.cancel_scope.cancel()


Arrange = Callable[[Bench], Awaitable[None]]
