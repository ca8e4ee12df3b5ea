"""Responses on a connection: heads, framing of bodies, and viewers who do not take them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus

import trio
from attrs import define, field

from ._because import Because
from ._ports import RECV_BYTES, Blob, Connection
from .codecs.http1 import render_head
from .errors import ConnectionLost, GivenUp

__all__ = ["BEHIND", "BodySink", "Response", "response_head", "send", "text_response", "writable"]

#: Bytes to have in hand for a viewer who has not had all that was sent: with what his connection and the one upstream
#: take beside, one who stalls in what passes stays under 30 KiB.
BEHIND = 12288


@define
class Response:
    """What a handler gives.

    `body` is bytes, or an async function that is given a `BodySink` and writes to it; `length` is then the
    number of bytes it will write, None where that is not known yet.  Content-Length, Transfer-Encoding,
    Date and Connection are filled in.
    """

    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(factory=list)
    body: bytes | Callable[[BodySink], Awaitable[None]] = b""
    length: int | None = None
    #: Close the connection after it.
    close: bool = False
    #: Instead of a body: what speaks on the connection from here on.  It is given the head, which must leave first (or
    #: another answer in its place), and what the viewer has sent behind its request; the connection carries no request
    #: after it.  A head that says 101 switches protocols, any other begins a body that ends with the connection.
    take_over: Callable[[bytes, bytes], Awaitable[None]] | None = None
    #: Called once it has been sent, or cannot be: lets go of whatever the body is read from.
    release: Callable[[], None] | None = None


def text_response(status: int, text: str, *headers: tuple[bytes, bytes]) -> Response:
    """A one-line answer for a person, never stored by anybody."""
    fields = [(b"Content-Type", b"text/plain; charset=utf-8"), (b"Cache-Control", b"no-store"), *headers]
    return Response(status, fields, text.encode() + b"\n")


class BodySink:
    """Where a handler writes a body: framing, stalls and byte counts are seen to."""

    def __init__(self, connection: Connection, *, chunked: bool, left: int | None, stall: float) -> None:
        self.connection = connection
        self._chunked = chunked
        self._left = left
        self._stall = stall
        #: Fields to send behind the body, where it goes out in chunks.
        self.trailers: list[tuple[bytes, bytes]] = []

    async def room(self) -> int:
        """Until the viewer takes more: nothing need be fetched, and held, for one who has stalled.

        Returns how many bytes to fetch: as many as anything is read at once for one who has had all that was sent,
        because these leave; fewer for others, who may stall with them.  Raises ConnectionLost as `write` does.
        """
        await writable(self.connection, self._stall)
        return RECV_BYTES if self.connection.unsent() == 0 else BEHIND

    async def write(self, data: bytes | memoryview) -> None:
        """Send some of the body.  Raises ConnectionLost where the viewer has gone or (GivenUp) takes nothing."""
        if not data:
            return
        self._count(len(data))
        if self._chunked:
            data = b"".join((b"%x\r\n" % len(data), data, b"\r\n"))
        await send(self.connection, data, self._stall)

    async def sendfile(self, blob: Blob, offset: int, count: int) -> None:
        """Send `count` bytes of a blob that it already has, by the kernel where that is possible."""
        if not count:
            return
        self._count(count)
        if self._chunked:
            await send(self.connection, b"%x\r\n" % count, self._stall)
        end = offset + count
        while offset < end:
            sent = self.connection.sendfile_nowait(blob, offset, end - offset)
            if not sent:
                await writable(self.connection, self._stall)
            offset += sent
        if self._chunked:
            await send(self.connection, b"\r\n", self._stall)

    def _count(self, size: int) -> None:
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                raise RuntimeError("the body is longer than the response said")

    async def end(self) -> None:
        """The body is complete.  Raises ConnectionLost where it is shorter than was said."""
        if self._left:
            raise ConnectionLost(f"the body ended {self._left} bytes early")
        if self._chunked:
            await send(self.connection, render_head(b"0", self.trailers), self._stall)


async def writable(connection: Connection, stall: float) -> None:
    """Until the viewer takes something.  One that takes nothing for `stall` seconds is reset: GivenUp."""
    with trio.move_on_after(stall) as scope:
        await connection.wait_writable()
    if scope.cancelled_caught:
        connection.abort()
        raise GivenUp(Because(f"the viewer took nothing for {stall:g} s", word="slow"))


async def send(connection: Connection, data: bytes | memoryview, stall: float, *, more: bool = False) -> None:
    """Send everything.  A viewer that takes nothing for `stall` seconds is reset: GivenUp.

    `more` says that more follows at once.
    """
    sent = connection.send_nowait(data, more=more)
    if sent < len(data):
        view = memoryview(data)
        while sent < len(view):
            await writable(connection, stall)
            sent += connection.send_nowait(view[sent:])


_second = (0, b"")


def _date() -> bytes:
    global _second
    now = int(time.time())
    if _second[0] != now:
        _second = (now, formatdate(now, usegmt=True).encode())
    return _second[1]


def response_head(response: Response, *, length: int | None, chunked: bool, keep: bool, minor: int) -> bytes:
    """The head of a response, with what its framing asks for.

    Args:
        length: of its body, None where that is not known.
        chunked: whether the body comes in chunks.
        keep: whether the connection carries another request.
        minor: of the request's version, HTTP/1.minor.
    """
    status = response.status
    headers = list(response.headers)
    if not any(name.lower() == b"date" for name, _ in headers):
        headers.append((b"Date", _date()))
    if chunked:
        headers.append((b"Transfer-Encoding", b"chunked"))
    elif length is not None and status >= 200 and status not in (204, 304):
        headers.append((b"Content-Length", b"%d" % length))
    if not keep:
        headers.append((b"Connection", b"close"))
    elif minor == 0:
        headers.append((b"Connection", b"keep-alive"))
    return render_head(b"HTTP/1.1 %d %s" % (status, phrase(status)), headers)


def phrase(status: int) -> bytes:
    """What a status code is called."""
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b"Unknown"
