"""RTMP on a connection, the client's role: playing an upstream's stream, and publishing to a server."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import trio
from attrs import frozen

from ._address import Address, Trust
from ._ports import Connection, Network
from .codecs.rtmp_session import (
    ClientSession,
    ConnectRefused,
    Media,
    PlayEnded,
    PlayStarted,
    PublishStarted,
    Status,
)
from .codecs.rtmp_url import dial
from .errors import ConnectionLost, NotServed, RemoteProtocolError, UpstreamError

__all__ = ["Publisher", "RTMPTimeouts", "open_publisher", "pull"]

#: What a server says of a name that nobody publishes or that is not its own.
_NOT_FOUND = frozenset({"NetStream.Play.StreamNotFound", "NetStream.Play.Failed", "NetConnection.Connect.InvalidApp"})


@frozen
class RTMPTimeouts:
    """How long a server may take, seconds."""

    connect: float = 5.0
    #: From the connection to play or publish being accepted.
    answer: float = 10.0
    #: Without any media, once it plays.  A server may wait in silence for a name that nobody publishes, so
    #: the first message has as long.
    no_media: float = 15.0


async def _connect(network: Network, url: Address, trust: Trust | None, patience: float) -> Connection:
    where = f"{url.scheme}://{url.authority}"
    try:
        with trio.move_on_after(patience):
            return await network.connect(url.with_(port=url.dial_port), trust=trust)
    except ConnectionLost as error:
        raise UpstreamError(where, str(error)) from None
    raise UpstreamError(where, f"did not answer to connecting within {patience:g} s")


def _session(url: Address, now: float, extra: Mapping[str, Any] | None) -> tuple[ClientSession, str]:
    said = dial(url.reveal())
    session = ClientSession(
        said.app, said.tc_url, nonce=os.urandom(1528), now=now, connect_object=extra, connect_args=()
    )
    return session, said.name


async def pull(
    network: Network,
    url: Address,
    *,
    started: Callable[[], Callable[[int, int, bytes], None]],
    trust: Trust | None = None,
    connect_object: Mapping[str, Any] | None = None,
    timeouts: RTMPTimeouts | None = None,
) -> str:
    """Play the stream at `url` until it ends; returns why it did.

    Args:
        started: called when the first media is there; gives what each message is handed to.
        connect_object: additions to what `connect` says.

    Raises:
        NotServed: the server does not know the name.
        UpstreamError: it cannot be reached, refuses, is silent for too long, or breaks off.
    """
    limits = timeouts or RTMPTimeouts()
    connection = await _connect(network, url, trust, limits.connect)
    where = f"{url.scheme}://{url.authority}"
    session, name = _session(url, trio.current_time(), connect_object)
    # Live streams behind CDNs and Wowza's edges want to be subscribed to; others ignore it.
    session.play(name, subscribe=True)
    sink: Callable[[int, int, bytes], None] | None = None
    try:
        await connection.send_all(session.data_to_send())
        patience, doing = limits.answer, "answer"
        while True:
            with trio.move_on_after(patience) as scope:
                data = await connection.recv()
            if scope.cancelled_caught:
                raise UpstreamError(where, f"sent no {doing} for {patience:g} s")
            if not data:
                raise UpstreamError(where, "ended the connection")
            for event in session.receive(data, trio.current_time()):
                if isinstance(event, Media):
                    if sink is None:
                        sink = started()
                    sink(event.type_id, event.timestamp, event.payload)
                elif isinstance(event, PlayStarted):
                    patience, doing = limits.no_media, "media"
                elif isinstance(event, PlayEnded):
                    return event.code
                elif isinstance(event, (ConnectRefused, Status)):
                    _refused(where, event)
            await connection.send_all(session.data_to_send())
    except RemoteProtocolError as error:
        raise UpstreamError(where, f"broke the protocol: {error}") from None
    except ConnectionLost as error:
        raise UpstreamError(where, f"the connection was lost: {error}") from None
    finally:
        connection.close()


def _refused(where: str, event: ConnectRefused | Status) -> None:
    if isinstance(event, Status):
        if not event.fatal:
            return
        if event.code in _NOT_FOUND:
            raise NotServed(f"{where} has no such stream ({event.code})")
    elif event.code in _NOT_FOUND:
        raise NotServed(f"{where} has no such application ({event.code})")
    raise UpstreamError(where, f"refused: {event.code} {event.description}".rstrip())


class Publisher:
    """A stream that we publish; `open_publisher` gives it."""

    def __init__(self, connection: Connection, session: ClientSession) -> None:
        self._connection = connection
        self._session = session

    async def send(self, type_id: int, timestamp: int, payload: bytes) -> None:
        """Send one message: type 8, 9 or 18, its time in ms.  Raises ConnectionLost."""
        await self._connection.send_all(self._session.encode_media(type_id, timestamp, payload))


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

    The server's answers are read meanwhile; where it ends the stream, the next `send` raises ConnectionLost.
    Raises UpstreamError where it cannot be reached or refuses.
    """
    limits = timeouts or RTMPTimeouts()
    connection = await _connect(network, url, trust, limits.connect)
    where = f"{url.scheme}://{url.authority}"
    session, name = _session(url, trio.current_time(), connect_object)
    session.publish(name)
    try:
        await _until_accepted(connection, session, where, limits)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_listen, connection, session)
            yield Publisher(connection, session)
            nursery.cancel_scope.cancel()
        session.stop()
        connection.send_nowait(session.data_to_send())
    except* ConnectionLost as group:
        raise UpstreamError(where, f"the connection was lost: {_first(group)}") from None
    finally:
        connection.close()


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


async def _listen(connection: Connection, session: ClientSession) -> None:
    """Read what the server says while we publish; its pings and windows want answers."""
    while True:
        data = await connection.recv()
        if not data:
            connection.abort()  # the next send tells
            return
        try:
            for event in session.receive(data, trio.current_time()):
                if isinstance(event, Status) and event.fatal:
                    connection.abort()
                    return
        except RemoteProtocolError:
            connection.abort()
            return
        # Whole messages between whole messages: `send` is the only other writer, and it never waits between
        # the parts of one unless the server is slow.
        await connection.send_all(session.data_to_send())


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
