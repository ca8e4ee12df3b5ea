"""From an RTMP server's URL to a connection that the server has accepted.

On the way the server may ask who we are (`authmod`: three connections, see `codecs.rtmp_auth`), send us elsewhere
(a refusal with code 302), and want an answer to what its acceptance says (Wowza's SecureToken).  Credentials are
those of the URL, and stand in no message.

Whoever sends us elsewhere might be anybody's tool, so we go only to the same host, or to one of those that the
caller has named, and never from TLS to a line that all can read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import trio
from attrs import define, field, frozen

from ._address import Address, Trust
from ._ports import Connection, Network
from .codecs.rtmp_auth import challenge_in, respond
from .codecs.rtmp_elsewhere import moved, redirect_in
from .codecs.rtmp_message import plain
from .codecs.rtmp_session import ClientEvent, ClientSession, Connected, ConnectRefused, Status
from .codecs.rtmp_url import dial
from .errors import AddressError, ConnectionLost, NotServed, RemoteProtocolError, UpstreamError

__all__ = ["Dialler", "Greeting", "Line", "RTMPPlace", "RTMPRefused", "RTMPTimeouts", "Redirected", "refuse"]

#: What to call once a server has accepted the connection: from what its acceptance says to commands and arguments.
Greeting = Callable[[Mapping[str, Any]], Iterable[tuple[Any, ...]]]

#: How often one attempt may be sent elsewhere: a CDN's entry and its choice are two.
MAX_REDIRECTS = 3
#: Questions that one server may ask: who we are, and for a response.
MAX_QUESTIONS = 2
#: What a server says of a name that nobody publishes or that is not its own.
_NOT_FOUND = frozenset({"NetStream.Play.StreamNotFound", "NetStream.Play.Failed", "NetConnection.Connect.InvalidApp"})


class RTMPRefused(UpstreamError):
    """A server has refused to connect, with a description that may say what it wants to know."""

    def __init__(self, upstream: str, reason: str, description: str = "") -> None:
        self.description = description
        super().__init__(upstream, reason)

    def __reduce__(self) -> Any:
        return type(self), (self.upstream, self.reason, self.description)


class Redirected(Exception):
    """A server sends us elsewhere; caught by whoever holds the Dialler."""

    def __init__(self, tc_url: str) -> None:
        self.tc_url = tc_url
        super().__init__()


@frozen
class RTMPTimeouts:
    """How long a server may take, seconds."""

    connect: float = 5.0
    #: From the connection to publish being accepted, or to the first media of what is played.  Servers wait in
    #: silence for a name that nobody publishes: they are asked again later.
    answer: float = 10.0
    #: Without any media, once there was some; for a target, without taking any.
    no_media: float = 15.0


@frozen
class RTMPPlace:
    """A stream's URL at one server, and how that is verified."""

    url: Address
    trust: Trust | None = None

    @property
    def where(self) -> str:
        """Its server, for messages: neither credentials nor a stream's name, which may be a key."""
        return f"{self.url.scheme}://{self.url.authority}"

    def hide(self, said: str) -> str:
        """What its server has said, without what is our secret: servers like to repeat names."""
        url = self.url
        key = url.path.rpartition("/")[2] if url.keyed else ""
        for secret in (url.password, url.query, key):
            said = said.replace(secret, "***") if secret else said
        return said


@define
class Line:
    """A connection that the server has accepted.

    Attributes:
        tc_url: what it was told that it is.
        deadline: when its answer is overdue, on trio's clock.
        early: what it has said behind its acceptance.
    """

    connection: Connection
    session: ClientSession
    place: RTMPPlace
    tc_url: str
    deadline: float
    early: list[ClientEvent] = field(factory=list)

    async def until_accepted(self, greeting: Greeting | None) -> ConnectRefused | None:
        """Read until the server has accepted the connection; returns what it said where it has refused."""
        connection, session = self.connection, self.session
        accepted = False
        while not accepted:
            await connection.send_all(session.data_to_send())
            data = await connection.recv()
            if not data:
                raise UpstreamError(self.place.where, "ended the connection")
            for event in session.receive(data, trio.current_time()):
                if isinstance(event, ConnectRefused):
                    return event
                if isinstance(event, Connected):
                    accepted = True
                    for name, *arguments in greeting({**event.properties, **event.info}) if greeting else ():
                        session.call(name, *arguments)
                elif accepted:
                    self.early.append(event)
                elif isinstance(event, Status):
                    refuse(self.place, event)
        await connection.send_all(session.data_to_send())
        return None


class Dialler:
    """Where to, as whom, and where else: one for each stream that is pulled or pushed.

    Attributes:
        place: what is dialled next.

    Args:
        others: further places that a server may send us to.
        want: tells a new session what we want of it: to play or to publish a name.
    """

    def __init__(
        self,
        network: Network,
        place: RTMPPlace,
        want: Callable[[ClientSession, str], None],
        *,
        limits: RTMPTimeouts,
        others: Sequence[RTMPPlace] = (),
        connect_object: Mapping[str, Any] | None = None,
        greeting: Greeting | None = None,
    ) -> None:
        self.place = place
        self.limits = limits
        self._network = network
        self._want = want
        self._known = (place, *others)
        self._extra = connect_object
        self._greeting = greeting
        self._redirects = 0

    async def line(self) -> Line:
        """A line to `place`.

        Raises:
            Redirected: the server sends us elsewhere: call `redirect`, then this again.
            NotServed: it has no such application.
            RTMPRefused: it refuses.
            UpstreamError: it cannot be reached, is silent, or breaks off.
        """
        proof = ""
        for asked in range(MAX_QUESTIONS + 1):
            line = await self._open(proof)
            refusal = await self._accepted(line)
            if refusal is None:
                return line
            if tc_url := redirect_in(refusal.info):
                raise Redirected(tc_url)
            proof = self._answer(line, refusal, asked)
        raise AssertionError("the last question was refused")

    def redirect(self, tc_url: str) -> None:
        """Go where the server at `place` sends us.  Raises UpstreamError where we do not."""
        self._redirects += 1
        if self._redirects > MAX_REDIRECTS:
            raise UpstreamError(self.place.where, f"sends us elsewhere, as {MAX_REDIRECTS} before it did")
        self.place = self.allowed(self.place, tc_url)

    def allowed(self, place: RTMPPlace, tc_url: str) -> RTMPPlace:
        """The place that `tc_url` means to whoever is at `place`.  Raises UpstreamError for where we do not go."""
        plain = place.url.with_(username="", password="", unix="", host=place.url.host or "localhost")
        try:
            url = Address.parse(moved(plain.reveal(), dial(plain.reveal()).tc_url, tc_url))
        except (RemoteProtocolError, AddressError) as error:
            raise UpstreamError(place.where, f"sends us elsewhere, but {error}") from None
        if place.url.secure and not url.secure:
            raise UpstreamError(place.where, f"sends us to {url.authority} without TLS: that is not followed")
        if url.host == plain.host:
            changes = {"scheme": url.scheme, "port": url.port, "path": url.path, "query": url.query}
            return RTMPPlace(place.url.with_(**(changes if not place.url.unix else {"path": url.path})), place.trust)
        known = next((each for each in self._known if each.url.host == url.host), None)
        if known is None:
            raise UpstreamError(
                place.where, f"sends us to {url.authority}, which is none of ours: name it beside this one to allow it"
            )
        shown = known.url.with_(scheme=url.scheme, port=url.port, path=url.path, query=url.query)
        return RTMPPlace(shown.with_(keyed=place.url.keyed), known.trust)

    async def _open(self, proof: str) -> Line:
        url = self.place.url
        said = dial(url.with_(unix="", host="localhost").reveal() if url.unix else url.reveal())
        behind = f"?{proof}" if proof else ""
        connection = await self._connect()
        now = trio.current_time()
        tc_url = said.tc_url + behind
        session = ClientSession(said.app + behind, tc_url, nonce=os.urandom(32), now=now, connect_object=self._extra)
        self._want(session, said.name)
        return Line(connection, session, self.place, tc_url, now + self.limits.answer)

    async def _connect(self) -> Connection:
        place, patience = self.place, self.limits.connect
        try:
            with trio.move_on_after(patience):
                return await self._network.connect(place.url.with_(port=place.url.dial_port), trust=place.trust)
        except ConnectionLost as error:
            raise UpstreamError(place.where, str(error)) from None
        raise UpstreamError(place.where, f"did not answer to connecting within {patience:g} s")

    async def _accepted(self, line: Line) -> ConnectRefused | None:
        where = line.place.where
        kept = False
        try:
            with trio.move_on_at(line.deadline) as scope:
                refusal = await line.until_accepted(self._greeting)
                kept = refusal is None
                return refusal
        except RemoteProtocolError as error:
            raise UpstreamError(where, f"broke the protocol: {error}") from None
        except ConnectionLost as error:
            raise UpstreamError(where, f"the connection was lost: {error}") from None
        finally:
            if not kept:
                line.connection.close()
        assert scope.cancelled_caught
        raise UpstreamError(where, f"has not answered to connect for {self.limits.answer:g} s")

    def _answer(self, line: Line, refusal: ConnectRefused, asked: int) -> str:
        """What to say the next time; raises where the refusal is no question, or one that we cannot answer."""
        url, where = line.place.url, line.place.where
        challenge = challenge_in(refusal.description)
        if challenge is None:
            refuse(line.place, refusal)
        assert challenge is not None
        mod = f"authmod={challenge.mod}"
        if not url.username and not url.password:
            told = f"wants a user and a password ({mod}): write {url.scheme}://USER:PASSWORD@{url.authority}"
            raise RTMPRefused(where, told, refusal.description)
        if not challenge.failure and (asked == MAX_QUESTIONS or (asked and not challenge.reason)):
            raise RTMPRefused(where, f"does not take our answer ({mod}): is the password right?", refusal.description)
        app = dial(url.with_(unix="", host="localhost").reveal()).app
        try:
            return respond(challenge, url.username, url.password, app, os.urandom(4))
        except RemoteProtocolError as error:
            raise RTMPRefused(where, f"refused us ({mod}): {error}", refusal.description) from None


def refuse(place: RTMPPlace, event: ConnectRefused | Status) -> None:
    """Raise for what ends a line; a status that is none of that is passed over."""
    if isinstance(event, Status) and not event.fatal:
        return
    if isinstance(event, Status) and (tc_url := redirect_in(event.info)):
        raise Redirected(tc_url)
    where, said = place.where, place.hide(f"refused: {plain(event.code)} {plain(event.description)}".rstrip())
    if event.code in _NOT_FOUND:
        raise NotServed(f"{where} has no such {'stream' if isinstance(event, Status) else 'application'} ({said})")
    if isinstance(event, ConnectRefused):
        raise RTMPRefused(where, said, event.description)
    raise UpstreamError(where, said)
