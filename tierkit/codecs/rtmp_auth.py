"""How an RTMP client shows a server who it is: `authmod=adobe`, `authmod=llnw`, and Wowza's SecureToken v1.

`authmod` takes three connections.  The first `connect` is refused with a description that names the method; the
second says ``?authmod=adobe&user=USER`` behind the application and the tcUrl, and is refused with a salt and a
challenge; the third has the response.  None of it is specified: the formulas are those that ffmpeg
(libavformat/rtmpproto.c) and librtmp (rtmp.c, PublisherAuth) agree on.

* adobe: ``b64(md5(b64(md5(user + salt + password)) + (opaque, or else challenge) + ours))``.
* llnw (Limelight) is HTTP's digest of RFC 2617 with the realm "live", the method "publish", qop "auth" and the URI
  ``/app/instance``.

Values stand in descriptions and in answers as they are, without percent-encoding.

SecureToken takes one connection: the result of `connect` has a `secureToken`, hexadecimal, that is decrypted with
the shared secret by XXTEA (Wheeler and Needham, "Correction to xtea", 1998) and sent back as
`secureTokenResponse`.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import md5
from typing import Any, Final

from attrs import field, frozen

from tierkit.errors import RemoteProtocolError

__all__ = ["Challenge", "challenge_in", "respond", "secure_token", "token_asked_for"]

MAX_DESCRIPTION: Final = 2048
"""Longest description that is looked at; real ones have some 200 characters."""
MAX_TOKEN: Final = 1024
"""Most hexadecimal digits of a secure token; real ones have 32."""

_MOD: Final = re.compile(r"authmod=(adobe|llnw)(?![a-z0-9])")
# What stands behind "?reason=", up to a space or the bracket that some servers close.
_REASON: Final = re.compile(r"\?reason=([a-z]+)((?:&[^\s\]]*)?)")
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")
_DELTA: Final = 0x9E3779B9
_WORD: Final = 0xFFFFFFFF


@frozen
class Challenge:
    """What a server wants to be told by the next connection.

    `mod` is "adobe" or "llnw".  `reason` is empty for its first question (who is it?), "needauth" for its second
    (with `values`: salt, challenge, opaque or nonce), and else why it has refused us for good.
    """

    mod: str
    reason: str = ""
    values: Mapping[str, str] = field(factory=dict, repr=False)

    @property
    def failure(self) -> str:
        """Why it is of no use to try again, for people; empty where it is."""
        if self.reason in ("", "needauth"):
            return ""
        if self.reason in ("authfailed", "authfail"):
            return "it takes neither this user nor this password: mend them in the URL"
        if self.reason == "nosuchuser":
            return "it knows no such user: mend it in the URL"
        return f"it refuses us ({self.reason[:40]})"


def challenge_in(description: str) -> Challenge | None:
    """The challenge in the description of a refused `connect`; None where there is none."""
    text = description[:MAX_DESCRIPTION]
    mod = _MOD.search(text)
    if mod is None:
        return None
    reason = _REASON.search(text)
    if reason is None:
        return Challenge(mod.group(1))
    pairs = (each.partition("=") for each in reason.group(2).split("&"))
    return Challenge(mod.group(1), reason.group(1), {name: value for name, _, value in pairs if name})


def respond(challenge: Challenge, user: str, password: str, app: str, nonce: bytes) -> str:
    """What to say behind a question mark, after the application and after the tcUrl, on the next connection.

    Args:
        app: the application without a query.
        nonce: 4 unpredictable bytes.

    Raises:
        RemoteProtocolError: the server has refused us for good, or asks in a way that cannot be answered.
    """
    if challenge.failure:
        raise RemoteProtocolError(challenge.failure)
    if not challenge.reason:
        return f"authmod={challenge.mod}&user={user}"
    values = challenge.values
    if any(_CONTROL.search(each) for each in values.values()):
        raise RemoteProtocolError("its challenge has a control character")
    # Servers say whom they mean; ffmpeg and librtmp go by that.
    user = values.get("user", user)
    ours = nonce[:4].hex()
    answer = _adobe if challenge.mod == "adobe" else _llnw
    return f"authmod={challenge.mod}&user={user}&" + answer(values, user, password, app, ours)


def _adobe(values: Mapping[str, str], user: str, password: str, app: str, ours: str) -> str:
    opaque = values.get("opaque")
    theirs = values.get("challenge", "") if opaque is None else opaque
    known = _base64_md5(user + values.get("salt", "") + password)
    said = f"challenge={ours}&response={_base64_md5(known + theirs + ours)}"
    return said if opaque is None else f"{said}&opaque={opaque}"


def _llnw(values: Mapping[str, str], user: str, password: str, app: str, ours: str) -> str:
    nonce, count = values.get("nonce", ""), "00000001"
    where = app if "/" in app else f"{app}/_definst_"
    known, asked = _hex_md5(f"{user}:live:{password}"), _hex_md5(f"publish:/{where}")
    response = _hex_md5(f"{known}:{nonce}:{count}:{ours}:auth:{asked}")
    return f"nonce={nonce}&cnonce={ours}&nc={count}&response={response}"


def _base64_md5(text: str) -> str:
    return b64encode(_md5(text)).decode()


def _hex_md5(text: str) -> str:
    return _md5(text).hex()


def _md5(text: str) -> bytes:
    # The protocol's choice, not ours.
    return md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()


def token_asked_for(*places: Mapping[str, Any]) -> str:
    """The `secureToken` in the result of `connect`; empty where there is none."""
    found = (place.get("secureToken") for place in places)
    return next((each for each in found if isinstance(each, str) and each), "")


def secure_token(token: str, secret: str) -> str:
    """What to answer to Wowza's `secureToken` with `secureTokenResponse`.

    Raises:
        RemoteProtocolError: it is not hexadecimal, too long, or does not become text by this secret.
    """
    if len(token) > MAX_TOKEN or not re.fullmatch(r"(?:[0-9A-Fa-f]{8}){2,}", token):
        raise RemoteProtocolError("its secureToken is no hexadecimal number of two whole words or more")
    words = [int.from_bytes(bytes.fromhex(token[at : at + 8]), "little") for at in range(0, len(token), 8)]
    key = secret.encode("utf-8", "surrogatepass")[:16].ljust(16, b"\0")
    plain = b"".join(word.to_bytes(4, "little") for word in _decrypted(words, _words(key)))
    try:
        return plain.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError("its secureToken is not for this shared secret: mend the option token") from None


def _words(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]


def _decrypted(words: list[int], key: list[int]) -> list[int]:
    """XXTEA backwards: `words` and `key` of 32 bits, as many rounds as the length asks for."""
    count, last = len(words), words[0]
    rounds = 6 + 52 // count
    total = rounds * _DELTA & _WORD
    for _ in range(rounds):
        turn = total >> 2 & 3
        for place in range(count - 1, -1, -1):
            before = words[place - 1]  # of the first: the last
            mixed = (before >> 5 ^ last << 2) + (last >> 3 ^ before << 4)
            mixed ^= (total ^ last) + (key[place & 3 ^ turn] ^ before)
            last = words[place] = words[place] - mixed & _WORD
        total = total - _DELTA & _WORD
    return words
