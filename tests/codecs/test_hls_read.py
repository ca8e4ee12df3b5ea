"""What is read of a playlist, beside m3u8 where that can, and by the standards' own examples where not."""

from __future__ import annotations

from datetime import UTC, datetime

import m3u8
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tierkit.codecs import hls_read
from tierkit.codecs.hls import MediaPlaylist, Segment, read_playlist
from tierkit.codecs.hls_facts import MAX_LISTED, MAX_URIS, Hint, ListedPart, ListedSegment, Report
from tierkit.codecs.hls_lines import attributes
from tierkit.errors import RemoteProtocolError

# RFC 8216bis section 9.7's kind of playlist: low latency, with everything in it.
LOW_LATENCY = """#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-VERSION:9
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.0,CAN-SKIP-UNTIL=24.0,HOLD-BACK=12
#EXT-X-PART-INF:PART-TARGET=0.33334
#EXT-X-MEDIA-SEQUENCE:266
#EXT-X-MAP:URI="init.mp4",BYTERANGE="720@0"
#EXT-X-KEY:METHOD=AES-128,URI="key?a=1,2",IV=0x1
#EXT-X-PROGRAM-DATE-TIME:2019-02-14T02:13:36.106Z
#EXTINF:4.00008,
fileSequence266.mp4
#EXT-X-DISCONTINUITY
#EXTINF:4,a title, with a comma
fileSequence267.mp4
#EXT-X-PROGRAM-DATE-TIME:2019-02-14T03:13:44.106+01:00
#EXT-X-PART:DURATION=2,URI="f268.mp4",BYTERANGE="100@50",INDEPENDENT=YES
#EXT-X-PART:DURATION=2,URI="f268.mp4",BYTERANGE="70"
#EXT-X-GAP
#EXTINF:4.00008,
f268.mp4
#EXT-X-PART:DURATION=0.33334,URI="filePart269.0.mp4",GAP=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="f269.mp4",BYTERANGE-START=170
#EXT-X-PRELOAD-HINT:TYPE=MAP,URI="init2.mp4",BYTERANGE-START=0,BYTERANGE-LENGTH=20
#EXT-X-PRELOAD-HINT:TYPE=OTHER,URI="x.mp4"
#EXT-X-RENDITION-REPORT:URI="../1M/waitForMSN.php",LAST-MSN=269,LAST-PART=0
#EXT-X-RENDITION-REPORT:URI="../4M/waitForMSN.php"
"""
START = datetime(2019, 2, 14, 2, 13, 36, 106000, UTC).timestamp()


def test_the_segments_are_listed_with_what_is_said_of_each() -> None:
    assert read_playlist(LOW_LATENCY.encode()).segments == (
        ListedSegment(uri="fileSequence266.mp4", sequence=266, duration=4.00008, at=pytest.approx(START)),
        ListedSegment(uri="fileSequence267.mp4", sequence=267, duration=4, discontinuity=True),
        ListedSegment(uri="f268.mp4", sequence=268, duration=4.00008, gap=True, at=pytest.approx(START + 8)),
    )


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-01T00:00:10Z", 10),
        ("1970-01-01T00:00:10.5Z", 10.5),
        ("1970-01-01T01:00:10.123456789+01:00", 10.123456789),
        ("1970-01-01T01:00:10+0100", 10),
        ("1970-01-01T00:00:10", 10),
    ],
)
def test_dates(text: str, at: float) -> None:
    lines = f"#EXTINF:2,\na\n#EXT-X-PROGRAM-DATE-TIME:{text}\n#EXTINF:2,\nb\n#EXTINF:3,\nc\n"
    assert [each.at for each in read_playlist(f"#EXTM3U\n{lines}".encode()).segments] == [None, pytest.approx(at), None]


def test_an_absurd_number_of_skipped_segments_is_not_told() -> None:
    most = hls_read.MAX_SKIPPED
    assert read_playlist(f"#EXTM3U\n#EXT-X-SKIP:SKIPPED-SEGMENTS={most}".encode()).skipped == most
    assert read_playlist(f"#EXTM3U\n#EXT-X-SKIP:SKIPPED-SEGMENTS={most + 1}".encode()).skipped == 0


def test_the_parts_know_their_segment_and_their_place() -> None:
    facts = read_playlist(LOW_LATENCY.encode())
    assert facts.parts == (
        ListedPart(uri="f268.mp4", sequence=268, index=0, duration=2, byte_range=(50, 100), independent=True),
        ListedPart(uri="f268.mp4", sequence=268, index=1, duration=2, byte_range=(150, 70)),
        ListedPart(uri="filePart269.0.mp4", sequence=269, index=0, duration=0.33334, gap=True),
    )
    assert facts.edge == (269, 1)
    assert facts.open_parts == 1
    assert facts.last_sequence == 268


def test_hints_reports_init_sections_and_keys() -> None:
    facts = read_playlist(LOW_LATENCY.encode())
    assert facts.hints == (
        Hint(kind="PART", uri="f269.mp4", start=170),
        Hint(kind="MAP", uri="init2.mp4", start=0, length=20),
    )
    assert facts.reports == (
        Report(uri="../1M/waitForMSN.php", last_sequence=269, last_part=0),
        Report(uri="../4M/waitForMSN.php"),
    )
    assert facts.maps == ("init.mp4",)
    assert facts.keys == ("key?a=1,2",)


def test_the_brief_form_knows_the_same_positions() -> None:
    facts = read_playlist(LOW_LATENCY.encode())
    brief = facts.brief()
    assert (brief.segments, brief.maps, brief.keys) == ((), (), ())
    assert (brief.edge, brief.last_sequence, brief.window, brief.parts) == (
        facts.edge,
        facts.last_sequence,
        facts.window,
        facts.parts,
    )


def test_what_the_server_can_do() -> None:
    facts = read_playlist(LOW_LATENCY.encode())
    assert (facts.can_block_reload, facts.can_skip_until, facts.hold_back, facts.part_hold_back) == (True, 24, 12, 1)
    assert not read_playlist(b"#EXTM3U\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=NO").can_block_reload


def test_a_delta_update_counts_what_it_leaves_out() -> None:
    facts = read_playlist(
        b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n#EXTINF:2,\na.mp4\n"
        b"#EXT-X-PART:URI=\"p\",DURATION=1\n#EXT-X-MEDIA-SEQUENCE:10\n"
    )  # fmt: skip
    assert (facts.media_sequence, facts.skipped, facts.listed) == (10, 3, 1)
    assert [segment.sequence for segment in facts.segments] == [13]
    assert facts.edge == (14, 1)
    assert facts.window == 14


def test_byte_ranges_go_on_where_the_last_of_the_same_resource_ended() -> None:
    lines = "".join(f"#EXTINF:1,\n#EXT-X-BYTERANGE:{each}\n" for each in ("10@5\na", "7\na", "3\nb", "x\nb"))
    segments = read_playlist(f"#EXTM3U\n{lines}".encode()).segments
    assert [segment.byte_range for segment in segments] == [(5, 10), (15, 7), (0, 3), None]


def test_the_children_of_a_multivariant_playlist() -> None:
    facts = read_playlist(
        b"#EXTM3U\n"
        b'#EXT-X-DEFINE:NAME="v",VALUE="1"\n'
        b'#EXT-X-CONTENT-STEERING:SERVER-URI="/steer?x=1",PATHWAY-ID="a"\n'
        b'#EXT-X-SESSION-KEY:METHOD=AES-128,URI="k"\n'
        b'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="A",URI="a.m3u8"\n'
        b'#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="c",NAME="C",INSTREAM-ID="CC1"\n'
        b"#EXT-X-STREAM-INF:BANDWIDTH=1\n\n# a comment\n  hi.m3u8 \r\n"
        b"#EXT-X-STREAM-INF:BANDWIDTH=2\nlow.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=3\nlow.m3u8\n"
        b'#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i.m3u8"\n'
    )
    assert facts.multivariant
    assert facts.variants == ("hi.m3u8", "low.m3u8")
    assert facts.renditions == ("a.m3u8",)
    assert facts.i_frame_playlists == ("i.m3u8",)
    assert facts.session_keys == ("k",)
    assert facts.steering == "/steer?x=1"
    assert facts.variables


def test_renditions_alone_make_a_multivariant_playlist_too() -> None:
    assert read_playlist(b'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI="a.m3u8"\n').multivariant
    assert not read_playlist(b'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA:TYPE=AUDIO,URI="a.m3u8"\n').multivariant


def test_nothing_but_lf_ends_a_line() -> None:
    facts = read_playlist("#EXTM3U\n#EXTINF:2,a\u2028title\x0b\x85\nseg\u2028.ts\n".encode())
    assert [segment.uri for segment in facts.segments] == ["seg\u2028.ts"]


def test_a_uri_without_a_duration_is_no_segment() -> None:
    assert read_playlist(b"#EXTM3U\na.ts\n").listed == 0


@pytest.mark.parametrize(
    "line",
    [b"#EXT-X-PROGRAM-DATE-TIME:yesterday", b"#EXT-X-PROGRAM-DATE-TIME:2013-13-40T99:00:00Z", b"#EXT-X-KEY:",
     b"#EXT-X-DATERANGE:ID=\"x\",DURATION=\"y\"", b"#EXT-X-BYTERANGE:", b"#EXT-X-BITRATE:fast",
     b"#EXT-X-VERSION:next", b"#EXT-X-PART:DURATION=x"],
)  # fmt: skip
def test_one_odd_line_does_not_refuse_what_players_play(line: bytes) -> None:
    facts = read_playlist(b"#EXTM3U\n#EXT-X-TARGETDURATION:6.0\n" + line + b"\n#EXTINF:6,\na.ts\n")
    assert (facts.target_duration, facts.window) == (6, 6)
    assert [segment.uri for segment in facts.segments] == ["a.ts"]


@pytest.mark.parametrize("value", [b"inf", b"nan", b"1e9", b"-1", b"+6", b"6_0", b"99999999999", b""])
def test_odd_seconds_are_none(value: bytes) -> None:
    facts = read_playlist(b"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:" + value + b",\na.ts\n#EXTINF:6,\nb.ts\n")
    assert facts.window == 6


def test_lists_are_bounded_and_the_newest_stay() -> None:
    many = "".join(f'#EXT-X-MAP:URI="m{n}"\n#EXTINF:1,\n{n}.ts\n' for n in range(MAX_LISTED + 5))
    facts = read_playlist(f"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:7\n{many}".encode())
    assert len(facts.segments) == MAX_LISTED
    assert (facts.segments[0].uri, facts.segments[0].sequence) == ("5.ts", 12)
    assert facts.next_sequence == 7 + MAX_LISTED + 5
    assert facts.window == MAX_LISTED + 5
    assert len(facts.maps) == MAX_URIS
    assert facts.maps[-1] == f"m{MAX_LISTED + 4}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('A=1,B="x,y",C=z', {"A": "1", "B": "x,y", "C": "z"}),
        ('A="1", B = 2 ,C="3"', {"A": "1", "B": "2", "C": "3"}),
        ('A=1,A=2', {"A": "2"}),
        ('bare,A=1', {"A": "1"}),
        ('A="open,B=2', {"B": "2"}),
        ('A="",B=', {"A": "", "B": ""}),
        ("", {}),
        (",,,", {}),
        ('A="x"y,B=1', {"B": "1"}),
    ],
)  # fmt: skip
def test_attribute_lists(text: str, told: dict[str, str]) -> None:
    assert attributes(text) == told


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "text", ['A={}"', "A={}x{}", '{}A{}=1"', 'A="{}', "A{}", ",{},A=1,", 'A="x"{}y', "A=x,{}=", "{}"]
)
@pytest.mark.parametrize("filling", [" ", "\t", "A", ",", "A=", '"', 'A="', "A=1,"])
def test_no_attribute_list_takes_long(text: str, filling: str) -> None:
    attributes(text.replace("{}", filling * 50_000))


NAMES = st.text("abc_0123456789./-", min_size=1, max_size=12)
SEGMENTS = st.builds(
    Segment, uri=NAMES, duration=st.floats(0.001, 60), discontinuity=st.booleans(), at=st.none() | st.floats(1e6, 4e9)
)


@given(st.lists(SEGMENTS, max_size=8), st.integers(0, 1 << 40))
def test_the_same_as_m3u8_on_what_is_well_formed(segments: list[Segment], sequence: int) -> None:
    written = MediaPlaylist(segments=segments, media_sequence=sequence, target_duration=60).render()
    ours, theirs = read_playlist(written), m3u8.loads(written.decode())
    assert [(each.uri, each.sequence, each.duration, each.discontinuity) for each in ours.segments] == [
        (each.uri, each.media_sequence, each.duration, each.discontinuity) for each in theirs.segments
    ]


def test_the_same_as_m3u8_on_low_latency() -> None:
    ours, theirs = (
        read_playlist(LOW_LATENCY.encode()),
        m3u8.loads(LOW_LATENCY.replace('4M/waitForMSN.php"', '4M/waitForMSN.php",LAST-MSN=1')),
    )
    assert [each.uri for each in ours.parts] == [part.uri for segment in theirs.segments for part in segment.parts]
    assert ours.maps == tuple(each.uri for each in theirs.segment_map)
    assert ours.keys == tuple(each.uri for each in theirs.keys if each is not None)
    assert [each.uri for each in ours.reports] == [each.uri for each in theirs.rendition_reports]
    assert ours.can_skip_until == theirs.server_control.can_skip_until


PIECES = st.sampled_from(
    [*LOW_LATENCY.encode().split(b"\n"), b",", b'"', b"=", b"@", b":", b"\r", b"\n", b"#EXT-X-SKIP:"]
)


@given(st.lists(PIECES | st.binary(max_size=12), max_size=30), st.sampled_from([b"\n", b"", b"\r\n"]))
@example([b"#EXTINF:inf,", b"a.ts", b"#EXTINF:-1,", b"b.ts"], b"\n")
@example([b"#EXTINF:1e9,", b"a.ts"], b"\n")
def test_garbage_gives_facts_or_the_one_error(pieces: list[bytes], between: bytes) -> None:
    try:
        facts = read_playlist(b"#EXTM3U\n" + between.join(pieces))
    except RemoteProtocolError:
        return
    assert facts.media_sequence <= hls_read.LARGEST
    assert facts.edge >= (facts.media_sequence, 0)
    assert all(0 <= each.duration <= hls_read.LONGEST_SEGMENT for each in facts.segments)
    assert all(0 <= each.duration <= hls_read.LONGEST_SEGMENT for each in facts.parts)
