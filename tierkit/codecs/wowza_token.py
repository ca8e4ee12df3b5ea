"""Wowza's SecureToken, version 2: a hash in the query that is good for one stream, by whatever protocol it is played.

    PREFIXhash = base64url(SHA-256|384|512(CONTENT "?" ELEMENT "&" ELEMENT ...)), with its padding

- CONTENT is ``app/stream`` or ``app/instance/stream`` as it stands in the URL: without the slash in front and the file
  behind (``playlist.m3u8``), with a prefix (``mp4:``), what is not ASCII percent-encoded.  So a token is for a stream,
  and not for one path: playlists, chunklists and segments lie in one folder, and that is the stream.
- ELEMENTs are the shared secret, bare; the viewer's address, bare, where the server asks for it; and each parameter of
  the query that has the prefix, as ``NAME=VALUE``, but the hash.  They are sorted byte by byte as whole strings: the
  secret and the address against each other and against the parameters.  Whoever writes the address first, always, is
  refused for those viewers whose address sorts behind the secret.
- ``PREFIXstarttime`` and ``PREFIXendtime`` are Unix seconds; other parameters may follow the prefix as one likes.

From the vendor's page on SecureToken and from the test vectors that several public projects share; what no source
tells, decided here:

- Values are hashed as the query spells them, and may have no character that is none of a URI's.  So nobody can lengthen
  what was signed, though SHA-256 and SHA-512 would let him: the padding that he would need cannot be sent.
- A token without an end is good for ever, as one of the vectors is; so is one whose end is 0, as THEOplayer's guide to
  SecureToken writes it.
- ``hash``, ``starttime`` and ``endtime`` are known in either case, as that guide has them: an end that is spelt
  ``endTime`` was meant as one.  Any of them that is given twice is refused: two readers would take two for it.

Version 1, for RTMP alone, is in `rtmp_auth`, and a token in a file's name in `wowza_token_name`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

from attrs import field, frozen

from ..errors import LocalProtocolError
from .query import MAX_PARAMETERS
from .signing import Unsigned, check_path, decoded, plain_address

__all__ = [
    "ALGORITHMS",
    "DEFAULT_PREFIX",
    "SAME_FOR",
    "SecureToken",
    "Ticket",
    "WrongHash",
    "content_path",
    "resign",
    "spellings",
    "token_problem",
    "verify_any",
]

DEFAULT_PREFIX = "wowzatoken"
ALGORITHMS = ("sha256", "sha384", "sha512")
DEFAULT_INSTANCE = "_definst_"
#: Characters that all parameters of a token may have together: the usual three have some 150.
MAX_TOKEN = 2048
#: Seconds for which `resign` gives the same query: an upstream's URL changes once an hour, and so does what a cache
#: before it or a session at it is named by.
SAME_FOR = 3600

_PREFIX = re.compile(r"[A-Za-z0-9._~-]{1,64}\Z")
# What may stand in a query (RFC 3986 section 3.4) but the comma, which ends an attribute of a playlist.
_PLAIN = re.compile(r"[A-Za-z0-9._~!$'()*+;:@/?=%-]*\Z")
_SECONDS = re.compile(r"[0-9]{1,12}\Z")
_UNWRITTEN = re.compile(r"[^\x21-\x7e]+")


class WrongHash(Unsigned):
    """The hash is another than that of this stream by this secret."""


@frozen(kw_only=True)
class Ticket:
    """What a good token says."""

    #: The stream that it is for.
    content: str
    #: From when and until when, Unix seconds.
    start: int | None = None
    end: int | None = None
    #: Its parameters, with the hash, as they were spelt: what a playlist hands on to what it lists.
    query: str = field(repr=False)


def token_problem(secret: str, prefix: str, algorithm: str) -> str:
    """What is wrong with the settings of a token, for people and without the secret, or ""."""
    if not secret:
        return "the shared secret is empty"
    if _PREFIX.match(prefix) is None:
        return f"prefix {prefix!r} is none: give letters, digits and any of . _ ~ -, such as {DEFAULT_PREFIX!r}"
    if algorithm not in ALGORITHMS:
        return f"algorithm {algorithm!r} is not known: choose one of {', '.join(ALGORITHMS)}"
    return ""


@frozen
class SecureToken:
    """How one application's tokens are made.  Raises LocalProtocolError for what `token_problem` tells.

    Attributes:
        secret: the shared secret.
        prefix: how the parameters' names begin.
        algorithm: one of `ALGORITHMS`.
        bound: whether a token is for one address ("include client IP in hash generation").
    """

    secret: str = field(repr=False)
    prefix: str = DEFAULT_PREFIX
    algorithm: str = "sha256"
    bound: bool = False

    def __attrs_post_init__(self) -> None:
        if problem := token_problem(self.secret, self.prefix, self.algorithm):
            raise LocalProtocolError(problem)

    def hash(self, content: str, parameters: Iterable[str], address: str = "") -> str:
        """The value of ``PREFIXhash``.

        Args:
            content: as `content_path` gives it.
            parameters: ``NAME=VALUE`` each, without the hash, in any order.
            address: the viewer's, in any spelling; left out where tokens are not bound.

        Raises LocalProtocolError where tokens are bound and no address is given.
        """
        elements = [self.secret, *parameters]
        if self.bound:
            if not address:
                raise LocalProtocolError("these tokens are for one address each: give the viewer's")
            elements.append(plain_address(address))
        rest = b"&".join(sorted(each.encode("utf-8", "surrogatepass") for each in elements))
        digest = hashlib.new(self.algorithm, _written(content).encode("ascii") + b"?" + rest).digest()
        return urlsafe_b64encode(digest).decode("ascii")

    def sign(
        self,
        content: str,
        *,
        end: int | None = None,
        start: int | None = None,
        address: str = "",
        custom: Mapping[str, str] | None = None,
    ) -> str:
        """The query of a token for one stream.

        Args:
            content: ``live/myStream``, as it stands in the URL.
            end: Unix seconds, and `start` as well; good for ever, and at once, without them.
            custom: further parameters, by their names without the prefix; values in a spelling that a query may have.

        Raises LocalProtocolError for what cannot be signed.
        """
        times = {"endtime": end, "starttime": start}
        told = {name: str(value) for name, value in times.items() if value is not None} | dict(custom or {})
        pairs = [f"{self.prefix}{name}={value}" for name, value in told.items()]
        if any(_PLAIN.match(pair) is None for pair in pairs) or "hash" in map(str.lower, told):
            raise LocalProtocolError("a parameter of a token is called hash, or has what cannot stand in a query")
        return "&".join([*pairs, f"{self.prefix}hash={self.hash(content, pairs, address)}"])

    def owns(self, pair: str) -> bool:
        """Whether a parameter of a query is a token's; its name is read as a server reads it, decoded once."""
        name = pair.partition("=")[0]
        return (unquote(name) if "%" in name else name).startswith(self.prefix)

    def verify(self, content: str, query: str, now: float, address: str = "", *, slack: float = 0.0) -> Ticket:
        """What the token in a query allows.

        Args:
            content: the stream that is asked for.
            query: as it came, with whatever else is in it.
            now: Unix seconds, and `slack` seconds by which clocks may differ.
            address: the viewer's.

        Raises WrongHash where the hash is that of something else, and Unsigned for all else that is not good.
        """
        pairs = self._pairs(query)
        told = self._told(pairs)
        given = told.pop("hash", "")
        if not given:
            raise Unsigned(f"there is no {self.prefix}hash in the query")
        if self.bound and not address:
            raise Unsigned("the token is for one address, and the viewer's is not known")
        hashed = [pair for pair in pairs if self._name(pair) != "hash"]
        good = self.hash(content, hashed, address)
        # Base64's padding is what clients like to encode once more.
        if not hmac.compare_digest(good.encode("ascii"), unquote(given).encode("utf-8", "replace")):
            raise WrongHash(f"{self.prefix}hash is not that of this stream" + (" and address" if self.bound else ""))
        start, end = self._seconds(told, "starttime"), self._seconds(told, "endtime") or None
        if start is not None and now < start - slack:
            raise Unsigned(f"it begins in {start - now:.0f} s: is a clock off?")
        if end is not None and now > end + slack:
            raise Unsigned(f"it ended {now - end:.0f} s ago")
        return Ticket(content=content, start=start, end=end, query="&".join(pairs))

    def again(self, ticket: Ticket, content: str, address: str = "") -> str:
        """The query of a token for another stream, with all else that a ticket says."""
        pairs = [pair for pair in ticket.query.split("&") if self._name(pair) != "hash"]
        return "&".join([*pairs, f"{self.prefix}hash={self.hash(content, pairs, address)}"])

    def _name(self, pair: str) -> str:
        """The name of one of its parameters without the prefix, in lower case."""
        return unquote(pair.partition("=")[0]).removeprefix(self.prefix).lower()

    def _pairs(self, query: str) -> list[str]:
        """The token's parameters.  Raises Unsigned where they are too many, too long, or odd."""
        if query.count("&") >= MAX_PARAMETERS:
            raise Unsigned(f"the query has more than {MAX_PARAMETERS} parameters")
        pairs = [pair for pair in query.split("&") if pair and self.owns(pair)]
        if sum(map(len, pairs)) > MAX_TOKEN:
            raise Unsigned("the token is too long")
        if any(_PLAIN.match(pair) is None for pair in pairs):
            raise Unsigned("the token is malformed")
        return pairs

    def _told(self, pairs: Iterable[str]) -> dict[str, str]:
        told: dict[str, str] = {}
        for pair in pairs:
            name, value = self._name(pair), pair.partition("=")[2]
            if name in told and name in ("hash", "starttime", "endtime"):
                raise Unsigned(f"{self.prefix}{name} is given twice")
            told[name] = value
        return told

    def _seconds(self, told: Mapping[str, str], name: str) -> int | None:
        value = told.get(name)
        if value is None:
            return None
        if _SECONDS.match(value) is None:
            raise Unsigned(f"{self.prefix}{name} is no number of seconds")
        return int(value)


def verify_any(
    tokens: Iterable[SecureToken],
    contents: Iterable[str],
    query: str,
    now: float,
    address: str = "",
    *,
    slack: float = 0.0,
) -> tuple[SecureToken, Ticket]:
    """By which of some secrets, and for which spelling of its stream, a token is good; and what it allows.

    Raises Unsigned, for the reason of the last that was tried.
    """
    failure, names = Unsigned("there is no key"), tuple(contents)
    for token in tokens:
        for content in names:
            try:
                return token, token.verify(content, query, now, address, slack=slack)
            except WrongHash as error:
                failure = error
    raise failure


def _written(text: str) -> str:
    """A path as it stands in a URL: what cannot be sent as it is, percent-encoded; the rest as it is spelt."""
    return _UNWRITTEN.sub(lambda match: quote(match[0], safe="", errors="surrogatepass"), text)


def content_path(path: str) -> str:
    """The stream that a URL of HTTP streaming is for, by its path: ``live/s`` of ``/live/s/playlist.m3u8``.

    Raises Unsigned for a path that another server might read as one in another folder.
    """
    only = path.partition("?")[0]
    folder, slash, file = only.rpartition("/")
    check_path(only)
    if not slash or b"/" in decoded(file) or (folder and not folder.startswith("/")):
        raise Unsigned("the path has an encoded slash in it")
    return _written(folder[1:])


def spellings(path: str, prefix: str = "") -> tuple[str, ...]:
    """What a token may call a stream of RTMP, whose path has lost the default instance and the prefix (`rtmp_url`).

    Args:
        path: ``/live/s``.
        prefix: ``mp4`` where the player asked for ``mp4:s``.
    """
    whole = path.strip("/")
    app, slash, rest = whole.partition("/")
    found = [whole, f"{app}/{DEFAULT_INSTANCE}/{rest}"] if slash else [whole]
    if prefix:
        found = [_with_prefix(each, prefix) for each in found]
    return tuple(map(_written, found))


def _with_prefix(content: str, prefix: str) -> str:
    folder, slash, name = content.rpartition("/")
    return f"{folder}{slash}{prefix}:{name}"


def resign(
    path: str, query: str, settings: SecureToken, now: float, *, address: str = "", stream: bool = False
) -> str:
    """The query for an upstream's URL with a token of ours, in the place of any that it has.

    It ends between one and two times `SAME_FOR` from now, at a whole multiple, so the URL of a stream stays the same
    for an hour and is good for another one: what was asked for a moment before the change has time to come.  It has no
    start: an origin whose clock is behind would refuse what it need not.

    Args:
        path: of a file of the stream (``/live/s/playlist.m3u8``), or with `stream` of the stream itself, as RTMP has it
            (``/live/s``).
        query: what it has already, such as ``DVR``; it stays as it is spelt.
        now: Unix seconds.
        address: ours, as the origin sees it; for bound tokens.

    Raises LocalProtocolError for a path that cannot be signed.
    """
    try:
        content = content_path(f"{path}/" if stream else path)
    except Unsigned as error:
        raise LocalProtocolError(f"{path[:200]} cannot be signed: {error}") from None
    kept = [pair for pair in query.split("&") if pair and not settings.owns(pair)]
    end = (int(now) // SAME_FOR + 2) * SAME_FOR
    return "&".join([*kept, settings.sign(content, end=end, address=address)])
