"""DASH manifests.  The invariant: any bytes give facts within bounds or one kind of error, and nothing is expanded."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.dash import (
    LONGEST,
    LONGEST_FRESH,
    MAX_ATTRIBUTES,
    MAX_HEAD,
    MAX_MPD,
    SHORTEST_FRESH,
    MpdFacts,
    duration,
    fresh_for,
    is_older,
    read_mpd,
)
from tierkit.errors import RemoteProtocolError

# As FFmpeg 5.1's dash muxer writes it for a live stream, cut short.
FFMPEG = b"""<?xml version="1.0" encoding="utf-8"?>
<MPD xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
\txmlns="urn:mpeg:dash:schema:mpd:2011"
\txmlns:xlink="http://www.w3.org/1999/xlink"
\txsi:schemaLocation="urn:mpeg:DASH:schema:MPD:2011 http://standards.iso.org/ittf/DASH-MPD.xsd"
\tprofiles="urn:mpeg:dash:profile:isoff-live:2011"
\ttype="dynamic"
\tminimumUpdatePeriod="PT500S"
\tavailabilityStartTime="2024-05-01T10:00:00.250Z"
\tpublishTime="2024-05-01T10:00:30Z"
\ttimeShiftBufferDepth="PT1M9.5S"
\tmaxSegmentDuration="PT2.0S"
\tminBufferTime="PT4.0S">
\t<ProgramInformation>
"""
BEGAN = 1714557600.25


def test_a_live_manifest() -> None:
    assert read_mpd(FFMPEG) == MpdFacts(
        dynamic=True,
        minimum_update_period=500,
        time_shift_buffer_depth=69.5,
        max_segment_duration=2,
        availability_start=BEGAN,
        published=BEGAN + 29.75,
    )


def test_a_manifest_of_what_is_finished() -> None:
    manifest = b"<!-- a licence --> \r\n<?style sheet?><MPD type='static' mediaPresentationDuration='PT1H2M3.5S'/>"
    assert read_mpd(manifest) == MpdFacts(dynamic=False, media_presentation_duration=3723.5)


@pytest.mark.parametrize(
    "root",
    [
        b"<MPD>",
        b"<MPD/>",
        b"<dash:MPD xmlns:dash='x'>",
        b"\xef\xbb\xbf<MPD >",
        b"<MPD type=''\r\n>",
        b"<MPD type = 'x' />",
    ],
)
def test_what_is_not_told_is_static(root: bytes) -> None:
    assert read_mpd(root) == MpdFacts(dynamic=False)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no MPD element"),
        (b"<html>", "no MPD element"),
        (b"#EXTM3U", "no MPD element"),
        (b"<MPDX>", "no MPD element"),
        (b"\xff\xfe<\x00M\x00P\x00D\x00>\x00", "no MPD element"),
        (b"<?xml <MPD>", "does not begin"),
        (b"<!-- <MPD>", "does not begin"),
        (b"<MPD", "no MPD element"),
        (b"<MPD type='dynamic'", "malformed"),
        (b"<MPD type=dynamic>", "malformed"),
        (b"<MPD type='a'id='b'>", "malformed"),
        (b"<MPD type='<'>", "malformed"),
        (b"<MPD type='a' type='b'>", "twice"),
        (b"<MPD" + b"".join(b" a%d=''" % n for n in range(MAX_ATTRIBUTES + 1)) + b">", "more than"),
        (b" " * MAX_HEAD + b"<MPD>", "no MPD element"),
        (b"<MPD a='" + b"x" * MAX_HEAD + b"'>", "malformed"),
        (b"<MPD>" + b" " * MAX_MPD, "longer than"),
    ],
)
def test_what_is_no_manifest_is_said_in_one_line(data: bytes, told: str) -> None:
    with pytest.raises(RemoteProtocolError, match=told) as caught:
        read_mpd(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "declaration",
    [
        b'<!DOCTYPE lolz [<!ENTITY a "PT1S"><!ENTITY b "&a;&a;">]>',
        b'<!DOCTYPE MPD SYSTEM "http://evil.example/x.dtd">',
        b'<!ENTITY x SYSTEM "file:///etc/passwd">',
    ],
)
def test_nothing_declares_an_entity(declaration: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="document type"):
        read_mpd(b"<?xml version='1.0'?>" + declaration + b"<MPD type='dynamic' minimumUpdatePeriod='&b;'>")


def test_no_entity_is_expanded() -> None:
    assert read_mpd(b"<MPD type='&#100;ynamic' minimumUpdatePeriod='PT&#50;S'>") == MpdFacts(dynamic=False)


def test_only_the_start_tag_of_the_root_is_read() -> None:
    assert read_mpd(b"<MPD><Period type='dynamic' minimumUpdatePeriod='PT1S'/><!DOCTYPE") == MpdFacts(dynamic=False)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT0S", 0),
        ("PT2S", 2),
        ("PT2.002S", 2.002),
        ("PT1.S", None),
        ("PT90M", 5400),
        ("PT1H30M", 5400),
        ("P1D", 86400),
        ("P1DT1S", 86401),
        ("P0Y0M0DT0H3M30.000S", 210),
        ("P1Y", 365 * 86400),
        ("P100Y", 100 * 365 * 86400),
        ("P201Y", None),
        ("PT9999999999H", None),
        ("P", None),
        ("PT", None),
        ("P1DT", None),
        ("-PT1S", None),
        ("+PT1S", None),
        ("PT-1S", None),
        ("PT1e3S", None),
        ("PT1_0S", None),
        ("PT\u0661S", None),
        ("PT1S\n", None),
        ("PT1.5M", None),
        ("PT1S1M", None),
        ("1S", None),
        ("pt1s", None),
        ("", None),
        (None, None),
    ],
)  # fmt: skip
def test_durations_are_read_by_table(text: str | None, seconds: float | None) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["yesterday", "2024-13-40T00:00:00Z", "2024-05-01", "2024-05-01T10:00:00+99:99", "0000-00-00T00:00:00Z"]
)
def test_dates_that_nobody_means_are_not_told(text: str) -> None:
    assert read_mpd(f"<MPD publishTime='{text}'>".encode()).published is None


@pytest.mark.parametrize("text", ["2024-05-01T10:00:00.25Z", "2024-05-01T12:00:00.25+02:00", "2024-05-01T10:00:00.25"])
def test_dates(text: str) -> None:
    assert read_mpd(f"<MPD publishTime='{text}'>".encode()).published == BEGAN


# --- what a cache makes of it --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "seconds"),
    [
        (MpdFacts(dynamic=True, minimum_update_period=4), 2),
        (MpdFacts(dynamic=True, minimum_update_period=500), LONGEST_FRESH),
        (MpdFacts(dynamic=True, minimum_update_period=0, max_segment_duration=6), 3),
        (MpdFacts(dynamic=True, minimum_update_period=0), 1),
        (MpdFacts(dynamic=True, minimum_update_period=0.01), SHORTEST_FRESH),
        (MpdFacts(dynamic=True), LONGEST_FRESH),
        (MpdFacts(dynamic=False, minimum_update_period=2), LONGEST_FRESH),
    ],
)
def test_a_manifest_is_fresh_for_half_of_how_often_it_changes(facts: MpdFacts, seconds: float) -> None:
    assert fresh_for(facts) == seconds


def test_a_version_that_was_made_before_is_older() -> None:
    shown = read_mpd(FFMPEG)
    older = read_mpd(FFMPEG.replace(b"10:00:30Z", b"10:00:29Z"))
    assert is_older(shown, older)
    assert not is_older(older, shown)
    assert not is_older(shown, shown)


def test_a_presentation_that_began_anew_is_not_older() -> None:
    shown = read_mpd(FFMPEG)
    anew = read_mpd(FFMPEG.replace(b"10:00:30Z", b"09:00:00Z").replace(b"10:00:00.250Z", b"09:00:00Z"))
    assert not is_older(shown, anew)
    assert not is_older(shown, MpdFacts(dynamic=True))


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", ["<MPD{}", "<MPD a={}", "<MPD {}a{}=''>", "<MPD a='{}", "{}<MPD>", "<!--{}", "<?{}"])
@pytest.mark.parametrize("filling", [" ", "a", "a:", "a=", "'", "--", "?", "<", "<!---->", "<??>"])
def test_no_manifest_takes_long(text: str, filling: str) -> None:
    try:
        read_mpd(text.replace("{}", filling * 30_000).encode())
    except RemoteProtocolError as error:
        told = str(error)
    else:
        told = "the MPD"
    assert told.startswith("the MPD")


PIECES = st.sampled_from(
    [*FFMPEG.split(b"\n"), b"<MPD", b">", b"/>", b" ", b"'", b'"', b"=", b"<!--", b"-->", b"<?", b"?>", b"&a;"]
)


@given(st.lists(PIECES | st.binary(max_size=10), max_size=20))
def test_garbage_gives_facts_within_bounds_or_the_one_error(pieces: list[bytes]) -> None:
    try:
        facts = read_mpd(b"".join(pieces))
    except RemoteProtocolError:
        return
    for told in (facts.minimum_update_period, facts.time_shift_buffer_depth, facts.max_segment_duration):
        assert told is None or 0 <= told <= LONGEST
    assert SHORTEST_FRESH <= fresh_for(facts) <= LONGEST_FRESH
    assert facts.published is None or math.isfinite(facts.published)


@pytest.mark.parametrize("end", range(0, len(FFMPEG), 7))
def test_every_prefix_of_a_manifest(end: int) -> None:
    cut = FFMPEG.index(b'minBufferTime="PT4.0S">') + 23
    if end < cut:
        with pytest.raises(RemoteProtocolError):
            read_mpd(FFMPEG[:end])
    else:
        assert read_mpd(FFMPEG[:end]).dynamic
