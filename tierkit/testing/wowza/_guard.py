"""Who may ask: the server's end of HTTP's basic and digest authentication (RFC 2617), as a Wowza puts it.

Written on its own, and not with the code of the project's client, so that one mistake is not made on both sides.

A nonce says when it was made, ``base64("<epoch in ms>:<32 hexadecimal digits>")``, as those of the REST API were
recorded, and the digits are a hash of that time and a secret: a server need remember none of them.  Nonce counts are
not held against a client that repeats one.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping
from hashlib import md5
from typing import Final

from attrs import field, frozen

__all__ = ["Guard"]

#: Longest Authorization field that is looked at; real ones have some 300 bytes.
_LONGEST: Final = 4096
# name=token or name="quoted string", with a comma or the end behind it.
_PARAMETER: Final = re.compile(r'\s*([A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))\s*(?:,|\Z)')
_ESCAPED: Final = re.compile(r"\\(.)")


@frozen(kw_only=True)
class Guard:
    """One set of users, and how they are asked who they are.

    Args:
        method: "none", "basic" or "digest".
        users: names and passwords.
        realm: what they are for.
        now: seconds since 1970.
        secret: what nonces are made of besides the time.
        domain: the URIs that a digest is good for; left out where it is empty.
        quoted: write ``algorithm="MD5"``, as many servers do against the grammar, and not ``algorithm=MD5``.
        lifetime: seconds that a nonce is good for.
    """

    method: str
    users: Mapping[str, str] = field(repr=False)
    realm: str
    now: Callable[[], float]
    secret: str = field(default="", repr=False)
    domain: str = ""
    quoted: bool = False
    lifetime: float = 300.0

    def challenge(self, method: str, target: str, authorization: str | None) -> str | None:
        """What to write into `WWW-Authenticate`; None where this request may pass.

        Args:
            method: of the request.
            target: as it stands in the request line: a digest is for one URI.
        """
        if self.method == "none":
            return None
        scheme, _, said = (authorization or "")[:_LONGEST].partition(" ")
        if self.method == "basic":
            passed = scheme.lower() == "basic" and self._basic(said)
            return None if passed else f'Basic realm="{self.realm}"'
        found = _parameters(said) if scheme.lower() == "digest" else {}
        if not found or not self._digest(method, target, found):
            return self._digest_challenge()
        return None if self._fresh(found["nonce"]) else self._digest_challenge() + ", stale=true"

    def _basic(self, said: str) -> bool:
        try:
            user, mark, password = b64decode(said.strip(), validate=True).decode().partition(":")
        except (NotBase64, ValueError):
            return False
        return bool(mark) and self._knows(user, password)

    def _knows(self, user: str, password: str) -> bool:
        known = self.users.get(user)
        return known is not None and hmac.compare_digest(known.encode(), password.encode())

    def _digest(self, method: str, target: str, said: Mapping[str, str]) -> bool:
        """Whether the response is right, however old its nonce is."""
        user = said.get("username", "")
        if user not in self.users or said.get("realm") != self.realm or said.get("uri") != target:
            return False
        nonce = said.get("nonce", "")
        if not self._ours(nonce):
            return False
        known = _md5(f"{user}:{self.realm}:{self.users[user]}")
        asked = _md5(f"{method}:{target}")
        if "qop" in said:
            if said["qop"] != "auth" or not said.get("cnonce") or not re.fullmatch("[0-9a-f]{8}", said.get("nc", "")):
                return False
            wanted = _md5(f"{known}:{nonce}:{said['nc']}:{said['cnonce']}:auth:{asked}")
        else:  # RFC 2069, which RFC 2617 section 3.2.2.1 goes on taking
            wanted = _md5(f"{known}:{nonce}:{asked}")
        return hmac.compare_digest(wanted.encode(), said.get("response", "").encode())

    def _digest_challenge(self) -> str:
        domain = f'domain="{self.domain}", ' if self.domain else ""
        algorithm = '"MD5"' if self.quoted else "MD5"
        return f'Digest realm="{self.realm}", {domain}nonce="{self._nonce()}", algorithm={algorithm}, qop="auth"'

    def _nonce(self) -> str:
        at = str(int(self.now() * 1000))
        return b64encode(f"{at}:{self._mark(at)}".encode()).decode()

    def _mark(self, at: str) -> str:
        return _md5(f"{at}:{self.secret}")

    def _parts(self, nonce: str) -> tuple[str, str]:
        try:
            at, _, mark = b64decode(nonce, validate=True).decode("ascii").partition(":")
        except (NotBase64, ValueError):
            return "", ""
        return (at, mark) if re.fullmatch("[0-9]{1,16}", at) else ("", "")

    def _ours(self, nonce: str) -> bool:
        at, mark = self._parts(nonce)
        return bool(at) and hmac.compare_digest(mark.encode(), self._mark(at).encode())

    def _fresh(self, nonce: str) -> bool:
        at, _ = self._parts(nonce)
        return 0 <= self.now() * 1000 - int(at) <= self.lifetime * 1000


def _parameters(text: str) -> dict[str, str]:
    """The parameters of a Digest field, names in lower case; empty where there is anything else in it."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None or match.group(1).lower() in found:
            return {}
        name, quoted, token = match.groups()
        found[name.lower()] = token if quoted is None else _ESCAPED.sub(r"\1", quoted)
        at = match.end()
    return found


def _md5(text: str) -> str:
    # The protocol's choice, not ours.
    return md5(text.encode(), usedforsecurity=False).hexdigest()
