"""Real players play the stand-in's HLS: no error, no gap, and the frames of several chunks in a row."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path

import pytest
import trio

from tierkit.testing.wowza import open_wowza

pytestmark = [pytest.mark.real("ffmpeg", "ffprobe"), pytest.mark.timeout(90)]


@pytest.mark.parametrize(("profile", "mode"), [("wse47", "sessions"), ("wms3", "sessions"), ("wse49", "origin")])
async def test_ffmpeg_plays_it(profile: str, mode: str, tmp_path: Path) -> None:
    copy = tmp_path / "played.ts"
    with trio.fail_after(80):
        async with open_wowza(profile=profile, mode=mode, streams=[]) as stand_in:
            # Chunks of about two seconds, so that a few of them are soon over.
            stand_in.publish("live/myStream", pattern=(2, 3, 1), on_air_for=60.0)
            command = ["ffmpeg", "-v", "warning", "-nostdin", "-y", "-i", stand_in.url("live/myStream")]
            played = await trio.run_process([*command, "-t", "9", "-c", "copy", str(copy)], capture_stderr=True)
    assert played.stderr.decode() == ""
    for kind, frame, count in (("v", 1 / 25, 9 * 25), ("a", 1024 / 48_000, 9 * 46)):
        times = stamps(copy, kind)
        assert len(times) > count * 0.9
        assert all(abs(b - a - frame) < 0.003 for a, b in itertools.pairwise(times)), kind


def stamps(path: Path, kind: str) -> list[float]:
    command = ["ffprobe", "-v", "error", "-select_streams", kind, "-show_entries", "packet=dts_time", "-of", "json"]
    told = subprocess.run([*command, str(path)], capture_output=True, check=True, timeout=30)
    return [float(each["dts_time"]) for each in json.loads(told.stdout)["packets"]]
