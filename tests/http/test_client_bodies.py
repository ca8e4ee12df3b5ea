"""The client's role of the HTTP kit: requests that have a body, of any method."""

from __future__ import annotations

from collections.abc import AsyncIterator

import h11
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.support_http import hello, open_door, open_server
from tierkit.errors import LocalProtocolError, UpstreamError, UpstreamTimeout
from tierkit.http import HttpClient
from tierkit.plugin import Connection
from tierkit.testing import MemoryNetwork

from .test_client import AT, OK, URL, client_on, scripted

LENGTH = (b"Content-Length", b"6")
EXPECT = (b"Expect", b"100-continue")


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


async def pieces(*parts: bytes, pause: float = 0.0) -> AsyncIterator[bytes]:
    for part in parts:
        if pause:
            await trio.sleep(pause)
        yield part


async def send(client: HttpClient, method: str, body: object, *headers: tuple[bytes, bytes]) -> tuple[int, bytes]:
    async with client.request(method, URL, headers, body) as response:  # type: ignore[arg-type]
        return response.status, await response.read(1 << 20)


class Reader:
    """A server that reads a given number of bytes, says a word, and remembers what it read."""

    def __init__(self, *script: int | bytes | float) -> None:
        self.script = script
        self.got = b""

    async def __call__(self, connection: Connection) -> None:
        for step in self.script:
            if isinstance(step, bytes):
                await connection.send_all(step)
            elif isinstance(step, float):
                await trio.sleep(step)
            else:
                while len(self.got) < step:
                    data = await connection.recv()
                    assert data
                    self.got += data
        await trio.sleep_forever()


HEAD = b"PUT /live/s.ts?x=1 HTTP/1.1\r\nHost: origin\r\n"


@pytest.mark.parametrize(
    ("method", "body", "headers", "sent"),
    [
        ("PUT", b"abcdef", [], HEAD + b"Content-Length: 6\r\n\r\nabcdef"),
        ("PUT", b"", [], HEAD + b"Content-Length: 0\r\n\r\n"),
        ("PUT", None, [], HEAD + b"Content-Length: 0\r\n\r\n"),
        ("DELETE", None, [], b"DELETE" + HEAD[3:] + b"\r\n"),
        ("PROPFIND", b"abc", [], b"PROPFIND" + HEAD[3:] + b"Content-Length: 3\r\n\r\nabc"),
        ("PUT", pieces(b"ab", b"", b"cdef"), [LENGTH], HEAD + b"Content-Length: 6\r\n\r\nabcdef"),
        ("PUT", pieces(b"ab", b"", b"cdef"), [],
         HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n4\r\ncdef\r\n0\r\n\r\n"),
        ("GET", pieces(), [], b"GET" + HEAD[3:] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    ],
)  # fmt: skip
async def test_any_method_goes_out_with_its_body_framed(
    network: MemoryNetwork,
    autojump_clock: MockClock,
    method: str,
    body: object,
    headers: list[tuple[bytes, bytes]],
    sent: bytes,
) -> None:
    reader = Reader(len(sent), OK)
    async with open_door(network, AT, reader):
        client = client_on(network)
        assert await send(client, method, body, *headers) == (200, b"hello")
        assert reader.got == sent
        assert client.connections == 1  # and the connection can be used again


@pytest.mark.parametrize("name", [b"Content-Length", b"Transfer-Encoding", b"Connection", b"KEEP-ALIVE", b"Expect"])
async def test_framing_is_never_the_callers(network: MemoryNetwork, name: bytes) -> None:
    async with scripted(network, OK) as script:
        await send(client_on(network), "GET", None, (name, b"100-continue"), (b"X-A", b"1"))
    assert script.asked == [b"GET /live/s.ts?x=1 HTTP/1.1\r\nHost: origin\r\nX-A: 1"]


async def test_a_host_that_the_caller_names_is_the_one(network: MemoryNetwork) -> None:
    async with scripted(network, OK) as script:
        await send(client_on(network), "GET", None, (b"host", b"viewers.example"))
    assert script.asked == [b"GET /live/s.ts?x=1 HTTP/1.1\r\nhost: viewers.example"]


@pytest.mark.parametrize("method", ["CONNECT", "", "GET /", "G\r\nX:", "GÉT"])
async def test_a_method_that_cannot_be_asked_with(network: MemoryNetwork, method: str) -> None:
    with pytest.raises(UpstreamError, match="cannot be asked"):
        await send(client_on(network), method, None)
    assert network.connections == []


@pytest.mark.parametrize("field", [(b"X", b"a\r\nY: b"), (b"X Y", b"a"), (b"", b"a")])
async def test_a_field_that_would_break_out_of_its_line_cannot_be_asked_with(
    network: MemoryNetwork, field: tuple[bytes, bytes]
) -> None:
    with pytest.raises(UpstreamError, match="cannot be asked"):
        await send(client_on(network), "GET", None, field)
    assert network.connections == []


@pytest.mark.parametrize(("parts", "told"), [((b"abcdefg",), "longer"), ((b"abcde",), "ended 1 bytes before")])
async def test_a_body_of_another_length_than_declared_is_our_own_mistake(
    network: MemoryNetwork, parts: tuple[bytes, ...], told: str
) -> None:
    async with open_door(network, AT, Reader(1 << 20)):
        client = client_on(network)
        with pytest.raises(LocalProtocolError, match=told):
            await send(client, "PUT", pieces(*parts), LENGTH)
        assert client.connections == 0


async def test_what_a_body_raises_is_raised_and_the_connection_dropped(network: MemoryNetwork) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"ab"
        raise KeyError("the viewer's own trouble")

    async with open_door(network, AT, Reader(1 << 20)):
        client = client_on(network)
        with pytest.raises(KeyError, match="own trouble"):
            await send(client, "PUT", broken())
        assert client.connections == 0


async def test_a_large_body_goes_out_in_pieces_as_the_upstream_takes_it() -> None:
    network = MemoryNetwork(buffer_bytes=1000)
    body = bytes(range(256)) * 100
    head = HEAD + b"Content-Length: %d\r\n\r\n" % len(body)
    reader = Reader(len(head) + len(body), OK)
    async with open_door(network, AT, reader):
        assert await send(client_on(network), "PUT", body) == (200, b"hello")
    assert reader.got == head + body


# --- time ----------------------------------------------------------------------------------------


async def test_an_upstream_that_takes_nothing_of_a_body_has_its_time(autojump_clock: MockClock) -> None:
    network = MemoryNetwork(buffer_bytes=1000)
    async with open_door(network, AT, Reader()):
        client, start = client_on(network, between_bytes=5, first_byte=60), trio.current_time()
        with pytest.raises(UpstreamTimeout, match="took nothing of the request for 5 s"):
            await send(client, "PUT", b"x" * 10_000)
        assert (trio.current_time() - start, client.connections) == (5, 0)


async def test_a_slow_body_is_not_the_upstreams_fault(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    sent = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 10 + b"0\r\n\r\n"
    async with open_door(network, AT, Reader(len(sent), OK)):
        client = client_on(network, between_bytes=5, first_byte=20)
        assert await send(client, "PUT", pieces(*[b"x"] * 10, pause=30)) == (200, b"hello")
        assert trio.current_time() == 300


async def test_the_first_byte_has_its_time_from_the_end_of_the_body(
    network: MemoryNetwork, autojump_clock: MockClock
) -> None:
    async with open_door(network, AT, Reader()):
        client, start = client_on(network, between_bytes=5, first_byte=20), trio.current_time()
        with pytest.raises(UpstreamTimeout, match="did not answer within 20 s"):
            await send(client, "PUT", pieces(b"a", b"b", pause=30))
        assert trio.current_time() - start == 80


# --- an answer before the end --------------------------------------------------------------------

TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"


async def test_an_answer_before_the_request_is_whole_ends_its_sending(
    network: MemoryNetwork, autojump_clock: MockClock
) -> None:
    left = trio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 100
                await trio.sleep(1)
        finally:
            left.set()

    async with open_door(network, AT, Reader(500, TOO_LARGE)):
        client = client_on(network)
        assert await send(client, "POST", endless()) == (413, b"no")
        assert client.connections == 0  # its other end still waits for the rest
        assert trio.current_time() < 10


async def test_an_answer_before_a_close_in_the_middle_of_the_request_is_read(autojump_clock: MockClock) -> None:
    network = MemoryNetwork(buffer_bytes=1000)

    async def refuse(connection: Connection) -> None:
        await connection.recv()
        await connection.send_all(TOO_LARGE)

    async with open_door(network, AT, refuse):
        client = client_on(network)
        assert await send(client, "POST", b"x" * 100_000) == (413, b"no")
        assert client.connections == 0


async def test_a_close_in_the_middle_of_the_request_is_an_error(autojump_clock: MockClock) -> None:
    network = MemoryNetwork(buffer_bytes=1000)

    async def leave(connection: Connection) -> None:
        await connection.recv()

    async with open_door(network, AT, leave):
        client = client_on(network)
        with pytest.raises(UpstreamError):
            await send(client, "POST", b"x" * 100_000)
        assert client.connections == 0


# --- Expect --------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"abcdef", "pieces"])
async def test_expect_waits_for_the_word(network: MemoryNetwork, autojump_clock: MockClock, body: bytes | str) -> None:
    head = HEAD + b"Expect: 100-continue\r\nContent-Length: 6\r\n\r\n"
    reader = Reader(len(head), 0.5, b"HTTP/1.1 100 Continue\r\n\r\n", len(head) + 6, OK)
    async with open_door(network, AT, reader):
        what = pieces(b"abc", b"def") if body == "pieces" else body
        assert await send(client_on(network), "PUT", what, EXPECT, LENGTH) == (200, b"hello")
        assert reader.got == head + b"abcdef"
        assert trio.current_time() == 0.5


async def test_expect_waits_no_longer_than_a_second(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    head = HEAD + b"Expect: 100-continue\r\nContent-Length: 6\r\n\r\n"
    async with open_door(network, AT, Reader(len(head) + 6, OK)):
        assert await send(client_on(network), "PUT", b"abcdef", EXPECT) == (200, b"hello")
        assert trio.current_time() == 1


async def test_expect_that_is_refused_sends_no_body(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    reader = Reader(len(HEAD), b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n", 5.0)
    async with open_door(network, AT, reader):
        client = client_on(network)
        assert await send(client, "PUT", b"abcdef", EXPECT) == (417, b"")
        assert b"abcdef" not in reader.got
        assert client.connections == 0  # the other end does not know whether a body follows


# --- once only -----------------------------------------------------------------------------------


async def dying(connection: Connection) -> None:
    """Answers once on each connection, then reads the next request and ends without a word."""
    await connection.recv()
    await connection.send_all(OK)
    await connection.recv()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "MOVE"])
async def test_an_unsafe_method_is_never_sent_twice(network: MemoryNetwork, method: str) -> None:
    async with open_door(network, AT, dying):
        client = client_on(network)
        assert (await send(client, "GET", None))[0] == 200
        with pytest.raises(UpstreamError, match="without an answer"):
            await send(client, method, b"once")
        assert client.connected == 1


async def test_a_safe_method_is_sent_again_with_its_body_but_not_what_came_in_pieces(network: MemoryNetwork) -> None:
    async with open_door(network, AT, dying):
        client = client_on(network)
        for _ in range(3):
            assert (await send(client, "GET", b"whole"))[0] == 200
        with pytest.raises(UpstreamError):
            await send(client, "GET", pieces(b"gone"))
        assert client.connected == 3


async def test_a_body_of_a_server_of_ours_arrives(network: MemoryNetwork) -> None:
    async with open_server(network, hello, AT), client_on(network).request("DELETE", URL) as response:
        assert await response.read(100) == b"DELETE origin /live/s.ts x=1"


# --- anything ------------------------------------------------------------------------------------

bodies = st.lists(st.binary(max_size=300), max_size=8)


@given(bodies, st.sampled_from(["bytes", "chunked", "length"]), st.integers(16, 400), st.booleans())
def test_any_body_is_what_h11_reads(parts: list[bytes], how: str, room: int, expects: bool) -> None:
    whole = b"".join(parts)

    async def speak(connection: Connection) -> None:
        parser, got = h11.Connection(h11.SERVER), b""
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                if parser.they_are_waiting_for_100_continue:
                    await connection.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                    parser.send(h11.InformationalResponse(status_code=100, headers=[]))
                parser.receive_data(await connection.recv())
            elif isinstance(event, h11.Data):
                got += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
        await connection.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(got), got))
        await trio.sleep_forever()

    async def main() -> tuple[int, bytes, int]:
        network = MemoryNetwork(buffer_bytes=room)
        headers = [EXPECT] if expects else []
        headers += [(b"Content-Length", b"%d" % len(whole))] if how == "length" else []
        async with open_door(network, AT, speak):
            client = client_on(network)
            body = whole if how == "bytes" else pieces(*parts)
            return *await send(client, "PUT", body, *headers), client.connections

    assert trio.run(main, clock=MockClock(autojump_threshold=0)) == (200, whole, 1)
