"""What an edge does where an HTTP cache and a live stream want different things.

`Live` knows what it carries: it gives each class of object a lifetime of its own, asks upstream in its own name, and
does not listen to what viewers ask of caches, because one of many thousands who reload without the cache would reach
the origin.  `Plain` is a shared cache by RFC 9111 for whatever stands behind it: the fields of the request go on, the
answer's own lifetime counts, and every method passes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from attrs import evolve, frozen

import tierkit
from tierkit.codecs import http_cache, live_cache
from tierkit.codecs.hls import PlaylistFacts
from tierkit.codecs.http1 import Headers
from tierkit.codecs.http_cache import Lifetime, RequestDirectives, request_directives
from tierkit.codecs.http_conditional import for_origin_alone, unconditional
from tierkit.codecs.http_forward import forwarded, without_unkeyed
from tierkit.http import REQUEST_ID, Request

from ._about import About

__all__ = ["OURS", "Arrival", "Live", "Plain", "Policy"]

#: What a request that is passed on for one viewer says upstream, besides our own fields.
PASSED_ON = frozenset({b"authorization", b"range", b"if-none-match", b"if-modified-since", b"if-range"})
#: Of the hop behind, or of what only the one who asked wants: not for a request that is to fill the store.
_OF_ONE_CLIENT = frozenset({b"cache-control", b"expect", b"pragma"})
#: What we say of ourselves.  Identity only: a cache that stores one form must not store a compressed one for all.
OURS = (
    (b"Accept", b"*/*"),
    (b"Accept-Encoding", b"identity"),
    (b"User-Agent", b"tierkit/" + tierkit.__version__.encode()),
)
#: Made anew at each hop: who is asked, who has asked so far, and what the request is called.
_MADE_ANEW = frozenset({b"host", b"via", REQUEST_ID})


@frozen(kw_only=True)
class Arrival:
    """An answer of upstream's, and what is known beside it."""

    about: About
    status: int
    headers: Headers
    #: Of the request that it answers, as the viewer sent them.
    request: Headers
    #: Unix seconds.
    wall: float
    #: Seconds that it took.
    delay: float
    #: Of the playlist that it is listed in, where that is known.
    stream: PlaylistFacts | None = None
    #: Whether a version of a playlist was waited for, and this is it.
    blocking: bool = False


class Policy(ABC):
    """One way to be a cache."""

    #: Whether methods that are not safe go on to upstream, and what a HEAD does: an own one, or a GET's answer.
    all_methods: bool
    #: Whether an answer of 5xx is the answer, where no other upstream has a better one.
    relays_errors: bool
    #: Whether playlists are read, and what they list is known.
    knows_streams: bool
    #: Whether our own CORS fields take the place of upstream's.
    own_cors: bool
    #: Whether upstream is asked with the fields of the viewer who began a fetch: its answer may then hold some of his.
    asks_as_viewer: bool

    @abstractmethod
    def lifetime(self, arrival: Arrival) -> Lifetime:
        """What may be done with an answer."""

    @abstractmethod
    def tells(self, arrival: Arrival, lifetime: Lifetime, fields: list[tuple[bytes, bytes]]) -> Headers:
        """The fields of an answer as viewers get them: how long they, and caches on their side, may keep it."""

    @abstractmethod
    def wanted(self, request: Headers) -> RequestDirectives | None:
        """What of a viewer's wishes counts."""

    @abstractmethod
    def bypasses(self, names: frozenset[bytes]) -> bool:
        """Whether a request with these fields goes past the store whatever is in it."""

    @abstractmethod
    def leaves_to_origin(self, request: Request) -> bool:
        """Whether a request that nothing stored can answer is passed on as it is, and fills nothing."""

    @abstractmethod
    def asks(self, request: Headers, *, alone: bool) -> list[tuple[bytes, bytes]]:
        """The fields of a request upstream: for one viewer `alone`, or to fill the store for all."""


class Live(Policy):
    """Lifetimes by class: `tierkit.codecs.live_cache`."""

    all_methods = False
    relays_errors = False
    knows_streams = True
    own_cors = True
    asks_as_viewer = False

    def lifetime(self, arrival: Arrival) -> Lifetime:
        about, stream = arrival.about, arrival.stream
        return live_cache.decide(
            about.kind,
            arrival.status,
            arrival.headers,
            facts=about.facts,
            mpd=about.mpd,
            target_duration=stream.target_duration if stream is not None else 0.0,
            window=stream.window if stream is not None else 0.0,
            blocking=arrival.blocking,
            delay=arrival.delay,
        )

    def tells(self, arrival: Arrival, lifetime: Lifetime, fields: list[tuple[bytes, bytes]]) -> Headers:
        return live_cache.for_viewers(arrival.about.kind, arrival.status, lifetime, fields)

    def wanted(self, request: Headers) -> RequestDirectives | None:
        return None

    def bypasses(self, names: frozenset[bytes]) -> bool:
        return b"authorization" in names

    def leaves_to_origin(self, request: Request) -> bool:
        return False

    def asks(self, request: Headers, *, alone: bool) -> list[tuple[bytes, bytes]]:
        found = list(OURS)
        if alone:
            found += amplified_by_nobody([each for each in request if each[0] in PASSED_ON])
        return found


class Plain(Policy):
    """RFC 9111 alone: `tierkit.codecs.http_cache`."""

    all_methods = True
    relays_errors = True
    knows_streams = False
    own_cors = False
    asks_as_viewer = True

    def __init__(self, rules: http_cache.Policy) -> None:
        self.rules = rules

    def lifetime(self, arrival: Arrival) -> Lifetime:
        found = http_cache.decide(
            arrival.request,
            arrival.status,
            arrival.headers,
            now=arrival.wall,
            delay=arrival.delay,
            policy=self.rules,
        )
        return evolve(found, shared=True) if for_those_who_wait(arrival.status, found) else found

    def tells(self, arrival: Arrival, lifetime: Lifetime, fields: list[tuple[bytes, bytes]]) -> Headers:
        return fields

    def wanted(self, request: Headers) -> RequestDirectives | None:
        return request_directives(request)

    def bypasses(self, names: frozenset[bytes]) -> bool:
        return has_content(names)

    def leaves_to_origin(self, request: Request) -> bool:
        # A HEAD fetches no body for others, and may say more of what is stored than its own answer.
        return request.method == "HEAD" or for_origin_alone(request.headers)

    def asks(self, request: Headers, *, alone: bool) -> list[tuple[bytes, bytes]]:
        passed = [each for each in forwarded(request) if each[0] not in _MADE_ANEW]
        if alone:
            return amplified_by_nobody(passed)
        return [each for each in unconditional(without_unkeyed(passed)) if each[0] not in _OF_ONE_CLIENT]


def amplified_by_nobody(request: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """A request without its Range where that has several: who asks gets the whole, as RFC 9110 section 14.2 allows.

    An origin that answers each of a thousand overlapping ranges sends a thousand times what was asked of us (RangeAmp).
    """
    several = any(name == b"range" and b"," in value for name, value in request)
    return [each for each in request if each[0] not in (b"range", b"if-range")] if several else request


def for_those_who_wait(status: int, found: Lifetime) -> bool:
    """Whether an answer that is not stored goes to all who wait for it, though.

    An origin that breaks down must not be asked by each of a crowd for the same error; what the error may hold for one
    user alone keeps it from the others still.
    """
    return status >= 500 and found.unsaid


def has_content(names: frozenset[bytes]) -> bool:
    """Whether a request brings a body: a GET's is no part of the key, so its answer is for nobody else."""
    return b"content-length" in names or b"transfer-encoding" in names
