"""What is to be forgotten: by URL, by prefix, by stream.

/live/s/playlist.m3u8     this path, whatever its query
/live/s/x.ts?a=1          this path with this query
/live/s/*                 everything that begins so
stream:live/s             everything of one stream: its playlist's folder
*                         everything
"""

from __future__ import annotations

from attrs import frozen

from .errors import LocalProtocolError

__all__ = ["Pattern"]

#: Bytes of the longest pattern: that of a line of a head.
LONGEST = 8192


@frozen
class Pattern:
    """One of these; `Pattern.parse` makes it."""

    text: str
    prefix: str = ""
    path: str = ""
    with_query: bool = False

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises LocalProtocolError where it is none of them."""
        if len(text) > LONGEST or not text.isprintable() or not text.isascii():
            raise LocalProtocolError("a pattern is printable ASCII, percent-encoded as viewers ask for it")
        if text == "*":
            return cls(text, prefix="/")
        if text.startswith("stream:"):
            name = text.removeprefix("stream:").strip("/")
            if not name or "*" in name:
                raise LocalProtocolError(f"{text!r} names no stream: give for instance 'stream:live/s'")
            return cls(text, prefix=f"/{name}/")
        if not text.startswith("/") or "*" in text[:-1]:
            raise LocalProtocolError(
                f"{text!r} is no pattern: give a path, a prefix ending in *, stream:NAME, or * for everything"
            )
        if text.endswith("*"):
            return cls(text, prefix=text[:-1])
        return cls(text, path=text, with_query="?" in text)

    def matches(self, path: str) -> bool:
        """Whether a path, with its query, is meant."""
        if self.prefix:
            return path.startswith(self.prefix)
        return path == self.path if self.with_query else path.partition("?")[0] == self.path
