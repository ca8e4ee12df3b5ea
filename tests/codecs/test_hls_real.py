"""What ffmpeg writes is read, and what is rewritten ffmpeg reads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tierkit.codecs.dash import read_mpd
from tierkit.codecs.hls import classify, read_playlist
from tierkit.codecs.hls_rewrite import children, rewrite
from tierkit.codecs.hls_track import Track, Verdict

pytestmark = [pytest.mark.real("ffmpeg", "ffprobe"), pytest.mark.timeout(60)]

FFMPEG = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
PICTURE = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=25", "-f", "lavfi", "-i", "sine", "-t", "4"]
CODECS = ["-c:v", "libx264", "-g", "25", "-preset", "ultrafast", "-c:a", "aac"]


def ffmpeg(*arguments: str, cwd: Path, paced: bool = False) -> None:
    command = [*FFMPEG, *["-re"] * paced, *PICTURE, *CODECS, *arguments]
    subprocess.run(command, check=True, timeout=30, cwd=cwd)


def pictures(playlist: Path) -> int:
    command = ["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"]
    shown = subprocess.run([*command, "-i", str(playlist)], check=True, capture_output=True, timeout=30)
    return int(shown.stdout.split()[0].strip(b","))


def test_a_dash_and_an_hls_manifest_of_the_same_segments(tmp_path: Path) -> None:
    ffmpeg("-f", "dash", "-seg_duration", "1", "-streaming", "1", "-hls_playlist", "1", "a.mpd", cwd=tmp_path)
    manifest = read_mpd((tmp_path / "a.mpd").read_bytes())
    assert not manifest.dynamic
    assert (manifest.media_presentation_duration, manifest.max_segment_duration) == (4, 1)
    master = read_playlist((tmp_path / "master.m3u8").read_bytes())
    assert master.variants == ("media_0.m3u8",)
    facts = read_playlist((tmp_path / "media_0.m3u8").read_bytes())
    assert (facts.window, facts.ended, facts.maps) == (4, True, ("init-stream0.m4s",))
    assert all(segment.at is not None for segment in facts.segments)
    for child in (*facts.maps, *(segment.uri for segment in facts.segments)):
        assert (tmp_path / child).exists()
        assert classify(f"/{child}") == "segment"


def test_a_playlist_is_played_after_its_files_have_moved(tmp_path: Path) -> None:
    ffmpeg("-f", "hls", "-hls_time", "1", "-hls_segment_type", "fmp4", "-hls_list_size", "0", "a.m3u8", cwd=tmp_path)
    before = (tmp_path / "a.m3u8").read_bytes()
    (tmp_path / "moved").mkdir()
    for child in children(before):
        (tmp_path / child.uri).rename(tmp_path / "moved" / child.uri)
    (tmp_path / "a.m3u8").write_bytes(rewrite(before, lambda child: f"moved/{child.uri}"))
    assert pictures(tmp_path / "a.m3u8") == 100


def test_an_encoder_that_starts_again_with_the_same_names(tmp_path: Path) -> None:
    """FFmpeg counts from 0 again: what is stored of the first run under those names has to go."""
    track = Track("/live/a.m3u8")
    hls = ["-f", "hls", "-hls_time", "1", "-hls_list_size", "3", "-hls_flags", "program_date_time+omit_endlist"]
    ffmpeg(*hls, "a.m3u8", cwd=tmp_path, paced=True)  # its dates are those of the clock
    first = (tmp_path / "a.m3u8").read_bytes()
    assert track.feed(read_playlist(first), first, 0.0).verdict is Verdict.TAKE
    assert track.is_next("/live/a4.ts")
    ffmpeg(*hls, "-t", "2", "a.m3u8", cwd=tmp_path)
    again = (tmp_path / "a.m3u8").read_bytes()
    step = track.feed(read_playlist(again), again, 5.0)
    assert step.verdict is Verdict.NEW_EPOCH
    assert step.purge == ("/live/a1.ts", "/live/a2.ts", "/live/a3.ts")
    late = track.feed(read_playlist(first), first, 5.5)
    assert late.verdict is Verdict.HOLD_BACK
