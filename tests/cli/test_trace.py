"""`tierkit trace`: the tier that is late is named, whatever stands before and behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.chopped.rig import Link, LiveOrigin
from tests.core.rig import opened
from tests.support_http import open_server
from tierkit import Address, Edge, Graph, Origin, Relay
from tierkit._cli_trace import _trace
from tierkit._cli_trace_look import FrameLook
from tierkit._cli_trace_plan import HTTP, RTMP, Hop, chain, named_by_via, owner, streams
from tierkit._cli_trace_verdict import Finding, frames_found, verdict
from tierkit._registry import Registry
from tierkit.errors import TierkitError
from tierkit.plugins.hls import HLS
from tierkit.plugins.rtmp import RTMP as RTMPService
from tierkit.rtmp import open_publisher
from tierkit.testing import MemoryNetwork

from .support import tierkit_

SIZE = 60_000
URL = "http://edge.example:80/live/a/playlist.m3u8"


@asynccontextmanager
async def house(**about: Any) -> AsyncIterator[MemoryNetwork]:
    """origin -> shield -> edge, and origin -> near, with a control address."""
    network = MemoryNetwork()
    origin = Origin("origin", "http://origin.example:80")
    shield = Edge("shield", upstream=origin, listen="http://shield.example:80", serves=HLS())
    edge = Edge("edge", upstream=shield, listen="http://edge.example:80", serves=HLS())
    near = Edge("near", upstream=origin, listen="http://near.example:80", serves=HLS())
    graph = Graph.of(edge, near, control="http://127.0.0.1:9000")
    fake = LiveOrigin(2.0, SIZE, **about)
    async with (
        open_server(network, fake, "http://origin.example:80"),
        opened(graph, network=network, drain=0.1, registry=Registry.load()),
    ):
        yield network


async def traced(network: MemoryNetwork, address: str) -> list[Finding]:
    return await _trace(address, (), "", 0.0, None, network)


async def test_in_time(autojump_clock: MockClock) -> None:
    async with house() as network:
        found = await traced(network, URL)
        assert [each.name for each in found] == ["origin", "shield", "edge"]
        late, line = verdict(found)
        assert not late, line
        assert line.startswith("nobody is late: ")


async def test_a_tier_that_shows_old_playlists_is_named_and_not_the_one_behind_it(autojump_clock: MockClock) -> None:
    async with house(behind={"shield": 8.0}) as network:
        late, line = verdict(found := await traced(network, URL))
        assert late
        assert line.startswith("shield is late: "), line
        assert line.endswith("since origin")
        assert "\n" not in line
        shield = next(each for each in found if each.name == "shield")
        assert shield.own is not None
        assert 7.0 < shield.own < 10.0
        late, line = verdict(await traced(network, URL.replace("edge.", "near.")))
        assert not late, line


async def test_a_tier_with_a_slow_uplink_is_named_by_its_segments(autojump_clock: MockClock) -> None:
    async with house(uplinks={"shield": Link(SIZE / 2.0 * 0.4)}) as network:
        late, line = verdict(await traced(network, URL))
        assert late
        assert line.startswith("shield is late: a segment of 2.0 s took"), line
        assert "edge is" not in line


async def test_a_control_address_finds_the_tiers_and_the_stream_by_itself(autojump_clock: MockClock) -> None:
    async with house(behind={"near": 8.0}) as network:
        await traced(network, URL)  # somebody watches
        await traced(network, URL.replace("edge.", "near."))
        found = await traced(network, ":9000")
        assert {each.name for each in found} == {"origin", "shield", "edge", "near"}
        late, line = verdict(found)
        assert late
        assert line.startswith("near is late: ")
        assert "\n" not in line


async def test_an_origin_that_stands_still_is_named_alone(autojump_clock: MockClock) -> None:
    async with house(silences=((3.0, 100.0),)) as network:
        await trio.sleep(5)
        late, line = verdict(await traced(network, URL))
        assert late
        assert line.startswith("origin is late: stands still")
        assert "\n" not in line


async def test_what_is_no_stream_is_told_in_one_line(autojump_clock: MockClock) -> None:
    async with house() as network:
        with pytest.raises(TierkitError, match="nothing is on air"):
            await traced(network, ":9000")
        with pytest.raises(TierkitError, match="is it a playlist's URL"):
            await traced(network, URL.replace("playlist", "nothing"))


async def test_relays_are_compared_frame_by_frame(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()
    first = Relay("first", listen="rtmp://first.example:1935", serves=RTMPService())
    second = Relay("second", upstream=first, listen="rtmp://second.example:1935", serves=RTMPService())
    graph = Graph.of(second, control="http://127.0.0.1:9000")
    async with opened(graph, network=network, drain=0.1, registry=Registry.load()), trio.open_nursery() as nursery:
        nursery.start_soon(publish, network, "rtmp://first.example:1935/live/s")
        await trio.sleep(1)
        found = await traced(network, "rtmp://second.example:1935/live/s")
        assert [each.name for each in found] == ["first", "second"]
        assert all(each.behind is not None for each in found)
        late, line = verdict(found)
        assert not late, line
        assert "second is furthest behind" in line
        nursery.cancel_scope.cancel()


async def publish(network: MemoryNetwork, url: str) -> None:
    async with open_publisher(network, Address.parse(url)) as publisher:
        await publisher.send(9, 0, b"\x17\x00\x00\x00\x00\x01\x64\x00\x1f\xff\xe1\x00\x00\x01\x00\x00")
        for number in range(10_000):
            key = number % 25 == 0
            await publisher.send(
                9, number * 40, (b"\x17" if key else b"\x27") + b"\x01\x00\x00\x00" + number.to_bytes(8, "big")
            )
            await trio.sleep(0.04)


def look(name: str, frames: dict[bytes, float], *parents: str) -> FrameLook:
    return FrameLook(Hop(name, Address.parse("rtmp://x/live/s"), parents), frames=frames)


def test_a_relay_that_has_each_frame_later_is_late() -> None:
    frames = {bytes([n]): float(n) for n in range(10)}
    slow = {frame: at + 3.5 for frame, at in frames.items()}
    found = frames_found([look("a", frames), look("b", slow, "a"), look("c", slow, "b")], 8.0)
    assert [each.behind for each in found] == [0.0, 3.5, 3.5]
    assert verdict(found) == (True, "b is late: 3.5 s behind, 3.5 s of that since a")


def test_a_relay_of_which_no_frame_is_known_is_late_or_elsewhere() -> None:
    found = frames_found([look("a", {b"1": 1.0}), look("b", {b"2": 1.0}, "a")], 8.0)
    late, line = verdict(found)
    assert late
    assert "more than 8 s behind, or another stream" in line


TIERS: dict[str, Any] = {
    "edge": {
        "addresses": ["http://127.0.0.1:8081"],
        "services": {"hls": {}},
        "upstreams": [
            {"name": "shield-1", "healthy": False, "address": ""},
            {"name": "shield-2", "healthy": True, "address": ""},
        ],
        "streams": [{"name": "live/s", "path": "/live/s/p.m3u8", "on_air": True, "viewers": 3}],
    },
    "shield-1": {"addresses": ["http://127.0.0.1:8082"], "upstreams": [{"name": "o", "address": "o.example:1935"}]},
    "shield-2": {"addresses": ["http://127.0.0.1:8083"], "upstreams": [{"name": "o", "address": "o.example:1935"}]},
}


def test_the_way_goes_by_what_the_answer_names_else_by_who_is_well() -> None:
    assert [each.name for each in chain(TIERS, "edge", "/p", HTTP)] == ["o", "shield-2", "edge"]
    assert [each.name for each in chain(TIERS, "edge", "/p", HTTP, via=["shield-1"])] == ["o", "shield-1", "edge"]
    assert str(chain(TIERS, "edge", "/p", HTTP)[0].url) == "http://o.example:1935/p"


def test_tiers_are_known_by_via_and_by_where_they_are_bound() -> None:
    assert named_by_via(b"1.1 varnish, 1.1 tierkit-shield-1, 1.1 tierkit-edge", TIERS) == ["shield-1", "edge"]
    assert owner(TIERS, Address.parse("http://edge.example:8081/x")) == "edge"
    with pytest.raises(TierkitError, match="no tier may be at"):
        owner(TIERS, Address.parse("http://edge.example:9/x"))


def test_what_is_watched_most_comes_first() -> None:
    tiers = {"edge": {**TIERS["edge"], "streams": [
        {"name": "a", "on_air": True, "viewers": 1}, {"name": "b", "on_air": True, "viewers": 2},
        {"name": "c", "on_air": False, "viewers": 9},
    ]}}  # fmt: skip
    assert streams(tiers, HTTP) == ["/b", "/a"]
    assert streams(tiers, RTMP) == []


def test_where_nothing_runs_the_command_says_so() -> None:
    found = tierkit_("trace", "127.0.0.1:1")
    assert found.code != 0
    assert "does the graph run there?" in found.err[-1]
