"""Playlists taken apart into lines and attributes: the one grammar that reading and rewriting share.

Rules of the file:

- A line ends at LF, or at the end of the data.  Spaces, tabs and CR around it do not count, as players see it;
  nothing else ends a line (`str.splitlines` also knows U+2028 and its like, which may stand in a title or a URI).
- A blank line is nothing; one that begins with ``#EXT`` is a tag, with any other ``#`` a comment; all else is a URI
  (RFC 8216 section 4.1).
- An attribute list is ``NAME=value`` between commas, where a value may be quoted and then holds commas
  (section 4.2).  Blanks around a comma are let pass, because packagers write them and players read them.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["BLANKS", "BOM", "attributes", "attribute_spans", "is_playlist"]

#: What may surround a line or an attribute without being part of it.
BLANKS: Final = " \t\r"
#: RFC 8216 section 4.1 forbids it, and Windows tools write it all the same.
BOM: Final = "\ufeff"

# Possessive throughout: it never goes back, so a megabyte of blanks takes no longer than any other.
_ATTRIBUTE = re.compile(r'[ \t]*+([A-Za-z0-9-]++)[ \t]*+=[ \t]*+(?:"([^"]*+)"[ \t]*+|([^",]*+))(?:,|\Z)')


def is_playlist(text: str) -> bool:
    """Whether it begins as a playlist has to (RFC 8216 section 4.3.1.1), a byte order mark aside."""
    return text.removeprefix(BOM).startswith("#EXTM3U")


def attributes(text: str) -> dict[str, str]:
    """The attributes of a tag, values without their quotes; what is no attribute is left out.

    Of two with one name the last counts, as it does in hls.js.
    """
    found = {}
    for name, start, end in attribute_spans(text):
        found[name] = text[start:end]
    return found


def attribute_spans(text: str) -> list[tuple[str, int, int]]:
    """Name, and where the value starts and ends without its quotes, of each attribute in order."""
    found = []
    position = 0
    while position < len(text):
        match = _ATTRIBUTE.match(text, position)
        if match is None:
            # One that is malformed must not hide those behind it.
            comma = text.find(",", position)
            position = comma + 1 if comma >= 0 else len(text)
            continue
        group = 2 if match.group(2) is not None else 3
        start, end = match.span(group)
        if group == 3:
            end = start + len(match.group(3).rstrip(BLANKS))
        found.append((match.group(1), start, end))
        position = match.end()
    return found
