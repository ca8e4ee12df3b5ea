"""What a shared cache may do with an answer: sans-IO, time is an argument.

This is the `live` policy: RFC 9111 where it speaks of what may be shared (`http_cache` has all of it), and class
lifetimes where a live stream needs them.  With TD the target duration of the stream's media playlist, or the part
target of one that has parts:

| class | fresh for | then stale, while revalidated | then stale, if upstream fails |
|---|---|---|---|
| media playlist | min(max-age, TD / 2) | TD / 2 | 3 target durations |
| the same, blocking (`_HLS_msn`) | 6 target durations | - | - |
| multivariant playlist | max-age within TD / 2 .. 60 s | TD / 2 | 3 TD |
| finished playlist (ENDLIST) | 60 s | 60 s | 1 h |
| DASH manifest | min(max-age, half its update period) | the same | 3 segments |
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

Viewers, and the caches on their side, are told the same (`for_viewers`): an origin's `max-age=86400` on a playlist, or
three minutes for a 404, freezes the player whose browser believes it.
"""

from __future__ import annotations

from .dash import MpdFacts, fresh_for
from .hls import Kind, PlaylistFacts
from .http1 import Headers, get
from .http_fields import Directives, field_names
from .http_lifetime import TARGETS, Lifetime, age_value, control_of, seconds

__all__ = ["Lifetime", "decide", "for_viewers"]

#: Target duration to assume where no playlist has been seen yet: Apple's recommendation (HLS authoring
#: specification 7.5).
ASSUMED_TARGET = 6.0
#: Longest target duration that counts: a misspelt one must not freeze a stream.
LONGEST_TARGET = 60.0
#: Seconds that a playlist is fresh for at least: parts are a tenth of a second at the shortest, and a misspelt
#: PART-TARGET must not make each request of a viewer's one upstream.
SHORTEST_FRESH = 0.05
#: What is stale on arrival is fresh for this part of a target duration, and for this many seconds at most.
MOMENT_SHARE = 1 / 8
LONGEST_MOMENT = 1.0
#: Seconds for which a missing thing is believed to be missing: the next segment is a 404 until it is there.
NEGATIVE = 1.0
#: What is stored, besides what is missing: never an error of the server's.
STORED = frozenset({200, 203})
#: Say something to one request alone: what it has already, and that it must say who it is.
ONE_REQUEST = frozenset({304, 401, 407})
#: Never shared, on media or playlists: each viewer would be the one who asked first.
COOKIES = frozenset({b"set-cookie", b"set-cookie2"})
#: Fields that say how long an answer may be kept, to somebody.
RULING = frozenset({b"cache-control", b"expires", b"pragma", b"surrogate-control", *TARGETS})
#: The shortest lifetime that a header can tell: a cache on the viewers' side then asks once a second, not for each.
SHORTEST_TOLD = 1
# What we send upstream never differs by these, so an answer that does is one for all.
_HARMLESS_VARY = frozenset({"accept-encoding", "origin", "user-agent", "accept"})


def decide(
    kind: Kind,
    status: int,
    headers: Headers,
    *,
    facts: PlaylistFacts | None = None,
    mpd: MpdFacts | None = None,
    target_duration: float = 0.0,
    window: float = 0.0,
    blocking: bool = False,
    delay: float = 0.0,
) -> Lifetime:
    """What may be done with an answer to a plain GET that carried no credentials.

    The age that counts is what Age says and the time that upstream took; Date is not looked at, because a live origin
    whose clock is off must not make a stream stale.

    Args:
        facts: of the playlist, where it is one.
        mpd: of the DASH manifest, where it is one.
        target_duration: of the stream that a segment belongs to; 0 where that is not known.
        window: seconds that the stream's playlist covers.
        blocking: whether a version of the playlist was waited for (RFC 8216bis section 6.2.5.2).
        delay: seconds between asking upstream and the arrival of the head.
    """
    control, _ = control_of(headers)
    told = told_lifetime(control)
    missing = status in (404, 410)
    if reason := refusal(control, headers, missing=missing):
        return Lifetime(shared=False, reason=reason)
    if missing:
        told = 0.0 if "no-store" in control else told
        return Lifetime(shared=True, fresh=min(NEGATIVE, NEGATIVE if told is None else told))
    if for_those_who_wait(status):
        return Lifetime(shared=True)
    if status not in STORED:
        return Lifetime(shared=False, reason=f"status {status}")
    age = age_value(headers) + max(0.0, delay)
    strip = COOKIES | field_names(control.get("private", "")) | field_names(control.get("no-cache", ""))
    target_duration = min(target_duration, LONGEST_TARGET)
    if kind == "playlist" and facts is not None:
        fresh, behind, if_error = playlist_lifetime(facts, told, age, target_duration, blocking=blocking)
    elif kind == "mpd" and mpd is not None:
        fresh, behind, if_error = mpd_lifetime(mpd, told, age)
    elif kind == "segment":
        unit = target_duration or ASSUMED_TARGET
        fresh, behind, if_error = segment_lifetime(told, unit, window) + age, 0.0, 3 * unit
    elif told is None or "no-cache" in control or get(headers, b"set-cookie") is not None:
        return Lifetime(shared=False, reason="no lifetime given, or a cookie")
    else:
        fresh = told
        behind = float(seconds(control, "stale-while-revalidate") or 0)
        if_error = float(seconds(control, "stale-if-error") or 0)
    return Lifetime(
        shared=True,
        fresh=fresh,
        while_revalidated=behind,
        if_error=if_error,
        age=age,
        strip=strip,
        validator=get(headers, b"etag") is not None or get(headers, b"last-modified") is not None,
    )


def for_viewers(
    kind: Kind, status: int, lifetime: Lifetime, fields: list[tuple[bytes, bytes]]
) -> list[tuple[bytes, bytes]]:
    """The fields of an answer, with its class's lifetime in the place of the origin's where that could freeze a player.

    Playlists and manifests are told for as long as they are fresh here; what is not there, or refused, is not to be
    kept.  Segments stay as the origin has them: what it says of those hurts nobody.
    """
    told = viewers_control(kind, status, lifetime)
    if not told:
        return fields
    return [*(each for each in fields if each[0] not in RULING), (b"Cache-Control", told)]


def viewers_control(kind: Kind, status: int, lifetime: Lifetime) -> bytes:
    """What Cache-Control says to viewers; empty where the origin's own word stands."""
    if status >= 400:
        return b"no-store"
    if status == 200 and kind in ("playlist", "mpd"):
        return b"max-age=%d" % max(SHORTEST_TOLD, int(lifetime.fresh))
    return b""


def for_those_who_wait(status: int) -> bool:
    """Whether a redirection or a refusal answers all who wait for it, and nobody who comes later."""
    return 300 <= status < 500 and status not in ONE_REQUEST


def told_lifetime(control: Directives) -> float | None:
    """What the origin says; None where it says nothing.  Expires is not asked: origins of live streams send it to
    say "never", as they do no-cache."""
    for name in ("s-maxage", "max-age"):
        if (told := seconds(control, name)) is not None:
            return float(told)
    return None


def refusal(control: Directives, headers: Headers, *, missing: bool) -> str:
    """Why an answer is not for others, or ""."""
    if control.get("private") == "":
        return "private"
    if "no-store" in control and not missing:
        return "no-store"
    vary = {each.strip().lower() for each in (get(headers, b"vary") or b"").decode("latin-1").split(",")} - {""}
    if odd := vary - _HARMLESS_VARY:
        return f"vary on {', '.join(sorted(odd))}"
    return ""


def segment_lifetime(told: float | None, unit: float, window: float) -> float:
    """A segment never changes, and is asked for as long as it is listed."""
    return max(told or 0.0, 6 * unit, window)


def playlist_lifetime(
    facts: PlaylistFacts, told: float | None, age: float, target: float, *, blocking: bool
) -> tuple[float, float, float]:
    """How long a playlist is fresh, then stale while revalidated, then stale where upstream fails."""
    if facts.ended:
        return 60.0 if told is None else min(60.0, told), 60.0, 3600.0
    unit = min(facts.target_duration, LONGEST_TARGET) or target or ASSUMED_TARGET
    if blocking:
        # Nobody asks for that version again but those who come for it now (RFC 8216bis appendix B.1).
        return max(6 * unit, age), 0.0, 0.0
    half = max(SHORTEST_FRESH, min(facts.part_target or unit, unit) / 2)
    # `max-age=0` is a wish that cannot be granted, like `no-cache`: it would mean a request for each viewer.
    fresh = min(60.0, max(half, told or half)) if facts.multivariant else min(half, told or half)
    return max(fresh, age + moment(2 * half)), half, 3 * unit


def mpd_lifetime(mpd: MpdFacts, told: float | None, age: float) -> tuple[float, float, float]:
    """How long a DASH manifest is fresh, then stale while revalidated, then stale where upstream fails."""
    half = fresh_for(mpd)
    fresh = min(half, told or half)
    return max(fresh, age + moment(2 * half)), half, 3 * (mpd.max_segment_duration or ASSUMED_TARGET)


def moment(unit: float) -> float:
    """For how long what is stale on arrival is fresh all the same."""
    return min(LONGEST_MOMENT, unit * MOMENT_SHARE)
