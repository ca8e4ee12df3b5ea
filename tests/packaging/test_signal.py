"""The test signal is what an encoder would send."""

from __future__ import annotations

import itertools

import pytest
import trio
from trio.testing import MockClock

from tierkit.codecs.flv import ScriptTag, Tag, parse_audio_config
from tierkit.codecs.flv_packet import Kind
from tierkit.testing.signal import TestSignal

from .media import AUDIO, VIDEO, decode, package, pictures, signal, sounds


def kinds(tags: list[Tag]) -> list[Kind]:
    return [tag.kind for tag in tags]


def test_metadata_and_headers_come_first() -> None:
    first, second, third, *rest = signal(3)
    assert isinstance(first, ScriptTag)
    name, values = first.values
    assert name == "onMetaData"
    assert (values["width"], values["height"], values["framerate"]) == (128, 72, 25)
    assert {second.type_id, third.type_id} == {AUDIO, VIDEO}
    assert second.kind.is_sequence_header
    assert third.kind.is_sequence_header
    assert not any(tag.kind.is_pinned for tag in rest)


@pytest.mark.parametrize("b_frames", [0, 2])
def test_times_rise_and_keyframes_stand_where_they_are_due(b_frames: int) -> None:
    tags = signal(6, gop=2.0, b_frames=b_frames)
    for type_id in (AUDIO, VIDEO):
        times = [tag.timestamp for tag in tags if tag.type_id == type_id and not tag.kind.is_pinned]
        assert times == sorted(set(times))
    assert [tag.timestamp for tag in tags] == sorted(tag.timestamp for tag in tags)
    keys = [tag.timestamp for tag in tags if tag.kind.is_keyframe]
    assert [later - sooner for sooner, later in itertools.pairwise(keys)] == [2000, 2000]
    assert len(pictures(tags)) == 150
    assert any(tag.composition_time for tag in pictures(tags)) == (b_frames > 0)


def test_the_picture_moves_and_the_sound_sounds() -> None:
    studio = package(signal(4))
    shown = decode(studio.data, "video")
    assert len(set(shown)) == len(shown)
    heard = decode(studio.data, "audio")
    assert any(any(frame) for frame in heard[5:])


def test_the_options() -> None:
    tags = TestSignal(width=96, height=64, fps=10, sample_rate=48000, gop=1.0).messages(3)
    assert len(pictures(tags)) == 30
    assert sum(tag.kind.is_keyframe for tag in tags) == 3
    header = next(tag for tag in tags if tag.type_id == AUDIO and tag.kind.is_sequence_header)
    assert parse_audio_config(header.payload[2:]).sample_rate == 48000
    assert not sounds(signal(3, audio=False))
    assert not pictures(signal(3, video=False))


def test_the_bitrate_is_about_what_is_asked_for() -> None:
    size = sum(len(tag.payload) for tag in pictures(signal(8, width=320, height=180, video_bitrate=400_000)))
    assert size * 8 / 8 == pytest.approx(400_000, rel=0.4)


async def test_it_is_played_in_real_time(autojump_clock: MockClock) -> None:
    got: list[tuple[float, Tag]] = []
    start = trio.current_time()

    async def send(tag: Tag) -> None:
        got.append((trio.current_time() - start, tag))

    await TestSignal(width=96, height=64, gop=1.0).play(send, seconds=3)
    assert len(pictures([tag for _, tag in got])) == 75
    for at, tag in got:
        assert at == pytest.approx(tag.timestamp / 1000)

    got.clear()
    before = trio.current_time()
    await TestSignal(width=96, height=64).play(send, seconds=2, paced=False)
    assert trio.current_time() == before
    assert len(pictures([tag for _, tag in got])) == 50


async def test_a_slow_taker_is_caught_up_with(autojump_clock: MockClock) -> None:
    start = trio.current_time()
    late: list[float] = []

    async def send(tag: Tag) -> None:
        if len(late) == 20:
            await trio.sleep(1)
        late.append(trio.current_time() - start - tag.timestamp / 1000)

    await TestSignal(width=96, height=64, audio=False, fps=25, b_frames=0).play(send, seconds=4)
    assert max(late) > 0.9
    assert late[-1] == pytest.approx(0, abs=1e-6)
