"""Byte ranges: what a request gets of an object that is complete, or that still grows (RFC 9110 section 14).

Rules of the file:

- A span is the first byte and the end, exclusive; None as the end means "to the end", of an object whose length is
  not known yet.
- A Range that is malformed or abusive is as if it were not there: the whole is the answer (section 14.2).  Abusive
  are more than `MAX_RANGES`, and spans that overlap or run backwards: together they could ask for more than the
  object, which is how caches have been made to multiply traffic (RangeAmp, Li et al., DSN 2020).
- A Range that is understood and lies outside of the object is 416, as ValueError.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from attrs import frozen

from .http1 import Headers
from .http_conditional import last_modified_is_strong, parse_etag
from .http_fields import first

__all__ = [
    "MAX_RANGES",
    "ContentRange",
    "MultipartRanges",
    "Span",
    "content_range",
    "if_range_holds",
    "parse_content_range",
    "parse_ranges",
    "requested_spans",
    "resumes",
    "resumption",
    "unsatisfied_range",
]

Span = tuple[int, int | None]

#: Ranges of one request: PDF readers, the one kind of client that sends several, ask for a few at a time.
MAX_RANGES: Final = 8

_SPECS = re.compile(rb"bytes=([0-9, \t-]*)\Z", re.IGNORECASE)
# 20 digits hold 2**64 - 1, which some clients write for "to the end".
_SPEC = re.compile(rb"([0-9]{0,20})-([0-9]{0,20})\Z")


def parse_ranges(value: bytes, length: int | None) -> list[Span]:
    """The spans that a Range field asks for, in their order, none overlapping; [] to answer with the whole.

    Every end is known where the length is.  While it is not, a single span from a first byte is given with the end
    that was asked for, or None; a suffix has no place yet, and several spans no total, so those get the whole.

    Raises ValueError where no span lies within the object (416).
    """
    specs = _specs(value)
    if not specs or (length is None and (len(specs) > 1 or specs[0][0] is None)):
        return []
    spans = [span for first_byte, last in specs if (span := _span(first_byte, last, length)) is not None]
    if not spans:
        raise ValueError(f"no byte of the range lies within an object of {length} bytes")
    return [] if overlap_or_run_backwards(spans) else spans


def _specs(value: bytes) -> list[tuple[int | None, int | None]]:
    """First and last byte of each member; (None, n) for the last n bytes.  [] for what is malformed or too many."""
    match = _SPECS.match(value.strip(b" \t"))
    if match is None:
        return []
    parts = [part for each in match.group(1).split(b",") if (part := each.strip(b" \t"))]
    if too_many(len(parts)):
        return []
    found: list[tuple[int | None, int | None]] = []
    for part in parts:
        spec = _SPEC.match(part)
        if spec is None:
            return []
        start, last = (int(each) if each else None for each in spec.groups())
        if (start is None and last is None) or (start is not None and last is not None and last < start):
            return []
        found.append((start, last))
    return found


def too_many(count: int) -> bool:
    """Whether a request asks for more ranges than any honest one."""
    return count > MAX_RANGES


def _span(start: int | None, last: int | None, length: int | None) -> Span | None:
    if start is None:
        # Only with a known length do suffixes come here, and always with a number.
        assert length is not None
        assert last is not None
        return (max(0, length - last), length) if last and length else None
    end = None if last is None else last + 1
    if length is None:
        return start, end
    return (start, length if end is None else min(end, length)) if start < length else None


def overlap_or_run_backwards(spans: list[Span]) -> bool:
    """Whether a span begins before the one before it ends."""
    return any(start < (end or 0) for (_, end), (start, _) in pairwise(spans))


def if_range_holds(value: bytes, headers: Headers, now: float) -> bool:
    """Whether If-Range names what is stored, so that a part of it fits what the client has (RFC 9110 section 13.1.5).

    By strong comparison alone: a weak tag never holds, and a date only where it is the Last-Modified to the byte and
    that is a strong validator.

    Args:
        headers: of the stored answer.
        now: wall time, seconds since 1970.
    """
    wanted = value.strip(b" \t")
    if wanted[:1] == b'"' or wanted[:2] == b"W/":
        tag, own = parse_etag(wanted), parse_etag(first(headers, b"etag"))
        return tag is not None and own is not None and tag.is_strongly(own)
    return wanted == first(headers, b"last-modified") and last_modified_is_strong(headers, now)


def requested_spans(
    request: Headers, status: int, headers: Headers, length: int | None, *, now: float, method: bytes = b"GET"
) -> list[Span]:
    """The spans of a stored answer that a request gets, after its other conditions have passed; [] for the whole.

    A Range counts for GET alone, beside a 200, once, and with an If-Range that holds (RFC 9110 sections 13.2.2 and
    14.2).  Raises ValueError for 416.
    """
    wanted = [value for name, value in request if name == b"range"]
    if len(wanted) != 1 or not may_be_a_part(method, status):
        return []
    condition = first(request, b"if-range")
    if condition is not None and not if_range_holds(condition, headers, now):
        return []
    return parse_ranges(wanted[0], length)


def may_be_a_part(method: bytes, status: int) -> bool:
    """Whether an answer may be given in parts: to a GET, where the whole would be a 200 (RFC 9110 section 14.2)."""
    return method == b"GET" and status == 200


def content_range(start: int, end: int, length: int | None) -> bytes:
    """The Content-Range of a part; `*` for the length while it is not known (RFC 9110 section 14.4)."""
    return b"bytes %d-%d/%s" % (start, end - 1, b"*" if length is None else b"%d" % length)


def unsatisfied_range(length: int) -> bytes:
    """The Content-Range of a 416 (RFC 9110 section 15.5.17)."""
    return b"bytes */%d" % length


@frozen
class ContentRange:
    """What part of an object an answer holds; the end is exclusive, the length None where it is not told."""

    start: int
    end: int
    length: int | None


_CONTENT_RANGE = re.compile(rb"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)\Z", re.IGNORECASE)


def parse_content_range(headers: Headers) -> ContentRange | None:
    """The Content-Range of a 206; None where it is missing, malformed, doubled, or says what cannot be."""
    found = [value for name, value in headers if name == b"content-range"]
    match = _CONTENT_RANGE.match(found[0]) if len(found) == 1 else None
    if match is None:
        return None
    start, end = int(match.group(1)), int(match.group(2)) + 1
    length = None if match.group(3) == b"*" else int(match.group(3))
    return ContentRange(start, end, length) if start < end and (length is None or end <= length) else None


def resumption(stored: Headers, at: int, now: float) -> list[tuple[bytes, bytes]]:
    """The fields with which to ask upstream for the rest of a body of which `at` bytes are there.

    [] where the object has no strong validator: nobody could tell then whether the rest belongs to it, so the whole is
    fetched anew (RFC 9110 section 13.1.5).
    """
    tag, modified = parse_etag(first(stored, b"etag")), first(stored, b"last-modified")
    if tag is not None:
        condition = None if tag.weak else tag.opaque
    else:
        condition = modified if last_modified_is_strong(stored, now) else None
    return [] if condition is None else [(b"range", b"bytes=%d-" % at), (b"if-range", condition)]


def resumes(stored: Headers, length: int | None, at: int, status: int, headers: Headers, now: float) -> bool:
    """Whether an answer continues a body of which `at` bytes are there: the same object, from that very byte on.

    The same is what has the same strong validator (RFC 9110 section 15.3.7.3), and the same length where both tell
    one.  Anything else, put together, would be an object that never was.

    Args:
        stored: fields of the answer that broke off.
        length: of the whole, in bytes, where it was told.
        now: wall time, seconds since 1970.
    """
    part = parse_content_range(headers) if status == 206 else None
    if part is None or part.start != at:
        return False
    if length is not None and part.length is not None and part.length != length:
        return False
    return _is_same_object(stored, headers, now)


def _is_same_object(stored: Headers, headers: Headers, now: float) -> bool:
    own, tag = parse_etag(first(stored, b"etag")), parse_etag(first(headers, b"etag"))
    if own is not None or tag is not None:
        return own is not None and tag is not None and own.is_strongly(tag)
    modified = first(stored, b"last-modified")
    return modified == first(headers, b"last-modified") and last_modified_is_strong(stored, now)


_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=?-]{1,70}\Z")


def is_boundary(value: bytes) -> bool:
    """Whether this may stand between parts (RFC 2046 section 5.1.1)."""
    return _BOUNDARY.match(value) is not None


@frozen(kw_only=True)
class MultipartRanges:
    """The frame of a `multipart/byteranges` body (RFC 9110 section 14.6): what stands around the bytes.

    Send `heads[n]` before the bytes of each span, and `tail` behind the last.  The boundary must not occur in the
    object: take one from random bytes.
    """

    spans: tuple[tuple[int, int], ...]
    #: Of the whole object, bytes.
    length: int
    #: What the object's own Content-Type says; None where it has none.
    media_type: bytes | None
    boundary: bytes

    def __attrs_post_init__(self) -> None:
        if not is_boundary(self.boundary):
            raise ValueError(f"{self.boundary!r} is no boundary: take 1 to 70 letters and digits")

    @property
    def content_type(self) -> bytes:
        """The Content-Type of the whole answer."""
        return b'multipart/byteranges; boundary="%s"' % self.boundary

    @property
    def heads(self) -> tuple[bytes, ...]:
        """What comes before the bytes of each span."""
        typed = b"" if self.media_type is None else b"Content-Type: %s\r\n" % self.media_type
        return tuple(
            b"%s--%s\r\n%sContent-Range: %s\r\n\r\n"
            % (b"\r\n" if at else b"", self.boundary, typed, content_range(start, end, self.length))
            for at, (start, end) in enumerate(self.spans)
        )

    @property
    def tail(self) -> bytes:
        """What comes behind the last span."""
        return b"\r\n--%s--\r\n" % self.boundary

    @property
    def total(self) -> int:
        """The Content-Length of the whole answer, bytes."""
        return sum(map(len, self.heads)) + sum(end - start for start, end in self.spans) + len(self.tail)
