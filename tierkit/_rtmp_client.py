"""RTMP on a connection, the client's role: publishing to a server (`_rtmp_pull` plays from one).

A server that is about to stop asks its publishers to connect again (Enhanced RTMP).  When to do so is the caller's
to choose, between two GOPs: `Publisher.asked_away` says where to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from ._address import Address, Trust
from ._ports import Network
from ._rtmp_dial import Dialler, Greeting, Line, Redirected, RTMPPlace, RTMPTimeouts, refuse
from .codecs.rtmp_session import ClientEvent, PublishStarted, ReconnectRequested, Status
from .errors import ConnectionLost, GivenUp, RemoteProtocolError, UpstreamError

__all__ = ["Publisher", "open_publisher"]


class Publisher:
    """A stream that we publish; `open_publisher` gives it.

    Attributes:
        asked_away: where its server wants us to go, once it does.
    """

    def __init__(self, line: Line, dialler: Dialler) -> None:
        self.asked_away: RTMPPlace | None = None
        self._place = line.place
        self._early = line.early
        self._connection = line.connection
        self._session = line.session
        self._dialler = dialler
        self._limits = dialler.limits
        #: Why the server has ended it, and that it has.
        self._refused = ""
        self._over = False
        # Two tasks write: the caller's, and the one that answers the server's pings and windows.
        self._turn = trio.Lock()

    async def send(self, type_id: int, timestamp: int, payload: bytes) -> None:
        """Send one message: type 8, 9 or 18, its time in ms.  Raises ConnectionLost.

        A send that is cancelled may leave half a message on the line: leave the block then.
        """
        await self._write(self._session.encode_media(type_id, timestamp, payload))

    def check(self) -> None:
        """Raise ConnectionLost where the server has ended it; `send` finds that out only when there is something."""
        if self._over:
            raise ConnectionLost(self._refused)

    async def _write(self, data: bytes) -> None:
        async with self._turn:
            with trio.move_on_after(self._limits.no_media) as scope:
                await self._connection.send_all(data)
        if scope.cancelled_caught:
            raise GivenUp(f"it has taken nothing for {self._limits.no_media:g} s")

    async def listen(self) -> None:
        """Read what the server says while we publish; its pings and windows want answers.

        Where it ends the stream we reset the connection, and the next `send` tells.
        """
        connection, session = self._connection, self._session
        try:
            self._heed(self._early)
            while data := await connection.recv():
                self._heed(session.receive(data, trio.current_time()))
                if answer := session.data_to_send():
                    await self._write(answer)
            self._refused = self._refused or "it has ended the connection"
        except (RemoteProtocolError, ConnectionLost, UpstreamError) as error:
            self._refused = getattr(error, "reason", str(error))
        self._over = True
        connection.abort()

    def _heed(self, events: Iterable[ClientEvent]) -> None:
        for event in events:
            if isinstance(event, Status) and event.fatal:
                said = f"{event.code} {event.description}".rstrip()
                raise UpstreamError(self._place.where, self._place.hide(said))
            if isinstance(event, ReconnectRequested) and self.asked_away is None:
                try:
                    self.asked_away = self._dialler.allowed(self._place, event.tc_url)
                except UpstreamError:
                    pass  # it will end the connection by itself, and we go on by our own list

    def lost(self, error: ConnectionLost) -> UpstreamError:
        """What to raise for a connection that has broken off."""
        return UpstreamError(self._place.where, f"the connection was lost: {self._refused or error}")


@asynccontextmanager
async def open_publisher(
    network: Network,
    url: Address,
    *,
    trust: Trust | None = None,
    others: Sequence[RTMPPlace] = (),
    connect_object: Mapping[str, Any] | None = None,
    greeting: Greeting | None = None,
    timeouts: RTMPTimeouts | None = None,
) -> AsyncIterator[Publisher]:
    """Publish a stream at `url` for as long as the block lasts.

    The server's answers are read meanwhile; where it ends the stream, or takes nothing for `RTMPTimeouts.no_media`,
    the next `send` raises ConnectionLost, which comes out of the block as UpstreamError.  Raises that, too, where it
    cannot be reached or refuses; credentials in `url` answer its questions.

    Args:
        others: where it may send us besides its own host.
        connect_object: additions to what `connect` says.
        greeting: what to call once it has accepted the connection.
    """
    limits = timeouts or RTMPTimeouts()
    dialler = Dialler(
        network,
        RTMPPlace(url, trust),
        lambda session, name: session.publish(name),
        limits=limits,
        others=others,
        connect_object=connect_object,
        greeting=greeting,
    )
    line = await _accepted(dialler)
    publisher = Publisher(line, dialler)
    failure: Exception | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(publisher.listen)
            try:
                yield publisher
            except Exception as error:  # raised outside the nursery, so that it comes out as itself
                failure = error
            nursery.cancel_scope.cancel()
        if failure is None:
            line.session.stop()
            line.connection.send_nowait(line.session.data_to_send())
    except ConnectionLost as error:
        failure = failure or error
    finally:
        line.connection.close()
    if isinstance(failure, ConnectionLost):
        raise publisher.lost(failure)
    if failure is not None:
        raise failure


async def _accepted(dialler: Dialler) -> Line:
    """A line on which the server takes our media."""
    while True:
        try:
            line = await dialler.line()
            kept = False
            try:
                await _until_accepted(line, dialler.limits)
                kept = True
                return line
            finally:
                if not kept:
                    line.connection.close()
        except Redirected as elsewhere:
            dialler.redirect(elsewhere.tc_url)


async def _until_accepted(line: Line, limits: RTMPTimeouts) -> None:
    where, connection, session = line.place.where, line.connection, line.session
    try:
        with trio.move_on_at(line.deadline):
            line.early, early = [], line.early
            accepted = _take(line, early)
            while not accepted:
                await connection.send_all(session.data_to_send())
                data = await connection.recv()
                if not data:
                    raise UpstreamError(where, "ended the connection instead of taking the stream")
                accepted = _take(line, session.receive(data, trio.current_time()))
            await connection.send_all(session.data_to_send())
            return
    except RemoteProtocolError as error:
        raise UpstreamError(where, f"broke the protocol: {error}") from None
    except ConnectionLost as error:
        raise UpstreamError(where, f"the connection was lost: {error}") from None
    raise UpstreamError(where, f"did not take the stream within {limits.answer:g} s")


def _take(line: Line, events: Iterable[ClientEvent]) -> bool:
    """Go through what the server says; whether it takes the stream now."""
    accepted = False
    for event in events:
        if isinstance(event, Status):
            refuse(line.place, event)
        accepted = accepted or isinstance(event, PublishStarted)
        if isinstance(event, ReconnectRequested):
            line.early.append(event)
    return accepted
