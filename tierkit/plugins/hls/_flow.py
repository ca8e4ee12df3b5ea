"""One request at an edge: what is stored, what is under way, what has to be asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeGuard

from attrs import frozen

from tierkit.codecs.audience import Audience
from tierkit.codecs.cache_status import Fwd
from tierkit.codecs.cmcd_status import status_of
from tierkit.codecs.http1 import Headers
from tierkit.codecs.http_cache import Outcome, RequestDirectives, may_forward, reuse
from tierkit.codecs.http_forward import forwards_left
from tierkit.codecs.http_vary import vary_key
from tierkit.codecs.viewings import Line
from tierkit.http import REQUEST_ID, Fields, Ready, Request, Response, ServerTimeouts, plain_get
from tierkit.plugin import (
    Connection,
    Context,
    Entry,
    Flight,
    NotServed,
    NotShared,
    Store,
    StoreFull,
    UpstreamError,
    UpstreamTimeout,
)

from ._answers import Answers, for_one
from ._fetch import Fetcher
from ._objects import Meta
from ._pass import Passer
from ._places import NOTHING, Gate, Place, Refused, folder_of
from ._policy import Policy
from ._rebuffering import Watch
from ._signing import Signing
from ._terms import Lead
from ._told import MISSED, Why, outcome
from ._viewers import identity

__all__ = ["Bounds", "Flow", "WAYS"]

#: What becomes of a request.
WAYS = ("hits", "stale", "collapsed", "misses", "passed", "stale_if_error", "errors")
#: Fields that may make the answer to a GET another than the stored one, or be meant for us.
NOT_PLAIN = frozenset(
    {
        b"authorization",
        b"cache-control",
        b"content-length",
        b"expect",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"pragma",
        b"range",
        b"transfer-encoding",
        b"upgrade",
        b"via",
    }
)
#: Those of them that what is stored can be held against.
CONDITIONAL = frozenset({b"if-modified-since", b"if-none-match", b"if-range", b"range"})
#: The part of the requests under way to upstreams that is kept for fetches: what passes goes at its viewer's pace, and
#: whoever is slow on purpose would else hold every place for as long as an answer may take.
KEPT_FOR_FETCHES = 1 / 4
#: Times that a request looks again, where what it waited for turned out to be for other requests.
LOOKS = 3


@frozen(kw_only=True)
class Bounds:
    """What one edge allows."""

    viewers: ServerTimeouts
    #: Viewers that may wait for the first byte of one object.
    waiters: int
    #: Requests under way to upstreams.
    fetches: int


def must_be_confirmed(meta: Meta) -> bool:
    """Whether upstream's silence is to be told as 504, not hidden: must-revalidate (RFC 9111 section 5.2.2.2)."""
    return meta.lifetime.must_revalidate


class Flow:
    """Requests at one tier.

    Attributes:
        counts: how many went each of `WAYS` so far.
        leaving: whether each answer is to be the last of its connection.
    """

    def __init__(
        self,
        ctx: Context,
        store: Store,
        gate: Gate,
        policy: Policy,
        answers: Answers,
        fetcher: Fetcher,
        passer: Passer,
        bounds: Bounds,
        signing: Signing | None = None,
    ) -> None:
        self.ctx = ctx
        self.store = store
        self.gate = gate
        self.policy = policy
        self.answers = answers
        self.fetcher = fetcher
        self.passer = passer
        self.bounds = bounds
        self.signing = signing
        self.audience = Audience()
        self.watch = Watch(fetcher.streams, ctx.clock)
        self.leaving = False
        self.counts = dict.fromkeys(WAYS, 0)
        fetcher.may_fetch = self.may_fetch
        fetcher.streams.paced = self._paced

    def _paced(self, folder: str, target_duration: float) -> None:
        """Its viewers may be silent for as long as its segments last."""
        self.audience.pace(folder, target_duration, self.ctx.clock())

    # --- at hand ---------------------------------------------------------------------------------

    def quick(self, connection: Connection, line: Line, data: bytes) -> Ready | None:
        """The answer to a GET of something that is stored and fresh: nearly every request."""
        known = plain_get(data)
        if known is None or self.leaving:
            return None
        target, fields = known
        odd = not fields.names.isdisjoint(NOT_PLAIN)
        if not fields.keep_alive or (odd and not fields.names & NOT_PLAIN <= CONDITIONAL):
            return None
        place = self.gate.at_hand(target, fields.host)
        if place is None or (self.gate.hosts and not self.gate.welcomes(fields)):
            return None
        key: str | None = place.key
        if self.fetcher.varies:
            key = self._variant(place.key, fields)
        stored = self.store.get(key) if key is not None else None
        if stored is None or (self.signing is not None and not self._admitted(connection, target, stored)):
            return None
        now = self.ctx.clock()
        ready = self.answers.ready_if(stored, fields.headers, now) if odd else self.answers.ready(stored, now)
        if ready is not None:
            self.counts["hits"] += 1
            who = identity(connection, target, fields)
            self.audience.seen(who, place.stream, now, ready.size)
            if (media := self.watch.media_of(stored.meta, place.base)) is not None:
                status = status_of(target) if media.duration and b"CMCD=" in target else None
                self.watch.rebuffering.asked(line, who, media, now, ready.size, status)
        return ready

    def _admitted(self, connection: Connection, target: bytes, stored: Entry) -> bool:
        """Whether a signed request may have what is stored as it is: a playlist is made for each viewer."""
        assert self.signing is not None
        if stored.meta.about.facts is not None:
            return False
        path, _, query = target.decode("ascii").partition("?")
        try:
            self.signing.admit(path, query, connection.peer.host)
        except Refused:
            return False  # the long way tells
        return True

    # --- the long way ----------------------------------------------------------------------------

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        try:
            response = await self._respond(request)
        except Refused as error:
            response = self._error(error.status, str(error), *error.headers)
        except NotServed as error:
            response = self._error(404, str(error))
        except UpstreamError as error:
            status = 504 if isinstance(error, UpstreamTimeout) else 502
            response = self._error(status, f"{error}: see that it runs and is reached from {self.ctx.tier}")
        except StoreFull as error:  # while one waited for the end of a range
            response = self._error(503, f"{error}: try again", (b"Retry-After", b"1"))
        response.close = response.close or self.leaving
        response.headers = [*response.headers, (REQUEST_ID, request.id.encode("ascii"))]
        return response

    async def _respond(self, request: Request) -> Response:
        method = request.method
        if method == "OPTIONS" and self._asks_us(request):
            return self.answers.options(all_methods=self.policy.all_methods)
        if method not in ("GET", "HEAD"):
            self._check_method(method)
            return await self._pass(self.gate.place(request.head), request)
        place = self.gate.place(request.head)
        if self.signing is not None:
            self.signing.admit(request.path, request.query, request.connection.peer.host)
        wanted = self.policy.wanted(request.headers)
        if self.policy.bypasses(request.head.fields.names) or (wanted is not None and wanted.no_store):
            return await self._pass(place, request)
        media, refused = self.watch.waits(request, place.base), True
        try:
            response = await self._find(place, request, wanted)
            refused = response.status >= 400
            return response
        finally:
            self.watch.waited(request, media, refused=refused)

    def _asks_us(self, request: Request) -> bool:
        """Whether OPTIONS is about this server: by `*`, by Max-Forwards, or because others do not get it."""
        return not self.policy.all_methods or request.path == "*" or forwards_left(request.headers) == 0

    def _check_method(self, method: str) -> None:
        allowed = (b"Allow", b"GET, HEAD, OPTIONS")
        if not self.policy.all_methods:
            raise Refused(405, f"{self.ctx.tier} is a cache: it takes GET, HEAD and OPTIONS", allowed)
        if method in ("CONNECT", "TRACE"):
            # A tunnel past the cache, and an echo of what a browser keeps from scripts (RFC 9110 section 9.3.8).
            raise Refused(405, f"{self.ctx.tier} takes no {method}")

    async def _find(self, place: Place, request: Request, wanted: RequestDirectives | None) -> Response:
        if place.directives.blocking or place.directives.skip or self.fetcher.streams.get(place.base) is not None:
            place, answer = self.fetcher.streams.directed(place, self.ctx.clock())
            if answer:
                if self._is_fresh(newest := self.store.get(answer)):
                    return await self._serve(newest, place, request, "hits")
                place = place.directed(NOTHING)  # it need not wait, and what there is may be long over
        for _ in range(LOOKS):
            key = self._variant(place.key, request.head.fields)
            if key is None or self.fetcher.passes_by(place.key):
                break
            stored = self.store.get(key)
            if stored is not None and (way := self._serve_stored(stored, place, key, request, wanted)):
                return await self._serve(stored, place, request, way)
            if not may_forward(wanted):
                raise Refused(504, "nothing is stored that may be served, and only-if-cached forbids to ask")
            if self.policy.leaves_to_origin(request):
                break
            fwd = self._why(stored, key, place)
            lead = Lead()
            entry, way = await self._wait(place, key, stored, request, lead)
            if entry is None:
                break
            # A playlist that was held back: what is shown instead is nobody's but theirs who ask for it plainly.
            fits = entry.key in (place.base, self._variant(place.key, request.head.fields))
            if way in ("passed", "stale_if_error") or fits:
                why = Why(fwd, 304 if entry is stored else None)
                return await self._held(entry, place, request, way, why, lead.own)
            entry.release()  # it varies, and is for other requests than this
        return await self._pass(place, request)

    def _is_fresh(self, stored: Entry | None) -> TypeGuard[Entry]:
        return stored is not None and stored.meta.fresh(self.ctx.clock())

    def _variant(self, key: str, fields: Fields) -> str | None:
        """The key of what fits a request, where what is stored under `key` varies; None where nothing can."""
        names = self.fetcher.varies.get(key)
        if names is None:
            return key
        said = vary_key(names, fields.headers)
        return None if said is None else f"{key}\n{said.decode('latin-1')}"

    def _serve_stored(
        self, stored: Entry, place: Place, key: str, request: Request, wanted: RequestDirectives | None
    ) -> str:
        """Which way what is stored may be served at once; "" where upstream has to be asked first."""
        meta = stored.meta
        age = meta.age(self.ctx.clock())
        outcome = reuse(meta.lifetime, age, wanted)
        if outcome is Outcome.FRESH:
            return "hits"
        if outcome is Outcome.STALE_WHILE_REVALIDATED:
            if self._may_fetch(key) and not self.fetcher.resting(key):
                self._fill(place, key, request)
            return "stale"
        if outcome is Outcome.STALE:
            return "stale"
        # Upstream failed a moment ago: nobody waits for it to fail again.
        if self.fetcher.resting(key) and reuse(meta.lifetime, age, wanted, failed=True).served:
            if self._may_fetch(key) and self.fetcher.tries_again(key):
                self._fill(place, key, request)
            return "stale_if_error"
        return ""

    async def _wait(
        self, place: Place, key: str, stored: Entry | None, request: Request, lead: Lead
    ) -> tuple[Entry | None, str]:
        """What a fetch brings, held, and which way it came; None where it is for one viewer alone."""
        under_way = self.store.flight(key)
        if not self._may_fetch(key) or (under_way is not None and under_way.waiters >= self.bounds.waiters):
            self._busy()
        flight = self._fill(place, key, request, lead)
        if stored is not None:
            stored.acquire()  # in case this fails; nothing else keeps it while we wait
        try:
            entry = await flight.head()
            if not entry.meta.lifetime.shared:
                return entry, "passed"
            return entry, "misses" if under_way is None else "collapsed"
        except (NotShared, StoreFull):
            return None, "passed"
        except UpstreamError as error:
            wanted = self.policy.wanted(request.headers)
            if stored is not None and reuse(
                stored.meta.lifetime, stored.meta.age(self.ctx.clock()), wanted, failed=True
            ).served:  # fmt: skip
                stored.acquire()
                return stored, "stale_if_error"
            if stored is not None and must_be_confirmed(stored.meta):
                raise Refused(504, f"{error}, and what {self.ctx.tier} has is stale and must be confirmed") from None
            raise
        finally:
            lead.here = False
            if stored is not None:
                stored.release()

    def _fill(self, place: Place, key: str, request: Request, lead: Lead | None = None) -> Flight:
        fill = partial(self.fetcher.fill, place=place, request=request.headers, lead=lead, id=request.id)
        return self.store.fill(key, fill, place.stream)

    def _may_fetch(self, key: str) -> bool:
        return self.store.flight(key) is not None or self.may_fetch()

    def may_fetch(self) -> bool:
        """Whether one more request may be under way to upstreams."""
        return self.store.filling + self.passer.passing < self.bounds.fetches

    def may_pass(self) -> bool:
        """Whether one more request may be passed on for one viewer."""
        most = self.bounds.fetches - int(self.bounds.fetches * KEPT_FOR_FETCHES)
        return self.passer.passing < most and self.may_fetch()

    def _busy(self) -> None:
        retry = (b"Retry-After", b"1")
        raise Refused(503, f"too many wait for {self.ctx.tier}'s upstreams: try again", retry)

    async def _pass(self, place: Place, request: Request) -> Response:
        if not self.may_pass():
            self._busy()
        response = await self.passer.pass_on(place, request)
        if self.signing is not None and isinstance(response.body, bytes):  # a playlist; all else is still coming
            address = request.connection.peer.host
            response.body = self.signing.inherit(request.path, response.body, request.query, address)
            response.headers = for_one(response.headers)
        self.counts["passed"] += 1
        request.outcome = outcome("passed")
        return response

    async def _serve(self, stored: Entry, place: Place, request: Request, way: str) -> Response:
        stored.acquire()
        return await self._held(stored, place, request, way)

    def _why(self, stored: Entry | None, key: str, place: Place) -> Fwd:
        """Why upstream is asked, where `stored` is at hand."""
        if stored is None:
            return Fwd.URI_MISS if key == place.key else Fwd.VARY_MISS
        return Fwd.REQUEST if stored.meta.fresh(self.ctx.clock()) else Fwd.STALE

    async def _held(
        self, entry: Entry, place: Place, request: Request, way: str, why: Why = MISSED, own: Headers = ()
    ) -> Response:
        """The answer from an entry that is held for it, with fields of the viewer's `own`."""
        if self.signing is not None and entry.meta.about.facts is not None and entry.meta.status == 200:
            response = await self._own_playlist(self.signing, entry, request, way)
        else:
            response = await self.answers.serve(entry, request, way, self.ctx.clock(), why)
        if own:
            response.headers = [*response.headers, *own]
        self.counts[way] += 1
        request.outcome = outcome(way, why)
        target = f"{request.path}?{request.query}".encode("ascii")
        who = identity(request.connection, target, request.head.fields)
        stream, connection = folder_of(entry.key), request.connection
        self.audience.seen(who, stream, self.ctx.clock())
        response.release = partial(self._left, stream, connection, connection.bytes_out, response.release)
        self.watch.answers(request, target, who, entry, place.base, response)
        return response

    def _left(self, stream: str, connection: Connection, before: int, release: Callable[[], None] | None) -> None:
        """An answer has left, or cannot."""
        self.audience.sent(stream, connection.bytes_out - before)
        if release is not None:
            release()

    async def _own_playlist(self, signing: Signing, entry: Entry, request: Request, way: str) -> Response:
        """A playlist whose URIs carry this viewer's permission: nobody else's, so it has no validator."""
        try:
            while not entry.complete:
                await entry.more(entry.size)
            body = entry.blob.read(0, entry.size)
            address = request.connection.peer.host
            body = signing.inherit(request.path, body, request.query, address)
            fields = self.answers.own_fields(entry, way, self.ctx.clock())
            return Response(200, fields, body)
        finally:
            entry.release()

    def _error(self, status: int, text: str, *headers: tuple[bytes, bytes]) -> Response:
        self.counts["errors"] += 1
        return self.answers.refusal(status, text, *headers)
