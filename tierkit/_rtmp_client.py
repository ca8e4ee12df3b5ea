"""RTMP on a connection, the client's role: playing an upstream's stream, and publishing to a server.

Whoever plays waits for media, not for bytes: a server that goes on answering pings while its publisher has
stalled is a failed upstream after `RTMPTimeouts.no_media`, and one that sends nothing at all is pinged.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import trio
from attrs import frozen

from ._address import Address, Trust
from ._ports import Connection, Network
from .codecs.rtmp_message import plain
from .codecs.rtmp_session import (
    ClientSession,
    Connected,
    ConnectRefused,
    Media,
    PlayEnded,
    PlayStarted,
    PublishStarted,
    Status,
)
from .codecs.rtmp_url import dial
from .errors import ConnectionLost, NotServed, RemoteProtocolError, UpstreamError

__all__ = ["Publisher", "RTMPRefused", "RTMPTimeouts", "open_publisher", "pull"]

#: What a server says of a name that nobody publishes or that is not its own.
_NOT_FOUND = frozenset({"NetStream.Play.StreamNotFound", "NetStream.Play.Failed", "NetConnection.Connect.InvalidApp"})


class RTMPRefused(UpstreamError):
    """A server has refused to connect, with a description that may hold a challenge (``authmod=adobe``)."""

    def __init__(self, upstream: str, reason: str, description: str = "") -> None:
        self.description = description
        super().__init__(upstream, reason)

    def __reduce__(self) -> Any:
        return type(self), (self.upstream, self.reason, self.description)


@frozen
class RTMPTimeouts:
    """How long a server may take, seconds."""

    connect: float = 5.0
    #: From the connection to publish being accepted, or to the first media of what is played.  Servers wait in
    #: silence for a name that nobody publishes: they are asked again later.
    answer: float = 10.0
    #: Without any media, once there was some.
    no_media: float = 15.0


async def _connect(network: Network, url: Address, trust: Trust | None, patience: float) -> Connection:
    where = _where(url)
    try:
        with trio.move_on_after(patience):
            return await network.connect(url.with_(port=url.dial_port), trust=trust)
    except ConnectionLost as error:
        raise UpstreamError(where, str(error)) from None
    raise UpstreamError(where, f"did not answer to connecting within {patience:g} s")


def _where(url: Address) -> str:
    return f"{url.scheme}://{url.authority}"


def _session(url: Address, now: float, extra: Mapping[str, Any] | None) -> tuple[ClientSession, str]:
    said = dial(url.with_(unix="", host="localhost").reveal() if url.unix else url.reveal())
    session = ClientSession(said.app, said.tc_url, nonce=os.urandom(32), now=now, connect_object=extra)
    return session, said.name


async def pull(
    network: Network,
    url: Address,
    *,
    started: Callable[[], Callable[[int, int, bytes], None]],
    room: Callable[[], Awaitable[None]] | None = None,
    trust: Trust | None = None,
    connect_object: Mapping[str, Any] | None = None,
    timeouts: RTMPTimeouts | None = None,
) -> str:
    """Play the stream at `url` until it ends; returns why it did (an RTMP status code).

    Args:
        started: called when the first media is there; gives what each message is handed to: its type, its
            timestamp in ms, its payload.
        room: awaited between reads; holds a server back that sends faster than players take.
        connect_object: additions to what `connect` says.

    Raises:
        NotServed: the server does not know the name, or sends nothing for it.
        RTMPRefused: it refuses the connection.
        UpstreamError: it cannot be reached, refuses, is silent for too long, or breaks off.
    """
    limits = timeouts or RTMPTimeouts()
    connection = await _connect(network, url, trust, limits.connect)
    where = _where(url)
    try:
        return await _Puller(connection, url, where, limits, started, connect_object).run(room)
    except RemoteProtocolError as error:
        raise UpstreamError(where, f"broke the protocol: {error}") from None
    except ConnectionLost as error:
        raise UpstreamError(where, f"the connection was lost: {error}") from None
    finally:
        connection.close()


class _Puller:
    """One connection that plays."""

    def __init__(
        self,
        connection: Connection,
        url: Address,
        where: str,
        limits: RTMPTimeouts,
        started: Callable[[], Callable[[int, int, bytes], None]],
        extra: Mapping[str, Any] | None,
    ) -> None:
        self._connection = connection
        self._where = where
        self._limits = limits
        self._started = started
        self._sink: Callable[[int, int, bytes], None] | None = None
        self._session, name = _session(url, trio.current_time(), extra)
        # Live streams behind CDNs and Wowza's edges want to be subscribed to; others ignore it.
        self._session.play(name, subscribe=True)
        self._deadline = trio.current_time() + limits.answer
        self._connected = self._playing = False

    async def run(self, room: Callable[[], Awaitable[None]] | None) -> str:
        connection, session = self._connection, self._session
        while True:
            with trio.move_on_at(self._deadline) as scope:
                await connection.send_all(session.data_to_send())
                data = await self._recv()
            if scope.cancelled_caught:
                self._too_late()
            if not data:
                raise UpstreamError(self._where, "ended the connection")
            for event in session.receive(data, trio.current_time()):
                if isinstance(event, Media):
                    self._media(event)
                elif isinstance(event, Connected):
                    self._connected = True
                elif isinstance(event, PlayStarted):
                    self._playing = True
                elif isinstance(event, PlayEnded):
                    return event.code
                elif isinstance(event, (ConnectRefused, Status)):
                    _refused(self._where, event)
            if room is not None:
                await room()

    async def _recv(self) -> bytes:
        """What comes; half-way to the deadline a ping, so that a dead line is told from a silent publisher."""
        if not self._playing:
            return await self._connection.recv()
        with trio.move_on_at((trio.current_time() + self._deadline) / 2):
            return await self._connection.recv()
        self._session.ping(trio.current_time())
        await self._connection.send_all(self._session.data_to_send())
        return await self._connection.recv()

    def _media(self, event: Media) -> None:
        if self._sink is None:
            self._sink = self._started()
        self._deadline = trio.current_time() + self._limits.no_media
        self._sink(event.type_id, event.timestamp, event.payload)

    def _too_late(self) -> None:
        limits = self._limits
        if self._sink is not None:
            raise UpstreamError(self._where, f"has sent no media for {limits.no_media:g} s")
        if self._connected:
            raise NotServed(f"{self._where} has sent nothing of the stream for {limits.answer:g} s: is it published?")
        raise UpstreamError(self._where, f"has not answered to connect for {limits.answer:g} s")


def _refused(where: str, event: ConnectRefused | Status) -> None:
    if isinstance(event, Status) and not event.fatal:
        return
    said = f"refused: {plain(event.code)} {plain(event.description)}".rstrip()
    if event.code in _NOT_FOUND:
        raise NotServed(f"{where} has no such {'stream' if isinstance(event, Status) else 'application'} ({said})")
    if isinstance(event, ConnectRefused):
        raise RTMPRefused(where, said, event.description)
    raise UpstreamError(where, said)


class Publisher:
    """A stream that we publish; `open_publisher` gives it."""

    def __init__(self, connection: Connection, session: ClientSession) -> None:
        self._connection = connection
        self._session = session
        # Two tasks write: the caller's, and the one that answers the server's pings and windows.
        self._turn = trio.Lock()

    async def send(self, type_id: int, timestamp: int, payload: bytes) -> None:
        """Send one message: type 8, 9 or 18, its time in ms.  Raises ConnectionLost.

        A send that is cancelled may leave half a message on the line: leave the block then.
        """
        data = self._session.encode_media(type_id, timestamp, payload)
        async with self._turn:
            await self._connection.send_all(data)

    async def _answer(self) -> None:
        data = self._session.data_to_send()
        if data:
            async with self._turn:
                await self._connection.send_all(data)


@asynccontextmanager
async def open_publisher(
    network: Network,
    url: Address,
    *,
    trust: Trust | None = None,
    connect_object: Mapping[str, Any] | None = None,
    timeouts: RTMPTimeouts | None = None,
) -> AsyncIterator[Publisher]:
    """Publish a stream at `url` for as long as the block lasts.

    The server's answers are read meanwhile; where it ends the stream, the next `send` raises ConnectionLost,
    which comes out of the block as UpstreamError.  Raises that, too, where it cannot be reached or refuses.
    """
    limits = timeouts or RTMPTimeouts()
    connection = await _connect(network, url, trust, limits.connect)
    where = _where(url)
    session, name = _session(url, trio.current_time(), connect_object)
    session.publish(name)
    publisher = Publisher(connection, session)
    failure: Exception | None = None
    try:
        await _until_accepted(connection, session, where, limits)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_listen, connection, publisher)
            try:
                yield publisher
            except Exception as error:  # raised outside the nursery, so that it comes out as itself
                failure = error
            nursery.cancel_scope.cancel()
        if failure is None:
            session.stop()
            connection.send_nowait(session.data_to_send())
    except ConnectionLost as error:
        failure = failure or error
    finally:
        connection.close()
    if isinstance(failure, ConnectionLost):
        raise UpstreamError(where, f"the connection was lost: {failure}")
    if failure is not None:
        raise failure


async def _until_accepted(connection: Connection, session: ClientSession, where: str, limits: RTMPTimeouts) -> None:
    accepted = False
    with trio.move_on_after(limits.answer) as scope:
        await connection.send_all(session.data_to_send())
        while not accepted:
            data = await connection.recv()
            if not data:
                raise UpstreamError(where, "ended the connection instead of taking the stream")
            try:
                for event in session.receive(data, trio.current_time()):
                    if isinstance(event, (ConnectRefused, Status)):
                        _refused(where, event)
                    accepted = accepted or isinstance(event, PublishStarted)
            except RemoteProtocolError as error:
                raise UpstreamError(where, f"broke the protocol: {error}") from None
            await connection.send_all(session.data_to_send())
    if scope.cancelled_caught:
        raise UpstreamError(where, f"did not take the stream within {limits.answer:g} s")


async def _listen(connection: Connection, publisher: Publisher) -> None:
    """Read what the server says while we publish; its pings and windows want answers.

    Where it ends the stream we reset the connection, and the next `send` tells.
    """
    session = publisher._session
    try:
        while data := await connection.recv():
            if any(isinstance(e, Status) and e.fatal for e in session.receive(data, trio.current_time())):
                break
            await publisher._answer()
    except (RemoteProtocolError, ConnectionLost):
        pass
    connection.abort()
