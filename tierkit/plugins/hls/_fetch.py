"""What upstreams answer, into the store."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial

import trio
from attrs import evolve

from tierkit.codecs.hls import classify
from tierkit.codecs.hls_query import longest_hold
from tierkit.codecs.http1 import Headers, get
from tierkit.codecs.http_cache import Lifetime
from tierkit.codecs.http_conditional import revalidation
from tierkit.codecs.http_update import merged, selected
from tierkit.codecs.http_vary import vary_key
from tierkit.http import REQUEST_ID, ClientResponse, new_request_id
from tierkit.plugin import (
    Address,
    Candidate,
    Context,
    Filler,
    NotServed,
    NotShared,
    Store,
    StoreFull,
    UpstreamError,
)

from ._about import About
from ._answers import Answers, beside
from ._ask import Asker, BadAnswer
from ._live import Streams
from ._objects import Memory, Meta
from ._places import NOTHING, Gate, Place, Refused, check_path
from ._policy import Policy
from ._reading import read_body
from ._resume import TooLarge, copy_body
from ._terms import Asked, Lead, Terms
from ._variants import Variants

__all__ = ["Fetcher"]

#: Seconds for which it is remembered that an answer is not for others (Varnish's hit-for-miss: 120 s; a live
#: stream changes its mind sooner), and that one found no room.
PASS_SECONDS = 10.0
FULL_SECONDS = 1.0
#: The same of one that did not say how long it is, and outgrew what may be stored while it was read: each time that is
#: found out all its readers are reset, and what is endless once stays so.
OUTGREW_SECONDS = 600.0
#: Seconds for which a key that failed is not asked for again while something stale can be served instead.
FAIL_SECONDS = 1.0
#: Seconds between two questions for something that is not there yet: a viewer who waits for a segment of 2 s notices
#: no quarter of one.
ASK_AGAIN = 0.25
#: Seconds for which a blocking request is held where nothing is known of its playlist: 3 target durations of 6 s.
FIRST_HOLD = 18.0


class NotYet(NotShared):
    """Upstream does not have what comes next."""


class OtherVersion(NotShared):
    """A 304 about something else than what was asked about."""


class Fetcher:
    """A tier's way to its upstreams.

    Args:
        prefetch: whether what a playlist has listed anew is fetched before anybody asks.
        max_object: bytes of the largest object that is stored.
        wall: Unix seconds.

    Attributes:
        streams: the media playlists that have come.
        varies: the fields that what is stored under a key varies by.
        revalidated: answers of 304 so far.
        prefetched: fetches begun by a playlist, not by a viewer, so far.
    """

    def __init__(
        self,
        ctx: Context,
        store: Store,
        asker: Asker,
        answers: Answers,
        policy: Policy,
        gate: Gate,
        *,
        prefetch: bool,
        max_object: int,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.ctx = ctx
        self.store = store
        self.asker = asker
        self.answers = answers
        self.policy = policy
        self.gate = gate
        self.prefetch = prefetch
        self.max_object = max_object
        self.streams = Streams(gate.called)
        self.varies = Variants(store)
        self.terms = Terms(ctx.clock, wall, policy, answers, self.streams)
        self.revalidated = self.prefetched = 0
        #: Whether one more request may be under way; who counts them all says so.
        self.may_fetch: Callable[[], bool] = lambda: True
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
        return self.asker.resting(key)

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
        count = int(self.store.remove(key))
        arriving = [each for each in self.store.under_way() if each.startswith(f"{key}\n")]
        count += sum(self.store.remove(each) for each in {*self.varies.keys(key), *arriving})
        self.unlearn(key)
        return count

    def unlearn(self, key: str) -> None:
        """Forget what was found out about a key, but for what is stored."""
        self._passing.forget(key)
        self.varies.forget(key)

    # --- into the store --------------------------------------------------------------------------

    def patience(self, place: Place) -> float:
        """Seconds to wait for something that is not there: a target duration for the segment that comes next."""
        return self.streams.awaits(place.only) if self.policy.knows_streams else 0.0

    async def fill(
        self, filler: Filler, place: Place, request: Headers, lead: Lead | None = None, id: str = ""
    ) -> None:
        """Fill an object from the first upstream that can; what is stored already is only revalidated.

        `request` is the viewer's whose it is, `lead` he himself, `id` what the request is called in logs; what nobody
        has asked for has an id of its own.
        """
        asked = Asked(place, request, self.ctx.clock(), self.patience(place), lead)
        called = (REQUEST_ID, (id or new_request_id()).encode("ascii"))
        headers = [*self.policy.asks(request, alone=False), self.answers.via(request), called, *place.host_field]
        old = filler.old
        conditions = revalidation(old.meta.fields) if old is not None and old.meta.status == 200 else []

        async def take(candidate: Candidate, target: Address, response: ClientResponse) -> None:
            if response.status != 304:
                await self._store(filler, asked, candidate, target, response)
            elif conditions:
                self._confirm(filler, asked, response)
            else:
                raise BadAnswer(candidate.name, "answered 304, which was not asked for")

        relays = self.policy.relays_errors and (old is None or not old.meta.usable_if_error(self.ctx.clock()))

        async def ask() -> None:
            nonlocal conditions
            try:
                await self.asker.ask(
                    "GET", place.path, place.key, [*headers, *conditions], take,
                    begun=lambda: filler.entry is not None, relays_errors=relays, in_turn=True,
                )  # fmt: skip
            except OtherVersion:
                conditions = []
                await ask()

        key = filler.key
        try:
            await self._patiently(ask, asked)
        except StoreFull:
            rest = FULL_SECONDS if filler.entry is None else OUTGREW_SECONDS
            self._passing.put(place.key, self.ctx.clock() + rest)
            raise
        except UpstreamError as error:
            if isinstance(error, TooLarge):
                self._passing.put(place.key, self.ctx.clock() + OUTGREW_SECONDS)
            self._failing.put(key, self.ctx.clock() + FAIL_SECONDS)
            raise
        self._failing.forget(key)

    async def _patiently(self, ask: Callable[[], Awaitable[None]], asked: Asked) -> None:
        """Ask, and ask again for what is not there yet; hold what blocks for so long and no longer."""
        place = asked.place
        programme = self.streams.get(place.base)
        if place.directives.blocking:
            hold = longest_hold(programme.facts) if programme is not None else FIRST_HOLD
            with trio.move_on_after(hold) as scope:
                await (ask() if programme is None else self._through_failures(ask))
            if scope.cancelled_caught:
                raise Refused(503, f"nothing new for {hold:g} s: the stream stands still", (b"Retry-After", b"1"))
            return None
        while True:
            try:
                return await ask()
            except NotYet:
                # Whoever is early by a moment waits for a target duration at most, then hears that it is not there.
                asked.patience = max(0.0, asked.patience - ASK_AGAIN)
                await trio.sleep(ASK_AGAIN)

    async def _through_failures(self, ask: Callable[[], Awaitable[None]]) -> None:
        """Ask until it succeeds: who waits for what comes next has all that is there, and gets over a short failure."""
        while True:
            with suppress(UpstreamError):
                return await ask()
            await trio.sleep(FAIL_SECONDS)

    def _confirm(self, filler: Filler, asked: Asked, response: ClientResponse) -> None:
        """A 304: what is stored lives on, with what the new head says (RFC 9111 section 4.3.4)."""
        assert filler.old is not None
        meta: Meta = filler.old.meta
        if not selected([meta.fields], response.headers, self._wall()):
            raise OtherVersion(f"{asked.place.path} is another by now")
        fields = merged(meta.fields, response.headers)
        lifetime = self.terms.lifetime(asked, meta.status, fields, meta.about)
        if not lifetime.shared:  # it was, and is not any more
            self.forget(asked.place.key)
            raise NotShared(lifetime.reason)
        filler.old.meta = self.terms.meta(asked, meta.status, fields, lifetime, meta.about)
        self._withhold(asked, lifetime, response.headers)
        self.revalidated += 1
        if meta.about.media_playlist and asked.place.key == asked.place.base:
            self.streams.confirmed(asked.place.base, self.ctx.clock())
        filler.confirm()

    async def _store(
        self, filler: Filler, asked: Asked, candidate: Candidate, target: Address, response: ClientResponse
    ) -> None:
        place = asked.place
        if response.status == 404 and asked.patience > 0:
            raise NotYet(f"{place.only} is not there yet")
        kind = classify(place.path, (get(response.headers, b"content-type") or b"").decode("latin-1"))
        text: bytes | None = None
        about = About(kind=kind)
        if self.policy.knows_streams:
            text, about = await read_body(self.ctx, self.gate.elsewhere, kind, place.path, candidate, target, response)
            if not self._shown(filler, asked, response, about, text):
                return
        lifetime = self.terms.lifetime(asked, response.status, response.headers, about)
        if not lifetime.shared or (response.length or 0) > self.max_object:
            if response.status in (200, 203):  # a refusal says nothing about what will come
                self._passing.put(place.key, self.ctx.clock() + PASS_SECONDS)
            if not self._for_the_lead(filler, asked, response):
                raise NotShared(lifetime.reason or f"larger than {self.max_object} bytes")
            meta, key = self.terms.of_one(response, about), place.key
        else:
            filler.keep = lifetime.kept
            meta = self.terms.meta(asked, response.status, response.headers, lifetime, about.brief())
            self._withhold(asked, lifetime, response.headers)
            key = self._variant(asked, lifetime)
        length = response.length if text is None else len(text)
        filler.start(meta, length, beside=beside(key, meta, length), key=key)
        if text is not None:
            filler.write(text)
            return
        await copy_body(filler, candidate.name, response, self.max_object)

    def _withhold(self, asked: Asked, lifetime: Lifetime, headers: Headers) -> None:
        """What is stored without some fields goes to the one who asked with them: they are his, or validated now."""
        if asked.lead is not None and lifetime.strip and self.policy.asks_as_viewer:
            passed = self.answers.forward(headers, alone=True)
            asked.lead.own = tuple(each for each in passed if each[0] in lifetime.strip)

    def _for_the_lead(self, filler: Filler, asked: Asked, response: ClientResponse) -> bool:
        """Whether what is not for others goes to the one who asked, so that he need not ask upstream again.

        He must be the only one who waits, and it must fit; others ask for themselves.
        """
        if asked.lead is None or not asked.lead.here or (response.length or self.max_object + 1) > self.max_object:
            return False
        filler.keep = False
        return filler.alone()

    def _variant(self, asked: Asked, lifetime: Lifetime) -> str:
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

    def _shown(self, filler: Filler, asked: Asked, response: ClientResponse, about: About, text: bytes | None) -> bool:
        """Whether viewers may see this version of a playlist or manifest; what follows from it is begun.

        Where they may not, because it is older than what they have seen, that is shown for another while.
        """
        shown, current = True, filler.old
        if about.media_playlist:
            assert text is not None
            shown = self._arrived(asked, response, about, text)
            current = self.store.get(asked.place.base) or current
        elif current is not None:
            shown = not about.older_than(current.meta.about)
        if shown or current is None:
            return True
        old: Meta = current.meta
        asked = evolve(asked, place=asked.place.directed(NOTHING))
        lifetime = self.terms.lifetime(asked, old.status, response.headers, old.about)
        current.meta = self.terms.meta(asked, old.status, old.fields, lifetime, old.about)
        filler.confirm(current)
        return False

    def _arrived(self, asked: Asked, response: ClientResponse, about: About, text: bytes) -> bool:
        place, facts = asked.place, about.facts
        assert facts is not None
        arrived = self.streams.arrived(place, facts, text, self.ctx.clock())
        for child in self._children(arrived.step.purge):
            self.forget(child.key)
        self._forget_outgrown(arrived.step.reach)
        if arrived.shown:
            if place.key != place.base and not facts.skipped:
                self._show_plainly(asked, response, about, text)
            for child in self._children(arrived.step.fresh if self.prefetch else ()):
                self._fetch_ahead(child)
        return arrived.shown

    def _forget_outgrown(self, reach: Iterable[tuple[str, int]]) -> None:
        """Forget copies that are shorter than what is listed of them: they were made while the resource grew."""
        for path, end in reach:
            for child in self._children([path]):
                entry = self.store.get(child.key)
                if entry is not None and entry.complete and entry.size < end:
                    self.forget(child.key)

    def _children(self, paths: Iterable[str]) -> Iterator[Place]:
        """The places of what a playlist lists; what nobody would get who asked for it is left out."""
        for path in paths:
            with suppress(Refused, NotServed):
                check_path(path.partition("?")[0])
                yield self.gate.child(path)

    def _show_plainly(self, asked: Asked, response: ClientResponse, about: About, text: bytes) -> None:
        """Who asks for a playlist without waiting gets what was waited for, but not for as long: it will go on."""
        asked = evolve(asked, place=asked.place.directed(NOTHING))
        lifetime = self.terms.lifetime(asked, response.status, response.headers, about)
        self.store.remove(asked.place.key)  # whatever is stored or under way is older: nobody's playlist may go back
        if lifetime.shared:
            meta = self.terms.meta(asked, response.status, response.headers, lifetime, about.brief())
            with suppress(StoreFull):
                key = asked.place.key
                self.store.put(key, meta, text, asked.place.stream, beside=beside(key, meta, len(text)))

    def _fetch_ahead(self, place: Place) -> None:
        if self.store.get(place.key) is None and self.store.flight(place.key) is None and self.may_fetch():
            self.prefetched += 1
            self.store.fill(place.key, partial(self.fill, place=place, request=()), place.stream)
