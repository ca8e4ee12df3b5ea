"""nginx's two kinds of signed links, for who has URLs of them already (ngx_http_secure_link_module).

`SecureLink` is ``secure_link`` with ``secure_link_md5``: one MD5 over an expression for one path, in base64url, mostly
with an expiry.  `SecretLink` is ``secure_link_secret``: ``/PREFIX/HASH/LINK`` with the MD5 of LINK and the secret, in
hexadecimal digits, good for ever.  Either signs one path at a time, so each URL of a playlist gets a signature of its
own.  MD5 with a secret is what nginx compares; use it for what runs, and `signed_url` for what is new.

nginx makes its ``$uri`` of what is asked for: percent-encoding is undone and slashes that follow each other are one
(``merge_slashes on``, its default); so here.  LINK is taken as it was sent, with its query.  Dot segments, which nginx
resolves in the one and leaves in the other, are refused in both.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from hashlib import md5

from attrs import field, frozen

from ..errors import LocalProtocolError
from .signing import Unsigned, check_path, check_time, decoded

__all__ = ["DEFAULT_EXPRESSION", "SecretLink", "SecureLink", "expression_problem"]

#: What nginx's documentation has in its example.
DEFAULT_EXPRESSION = "$secure_link_expires$uri$remote_addr $secret"
VARIABLES = ("secure_link_expires", "uri", "remote_addr", "secret")

_VARIABLE = re.compile(rb"\$(?:\{([A-Za-z0-9_]+)\}|([A-Za-z0-9_]+))")
_EXPIRES = re.compile(r"[0-9]{1,12}\Z")
_SLASHES = re.compile(rb"//+")
_HASHED = re.compile(r"(/[^/?]+/)([0-9A-Fa-f]{32})/(.+)\Z", re.DOTALL)


def expression_problem(expression: str, *, ends: bool = True) -> str:
    """What is wrong with the expression of ``secure_link_md5``, for people, or "".

    Args:
        ends: as `SecureLink` has it.
    """
    named = {(one or other).decode() for one, other in _VARIABLE.findall(expression.encode())}
    if unknown := sorted(named.difference(VARIABLES)):
        return f"${unknown[0]} is not known here: give {', '.join('$' + each for each in VARIABLES)} and plain text"
    if missing := [each for each in ("uri", "secret") if each not in named]:
        return f"${missing[0]} is missing: without it anybody signs" + (" any path" if missing[0] == "uri" else "")
    if ends and "secure_link_expires" not in named:
        return "$secure_link_expires is missing: whoever has a URL could give it another end"
    return ""


def _uri(path: str) -> bytes:
    """``$uri``: the path alone, decoded; bytes that are no UTF-8 stay what they are."""
    return _SLASHES.sub(b"/", decoded(path.partition("?")[0]))


@frozen
class SecureLink:
    """nginx's ``secure_link $arg_md5,$arg_expires`` and ``secure_link_md5``.

    Attributes:
        secret: stands for ``$secret`` in the expression.
        expression: that of ``secure_link_md5`` with the secret written as ``$secret``; ``$uri`` is the decoded path.
        ends: False for ``secure_link $arg_md5`` alone, whose links are good for ever.
    """

    secret: str = field(repr=False)
    expression: str = DEFAULT_EXPRESSION
    ends: bool = True

    def sign(self, path: str, expires: int, address: str = "") -> str:
        """The value of the ``md5`` parameter for one path; `expires` in Unix seconds."""
        told = {
            b"secure_link_expires": str(expires).encode() if self.ends else b"",
            b"uri": _uri(path),
            b"remote_addr": address.encode(),
            b"secret": self.secret.encode(),
        }
        text = _VARIABLE.sub(lambda match: told.get(match[1] or match[2], match[0]), self.expression.encode())
        return urlsafe_b64encode(md5(text, usedforsecurity=False).digest()).decode("ascii").rstrip("=")

    def query(self, path: str, expires: int, address: str = "") -> str:
        """The query that makes `path` a good URL: for a playlist, and for each of its URIs by their own paths."""
        value = f"md5={self.sign(path, expires, address)}"
        return f"{value}&expires={expires}" if self.ends else value

    def verify(self, value: str, expires: str, path: str, now: float, address: str = "", *, slack: float = 0.0) -> None:
        """Raise Unsigned where the parameters are not good for this path, now, from this address.

        Args:
            value: of the parameter ``md5``, and `expires` of that name, as they came.
            path: as it was asked for.
            now: Unix seconds, and `slack` seconds by which clocks may differ.
        """
        if not value or (self.ends and not expires):
            raise Unsigned(
                "there is no md5 or no expires in the query" if self.ends else "there is no md5 in the query"
            )
        end = self._end(expires, now, slack) if self.ends else 0
        check_path(path)
        # Compared as text: nginx decodes it, and takes three more spellings of the last character.
        good = self.sign(path, end, address)
        if not hmac.compare_digest(good.encode(), value.removesuffix("==").encode("utf-8", "replace")):
            raise Unsigned("the md5 is not that of this path")

    @staticmethod
    def _end(text: str, now: float, slack: float) -> int:
        if not _EXPIRES.match(text):
            raise Unsigned("expires is no number")
        check_time(int(text), now, slack=slack)
        return int(text)


@frozen
class SecretLink:
    """nginx's ``secure_link_secret``: ``/PREFIX/HASH/LINK``, without an end."""

    secret: str = field(repr=False)

    def _hash(self, link: str) -> str:
        text = link.encode("utf-8", "surrogatepass") + self.secret.encode()
        return md5(text, usedforsecurity=False).hexdigest()

    def sign(self, prefix: str, link: str) -> str:
        """The target to ask for.

        Args:
            prefix: one segment between slashes: ``/p/``.
            link: what is behind it, as players will send it, with its query: ``live/s/playlist.m3u8``.

        Raises LocalProtocolError for what nginx would not find its parts in.
        """
        target = f"{prefix}{self._hash(link)}/{link}"
        if not _HASHED.match(target):
            raise LocalProtocolError(f"{prefix!r} and {link!r} make no link: give '/p/' and 'live/s/x.m3u8'")
        return target

    def verify(self, target: str) -> str:
        """The link within a target, its query too.  Raises Unsigned where the hash is not its own."""
        check_path(target.partition("?")[0])
        match = _HASHED.match(target)
        if match is None:
            raise Unsigned("there is no hash between the first and the second part of the path")
        if not hmac.compare_digest(self._hash(match[3]), match[2].lower()):
            raise Unsigned("the hash is not that of this link")
        return match[3]
