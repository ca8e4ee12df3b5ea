"""The MPEG-TS checker on what real muxers write: silent where it should be, and not otherwise."""

from __future__ import annotations

import subprocess

import pytest

from tierkit.load._mpegts import Continuity, summarise


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("segments")
    source = ["-f", "lavfi", "-i", "testsrc2=s=128x72:r=25", "-f", "lavfi", "-i", "sine=r=44100", "-t", "4"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-c:a", "aac"]
    muxer = ["-f", "hls", "-hls_time", "1", "-hls_list_size", "0", "out.m3u8"]
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", *source, *codecs, *muxer]
    subprocess.run(command, cwd=folder, check=True, timeout=30)
    return [path.read_bytes() for path in sorted(folder.glob("out*.ts"))]


def found(segments: list[bytes]) -> list[str]:
    continuity = Continuity()
    return [problem for each in segments for problem in continuity.segment(summarise(each))]


@pytest.mark.real
def test_ffmpegs_segments_go_on(segments: list[bytes]) -> None:
    assert len(segments) >= 4
    assert found(segments) == []


@pytest.mark.real
def test_what_is_taken_out_of_them_is_missed(segments: list[bytes]) -> None:
    middle = segments[1]
    at = len(middle) // 376 * 188
    assert "continuity" in found([segments[0], middle[:at] + middle[at + 188 :], segments[2]])
    without = found([segments[0], segments[2]])
    assert "timestamps" in without
    assert "continuity" in without
    assert "timestamps" in found([segments[1], segments[0]])


def test_our_own_packagers_segments_go_on() -> None:
    pytest.importorskip("av")
    from tests.packaging.media import Studio, signal

    ours = [each.data for each in Studio().send(signal(6)).finish().segments]
    assert len(ours) >= 2
    assert found(ours) == []
