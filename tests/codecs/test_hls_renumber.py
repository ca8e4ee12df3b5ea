"""A media playlist counted on after an encoder was started again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.hls import read_playlist
from tierkit.codecs.hls_renumber import Window, renumbered, window
from tierkit.errors import RemoteProtocolError


def listing(first: int, count: int = 3, *, more: str = "", end: str = "\n") -> bytes:
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:11", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
    lines += [more] if more else []
    for number in range(first, first + count):
        lines += ["#EXTINF:9.433,", f"media_{number}.ts"]
    return end.join([*lines, ""]).encode()


def test_the_mark_stands_before_the_first_of_the_new_run_and_is_counted_once_it_has_left() -> None:
    assert renumbered(listing(0), 90, 1, 0).decode().splitlines() == [
        "#EXTM3U",
        "#EXT-X-MEDIA-SEQUENCE:90",
        "#EXT-X-VERSION:3",
        "#EXT-X-TARGETDURATION:11",
        "#EXT-X-DISCONTINUITY",
        "#EXTINF:9.433,",
        "media_0.ts",
        "#EXTINF:9.433,",
        "media_1.ts",
        "#EXTINF:9.433,",
        "media_2.ts",
    ]
    assert "#EXT-X-DISCONTINUITY\n" not in renumbered(listing(1), 90, 1, 0).decode()
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:1\n" in renumbered(listing(1), 90, 1, 0).decode()
    # The third run, whose mark is in the middle; the server has counted some of its own.
    later = renumbered(listing(5, more="#EXT-X-DISCONTINUITY-SEQUENCE:7"), 200, 2, 6)
    facts = read_playlist(later)
    assert (facts.media_sequence, facts.discontinuity_sequence) == (205, 8)
    assert [each.discontinuity for each in facts.segments] == [False, True, False]


def test_what_is_around_stays_as_it_is() -> None:
    playlist = listing(3, end="\r\n").replace(b"#EXTINF", b"#X-\xff odd\r\n#EXTINF", 1)
    found = renumbered(playlist, 10, 1, 0)
    assert found.count(b"\r\n") == found.count(b"\n")
    assert b"#X-\xff odd\r\n" in found
    assert b"#EXT-X-MEDIA-SEQUENCE:13\r\n" in found


@pytest.mark.parametrize(
    "playlist",
    [
        b"",
        b"no playlist #EXTINF",
        b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n",
        listing(1, more='#EXT-X-PART:DURATION=1,URI="p.ts"'),
        listing(1, more="#EXT-X-SKIP:SKIPPED-SEGMENTS=3"),
    ],
)
def test_what_is_not_counted_on_is_left_alone(playlist: bytes) -> None:
    assert window(playlist) is None
    assert renumbered(playlist, 5, 1, 0) == playlist


@given(st.integers(0, 10**9), st.integers(1, 8), st.integers(0, 10**9), st.integers(1, 9), st.integers(0, 20))
def test_it_is_read_with_its_new_numbers(first: int, count: int, by: int, runs: int, into: int) -> None:
    begins = max(0, first + count - into)
    facts = read_playlist(renumbered(listing(first, count), by, runs, begins))
    assert window(listing(first, count)) == Window(first, first + count)
    assert facts.media_sequence == first + by
    assert [each.uri for each in facts.segments] == [f"media_{number}.ts" for number in range(first, first + count)]
    marks = [first + index for index, each in enumerate(facts.segments) if each.discontinuity]
    assert marks == ([begins] if first <= begins < first + count else [])
    assert facts.discontinuity_sequence + len(marks) == runs


@given(st.binary(max_size=300), st.integers(0, 10**6), st.integers(1, 5))
def test_any_bytes_are_taken(data: bytes, by: int, runs: int) -> None:
    for playlist in (data, b"#EXTM3U\n#EXTINF:1,\n" + data):
        found = renumbered(playlist, by, runs, 0)
        try:
            assert len(read_playlist(found).segments) == len(read_playlist(playlist).segments)
        except RemoteProtocolError:
            continue
