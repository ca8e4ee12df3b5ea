"""The clip at a relay, on a network in memory and to the moment: who is shown it, from when to when."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.core.rig import Rig, opened
from tests.rtmp.media import Sent, frame, metadata, sound
from tests.rtmp.rig import Viewer, published, relay, send, studio, url, viewer
from tierkit import Graph, check
from tierkit.errors import TierkitError
from tierkit.events import PluginFailed, PublisherJoined, StreamEnded, StreamFault, StreamStarted
from tierkit.plugins.rtmp import RTMP
from tierkit.rtmp import Publisher

from .clips import CLIP, flv, opening, seconds, signed, write_clip


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return write_clip(tmp_path / "slate.flv")


def shown(rig: Rig, tier: str = "relay") -> list[tuple[str, bool, str]]:
    streams = rig.handle.statistics()["tiers"][tier]["streams"]
    return [(each["name"], each["on_air"], each["source"]) for each in streams]


def makers(player: Viewer) -> str:
    """Whose messages a player has got, in order: a digit for a publisher, C for the clip, once each."""
    out = ""
    for each in player.media:
        if each.type_id != 18:
            who = "C" if each.payload[-1] == CLIP else str(each.payload[-1])
            out += who if out[-1:] != who else ""
    return out


def in_order(player: Viewer) -> bool:
    times = [each.timestamp for each in player.media if each.type_id != 18]
    return times == sorted(times)


@asynccontextmanager
async def on_air(rig: Rig, who: int, tier: str = "relay", path: str = "/live/s") -> AsyncIterator[Publisher]:
    """A publisher that has sent a second of its own, in real time."""
    async with published(rig.network, url(tier, path), opening(who)) as publisher:
        await send(publisher, seconds(1, who), pace=True)
        yield publisher


async def test_a_recess(autojump_clock: MockClock, clip: str) -> None:
    async with opened(relay(serves=RTMP(off_air=clip, linger=5))) as rig, viewer(rig.network, url("relay")) as player:
        async with on_air(rig, 1):
            await player.until(lambda v: v.letters.count("K") == 1)
            assert shown(rig) == [("live/s", True, "live")]
        left = trio.current_time()
        await player.until(lambda v: makers(v) == "1C")
        assert 1.0 <= trio.current_time() - left <= 1.2
        assert shown(rig) == [("live/s", False, "off_air")]
        await trio.sleep(59)  # twelve times `linger`
        assert not player.ended.is_set()
        assert player.letters.count("K") in (60, 61)
        assert player.letters.count("V") == 2  # of the publisher and of the clip, once each
        pictures = [each.timestamp for each in player.media if each.type_id == 9 and each.payload[1]]
        # 40 ms from picture to picture; 60 where the clip joins live (behind its last sound) and itself.
        assert {after - before for before, after in pairwise(pictures)} == {40, 60}
        async with on_air(rig, 2):
            await player.until(lambda v: makers(v) == "1C2")
            assert shown(rig) == [("live/s", True, "live")]
        assert in_order(player)
        assert player.codes == ["NetStream.Play.Start"]
        await trio.sleep(0.1)
        kinds = (StreamStarted, StreamEnded, PublisherJoined)
        # No more than without a clip.
        assert [type(each) for each in rig.events if isinstance(each, kinds)] == [
            PublisherJoined,
            StreamStarted,
            StreamEnded,
        ] * 2
        (told,) = rig.handle.statistics()["tiers"]["relay"]["services"]["rtmp"]["streams"]
        assert (told["epochs"], told["publisher"]) == (2, "")
        assert told["messages"] == 2 * (3 + 50)  # what publishers have sent, not the clip


async def test_the_clip_goes_on_until_the_publishers_keyframe(autojump_clock: MockClock, clip: str) -> None:
    async with opened(relay(serves=RTMP(off_air=clip))) as rig, viewer(rig.network, url("relay")) as player:
        async with on_air(rig, 1):
            pass
        await player.until(lambda v: makers(v) == "1C")
        async with published(rig.network, url("relay"), opening(2)) as publisher:
            for index in range(50):  # two seconds in which nothing can begin
                await send(publisher, signed([frame(index * 40), sound(index * 40 + 20)], 2))
                await trio.sleep(0.04)
                assert shown(rig) == [("live/s", True, "off_air")]
            await trio.sleep(0.5)
            before = len(player.media)
            await trio.sleep(1)
            assert len(player.media) - before in range(45, 56)
            assert makers(player) == "1C"
            # Whoever comes now sees the clip, too.
            async with viewer(rig.network, url("relay")) as late:
                await late.until(lambda v: "K" in v.letters)
                assert makers(late) == "C"
            began = trio.current_time()
            await send(publisher, seconds(1, 2, start=5000)[:1])
            await player.until(lambda v: makers(v) == "1C2")
            assert trio.current_time() - began < 0.4
            assert player.letters.endswith("MVAK")
            assert in_order(player)
            assert shown(rig) == [("live/s", True, "live")]


async def test_a_publisher_whose_line_is_cut(autojump_clock: MockClock, clip: str) -> None:
    async with (
        opened(relay(serves=RTMP(off_air=clip))) as rig,
        viewer(rig.network, url("relay")) as player,
        on_air(rig, 1) as publisher,
    ):
        silent = trio.current_time()
        await trio.sleep(4.8)
        assert makers(player) == "1"
        await player.until(lambda v: makers(v) == "1C")
        assert 5.0 <= trio.current_time() - silent <= 5.3
        await trio.sleep(20)
        assert shown(rig) == [("live/s", True, "off_air")]
        await send(publisher, signed([frame(26_000), sound(26_020)], 1))
        await trio.sleep(1)
        assert makers(player) == "1C"
        await send(publisher, seconds(1, 1, start=27_000), pace=True)
        await player.until(lambda v: makers(v) == "1C1")
        assert in_order(player)
        assert (rig.events.of(StreamEnded), len(rig.events.of(StreamStarted))) == ([], 1)


async def test_who_has_waited_for_long_is_not_shown_the_clip_before_the_publisher(
    autojump_clock: MockClock, clip: str
) -> None:
    async with opened(relay(serves=RTMP(off_air=clip))) as rig, viewer(rig.network, url("relay")) as player:
        await trio.sleep(9)
        async with published(rig.network, url("relay"), opening(1)) as publisher:
            await trio.sleep(2)  # an encoder takes its time
            await send(publisher, seconds(1, 1), pace=True)
            await player.until(lambda v: "K" in v.letters)
            assert makers(player) == "1"


async def test_an_upstream_that_waits_for_its_publisher_is_silent(autojump_clock: MockClock, clip: str) -> None:
    graph = Graph.of(relay(upstream=studio(linger=60), serves=RTMP(off_air=clip)))
    async with opened(graph) as rig, viewer(rig.network, url("relay")) as player:
        async with on_air(rig, 1, "studio"):
            pass
        await player.until(lambda v: makers(v) == "1C", 5.5)
        await trio.sleep(30)
        async with on_air(rig, 2, "studio"):
            await player.until(lambda v: makers(v) == "1C2")
        assert in_order(player)


async def test_an_encoder_that_comes_straight_back_is_not_preceded_by_it(autojump_clock: MockClock, clip: str) -> None:
    async with opened(relay(serves=RTMP(off_air=clip))) as rig, viewer(rig.network, url("relay")) as player:
        for who in (1, 2):
            async with on_air(rig, who):
                pass
            await trio.sleep(0.8)
        await player.until(lambda v: makers(v) == "12C")


async def test_a_linger_shorter_than_the_wait_ends_nobody(autojump_clock: MockClock, clip: str) -> None:
    serves = RTMP(off_air=clip, off_air_after=4, linger=0.5)
    async with opened(relay(serves=serves)) as rig, viewer(rig.network, url("relay")) as player:
        async with on_air(rig, 1):
            pass
        await player.until(lambda v: makers(v) == "1C")


async def test_what_nobody_watches_costs_nothing_and_is_forgotten(autojump_clock: MockClock, clip: str) -> None:
    async with opened(relay(serves=RTMP(off_air=clip, linger=8))) as rig:
        async with on_air(rig, 1):
            pass
        await trio.sleep(2)
        assert shown(rig) == [("live/s", False, "")]
        async with viewer(rig.network, url("relay")) as player:
            came = trio.current_time()
            await player.until(lambda v: makers(v) == "C")
            assert trio.current_time() - came < 0.3
            await trio.sleep(30)
        await trio.sleep(0.2)
        assert shown(rig) == [("live/s", False, "")]
        written = _written(rig)
        await trio.sleep(5)
        assert _written(rig) == written
        await trio.sleep(4)
        assert shown(rig) == []
        # Whoever comes now asks for a name that nobody knows.
        async with viewer(rig.network, url("relay")) as player:
            await player.ended.wait()
            assert player.codes == ["NetStream.Play.StreamNotFound"]


def _written(rig: Rig) -> int:
    (told,) = rig.handle.statistics()["tiers"]["relay"]["services"]["rtmp"]["streams"]
    found: int = told["ring"]["messages"]
    return found


async def test_a_programme_by_name_begins_with_the_clip_and_a_misspelt_name_is_none(
    autojump_clock: MockClock, clip: str
) -> None:
    serves = RTMP(off_air=clip, off_air_for=("live/hall", "/live/court"), patience=4)
    async with opened(relay(serves=serves)) as rig:
        for path in ("/live/hall", "/live/court"):
            async with viewer(rig.network, url("relay", path)) as early:
                asked = trio.current_time()
                await early.until(lambda v: v.letters.startswith("MVAK"))
                assert 1.0 <= trio.current_time() - asked <= 1.3
                assert makers(early) == "C"
                async with on_air(rig, 1, path=path):
                    await early.until(lambda v: makers(v) == "C1")
                    assert in_order(early)
        async with viewer(rig.network, url("relay", "/live/hal")) as lost:
            asked = trio.current_time()
            await lost.ended.wait()
            assert lost.codes == ["NetStream.Play.StreamNotFound"]
            assert trio.current_time() - asked < 5.2


async def test_a_clip_of_other_media_is_told_and_not_shown(autojump_clock: MockClock, clip: str) -> None:
    async with opened(relay(serves=RTMP(off_air=clip, linger=5))) as rig, viewer(rig.network, url("relay")) as player:
        sounds = [metadata(video=False), *opening(1)[2:], *signed([sound(at) for at in range(0, 3000, 40)], 1)]
        async with published(rig.network, url("relay"), sounds):
            await player.until(lambda v: "S" in v.letters)
        left = trio.current_time()
        await player.ended.wait()
        assert 5 <= trio.current_time() - left <= 6
        assert makers(player) == "1"
        (fault,) = rig.events.of(StreamFault)
        assert fault.stream == "/live/s"
        assert "the off-air clip has pictures in avc1 and sound in mp4a and the stream sound in mp4a" in fault.reason
        assert "make one in the same codecs" in fault.reason


async def test_a_relay_that_pulls_shows_it_until_the_upstream_is_back(autojump_clock: MockClock, clip: str) -> None:
    graph = Graph.of(relay(upstream=studio(linger=0.5), serves=RTMP(off_air=clip, linger=5, grace=4)))
    async with opened(graph) as rig:
        async with viewer(rig.network, url("relay")) as player:
            async with on_air(rig, 1, "studio"):
                await player.until(lambda v: "K" in v.letters)
            await player.until(lambda v: makers(v) == "1C")
            rig.network.fault("studio.example:1935", refuse=True)
            await trio.sleep(60)
            assert makers(player) == "1C"
            assert shown(rig) == [("live/s", False, "off_air")]
            rig.network.heal("studio.example:1935")
            async with on_air(rig, 2, "studio"):
                await player.until(lambda v: makers(v) == "1C2")
            await player.until(lambda v: makers(v) == "1C2C")
            assert in_order(player)
            left = trio.current_time()
        await trio.sleep(left + 3.5 - trio.current_time())
        assert rig.handle.statistics()["tiers"]["relay"]["services"]["rtmp"]["pulling"] == 1
        await trio.sleep(2)
        assert rig.handle.statistics()["tiers"]["relay"]["services"]["rtmp"]["pulling"] == 0
        assert shown(rig) == []


async def test_a_programme_by_name_is_on_while_its_upstream_is_down(autojump_clock: MockClock, clip: str) -> None:
    graph = Graph.of(relay(upstream=studio(), serves=RTMP(off_air=clip, off_air_for=("live/s",))))
    async with opened(graph) as rig:
        rig.network.fault("studio.example:1935", refuse=True)
        async with viewer(rig.network, url("relay")) as player:
            await player.until(lambda v: makers(v) == "C")
            await trio.sleep(30)
            rig.network.heal("studio.example:1935")
            async with on_air(rig, 1, "studio"):
                await trio.sleep(10)
            assert makers(player).startswith("C1")
        # Where the upstream has it, nobody is shown the clip first.
        async with on_air(rig, 2, "studio"), viewer(rig.network, url("relay")) as player:
            await player.until(lambda v: "K" in v.letters)
            assert makers(player) == "2"


async def test_a_pushs_players_are_players_too(autojump_clock: MockClock, clip: str) -> None:
    graph = Graph.of(relay(push=studio(), serves=RTMP(off_air=clip)))
    async with opened(graph) as rig, viewer(rig.network, url("relay")):
        async with on_air(rig, 1):
            pass
        async with viewer(rig.network, url("studio")) as far:
            await far.until(lambda v: makers(v).endswith("C"))
            async with on_air(rig, 2):
                await far.until(lambda v: makers(v).endswith("C2"))
            await far.until(lambda v: makers(v).endswith("C2C"))
            assert in_order(far)
        (told,) = rig.handle.statistics()["tiers"]["studio"]["services"]["ingest"]["streams"]
        assert told["live"]["epochs"] == 1  # one push all the time


@pytest.mark.parametrize(("standing", "left"), [((), 0), (("live/s",), 1)])
async def test_a_push_alone_keeps_a_programme_by_name(
    autojump_clock: MockClock, clip: str, standing: tuple[str, ...], left: int
) -> None:
    serves = RTMP(off_air=clip, off_air_for=standing, linger=5)
    async with opened(Graph.of(relay(push=studio(), serves=serves))) as rig:
        async with on_air(rig, 1):
            pass
        await trio.sleep(20)
        assert rig.handle.statistics()["tiers"]["relay"]["services"]["rtmp"]["pushing"] == left
        assert [name for name, _, source in shown(rig) if source] == ["live/s"][:left]
        assert [name for name, on_air, _ in shown(rig, "studio") if on_air] == ["live/s"][:left]


async def test_another_clip_while_it_runs(autojump_clock: MockClock, clip: str, tmp_path: Path) -> None:
    async with opened(relay(serves=RTMP())) as rig:
        running = rig.handle.running("relay")["rtmp"]
        assert running.replace(RTMP(off_air=clip, off_air_for="live/s"))
        async with viewer(rig.network, url("relay")) as player:
            await player.until(lambda v: makers(v) == "C")
        assert running.replace(RTMP(off_air=str(tmp_path / "none.flv"), off_air_for="live/s"))
        await trio.sleep(1)
        (failed,) = rig.events.of(PluginFailed)
        assert "none.flv: No such file or directory" in failed.reason
        async with viewer(rig.network, url("relay")) as player:  # the old one is better than none
            await player.until(lambda v: makers(v) == "C")
            assert running.replace(RTMP())
            await trio.sleep(0.5)
            assert shown(rig) == [("live/s", False, "")]


FILES: list[tuple[str, bytes | None, str]] = [
    ("missing", None, "No such file or directory"),
    ("no FLV", b"\x00\x00\x00\x20ftypisom", "not FLV"),
    ("no keyframe", flv([*opening(1), Sent(*frame(0)), *seconds(2, 1)]), "its pictures do not begin with a keyframe"),
    ("empty", b"", "neither sound nor pictures"),
    ("short", flv([*opening(1), *seconds(1, 1)[:6]]), "and a clip lasts 1 to 600 s"),
    ("large", flv([*opening(1), *seconds(2, 1)]) + bytes(64 << 20), "it has 64 MiB, and a clip 64 at most"),
]


@pytest.mark.parametrize(("content", "why"), [each[1:] for each in FILES], ids=[each[0] for each in FILES])
async def test_a_file_that_is_no_clip_is_told_in_one_line(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "slate.flv"
    if content is not None:
        path.write_bytes(content)
    serves = RTMP(off_air=str(path))
    (line,) = serves.problems_here()
    assert line.startswith(f"off_air={path}: ")
    assert why in line
    assert "make one with ffmpeg" in line
    assert "\n" not in line
    with pytest.raises(TierkitError) as caught:
        async with opened(relay(serves=serves)):
            pass
    assert str(caught.value) == line


def test_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    path = tmp_path / "slate.flv"
    os.mkfifo(path)
    (line,) = RTMP(off_air=str(path)).problems_here()
    assert f"off_air={path}: it is no file" in line


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"off_air_for": ("live/s",)}, "option off_air_for is for off_air: give the clip, too"),
        ({"off_air": "c.flv", "off_air_for": ("live/*",)}, "option off_air_for='live/*' is no name of a stream"),
        ({"off_air": "c.flv", "off_air_for": ("/",)}, "option off_air_for='/' is no name of a stream"),
        ({"off_air": "c.flv", "patience": 1}, "option off_air_after=1.0 must be less than patience=1"),
        ({"off_air": 3}, "option off_air=3 is of the wrong type"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], line: str) -> None:
    (found,) = check(Graph.of(relay(serves=RTMP(**options))))
    assert line in found
