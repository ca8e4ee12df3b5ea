"""What is to be forgotten: by URL, by prefix, by stream.

/live/s/playlist.m3u8     this path, whatever its query; a URL is its path
/live/s/x.ts?a=1          this path with this query
/live/s/*                 everything that begins so
stream:live/s             everything of one stream: its playlist's folder
*                         everything

A pattern is compared with paths as they are spelt on the wire, octet by octet: `%7E` is not `~` here.
"""

from __future__ import annotations

import re

from attrs import frozen

from .errors import LocalProtocolError

__all__ = ["Pattern"]

#: Bytes of the longest pattern: that of a line of a head.
LONGEST = 8192
#: What a path and its query consist of (RFC 3986 section 3.3, and what browsers leave as it is besides): no space,
#: which means that the "+" or "%20" of a path was decoded on the way, and no fragment, which no server is ever sent.
_SPELT = re.compile(r"[!\"$-~]+\Z")
#: A URL's scheme and authority: whose name it was asked for by, tiers do not tell apart.
_AUTHORITY = re.compile(r"https?://[^/?*]+(?=/)", re.IGNORECASE)


@frozen
class Pattern:
    """One of these; `Pattern.parse` makes it."""

    text: str
    #: What paths begin with; empty where one path is meant.
    prefix: str = ""
    #: The one path, with its query where that is meant too.
    path: str = ""
    with_query: bool = False

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises LocalProtocolError where it is none of them."""
        _check_spelling(text)
        if text == "*":
            return cls(text, prefix="/")
        if text.startswith("stream:"):
            return cls(text, prefix=f"/{_stream(text)}/")
        path = _AUTHORITY.sub("", text, count=1)
        if not path.startswith("/") or "*" in path[:-1]:
            raise LocalProtocolError(
                f"{text!r} is no pattern: give a path, a prefix ending in *, stream:NAME, or * for everything"
            )
        if path.endswith("*"):
            return cls(text, prefix=path[:-1])
        return cls(text, path=path, with_query="?" in path)

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self.prefix == "/"

    @property
    def name(self) -> str:
        """What it means where streams have names: ``app/name``, or with ``*`` at its end those that begin so."""
        if self.text.startswith("stream:"):
            return _stream(self.text)
        return (f"{self.prefix}*" if self.prefix else self.path.partition("?")[0]).lstrip("/")

    def matches(self, path: str) -> bool:
        """Whether a path, with its query, is meant."""
        if self.prefix:
            return path.startswith(self.prefix)
        return path == self.path if self.with_query else path.partition("?")[0] == self.path


def _check_spelling(text: str) -> None:
    if len(text) > LONGEST:
        raise LocalProtocolError(f"a pattern of {len(text)} characters is too long: {LONGEST} at most")
    if text and _SPELT.match(text) is None:
        raise LocalProtocolError(
            f"{text!r} is no pattern: spaces, '#' and what is not ASCII are percent-encoded, as viewers ask for them"
        )


def _stream(text: str) -> str:
    name = text.removeprefix("stream:").strip("/")
    if not name or "*" in name or "?" in name:
        raise LocalProtocolError(f"{text!r} names no stream: give for instance 'stream:live/s'")
    return name
