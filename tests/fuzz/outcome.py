"""What a codec made of some bytes, as a value: so that reading them whole and in pieces can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tierkit.errors import RemoteProtocolError

__all__ = ["lines", "outcome", "pieces", "refused"]

#: Inputs up to this length are also read byte by byte: longer ones say nothing new, and take their time squared.
SHORT = 2000


def outcome(read: Callable[[bytes], Iterable[Any]], data: bytes, step: int = 0) -> list[Any]:
    """Everything that `read` gives for `data` in pieces of `step` bytes (0: whole), and the refusal that ended it."""
    found: list[Any] = []
    try:
        for piece in pieces(data, step or max(len(data), 1)):
            found.extend(read(piece))  # what comes in front of a fault, too
        found.extend(read(b""))  # a fault behind the last value is told now
    except RemoteProtocolError as error:
        found.append(str(error))
    return found


def refused(read: Callable[[], Any]) -> bool:
    """Whether `read` refuses with the one error that it may raise."""
    try:
        read()
    except RemoteProtocolError:
        return True
    return False


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def lines(data: bytes) -> list[tuple[bytes, bytes]]:
    """Header fields, from lines of "name: value": as the screen of heads leaves them, without CR, LF and NUL."""
    found = []
    for line in data.replace(b"\r", b"").replace(b"\0", b"").split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon and name:
            found.append((name.lower(), value.strip()))
    return found
