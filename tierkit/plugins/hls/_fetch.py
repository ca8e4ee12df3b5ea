"""What upstreams answer, into the store."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from attrs import frozen

from tierkit.codecs.hls import MAX_PLAYLIST, Kind, PlaylistFacts, classify, read_playlist
from tierkit.codecs.http1 import Headers, get
from tierkit.codecs.http_cache import Lifetime
from tierkit.codecs.http_conditional import revalidation
from tierkit.codecs.http_forward import stored_fields
from tierkit.codecs.http_update import HeadEffect, head_effect, invalidated, merged
from tierkit.codecs.http_vary import vary_key
from tierkit.http import ClientResponse, Request
from tierkit.plugin import (
    Address,
    Candidate,
    Context,
    Filler,
    NotShared,
    RemoteProtocolError,
    Store,
    StoreFull,
    UpstreamError,
)

from ._answers import Answers, beside
from ._ask import Asker, BadAnswer
from ._objects import Memory, Meta, StreamFacts, folders
from ._places import Place
from ._policy import Arrival, Policy
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


@frozen
class _Asked:
    """What upstream is asked for, with which fields of whose request, and when."""

    place: Place
    request: Headers
    at: float


class Fetcher:
    """A tier's way to its upstreams.

    Args:
        max_object: bytes of the largest object that is stored.
        wall: Unix seconds.

    Attributes:
        streams: the last media playlist in each folder.
        varies: the fields that what is stored under a key varies by.
        revalidated: answers of 304 so far.
    """

    def __init__(
        self,
        ctx: Context,
        store: Store,
        asker: Asker,
        answers: Answers,
        policy: Policy,
        *,
        max_object: int,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.ctx = ctx
        self.store = store
        self.asker = asker
        self.answers = answers
        self.policy = policy
        self.max_object = max_object
        self.streams: Memory[str, StreamFacts] = Memory()
        self.varies: Memory[str, tuple[bytes, ...]] = Memory()
        self.revalidated = 0
        self._wall = wall
        self._passing: Memory[str, float] = Memory()
        self._failing: Memory[str, float] = Memory()
        self._try_at = -math.inf

    def passes_by(self, key: str) -> bool:
        """Whether the answers for this key were not for others a moment ago."""
        return (self._passing.get(key) or 0.0) > self.ctx.clock()

    def resting(self, key: str) -> bool:
        """Whether this key, or every upstream, has failed a moment ago: asking again would only wait for the same."""
        if (self._failing.get(key) or 0.0) > self.ctx.clock():
            return True
        return self.asker.resting()

    def tries_again(self, key: str) -> bool:
        """Whether to look if upstream is back, while all that failed rest and something stale is served meanwhile.

        Rests grow to many seconds, and a live stream cannot wait for that: one request of the tier each
        `FAIL_SECONDS` goes first, and where it is answered everybody's rest ends.
        """
        now = self.ctx.clock()
        if now < max(self._try_at, self._failing.get(key) or 0.0):
            return False
        self._try_at = now + FAIL_SECONDS
        return True

    def forget(self, key: str) -> int:
        """Forget what is stored under a key, and all that varies there; returns how many objects that were."""
        self._passing.forget(key)
        count = int(self.store.remove(key))
        if self.varies.get(key) is not None:
            self.varies.forget(key)
            count += sum(self.store.remove(each) for each in self.store.keys() if each.startswith(key + "\n"))  # noqa: SIM118
        return count

    # --- into the store --------------------------------------------------------------------------

    async def fill(self, filler: Filler, place: Place, request: Headers) -> None:
        """Fill an object from the first upstream that can; what is stored already is only revalidated.

        `request` is the viewer's whose it is.
        """
        asked = _Asked(place, request, self.ctx.clock())
        headers = [*self.policy.asks(request, alone=False), self.answers.via(request)]
        old = filler.old
        if old is not None and old.meta.status == 200:
            headers += revalidation(old.meta.fields)

        async def take(candidate: Candidate, target: Address, response: ClientResponse) -> None:
            if response.status == 304:
                if old is None:
                    raise BadAnswer(candidate.name, "answered 304, which was not asked for")
                self._confirm(filler, asked, response)
            else:
                await self._store(filler, asked, candidate, response)

        relays = self.policy.relays_errors and (old is None or not old.meta.usable_if_error(self.ctx.clock()))
        key = filler.key
        try:
            await self.asker.ask(
                "GET", place.path, place.key, headers, take,
                begun=lambda: filler.entry is not None, relays_errors=relays,
            )  # fmt: skip
        except StoreFull:
            self._passing.put(place.key, self.ctx.clock() + FULL_SECONDS)
            raise
        except UpstreamError as error:
            if isinstance(error, TooLarge):
                self._passing.put(place.key, self.ctx.clock() + PASS_SECONDS)
            self._failing.put(key, self.ctx.clock() + FAIL_SECONDS)
            raise
        self._failing.forget(key)

    def _confirm(self, filler: Filler, asked: _Asked, response: ClientResponse) -> None:
        """A 304: what is stored lives on, with what the new head says (RFC 9111 section 4.3.4)."""
        assert filler.old is not None
        meta: Meta = filler.old.meta
        fields = merged(meta.fields, response.headers)
        lifetime = self._lifetime(asked, meta.kind, meta.status, fields, meta.facts)
        if not lifetime.shared:  # it was, and is not any more
            self.forget(asked.place.key)
            raise NotShared(lifetime.reason)
        filler.old.meta = self._meta(meta.status, fields, lifetime, meta.kind, meta.facts)
        self.revalidated += 1
        filler.confirm()

    async def _store(self, filler: Filler, asked: _Asked, candidate: Candidate, response: ClientResponse) -> None:
        place = asked.place
        kind = classify(place.path, (get(response.headers, b"content-type") or b"").decode("latin-1"))
        playlist: bytes | None = None
        facts: PlaylistFacts | None = None
        if kind == "playlist" and response.status == 200:
            playlist, facts = await self._playlist(place.path, candidate, response)
        lifetime = self._lifetime(asked, kind, response.status, response.headers, facts)
        if not lifetime.shared or (response.length or 0) > self.max_object:
            if response.status in (200, 203):  # a refusal says nothing about what will come
                self._passing.put(place.key, self.ctx.clock() + PASS_SECONDS)
            raise NotShared(lifetime.reason or f"larger than {self.max_object} bytes")
        meta = self._meta(response.status, response.headers, lifetime, kind, facts)
        filler.keep = lifetime.kept
        length = response.length if playlist is None else len(playlist)
        filler.start(meta, length, beside=beside(length), key=self._variant(asked, lifetime))
        if playlist is not None:
            filler.write(playlist)
            return
        await copy_body(filler, candidate.name, response, self.max_object)

    def _meta(self, status: int, fields: Headers, lifetime: Lifetime, kind: Kind, facts: PlaylistFacts | None) -> Meta:
        kept = tuple(stored_fields(fields, now=self._wall(), strip=lifetime.strip))
        headers = tuple(self.answers.forward(kept))
        return Meta(status=status, fields=kept, headers=headers, lifetime=lifetime, arrived=self.ctx.clock(),
                    kind=kind, facts=facts)  # fmt: skip

    def _variant(self, asked: _Asked, lifetime: Lifetime) -> str:
        """The key that an answer is stored under: with what the request said, where it varies by that."""
        key = asked.place.key
        if not lifetime.vary:
            self.varies.forget(key)
            return key
        said = vary_key(lifetime.vary, asked.request)
        if said is None:
            raise NotShared("it varies by fields that are too long")
        self.varies.put(key, lifetime.vary)
        return f"{key}\n{said.decode('latin-1')}"

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

    def _lifetime(
        self, asked: _Asked, kind: Kind, status: int, headers: Headers, facts: PlaylistFacts | None
    ) -> Lifetime:
        stream = next(filter(None, map(self.streams.get, folders(asked.place.path))), None)
        return self.policy.lifetime(
            Arrival(
                kind=kind,
                status=status,
                headers=headers,
                request=asked.request,
                wall=self._wall(),
                delay=self.ctx.clock() - asked.at,
                facts=facts,
                target_duration=stream.facts.target_duration if stream is not None else 0.0,
                window=stream.facts.window if stream is not None else 0.0,
            )
        )

    # --- what passes by --------------------------------------------------------------------------

    def passed(self, place: Place, request: Request, response: ClientResponse) -> None:
        """An answer that went to one viewer alone may say that what is stored is another by now."""
        if request.method == "HEAD":
            self._heed_head(place, request.headers, response)
            return
        url = f"http://{request.host or 'localhost'}{place.path}"
        base = url[: len(url) - len(place.path)]
        for each in invalidated(request.method.encode(), response.status, response.headers, url):
            self.forget(place.key if each == url else each[len(base) :])

    def _heed_head(self, place: Place, request: Headers, response: ClientResponse) -> None:
        names = self.varies.get(place.key)
        said = vary_key(names, request) if names is not None else b""
        if said is None:
            return
        entry = self.store.get(f"{place.key}\n{said.decode('latin-1')}" if said else place.key)
        if entry is None or entry.meta.status != 200:
            return
        meta: Meta = entry.meta
        match head_effect(meta.fields, entry.length, response.status, response.headers):
            case HeadEffect.UPDATE:
                fields = merged(meta.fields, response.headers)
                asked = _Asked(place, request, self.ctx.clock())
                lifetime = self._lifetime(asked, meta.kind, meta.status, fields, meta.facts)
                if lifetime.shared:
                    entry.meta = self._meta(meta.status, fields, lifetime, meta.kind, meta.facts)
                else:
                    self.forget(place.key)
            case HeadEffect.STALE:
                entry.meta = meta.staled(self.ctx.clock())
            case HeadEffect.NOTHING:
                pass
