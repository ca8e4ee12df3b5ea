"""Which parameters of a query are no part of what is asked for: tokens, session ids, CMCD, campaign marks.

A key with such a parameter in it is another one for each viewer, and nothing is ever found again.  A rule takes them
out by one regular expression over the raw query, in some 2 µs, because it runs for every request:

- Parameters are separated by ``&`` alone: a ``;`` is part of a value, as the URL standard and every origin of our time
  have it.  Names are compared as they are; one that is percent-encoded is decoded first, so that ``%74oken`` is
  ``token`` here as it is at the origin.
- A pattern may have ``*`` for any characters; ``*`` alone takes the whole query out, but never the delivery directives
  of low-latency HLS (``_HLS_msn`` and its kin): they say which version of a playlist is asked for.
- What stays keeps its order and its spelling, doubled names too; only empty parameters (``&&``) go.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

__all__ = ["QueryRule", "pattern_problem"]

_PATTERN = re.compile(r"[A-Za-z0-9._~*\[\]-]{1,100}\Z")
# A name with a percent sign: the long way.
_ENCODED = re.compile(rb"(?:\A|&)[^=&]*%")
_EMPTY = re.compile(rb"&&+")


def pattern_problem(pattern: str) -> str:
    """What is wrong with a pattern for people, or ""."""
    if _PATTERN.match(pattern) is None:
        return f"{pattern!r} is no name of a query parameter: give for instance 'token' or 'utm_*'"
    return ""


class QueryRule:
    """Takes parameters out of queries.

    Args:
        patterns: names, or patterns with ``*``.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(patterns)
        names = "|".join(re.escape(each).replace(r"\*", "[^=&]*") for each in self.patterns)
        name = f"(?!_HLS_)(?:{names})".encode("ascii")
        self._names = re.compile(name + rb"\Z")
        self._out = re.compile(rb"(?:\A|(?<=&))" + name + rb"(?:=[^&]*)?(?:&|\Z)")

    def kept(self, query: bytes) -> bytes:
        """The rest of a query that a key is made of."""
        if _ENCODED.search(query) is not None:
            return self._slowly(query)
        rest = self._out.sub(b"", query)
        if rest[-1:] == b"&" or rest[:1] == b"&" or b"&&" in rest:
            rest = _EMPTY.sub(b"&", rest).strip(b"&")
        return rest

    def _slowly(self, query: bytes) -> bytes:
        pairs = (pair for pair in query.split(b"&") if pair)
        return b"&".join(pair for pair in pairs if not self._names.match(unquote_to_bytes(pair.partition(b"=")[0])))

    def canonical(self, target: bytes) -> bytes:
        """A path with its query, without what is taken out."""
        path, mark, query = target.partition(b"?")
        rest = self.kept(query) if mark else b""
        return path + b"?" + rest if rest else path
