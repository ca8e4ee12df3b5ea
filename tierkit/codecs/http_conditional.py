"""Entity tags, and conditional requests in both directions (RFC 9110 sections 8.8 and 13, RFC 9111 section 4.3).

Downwards a cache answers for the origin: `evaluate` says whether a request gets what is stored, or 304.  Upwards it
asks on its own account: `revalidation` gives the validators of what is stored.  A client's own conditions never go
upstream with a fill (`unconditional`), or the cache would be given a 304 or a part for somebody else's copy.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from attrs import frozen

from .http1 import Headers
from .http_fields import first, is_cache_control, members, parse_date

__all__ = [
    "EntityTag",
    "Verdict",
    "evaluate",
    "for_origin_alone",
    "last_modified_is_strong",
    "not_modified_fields",
    "parse_etag",
    "revalidation",
    "unconditional",
]

#: Tags of one condition that are compared; a client has as many as it has copies of the object.
MAX_TAGS: Final = 64

_ETAG = re.compile(rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*")\Z')


@frozen
class EntityTag:
    """An entity tag (RFC 9110 section 8.8.3); `opaque` has its quotes."""

    weak: bool
    opaque: bytes

    def is_strongly(self, other: EntityTag) -> bool:
        """Strong comparison (section 8.8.3.2): the same bytes, and neither weak."""
        return not self.weak and not other.weak and self.opaque == other.opaque

    def is_weakly(self, other: EntityTag) -> bool:
        """Weak comparison (section 8.8.3.2): good enough to answer 304."""
        return self.opaque == other.opaque


def parse_etag(value: bytes | None) -> EntityTag | None:
    """An entity tag; None for none, and for what is malformed, which matches nothing."""
    match = None if value is None else _ETAG.match(value.strip(b" \t"))
    return None if match is None else EntityTag(match.group(1) is not None, match.group(2))


def last_modified_is_strong(headers: Headers, now: float) -> bool:
    """Whether a Last-Modified tells versions apart: a second or more before the Date (RFC 9110 section 8.8.2.2)."""
    modified, date = first(headers, b"last-modified"), first(headers, b"date")
    if modified is None or date is None:
        return False
    changed, sent = parse_date(modified, now), parse_date(date, now)
    return changed is not None and sent is not None and sent - changed >= 1


class Verdict(enum.Enum):
    """What a conditional request gets."""

    #: The answer, as if there were no condition.
    PASS = 200
    #: 304, with `not_modified_fields`.
    NOT_MODIFIED = 304
    #: 412.
    FAILED = 412


def evaluate(
    request: Headers,
    status: int,
    headers: Headers,
    *,
    now: float,
    method: bytes = b"GET",
    origin: bool = False,
) -> Verdict:
    """What a request gets where this answer would be its answer, in the order of RFC 9110 section 13.2.2.

    If-Match and If-Unmodified-Since are for origins alone, and a cache reads over them (RFC 9111 section 4.3.2);
    `origin` is for tiers that have the object of their own.  Conditions count only beside a 200: an error is an
    error under any (RFC 9110 section 13.2.1).

    Args:
        headers: of the stored answer.
        now: wall time, seconds since 1970.
    """
    if not is_success(status):
        return Verdict.PASS
    if origin and not _is_still_so(request, headers, now):
        return Verdict.FAILED
    reads = method in (b"GET", b"HEAD")
    wanted = members(request, b"if-none-match")
    if wanted:
        if not none_matches(wanted, headers):
            return Verdict.NOT_MODIFIED if reads else Verdict.FAILED
        return Verdict.PASS
    # A broken If-None-Match still rules out the date, which is the weaker question (section 13.1.3).
    if reads and first(request, b"if-none-match") is None and not modified_since(request, headers, now):
        return Verdict.NOT_MODIFIED
    return Verdict.PASS


def is_success(status: int) -> bool:
    """Whether an answer is one that a condition can be about."""
    return 200 <= status < 300


def _is_still_so(request: Headers, headers: Headers, now: float) -> bool:
    wanted = members(request, b"if-match")
    if wanted:
        return some_matches(wanted, headers)
    return first(request, b"if-match") is not None or unmodified_since(request, headers, now)


def some_matches(wanted: list[bytes], headers: Headers) -> bool:
    """If-Match: any of the tags is ours by strong comparison, or `*` (RFC 9110 section 13.1.1)."""
    if wanted == [b"*"]:
        return True
    own = parse_etag(first(headers, b"etag"))
    return own is not None and any(tag.is_strongly(own) for tag in _tags(wanted))


def none_matches(wanted: list[bytes], headers: Headers) -> bool:
    """If-None-Match: none of the tags is ours by weak comparison, and not `*` (RFC 9110 section 13.1.2)."""
    if wanted == [b"*"]:
        return False
    own = parse_etag(first(headers, b"etag"))
    return own is None or not any(tag.is_weakly(own) for tag in _tags(wanted))


def _tags(wanted: list[bytes]) -> list[EntityTag]:
    return [tag for each in wanted[:MAX_TAGS] if (tag := parse_etag(each)) is not None]


def modified_since(request: Headers, headers: Headers, now: float) -> bool:
    """If-Modified-Since: changed after that date; a date that cannot be read, or a second one, is no condition.

    What has no Last-Modified is as old as its Date (RFC 9110 section 13.1.3, RFC 9111 section 4.3.2).
    """
    value = _only(request, b"if-modified-since")
    if value is None:
        return True
    own = first(headers, b"last-modified")
    if value == own:  # what players send back is what we gave them
        return parse_date(value, now) is None
    since = parse_date(value, now)
    changed = parse_date(own or first(headers, b"date") or b"", now)
    return since is None or changed is None or changed > since


def unmodified_since(request: Headers, headers: Headers, now: float) -> bool:
    """If-Unmodified-Since: not changed after that date; ignored where it cannot be read (RFC 9110 section 13.1.4)."""
    value = _only(request, b"if-unmodified-since")
    since = None if value is None else parse_date(value, now)
    if since is None:
        return True
    changed = parse_date(first(headers, b"last-modified") or b"", now)
    return changed is not None and changed <= since


def _only(headers: Headers, name: bytes) -> bytes | None:
    found = [value for key, value in headers if key == name]
    return found[0] if len(found) == 1 else None


#: What a 304 says (RFC 9110 section 15.4.5), beside Cache-Control of every target, which guides the update of caches,
#: and Last-Modified where there is no ETag.
IN_NOT_MODIFIED: Final = frozenset({b"content-location", b"date", b"etag", b"expires", b"vary"})
#: Say whether a page may look at the answer, so they are no metadata of the representation: a browser that asked with
#: a condition of its page's making looks for them in the 304 itself.
_CORS: Final = (b"access-control-", b"timing-allow-origin")


def not_modified_fields(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The fields of an answer that its 304 carries; Age and what the hop adds come on top."""
    kept = IN_NOT_MODIFIED
    if first(headers, b"etag") is None:
        kept = kept | {b"last-modified"}
    return [each for each in headers if each[0] in kept or is_cache_control(each[0]) or each[0].startswith(_CORS)]


def revalidation(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The conditions with which a cache asks upstream about something stored; empty where it has no validator.

    Both are sent: If-None-Match rules where it is known, and the date helps where it is not (RFC 9111 section 4.3.1).
    They go back byte for byte, malformed or not: only the origin compares them.
    """
    found = []
    for name, condition in ((b"etag", b"if-none-match"), (b"last-modified", b"if-modified-since")):
        value = first(headers, name)
        if value:
            found.append((condition, value))
    return found


_CONDITIONS: Final = frozenset(
    {b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range"}
)


def unconditional(request: Headers) -> list[tuple[bytes, bytes]]:
    """A request without its conditions and its ranges: what a cache asks for to fill itself, whoever came first.

    The client's conditions are then evaluated against what came.
    """
    return [(name, value) for name, value in request if name not in _CONDITIONS]


def for_origin_alone(request: Headers) -> bool:
    """Whether only the origin can judge a request: it carries If-Match or If-Unmodified-Since.

    Where nothing is stored such a request passes as it is, and fills nothing; where something is, a cache may answer
    from it (RFC 9110 section 13.1.1: they are of use to origins only).
    """
    return any(name in (b"if-match", b"if-unmodified-since") for name, _ in request)
