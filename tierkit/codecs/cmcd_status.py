"""What of CMCD (CTA-5004) an edge must know of each request: how the player's buffer stands.

`tierkit.codecs.cmcd` reads all of it in 20 µs.  This is for the one place where every request passes: from a target it
takes ``bl`` (the buffer's length), ``bs`` (it was empty since the last request) and ``pr=0`` (paused) in a microsecond,
and says nothing of all others.  Anybody can say anything there: what is malformed is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import frozen

from .cmcd import FIELDS, from_fields

__all__ = ["PlayerStatus", "status_of"]

_VALUE = re.compile(rb"[?&]CMCD=([^&]{1,6144})")
_KEYS = re.compile(
    rb"(?:\A|%2C|,)(?:bl(?:%3D|=)([0-9]{1,7})|(bs)(?:(?:%3D|=)true)?|pr(?:%3D|=)(0(?:\.0{1,3})?))(?=%2C|,|\Z)",
    re.IGNORECASE,
)


@frozen
class PlayerStatus:
    """What a player says of its buffer."""

    #: Seconds of media that it has; None where it does not say.
    buffer: float | None = None
    #: It has been empty since the player asked last.
    starved: bool = False
    #: The player does not play.
    paused: bool = False


def status_of(
    target: bytes, names: frozenset[bytes] = frozenset(), headers: Iterable[tuple[bytes, bytes]] = ()
) -> PlayerStatus | None:
    """What a request says of the player's buffer; None where it says nothing of it.

    Args:
        target: path and query, as sent.
        names: of the request's fields, in lower case, and
        headers: these with their values.
    """
    if b"CMCD=" in target:
        return _from_query(target)
    if b"cmcd-status" in names or b"cmcd-request" in names:
        return _from_fields(headers)
    return None


def _from_query(target: bytes) -> PlayerStatus | None:
    value = _VALUE.search(target)
    if value is None:
        return None
    buffer: float | None = None
    starved = paused = found = False
    for match in _KEYS.finditer(value[1]):
        found = True
        if match.lastindex == 1:
            buffer = int(match[1]) / 1000
        elif match.lastindex == 2:
            starved = True
        else:
            paused = True
    return PlayerStatus(buffer, starved, paused) if found else None


def _from_fields(headers: Iterable[tuple[bytes, bytes]]) -> PlayerStatus | None:
    told = from_fields(each for each in headers if each[0] in FIELDS)
    if told is None or (told.bl is None and not told.bs and told.pr != 0):
        return None
    return PlayerStatus(None if told.bl is None else told.bl / 1000, told.bs, told.pr == 0)
