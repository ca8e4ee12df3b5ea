"""The secondary key: which requests a stored answer fits (RFC 9111 section 4.1).

Two requests fit if each field that Vary names is absent from both, or says the same in both.  `vary_key` writes
what a request says in one canonical way, so that fitting is being equal: field lines of a name are joined, white
space around commas is dropped, and the members keep their order, because nobody but the origin knows whether it
matters.  Values that are no lists are taken as they are, and codings and languages in any case.

Answers of one URL may vary by different fields: each is compared by its own names (`Lifetime.vary`), the newest first.

Numbers and sizes are bounded: each variant is a copy of the object.
"""

from __future__ import annotations

from typing import Final

from .http1 import Headers
from .http_fields import is_token, members

__all__ = ["MAX_VARY_KEY", "MAX_VARY_NAMES", "vary_key", "vary_names"]

#: Fields that Vary may name: the longest lists in the field (CORS, client hints) have under ten.
MAX_VARY_NAMES: Final = 16
#: Bytes of a secondary key: two cookies of the largest size that browsers keep (RFC 6265 section 6.1).
MAX_VARY_KEY: Final = 8192

# Fields with a grammar of their own, in which a comma separates nothing, or in which white space may count.
_NO_LISTS: Final = frozenset(
    {b"user-agent", b"cookie", b"authorization", b"proxy-authorization", b"referer", b"origin", b"host", b"from"}
)
# Content codings and language ranges are compared in any case (RFC 9110 sections 8.4.1 and 12.5.4).
_ANY_CASE: Final = frozenset({b"accept-encoding", b"accept-language", b"accept-charset", b"host", b"origin"})


def vary_names(headers: Headers) -> tuple[bytes, ...] | None:
    """The field names that Vary lists, in lower case, sorted, each once; () without Vary.

    None where no other request can fit: `*` anywhere in the list, something that is no field name, or more than
    `MAX_VARY_NAMES`.
    """
    found = {name.lower() for name in members(headers, b"vary")}
    if not found:
        return ()
    if b"*" in found or len(found) > MAX_VARY_NAMES or not all(map(is_token, found)):
        return None
    return tuple(sorted(found))


def vary_key(names: tuple[bytes, ...], request: Headers) -> bytes | None:
    """What a request says in the fields of `names`: equal for requests that a stored answer fits alike.

    b"" without names; None beyond `MAX_VARY_KEY`, where the request is to be passed through.
    """
    if not names:
        return b""
    # Netstrings: no value can look like two, and an absent field is not an empty one.
    parts = []
    for name in names:
        value = _said(name, request)
        parts.append(b"%s-" % name if value is None else b"%s=%d:%s" % (name, len(value), value))
    key = b",".join(parts)
    return key if len(key) <= MAX_VARY_KEY else None


def _said(name: bytes, request: Headers) -> bytes | None:
    values = [value for key, value in request if key == name]
    if not values:
        return None
    said = (
        b", ".join(value.strip(b" \t") for value in values) if name in _NO_LISTS else b",".join(members(request, name))
    )
    return said.lower() if name in _ANY_CASE else said
