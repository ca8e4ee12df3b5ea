"""Static keys: where they may stand, and that nobody ever sees one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.access.fakes import Says, always, at_work, attempt
from tests.plugins.access_rig import everything, guarded, refused, told
from tests.rtmp.media import gop
from tests.rtmp.rig import published, send, url, viewer
from tierkit import Graph, Relay, check
from tierkit.access import AccessDenied
from tierkit.errors import TierkitError
from tierkit.events import PluginFailed, Refused
from tierkit.plugin import Allowed, Denied
from tierkit.plugins.keys import Keys
from tierkit.plugins.rtmp import RTMP

FILE = """
# stream key
live/hall    hunter2
live/hall    hunter3
live/hall-2  correct-horse
rehearsal/*  battery-staple
live/a[b]?c  odd
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(FILE)
    return path


def rewrite(path: Path, text: str) -> None:
    """Other contents, and another time."""
    path.write_text(text)
    os.utime(path, ns=(len(text), len(text)))


async def allowed(recipe: Keys, path: str, query: str = "", action: Any = "publish") -> tuple[str, str] | None:
    """What it becomes; None where it is denied."""
    async with at_work(recipe) as (access, _):
        try:
            entry = await access.admit(attempt(action, path, query), lambda reason: None)
        except AccessDenied:
            return None
        entry.end()
        return entry.attempt.path, entry.attempt.query


@pytest.mark.parametrize(
    ("stream", "query", "expected"),
    [
        ("/live/hall", "key=hunter2", ""),
        ("/live/hall", "a=1&key=hunter3&b=%20", "a=1&b=%20"),
        ("/live/hall", "key=%68unter2", ""),
        ("/live/hall-2", "key=correct-horse", ""),
        ("/rehearsal/a", "key=battery-staple", ""),
        ("/rehearsal/a/b", "key=battery-staple", ""),
        ("/live/a[b]?c", "key=odd", ""),
        ("/live/hall", "", None),
        ("/live/hall", "key=", None),
        ("/live/hall", "key", None),
        ("/live/hall", "KEY=hunter2", None),
        ("/live/hall", "key=hunter", None),
        ("/live/hall", "key=hunter22", None),
        ("/live/hall", "key=wrong&key=hunter2", None),
        ("/live/hall-2", "key=hunter2", None),
        ("/live/other", "key=hunter2", None),
        ("/live/abc", "key=odd", None),
        ("/live/hall", "key=h\u00fcnter2\ud800", None),
        ("/live/hall-hunter2", "", None),
        ("/live/hunter2", "", None),
    ],
)
async def test_a_key_in_the_query(
    stream: str, query: str, expected: str | None, path: Path, autojump_clock: MockClock
) -> None:
    wanted = None if expected is None else (stream, expected)
    assert await allowed(Keys(file=str(path)), stream, query) == wanted


@pytest.mark.parametrize(
    ("stream", "becomes"),
    [
        ("/live/hall-hunter2", "/live/hall"),
        ("/live/hall-2-correct-horse", "/live/hall-2"),
        ("/rehearsal/x-y-battery-staple", "/rehearsal/x-y"),
        ("/live/hall-hunter", None),
        ("/live/hall-", None),
        ("/live/-hunter2", None),
        ("/live/hall", None),
        ("/live/hall-2-hunter2", None),
        ("/live/" + "-" * 1000, None),
    ],
)
async def test_a_key_at_the_end_of_the_name(
    stream: str, becomes: str | None, path: Path, autojump_clock: MockClock
) -> None:
    found = await allowed(Keys(file=str(path), in_name="suffix"), stream)
    assert found == (None if becomes is None else (becomes, ""))


async def test_a_key_that_is_the_name(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = tmp_path / "keys"
    path.write_text("live/hall hunter2\nlive/hall hunter3\nother/hall x\n")
    recipe = Keys(file=str(path), in_name="whole")
    assert await allowed(recipe, "/live/hunter2") == ("/live/hall", "")
    assert await allowed(recipe, "/live/hunter3") == ("/live/hall", "")
    assert await allowed(recipe, "/live/hall", "key=hunter2") == ("/live/hall", "")
    for wrong in ("/live/hall", "/other/hunter2", "/live/x", "/hunter2", "/live/hall/hunter2"):
        assert await allowed(recipe, wrong) is None


async def test_it_has_a_say_in_what_it_is_told_alone(path: Path, autojump_clock: MockClock) -> None:
    assert await allowed(Keys(file=str(path)), "/live/hall", action="play") == ("/live/hall", "")
    assert await allowed(Keys(file=str(path), on="play"), "/live/hall", action="play") is None
    assert await allowed(Keys(file=str(path), on="both"), "/live/hall") is None


async def test_a_file_that_changes(path: Path, autojump_clock: MockClock) -> None:
    async with at_work(Keys(file=str(path))) as (access, events):
        await access.admit(attempt(query="key=hunter2", path="/live/hall"), lambda reason: None)
        rewrite(path, "live/hall new\n")
        await trio.sleep(1.1)
        with pytest.raises(AccessDenied):
            await access.admit(attempt(query="key=hunter2", path="/live/hall"), lambda reason: None)
        await access.admit(attempt(query="key=new", path="/live/hall"), lambda reason: None)
        rewrite(path, "live/hall hunter2 hunter3\n")
        await trio.sleep(1.1)
        await access.admit(attempt(query="key=new", path="/live/hall"), lambda reason: None)
        (event,) = events.of(PluginFailed)
        assert event.text.startswith("plugin keys: file=")
        assert "line 1: give 'APP/NAME KEY'" in event.text
        assert "hunter" not in event.text


@pytest.mark.parametrize(
    ("content", "in_name", "reason"),
    [
        ("live/s", "", "line 1: give 'APP/NAME KEY'"),
        ("live/s a/hunter2", "suffix", "line 1: a key that stands in names has letters"),
        ("live/* hunter2", "whole", "line 1: a key that is the whole name belongs to one stream, without *"),
    ],
)
async def test_a_bad_file_keeps_the_tier_from_starting(
    content: str, in_name: str, reason: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    path = tmp_path / "keys"
    path.write_text(content)
    with pytest.raises(TierkitError) as caught:
        await allowed(Keys(file=str(path), in_name=in_name), "/live/s")
    assert reason in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_options_that_do_not_go_together() -> None:
    serves = RTMP(authorise=(Keys(parameter="a&b", separator="/", on="never"),))
    problems = check(Graph.of(Relay("r", listen=":1935", serves=serves)))
    assert [each.partition("authorise: keys: ")[2][:30] for each in problems] == [
        "option on='never': choose one ",
        "option file is missing: give a",
        "option parameter: 'a&b' is no ",
        "option separator='/' does not ",
    ]


async def test_a_log_shows_streams_that_are_known_and_no_keys(path: Path, autojump_clock: MockClock) -> None:
    for in_name in ("suffix", "whole"):
        rewrite(path, "live/hall hunter2\nlive/hall-2 hunter3\n")
        # Denied by another one before the keys are looked at: the key is good, and in the name.
        async with at_work(Says(always(Denied("no"))), Keys(file=str(path), in_name=in_name)) as (access, events):
            for stream in ("hall-hunter2", "hall-2-hunter2", "hall", "hunter2", "hal-hunter2", "hall_hunter2"):
                with pytest.raises(AccessDenied):
                    await access.admit(attempt(path=f"/live/{stream}", query="key=hunter2"), lambda reason: None)
                await trio.sleep(2)
            assert "hunter" not in repr(events)
            shown = [each.stream for each in events.of(Refused)]
            known = ["/live/hall", "/live/hall-2"] if in_name == "suffix" else ["/live/..."] * 2
            assert shown == [*known, "/live/hall", "/live/...", "/live/...", "/live/..."]


async def test_publishers_at_a_relay(path: Path, autojump_clock: MockClock) -> None:
    async with guarded(Keys(file=str(path), in_name="suffix")) as rig:
        assert "NetStream.Publish.BadName" in await refused(rig, "/live/hall")
        assert "there is no key, or it is not one of this stream" in await refused(rig, "/live/hall-wrong")
        assert "BadName" in await refused(rig, "/live/hall?key=wrong")
        for stream in ("/live/hall-hunter2", "/live/hall?key=hunter3"):
            async with (
                published(rig.network, url("relay", stream)) as publisher,
                viewer(rig.network, url("relay", "/live/hall")) as player,
            ):
                await send(publisher, gop(0, 5))
                await player.until(lambda v: "K" in v.letters)
            await trio.sleep(0.1)
        assert await told(rig, "/live/hall") == ""  # anybody may play
        assert "hunter" not in everything(rig)
        figures = rig.handle.statistics()["tiers"]["relay"]["services"]["rtmp"]["access"]
        assert (figures["asked"], figures["denied"]) == (5, 3)


async def test_those_behind_see_no_key(path: Path, autojump_clock: MockClock) -> None:
    behind = Says(always(Allowed()))
    async with at_work(Keys(file=str(path)), behind) as (access, _):
        await access.admit(attempt(path="/live/hall", query="key=hunter2&x=1"), lambda reason: None)
    assert ("check", "publish", "/live/hall", "x=1") in behind.log
