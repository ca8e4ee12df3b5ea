"""Choosing among a tier's upstreams: order or hash, health, backoff with jitter.

Everything here is synchronous and pure but for the clock and the jitter, which are arguments: it says
whom to try, and the caller does the I/O and comes back with what happened.

An upstream that has failed goes to the end of the line for a while, and is never left out: when all have
failed, the one whose rest ends first is tried first, so a tier always has somebody to ask.

By hash, each key has an order of its own, the same at every edge: what one upstream has, the next edge finds there
too, and what a lost one had falls to each key's second choice, spread over all that are left.  What the key is, is the
caller's to say: an object's path spreads a popular stream over a whole shield layer, its folder keeps a stream's
objects together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b

from attrs import define, field, frozen

from ._plugin import Candidate, Upstreams

__all__ = ["UpstreamSet", "UpstreamState"]

#: Seconds of the first rest.  nginx-rtmp and SRS wait a fixed 3 s for each try; a first rest that is much
#: shorter than a GOP makes most blips invisible.
FIRST_REST = 0.5
#: Seconds of the longest rest: mediamtx waits 5 s, ZLMediaKit grows to 60 s; an operator who has mended
#: the upstream should not have to wait longer than it takes to look.
LONGEST_REST = 15.0


@frozen(kw_only=True)
class UpstreamState:
    """How one upstream fares, as `statistics()` shows it."""

    name: str = field(metadata={"merge": "last"})
    #: Whether it is thought healthy now.
    healthy: bool = field(metadata={"merge": "max"})
    #: Failures in a row since it last answered.
    failures: int = field(metadata={"merge": "max"})
    #: Failures in all.
    failures_total: int = field(metadata={"merge": "sum"})
    #: What the last failure was, for a person.
    reason: str = field(default="", metadata={"merge": "last"})
    #: Clients that the server itself counts at the stream that has most; None where it is not asked.
    clients: int | None = field(default=None, metadata={"merge": "max"})
    #: Where it is, without credentials; empty for a tier of the graph.
    address: str = field(default="", metadata={"merge": "last"})
    #: What its source tells of it, where that tells anything: a frozen value of the source's.
    source: object | None = field(default=None, metadata={"merge": "last"})


@define
class _Health:
    failures: int = 0
    total: int = 0
    until: float = 0.0
    reason: str = ""


class UpstreamSet(Upstreams):
    """The upstreams of one tier.

    Args:
        candidates: in order of preference.
        policy: "ordered", or "hash" (rendezvous: each key has its own order, and a lost upstream moves
            only its own keys).
        clock: seconds, monotonic.
        jitter: gives numbers in [0, 1); edges that lost an upstream together must not return together.
        chosen: told who is asked first from now on, and who has failed, where upstreams are in order.
        addresses: of those that are no tiers, for people to see.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        policy: str = "ordered",
        clock: Callable[[], float],
        jitter: Callable[[], float],
        chosen: Callable[[str, str], None] = lambda name, instead_of: None,
        addresses: Mapping[str, str] | None = None,
    ) -> None:
        self._addresses = addresses or {}
        self._all = tuple(candidates)
        self._chosen = chosen
        #: Who is asked first, as far as it was told: not the one whose rest is over and that fails again.
        self._first = self._all[0].name if self._all else ""
        self._hashed = policy == "hash"
        self._clock = clock
        self._jitter = jitter
        self._health = {each.name: _Health() for each in self._all}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self._all)

    def key(self, path: str) -> str:
        return self._all[0].source.key(path) if self._all else path

    @property
    def ignored(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for each in self._all for name in each.source.ignored))

    def candidates(self, schemes: Collection[str], key: str = "") -> list[Candidate]:
        usable = [each for each in self._all if not each.source.schemes.isdisjoint(schemes)]
        if self._hashed:
            usable.sort(key=lambda each: _weight(each.name, key), reverse=True)
        now = self._clock()
        healthy = [each for each in usable if self._health[each.name].until <= now]
        resting = [each for each in usable if self._health[each.name].until > now]
        resting.sort(key=lambda each: self._health[each.name].until)
        return healthy + resting

    def failed(self, candidate: Candidate, reason: str) -> float:
        health = self._of(candidate)
        health.failures += 1
        health.total += 1
        health.reason = reason
        rest = min(LONGEST_REST, FIRST_REST * 2.0 ** min(health.failures - 1, 16))
        # Half fixed, half drawn: never at once, never all together.
        rest *= 0.5 + 0.5 * self._jitter()
        health.until = self._clock() + rest
        if not self._hashed and candidate.name == self._first:
            self._choose_instead_of(candidate.name)
        return rest

    def _choose_instead_of(self, failed: str) -> None:
        now = self._clock()
        for each in self._all:
            if each.name != failed and self._health[each.name].until <= now:
                self._first = each.name
                self._chosen(each.name, failed)
                return

    def succeeded(self, candidate: Candidate) -> None:
        health = self._of(candidate)
        health.failures, health.until, health.reason = 0, 0.0, ""
        # Whoever is preferred and back comes first again; that it is back is told already.
        self._first = next((name for name in self.names if name in (candidate.name, self._first)), self._first)

    def delay(self, candidate: Candidate) -> float:
        return max(0.0, self._of(candidate).until - self._clock())

    def _of(self, candidate: Candidate) -> _Health:
        # A push target is nobody to pull from, but it fails, rests and is told of like the others.
        return self._health.setdefault(candidate.name, _Health())

    def statistics(self) -> tuple[UpstreamState, ...]:
        """How each upstream fares, in the order of the recipe; then the push targets that were tried."""
        now = self._clock()
        sources = {each.name: each.source for each in self._all}
        return tuple(
            UpstreamState(
                name=name,
                address=self._addresses.get(name, ""),
                healthy=health.until <= now,
                failures=health.failures,
                failures_total=health.total,
                reason=health.reason,
                clients=sources[name].clients if name in sources else None,
                source=sources[name].statistics() if name in sources else None,
            )
            for name, health in self._health.items()
        )


def _weight(name: str, key: str) -> bytes:
    # Rendezvous hashing (Thaler and Ravishankar 1998): the highest weight wins, and every edge agrees.
    return blake2b(f"{name}\0{key}".encode(), digest_size=8).digest()
