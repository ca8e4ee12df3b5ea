"""Calibrations in files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tierkit import TierkitError
from tierkit.plan import KINDS, MEASURED, Costs, Profile, default_path


def test_a_calibration_comes_back_as_it_was_written(tmp_path: Path) -> None:
    costs = Costs(base_cpu=0.01, curve=((20.0, 0.01), (200.0, 0.02)), source="calibration of here")
    profile = Profile(costs={"edge/http": costs}, about={"machine": "here"}, made_at=1.5)
    path = tmp_path / "deep" / "plan.json"
    profile.write(path)
    assert Profile.read(path) == profile
    assert [each.name for each in path.parent.iterdir()] == ["plan.json"]


def test_what_was_not_measured_is_the_documentations() -> None:
    assert set(MEASURED) == set(KINDS)
    profile = Profile(costs={"edge/http": Costs(source="here")})
    assert profile.of("edge/http").source == "here"
    assert profile.of("relay/rtmp") is MEASURED["relay/rtmp"]
    root = Path(__file__).parent.parent.parent
    assert all((root / each.source).exists() for each in MEASURED.values())


def written(**costs: object) -> str:
    return json.dumps({"format": 1, "made_at": 0, "about": {}, "costs": {"edge/http": costs}})


NONE = [
    "",
    "[]",
    "{}",
    "[" * 100_000,
    "\xff",
    written().replace("1", "2", 1),
    written(base_cpu=-1),
    written(base_cpu="1"),
]
NONE += [written(base_cpu=float("inf")), written(curve=[[1]]), written(curve=[[2, 1], [1, 2]]), written(curve="odd")]


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_calibration_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text, "latin-1")
    with pytest.raises(TierkitError, match="is no calibration: make one"):
        Profile.read(path)


def test_what_another_version_knows_besides_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    costs = {"edge/http": {"base_cpu": 0.5, "mood": 1}, "edge/gopher": {"base_cpu": 1}}
    path.write_text(json.dumps({"format": 1, "made_at": 0, "about": {}, "costs": costs}))
    assert Profile.read(path).costs == {"edge/http": Costs(base_cpu=0.5)}


def test_one_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TierkitError, match="cannot be written"):
        Profile().write(tmp_path / "file" / "plan.json")


def test_where_it_is_kept() -> None:
    assert default_path({"XDG_CONFIG_HOME": "/etc/me"}) == Path("/etc/me/tierkit/plan.json")
    # The specification has relative ones ignored.
    assert default_path({"XDG_CONFIG_HOME": "me"}) == default_path({})
    assert default_path({}) == Path.home() / ".config" / "tierkit" / "plan.json"
