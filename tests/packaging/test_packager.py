"""What players get is what publishers sent: packets, times, pictures; for every kind of stream."""

from __future__ import annotations

from fractions import Fraction

import av
import m3u8
import pytest

from tierkit.codecs.flv import (
    FLVReader,
    Tag,
    VideoTag,
    create_flv_header,
    create_flv_tag,
    create_video_tag,
    parse_tag,
)
from tierkit.packaging import Packaging

from .media import AUDIO, VIDEO, Studio, decode, frames, of_kind, package, pictures, playlist_tags, signal, sounds


def as_flv(tags: object) -> bytes:
    return create_flv_header() + b"".join(create_flv_tag(t.type_id, t.timestamp, t.payload) for t in tags)  # type: ignore[attr-defined]


@pytest.mark.parametrize("b_frames", [0, 2])
def test_every_packet_comes_out_with_its_times(b_frames: int) -> None:
    tags = signal(b_frames=b_frames)
    studio = package(tags)

    found = [frame for segment in studio.segments for frame in frames(segment.data)]
    start = pictures(tags)[0].timestamp
    sent = [((t.timestamp - start) * 90, (t.timestamp - start + t.composition_time) * 90) for t in pictures(tags)]
    assert [(frame.dts, frame.pts) for frame in of_kind("video", found)] == sent

    heard = [t for t in sounds(tags) if t.timestamp >= start]
    audio = of_kind("audio", found)
    # Frames that share a PES packet have one time stamp, the others follow from the sampling rate.
    assert [abs(frame.dts - (t.timestamp - start) * 90) <= 180 for frame, t in zip(audio, heard, strict=True)] == [
        True
    ] * len(audio)
    assert [frame.data[7:] for frame in audio] == [t.payload[2:] for t in heard]


@pytest.mark.parametrize("b_frames", [0, 2])
def test_the_pictures_are_those_that_were_sent(b_frames: int) -> None:
    tags = signal(b_frames=b_frames)
    assert decode(package(tags).data, "video") == decode(as_flv(tags), "video", "flv")


def test_each_segment_begins_with_a_keyframe_and_can_be_decoded_alone() -> None:
    studio = package(signal(b_frames=2))
    assert len(studio.segments) == 4
    for segment in studio.segments:
        video = of_kind("video", frames(segment.data))
        assert video[0].key
        # An access unit delimiter, then the parameter sets.
        assert video[0].data.startswith(b"\0\0\0\1\x09\xf0\0\0\0\1\x67")
        assert len(decode(segment.data, "video")) == len(video) == 50


def test_segments_last_as_long_as_the_playlist_says_and_follow_each_other() -> None:
    studio = package(signal())
    at = 0.0
    for segment in studio.segments:
        video = of_kind("video", frames(segment.data))
        assert video[0].dts == round(at * 90000)
        at += segment.duration
    # The last lasts as long as its sound.
    assert [segment.duration for segment in studio.segments] == [2.0, 2.0, 2.0, pytest.approx(2, abs=0.03)]


def test_the_playlists() -> None:
    studio = package(signal(), window=3)
    listed = m3u8.loads(studio.chunklist)
    assert [segment.uri for segment in listed.segments] == ["media_1.ts", "media_2.ts", "media_3.ts"]
    assert (listed.media_sequence, listed.target_duration, listed.is_endlist) == (1, 2, False)
    # The clock of the first frame, and what the media say from there on.
    times = [segment.program_date_time.timestamp() for segment in listed.segments]
    assert times == pytest.approx([1_700_000_002, 1_700_000_004, 1_700_000_006], abs=0.1)
    assert "DISCONTINUITY" not in studio.chunklist

    top = m3u8.loads(studio.packager.window.playlist.decode())
    assert [each.uri for each in top.playlists] == ["chunklist.m3u8"]
    info = top.playlists[0].stream_info
    assert info.resolution == (128, 72)
    assert info.codecs.startswith("avc1.42c0")
    assert info.codecs.endswith(",mp4a.40.2")
    assert info.bandwidth >= max(len(s.data) * 8 / s.duration for s in studio.segments)


def test_sound_alone() -> None:
    tags = signal(video=False)
    studio = package(tags)
    assert [segment.duration for segment in studio.segments[:4]] == pytest.approx([2, 2, 2, 2], abs=0.025)
    found = [frame for segment in studio.segments for frame in frames(segment.data)]
    assert [frame.data[7:] for frame in found] == [t.payload[2:] for t in sounds(tags)]
    assert 'CODECS="mp4a.40.2"' in studio.packager.window.playlist.decode()
    assert "RESOLUTION" not in studio.packager.window.playlist.decode()
    assert sum(segment.duration for segment in studio.segments) == pytest.approx(8, abs=0.05)


def test_pictures_alone() -> None:
    tags = signal(audio=False)
    studio = package(tags)
    found = [frame for segment in studio.segments for frame in frames(segment.data)]
    assert {frame.kind for frame in found} == {"video"}
    assert len(found) == len(pictures(tags))
    assert 'CODECS="avc1' in studio.packager.window.playlist.decode()
    assert "mp4a" not in studio.packager.window.playlist.decode()


@pytest.mark.parametrize("missing", [AUDIO, VIDEO])
def test_a_track_that_is_announced_and_never_comes_is_not_waited_for(missing: int) -> None:
    # Metadata and decoder configuration say that it is there; no frame ever comes.
    tags = [t for t in signal(16) if t.type_id != missing or t.kind.is_sequence_header]
    studio = package(tags)
    assert studio.segments
    kind = "video" if missing == AUDIO else "audio"
    assert {frame.kind for segment in studio.segments for frame in frames(segment.data)} == {kind}
    assert len(studio.segments[0].data) > 0
    # Sound waits for the picture as long as patience lasts, the picture for the sound not at all.
    total = sum(segment.duration for segment in studio.segments)
    assert total == pytest.approx(16 if missing == AUDIO else 6, abs=0.1)


def test_sound_that_begins_later_joins_with_a_discontinuity() -> None:
    tags = [t for t in signal(8) if t.type_id != AUDIO or t.kind.is_sequence_header or t.timestamp > 4500]
    studio = package(tags)
    kinds = [{frame.kind for frame in frames(segment.data)} for segment in studio.segments]
    assert kinds == [{"video"}, {"video"}, {"video", "audio"}, {"video", "audio"}]
    assert [segment.discontinuity for segment in studio.segments] == [False, False, True, False]


def test_pictures_that_begin_later_join_with_a_discontinuity() -> None:
    late = [t for t in signal(12) if t.type_id != VIDEO or t.timestamp > 4500]
    header = next(t for t in signal(12) if t.type_id == VIDEO and t.kind.is_sequence_header)
    at = next(i for i, t in enumerate(late) if t.timestamp > 4500)
    studio = package([*late[:at], header, *late[at:]])
    kinds = [{frame.kind for frame in frames(segment.data)} for segment in studio.segments]
    first = kinds.index({"video", "audio"})
    assert kinds[:first] == [{"audio"}] * first
    assert kinds[first:] == [{"video", "audio"}] * (len(kinds) - first)
    assert [i for i, segment in enumerate(studio.segments) if segment.discontinuity] == [first]


def test_a_picture_that_comes_at_once_costs_no_segment_of_sound() -> None:
    tags = [t for t in signal(6) if t.type_id != VIDEO or t.timestamp > 700]
    header = next(t for t in signal(6) if t.type_id == VIDEO and t.kind.is_sequence_header)
    at = next(i for i, t in enumerate(tags) if t.timestamp > 700)
    studio = package([*tags[:at], header, *tags[at:]])
    assert {frame.kind for frame in frames(studio.segments[0].data)} == {"video", "audio"}
    assert not any(segment.discontinuity for segment in studio.segments)


def test_end_of_sequence_and_commands_are_skipped() -> None:
    tags = list(signal(4))
    end = create_video_tag(2500, b"", frame_type=1, avc_packet_type=2)
    command = create_video_tag(2500, b"\x00", frame_type=5)
    at = next(i for i, t in enumerate(tags) if t.timestamp > 2500)
    with_them = package([*tags[:at], end, command, *tags[at:]])
    assert with_them.data == package(tags).data


def test_a_repeated_configuration_changes_nothing() -> None:
    tags = list(signal(6))
    headers = [t for t in tags if t.kind.is_sequence_header]
    at = next(i for i, t in enumerate(tags) if t.timestamp > 3300)
    assert package([*tags[:at], *headers, *tags[at:]]).data == package(tags).data


def test_another_configuration_begins_a_segment_with_a_discontinuity() -> None:
    small, large = signal(5), signal(5, width=192, height=108)
    studio = Studio(Packaging(window=100, keep=0)).send(small).send(large, shift=5000).finish()
    flags = [segment.discontinuity for segment in studio.segments]
    assert flags.count(True) == 1
    where = flags.index(True)
    sizes = [len(decode(segment.data, "video")[0]) for segment in studio.segments]
    assert len(set(sizes[:where])) == len(set(sizes[where:])) == 1
    assert sizes[0] != sizes[-1]
    assert "RESOLUTION=192x108" in studio.packager.window.playlist.decode()
    # Nothing is lost at the seam, and time goes on.
    found = [frame for segment in studio.segments for frame in frames(segment.data)]
    assert len(of_kind("video", found)) == 250
    times = [frame.dts for frame in of_kind("video", found)]
    assert times == sorted(times)


def test_other_sound_waits_for_the_next_keyframe() -> None:
    low, high = signal(5), signal(5, sample_rate=48000)
    joined = [t for t in low if t.type_id == VIDEO or t.timestamp < 2500]
    joined += [t for t in high if t.type_id == AUDIO and t.timestamp >= 2500]
    joined.sort(key=lambda t: t.timestamp)
    at = next(i for i, t in enumerate(joined) if t.timestamp >= 2500)
    header = next(t for t in high if t.type_id == AUDIO and t.kind.is_sequence_header)
    studio = package([*joined[:at], header, *joined[at:]])
    assert [segment.discontinuity for segment in studio.segments] == [False, False, True]
    for segment in studio.segments:
        # The sampling frequency index of ADTS.
        assert len({frame.data[2] for frame in of_kind("audio", frames(segment.data))}) == 1


def test_a_new_publisher_goes_on_with_the_numbers() -> None:
    studio = Studio(Packaging(window=100, keep=0), first_sequence=1000).send(signal(4)).finish()
    first = len(studio.segments)
    studio.packager.restart()
    studio.send(signal(4)).finish()
    assert [segment.sequence for segment in studio.segments] == list(range(1000, 1000 + len(studio.segments)))
    assert [i for i, segment in enumerate(studio.segments) if segment.discontinuity] == [first]
    times = [frame.dts for segment in studio.segments for frame in of_kind("video", frames(segment.data))]
    assert times == sorted(set(times))
    assert studio.packager.statistics().faults == 0


def test_the_target_duration_covers_long_gops() -> None:
    studio = package(signal(9, gop=4.0))
    assert [segment.duration for segment in studio.segments] == [4, 4, pytest.approx(1, abs=0.03)]
    assert playlist_tags(studio.chunklist, "TARGETDURATION") == ["4"]


def test_keyframes_for_every_picture_make_no_more_segments() -> None:
    studio = package(signal(6, gop=0.04))
    assert [segment.duration for segment in studio.segments] == pytest.approx([2, 2, 2], abs=0.05)


def test_mp3_is_packaged_as_it_is() -> None:
    # A silent MPEG-1 layer III frame: 128 kbit/s, 44.1 kHz, 417 bytes, 26 ms.
    frame = b"\xff\xfb\x90\x64" + bytes(413)
    studio = Studio(Packaging(window=100, keep=0))
    for index in range(200):
        studio.packager.receive(AUDIO, index * 26, b"\x2f" + frame)
    studio.finish()
    found = [f for segment in studio.segments for f in frames(segment.data)]
    assert [f.data for f in found] == [frame] * 200
    assert 'CODECS="mp4a.40.34"' in studio.packager.window.playlist.decode()


@pytest.mark.parametrize("fourcc", [b"hvc1", b"avc1"])
def test_enhanced_rtmp_with_and_without_composition_times(fourcc: bytes) -> None:
    tags = hevc(4.0) if fourcc == b"hvc1" else [enhanced(t) for t in signal(4, audio=False)]
    assert all(t.payload[0] & 0x80 for t in tags if t.type_id == VIDEO)
    studio = package(tags)
    assert studio.told == []
    found = [frame for segment in studio.segments for frame in frames(segment.data)]
    assert len(found) == 100
    name = "hvc1.1." if fourcc == b"hvc1" else "avc1.42c0"
    assert f'CODECS="{name}' in studio.packager.window.playlist.decode()
    assert "RESOLUTION=128x72" in studio.packager.window.playlist.decode()
    assert len(studio.segments) >= 2
    for segment in studio.segments:
        assert len(decode(segment.data, "video")) == len(frames(segment.data))


def enhanced(tag: Tag) -> Tag:
    """An AVC tag as Enhanced RTMP v2 spells it, without composition time (packet type 3)."""
    if not isinstance(tag, VideoTag):
        return tag
    kind = {0: 0, 1: 3, 2: 2}[tag.avc_packet_type or 0]
    return parse_tag(VIDEO, tag.timestamp, bytes((0x80 | tag.frame_type << 4 | kind,)) + b"avc1" + tag.body)


def hevc(seconds: float) -> list[Tag]:
    """What libav's FLV muxer makes of libx265, B-frames and all."""
    pieces: list[bytes] = []

    class Sink:
        def write(self, data: bytes) -> int:
            pieces.append(data)
            return len(data)

    with av.open(Sink(), "w", format="flv") as out:
        params = "log-level=none:pools=none:frame-threads=1:keyint=25:min-keyint=25:scenecut=0:bframes=2:open-gop=0"
        stream = out.add_stream("libx265", rate=25, options={"preset": "ultrafast", "x265-params": params})
        stream.width, stream.height, stream.pix_fmt = 128, 72, "yuv420p"
        for index in range(round(seconds * 25)):
            frame = av.VideoFrame(128, 72, "yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return FLVReader().receive(b"".join(pieces))
