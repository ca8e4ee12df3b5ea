"""Upstreams that are not there yet, that go away, and that break off in the middle of a segment."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

from tests.rtmp.rig import viewer
from tests.support_http import Viewer, open_server
from tierkit import Edge, Graph, Origin
from tierkit.errors import ConnectionLost, UpstreamError
from tierkit.http import BodySink, HttpClient, Request, Response
from tierkit.plugins.hls import HLS

from .rig import PlaylistWitness, Scene, get, opened, plan, publish, watched

DOORS = ("http://studio.example:80", "rtmp://studio.example:1935")
SEGMENT = random.Random(3).randbytes(400_000)


@pytest.fixture(autouse=True)
def wall(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of segments come from the wall clock: let it go with the mock one."""
    monkeypatch.setattr("tierkit._packaging_channels.time", SimpleNamespace(time=lambda: 1.7e9 + trio.current_time()))


@pytest.mark.parametrize("fault", ["refuse", "black_hole"])
async def test_down_at_start(fault: str, autojump_clock: MockClock) -> None:
    graph = plan()
    async with opened(graph.only("edge", "relay")) as scene:
        for door in DOORS:
            scene.memory.fault(door, **{fault: True})
        client = HttpClient(scene.network, trio.current_time)
        async with viewer(scene.memory, scene.url("relay", "/live/s")) as player:
            status, body = await get(client, scene.url("edge", "/live/s/chunklist.m3u8"))
            assert status == (502 if fault == "refuse" else 504)
            (said,) = body.decode().splitlines()
            why = "refuses connections" if fault == "refuse" else "did not answer to connecting within 5 s"
            assert "studio" in said
            assert why in said
            assert not player.ended.is_set()
            await trio.sleep(1)
            lines = scene.troubles()
            assert sorted(line.partition(":")[0] for line in lines) == ["edge", "relay"]
            assert all(": upstream studio: " in line and why in line for line in lines)
            if fault == "black_hole":
                # A player waits for ten seconds; two dials that nobody answers take as long.
                await player.ended.wait()
                assert player.codes == ["NetStream.Play.StreamNotFound"]
            await comes_up(scene, graph, client)
            if fault == "refuse":
                await player.until(lambda it: it.letters.count("K") >= 3)
        client.close()


async def comes_up(scene: Scene, graph: Graph, client: HttpClient) -> None:
    """The origin is there, and is published to; both tiers have it before long, and tell that once."""
    for door in DOORS:
        scene.memory.heal(door)
    alone = evolve(graph.only("studio"), control=None)
    async with opened(alone, scene.network) as origin, trio.open_nursery() as nursery:
        nursery.start_soon(publish, origin)
        async with viewer(scene.memory, scene.url("relay", "/live/s")) as player:
            await player.until(lambda it: it.letters.count("K") >= 3, 15)
        with trio.fail_after(15):
            while (await get(client, scene.url("edge", "/live/s/chunklist.m3u8")))[0] != 200:
                await trio.sleep(0.5)
        told = scene.troubles()
        assert sorted(told[2:]) == ["edge: upstream studio answers again", "relay: upstream studio answers again"]
        nursery.cancel_scope.cancel()


async def test_goes_away_under_everybody_and_comes_back(autojump_clock: MockClock) -> None:
    """The origin's process dies and is started again; its tiers are told once, and their viewers go on."""
    graph = plan()
    async with opened(graph.only("edge", "relay")) as scene, trio.open_nursery() as nursery:
        client, playlist = HttpClient(scene.network, trio.current_time), PlaylistWitness()
        for life in range(3):
            with trio.CancelScope() as scope:
                async with opened(evolve(graph.only("studio"), control=None), scene.network) as origin:
                    origin.sent = scene.sent
                    async with trio.open_nursery() as publishing:
                        publishing.start_soon(publish, origin)
                        await trio.sleep(4)
                        if not life:
                            nursery.start_soon(scene.stream.watch, scene.network, scene.url("relay", "/live/s"))
                            nursery.start_soon(playlist.watch, client, scene.url("edge", "/live/s"))
                        await trio.sleep(8)
                        # From a second or two after each start on there is no gap.
                        tail, sent = scene.stream.pictures[-40:], scene.sent
                        assert any(sent[len(sent) - lag - 40 : len(sent) - lag] == tail for lag in range(10))
                        scope.cancel()
                        await trio.lowlevel.checkpoint()
            await trio.sleep(3)
        told = scene.troubles()
        for tier in ("edge", "relay"):
            mine = [line for line in told if line.startswith(f"{tier}: ")]
            kinds = ["back" if "answers again" in line else "lost" for line in mine]
            assert kinds == ["lost", "back", "lost", "back", "lost"], mine
        assert len(told) == 10
        assert len(playlist.segments) > 15
        nursery.cancel_scope.cancel()
        client.close()


class Far:
    """An HTTP server that sends a segment slowly, by halves."""

    def __init__(self, *, length: bool) -> None:
        self.length = length
        self.whole = False
        self.asked = 0

    async def __call__(self, request: Request) -> Response:
        self.asked += 1
        return Response(200, [(b"Content-Type", b"video/MP2T")], self.body, len(SEGMENT) if self.length else None)

    async def body(self, sink: BodySink) -> None:
        half = len(SEGMENT) // 2
        await sink.write(SEGMENT[:half])
        if not self.whole:
            await trio.sleep_forever()
        await sink.write(SEGMENT[half:])


@pytest.mark.parametrize("length", [True, False])
async def test_killed_in_the_middle_of_a_segment(length: bool, autojump_clock: MockClock) -> None:
    origin = Origin("far", "http://far.example:80")
    other = Edge("other", host="other.example", listen="http://other.example:80", upstream=origin, serves=HLS())
    far = Far(length=length)
    path = "/live/s/media_1.ts"
    async with watched(plan(other)) as scene:
        got: list[bytes] = []

        async def read() -> None:
            """Every byte that came before a reset: never an end in order."""
            reader = Viewer(await scene.network.connect(scene.url("other")))
            await reader.say(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            data = b""
            try:
                while more := await reader.connection.recv():
                    data += more
            except ConnectionLost:
                got.append(data)
            reader.connection.close()

        async with trio.open_nursery() as nursery, open_server(scene.memory, far, "http://far.example:80"):
            for _ in range(5):
                nursery.start_soon(read)
            await trio.sleep(3)
        assert far.asked == 1
        assert len(got) == 5
        for data in got:
            head, _, body = data.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert not body.endswith(b"0\r\n\r\n")
            assert len(SEGMENT) // 2 <= len(body) < len(SEGMENT)
        # One line, however many read it.
        line = await scene.line("other")
        why = "the connection was lost in the middle of an answer: reset by the peer"
        assert line == f"other: upstream far: {why}; next try in 0.4 s"
        far.whole = True
        async with open_server(scene.memory, far, "http://far.example:80"):
            client = HttpClient(scene.network, trio.current_time)
            with trio.fail_after(10):
                while (answer := await get(client, scene.url("other", path)))[0] != 200:
                    await trio.sleep(0.5)
            client.close()
            assert answer == (200, SEGMENT)
            await scene.undisturbed()
            assert scene.troubles()[1:] == ["other: upstream far answers again"]


async def test_more_than_it_was_to_be(autojump_clock: MockClock) -> None:
    """A body without a length that outgrows `max_object`: its readers are reset, and one line says what to do."""
    origin = Origin("far", "http://far.example:80")
    recipe = HLS(max_object=65536)
    other = Edge("other", host="other.example", listen="http://other.example:80", upstream=origin, serves=recipe)
    far = Far(length=False)
    far.whole = True
    async with watched(plan(other)) as scene, open_server(scene.memory, far, "http://far.example:80"):
        client = HttpClient(scene.network, trio.current_time)
        with pytest.raises(UpstreamError):
            await get(client, scene.url("other", "/live/s/media_1.ts"))
        client.close()
        line = await scene.line("other")
        assert line == "other: /live/s/media_1.ts: upstream far: sent more than 65536 bytes: raise max_object"
        await scene.undisturbed()
