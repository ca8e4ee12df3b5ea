"""Common Media Client Data (CTA-5004): what a player says of itself with each request.

A player says it in the query, percent-encoded once as ``CMCD=br%3D3200%2Cbs%2Csid%3D%22...%22``, or in the four fields
CMCD-Request, -Object, -Status and -Session.  Either way it is a list of ``key=value`` with commas between: numbers,
words (``ot=v``), texts in double quotes, and keys without a value, which mean true.

Everybody can say anything here, and nothing must depend on its being true.  So reading is total: what is malformed, too
long, or not of its key's type is left out and counted, what is no key of the standard is counted, and the rest is told.
Keys are taken from whichever field they come in, as players mix them up; the first of each counts.

``nor`` names the object that will be asked for next, encoded once more and relative to this one: `Cmcd.next_path` makes
a path of this edge of it, or nothing.  Whoever fetches it ahead should first see that a playlist lists it: else anybody
has the edge ask its origin for anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from attrs import frozen

from .hls_uris import resolve
from .query import values
from .signing import Unsigned, check_path

__all__ = ["Cmcd", "from_fields", "from_query"]

#: Characters of all that one request says: twice what players send, a quarter of a request line (RFC 9112 section 3).
LONGEST = 2048
#: Keys that are looked at; the standard has 18.
MOST_KEYS = 64
#: Characters of ``sid`` and ``cid`` (the standard's own bound), and of ``nor``.
LONGEST_ID = 64
LONGEST_URL = 1024

FIELDS = (b"cmcd-request", b"cmcd-object", b"cmcd-status", b"cmcd-session")
_PAIR = re.compile(
    r"""[ \t]*+([A-Za-z][A-Za-z0-9._-]{0,63}+)(?:=(?:"((?:[^"\\]|\\["\\])*+)"|([^", \t]++)))?[ \t]*+(?:,|\Z)"""
)
_ESCAPE = re.compile(r'\\(["\\])')
_INTEGER = re.compile(r"[0-9]{1,12}\Z")
_DECIMAL = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?\Z")
_RANGE = re.compile(r"([0-9]{0,15})-([0-9]{0,15})\Z")
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+\Z")


@frozen(kw_only=True)
class Cmcd:
    """What a request says.  None and empty: not said, or not so that it can be believed to be meant."""

    #: Session and content, as the player calls them.
    sid: str = ""
    cid: str = ""
    #: Kind of object: m manifest, a audio, v video, av both, i init, c captions, tt timed text, k key, o other.
    ot: str = ""
    #: d DASH, h HLS, s Smooth, o other; v on demand, l live.
    sf: str = ""
    st: str = ""
    #: Buffer, and time left until it is empty at this rate, in ms.
    bl: int | None = None
    dl: int | None = None
    #: Bit rates in kbit/s: of this object, the highest there is, measured, and most that is asked for.
    br: int | None = None
    tb: int | None = None
    mtp: int | None = None
    rtp: int | None = None
    #: Duration of the object in ms.
    d: int | None = None
    #: Playback rate; 1 is real time, 0 paused.
    pr: float | None = None
    #: Whether the player has stalled since the last request, and whether it is in a hurry (start, seek, after a stall).
    bs: bool = False
    su: bool = False
    #: Next object as it was said, and first and last byte of it; see `next_path`.
    nor: str = ""
    nrr: tuple[int | None, int | None] | None = None
    #: Version of the standard.
    v: int = 1
    #: How many keys are not the standard's, and how many things were left out.
    custom: int = 0
    invalid: int = 0

    def next_path(self, path: str) -> str:
        """The path, with its query, of the object that will be asked for next, or "".

        Args:
            path: of this request, without what is CMCD's in its query.

        Without ``nor``, a range is one of this same object.  Never anything on another host, by another scheme, or
        with dots that another server might resolve.
        """
        uri = unquote(self.nor, errors="surrogateescape")
        if not uri:
            return path if self.nrr is not None else ""
        target = resolve(path, uri)
        if not target.here or target.scheme:
            return ""
        try:
            check_path(target.path.partition("?")[0])
        except Unsigned:
            return ""
        return target.path


def _integer(text: str) -> int:
    if not _INTEGER.match(text):
        raise ValueError
    return int(text)


def _decimal(text: str) -> float:
    if not _DECIMAL.match(text):
        raise ValueError
    return float(text)


def _range(text: str) -> tuple[int | None, int | None]:
    match = _RANGE.match(text)
    if match is None or text == "-":
        raise ValueError
    first, last = (int(each) if each else None for each in match.groups())
    if first is not None and last is not None and first > last:
        raise ValueError
    return first, last


def _word(*known: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise ValueError
        return text

    return read


def _text(longest: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if len(text) > longest or not _PRINTABLE.match(text):
            raise ValueError
        return text

    return read


def _truth(text: str) -> bool:
    # Without a value it is true.  Some players write it out, and Structured Fields have a spelling of their own.
    if text not in ("", "true", "false", "?1", "?0"):
        raise ValueError
    return text not in ("false", "?0")


#: Which keys have words or numbers, and how they are read.
_BARE: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("bl", "br", "d", "dl", "mtp", "rtp", "tb", "v"), _integer),
    "ot": _word("m", "a", "v", "av", "i", "c", "tt", "k", "o"),
    "sf": _word("d", "h", "s", "o"),
    "st": _word("v", "l"),
    "pr": _decimal,
}
#: Which have text in quotes.
_QUOTED: dict[str, Callable[[str], Any]] = {
    "sid": _text(LONGEST_ID),
    "cid": _text(LONGEST_ID),
    "nor": _text(LONGEST_URL),
    "nrr": _range,
}
_TRUTHS = frozenset({"bs", "su"})


class _Reading:
    """What has been read so far."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self.custom = self.invalid = self.keys = 0

    def read(self, text: str) -> None:
        """Go through a list; what is malformed ends at its next comma."""
        place, end = 0, min(len(text), LONGEST)
        if len(text) > LONGEST:
            self.invalid += 1
        while place < end and self.keys < MOST_KEYS:
            self.keys += 1
            match = _PAIR.match(text, place, end)
            if match is None:
                self.invalid += 1
                place = text.find(",", place, end) + 1 or end
                continue
            place = match.end()
            self.take(match[1], match[2], match[3])
        if place < end:
            self.invalid += 1

    def take(self, key: str, quoted: str | None, bare: str | None) -> None:
        """One key with its value of either kind, or none."""
        try:
            if key in _TRUTHS:
                value: Any = _truth(bare or "") if quoted is None else _integer("")
            elif key in _QUOTED:
                # In one version of the draft ids were words; nothing else is meant by it.
                value = _QUOTED[key](_ESCAPE.sub(r"\1", quoted) if quoted is not None else bare or "")
            elif key in _BARE:
                value = _BARE[key](bare or "")
            else:
                self.custom += 1
                return
        except ValueError:
            self.invalid += 1
            return
        self.told.setdefault(key, value)

    def value(self) -> Cmcd:
        return Cmcd(**self.told, custom=self.custom, invalid=self.invalid)


def from_query(query: str) -> Cmcd | None:
    """What the first argument ``CMCD`` of a query says; None where it has none.

    Args:
        query: as it was sent, without its question mark.
    """
    if "CMCD" not in query and "%" not in query:
        return None
    told = values(query.replace("+", "%2B"), ("CMCD",))  # a plus is itself: this is no form
    if "CMCD" not in told:
        return None
    reading = _Reading()
    reading.read(told["CMCD"])
    return reading.value()


def from_fields(headers: Iterable[tuple[bytes, bytes]]) -> Cmcd | None:
    """What the CMCD fields of a request say; None where there are none.

    Args:
        headers: names in lower case.
    """
    reading = None
    for name, value in headers:
        if name in FIELDS:
            reading = reading or _Reading()
            reading.read(value[: LONGEST + 1].decode("utf-8", "replace"))
    return reading.value() if reading is not None else None
