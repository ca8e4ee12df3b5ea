"""HLS playlists, read and written.  The invariant: any bytes give facts within bounds, or one kind of error."""

from __future__ import annotations

import math

import m3u8
import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from tierkit.codecs.hls import (
    LONGEST_SEGMENT,
    MAX_PLAYLIST,
    MediaPlaylist,
    MultivariantPlaylist,
    PlaylistFacts,
    Segment,
    Variant,
    classify,
    read_playlist,
)
from tierkit.errors import LocalProtocolError, RemoteProtocolError

# As others recorded them of Wowza servers, in its normal mode and in origin mode.
WOWZA_MULTIVARIANT = b"""#EXTM3U
#EXT-X-VERSION:3
#EXT-X-STREAM-INF:BANDWIDTH=2593564,CODECS="avc1.100.40,mp4a.40.2",RESOLUTION=1280x720
chunklist_w929118404.m3u8
"""
WOWZA_MEDIA = b"""#EXTM3U
#EXT-X-VERSION:3
#EXT-X-ALLOW-CACHE:NO
#EXT-X-TARGETDURATION:11
#EXT-X-MEDIA-SEQUENCE:87665
#EXTINF:9.433,
media_w929118404_87665.ts
#EXTINF:10.8,
media_w929118404_87666.ts
#EXTINF:0.96,
media_w929118404_87667.ts
"""
LOW_LATENCY = b"""#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-VERSION:9
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.0
#EXT-X-PART-INF:PART-TARGET=0.33334
#EXT-X-MEDIA-SEQUENCE:266
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXTINF:4.00008,
fileSequence266.mp4
#EXT-X-PART:DURATION=0.33334,URI="filePart267.0.mp4"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="filePart267.1.mp4"
"""


def summary(facts: PlaylistFacts) -> PlaylistFacts:
    """Without what is listed."""
    return evolve(
        facts, segments=(), listed=0, parts=(), hints=(), variants=(), can_block_reload=False, part_hold_back=0
    )


@pytest.mark.parametrize(
    ("path", "content_type", "kind"),
    [
        ("/live/s/playlist.m3u8", "", "playlist"),
        ("/live/s/playlist.M3U8?x=.ts", "", "playlist"),
        ("/live/s/old.m3u", "", "playlist"),
        ("/live/s/chunklist", "application/vnd.apple.mpegurl", "playlist"),
        ("/live/s/chunklist", "Application/X-MpegURL; charset=utf-8", "playlist"),
        ("/live/s/chunklist", "audio/mpegurl", "playlist"),
        ("/live/s/playlist.m3u8", "text/plain", "playlist"),
        ("/live/s/playlist.m3u8", "video/mpegurl", "playlist"),
        ("/live/s/playlist.m3u8", "audio/mpeg", "playlist"),
        ("/live/s/manifest.mpd", "video/mp4", "mpd"),
        ("/live/s/media_1.ts", "", "segment"),
        ("/live/s/media_1.ts?session=1", "application/octet-stream", "segment"),
        ("/live/s/media_1", "video/MP2T", "segment"),
        ("/live/s/a.aac", "audio/aac", "segment"),
        ("/live/s/init.mp4", "", "segment"),
        ("/live/s/1.m4s", "", "segment"),
        ("/live/s/subs.webvtt", "text/vtt", "segment"),
        ("/live/s/k.key", "", "segment"),
        ("/", "text/html", "other"),
        ("/live/s/manifest.mpd", "application/dash+xml", "mpd"),
        ("/live/s/manifest", "Application/DASH+xml; charset=utf-8", "mpd"),
        ("/live/s/manifest", "video/vnd.mpeg.dash.mpd", "mpd"),
        ("/live/s/Manifest.MPD?x=.ts", "text/xml", "mpd"),
        ("/live/s/chunk-0.m4s", "application/octet-stream", "segment"),
        ("/live/s/1.dash", "", "segment"),
        ("/live/s/1.m4f", "", "segment"),
        ("/live/s/subs-1", "application/mp4", "segment"),
        ("/ts", "", "other"),
        ("/x.tsx", "", "other"),
        ("/x.ts/y", "", "other"),
    ],
)
def test_what_an_object_is(path: str, content_type: str, kind: str) -> None:
    assert classify(path, content_type) == kind


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        (WOWZA_MULTIVARIANT, PlaylistFacts(multivariant=True)),
        (
            WOWZA_MEDIA,
            PlaylistFacts(
                multivariant=False, target_duration=11, media_sequence=87665, window=pytest.approx(9.433 + 10.8 + 0.96)
            ),
        ),
        (
            LOW_LATENCY,
            PlaylistFacts(
                multivariant=False,
                target_duration=4,
                media_sequence=266,
                discontinuity_sequence=3,
                window=4.00008,
                part_target=0.33334,
            ),
        ),
        (b"#EXTM3U", PlaylistFacts(multivariant=False)),
        (b"\xef\xbb\xbf#EXTM3U\r\n#EXT-X-TARGETDURATION:2\r\n#EXT-X-ENDLIST\r\n",
         PlaylistFacts(multivariant=False, target_duration=2, ended=True)),
    ],
)  # fmt: skip
def test_the_facts_of_a_playlist(data: bytes, facts: PlaylistFacts) -> None:
    assert summary(read_playlist(data)) == facts


@pytest.mark.parametrize(
    "line",
    [b"#EXT-X-TARGETDURATION:-5", b"#EXT-X-TARGETDURATION:nan", b"#EXT-X-MEDIA-SEQUENCE:1_0",
     b"#EXT-X-TARGETDURATION:99999999999999", b"#EXT-X-MEDIA-SEQUENCE:-7",
     b"#EXTINF:inf,\na.ts", b"#EXTINF:-3,\na.ts", b"#EXTINF:1e400,\na.ts", b"#EXT-X-PART-INF:PART-TARGET=-1"],
)  # fmt: skip
def test_numbers_that_nobody_means_count_as_not_told(line: bytes) -> None:
    facts = summary(read_playlist(b"#EXTM3U\n" + line + b"\n"))
    assert facts == PlaylistFacts(multivariant=False)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "#EXTM3U"),
        (b"<html>", "#EXTM3U"),
        (b"\n#EXTM3U", "#EXTM3U"),
        (b"#EXTM3U\n#EXTINF:4,\n\xff.ts\n", "not UTF-8 at byte 19"),
        (b"#EXTM3U\n" + b"#" * MAX_PLAYLIST, "longer than"),
    ],
)
def test_what_is_no_playlist_is_said_in_one_line(data: bytes, told: str) -> None:
    with pytest.raises(RemoteProtocolError, match=told) as caught:
        read_playlist(data)
    assert "\n" not in str(caught.value)


RECORDED = [line for each in (WOWZA_MULTIVARIANT, WOWZA_MEDIA, LOW_LATENCY) for line in each.split(b"\n")]
OTHER_TAGS = [
    b'#EXT-X-KEY:METHOD=AES-128,URI="k"', b'#EXT-X-MAP:URI="i.mp4"', b"#EXT-X-BYTERANGE:10@0", b"#EXT-X-ENDLIST",
    b"#EXT-X-PROGRAM-DATE-TIME:2013-11-23T20:00:00Z", b"#EXT-X-SKIP:SKIPPED-SEGMENTS=3", b'#EXT-X-DATERANGE:ID="x"',
]  # fmt: skip
LINES = st.sampled_from(RECORDED + OTHER_TAGS)


@given(st.lists(LINES | st.binary(max_size=30), max_size=15))
@example([b"#EXT-X-KEY:"])
@example([b"#EXT-X-BYTERANGE:"])
def test_any_bytes_give_facts_within_bounds_or_one_kind_of_error(lines: list[bytes]) -> None:
    try:
        facts = read_playlist(b"\n".join([b"#EXTM3U", *lines]))
    except RemoteProtocolError:
        return
    assert 0 <= facts.target_duration <= LONGEST_SEGMENT
    assert 0 <= facts.part_target <= LONGEST_SEGMENT
    assert 0 <= facts.window < math.inf
    assert facts.media_sequence >= 0
    assert facts.discontinuity_sequence >= 0


@pytest.mark.parametrize("data", [WOWZA_MULTIVARIANT, WOWZA_MEDIA, LOW_LATENCY])
def test_every_prefix_of_a_recorded_playlist(data: bytes) -> None:
    for end in range(len(data)):
        try:
            read_playlist(data[:end])
        except RemoteProtocolError:
            continue


# --- writing -------------------------------------------------------------------------------------


def test_a_live_media_playlist() -> None:
    segments = [
        Segment(uri="media_7.ts", duration=6.006, at=1385236800.25),
        Segment(uri="media_8.ts", duration=5.9995, discontinuity=True),
    ]
    live = MediaPlaylist(segments=segments, media_sequence=7, discontinuity_sequence=2, target_duration=6)
    assert live.render() == (
        b"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:7\n"
        b"#EXT-X-DISCONTINUITY-SEQUENCE:2\n"
        b"#EXT-X-PROGRAM-DATE-TIME:2013-11-23T20:00:00.250Z\n#EXTINF:6.006,\nmedia_7.ts\n"
        b"#EXT-X-DISCONTINUITY\n#EXTINF:6.000,\nmedia_8.ts\n"
    )


def test_an_ended_media_playlist() -> None:
    playlist = MediaPlaylist(segments=[], media_sequence=0, target_duration=6, ended=True)
    assert playlist.render().endswith(b"#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-ENDLIST\n")


def test_a_multivariant_playlist() -> None:
    variants = [
        Variant(uri="a.m3u8", bandwidth=800_000, codecs="avc1.64001f,mp4a.40.2", resolution=(1280, 720)),
        Variant(uri="b.m3u8", bandwidth=0),
    ]
    assert MultivariantPlaylist(variants).render() == (
        b'#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-STREAM-INF:BANDWIDTH=800000,CODECS="avc1.64001f,mp4a.40.2",'
        b"RESOLUTION=1280x720\na.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb.m3u8\n"
    )


@pytest.mark.parametrize("uri", ["", "#x", "a b", "a\nb", "a\rb", "a\0b", "a\x7f"])
def test_no_uri_breaks_out_of_its_line(uri: str) -> None:
    with pytest.raises(LocalProtocolError):
        MediaPlaylist(segments=[Segment(uri=uri, duration=1)], media_sequence=0, target_duration=1).render()
    with pytest.raises(LocalProtocolError):
        MultivariantPlaylist([Variant(uri=uri, bandwidth=1)]).render()


@pytest.mark.parametrize("codecs", ['a"b', "a\nb"])
def test_no_value_breaks_out_of_its_quotes(codecs: str) -> None:
    with pytest.raises(LocalProtocolError):
        MultivariantPlaylist([Variant(uri="a", bandwidth=1, codecs=codecs)]).render()


SEGMENTS = st.builds(
    Segment,
    uri=st.text("abc_0123456789./-", min_size=1, max_size=12),
    duration=st.floats(0.001, 60),
    discontinuity=st.booleans(),
    at=st.none() | st.floats(0, 4e9),
)


@given(st.lists(SEGMENTS, max_size=8), st.integers(0, 1 << 40), st.integers(0, 100), st.integers(1, 60), st.booleans())
def test_what_is_written_can_be_read(
    segments: list[Segment], sequence: int, discontinuities: int, target: int, ended: bool
) -> None:
    written = MediaPlaylist(
        segments=segments,
        media_sequence=sequence,
        discontinuity_sequence=discontinuities,
        target_duration=target,
        ended=ended,
    ).render()
    facts = read_playlist(written)
    assert summary(facts) == PlaylistFacts(
        multivariant=False,
        target_duration=target,
        media_sequence=sequence,
        discontinuity_sequence=discontinuities,
        window=pytest.approx(sum(round(segment.duration, 3) for segment in segments), abs=0.01),
        ended=ended,
    )
    read = m3u8.loads(written.decode())
    assert [segment.uri for segment in read.segments] == [segment.uri for segment in segments]
    assert [bool(segment.discontinuity) for segment in read.segments] == [each.discontinuity for each in segments]
