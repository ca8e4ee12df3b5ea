"""Asking upstreams: one after the other until one answers.

Whose fault a failure is decides what follows.  An upstream that cannot be reached, is too slow or breaks off
rests for a while (`Upstreams.failed`), and observers are told once.  One that answers, but with a 5xx or with
a playlist that is none, is passed over for this request alone: the next path may be fine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tierkit.codecs.http1 import Headers
from tierkit.events import StreamFault, UpstreamBack, UpstreamLost
from tierkit.http import ClientResponse, HttpClient
from tierkit.plugin import Address, Candidate, Context, NotServed, NotShared, StoreFull, TierkitError, UpstreamError

__all__ = ["SCHEMES", "Asker", "BadAnswer", "Take"]

SCHEMES = ("http", "https")

Take = Callable[[Candidate, Address, ClientResponse], Awaitable[None]]


class BadAnswer(UpstreamError):
    """An upstream that works, but has nothing good to say about this path."""


class Asker:
    """A tier's upstreams over HTTP."""

    def __init__(self, ctx: Context, client: HttpClient) -> None:
        self.ctx = ctx
        self.client = client
        #: Requests sent so far, and how many failed.
        self.requests = self.errors = 0
        self._down: set[str] = set()

    def resting(self) -> bool:
        """Whether every upstream has failed a moment ago."""
        candidates = self.ctx.upstream.candidates(SCHEMES)
        return bool(candidates) and all(self.ctx.upstream.delay(each) > 0 for each in candidates)

    async def ask(
        self, method: str, path: str, key: str, headers: Headers, take: Take, *, begun: Callable[[], bool]
    ) -> None:
        """Try one upstream after the other, until one's answer is taken or something of it has been sent on."""
        failure: TierkitError | None = None
        for candidate in self.ctx.upstream.candidates(SCHEMES, key):
            try:
                await self._try(candidate, method, path, headers, take)
            except NotServed as error:
                failure = failure or error  # what could be asked and failed says more than what was out of scope
            except (NotShared, StoreFull):
                self._back(candidate)
                raise
            except UpstreamError as error:
                self.errors += 1
                if not isinstance(failure, UpstreamError):
                    failure = type(error)(candidate.name, error.reason)
                if isinstance(error, BadAnswer):
                    self._back(candidate)
                    if begun():  # its readers are reset, and nobody else would say why
                        self.ctx.emit(StreamFault(stream=path.partition("?")[0], reason=str(failure)))
                else:
                    self._lost(candidate, error.reason)
                if begun():
                    raise failure from None
            else:
                self._back(candidate)
                return
        raise failure or UpstreamError(self.ctx.tier, "has no upstream that speaks HTTP")

    async def _try(self, candidate: Candidate, method: str, path: str, headers: Headers, take: Take) -> None:
        for attempt in (1, 2):
            target = await candidate.source.target(path, SCHEMES)
            self.requests += 1
            async with self.client.request(method, target, headers, trust=candidate.trust) as response:
                again = candidate.source.observe(target, response.status, response.headers)
                if again and attempt == 1:
                    continue
                if response.status >= 500:
                    raise BadAnswer(candidate.name, f"answered {response.status}")
                await take(candidate, target, response)
                return

    def _lost(self, candidate: Candidate, reason: str) -> None:
        rest = self.ctx.upstream.failed(candidate, reason)
        if candidate.name not in self._down:
            self._down.add(candidate.name)
            self.ctx.emit(UpstreamLost(upstream=candidate.name, reason=reason, retry_in=rest))

    def _back(self, candidate: Candidate) -> None:
        self.ctx.upstream.succeeded(candidate)
        if candidate.name in self._down:
            self._down.discard(candidate.name)
            self.ctx.emit(UpstreamBack(upstream=candidate.name))
