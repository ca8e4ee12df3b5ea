"""Asking Wowza's two control ports over HTTP: 8086 (counters) and 8087 (REST).

What a look at a server needs beyond one request, and nothing of what the answers mean:

* Authentication as the server challenges, Basic or Digest; a digest is sent ahead with the next request, a nonce that
  has gone stale is renewed, and a server that goes on asking is a loop that ends.
* Redirects within one server are followed a few times; to another one never: credentials would go there.
* A body has a bound, and everything together one deadline: a server under load must not hold up whoever watches it.
* Every failure is one line: server, path, what happened, what to do.  Credentials stand in none, and queries neither.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urljoin, urlsplit

import trio
from attrs import frozen

from tierkit import AddressError
from tierkit.codecs.http1 import Headers, get
from tierkit.codecs.http_auth import Authentication
from tierkit.codecs.wowza_rest import read_failure
from tierkit.codecs.wowza_xml import plain
from tierkit.http import ClientTimeouts, HttpClient, Unreached
from tierkit.plugin import Address, Network, RemoteProtocolError, Trust, UpstreamError, UpstreamTimeout

__all__ = ["Answer", "Kind", "RunSync", "WowzaClient", "WowzaFailure"]

#: Bytes of a body: `serverinfo` of some ten thousand clients.
LONGEST: Final = 8 << 20
#: Seconds for one question with all its tries.
DEADLINE: Final = 15.0
#: Requests for one question: the first, the answer to a challenge, a nonce renewed, and one to spare.
ROUNDS: Final = 4
#: Redirects for one question; browsers take 20, but this is no web site.
REDIRECTS: Final = 3
#: Bytes of a body that is read only to keep the connection, or for its message.
SMALL: Final = 65536

#: What kind of failure it is, for whoever decides by that.
Kind = Literal[
    "unreachable",
    "slow",
    "credentials",
    "forbidden",
    "missing",
    "conflict",
    "loop",
    "elsewhere",
    "truncated",
    "unreadable",
    "refused",
]

#: Bodies from this size on are read in a thread: 64 KiB of XML take some 8 ms, and one loop serves everybody.
LARGE: Final = 65536

T = TypeVar("T")
#: Runs what takes long in a thread, as `Context.run_sync` does.
RunSync = Callable[..., Awaitable[Any]]


class WowzaFailure(UpstreamError):
    """A control port that could not be asked, or whose answer is of no use: one line with the remedy.

    `status` is that of the answer, 0 where there was none.
    """

    def __init__(self, url: str, reason: str, kind: Kind, status: int = 0) -> None:
        # Some of it are a server's words, and they end on terminals.
        super().__init__(url, plain(reason))
        self.kind = kind
        self.status = status

    def __reduce__(self) -> tuple[type[WowzaFailure], tuple[str, str, Kind, int]]:  # type: ignore[override]
        return type(self), (self.upstream, self.reason, self.kind, self.status)


@frozen
class Answer:
    """An answer that was read whole."""

    #: That was asked in the end, without credentials.
    url: Address
    status: int
    headers: Headers
    body: bytes

    def text(self, name: bytes) -> str:
        """A field's value; "" where there is none."""
        return (get(self.headers, name) or b"").decode("latin-1")


class WowzaClient:
    """Asks one control port.

    Args:
        base: its address; a user and a password in it are what it is told when it asks.
        port: the port that is meant where the address has none.
        run_sync: reads large answers in a thread; without it they are read where they are.
        nonce: gives another unpredictable word each time.
    """

    def __init__(
        self,
        network: Network,
        clock: Callable[[], float],
        base: Address,
        *,
        port: int,
        trust: Trust | None = None,
        deadline: float = DEADLINE,
        run_sync: RunSync | None = None,
        nonce: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self.base = _reach(base, port)
        self.deadline = deadline
        self._http = HttpClient(network, clock, timeouts=ClientTimeouts(first_byte=deadline), idle_connections=2)
        self._trust = trust
        self._run_sync = run_sync
        self._nonce = nonce
        self._authentication = Authentication(base.username, base.password) if base.username else None

    def __repr__(self) -> str:
        return f"<WowzaClient of {self.base}>"

    @property
    def scheme(self) -> str:
        """By what it has let us in so far: "digest", "basic", or "" where it has not asked."""
        return self._authentication.scheme if self._authentication is not None else ""

    @property
    def authentication(self) -> Authentication | None:
        """What is said to it; None where no user was given."""
        return self._authentication

    def close(self) -> None:
        """Close its idle connections."""
        self._http.close()

    def url(self, path: str, query: str = "") -> Address:
        """A path on it."""
        return self.base.with_(path=path, query=query)

    async def get(self, path: str, query: str = "", *, accept: str = "*/*") -> Answer:
        """Ask for `path`, and read the answer if it is 200.  Raises WowzaFailure."""
        answer = await self.ask("GET", path, query, accept=accept)
        return _wanted(answer, "GET")

    async def look(
        self, read: Callable[[bytes], T], what: str, path: str, query: str = "", *, accept: str = "*/*"
    ) -> tuple[T, Answer]:
        """What `read` makes of the answer to a GET, which is named `what`; and the answer.  Raises WowzaFailure."""
        answer = await self.get(path, query, accept=accept)
        try:
            if self._run_sync is not None and len(answer.body) >= LARGE:
                found: T = await self._run_sync(read, answer.body)
                return found, answer
            return read(answer.body), answer
        except RemoteProtocolError as error:
            raise _unreadable(answer, what, error) from None

    async def put(self, path: str, query: str = "") -> Answer:
        """Have something done.  Raises WowzaFailure."""
        # The vendor's pages send both fields with a body of nothing.
        answer = await self.ask("PUT", path, query, accept="application/json", body=b"")
        return _wanted(answer, "PUT")

    async def ask(
        self, method: str, path: str, query: str = "", *, accept: str = "*/*", body: bytes | None = None
    ) -> Answer:
        """Ask, whatever the status of the answer may be.  Raises WowzaFailure where there is none."""
        url = self.url(path, query)
        with trio.move_on_after(self.deadline):
            return await self._followed(method, url, accept, body)
        raise self._overdue(url)

    async def as_stranger(self, path: str, *, accept: str = "*/*") -> Answer:
        """Ask once without saying who we are, and read whatever is answered.  Raises WowzaFailure."""
        url = self.url(path)
        with trio.move_on_after(self.deadline):
            return (await self._once("GET", url, accept, None, None))[0]
        raise self._overdue(url)

    def _overdue(self, url: Address) -> WowzaFailure:
        reason = f"has not answered within {self.deadline:g} s: is the server overloaded?"
        return WowzaFailure(_shown(url), reason, "slow")

    async def _followed(self, method: str, url: Address, accept: str, body: bytes | None) -> Answer:
        asked = url
        for _ in range(REDIRECTS + 1):
            answer = await self._let_in(method, asked, accept, body)
            if answer.status not in (301, 302, 303, 307, 308):
                return answer
            asked = self._elsewhere(asked, answer)
        reason = f"points on and on, {REDIRECTS} times, in the end to {asked.path}: a redirect loop; mend it there"
        raise WowzaFailure(_shown(url), reason, "loop", answer.status)

    def _elsewhere(self, asked: Address, answer: Answer) -> Address:
        """Where a redirect leads, on the same server."""
        location = answer.text(b"location")
        here = f"{asked.scheme}://{asked.authority}{asked.target}"
        try:
            split = urlsplit(urljoin(here, location))
            there = Address.parse(split._replace(fragment="").geturl())
            same = (there.scheme, there.host, there.dial_port) == (asked.scheme, asked.host, asked.dial_port)
        except (AddressError, ValueError):
            reason = f"answers {answer.status} without a usable Location: is a proxy in between?"
            raise WowzaFailure(_shown(asked), reason, "elsewhere", answer.status) from None
        if not same:
            reason = f"points to {there.scheme}://{there.authority}, and credentials stay here: give that address"
            raise WowzaFailure(_shown(asked), reason, "elsewhere", answer.status)
        return self.base.with_(path=there.path, query=there.query)

    async def _let_in(self, method: str, url: Address, accept: str, body: bytes | None) -> Answer:
        authentication = self._authentication
        for _ in range(ROUNDS):
            answer, said = await self._once(method, url, accept, body, authentication)
            if answer.status != 401:
                if authentication is not None:
                    authentication.accepted()
                return answer
            self._challenged(url, answer, said)
        reason = f"asked {ROUNDS} times who we are, and each time said that the last answer was stale: a loop of 401"
        raise WowzaFailure(_shown(url), f"{reason}; look at its AuthenticationMethod and its clock", "loop", 401)

    def _challenged(self, url: Address, answer: Answer, said: bytes | None) -> None:
        """Take up a challenge.  Raises WowzaFailure where that is of no use."""
        if self._authentication is None:
            reason = "wants to know who asks: give USER:PASSWORD@ in the address"
            raise WowzaFailure(_shown(url), reason, "credentials", 401)
        if self._authentication.challenged(answer.headers, said):
            return
        if said is not None:
            way = self._authentication.scheme
            reason = f"does not take this user and password ({way}): mend them in the address"
        else:
            ways = answer.text(b"www-authenticate").split(" ")[0][:40] or "no way that it names"
            reason = f"wants to know who asks by {ways}: set its AuthenticationMethod to digest or basic"
        raise WowzaFailure(_shown(url), reason, "credentials", 401)

    async def _once(
        self, method: str, url: Address, accept: str, body: bytes | None, authentication: Authentication | None
    ) -> tuple[Answer, bytes | None]:
        """One request: its answer, and what it said of who asks."""
        headers = [(b"Accept", accept.encode("ascii")), (b"User-Agent", b"tierkit")]
        if "json" in accept:
            # The vendor's page on the interface: send both.
            headers.append((b"Content-Type", accept.encode("ascii")))
        said = None if authentication is None else authentication.authorization(method, url.target, self._nonce())
        if said is not None:
            headers.append((b"Authorization", said))
        head = 0
        try:
            async with self._http.request(method, url, headers, body, trust=self._trust) as response:
                head = response.status
                data = await response.read(LONGEST)
                return Answer(url, response.status, response.headers, data), said
        except Unreached as error:
            reason = f"cannot be reached ({error.reason}): is the address right, the server up, the firewall open?"
            raise WowzaFailure(_shown(url), reason, "unreachable") from None
        except UpstreamError as error:
            what, kind = _broken(error, head)
            raise WowzaFailure(_shown(url), what, kind, head) from None


def _broken(error: UpstreamError, head: int) -> tuple[str, Kind]:
    if isinstance(error, UpstreamTimeout):
        return f"{error.reason}: is the server overloaded?", "slow"
    if not head:
        return f"{error.reason}: is it an HTTP port of Wowza's?", "unreadable"
    if "longer than" in error.reason:
        return f"sends more than the {LONGEST} bytes that are read: is it Wowza's own?", "unreadable"
    return f"the answer was cut short ({error.reason}): ask again, then look at what stands between", "truncated"


def _reach(base: Address, port: int) -> Address:
    """The address to dial, without what it is told."""
    if base.scheme not in ("", "http", "https"):
        raise AddressError(f"{base} is no control address of Wowza's: give [USER:PASSWORD@]HOST[:PORT]")
    filled = base.with_(scheme=base.scheme or "http", port=port if base.port is None else base.port)
    return filled.with_(username="", password="", path="", query="")


def _shown(url: Address) -> str:
    return str(url.with_(query=""))


#: What a status means on a control port: kind, and what to do.
_MEANINGS: Mapping[int, tuple[Kind, str]] = {
    403: ("forbidden", "does not let this address in: look at its IPWhiteList and IPBlackList"),
    404: ("missing", "has nothing there: is the name right, and is this the right port?"),
    405: ("refused", "does not know this method: is this the right port?"),
    409: ("conflict", "says that its state does not allow that"),
}


def _wanted(answer: Answer, method: str) -> Answer:
    if 200 <= answer.status < 300:
        return answer
    kind, reason = _MEANINGS.get(answer.status, ("refused", f"answers {answer.status} to {method}"))
    failure = read_failure(answer.body[:SMALL])
    said = f" (it says: {failure.message})" if failure is not None and failure.message else ""
    raise WowzaFailure(_shown(answer.url), f"{reason}{said}", kind, answer.status)


def _unreadable(answer: Answer, what: str, error: RemoteProtocolError) -> WowzaFailure:
    kind: Kind = "truncated" if "cut short" in str(error) else "unreadable"
    media = answer.text(b"content-type").partition(";")[0][:60] or "no Content-Type"
    reason = f"{error} (as {media}); {what} was asked for: is this the right port, and nothing in between?"
    return WowzaFailure(_shown(answer.url), reason, kind, answer.status)
