"""The stand-in says of everything that it shows how that is known."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio.testing

from tierkit.testing import wowza
from tierkit.testing.wowza import SOURCES, Tag, assumed, behaviours
from tierkit.testing.wowza._behaviours import as_recorded

from .stand_in import PLAYLIST, opened

PACKAGE = Path(wowza.__file__).parent
TABLES = sorted(PACKAGE.glob("_shown_*.py"))
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "wowza-stand-in.md"


def registered(path: Path) -> Iterator[str]:
    """The constants of a table."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            assert isinstance(node.targets[0], ast.Name)
            yield node.targets[0].id


def referred_to() -> set[str]:
    """The names that code refers to; being imported is not enough."""
    found: set[str] = set()
    for path in PACKAGE.glob("*.py"):
        if path not in TABLES:
            found |= {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
    return found


@pytest.mark.parametrize("table", TABLES, ids=lambda path: str(path.stem))
def test_code_refers_to_every_behaviour(table: Path) -> None:
    names = list(registered(table))
    assert len(names) > 3
    assert [name for name in names if name not in referred_to()] == []


@pytest.mark.parametrize("each", behaviours(), ids=str)
def test_what_is_known_has_a_source(each: wowza.Behaviour) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", each.name)
    assert not each.text.endswith(".")
    if each.tag is not Tag.assumed:
        assert re.search(r"\bS\d+", each.source), each
    assert set(re.findall(r"\bS\d+b?\b", each.source)) <= set(SOURCES)


def test_what_has_no_source_is_not_registered() -> None:
    for name, source in (("hls-window", "S1"), ("hls-new", ""), ("hls-new", "S1\nS2")):
        with pytest.raises(ValueError, match=name):
            as_recorded(name, "some text", source)
    assert all(each.name != "hls-new" for each in behaviours())


def test_the_assumed_can_be_printed() -> None:
    lines = assumed()
    assert len(lines) == len(behaviours(Tag.assumed)) > 10
    assert all(re.match(r"[a-z0-9-]+: .+ \(.+\)\Z", each) for each in lines)


async def test_no_answer_is_without_a_behaviour(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as (stand_in, viewer):
        chunklist = await viewer.chunklist()
        for target in ("/", "/crossdomain.xml", "/x", "/live/x/playlist.m3u8", "/x/x/playlist.m3u8", chunklist.uris[0]):
            await viewer.get(target)
        await viewer.get(PLAYLIST, "OPTIONS")
        assert all(each.shows for each in stand_in.requests)
        known = set(behaviours())
        assert set(stand_in.log.relied_on) <= known


@pytest.mark.parametrize(
    ("options", "relied_on"),
    [
        ({}, set()),
        ({"profile": "wse42"}, set()),
        ({"profile": "wms3"}, {"http-fields-elsewhere"}),
        ({"mode": "origin"}, {"hls-origin-cache"}),
    ],
)
async def test_who_plays_relies_on_little_that_is_assumed(
    autojump_clock: trio.testing.MockClock, options: dict[str, str], relied_on: set[str]
) -> None:
    async with opened(**options) as (stand_in, viewer):
        chunklist = await viewer.chunklist()
        assert [(await viewer.get(each)).status for each in chunklist.uris] == [200, 200, 200]
        assert {each.name for each in stand_in.log.relied_on if each.tag is Tag.assumed} == relied_on


@pytest.mark.parametrize("tag", Tag)
def test_the_page_has_every_behaviour(tag: Tag) -> None:
    assert f".. tierkit-wowza-behaviours:: {tag}\n" in PAGE.read_text()
