"""One publisher's clock and beginning: what players are shown, and with which timestamps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit._live_epoch import AUDIO_ONLY_AFTER, AUDIO_SYNC, EPOCH_GAP, STEP_BACK, Epoch, Place, behind
from tierkit.codecs.flv import classify

from .media import Sent, audio_header, frame, gop, headers, key, letter, metadata, sound, video_header


def shown(epoch: Epoch, sent: list[Sent]) -> list[tuple[str, int, Place]]:
    out = []
    for type_id, timestamp, payload in sent:
        kind = classify(type_id, payload)
        at = epoch.stamp(type_id, timestamp, kind)
        out.append((letter(type_id, payload), at, epoch.place(type_id, at, kind, payload)))
    return out


def line(found: list[tuple[str, int, Place]]) -> str:
    """Held messages in lower case, sync points with an apostrophe."""
    return "".join(
        (each.lower() if place is Place.HELD else each) + ("'" if place is Place.SYNC else "")
        for each, _, place in found
    )


def test_the_first_epoch_keeps_its_timestamps() -> None:
    found = shown(Epoch(None), [*headers(0), *gop(5_000_000, 2)])
    assert line(found) == "mvaK'SPS"
    assert [at for _, at, _ in found[3:]] == [5_000_000, 5_000_020, 5_000_040, 5_000_060]


def test_a_later_epoch_goes_on_behind_the_last() -> None:
    found = shown(Epoch(1000), [*headers(0), *gop(7_000, 2)])
    assert [at for _, at, _ in found] == [1000, 1000, 1000, 1040, 1060, 1080, 1100]
    assert 1000 + EPOCH_GAP == 1040


def test_sound_that_begins_before_the_picture_is_not_put_before_what_was_seen() -> None:
    found = shown(Epoch(1000), [*headers(), key(500), sound(300), sound(480), frame(540), sound(520)])
    assert [at for _, at, _ in found[3:]] == [1040, 1000, 1020, 1080, 1060]


def test_nothing_is_shown_before_a_keyframe() -> None:
    found = shown(Epoch(None), [*headers(), frame(0), sound(10), frame(40), key(80), sound(90), frame(120)])
    assert line(found) == "mvapspK'SP"


def test_headers_in_the_stream_are_stamped_like_what_is_there() -> None:
    found = shown(Epoch(None), [*headers(), *gop(9000, 2), metadata(0), video_header(0), key(9080)])
    assert line(found) == "mvaK'SPSMVK'"
    assert [at for _, at, _ in found[-3:]] == [9060, 9060, 9080]


def test_sound_alone_is_told_by_the_metadata() -> None:
    sounds = [sound(at) for at in range(0, 2500, 500)]
    found = shown(Epoch(None), [metadata(video=False), audio_header(), *sounds])
    assert line(found) == "maS'SS'SS'"
    assert found[2][1] + AUDIO_SYNC == found[4][1]


def test_sound_alone_is_believed_after_a_while() -> None:
    sounds = [sound(at) for at in range(0, AUDIO_ONLY_AFTER + 1001, 500)]
    assert line(shown(Epoch(None), [audio_header(), *sounds])) == "assssS'SS'"


def test_pictures_that_join_sound_begin_with_a_keyframe() -> None:
    epoch = Epoch(None)
    shown(epoch, [metadata(video=False), audio_header(), sound(0)])
    assert epoch.alone
    found = shown(epoch, [frame(10), sound(20), video_header(), frame(30), key(40), frame(50), sound(1200)])
    assert line(found) == "pSVpK'PS"
    assert not epoch.alone


def test_a_clock_that_leaps_back_is_taken_up_anew() -> None:
    epoch = Epoch(None)
    found = shown(epoch, [*headers(), *gop(100_000, 2), *gop(0, 2)])
    assert epoch.leaps == 1
    assert [at for _, at, _ in found[3:]] == [100_000, 100_020, 100_040, 100_060, 100_100, 100_120, 100_140, 100_160]


def test_small_steps_back_are_left_alone() -> None:
    epoch = Epoch(None)
    found = shown(epoch, [*headers(), key(5000), frame(5000 - STEP_BACK + 1)])
    assert (epoch.leaps, found[-1][1]) == (0, 5000 - STEP_BACK + 1)


@pytest.mark.parametrize("last", [0xFFFFFFF0, 0x7FFFFFF0])
def test_the_clock_wraps(last: int) -> None:
    found = shown(Epoch(last), [*headers(), *gop(0, 2)])
    assert [behind(at, last) for _, at, _ in found[3:]] == [40, 60, 80, 100]
    epoch = Epoch(None)
    shown(epoch, [*headers(), key(last), sound(last + 20 & 0xFFFFFFFF), frame(last + 40 & 0xFFFFFFFF)])
    assert epoch.leaps == 0


@given(
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.lists(st.tuples(st.sampled_from([key, frame, sound]), st.integers(-1_000_000, 1_000_000)), max_size=30),
)
def test_whatever_a_later_publisher_stamps_time_never_goes_back_behind_what_was_seen(
    last: int, base: int, sent: list[tuple[Callable[[int], Sent], int]]
) -> None:
    found = shown(Epoch(last), [make(base + at & 0xFFFFFFFF) for make, at in sent])
    kept = [(each, at) for each, at, place in found if place is not Place.HELD]
    assert all(behind(at, last) >= 0 for _, at in kept)
    assert not kept or kept[0][0] in "KS"
    pictures = [each for each, _ in kept if each in "KP"]
    assert not pictures or pictures[0] == "K"


def track(number: int, timestamp: int, *, keyframe: bool) -> Sent:
    """A frame of one track of several (Enhanced RTMP v2): multitrack of one, coded frames."""
    head = bytes([0x80 | (1 if keyframe else 2) << 4 | 6, 0x01]) + b"hvc1" + bytes([number])
    return Sent(9, timestamp, head + bytes(3) + b"picture")


def test_players_begin_with_the_only_track_that_there_is() -> None:
    found = shown(Epoch(None), [metadata(), track(1, 0, keyframe=False), track(1, 40, keyframe=True), sound(50)])
    assert [place for _, _, place in found] == [Place.HELD, Place.HELD, Place.SYNC, Place.SHOWN]


def test_players_begin_with_the_first_of_several_tracks() -> None:
    sent = [track(number, at, keyframe=at == 0) for at in (0, 40, 0x50) for number in (0, 1)]
    sent += [track(number, 120, keyframe=True) for number in (1, 0)]
    places = [place for _, _, place in shown(Epoch(None), [metadata(), *sent])]
    assert places[1:3] == [Place.SYNC, Place.SHOWN]
    assert places[-2:] == [Place.SHOWN, Place.SYNC]
