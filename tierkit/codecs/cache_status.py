"""Cache-Status (RFC 9211): what each cache on the way has done with a request, the one nearest the origin first.

A cache adds one member behind those that came from upstream, and never changes theirs.  A field from upstream that
is no list of structured items is passed on as it is: it is for people to read, not for us to mend.
"""

from __future__ import annotations

import enum
from typing import Final

from attrs import frozen

from .http1 import Headers
from .http_structured import Item, display

__all__ = ["CacheStatus", "Fwd", "appended"]

#: Bytes of Cache-Status from upstream that are passed on: some twenty caches on the way.
MAX_UPSTREAM: Final = 4096


class Fwd(enum.Enum):
    """Why a request went upstream (RFC 9211 section 2.2)."""

    #: The cache was configured not to handle it.
    BYPASS = "bypass"
    #: Its method asks for it.
    METHOD = "method"
    #: Nothing was stored under its URI.
    URI_MISS = "uri-miss"
    #: Something was stored under its URI, but for requests with other fields (Vary).
    VARY_MISS = "vary-miss"
    #: Nothing was stored, and no more can be said.
    MISS = "miss"
    #: What was stored is fresh, but the request asks for more (`Cache-Control: no-cache`).
    REQUEST = "request"
    #: What was stored is stale.
    STALE = "stale"
    #: What was stored lacks a part that was asked for.
    PARTIAL = "partial"


@frozen(kw_only=True)
class CacheStatus:
    """One member of Cache-Status: what this cache has done.

    `hit` and `fwd` exclude each other (section 2.1); what is None or False is not said.
    """

    #: The name of this cache: a host, a tier.
    cache: str
    #: Served from store, without asking upstream.
    hit: bool = False
    fwd: Fwd | None = None
    #: The status that upstream answered, where it is not the one that is sent: a 304 that gave a 200.
    fwd_status: int | None = None
    #: Seconds of freshness left; negative for what is stale.
    ttl: int | None = None
    #: Whether the answer was stored.
    stored: bool = False
    #: Whether the request waited for another one's answer.
    collapsed: bool = False
    #: The cache key, or what may be told of it.
    key: str | None = None
    #: A word or two more, for people.
    detail: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.hit and self.fwd is not None:
            raise ValueError("a request is either a hit or forwarded: give `hit` or `fwd`, not both")

    def render(self) -> bytes:
        """The member as it is sent."""
        said: list[tuple[str, Item]] = [
            ("hit", self.hit),
            ("fwd-status", self.fwd_status),
            ("stored", self.stored),
            ("collapsed", self.collapsed),
            ("ttl", self.ttl),
            ("key", self.key),
        ]
        parts = [display(self.cache, token=True)]
        if self.fwd is not None:
            parts.append(b"fwd=" + self.fwd.value.encode("ascii"))
        for name, value in said:
            if value is True:
                parts.append(name.encode("ascii"))
            elif value is not None and value is not False:
                parts.append(name.encode("ascii") + b"=" + display(value))
        if self.detail is not None:
            parts.append(b"detail=" + display(self.detail, token=True))
        return b"; ".join(parts)


def appended(upstream: Headers, status: CacheStatus) -> bytes:
    """The value of Cache-Status to send: the members that came with an answer, and ours behind them (section 2).

    A stored answer keeps those of the request that fetched it: they tell where its bytes once came from.
    """
    came = b", ".join(value for name, value in upstream if name == b"cache-status" and value)
    if not came or len(came) > MAX_UPSTREAM:
        return status.render()
    return came + b", " + status.render()
