"""What a URI in a playlist means: a path at this edge, or something elsewhere (RFC 3986 section 5.2).

`urllib.parse.urljoin` is not used: it drops control characters silently, resolves schemes that it knows otherwise
than those it does not, and knows nothing of what browsers make of a backslash.  Here the answer decides who gets a
signed token and what is fetched, so whatever two readers could take for different things is nowhere (`Target.here` is
false, and there is no authority to ask):

- a control character or a backslash (browsers drop the one, and take the other for a slash),
- an authority that is empty (``///x``: browsers take x for the host) or carries a user name,
- ``http:x`` without its slashes, and a path that would begin with two slashes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Sequence
from urllib.parse import quote, unquote

from attrs import frozen

__all__ = ["NOWHERE", "Target", "expand", "query_of", "resolve", "with_pairs", "with_query"]

# RFC 3986 appendix B, with the scheme as section 3.1 has it.
_REFERENCE = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?]*))?([^?]*)(?:\?(.*))?\Z", re.DOTALL)
# Surrogates but for those that stand for a byte that is no UTF-8 (PEP 383) are no characters either.
_ODD = re.compile("[\x00-\x1f\x7f\\\\\ud800-\udc7f\udd00-\udfff]")
_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::[0-9]{1,5})?\Z")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
# What players send as it is written; all else they encode (WHATWG URL, path and query percent-encode sets).
_PATH_SAFE = "%/:@!$&'()*+,;=~|^[]"
_QUERY_SAFE = "%/:@!$&()*+,;=~|^[]{}`?"
#: Longest URI that variables make: longer than any request line that is taken, and no room for a value of a megabyte
#: that is named a thousand times.
MAX_EXPANDED = 8192
_VARIABLE = re.compile(r"\{\$([A-Za-z0-9_-]+)\}")


@frozen(kw_only=True)
class Target:
    """What a URI means.  Nothing is set for one that cannot be told for certain."""

    #: Lower case; empty where the URI names none.
    scheme: str = ""
    #: Host and port in lower case, without the scheme's default port; empty for this edge, and where there is none.
    authority: str = ""
    #: Path and query as a player asks for them; empty where the scheme is not http or https.
    path: str = ""

    @property
    def here(self) -> bool:
        """Whether it is a path at this edge."""
        return bool(self.path) and not self.authority


#: What cannot be told for certain.
NOWHERE = Target()


def resolve(playlist: str, uri: str, *, hosts: Collection[str] = ()) -> Target:
    """What `uri` means in the playlist at the path `playlist`.

    Args:
        playlist: path at this edge, with its query where it has one.
        uri: as written.
        hosts: authorities (``host`` or ``host:port``, lower case, without a default port) that mean this edge: its own
            names, and those by which its upstream calls itself.
    """
    if _ODD.search(uri):
        return NOWHERE
    match = _REFERENCE.match(uri.partition("#")[0])
    assert match is not None  # the expression matches everything
    scheme, authority, path, query = match.groups()
    scheme = (scheme or "").lower()
    if scheme and scheme not in _DEFAULT_PORTS:
        return Target(scheme=scheme)
    if authority is None and scheme:
        return NOWHERE
    if authority is not None:
        place = _authority(scheme, authority)
        if not place:
            return NOWHERE
        asked = _asked(_without_dots(path or "/"), query)
        return Target(path=asked) if place in hosts and asked else Target(scheme=scheme, authority=place, path=asked)
    return Target(path=_relative(playlist, path, query))


def _authority(scheme: str, text: str) -> str:
    if _AUTHORITY.match(text) is None:
        return ""
    return text.lower().removesuffix(_DEFAULT_PORTS.get(scheme, " "))


def _relative(playlist: str, path: str, query: str | None) -> str:
    base, mark, base_query = playlist.partition("?")
    if not path:
        return _asked(base, query if query is not None else base_query if mark else None)
    if not path.startswith("/"):
        path = base[: base.rfind("/") + 1] + path  # section 5.2.3
    return _asked(_without_dots(path), query)


def _asked(path: str, query: str | None) -> str:
    """As a player asks for it, or empty for what it would take for an authority."""
    if path.startswith("//") or not path.startswith("/"):
        return ""
    text = quote(path, safe=_PATH_SAFE, errors="surrogateescape")
    return text if query is None else f"{text}?{quote(query, safe=_QUERY_SAFE, errors='surrogateescape')}"


def _without_dots(path: str) -> str:
    """RFC 3986 section 5.2.4; ``%2e`` is a dot, as it is to browsers."""
    if "." not in path and "%2" not in path:
        return path
    kept: list[str] = []
    parts = path.split("/")
    for number, part in enumerate(parts):
        plain = part.lower().replace("%2e", ".") if len(part) <= 6 else part
        if plain not in (".", ".."):
            kept.append(part)
            continue
        if plain == ".." and len(kept) > 1:
            kept.pop()
        if number == len(parts) - 1:
            kept.append("")  # what ends in a dot segment is a folder
    return "/".join(kept) if len(kept) > 1 else "/"


def with_query(uri: str, params: Sequence[tuple[str, str]]) -> str:
    """The URI with these parameters in its query, in the place of any that it has by their names.

    The rest stays as it was written.  Values are plain text and get encoded.  Whether the URI should have them is
    for the caller to say: see `Target.here`.
    """
    return with_pairs(uri, {name for name, _ in params}, query_of(params))


def query_of(params: Sequence[tuple[str, str]]) -> str:
    """These parameters as a query, everything encoded that is not unreserved (RFC 3986 section 2.3)."""
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in params)


def with_pairs(uri: str, names: Container[str], query: str) -> str:
    """The URI with `query` behind its own, from which the parameters of these names are taken out."""
    rest, hash_mark, fragment = uri.partition("#")
    path, _, own = rest.partition("?")
    pairs = [pair for pair in own.split("&") if pair and unquote(pair.partition("=")[0]) not in names]
    if query:
        pairs.append(query)
    return f"{path}{'?' if pairs else ''}{'&'.join(pairs)}{hash_mark}{fragment}"


def expand(uri: str, variables: dict[str, str]) -> str | None:
    """The URI with its variables (``{$name}``, RFC 8216bis section 4.3).

    None where one of them is not known, or the whole is longer than `MAX_EXPANDED`.
    """
    if "{$" not in uri:
        return uri
    names = _VARIABLE.findall(uri)
    if any(name not in variables for name in names) or len(uri) > MAX_EXPANDED:
        return None
    if len(uri) + sum(len(variables[name]) for name in names) > MAX_EXPANDED:
        return None
    return _VARIABLE.sub(lambda match: variables[match.group(1)], uri)
