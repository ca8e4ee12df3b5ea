"""Asking upstreams: one after the other until one answers, two at once where the first is slow, and the rest of a
body from the next where one breaks off.

Whose fault a failure is, and what follows from it, is in `_health`; what may be gone on with is in `_resume`, how
often one may be asked beside another in `_hedge`.  Here they are put in order:

1. The candidates are asked in turn.  What fails before anything of it was sent on goes to the next.
2. Where `hedge_after` seconds pass without a head, the next is asked beside the first, once for each request and
   within the budget.  The first acceptable head wins, and the other connection is dropped.
3. A body that breaks off is gone on with at the next candidate, on a fresh connection, or at the same one where there
   is no other: each is asked once for each break, and `RESUMPTIONS` breaks are borne with.
4. What may have done something, an unsafe method, goes to nobody else once it may have arrived.

Each failure is told once: as UpstreamLost where that is news, else as StreamFault where viewers were reading.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from functools import partial

from attrs import evolve, field, frozen

from tierkit.codecs.hls import MAX_PLAYLIST, classify
from tierkit.codecs.http1 import Headers
from tierkit.events import StreamFault
from tierkit.http import Body, ClientResponse, HttpClient, Inform, Unreached
from tierkit.plugin import (
    Address,
    Candidate,
    Context,
    Known,
    NotServed,
    NotShared,
    StoreFull,
    TierkitError,
    UpstreamError,
)

from ._elsewhere import Elsewhere
from ._health import BadAnswer, Health
from ._hedge import Claim, HedgeBudget, race
from ._lanes import Lanes
from ._policy import OURS
from ._resume import BrokeOff, TooLarge

__all__ = ["RESUMPTIONS", "SCHEMES", "Asker", "BadAnswer", "Take"]

SCHEMES = ("http", "https")
#: Methods that can be asked of several (RFC 9110 section 9.2.1).
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: Breaks of one body that are borne with: an upstream that breaks off each megabyte is no upstream.
RESUMPTIONS = 4

Take = Callable[[Candidate, Address, ClientResponse], Awaitable[None]]


@frozen(kw_only=True)
class _Wanted:
    """What somebody wants."""

    method: str
    path: str
    key: str
    headers: Headers
    body: Body
    take: Take
    begun: Callable[[], bool]
    inform: Inform | None = None
    #: Whether its answer may be one of 5xx, where nobody has a better one.
    relays_errors: bool
    #: Whether it keeps to its source's lanes: what fills the store comes at upstream's pace, and holds nobody up.
    in_turn: bool = False
    #: Who may be asked yet, and who was and has failed.
    line: list[Candidate]
    tried: set[str] = field(factory=set)

    @property
    def repeatable(self) -> bool:
        """Whether it may be asked twice: it does nothing, and its body is not gone (RFC 9110 section 9.2.2)."""
        return self.method in SAFE and not isinstance(self.body, AsyncIterable)

    def again(self, error: UpstreamError) -> bool:
        """Whether somebody else may be asked after this."""
        return self.repeatable or isinstance(error, Unreached)

    def alone(self, candidate: Candidate) -> bool:
        """Whether nobody else is left to give a better answer."""
        return all(each is candidate or each.name in self.tried for each in self.line)

    @property
    def stream(self) -> str:
        return self.path.partition("?")[0]


class Asker:
    """A tier's upstreams over HTTP."""

    def __init__(self, ctx: Context, client: HttpClient, elsewhere: Elsewhere | None = None) -> None:
        self.ctx = ctx
        self.client = client
        self.elsewhere = elsewhere or Elsewhere()
        self.health = Health(ctx)
        self.budget = HedgeBudget()
        self.lanes = Lanes()
        #: Seconds without a head after which the next upstream is asked as well; 0 never.
        self.hedge_after = 0.0
        #: Whether upstreams give the same bytes for a segment's name, so that one may go on for another by it alone.
        self.same_bytes = False
        #: Whether the objects of one folder go to one upstream where upstreams are chosen by hash, or each to its own.
        self.together = False
        #: Requests sent so far, and how many failed.
        self.requests = self.errors = 0
        #: Requests of these that were sent beside a slow one.
        self.hedged = 0
        #: Bodies that broke off and went on elsewhere, and those that did not, so that their readers were reset.
        self.resumed = self.broken = 0

    def resting(self, key: str) -> bool:
        """Whether everybody who could be asked for a key has failed a moment ago."""
        other = self.elsewhere.candidate(key)
        candidates = [other] if other is not None else self.ctx.upstream.candidates(SCHEMES)
        return bool(candidates) and all(
            self.health.down(each) or self.ctx.upstream.delay(each) > 0 for each in candidates
        )

    def candidates(self, key: str) -> list[Candidate]:
        """Whom to ask for a key, in order, now.

        A shield layer (`policy="hash"`) is best given each object by itself: one popular stream is then carried by
        all of it.  Where its members do what needs a stream's playlist and segments in one place, as prefetching
        does, `together` has them hash the folder instead; a popular stream is then one member's load.
        """
        if (other := self.elsewhere.candidate(key)) is not None:
            return [other]
        where = key.partition("?")[0].rpartition("/")[0] if self.together else key
        return self.health.order(self.ctx.upstream.candidates(SCHEMES, where), key)

    async def ask(
        self,
        method: str,
        path: str,
        key: str,
        headers: Headers,
        take: Take,
        *,
        begun: Callable[[], bool],
        body: Body = None,
        relays_errors: bool = False,
        inform: Inform | None = None,
        in_turn: bool = False,
    ) -> None:
        """Try one upstream after the other, until one's answer is taken or something of it has been sent on.

        Args:
            take: given the first acceptable answer; what it raises as an UpstreamError goes to the next.
            begun: whether something of it has been sent on, so that nobody else's answer will do.
            body: of the request, for methods that have one.
            relays_errors: whether an answer of 5xx is taken where nobody else is left to ask.
            inform: told of interim answers.
            in_turn: whether it waits for others in the lane that its source names.
        """
        waiting = self.candidates(key)
        wanted = _Wanted(
            method=method,
            path=path,
            key=key,
            headers=headers,
            body=body,
            take=take,
            begun=begun,
            relays_errors=relays_errors,
            inform=inform,
            in_turn=in_turn,
            line=waiting,
        )
        failure: TierkitError | None = None
        while waiting:
            for error in await self._next(waiting, wanted):
                if error is None:
                    return
                # What could be asked and failed says more than what was out of scope.
                if failure is None or not isinstance(failure, UpstreamError):
                    failure = error
        raise failure or UpstreamError(self.ctx.tier, "has no upstream that speaks HTTP")

    async def _next(self, waiting: list[Candidate], wanted: _Wanted) -> Sequence[TierkitError | None]:
        """Ask the next in the line, or the next two; takes who has been asked out of it.

        Each outcome is a failure after which others may be asked, or None where the answer was taken.
        """
        self.budget.asked()
        if self.hedge_after <= 0 or len(waiting) < 2 or not wanted.repeatable:
            return [await self._one(waiting.pop(0), _unclaimed, wanted=wanted)]
        return await race(partial(self._one, wanted=wanted), waiting, self.hedge_after, self._may_hedge)

    def _may_hedge(self) -> bool:
        paid = self.budget.take()
        self.hedged += paid
        return paid

    async def _one(self, candidate: Candidate, claim: Claim, *, wanted: _Wanted) -> TierkitError | None:
        """Ask one: None where its answer was taken, or why others may be asked.  Raises what ends the matter."""
        try:
            lane = candidate.source.lane(wanted.path) if wanted.in_turn else ""
            async with self.lanes.turn(candidate.name, lane):
                status = await self._try(candidate, wanted, claim)
        except NotServed as error:
            wanted.tried.add(candidate.name)
            return error
        except (NotShared, StoreFull) as error:
            self.health.answered(candidate)
            if wanted.begun():
                self.broken += 1
                self._tell_outgrown(wanted, error)
            raise
        except BrokeOff as error:
            await self._go_on(candidate, wanted, error)
            return None
        except UpstreamError as error:
            wanted.tried.add(candidate.name)
            failure = type(error)(candidate.name, error.reason)
            self._blame(candidate, wanted, failure)
            if wanted.begun():
                self.broken += 1
                raise failure from None
            if not wanted.again(error):
                raise failure from None
            return failure
        if status is not None and status >= 500:
            self.health.answered_badly(candidate, f"answered {status}")
        elif status is not None:
            self.health.answered(candidate)
        return None

    async def _try(self, candidate: Candidate, wanted: _Wanted, claim: Claim) -> int | None:
        """Ask one; returns the status, None where its source has answered in its stead."""
        for attempt in (1, 2):
            known = await candidate.source.prepare(wanted.path, partial(self._fetch, candidate))
            target = await candidate.source.target(wanted.path, SCHEMES)
            if known is not None:
                claim()
                where = f"{target.scheme}://{target.authority}"
                response = ClientResponse.known(where, wanted.method, known.status, known.headers, known.body)
                await wanted.take(candidate, target, response)
                return None
            self.requests += 1
            asking = self.client.request(
                wanted.method, target, wanted.headers, wanted.body, trust=candidate.trust, inform=wanted.inform
            )
            async with asking as response:
                again = candidate.source.observe(target, response.status, response.headers)
                if again and attempt == 1 and wanted.repeatable:
                    continue
                self.health.come_back(candidate, wanted.key, response.status, response.headers, time.time())
                if not self._acceptable(candidate, wanted, response.status):
                    raise BadAnswer(candidate.name, f"answered {response.status}")
                claim()
                await wanted.take(candidate, target, response)
                return response.status
        raise AssertionError("unreachable: the second attempt is the last")

    async def _fetch(self, candidate: Candidate, target: Address) -> Known:
        """Ask for a playlist that a source needs for itself.  Raises UpstreamError."""
        self.requests += 1
        async with self.client.request("GET", target, OURS, trust=candidate.trust) as response:
            return Known(response.status, response.headers, await response.read(MAX_PLAYLIST))

    @staticmethod
    def _acceptable(candidate: Candidate, wanted: _Wanted, status: int) -> bool:
        """Whether an answer will do, or somebody else may have a better one."""
        if wanted.method not in SAFE or (status < 500 and status != 429):
            return True
        return wanted.alone(candidate) and (status == 429 or wanted.relays_errors)

    def _blame(self, candidate: Candidate, wanted: _Wanted, failure: UpstreamError) -> None:
        """Count and tell a failure."""
        self.errors += 1
        if isinstance(failure, BadAnswer):
            told = self.health.answered_badly(candidate, failure.reason)
        else:
            told = self.health.failed(candidate, failure.reason)
        if wanted.begun() and not told:  # its readers are reset, and nobody else would say why
            self.ctx.emit(StreamFault(stream=wanted.stream, reason=str(failure)))

    def _tell_outgrown(self, wanted: _Wanted, error: Exception) -> None:
        """There was no room for more of a body: its readers are reset, and nobody else would say why."""
        self.ctx.emit(StreamFault(stream=wanted.stream, reason=f"{error}: raise cache_bytes"))

    # --- going on --------------------------------------------------------------------------------

    async def _go_on(self, candidate: Candidate, wanted: _Wanted, broke: BrokeOff) -> None:
        """A body broke off: get the rest.  Raises UpstreamError where nobody has it."""
        copy = broke.copy
        copy.trusted = self.same_bytes and classify(wanted.path) == "segment"

        async def take(candidate: Candidate, target: Address, response: ClientResponse) -> None:
            await copy.go_on(candidate.name, response)

        try:
            for left in reversed(range(RESUMPTIONS + 1)):
                failure = UpstreamError(candidate.name, broke.reason)
                self._blame(candidate, wanted, failure)
                for other in self._others(candidate, wanted.key) if left and copy.may_go_on() else ():
                    rest = evolve(wanted, headers=copy.ask_for(wanted.headers), take=take)
                    outcome = await self._rest(other, rest)
                    if outcome is None:
                        self.resumed += 1
                        return
                    if isinstance(outcome, BrokeOff):
                        candidate, broke = other, outcome
                        break
                else:
                    break
            raise failure
        except Exception as error:
            self.broken += 1
            if isinstance(error, StoreFull):
                self._tell_outgrown(wanted, error)
            raise

    def _others(self, broken: Candidate, key: str) -> list[Candidate]:
        """Everybody in order, but who broke off last."""
        return sorted(self.candidates(key), key=lambda each: each.name == broken.name)

    async def _rest(self, candidate: Candidate, wanted: _Wanted) -> TierkitError | None:
        """Ask one for the rest: None where it came, BrokeOff where some of it may have, else why it did not."""
        try:
            await self._try(candidate, wanted, _unclaimed)
        except (BrokeOff, NotServed) as error:
            return error
        except TooLarge as error:
            self._blame(candidate, wanted, error)
            raise
        except BadAnswer as error:
            self.errors += 1
            self.health.answered_badly(candidate, error.reason)
            return error
        except UpstreamError as error:
            self.errors += 1
            self.health.failed(candidate, error.reason)
            return error
        self.health.answered(candidate)
        return None


def _unclaimed() -> None:
    """Nobody else was asked."""
