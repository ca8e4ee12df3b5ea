"""A recess as players of FLV see it: the clip comes and goes as it does over RTMP."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.core.rig import opened
from tests.off_air.clips import CLIP, opening, seconds, signed, write_clip
from tests.rtmp.media import frame, sound
from tests.rtmp.rig import published, send, url, viewer
from tierkit.events import ViewerLeft
from tierkit.plugins.flv import FLV
from tierkit.plugins.rtmp import RTMP

from .flv_rig import KINDS, FlvPlayer, figures, playing, relay

pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return write_clip(tmp_path / "slate.flv")


def makers(player: FlvPlayer) -> str:
    """Whose messages a player has got, in order: a digit for a publisher, C for the clip, once each."""
    out = ""
    for each in player.tags:
        if each.type_id != 18:
            who = "C" if each.payload[-1] == CLIP else str(each.payload[-1])
            out += who if out[-1:] != who else ""
    return out


def media(player: FlvPlayer) -> list[tuple[int, int, bytes]]:
    return [(each.type_id, each.timestamp, each.payload) for each in player.tags]


async def test_live_then_the_clip_then_live(kind: str, autojump_clock: MockClock, clip: str) -> None:
    rtmp = RTMP(off_air=clip, linger=3)
    async with (
        opened(relay(rtmp=rtmp)) as rig,
        viewer(rig.network, url("relay")) as over_rtmp,
        playing(KINDS[kind](rig.network)) as player,
    ):
        async with published(rig.network, url("relay"), opening(1)) as publisher:
            await send(publisher, seconds(1, 1), pace=True)
            await player.until(lambda v: makers(v) == "1")
        await player.until(lambda v: makers(v) == "1C")
        await trio.sleep(12)  # four times `linger`
        async with playing(KINDS[kind](rig.network)) as late:
            await late.until(lambda v: v.letters[:4] == "MVAK")
            assert (makers(late), late.flags) == ("C", 5)
            async with published(rig.network, url("relay"), opening(2)) as publisher:
                # Behind the clip, until a decoder can begin.
                await send(publisher, signed([frame(0), sound(20)], 2))
                await trio.sleep(0.5)
                assert (makers(player), makers(late)) == ("1C", "C")
                await send(publisher, seconds(1, 2, start=7000), pace=True)
                await player.until(lambda v: makers(v) == "1C2")
                await late.until(lambda v: makers(v) == "C2")
                await trio.sleep(1)
        # Headers again at each splice, once, and before its keyframe; not at the clip's own rounds.
        assert player.letters.count("V") == player.letters.count("M") == 3
        assert player.letters.count("MVAK") == 3
        times = [each.timestamp for each in player.tags if each.type_id != 18]
        assert times == sorted(times)
        # What a player over RTMP has been sent, tag by tag.
        assert media(player) == [(each.type_id, each.timestamp, each.payload) for each in over_rtmp.media]


async def test_who_waits_begins_with_the_clip(kind: str, autojump_clock: MockClock, clip: str) -> None:
    rtmp = RTMP(off_air=clip, off_air_for=("live/s",))
    async with opened(relay(rtmp=rtmp, flv=FLV(patience=5))) as rig:
        began = trio.current_time()
        async with playing(KINDS[kind](rig.network)) as player:
            await player.until(lambda v: "MVAK" in v.letters)
            assert trio.current_time() - began < 2
            assert (makers(player), player.flags) == ("C", 5)
            assert figures(rig)["waiting"] == 0
            await trio.sleep(10)  # nobody refuses it
            assert not player.ended.is_set()
        async with playing(KINDS[kind](rig.network, "/live/other.flv")) as other:
            await trio.sleep(4)
            assert other.status == 0
            await other.ended.wait()
            assert other.status == 404


async def test_a_publisher_that_shows_nothing_is_waited_for_or_covered(
    kind: str, autojump_clock: MockClock, clip: str
) -> None:
    # Headers alone are nothing to begin with; after five seconds the clip stands in for who sends no more.
    async with (
        opened(relay(rtmp=RTMP(off_air=clip), flv=FLV(patience=9))) as rig,
        published(rig.network, url("relay"), opening(1)),
        playing(KINDS[kind](rig.network)) as player,
    ):
        await trio.sleep(4)
        assert (player.status, figures(rig)["waiting"]) == (0, 1)
        await player.until(lambda v: "K" in v.letters)
        assert makers(player) == "C"


async def test_a_clip_that_is_not_shown_keeps_nobody(kind: str, autojump_clock: MockClock, clip: str) -> None:
    # The clip has sound and the stream none: it is not shown, and `linger` ends players as it would without.
    async with opened(relay(rtmp=RTMP(off_air=clip, linger=3))) as rig:
        async with playing(KINDS[kind](rig.network)) as player:
            async with published(rig.network, url("relay"), opening(1)[:2]) as publisher:
                pictures = [each for each in seconds(1, 1) if each.type_id == 9]
                await send(publisher, pictures, pace=True)
                await player.until(lambda v: makers(v) == "1")
            left = trio.current_time()
            await player.ended.wait()
            assert 3 <= trio.current_time() - left < 4
            assert makers(player) == "1"
        await trio.sleep(0.1)
        assert [each.stream for each in rig.events.of(ViewerLeft)] == ["/live/s"]
