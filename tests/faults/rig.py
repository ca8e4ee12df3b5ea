"""A whole graph with witnesses: people who watch while something goes wrong, and what must be as before behind it.

An embedded origin (RTMP and HTTP), an HLS edge, an RTMP relay and a control address, on the network in memory or
on this machine's sockets.  A publisher sends a small signal in real (virtual) time; a `PlaylistWitness` at the edge
and a `StreamWitness` at the relay keep all that they get, and `check` it to the byte against what was published.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import cache

import m3u8
import trio
from attrs import define, field

from tests.core.fakes import Record
from tests.packaging.media import frames
from tierkit import Address, Edge, Graph, GraphHandle, Node, Origin, Registry, Relay, open_graph
from tierkit.errors import UpstreamError
from tierkit.events import (
    ConnectionFailed,
    Dropped,
    Event,
    Refused,
    StreamFault,
    TierFailed,
    UpstreamBack,
    UpstreamLost,
)
from tierkit.http import HttpClient
from tierkit.plugin import Network, Observer
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP
from tierkit.rtmp import Publisher, open_publisher, pull
from tierkit.testing import MemoryNetwork
from tierkit.testing.signal import TestSignal

#: Everything that tells of trouble; the rest of the events tells of the usual coming and going.
TROUBLE = (ConnectionFailed, Dropped, Refused, StreamFault, TierFailed, UpstreamLost, UpstreamBack)
AUDIO, VIDEO, DATA = 8, 9, 18
#: Milliseconds of `loop()`, after which it begins again.
LOOP = 8000
CONTROL = "http://control.example:9000"

Message = tuple[int, int, bytes]


@cache
def loop() -> tuple[list[Message], list[Message]]:
    """A signal's headers, and `LOOP` ms of its frames: ten small pictures a second, a keyframe each second."""
    wanted = TestSignal(width=128, height=72, fps=10, gop=1.0, video_bitrate=60_000, audio=False)
    tags = [(tag.type_id, tag.timestamp, tag.payload) for tag in wanted.messages(LOOP / 1000)]
    pictures = [each for each in tags if each[0] == VIDEO and each[2][1] == 1]
    assert len(pictures) == LOOP // 100
    return [each for each in tags if each not in pictures and each[1] == 0], pictures


def signal() -> Iterator[Message]:
    """The signal without an end."""
    headers, pictures = loop()
    yield from headers
    start = 0
    while True:
        for index, (kind, _, payload) in enumerate(pictures):
            yield kind, start + index * 100, payload
        start += LOOP


async def send_signal(publisher: Publisher, sent: list[bytes], *, seconds: float = float("inf")) -> None:
    """Send the signal as it is due, and note each picture."""
    start = trio.current_time()
    for kind, at, payload in signal():
        if at >= seconds * 1000:
            return
        await trio.sleep_until(start + at / 1000)
        await publisher.send(kind, at, payload)
        if kind == VIDEO and payload[1] == 1:
            sent.append(payload)


def studio(**options: object) -> Origin:
    doors = ("rtmp://studio.example:1935", "http://studio.example:80")
    return Origin("studio", host="studio.example", listen=doors, serves=Ingest(segment=1, **options))  # type: ignore[arg-type]


def plan(*more: Node, origin: Origin | None = None) -> Graph:
    """The graph that all faults happen to."""
    origin = origin or studio()
    edge = Edge("edge", host="edge.example", listen="http://edge.example:80", upstream=origin, serves=HLS())
    relay = Relay("relay", host="relay.example", listen="rtmp://relay.example:1935", upstream=origin, serves=RTMP())
    return Graph.of(edge, relay, *more, control=CONTROL)


class StreamWitness:
    """Plays one stream by RTMP and keeps every picture."""

    def __init__(self) -> None:
        self.pictures: list[bytes] = []
        self.ended = ""

    async def watch(self, network: Network, url: Address) -> None:
        def take(kind: int, _: int, payload: bytes) -> None:
            if kind == VIDEO and payload[1] == 1:
                self.pictures.append(payload)

        try:
            self.ended = await pull(network, url, started=lambda: take)
        except UpstreamError as error:
            self.ended = str(error)

    def check(self, sent: list[bytes]) -> None:
        """It plays on, and has every picture from its first one (a keyframe) to about the last one sent."""
        assert self.ended == ""
        assert self.pictures, "it has got nothing"
        # The loop repeats, so where it began is told from how far it has come, to a second.
        ends = [len(sent) - behind for behind in range(10)]
        assert any(sent[end - len(self.pictures) : end] == self.pictures for end in ends), "it has lost something"


class PlaylistWitness:
    """Plays one stream by HLS as players do, and keeps every segment."""

    def __init__(self) -> None:
        self.segments: dict[int, bytes] = {}
        self.problems: list[str] = []

    async def watch(self, client: HttpClient, url: Address) -> None:
        while True:
            text = await self._get(client, url.with_(path=f"{url.path}/chunklist.m3u8"))
            listed = m3u8.loads((text or b"").decode())
            for index, segment in enumerate(listed.segments):
                number = (listed.media_sequence or 0) + index
                if number not in self.segments:
                    data = await self._get(client, url.with_(path=f"{url.path}/{segment.uri}"))
                    if data is not None:
                        self.segments[number] = data
            await trio.sleep(0.5)

    async def _get(self, client: HttpClient, url: Address) -> bytes | None:
        try:
            async with client.request("GET", url) as response:
                body = await response.read(1 << 20)
                if response.status == 200:
                    return body
                self.problems.append(f"{url.path}: {response.status}")
        except UpstreamError as error:
            self.problems.append(f"{url.path}: {error}")
        return None

    def check(self, *, gaps: int = 0) -> None:
        """It has every segment since its first one, and they hold one picture each tenth of a second."""
        assert self.problems == []
        numbers = sorted(self.segments)
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        found = [frame for number in numbers for frame in frames(self.segments[number])]
        steps = [(b.dts - a.dts) % 2**33 for a, b in itertools.pairwise(found)]
        assert len([step for step in steps if step != 9000]) <= gaps


@define
class Scene:
    """What a test sees."""

    network: Network
    handle: GraphHandle
    events: Record
    #: Every picture that was published.
    sent: list[bytes] = field(factory=list)
    publisher: Publisher | None = None
    stream: StreamWitness = field(factory=StreamWitness)
    playlist: PlaylistWitness = field(factory=PlaylistWitness)
    #: Connections and tasks before the fault.
    before: tuple[int, int] = (0, 0)
    told: int = 0

    @property
    def memory(self) -> MemoryNetwork:
        assert isinstance(self.network, MemoryNetwork)
        return self.network

    def url(self, tier: str, path: str = "", scheme: str = "") -> Address:
        return Address.parse(self.handle.url(tier, path, scheme=scheme))

    def troubles(self) -> list[str]:
        """What observers were told of since the scene was set, as a person reads it."""
        return [event.text for event in self._troubles()]

    def _troubles(self) -> list[Event]:
        return [event for event in self.events[self.told :] if isinstance(event, TROUBLE)]

    async def line(self, tier: str = "") -> str:
        """The one line of trouble, once it is there; a second one fails the test."""
        with trio.move_on_after(90):
            while not self._troubles():
                await trio.sleep(0.1)
        lines = self.troubles()
        assert len(lines) == 1, lines
        assert "\n" not in lines[0]
        if tier:
            assert self._troubles()[0].tier == tier
        return lines[0]

    async def undisturbed(self, seconds: float = 4, *, gaps: int = 0) -> None:
        """Everybody watches on, gets all there is, and nothing is left of the fault.

        `gaps` is how often the publisher itself was away.
        """
        pictures, segments = len(self.stream.pictures), len(self.playlist.segments)
        await trio.sleep(seconds)
        assert len(self.stream.pictures) - pictures >= (seconds - 1) * 10
        assert len(self.playlist.segments) - segments >= seconds - 2
        self.stream.check(self.sent)
        self.playlist.check(gaps=gaps)
        await self.as_before()
        await self.same_as_at_the_origin()

    async def same_as_at_the_origin(self) -> None:
        """What the edge has served is, to the byte, what the origin serves, as far as it still has it."""
        client, same = HttpClient(self.network, trio.current_time), 0
        for number, data in sorted(self.playlist.segments.items())[-5:]:
            status, body = await get(client, self.url("studio", f"/live/s/media_{number}.ts", "http"))
            assert status == 404 or body == data
            same += status == 200
        client.close()
        assert same >= 3

    async def as_before(self) -> None:
        """No connection and no task more than before the fault; what is about to end has the time to."""
        with trio.move_on_after(90):
            while any(now > before for now, before in zip(self.count(), self.before, strict=True)):
                await trio.sleep(0.25)
        connections, tasks = self.count()
        assert connections <= self.before[0], f"connections are left behind: {self.open()}"
        assert tasks <= self.before[1], f"tasks are left behind: {task_names()}"

    async def settle(self) -> None:
        """What is there over two seconds is what is to be there behind the fault."""
        # An edge asks for a playlist and a segment at the same time now and then: let it have those connections.
        client = HttpClient(self.network, trio.current_time)
        async with trio.open_nursery() as nursery:
            for name in ("nothing_1.ts", "nothing_2.ts"):
                nursery.start_soon(get, client, self.url("edge", f"/live/s/{name}"))
        client.close()
        self.told = len(self.events)
        for _ in range(40):
            self.before = max(self.before[0], self.count()[0]), max(self.before[1], self.count()[1])
            await trio.sleep(0.05)
        assert self.troubles() == []

    def open(self) -> list[str]:
        """The connections that are open, where the network is in memory."""
        found = self.network.connections if isinstance(self.network, MemoryNetwork) else []
        return [f"{each.source} to {each.address}" for each in found if each.open]

    def count(self) -> tuple[int, int]:
        return self.network.descriptors.connections, len(task_names())


async def get(client: HttpClient, url: Address) -> tuple[int, bytes]:
    """Status and body."""
    async with client.request("GET", url) as response:
        return response.status, await response.read(64 << 20)


def task_names() -> list[str]:
    """Every task of this run."""
    found: list[str] = []
    root = trio.lowlevel.current_root_task()
    rest = [root] if root is not None else []
    while rest:
        task = rest.pop()
        found.append(task.name)
        rest += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return found


@asynccontextmanager
async def opened(
    graph: Graph, network: Network | None = None, *, observers: Sequence[Observer] = ()
) -> AsyncIterator[Scene]:
    """The graph at work; nobody publishes and nobody watches yet."""
    events = Record()
    network = network or MemoryNetwork()
    options = {"registry": Registry.load(), "observers": [events, *observers], "drain": 0, "jitter": lambda: 0.5}
    async with open_graph(graph, network=network, threads=False, **options) as handle:  # type: ignore[arg-type]
        yield Scene(network, handle, events)


async def publish(scene: Scene) -> None:
    """Publish the signal until cancelled; as encoders do, once more when the connection is lost."""
    url = scene.url("studio", "/live/s", "rtmp")
    while True:
        try:
            async with open_publisher(scene.network, url) as scene.publisher:
                await send_signal(scene.publisher, scene.sent)
        except UpstreamError:
            await trio.sleep(1)


@asynccontextmanager
async def watched(
    graph: Graph | None = None, network: Network | None = None, *, lead: float = 4, observers: Sequence[Observer] = ()
) -> AsyncIterator[Scene]:
    """The graph at work, on air for `lead` seconds and watched at the edge and at the relay."""
    async with opened(graph or plan(), network, observers=observers) as scene, trio.open_nursery() as nursery:
        client = HttpClient(scene.network, trio.current_time)
        nursery.start_soon(publish, scene)
        await trio.sleep(2.5)
        nursery.start_soon(scene.stream.watch, scene.network, scene.url("relay", "/live/s"))
        nursery.start_soon(scene.playlist.watch, client, scene.url("edge", "/live/s"))
        await trio.sleep(lead - 2)
        await scene.settle()
        assert scene.stream.pictures
        assert scene.playlist.segments
        yield scene
        nursery.cancel_scope.cancel()
        client.close()
