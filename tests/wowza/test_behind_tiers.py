"""Whatever a Wowza is like, it has one client for each tier, and viewers see nothing of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.rtmp.rig import join
from tierkit import Address
from tierkit.plugins.wowza.admin import WowzaClient, WowzaCounters
from tierkit.testing import MemoryNetwork
from tierkit.testing.wowza import Mode, StandIn

from .tiers import Tiers, Watcher, crowd, edges, wowza

#: Every profile in its normal mode, and the two kinds of origin mode of those that have it.
SERVERS = [(profile, "sessions") for profile in ("wms3", "wse42", "wse47", "wse49")]
SERVERS += [(profile, mode) for profile in ("wse42", "wse47", "wse49") for mode in ("origin", "origin-fixed")]

VIEWERS, PLAYERS = 500, 200
RELAYED = Address.parse("rtmp://relay.example:1935/live/myStream")


def seen_by(stand_in: StandIn) -> set[str]:
    """The machines that have asked."""
    return {each.address for each in stand_in.log.contacts}


async def watch(watchers: list[Watcher], seconds: float) -> None:
    async with trio.open_nursery() as nursery:
        for each in watchers:
            nursery.start_soon(each.watch, seconds)


def check_shield(stand_in: StandIn, watchers: list[Watcher]) -> None:
    """Each version of each URL once for each edge."""
    chunks = [each for each in stand_in.requests if each.path.rpartition("/")[2].startswith("media")]
    asked = Counter((each.target, each.contact.address) for each in chunks)
    assert set(asked.values()) == {1}
    # Playlists are asked for every half target duration, so a version of one may be there for two looks.
    lists = [each for each in stand_in.requests if each.path.rpartition("/")[2].startswith("chunklist")]
    assert max(Counter((each.path, each.version, each.contact.address) for each in lists).values()) <= 2
    assert 1 - len(chunks) / sum(len(each.segments) for each in watchers) > 0.99


@pytest.mark.assumes("hls-origin-cache", "http-fields-elsewhere", "admin-dash", "admin-rates")
@pytest.mark.assumes("rtmp-buffer-events-when", "rtmp-media-start", "rtmp-result-properties", "rtmp-track-info")
@pytest.mark.parametrize(("profile", "mode"), SERVERS)
async def test_700_viewers_are_four_clients(autojump_clock: MockClock, profile: str, mode: str) -> None:
    network = MemoryNetwork()
    options: dict[str, Any] = {"admin": "wowza.example:8086", "admin_authentication": "none", "idle": 20.0}
    async with (
        wowza(network=network, listen="wowza.example:1935", profile=profile, mode=mode, **options) as stand_in,
        edges(network, stand_in, relay=True) as tiers,
        crowd(tiers, VIEWERS, whole=25) as watchers,
        trio.open_nursery() as nursery,
    ):
        for each in watchers:
            nursery.start_soon(each.watch, 40)
        await trio.sleep(38)
        players = [await join(nursery, network, RELAYED) for _ in range(PLAYERS)]
        await trio.sleep(1)
        assert [each.trouble for each in watchers if each.trouble] == []
        assert all("K" in each.letters for each in players)
        assert seen_by(stand_in) == {"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}
        assert stand_in.open_connections == 4
        check_shield(stand_in, watchers)
        # No viewer was shown an id, and all were shown the server's bytes.
        names = set().union(*(each.names for each in watchers))
        assert not [each for each in names if "_w" in each or "session" in each]
        for number, body in watchers[0].segments.items():
            assert body == stand_in.chunk("live/myStream", number)
        await check_sessions(network, stand_in, tiers, mode)
        nursery.cancel_scope.cancel()


async def check_sessions(network: MemoryNetwork, stand_in: StandIn, tiers: Tiers, mode: str) -> None:
    """What each edge has found out, and what the server's own counters say of the whole."""
    assert len(set(tiers.found)) == 1
    told = [tiers.source(each) for each in tiers.handles if each != "relay"]
    client = WowzaClient(network, trio.current_time, stand_in.admin_address, port=8086)
    counts = await WowzaCounters(client).counts()
    client.close()
    counted = counts.viewers
    if mode == Mode.sessions:
        # The session by which each edge has found out that there are some has been reaped by now.
        assert [(each["sessions"], each["begun"]) for each in told] == [(1, 1)] * 3
        assert counted == 4
        assert all("a session for each viewer" in each["modes"]["live"] for each in told)
    else:
        assert counted == 1  # the relay: over HTTP nobody is counted
        assert all("HTTP origin mode" in each["modes"]["live"] for each in told)


async def test_a_session_that_found_out_is_reaped_and_the_counters_say_one_for_each_tier(
    autojump_clock: MockClock,
) -> None:
    network = MemoryNetwork()
    async with (
        wowza(network=network, listen="wowza.example:1935", idle=20.0) as stand_in,
        edges(network, stand_in) as tiers,
        crowd(tiers, 6) as watchers,
    ):
        await watch(watchers, 40)
        assert len(stand_in.server.sessions.alive(stand_in.server.now())) == 3


async def test_several_streams_are_a_session_each(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()
    names = ("live/one", "live/two", "live/three")
    async with (
        wowza(network=network, listen="wowza.example:1935", streams=names, idle=20.0) as stand_in,
        edges(network, stand_in) as tiers,
        crowd(tiers, 12) as watchers,
        trio.open_nursery() as nursery,
    ):
        for number, each in enumerate(watchers):
            nursery.start_soon(each.watch, 40, f"/{names[number // 4]}/playlist.m3u8")
        await trio.sleep(39)
        alive = stand_in.server.sessions.alive(stand_in.server.now())
        assert Counter(each.place.stream for each in alive) == {"one": 3, "two": 3, "three": 3}
        assert stand_in.open_connections == 9
        # Whether an application has sessions is found out once, and not for each stream.
        masters = [each for each in stand_in.requests if "playlist.m3u8" in each.target]
        assert len(masters) == 3 * (len(names) + 1)
