"""An HTTP cache that knows what HLS is: the edge that viewers fetch from.

Each request takes the first of these that fits:

1. what is stored and fresh (`hit`);
2. what is stored and stale, while one request looks upstream (`stale`);
3. what one request is fetching already, from its first byte on (`collapsed`);
4. a fetch of its own (`miss`), which belongs to the store and goes on when this viewer leaves;
5. what is stored and stale, where upstream fails (`stale-if-error`).

An answer that is not for others is passed through, for each viewer by itself, and remembered as such for a
moment, so that nobody queues behind it.  The lifetimes stand in `tierkit.codecs.http_cache`.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import ClassVar, TypeVar
from urllib.parse import unquote_to_bytes

import trio
from attrs import evolve, field, frozen

from tierkit.codecs.hls import MAX_PLAYLIST, Kind, PlaylistFacts, classify, read_playlist
from tierkit.codecs.http1 import Headers, get
from tierkit.codecs.http_cache import Lifetime, decide, end_to_end, not_modified, parse_range
from tierkit.events import UpstreamBack, UpstreamLost
from tierkit.http import (
    BodySink,
    ClientResponse,
    ClientTimeouts,
    HttpClient,
    Request,
    Response,
    ServerTimeouts,
    serve_http,
    text_response,
)
from tierkit.plugin import (
    Address,
    Candidate,
    Connection,
    Context,
    Entry,
    Figures,
    Filler,
    Node,
    NotServed,
    NotShared,
    RemoteProtocolError,
    Running,
    Service,
    Store,
    StoreFull,
    StoreStatistics,
    StreamState,
    TierkitError,
    UpstreamError,
    hookimpl,
    open_store,
    option,
)

__all__ = ["HLS", "HLSStatistics"]

_T = TypeVar("_T")
SCHEMES = ("http", "https")
#: Seconds for which it is remembered that an answer is not for others (Varnish's hit-for-miss: 120 s;
#: a live stream changes its mind sooner).
PASS_SECONDS = 10.0
#: How many such keys, and how many streams' playlists, are remembered: 100 bytes each.
REMEMBERED = 1024
#: Proxies that a request may have come through before it is taken for a loop.
MAX_HOPS = 16
#: Seconds between looks at idle upstream connections.
SWEEP = 5.0
_FORBIDDEN = re.compile(rb"[\x00-\x1f\x7f\\]")


@frozen
class HLS(Service):
    """A caching reverse proxy for HLS, with lifetimes by class and one upstream request for each object."""

    name: ClassVar[str] = "hls"
    roles: ClassVar = frozenset({"edge"})
    schemes: ClassVar[tuple[str, ...]] = SCHEMES
    pulls: ClassVar[tuple[str, ...]] = SCHEMES

    cache_bytes: int = option(
        512 << 20, "Memory for everything that is stored or in flight.", minimum=1 << 20, unit="bytes"
    )
    max_object: int = option(
        64 << 20, "Largest object that is stored; what is larger passes through.", minimum=65536, unit="bytes"
    )
    max_waiters: int = option(
        20_000, "Viewers that may wait for one object's first byte; more are told to come back.", minimum=1
    )
    cors: str = option(
        "*", "What Access-Control-Allow-Origin says to players on other sites' pages; empty sends no such header."
    )
    connect_timeout: float = option(5.0, "Time for connecting to an upstream.", minimum=0.1, maximum=120, unit="s")
    first_byte_timeout: float = option(
        15.0, "Time for an upstream's first byte of an answer.", minimum=0.1, maximum=600, unit="s"
    )
    between_bytes_timeout: float = option(
        15.0, "Longest pause within an upstream's answer.", minimum=0.1, maximum=600, unit="s"
    )
    idle_timeout: float = option(
        60.0, "Time that a viewer's connection may rest between requests.", minimum=1, maximum=3600, unit="s"
    )
    stall_timeout: float = option(
        30.0,
        "Time that a viewer may take nothing of what is sent before it is reset.",
        minimum=1,
        maximum=3600,
        unit="s",
    )

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        """Begin to serve in `tier`."""
        timeouts = ClientTimeouts(
            connect=self.connect_timeout, first_byte=self.first_byte_timeout, between_bytes=self.between_bytes_timeout
        )
        client = HttpClient(ctx.network, ctx.clock, timeouts=timeouts)
        async with trio.open_nursery() as nursery, open_store(self.cache_bytes, ctx.network.descriptors) as store:
            running = _Edge(self, ctx, store, client, nursery)
            nursery.start_soon(running.sweep, name=f"{ctx.tier} sweeps idle upstream connections")
            try:
                yield running
            finally:
                nursery.cancel_scope.cancel()
                client.close()


@frozen(kw_only=True)
class HLSStatistics:
    """An HLS edge now and so far."""

    #: Requests so far, by what became of them.
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
    #: The cache.
    store: StoreStatistics = field(metadata={"merge": "sum"})


_Take = Callable[[Candidate, Address, ClientResponse], Awaitable[None]]


@frozen(kw_only=True)
class _Meta:
    """What is kept beside an object's bytes."""

    status: int
    #: As they go to viewers, without Age and whatever else differs between them.
    headers: tuple[tuple[bytes, bytes], ...]
    lifetime: Lifetime
    #: On the tier's clock.
    arrived: float
    kind: Kind

    def age(self, now: float) -> float:
        return self.lifetime.age + now - self.arrived

    def fresh(self, now: float) -> bool:
        return self.age(now) < self.lifetime.fresh

    def usable_while_revalidated(self, now: float) -> bool:
        return self.age(now) < self.lifetime.fresh + self.lifetime.while_revalidated

    def usable_if_error(self, now: float) -> bool:
        return self.age(now) < self.lifetime.fresh + self.lifetime.if_error


@frozen
class _Stream:
    """What the last media playlist in a folder said, and when."""

    facts: PlaylistFacts
    at: float


class _Edge(Running):
    def __init__(self, recipe: HLS, ctx: Context, store: Store, client: HttpClient, nursery: trio.Nursery) -> None:
        self.recipe = recipe
        self._nursery = nursery
        self.ctx = ctx
        self.store = store
        self.client = client
        self._via = f"1.1 tierkit-{ctx.tier}".encode()
        self._timeouts = ServerTimeouts(idle=recipe.idle_timeout, stall=recipe.stall_timeout)
        self._cors = _cors(recipe.cors)
        self._passing: OrderedDict[str, float] = OrderedDict()
        self._streams: OrderedDict[str, _Stream] = OrderedDict()
        self._down: set[str] = set()
        self._viewers = 0
        self._counts = dict.fromkeys(
            ("hits", "stale", "collapsed", "misses", "passed", "stale_if_error", "errors",
             "upstream_requests", "revalidated", "upstream_errors"), 0)  # fmt: skip

    # --- what the core asks ----------------------------------------------------------------------

    async def handle(self, connection: Connection) -> None:
        self._viewers += 1
        try:
            await serve_http(connection, self._answer, self._timeouts)
        finally:
            self._viewers -= 1

    def statistics(self) -> HLSStatistics:
        return HLSStatistics(
            **self._counts,
            upstream_connections=self.client.connections,
            upstream_connected=self.client.connected,
            upstream_bytes=self.client.bytes_in,
            store=self.store.statistics(),
        )

    def figures(self) -> Figures:
        counts = self._counts
        hits = counts["hits"] + counts["stale"] + counts["collapsed"] + counts["stale_if_error"]
        requests = hits + counts["misses"] + counts["passed"] + counts["errors"]
        return Figures(
            viewers=self._viewers, requests=requests, hits=hits, upstream_connections=self.client.connections
        )

    def streams(self) -> Sequence[StreamState]:
        now = self.ctx.clock()
        return [
            StreamState(name=name, on_air=not each.facts.ended and now - each.at < 3 * each.facts.target_duration)
            for name, each in self._streams.items()
        ]

    def purge(self, pattern: str, *, soft: bool = False) -> int:
        """Forget the paths that match; softly, they are stale at once and may still serve while revalidated."""
        prefix = pattern[:-1] if pattern.endswith("*") else None
        count = 0
        for key in self.store.keys():
            if not (key.startswith(prefix) if prefix is not None else key.partition("?")[0] == pattern):
                continue
            entry = self.store.get(key)
            if soft and entry is not None:
                meta: _Meta = entry.meta
                fresh = min(meta.lifetime.fresh, meta.age(self.ctx.clock()))
                entry.meta = evolve(meta, lifetime=evolve(meta.lifetime, fresh=fresh))
                count += 1
            else:
                count += self.store.remove(key)
        return count

    async def sweep(self) -> None:
        """Close upstream connections that nobody has needed for a while."""
        while True:
            await trio.sleep(SWEEP)
            self.client.sweep()

    # --- one request -----------------------------------------------------------------------------

    async def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(204, [*self._cors, (b"Allow", b"GET, HEAD, OPTIONS")])
        if request.method not in ("GET", "HEAD"):
            return text_response(405, "this is a cache: only GET and HEAD", (b"Allow", b"GET, HEAD, OPTIONS"))
        if problem := self._refuse(request):
            return problem
        path = f"{request.path}?{request.query}" if request.query else request.path
        key = self.ctx.upstream.key(path)
        try:
            if request.get(b"authorization") is not None:
                return await self._pass(path, key, request)
            return await self._cached(path, key, request)
        except NotServed as error:
            self._counts["errors"] += 1
            return self._refusal(404, str(error))
        except UpstreamError as error:
            self._counts["errors"] += 1
            status = 504 if " within " in error.reason or "nothing for" in error.reason else 502
            return self._refusal(status, f"{error}: try again, and tell who runs it if this goes on")

    def _refuse(self, request: Request) -> Response | None:
        plain = unquote_to_bytes(request.path)
        if _FORBIDDEN.search(plain) or any(part in (b".", b"..") for part in plain.split(b"/")) or plain[:1] != b"/":
            return self._refusal(400, "the path has dot segments, backslashes or control characters")
        via = request.get(b"via") or b""
        if self._via.partition(b" ")[2] in [each.strip().partition(b" ")[2] for each in via.split(b",")]:
            return self._refusal(508, f"a loop: this request has come through {self.ctx.tier} before; mend upstream=")
        if via.count(b",") >= MAX_HOPS:
            return self._refusal(508, f"a loop: this request has come through more than {MAX_HOPS} proxies")
        return None

    def _refusal(self, status: int, text: str) -> Response:
        return text_response(status, text, *self._cors)

    async def _cached(self, path: str, key: str, request: Request) -> Response:
        now = self.ctx.clock()
        stored = self.store.get(key)
        if stored is not None and stored.meta.fresh(now):
            return self._serve(stored, request, "hits")
        if self._passing.get(key, 0.0) > now:
            return await self._pass(path, key, request)
        fetch = partial(self._fetch, path=path, key=key, old=stored)
        if stored is not None and stored.meta.usable_while_revalidated(now):
            self.store.fill(key, fetch)
            return self._serve(stored, request, "stale")
        waiting = self.store.flight(key)
        if waiting is not None and waiting.waiters >= self.recipe.max_waiters:
            return text_response(503, "too many wait for this: try again", (b"Retry-After", b"1"), *self._cors)
        flight = self.store.fill(key, fetch)
        try:
            entry = await flight.head()
        except (NotShared, StoreFull):
            return await self._pass(path, key, request)
        except (UpstreamError, TierkitError) as error:
            if stored is not None and stored.meta.usable_if_error(self.ctx.clock()):
                return self._serve(stored, request, "stale_if_error")
            raise error if isinstance(error, (UpstreamError, NotServed)) else UpstreamError(self.ctx.tier, str(error))
        return self._serve(entry, request, "collapsed" if waiting is not None else "misses")

    # --- serving ---------------------------------------------------------------------------------

    def _serve(self, entry: Entry, request: Request, how: str) -> Response:
        self._counts[how] += 1
        meta: _Meta = entry.meta
        age = int(meta.age(self.ctx.clock()))
        headers = [
            *meta.headers,
            (b"Age", b"%d" % max(0, age)),
            (b"Via", self._via),
            (b"Cache-Status", b"tierkit; %b" % _STATUS[how]),
            *self._cors,
        ]
        if meta.status == 200 and not_modified(request.headers, meta.headers):
            return Response(304, headers)
        if meta.status != 200:
            return self._whole(entry, meta.status, headers)
        headers.append((b"Accept-Ranges", b"bytes"))
        wanted = request.get(b"range") if request.method == "GET" else None
        if wanted is None or not _range_applies(request, meta.headers):
            return self._whole(entry, 200, headers)
        try:
            span = parse_range(wanted, entry.length)
        except ValueError:
            return Response(416, [*headers, (b"Content-Range", b"bytes */%d" % (entry.length or 0))])
        if span is None or span[1] is None:
            return self._whole(entry, 200, headers)
        return self._part(entry, span[0], span[1], headers)

    def _whole(self, entry: Entry, status: int, headers: list[tuple[bytes, bytes]]) -> Response:
        if entry.complete and not entry.blob.in_kernel:
            return Response(status, headers, entry.blob.read(0, entry.size))
        entry.acquire()
        return Response(status, headers, partial(_copy, entry, 0, entry.length), entry.length, release=entry.release)

    def _part(self, entry: Entry, start: int, end: int, headers: list[tuple[bytes, bytes]]) -> Response:
        total = b"*" if entry.length is None else b"%d" % entry.length
        headers.append((b"Content-Range", b"bytes %d-%d/%b" % (start, end - 1, total)))
        entry.acquire()
        return Response(206, headers, partial(_copy, entry, start, end), end - start, release=entry.release)

    # --- upstream --------------------------------------------------------------------------------

    async def _fetch(self, filler: Filler, path: str, key: str, old: Entry | None) -> None:
        """Fill an object from the first upstream that can."""
        headers = self._headers()
        if old is not None and old.meta.status == 200:
            headers += [(name, value) for ours, name in _CONDITIONS if (value := get(old.meta.headers, ours))]

        async def take(candidate: Candidate, target: Address, response: ClientResponse) -> None:
            if response.status == 304 and old is not None:
                self._confirm(filler, path, old, response)
            else:
                await self._store(filler, path, key, candidate, target, response)

        await self._ask(path, key, headers, take, begun=lambda: filler.entry is not None)

    async def _ask(
        self,
        path: str,
        key: str,
        headers: Headers,
        take: _Take,
        *,
        begun: Callable[[], bool],
    ) -> None:
        """Try one upstream after the other, until one's answer is taken or something of it has been sent on."""
        failure: TierkitError = UpstreamError(self.ctx.tier, "has no upstream that speaks HTTP")
        for candidate in self.ctx.upstream.candidates(SCHEMES, key):
            try:
                await self._try(candidate, path, headers, take)
            except NotServed as error:
                # Another upstream's failure says more than "not here".
                if not isinstance(failure, UpstreamError) or failure.upstream == self.ctx.tier:
                    failure = error
            except (NotShared, StoreFull):
                raise
            except UpstreamError as error:
                failure = UpstreamError(candidate.name, error.reason)
                self._lost(candidate, error.reason)
                if begun():
                    raise failure from None
            else:
                self._back(candidate)
                return
        raise failure

    async def _try(
        self,
        candidate: Candidate,
        path: str,
        headers: Headers,
        take: _Take,
    ) -> None:
        for attempt in (1, 2):
            target = await candidate.source.target(path, SCHEMES)
            self._counts["upstream_requests"] += 1
            async with self.client.request("GET", target, headers, trust=candidate.trust) as response:
                again = candidate.source.observe(target, response.status, response.headers)
                if again and attempt == 1:
                    continue
                if response.status >= 500:
                    raise UpstreamError(candidate.name, f"answered {response.status}")
                await take(candidate, target, response)
                return

    def _confirm(self, filler: Filler, path: str, old: Entry, response: ClientResponse) -> None:
        """A 304: what is stored lives on, with what the new head says of its lifetime (RFC 9111 section 4.3.4)."""
        meta: _Meta = old.meta
        fresh = end_to_end(response.headers)
        named = {name for name, _ in fresh}
        headers = tuple([each for each in meta.headers if each[0] not in named] + fresh)
        lifetime = self._lifetime(path, meta.kind, 200, (*headers, *_age(response)), self._facts(old))
        old.meta = evolve(meta, headers=headers, lifetime=lifetime, arrived=self.ctx.clock())
        self._counts["revalidated"] += 1
        filler.confirm(old)

    def _facts(self, entry: Entry) -> PlaylistFacts | None:
        return read_playlist(entry.blob.read(0, entry.size)) if entry.meta.kind == "playlist" else None

    async def _store(
        self, filler: Filler, path: str, key: str, candidate: Candidate, target: Address, response: ClientResponse
    ) -> None:
        kind = classify(path, (get(response.headers, b"content-type") or b"").decode("latin-1"))
        playlist: bytes | None = None
        facts: PlaylistFacts | None = None
        if kind == "playlist" and response.status == 200:
            playlist, facts = await self._playlist(path, candidate, response)
        lifetime = self._lifetime(path, kind, response.status, response.headers, facts)
        if not lifetime.shared or (response.length or 0) > self.recipe.max_object:
            self._remember_pass(key)
            raise NotShared(lifetime.reason)
        meta = _Meta(
            status=response.status,
            headers=tuple(end_to_end(response.headers)),
            lifetime=lifetime,
            arrived=self.ctx.clock(),
            kind=kind,
        )
        if playlist is not None:
            filler.start(meta, len(playlist))
            filler.write(playlist)
            return
        filler.start(meta, response.length)
        size = 0
        while data := await response.read_some():
            size += len(data)
            if size > self.recipe.max_object:
                raise UpstreamError(candidate.name, f"sent more than {self.recipe.max_object} bytes: raise max_object")
            filler.write(data)

    async def _playlist(self, path: str, candidate: Candidate, response: ClientResponse) -> tuple[bytes, PlaylistFacts]:
        body = candidate.source.rewrite(path, await response.read(MAX_PLAYLIST))
        if get(response.headers, b"content-encoding") not in (None, b"identity"):
            raise UpstreamError(candidate.name, "sent a compressed playlist, which was not asked for")
        try:
            facts = read_playlist(body)
        except RemoteProtocolError as error:
            raise UpstreamError(candidate.name, f"{path.partition('?')[0]}: {error}") from None
        if not facts.multivariant:
            _remember(self._streams, _folder(path), _Stream(facts, self.ctx.clock()))
        return body, facts

    def _lifetime(self, path: str, kind: Kind, status: int, headers: Headers, facts: PlaylistFacts | None) -> Lifetime:
        stream = self._streams.get(_folder(path))
        return decide(
            kind,
            status,
            headers,
            facts=facts,
            target_duration=stream.facts.target_duration if stream is not None else 0.0,
            window=stream.facts.window if stream is not None else 0.0,
        )

    async def _pass(self, path: str, key: str, request: Request) -> Response:
        """Ask for this viewer alone, and store nothing."""
        self._counts["passed"] += 1
        headers = self._headers()
        for name in _PASSED_ON:
            if (value := request.get(name)) is not None:
                headers.append((name, value))
        found: trio.MemorySendChannel[Response | Exception]
        found, answer = trio.open_memory_channel[Response | Exception](1)
        sent = trio.Event()

        async def take(candidate: Candidate, target: Address, response: ClientResponse) -> None:
            fields = [*end_to_end(response.headers), (b"Via", self._via), *self._cors]
            fields.append((b"Cache-Status", b"tierkit; fwd=bypass"))
            body = partial(_relay, response)
            found.send_nowait(Response(response.status, fields, body, response.length, release=sent.set))
            await sent.wait()

        async def ask() -> None:
            try:
                await self._ask(path, key, headers, take, begun=lambda: answer.statistics().current_buffer_used > 0)
            except TierkitError as error:
                found.send_nowait(error)

        # The upstream's connection must stay open until the viewer has the body, so a task of its own holds
        # it: the tier's, ended by `release` however the sending ends.
        self._nursery.start_soon(ask, name=f"{self.ctx.tier} passes {key}")
        try:
            result = await answer.receive()
        except BaseException:
            sent.set()
            raise
        if isinstance(result, Exception):
            raise result
        return result

    def _headers(self) -> list[tuple[bytes, bytes]]:
        # Identity only: a cache that stores one form must not store a compressed one for all.
        return [
            (b"Accept", b"*/*"),
            (b"Accept-Encoding", b"identity"),
            (b"User-Agent", b"tierkit"),
            (b"Via", self._via),
        ]

    def _remember_pass(self, key: str) -> None:
        _remember(self._passing, key, self.ctx.clock() + PASS_SECONDS)

    def _lost(self, candidate: Candidate, reason: str) -> None:
        self._counts["upstream_errors"] += 1
        rest = self.ctx.upstream.failed(candidate, reason)
        if candidate.name not in self._down:
            self._down.add(candidate.name)
            self.ctx.emit(UpstreamLost(upstream=candidate.name, reason=reason, retry_in=rest))

    def _back(self, candidate: Candidate) -> None:
        self.ctx.upstream.succeeded(candidate)
        if candidate.name in self._down:
            self._down.discard(candidate.name)
            self.ctx.emit(UpstreamBack(upstream=candidate.name))


async def _copy(entry: Entry, start: int, end: int | None, sink: BodySink) -> None:
    """Send a stretch of an object, waiting for what has not arrived yet."""
    at = start
    while end is None or at < end:
        ready = await entry.more(at)
        if not ready:
            return
        count = ready if end is None else min(ready, end - at)
        if entry.blob.in_kernel:
            await sink.sendfile(entry.blob, at, count)
        else:
            await sink.write(entry.blob.read(at, count))
        at += count


async def _relay(response: ClientResponse, sink: BodySink) -> None:
    while data := await response.read_some():
        await sink.write(data)


_STATUS = {
    "hits": b"hit",
    "stale": b"hit; detail=stale-while-revalidate",
    "collapsed": b"fwd=miss; collapsed",
    "misses": b"fwd=miss; stored",
    "stale_if_error": b"hit; detail=stale-if-error",
}
#: Which stored field makes which condition of a revalidation (RFC 9110 section 13.1).
_CONDITIONS = ((b"etag", b"If-None-Match"), (b"last-modified", b"If-Modified-Since"))
#: What goes upstream of a request that is passed on for one viewer.
_PASSED_ON = (b"authorization", b"range", b"if-none-match", b"if-modified-since", b"if-range")


def _range_applies(request: Request, headers: Headers) -> bool:
    """Whether If-Range, where there is one, names what is stored (RFC 9110 section 13.1.5: strongly)."""
    wanted = request.get(b"if-range")
    if wanted is None:
        return True
    tag, modified = get(headers, b"etag"), get(headers, b"last-modified")
    return (wanted == tag and not wanted.startswith(b"W/")) or wanted == modified


def _age(response: ClientResponse) -> list[tuple[bytes, bytes]]:
    value = get(response.headers, b"age")
    return [] if value is None else [(b"age", value)]


def _folder(path: str) -> str:
    return path.partition("?")[0].rpartition("/")[0]


def _remember(memory: OrderedDict[str, _T], key: str, value: _T) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)


def _cors(origin: str) -> list[tuple[bytes, bytes]]:
    """The headers with which players on other sites' pages may read what we send (Fetch standard, CORS)."""
    if not origin:
        return []
    return [
        (b"Access-Control-Allow-Origin", origin.encode("latin-1", "replace")),
        (b"Access-Control-Allow-Methods", b"GET, HEAD, OPTIONS"),
        (b"Access-Control-Allow-Headers", b"Range, If-None-Match, If-Modified-Since, Content-Type"),
        (b"Access-Control-Expose-Headers", b"Age, Cache-Status, Content-Length, Content-Range, Date, ETag"),
        (b"Access-Control-Max-Age", b"86400"),
    ]


@hookimpl
def tierkit_services() -> Sequence[type[Service]]:
    """Brings `HLS`."""
    return [HLS]
