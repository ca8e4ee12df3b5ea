"""Whether a shared cache may store an answer, and on which terms (RFC 9111 section 3): sans-IO.

The entry to the plain HTTP cache rules; what deciding and reusing need is here by name, the rest in its siblings:

| module | rules |
|---|---|
| `http_fields` | lists, directives, seconds, dates |
| `http_structured` | Dictionaries of RFC 9651 |
| `http_lifetime` | freshness and age; targeted fields of RFC 9213 |
| `http_cache` | what may be stored |
| `http_reuse` | what may be served from store, and to whom |
| `http_vary` | the secondary key |
| `http_update` | 304 and HEAD update what is stored; unsafe methods invalidate it |
| `http_forward` | which fields go on |
| `http_conditional`, `http_range` | preconditions and byte ranges |
| `cache_status` | Cache-Status of RFC 9211 |

`decide` runs once for an answer and gives a `Lifetime`; `reuse` runs for each request and compares a few numbers.
What must be right for `decide` to be right: the request is the client's, before anything is stripped from it, and
the answer is upstream's.

An answer is shared if every rule of `REFUSALS` lets it pass.  Each is a function from an `Answer` to the reason why
not, or "".  Beyond the RFC, and for safety, these are refused too: cookies (unless the origin has withheld them by
`private="set-cookie"` or `no-cache="set-cookie"`), errors that the headers of a request can provoke, and answers to
a GET that had a body.

What the client that caused the fetch gets is not bound by this: it gets its own cookie.  Those who wait for the same
answer get it if it is shared and `reuse` serves it (RFC 9111 section 4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from attrs import field, frozen
from attrs.validators import ge, in_, le

from .http1 import Headers
from .http_fields import Directives, directives, field_names, first
from .http_lifetime import (
    TARGETS,
    Lifetime,
    age_field,
    age_value,
    control_of,
    explicit_lifetime,
    heuristic_lifetime,
    initial_age,
    seconds,
)
from .http_reuse import Outcome, RequestDirectives, is_failure, may_forward, request_directives, reuse
from .http_vary import vary_names

__all__ = [
    "Answer",
    "Lifetime",
    "Outcome",
    "Policy",
    "REFUSALS",
    "RequestDirectives",
    "age_field",
    "age_value",
    "decide",
    "initial_age",
    "is_failure",
    "may_forward",
    "request_directives",
    "reuse",
]

#: Status codes whose caching rules we know and follow: those of RFC 9110 section 15, without the parts (206), the
#: validations (304) and the answers to fields that no key has.  For `must-understand` (RFC 9111 section 5.2.2.3).
UNDERSTOOD: Final = frozenset(
    {200, 201, 202, 203, 204, 205, 300, 301, 302, 303, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 408, 409}
    | {410, 411, 413, 414, 415, 422, 426, 451, 500, 501, 502, 503, 504, 505}
)
#: May be given a lifetime by heuristics (RFC 9110 section 15.1), without 206, which is no whole.
HEURISTIC: Final = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
#: Must not be stored by any cache (RFC 6585 sections 3 to 6).
FORBIDDEN: Final = frozenset({428, 429, 431, 511})
#: Answer a field of one request (If-Match, Range, Expect), one connection or one proxy, so nobody else's request.
ONE_REQUEST: Final = frozenset({407, 412, 416, 417, 421, 425})
#: What an oversize header, a method override or a broken character of one client makes an origin say: stored, it
#: would deny everybody the object ("Cache-Poisoned Denial-of-Service", Nguyen et al., CCS 2019).
PROVOKED: Final = frozenset({400, 405, 413, 414, 415, 422, 501})


@frozen(kw_only=True)
class Policy:
    """What an operator may choose where RFC 9111 leaves a choice.  The defaults are the careful ones."""

    #: Targeted fields that speak to this cache, the closest first (RFC 9213).
    targets: tuple[bytes, ...] = TARGETS
    #: Share of the time since Last-Modified for which an answer without a lifetime is fresh; 0 is off, 0.1 usual.
    heuristic: float = field(default=0.0, validator=[ge(0), le(1)])
    #: The longest lifetime that heuristics give, seconds: a day, as RFC 2616 section 13.2.4 warned from there on.
    heuristic_most: float = field(default=86400.0, validator=ge(0))
    #: Answers with Set-Cookie: `refuse` to share them, `strip` the cookie and share the rest, or `share` both as
    #: RFC 9111 section 7.3 allows.
    cookies: Literal["refuse", "strip", "share"] = field(default="refuse", validator=in_(("refuse", "strip", "share")))
    #: Whether the errors of `PROVOKED` are shared when the origin gives them a lifetime.
    provoked: bool = False
    #: Whether s-maxage forbids staleness, as RFC 9111 section 5.2.2.10 says; origins that send it beside
    #: stale-while-revalidate mean otherwise.
    s_maxage_revalidates: bool = True
    #: Seconds stale that an answer may be served when upstream fails, where the origin does not speak of it (RFC
    #: 9111 section 4.2.4 allows it to a cache that is cut off).
    if_error: float = field(default=0.0, validator=ge(0))


DEFAULT: Final = Policy()


@frozen(kw_only=True)
class Answer:
    """One exchange, with the directives of both sides read: what the rules look at."""

    method: bytes
    request: Headers
    status: int
    headers: Headers
    asked: Directives
    control: Directives
    targeted: bool
    policy: Policy
    strip: frozenset[bytes]


def not_a_get(answer: Answer) -> str:
    """Only answers to GET are stored: HEAD has no body, and what POST gives is for a later GET of another kind."""
    return "" if answer.method == b"GET" else f"method {answer.method[:20].decode('latin-1')}"


def fat(answer: Answer) -> str:
    """A GET with a body: an origin that reads it answers what no key has (RFC 9110 section 9.3.1)."""
    length = first(answer.request, b"content-length")
    has_body = length not in (None, b"0") or first(answer.request, b"transfer-encoding") is not None
    return "the GET had a body" if has_body else ""


def not_final(answer: Answer) -> str:
    """An interim answer (1xx) is none, and nobody knows what 600 and more mean (RFC 9110 section 15)."""
    return "" if 200 <= answer.status <= 599 else f"status {answer.status} is not final"


def not_whole(answer: Answer) -> str:
    """A part (206) and a validation (304) are about something stored, not to be stored as if whole."""
    return f"status {answer.status} is not a whole answer" if answer.status in (206, 304) else ""


def not_for_others(answer: Answer) -> str:
    """Some status codes must not be stored, or say something about one request alone."""
    return f"status {answer.status} is for one request" if answer.status in FORBIDDEN | ONE_REQUEST else ""


def provoked(answer: Answer) -> str:
    """An error that a hostile request can provoke is not everybody's."""
    refused = answer.status in PROVOKED and not answer.policy.provoked
    return f"status {answer.status} may be provoked by one request" if refused else ""


def not_understood(answer: Answer) -> str:
    """`must-understand` forbids to store an unknown status (RFC 9111 section 5.2.2.3)."""
    unknown = "must-understand" in answer.control and answer.status not in UNDERSTOOD
    return f"must-understand with status {answer.status}" if unknown else ""


def no_store(answer: Answer) -> str:
    """`no-store` (RFC 9111 section 5.2.2.5), but not beside a `must-understand` that we do understand."""
    return "no-store" if "no-store" in answer.control and "must-understand" not in answer.control else ""


def no_store_asked(answer: Answer) -> str:
    """A request's `no-store` forbids to store any part of the answer to it (RFC 9111 section 5.2.1.5)."""
    return "no-store in the request" if "no-store" in answer.asked else ""


def private(answer: Answer) -> str:
    """A bare `private` is for one user; a qualified one is for all but its fields (RFC 9111 section 5.2.2.7)."""
    return "private" if answer.control.get("private") == "" else ""


def authorized(answer: Answer) -> str:
    """An answer to credentials is shared only where the origin says so (RFC 9111 section 3.5)."""
    if first(answer.request, b"authorization") is None:
        return ""
    allowed = any(name in answer.control for name in ("public", "s-maxage", "must-revalidate"))
    return "" if allowed else "the request had Authorization"


def cookie(answer: Answer) -> str:
    """An answer that sets a cookie makes whoever gets it the same user."""
    for name in (b"set-cookie", b"set-cookie2"):
        if first(answer.headers, name) is not None and name not in answer.strip and answer.policy.cookies != "share":
            return "it sets a cookie"
    return ""


def vary_star(answer: Answer) -> str:
    """What varies by anything is nobody else's (RFC 9111 section 4.1); nor is what varies by too much."""
    return "vary on anything" if vary_names(answer.headers) is None else ""


def not_cacheable(answer: Answer) -> str:
    """Without a word of the origin only some status codes may be stored (RFC 9111 section 3, last of its list)."""
    if answer.status in HEURISTIC or any(name in answer.control for name in ("public", "max-age", "s-maxage")):
        return ""
    expires = not answer.targeted and first(answer.headers, b"expires") is not None
    return "" if expires else f"status {answer.status} without a lifetime"


Refusal = Callable[[Answer], str]

#: What keeps an answer from being shared; the first that speaks is the reason.
REFUSALS: Final[list[Refusal]] = [
    not_a_get,
    fat,
    not_final,
    not_whole,
    not_for_others,
    provoked,
    not_understood,
    no_store,
    no_store_asked,
    private,
    authorized,
    cookie,
    vary_star,
    not_cacheable,
]


def decide(
    request: Headers,
    status: int,
    headers: Headers,
    *,
    now: float,
    delay: float = 0.0,
    method: bytes = b"GET",
    policy: Policy = DEFAULT,
) -> Lifetime:
    """What may be done with an answer, as a shared cache.  Never raises, whatever the fields hold.

    Args:
        request: as the client sent it, credentials and all.
        headers: of the answer, as upstream sent them, after whatever a 304 has updated.
        now: wall time of arrival, seconds since 1970.
        delay: seconds between asking upstream and the arrival of the head.
    """
    control, targeted = control_of(headers, policy.targets)
    answer = Answer(
        method=method,
        request=request,
        status=status,
        headers=headers,
        asked=directives(request),
        control=control,
        targeted=targeted,
        policy=policy,
        strip=withheld(control, headers, policy),
    )
    age = initial_age(headers, now, delay)
    for refusal in REFUSALS:
        if reason := refusal(answer):
            return Lifetime(shared=False, reason=reason, age=age, unsaid=refusal is not_cacheable)
    return _terms(answer, now, age)


def _terms(answer: Answer, now: float, age: float) -> Lifetime:
    control = answer.control
    strict = forbids_stale(control, answer.policy)
    asks_always = always_asks(answer)
    told = seconds(control, "stale-if-error")
    return Lifetime(
        shared=True,
        fresh=freshness(answer, now),
        while_revalidated=0.0 if strict or asks_always else float(seconds(control, "stale-while-revalidate") or 0),
        if_error=0.0 if strict or asks_always else float(answer.policy.if_error if told is None else told),
        age=age,
        must_revalidate=strict,
        no_cache=asks_always,
        validator=first(answer.headers, b"etag") is not None or first(answer.headers, b"last-modified") is not None,
        strip=answer.strip,
        vary=vary_names(answer.headers) or (),
    )


def freshness(answer: Answer, now: float) -> float:
    """The freshness lifetime: what the origin gave, else what heuristics give where they are asked for."""
    told = explicit_lifetime(answer.control, answer.headers, now, targeted=answer.targeted)
    if told is not None:
        return told
    policy = answer.policy
    if policy.heuristic > 0 and (answer.status in HEURISTIC or "public" in answer.control):
        return heuristic_lifetime(answer.headers, now, policy.heuristic, policy.heuristic_most)
    return 0.0


def forbids_stale(control: Directives, policy: Policy) -> bool:
    """Whether a stale answer may not be served to anybody (RFC 9111 section 4.2.4)."""
    if "must-revalidate" in control or "proxy-revalidate" in control:
        return True
    return policy.s_maxage_revalidates and "s-maxage" in control


def always_asks(answer: Answer) -> bool:
    """A bare `no-cache`; `Pragma: no-cache` means it where nothing else is said (RFC 9111 section 5.4).

    The RFC defines Pragma for requests alone, but caches have always read it in answers too, and origins rely on it.
    """
    if answer.control.get("no-cache") == "":
        return True
    if answer.targeted or first(answer.headers, b"cache-control") is not None:
        return False
    return "no-cache" in directives(answer.headers, b"pragma")


def withheld(control: Directives, headers: Headers, policy: Policy) -> frozenset[bytes]:
    """The fields that others do not get: those named by a qualified `private` or `no-cache`.

    RFC 9111 section 5.2.2.4 lets a cache serve the fields of `no-cache` after validation; dropping them from the
    start keeps them from ever being served without.
    """
    names = field_names(control.get("private", "")) | field_names(control.get("no-cache", ""))
    if policy.cookies == "strip":
        names |= {b"set-cookie", b"set-cookie2"}
    return names
