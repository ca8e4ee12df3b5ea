"""Answers to viewers: whole objects and parts of them, also while they grow, 304s, refusals, CORS."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial

from tierkit.codecs.http1 import Headers, get
from tierkit.codecs.http_forward import forwarded
from tierkit.codecs.live_cache import not_modified, parse_range
from tierkit.http import BodySink, Ready, Request, Response, response_head, text_response
from tierkit.plugin import ConnectionLost, Entry, UpstreamError

from ._objects import Meta

__all__ = ["Answers", "beside"]

RANGES = (b"Accept-Ranges", b"bytes")
#: Bodies up to this size are kept once more, behind their head, so that both leave in one call.
JOINED = 8192
#: Bytes that are counted for what is kept beside an object: its entry, fields and head.
BESIDE = 4096
#: What becomes of a request, as RFC 9211 section 2 tells it.
STATUS = {
    "hits": b"hit",
    "stale": b"hit; detail=stale-while-revalidate",
    "collapsed": b"fwd=miss; collapsed",
    "misses": b"fwd=miss; stored",
    "stale_if_error": b"hit; detail=stale-if-error",
    "passed": b"fwd=bypass",
}


class Answers:
    """How one tier answers.

    Args:
        tier: its name.
        cors: what Access-Control-Allow-Origin says; empty sends no such header.
        wall: Unix seconds, for Date.
    """

    def __init__(self, tier: str, cors: str, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        #: The name that this tier goes by in Via and Cache-Status: a token (RFC 9110 section 7.6.3).
        self.pseudonym = re.sub(r"[^0-9A-Za-z._-]", "-", f"tierkit-{tier}").encode()
        self.cors = _cors(cors)

    def via(self, headers: Headers) -> tuple[bytes, bytes]:
        """The Via field of a message that passes through here, behind the hops it names already."""
        before = get(headers, b"via")
        ours = b"1.1 " + self.pseudonym
        return b"Via", ours if before is None else before + b", " + ours

    def forward(self, headers: Headers, *, alone: bool = False) -> list[tuple[bytes, bytes]]:
        """The fields of an upstream's answer that go on to viewers, or to the one who alone has asked for it.

        Where we answer for CORS, the upstream's own fields go: two values of one of them are an error to a browser.
        """
        dropped = {b"via"} if alone else {b"via", b"accept-ranges"}
        # Ranges of what we store are ours to give, whatever the origin can do.
        kept = [each for each in forwarded(headers) if each[0] not in dropped]
        if self.cors:
            kept = [each for each in kept if not each[0].startswith(b"access-control-")]
        return [*kept, self.via(headers)]

    def how(self, what: str) -> tuple[bytes, bytes]:
        """The Cache-Status field for what became of a request."""
        return b"Cache-Status", self.pseudonym + b"; " + STATUS[what]

    def refusal(self, status: int, text: str, *headers: tuple[bytes, bytes]) -> Response:
        """An error that a player's script may read too."""
        return text_response(status, text, *headers, *self.cors)

    def options(self) -> Response:
        """The answer to OPTIONS: a preflight, or somebody who is curious."""
        return Response(204, [*self.cors, (b"Allow", b"GET, HEAD, OPTIONS")])

    def own_fields(self, entry: Entry, what: str, now: float) -> list[tuple[bytes, bytes]]:
        """The fields of an answer that was made of what is stored, for one viewer alone."""
        dropped = {b"etag", b"last-modified", b"cache-control", b"expires"}
        fields = [each for each in self._fields(entry.meta, what, now) if each[0].lower() not in dropped]
        return [*fields, (b"Cache-Control", b"private, no-cache")]

    def ready(self, entry: Entry, now: float) -> Ready | None:
        """The answer to a plain GET of what is stored whole and fresh, None where it is not that.

        It is made once for each second of its age, and is the same bytes for everybody.
        """
        meta: Meta = entry.meta
        if now < meta.ready_until:
            return meta.ready
        if not (meta.status == 200 and entry.complete and meta.fresh(now)):
            return None
        head = self._head(200, entry.size, [*self._fields(meta, "hits", now), RANGES])
        if entry.size <= JOINED:
            meta.ready = Ready(head + entry.blob.read(0, entry.size))
        else:
            meta.ready = _stretch(entry, head, 0, entry.size)
        meta.ready_304 = None
        # Until the next second of its age or of the day, whichever is first, or until it is stale.
        rest = 1 - max(meta.age(now) % 1, self._wall() % 1)
        meta.ready_until = now + min(rest, meta.lifetime.fresh - meta.age(now))
        return meta.ready

    def ready_if(self, entry: Entry, request: Headers, now: float) -> Ready | None:
        """The same for a GET with conditions or one range; None where it takes more thought."""
        whole = self.ready(entry, now)
        if whole is None:
            return None
        meta: Meta = entry.meta
        if not_modified(request, meta.headers):
            if meta.ready_304 is None:
                meta.ready_304 = Ready(self._head(304, None, self._fields(meta, "hits", now)))
            return meta.ready_304
        wanted = get(request, b"range")
        if wanted is None or not _range_applies(request, meta.headers):
            return whole
        try:
            span = parse_range(wanted, entry.size)
        except ValueError:
            return None
        start, end = span if span is not None else (0, None)
        if end is None:
            return whole
        fields = [*self._fields(meta, "hits", now), RANGES]
        fields.append((b"Content-Range", b"bytes %d-%d/%d" % (start, end - 1, entry.size)))
        return _stretch(entry, self._head(206, end - start, fields), start, end)

    def _head(self, status: int, length: int | None, fields: list[tuple[bytes, bytes]]) -> bytes:
        return response_head(Response(status, fields), length=length, chunked=False, keep=True, minor=1)

    def _fields(self, meta: Meta, what: str, now: float) -> list[tuple[bytes, bytes]]:
        age = (b"Age", b"%d" % max(0, int(meta.age(now))))
        return [*meta.headers, age, self.how(what), *self.cors]

    async def serve(self, entry: Entry, request: Request, what: str, now: float) -> Response:
        """Answer from an entry that is held for this request: the response lets go of it."""
        try:
            response = await self._serve(entry, request, what, now)
        except BaseException:
            entry.release()
            raise
        response.release = entry.release
        return response

    async def _serve(self, entry: Entry, request: Request, what: str, now: float) -> Response:
        meta: Meta = entry.meta
        headers = self._fields(meta, what, now)
        if meta.status != 200:
            return _whole(entry, meta.status, headers)
        if not_modified(request.headers, meta.headers):
            return Response(304, headers)
        headers.append(RANGES)
        wanted = request.get(b"range") if request.method == "GET" else None
        if wanted is None or not _range_applies(request.headers, meta.headers):
            return _whole(entry, 200, headers)
        try:
            span = parse_range(wanted, entry.length)
            if span is not None and span[1] is not None and entry.length is None:
                # Where it ends is not known, so the last byte that was asked for has to be seen first.
                await entry.more(span[1] - 1)
                span = parse_range(wanted, entry.length)
        except ValueError:
            return Response(416, [*headers, (b"Content-Range", b"bytes */%d" % (entry.length or 0))])
        if span is None or span[1] is None:
            return _whole(entry, 200, headers)
        return _part(entry, span[0], span[1], headers)


def beside(length: int | None) -> int:
    """Bytes of memory that an object of this length takes besides its own."""
    return BESIDE + (length if length is not None and length <= JOINED else 0)


def _stretch(entry: Entry, head: bytes, start: int, end: int) -> Ready:
    count = end - start
    if entry.blob.in_kernel:
        return Ready(head, entry.blob, count, start, entry)
    return Ready(head, memoryview(entry.blob.read(0, entry.size))[start:end], count)


def _whole(entry: Entry, status: int, headers: list[tuple[bytes, bytes]]) -> Response:
    if entry.complete and not entry.blob.in_kernel:
        return Response(status, headers, entry.blob.read(0, entry.size))
    return Response(status, headers, partial(_copy, entry, 0, entry.length), entry.length)


def _part(entry: Entry, start: int, end: int, headers: list[tuple[bytes, bytes]]) -> Response:
    total = b"*" if entry.length is None else b"%d" % entry.length
    headers.append((b"Content-Range", b"bytes %d-%d/%b" % (start, end - 1, total)))
    return Response(206, headers, partial(_copy, entry, start, end), end - start)


async def _copy(entry: Entry, start: int, end: int | None, sink: BodySink) -> None:
    """Send a stretch of an object, waiting for what has not arrived yet.

    Where the fill breaks off, every reader is reset; that is told once, by who fills, and not for each reader.
    """
    at = start
    while end is None or at < end:
        try:
            ready = await entry.more(at)
        except UpstreamError as error:
            raise ConnectionLost(f"the object broke off: {error}") from None
        if not ready:
            return
        count = ready if end is None else min(ready, end - at)
        if entry.blob.in_kernel:
            await sink.sendfile(entry.blob, at, count)
        else:
            await sink.write(entry.blob.read(at, count))
        at += count


def _range_applies(request: Headers, headers: Headers) -> bool:
    """Whether a Range is heeded: not of a playlist, which is another one by the time the rest is asked for.

    Chromium asks for playlists by pieces and without If-Range, and joins pieces of two versions (a server may always
    ignore Range: RFC 9110 section 14.2).
    """
    if b"mpegurl" in (get(headers, b"content-type") or b"").lower():
        return False
    return _if_range_holds(request, headers)


def _if_range_holds(request: Headers, headers: Headers) -> bool:
    """Whether If-Range, where there is one, names what is stored (RFC 9110 section 13.1.5: strongly)."""
    wanted = get(request, b"if-range")
    if wanted is None:
        return True
    tag, modified = get(headers, b"etag"), get(headers, b"last-modified")
    return (wanted == tag and not wanted.startswith(b"W/")) or wanted == modified


def _cors(origin: str) -> list[tuple[bytes, bytes]]:
    """The headers with which players on other sites' pages may read what we send (Fetch standard, CORS)."""
    if not origin:
        return []
    return [
        (b"Access-Control-Allow-Origin", origin.encode("ascii")),
        (b"Access-Control-Allow-Methods", b"GET, HEAD, OPTIONS"),
        (b"Access-Control-Allow-Headers", b"Range, If-None-Match, If-Modified-Since, Content-Type"),
        (b"Access-Control-Expose-Headers", b"Age, Cache-Status, Content-Length, Content-Range, Date, ETag"),
        (b"Access-Control-Max-Age", b"86400"),
    ]
