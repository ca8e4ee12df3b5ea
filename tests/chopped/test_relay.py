"""What a relay says of its players' pictures, held against players who know."""

from __future__ import annotations

from random import Random

import trio
from attrs import define, field
from trio.testing import MockClock

from tests.chopped.rig import TICK, Link, Score
from tests.core.rig import Rig, opened
from tests.plugins.flv_rig import FlvPlayer, playing
from tests.plugins.flv_rig import relay as flv_relay
from tests.rtmp.media import gop
from tests.rtmp.rig import published, relay, send, url, viewer
from tierkit import Graph
from tierkit._fanout import Cursor
from tierkit.load import Playback
from tierkit.rtmp import open_publisher, pull
from tierkit.testing import MemoryNetwork

#: Bytes of a frame, 25 a second: 600 kbit/s.
FRAME = 3000
RATE = FRAME * 25


@define(eq=False)
class Player:
    """Plays what comes by the timestamps in it."""

    playback: Playback = field(factory=Playback)
    last: int | None = None
    port: int = 0

    def frame(self, kind: int, timestamp: int, payload: bytes) -> None:
        if kind != 9 or payload[1:2] == b"\0":
            return
        if self.last is None:
            self.playback.received(trio.current_time(), 0.0)
        elif timestamp > self.last:
            self.playback.received(trio.current_time(), (timestamp - self.last) / 1000)
        self.last = timestamp


async def pull_into(network: MemoryNetwork, player: Player) -> None:
    await pull(network, url("relay"), started=lambda: player.frame)


async def publish(network: MemoryNetwork) -> None:
    async with open_publisher(network, url("relay")) as publisher:
        await publisher.send(9, 0, b"\x17\x00\x00\x00\x00\x01\x64\x00\x1f\xff\xe1\x00\x00\x01\x00\x00")
        begun = trio.current_time()
        for number in range(10_000):
            kind = b"\x17" if number % 50 == 0 else b"\x27"
            await publisher.send(9, number * 40, kind + b"\x01\x00\x00\x00" + bytes(FRAME))
            await trio.sleep_until(begun + (number + 1) * 0.04)


async def pace(network: MemoryNetwork, links: dict[int, Link]) -> None:
    """Let what the relay has put into the kernel leave no faster than each player's link does."""
    while True:
        now = trio.current_time()
        for dialled in network.connections:
            if (link := links.get(dialled.source.port)) is not None:
                pipe, portion = dialled._down, link.allowance(now)
                pipe.allowed = int(min((pipe.allowed or 0) + portion, max(2 * portion, 4096 if portion else 0)))
                pipe.changed.unpark_all()
        await trio.sleep(TICK)


async def watched(rig: Rig, random: Random) -> Score:
    network, links, known = rig.network, {}, set()
    players: list[Player] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(publish, network)
        await trio.sleep(3)
        nursery.start_soon(pace, network, links)
        ring = rig.handle.running("relay")["rtmp"].live.get("/live/s").ring  # type: ignore[attr-defined]
        noted = ring.stood_still

        def stood_still(cursor: Cursor, *, begins: bool) -> None:
            known.add(cursor.connection.peer.port)
            noted(cursor, begins=begins)

        ring.stood_still = stood_still
        for number in range(20):
            before = len(network.connections)
            player = Player()
            players.append(player)
            nursery.start_soon(pull_into, network, player)
            await trio.sleep(random.uniform(0.3, 1.2))
            player.port = network.connections[before].source.port
            if number % 2:
                begin = trio.current_time() + random.uniform(2, 20)
                links[player.port] = Link(RATE * random.choice((1.5, 4.0)), ((begin, begin + random.uniform(0.3, 8)),))
        for _ in range(40):
            await trio.sleep(1)
            rig.handle.statistics()
        for player in players:
            player.playback.check(trio.current_time())
        nursery.cancel_scope.cancel()
    pairs = [(bool(each.playback.stalls), each.port in known) for each in players]
    counted = {pair: pairs.count(pair) for pair in ((True, True), (False, True), (True, False), (False, False))}
    return Score(*counted.values())


def test_whose_picture_stood_still_is_known() -> None:
    async def main(seed: int) -> Score:
        network = MemoryNetwork(buffer_bytes=65536)
        async with opened(Graph.of(relay()), network=network, drain=0.1) as rig:
            return await watched(rig, Random(seed))

    score = Score(0, 0, 0, 0)
    for seed in range(3):
        score += trio.run(main, seed, clock=MockClock(autojump_threshold=0))
    assert score.right >= 8, score
    assert score.healthy >= 25, score
    assert score.precision >= 0.95, score
    assert score.recall >= 0.95, score


async def test_each_protocol_tells_of_its_own_players(autojump_clock: MockClock) -> None:
    async with (
        opened(flv_relay(), drain=0.1) as rig,
        published(rig.network, url("relay")) as publisher,
        playing(FlvPlayer(rig.network)) as flv,
        viewer(rig.network, url("relay")) as rtmp,
    ):
        await send(publisher, gop(0, 10) + gop(400, 10), pace=True)
        await flv.until(lambda player: len(player.tags) > 10)
        await rtmp.until(lambda player: len(player.media) > 10)

        def told() -> list[tuple[int, int]]:
            running = rig.handle.running("relay")
            return [(each.chopped, each.rebufferings) for each in (running[n].figures() for n in ("rtmp", "flv"))]

        assert told() == [(0, 0), (0, 0)]
        await trio.sleep(4)  # on air, and nothing comes
        assert told() == [(1, 1), (1, 1)]
