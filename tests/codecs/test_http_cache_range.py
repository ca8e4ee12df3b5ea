"""Byte ranges of what is complete, and of what still grows (RFC 9110 section 14)."""

from __future__ import annotations

from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.http1 import Headers
from tierkit.codecs.http_range import (
    ContentRange,
    MultipartRanges,
    Span,
    content_range,
    if_range_holds,
    parse_content_range,
    parse_ranges,
    requested_spans,
    resumes,
    resumption,
    unsatisfied_range,
)

from .test_http_cache import HEADERS, NOW, fields
from .test_http_conditional import CHANGED, LATER, OLD


@pytest.mark.parametrize(
    ("value", "spans"),
    [
        (b"bytes=0-1", [(0, 2)]),
        (b"bytes=1-", [(1, 10)]),
        (b"bytes=-1", [(9, 10)]),
        (b"bytes=-99", [(0, 10)]),
        (b"bytes=0-99", [(0, 10)]),
        (b"bytes=9-9", [(9, 10)]),
        (b"BYTES=0-1", [(0, 2)]),
        (b" bytes=0-1 ", [(0, 2)]),
        (b"bytes=0-1,4-5 ,\t-2", [(0, 2), (4, 6), (8, 10)]),
        (b"bytes=0-1,2-3", [(0, 2), (2, 4)]),
        (b"bytes=,0-1,,", [(0, 2)]),
        (b"bytes=0-1,99-100", [(0, 2)]),
        (b"bytes=0-1,-0", [(0, 2)]),
        (b"bytes=0-18446744073709551615", [(0, 10)]),
    ],
)
def test_ranges_of_ten_bytes(value: bytes, spans: list[Span]) -> None:
    assert parse_ranges(value, 10) == spans


@pytest.mark.parametrize(
    "value",
    [b"", b"bytes", b"bytes=", b"bytes=,", b"bytes=-", b"bytes=2-1", b"bytes=0-1,5-4", b"bytes=a-b", b"bytes=+0-1",
     b"bytes=0_0-1", b"bytes=0-1;x", b"bytes=0 - 1", b"items=0-1", b"bytes =0-1", b"bytes=0-1\n", b"bytes=0",
     b"bytes=\xd9\xa0-\xd9\xa1", b"bytes=0-" + b"9" * 21, b"bytes=1--1"],
)  # fmt: skip
def test_a_malformed_range_is_the_whole(value: bytes) -> None:
    assert parse_ranges(value, 10) == []


@pytest.mark.parametrize("value", [b"bytes=10-", b"bytes=10-11", b"bytes=-0", b"bytes=50-60,70-80"])
def test_a_range_outside_is_not_satisfied(value: bytes) -> None:
    with pytest.raises(ValueError, match="10 bytes"):
        parse_ranges(value, 10)


@pytest.mark.parametrize("value", [b"bytes=0-", b"bytes=-1", b"bytes=0-0"])
def test_nothing_of_an_empty_object_is_satisfied(value: bytes) -> None:
    with pytest.raises(ValueError, match="0 bytes"):
        parse_ranges(value, 0)


@pytest.mark.parametrize(
    "value", [b"bytes=0-,0-", b"bytes=0-5,5-6", b"bytes=-5,-5", b"bytes=4-5,0-1", b"bytes=0-1,2-,-1"]
)
def test_spans_that_overlap_or_run_backwards_are_the_whole(value: bytes) -> None:
    assert parse_ranges(value, 10) == []


def test_more_ranges_than_the_cap_are_the_whole() -> None:
    specs = [b"%d-%d" % (2 * at, 2 * at) for at in range(9)]
    assert parse_ranges(b"bytes=" + b",".join(specs), 100) == []
    assert len(parse_ranges(b"bytes=" + b",".join(specs[1:]), 100)) == 8


@pytest.mark.parametrize(
    ("value", "spans"),
    [
        (b"bytes=5-9", [(5, 10)]),
        (b"bytes=5-", [(5, None)]),
        (b"bytes=99999-", [(99999, None)]),
        (b"bytes=-5", []),
        (b"bytes=0-1,4-5", []),
        (b"bytes=9-5", []),
    ],
)
def test_ranges_of_what_still_grows(value: bytes, spans: list[Span]) -> None:
    assert parse_ranges(value, None) == spans


SPEC = st.tuples(st.none() | st.integers(0, 40), st.none() | st.integers(0, 40)).map(
    lambda each: b"-".join(b"" if end is None else b"%d" % end for end in each)
)


@given(st.lists(SPEC, max_size=10), st.none() | st.integers(0, 30))
def test_spans_lie_inside_and_apart(specs: list[bytes], length: int | None) -> None:
    try:
        spans = parse_ranges(b"bytes=" + b",".join(specs), length)
    except ValueError:
        assert length is not None
        return
    assert len(spans) <= 8
    if length is None:
        assert len(spans) <= 1
        return
    known = [(start, end) for start, end in spans if end is not None]
    assert len(known) == len(spans)
    assert all(0 <= start < end <= length for start, end in known)
    edges = [edge for span in known for edge in span]
    assert edges == sorted(edges)
    assert sum(end - start for start, end in known) <= length


@given(st.binary(max_size=30), st.none() | st.integers(0, 30))
def test_any_bytes_may_be_a_range(value: bytes, length: int | None) -> None:
    try:
        parse_ranges(b"bytes=" + value, length)
    except ValueError:
        assert length is not None


# If-Range.

TAGGED = fields('ETag: "a"', f"Last-Modified: {CHANGED}", f"Date: {LATER}")


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (b'"a"', True),
        (b' "a" ', True),
        (b'"b"', False),
        (b'W/"a"', False),
        (b"a", False),
        (b'"a", "b"', False),
        (CHANGED.encode(), True),
        (LATER.encode(), False),
        (OLD.encode(), False),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", False),
        (b"", False),
    ],
)
def test_if_range(value: bytes, holds: bool) -> None:
    assert if_range_holds(value, TAGGED, NOW) is holds


def test_if_range_by_strong_validators_alone() -> None:
    assert not if_range_holds(b'W/"a"', fields('ETag: W/"a"'), NOW)
    assert not if_range_holds(b'"a"', fields('ETag: W/"a"'), NOW)
    assert not if_range_holds(CHANGED.encode(), fields(f"Last-Modified: {CHANGED}", f"Date: {CHANGED}"), NOW)
    assert not if_range_holds(CHANGED.encode(), fields(f"Last-Modified: {CHANGED}"), NOW)
    assert not if_range_holds(CHANGED.encode(), fields(f"Date: {LATER}"), NOW)


def spans_of(*pairs: str, status: int = 200, method: bytes = b"GET") -> list[Span]:
    return requested_spans(fields(*pairs), status, TAGGED, 10, now=NOW, method=method)


def test_what_a_request_gets() -> None:
    assert spans_of() == []
    assert spans_of("Range: bytes=0-1") == [(0, 2)]
    assert spans_of("Range: bytes=0-1", 'If-Range: "a"') == [(0, 2)]
    assert spans_of("Range: bytes=0-1", 'If-Range: "b"') == []
    assert spans_of('If-Range: "a"') == []


def test_a_condition_that_fails_makes_an_absurd_range_the_whole() -> None:
    assert spans_of("Range: bytes=99-", 'If-Range: "b"') == []
    with pytest.raises(ValueError, match="within"):
        spans_of("Range: bytes=99-", 'If-Range: "a"')


def test_ranges_are_for_one_get_of_a_success() -> None:
    assert spans_of("Range: bytes=0-1", method=b"HEAD") == []
    assert spans_of("Range: bytes=0-1", status=404) == []
    assert spans_of("Range: bytes=0-1", "Range: bytes=4-5") == []


# Content-Range.


def test_content_range_is_written() -> None:
    assert content_range(0, 2, 10) == b"bytes 0-1/10"
    assert content_range(0, 2, None) == b"bytes 0-1/*"
    assert unsatisfied_range(10) == b"bytes */10"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["bytes 0-1/10"], ContentRange(0, 2, 10)),
        (["bytes 0-1/*"], ContentRange(0, 2, None)),
        (["bytes 9-9/10"], ContentRange(9, 10, 10)),
        (["bytes 4-10/10"], None),
        (["bytes 2-1/10"], None),
        (["bytes */10"], None),
        (["bytes=0-1/10"], None),
        (["bytes 0-1"], None),
        (["bytes 0-1/+10"], None),
        (["items 0-1/10"], None),
        (["bytes 0-1/10", "bytes 0-1/10"], None),
        ([], None),
    ],
)
def test_content_range_is_read(values: list[str], expected: ContentRange | None) -> None:
    assert parse_content_range(fields(*(f"Content-Range: {value}" for value in values))) == expected


@given(st.integers(0, 1000), st.integers(1, 1000), st.none() | st.integers(0, 1000))
def test_content_range_round_trips(start: int, size: int, rest: int | None) -> None:
    length = None if rest is None else start + size + rest
    headers = [(b"content-range", content_range(start, start + size, length))]
    assert parse_content_range(headers) == ContentRange(start, start + size, length)


# Resuming a fill.

REST = fields("Content-Range: bytes 4-9/10", 'ETag: "a"')


def continues(headers: Headers = REST, *, stored: Headers = TAGGED, length: int | None = 10, at: int = 4,
              status: int = 206) -> bool:  # fmt: skip
    return resumes(stored, length, at, status, headers, NOW)


def test_a_fill_resumes_with_the_same_object() -> None:
    assert continues()
    assert continues(length=None)
    assert continues(fields("Content-Range: bytes 4-9/*", 'ETag: "a"'))


def test_a_fill_does_not_resume_with_another() -> None:
    assert not continues(status=200)
    assert not continues(at=3)
    assert not continues(at=5)
    assert not continues(length=11)
    assert not continues(fields("Content-Range: bytes 4-9/10", 'ETag: "b"'))
    assert not continues(fields("Content-Range: bytes 4-9/10", 'ETag: W/"a"'), stored=fields('ETag: W/"a"'))
    assert not continues(fields("Content-Range: bytes 4-9/10"))
    assert not continues(fields('ETag: "a"'))


def test_a_fill_resumes_by_a_strong_date() -> None:
    rest = fields("Content-Range: bytes 4-9/10", f"Last-Modified: {CHANGED}")
    dated = fields(f"Last-Modified: {CHANGED}", f"Date: {LATER}")
    assert continues(rest, stored=dated)
    assert not continues(rest, stored=fields(f"Last-Modified: {CHANGED}"))
    assert not continues(rest, stored=fields(f"Last-Modified: {OLD}", f"Date: {LATER}"))
    assert not continues(fields("Content-Range: bytes 4-9/10"), stored=fields(f"Date: {LATER}"))


@given(HEADERS, HEADERS, st.integers(0, 9))
def test_nothing_resumes_without_a_content_range(stored: Headers, headers: Headers, at: int) -> None:
    assert not resumes(stored, None, at, 206, headers, NOW)


def test_the_rest_is_asked_for_by_a_strong_validator() -> None:
    assert resumption(TAGGED, 4, NOW) == fields("Range: bytes=4-", 'If-Range: "a"')
    dated = fields(f"Last-Modified: {CHANGED}", f"Date: {LATER}")
    assert resumption(dated, 4, NOW) == fields("Range: bytes=4-", f"If-Range: {CHANGED}")


@pytest.mark.parametrize("pairs", [[], ['ETag: W/"a"', f"Last-Modified: {CHANGED}", f"Date: {LATER}"],
                                   [f"Last-Modified: {CHANGED}"]])  # fmt: skip
def test_without_a_strong_validator_the_rest_is_not_asked_for(pairs: list[str]) -> None:
    assert resumption(fields(*pairs), 4, NOW) == []


@given(HEADERS, st.integers(1, 9))
def test_what_is_asked_for_holds_where_nothing_has_changed(stored: Headers, at: int) -> None:
    asked = resumption(stored, at, NOW)
    if asked:
        assert requested_spans(asked, 200, stored, 10, now=NOW) == [(at, 10)]
        validators = [each for each in stored if each[0] in (b"etag", b"last-modified")]
        assert resumes(stored, 10, at, 206, [*validators, (b"content-range", content_range(at, 10, 10))], NOW)


# Several parts.

OBJECT = bytes(range(100))


def whole(parts: MultipartRanges) -> bytes:
    pieces = [head + OBJECT[start:end] for head, (start, end) in zip(parts.heads, parts.spans, strict=True)]
    return b"".join(pieces) + parts.tail


def test_a_multipart_body_is_framed() -> None:
    parts = MultipartRanges(spans=((0, 2), (50, 60)), length=100, media_type=b"video/mp2t", boundary=b"abc")
    assert parts.content_type == b'multipart/byteranges; boundary="abc"'
    assert parts.heads[0] == b"--abc\r\nContent-Type: video/mp2t\r\nContent-Range: bytes 0-1/100\r\n\r\n"
    assert parts.heads[1] == b"\r\n--abc\r\nContent-Type: video/mp2t\r\nContent-Range: bytes 50-59/100\r\n\r\n"
    assert parts.tail == b"\r\n--abc--\r\n"


@given(st.lists(st.integers(32, 99), min_size=2, max_size=8, unique=True).map(sorted), st.sampled_from([None, b"a/b"]))
def test_a_multipart_body_is_read_by_the_mail_library(edges: list[int], media_type: bytes | None) -> None:
    spans = tuple(zip(edges[::2], edges[1::2], strict=False))
    parts = MultipartRanges(spans=spans, length=100, media_type=media_type, boundary=b"THIS_SEPARATES")
    body = whole(parts)
    assert len(body) == parts.total
    message = BytesParser().parsebytes(b"Content-Type: " + parts.content_type + b"\r\n\r\n" + body)
    found = list(message.walk())[1:]
    assert [str(part["content-range"]).encode() for part in found] == [content_range(*span, 100) for span in spans]
    assert [part.get_payload(decode=True) for part in found] == [OBJECT[start:end] for start, end in spans]


@pytest.mark.parametrize("boundary", [b"", b"a b", b'a"', b"a\r\nb", b"x" * 71])
def test_a_boundary_that_would_break_the_frame_is_refused(boundary: bytes) -> None:
    with pytest.raises(ValueError, match="boundary"):
        MultipartRanges(spans=((0, 1),), length=1, media_type=None, boundary=boundary)
