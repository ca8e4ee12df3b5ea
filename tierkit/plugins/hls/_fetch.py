"""What upstreams answer, into the store or past it."""

from __future__ import annotations

from functools import partial

import trio
from attrs import evolve

import tierkit
from tierkit.codecs.hls import MAX_PLAYLIST, Kind, PlaylistFacts, classify, read_playlist
from tierkit.codecs.http1 import Headers, content_length, get
from tierkit.codecs.live_cache import Lifetime, decide
from tierkit.http import BodySink, ClientResponse, HttpClient, Request, Response
from tierkit.plugin import (
    Address,
    Candidate,
    Context,
    Filler,
    NotShared,
    RemoteProtocolError,
    StoreFull,
    UpstreamError,
)

from ._answers import Answers, beside
from ._ask import Asker, BadAnswer
from ._objects import Memory, Meta, StreamFacts, folders
from ._resume import TooLarge, copy_body

__all__ = ["Fetcher"]

#: Seconds for which it is remembered that an answer is not for others (Varnish's hit-for-miss: 120 s; a live
#: stream changes its mind sooner), and that one found no room.
PASS_SECONDS = 10.0
FULL_SECONDS = 1.0
#: Seconds for which a key that failed is not asked for again while something stale can be served instead.
FAIL_SECONDS = 1.0
#: Playlists longer than this are parsed in a thread: some 25 µs a segment, and nobody waits for a day of DVR.
LONG_PLAYLIST = 65536
#: Which stored field makes which condition of a revalidation (RFC 9110 section 13.1).
CONDITIONS = ((b"etag", b"If-None-Match"), (b"last-modified", b"If-Modified-Since"))
#: What goes upstream of a request that is passed on for one viewer.
PASSED_ON = (b"authorization", b"range", b"if-none-match", b"if-modified-since", b"if-range")


class Fetcher:
    """A tier's way to its upstreams.

    Args:
        nursery: the tier's; it carries what is passed on while a viewer reads it.
        max_object: bytes of the largest object that is stored.
    """

    def __init__(
        self, ctx: Context, client: HttpClient, answers: Answers, nursery: trio.Nursery, *, max_object: int
    ) -> None:
        self.ctx = ctx
        self.client = client
        self.answers = answers
        self.max_object = max_object
        #: The last media playlist in each folder.
        self.streams: Memory[str, StreamFacts] = Memory()
        #: Until when a key is passed on without trying to store it.
        self.passing: Memory[str, float] = Memory()
        self.asker = Asker(ctx, client)
        self._failing: Memory[str, float] = Memory()
        #: Requests that are being passed on now.
        self.passes = 0
        #: So far.
        self.revalidated = 0
        self._nursery = nursery

    def resting(self, key: str) -> bool:
        """Whether this key, or every upstream, has failed a moment ago: asking again would only wait for the same."""
        if (self._failing.get(key) or 0.0) > self.ctx.clock():
            return True
        return self.asker.resting()

    # --- into the store --------------------------------------------------------------------------

    async def fill(self, filler: Filler, path: str, key: str, via: tuple[bytes, bytes]) -> None:
        """Fill an object from the first upstream that can; what is stored already is only revalidated."""
        headers, old = self._headers(via), filler.old
        if old is not None and old.meta.status == 200:
            headers += [(name, value) for field, name in CONDITIONS if (value := get(old.meta.headers, field))]

        async def take(candidate: Candidate, target: Address, response: ClientResponse) -> None:
            if response.status == 304:
                if old is None:
                    raise BadAnswer(candidate.name, "answered 304, which was not asked for")
                self._confirm(filler, path, response)
            else:
                await self._store(filler, path, key, candidate, response)

        try:
            await self.asker.ask("GET", path, key, headers, take, begun=lambda: filler.entry is not None)
        except StoreFull:
            self.passing.put(key, self.ctx.clock() + FULL_SECONDS)
            raise
        except UpstreamError as error:
            if isinstance(error, TooLarge):
                self.passing.put(key, self.ctx.clock() + PASS_SECONDS)
            self._failing.put(key, self.ctx.clock() + FAIL_SECONDS)
            raise
        self._failing.forget(key)

    def _confirm(self, filler: Filler, path: str, response: ClientResponse) -> None:
        """A 304: what is stored lives on, with what the new head says of its lifetime (RFC 9111 section 4.3.4)."""
        assert filler.old is not None
        meta: Meta = filler.old.meta
        news = self.answers.forward(response.headers)
        named = {name.lower() for name, _ in news}
        headers = tuple([each for each in meta.headers if each[0].lower() not in named] + news)
        age = [(b"age", value)] if (value := get(response.headers, b"age")) is not None else []
        lifetime = self._lifetime(path, meta.kind, 200, (*headers, *age), meta.facts)
        filler.old.meta = evolve(meta, headers=headers, lifetime=lifetime, arrived=self.ctx.clock())
        self.revalidated += 1
        filler.confirm()

    async def _store(self, filler: Filler, path: str, key: str, candidate: Candidate, response: ClientResponse) -> None:
        kind = classify(path, (get(response.headers, b"content-type") or b"").decode("latin-1"))
        playlist: bytes | None = None
        facts: PlaylistFacts | None = None
        if kind == "playlist" and response.status == 200:
            playlist, facts = await self._playlist(path, candidate, response)
        lifetime = self._lifetime(path, kind, response.status, response.headers, facts)
        if not lifetime.shared or (response.length or 0) > self.max_object:
            if response.status in (200, 203):  # a refusal says nothing about what will come
                self.passing.put(key, self.ctx.clock() + PASS_SECONDS)
            raise NotShared(lifetime.reason or f"larger than {self.max_object} bytes")
        meta = Meta(
            status=response.status,
            headers=tuple(self.answers.forward(response.headers)),
            lifetime=lifetime,
            arrived=self.ctx.clock(),
            kind=kind,
            facts=facts,
        )
        filler.keep = lifetime.kept
        if playlist is not None:
            filler.start(meta, len(playlist), beside=beside(len(playlist)))
            filler.write(playlist)
            return
        filler.start(meta, response.length, beside=beside(response.length))
        await copy_body(filler, candidate.name, response, self.max_object)

    async def _playlist(self, path: str, candidate: Candidate, response: ClientResponse) -> tuple[bytes, PlaylistFacts]:
        if get(response.headers, b"content-encoding") not in (None, b"identity"):
            raise BadAnswer(candidate.name, "sent a compressed playlist, which was not asked for")
        body = candidate.source.rewrite(path, await response.read(MAX_PLAYLIST))
        try:
            if len(body) > LONG_PLAYLIST:
                facts = await self.ctx.run_sync(read_playlist, body)
            else:
                facts = read_playlist(body)
        except RemoteProtocolError as error:
            raise BadAnswer(candidate.name, f"{path.partition('?')[0]}: {error}") from None
        if not facts.multivariant:
            only = path.partition("?")[0]
            self.streams.put(next(folders(only)), StreamFacts(only, facts, self.ctx.clock()))
        return body, facts

    def _lifetime(self, path: str, kind: Kind, status: int, headers: Headers, facts: PlaylistFacts | None) -> Lifetime:
        stream = next(filter(None, map(self.streams.get, folders(path))), None)
        return decide(
            kind,
            status,
            headers,
            facts=facts,
            target_duration=stream.facts.target_duration if stream is not None else 0.0,
            window=stream.facts.window if stream is not None else 0.0,
        )

    # --- past the store --------------------------------------------------------------------------

    async def pass_on(self, path: str, key: str, request: Request) -> Response:
        """Ask for this viewer alone, and store nothing."""
        headers = self._headers(self.answers.via(request.headers))
        headers += [(name, value) for name in PASSED_ON if (value := request.get(name)) is not None]
        give, answer = trio.open_memory_channel[Response | Exception](1)
        sent = trio.Event()
        taken = False

        async def take(candidate: Candidate, target: Address, response: ClientResponse) -> None:
            nonlocal taken
            taken = True
            fields = [
                *self.answers.forward(response.headers, alone=True),
                self.answers.how("passed"),
                *self.answers.cors,
            ]
            # To HEAD, the length is that of the body which would have come.
            length = content_length(response.headers) if request.method == "HEAD" else response.length
            give.send_nowait(Response(response.status, fields, partial(_relay, response), length, release=sent.set))
            await sent.wait()

        async def ask() -> None:
            try:
                await self.asker.ask(request.method, path, key, headers, take, begun=lambda: taken)
            except Exception as error:  # this is a task of the tier's: what went wrong is the viewer's to tell
                if not taken:
                    give.send_nowait(error)
            finally:
                self.passes -= 1

        self.passes += 1
        # The upstream's connection must stay open until the viewer has the body, so a task of its own holds
        # it, ended by `release` however the sending ends.
        self._nursery.start_soon(ask, name=f"{self.ctx.tier} passes {key}")
        try:
            result = await answer.receive()
        except BaseException:
            sent.set()
            raise
        if isinstance(result, Exception):
            raise result
        return result

    def _headers(self, via: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        # Identity only: a cache that stores one form must not store a compressed one for all.
        return [
            (b"Accept", b"*/*"),
            (b"Accept-Encoding", b"identity"),
            (b"User-Agent", b"tierkit/" + tierkit.__version__.encode()),
            via,
        ]


async def _relay(response: ClientResponse, sink: BodySink) -> None:
    while data := await response.read_some():
        await sink.write(data)
