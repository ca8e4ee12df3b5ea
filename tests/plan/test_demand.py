"""What an audience means for tiers and links, by hand."""

from __future__ import annotations

import pytest
from attrs import evolve

from tierkit import Graph, Relay, Restream
from tierkit.plan import Audience, Costs, Profile
from tierkit.plan._demand import FETCHES, GOPS, RESERVE, Demand, demand
from tierkit.plugins.rtmp import RTMP

from .graphs import STUDIO, both, grnet, two_levels

COSTS = {
    "edge/http": Costs(
        base_cpu=0.01, stream_cpu=0.002, request_cpu=1e-4, gbit_cpu=0.02,
        base_bytes=50e6, viewer_bytes=8000, socket_bytes=100, stalled_bytes=130_000,
    ),
    "relay/rtmp": Costs(base_cpu=0.01, send_cpu=1e-5, base_bytes=50e6, viewer_bytes=10_000, stalled_bytes=260_000),
    "origin": Costs(base_cpu=0.01, stream_cpu=0.02, base_bytes=60e6),
}  # fmt: skip
PROFILE = Profile(costs=COSTS)
AUDIENCE = Audience(viewers=4000, bitrate=1e6, segment=2.0)


def of(graph: Graph, **audience: object) -> Demand:
    return demand(graph, evolve(AUDIENCE, **audience), PROFILE)


def test_an_edge() -> None:
    edge = of(grnet()).tiers["edge-a1"]
    assert edge.viewers == 1000
    # A playlist and a segment in two seconds, each.
    assert edge.requests == 1000
    assert edge.bits_out == 1e9
    assert edge.bits_in == 1e6
    assert edge.cpu == pytest.approx(0.01 + 0.002 + 1000 * 1e-4 + 0.02)
    assert edge.resident == 50e6 + 1000 * 8000
    assert edge.sockets == 1000 * 100
    assert edge.stalled == 1000 * 130_000
    # Three hours are more than the cache takes.
    assert edge.store == 64 << 20
    assert edge.memory == edge.resident + edge.store + edge.sockets
    segments = (64 << 20) / 250_000
    assert edge.descriptors == pytest.approx(1000 + FETCHES + segments + RESERVE)


def test_a_cache_fills_as_time_goes_by_and_small_segments_are_no_descriptors() -> None:
    edge = of(grnet(), seconds=60, bitrate=200_000).tiers["edge-a1"]
    assert edge.store == 60 * 25_000
    assert edge.descriptors == 1000 + FETCHES + RESERVE


def test_a_relay() -> None:
    relay = of(grnet()).tiers["relay-a"]
    assert (relay.viewers, relay.requests, relay.upstream_connections) == (1000, 0, 1)
    assert relay.resident == 50e6 + 1000 * 10_000 + GOPS * 2.0 * 125_000
    # The kernel's, and ten seconds that the slowest player may be behind.
    assert relay.stalled == 1000 * 260_000 + 10 * 125_000
    # 10 ms a pass, so 0.3 s less half of that between two.
    assert relay.cpu == pytest.approx(0.01 + 0.01 / 0.295, rel=1e-3)


def test_the_origin_sees_one_fetch_for_each_object_and_tier() -> None:
    one, ten = (of(grnet(), viewers=viewers).tiers["studio"] for viewers in (4000, 40_000))
    assert one == ten
    # Three edges: a segment and two looks at the playlist in two seconds.  The relay asks nothing more.
    assert one.requests == 3 * 3 / 2
    assert one.bits_out == 4e6
    assert one.bits_in == 1e6
    # Whoever publishes is a connection too.
    assert one.connections == 3 * FETCHES + 1 + 1


def test_streams_and_renditions_are_fetched_each() -> None:
    found = of(grnet(), streams=3, renditions=2)
    assert found.tiers["edge-a1"].bits_in == 6e6
    assert found.tiers["relay-a"].upstream_connections == 6
    assert found.tiers["studio"].bits_in == 6e6
    # But what nobody watches is not.
    assert of(grnet(), viewers=8, streams=100).tiers["edge-a1"].bits_in == 2e6


def test_a_tier_behind_a_tier() -> None:
    found = of(two_levels())
    assert [(flow.source, flow.target, flow.bits) for flow in found.flows] == [
        ("wowza", "shield", 1e6),
        ("shield", "edge", 1e6),
    ]
    assert found.tiers["shield"].viewers == 0
    assert found.tiers["shield"].bits_out == 1e6
    assert found.tiers["edge"].bits_out == 4e9
    wowza = found.tiers["wowza"]
    assert (wowza.runs, wowza.cpu, wowza.memory, wowza.requests) == (False, 0, 0, 1.5)


def test_services_of_one_tier_share_its_pump() -> None:
    found = of(both(), split={"rtmp": 1, "flv": 1}).tiers["relay"]
    alone = of(both(), split={"rtmp": 1}).tiers["relay"]
    assert found.cpu == pytest.approx(alone.cpu)
    assert found.bits_in == 1e6


def test_what_is_pushed_goes_on_whether_anybody_watches() -> None:
    head = Relay("head", host="h.example", listen=":1935", upstream=STUDIO, serves=RTMP())
    elsewhere = evolve(head, push=Restream("elsewhere", "rtmp://live.example/app/key"))
    found = of(Graph.of(elsewhere), viewers=10)
    assert found.tiers["head"].bits_out == 11e6
    assert found.tiers["elsewhere"].bits_in == 1e6


def test_copies_share_the_viewers_and_each_pulls() -> None:
    found = demand(grnet(), AUDIENCE, PROFILE, {"relay-a": 4})
    assert found.tiers["relay-a"].viewers == 250
    assert found.tiers["relay-a"].bits_in == 1e6
    assert found.tiers["studio"].bits_out == 7e6
