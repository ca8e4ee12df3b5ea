"""AMF0, the value notation of RTMP commands and of FLV metadata (AMF0 specification, 2007-12-07).

Python and the wire:

=====================  =====================================================
wire                   Python
=====================  =====================================================
number                 `float` (an `int` is accepted for writing)
boolean, null, string  `bool`, `None`, `str` (long strings by themselves)
object                 `dict[str, ...]`
ECMA array             `ECMAArray`, a dict; its count is a hint and is not kept
strict array           `list` (a `tuple` is accepted for writing)
typed object           `TypedObject`, a dict with a `class_name`
date, XML              `Date`, `XML`
undefined, unsupported `UNDEFINED`, `UNSUPPORTED`
reference              `Reference`: *not* resolved, see below
AMF3 value             `AMF3`: the undecoded rest of the data
=====================  =====================================================

Rules of this file:

* Any bytes decode to values or raise `RemoteProtocolError`, nothing else.  Nesting is bounded (flvmeta
  died of 70,000 nested arrays) and so is the number of values; no length that the peer *declares* is
  ever allocated.
* References stay unresolved.  Resolved ones let 100 bytes describe a structure that takes 2**30 steps to
  print, and no RTMP client is known to send any.  An index beyond what came before is an error.
* An ECMA array that ends with the data, without its end marker, is accepted: Envivio encoders send them.
* Text that is not UTF-8 is decoded with U+FFFD in place of the bad bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from tierkit.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "AMF3",
    "UNDEFINED",
    "UNSUPPORTED",
    "Date",
    "ECMAArray",
    "Reference",
    "TypedObject",
    "XML",
    "MAX_DEPTH",
    "MAX_VALUES",
    "as_int",
    "as_text",
    "decode",
    "decode_all",
    "encode",
]

MAX_DEPTH: Final = 16
"""Deepest nesting that is read or written.  Real connect objects have 2 or 3 levels; ZLMediaKit allows 64."""

MAX_VALUES: Final = 16_384
"""Most values in one message.  The largest real ones are keyframe indices in file metadata, some thousands."""

_double = struct.Struct(">d")
_u16 = struct.Struct(">H")
_u32 = struct.Struct(">I")
_date = struct.Struct(">dh")


class _Marker:
    """A value without content that is told apart by identity, and survives copying and pickling."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return self._name


UNDEFINED: Final = _Marker("UNDEFINED")
"""AMF0 undefined: what servers answer to `releaseStream`."""

UNSUPPORTED: Final = _Marker("UNSUPPORTED")
"""AMF0 unsupported: a value that the sender could not express."""


class ECMAArray(dict[str, Any]):
    """An associative array: the usual shape of `onMetaData`.  Compares equal to a dict of the same content."""


class TypedObject(dict[str, Any]):
    """An object with the name of its class."""

    def __init__(self, class_name: str, content: Mapping[str, Any] | None = None) -> None:
        super().__init__(content or {})
        self.class_name = class_name

    def __repr__(self) -> str:
        return f"TypedObject({self.class_name!r}, {super().__repr__()})"

    def __reduce__(self) -> tuple[type[TypedObject], tuple[str, dict[str, Any]]]:
        return TypedObject, (self.class_name, dict(self))


class XML(str):
    """An XML document as text; never parsed here."""

    __slots__ = ()


@frozen
class Date:
    """A point in time: `ms` since 1970 in UTC, and a time zone in minutes that the specification says to ignore."""

    ms: float
    zone: int = 0


@frozen
class Reference:
    """A pointer to the `index`-th object or array of the same message, left unresolved."""

    index: int


@frozen
class AMF3:
    """The undecoded rest of a message whose sender switched to AMF3."""

    data: bytes


def as_int(value: object, default: int = 0) -> int:
    """`value` as an int where it is a finite number, else `default`: a peer may send NaN, infinity or text."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and -1e18 < value < 1e18:
        return int(value)
    return default


def as_text(value: object, default: str = "") -> str:
    """`value` where it is text, else `default`."""
    return str(value) if isinstance(value, str) else default


# Writing


def encode(*values: Any) -> bytes:
    """The values one after another.

    Raises:
        LocalProtocolError: a value that AMF0 cannot express, or one nested deeper than `MAX_DEPTH`.
    """
    out = bytearray()
    for value in values:
        _write(out, value, MAX_DEPTH)
    return bytes(out)


def _write(out: bytearray, value: Any, depth: int) -> None:
    if value is None:
        out.append(0x05)
    elif isinstance(value, bool):
        out += b"\x01\x01" if value else b"\x01\x00"
    elif isinstance(value, (int, float)):
        _write_number(out, value)
    elif isinstance(value, str):
        _write_text(out, value)
    elif isinstance(value, (dict, list, tuple)):
        if depth <= 0:
            raise LocalProtocolError(f"AMF0 value nested deeper than {MAX_DEPTH}: flatten it")
        _write_container(out, value, depth - 1)
    else:
        _write_rare(out, value)


def _write_number(out: bytearray, value: float) -> None:
    out.append(0x00)
    try:
        out += _double.pack(float(value))
    except OverflowError:
        raise LocalProtocolError("AMF0 numbers are doubles: this integer is too large") from None


def _write_text(out: bytearray, text: str) -> None:
    raw = text.encode("utf-8", "replace")
    if isinstance(text, XML):
        out.append(0x0F)
        out += _u32.pack(len(raw))
    elif len(raw) > 0xFFFF:
        out.append(0x0C)
        out += _u32.pack(len(raw))
    else:
        out.append(0x02)
        out += _u16.pack(len(raw))
    out += raw


def _write_name(out: bytearray, name: object) -> None:
    if not isinstance(name, str):
        raise LocalProtocolError(f"AMF0 keys are text, not {type(name).__name__}")
    raw = name.encode("utf-8", "replace")
    if len(raw) > 0xFFFF:
        raise LocalProtocolError("AMF0 keys are at most 65,535 bytes")
    out += _u16.pack(len(raw))
    out += raw


def _write_container(out: bytearray, value: dict[str, Any] | list[Any] | tuple[Any, ...], depth: int) -> None:
    if not isinstance(value, dict):
        out.append(0x0A)
        out += _u32.pack(len(value))
        for item in value:
            _write(out, item, depth)
        return
    if isinstance(value, ECMAArray):
        out.append(0x08)
        out += _u32.pack(len(value))
    elif isinstance(value, TypedObject):
        out.append(0x10)
        _write_name(out, value.class_name)
    else:
        out.append(0x03)
    for name, item in value.items():
        _write_name(out, name)
        _write(out, item, depth)
    out += b"\x00\x00\x09"


def _write_rare(out: bytearray, value: Any) -> None:
    if value is UNDEFINED:
        out.append(0x06)
    elif value is UNSUPPORTED:
        out.append(0x0D)
    elif isinstance(value, Date):
        out.append(0x0B)
        out += _date.pack(value.ms, value.zone)
    elif isinstance(value, Reference):
        out.append(0x07)
        out += _u16.pack(value.index)
    elif isinstance(value, AMF3):
        out.append(0x11)
        out += value.data
    else:
        raise LocalProtocolError(f"AMF0 cannot express a {type(value).__name__}")


# Reading


def decode_all(data: bytes, *, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES) -> list[Any]:
    """Every value in `data`, to its end.

    Raises:
        RemoteProtocolError: bytes that are not AMF0, or that exceed a bound.
    """
    reader = _Reader(data, max_values)
    values = []
    while reader.at < len(data):
        values.append(reader.value(max_depth))
    return values


def decode(data: bytes, at: int = 0, *, max_depth: int = MAX_DEPTH, max_values: int = MAX_VALUES) -> tuple[Any, int]:
    """The one value that begins at offset `at`, and the offset behind it.

    Raises:
        RemoteProtocolError: bytes that are not AMF0, or that exceed a bound.
    """
    reader = _Reader(data, max_values, at)
    return reader.value(max_depth), reader.at


def _cut() -> RemoteProtocolError:
    return RemoteProtocolError("AMF0 value is cut short")


class _Reader:
    def __init__(self, data: bytes, budget: int, at: int = 0) -> None:
        self.data = data
        self.at = at
        self.budget = budget
        self.complex = 0

    def value(self, depth: int) -> Any:
        """The next value; `depth` levels of containers may still open."""
        self.budget -= 1
        if self.budget < 0:
            raise RemoteProtocolError("AMF0 message has too many values")
        marker = self._take(1)[0]
        if marker == 0x00:
            return _double.unpack(self._take(8))[0]
        if marker == 0x02:
            return self._text(2)
        if marker in _CONTAINERS:
            if depth <= 0:
                raise RemoteProtocolError("AMF0 value is nested too deep")
            self.complex += 1
            return self._container(marker, depth - 1)
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        return self._scalar(marker)

    def _scalar(self, marker: int) -> Any:
        if marker == 0x01:
            return self._take(1) != b"\x00"
        if marker == 0x0C:
            return self._text(4)
        if marker == 0x07:
            index: int = _u16.unpack(self._take(2))[0]
            if index >= self.complex:
                raise RemoteProtocolError("AMF0 reference points to nothing")
            return Reference(index)
        if marker == 0x0B:
            return Date(*_date.unpack(self._take(10)))
        if marker == 0x0F:
            return XML(self._text(4))
        if marker == 0x11:
            return AMF3(self._take(len(self.data) - self.at))
        raise RemoteProtocolError(f"AMF0 has no value with the marker {marker:#04x}")

    def _take(self, size: int) -> bytes:
        begin, self.at = self.at, self.at + size
        if self.at > len(self.data):
            raise _cut()
        return self.data[begin : self.at]

    def _text(self, width: int) -> str:
        size = int.from_bytes(self._take(width), "big")
        return self._take(size).decode("utf-8", "replace")

    def _container(self, marker: int, depth: int) -> Any:
        if marker == 0x0A:
            # Each item takes a byte at least, so a huge declared count ends with the data, not with our memory.
            count = _u32.unpack(self._take(4))[0]
            return [self.value(depth) for _ in range(count)]
        if marker == 0x08:
            self._take(4)
            return self._pairs(ECMAArray(), depth)
        if marker == 0x10:
            return self._pairs(TypedObject(self._text(2)), depth)
        return self._pairs({}, depth)

    def _pairs(self, into: dict[str, Any], depth: int) -> dict[str, Any]:
        data = self.data
        while True:
            if self.at >= len(data) and isinstance(into, ECMAArray):
                return into
            name = self._text(2)
            if not name and data[self.at : self.at + 1] == b"\x09":
                self.at += 1
                return into
            into[name] = self.value(depth)


_CONTAINERS: Final = frozenset((0x03, 0x08, 0x0A, 0x10))
_CONSTANTS: Final = {0x05: None, 0x06: UNDEFINED, 0x0D: UNSUPPORTED}
