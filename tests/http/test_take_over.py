"""A handler that takes the connection over: `Response.take_over`."""

from __future__ import annotations

import pytest
import trio

from tests.support_http import dial, hello, leave, open_server
from tierkit.http import Request, Response
from tierkit.testing import MemoryNetwork


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


async def test_it_writes_the_head_and_all_that_follows(network: MemoryNetwork) -> None:
    async def answer(request: Request) -> Response:
        async def speak(head: bytes, early: bytes) -> None:
            assert early == b"what it says next"
            await request.connection.send_all(head + b"until the end")

        return Response(200, [(b"Content-Type", b"video/x-flv")], take_over=speak)

    async with open_server(network, answer) as seen:
        viewer = await dial(network)
        await viewer.say(b"GET /s HTTP/1.1\r\nHost: server\r\n\r\nwhat it says next")
        head, _, body = (await viewer.rest()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n")
        # The body ends with the connection: nothing says how long it is.
        assert b"\r\nConnection: close" in head
        assert b"Content-Length" not in head
        assert b"Transfer-Encoding" not in head
        assert body == b"until the end"
        await leave(viewer)
    assert seen.ends == [None]


async def test_a_switch_of_protocols_says_no_close(network: MemoryNetwork) -> None:
    async def answer(request: Request) -> Response:
        async def speak(head: bytes, early: bytes) -> None:
            await request.connection.send_all(head)
            assert await request.connection.recv() == b"GET / HTTP/1.1\r\n\r\n"  # no request any more
            await request.connection.send_all(b"as you say")

        return Response(101, [(b"Upgrade", b"x"), (b"Connection", b"Upgrade")], take_over=speak)

    async with open_server(network, answer):
        viewer = await dial(network)
        await viewer.say(b"GET /s HTTP/1.1\r\nHost: server\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked()
        await viewer.say(b"GET / HTTP/1.1\r\n\r\n")
        head, _, body = (await viewer.rest()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\nDate: ")
        assert b"close" not in head
        assert body == b"as you say"
        await leave(viewer)


async def test_requests_before_it_are_answered_as_ever(network: MemoryNetwork) -> None:
    async def answer(request: Request) -> Response:
        async def speak(head: bytes, early: bytes) -> None:
            await request.connection.send_all(head)

        return Response(200, take_over=speak) if request.path == "/over" else await hello(request)

    async with open_server(network, answer):
        viewer = await dial(network)
        assert (await viewer.ask("/one")).status == 200
        await viewer.say(b"GET /over HTTP/1.1\r\nHost: server\r\n\r\n")
        assert (await viewer.rest()).startswith(b"HTTP/1.1 200 OK\r\n")
        await leave(viewer)


async def test_what_goes_wrong_in_it_is_the_guards(network: MemoryNetwork) -> None:
    async def answer(request: Request) -> Response:
        async def speak(head: bytes, early: bytes) -> None:
            raise ValueError("odd")

        return Response(200, take_over=speak)

    async with open_server(network, answer) as seen:
        viewer = await dial(network)
        await viewer.say(b"GET /s HTTP/1.1\r\nHost: server\r\n\r\n")
        assert await viewer.rest() == b""  # no second answer
    assert isinstance(seen.ends[0], ValueError)
