"""Viewers shared out over doors."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tierkit import Certificate, Edge, Graph, GraphError, Listener, Relay
from tierkit.plan import Audience
from tierkit.plan._audience import requested, share_out
from tierkit.plugins.hls import HLS
from tierkit.plugins.rtmp import RTMP

from .graphs import STUDIO, WOWZA, both, grnet, two_levels


def shared(graph: Graph, copies: Mapping[str, int] | None = None, **audience: object) -> dict[str, float]:
    seats = share_out(graph, Audience(**{"viewers": 1200, "bitrate": 1e6, **audience}), copies or {})  # type: ignore[arg-type]
    return {f"{seat.tier} {seat.scheme}": seat.viewers for seat in seats}


def test_all_tiers_that_take_viewers_get_as_many() -> None:
    found = shared(grnet())
    assert found == {"edge-a1 http": 300, "edge-a2 http": 300, "edge-b1 http": 300, "relay-a rtmp": 300}


def test_a_shield_takes_none_unless_it_is_said() -> None:
    assert shared(two_levels()) == {"edge http": 1200}
    assert shared(two_levels(), share={"shield": 0.25}) == {"shield http": 300, "edge http": 900}


def test_an_origin_alone_serves_its_viewers_itself() -> None:
    assert shared(Graph.of(STUDIO)) == {"studio rtmp": 1200}


def test_a_split_goes_by_service_or_scheme_and_its_parts_are_weights() -> None:
    found = shared(grnet(), split={"hls": 3, "rtmp": 1})
    assert found == {"edge-a1 http": 300, "edge-a2 http": 300, "edge-b1 http": 300, "relay-a rtmp": 300}
    assert shared(both(), split={"flv": 0.75, "rtmp": 0.25}) == {"relay http": 900, "relay rtmp": 300}
    assert shared(both(), split={"rtmp/rtmp": 1}) == {"relay rtmp": 1200}
    assert shared(both()) == {"relay rtmp": 600, "relay http": 600}


def test_the_encrypted_door_is_taken_where_there_are_both() -> None:
    doors = (Listener.parse("http://:80"), Listener.parse("https://:443"))
    doors = (doors[0], Listener(doors[1].address, (Certificate("cert.pem"),)))
    graph = Graph.of(Edge("edge", host="e.example", listen=doors, upstream=WOWZA, serves=HLS()))
    assert shared(graph) == {"edge https": 1200}
    assert shared(graph, split={"http": 1, "https": 3}) == {"edge http": 300, "edge https": 900}


def test_shares_of_tiers_leave_the_rest_to_the_others() -> None:
    found = shared(grnet(), share={"edge-a1": 0.7})
    assert found == pytest.approx({"edge-a1 http": 840, "edge-a2 http": 120, "edge-b1 http": 120, "relay-a rtmp": 120})
    found = shared(grnet(), split={"hls": 1, "rtmp": 1}, share={"edge-a1": 0.5})
    assert found == {"edge-a1 http": 300, "edge-a2 http": 150, "edge-b1 http": 150, "relay-a rtmp": 600}


def test_copies_take_from_their_own_kind_alone() -> None:
    found = shared(grnet(), {"edge-a1": 4})
    assert found == {"edge-a1 http": 600, "edge-a2 http": 150, "edge-b1 http": 150, "relay-a rtmp": 300}
    found = shared(grnet(), {"edge-a1": 4}, share={"edge-a1": 0.7})
    assert found["edge-a1 http"] == pytest.approx(840)


def test_what_fits_no_tier_is_told_all_at_once() -> None:
    with pytest.raises(GraphError) as caught:
        shared(grnet(), split={"flv": 1}, share={"edge-a9": 0.5})
    share, split = caught.value.problems
    assert (
        share
        == "share of 'edge-a9': no tier with a door is called so: there are edge-a1, edge-a2, edge-b1, relay-a, studio"
    )
    assert split == "split 'flv': no tier that takes viewers serves it: there are hls, http, rtmp"
    with pytest.raises(GraphError, match="more than 1"):
        shared(grnet(), share={"edge-a1": 0.6, "edge-a2": 0.6})
    with pytest.raises(GraphError, match="all parts are 0"):
        shared(grnet(), split={"hls": 0})
    with pytest.raises(GraphError, match="nobody can watch"):
        shared(Graph.of(WOWZA))


def test_what_is_fetched_and_what_is_one_answer() -> None:
    edge, relay = grnet()["edge-a1"], both()["relay"]
    assert requested(edge, edge.serves[0], "http")
    assert not requested(relay, relay.serves[0], "rtmp")
    assert not requested(relay, relay.serves[1], "http")
    assert requested(STUDIO, STUDIO.serves[0], "http")
    assert not requested(STUDIO, STUDIO.serves[0], "rtmp")


def test_a_relay_that_pushes_to_another_feeds_it() -> None:
    sink = Relay("sink", host="s.example", listen=":1935", serves=RTMP())
    graph = Graph.of(Relay("head", host="h.example", listen=":1935", upstream=STUDIO, serves=RTMP(), push=sink))
    assert shared(graph) == {"sink rtmp": 1200}
