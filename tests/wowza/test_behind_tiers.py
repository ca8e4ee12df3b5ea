"""Whatever a Wowza is like, it has one client for each tier, and viewers see nothing of it."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
from trio.testing import MockClock

from tierkit.testing import MemoryNetwork
from tierkit.testing.wowza import Mode, StandIn

from .tiers import Tiers, Watcher, crowd, edges, wowza

#: Every profile in its normal mode, and the two kinds of origin mode of those that have it.
SERVERS = [(profile, "sessions") for profile in ("wms3", "wse42", "wse47", "wse49")]
SERVERS += [(profile, mode) for profile in ("wse42", "wse47", "wse49") for mode in ("origin", "origin-fixed")]

#: Enough to see; how it is with 500 stands in test_behind_tiers_real.py.
VIEWERS = 60


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
    # What was listed while nobody had come for it yet was fetched ahead.
    assert len(chunks) <= 3 * (len(watchers[0].segments) + 2)


@pytest.mark.assumes("hls-origin-cache", "http-fields-elsewhere")
@pytest.mark.parametrize(("profile", "mode"), SERVERS)
async def test_all_viewers_are_three_clients(autojump_clock: MockClock, profile: str, mode: str) -> None:
    network = MemoryNetwork()
    async with (
        wowza(network=network, listen="wowza.example:1935", profile=profile, mode=mode) as stand_in,
        edges(network, stand_in) as tiers,
        crowd(tiers, VIEWERS) as watchers,
    ):
        await watch(watchers, 30)
        assert [each.trouble for each in watchers if each.trouble] == []
        assert seen_by(stand_in) == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}
        assert stand_in.open_connections == 3
        check_shield(stand_in, watchers)
        # No viewer was shown an id, and all were shown the server's bytes.
        names = set().union(*(each.names for each in watchers))
        assert not [each for each in names if "_w" in each or "session" in each]
        for number, body in watchers[0].segments.items():
            assert body == stand_in.chunk("live/myStream", number)
        assert len(set(tiers.found)) == 1
        check_sessions(stand_in, tiers, mode)


def check_sessions(stand_in: StandIn, tiers: Tiers, mode: str) -> None:
    told = [tiers.source(each) for each in tiers.handles]
    if mode == Mode.sessions:
        assert [(each["sessions"], each["begun"]) for each in told] == [(1, 1)] * 3
        # One was begun by each to find out what the server does; nobody asks by it again.
        alive = stand_in.server.sessions.alive(stand_in.server.now())
        assert Counter(each.address for each in alive) == dict.fromkeys(seen_by(stand_in), 2)
        assert len([each for each in alive if each.last_seen > each.since]) == 3
        assert all("a session for each viewer" in each["modes"]["live"] for each in told)
    else:
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
