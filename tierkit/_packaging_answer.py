"""A window of HLS over HTTP: which file, how long it may be kept, ranges and conditions."""

from __future__ import annotations

import secrets
from typing import Final

from ._packaging_window import CHUNKLIST, PLAYLIST, Window
from .codecs.http_conditional import Verdict, evaluate, not_modified_fields
from .codecs.http_range import MultipartRanges, content_range, requested_spans, unsatisfied_range
from .http import Request, Response, text_response

__all__ = ["answer", "cors_headers", "refuse_method"]

_PLAYLIST_TYPE: Final = b"application/vnd.apple.mpegurl"
_SEGMENT_TYPE: Final = b"video/mp2t"
#: A segment's name never stands for other bytes, so a cache may keep it for as long as it likes: an hour, as
#: nobody asks for one later.
_FOR_EVER: Final = b"public, max-age=3600, immutable"

METHODS: Final = ("GET", "HEAD", "OPTIONS")


def cors_headers(origin: str) -> list[tuple[bytes, bytes]]:
    """The headers with which players on other sites' pages may read what we send; none for an empty origin."""
    if not origin:
        return []
    return [
        (b"Access-Control-Allow-Origin", origin.encode("latin-1", "replace")),
        (b"Access-Control-Allow-Methods", ", ".join(METHODS).encode()),
        (b"Access-Control-Allow-Headers", b"Range, If-None-Match, Content-Type"),
        (b"Access-Control-Expose-Headers", b"Content-Length, Content-Range, Date, ETag"),
        (b"Access-Control-Max-Age", b"86400"),
    ]


def refuse_method(request: Request, *, cors: str = "*") -> Response | None:
    """The answer to a request that is neither GET nor HEAD; None for those."""
    if request.method == "OPTIONS":
        return Response(204, [*cors_headers(cors), (b"Allow", ", ".join(METHODS).encode())])
    if request.method not in METHODS:
        return text_response(405, "only GET and HEAD", (b"Allow", ", ".join(METHODS).encode()))
    return None


def answer(request: Request, window: Window, file: str, *, cors: str = "*") -> Response | None:
    """What a GET or HEAD for one of the window's files gets; None where it has no such file (now).

    Playlists live for half a target duration (RFC 8216bis B.1), so that a cache is never older than the
    reload of a player; segments for ever.
    """
    data: bytes
    if file in (PLAYLIST, CHUNKLIST):
        if not len(window):
            return None
        data, etag = (
            (window.playlist, window.playlist_etag) if file == PLAYLIST else (window.chunklist, window.chunklist_etag)
        )
        kind, life = _PLAYLIST_TYPE, b"max-age=%d" % max(1, window.target_duration // 2)
    elif (segment := window.segment(file)) is not None:
        data, etag, kind, life = segment.data, segment.etag, _SEGMENT_TYPE, _FOR_EVER
    else:
        return None
    headers = [(b"Content-Type", kind), (b"Cache-Control", life), (b"ETag", etag.encode()), *cors_headers(cors)]
    stored = [(name.lower(), value) for name, value in headers]
    # Dates are nothing that a window has, so the time of day does not matter.
    match evaluate(request.headers, 200, stored, now=0.0, method=request.method.encode(), origin=True):
        case Verdict.NOT_MODIFIED:
            return Response(304, not_modified_fields(stored))
        case Verdict.FAILED:
            return text_response(412, "this is another version than the one asked for", *cors_headers(cors))
    return _part(request, [*stored, (b"accept-ranges", b"bytes")], data)


def _part(request: Request, headers: list[tuple[bytes, bytes]], data: bytes) -> Response:
    try:
        spans = requested_spans(request.headers, 200, headers, len(data), now=0.0, method=request.method.encode())
    except ValueError:
        return Response(416, [*headers, (b"content-range", unsatisfied_range(len(data)))])
    # The length is known, so every end is.
    known = tuple((start, end) for start, end in spans if end is not None)
    if not known:
        return Response(200, headers, data)
    if len(known) > 1:
        return _parts(headers, data, known)
    start, end = known[0]
    return Response(206, [*headers, (b"content-range", content_range(start, end, len(data)))], data[start:end])


def _parts(headers: list[tuple[bytes, bytes]], data: bytes, spans: tuple[tuple[int, int], ...]) -> Response:
    """Several ranges in one answer, between boundaries that nobody can foresee."""
    kind = dict(headers)[b"content-type"]
    boundary = secrets.token_hex(16).encode("ascii")
    frame = MultipartRanges(spans=spans, length=len(data), media_type=kind, boundary=boundary)
    pieces = [piece for head, (start, end) in zip(frame.heads, spans, strict=True) for piece in (head, data[start:end])]
    fields = [each for each in headers if each[0] != b"content-type"]
    return Response(206, [*fields, (b"content-type", frame.content_type)], b"".join([*pieces, frame.tail]))
