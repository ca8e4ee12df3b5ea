"""The small grammars that every cache rule stands on: lists, directives, delta-seconds, dates.

Rules of the file:

- Bytes in, values out, by regular expressions on ASCII: `int()` and `str.strip()` know signs, underscores,
  Unicode digits and white space that HTTP does not.
- Nothing raises.  What cannot be read is None, or absent; what that means is for the caller to say.
- Where the standards leave a choice, the reading is the one that stores and reuses less.

Names are in lower case as `http1.Headers` has them; directives are given as text, in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Final

from .http1 import Headers

__all__ = [
    "MAX_DELTA",
    "Directives",
    "delta_seconds",
    "directives",
    "field_names",
    "first",
    "format_date",
    "is_cache_control",
    "is_token",
    "members",
    "parse_date",
]

Directives = Mapping[str, str]

#: Directives of one message that are read; there are some twenty in all (IANA, HTTP Cache Directive Registry).
MAX_DIRECTIVES: Final = 64
#: What a delta-seconds beyond it is taken for (RFC 9111 section 1.2.2).
MAX_DELTA: Final = 2**31

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_IS_TOKEN = re.compile(_TOKEN + rb"\Z")
# RFC 9111 section 5.2: token [ "=" ( token / quoted-string ) ], ended by a comma or the end.
_DIRECTIVE = re.compile(rb"[ \t]*(" + _TOKEN + rb')(?:=("(?:[^"\\]++|\\.)*+"|[^", \t]*))?[ \t]*(?:,|\Z)', re.DOTALL)
_NAME = re.compile(rb"[ \t]*(" + _TOKEN + rb")")
# A member of a list: quoted strings, and whatever else is no comma.  A quote that is never closed takes the rest, so
# that the reading takes one pass whatever comes.
_MEMBER = re.compile(rb'((?:"(?:[^"\\]++|\\.|\\\Z)*+(?:"|\Z)|[^,"])*+)(?:,|\Z)', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_DIGITS = re.compile(rb"0*([0-9]*)\Z")
_WHITE = b" \t"


def is_token(value: bytes) -> bool:
    """Whether this is a token (RFC 9110 section 5.6.2), as field names and methods are."""
    return _IS_TOKEN.match(value) is not None


def is_cache_control(name: bytes) -> bool:
    """Whether a field is Cache-Control, or a targeted one of whatever target: RFC 9213 section 2 names them so."""
    return name == b"cache-control" or name.endswith(b"-cache-control")


def first(headers: Headers, name: bytes) -> bytes | None:
    """The value of the first field of that name.

    For fields that are no lists: of two Expires the first one counts (RFC 9111 section 4.2.1), and a joined pair of
    dates would be no date at all.
    """
    for key, value in headers:
        if key == name:
            return value
    return None


def members(headers: Headers, name: bytes) -> list[bytes]:
    """The members of a list field over all its lines (RFC 9110 section 5.6.1), empty ones dropped.

    Commas within quoted strings do not separate.
    """
    found: list[bytes] = []
    for key, value in headers:
        if key != name:
            continue
        if b'"' not in value:
            found += [each for part in value.split(b",") if (each := part.strip(_WHITE))]
            continue
        position = 0
        while position < len(value):
            match = _MEMBER.match(value, position)
            if match is None:  # pragma: no cover: the expression matches everywhere
                break
            if each := match.group(1).strip(_WHITE):
                found.append(each)
            position = match.end()
    return found


def delta_seconds(value: bytes) -> int | None:
    """Seconds as RFC 9111 section 1.2.2 writes them, at most `MAX_DELTA`; None for anything but digits."""
    match = _DIGITS.match(value)
    if match is None or not value:
        return None
    digits = match.group(1)
    return MAX_DELTA if len(digits) > 10 else min(int(digits or b"0"), MAX_DELTA)


def directives(headers: Headers, name: bytes = b"cache-control") -> dict[str, str]:
    """The directives of Cache-Control (RFC 9111 section 5.2), names in lower case; one without a value has "".

    Token and quoted forms mean the same.  Of two values the first one counts (section 4.2.1), but the names in two
    lists of field names are all meant, and a bare directive is meant for everything.  A malformed directive still
    says its name: `private = "x` is private, and `max-age =5` is a max-age without a number.  More than
    `MAX_DIRECTIVES` are not read: nobody knows what else is said, so such a message also says `no-store`.
    """
    found: dict[str, str] = {}
    count = 0
    for key, value in headers:
        if key == name:
            count = _read_directives(value, found, count)
    return found


def _read_directives(value: bytes, found: dict[str, str], count: int) -> int:
    """Read one line, after `count` directives of others; returns how many there are by now."""
    position = 0
    while position < len(value):
        if too_many(count):
            found["no-store"] = ""
            break
        count += 1
        match = _DIRECTIVE.match(value, position)
        if match is not None:
            argument = match.group(2) or b""
            text = argument.decode("latin-1")
            if argument[:1] == b'"':
                text = _QUOTED_PAIR.sub(r"\1", text[1:-1])
            _add(found, match.group(1).decode("ascii").lower(), text)
            position = match.end()
            continue
        named = _NAME.match(value, position)
        if named is not None:
            _add(found, named.group(1).decode("ascii").lower(), "")
        comma = value.find(b",", position)
        position = comma + 1 if comma >= 0 else len(value)
    return count


def too_many(count: int) -> bool:
    """Whether nobody honest says more than that; empty members count, for they cost time too."""
    return count >= MAX_DIRECTIVES


#: The directives whose argument is a list of field names (RFC 9111 sections 5.2.2.4 and 5.2.2.7).
_QUALIFIED = frozenset({"private", "no-cache"})


def _add(found: dict[str, str], name: str, text: str) -> None:
    if name in _QUALIFIED and name in found:
        found[name] = f"{found[name]},{text}" if found[name] and text else ""
    else:
        found.setdefault(name, text)


def field_names(text: str) -> frozenset[bytes]:
    """The field names in the argument of a qualified `private` or `no-cache`, in lower case.

    What is no field name is left out: nothing could be called so.
    """
    parts = text.encode("latin-1", "replace").lower().split(b",")
    return frozenset(name for part in parts if is_token(name := part.strip(_WHITE)))


_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}
_MONTH = b"(" + b"|".join(_MONTHS) + b")"
_DAY = b"(?:" + b"|".join(_DAYS) + b")"
_TIME = rb"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)"
# A cache reads the names in any case, and takes no other zone than GMT: UTC, which RFC 7234 allowed, is invalid as
# well (RFC 9111 section 4.2).
_IMF = re.compile(_DAY + rb", ([0-9]{2}) " + _MONTH + rb" ([0-9]{4}) " + _TIME + rb" GMT\Z", re.IGNORECASE)
_RFC850 = re.compile(
    rb"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, ([0-9]{2})-" + _MONTH + rb"-([0-9]{2}) " + _TIME + rb" GMT\Z",
    re.IGNORECASE,
)
_ASCTIME = re.compile(_DAY + rb" " + _MONTH + rb" ([0-9]{2}| [0-9]) " + _TIME + rb" ([0-9]{4})\Z", re.IGNORECASE)
_EPOCH = date(1970, 1, 1).toordinal()


def parse_date(value: bytes, now: float) -> int | None:
    """An HTTP-date in any of its three forms (RFC 9110 section 5.6.7), as seconds since 1970; None if it is none.

    `now`, in the same seconds, tells the century of the two-digit years of RFC 850.  The name of the weekday is
    not compared with the date.
    """
    value = value.strip(_WHITE)
    if match := _IMF.match(value):
        day, month, year, *clock = match.groups()
        return _seconds(int(year), month, day, clock)
    if match := _RFC850.match(value):
        day, month, short, *clock = match.groups()
        return _seconds(_full_year(int(short), now), month, day, clock)
    if match := _ASCTIME.match(value):
        month, day, *clock, year = match.groups()
        return _seconds(int(year), month, day, clock)
    return None


def _full_year(short: int, now: float) -> int:
    """The year that two digits mean: not more than 50 years ahead, else the last one that ended so."""
    this = _civil(int(now) // 86400)[0]
    year = this - this % 100 + 100 + short
    while year > this + 50:
        year -= 100
    return year


def _seconds(year: int, month: bytes, day: bytes, clock: list[bytes]) -> int | None:
    hour, minute, second = clock
    try:
        days = date(year, _MONTH_NUMBERS[month.lower()], int(day)).toordinal() - _EPOCH
    except ValueError:  # the 30th of February, the year 0
        return None
    return days * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second)


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of a number of days since 1970, held within the years 1 to 9999."""
    day = date.fromordinal(min(max(days + _EPOCH, 1), date.max.toordinal()))
    return day.year, day.month, day.day


def format_date(seconds: float) -> bytes:
    """Seconds since 1970 as an IMF-fixdate, the one form that is sent (RFC 9110 section 5.6.7)."""
    days, rest = divmod(int(seconds // 1), 86400)
    year, month, day = _civil(days)
    return b"%s, %02d %s %04d %02d:%02d:%02d GMT" % (
        _DAYS[(days + 3) % 7],
        day,
        _MONTHS[month - 1],
        year,
        rest // 3600,
        rest // 60 % 60,
        rest % 60,
    )
