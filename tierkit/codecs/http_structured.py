"""Structured field values (RFC 9651) as far as caching needs them: Dictionaries in, List members out.

A Dictionary is read whole or not at all: whatever breaks the grammar makes the field unreadable, which its users
(RFC 9213 section 2.1) take as absent.  So all the grammar is here, inner lists and parameters too, though only the
types of the plain members come back.

`Token` and `str` are kept apart, because to RFC 9213 a directive of the wrong type is no directive.
"""

from __future__ import annotations

import re
from typing import Final

from .http1 import Headers

__all__ = ["Item", "Token", "display", "read_dictionary"]

#: Members of a dictionary that are read; RFC 9651 section 3.2 asks for 1,024, and the head of a message has 32 KiB.
MAX_MEMBERS: Final = 1024


class Token(str):
    """A token: a word without quotes."""

    __slots__ = ()


#: What a member may be; None for the types that no cache directive has (decimals, dates, bytes, inner lists ...).
Item = int | bool | str | Token | None

_KEY = re.compile(rb"[a-z*][a-z0-9_.*-]*")
_INTEGER = re.compile(rb"-?[0-9]{1,15}(?![0-9.])")
_STRING = re.compile(rb'"((?:[ !#-\[\]-~]|\\["\\])*+)"')
_TOKEN = re.compile(rb"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*+")
_BOOLEAN = re.compile(rb"\?([01])")
_OTHERS = re.compile(
    rb"-?[0-9]{1,12}\.[0-9]{1,3}(?![0-9])"  # a decimal
    rb"|:[A-Za-z0-9+/]*={0,2}:"  # bytes
    rb"|@-?[0-9]{1,15}(?![0-9.])"  # a date
    rb'|%"(?:[ !#$&-~]|%[0-9a-f]{2})*+"'  # a display string
)
_SPACES = re.compile(rb" *")
_BETWEEN = re.compile(rb"[ \t]*+,[ \t]*+(?!\Z)")
_END = re.compile(rb"[ \t]*\Z")


class _Unreadable(Exception):
    pass


def read_dictionary(headers: Headers, name: bytes) -> dict[str, Item] | None:
    """The members of a Dictionary over all lines of the field (RFC 9651 section 4.2.2); parameters are read over.

    {} where the field is absent or empty, None where it breaks the grammar.  Of two members of a name the last
    counts, as the RFC has it.
    """
    value = b", ".join(value for key, value in headers if key == name).strip(b" ")
    if not value:
        return {}
    try:
        return _Reader(value).dictionary()
    except _Unreadable:
        return None


class _Reader:
    """A cursor in one field value."""

    def __init__(self, value: bytes) -> None:
        self._value = value
        self._at = 0

    def dictionary(self) -> dict[str, Item]:
        found: dict[str, Item] = {}
        while True:
            key = self._take(_KEY).group().decode("ascii")
            item: Item = True
            if self._skip(b"="):
                item = self._inner_list() if self._peek() == b"(" else self._item()
            self._parameters()
            found.pop(key, None)
            found[key] = item
            if len(found) > MAX_MEMBERS:
                raise _Unreadable
            if _END.match(self._value, self._at):
                return found
            self._take(_BETWEEN)

    def _peek(self) -> bytes:
        return self._value[self._at : self._at + 1]

    def _skip(self, byte: bytes) -> bool:
        if self._peek() != byte:
            return False
        self._at += 1
        return True

    def _take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        match = pattern.match(self._value, self._at)
        if match is None:
            raise _Unreadable
        self._at = match.end()
        return match

    def _try(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        match = pattern.match(self._value, self._at)
        if match is not None:
            self._at = match.end()
        return match

    def _item(self) -> Item:
        if match := self._try(_INTEGER):
            return int(match.group())
        if match := self._try(_STRING):
            return re.sub(r"\\(.)", r"\1", match.group(1).decode("ascii"))
        if match := self._try(_TOKEN):
            return Token(match.group().decode("ascii"))
        if match := self._try(_BOOLEAN):
            return match.group(1) == b"1"
        self._take(_OTHERS)
        return None

    def _parameters(self) -> None:
        while self._skip(b";"):
            self._take(_SPACES)
            self._take(_KEY)
            if self._skip(b"="):
                self._item()

    def _inner_list(self) -> Item:
        self._skip(b"(")
        while True:
            spaces = self._take(_SPACES).group()
            if self._skip(b")"):
                return None
            if not spaces and self._value[self._at - 1 : self._at] != b"(":
                raise _Unreadable
            self._item()
            self._parameters()


_IS_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*\Z")
_UNPRINTABLE = re.compile(r"[^ -~]")


def display(value: Item, *, token: bool = False) -> bytes:
    """An item as it is sent (RFC 9651 section 4.1.3); with `token`, text goes without quotes where it can.

    Text beyond printable ASCII has no form in a String; each such character becomes a question mark.
    """
    if isinstance(value, bool):
        return b"?1" if value else b"?0"
    if isinstance(value, int):
        return b"%d" % max(-(10**15) + 1, min(value, 10**15 - 1))
    text = value or ""
    if (token or isinstance(value, Token)) and _IS_TOKEN.match(text):
        return text.encode("ascii")
    safe = _UNPRINTABLE.sub("?", text).replace("\\", "\\\\").replace('"', '\\"')
    return b'"%s"' % safe.encode("ascii")
