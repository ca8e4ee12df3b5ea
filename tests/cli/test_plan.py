"""`tierkit plan`: what it is asked, what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tierkit._cli_plan
from tierkit import TierkitError
from tierkit.plan import Costs, Profile

from .support import tierkit_

GRAPH = """
[origin.studio]
listen = ["rtmp://:1935", "http://:8080"]
host = "studio.example"
serves = { plugin = "ingest", segment = "4s" }

[edge.edge-a]
site = "dc-a"
host = "a.example"
listen = ":80"
upstream = "studio"
serves = "hls"

[edge.edge-b]
site = "dc-b"
host = "b.example"
listen = ":80"
upstream = "studio"
serves = "hls"

[relay.relay-a]
site = "dc-a"
host = "r.example"
listen = ":1935"
upstream = "studio"
serves = "rtmp"
"""
WATCHED = ("--viewers", 3000, "--bitrate", 592)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "tierkit" / "plan.json"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "graph.toml"
    path.write_text(GRAPH)
    return path


def test_a_plan_that_holds(file: Path) -> None:
    outcome = tierkit_("plan", file, *WATCHED)
    assert (outcome.code, outcome.err) == (0, [])
    text = "\n".join(outcome.out)
    assert outcome.out[0] == (
        "3,000 viewers at 592 kbit/s: 1.78 Gbit/s in all; 1 stream, 1 rendition of each, segments of 4 s, for 3 hours"
    )
    assert "edge-a     1,000   592 Mbit/s  592 kbit/s" in text
    assert "origin studio: 3 tiers ask it, 1.5 requests/s and 1.78 Mbit/s in all" in outcome.out
    assert "it holds" in outcome.out
    # Without a calibration it says whose numbers these are.
    assert "costs of edge/http, relay/rtmp: docs/explanation/performance.md" in outcome.out
    assert "this machine is not calibrated: tierkit plan --calibrate measures it" in outcome.out


def test_a_plan_that_breaks_ends_with_1_and_says_what_is_wanted(file: Path) -> None:
    outcome = tierkit_(
        "plan", file, "--viewers", 6000, "--bitrate", 592, "--uplink", "1G", "--split", "hls=0.75,rtmp=.25"
    )
    assert outcome.code == 1
    assert "breaks first: the line out of a.example, at 3,392 viewers (80% of it); 6,000 use 141%" in outcome.out
    assert "breaks too: the line out of b.example, asked for 141% of it" in outcome.out
    assert "wanted: 3 more: 1 like edge-a, 1 like edge-b, 1 like relay-a" in outcome.out
    again = outcome.out.index("With 2 x edge-a, 2 x edge-b, 2 x relay-a:")
    assert any(line.startswith("edge-a x2") for line in outcome.out[again:])


def test_what_more_tiers_do_not_mend(file: Path) -> None:
    outcome = tierkit_("plan", file, *WATCHED, "--link", "dc-a=1G")
    assert outcome.code == 1
    assert any(line.startswith("more tiers do not help: dc-a: its line is full") for line in outcome.out)


def test_a_narrow_terminal_is_enough(file: Path) -> None:
    outcome = tierkit_("plan", file, "--viewers", 6000, "--bitrate", 592, "--uplink", "1G")
    tables = [line for line in outcome.out if "bit/s" in line and line[0] != "o" and "viewers" not in line]
    assert len(tables) > 20
    assert max(map(len, tables)) <= 80


def test_json(file: Path) -> None:
    outcome = tierkit_("plan", file, *WATCHED, "--share", "edge-a=0.5", "--json")
    told = json.loads("\n".join(outcome.out))
    assert told["holds"] is True
    assert told["calibration"] is None
    assert told["tiers"]["edge-a"]["viewers"] == 1500
    assert {link["name"] for link in told["links"] if link["kind"] == "pull"} == {
        "studio:edge-a",
        "studio:edge-b",
        "studio:relay-a",
    }


def test_speeds_from_a_file_and_nearer_ones_from_the_command_line(file: Path, tmp_path: Path) -> None:
    links = tmp_path / "links.toml"
    links.write_text('uplink = "10G"\n[links]\n"a.example" = "1G"\n')
    outcome = tierkit_("plan", file, *WATCHED, "--links", links, "--json")
    speeds = {link["name"]: link["speed"] for link in json.loads("\n".join(outcome.out))["links"]}
    assert (speeds["a.example"], speeds["b.example"]) == (1e9, 1e10)
    outcome = tierkit_("plan", file, *WATCHED, "--links", links, "--link", "a.example=2G", "--json")
    speeds = {link["name"]: link["speed"] for link in json.loads("\n".join(outcome.out))["links"]}
    assert speeds["a.example"] == 2e9


def test_a_calibration_is_read_and_its_age_told(file: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    costs = {"edge/http": Costs(base_cpu=0.5, source="calibration of vm-7")}
    Profile(costs=costs, about={"machine": "vm-7", "tierkit": "0.0.1"}, made_at=1000.0).write(home)
    monkeypatch.setattr("time.time", lambda: 1000.0 + 3 * 86400)
    outcome = tierkit_("plan", file, *WATCHED)
    assert "costs of edge/http: calibration of vm-7" in outcome.out
    assert "calibration: 3 days old, of vm-7 (tierkit 0.0.1)" in outcome.out
    assert any(line.startswith("it was made by tierkit 0.0.1") for line in outcome.out)


def test_a_calibration_is_made_where_it_is_asked_for(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    async def calibrate(*, seconds: float, tell: Any) -> Profile:
        asked.append(seconds)
        tell("measuring")
        return Profile(costs={"edge/http": Costs(base_cpu=0.25, source="calibration of here")}, made_at=1.0)

    monkeypatch.setattr(tierkit._cli_plan, "calibrate", calibrate)
    where = tmp_path / "mine.json"
    outcome = tierkit_("plan", "--calibrate", "--seconds", "5", "--profile", where)
    assert (outcome.code, outcome.out) == (0, [])
    assert outcome.err == ["measuring", f"calibration written to {where}"]
    assert asked == [5.0]
    assert Profile.read(where).costs["edge/http"].base_cpu == 0.25
    outcome = tierkit_("plan", file, *WATCHED, "--calibrate", "--profile", where)
    assert "costs of edge/http: calibration of here" in outcome.out


def test_a_calibration_that_fails_is_a_line(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    async def calibrate(**_: Any) -> Profile:
        raise TierkitError("the tiers to be measured do not start: no")

    monkeypatch.setattr(tierkit._cli_plan, "calibrate", calibrate)
    outcome = tierkit_("plan", "--calibrate")
    assert (outcome.code, outcome.err) == (1, ["the tiers to be measured do not start: no"])
    assert not home.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "plan: how many watch what: give --viewers N and --bitrate KBPS"),
        (("--viewers", 5), "plan: how many watch what: give --viewers N and --bitrate KBPS"),
        ((*WATCHED, "--split", "hls"), "--split 'hls': write NAME=NUMBER, such as hls=0.75"),
        ((*WATCHED, "--split", "hls=1,hls=2"), "--split hls: is there twice"),
        ((*WATCHED, "--share", "edge-a=-1"), "--share 'edge-a=-1': write NAME=NUMBER, such as hls=0.75"),
        (
            (*WATCHED, "--split", "flv=1"),
            "split 'flv': no tier that takes viewers serves it: there are hls, http, rtmp",
        ),
        ((*WATCHED, "--link", "edge-a=fast"), "--link 'edge-a=fast': give a speed such as 100M, 1G or 2.5Gbit/s"),
        ((*WATCHED, "--link", "=1G"), "--link '=1G': write NAME=SPEED, such as edge-a1=1G"),
        (("--calibrate", "--seconds", "1", *WATCHED), "--seconds 1: a measurement of less than 4 s says nothing"),
    ],
)
def test_what_cannot_be_planned_is_one_line_and_2(file: Path, words: tuple[object, ...], said: str) -> None:
    outcome = tierkit_("plan", file, *words)
    assert (outcome.code, outcome.out, outcome.err) == (2, [], [said])


def test_nothing_to_do_and_files_that_are_not_there(file: Path, tmp_path: Path) -> None:
    assert tierkit_("plan").err == ["plan: nothing to do: give FILE with --viewers and --bitrate, or --calibrate"]
    outcome = tierkit_("plan", file, *WATCHED, "--profile", tmp_path / "none.json")
    assert outcome.code == 1
    assert "none.json: cannot be read: No such file or directory: tierkit plan --calibrate makes it" in outcome.err[0]
    assert tierkit_("plan", tmp_path / "none.toml", *WATCHED).code == 2
    assert tierkit_("plan", file, *WATCHED, "--uplink", "quick").code == 2
    (tmp_path / "odd.json").write_text("{}")
    assert "is no calibration" in tierkit_("plan", file, *WATCHED, "--profile", tmp_path / "odd.json").err[0]
