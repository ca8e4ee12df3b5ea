"""Objects and parts of them as the bodies of answers, also while they still grow."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial

from tierkit.codecs.http1 import Headers, get
from tierkit.codecs.http_range import MultipartRanges, Span, content_range, requested_spans
from tierkit.http import BodySink, Ready, Response
from tierkit.plugin import ConnectionLost, Entry, TierkitError

from ._objects import Meta

__all__ = ["RANGES", "spans_of", "stretch", "whole", "with_spans"]

RANGES = (b"Accept-Ranges", b"bytes")
#: Bytes that are copied for one viewer at a time of what is no memfd: what one who has stalled holds.
PIECE = 16384


def spans_of(request: Headers, meta: Meta, length: int | None, wall: float) -> list[Span]:
    """The spans that a GET gets; [] for the whole.  Raises ValueError for 416."""
    if in_one_piece(meta.headers):
        return []
    return requested_spans(request, meta.status, meta.headers, length, now=wall)


def in_one_piece(headers: Headers) -> bool:
    """Whether Range is not heeded: of a playlist, which is another one by the time the rest is asked for.

    Chromium asks for playlists by pieces and without If-Range, and joins pieces of two versions (a server may always
    ignore Range: RFC 9110 section 14.2).
    """
    return b"mpegurl" in (get(headers, b"content-type") or b"").lower()


def stretch(entry: Entry, head: bytes, start: int, end: int) -> Ready:
    """A stretch of what is stored whole, behind its head."""
    count = end - start
    if entry.blob.in_kernel:
        return Ready(head, entry.blob, count, start, entry)
    return Ready(head, memoryview(entry.blob.read(0, entry.size))[start:end], count, held=entry)


def whole(entry: Entry, status: int, headers: list[tuple[bytes, bytes]]) -> Response:
    """All of an object."""
    if entry.complete and not entry.blob.in_kernel:
        return Response(status, headers, entry.blob.read(0, entry.size))
    return Response(status, headers, partial(_copy, entry, 0, entry.length), entry.length)


def with_spans(entry: Entry, spans: Sequence[Span], headers: list[tuple[bytes, bytes]]) -> Response:
    """The spans of an object that were asked for; the whole where there are none, or where one has no end yet."""
    known = tuple((start, end) for start, end in spans if end is not None)
    if not known or len(known) != len(spans):
        return whole(entry, 200, headers)
    if len(known) > 1:
        assert entry.length is not None  # else there would be one at most
        return _parts(entry, known, entry.length, headers)
    start, end = known[0]
    headers.append((b"Content-Range", content_range(start, end, entry.length)))
    return Response(206, headers, partial(_copy, entry, start, end), end - start)


def _parts(
    entry: Entry, spans: tuple[tuple[int, int], ...], length: int, headers: list[tuple[bytes, bytes]]
) -> Response:
    """Several spans as `multipart/byteranges` (RFC 9110 section 14.6), between boundaries that nobody can foresee."""
    frame = MultipartRanges(
        spans=spans,
        length=length,
        media_type=get(headers, b"content-type"),
        boundary=secrets.token_hex(16).encode("ascii"),
    )
    fields = [each for each in headers if each[0] != b"content-type"]
    fields.append((b"Content-Type", frame.content_type))
    return Response(206, fields, partial(_copy_parts, entry, frame), frame.total)


async def _copy_parts(entry: Entry, frame: MultipartRanges, sink: BodySink) -> None:
    for head, (start, end) in zip(frame.heads, frame.spans, strict=True):
        await sink.write(head)
        await _copy(entry, start, end, sink)
    await sink.write(frame.tail)


async def _copy(entry: Entry, start: int, end: int | None, sink: BodySink) -> None:
    """Send a stretch of an object, waiting for what has not arrived yet.

    Where the fill breaks off, every reader is reset; that is told once, by who fills, and not for each reader.
    """
    at = start
    while end is None or at < end:
        try:
            ready = await entry.more(at)
        except TierkitError as error:
            raise ConnectionLost(f"the object broke off: {error}") from None
        if not ready:
            return
        count = ready if end is None else min(ready, end - at)
        if entry.blob.in_kernel:
            await sink.sendfile(entry.blob, at, count)
        else:
            count = min(count, PIECE)
            await sink.write(entry.blob.read(at, count))
        at += count
