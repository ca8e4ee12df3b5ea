"""What may be served from store, for which request (RFC 9111 sections 4 and 5.2.1, RFC 5861).

A hit costs a few comparisons: `reuse(lifetime, age)`.  A request that has directives of its own is read once by
`request_directives` and handed over; one that has none hands over None.  A cache is free not to listen to clients
(RFC 9111 section 5.2.1: "advisory"): a tier before a large audience may always hand over None.
"""

from __future__ import annotations

import enum
import math
from typing import Final

from attrs import frozen

from .http1 import Headers
from .http_fields import Directives, delta_seconds, directives, first
from .http_lifetime import Lifetime

__all__ = ["Outcome", "RequestDirectives", "is_failure", "may_forward", "request_directives", "reuse"]


class Outcome(enum.Enum):
    """What to do with something stored."""

    #: Serve it.
    FRESH = "fresh"
    #: Serve it though it is stale, or too old for this client: the client takes it so, or upstream has failed.
    STALE = "stale"
    #: Serve it though it is stale, and have it revalidated behind the client's back, once.
    STALE_WHILE_REVALIDATED = "stale-while-revalidated"
    #: Ask upstream first.
    REVALIDATE = "revalidate"
    #: Answer 504: the client wants nothing from upstream, or upstream has failed and what is stored must not be used.
    GATEWAY_TIMEOUT = "gateway-timeout"

    @property
    def served(self) -> bool:
        """Whether what is stored goes to the client."""
        return self in _SERVED


_SERVED = frozenset({Outcome.FRESH, Outcome.STALE, Outcome.STALE_WHILE_REVALIDATED})


@frozen(kw_only=True)
class RequestDirectives:
    """What a client asks of caches (RFC 9111 section 5.2.1).  Seconds; infinity where there is no bound."""

    #: no-cache, or Pragma: no-cache where there is no Cache-Control.
    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    #: The highest age that it takes.
    max_age: float = math.inf
    #: For how long it must stay fresh yet.
    min_fresh: float = 0.0
    #: How long past freshness it may be; 0 where the client does not say so.
    max_stale: float = 0.0
    #: How long past freshness it may be when upstream fails (RFC 5861 section 4).
    if_error: float = 0.0

    @property
    def fussy(self) -> bool:
        """Whether it sets a bound to what it takes, so that staleness nobody offered it is not for it."""
        return self.max_age < math.inf or self.min_fresh > 0


def request_directives(headers: Headers) -> RequestDirectives | None:
    """The directives of a request; None where it has none that we know, which is the common case."""
    for name, _ in headers:
        if name in _SPEAK:
            break
    else:
        return None
    control = directives(headers)
    if not control:
        return RequestDirectives(no_cache=True) if pragma(headers) else None
    found = RequestDirectives(
        no_cache="no-cache" in control,
        no_store="no-store" in control,
        only_if_cached="only-if-cached" in control,
        max_age=_bound(control, "max-age", absent=math.inf, odd=0.0),
        min_fresh=_bound(control, "min-fresh", absent=0.0, odd=math.inf),
        max_stale=_max_stale(control),
        if_error=_bound(control, "stale-if-error", absent=0.0, odd=0.0),
    )
    return None if found == _NONE else found


_SPEAK: Final = frozenset({b"cache-control", b"pragma"})
_NONE: Final = RequestDirectives()


def pragma(headers: Headers) -> bool:
    """Whether a request without Cache-Control says `Pragma: no-cache` (RFC 9111 section 5.4)."""
    return first(headers, b"cache-control") is None and "no-cache" in directives(headers, b"pragma")


def _bound(control: Directives, name: str, *, absent: float, odd: float) -> float:
    if name not in control:
        return absent
    value = delta_seconds(control[name].encode("latin-1", "replace"))
    return odd if value is None else float(value)


def _max_stale(control: Directives) -> float:
    """Without a value, staleness of any length (RFC 9111 section 5.2.1.2); with an odd one, none."""
    if control.get("max-stale") == "":
        return math.inf
    return _bound(control, "max-stale", absent=0.0, odd=0.0)


def is_failure(status: int) -> bool:
    """Whether an answer is a failure for which `stale-if-error` was made (RFC 5861 section 4)."""
    return status in (500, 502, 503, 504)


def may_forward(wanted: RequestDirectives | None) -> bool:
    """Whether upstream may be asked for what is not stored; else the answer is 504 (RFC 9111 section 5.2.1.7)."""
    return wanted is None or not wanted.only_if_cached


def reuse(lifetime: Lifetime, age: float, wanted: RequestDirectives | None = None, *, failed: bool = False) -> Outcome:
    """What to do with something stored, for one request.

    Args:
        age: its current age: `lifetime.age` and the seconds since it arrived.
        wanted: what the request asks of caches.
        failed: upstream has been asked, and failed (`is_failure`, or no answer): may it be served all the same?
    """
    if is_fresh(lifetime, age) and (wanted is None or takes_fresh(lifetime, age, wanted)):
        return Outcome.FRESH
    outcome = _stale(lifetime, age, wanted, failed)
    if outcome is Outcome.REVALIDATE and (failed or not may_forward(wanted)):
        return Outcome.GATEWAY_TIMEOUT
    return outcome


def is_fresh(lifetime: Lifetime, age: float) -> bool:
    """Whether it may be served without a question (RFC 9111 section 4.2: lifetime greater than age)."""
    return age < lifetime.fresh and not lifetime.no_cache


def takes_fresh(lifetime: Lifetime, age: float, wanted: RequestDirectives) -> bool:
    """Whether a client takes a fresh answer: not with no-cache, nor beyond its max-age or its min-fresh."""
    return not wanted.no_cache and young_enough(age, wanted) and fresh_enough(lifetime, age, wanted)


def young_enough(age: float, wanted: RequestDirectives) -> bool:
    """A request's `max-age` (RFC 9111 section 5.2.1.1)."""
    return age <= wanted.max_age


def fresh_enough(lifetime: Lifetime, age: float, wanted: RequestDirectives) -> bool:
    """A request's `min-fresh` (RFC 9111 section 5.2.1.3)."""
    return lifetime.fresh - age >= wanted.min_fresh


def _stale(lifetime: Lifetime, age: float, wanted: RequestDirectives | None, failed: bool) -> Outcome:
    if lifetime.no_cache or (wanted is not None and wanted.no_cache):
        return Outcome.REVALIDATE
    if failed and is_fresh(lifetime, age):
        return Outcome.STALE  # only too old for the client's taste, which is advice
    if not may_be_stale(lifetime):
        return Outcome.REVALIDATE
    over = age - lifetime.fresh
    if failed and forgives_error(lifetime, over, wanted):
        return Outcome.STALE
    if wanted is not None:
        if takes_stale(over, age, wanted):
            return Outcome.STALE
        if wanted.fussy:
            return Outcome.REVALIDATE
    return Outcome.STALE_WHILE_REVALIDATED if revalidates_behind(lifetime, over) else Outcome.REVALIDATE


def may_be_stale(lifetime: Lifetime) -> bool:
    """Whether staleness is not forbidden by must-revalidate and its kin (RFC 9111 section 4.2.4)."""
    return not lifetime.must_revalidate


def takes_stale(over: float, age: float, wanted: RequestDirectives) -> bool:
    """A request's `max-stale` (RFC 9111 section 5.2.1.2), which its own max-age and min-fresh still bound."""
    return wanted.max_stale > 0 and over <= wanted.max_stale and young_enough(age, wanted) and wanted.min_fresh == 0


def revalidates_behind(lifetime: Lifetime, over: float) -> bool:
    """The `stale-while-revalidate` of an answer (RFC 5861 section 3)."""
    return 0 <= over < lifetime.while_revalidated


def forgives_error(lifetime: Lifetime, over: float, wanted: RequestDirectives | None) -> bool:
    """The `stale-if-error` of an answer or of a request, and staleness that is allowed anyway (RFC 5861 section 4)."""
    allowed = max(lifetime.if_error, lifetime.while_revalidated, 0.0 if wanted is None else wanted.if_error)
    return over < allowed
