"""A live stream as players watch it: what it costs the origin, how old it is, and that it never goes back."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

import m3u8
import pytest
import trio
from trio.testing import MockClock

from tests.support_http import Viewer
from tierkit import Edge
from tierkit.http import Request, Response
from tierkit.plugins.hls import HLS

from .edge_rig import ORIGIN, PLAYLIST, Rig, open_edge, plain, playlist

#: How many target durations are watched, in virtual time.
WATCHED = 12

# Viewers of one stream get the same bytes.
load = lru_cache(maxsize=64)(m3u8.loads)


class LiveOrigin:
    """A new segment every `td` seconds, three in the playlist; says what it has served in full."""

    def __init__(self, td: int, *, tags: bool) -> None:
        self.td = td
        self.tags = tags
        self.bodies: Counter[str] = Counter()
        self.requests = 0

    @property
    def newest(self) -> int:
        return int(trio.current_time() / self.td) + 10

    def __call__(self, request: Request) -> Response:
        self.requests += 1
        if request.path != PLAYLIST:
            number = int(request.path.rpartition("_")[2].removesuffix(".ts"))
            if not self.newest - 5 <= number <= self.newest:
                return Response(404)
            self.bodies[request.path] += 1
            return plain(b"%d" % number)
        tag = b'"%d"' % self.newest
        if self.tags and request.get(b"if-none-match") == tag:
            return Response(304, [(b"ETag", tag)])
        self.bodies[f"playlist {self.newest}"] += 1
        return plain(playlist(self.newest - 2, td=self.td), *([(b"ETag", tag)] if self.tags else []))


class Player:
    """Reloads as RFC 8216 section 6.3.4 has it, and fetches each segment."""

    def __init__(self, viewer: Viewer, origin: LiveOrigin) -> None:
        self.viewer = viewer
        self.origin = origin
        self.first = 0
        self.seen: set[str] = set()
        self.behind = 0
        self.problems: list[str] = []

    async def watch(self) -> None:
        last = b""
        while True:
            answer = await self.viewer.ask(PLAYLIST)
            if answer.status != 200:
                self.problems.append(f"the playlist: {answer.status}")
                await trio.sleep(1)
                continue
            found = load(answer.body.decode())
            if found.media_sequence < self.first:
                self.problems.append(f"back from {self.first} to {found.media_sequence}")
            self.first = found.media_sequence
            self.behind = max(self.behind, self.origin.newest - 2 - self.first)
            for segment in found.segments:
                if segment.uri not in self.seen:
                    self.seen.add(segment.uri)
                    got = await self.viewer.ask(f"/live/s/{segment.uri}")
                    if got.status != 200:
                        self.problems.append(f"{segment.uri}: {got.status}")
            unchanged, last = answer.body == last, answer.body
            await trio.sleep(self.origin.td / 2 if unchanged else self.origin.td)


async def watched(rig: Rig, origin: LiveOrigin, viewers: int, *tiers: str) -> list[Player]:
    for path in [PLAYLIST, *(f"/live/s/media_{i}.ts" for i in range(1000))]:
        rig.origin.paths[path] = origin
    players = []
    with trio.move_on_after(WATCHED * origin.td):
        async with trio.open_nursery() as nursery:
            for number in range(viewers):
                player = Player(await rig.viewer(tiers[number % len(tiers)]), origin)
                players.append(player)
                nursery.start_soon(player.watch)
                await trio.sleep(0.013)
    return players


@pytest.mark.parametrize("td", [1, 6])
async def test_200_viewers_cost_the_origin_what_one_does(td: int, autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        origin = LiveOrigin(td, tags=True)
        players = await watched(rig, origin, 200, "edge")
        assert [problem for player in players for problem in player.problems] == []
        assert max(player.behind for player in players) <= 2
        # Each version of the playlist and each segment once, whatever the number of viewers.
        assert set(origin.bodies.values()) == {1}
        # Besides, one short 304 for each time that half a target duration found nothing new.
        assert origin.requests <= len(origin.bodies) + 2 * WATCHED + 5
        assert len([each for each in rig.network.connections if each.address.host == "origin.example"]) <= 5


async def test_without_tags_a_version_is_served_twice_at_most(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        origin = LiveOrigin(4, tags=False)
        players = await watched(rig, origin, 50, "edge")
        assert [problem for player in players for problem in player.problems] == []
        assert max(origin.bodies.values()) <= 2


async def test_three_levels(autojump_clock: MockClock) -> None:
    """Age counts from tier to tier, so that depth does not add up; nobody's playlist goes back."""
    shield = Edge("shield", upstream=ORIGIN, listen="http://shield.example:80", serves=HLS())
    middle = [Edge(f"m{i}", upstream=shield, listen=f"http://m{i}.example:80", serves=HLS()) for i in range(2)]
    leaves = [
        Edge(f"leaf{i}", upstream=middle[i % 2], listen=f"http://leaf{i}.example:80", serves=HLS()) for i in range(4)
    ]
    async with open_edge(*leaves) as rig:
        origin = LiveOrigin(4, tags=True)
        players = await watched(rig, origin, 80, *(leaf.name for leaf in leaves))
        assert [problem for player in players for problem in player.problems] == []
        assert max(player.behind for player in players) <= 2
        assert set(origin.bodies.values()) == {1}
        for tier in ("shield", "m0", "m1", "leaf0"):
            counted = rig.statistics(tier)
            # Two looks at the playlist for each segment, and what is stale on arrival some more.
            assert counted.upstream_requests <= 8 * WATCHED, tier


async def test_an_origin_that_is_away_for_a_while(autojump_clock: MockClock) -> None:
    async with open_edge() as rig:
        origin = LiveOrigin(4, tags=True)

        async def outage() -> None:
            await trio.sleep(21)
            rig.network.fault("http://origin.example:80", refuse=True)
            for connection in rig.network.connections:
                if connection.address.host == "origin.example":
                    connection._down.fail("reset by the peer")
                    connection._up.fail("reset by the peer")
            await trio.sleep(6)
            rig.network.heal("http://origin.example:80")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(outage)
            players = await watched(rig, origin, 50, "edge")
        # Six seconds are bridged by what is stored: no viewer has noticed.
        assert [problem for player in players for problem in player.problems] == []
        assert rig.statistics().stale_if_error > 0
