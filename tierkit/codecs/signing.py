"""What all kinds of signed URLs share: secrets, when a URL is good, which paths may be signed, whose address it is."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from urllib.parse import unquote_to_bytes

from attrs import field, frozen

from ..errors import TierkitError

__all__ = ["LONGEST", "SigningKey", "Unsigned", "check_path", "check_time", "decoded", "plain_address"]

#: Seconds ahead that an expiry is believed, ten years: a URL that never ends is a mistake, or somebody else's idea.
LONGEST = 10 * 365 * 86400

_UNSAFE = re.compile(rb"[\x00-\x1f\x7f\\]")
# A dot segment; what is behind a semicolon is a parameter to Java servers, who take it off before they look.
_DOTS = re.compile(rb"(?:\A|/)\.\.?(?:;[^/]*)?(?:/|\Z)")


class Unsigned(TierkitError):
    """A URL that is not good: why, for people, without the secret and without the signature."""


@frozen
class SigningKey:
    """A secret and what it is called.  The secret: 32 random bytes or more, in whatever spelling."""

    id: str
    secret: bytes = field(repr=False)


def check_time(expires: float, now: float, *, start: float | None = None, slack: float = 0.0) -> None:
    """Raise Unsigned for what is over, has not begun, or never ends.  Unix seconds, and seconds of slack."""
    if now > expires + slack:
        raise Unsigned(f"it ended {now - expires:.0f} s ago")
    if start is not None and now < start - slack:
        raise Unsigned(f"it begins in {start - now:.0f} s: is a clock off?")
    if expires > now + LONGEST:
        raise Unsigned("it ends too far in the future to be believed")


def decoded(path: str) -> bytes:
    """What a path means byte by byte; any text has a meaning."""
    return unquote_to_bytes(path.encode("utf-8", "surrogatepass"))


def check_path(path: str) -> None:
    """Raise Unsigned for a path that another server might read as one in another folder.

    A signature covers the start of a path as it is spelt: ``/live/s/..%2Fother/x.ts`` starts with ``/live/s/``, and
    is not in it.
    """
    plain = decoded(path)
    if plain[:1] != b"/" or _UNSAFE.search(plain) or _DOTS.search(plain):
        raise Unsigned("the path has dot segments, backslashes or control characters")


def plain_address(text: str) -> str:
    """The one spelling of an address: IPv6 in short and lower case, IPv4 within IPv6 as IPv4, no interface."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)
