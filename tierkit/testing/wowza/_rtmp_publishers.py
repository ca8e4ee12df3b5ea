"""Who may publish: `authmod=adobe`, the server's end, in its three connections.

The first `connect` of an encoder is refused with the name of the method, the second (with a user) with a salt and a
challenge, the third has the response and passes.  ``b64(md5(b64(md5(user + salt + password)) + (opaque, or else
challenge) + theirs))`` is computed here on its own, and not with the client's code, so that one mistake is not made on
both sides.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections import deque
from collections.abc import Mapping
from hashlib import md5, sha256
from typing import Final, Literal

from attrs import define, field, frozen

from ._behaviours import Behaviour
from ._shown_rtmp import AUTH_CHALLENGE, AUTH_FAILED, AUTH_OPAQUE, AUTH_REUSE, ENCODERS, NEED_AUTH

__all__ = ["Opaque", "Publishers", "Verdict"]

Opaque = Literal["absent", "same", "other"]

#: What encoders' flashVer begins with.
_ENCODERS: Final = ("FMLE/", "FME/", "Wirecast/", "WMLE/")
_HEAD: Final = "[ AccessManager.Reject ] : [ "
#: Challenges that were given out and not yet used; one encoder has one.
_MOST: Final = 64


@frozen
class Verdict:
    """Why a client is refused, "" where it passes; and what that shows."""

    refusal: str
    shows: tuple[Behaviour, ...]


@define(kw_only=True)
class Publishers:
    """Users and their passwords, and what was asked of them.

    Args:
        opaque: whether the challenge has an opaque part, and whether that is the challenge itself.
        seed: what salts and challenges are made of.
    """

    users: Mapping[str, str] = field(repr=False)
    opaque: Opaque = "same"
    seed: str = ""
    _asked: int = 0
    #: User, challenge, opaque.
    _open: deque[tuple[str, str, str]] = field(factory=lambda: deque(maxlen=_MOST), repr=False)

    @ENCODERS.shown
    def asks(self, flash_version: str) -> bool:
        """Whether such a client is asked who it is; one that is not may play, and may not publish."""
        return bool(self.users) and flash_version.startswith(_ENCODERS)

    @NEED_AUTH.shown
    def judge(self, query: str) -> Verdict:
        """Whether `connect` passes; `query` stands behind the application."""
        said = dict(part.partition("=")[::2] for part in query.split("&"))
        if said.get("authmod") != "adobe":
            return Verdict(f"{_HEAD}code=403 need auth; authmod=adobe ] : ", (NEED_AUTH,))
        user = said.get("user", "")
        if user not in self.users:
            return self._refused("nosuchuser")
        if "response" not in said:
            return self._challenge(user)
        return Verdict("", (AUTH_CHALLENGE, AUTH_REUSE)) if self._right(user, said) else self._refused("authfailed")

    @AUTH_FAILED.shown
    def _refused(self, reason: str) -> Verdict:
        return Verdict(f"{_HEAD}authmod=adobe ] : ?reason={reason}", (AUTH_FAILED,))

    @AUTH_CHALLENGE.shown
    @AUTH_OPAQUE.shown
    def _challenge(self, user: str) -> Verdict:
        self._asked += 1
        challenge = _token(f"{self.seed}:challenge:{self._asked}")
        opaque = {"absent": "", "same": challenge, "other": _token(f"{self.seed}:opaque:{self._asked}")}[self.opaque]
        self._open.append((user, challenge, opaque))
        behind = f"&opaque={opaque}" if opaque else ""
        asked = f"reason=needauth&user={user}&salt={self._salt(user)}&challenge={challenge}{behind}"
        return Verdict(f"{_HEAD}authmod=adobe ] : ?{asked}", (AUTH_CHALLENGE, AUTH_OPAQUE))

    def _salt(self, user: str) -> str:
        return _token(f"{self.seed}:salt:{user}")

    @AUTH_REUSE.shown
    def _right(self, user: str, said: Mapping[str, str]) -> bool:
        """Whether this answers a challenge that was given to this user and is not used up."""
        known = _b64_md5(f"{user}{self._salt(user)}{self.users[user]}")
        for each in self._open:
            whose, challenge, opaque = each
            if whose != user or said.get("opaque", "") != opaque:
                continue
            wanted = _b64_md5(f"{known}{opaque or challenge}{said.get('challenge', '')}")
            if hmac.compare_digest(wanted.encode(), said["response"].encode("utf-8", "replace")):
                self._open.remove(each)
                return True
        return False


def _token(text: str) -> str:
    """Four bytes in base64, as in the examples that are known (``vgoAAA==``)."""
    return b64encode(sha256(text.encode()).digest()[:4]).decode()


def _b64_md5(text: str) -> str:
    # The protocol's choice, not ours.
    return b64encode(md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()).decode()
