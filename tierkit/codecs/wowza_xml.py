"""XML as Wowza's counters and its REST interface send it: small trees of names and texts.

Read by the standard library's expat with its doors closed, into values that hold no more than the document:

- A document type is refused where it begins.  Entities are declared there and nowhere else, so none but XML's own
  five is ever expanded (no billion laughs), and nothing external can be named, let alone fetched.
- Elements, their depth, their attributes and the bytes of the whole are bounded; a tree costs some 20 times what its
  document has, which is why the document is bounded first.
- Always UTF-8, whatever the declaration says: expat asks Python for other encodings, which is a large door.  Names of
  streams stand percent-encoded in these documents, so an old server that writes ISO 8859-1 writes ASCII.
- Names lose their namespace and their capitals: ours come from other people's models, whose casing nobody vouches for.
- Control characters in texts become U+FFFD: these texts end in logs and on terminals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote_plus
from xml.parsers import expat

from attrs import define, field

from ..errors import RemoteProtocolError

__all__ = ["MAX_DEPTH", "MAX_ELEMENTS", "MAX_TEXT", "MAX_XML", "Element", "number", "plain", "read_xml", "unquoted"]

MAX_XML: Final = 8 << 20
"""Bytes of a document: `serverinfo` takes some 600 a client."""
MAX_ELEMENTS: Final = 200_000
"""Elements: some fifteen thousand clients of `serverinfo`."""
MAX_DEPTH: Final = 24
"""Elements within each other; `serverinfo` has seven."""
MAX_ATTRIBUTES: Final = 64
"""Of one element; ``?flat`` has a dozen."""
MAX_TEXT: Final = 4096
"""Characters of one text that are kept; what is longer is cut, for it is no name and no number."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,2})?\Z")


@define(eq=False)
class Element:
    """One element."""

    #: In lower case, without a namespace.
    name: str
    #: Names in lower case.
    attributes: Mapping[str, str] = field(factory=dict)
    children: list[Element] = field(factory=list)
    #: The characters in it, stripped, at most `MAX_TEXT`.
    text: str = ""
    #: The names as they were spelt: its own and its attributes'.
    spelt: tuple[str, ...] = ()

    def each(self, name: str) -> Iterator[Element]:
        """Its children of that name, which is given in lower case."""
        return (child for child in self.children if child.name == name)

    def get(self, name: str) -> str | None:
        """The text of the first child of that name, or the attribute; None where there is neither."""
        found = next(self.each(name), None)
        return found.text if found is not None else self.attributes.get(name)


def read_xml(data: bytes) -> Element:
    """The root of a document.  Raises RemoteProtocolError for what is none, is cut short, or is out of bounds."""
    if len(data) > MAX_XML:
        raise RemoteProtocolError(f"the XML is longer than {MAX_XML} bytes")
    builder = _Builder()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.characters
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise RemoteProtocolError(_told(error, data)) from None
    if builder.root is None:  # pragma: no cover: expat refuses a document without an element
        raise RemoteProtocolError("the XML has no element")
    return builder.root


#: What expat says of a document that ends too early.
_EARLY = frozenset(
    {
        expat.errors.codes[each]
        for each in (
            expat.errors.XML_ERROR_NO_ELEMENTS,
            expat.errors.XML_ERROR_UNCLOSED_TOKEN,
            expat.errors.XML_ERROR_PARTIAL_CHAR,
            expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
        )
    }
)


def _told(error: expat.ExpatError, data: bytes) -> str:
    if error.code in _EARLY:
        return f"the XML is cut short after {len(data)} bytes" if data.strip() else "the XML is empty"
    return f"the XML is malformed at line {error.lineno}: {expat.errors.messages.get(error.code, 'unknown fault')}"


def _refuse_doctype(*_declared: object) -> None:
    raise RemoteProtocolError("the XML has a document type, which is not read: entities are declared there")


class _Builder:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._texts: list[str] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH or len(attributes) > MAX_ATTRIBUTES:
            bounds = f"{MAX_ELEMENTS} elements, {MAX_DEPTH} deep, {MAX_ATTRIBUTES} attributes each"
            raise RemoteProtocolError(f"the XML is larger than is read ({bounds})")
        told = {_local(key): plain(value) for key, value in attributes.items()} if attributes else _NONE
        element = Element(_local(name), told, [], "", (name, *attributes))
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._texts.append("")

    def characters(self, text: str) -> None:
        # expat joins what belongs together, but for what stands around children and CDATA: that has a bound.
        if self._texts and len(self._texts[-1]) <= MAX_TEXT:
            self._texts[-1] += text[: MAX_TEXT + 1]

    def end(self, _name: str) -> None:
        if text := self._texts.pop().strip():
            self._open[-1].text = plain(text)
        self._open.pop()


_NONE: Final[Mapping[str, str]] = {}


def _local(name: str) -> str:
    return (name.rpartition(":")[2] if ":" in name else name).lower()


def plain(text: str) -> str:
    """Text that may stand in a line and on a terminal, at most `MAX_TEXT` characters."""
    text = text[:MAX_TEXT]
    return text if text.isascii() and text.isprintable() else _CONTROLS.sub("\ufffd", text)


def unquoted(text: str | None) -> str:
    """A name out of the form-urlencoding in which Wowza writes it; "" for None."""
    return plain(unquote_plus(text)) if text else ""


def number(value: object) -> float | None:
    """A number that is one, or is written as one; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        # JSON knows integers of any length; nothing here has more than 64 bits.
        return float(value) if abs(value) < 2.0**64 else None
    if isinstance(value, str) and _NUMBER.match(value):
        return float(value)
    return None
