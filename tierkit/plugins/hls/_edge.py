"""One request at an edge: what is stored, what is under way, what has to be asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from urllib.parse import unquote_to_bytes

from attrs import field, frozen

from tierkit.http import HttpClient, Park, Ready, Request, Response, ServerTimeouts, plain_get, serve_http
from tierkit.plugin import (
    Connection,
    Context,
    Entry,
    Figures,
    NotServed,
    NotShared,
    Running,
    Store,
    StoreFull,
    StoreStatistics,
    StreamState,
    UpstreamError,
    UpstreamTimeout,
)

from ._answers import Answers
from ._fetch import Fetcher
from ._objects import Memory

__all__ = ["Bounds", "Edge", "HLSStatistics"]

#: Proxies that a request may have come through before it is taken for a loop.
MAX_HOPS = 16
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
_FORBIDDEN = re.compile(rb"[\x00-\x1f\x7f\\]")


@frozen(kw_only=True)
class HLSStatistics:
    """An HLS edge now and so far."""

    #: Requests so far, by what became of them: served fresh; stale, while one looked upstream; by joining a
    #: fetch under way; by a fetch of its own; passed on for one viewer; stale, because upstream failed;
    #: refused or failed.
    hits: int = field(metadata={"merge": "sum"})
    stale: int = field(metadata={"merge": "sum"})
    collapsed: int = field(metadata={"merge": "sum"})
    misses: int = field(metadata={"merge": "sum"})
    passed: int = field(metadata={"merge": "sum"})
    stale_if_error: int = field(metadata={"merge": "sum"})
    errors: int = field(metadata={"merge": "sum"})
    #: Requests sent upstream so far, those of them that only revalidated, and those that failed.
    upstream_requests: int = field(metadata={"merge": "sum"})
    revalidated: int = field(metadata={"merge": "sum"})
    upstream_errors: int = field(metadata={"merge": "sum"})
    #: Connections to upstreams open now, opened so far, and bytes received over them.
    upstream_connections: int = field(metadata={"merge": "sum"})
    upstream_connected: int = field(metadata={"merge": "sum"})
    upstream_bytes: int = field(metadata={"merge": "sum"})
    #: Bytes sent to viewers so far, heads included.
    bytes_out: int = field(metadata={"merge": "sum"})
    #: The cache.
    store: StoreStatistics = field(metadata={"merge": "sum"})


@frozen(kw_only=True)
class Bounds:
    """What one edge allows."""

    viewers: ServerTimeouts
    #: Viewers that may wait for the first byte of one object.
    waiters: int
    #: Requests under way to upstreams.
    fetches: int


class Edge(Running):
    """An HLS edge at work."""

    def __init__(
        self, ctx: Context, store: Store, client: HttpClient, answers: Answers, fetcher: Fetcher, bounds: Bounds
    ) -> None:
        self.ctx = ctx
        self.store = store
        self.client = client
        self.answers = answers
        self.fetcher = fetcher
        self.bounds = bounds
        self._park = ctx.shared(Park)
        self._viewers: set[Connection] = set()
        self._bytes_out = 0
        self._leaving = False
        #: The keys of targets that have passed `_refuse`.
        self._keys: Memory[bytes, str] = Memory()
        self._counts = dict.fromkeys(
            ("hits", "stale", "collapsed", "misses", "passed", "stale_if_error", "errors"), 0
        )  # fmt: skip

    # --- what the core asks ----------------------------------------------------------------------

    async def handle(self, connection: Connection) -> None:
        self._viewers.add(connection)
        try:
            await serve_http(connection, self._answer, self.bounds.viewers, quick=self._quick, park=self._park)
        finally:
            self._viewers.discard(connection)
            self._bytes_out += connection.bytes_out

    def statistics(self) -> HLSStatistics:
        return HLSStatistics(
            **self._counts,
            upstream_requests=self.fetcher.asker.requests,
            revalidated=self.fetcher.revalidated,
            upstream_errors=self.fetcher.asker.errors,
            upstream_connections=self.client.connections,
            upstream_connected=self.client.connected,
            upstream_bytes=self.client.bytes_in,
            bytes_out=self._bytes_out + sum(each.bytes_out for each in self._viewers),
            store=self.store.statistics(),
        )

    def figures(self) -> Figures:
        counts = self._counts
        return Figures(
            viewers=len(self._viewers),
            requests=sum(counts.values()),
            hits=counts["hits"] + counts["stale"] + counts["collapsed"] + counts["stale_if_error"],
            upstream_connections=self.client.connections,
        )

    def streams(self) -> Sequence[StreamState]:
        now = self.ctx.clock()
        return [
            StreamState(name=each.path, on_air=not each.facts.ended and now - each.at < 3 * each.facts.target_duration)
            for each in self.fetcher.streams.values()
        ]

    def draining(self) -> None:
        """From now on each answer ends its connection, so that players go where somebody stays."""
        self._leaving = True

    def purge(self, pattern: str, *, soft: bool = False) -> int:
        """Forget the paths that match; softly, they are stale at once and may still serve while revalidated."""
        prefix = pattern[:-1] if pattern.endswith("*") else None
        now, count = self.ctx.clock(), 0
        for key in self.store.keys():  # noqa: SIM118 (it is no mapping)
            if not (key.startswith(prefix) if prefix is not None else key.partition("?")[0] == pattern):
                continue
            self.fetcher.passing.forget(key)
            entry = self.store.get(key)
            if soft and entry is not None:
                entry.meta = entry.meta.staled(now)
                count += 1
            elif not soft:
                count += self.store.remove(key)
        return count

    # --- one request -----------------------------------------------------------------------------

    def _quick(self, data: bytes) -> Ready | None:
        """The answer to a plain GET of something that is stored and fresh: nearly every request."""
        known = plain_get(data)
        if known is None or self._leaving:
            return None
        target, fields = known
        odd = fields.names & NOT_PLAIN
        if not fields.keep_alive or not odd <= CONDITIONAL:
            return None
        key = self._keys.get(target)
        stored = self.store.get(key) if key is not None else None
        if stored is None:
            return None
        now = self.ctx.clock()
        ready = self.answers.ready_if(stored, fields.headers, now) if odd else self.answers.ready(stored, now)
        if ready is not None:
            self._counts["hits"] += 1
        return ready

    async def _answer(self, request: Request) -> Response:
        response = await self._respond(request)
        response.close = response.close or self._leaving
        return response

    async def _respond(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return self.answers.options()
        if request.method not in ("GET", "HEAD"):
            allowed = (b"Allow", b"GET, HEAD, OPTIONS")
            return self._error(405, f"{self.ctx.tier} is a cache: it takes GET, HEAD and OPTIONS", allowed)
        if problem := self._refuse(request):
            return problem
        path = f"{request.path}?{request.query}" if request.query else request.path
        key = self.ctx.upstream.key(path)
        self._keys.put(path.encode("ascii"), key)
        try:
            return await self._find(path, key, request)
        except NotServed as error:
            return self._error(404, str(error))
        except UpstreamError as error:
            status = 504 if isinstance(error, UpstreamTimeout) else 502
            return self._error(status, f"{error}: see that it runs and is reached from {self.ctx.tier}")

    def _error(self, status: int, text: str, *headers: tuple[bytes, bytes]) -> Response:
        self._counts["errors"] += 1
        return self.answers.refusal(status, text, *headers)

    def _refuse(self, request: Request) -> Response | None:
        plain = unquote_to_bytes(request.path)
        if _FORBIDDEN.search(plain) or any(part in (b".", b"..") for part in plain.split(b"/")) or plain[:1] != b"/":
            return self._error(400, "the path has dot segments, backslashes or control characters")
        hops = [each.split()[1:2] for each in (request.get(b"via") or b"").split(b",")]
        if [self.answers.pseudonym] in hops:
            return self._error(508, f"a loop: this request has been at {self.ctx.tier} before: mend upstream=")
        if len(hops) > MAX_HOPS:
            return self._error(508, f"a loop: this request has come through more than {MAX_HOPS} proxies")
        return None

    async def _find(self, path: str, key: str, request: Request) -> Response:
        now = self.ctx.clock()
        stored = self.store.get(key)
        if request.get(b"authorization") is not None or (self.fetcher.passing.get(key) or 0.0) > now:
            return await self._pass(path, key, request)
        if stored is not None and stored.meta.fresh(now):
            return await self._serve(stored, request, "hits")
        fill = partial(self.fetcher.fill, path=path, key=key, via=self.answers.via(request.headers))
        if stored is not None and stored.meta.usable_while_revalidated(now):
            if self._may_fetch(key) and not self.fetcher.resting(key):
                self.store.fill(key, fill)
            return await self._serve(stored, request, "stale")
        if stored is not None and stored.meta.usable_if_error(now) and self.fetcher.resting(key):
            # Upstream failed a moment ago: nobody waits for it to fail again.
            return await self._serve(stored, request, "stale_if_error")
        under_way = self.store.flight(key)
        if not self._may_fetch(key) or (under_way is not None and under_way.waiters >= self.bounds.waiters):
            return self._error(503, f"too many wait for {self.ctx.tier}'s upstreams: try again", (b"Retry-After", b"1"))
        flight = self.store.fill(key, fill)
        if stored is not None:
            stored.acquire()  # in case this fails; nothing else keeps it while we wait
        try:
            entry = await flight.head()
        except (NotShared, StoreFull):
            return await self._pass(path, key, request)
        except UpstreamError:
            if stored is not None and stored.meta.usable_if_error(self.ctx.clock()):
                return await self._serve(stored, request, "stale_if_error")
            raise
        finally:
            if stored is not None:
                stored.release()
        return await self._held(entry, request, "misses" if under_way is None else "collapsed")

    def _may_fetch(self, key: str) -> bool:
        return self.store.flight(key) is not None or self.store.filling + self.fetcher.passes < self.bounds.fetches

    async def _pass(self, path: str, key: str, request: Request) -> Response:
        if self.store.filling + self.fetcher.passes >= self.bounds.fetches:
            return self._error(503, f"too many wait for {self.ctx.tier}'s upstreams: try again", (b"Retry-After", b"1"))
        response = await self.fetcher.pass_on(path, key, request)
        self._counts["passed"] += 1
        return response

    async def _serve(self, stored: Entry, request: Request, what: str) -> Response:
        stored.acquire()
        return await self._held(stored, request, what)

    async def _held(self, entry: Entry, request: Request, what: str) -> Response:
        response = await self.answers.serve(entry, request, what, self.ctx.clock())
        self._counts[what] += 1
        return response
