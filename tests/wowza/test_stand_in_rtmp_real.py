"""Real clients at the stand-in's RTMP: ffmpeg and rtmpdump play and publish, by sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.real.media import QUIET, make_clip, run
from tests.real.rtmp_clients import PUBLISHERS, ffprobe
from tierkit.testing.wowza import RtmpOptions, StandIn, open_wowza, place_of

pytestmark = [pytest.mark.real("ffmpeg", "ffprobe", "rtmpdump"), pytest.mark.timeout(120)]

RECORD = ["-c", "copy", "-f", "flv"]


@asynccontextmanager
async def wowza(**options: Any) -> AsyncIterator[StandIn]:
    async with open_wowza(listen="127.0.0.1:0", admin=None, rest=None, **options) as made:
        yield made


async def packets(file: Path) -> tuple[int, int]:
    """Pictures and sounds of a file that decode without a complaint."""
    done = await trio.run_process([*QUIET, "-i", str(file), "-f", "null", "-"], capture_stderr=True)
    assert done.stderr == b""
    found = await ffprobe(str(file), file)
    assert found.complaint == ""
    return len(found.video), len(found.audio)


@pytest.mark.parametrize("path", ["live/myStream", "live/_definst_/myStream"])
async def test_ffmpeg_plays(tmp_path: Path, path: str) -> None:
    out = tmp_path / "out.flv"
    async with wowza() as stand_in:
        url = stand_in.url(path, "rtmp")
        await run([*QUIET, "-rtmp_live", "live", "-i", url, "-t", "4", *RECORD, str(out)], seconds=30)
        await trio.sleep(0.2)
        assert stand_in.server.rtmp == []
    pictures, sounds = await packets(out)
    assert 98 <= pictures <= 102
    assert 180 <= sounds <= 195


async def test_ffmpeg_and_rtmpdump_end_when_the_encoder_is_lost(tmp_path: Path) -> None:
    by_ffmpeg, by_rtmpdump = tmp_path / "ffmpeg.flv", tmp_path / "rtmpdump.flv"
    async with wowza() as stand_in, trio.open_nursery() as nursery:
        url = stand_in.url("live/myStream", "rtmp")
        command = [*QUIET, "-rtmp_live", "live", "-i", url, *RECORD, str(by_ffmpeg)]
        nursery.start_soon(partial(run, command, seconds=30))
        dump = ["rtmpdump", "-q", "--live", "-r", url, "-o", str(by_rtmpdump)]
        nursery.start_soon(partial(trio.run_process, dump, check=False, capture_stderr=True))
        with trio.fail_after(10):
            while len(stand_in.server.players()) < 2:
                await trio.sleep(0.05)
        await trio.sleep(4)
        stand_in.off_air("live/myStream")
        with trio.fail_after(20):
            while nursery.child_tasks:
                await trio.sleep(0.05)
    for each in (by_ffmpeg, by_rtmpdump):
        pictures, sounds = await packets(each)
        assert pictures >= 90
        assert sounds >= 160


def size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


async def grown(file: Path, size: int, nursery: trio.Nursery) -> bool:
    """Whether a client that runs in `nursery` has written as much before it ends."""
    with trio.fail_after(30):
        while nursery.child_tasks:
            if size_of(file) > size:
                return True
            await trio.sleep(0.05)
    return False


@pytest.mark.parametrize(("token", "plays"), [("#ed%h0#w@1", True), ("#ed%h0#w@2", False)])
async def test_rtmpdump_answers_the_secure_token(tmp_path: Path, token: str, plays: bool) -> None:
    out = tmp_path / "out.flv"
    async with wowza(rtmp=RtmpOptions(secret="#ed%h0#w@1")) as stand_in, trio.open_nursery() as nursery:
        command = ["rtmpdump", "-q", "--live", "-r", stand_in.url("live/myStream", "rtmp"), "-T", token, "-o", str(out)]
        nursery.start_soon(partial(trio.run_process, command, check=False, capture_stderr=True))
        assert await grown(out, 50_000, nursery) == plays
        nursery.cancel_scope.cancel()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.flv", seconds=10, size="320x180")


def publishing(encoder: str, clip: Path, url: str) -> list[str]:
    """The command; GStreamer says that it is a player unless it is told to say something else."""
    command = PUBLISHERS[encoder](clip, url)
    where = command.index("rtmp2sink") + 1 if "rtmp2sink" in command else len(command)
    return command[:where] + ["flash-version=FMLE/3.0"] * (where < len(command)) + command[where:]


@pytest.mark.real("ffmpeg", "ffprobe", "gst-launch-1.0")
@pytest.mark.parametrize("opaque", ["absent", "same", "other"])
@pytest.mark.parametrize("encoder", PUBLISHERS)
async def test_encoders_publish_with_a_password_and_are_played(
    tmp_path: Path, clip: Path, encoder: str, opaque: Any
) -> None:
    out = tmp_path / "out.flv"
    options = {"publishers": {"source1": "s3cret"}, "rtmp": RtmpOptions(opaque=opaque)}
    async with wowza(**options) as stand_in, trio.open_nursery() as nursery:
        url = stand_in.url("live/pushed", "rtmp")
        publish = publishing(encoder, clip, url.replace("://", "://source1:s3cret@"))
        nursery.start_soon(partial(run, publish, seconds=60))
        with trio.fail_after(20):
            while stand_in.server.find(place_of("live/pushed")) is None:
                await trio.sleep(0.05)
        await run([*QUIET, "-rtmp_live", "live", "-i", url, "-t", "3", *RECORD, str(out)], seconds=30)
        with trio.fail_after(20):
            refused = publishing(encoder, clip, url.replace("://", "://source1:wrong@"))
            done = await trio.run_process(refused, check=False, capture_stderr=True)
        assert done.returncode != 0
        nursery.cancel_scope.cancel()
    pictures, sounds = await packets(out)
    assert pictures >= 70
    assert sounds >= 120


async def test_rtmpdump_waits_in_silence(tmp_path: Path) -> None:
    out = tmp_path / "out.flv"
    async with (
        wowza(rtmp=RtmpOptions(unpublished="wait"), streams=()) as stand_in,
        trio.open_nursery() as nursery,
    ):
        stand_in.server.application("live")
        command = ["rtmpdump", "-q", "--live", "-r", stand_in.url("live/late", "rtmp"), "-o", str(out)]
        nursery.start_soon(partial(trio.run_process, command, check=False, capture_stderr=True))
        with trio.fail_after(10):
            while not stand_in.server.players():
                await trio.sleep(0.05)
        await trio.sleep(2)
        assert size_of(out) < 1000
        stand_in.publish("live/late")
        assert await grown(out, 50_000, nursery)
        nursery.cancel_scope.cancel()
