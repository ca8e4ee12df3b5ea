"""Answers to viewers: whole objects and parts of them, also while they grow, 304s, refusals, CORS."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from tierkit.codecs.http1 import Headers, get
from tierkit.codecs.http_cache import age_field
from tierkit.codecs.http_conditional import Verdict, evaluate, not_modified_fields
from tierkit.codecs.http_forward import forwarded
from tierkit.codecs.http_range import content_range, unsatisfied_range
from tierkit.http import REQUEST_ID, Ready, Request, Response, response_head, text_response
from tierkit.plugin import Entry

from ._objects import Meta
from ._parts import RANGES, spans_of, stretch, whole, with_spans
from ._told import MISSED, Why, with_status

__all__ = ["Answers", "beside", "for_one"]

#: Bodies up to this size are kept once more, behind their head, so that both leave in one call.
JOINED = 8192
#: Bytes that are counted for what is kept beside an object: its entry, and its name, fields and head where these are as
#: short as most; longer ones count twice, because they are kept as they came and as they go out.
BESIDE = 4096
USUAL = 1024


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
        # The id is that of the request which brought it, and what is stored goes to others.
        dropped = {b"via", REQUEST_ID} if alone else {b"via", REQUEST_ID, b"accept-ranges"}
        # Ranges of what we store are ours to give, whatever the origin can do.
        kept = [each for each in forwarded(headers) if each[0] not in dropped]
        if self.cors:
            kept = [each for each in kept if not each[0].startswith(b"access-control-")]
        return [*kept, self.via(headers)]

    def passing(self, headers: Headers, why: Why) -> list[tuple[bytes, bytes]]:
        """The fields of upstream's answer to one viewer alone, with what has become of his request."""
        fields = with_status(self.forward(headers, alone=True), self.pseudonym, "passed", why)
        return [*fields, *self.cors]

    def refusal(self, status: int, text: str, *headers: tuple[bytes, bytes]) -> Response:
        """An error that a player's script may read too."""
        return text_response(status, text, *headers, *self.cors)

    def options(self, *, all_methods: bool) -> Response:
        """The answer to OPTIONS: a preflight, or somebody who is curious.  Where all methods pass, none is named."""
        return Response(204, [*self.cors, *([] if all_methods else [(b"Allow", b"GET, HEAD, OPTIONS")])])

    def own_fields(self, entry: Entry, what: str, now: float) -> list[tuple[bytes, bytes]]:
        """The fields of an answer that was made of what is stored, for one viewer alone."""
        return for_one(self._fields(entry.meta, what, now))

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
            meta.ready = stretch(entry, head, 0, entry.size)
        meta.ready_304 = None
        # Until the next second of its age or of the day, whichever is first, or until it is stale.
        rest = 1 - max(meta.age(now) % 1, self._wall() % 1)
        meta.ready_until = now + min(rest, meta.lifetime.fresh - meta.age(now))
        return meta.ready

    def ready_if(self, entry: Entry, request: Headers, now: float) -> Ready | None:
        """The same for a GET with conditions or one range; None where it takes more thought."""
        plain = self.ready(entry, now)
        if plain is None:
            return None
        meta: Meta = entry.meta
        wall = self._wall()
        if evaluate(request, 200, meta.headers, now=wall) is Verdict.NOT_MODIFIED:
            if meta.ready_304 is None:
                meta.ready_304 = Ready(self._head(304, None, self._not_modified(meta, "hits", now)))
            return meta.ready_304
        try:
            spans = spans_of(request, meta, entry.size, wall)
        except ValueError:
            return None
        if len(spans) != 1:
            return None if spans else plain
        start, end = spans[0]
        assert end is not None
        fields = [*self._fields(meta, "hits", now), RANGES, (b"Content-Range", content_range(start, end, entry.size))]
        return stretch(entry, self._head(206, end - start, fields), start, end)

    def _head(self, status: int, length: int | None, fields: list[tuple[bytes, bytes]]) -> bytes:
        return response_head(Response(status, fields), length=length, chunked=False, keep=True, minor=1)

    def _fields(self, meta: Meta, what: str, now: float, why: Why = MISSED) -> list[tuple[bytes, bytes]]:
        age = meta.age(now)
        told = with_status(meta.headers, self.pseudonym, what, why, meta.lifetime, age)
        return [*told, (b"Age", age_field(age)), *self.cors]

    def _not_modified(self, meta: Meta, what: str, now: float, why: Why = MISSED) -> list[tuple[bytes, bytes]]:
        age = meta.age(now)
        fields = with_status(meta.headers, self.pseudonym, what, why, meta.lifetime, age)
        return [*not_modified_fields(fields), fields[-1], (b"Age", age_field(age)), *self.cors]

    async def serve(self, entry: Entry, request: Request, what: str, now: float, why: Why = MISSED) -> Response:
        """Answer from an entry that is held for this request: the response lets go of it."""
        try:
            response = await self._serve(entry, request, what, now, why)
        except BaseException:
            entry.release()
            raise
        response.release = entry.release
        return response

    async def _serve(self, entry: Entry, request: Request, what: str, now: float, why: Why) -> Response:
        meta: Meta = entry.meta
        wall = self._wall()
        if evaluate(request.headers, meta.status, meta.headers, now=wall) is Verdict.NOT_MODIFIED:
            return Response(304, self._not_modified(meta, what, now, why))
        headers = self._fields(meta, what, now, why)
        if meta.status != 200:
            return whole(entry, meta.status, headers)
        headers.append(RANGES)
        if request.method != "GET":
            return whole(entry, 200, headers)
        try:
            spans = spans_of(request.headers, meta, entry.length, wall)
            if entry.length is None and spans and spans[0][1] is not None:
                # Where it ends is not known, so the last byte that was asked for has to be seen first.
                await entry.more(spans[0][1] - 1)
                spans = spans_of(request.headers, meta, entry.length, wall)
        except ValueError:
            return Response(416, [*headers, (b"Content-Range", unsatisfied_range(entry.length or 0))])
        return with_spans(entry, spans, headers)


def for_one(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The fields of an answer that was changed for one viewer: nobody else's, so it has no validator."""
    dropped = {b"etag", b"last-modified", b"cache-control", b"expires"}
    return [*(each for each in fields if each[0].lower() not in dropped), (b"Cache-Control", b"private, no-cache")]


def beside(key: str, meta: Meta, length: int | None) -> int:
    """Bytes of memory that an object of this name, these fields and this length takes besides its own."""
    text = len(key) + sum(len(name) + len(value) for name, value in meta.fields)
    return BESIDE + 2 * max(0, text - USUAL) + (length if length is not None and length <= JOINED else 0)


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
