"""The URIs of a playlist, listed and rewritten line by line.

Rules of the file:

- Every byte that is not part of a URI stays as it is: byte order mark, line ends, unknown tags, comments, and bytes
  that are no UTF-8 (they travel as surrogates, PEP 383).  A URI that is not changed is not touched either.
- What is a line and what an attribute is said in `hls_lines`, for reading and rewriting alike.
- A new URI must not break out of its line or its quotes: an edge that writes a viewer's text into a playlist would
  let him write tags for everybody who shares it.
- Variables of EXT-X-DEFINE are left in place: the URI is handed over as written.  `inherit_query` looks through those
  whose value this playlist tells; a URI with an imported variable may lead anywhere, so it gets no token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Sequence
from typing import Literal
from urllib.parse import unquote

from attrs import frozen

from ..errors import LocalProtocolError, RemoteProtocolError
from .hls_lines import BLANKS, BOM, attribute_spans, attributes, is_playlist
from .hls_uris import NOWHERE, Target, expand, query_of, resolve, with_pairs

__all__ = ["URI_ATTRIBUTES", "Child", "QueryTemplate", "children", "inherit_query", "meanings", "rewrite"]

#: Which attributes of which tags are URIs (RFC 8216bis sections 4.4.4 to 4.4.6 and appendix D; Roku's image streams).
URI_ATTRIBUTES = {
    "#EXT-X-KEY": frozenset({"URI"}),
    "#EXT-X-MAP": frozenset({"URI"}),
    "#EXT-X-PART": frozenset({"URI"}),
    "#EXT-X-PRELOAD-HINT": frozenset({"URI"}),
    "#EXT-X-RENDITION-REPORT": frozenset({"URI"}),
    "#EXT-X-DATERANGE": frozenset({"X-ASSET-URI", "X-ASSET-LIST"}),
    "#EXT-X-MEDIA": frozenset({"URI"}),
    "#EXT-X-I-FRAME-STREAM-INF": frozenset({"URI"}),
    "#EXT-X-IMAGE-STREAM-INF": frozenset({"URI"}),
    "#EXT-X-SESSION-DATA": frozenset({"URI"}),
    "#EXT-X-SESSION-KEY": frozenset({"URI"}),
    "#EXT-X-CONTENT-STEERING": frozenset({"SERVER-URI"}),
}
#: Tags that say what the URI line behind them is.
_ANNOUNCE = frozenset({"#EXTINF", "#EXT-X-STREAM-INF"})
Place = Literal["line", "quoted", "bare"]
# Controls end lines or vanish, and other readers end lines at the last three.
_CONTROLS = "\x00-\x1f\x7f\x85\u2028\u2029"
_BREAKS_OUT: dict[Place, re.Pattern[str]] = {
    "line": re.compile(rf"\A[#{BOM}]|[{_CONTROLS}\"]"),
    "quoted": re.compile(rf"[{_CONTROLS}\"]"),
    "bare": re.compile(rf"[{_CONTROLS}\", ]"),
}


@frozen
class Child:
    """One URI of a playlist."""

    #: As written.
    uri: str
    #: The tag that it stands in, or that announces the line: ``#EXT-X-KEY``, ``#EXTINF``; empty where none does.
    tag: str


def rewrite(playlist: bytes, fn: Callable[[Child], str]) -> bytes:
    """The playlist with every URI as `fn` gives it.

    Raises RemoteProtocolError where this is no playlist, and LocalProtocolError for a new URI that would break out
    of its place.
    """
    text = playlist.decode("utf-8", "surrogateescape")
    if not is_playlist(text):
        raise RemoteProtocolError("the playlist does not begin with #EXTM3U (RFC 8216 section 4.3.1.1)")
    announced = ""
    out = []
    for number, line in enumerate(text.split("\n")):
        core = line.strip(BLANKS)
        if number == 0 or core.startswith("#"):  # the first is #EXTM3U, perhaps behind a byte order mark
            tag, _, value = core.partition(":")
            if tag in _ANNOUNCE:
                announced = tag
            new = _tag(core, tag, value, fn) if tag in URI_ATTRIBUTES else core
        elif core:
            new = _checked(core, fn(Child(core, announced)), "line")
            announced = ""
        else:
            new = core
        out.append(line if new == core else _around(line, core, new))
    try:
        return "\n".join(out).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise LocalProtocolError("a URI with half a character cannot stand in a playlist") from None


def _around(line: str, core: str, new: str) -> str:
    start = line.index(core)
    return line[:start] + new + line[start + len(core) :]


def _tag(core: str, tag: str, value: str, fn: Callable[[Child], str]) -> str:
    wanted = URI_ATTRIBUTES[tag]
    before = len(core) - len(value)
    new, done = "", 0
    for name, start, end in attribute_spans(value):
        old = value[start:end]
        if name in wanted and old:
            start, end = start + before, end + before
            place: Place = "quoted" if core[start - 1] == '"' else "bare"
            new += core[done:start] + _checked(old, fn(Child(old, tag)), place)
            done = end
    return new + core[done:]


def _checked(old: str, new: str, place: Place) -> str:
    """The new URI, if it can stand where the old one did; what was odd there before is not ours to mend."""
    if new == old:
        return old
    if not new or new != new.strip(BLANKS) or set(_BREAKS_OUT[place].findall(new)) - set(old):
        raise LocalProtocolError(f"{new!r} cannot stand in a playlist")
    return new


def children(playlist: bytes) -> tuple[Child, ...]:
    """Every URI of a playlist, in order.  Raises RemoteProtocolError where this is none."""
    found: list[Child] = []

    def note(child: Child) -> str:
        found.append(child)
        return child.uri

    rewrite(playlist, note)
    return tuple(found)


def inherit_query(
    playlist: bytes, path: str, params: Sequence[tuple[str, str]], *, hosts: Collection[str] = ()
) -> bytes:
    """The playlist with these parameters at every URI that leads back to this edge, and at no other.

    A signed URL is inherited so: who may have the playlist may have what it lists.  Arguments as `resolve` and
    `with_query` take them; `path` is where the viewer got the playlist.  For many viewers see `QueryTemplate`.
    """
    return QueryTemplate.of(playlist, path, {name for name, _ in params}, hosts=hosts).render(params)


@frozen
class QueryTemplate:
    """One version of a playlist, to be given to many viewers, each with parameters of his own.

    Which URIs get them is found out once; each viewer then costs one join, some microseconds instead of some for
    each line.
    """

    #: The playlist around the places where the parameters go.
    pieces: tuple[bytes, ...]
    #: The parameters that URIs have lost for it.
    names: Container[str]

    @classmethod
    def of(cls, playlist: bytes, path: str, names: Container[str], *, hosts: Collection[str] = ()) -> QueryTemplate:
        """Prepare a playlist, as `inherit_query` has it.  Raises as `rewrite` does."""
        meant, place = meanings(playlist, path, hosts=hosts), _absent(playlist)

        def marked(child: Child) -> str:
            return with_pairs(child.uri, names, place) if meant(child.uri).here else child.uri

        return cls(tuple(rewrite(playlist, marked).split(place.encode())), names)

    def render(self, params: Sequence[tuple[str, str]]) -> bytes:
        """The playlist with these parameters, which must be some that it was prepared for."""
        if not params or not all(name in self.names for name, _ in params):
            raise LocalProtocolError("the playlist is prepared for other parameters than these")
        return self.joined(query_of(params))

    def joined(self, query: str) -> bytes:
        """The playlist with a query that is spelt as it should stand there: of characters that break out of no place,
        and no parameter but those that it was prepared for."""
        return query.encode("ascii").join(self.pieces)


def meanings(playlist: bytes, path: str, *, hosts: Collection[str] = ()) -> Callable[[str], Target]:
    """What URIs of the playlist at `path` mean, as `resolve` tells it, through variables whose value it tells itself.

    One with another variable may lead anywhere, so it is nowhere.
    """
    known = _variables(playlist, path)

    def meant(uri: str) -> Target:
        plain = expand(uri, known)
        return NOWHERE if plain is None else resolve(path, plain, hosts=hosts)

    return meant


def _absent(playlist: bytes) -> str:
    """A text that the playlist has not, to mark places with."""
    number = 0
    while f"%00{number}%00".encode() in playlist:
        number += 1
    return f"%00{number}%00"


def _variables(playlist: bytes, path: str) -> dict[str, str]:
    """What the playlist itself says of its variables (EXT-X-DEFINE with a value, or from its own URI's query)."""
    if b"#EXT-X-DEFINE:" not in playlist:
        return {}
    query = dict(pair.split("=", 1) for pair in path.partition("?")[2].split("&") if "=" in pair)
    known = {}
    for line in playlist.decode("utf-8", "surrogateescape").split("\n"):
        tag, _, value = line.strip(BLANKS).partition(":")
        if tag != "#EXT-X-DEFINE":
            continue
        told = attributes(value)
        if "NAME" in told and "VALUE" in told:
            known[told["NAME"]] = told["VALUE"]
        elif told.get("QUERYPARAM") in query:
            known[told["QUERYPARAM"]] = unquote(query[told["QUERYPARAM"]])
    return known
