"""`tierkit load`: what it asks of `tierkit.load`, and how it tells what came of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

import tierkit.load
from tierkit import TierkitError
from tierkit.load import Quantiles, Report

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
)


@pytest.fixture(params=["hls", "rtmp"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def asked(kind: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def run(url: str, **options: Any) -> Report:
        found.update(options, url=url)
        return REPORT

    monkeypatch.setattr(tierkit.load, f"run_{kind}", run, raising=False)
    return found


def test_what_is_asked_and_told_to_people(kind: str, asked: dict[str, Any]) -> None:
    outcome = tierkit_("load", kind, "x://y/z", "--viewers", "500", "--seconds", "1m", "--ramp", "2.5")
    assert outcome.code == 0, outcome.err
    assert asked == {"url": "x://y/z", "viewers": 500, "seconds": 60.0, "ramp": 2.5}
    assert outcome.out == REPORT.text().splitlines()


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
    }


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
