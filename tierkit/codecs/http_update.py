"""How later answers change what is stored: 304, HEAD, and unsafe methods (RFC 9111 sections 3.2, 4.3.4, 4.3.5, 4.4).

After an update the caller decides anew: `merged` gives the fields of the whole, `http_cache.decide` their lifetime
with the status that is stored, and `http_forward.stored_fields` what of them is stored.  If the answer is no longer
shared (it is `private` by now, say), what is stored goes.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from .http1 import Headers, content_length
from .http_conditional import last_modified_is_strong, parse_etag
from .http_fields import first
from .http_forward import forwarded

__all__ = ["HeadEffect", "head_effect", "invalidated", "is_unsafe", "merged", "selected"]

#: Not replaced by what a 304 or the answer to a HEAD says: they describe the bytes that are stored (RFC 9111 section
#: 3.2), as their digests do (RFC 9530, RFC 1864).  Content-Type is replaced, as are all other Content-* fields: the
#: bytes are kept as they came, not parsed.
NOT_UPDATED: Final = frozenset(
    {b"content-length", b"content-encoding", b"content-range", b"content-digest", b"content-md5"}
)
#: Speak of one answer alone, so the old ones never stand in for missing new ones.
_OF_ITS_OWN: Final = frozenset({b"age", b"date"})


def merged(stored: Headers, newer: Headers) -> list[tuple[bytes, bytes]]:
    """The fields of something stored, updated from a 304 or from the answer to a HEAD (RFC 9111 section 3.2).

    Each field of the newer answer takes the place of all lines of that name; what it does not speak of stays, save
    Age and Date: a newer answer without them has no age and is dated when it came.
    """
    fresh = [(name, value) for name, value in forwarded(newer) if name not in NOT_UPDATED]
    gone = {name for name, _ in fresh} | _OF_ITS_OWN
    return [(name, value) for name, value in stored if name not in gone] + fresh


def selected(stored: Sequence[Headers], validation: Headers, now: float) -> list[int]:
    """Which of the stored answers a 304 updates, as indices (RFC 9111 section 4.3.4).

    [] for none: the 304 is then of no use, and the whole is to be fetched without conditions.

    A strong validator selects all that have the same; a weak one the newest that matches; none at all the one answer
    that was asked about.  There the RFC wants it to have no validator either; but origins are to leave Last-Modified
    out of a 304 (RFC 9110 section 15.4.5), and what was validated by date would never be updated.

    Args:
        stored: fields of each stored answer whose validators the request carried, the newest first.
        now: wall time, seconds since 1970.
    """
    tag, modified = parse_etag(first(validation, b"etag")), first(validation, b"last-modified")
    if tag is None and modified is None:
        return [0] if len(stored) == 1 else []
    if tag is not None:
        own = [parse_etag(first(headers, b"etag")) for headers in stored]
        if not tag.weak:
            return [at for at, each in enumerate(own) if each == tag]
        return [at for at, each in enumerate(own) if each is not None and each.is_weakly(tag)][:1]
    same = [at for at, headers in enumerate(stored) if first(headers, b"last-modified") == modified]
    return same if last_modified_is_strong(validation, now) else same[:1]


class HeadEffect(enum.Enum):
    """What an answer to HEAD means for a stored answer to GET."""

    #: Update it with `merged`.
    UPDATE = "update"
    #: It is another object by now: stale from here on, and revalidated before it is used.
    STALE = "stale"
    #: It says nothing about it.
    NOTHING = "nothing"


def head_effect(stored: Headers, length: int | None, status: int, newer: Headers) -> HeadEffect:
    """What the answer to a HEAD means for what is stored for GET (RFC 9111 section 4.3.5).

    Args:
        length: bytes of the stored body, None while it still grows.
    """
    if status != 200:
        return HeadEffect.NOTHING
    for name in (b"etag", b"last-modified"):
        said = first(newer, name)
        if said is not None and said != first(stored, name):
            return HeadEffect.STALE
    return HeadEffect.STALE if _other_length(length, newer) else HeadEffect.UPDATE


def _other_length(length: int | None, newer: Headers) -> bool:
    if length is None or first(newer, b"content-length") is None:
        return False
    return content_length(newer) != length


#: Methods that change nothing (RFC 9110 section 9.2.1); any other may, and one that we do not know does.
SAFE: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})
#: The longest Location that is looked at: that of a line of a head.
MAX_LOCATION: Final = 8192
_PORTS: Final = {"http": 80, "https": 443}


def is_unsafe(method: bytes) -> bool:
    """Whether a method may change what is stored."""
    return method not in SAFE


def has_changed_something(status: int) -> bool:
    """Whether an unsafe request may have done what it was to do: an error says that it has not."""
    return 200 <= status < 400


def invalidated(method: bytes, status: int, headers: Headers, url: str) -> list[str]:
    """The URLs whose stored answers an unsafe request has made invalid (RFC 9111 section 4.4); [] for none.

    The target itself, and what Location and Content-Location name, of the same origin only: nobody may purge what
    belongs to others.  An error (4xx, 5xx) changes nothing.

    Args:
        url: the target, absolute, as its key was made of.
        headers: of the answer.
    """
    if not is_unsafe(method) or not has_changed_something(status):
        return []
    found = [url]
    for name in (b"location", b"content-location"):
        value = first(headers, name)
        if value is not None and (other := same_origin(url, value)) is not None and other not in found:
            found.append(other)
    return found


def same_origin(url: str, reference: bytes) -> str | None:
    """What a reference means beside a URL, spelt with that URL's own authority and without a fragment.

    None where it is of another origin, or no URL.
    """
    try:
        if len(reference) > MAX_LOCATION:
            return None
        base, other = urlsplit(url), urlsplit(urljoin(url, reference.decode("ascii")))
        if _origin(other) != _origin(base):
            return None
    except ValueError:  # not ASCII, a port that is no number, an IPv6 address that never ends
        return None
    return urlunsplit((base.scheme, base.netloc, other.path or "/", other.query, ""))


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
