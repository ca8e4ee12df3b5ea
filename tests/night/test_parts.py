"""The parts of the record night, without a night: who watches where, what is compared, what is not held."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit import TierkitError, check
from tierkit.config import load_graph
from tierkit.night import Plan, Played, compare
from tierkit.night._clip import Packet, read_md5
from tierkit.night._graph import make_certificate, write_graph
from tierkit.night._outside import clients_at, cpu_seconds, memory_of, socket_bytes
from tierkit.night._verdict import Outcome, broken, conditions
from tierkit.night._watch import Outside, Watch, connections_of, most

# --- the plan


def test_the_whole_night_is_four_times_1500() -> None:
    plan = Plan()
    assert plan.audience == {"edge-a1": 1500, "edge-a2": 1500, "edge-b1": 1500, "relay-a": 1500}
    assert plan.nominal == 3.552e9
    assert sorted(plan.frames_from) == [*["edge-a1"] * 3, *["edge-a2"] * 3, *["edge-b1"] * 2, *["relay-a"] * 2]


@given(scale=st.floats(0.001, 10), hls=st.integers(0, 9), rtmp=st.integers(0, 9), players=st.integers(0, 100))
def test_everybody_watches_somewhere(scale: float, hls: int, rtmp: int, players: int) -> None:
    if not hls + rtmp:
        return
    plan = Plan(scale=scale, split=f"{hls}:{rtmp}", players=players)
    assert sum(plan.audience.values()) == plan.viewers
    assert len(list(plan.frames_from)) == players
    # Nobody is looked at where nobody watches.
    assert all(plan.audience[name] or plan.viewers < 40 for name in plan.frames_from)


@pytest.mark.parametrize("split", ["", "3", "3:", ":1", "0:0", "-1:2", "3:1:1", "a:b"])
def test_a_split_that_is_none(split: str) -> None:
    with pytest.raises(TierkitError, match=r"is none: write HLS:RTMP"):
        Plan(split=split)


@pytest.mark.parametrize("odd", [{"scale": 0}, {"scale": 11}, {"seconds": 1}, {"ramp": -1}, {"players": 101}])
def test_a_night_that_makes_no_sense(odd: dict[str, Any]) -> None:
    with pytest.raises(TierkitError):
        Plan(**odd)


def test_descriptors_are_looked_at_before_anything_begins() -> None:
    Plan(scale=2).check_descriptors(20_000)
    with pytest.raises(TierkitError, match="needs some 2400 descriptors for 1500 viewers, and a process may have 1024"):
        Plan().check_descriptors(1024)
    Plan().check_descriptors(-1)  # no limit


# --- what players got


CLIP = [Packet(n * 0.04, f"{n:032x}") for n in range(50)]


def played(*places: int, late: float = 0.0) -> Played:
    """What is found where a player got these packets of the clip, the first at any time."""
    got = [Packet(7.0 + 0.04 * n + (late if n else 0), CLIP[place % 50].md5) for n, place in enumerate(places)]
    return compare(CLIP, got)


def test_a_stretch_of_the_clip_is_fine_round_and_round() -> None:
    assert played(*range(40, 190)) == Played(same=150, other=0, gaps=0)
    assert played(*range(40, 190)).fine


def test_a_packet_that_is_missing_is_a_gap() -> None:
    assert played(3, 4, 6, 7).gaps == 1
    assert not played(3, 4, 6, 7).fine
    assert played(3, 4, 4, 5).gaps == 1
    assert played(4, 3).gaps == 1


def test_a_whole_round_that_is_missing_is_a_gap_too() -> None:
    """By place it looks well: only the time tells."""
    assert played(3, 4).gaps == 0
    assert played(3, 4, late=2.0).gaps == 1
    assert played(49, 0, late=2.0).gaps == 1


def test_a_packet_that_was_never_sent() -> None:
    got = [Packet(0.0, CLIP[0].md5), Packet(0.04, "f" * 32), Packet(0.08, CLIP[2].md5)]
    found = compare(CLIP, got)
    assert (found.same, found.other, found.gaps) == (2, 1, 1)


def test_nothing_is_not_fine() -> None:
    assert not compare(CLIP, []).fine


def test_reading_what_ffmpeg_writes(tmp_path: Path) -> None:
    listing = tmp_path / "x.framemd5"
    listing.write_text(
        "#format: frame checksums\n#version: 2\n#hash: MD5\n#extradata 0,  37, 4120\n#tb 0: 1/90000\n"
        "#media_type 0: video\n#codec_id 0: h264\n#tb 1: 1/1000\n#media_type 1: audio\n#stream#, dts, pts\n"
        "0,     9000,     9000,     3600,    10682, aa, S=1,        1, ec2d\n"
        "1,       23,       23,     2089,      279, bb\n"
    )
    assert read_md5(listing) == {"video": [Packet(0.1, "aa")], "audio": [Packet(0.023, "bb")]}


# --- the graph


async def test_the_graph_is_that_of_grnet(tmp_path: Path) -> None:
    file = tmp_path / "night.toml"
    write_graph(file, control="127.0.0.1:9", http="http://127.0.0.1:1", rtmp="rtmp://127.0.0.1:2", certificate=None)
    graph = load_graph(file)
    assert check(graph) == []
    assert [(node.name, node.site, node.role) for node in graph.running] == [
        ("edge-a1", "dc-a", "edge"),
        ("edge-a2", "dc-a", "edge"),
        ("edge-b1", "dc-b", "edge"),
        ("relay-a", "dc-a", "relay"),
    ]
    assert {node.limits.per_address for node in graph.running} == {20_000}


@pytest.mark.real("openssl")
async def test_with_https_the_edges_speak_it(tmp_path: Path) -> None:
    certificate = await make_certificate(tmp_path)
    assert certificate[1].stat().st_mode & 0o077 == 0
    file = tmp_path / "night.toml"
    write_graph(
        file, control="127.0.0.1:9", http="http://127.0.0.1:1", rtmp="rtmp://127.0.0.1:2", certificate=certificate
    )
    graph = load_graph(file)
    assert check(graph) == []
    assert [node.schemes for node in graph.running] == [("https",)] * 3 + [("rtmp",)]


# --- what is not held


PLAN = Plan(scale=0.1)
SHARE = {"gbit_per_s": 0.09, "stalled_viewers": 0, "stalls": 0, "errors": {}}
TIERS = ("edge-a1", "edge-a2", "edge-b1", "relay-a")


def loads(**odd: Any) -> dict[str, Any]:
    """What all loads tell, some of them something else."""
    return {name: odd.get(name.replace("-", "_"), SHARE) for name in TIERS}


def outcome(**more: Any) -> Outcome:
    fine = {"video": Played(900, 0, 0), "audio": Played(1600, 0, 0)}
    return Outcome(
        **{"loads": dict.fromkeys(TIERS, SHARE), "players": {"player-1-edge-a1": fine}, "clients": 4, **more}
    )


def watch(**more: Any) -> Watch:
    made = Watch("127.0.0.1:1", "127.0.0.1:2", dict.fromkeys(TIERS, 1), [3, 4], None, print)
    made.inside = dict.fromkeys(TIERS, 90_000_000)
    made.outside = {name: Outside(resident=120_000_000) for name in TIERS}
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_a_night_that_went_well() -> None:
    assert broken(PLAN, outcome(), watch()) == []


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (
            {"loads": dict.fromkeys(TIERS, SHARE) | {"relay-a": SHARE | {"stalled_viewers": 2, "stalls": 3}}},
            "2 viewers of relay-a",
        ),
        ({"loads": dict.fromkeys(TIERS, SHARE) | {"edge-b1": SHARE | {"errors": {"gap": 3}}}}, "edge-b1 met 3 x gap"),
        ({"loads": dict.fromkeys(TIERS, SHARE) | {"edge-b1": {}}}, "got 0.270 Gbit/s, and not the 0.355"),
        ({"players": {"player-1": {"video": Played(90, 0, 1)}}}, "there are 1 gaps"),
        ({"players": {"player-1": {"audio": Played(0, 0, 0)}}}, "player-1 differs from the source"),
        ({"loads": loads(edge_a1=SHARE | {"starved_viewers": 7})}, "7 viewers of edge-a1 had less than 95 %"),
        (
            {"loads": loads(edge_a1=SHARE | {"self_check": {"evidence": ["it took 0.97 of a core"]}})},
            "the load of edge-a1 was too slow itself, so its figures are its own: it took 0.97 of a core",
        ),
        ({"clients": 5}, "the origin saw 5 clients"),
        ({"failed": ["the load of edge-a1 has failed: x"]}, "the load of edge-a1 has failed"),
    ],
)
def test_what_viewers_saw(seen: dict[str, Any], said: str) -> None:
    (line,) = broken(PLAN, outcome(**seen), watch())
    assert said in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"inside": dict.fromkeys(TIERS, 9e7) | {"edge-a1": 251e6}}, "edge-a1 had 251 MB"),
        ({"outside": {"edge-a2": Outside(100_000_000, 100_000_000, 60_000_000)}}, "edge-a2 had 260 MB"),
        (
            {"inside": {}, "outside": {name: Outside(1) for name in TIERS[1:]}},
            "nobody knows how much memory edge-a1 had",
        ),
        ({"restarts": 1}, "started again, 1 times"),
    ],
)
def test_what_tiers_took(seen: dict[str, Any], said: str) -> None:
    (line,) = broken(PLAN, outcome(), watch(**seen))
    assert said in line


def test_assumptions_are_called_so() -> None:
    told = conditions(Plan(split="1:1", ramp=30), outcome(), watch(), None)
    assert told["split (an assumption)"].startswith("1:1")
    assert told["ramp (an assumption)"].startswith("30 s")
    assert "1 of 1 equal to the source: 2,500 packets" in told["players compared"]


# --- the watch


def origin(connections: int, publishers: int) -> dict[str, Any]:
    return {"tiers": {"origin": {"connections": connections, "services": {"ingest": {"publishers": publishers}}}}}


def test_the_encoder_is_no_client() -> None:
    assert connections_of(origin(5, 1)) == 4
    assert connections_of({}) == 0


def test_clients_are_counted_while_it_matters() -> None:
    seen = [(1.0, 13), (5.0, 4), (6.0, 5), (9.0, 0)]
    assert most(seen, 4.0, 8.0) == 5
    assert most(seen, 20.0, 30.0) is None


@pytest.mark.real("ss")
async def test_a_process_with_two_connections_is_one_client() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert await clients_at([port]) == set()
        with socket.create_connection(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
            assert await clients_at([port]) == {os.getpid()}
            held = await socket_bytes([port])
            assert set(held) <= {port}


async def test_without_ss_nothing_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await clients_at([1]) is None
    assert await socket_bytes([1]) == {}


def test_a_process_costs_something_and_one_that_is_gone_nothing() -> None:
    resident, memfds = memory_of(os.getpid())
    assert resident > 10_000_000
    assert memfds >= 0
    assert cpu_seconds(os.getpid()) > 0
    gone = 2**22 + 1  # above the highest process id that Linux gives out
    assert memory_of(gone) == (0, 0)
    assert cpu_seconds(gone) == 0
