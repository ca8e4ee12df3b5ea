"""URLs that are good for a while: a signature over the start of a path, and when it ends.

    token = [START "-"] EXPIRES "." KEY "." DEPTH [ "f" ] [ "a" ] "." SIGNATURE

- START, EXPIRES: Unix seconds.  KEY: the id of the secret, so that secrets can be changed while old URLs still run.
- DEPTH: how many segments of the path it is good for, counted from the start: 2 for ``/live/s/playlist.m3u8`` is
  everything below ``/live/s/``, 0 is everything.  With ``f`` it is good for that one path alone, which is then PREFIX.
  ``a`` binds it to the viewer's address.
- SIGNATURE: HMAC-SHA256 (RFC 2104) of ``v1 LF PREFIX LF [START "-"] EXPIRES LF KEY LF ADDRESS``, in base64url without
  padding.  The depth and the ``f`` are in it by the prefix, the ``a`` by the address.  Numbers have no zeros in front,
  and the text is compared, not what it decodes to: no token has a second spelling.

It stands in the query (``?token=TOKEN``), where an edge adds it to the URIs of a playlist (`inherited`), or in the
first segment of the path (``/token=TOKEN/live/s/playlist.m3u8``, `with_token`), where relative URIs have it by
themselves: then a playlist is the same for all viewers, and only URIs that begin with a slash need it.

What is outside the prefix is not granted by it.  An edge that serves a playlist which lists other folders may sign for
those with the same end, for the same viewer: whoever may see the playlist may then see what it lists.  What lies in a
folder around the prefix (a key for all streams) is signed for by itself: that folder has all other streams below it.

Paths are compared as they are sent, undecoded: another spelling of a path is another path, and not signed.  nginx's own
kinds of links are in `secure_link`.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping

from attrs import frozen

from ..errors import LocalProtocolError
from .secure_link import DEFAULT_EXPRESSION, SecretLink, SecureLink
from .signing import LONGEST, SigningKey, Unsigned, check_path, check_time, plain_address

__all__ = [
    "DEFAULT_EXPRESSION",
    "LONGEST",
    "Grant",
    "SecretLink",
    "SecureLink",
    "SigningKey",
    "Unsigned",
    "family",
    "inherited",
    "sign",
    "verify",
    "with_token",
    "without_token",
]

#: Segments of a path that a prefix may have.
DEEPEST = 32
#: Characters of a token: the longest that the form allows has 108.
MAX_TOKEN = 128
_NUMBER = "[1-9][0-9]{0,11}"
_TOKEN = re.compile(
    rf"(?:({_NUMBER})-)?({_NUMBER})\.([A-Za-z0-9_-]{{1,32}})\.(0|[1-9][0-9]?)(f?)(a?)\.([A-Za-z0-9_-]{{43}})\Z"
)
_ID = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
_SHARED = re.compile(rb"((?:[0-9]+-)?[0-9]+\.[A-Za-z0-9_-]{1,32})\.[0-9]{1,2}f?a?\.[A-Za-z0-9_-]{43}\Z")
_IN_PATH = re.compile(r"/token=([^/?]*)(/.*)\Z", re.DOTALL)


@frozen(kw_only=True)
class Grant:
    """What a good token allows."""

    #: The start of all paths that it is good for, with a slash at its end; without one, the one path.
    prefix: str
    #: Until when and from when, Unix seconds.
    expires: int
    start: int | None = None
    #: The id of the key it is signed with.
    key: str
    #: Whether it is for one address only.
    bound: bool = False

    def covers(self, path: str) -> bool:
        """Whether a path (with its query, where it has one) is below the prefix."""
        try:
            check_path(path.partition("?")[0])
        except Unsigned:
            return False
        only = path.partition("?")[0]
        return only.startswith(self.prefix) if self.prefix.endswith("/") else only == self.prefix

    def around(self, path: str) -> bool:
        """Whether a path lies in a folder that holds all of the prefix, and more."""
        return self.prefix.startswith(path.partition("?")[0].rpartition("/")[0] + "/")


def _prefix(path: str, depth: int) -> str:
    if not depth:
        return "/"
    path = path.partition("?")[0]
    parts = path.split("/", DEEPEST + 2)
    # The last part is a file, whatever it looks like.
    if len(parts) - 2 < depth:
        raise Unsigned(f"the token is for {depth} segments of a path, and {path[:200]} has fewer")
    return "/".join(parts[: depth + 1]) + "/"


def _alone(path: str, depth: int) -> str:
    """The prefix of a token for one path."""
    only = path.partition("?")[0]
    if only.count("/") - 1 != depth or only.endswith("/"):
        raise Unsigned("the token is for one path, and this is another")
    return only


def _life(start: int | None, expires: int) -> str:
    return str(expires) if start is None else f"{start}-{expires}"


def _signature(key: SigningKey, prefix: str, life: str, address: str) -> str:
    text = f"v1\n{prefix}\n{life}\n{key.id}\n{address}".encode("utf-8", "surrogatepass")
    return urlsafe_b64encode(hmac.digest(key.secret, text, "sha256")).decode("ascii").rstrip("=")


def sign(
    path: str,
    key: SigningKey,
    expires: int,
    *,
    depth: int | None = None,
    address: str = "",
    start: int | None = None,
    alone: bool = False,
) -> str:
    """A token for a path and all below its prefix.

    Args:
        path: as viewers will ask for it, percent-encoded.
        expires: Unix seconds.
        depth: segments of the prefix; the folder of the path by default.
        address: of the only viewer it is for, in any spelling.
        start: Unix seconds from when it is good; at once by default.
        alone: for this path, and nothing else.

    Raises LocalProtocolError for what no token can be made of.
    """
    folder = path.partition("?")[0].count("/") - 1
    depth = folder if depth is None else depth
    if not path.startswith("/") or not 0 <= depth <= min(folder, DEEPEST):
        raise LocalProtocolError(
            f"{path!r} cannot be signed for {depth} segments: give a path that has as many folders"
        )
    _check_signable(path, key, expires, start)
    life = _life(start, expires)
    try:
        prefix = _alone(path, depth) if alone else _prefix(path, depth)
    except Unsigned:
        raise LocalProtocolError(f"{path!r} cannot be signed alone: it is a folder, or has another depth") from None
    signature = _signature(key, prefix, life, plain_address(address))
    return f"{life}.{key.id}.{depth}{'f' if alone else ''}{'a' if address else ''}.{signature}"


def _check_signable(path: str, key: SigningKey, expires: int, start: int | None) -> None:
    try:
        check_path(path.partition("?")[0])
    except Unsigned as error:
        raise LocalProtocolError(f"{path!r} cannot be signed: {error}") from None
    if not _ID.match(key.id) or not key.secret:
        raise LocalProtocolError("a key has an id of letters, digits, - and _, and a secret")
    if not (1 if start is None else start) <= expires < 10**12 or (start is not None and start < 1):
        raise LocalProtocolError("an expiry is in Unix seconds, and not before the start")


def verify(
    token: str, path: str, keys: Mapping[str, SigningKey], now: float, *, address: str = "", slack: float = 0.0
) -> Grant:
    """What a token allows.  Raises Unsigned where it is not good for this path, now, from this address.

    Args:
        path: as it was asked for.
        keys: by id.
        now: Unix seconds.
        slack: seconds by which clocks may differ.
    """
    match = _parsed(token)
    start, expires, depth = int(match[1]) if match[1] else None, int(match[2]), int(match[4])
    check_time(expires, now, start=start, slack=slack)
    key = keys.get(match[3])
    if key is None or not key.secret:
        raise Unsigned(f"the token's key {match[3]!r} is not known here")
    bound = bool(match[6])
    if bound and not address:
        raise Unsigned("the token is for one address, and the viewer's is not known")
    check_path(path.partition("?")[0])
    prefix = _alone(path, depth) if match[5] else _prefix(path, min(depth, DEEPEST))
    good = _signature(key, prefix, _life(start, expires), plain_address(address) if bound else "")
    if not hmac.compare_digest(good, match[7]):
        raise Unsigned("the signature is not that of this path" + (" and address" if bound else ""))
    return Grant(prefix=prefix, expires=expires, start=start, key=match[3], bound=bound)


def _parsed(token: str) -> re.Match[str]:
    if not token:
        raise Unsigned("there is no token")
    if len(token) > MAX_TOKEN:
        raise Unsigned("the token is too long")
    match = _TOKEN.match(token)
    if match is None:
        raise Unsigned("the token is malformed")
    return match


def inherited(token: str, grant: Grant, child: str, *, key: SigningKey | None = None, address: str = "") -> str:
    """The token for what a playlist lists: the value of the query parameter to add, or "" for none.

    Args:
        token: that of the request for the playlist, and `grant` what it allows.
        child: path at this edge that a URI of the playlist means, percent-encoded as players ask for it.
        key: to sign with what is outside the prefix: for the child's folder, or where that is around the prefix for the
            child alone, with the token's start and end, for the same address.  None to leave it without a token.
        address: the viewer's, for a token that is bound to it.
    """
    if grant.covers(child):
        return token
    if key is None or (grant.bound and not address):
        return ""
    try:
        return sign(
            child,
            key,
            grant.expires,
            address=address if grant.bound else "",
            start=grant.start,
            alone=grant.around(child),
        )
    except LocalProtocolError:
        return ""


def family(token: bytes) -> bytes | None:
    """What a token has in common with those that are inherited from it, for other folders: its life and its key.

    None for what has not the form of one.  Tokens of other viewers have the same where they end in the same second.
    """
    match = _SHARED.match(token)
    return match[1] if match is not None else None


def with_token(path: str, token: str) -> str:
    """The path (with its query, where it has one) with a token in its first segment."""
    return f"/token={token}{path}"


def without_token(path: str) -> tuple[str, str]:
    """The token in the first segment of a path, or "", and the path that it is for.

    What stands in the second segment stays there: one token is enough, and no way around what the first one says.
    """
    match = _IN_PATH.match(path)
    return (match[1], match[2]) if match is not None else ("", path)
