"""What recordings are called, whatever publishers call their streams."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.plugins.record import Record
from tierkit.plugins.record._names import file_name, template_problem

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
TEMPLATE = Record().file


def name(stream: str, template: str = TEMPLATE) -> str:
    return "/".join(file_name(template, tier="relay", stream=stream, start=START))


@pytest.mark.parametrize(
    ("stream", "path"),
    [
        ("/live/s", "live/s-20260304T050607Z.flv"),
        ("/s", "s-20260304T050607Z.flv"),
        ("/live/_x-y.1/s.stream", "live/_x-y.1/s.stream-20260304T050607Z.flv"),
        ("/live/../../etc/passwd", "live/%2E./%2E./etc/passwd-20260304T050607Z.flv"),
        ("/./.hidden", "%2E/%2Ehidden-20260304T050607Z.flv"),
        ("/live/a b;rm -rf ~", "live/a%20b%3Brm%20-rf%20%7E-20260304T050607Z.flv"),
        ("/live/{start}", "live/%7Bstart%7D-20260304T050607Z.flv"),
        ("/live/βουλή", "live/%CE%B2%CE%BF%CF%85%CE%BB%CE%AE-20260304T050607Z.flv"),
        ("/live/a\\b\r\n\0", "live/a%5Cb%0D%0A%00-20260304T050607Z.flv"),
        ("/live/\ud800", "live/%ED%A0%80-20260304T050607Z.flv"),
        ("/live/%2e%2e", "live/%252e%252e-20260304T050607Z.flv"),
        ("", "_-20260304T050607Z.flv"),
    ],
)
def test_names_of_strangers_stay_names(stream: str, path: str) -> None:
    assert name(stream) == path


def test_what_is_too_long_is_cut_short_and_told_apart() -> None:
    one, two = name("/live/" + "x" * 2000), name("/live/" + "x" * 1999 + "y")
    assert one != two
    assert one.endswith(".flv")
    assert len(one) < 170
    deep = name("/" + "a/" * 500 + "s")
    assert deep.count("/") == 1


def test_templates_make_folders_by_date() -> None:
    assert name("/live/s", "{tier}/{start:%Y/%m}/{app}_{name}.flv") == "relay/2026/03/live_s.flv"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{app}/{nam}.flv", "{nam} is unknown: choose among {app}, {name}, {tier}, {start}"),
        ("{name.__class__}.flv", "{name.__class__} is unknown: choose among {app}, {name}, {tier}, {start}"),
        ("{0}.flv", "{0} is unknown: choose among {app}, {name}, {tier}, {start}"),
        ("{}.flv", "{} is unknown: choose among {app}, {name}, {tier}, {start}"),
        ("{name!r}.flv", "only {start} takes a format, such as {start:%Y%m%d}, not {name}"),
        ("{name:>999999999}.flv", "only {start} takes a format, such as {start:%Y%m%d}, not {name}"),
        ("{name.flv", "it cannot be filled in: expected '}' before end of string"),
        ("../{name}.flv", "it leaves the folder: write it without '..' and a leading '/'"),
        ("/var/{name}.flv", "it leaves the folder: write it without '..' and a leading '/'"),
        ("{name}/", "it names no file: end it in a name, such as {name}.flv, that does not end in .part"),
        ("", "it names no file: end it in a name, such as {name}.flv, that does not end in .part"),
        ("{name}.part", "it names no file: end it in a name, such as {name}.flv, that does not end in .part"),
        (TEMPLATE, ""),
    ],
)
def test_templates_are_checked_before_anything_runs(template: str, problem: str) -> None:
    assert template_problem(template) == problem


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_name_stays_in_the_folder_and_no_two_are_one(one: str, two: str) -> None:
    found = []
    for stream in (one, two):
        parts = file_name(TEMPLATE, tier="relay", stream=f"/live/{stream}", start=START)
        for part in parts:
            part.encode("ascii")
            assert 0 < len(part) <= 255
            assert not part.startswith(".")
            assert not set(part) & set("/\\\0 ")
        found.append(parts)
    spelt = [[each for each in stream.strip("/").split("/") if each] for stream in (one, two)]
    ends_alike = one.rstrip("/")[-1:] != two.rstrip("/")[-1:]
    if spelt[0] != spelt[1] and ends_alike:
        assert found[0] != found[1]
