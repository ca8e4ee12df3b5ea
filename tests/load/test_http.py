"""A viewer's HTTP connection against answers of every kind, given whole and byte by byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock

from tierkit import Address
from tierkit.errors import ConnectionLost, RemoteProtocolError
from tierkit.load._http import HttpConnection
from tierkit.load._report import Tally
from tierkit.load._wire import PATIENCE, reachable


@define
class Script:
    """A server that gives each request the next of its answers; None says nothing, and the last closes."""

    answers: list[bytes | None]
    step: int = 0
    connections: int = 0
    requests: list[bytes] = field(factory=list)

    async def handle(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        try:
            await self.talk(stream)
        except trio.BrokenResourceError:  # the viewer has had enough
            pass

    async def talk(self, stream: trio.SocketStream) -> None:
        async for data in stream:
            self.requests.append(data)
            answer = self.answers.pop(0)
            if answer is None:
                await trio.sleep_forever()
            assert answer is not None
            step = self.step or len(answer)
            for at in range(0, len(answer), step):
                await stream.send_all(answer[at : at + step])
                await trio.lowlevel.checkpoint()
            if not self.answers:
                return


@asynccontextmanager
async def connected(script: Script) -> AsyncIterator[HttpConnection]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address = Address.parse(f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, script.handle, listeners)
        connection = HttpConnection(await reachable(address), "h", Tally())
        yield connection
        connection.close()
        nursery.cancel_scope.cancel()


OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = [
    (OK + b"Content-Length: 5\r\n\r\nhello", 200, b"hello"),
    (OK + b"Content-Length: 0\r\n\r\n", 200, b""),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length:5\r\n\r\nhello", 200, b"hello"),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab", 200, b"ab"),
    (OK + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\n", 200, b"abc"),
    (b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!", 404, b"no!"),
]
LAST = [
    (OK + b"\r\nto the end", 200, b"to the end"),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", 200, b"ab"),
    (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nab", 200, b"ab"),
]


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("keep", [True, False])
async def test_answers_of_one_connection(keep: bool, step: int) -> None:
    script = Script([each for each, _, _ in [*WHOLE, LAST[0]]], step)
    async with connected(script) as connection:
        for number, (_, status, body) in enumerate([*WHOLE, LAST[0]]):
            answer = await connection.get(f"/{number}", keep=keep)
            assert (answer.status, answer.size, answer.body) == (status, len(body), body if keep else b"")
        assert connection._tally.bytes == sum(len(body) for _, _, body in [*WHOLE, LAST[0]])
    assert script.connections == 1
    assert script.requests[0].startswith(b"GET /0 HTTP/1.1\r\nHost: h\r\n")


@pytest.mark.parametrize(("last", "status", "body"), LAST)
async def test_a_connection_that_ends_is_dialled_again(last: bytes, status: int, body: bytes) -> None:
    script = Script([last])
    async with connected(script) as connection:
        for _ in range(2):
            script.answers = [last]
            answer = await connection.get("/", keep=True)
            assert (answer.status, answer.body) == (status, body)
    assert script.connections == 2


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", RemoteProtocolError),
        (b"\0" * 100 + b"\r\n\r\n", RemoteProtocolError),
        (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", RemoteProtocolError),
        (OK + b"Content-Length: -5\r\n\r\nhello", RemoteProtocolError),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", RemoteProtocolError),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", ConnectionLost),
        (OK + b"Content-Length: 5\r\n\r\nhel", ConnectionLost),
        (OK + b"Content-Le", ConnectionLost),
        (b"x" * 40_000, RemoteProtocolError),
    ],
)
async def test_what_is_no_answer(answer: bytes, error: type[Exception], keep: bool, step: int) -> None:
    script = Script([answer], step * 64)
    async with connected(script) as connection:
        with pytest.raises(error):
            await connection.get("/", keep=keep)
        # It begins anew, with nothing left over.
        script.answers = [WHOLE[0][0]]
        assert (await connection.get("/", keep=True)).body == b"hello"


async def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    script = Script([WHOLE[0][0] + b"junk", WHOLE[0][0]])
    async with connected(script) as connection:
        with pytest.raises(RemoteProtocolError):
            await connection.get("/", keep=True)


async def _looking(connection: HttpConnection) -> None:
    while True:
        await trio.sleep(1)
        connection.look(trio.current_time())


@pytest.mark.parametrize("likely", [0, 100_000])
async def test_silence_is_given_up(fast_clock: MockClock, likely: int) -> None:
    async with connected(Script([None])) as connection, trio.open_nursery() as nursery:
        nursery.start_soon(_looking, connection)
        begun = trio.current_time()
        with pytest.raises(trio.TooSlowError):
            await connection.get("/", keep=not likely, likely=likely)
        assert PATIENCE <= trio.current_time() - begun <= PATIENCE + 2
        nursery.cancel_scope.cancel()


async def test_what_is_smaller_than_was_thought_is_found_by_a_look(fast_clock: MockClock) -> None:
    async with connected(Script([WHOLE[0][0], None])) as connection, trio.open_nursery() as nursery:
        nursery.start_soon(_looking, connection)
        begun = trio.current_time()
        answer = await connection.get("/", keep=False, likely=100_000)
        assert (answer.size, connection._tally.bytes) == (5, 5)
        assert trio.current_time() - begun <= 3
        nursery.cancel_scope.cancel()


async def test_a_trickle_is_no_silence(fast_clock: MockClock) -> None:
    # A byte a second, for longer than silence is borne, and never as much as somebody is woken for.
    class Trickle(Script):
        async def talk(self, stream: trio.SocketStream) -> None:
            await stream.receive_some()
            await stream.send_all(OK + b"Content-Length: 20\r\n\r\n")
            for _ in range(20):
                await trio.sleep(1)
                await stream.send_all(b"x")
            await trio.sleep_forever()

    async with connected(Trickle([])) as connection, trio.open_nursery() as nursery:
        nursery.start_soon(_looking, connection)
        answer = await connection.get("/", keep=False)
        assert (answer.size, connection._tally.bytes) == (20, 20)
        nursery.cancel_scope.cancel()
