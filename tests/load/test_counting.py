"""The counting proxy against plain sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

import pytest
import trio
import trio.testing
from attrs import define

from tierkit.codecs.rtmp_session import ClientSession
from tierkit.load import run_hls
from tierkit.testing import open_counting_proxy
from tierkit.testing._sniff import Sniffer
from tierkit.testing.counting import CountingProxy, Seen

from .support import TinyOrigin, serving

ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n",  # to a HEAD
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end",
)
REQUESTS = (
    b"GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /b HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n",
    b"HEAD /c HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST /d HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
    b"GET /e HTTP/1.1\r\nHost: h\r\n\r\n",
)


@pytest.mark.parametrize("step", [1, 7, 10_000])
@pytest.mark.parametrize("pipelined", [True, False])
def test_every_request_has_its_answer(step: int, pipelined: bool) -> None:
    seen = Seen()
    sniffer = Sniffer(seen)

    def feed(data: bytes, *, up: bool) -> None:
        for at in range(0, len(data), step):
            sniffer.feed(data[at : at + step], up=up)

    if pipelined:
        feed(b"".join(REQUESTS), up=True)
        feed(b"".join(ANSWERS), up=False)
    else:
        for request, answer in zip(REQUESTS, ANSWERS, strict=True):
            feed(request, up=True)
            feed(answer, up=False)
    sniffer.end(up=False)
    assert seen.problem == ""
    assert seen.protocol == "http"
    assert [(each.line, each.status, each.size) for each in seen.requests] == [
        ("GET /a?b", 200, 5),
        ("GET /b", 304, 0),
        ("HEAD /c", 200, 0),
        ("POST /d", 404, 3),
        ("GET /e", 200, 10),
    ]
    bodies = (b"hello", b"", b"", b"abc", b"to the end")
    assert [each.sha256 for each in seen.requests] == [sha256(body).hexdigest() for body in bodies]
    assert seen.requests[1].headers["x-a"] == "1"
    assert (seen.sent, seen.received) == (sum(map(len, REQUESTS)), sum(map(len, ANSWERS)))


def test_an_answer_that_breaks_off_has_no_digest() -> None:
    seen = Seen()
    sniffer = Sniffer(seen)
    sniffer.feed(REQUESTS[0], up=True)
    sniffer.feed(ANSWERS[0][:-1], up=False)
    sniffer.end(up=False)
    assert (seen.requests[0].size, seen.requests[0].sha256) == (4, "")
    assert seen.problem


@pytest.mark.parametrize("first", [b"\x16\x03\x01garbage\r\n\r\n", b"\0" * 64, b"GET / HTTP/1.1\r\nHost\r\n\r\n"])
def test_garbage_is_a_problem_and_not_an_error(first: bytes) -> None:
    seen = Seen()
    sniffer = Sniffer(seen)
    sniffer.feed(first, up=True)
    sniffer.feed(b"whatever", up=False)
    assert seen.problem
    assert (seen.sent, seen.received) == (len(first), 8)


def test_rtmp_commands_are_read_along() -> None:
    from tests.codecs.test_rtmp_pair import accept, new

    for publish in (True, False):
        pair = new("rtmp://h/live/s?key=1", publish=publish)
        seen = Seen()
        sniffer = Sniffer(seen)
        real: ClientSession = pair.client
        send = real.data_to_send

        def watched(send: object = send, sniffer: Sniffer = sniffer) -> bytes:
            data: bytes = send()  # type: ignore[operator]
            for at in range(len(data)):
                sniffer.feed(data[at : at + 1], up=True)
            return data

        real.data_to_send = watched  # type: ignore[method-assign]
        pair.run(accept)
        assert (seen.protocol, seen.problem) == ("rtmp", "")
        assert (seen.plays, seen.publishes) == (([], ["live/s?key=1"]) if publish else (["live/s?key=1"], []))


@define
class Echo:
    port: int
    accepted: int = 0


@asynccontextmanager
async def echoing(host: str = "127.0.0.1") -> AsyncIterator[Echo]:
    listeners = await trio.open_tcp_listeners(0, host=host)
    echo = Echo(listeners[0].socket.getsockname()[1])

    async def handle(stream: trio.SocketStream) -> None:
        echo.accepted += 1
        try:
            async for data in stream:
                await stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handle, listeners)
        yield echo
        nursery.cancel_scope.cancel()


async def dial(proxy: CountingProxy) -> trio.SocketStream:
    return await trio.open_tcp_stream(proxy.address.host, proxy.address.dial_port)


async def said(stream: trio.SocketStream, data: bytes) -> bytes:
    await stream.send_all(data)
    with trio.fail_after(5):
        return bytes(await stream.receive_some(100))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_bytes_pass_and_are_counted(host: str) -> None:
    async with echoing(host) as echo, open_counting_proxy(_authority(host, echo.port), host=host) as proxy:
        async with await dial(proxy) as stream:
            assert await said(stream, b"one") == b"one"
            assert proxy.open_connections == 1
            await stream.send_eof()
            with trio.fail_after(5):
                assert await stream.receive_some(10) == b""
        assert (proxy.sent, proxy.received, len(proxy.connections)) == (3, 3, 1)


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def test_cut_resets_what_is_open_and_new_ones_work() -> None:
    async with echoing() as echo, open_counting_proxy(f"127.0.0.1:{echo.port}") as proxy:
        async with await dial(proxy) as stream:
            assert await said(stream, b"a") == b"a"
            proxy.cut()
            with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
                await stream.receive_some(1)
        await trio.testing.wait_all_tasks_blocked()
        assert proxy.open_connections == 0
        async with await dial(proxy) as again:
            assert await said(again, b"b") == b"b"
        assert echo.accepted == 2


async def test_refused_connections_never_reach_the_server() -> None:
    async with echoing() as echo, open_counting_proxy(f"127.0.0.1:{echo.port}") as proxy:
        proxy.refuse = True
        async with await dial(proxy) as stream:
            with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
                await stream.receive_some(1)
        proxy.refuse = False
        async with await dial(proxy) as stream:
            assert await said(stream, b"a") == b"a"
        assert (echo.accepted, len(proxy.connections)) == (1, 1)


async def test_a_stall_holds_bytes_back_and_loses_none() -> None:
    async with (
        echoing() as echo,
        open_counting_proxy(f"127.0.0.1:{echo.port}") as proxy,
        await dial(proxy) as stream,
    ):
        assert await said(stream, b"a") == b"a"
        proxy.stall = True
        await stream.send_all(b"b")
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert (proxy.stall, proxy.sent) == (True, 1)
        proxy.stall = False
        with trio.fail_after(5):
            assert await stream.receive_some(10) == b"b"


async def test_a_server_that_is_down_is_a_reset() -> None:
    async with echoing() as echo:
        port = echo.port
    async with open_counting_proxy(f"127.0.0.1:{port}") as proxy, await dial(proxy) as stream:
        with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(1)


async def test_a_failure_inside_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError):
        async with open_counting_proxy("127.0.0.1:9"):
            raise KeyError


async def test_the_load_tool_and_the_proxy_agree(fast_clock: trio.testing.MockClock) -> None:
    async with serving(TinyOrigin()) as origin, open_counting_proxy(f"127.0.0.1:{origin.port}") as proxy:
        report = await run_hls(f"http://{proxy.address}/master.m3u8", viewers=3, seconds=3.3, read_every=3)
        whole = [each for each in proxy.requests if each.sha256]
        probe = sum(each.size for each in proxy.connections[0].requests)
        assert report.bytes == sum(each.size for each in whole) - probe
        assert proxy.fetches == origin.seen
        assert len(proxy.connections) == 4
