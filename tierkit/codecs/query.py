"""What of a query makes the key, and what of it goes upstream: tokens, session ids and CMCD do not name an object.

A key with such a parameter in it is another one for each viewer, and nothing is ever found again.  A rule splits the
raw query in two, without decoding it, in about 1 µs for 250 bytes: it runs for every request whose line is new.

- Parameters are separated by ``&`` alone.  A ``;`` is part of a value, as the URL standard has it and every origin of
  our time; one that still splits there sees what the viewer sent, because the rest is passed on as it was spelt.
- A name is compared as the origin will read it: percent-encoded once, so ``%74oken`` is ``token``, and ``%2574oken`` is
  not.  A ``+`` stays a plus: no name of ours has a space in it.  Names are case-sensitive, as they are to origins.
- A parameter without ``=`` has a name and no value; one with nothing before the ``=`` has the empty name, which only
  the pattern ``*`` means.  Parameters that are empty altogether (``&&``) say nothing and go.
- A pattern may have ``*`` for any characters.  ``*`` alone takes everything out but the delivery directives of
  low-latency HLS (``_HLS_msn`` and its kin, RFC 8216bis section 6.2.5): they say which version is asked for, and no
  pattern takes them.
- What stays keeps its spelling, its order and its doubles; `sort` orders it by name, the doubles of one name among
  themselves as they came (``a=1&a=2`` is not ``a=2&a=1``).

Time is linear in the length of the query whatever the patterns: each ``*`` is an atomic group, which has no second try.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from urllib.parse import unquote_plus, unquote_to_bytes

from ..errors import RemoteProtocolError

__all__ = ["MAX_PARAMETERS", "QueryRule", "pattern_problem", "values"]

#: Parameters of one query that are looked at one by one; PHP takes 1,000 (max_input_vars), Python's parse_qs can be
#: told, players send under ten.
MAX_PARAMETERS = 100

_PATTERN = re.compile(r"[A-Za-z0-9._~*\[\]-]{1,100}\Z")
# A name with a percent sign in a query that has an & before each parameter: the long way.
_ENCODED = re.compile(rb"&[^=&%]*+%")
_NEVER = "(?!_HLS_)"


def pattern_problem(pattern: str) -> str:
    """What is wrong with a pattern for people, or ""."""
    if _PATTERN.match(pattern) is None:
        return f"{pattern!r} is no name of a query parameter: give for instance 'token' or 'utm_*'"
    return ""


def _glob(pattern: str, anything: str) -> str:
    """A pattern as a regular expression for the whole of a name; `anything` is the class of a name's characters.

    The leftmost place for each piece between two stars is as good as any other, so none is ever tried again; the last
    piece is looked for at the end alone.
    """
    first, *rest = re.split(r"\*+", pattern)
    if not rest:
        return re.escape(first)
    *middle, last = rest
    text = re.escape(first) + "".join(f"(?>{anything}*?{re.escape(piece)})" for piece in middle)
    behind = f"(?={anything}{{{len(last)}}})" if last else ""
    return f"{text}{behind}{anything}*+" + (f"(?<={re.escape(last)})" if last else "")


class _Taken:
    """The parameters that some patterns name."""

    def __init__(self, patterns: Sequence[str]) -> None:
        raw, plain = ("|".join(_glob(each, any_) for each in patterns) for any_ in ("[^=&]", r"[\s\S]"))
        self.all = re.compile(f"&(?:{_NEVER}(?:{raw})(?![^=&])[^&]*+|(?![^&]))".encode("ascii"))
        self.name = re.compile(f"{_NEVER}(?:{plain})\\Z".encode("ascii"))

    def out_of(self, marked: bytes) -> bytes:
        """A query with an & before each parameter, without those."""
        if _ENCODED.search(marked) is None:
            return self.all.sub(b"", marked)
        pairs = marked.split(b"&")
        if _too_many(marked):
            return marked
        return b"".join(b"&" + pair for pair in pairs if pair and not self.name.match(_name(pair)))


def _name(pair: bytes) -> bytes:
    """A parameter's name as an origin reads it."""
    name = pair.partition(b"=")[0]
    return unquote_to_bytes(name) if b"%" in name else name


def _too_many(marked: bytes) -> bool:
    return marked.count(b"&") > MAX_PARAMETERS


class QueryRule:
    """Which parameters make the key, and which go upstream.

    Args:
        patterns: names, or patterns with ``*``, that are out of the key.
        drop: the same, for what is out of the key and never goes upstream: a token that was meant for us.
        forward: whether upstream sees what `patterns` name: that of whoever asks first.
        sort: whether the key has its parameters in the order of their names.
    """

    def __init__(
        self, patterns: Sequence[str], *, drop: Sequence[str] = (), forward: bool = False, sort: bool = False
    ) -> None:
        self.patterns = tuple(patterns)
        self.drop = tuple(drop)
        self.forward = forward
        self.sort = sort
        self._out = _Taken((*self.patterns, *self.drop)) if patterns or drop else None
        self._mine = _Taken(self.drop) if drop else None

    def kept(self, query: bytes) -> bytes:
        """The part of a query (without its question mark) that a key is made of.

        Total: a query with more than `MAX_PARAMETERS` of which one is percent-encoded stays as it is, and is not
        sorted.
        """
        marked = b"&" + query
        if self._out is not None:
            marked = self._out.out_of(marked)
        if self.sort and not _too_many(marked):
            # Sorting is stable: doubles keep their order.
            pairs = [pair for pair in marked.split(b"&") if pair]
            pairs.sort(key=_name)
            return b"&".join(pairs)
        return marked[1:]

    def forwarded(self, query: bytes) -> bytes:
        """The part of a query that goes upstream: in the viewer's order and spelling."""
        if not self.forward:
            return self.kept(query)
        return self._mine.out_of(b"&" + query)[1:] if self._mine is not None else query

    def split(self, query: bytes) -> tuple[bytes, bytes]:
        """What makes the key, and what goes upstream.

        Raises RemoteProtocolError (400) for more than `MAX_PARAMETERS`.
        """
        check_count(query)
        kept = self.kept(query)
        return kept, self.forwarded(query) if self.forward else kept

    def canonical(self, target: bytes) -> bytes:
        """A path with its query, as the key has it."""
        path, mark, query = target.partition(b"?")
        rest = self.kept(query) if mark else b""
        return path + b"?" + rest if rest else path


def check_count(query: bytes) -> None:
    """Nobody has a use for more parameters than `MAX_PARAMETERS`."""
    if query.count(b"&") >= MAX_PARAMETERS:
        raise RemoteProtocolError(f"the query has more than {MAX_PARAMETERS} parameters", hint=400)


def values(query: str, names: Collection[str]) -> dict[str, str]:
    """The first value of each of these parameters, decoded as a form is; total, where `urllib.parse.parse_qs` raises.

    Only the first `MAX_PARAMETERS` are looked at; names and values that are no UTF-8 have replacement characters.
    """
    found: dict[str, str] = {}
    for pair in query.split("&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, _, value = pair.partition("=")
        plain = unquote_plus(name) if "%" in name or "+" in name else name
        if plain in names and plain not in found:
            found[plain] = unquote_plus(value)
    return found
