"""What a shared cache may do with an answer: sans-IO, time is an argument.

This is the `live` policy: RFC 9111 where it speaks of what may be shared, and class lifetimes where a live
stream needs them.  The lifetimes, with TD the target duration of the stream's media playlist:

| class | fresh for | then stale, while revalidated | then stale, if upstream fails |
|---|---|---|---|
| media playlist | min(max-age, TD / 2) | TD / 2 | 3 TD |
| multivariant playlist | max-age within TD / 2 .. 60 s | TD / 2 | 3 TD |
| finished playlist (ENDLIST) | 60 s | 60 s | 1 h |
| segment | max(max-age, 6 TD, window) | - | 3 TD more |
| other | max-age alone | what RFC 5861 directives say | what they say |
| 404, 410 | at most 1 s | - | - |
| other 3xx, 4xx | for those who wait already | - | - |
| 5xx and all else | never | - | - |

An answer that is stale when it arrives, because a parent served it so, is fresh for a moment all the same
(TD / 8, at most 1 s): else each viewer of a child would mean a request to the parent.

`no-cache` from an origin is overruled for playlists and segments, because a Wowza in its normal mode sends
it with everything; `private` and `no-store` never are.  A 404 that says `no-store`, as many say by default,
still answers all who wait for it: a playlist that is not there yet must not mean a request for each viewer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

from .hls import Kind, PlaylistFacts
from .http1 import Headers, get

__all__ = ["Lifetime", "age_of", "cache_control", "decide", "end_to_end", "not_modified", "parse_range"]

#: Target duration to assume where no playlist has been seen yet: Apple's recommendation (HLS authoring
#: specification 7.5).
ASSUMED_TARGET = 6.0
#: Longest target duration that counts: a misspelt one must not freeze a stream.
LONGEST_TARGET = 60.0
#: What is stale on arrival is fresh for this part of a target duration, and for this many seconds at most.
MOMENT_SHARE = 1 / 8
LONGEST_MOMENT = 1.0
#: Seconds for which a missing thing is believed to be missing: the next segment is a 404 until it is there.
NEGATIVE = 1.0
#: Connection-specific fields that end at each hop (RFC 9110 section 7.6.1), and framing, which is ours.
_HOP = frozenset(
    {
        b"connection",
        b"content-length",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# RFC 9111 section 5.2: token [ "=" ( token / quoted-string ) ], taken apart without splitting at commas in quotes.
_DIRECTIVE = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)(?:=("(?:[^"\\]|\\.)*"|[^",\s]*))?\s*(?:,|\Z)')
_NAME = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)")
_SECONDS = re.compile(r"[0-9]{1,10}\Z")
# What we send upstream never differs by these, so an answer that does is one for all.
_HARMLESS_VARY = frozenset({"accept-encoding", "origin", "user-agent", "accept"})


@frozen(kw_only=True)
class Lifetime:
    """What may be done with an answer.  Seconds, counted from its arrival; `age` is what it had then."""

    #: Whether others may have it too; without any lifetime only those who wait for it already.
    shared: bool
    fresh: float = 0.0
    #: Beyond `fresh`: served stale while one request revalidates it (RFC 5861 section 3).
    while_revalidated: float = 0.0
    #: Beyond `fresh`: served stale when upstream fails (RFC 5861 section 4).
    if_error: float = 0.0
    age: float = 0.0
    #: Why it is not shared, for people.
    reason: str = ""

    @property
    def kept(self) -> bool:
        """Whether it is worth keeping for those who come later."""
        return self.fresh + self.while_revalidated + self.if_error > 0


def cache_control(headers: Headers) -> dict[str, str]:
    """The directives of Cache-Control in lower case; one without a value has ""."""
    found: dict[str, str] = {}
    text = (get(headers, b"cache-control") or b"").decode("latin-1")
    position = 0
    while position < len(text):
        match = _DIRECTIVE.match(text, position)
        if match is None:
            # A malformed one still says its name: `private = "x` is private.
            if (name := _NAME.match(text, position)) is not None:
                found.setdefault(name.group(1).lower(), "")
            comma = text.find(",", position)
            position = comma + 1 if comma >= 0 else len(text)
            continue
        # Of two, the first one counts (RFC 9111 section 4.2.1).
        found.setdefault(match.group(1).lower(), (match.group(2) or "").strip('"'))
        position = match.end()
    return found


def _seconds(directives: Mapping[str, str], *names: str) -> float | None:
    for name in names:
        if name in directives:
            # An odd value is taken as stale (RFC 9111 section 4.2.1).
            return float(directives[name]) if _SECONDS.match(directives[name]) else 0.0
    return None


def age_of(headers: Headers) -> float:
    """The Age that an answer arrived with, seconds; 0 where it says none that can be read."""
    value = (get(headers, b"age") or b"").split(b",")[0].strip()
    return float(value) if re.match(rb"[0-9]{1,9}\Z", value) else 0.0


def decide(
    kind: Kind,
    status: int,
    headers: Headers,
    *,
    facts: PlaylistFacts | None = None,
    target_duration: float = 0.0,
    window: float = 0.0,
) -> Lifetime:
    """What may be done with an answer to a plain GET that carried no credentials.

    Args:
        facts: of the playlist, where it is one.
        target_duration: of the stream that a segment belongs to; 0 where that is not known.
        window: seconds that the stream's playlist covers.
    """
    directives = cache_control(headers)
    told = _seconds(directives, "s-maxage", "max-age")
    if reason := _private(directives, headers, missing=status in (404, 410)):
        return Lifetime(shared=False, reason=reason)
    if status in (404, 410):
        told = 0.0 if "no-store" in directives else told
        return Lifetime(shared=True, fresh=min(NEGATIVE, NEGATIVE if told is None else told))
    if 300 <= status < 500 and status not in (304, 401, 407):
        return Lifetime(shared=True)
    if status not in (200, 203):
        return Lifetime(shared=False, reason=f"status {status}")
    age = age_of(headers)
    target_duration = min(target_duration, LONGEST_TARGET)
    if kind == "playlist" and facts is not None:
        return _playlist(facts, told, age, target_duration)
    if kind == "segment":
        unit = target_duration or ASSUMED_TARGET
        return Lifetime(shared=True, fresh=max(told or 0.0, 6 * unit, window) + age, if_error=3 * unit, age=age)
    if told is None or "no-cache" in directives or get(headers, b"set-cookie") is not None:
        return Lifetime(shared=False, reason="no lifetime given, or a cookie")
    return Lifetime(
        shared=True,
        fresh=told,
        while_revalidated=_seconds(directives, "stale-while-revalidate") or 0.0,
        if_error=_seconds(directives, "stale-if-error") or 0.0,
        age=age,
    )


def _private(directives: Mapping[str, str], headers: Headers, *, missing: bool) -> str:
    for name in ("private",) if missing else ("private", "no-store"):
        if name in directives:
            return name
    vary = {each.strip().lower() for each in (get(headers, b"vary") or b"").decode("latin-1").split(",")} - {""}
    if odd := vary - _HARMLESS_VARY:
        return f"vary on {', '.join(sorted(odd))}"
    return ""


def _playlist(facts: PlaylistFacts, told: float | None, age: float, target: float) -> Lifetime:
    if facts.ended:
        return Lifetime(shared=True, fresh=60.0 if told is None else min(60.0, told), while_revalidated=60.0,
                        if_error=3600.0, age=age)  # fmt: skip
    unit = min(facts.target_duration, LONGEST_TARGET) or target or ASSUMED_TARGET
    half = unit / 2
    # `max-age=0` is a wish that cannot be granted, like `no-cache`: it would mean a request for each viewer.
    fresh = min(60.0, max(half, told or half)) if facts.multivariant else min(half, told or half)
    moment = min(LONGEST_MOMENT, unit * MOMENT_SHARE)
    return Lifetime(shared=True, fresh=max(fresh, age + moment), while_revalidated=half, if_error=3 * unit, age=age)


def end_to_end(headers: Headers, *, alone: bool = False) -> list[tuple[bytes, bytes]]:
    """The fields of an answer that may go on: without those of the hop, and without Set-Cookie and Age.

    `alone` is for an answer that goes to one viewer, who asked for it: whose cookie and Age it keeps.
    """
    named = {each.strip().lower() for each in (get(headers, b"connection") or b"").split(b",")}
    # `Connection: Cache-Control` must not strip what a cache below needs (RFC 9110 section 7.6.1).
    named -= {b"cache-control", b"age", b"host", b"authorization"}
    dropped = _HOP | named | {b"via", b"date"} | (frozenset() if alone else {b"set-cookie", b"age"})
    return [(name, value) for name, value in headers if name not in dropped]


def not_modified(request: Headers, headers: Headers) -> bool:
    """Whether a conditional GET or HEAD is to be answered 304 (RFC 9110 section 13.2.2)."""
    wanted = get(request, b"if-none-match")
    if wanted is not None:
        tag = get(headers, b"etag")
        if wanted.strip() == b"*":
            return True
        if tag is None:
            return False
        # Weak comparison (section 8.8.3.2).
        return tag.removeprefix(b"W/") in {each.strip().removeprefix(b"W/") for each in wanted.split(b",")}
    since, modified = get(request, b"if-modified-since"), get(headers, b"last-modified")
    # Compared as opaque strings: players send back what we gave them, and a date that differs is just a 200.
    return since is not None and since == modified


_RANGE = re.compile(rb"bytes=([0-9]{0,18})-([0-9]{0,18})\Z")


def parse_range(value: bytes, length: int | None) -> tuple[int, int | None] | None:
    """The first byte and the end (exclusive, None for "to the end") of a single byte range.

    None means to answer with the whole: no range, several, or one that is malformed (RFC 9110 section 14.2).
    `length` is None while it is not known; a suffix cannot be found then, and the whole is given.  Raises
    ValueError for a range that cannot be satisfied (416).
    """
    match = _RANGE.match(value.strip())
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        if not last or length is None:
            return None
        if int(last) == 0 or length == 0:
            raise ValueError("an empty suffix, or nothing to have one")
        return max(0, length - int(last)), length
    start = int(first)
    if last and int(last) < start:
        return None
    if length is not None and start >= length:
        raise ValueError("behind the end")
    end = int(last) + 1 if last else None
    if length is not None:
        end = length if end is None else min(end, length)
    return start, end
