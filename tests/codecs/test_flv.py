from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs import flv
from tierkit.codecs.amf0 import ECMAArray
from tierkit.codecs.flv import FLVReader, Kind, classify
from tierkit.errors import LocalProtocolError, RemoteProtocolError

from .rtmp_helpers import pieces

AUDIO, VIDEO, DATA = 8, 9, 18


def kind(**what: Any) -> Kind:
    return Kind(**what)


KINDS = [
    # (type, payload, what it is)
    (VIDEO, "17 00 000000 01640028", kind(is_sequence_header=True, codec="avc1", role="header")),
    (VIDEO, "17 01 000000 00000001", kind(is_keyframe=True, codec="avc1")),
    (VIDEO, "27 01 000028", kind(codec="avc1")),
    (VIDEO, "37 01 000028", kind(is_disposable=True, codec="avc1")),
    (VIDEO, "47 01 000000", kind(is_keyframe=True, codec="avc1")),
    (VIDEO, "57 00", flv.PLAIN),
    (VIDEO, "d0 00", flv.PLAIN),
    (VIDEO, "d4 68766331 02", kind(is_metadata=True, codec="hvc1", role="metadata")),
    (VIDEO, "17 02 000000", kind(is_end_of_sequence=True, codec="avc1")),
    (VIDEO, "1c 00 000000", kind(is_sequence_header=True, codec="hvc1", role="header")),
    (VIDEO, "1c 01 000000", kind(is_keyframe=True, codec="hvc1")),
    (VIDEO, "12 00", kind(is_keyframe=True, codec="h263")),
    (VIDEO, "24", kind(codec="vp6f")),
    (VIDEO, "", flv.PLAIN),
    # Enhanced RTMP version 1
    (VIDEO, "90 68766331 01", kind(is_sequence_header=True, codec="hvc1", role="header")),
    (VIDEO, "91 68766331 000000 00", kind(is_keyframe=True, codec="hvc1")),
    (VIDEO, "93 61763031 00", kind(is_keyframe=True, codec="av01")),
    (VIDEO, "a1 68766331 000000 00", kind(codec="hvc1")),
    (VIDEO, "b3 76703039 00", kind(is_disposable=True, codec="vp09")),
    (VIDEO, "92 68766331", kind(is_end_of_sequence=True, codec="hvc1")),
    (VIDEO, "94 68766331 02", kind(is_metadata=True, codec="hvc1", role="metadata")),
    (VIDEO, "95 61763031", kind(is_sequence_header=True, codec="av01", role="header")),
    # version 2: one track with number 3; many tracks of one codec; of many codecs; and ModEx before each
    (VIDEO, "96 00 68766331 03 01", kind(is_sequence_header=True, codec="hvc1", track=3, role="header")),
    (VIDEO, "96 01 68766331 02 01", kind(is_keyframe=True, codec="hvc1", track=2)),
    (VIDEO, "96 13 61763031 01 000003 aabbcc", kind(is_keyframe=True, codec="av01", track=1)),
    (VIDEO, "a6 21 68766331 05 000001 aa", kind(codec="hvc1", track=5)),
    (VIDEO, "97 02 000001 01 68766331 00", kind(is_keyframe=True, codec="hvc1")),
    (VIDEO, "97 02 000001 07 02 000001 03 68766331 00", kind(is_keyframe=True, codec="hvc1")),
    (VIDEO, "97 02 000001 06 00 68766331 04", kind(is_sequence_header=True, codec="hvc1", track=4, role="header")),
    (VIDEO, "97 ff 0100" + "00" * 257 + "01 68766331", kind(is_keyframe=True, codec="hvc1")),
    (VIDEO, "97 02 0000", flv.PLAIN),
    (VIDEO, "97 ff", flv.PLAIN),
    (VIDEO, "97", flv.PLAIN),
    (VIDEO, "96", flv.PLAIN),
    (VIDEO, "9f 68766331", flv.PLAIN),
    (AUDIO, "af 00 1210", kind(is_sequence_header=True, codec="mp4a", role="header")),
    (AUDIO, "af 01 21", kind(codec="mp4a")),
    (AUDIO, "af", kind(codec="mp4a")),
    (AUDIO, "2f ff", kind(codec="mp3")),
    (AUDIO, "", flv.PLAIN),
    (AUDIO, "90 4f707573 4f", kind(is_sequence_header=True, codec="Opus", role="header")),
    (AUDIO, "91 4f707573 00", kind(codec="Opus")),
    (AUDIO, "92 4f707573", kind(is_end_of_sequence=True, codec="Opus")),
    (AUDIO, "94 664c6143 01", kind(is_metadata=True, codec="fLaC", role="channels")),
    (AUDIO, "95 00 4f707573 02", kind(is_sequence_header=True, codec="Opus", track=2, role="header")),
    (AUDIO, "97 02 000001 05 01 4f707573 03", kind(codec="Opus", track=3)),
    (DATA, "02 000a 6f6e4d65746144617461 08 00000000", kind(is_metadata=True, role="metadata")),
    (
        DATA,
        "02 000d 407365744461746146 72616d65 02 000a 6f6e4d65746144617461",
        kind(is_metadata=True, role="metadata"),
    ),
    (DATA, "02 0007 6f6e43756550", flv.PLAIN),
    (DATA, "00000000", flv.PLAIN),
    (20, "17 00", flv.PLAIN),
]


@pytest.mark.parametrize(("type_id", "payload", "expected"), KINDS)
def test_what_a_payload_is(type_id: int, payload: str, expected: Kind) -> None:
    data = bytes.fromhex(payload)
    assert classify(type_id, data) == expected
    assert flv.parse_tag(type_id, 0, data).kind == expected
    assert expected.is_pinned == (expected.is_sequence_header or expected.is_metadata)


@given(st.integers(0, 255), st.binary(max_size=40))
def test_any_payload_is_classified(type_id: int, payload: bytes) -> None:
    assert isinstance(classify(type_id, payload), Kind)


@given(st.sampled_from([row for row in KINDS if row[0] != DATA]), st.binary(max_size=30))
def test_what_follows_the_header_does_not_matter(row: tuple[int, str, Kind], tail: bytes) -> None:
    data = bytes.fromhex(row[1])
    if len(data) >= 7:
        assert classify(row[0], data + tail) == row[2]


# Tags


def test_an_audio_tag_and_its_properties() -> None:
    tag = flv.create_audio_tag(23, b"\x21\x10", sound_type=0)
    assert tag.payload == b"\xae\x01\x21\x10"
    assert (tag.sound_format, tag.sound_rate, tag.sound_size, tag.sound_type) == (10, 3, 1, 0)
    assert (tag.aac_packet_type, tag.body) == (1, b"\x21\x10")
    mp3 = flv.create_audio_tag(0, b"\xff\xfb", sound_format=2)
    assert (mp3.aac_packet_type, mp3.body) == (None, b"\xff\xfb")


@pytest.mark.parametrize("time", [0, 1, 80, -1, -40, 8_388_607, -8_388_608])
def test_a_video_tag_and_its_signed_composition_time(time: int) -> None:
    tag = flv.create_video_tag(40, b"nal", frame_type=1, composition_time=time)
    assert (tag.frame_type, tag.codec_id, tag.avc_packet_type) == (1, 7, 1)
    assert (tag.composition_time, tag.body, tag.is_enhanced) == (time, b"nal", False)


def test_old_and_enhanced_video_tags_have_no_avc_header() -> None:
    h263 = flv.create_video_tag(0, b"data", frame_type=2, codec_id=2)
    assert (h263.avc_packet_type, h263.composition_time, h263.body) == (None, 0, b"data")
    enhanced = flv.parse_tag(VIDEO, 0, bytes.fromhex("97 68766331"))
    assert isinstance(enhanced, flv.VideoTag)
    assert enhanced.is_enhanced
    assert enhanced.avc_packet_type is None


def test_a_script_tag() -> None:
    tag = flv.create_script_tag(0, "onMetaData", ECMAArray(width=64.0))
    assert (tag.name, tag.values) == ("onMetaData", ["onMetaData", {"width": 64.0}])
    assert flv.ScriptTag(DATA, 0, b"\x00\x01\x02\x03").name == ""
    with pytest.raises(RemoteProtocolError):
        _ = flv.ScriptTag(DATA, 0, b"\x00\x01\x02\x03").values


@given(st.sampled_from([AUDIO, VIDEO]), st.binary(max_size=8))
def test_properties_of_any_tag_can_be_asked(type_id: int, payload: bytes) -> None:
    tag: Any = flv.parse_tag(type_id, 0, payload)
    for name in dir(tag):
        if not name.startswith("_"):
            getattr(tag, name)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("1210", flv.AudioConfig(2, 44100, 2)),
        ("1190", flv.AudioConfig(2, 48000, 2)),
        ("1208", flv.AudioConfig(2, 44100, 1)),
        ("2b920800", flv.AudioConfig(5, 22050, 2)),
        ("17 80 5dc0 10", flv.AudioConfig(2, 48000, 2)),
        ("f8 86 40", flv.AudioConfig(36, 48000, 2)),
    ],
)
def test_aac_configurations(body: str, expected: flv.AudioConfig) -> None:
    assert flv.parse_audio_config(bytes.fromhex(body)) == expected


@pytest.mark.parametrize("body", ["", "12", "f8", "1680", "1278", "1780"])
def test_bad_aac_configurations(body: str) -> None:
    with pytest.raises(RemoteProtocolError):
        flv.parse_audio_config(bytes.fromhex(body))


# Streams

tags = st.lists(
    st.builds(flv.parse_tag, st.sampled_from([AUDIO, VIDEO, DATA]), st.integers(0, 2**32 - 1), st.binary(max_size=50)),
    max_size=6,
)


def stream(content: list[flv.Tag]) -> bytes:
    return flv.create_flv_header() + b"".join(flv.create_flv_tag(t.type_id, t.timestamp, t.payload) for t in content)


@given(tags, st.integers(1, 80))
def test_a_stream_is_read_as_it_was_written_in_pieces_of_any_size(content: list[flv.Tag], size: int) -> None:
    reader = FLVReader()
    got = [tag for piece in pieces(stream(content), size) for tag in reader.receive(piece)]
    assert got == content
    assert (reader.has_audio, reader.has_video) == (True, True)


def test_the_wire_form_of_a_stream() -> None:
    assert flv.create_flv_header(video=False).hex() == "464c5601040000000900000000"
    assert flv.create_flv_tag(AUDIO, 0x01020304, b"\xaf").hex() == "08000001020304010000" + "00af0000000c"


def test_tags_longer_than_the_format_are_our_own_mistake() -> None:
    with pytest.raises(LocalProtocolError, match="16,777,215"):
        flv.create_flv_tag(VIDEO, 0, bytes(1 << 24))


def test_wrong_back_pointers_and_a_longer_header_are_borne() -> None:
    data = b"FLV\x01\x05\x00\x00\x00\x0bxx" + b"junk" + flv.create_flv_tag(8, 1, b"a")[:-4] + b"junk"
    assert FLVReader().receive(data) == [flv.AudioTag(8, 1, b"a")]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"F",
        b"FLX",
        b"FLV\x01\x05\xff\xff\xff\xff",
        flv.create_flv_header() + b"\x09\xff\xff\xff" + bytes(20),
    ],
)
def test_what_is_not_flv_is_refused_for_good(data: bytes) -> None:
    reader = FLVReader(max_tag=1000)
    if data == b"F":
        assert reader.receive(data) == []
        data = b"x"
    for more in (data, b"", flv.create_flv_header()):
        with pytest.raises(RemoteProtocolError):
            reader.receive(more)


def test_tags_in_front_of_a_fault_are_handed_out_however_the_bytes_are_cut() -> None:
    # Found by fuzzing: read whole, they were lost with it.
    data = flv.create_flv_header() + flv.create_flv_tag(8, 1, b"a") + b"\x09\xff\xff\xff" + bytes(20)
    for step in (len(data), 1):
        reader, tags = FLVReader(max_tag=1000), []
        with pytest.raises(RemoteProtocolError):  # noqa: PT012
            for at in range(0, len(data), step):
                tags += reader.receive(data[at : at + step])
            reader.receive(b"")
        assert tags == [flv.AudioTag(8, 1, b"a")]


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_bytes_give_tags_or_a_protocol_error(noise: list[bytes]) -> None:
    reader = FLVReader()
    try:
        for piece in [flv.create_flv_header(), *noise]:
            reader.receive(piece)
    except RemoteProtocolError:
        pass
