"""Which fields go on, in both directions, and which are stored (RFC 9110 section 7.6.1, RFC 9111 section 3.1).

What we do not know passes.  What ends at each hop is dropped: the fields of the connection, those for a proxy, and
those that Connection names, save the ones that Connection must never take away: a client that could strip Host,
Authorization or Cache-Control from what the origin sees would choose what everybody gets from the cache.

Framing (Content-Length, Transfer-Encoding) is dropped too: whoever writes the message makes its own.
"""

from __future__ import annotations

from typing import Final

from .http1 import Headers
from .http_fields import delta_seconds, first, format_date, is_cache_control, members

__all__ = [
    "forwarded",
    "forwarded_trailers",
    "forwards_left",
    "one_forward_less",
    "stored_fields",
    "without_unkeyed",
]

#: End at each hop: RFC 9110 section 7.6.1, and RFC 7540 section 3.2.1 for HTTP2-Settings.
HOP_BY_HOP: Final = frozenset(
    {b"connection", b"http2-settings", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"}
)
#: For one proxy and its client (RFC 9111 section 3.1); Proxy-Status (RFC 9209) is for everybody and passes.
FOR_PROXIES: Final = frozenset({b"proxy-authenticate", b"proxy-authentication-info", b"proxy-authorization"})
#: How long a message is; ours.
FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})

#: Never taken away by Connection.  They are for all recipients, so no sender may name them (RFC 9110 section 7.6.1),
#: and each has been used to make a cache or an origin believe something else ("hop-by-hop header abuse").
KEPT: Final = frozenset(
    {
        # who is asked, by whom, and for what
        *(b"host", b"authorization", b"cookie", b"range", b"accept-encoding", b"content-type", b"content-encoding"),
        *(b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"),
        # loops, seen by the next hop
        *(b"via", b"cdn-loop", b"max-forwards"),
        # what a cache below must know
        *(b"age", b"date", b"etag", b"expires", b"last-modified", b"pragma"),
        *(b"set-cookie", b"vary", b"content-range", b"cache-status"),
    }
)


def named_by_connection(headers: Headers) -> frozenset[bytes]:
    """The fields that Connection takes away, in lower case (RFC 9110 section 7.6.1).

    Never those of `KEPT`, nor Cache-Control, be it targeted or not.
    """
    named = frozenset(name.lower() for name in members(headers, b"connection")) - KEPT
    return frozenset(name for name in named if not is_cache_control(name))


def forwarded(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The fields of a request or of an answer that go on to the next hop, in their order."""
    dropped = HOP_BY_HOP | FOR_PROXIES | FRAMING | named_by_connection(headers)
    return [(name, value) for name, value in headers if name not in dropped]


def stored_fields(headers: Headers, *, now: float, strip: frozenset[bytes] = frozenset()) -> list[tuple[bytes, bytes]]:
    """The fields of an answer that are stored for others.

    Age is left out, because it is made anew for each who gets it; a missing Date is added, as whoever stores an
    answer must (RFC 9110 section 6.6.1).

    Args:
        now: wall time of arrival, seconds since 1970.
        strip: fields for the one who asked (`Lifetime.strip`).
    """
    fields = [(name, value) for name, value in forwarded(headers) if name not in strip and name != b"age"]
    if first(fields, b"date") is None:
        fields.append((b"date", format_date(now)))
    return fields


def forwards_left(request: Headers) -> int | None:
    """How many more times an OPTIONS request may be forwarded (RFC 9110 section 7.6.2); None where it does not say."""
    value = first(request, b"max-forwards")
    return None if value is None else delta_seconds(value)


def one_forward_less(request: Headers) -> list[tuple[bytes, bytes]]:
    """A request with its Max-Forwards, where it has one that can be read, as the next hop gets it."""
    left = forwards_left(request)
    if left is None:
        return list(request)
    fields = [each for each in request if each[0] != b"max-forwards"]
    return [*fields, (b"max-forwards", b"%d" % max(0, left - 1))]


#: Fields by which a client makes frameworks believe in another URL, method, host or client than the one in the key:
#: what they answer then would be stored for everybody ("Practical Web Cache Poisoning", Kettle, 2018).  An origin that
#: shows more to 127.0.0.1 must not be made to fill a cache with that.
UNKEYED: Final = frozenset(
    {
        b"forwarded",
        b"x-forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
    }
    | {b"x-forwarded-scheme", b"x-forwarded-server", b"x-forwarded-ssl", b"x-forwarded-path", b"x-forwarded-uri"}
    | {b"x-host", b"x-http-host-override", b"x-original-host", b"x-original-url", b"x-rewrite-url", b"x-scheme"}
    | {b"x-http-method", b"x-http-method-override", b"x-method-override", b"front-end-https"}
    | {b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip"}
)


def without_unkeyed(request: Headers) -> list[tuple[bytes, bytes]]:
    """A request without the fields of `UNKEYED`: for what fills a cache; what passes through it may keep them."""
    return [(name, value) for name, value in request if name not in UNKEYED]


#: What a trailer must not say, because it comes too late or could change how the message was read (RFC 9110 section
#: 6.5.1): framing, routing, modifiers, authentication, and how content is to be processed.
NOT_IN_TRAILERS: Final = (
    HOP_BY_HOP
    | FOR_PROXIES
    | FRAMING
    | KEPT
    | {
        b"authentication-info",
        b"cache-control",
        b"content-location",
        b"expect",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
    }
    | {b"if-range", b"if-unmodified-since", b"location", b"retry-after", b"www-authenticate"}
)


def forwarded_trailers(trailers: Headers) -> list[tuple[bytes, bytes]]:
    """The trailers that may go on, as trailers: never merged into the fields of a head (RFC 9110 section 6.5.1)."""
    return [(name, value) for name, value in trailers if name not in NOT_IN_TRAILERS]
