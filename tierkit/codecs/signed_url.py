"""URLs that are good for a while: a signature over the start of a path, and when it ends.

Two forms.  The project's own is one query parameter,

    token = EXPIRES "." KEY "." DEPTH [ "a" ] "." SIGNATURE

- EXPIRES: Unix seconds.  KEY: the id of the secret, so that secrets can be changed while old URLs still run.
- DEPTH: how many segments of the path it is good for, counted from the start: 2 for ``/live/s/playlist.m3u8`` is
  everything below ``/live/s/``, 0 is everything.  ``a`` binds it to the viewer's address.
- SIGNATURE: HMAC-SHA256 (RFC 2104) of ``v1 LF PREFIX LF EXPIRES LF KEY LF ADDRESS``, in base64url without padding.

A playlist's token is good for its segments where its folder is within the prefix, so an edge hands it on to them.

The other is nginx's ``secure_link`` with ``secure_link_md5``, for who has URLs of that kind already: one MD5 over an
expression for one path, so each URL of a playlist gets its own.  MD5 of a secret at the end is what nginx compares; use
it for what runs, not for what is new.

Paths are compared as they are sent, undecoded: another spelling of a path is another path, and not signed.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import md5
from urllib.parse import unquote

from attrs import field, frozen

from ..errors import LocalProtocolError, TierkitError

__all__ = ["DEFAULT_EXPRESSION", "SecureLink", "SigningKey", "Unsigned", "sign", "verify"]

#: Years ahead that an expiry is believed: a token that never ends is a mistake, or somebody else's idea.
LONGEST = 10 * 365 * 86400
#: Segments of a path that a prefix may have.
DEEPEST = 32
_TOKEN = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{1,32})\.([0-9]{1,2})(a?)\.([A-Za-z0-9_-]{43})\Z")
_ID = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_DIGITS = re.compile(r"[0-9]{1,12}\Z")


class Unsigned(TierkitError):
    """A URL that is not good: why, for people, without the secret and without the signature."""


@frozen
class SigningKey:
    """A secret and what it is called."""

    id: str
    secret: bytes = field(repr=False)


def _prefix(path: str, depth: int) -> str:
    if not depth:
        return "/"
    parts = path.partition("?")[0].split("/")
    # The last part is a file, whatever it looks like.
    if len(parts) - 2 < depth:
        raise Unsigned(f"the token is for {depth} segments of a path, and {path.partition('?')[0]} has fewer")
    return "/".join(parts[: depth + 1]) + "/"


def _signature(key: SigningKey, prefix: str, expires: int, address: str) -> str:
    text = f"v1\n{prefix}\n{expires}\n{key.id}\n{address}".encode()
    return urlsafe_b64encode(hmac.digest(key.secret, text, "sha256")).decode("ascii").rstrip("=")


def sign(path: str, key: SigningKey, expires: int, *, depth: int | None = None, address: str = "") -> str:
    """A token for a path and all below its prefix.

    Args:
        path: as viewers will ask for it, percent-encoded.
        expires: Unix seconds.
        depth: segments of the prefix; the folder of the path by default.
        address: of the only viewer it is for.

    Raises LocalProtocolError for what no token can be made of.
    """
    folder = path.partition("?")[0].count("/") - 1
    depth = folder if depth is None else depth
    if not path.startswith("/") or not 0 <= depth <= min(folder, DEEPEST):
        raise LocalProtocolError(
            f"{path!r} cannot be signed for {depth} segments: give a path that has as many folders"
        )
    if not _ID.match(key.id) or not 0 < expires < 10**12:
        raise LocalProtocolError("a key's id has letters, digits, - and _; an expiry is in Unix seconds")
    bound = "a" if address else ""
    return f"{expires}.{key.id}.{depth}{bound}.{_signature(key, _prefix(path, depth), expires, address)}"


def verify(
    token: str, path: str, keys: Mapping[str, SigningKey], now: float, *, address: str = "", slack: float = 0.0
) -> None:
    """Raise Unsigned where a token is not good for this path, now, from this address.

    Args:
        path: as it was asked for.
        keys: by id.
        now: Unix seconds.
        slack: seconds by which clocks may differ.
    """
    match = _TOKEN.match(token)
    if match is None:
        raise Unsigned("there is no token" if not token else "the token is malformed")
    expires, depth = int(match.group(1)), int(match.group(3))
    _check_time(expires, now, slack)
    key = keys.get(match.group(2))
    if key is None:
        raise Unsigned(f"the token's key {match.group(2)!r} is not known here")
    good = _signature(key, _prefix(path, min(depth, DEEPEST)), expires, address if match.group(4) else "")
    if not hmac.compare_digest(good, match.group(5)):
        raise Unsigned("the signature is not that of this path" + (" and address" if match.group(4) else ""))


def _check_time(expires: int, now: float, slack: float) -> None:
    if now > expires + slack:
        raise Unsigned(f"it ended {now - expires:.0f} s ago")
    if expires > now + LONGEST:
        raise Unsigned("it ends too far in the future to be believed")


#: What nginx's documentation has in its example.
DEFAULT_EXPRESSION = "$secure_link_expires$uri$remote_addr $secret"
_VARIABLE = re.compile(r"\$(secure_link_expires|uri|remote_addr|secret)\b")


@frozen
class SecureLink:
    """nginx's ``secure_link $arg_md5,$arg_expires`` and ``secure_link_md5``.

    `expression` is that of ``secure_link_md5`` with the secret written as ``$secret``; ``$uri`` is the decoded path.
    """

    secret: str = field(repr=False)
    expression: str = DEFAULT_EXPRESSION

    def sign(self, path: str, expires: int, address: str = "") -> str:
        """The value of the ``md5`` parameter for one path."""
        told = {
            "secure_link_expires": str(expires),
            "uri": unquote(path.partition("?")[0]),
            "remote_addr": address,
            "secret": self.secret,
        }
        text = _VARIABLE.sub(lambda match: told[match.group(1)], self.expression)
        return urlsafe_b64encode(md5(text.encode(), usedforsecurity=False).digest()).decode("ascii").rstrip("=")

    def verify(self, value: str, expires: str, path: str, now: float, address: str = "") -> None:
        """Raise Unsigned where the parameters are not good for this path, now, from this address."""
        if not value or not expires:
            raise Unsigned("there is no md5 or no expires in the query")
        if not _DIGITS.match(expires):
            raise Unsigned("expires is no number")
        _check_time(int(expires), now, 0.0)
        if not hmac.compare_digest(self.sign(path, int(expires), address).encode(), value.rstrip("=").encode()):
            raise Unsigned("the md5 is not that of this path")
