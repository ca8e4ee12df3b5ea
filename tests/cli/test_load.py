"""`tierkit load`: what it asks of `tierkit.load`, and how it tells what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

import tierkit.load
from tierkit import TierkitError, Trust
from tierkit._cli_load import described
from tierkit.load import Live, Quantiles, Report, SelfCheck, Watched
from tierkit.load._live import Watching

from .support import tierkit_

REPORT = Report(
    viewers=5,
    seconds=2.0,
    bytes=10**9,
    startup_ms=Quantiles(1.0, 2.0),
    stalls=0,
    stalled_viewers=0,
    errors={"gap": 2},
    latency_ms=Quantiles(),
    self_check=SelfCheck(cpu=0.97, cpu_all=0.97),
    audience=(Watched(viewer=7, reads=True),),
)
LIVE = Live(viewers=3, expected=5, gbit_per_s=1.5, stalls=2, cpu=0.25, elapsed=1.0, total=2.0)
#: In a process of its own, whose standard error is a terminal.
SHOWN = """
import sys
import tierkit.load
from tests.cli.test_load import LIVE, REPORT
from tierkit.cli import main

async def run(url, *, watching=None, **options):
    watching(LIVE)
    return REPORT

setattr(tierkit.load, f"run_{sys.argv[1]}", run)
sys.argv[1:] = ["load", sys.argv[1], "x://y/z"]
main()
"""


@pytest.fixture(params=["hls", "rtmp"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def asked(kind: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def run(url: str, *, watching: Watching | None = None, **options: Any) -> Report:
        found.update(options, url=url)
        if watching is not None:
            watching(LIVE)
        return REPORT

    monkeypatch.setattr(tierkit.load, f"run_{kind}", run, raising=False)
    monkeypatch.setattr(tierkit.load, "spare_collections", lambda: None)
    return found


def test_what_is_asked_and_told_to_people(kind: str, asked: dict[str, Any]) -> None:
    outcome = tierkit_("load", kind, "x://y/z", "--viewers", "500", "--seconds", "1m", "--ramp", "2.5")
    assert outcome.code == 0, outcome.err
    more = {"variant": "abr", "cmcd": "none"} if kind == "hls" else {}
    common = {"viewers": 500, "seconds": 60.0, "ramp": 2.5, "processes": 1, "trust": None}
    assert asked == {"url": "x://y/z", **common, **more}
    # Nothing but the report: standard error is no terminal here.
    assert (outcome.out, outcome.err) == (REPORT.text().splitlines(), [])


def test_hls_has_variants_and_cmcd(monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, Any] = {}

    async def run(url: str, **options: Any) -> Report:
        found.update(options)
        return REPORT

    monkeypatch.setattr(tierkit.load, "run_hls", run)
    monkeypatch.setattr(tierkit.load, "spare_collections", lambda: None)
    words = ("--variant", "lowest", "--cmcd", "header", "--processes", "3", "--ca", "ca.pem")
    assert tierkit_("load", "hls", "https://y/z", *words).code == 0
    assert (found["variant"], found["cmcd"], found["processes"]) == ("lowest", "header", 3)
    assert found["trust"] == Trust(ca="ca.pem")


def test_json_progress_is_a_line_for_each_on_standard_error(kind: str, asked: dict[str, Any]) -> None:
    outcome = tierkit_("load", kind, "x://y/z", "--progress", "json", "--json")
    assert [json.loads(each) for each in outcome.err] == [LIVE.as_dict()]
    assert json.loads("\n".join(outcome.out))["viewers"] == 5


def test_a_bar_says_what_comes_and_what_went_wrong() -> None:
    assert described(LIVE) == "3/5 viewers, 1.500 Gbit/s, 2 stalls, load 0.25 cores"
    worse = described(attrs.evolve(LIVE, starved_viewers=4, errors=6))
    assert worse == "3/5 viewers, 1.500 Gbit/s, 2 stalls, 4 starved, 6 errors, load 0.25 cores"


def test_a_terminal_gets_a_bar(kind: str, asked: dict[str, Any]) -> None:
    words = [sys.executable, "-c", SHOWN, kind]
    ours, theirs = os.openpty()
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=theirs, check=True, timeout=60)
    os.close(theirs)
    drawn = os.read(ours, 65536).decode()
    os.close(ours)
    assert "3/5 viewers, 1.500 Gbit/s, 2 stalls" in drawn
    assert done.stdout.decode().splitlines() == REPORT.text().splitlines()


def test_viewers_go_to_a_file(kind: str, asked: dict[str, Any], tmp_path: Path) -> None:
    outcome = tierkit_("load", kind, "x://y/z", "--viewers-out", str(tmp_path / "viewers"))
    assert outcome.code == 0
    (line,) = (tmp_path / "viewers").read_text().splitlines()
    assert json.loads(line)["viewer"] == 7


def test_json_has_the_contracts_keys(kind: str, asked: dict[str, Any]) -> None:
    outcome = tierkit_("load", kind, "x://y/z", "--json")
    assert json.loads("\n".join(outcome.out)) == {
        "viewers": 5,
        "seconds": 2.0,
        "bytes": 10**9,
        "gbit_per_s": 4.0,
        "startup_ms": {"p50": 1.0, "p99": 2.0},
        "stalls": 0,
        "stalled_viewers": 0,
        "errors": {"gap": 2},
        "latency_ms": {"p50": None, "p99": None},
        "starved_viewers": 0,
        "switches": {"up": 0, "down": 0},
        "variants": {},
        "self_check": {
            "late_p99_ms": 0.0,
            "late_max_ms": 0.0,
            "cpu": 0.97,
            "cpu_all": 0.97,
            "neglect_s": 0.0,
            "processes": 1,
            "bottleneck": True,
            "evidence": ["it took 0.97 of a core"],
        },
        "notes": [],
    }


def test_a_load_tool_that_was_too_slow_says_so(kind: str, asked: dict[str, Any]) -> None:
    outcome = tierkit_("load", kind, "x://y/z")
    assert "THE LOAD TOOL WAS THE BOTTLENECK: it took 0.97 of a core: give it more --processes" in outcome.out


def test_no_load_is_a_line_and_1(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(url: str, **_: Any) -> Report:
        raise TierkitError(f"{url} answers 404: give the URL of a playlist")

    monkeypatch.setattr(tierkit.load, f"run_{kind}", run, raising=False)
    outcome = tierkit_("load", kind, "x://y")
    assert (outcome.code, outcome.out, outcome.err) == (1, [], ["x://y answers 404: give the URL of a playlist"])


@pytest.mark.parametrize("words", [("--viewers", "0"), ("--seconds", "soon"), ("--ramp", "-1")])
def test_odd_numbers_end_with_2(kind: str, asked: dict[str, Any], words: tuple[str, str]) -> None:
    assert tierkit_("load", kind, "x://y", *words).code == 2
    assert asked == {}


def test_nobody_there_is_a_line_and_1() -> None:
    outcome = tierkit_("load", "hls", "http://127.0.0.1:9/live/s/playlist.m3u8", "--viewers", "1", "--seconds", "1")
    assert (outcome.code, outcome.out) == (1, [])
    (line,) = outcome.err
    assert "127.0.0.1:9" in line
