"""A stream cut into FLV files: where they begin and end, their time, what is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rtmp.media import Sent, audio_header, frame, gop, headers, key, letter, metadata, sound, video_header
from tierkit.codecs import amf0
from tierkit.codecs.flv import FLVReader, ScriptTag, Tag
from tierkit.codecs.flv_file import HOLE, Begin, End, FLVCutter, Step
from tierkit.codecs.rtmp_message import AUDIO, DATA, VIDEO


def cut(cutter: FLVCutter, sent: list[Sent], *, end: bool = True) -> list[Step]:
    steps = [step for each in sent for step in cutter.receive(*each)]
    return steps + cutter.end() if end else steps


def files(steps: list[Step]) -> list[bytes]:
    """The files as a disk would have them, finished ones with their last head."""
    found: list[bytearray] = []
    open_ = False
    for step in steps:
        match step:
            case Begin(data):
                assert not open_, "a file begins before the last has ended"
                found.append(bytearray(data))
                open_ = True
            case End(head):
                assert open_, "nothing has begun"
                found[-1][: len(head)] = head
                open_ = False
            case data:
                assert open_
                found[-1] += data
    return [bytes(each) for each in found]


def tags(file: bytes) -> list[Tag]:
    reader = FLVReader()
    found = reader.receive(file)
    # Nothing but the last tag's back pointer is left.
    assert bytes(reader._buffer) == (11 + len(found[-1].payload)).to_bytes(4, "big")
    return found


def shown(file: bytes) -> str:
    return "".join(letter(each.type_id, each.payload) for each in tags(file))


def meta(file: bytes) -> dict[str, object]:
    first = tags(file)[0]
    assert isinstance(first, ScriptTag)
    name, said = first.values
    assert name == "onMetaData"
    return dict(said)


def test_a_file_begins_with_its_headers_at_a_keyframe_and_at_zero() -> None:
    sent = [*headers(), frame(900_000), sound(900_010), *gop(900_040, 3)]
    (file,) = files(cut(FLVCutter(10), sent))
    assert shown(file) == "MVAKSPSPS"
    assert [each.timestamp for each in tags(file)] == [0, 0, 0, 0, 20, 40, 60, 80, 100]
    assert file[4] == 5


def test_the_numbers_are_zero_while_it_grows_and_true_in_the_end() -> None:
    steps = cut(FLVCutter(10), [*headers(), *gop(0, 25)])
    (growing,), (done,) = files(steps[:-1]), files(steps)
    assert {each: meta(growing)[each] for each in ("duration", "filesize", "lasttimestamp")} == {
        "duration": 0.0,
        "filesize": 0.0,
        "lasttimestamp": 0.0,
    }
    assert meta(done) == {
        "duration": 1.02,
        "filesize": float(len(done)),
        "lasttimestamp": 0.98,
        "title": "t",
        "audiocodecid": 10.0,
        "videocodecid": 7.0,
    }
    assert len(growing) == len(done)
    assert tags(growing)[1:] == tags(done)[1:]
    (end,) = [each for each in steps if isinstance(each, End)]
    assert end.seconds == 1.02


def test_every_piece_is_whole_tags() -> None:
    steps = cut(FLVCutter(1), [*headers(), *gop(0, 25), *gop(1000, 25)])
    grown = b""
    for step in steps:
        if isinstance(step, Begin):
            grown = step.data
        elif isinstance(step, bytes):
            grown += step
        tags(grown)  # says whether anything is left over


def test_it_is_cut_at_the_first_keyframe_after_its_seconds() -> None:
    sent = [*headers(), *(each for start in range(0, 6000, 1000) for each in gop(start, 25))]
    found = files(cut(FLVCutter(2), sent))
    assert [shown(each).count("K") for each in found] == [2, 2, 2]
    assert all(shown(each).startswith("MVAK") for each in found)
    assert [tags(each)[3].timestamp for each in found] == [0, 0, 0]
    pictures = [each.payload for file in found for each in tags(file)[3:] if each.type_id == VIDEO]
    assert pictures == [each.payload for each in sent[3:] if each.type_id == VIDEO]


def test_it_is_cut_at_the_first_keyframe_after_its_bytes() -> None:
    sent = [*headers(), *(each for start in range(0, 6000, 1000) for each in gop(start, 25, size=1000))]
    found = files(cut(FLVCutter(3600, 60_000), sent))
    assert [shown(each).count("K") for each in found] == [2, 2, 2]


def test_a_keyframe_that_comes_a_rounding_early_is_cut_at() -> None:
    sent = [*headers(), *gop(0, 5), *gop(1987, 5)]
    assert len(files(cut(FLVCutter(2), sent))) == 2


def test_sound_alone_is_cut_by_time() -> None:
    sent = [metadata(video=False), audio_header(), *(sound(at) for at in range(0, 3000, 20))]
    found = files(cut(FLVCutter(1), sent))
    assert [shown(each) for each in found] == ["MA" + "S" * 49, "MA" + "S" * 49, "MA" + "S" * 49, "MA" + "S" * 3]
    assert found[0][4] == 4


def test_sound_waits_two_seconds_for_a_picture_that_may_come() -> None:
    sent = [metadata(), audio_header(), *(sound(at) for at in range(0, 3000, 100))]
    (file,) = files(cut(FLVCutter(60), sent))
    assert tags(file)[2].payload == sound(2000).payload


def test_a_picture_that_joins_sound_alone_has_a_file_of_its_own() -> None:
    sent = [metadata(video=False), audio_header(), *(sound(at) for at in range(0, 500, 100))]
    sent += [video_header(500), frame(510), sound(520), *gop(600, 3)]
    one, two = files(cut(FLVCutter(60), sent))
    assert (shown(one), shown(two)) == ("MASSSSSVS", "MAVKSPSPS")


def test_sound_goes_on_alone_where_pictures_stay_away() -> None:
    sent = [*headers(), *gop(0, 3), *(sound(at) for at in range(200, 30_000, 100)), *gop(30_100, 3)]
    one, two, three = files(cut(FLVCutter(5), sent))[0], *files(cut(FLVCutter(5), sent))[-2:]
    assert shown(one).startswith("MVAKSPSPSSSS")
    assert set(shown(two)) == set("MVAS")
    assert shown(three) == "MVAKSPSPS"


def test_a_changed_header_begins_another_file_at_the_keyframe() -> None:
    sent = [*headers(), *gop(0, 3), audio_header(120, mark=1), video_header(120, mark=1), *gop(120, 3)]
    one, two = files(cut(FLVCutter(60), sent))
    assert (shown(one), shown(two)) == ("MVAKSPSPSAV", "MVAKSPSPS")
    assert tags(two)[1].payload == video_header(mark=1).payload


def test_repeated_headers_change_nothing() -> None:
    sent = [*headers(), *gop(0, 3), *headers(120), *gop(120, 3)]
    (file,) = files(cut(FLVCutter(60), sent))
    assert shown(file) == "MVA" + "KSPSPS" * 2


def test_a_hole_ends_a_file() -> None:
    sent = [*headers(), *gop(0, 3), *gop(100 + HOLE - 50, 3), *gop(2 * HOLE + 500, 3)]
    assert [shown(each).count("K") for each in files(cut(FLVCutter(3600), sent))] == [2, 1]


def test_time_goes_on_through_the_wrap_and_never_back() -> None:
    start = 2**32 - 60
    wrapped = [each._replace(timestamp=each.timestamp % 2**32) for each in gop(start, 4)]
    (file,) = files(cut(FLVCutter(3600), [*headers(), *wrapped, sound(60), frame(30)]))
    times = [(each.type_id, each.timestamp) for each in tags(file)[3:]]
    assert times[:8] == [(VIDEO, 0), (AUDIO, 20), (VIDEO, 40), (AUDIO, 60), (VIDEO, 80), (AUDIO, 100), (VIDEO, 120),
                         (AUDIO, 140)]  # fmt: skip
    assert times[8:] == [(AUDIO, 140), (VIDEO, 120)]


def test_no_file_is_longer_than_the_clock_can_tell() -> None:
    sent = [*headers(), key(0), frame(21 * 86_400_000), key(21 * 86_400_000 + 40)]
    found = files(cut(FLVCutter(10**9), sent))
    assert [shown(each) for each in found] == ["MVAK", "MVAK"]


def test_without_room_whole_gops_are_lost_and_counted() -> None:
    cutter = FLVCutter(3600)
    steps = cut(cutter, [*headers(), *gop(0, 3)], end=False)
    for each in [*gop(120, 3)[3:], video_header(230, mark=1), *gop(240, 3)]:
        assert cutter.receive(*each, room=False) == []
    assert (cutter.lost, cutter.lost_gops) == (9, 1)
    steps += cut(cutter, [frame(350), sound(355)], end=False)  # room again, but nothing to begin with
    assert (cutter.lost, cutter.lost_gops) == (11, 1)
    steps += cut(cutter, gop(360, 3))
    found = files(steps)
    assert [shown(each) for each in found] == ["MVAKSPSPS", "MVAKSPSPS"]  # the header has changed meanwhile
    assert cutter.lost == 11


def test_headers_are_told_again_behind_what_was_lost() -> None:
    cutter = FLVCutter(3600)
    steps = cut(cutter, [*headers(), *gop(0, 3)], end=False)
    cutter.receive(*frame(120), room=False)
    steps += cut(cutter, gop(160, 2))
    (file,) = files(steps)
    assert shown(file) == "MVAKSPSPS" + "VAKSPS"


def test_an_abandoned_file_is_followed_by_another() -> None:
    cutter = FLVCutter(3600)
    cut(cutter, [*headers(), *gop(0, 3)], end=False)
    cutter.abandon()
    steps = cut(cutter, [frame(120), sound(130), *gop(160, 2)])
    assert [shown(each) for each in files(steps)] == ["MVAKSPS"]
    assert cutter.lost == 2


def test_metadata_that_cannot_be_read_is_left_out() -> None:
    odd = Sent(DATA, 0, amf0.encode("onMetaData") + b"\x08\xff\xff\xff\xff\x00\x01x\x77")
    (file,) = files(cut(FLVCutter(60), [odd, video_header(), key(0)]))
    assert set(meta(file)) == {"duration", "filesize", "lasttimestamp"}


def test_set_data_frame_and_foreign_numbers_are_left_out() -> None:
    said = {"duration": 99.0, "keyframes": {"times": [1.0]}, "filesize": 5.0, "width": 320.0}
    sent = Sent(DATA, 0, amf0.encode("@setDataFrame", "onMetaData", amf0.ECMAArray(said)))
    (file,) = files(cut(FLVCutter(60), [sent, video_header(), key(0), frame(40)]))
    assert meta(file) == {"duration": 0.08, "filesize": float(len(file)), "lasttimestamp": 0.04, "width": 320.0}


def test_an_end_of_sequence_ends_nothing() -> None:
    end = Sent(VIDEO, 30, b"\x17\x02\x00\x00\x00")
    (file,) = files(cut(FLVCutter(60), [*headers(), key(0), end, frame(40)]))
    assert shown(file) == "MVAKP"


@pytest.mark.parametrize("sent", [Sent(AUDIO, 0, b""), Sent(7, 0, b"x"), Sent(VIDEO, 0, b"\x27" * (1 << 24))])
def test_what_no_file_can_hold_is_ignored(sent: Sent) -> None:
    assert cut(FLVCutter(60), [*headers(), sent]) == []


def test_flvlib3_reads_the_same_tags(tmp_path: Path) -> None:
    library = pytest.importorskip("flvlib3.tags", reason="not run: flvlib3 is not on the index")
    (file,) = files(cut(FLVCutter(60), [*headers(), *gop(0, 25)]))
    path = tmp_path / "s.flv"
    path.write_bytes(file)
    with path.open("rb") as source:
        theirs = [(each.timestamp, each.size) for each in library.FLV(source).iter_tags()]
    assert theirs == [(each.timestamp, len(each.payload)) for each in tags(file)]


payloads = st.one_of(
    st.binary(max_size=20),
    st.sampled_from([key(0).payload, frame(0).payload, sound(0).payload, *(each.payload for each in headers())]),
    st.sampled_from([video_header(mark=2).payload, audio_header(mark=2).payload, b"\x96\x01hvc1\x02x"]),
)
messages = st.tuples(st.sampled_from([AUDIO, VIDEO, DATA, 20]), st.integers(0, 2**32 - 1), payloads, st.booleans())


@given(st.lists(messages, max_size=60), st.sampled_from([0.1, 5, 3600]), st.sampled_from([0, 200]))
def test_any_messages_give_whole_files(sent: list[tuple[int, int, bytes, bool]], seconds: float, size: int) -> None:
    cutter = FLVCutter(seconds, size)
    steps: list[Step] = []
    for type_id, timestamp, payload, room in sent:
        steps += cutter.receive(type_id, timestamp, payload, room=room)
    for file in files(steps + cutter.end()):
        found = tags(file)
        assert found[0].type_id == DATA
        assert meta(file)["filesize"] == len(file)
        for kind in (AUDIO, VIDEO):
            times = [each.timestamp for each in found if each.type_id == kind]
            assert times == sorted(times)
