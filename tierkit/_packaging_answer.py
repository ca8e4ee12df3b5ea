"""A window of HLS over HTTP: which file, how long it may be kept, ranges and conditions."""

from __future__ import annotations

from typing import Final

from ._packaging_window import CHUNKLIST, PLAYLIST, Window
from .codecs.live_cache import not_modified, parse_range
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
    if not_modified(request.headers, [(b"etag", etag.encode())]):
        return Response(304, headers)
    headers.append((b"Accept-Ranges", b"bytes"))
    return _part(request, headers, data, etag.encode())


def _part(request: Request, headers: list[tuple[bytes, bytes]], data: bytes, etag: bytes) -> Response:
    wanted = request.get(b"range")
    condition = request.get(b"if-range")
    # Only GET knows ranges (RFC 9110 14.2); one that is for another version is answered by the whole (13.1.5).
    if wanted is None or request.method != "GET" or (condition is not None and condition.strip() != etag):
        return Response(200, headers, data)
    try:
        span = parse_range(wanted, len(data))
    except ValueError:
        return Response(416, [*headers, (b"Content-Range", b"bytes */%d" % len(data))])
    if span is None:
        return Response(200, headers, data)
    start, end = span[0], len(data) if span[1] is None else span[1]
    headers.append((b"Content-Range", b"bytes %d-%d/%d" % (start, end - 1, len(data))))
    return Response(206, headers, data[start:end])
