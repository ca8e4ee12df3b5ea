"""What a clip is made of, and which files are none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.off_air.clips import CLIP, flv, opening, seconds
from tests.rtmp.media import Sent, audio_header, frame, gop, key, letter, metadata, sound, video_header
from tierkit.codecs import amf0
from tierkit.codecs.flv_clip import LONGEST_CLIP, MOST_TAGS, Clip, parse_clip
from tierkit.errors import RemoteProtocolError

GOOD = [*opening(CLIP), *seconds(3, CLIP)]
END = Sent(9, 3000, b"\x17\x02\x00\x00\x00")


def clip_of(file: bytes) -> Clip:
    return parse_clip([file])


def letters(clip: Clip) -> str:
    return "".join(letter(each.type_id, each.payload) for each in (*clip.headers, *clip.frames))


def test_a_clip_begins_with_its_headers_and_a_keyframe() -> None:
    clip = clip_of(flv(GOOD))
    assert letters(clip) == "MVA" + ("KS" + "PS" * 24) * 3
    assert [each.payload for each in clip.headers[1:]] == [each.payload for each in GOOD[1:3]]
    assert [(each.type_id, each.timestamp, each.payload) for each in clip.frames] == GOOD[3:]
    assert {each.timestamp for each in clip.headers} == {0}
    assert clip.codecs == {8: "mp4a", 9: "avc1"}
    assert clip.duration == 3020  # the last sound, at 2980, lasts 40


def test_pieces_of_any_size() -> None:
    file = flv(GOOD)
    assert parse_clip(file[at : at + 1] for at in range(len(file))) == clip_of(file)
    assert len(clip_of(file + b"garbage").frames) == len(GOOD) - 3


def test_time_begins_at_nought() -> None:
    late = [*opening(CLIP), *seconds(2, CLIP, start=5_000_000)]
    assert clip_of(flv(late)).frames[0].timestamp == 0
    assert clip_of(flv(late)).duration == 2020


def test_what_is_true_of_a_file_alone_is_left_out() -> None:
    said = {"duration": 3.0, "filesize": 9.0, "keyframes": {"times": [0.0]}, "width": 640.0, "videocodecid": 7.0}
    file = [Sent(18, 0, amf0.encode("onMetaData", amf0.ECMAArray(said))), *GOOD[1:], END]
    clip = clip_of(flv(file))
    assert amf0.decode_all(clip.headers[0].payload) == ["onMetaData", {"width": 640.0, "videocodecid": 7.0}]
    assert clip.frames[-1].payload == GOOD[-1].payload


def test_sound_or_pictures_alone() -> None:
    sounds = [metadata(video=False), audio_header(), *(sound(at) for at in range(0, 2000, 40))]
    assert clip_of(flv(sounds)).codecs == {8: "mp4a"}
    pictures = [video_header(), *(each for each in gop(0, 50) if each.type_id == 9)]
    assert clip_of(flv(pictures)).codecs == {9: "avc1"}
    assert clip_of(flv(pictures)).duration == 2000


def test_a_file_that_is_cut_off_is_a_clip_up_to_there() -> None:
    whole = flv(GOOD)
    assert len(clip_of(whole[:-30]).frames) == len(GOOD) - 3 - 1


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (b"", "neither sound nor pictures"),
        (b"\x00\x00\x00\x20ftypisom", "not FLV"),
        (flv([]), "neither sound nor pictures"),
        (flv(opening(1)), "neither sound nor pictures"),
        (flv([*GOOD[:3], frame(0), *GOOD[3:]]), "do not begin with a keyframe"),
        (flv([GOOD[0], *GOOD[2:]]), "no sequence header for its pictures"),
        (flv([*GOOD[:2], *GOOD[3:]]), "no sequence header for its sound"),
        (flv([*GOOD, video_header(3000, mark=9)]), "the configuration of its pictures changes"),
        (flv([*GOOD, key(500)]), "the time of its pictures goes back"),
        (flv(GOOD) + bytes(15) * MOST_TAGS, "it has more than 200,000 tags"),
        (flv([*GOOD[:3], *gop(0, 10)]), "it lasts 0.42 s"),
        (flv([*GOOD, key(601_000)]), "and a clip lasts 1 to 600 s"),
    ],
)
def test_what_is_no_clip(file: bytes, why: str) -> None:
    with pytest.raises(RemoteProtocolError, match=re.escape(why)):
        clip_of(file)


SENT = st.one_of(
    st.builds(lambda make, at: make(at), st.sampled_from([key, frame, sound]), st.integers(0, 700_000)),
    st.builds(lambda make, mark: make(0, mark=mark), st.sampled_from([video_header, audio_header]), st.integers(0, 1)),
    st.builds(Sent, st.sampled_from([8, 9, 18, 20]), st.integers(0, 0xFFFFFFFF), st.binary(max_size=12)),
)


@given(st.lists(SENT, max_size=30))
def test_whatever_is_in_a_file_it_is_a_clip_that_can_be_looped_or_none(sent: Sequence[Sent]) -> None:
    try:
        clip = clip_of(flv(sent))
    except RemoteProtocolError:
        return
    assert 1000 <= clip.duration <= LONGEST_CLIP * 1000
    times: dict[int, Any] = {kind: [e.timestamp for e in clip.frames if e.type_id == kind] for kind in clip.codecs}
    assert all(times.values())
    assert max(max(each) for each in times.values()) < clip.duration
    assert min(min(each) for each in times.values()) == 0
    pictures = [each for each in clip.frames if each.type_id == 9]
    assert not pictures or pictures[0].kind.is_keyframe


@given(st.binary(max_size=200))
def test_any_bytes(garbage: bytes) -> None:
    for data in (garbage, flv([])[:13] + garbage, flv(GOOD) + garbage):
        try:
            clip_of(data)
        except RemoteProtocolError:
            pass
