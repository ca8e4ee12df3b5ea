"""The proof: 500 viewers of HLS and 200 players of RTMP through three edges and a relay, and what a Wowza has of them.

By sockets, with ffmpeg among the viewers.  The tiers come from four addresses of loopback, so that they can be told
apart at the server, as machines are.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, field

from tests.real.media import QUIET, run
from tierkit import Edge, Graph, Origin, RealNetwork, Relay
from tierkit._serve import GraphHandle, open_graph
from tierkit.plugins.hls import HLS
from tierkit.plugins.rtmp import RTMP
from tierkit.plugins.wowza import Wowza
from tierkit.testing.wowza import Mode, StandIn

from .tiers import wowza

pytestmark = [pytest.mark.real("ffmpeg", "ffprobe"), pytest.mark.timeout(240)]

HLS_VIEWERS, RTMP_PLAYERS, SECONDS = 500, 200, 40
#: All pairs of profile and mode are in test_behind_tiers.py, in memory.
SERVERS = [("wse47", Mode.sessions)]
TIERS = ("edge1", "edge2", "edge3", "relay")


@define
class Setup:
    stand_in: StandIn
    handles: dict[str, GraphHandle] = field(factory=dict)

    def url(self, tier: str, path: str) -> str:
        return self.handles[tier].url(tier, path)

    def clients(self) -> Counter[str]:
        """Connections that are open at the server now, by what they speak."""
        return Counter(each.protocol for each in self.stand_in.log.contacts if each.closed is None)


@asynccontextmanager
async def setup(**options: Any) -> AsyncIterator[Setup]:
    async with wowza(listen="127.0.0.1:0", admin=None, rest=None, idle=20.0, **options) as stand_in:
        made = Setup(stand_in)
        async with AsyncExitStack() as stack:
            for name in TIERS:
                origin = Origin("wowza", str(stand_in.address), speaks=Wowza(app="live"))
                tier = (
                    Relay(name, listen="rtmp://127.0.0.1:0", upstream=origin, serves=RTMP())
                    if name == "relay"
                    else Edge(name, listen="http://127.0.0.1:0", upstream=origin, serves=HLS(cache_bytes=64 << 20))
                )
                made.handles[name] = await stack.enter_async_context(
                    open_graph(Graph.of(tier), network=RealNetwork(), drain=0)
                )
            yield made


async def load(kind: str, url: str, viewers: int, found: dict[str, Any]) -> None:
    command = [sys.executable, "-m", "tierkit", "load", kind, url, "--viewers", str(viewers)]
    done = await trio.run_process([*command, "--seconds", str(SECONDS), "--json"], capture_stdout=True)
    found[url] = json.loads(done.stdout)


@pytest.mark.assumes("hls-origin-cache", "rtmp-buffer-events-when")
@pytest.mark.assumes("rtmp-media-start", "rtmp-result-properties", "rtmp-track-info")
@pytest.mark.parametrize(("profile", "mode"), SERVERS)
async def test_700_viewers_are_four_clients(tmp_path: Path, profile: str, mode: Mode) -> None:
    found: dict[str, Any] = {}
    async with setup(profile=profile, mode=mode) as it, trio.open_nursery() as nursery:
        playlist, stream = "/live/myStream/playlist.m3u8", "/live/myStream"
        for number, edge in enumerate(TIERS[:3]):
            viewers = HLS_VIEWERS // 3 + (number < HLS_VIEWERS % 3)
            nursery.start_soon(load, "hls", it.url(edge, playlist), viewers, found)
        nursery.start_soon(load, "rtmp", it.url("relay", stream), RTMP_PLAYERS, found)
        recorded = tmp_path / "out.ts"
        record = [*QUIET, "-i", it.url("edge1", playlist), "-t", "15", "-c", "copy", str(recorded)]
        nursery.start_soon(partial(run, record, seconds=60))
        await trio.sleep(SECONDS - 4)
        # In the middle of it all; what was opened in the crush of the beginning has been idle for long and is gone.
        assert it.clients() == {"rtmp": 1, "http": 3}
        check_sessions(it.stand_in, mode)
    assert sum(each["viewers"] for each in found.values()) == HLS_VIEWERS + RTMP_PLAYERS
    # Whether somebody has to wait is this machine's affair, which other tests use too.
    assert not any(each["errors"] for each in found.values()), found
    check_shield(it.stand_in, found)
    assert recorded.stat().st_size > 100_000


def check_sessions(stand_in: StandIn, mode: Mode) -> None:
    server = stand_in.server
    if mode is Mode.sessions:
        # Each edge has begun one to find out what the server does; those have been reaped by now.
        assert len(server.sessions.alive(server.now())) == 3
    assert len(server.players()) == 1


def check_shield(stand_in: StandIn, found: dict[str, Any]) -> None:
    segments = [each for each in stand_in.requests if "media" in each.path.rpartition("/")[2]]
    assert max(Counter(each.path for each in segments).values()) <= 3  # once for each edge
    # All segments are of about one size, so bytes tell how many viewers have had.
    delivered = sum(each["bytes"] for url, each in found.items() if url.startswith("http"))
    assert 1 - sum(each.sent for each in segments) / delivered > 0.99
