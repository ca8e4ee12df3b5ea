"""How long an answer is fresh, and how old it is already (RFC 9111 section 4.2, RFC 9213).

`Lifetime` is what a cache remembers of an answer beside its fields and bytes.  Its arithmetic, in seconds:

    current age = age (what it had on arrival) + time since arrival, by a clock that never jumps
    fresh             while current age < fresh
    stale, allowed    while current age < fresh + while_revalidated, or + if_error

The wall clock is needed once, on arrival: to compare Date and Expires with it.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from .http1 import Headers
from .http_fields import MAX_DELTA, Directives, delta_seconds, directives, first, parse_date
from .http_structured import Item, Token, read_dictionary

__all__ = [
    "TARGETS",
    "Lifetime",
    "age_field",
    "age_value",
    "control_of",
    "explicit_lifetime",
    "heuristic_lifetime",
    "initial_age",
    "seconds",
]

#: The targeted fields that speak to us, the closest first (RFC 9213 section 2.2).
TARGETS: Final = (b"tierkit-cache-control", b"cdn-cache-control")


@frozen(kw_only=True)
class Lifetime:
    """What may be done with an answer.  Seconds; `age` is what it had when it arrived."""

    #: Whether it may be used for others than the one who asked, now or later.
    shared: bool
    #: Up to this age it is fresh.
    fresh: float = 0.0
    #: Beyond `fresh`: served stale while one request revalidates it (RFC 5861 section 3).
    while_revalidated: float = 0.0
    #: Beyond `fresh`: served stale when upstream fails (RFC 5861 section 4).
    if_error: float = 0.0
    age: float = 0.0
    #: Why it is not shared, for people.
    reason: str = ""
    #: Whether it is not shared for want of a lifetime alone: nothing in it is for one user.
    unsaid: bool = False
    #: Never served stale, whoever asks for it: must-revalidate, proxy-revalidate or s-maxage.
    must_revalidate: bool = False
    #: Never served without asking upstream, however fresh: a bare no-cache.
    no_cache: bool = False
    #: Whether upstream can be asked about it: it has an ETag or a Last-Modified.
    validator: bool = False
    #: Fields that are for the one who asked, in lower case: dropped before the answer is stored.
    strip: frozenset[bytes] = frozenset()
    #: Fields of the request that chose it, in lower case and sorted (RFC 9111 section 4.1).
    vary: tuple[bytes, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether it is worth keeping for those who come later: usable for a while, or cheap to revalidate."""
        usable = self.fresh + self.while_revalidated + self.if_error > 0 and not self.no_cache
        return self.shared and (self.validator or usable)


def age_value(headers: Headers) -> int:
    """The Age that an answer arrived with, seconds.

    Of several the first one counts, and what is no number is ignored (RFC 9111 section 5.1): 0.
    """
    value = first(headers, b"age")
    return 0 if value is None else delta_seconds(value.split(b",")[0].strip(b" \t")) or 0


def age_field(age: float) -> bytes:
    """A current age as the value of an Age field (RFC 9111 section 5.1): whole seconds, within what others can read."""
    return b"%d" % min(max(0, int(age)), MAX_DELTA)


def apparent_age(headers: Headers, now: float) -> float:
    """How old an answer is by its Date, if our clock and the origin's agree (RFC 9111 section 4.2.3)."""
    value = first(headers, b"date")
    sent = None if value is None else parse_date(value, now)
    return 0.0 if sent is None else max(0.0, now - sent)


def initial_age(headers: Headers, now: float, delay: float = 0.0) -> float:
    """The corrected initial age of an answer (RFC 9111 section 4.2.3), seconds.

    Args:
        now: wall time of arrival, seconds since 1970.
        delay: seconds between asking and the arrival of the head.
    """
    return min(max(apparent_age(headers, now), age_value(headers) + max(0.0, delay)), float(MAX_DELTA))


def seconds(control: Directives, name: str) -> int | None:
    """The seconds of a directive; None without it.

    A value that is no number is taken as 0: invalid freshness is staleness (RFC 9111 section 4.2.1).
    """
    if name not in control:
        return None
    return delta_seconds(control[name].encode("latin-1", "replace")) or 0


def control_of(headers: Headers, targets: tuple[bytes, ...] = TARGETS) -> tuple[dict[str, str], bool]:
    """The directives that rule an answer, and whether they come from a targeted field.

    The first targeted field that is valid and not empty rules alone: Cache-Control and Expires are then ignored
    (RFC 9213 section 2.2).  One that cannot be read, or that gives a directive a value of the wrong type, is as if
    it were not there.  Targeted fields are passed on, ours too: tiers below are caches of the same target (section
    3.1 has CDNs forward theirs for that reason).
    """
    for name in targets:
        found = read_dictionary(headers, name)
        if found and (control := _targeted(found)) is not None:
            return control, True
    return directives(headers), False


#: The types that RFC 9213 section 2.1 infers for the directives we know.
_NUMBERS = frozenset({"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"})
_QUALIFIABLE = frozenset({"no-cache", "private"})
_FLAGS = frozenset(
    {"must-revalidate", "must-understand", "no-store", "no-transform", "proxy-revalidate", "public", "immutable"}
)


def _targeted(found: dict[str, Item]) -> dict[str, str] | None:
    if not all(_is_of_its_type(name, value) for name, value in found.items()):
        return None
    return {name: "" if isinstance(value, bool) or value is None else str(value) for name, value in found.items()}


def _is_of_its_type(name: str, value: Item) -> bool:
    """Whether a directive of a targeted field has a value that it may have: never coerced (RFC 9213 section 2.1)."""
    if name in _NUMBERS:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if name in _QUALIFIABLE:
        return value is True or (isinstance(value, str) and not isinstance(value, Token))
    return value is True if name in _FLAGS else True


def explicit_lifetime(control: Directives, headers: Headers, now: float, *, targeted: bool = False) -> float | None:
    """The freshness lifetime that the origin gave: s-maxage before max-age before Expires (RFC 9111 section 4.2.1).

    None where it gave none; never negative.
    """
    for name in ("s-maxage", "max-age"):
        if (told := seconds(control, name)) is not None:
            return float(told)
    return None if targeted else _expires(headers, now)


def _expires(headers: Headers, now: float) -> float | None:
    """Expires less Date, where Date is missing less the time of arrival; an invalid one is the past (section 5.3)."""
    value = first(headers, b"expires")
    if value is None:
        return None
    ends = parse_date(value, now)
    if ends is None:
        return 0.0
    date = first(headers, b"date")
    sent = None if date is None else parse_date(date, now)
    return float(min(max(0.0, ends - (now if sent is None else sent)), MAX_DELTA))


def heuristic_lifetime(headers: Headers, now: float, share: float, most: float) -> float:
    """A share of the time since Last-Modified, at most `most` seconds (RFC 9111 section 4.2.2 suggests a tenth)."""
    value = first(headers, b"last-modified")
    changed = None if value is None else parse_date(value, now)
    if changed is None:
        return 0.0
    date = first(headers, b"date")
    sent = None if date is None else parse_date(date, now)
    return min(max(0.0, ((now if sent is None else sent) - changed) * share), most)
