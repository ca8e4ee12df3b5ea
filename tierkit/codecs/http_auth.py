"""HTTP authentication, the client's side: Basic (RFC 7617) and Digest (RFC 7616, and RFC 2617 and 2069 before it).

A server that wants to know who asks answers 401 with challenges; the client picks one and repeats its request with
the answer.  Rules of the file:

- Challenges are read by table (RFC 9110 section 11.6.1): several in one field, several fields, commas in quoted
  strings.  One that is malformed is not half a challenge but none.
- A digest is preferred to Basic, SHA-256 to MD5; of two alike the first one counts (RFC 7616 section 3.7).
  `qop=auth` and no qop at all are known, `auth-int` is not: nobody who asks for it was met.
- A nonce counts its uses from 1 (`nc`).  What answers a second 401 is decided by `challenged`: a stale nonce, and one
  that had been good until now, are renewed; any other 401 says that the credentials are wrong.
- The password leaves this file as a hash, or in Basic's one field; it stands in no repr and no error.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

from attrs import field, frozen

from ..errors import LocalProtocolError
from .http1 import Headers
from .http_fields import members

__all__ = ["MAX_CHALLENGES", "MAX_PARAMETERS", "Authentication", "Challenge", "challenges"]

MAX_CHALLENGES: Final = 16
"""Challenges of one answer that are read; real servers send one to three."""
MAX_PARAMETERS: Final = 32
"""Parameters of one challenge; RFC 7616 knows nine.  One with more is none."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:({_TOKEN})|"((?:[^"\\]++|\\.)*+)")\Z', re.DOTALL)
_SCHEME = re.compile(rf"({_TOKEN})(?:[ \t]+(.+))?\Z", re.DOTALL)
_TOKEN68 = re.compile(r"[0-9A-Za-z._~+/-]+=*\Z")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SEPARATOR = re.compile(r"[ \t,]+")


@frozen
class Challenge:
    """One way in that a server offers."""

    #: In lower case: "digest", "basic".
    scheme: str
    #: Names in lower case, values without their quotes, as ISO 8859-1.
    parameters: Mapping[str, str] = field(factory=dict)

    @property
    def realm(self) -> str:
        """What the credentials are for."""
        return self.parameters.get("realm", "")

    @property
    def nonce(self) -> str:
        """Of a digest."""
        return self.parameters.get("nonce", "")

    @property
    def stale(self) -> bool:
        """Whether only the nonce was wrong (RFC 7616 section 3.3)."""
        return self.parameters.get("stale", "").lower() == "true"

    @property
    def algorithm(self) -> str:
        """Of a digest, in lower case."""
        return self.parameters.get("algorithm", "MD5").lower()

    @property
    def strength(self) -> int:
        """How it compares with others; 0 is one that cannot be answered."""
        if self.scheme == "basic":
            return 1
        if self.scheme != "digest" or not self.nonce or "realm" not in self.parameters:
            return 0
        qop = self.parameters.get("qop")
        if qop is not None and "auth" not in _SEPARATOR.split(qop.lower()):
            return 0
        return _STRENGTHS.get(self.algorithm, 0)


def challenges(headers: Headers, name: bytes = b"www-authenticate") -> tuple[Challenge, ...]:
    """Every whole challenge of an answer, in order, `MAX_CHALLENGES` at most."""
    found: list[_Reading] = []
    for member in members(headers, name):
        text = member.decode("latin-1")
        if parameter := _PARAMETER.match(text):
            if found:
                found[-1].add(parameter)
            continue
        if len(found) >= MAX_CHALLENGES:
            break
        scheme = _SCHEME.match(text)
        if scheme is None:
            # Whose it was nobody knows, so it spoils the challenge that it stands in.
            if found:
                found[-1].whole = False
            continue
        reading = _Reading(scheme.group(1).lower())
        found.append(reading)
        reading.begin(scheme.group(2))
    return tuple(Challenge(each.scheme, each.parameters) for each in found if each.whole)


class _Reading:
    """A challenge whose parameters are still to come."""

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme
        self.parameters: dict[str, str] = {}
        self.whole = True

    def begin(self, rest: str | None) -> None:
        """What stands behind the scheme before the first comma: a parameter, a token68 or nothing."""
        if rest is None:
            return
        if parameter := _PARAMETER.match(rest):
            self.add(parameter)
        elif _TOKEN68.match(rest) is None:
            self.whole = False

    def add(self, parameter: re.Match[str]) -> None:
        name, plain, quoted = parameter.groups()
        value = plain if plain is not None else _QUOTED_PAIR.sub(r"\1", quoted)
        # RFC 9110 section 11.2: a parameter stands once.
        if name.lower() in self.parameters or len(self.parameters) >= MAX_PARAMETERS or _CONTROL.search(value):
            self.whole = False
        else:
            self.parameters[name.lower()] = value


def _md5(data: bytes) -> str:
    # The protocol's choice, not ours.
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


_HASHES: Final[Mapping[str, Callable[[bytes], str]]] = {
    "md5": _md5,
    "md5-sess": _md5,
    "sha-256": _sha256,
    "sha-256-sess": _sha256,
}
_STRENGTHS: Final = {"md5": 2, "md5-sess": 2, "sha-256": 3, "sha-256-sess": 3}


class Authentication:
    """What one user says to one server, request after request.

    Raises:
        LocalProtocolError: the user name has a colon, or one of them a control character (RFC 7617 section 2).
    """

    def __init__(self, username: str, password: str) -> None:
        if ":" in username or _CONTROL.search(username + password):
            raise LocalProtocolError("a user has a colon in its name, or a control character in name or password")
        self._username = username
        self._password = password
        self._challenge: Challenge | None = None
        self._count = 0
        #: Whether the challenge in use has let us in.
        self._good = False

    def __repr__(self) -> str:
        return f"<Authentication by {self.scheme or 'nothing yet'}>"

    @property
    def scheme(self) -> str:
        """What is in use: "digest", "basic", or "" before the first challenge."""
        return "" if self._challenge is None else self._challenge.scheme

    @property
    def challenge(self) -> Challenge | None:
        """The challenge that is answered now."""
        return self._challenge

    def challenged(self, headers: Headers, said: bytes | None) -> bool:
        """Learn from a 401; whether it is worth asking again.

        False where none of its challenges can be answered, or where the answer to one was wrong.

        Args:
            said: the value of Authorization that was refused, None for none.  Several requests may be under way, so
                what is refused need not be what would be said now.
        """
        offered = challenges(headers)
        best = max(offered, key=lambda each: each.strength, default=None)
        if best is None or not best.strength:
            return False
        before = self._challenge
        if said is not None and before is not None and best.scheme == before.scheme and not best.stale:
            if before.scheme == "digest" and _nonce_field(before) not in said:
                return True  # another request has renewed it since
            if before.scheme == "basic" or not self._good:
                return False
        self._challenge, self._count, self._good = best, 0, False
        return True

    def accepted(self) -> None:
        """Note that an answer was let in: a later 401 is about the nonce, then."""
        self._good = True

    def authorization(self, method: str, target: str, cnonce: str) -> bytes | None:
        """The value of the field Authorization; None before the first challenge.

        Args:
            target: the request's target, path and query, to the letter.
            cnonce: unpredictable and printable, another one each time; quotes and backslashes are left out.
        """
        challenge = self._challenge
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            return b"Basic " + b64encode(f"{self._username}:{self._password}".encode("utf-8", "surrogateescape"))
        self._count += 1
        return self._digest(challenge, method, target, re.sub(r"[^!#-\[\]-~]", "", cnonce))

    def _digest(self, challenge: Challenge, method: str, target: str, cnonce: str) -> bytes:
        hashed, nonce = _HASHES[challenge.algorithm], challenge.nonce.encode("latin-1")
        count, ours = b"%08x" % self._count, cnonce.encode("ascii")
        user, password = (each.encode("utf-8", "surrogateescape") for each in (self._username, self._password))
        known = hashed(b":".join((user, challenge.realm.encode("latin-1"), password))).encode()
        if challenge.algorithm.endswith("-sess"):
            known = hashed(b":".join((known, nonce, ours))).encode()
        asked = hashed(f"{method}:{target}".encode("utf-8", "surrogateescape")).encode()
        qop = "qop" in challenge.parameters
        between = (nonce, count, ours, b"auth") if qop else (nonce,)
        response = hashed(b":".join((known, *between, asked)))
        said = [_name(self._username), f"realm={_quoted(challenge.realm)}"]
        said += [f"uri={_quoted(target)}", f'response="{response}"']
        # In the server's own letters, and only where it said one: RFC 2069 knew none.
        if "algorithm" in challenge.parameters:
            said.append(f"algorithm={challenge.parameters['algorithm']}")
        if "opaque" in challenge.parameters:
            said.append(f"opaque={_quoted(challenge.parameters['opaque'])}")
        if qop:
            said += ["qop=auth", f"nc={count.decode()}"]
        if qop or challenge.algorithm.endswith("-sess"):
            said.append(f'cnonce="{cnonce}"')
        return b"Digest " + _nonce_field(challenge) + b", " + ", ".join(said).encode("latin-1", "replace")


def _nonce_field(challenge: Challenge) -> bytes:
    return f"nonce={_quoted(challenge.nonce)}".encode("latin-1")


def _name(username: str) -> str:
    """RFC 7616 section 3.4: what is not ASCII goes percent-encoded, in the extended notation of RFC 8187."""
    if username.isascii():
        return f"username={_quoted(username)}"
    return f"username*=UTF-8''{quote(username, safe='', errors='surrogateescape')}"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
