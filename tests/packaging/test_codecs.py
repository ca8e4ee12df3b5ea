"""Decoder configurations and NAL units: from real encoders, and from nowhere."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from itertools import accumulate

import av
import av.filter
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.aac import MAX_FRAME, aac_codec, adts_header, adts_template
from tierkit.codecs.avc import MAX_UNITS, parse_avc_config, picture_size, split_units
from tierkit.codecs.flv import AudioConfig, FLVReader, Tag, VideoTag, parse_audio_config
from tierkit.codecs.hevc import parse_hevc_config
from tierkit.errors import RemoteProtocolError

# From libx264, 1280x720 baseline, and FFmpeg's AAC.
AVC = bytes.fromhex("0142c01fffe100176742c01fda014016ec0440000003004000000c83c60ca801000468ce3c80")
AAC = bytes.fromhex("121056e500")


def encode(codec: str, width: int, height: int, **options: str) -> list[Tag]:
    """What an encoder makes of one picture, as FLV tags."""
    pieces: list[bytes] = []

    class Sink:
        def write(self, data: bytes) -> int:
            pieces.append(data)
            return len(data)

    with av.open(Sink(), "w", format="flv") as out:
        stream = out.add_stream(codec, rate=25, options={"preset": "ultrafast", **options})
        stream.width, stream.height = width, height
        stream.pix_fmt = options.get("pix_fmt", "yuv420p")
        frame = av.VideoFrame(width, height, stream.pix_fmt)
        frame.pts = 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return FLVReader().receive(b"".join(pieces))


def avc_config(width: int, height: int, **options: str) -> bytes:
    tags = encode("libx264", width, height, **options)
    return next(t.body for t in tags if isinstance(t, VideoTag) and t.avc_packet_type == 0)


@cache
def hevc_config() -> bytes:
    tags = encode("libx265", 640, 360, **{"x265-params": "log-level=none:pools=none"})
    return next(t.payload[5:] for t in tags if t.kind.codec == "hvc1" and t.kind.is_sequence_header)


def test_an_avc_configuration() -> None:
    config = parse_avc_config(AVC)
    assert (config.codec, config.length_size, len(config.sps), len(config.pps)) == ("avc1.42c01f", 4, 1, 1)
    assert config.parameter_sets == b"\0\0\0\1" + config.sps[0] + b"\0\0\0\1" + config.pps[0]
    assert picture_size(config.sps[0]) == (1280, 720)


@pytest.mark.parametrize(
    ("width", "height", "options"),
    [
        (1920, 1080, {}),
        (1918, 1078, {}),
        (640, 360, {"profile": "high"}),
        (720, 576, {"x264-params": "interlaced=1"}),
        (720, 480, {"pix_fmt": "yuv422p", "profile": "high422"}),
        (322, 242, {"pix_fmt": "yuv444p", "profile": "high444"}),
        (352, 288, {"x264-params": "cqm=jvt", "profile": "high"}),
    ],
)
def test_the_size_of_real_pictures(width: int, height: int, options: dict[str, str]) -> None:
    config = parse_avc_config(avc_config(width, height, **options))
    assert picture_size(config.sps[0]) == (width, height)


def test_an_hevc_configuration() -> None:
    config = parse_hevc_config(hevc_config())
    # Main profile, main tier, level 2.1.
    assert config.codec == "hvc1.1.6.L63.90"
    assert config.length_size == 4
    assert {32, 33, 34} <= {unit[0] >> 1 & 0x3F for unit in config.sets}
    assert config.parameter_sets.count(b"\0\0\0\1") == len(config.sets)


@pytest.mark.parametrize("codec", ["avc", "hevc"])
def test_a_configuration_that_is_cut_anywhere_is_refused(codec: str) -> None:
    parse: Callable[[bytes], object] = parse_avc_config if codec == "avc" else parse_hevc_config
    whole = AVC if codec == "avc" else hevc_config()
    for size in range(len(whole)):
        with pytest.raises(RemoteProtocolError):
            parse(whole[:size])
    assert parse(whole + b"trailing") == parse(whole)


@pytest.mark.parametrize("length_size", [2, 3])
def test_lengths_of_three_bytes_are_refused(length_size: int) -> None:
    odd = AVC[:4] + bytes((AVC[4] & ~3 | length_size - 1,)) + AVC[5:]
    if length_size == 3:
        with pytest.raises(RemoteProtocolError, match="three bytes"):
            parse_avc_config(odd)
    else:
        assert parse_avc_config(odd).length_size == length_size


@given(st.binary(max_size=200), st.sampled_from([b"", AVC[:6], b"\x01" + bytes(20) + b"\xff"]))
def test_any_bytes_are_a_configuration_or_an_error(noise: bytes, head: bytes) -> None:
    for parse in (parse_avc_config, parse_hevc_config, lambda body: picture_size(body)):
        try:
            parse(head + noise)
        except RemoteProtocolError:
            pass


@given(st.binary(max_size=120))
def test_any_bytes_are_a_parameter_set_or_an_error(noise: bytes) -> None:
    for profile in (66, 100, 244):
        try:
            width, height = picture_size(bytes((0x67, profile)) + noise)
        except RemoteProtocolError:
            continue
        assert 0 < width <= 16384
        assert 0 < height <= 16384


@given(st.lists(st.binary(max_size=30), max_size=20), st.sampled_from([1, 2, 4]), st.binary(max_size=5))
def test_units_are_split_as_they_were_joined(units: list[bytes], length_size: int, head: bytes) -> None:
    body = head + b"".join(len(unit).to_bytes(length_size, "big") + unit for unit in units)
    assert split_units(body, len(head), length_size) == [unit for unit in units if unit]


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=5), st.sampled_from([1, 2, 4]))
def test_units_that_are_cut_are_refused(units: list[bytes], length_size: int) -> None:
    body = b"".join(len(unit).to_bytes(length_size, "big") + unit for unit in units)
    ends = {0, *accumulate(length_size + len(unit) for unit in units)}
    for cut in range(len(body)):
        if cut in ends:
            assert b"".join(split_units(body[:cut], 0, length_size)) in b"".join(units)
        else:
            with pytest.raises(RemoteProtocolError):
                split_units(body[:cut], 0, length_size)


def test_too_many_units() -> None:
    assert split_units(b"\0" * MAX_UNITS, 0, 1) == []
    with pytest.raises(RemoteProtocolError):
        split_units(b"\0" * (MAX_UNITS + 1), 0, 1)


def test_adts() -> None:
    config = parse_audio_config(AAC)
    template = adts_template(config)
    assert aac_codec(config) == "mp4a.40.2"
    assert adts_header(template, 100).hex() == "fff150800d7ffc"
    assert adts_header(template, MAX_FRAME).hex() == "fff15083fffffc"


@pytest.mark.parametrize(
    ("rate", "layout"), [(44100, "mono"), (48000, "stereo"), (24000, "5.1"), (8000, "stereo"), (96000, "5.1")]
)
def test_libav_reads_adts_back(rate: int, layout: str) -> None:
    graph = av.filter.Graph()
    silence = graph.add("anullsrc", f"sample_rate={rate}:channel_layout={layout}:nb_samples=1024")
    silence.link_to(form := graph.add("aformat", "sample_fmts=fltp"))
    form.link_to(graph.add("abuffersink"))
    graph.configure()
    with av.open(io.BytesIO(), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=rate, layout=layout)
        raw = [bytes(packet) for packet in (*stream.encode(graph.pull()), *stream.encode(None))]
        config = parse_audio_config(bytes(stream.codec_context.extradata))
    template = adts_template(config)
    ours = b"".join(adts_header(template, len(each)) + each for each in raw)

    with av.open(io.BytesIO(ours), format="aac") as container:
        back = [packet for packet in container.demux() if packet.size]
        read = [bytes(packet)[7:] for packet in back]
        decoded = {(each.sample_rate, each.layout.name) for packet in back for each in packet.decode()}
    assert read == raw
    assert decoded == {(rate, layout)}


def test_adts_names_the_core_of_what_it_cannot_name() -> None:
    plain = adts_template(AudioConfig(2, 24000, 2))
    assert adts_template(AudioConfig(5, 24000, 2)) == adts_template(AudioConfig(29, 24000, 2)) == plain


@pytest.mark.parametrize("config", [AudioConfig(42, 48000, 2), AudioConfig(2, 12345, 2), AudioConfig(2, 48000, 0)])
def test_what_adts_cannot_say_is_refused_with_advice(config: AudioConfig) -> None:
    with pytest.raises(RemoteProtocolError, match="cannot be carried in MPEG-TS: send"):
        adts_template(config)
