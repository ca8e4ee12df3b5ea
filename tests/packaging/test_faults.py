"""Bad media ends a moment of one stream's HLS: counted, told once a second, and over at the next keyframe."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit import _packaging_mpegts as mpegts
from tierkit.codecs.flv import Tag, create_audio_tag, create_video_tag, parse_tag
from tierkit.packaging import Packaging

from .media import (
    AUDIO,
    VIDEO,
    WIDE,
    Studio,
    decode,
    frames,
    of_kind,
    package,
    pictures,
    signal,
    sounds,
)

GARBAGE = [
    pytest.param(create_video_tag(0, b"\xff" * 100, frame_type=2), id="lengths beyond the end"),
    pytest.param(create_video_tag(0, bytes(4 * 3000), frame_type=2), id="thousands of empty units"),
    pytest.param(create_video_tag(0, b"\x00\x00\x00", frame_type=2), id="half a length"),
    pytest.param(create_video_tag(0, b"\x00\x00\x00\x00", frame_type=2), id="nothing in it"),
    pytest.param(
        create_video_tag(0, b"\0\0\0\1\x41", frame_type=2, composition_time=8_000_000), id="shown in two hours"
    ),
    pytest.param(create_video_tag(0, b"nonsense", frame_type=1, avc_packet_type=0), id="a configuration of nonsense"),
]


def place(tags: Sequence[Tag], at: int, *extra: Tag) -> list[Tag]:
    """`extra` among the messages, at `at` ms."""
    index = next(i for i, tag in enumerate(tags) if tag.timestamp > at)
    moved = [parse_tag(tag.type_id, at, tag.payload) for tag in extra]
    return [*tags[:index], *moved, *tags[index:]]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_malformed_picture_ends_the_segment_and_the_next_keyframe_goes_on(garbage: Tag) -> None:
    studio = package(place(signal(8), 2500, garbage))
    statistics = studio.packager.statistics()
    assert (statistics.faults, statistics.breaks) == (1, 1)
    assert len(studio.told) == 1
    assert studio.told[0].startswith("HLS: ")

    # Cut at 2.5 s, on again with the keyframe at 3 s.
    assert [segment.discontinuity for segment in studio.segments] == [False, False, True, False, False]
    video = of_kind("video", [frame for segment in studio.segments for frame in frames(segment.data)])
    lost = [t for t in pictures(signal(8)) if 2500 < t.timestamp - pictures(signal(8))[0].timestamp < 3000]
    assert len(video) == pytest.approx(200 - len(lost), abs=1)
    for segment in studio.segments:
        assert len(decode(segment.data, "video")) == len(of_kind("video", frames(segment.data)))


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(create_audio_tag(0, b"\x12", aac_packet_type=0), id="half a configuration"),
        pytest.param(create_audio_tag(0, b"\xff\xff\xff\xff", aac_packet_type=0), id="a reserved configuration"),
        pytest.param(create_audio_tag(0, bytes(9000)), id="longer than ADTS can say"),
        pytest.param(create_audio_tag(0, b"no frame", sound_format=2), id="MP3 that is none"),
    ],
)
def test_malformed_sound_leaves_the_picture_alone(garbage: Tag) -> None:
    studio = package(place(signal(8), 2500, garbage))
    assert studio.packager.statistics().faults == 1
    assert len(studio.told) == 1
    assert not any(segment.discontinuity for segment in studio.segments)
    assert decode(studio.data, "video") == decode(package(signal(8)).data, "video")


def test_what_libav_raises_costs_one_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    count = itertools.count()
    write = mpegts.SegmentMuxer.write

    def sometimes(self: mpegts.SegmentMuxer, *frame: object) -> None:
        if next(count) == 150:
            raise ValueError("as libav would")
        write(self, *frame)  # type: ignore[arg-type]

    monkeypatch.setattr(mpegts.SegmentMuxer, "write", sometimes)
    studio = package(signal(8))
    assert studio.told == ["HLS: libav: ValueError: as libav would"]
    statistics = studio.packager.statistics()
    assert (statistics.faults, statistics.breaks) == (1, 1)
    assert [segment.discontinuity for segment in studio.segments].count(True) == 1
    assert sum(segment.duration for segment in studio.segments) > 6.5


def test_what_libav_itself_refuses_gives_no_empty_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    # Its muxer wants a sampling rate, and says so when the header is written: after the stream was added.
    monkeypatch.setattr(mpegts.AudioTrack, "rate", property(lambda _: 0, lambda _, __: None), raising=False)
    studio = package(signal(8, video=False))
    assert studio.segments == ()
    assert studio.told[0].startswith("HLS: libav: ")
    assert studio.packager.statistics().faults > 1


@pytest.mark.parametrize("method", ["__init__", "finish"])
def test_a_muxer_that_never_works_gives_no_segments_and_harms_nothing(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def broken(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(mpegts.SegmentMuxer, method, broken)
    studio = package(signal(8))
    assert studio.segments == ()
    assert studio.packager.statistics().faults > 0
    assert len(studio.told) <= 9


def test_garbage_all_the_time_buys_one_segment_a_second_at_most() -> None:
    # Every second picture is garbage, and every other one a keyframe.
    tags = list(signal(8, gop=0.04))
    bad = [create_video_tag(t.timestamp, b"\xff" * 9, frame_type=2) for t in pictures(tags)]
    mixed = sorted([*tags, *bad], key=lambda t: t.timestamp)
    studio = Studio(WIDE).send(mixed).finish()
    statistics = studio.packager.statistics()
    assert statistics.faults == len(bad)
    assert 2 <= statistics.segments <= 9
    assert len(studio.told) <= 9
    assert any("more)" in line for line in studio.told)


@pytest.mark.parametrize("type_id", [AUDIO, VIDEO])
def test_timestamps_alone_buy_no_segments(type_id: int) -> None:
    tags = signal(4, audio=type_id == AUDIO, video=type_id == VIDEO)
    header = next(t for t in tags if t.kind.is_sequence_header)
    frame = next(t for t in tags if t.type_id == type_id and (type_id == AUDIO or t.kind.is_keyframe) and t != header)
    fast = [parse_tag(type_id, index * 2000, frame.payload) for index in range(5000)]
    studio = Studio(WIDE).send([header, *fast], realtime=False).finish()
    assert studio.packager.statistics().segments < 70
    assert any("faster than time" in line for line in studio.told)
    # And back to normal, once it behaves.
    studio.now += 5
    studio.packager.restart()
    studio.send(signal(4)).finish()
    assert [round(segment.duration) for segment in studio.segments[-2:]] == [2, 2]


@pytest.mark.parametrize("type_id", [AUDIO, VIDEO])
def test_changing_configurations_buy_no_segments(type_id: int) -> None:
    one = signal(4, audio=type_id == AUDIO, video=type_id == VIDEO)
    other = signal(4, audio=type_id == AUDIO, video=type_id == VIDEO, width=192, height=108, sample_rate=48000)
    pairs = []
    for tags in (one, other):
        header = next(t for t in tags if t.kind.is_sequence_header)
        coded = pictures(tags) if type_id == VIDEO else sounds(tags)
        pairs.append((header, coded[0]))
    studio = Studio(WIDE)
    for index in range(2000):
        for tag in pairs[index % 2]:
            studio.packager.receive(type_id, index, tag.payload)
    studio.finish()
    assert 2 < studio.packager.statistics().segments < 70


def test_a_minute_at_once_is_fine() -> None:
    studio = Studio(WIDE)
    for index in range(15):
        studio.send(signal(4), shift=index * 4000, realtime=False)
    studio.finish()
    assert studio.told == []
    assert len(studio.segments) == 30


def test_codecs_that_cannot_be_packaged_are_told_once() -> None:
    opus = [parse_tag(AUDIO, at, b"\x91Opus" + bytes(50)) for at in range(0, 4000, 20)]
    screen = [parse_tag(VIDEO, at, b"\x13" + bytes(50)) for at in range(0, 4000, 40)]
    tags = sorted([*signal(4, audio=False), *opus], key=lambda t: t.timestamp)
    studio = package(tags)
    assert studio.told == ["HLS: audio in Opus by Enhanced RTMP cannot be packaged: send AAC"]
    assert {frame.kind for frame in frames(studio.data)} == {"video"}

    studio = package(screen)
    assert studio.told == ["HLS: video in screen cannot be packaged: send H.264"]
    assert not studio.packager.ready


def test_no_keyframes_at_all_is_told_and_sound_goes_on_alone() -> None:
    tags = [t for t in signal(16) if not t.kind.is_keyframe]
    studio = package(tags, patience=4.0)
    assert studio.told[0] == "HLS: no keyframe for 4 s"
    assert {frame.kind for segment in studio.segments for frame in frames(segment.data)} == {"audio"}


def test_no_more_keyframes_are_cut_for_after_patience() -> None:
    first, *later = [t.timestamp for t in signal(16) if t.kind.is_keyframe]
    tags = [t for t in signal(16) if t.timestamp not in later or t.type_id == AUDIO]
    studio = package(tags, patience=4.0)
    assert all(segment.duration <= 4.1 for segment in studio.segments)
    assert studio.packager.statistics().forced_cuts == 3
    assert studio.told[0] == "HLS: no keyframe for 4 s: the segment ends without one"
    assert len(of_kind("video", frames(studio.segments[1].data))) > 50
    assert first < 100


def test_a_picture_that_stops_lets_the_sound_go_on() -> None:
    tags = [t for t in signal(16) if t.type_id == AUDIO or t.timestamp < 3000]
    studio = package(tags, patience=4.0)
    kinds = [{frame.kind for frame in frames(segment.data)} for segment in studio.segments]
    assert kinds[:2] == [{"video", "audio"}] * 2
    assert kinds[2:] == [{"audio"}] * (len(kinds) - 2)
    assert sum(segment.duration for segment in studio.segments) == pytest.approx(16, abs=0.1)


def test_many_bytes_are_cut_too() -> None:
    huge = [
        create_video_tag(t.timestamp, t.body + b"\0\0\x40\0" + b"\x0c" + bytes(0x3FFF), frame_type=t.frame_type)
        for t in pictures(signal(4, gop=4.0, audio=False))
    ]
    header = next(t for t in signal(4, gop=4.0, audio=False) if t.kind.is_sequence_header)
    studio = package([header, *huge], max_bytes=400_000)
    assert studio.packager.statistics().forced_cuts >= 3
    assert all(len(segment.data) < 600_000 for segment in studio.segments)


def test_a_huge_frame_goes_through() -> None:
    tags = list(signal(4, audio=False))
    index = next(i for i, t in enumerate(tags) if t.kind.is_keyframe and t.timestamp >= 2000)
    key = tags[index]
    filler = b"\x00\x7f\xff\x00" + b"\x0c" + b"\xff" * 0x7FFEFF
    tags[index] = parse_tag(VIDEO, key.timestamp, key.payload + filler)
    studio = package(tags)
    assert studio.packager.statistics().faults == 0
    assert max(len(segment.data) for segment in studio.segments) > 8 << 20


HOUR = 3_600_000


@pytest.mark.parametrize("jump", [-5 * HOUR, -2000, 20_000, 5 * HOUR, 1 << 31])
def test_a_jump_of_time_is_a_discontinuity_and_the_output_goes_on(jump: int) -> None:
    tags = signal(4)
    studio = Studio(WIDE).send(tags, shift=10 * HOUR).send(tags, shift=10 * HOUR + 4000 + jump).finish()
    assert [segment.discontinuity for segment in studio.segments] == [False, False, True, False]
    assert sum(segment.duration for segment in studio.segments) == pytest.approx(8, abs=0.2)
    assert all(segment.duration <= 2.2 for segment in studio.segments)
    times = [frame.dts for segment in studio.segments for frame in of_kind("video", frames(segment.data))]
    assert len(times) == 200
    assert times == sorted(set(times))
    # The playlist's clock is that of the wall, not of the encoder.
    assert studio.segments[-1].at - studio.segments[0].at == pytest.approx(6, abs=0.3)


def test_small_steps_back_are_flattened() -> None:
    tags = [
        parse_tag(t.type_id, t.timestamp - 300 if t.timestamp > 2500 else t.timestamp, t.payload) for t in signal(6)
    ]
    studio = package(tags)
    assert studio.packager.statistics().breaks == 0
    video = [frame for segment in studio.segments for frame in of_kind("video", frames(segment.data))]
    assert len(video) == 150
    assert decode(studio.data, "video") == decode(package(signal(6)).data, "video")


@pytest.mark.parametrize("before", [3000, 2020, 1])
def test_the_wrap_of_rtmps_clock_is_no_event(before: int) -> None:
    studio = Studio(WIDE).send(signal(8), shift=(1 << 32) - before).finish()
    plain = package(signal(8))
    assert studio.data == plain.data
    assert [s.duration for s in studio.segments] == [s.duration for s in plain.segments]


def test_the_wrap_of_mpegts_clock_is_no_event() -> None:
    # 33 bits of 90 kHz are 26.5 hours: sent in steps that are no jump.
    studio = Studio(WIDE)
    step = 14_000
    shift = 0
    tone = [t for t in signal(2, video=False) if not t.kind.is_metadata]
    while shift * 90 < (1 << 33) - 90_000 * 20:
        for tag in tone[:2]:
            studio.packager.receive(tag.type_id, tag.timestamp + shift, tag.payload)
        shift += step
        studio.now += step / 1000
    studio.send(signal(8, video=False), shift=shift).send(signal(8, video=False), shift=shift + 8000)
    studio.send(signal(8, video=False), shift=shift + 16000).finish()
    assert studio.packager.statistics().faults == 0
    newest = studio.segments[-12:]
    for segment in newest:
        # 44,100 samples a second, 1024 a frame; where the signal begins again, a frame or two come close.
        assert len(frames(segment.data)) == pytest.approx(segment.duration * 44100 / 1024, abs=3)
    wrap = 1 << 33
    starts = [frames(segment.data)[0].dts % wrap for segment in newest]
    assert starts[0] > wrap - 90_000 * 25
    assert starts[-1] < 90_000 * 20
    for now, then, segment in zip(starts, starts[1:], newest, strict=False):
        assert (then - now) % wrap == round(segment.duration * 90_000)
    assert not any(segment.discontinuity for segment in newest)


def test_sound_on_another_clock_is_left_out_while_there_is_a_picture() -> None:
    tags = [parse_tag(t.type_id, t.timestamp + HOUR * (t.type_id == AUDIO), t.payload) for t in signal(8)]
    studio = Studio(WIDE).send(tags, realtime=False).finish()
    assert {frame.kind for segment in studio.segments for frame in frames(segment.data)} == {"video"}
    assert studio.packager.statistics().frames_dropped >= len(sounds(signal(8)))


def test_sound_on_another_clock_goes_on_alone_once_the_picture_has_gone() -> None:
    tags = signal(24)
    sound = [parse_tag(AUDIO, t.timestamp + HOUR, t.payload) for t in sounds(tags) if t.timestamp > 3000]
    studio = Studio(WIDE).send([t for t in tags if t.timestamp <= 3000]).send(sound).finish()
    kinds = [{frame.kind for frame in frames(segment.data)} for segment in studio.segments]
    assert kinds[0] == {"video", "audio"}
    assert kinds[-1] == {"audio"}


@st.composite
def messages(draw: st.DrawFn) -> tuple[int, int, bytes]:
    """Real messages, whole, cut or altered, and pure noise, at any time."""
    kind = draw(st.sampled_from([8, 9, 9, 18, 22]))
    clock = draw(st.one_of(st.integers(0, 20_000), st.integers(0, 0xFFFFFFFF)))
    if draw(st.booleans()):
        tag = draw(st.sampled_from(signal(4)))
        payload = bytearray(
            tag.payload[: draw(st.integers(0, len(tag.payload)))] if draw(st.booleans()) else tag.payload
        )
        if payload and draw(st.booleans()):
            payload[draw(st.integers(0, min(40, len(payload) - 1)))] = draw(st.integers(0, 255))
        return tag.type_id, clock, bytes(payload)
    return kind, clock, draw(st.binary(max_size=64))


@given(st.lists(messages(), max_size=60), st.booleans())
def test_nothing_that_comes_in_raises_and_the_stream_recovers(noise: list[tuple[int, int, bytes]], first: bool) -> None:
    studio = Studio(Packaging(window=6, keep=2))
    if first:
        studio.send(signal(4))
    for message in noise:
        studio.packager.receive(*message)
    studio.now += 2
    studio.packager.restart()
    before = studio.packager.window.next_sequence
    studio.send(signal(4)).finish()
    assert studio.packager.window.next_sequence == before + 2
    assert len(decode(studio.segments[-1].data, "video")) == 50
