"""What became of a request, as Cache-Status tells it (RFC 9211 section 2)."""

from __future__ import annotations

import math

from attrs import frozen

from tierkit.codecs.cache_status import CacheStatus, Fwd, appended
from tierkit.codecs.http1 import Headers
from tierkit.codecs.http_cache import Lifetime

__all__ = ["MISSED", "Why", "outcome", "with_status"]

#: Ways that ask nothing of upstream before the viewer is answered, and what people should know of them.
SERVED = {"hits": None, "stale": "stale-while-revalidate", "stale_if_error": "stale-if-error"}


#: The words that the access log has, those of nginx's $upstream_cache_status where it has one.
OUTCOMES = {
    "hits": "HIT",
    "stale": "UPDATING",
    "collapsed": "COLLAPSED",
    "misses": "MISS",
    "passed": "BYPASS",
    "stale_if_error": "STALE",
}


@frozen
class Why:
    """Why a request went upstream, and what upstream said where that is not what the viewer gets."""

    fwd: Fwd = Fwd.MISS
    status: int | None = None


#: Nothing was stored, and no more is known.
MISSED = Why()


def outcome(way: str, why: Why = MISSED) -> str:
    """What became of a request that went a way, as the access log says it."""
    return "REVALIDATED" if way == "misses" and why.status == 304 else OUTCOMES[way]


def with_status(
    headers: Headers, cache: bytes, way: str, why: Why, lifetime: Lifetime | None = None, age: float = 0.0
) -> list[tuple[bytes, bytes]]:
    """The fields of an answer, Cache-Status as the last: our member behind those that came from upstream.

    Args:
        cache: how this tier calls itself.
        way: what became of the request, one of the edge's.
        lifetime: of what is served, where it is stored.
        age: its age, seconds.
    """
    said = appended(headers, _member(cache.decode("ascii"), way, why, lifetime, age))
    return [*(each for each in headers if each[0] != b"cache-status"), (b"cache-status", said)]


def _member(cache: str, way: str, why: Why, lifetime: Lifetime | None, age: float) -> CacheStatus:
    ttl = time_left(lifetime, age)
    if way in SERVED:
        return CacheStatus(cache=cache, hit=True, ttl=ttl, detail=SERVED[way])
    kept = lifetime is not None and lifetime.kept
    return CacheStatus(
        cache=cache,
        fwd=why.fwd,
        fwd_status=why.status,
        stored=kept and way == "misses",
        collapsed=way == "collapsed",
        ttl=ttl if kept else None,
    )


def time_left(lifetime: Lifetime | None, age: float) -> int | None:
    """Whole seconds of freshness left, negative where it is over."""
    if lifetime is None or math.isinf(lifetime.fresh):
        return None
    return math.floor(lifetime.fresh - age)
