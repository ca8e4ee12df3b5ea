"""What breaks first, and how many more tiers are wanted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve

from tierkit import GraphError, Limits
from tierkit.plan import Audience, Machines, parse_speed, plan
from tierkit.plan._bounds import bounds
from tierkit.plan._demand import demand
from tierkit.plan._links import WIRE

from .graphs import grnet, two_levels
from .test_demand import PROFILE

AUDIENCE = Audience(viewers=4000, bitrate=1e6)
GIGABIT = Machines(uplink=1e9)


def test_what_holds_says_what_would_break_first() -> None:
    found = plan(grnet(), evolve(AUDIENCE, viewers=2000), PROFILE, GIGABIT)
    assert found.holds
    assert found.wanted == {}
    assert found.then is None
    first = found.first
    assert first is not None
    assert (first.name, first.what) == ("edge-a1.example", "out")
    # A quarter of all viewers, 80 % of a gigabit, frames and headers around each megabit.
    assert first.viewers == int(4 * 0.8e9 / (1e6 * WIRE))
    assert first.share == pytest.approx(500e6 * WIRE / 1e9)


def test_at_that_number_it_holds_and_with_a_few_more_it_breaks() -> None:
    first = plan(grnet(), AUDIENCE, PROFILE, GIGABIT).first
    assert first is not None
    assert plan(grnet(), evolve(AUDIENCE, viewers=first.viewers), PROFILE, GIGABIT).holds
    assert not plan(grnet(), evolve(AUDIENCE, viewers=first.viewers + 2), PROFILE, GIGABIT).holds


def test_more_tiers_of_each_kind_carry_what_is_too_much() -> None:
    found = plan(grnet(), evolve(AUDIENCE, viewers=8000), PROFILE, GIGABIT)
    assert not found.holds
    # 6,000 over HTTP are 6.37 Gbit/s on the wire, that is eight lines at 80 %; 2,000 over RTMP want three.
    assert found.wanted == {"edge-a1": 3, "edge-a2": 3, "edge-b1": 2, "relay-a": 3}
    assert found.then is not None
    assert found.then.holds
    assert found.then.tiers["edge-b1"].viewers == pytest.approx(750)
    # One fewer is not enough.
    fewer = {**found.wanted, "edge-a1": 2}
    shares = bounds(grnet(), demand(grnet(), evolve(AUDIENCE, viewers=8000), PROFILE, fewer), GIGABIT)
    assert max(each.share for each in shares) > 0.8


def test_a_core_and_descriptors_and_connections_are_bounds_too() -> None:
    # Names of what breaks, with nothing said of machines.
    def first(**audience: object) -> tuple[str, str]:
        found = plan(grnet(), evolve(AUDIENCE, **audience), PROFILE).first
        assert found is not None
        return found.name, found.what

    assert first(bitrate=10e6) == ("edge-a1", "cpu")
    assert first(bitrate=1e4, segment=10) == ("edge-a1", "descriptors")
    small = grnet()
    nodes = [evolve(n, limits=Limits(connections=100)) if n.name == "relay-a" else n for n in small.nodes]
    tight = plan(evolve(small, nodes=tuple(nodes)), AUDIENCE, PROFILE)
    assert tight.first is not None
    assert (tight.first.name, tight.first.what, tight.first.viewers) == ("relay-a", "connections", 320)


def test_lines_of_sites_and_between_tiers() -> None:
    links = {"dc-a": 2e9, "studio:edge-b1": 1e6}
    found = plan(grnet(), evolve(AUDIENCE, viewers=2000), PROFILE, Machines(links=links))
    loads = {(link.kind, link.name): link for link in found.links}
    site = loads["site", "dc-a"]
    # Two edges and a relay send to viewers, and take one stream each from outside.
    assert site.out == pytest.approx(1.5e9 * WIRE)
    assert site.back == pytest.approx(3e6 * WIRE)
    assert site.share == pytest.approx(0.75 * WIRE)
    pull = loads["pull", "studio:edge-b1"]
    assert pull.share == pytest.approx(WIRE)
    # It is full however many watch, and more tiers do not help.
    assert not found.holds
    assert found.wanted is None
    assert "studio:edge-b1: this link is full" in found.stuck


def test_what_stays_on_a_machine_or_in_a_place_touches_no_line() -> None:
    found = plan(two_levels(), AUDIENCE, PROFILE, Machines(uplink=1e9, one=True, cores=2, memory=8e9))
    loads = {link.name: link for link in found.links if link.kind == "interface"}
    assert loads["this machine"].out == pytest.approx(4e9 * WIRE)
    assert loads["this machine"].back == pytest.approx(1e6 * WIRE)
    assert found.wanted is None
    assert "its line is full" in found.stuck
    first = plan(two_levels(), AUDIENCE, PROFILE, Machines(one=True, cores=0.2)).first
    assert first is not None
    assert (first.name, first.what) == ("this machine", "cores")


def test_an_origin_elsewhere_has_a_line_too() -> None:
    machines = Machines(links={"wowza": 1e6})
    found = plan(two_levels(), AUDIENCE, PROFILE, machines)
    assert found.wanted is None
    assert "wowza.example" in found.stuck


def test_links_that_mean_nothing_are_told_all_at_once() -> None:
    with pytest.raises(GraphError) as caught:
        plan(grnet(), AUDIENCE, PROFILE, Machines(links={"edge-a9": 1e9, "studio:nobody": 1e9}))
    assert [each.partition(":")[0] for each in caught.value.problems] == ["link 'edge-a9'", "link 'studio"]


def test_a_place_and_a_tier_of_one_name_are_two_things() -> None:
    graph = grnet()
    nodes = [evolve(node, site="relay-a") if node.name == "edge-a1" else node for node in graph.nodes]
    with pytest.raises(GraphError, match="a site and something else"):
        plan(evolve(graph, nodes=tuple(nodes)), AUDIENCE, PROFILE, Machines(links={"relay-a": 1e9}))


@pytest.mark.parametrize(
    ("text", "speed"),
    [("1G", 1e9), ("2.5Gbit/s", 2.5e9), ("100M", 1e8), ("64kbit", 64e3), ("9600", 9600), ("1T", 1e12)],
)
def test_speeds(text: str, speed: float) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "1X", "G", "-1G", "0", "1 GB/s", "1e9", "9999999999T"])
def test_what_is_no_speed(text: str) -> None:
    with pytest.raises(ValueError, match="give a speed"):
        parse_speed(text)


def test_speeds_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "links.toml"
    file.write_text('uplink = "1G"\n[links]\n"a1.example" = "10G"\n"wowza:edge-a1" = "100M"\n')
    assert Machines.read(file) == {"": 1e9, "a1.example": 1e10, "wowza:edge-a1": 1e8}
    file.write_text('uplinks = "1G"\n[links]\na = "1Q"\n')
    with pytest.raises(GraphError) as caught:
        Machines.read(file)
    assert len(caught.value.problems) == 2
    for text, why in (("x =", "is no TOML"), ("links = 1", "write a table")):
        file.write_text(text)
        with pytest.raises(GraphError, match=why):
            Machines.read(file)
    with pytest.raises(GraphError, match="cannot be read"):
        Machines.read(tmp_path / "nothing.toml")


def test_the_whole_plan_is_json() -> None:
    found = plan(grnet(), evolve(AUDIENCE, viewers=8000), PROFILE, GIGABIT).as_dict()
    told = json.loads(json.dumps(found))
    assert told["holds"] is False
    assert told["wanted"]["edge-a1"] == 3
    assert told["then"]["holds"] is True
    assert told["tiers"]["edge-a1"]["memory"] > told["tiers"]["edge-a1"]["store"]
    assert told["breaking"][0]["what"] == "out"
