"""Whatever a Wowza is like, it has one client for each tier, and viewers see nothing of it."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
from trio.testing import MockClock

from tierkit.testing import MemoryNetwork
from tierkit.testing.wowza import Mode, StandIn, open_wowza

from .tiers import Tiers, Watcher, crowd, edges

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
    # What was listed while nobody had come for it yet was fetched ahead.
    assert len(chunks) <= 3 * (len(watchers[0].segments) + 2)


@pytest.mark.parametrize(("profile", "mode"), SERVERS)
async def test_all_viewers_are_three_clients(autojump_clock: MockClock, profile: str, mode: str) -> None:
    network = MemoryNetwork()
    async with (
        open_wowza(network=network, listen="wowza.example:1935", profile=profile, mode=mode) as stand_in,
        edges(network, stand_in) as tiers,
        crowd(tiers, VIEWERS) as watchers,
    ):
        await watch(watchers, 30)
        assert [each.trouble for each in watchers if each.trouble] == []
        assert seen_by(stand_in) == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}
        check_shield(stand_in, watchers)
        # No viewer was shown an id, and all were shown the server's bytes.
        names = set().union(*(each.names for each in watchers))
        assert not [each for each in names if "_w" in each or "session" in each]
        for number, body in watchers[0].segments.items():
            assert body == stand_in.chunk("live/myStream", number)
        assert len(set(tiers.found)) == 1
        check_sessions(stand_in, tiers, mode)
        await trio.sleep(stand_in.server.idle + 10)


def check_sessions(stand_in: StandIn, tiers: Tiers, mode: str) -> None:
    told = [tiers.source(each) for each in tiers.handles]
    if mode == Mode.sessions:
        # Those that were begun to find out have been reaped by now, or will be: nobody asks by them.
        assert [(each["sessions"], each["begun"]) for each in told] == [(1, 1)] * 3
        assert all("a session for each viewer" in each["modes"]["live"] for each in told)
    else:
        assert all("HTTP origin mode" in each["modes"]["live"] for each in told)
