"""HTTP in memory: a server on a door, a guard as a tier has it, and a viewer who says exactly what it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import h11
import trio
import trio.testing
from attrs import define, field

from tierkit import Address, Listener
from tierkit.codecs.http1 import Headers, get
from tierkit.errors import ConnectionLost
from tierkit.http import Handler, Request, Response, ServerTimeouts, serve_http
from tierkit.plugin import Connection
from tierkit.testing import MemoryNetwork

Speak = Callable[[Connection], Awaitable[None]]


@define
class Guarded:
    """What the guards of one door have seen."""

    address: Address
    #: What ended connections, in order; an ordinary end is None.
    ends: list[Exception | None] = field(factory=list)
    connections: list[Connection] = field(factory=list)


@asynccontextmanager
async def open_door(network: MemoryNetwork, at: str, speak: Speak) -> AsyncIterator[Guarded]:
    """Have `speak` talk to everybody who comes to `at`, and close behind each as a tier's guard does."""
    bound = await network.listen(Listener.parse(at))
    seen = Guarded(bound.address)

    async def guard(connection: Connection) -> None:
        try:
            await connection.establish()
            await speak(connection)
        except Exception as error:
            seen.ends.append(error)
        else:
            seen.ends.append(None)
        finally:
            connection.close()

    async def accept() -> None:
        while True:
            try:
                connection = await bound.accept()
            except ConnectionLost:
                return
            seen.connections.append(connection)
            nursery.start_soon(guard, connection)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        yield seen
        nursery.cancel_scope.cancel()
    bound.close()


@asynccontextmanager
async def open_server(
    network: MemoryNetwork, handler: Handler, at: str = "http://server:80", timeouts: ServerTimeouts | None = None
) -> AsyncIterator[Guarded]:
    """An HTTP server."""

    async def speak(connection: Connection) -> None:
        await serve_http(connection, handler, timeouts)

    async with open_door(network, at, speak) as seen:
        yield seen


@define
class Answer:
    """An answer that was read whole."""

    status: int
    headers: Headers
    body: bytes

    def get(self, name: bytes) -> bytes | None:
        return get(self.headers, name)


@define
class Viewer:
    """One connection, read strictly by h11: it notices what a browser would forgive."""

    connection: Connection
    _parser: h11.Connection = field(init=False, factory=lambda: h11.Connection(h11.CLIENT, 1 << 20))

    async def say(self, data: bytes) -> None:
        await self.connection.send_all(data)

    async def ask(self, path: str, *fields: str, method: str = "GET") -> Answer:
        host = () if any(each.startswith("Host:") for each in fields) else ("Host: server",)
        await self.say("\r\n".join((f"{method} {path} HTTP/1.1", *host, *fields, "", "")).encode())
        return await self.answer(method)

    async def answer(self, method: str = "GET") -> Answer:
        """The next answer.  Raises ConnectionLost on a reset, h11.RemoteProtocolError on an early end."""
        parser = self._parser
        if parser.our_state is h11.DONE:
            parser.start_next_cycle()
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        parser.send(h11.EndOfMessage())
        head, parts = None, []
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                parser.receive_data(await self.connection.recv())
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                return Answer(head.status_code, tuple(head.headers), b"".join(parts))
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError("the server has closed without an answer")

    async def rest(self) -> bytes:
        """Everything until the end."""
        parts = []
        while data := await self.connection.recv():
            parts.append(data)
        return b"".join(parts)


async def dial(network: MemoryNetwork, at: str = "http://server:80") -> Viewer:
    return Viewer(await network.connect(Address.parse(at)))


async def leave(viewer: Viewer) -> None:
    """Hang up, and let the server notice."""
    viewer.connection.close()
    await trio.testing.wait_all_tasks_blocked()


async def hello(request: Request) -> Response:
    """Says what it was asked."""
    text = f"{request.method} {request.host} {request.path} {request.query}"
    return Response(200, [(b"Content-Type", b"text/plain")], text.encode())
