"""The server's role of the HTTP kit, on the network in memory."""

from __future__ import annotations

import h11
import pytest
import trio
import trio.lowlevel
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.codecs.test_http1 import EVERY
from tests.support_http import Answer, dial, hello, leave, open_door, open_server
from tierkit.errors import ConnectionLost, RemoteProtocolError
from tierkit.http import BodySink, Request, Response, ServerTimeouts, serve_http, text_response
from tierkit.plugin import Connection
from tierkit.testing import MemoryNetwork

GET = b"GET /a?b HTTP/1.1\r\nHost: server\r\n\r\n"


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


# --- requests ------------------------------------------------------------------------------------


async def test_an_answer_has_date_and_length_and_the_connection_stays(network: MemoryNetwork) -> None:
    async with open_server(network, hello) as seen:
        viewer = await dial(network)
        for path in ("/one", "/two?x=1"):
            answer = await viewer.ask(path)
            assert (answer.status, answer.body) == (200, f"GET server {path.replace('?', ' ')}".ljust(16).encode())
            assert answer.get(b"content-length") == b"%d" % len(answer.body)
            assert answer.get(b"connection") is None
            assert (answer.get(b"date") or b"").endswith(b" GMT")
        assert seen.ends == []
        assert len(network.connections) == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("GET http://other:81/x?y HTTP/1.1", "GET other:81 /x y"),
        ("GET HTTP://other HTTP/1.1", "GET other / "),
        ("GET http://other?y HTTP/1.1", "GET other / y"),
        ("GET https://[::1]:8/x HTTP/1.1", "GET [::1]:8 /x "),
        ("OPTIONS * HTTP/1.1", "OPTIONS server * "),
        ("GET //a//b HTTP/1.1", "GET server //a//b "),
        ("PURGE /x%2fy HTTP/1.1", "PURGE server /x%2fy "),
    ],
)
async def test_targets(network: MemoryNetwork, line: str, told: str) -> None:
    async with open_server(network, hello):
        viewer = await dial(network)
        await viewer.say(f"{line}\r\nHost: server\r\n\r\n".encode())
        assert (await viewer.answer()).body == told.encode()


@pytest.mark.parametrize(
    "target", ["ftp://a/x", "a.example:443", "x", "http://me@a/x", "http:///x", "http://a,b/", "http:x"]
)
async def test_odd_targets_are_refused(network: MemoryNetwork, target: str) -> None:
    async with open_server(network, hello) as seen:
        viewer = await dial(network)
        await viewer.say(f"GET {target} HTTP/1.1\r\nHost: server\r\n\r\n".encode())
        assert (await viewer.answer()).status == 400
        assert await viewer.rest() == b""
        await leave(viewer)
    assert isinstance(seen.ends[0], RemoteProtocolError)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("step", [1, 1 << 20], ids=["byte by byte", "whole"])
async def test_what_can_be_read_in_two_ways_is_answered_and_closed(
    network: MemoryNetwork, name: str, step: int, autojump_clock: MockClock
) -> None:
    data, status = EVERY[name]
    asked: list[Request] = []

    async def handler(request: Request) -> Response:
        asked.append(request)
        return Response()

    async with open_server(network, handler) as seen:
        viewer = await dial(network)
        for i in range(0, len(data), step):
            await viewer.say(data[i : i + step])
        await viewer.say(GET)  # smuggled, or not
        raw = await viewer.rest()
        viewer.connection.close()
        await trio.sleep(5)
    assert raw.startswith(b"HTTP/1.1 %d " % status)
    assert raw.count(b"HTTP/1.1") == 1
    assert b"Connection: close" in raw
    assert asked == []
    assert isinstance(seen.ends[0], RemoteProtocolError)


async def test_pipelined_requests_are_answered_in_order(network: MemoryNetwork) -> None:
    async with open_server(network, hello):
        viewer = await dial(network)
        await viewer.say(b"".join(b"GET /%d HTTP/1.1\r\nHost: server\r\n\r\n" % i for i in range(50)))
        for i in range(50):
            assert (await viewer.answer()).body == b"GET server /%d " % i


async def test_a_crowd_of_pipelined_requests_does_not_keep_others_waiting(network: MemoryNetwork) -> None:
    order: list[str] = []

    async def handler(request: Request) -> Response:
        order.append(request.path)
        if order == ["/crowd"]:  # the crowd's turn has begun, and only now does the other one ask
            single.connection.send_nowait(b"GET /single HTTP/1.1\r\nHost: server\r\n\r\n")
        return Response(200, [], b"")

    async with open_server(network, handler):
        crowd, single = await dial(network), await dial(network)
        await crowd.ask("/")
        await single.ask("/")
        order.clear()
        await crowd.say(b"GET /crowd HTTP/1.1\r\nHost: server\r\n\r\n" * 500)
        await single.answer()
    assert order.index("/single") < 20


@given(
    st.integers(1, 20),
    st.lists(st.sampled_from([GET, b"\r\n" + GET, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"]), min_size=1),
)
def test_requests_may_come_in_any_pieces(size: int, requests: list[bytes]) -> None:
    async def main() -> None:
        network = MemoryNetwork()
        async with open_server(network, hello):
            viewer = await dial(network)
            data = b"".join(requests)
            for i in range(0, len(data), size):
                await viewer.say(data[i : i + size])
                await trio.testing.wait_all_tasks_blocked()
            for each in requests:
                assert (await viewer.answer("HEAD" if b"HEAD" in each else "GET")).status == 200

    trio.run(main)


async def test_http_1_0_ends_unless_asked_to_stay(network: MemoryNetwork) -> None:
    async with open_server(network, hello) as seen:
        viewer = await dial(network)
        await viewer.say(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (await viewer.answer()).get(b"connection") == b"keep-alive"
        await viewer.say(b"GET / HTTP/1.0\r\n\r\n")
        raw = await viewer.rest()
        assert b"\r\nConnection: close\r\n" in raw
        assert raw.endswith(b"GET  / ")
        await leave(viewer)
        assert seen.ends == [None]


async def test_a_viewer_may_ask_for_the_end(network: MemoryNetwork) -> None:
    async with open_server(network, hello):
        viewer = await dial(network)
        answer = await viewer.ask("/", "Connection: foo, Close")
        assert answer.get(b"connection") == b"close"
        assert await viewer.rest() == b""


async def test_an_upgrade_is_not_taken_up(network: MemoryNetwork) -> None:
    async with open_server(network, hello):
        viewer = await dial(network)
        answer = await viewer.ask("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA")
        assert (answer.status, answer.body) == (200, b"GET server / ")
        assert (await viewer.ask("/again")).status == 200


async def test_head_has_the_head_alone(network: MemoryNetwork) -> None:
    async with open_server(network, hello):
        viewer = await dial(network)
        answer = await viewer.ask("/", method="HEAD")
        assert (answer.body, answer.get(b"content-length")) == (b"", b"%d" % len("HEAD server / "))
        assert (await viewer.ask("/")).body == b"GET server / "


# --- bodies of requests --------------------------------------------------------------------------


async def read_it(request: Request) -> Response:
    return Response(200, [], b"got " + await request.read_body(1000))


@pytest.mark.parametrize(
    "framed",
    [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n"],
    ids=["counted", "chunked"],
)
@pytest.mark.parametrize("step", [1, 1000])
@pytest.mark.parametrize("handler", [read_it, hello], ids=["read", "left"])
async def test_a_body_ends_where_it_ends(network: MemoryNetwork, framed: bytes, step: int, handler: object) -> None:
    async with open_server(network, handler):  # type: ignore[arg-type]
        viewer = await dial(network)
        data = b"POST / HTTP/1.1\r\nHost: server\r\n" + framed + GET
        for i in range(0, len(data), step):
            await viewer.say(data[i : i + step])
        first = await viewer.answer()
        assert first.body == (b"got hello" if handler is read_it else b"POST server / ")
        assert (await viewer.answer()).status == 200


async def test_a_body_is_asked_for_when_it_is_wanted(network: MemoryNetwork) -> None:
    async with open_server(network, read_it):
        viewer = await dial(network)
        await viewer.say(b"POST / HTTP/1.1\r\nHost: server\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n")
        assert await viewer.connection.recv() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await viewer.say(b"hi")
        assert (await viewer.answer()).body == b"got hi"


async def test_a_body_that_nobody_wants_is_not_asked_for(network: MemoryNetwork) -> None:
    async with open_server(network, hello):
        viewer = await dial(network)
        await viewer.say(b"POST / HTTP/1.1\r\nHost: server\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        answer = await viewer.answer()
        assert (answer.status, answer.get(b"connection")) == (200, b"close")
        assert await viewer.rest() == b""  # nobody knows whether it still comes, so nothing can follow it


@pytest.mark.parametrize(
    "framed", [b"Content-Length: 2000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n5dc\r\n" + b"x" * 1500]
)
async def test_a_long_body_is_refused(network: MemoryNetwork, framed: bytes) -> None:
    async with open_server(network, read_it) as seen:
        viewer = await dial(network)
        await viewer.say(b"POST / HTTP/1.1\r\nHost: server\r\n" + framed + b"\r\n0\r\n\r\n")
        assert (await viewer.answer()).status == 413
        assert await viewer.rest() == b""
        await leave(viewer)
        assert str(seen.ends[0]) == "the body is longer than 1000 bytes"


async def test_a_large_body_that_was_left_is_not_read_to_its_end(network: MemoryNetwork) -> None:
    async with open_server(network, hello) as seen:
        viewer = await dial(network)
        await viewer.say(b"POST / HTTP/1.1\r\nHost: server\r\nContent-Length: 100000000\r\n\r\n")
        answer = await viewer.answer()
        # Said, so that nobody sends another request into a connection that ends (RFC 9112 section 9.6).
        assert (answer.status, answer.get(b"connection")) == (200, b"close")
        assert await viewer.rest() == b""
        await leave(viewer)
        assert seen.ends == [None]


# --- time ----------------------------------------------------------------------------------------


async def ends_at(network: MemoryNetwork, data: bytes, pause: float = 0.0) -> tuple[float, bytes]:
    viewer = await dial(network)
    raw = b""

    async def read() -> None:
        nonlocal raw
        raw = await viewer.rest()

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        try:
            for i in range(len(data)):
                await viewer.say(data[i : i + 1])
                await trio.sleep(pause)
        except ConnectionLost:
            pass
    return trio.current_time() - start, raw


async def test_idle_connections_end(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    async with open_server(network, hello, timeouts=ServerTimeouts(idle=7)) as seen:
        viewer = await dial(network)
        await viewer.ask("/")
        await trio.testing.wait_all_tasks_blocked()
        assert seen.connections[0].idle
        start = trio.current_time()
        assert await viewer.rest() == b""
        assert trio.current_time() - start == 7
    assert seen.ends == [None]


async def test_a_head_that_drips_is_cut(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    async with open_server(network, hello, timeouts=ServerTimeouts(head=10, idle=60)):
        took, raw = await ends_at(network, b"GET / HTTP/1.1\r\nHost: " + b"a" * 50, pause=1)
    assert raw.startswith(b"HTTP/1.1 408 ")
    assert 10 <= took <= 13.1


async def test_a_body_that_drips_is_cut(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    async with open_server(network, read_it, timeouts=ServerTimeouts(body=5)):
        viewer = await dial(network)
        await viewer.say(b"POST / HTTP/1.1\r\nHost: server\r\nContent-Length: 10\r\n\r\n123")
        start = trio.current_time()
        assert (await viewer.answer()).status == 408
        assert trio.current_time() - start == 5


async def test_a_viewer_who_takes_nothing_is_reset(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    async def handler(request: Request) -> Response:
        return Response(200, [], bytes(1 << 20))

    async with open_server(network, handler, timeouts=ServerTimeouts(stall=30)) as seen:
        viewer = await dial(network)
        await viewer.say(GET)
        await trio.sleep(29)
        assert seen.ends == []
        await viewer.connection.recv(100_000)  # a slow one is not a stalled one
        await trio.sleep(29)
        assert seen.ends == []
        await trio.sleep(2)
        with pytest.raises(ConnectionLost, match="reset"):
            await viewer.rest()
    assert isinstance(seen.ends[0], ConnectionLost)


async def test_a_viewer_who_takes_little_at_a_time_has_a_bound(
    network: MemoryNetwork, autojump_clock: MockClock
) -> None:
    async def handler(request: Request) -> Response:
        return streamed(*[bytes(100_000)] * 10) if request.path == "/a" else Response(200, [], bytes(1_000_000))

    for path in (b"/a", b"/b"):
        async with open_server(network, handler, timeouts=ServerTimeouts(stall=30, answer=100)) as seen:
            viewer = await dial(network)
            await viewer.say(GET.replace(b"/a", path))
            for _ in range(9):
                await trio.sleep(10)
                await viewer.connection.recv(1)
            assert seen.ends == []
            await trio.sleep(11)
            assert [str(each) for each in seen.ends] == ["the viewer took more than 100 s for one answer"]
            with pytest.raises(ConnectionLost, match="reset"):
                await viewer.rest()


async def test_a_drain_wakes_an_idle_connection_and_spares_a_request_that_crossed(network: MemoryNetwork) -> None:
    async with open_server(network, hello) as seen:
        idle, crossed = await dial(network), await dial(network)
        for viewer in (idle, crossed):
            await viewer.ask("/")
        await trio.testing.wait_all_tasks_blocked()
        await crossed.say(GET)
        for connection in seen.connections:
            connection.end_input()
        assert (await crossed.answer()).status == 200
        assert await idle.rest() == b""
        assert await crossed.rest() == b""
    assert seen.ends == [None, None]


async def test_settled_is_told_once_the_first_request_is_understood(network: MemoryNetwork) -> None:
    told: list[str] = []

    async def handler(request: Request) -> Response:
        told.append(request.path)
        return Response()

    async with open_server(network, handler) as seen:
        viewer = await dial(network)
        await viewer.say(GET[:10])
        await trio.testing.wait_all_tasks_blocked()
        seen.connections[0].when_settled = lambda: told.append("settled")
        await viewer.say(GET[10:] + GET)
        await viewer.answer()
        await viewer.answer()
    assert told == ["settled", "/a", "/a"]


# --- bodies of answers ---------------------------------------------------------------------------


def streamed(*pieces: bytes, length: int | None = None, fail: Exception | None = None) -> Response:
    async def body(sink: BodySink) -> None:
        for piece in pieces:
            await sink.write(piece)
            await trio.lowlevel.checkpoint()
        if fail is not None:
            raise fail

    return Response(200, [], body, length)


def giving(response: Response) -> object:
    async def handler(request: Request) -> Response:
        return response

    return handler


async def ask_once(network: MemoryNetwork, response: Response, method: str = "GET") -> Answer:
    async with open_server(network, giving(response)):  # type: ignore[arg-type]
        return await (await dial(network)).ask("/", method=method)


async def test_a_streamed_body_is_chunked_where_its_length_is_not_known(network: MemoryNetwork) -> None:
    answer = await ask_once(network, streamed(b"one", b"", b"two"))
    assert (answer.get(b"transfer-encoding"), answer.body) == (b"chunked", b"onetwo")


async def test_a_streamed_body_with_a_length(network: MemoryNetwork) -> None:
    answer = await ask_once(network, streamed(b"one", b"two", length=6))
    assert (answer.get(b"content-length"), answer.get(b"transfer-encoding"), answer.body) == (b"6", None, b"onetwo")


@pytest.mark.parametrize("length", [None, 6])
async def test_head_of_a_streamed_body(network: MemoryNetwork, length: int | None) -> None:
    answer = await ask_once(network, streamed(b"one", b"two", length=length), method="HEAD")
    assert (answer.body, answer.get(b"content-length")) == (b"", None if length is None else b"6")


async def test_http_1_0_gets_a_streamed_body_until_the_end(network: MemoryNetwork) -> None:
    async with open_server(network, giving(streamed(b"one", b"two"))):  # type: ignore[arg-type]
        viewer = await dial(network)
        await viewer.say(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        raw = await viewer.rest()
    assert raw.endswith(b"\r\nConnection: close\r\n\r\nonetwo")
    assert b"Transfer-Encoding" not in raw


LOST, BUG = ConnectionLost("upstream"), ValueError("a bug")


@pytest.mark.parametrize("minor", [0, 1])
@pytest.mark.parametrize(("length", "fail"), [(None, LOST), (6, LOST), (None, BUG), (6, BUG), (6, None)])
async def test_a_body_that_ends_early_is_never_a_clean_end(
    network: MemoryNetwork, minor: int, length: int | None, fail: Exception | None
) -> None:
    async with open_server(network, giving(streamed(b"one", length=length, fail=fail))) as seen:  # type: ignore[arg-type]
        viewer = await dial(network)
        await viewer.say(b"GET / HTTP/1.%d\r\nHost: server\r\n\r\n" % minor)
        with pytest.raises(ConnectionLost, match="reset"):
            await viewer.rest()
    assert type(seen.ends[0]) is (type(fail) if fail else ConnectionLost)


async def test_a_body_is_never_longer_than_was_said(network: MemoryNetwork) -> None:
    async with open_server(network, giving(streamed(b"one", b"two", length=4))) as seen:  # type: ignore[arg-type]
        viewer = await dial(network)
        await viewer.say(GET)
        with pytest.raises(ConnectionLost, match="reset"):
            await viewer.rest()
    assert isinstance(seen.ends[0], RuntimeError)


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body(network: MemoryNetwork, status: int) -> None:
    async with open_server(network, giving(Response(status, [], b"never"))):  # type: ignore[arg-type]
        viewer = await dial(network)
        for _ in range(2):
            answer = await viewer.ask("/")
            assert (answer.status, answer.body) == (status, b"")
            assert answer.get(b"transfer-encoding") is None


async def test_a_large_body_goes_through_a_small_buffer(network: MemoryNetwork) -> None:
    network.buffer_bytes = 1000
    body = bytes(range(256)) * 1000
    assert (await ask_once(network, Response(200, [], body))).body == body


async def test_a_handler_that_fails_is_a_500_and_the_guards_to_tell(network: MemoryNetwork) -> None:
    async def handler(request: Request) -> Response:
        raise ValueError("the reason is not for strangers")

    async with open_server(network, handler) as seen:
        viewer = await dial(network)
        answer = await viewer.ask("/")
        assert (answer.status, answer.get(b"connection")) == (500, b"close")
        assert b"strangers" not in answer.body
        await leave(viewer)
        assert isinstance(seen.ends[0], ValueError)


async def test_release_is_called_however_it_ends(network: MemoryNetwork) -> None:
    released: list[str] = []

    async def handler(request: Request) -> Response:
        response = streamed(b"one", fail=ValueError() if request.path == "/bad" else None)
        response.release = lambda: released.append(request.path)
        return response

    async with open_server(network, handler):
        viewer = await dial(network)
        await viewer.ask("/good")
        await viewer.say(GET.replace(b"/a?b", b"/bad"))
        with pytest.raises(ConnectionLost):
            await viewer.rest()
        gone = await dial(network)
        await gone.say(GET.replace(b"/a?b", b"/gone"))
        gone.connection.abort()
        await trio.testing.wait_all_tasks_blocked()
    assert released == ["/good", "/bad", "/gone"]


async def test_who_wants_to_know_is_told_what_left(network: MemoryNetwork) -> None:
    told: list[tuple[str, int, int]] = []

    def answered(request: Request, status: int, sent: int) -> None:
        told.append((request.path, status, sent))

    async def speak(connection: Connection) -> None:
        async def handler(request: Request) -> Response:
            return streamed(b"one", fail=ValueError()) if request.path == "/bad" else Response(204)

        await serve_http(connection, handler, answered=answered)

    async with open_door(network, "http://server:80", speak) as seen:
        viewer = await dial(network)
        await viewer.ask("/good")
        await viewer.say(GET.replace(b"/a?b", b"/bad"))
        with pytest.raises(ConnectionLost):
            await viewer.rest()
        assert [(path, status) for path, status, _ in told] == [("/good", 204), ("/bad", 200)]
        assert sum(sent for _, _, sent in told) == seen.connections[0].bytes_out


async def test_a_viewer_who_vanishes_harms_nobody(network: MemoryNetwork) -> None:
    async with open_server(network, hello) as seen:
        for data in (b"", b"GET / HT", GET[:-2], b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123"):
            for leave in ("close", "abort"):
                viewer = await dial(network)
                await viewer.say(data)
                await trio.testing.wait_all_tasks_blocked()
                getattr(viewer.connection, leave)()
        await trio.testing.wait_all_tasks_blocked()
        assert (await (await dial(network)).ask("/")).status == 200
        assert len(seen.ends) == 8
        assert {type(each) for each in seen.ends} <= {type(None), ConnectionLost}


@pytest.mark.parametrize("data", [b"G", b"GET / HT", GET[:-2]])
async def test_half_a_request_and_no_more_is_told_so(network: MemoryNetwork, data: bytes) -> None:
    async with open_server(network, hello) as seen:
        viewer = await dial(network)
        await viewer.say(data)
        viewer.connection.end_output()
        answer = await viewer.answer()
        assert (answer.status, answer.body) == (400, b"the request has ended in the middle of its head\n")
        assert await viewer.rest() == b""
    assert [type(each) for each in seen.ends] == [RemoteProtocolError]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x16\x03\x01\x02\x00", b"not HTTP: a TLS client (use https)\n"),
        (b"\x03\x00\x00\x00\x00", b"not HTTP: an RTMP client (use rtmp)\n"),
        (b"GET /\xff", b"not HTTP: bytes that are no text in the first line\n"),
        (b"\r\n\x00", b"not HTTP: bytes that are no text in the first line\n"),
    ],
)
async def test_who_speaks_something_else_is_told_at_once(
    network: MemoryNetwork, autojump_clock: MockClock, data: bytes, said: bytes
) -> None:
    # Not at the end of a head, which never comes: it waits for our first word.
    async with open_server(network, hello):
        viewer = await dial(network)
        await viewer.say(data)
        answer = await viewer.answer()
        assert (answer.status, answer.body) == (400, said)


async def test_half_a_connection_still_gets_its_answer(network: MemoryNetwork) -> None:
    async with open_server(network, hello) as seen:
        viewer = await dial(network)
        await viewer.say(GET)
        viewer.connection.end_output()
        assert (await viewer.answer()).status == 200
        assert await viewer.rest() == b""
    assert seen.ends == [None]


async def test_a_text_answer_is_not_stored() -> None:
    response = text_response(404, "not here", (b"X", b"y"))
    assert (response.status, response.body) == (404, b"not here\n")
    assert (b"Cache-Control", b"no-store") in response.headers
    assert (b"X", b"y") in response.headers


@given(st.binary(max_size=200))
def test_any_bytes_end_in_answers_or_a_closed_connection(data: bytes) -> None:
    async def main() -> None:
        network = MemoryNetwork()
        async with open_server(network, hello) as seen:
            viewer = await dial(network)
            await viewer.say(data)
            viewer.connection.end_output()
            raw = await viewer.rest()
            await leave(viewer)
        assert not raw or raw.startswith(b"HTTP/1.1 ")
        assert [type(each) for each in seen.ends] in ([type(None)], [ConnectionLost], [RemoteProtocolError])

    trio.run(main)


def test_h11_is_what_we_think() -> None:
    # The reason for the screen: when h11 begins to refuse these by itself, the screen may shrink.
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(b"GET / HTTP/1.1\nHost: a\nContent-Length: 5\nTransfer-Encoding: chunked\n\n")
    assert isinstance(parser.next_event(), h11.Request)
