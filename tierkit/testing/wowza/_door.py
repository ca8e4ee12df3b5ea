"""The ports: connections are accepted, numbered, told apart by their first byte, and ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from zlib import crc32

import trio

from tierkit.http import Request, Response, serve_http
from tierkit.plugin import Bound, Connection, ConnectionLost, RemoteProtocolError

from ._begun import Begun
from ._log import Asking, Contact, Log
from ._shown_hls import SHARED_PORT

__all__ = ["Door", "Pages", "Rtmp"]

#: Seconds for which a connection may say nothing (`UnidentifiedSessionTimeout`, S20).
SILENT = 30.0
#: Seconds until the next try where the process has no descriptor left.
FULL = 0.1

#: Speaks RTMP on a connection of which some bytes, at least one, have been read already; returns when that has ended.
#: It raises nothing but ConnectionLost and RemoteProtocolError, and leaves closing to its caller.
Rtmp = Callable[[Connection, bytes], Awaitable[None]]
#: Answers a request; `Asking.shows` is the answerer's to fill.
Pages = Callable[[Asking, Request], Awaitable[Response]]
#: Told of each answer that has left, or could not: `Asking.sent` is known then.
Answered = Callable[[Asking], None]


class Door:
    """One port.

    Args:
        name: "streaming", "admin" or "rest".
        pages: answers HTTP.
        answered: told of each answer once it has left.

    Attributes:
        rtmp: speaks RTMP, where the port carries it; connections that begin with it are closed where it is None.
    """

    def __init__(
        self, name: str, log: Log, clock: Callable[[], float], pages: Pages, answered: Answered | None = None
    ) -> None:
        self.name = name
        self.rtmp: Rtmp | None = None
        self._pages = pages
        self._answered = answered
        self._log = log
        self._clock = clock
        self._connections: dict[Contact, Connection] = {}

    async def serve(self, bound: Bound) -> None:
        """Accept until cancelled, or until nothing is listened on any more."""
        async with trio.open_nursery() as nursery:
            while True:
                try:
                    connection = await bound.accept()
                except ConnectionLost:
                    return
                except OSError:  # no descriptor is free
                    await trio.sleep(FULL)
                    continue
                contact = Contact(self._log.numbered + 1, self.name, connection.peer.host, self._clock())
                self._log.came(contact)
                self._connections[contact] = connection
                nursery.start_soon(self._guard, connection, contact)

    def reset(self) -> None:
        """Reset every connection."""
        for each in list(self._connections.values()):
            each.abort()

    async def _guard(self, connection: Connection, contact: Contact) -> None:
        try:
            await connection.establish()
            await self._speak(connection, contact)
        except (ConnectionLost, RemoteProtocolError):
            pass  # the client has gone, or was told
        finally:
            del self._connections[contact]
            self._log.went(contact, self._clock())
            connection.close()

    @SHARED_PORT.shown
    async def _speak(self, connection: Connection, contact: Contact) -> None:
        first = b""
        with trio.move_on_after(SILENT):
            first = await connection.recv()
        if not first:
            return
        # The version byte of a handshake (3; 6 for RTMPE); everything of HTTP begins with a letter.
        if first[0] in (3, 6) and self.name == "streaming":
            contact.protocol = "rtmp"
            if self.rtmp is not None:
                await self.rtmp(connection, first)
            return
        contact.protocol = "http"
        await serve_http(
            Begun(connection, first), partial(self._answer, contact), answered=partial(self._told, contact)
        )

    async def _answer(self, contact: Contact, request: Request) -> Response:
        target = f"{request.path}?{request.query}" if request.query else request.path
        asking = Asking(request.method, target, self._clock(), contact)
        self._log.requests.append(asking)
        contact.latest = asking
        response = await self._pages(asking, request)
        asking.status = response.status
        asking.version = crc32(response.body) if isinstance(response.body, bytes) else 0
        return response

    def _told(self, contact: Contact, request: Request, status: int, sent: int) -> None:
        asking = contact.latest  # a connection's requests are answered one after the other
        assert asking is not None
        asking.sent = sent
        if self._answered is not None:
            self._answered(asking)
