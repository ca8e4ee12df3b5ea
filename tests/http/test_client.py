"""The client's role of the HTTP kit, against a server that says exactly what it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.support_http import hello, open_door, open_server
from tierkit import Address, Trust
from tierkit.errors import UpstreamError
from tierkit.http import ClientTimeouts, HttpClient, Request, Response
from tierkit.plugin import Connection
from tierkit.testing import MemoryNetwork

AT = "http://origin:80"
URL = Address.parse("http://origin/live/s.ts?x=1")


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


def client_on(network: MemoryNetwork, **timeouts: float) -> HttpClient:
    return HttpClient(network, trio.current_time, timeouts=ClientTimeouts(**timeouts))


@define
class Script:
    """A server that answers each request with the next of its lines, in pieces of `step` bytes."""

    answers: list[bytes]
    step: int = 1 << 20
    pause: float = 0.0
    #: What was asked, head by head.
    asked: list[bytes] = field(factory=list)
    #: How each connection ends once the answers are used up: "close", "abort" or "wait".
    end: str = "wait"
    #: Answers to give on one connection before it ends.
    each: int = 1 << 20

    async def __call__(self, connection: Connection) -> None:
        buffer, given = b"", 0
        while given < self.each:
            while b"\r\n\r\n" not in buffer:
                piece = await connection.recv()
                if not piece:
                    return
                buffer += piece
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            self.asked.append(head)
            if not self.answers:
                break
            answer = self.answers.pop(0)
            given += 1
            for i in range(0, len(answer), self.step):
                await connection.send_all(answer[i : i + self.step])
                if self.pause:
                    await trio.sleep(self.pause)
                elif self.step < len(answer):
                    await trio.testing.wait_all_tasks_blocked()
            if not self.answers:
                break
        if self.end == "abort":
            connection.abort()
        elif self.end == "wait":
            await trio.sleep_forever()


@asynccontextmanager
async def scripted(network: MemoryNetwork, *answers: bytes, **how: object) -> AsyncIterator[Script]:
    script = Script(list(answers), **how)  # type: ignore[arg-type]
    async with open_door(network, AT, script):
        yield script


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX: y\r\n\r\n"


# --- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "body", "length"),
    [
        (OK, b"hello", 5),
        (CHUNKED, b"hello", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", 0),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", 0),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\n\r\n", b"", 0),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, b"hello", 5),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
async def test_answers_in_any_pieces_and_the_connection_is_used_again(
    network: MemoryNetwork, answer: bytes, body: bytes, length: int | None, step: int
) -> None:
    async with scripted(network, answer, OK, step=step) as script:
        client = client_on(network)
        async with client.request("GET", URL, [(b"X-A", b"1")]) as response:
            assert (response.length, await response.read(100)) == (length, body)
            assert await response.read_some() == b""
        async with client.request("GET", URL) as response:
            assert await response.read(100) == b"hello"
        assert client.connected == len(network.connections) == 1
        assert script.asked[0] == b"GET /live/s.ts?x=1 HTTP/1.1\r\nHost: origin\r\nX-A: 1"
        client.close()
        assert client.connections == 0


async def test_a_body_comes_as_it_arrives(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n" + b"x" * 30
    async with scripted(network, body, step=len(body) - 20, pause=3):
        start = trio.current_time()
        async with client_on(network).request("GET", URL) as response:
            assert await response.read_some() == b"x" * 10
            assert trio.current_time() - start == 0
            assert await response.read_some() == b"x" * 20
            assert trio.current_time() - start == 3


async def test_until_the_end_where_no_length_is_given(network: MemoryNetwork) -> None:
    async with scripted(network, b"HTTP/1.1 200 OK\r\n\r\nhel\r\nlo", end="close"):
        client = client_on(network)
        async with client.request("GET", URL) as response:
            assert (response.length, await response.read(100)) == (None, b"hel\r\nlo")
        assert client.connections == 0


async def test_http_1_0_answers_are_not_reused(network: MemoryNetwork) -> None:
    async with scripted(network, OK.replace(b"1.1", b"1.0")):
        client = client_on(network)
        async with client.request("GET", URL) as response:
            assert await response.read(100) == b"hello"
        assert client.connections == 0


async def test_connection_close_is_heeded(network: MemoryNetwork) -> None:
    async with scripted(network, OK.replace(b"Content", b"Connection: x, CLOSE\r\nContent")):
        client = client_on(network)
        async with client.request("GET", URL) as response:
            assert await response.read(100) == b"hello"
        assert client.connections == 0


async def test_head_has_no_body(network: MemoryNetwork) -> None:
    async with open_server(network, hello, AT):
        client = client_on(network)
        async with client.request("HEAD", URL) as response:
            assert (response.finished, await response.read(10)) == (True, b"")
        async with client.request("GET", URL) as response:
            assert await response.read(100) == b"GET origin /live/s.ts x=1"
        assert client.connected == 1


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://origin", b"origin"),
        ("http://origin:80/", b"origin"),
        ("http://origin:81/", b"origin:81"),
        ("https://origin", b"origin"),
        ("https://origin:80", b"origin:80"),
        ("http://[::1]:81", b"[::1]:81"),
        ("http+unix:/run/x", b"localhost"),
    ],
)
async def test_the_host_field(network: MemoryNetwork, url: str, host: bytes) -> None:
    script, address = Script([OK]), Address.parse(url)
    async with (
        open_door(network, url, script),
        client_on(network).request("GET", address, trust=Trust(verify=False)) as response,
    ):
        await response.read(1000)
    assert script.asked[0].endswith(b"\r\nHost: " + host)


# --- answers that are none -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "end", "told"),
    [
        (OK[:-1], "close", "ended 1 of 5 bytes before the answer's end"),
        (OK[:-1], "abort", "was lost in the middle of an answer"),
        (CHUNKED[:-9], "close", "ended in the middle of a chunked answer"),
        (CHUNKED[:-2], "close", "ended in the middle of a chunked answer"),
        (CHUNKED[:-2], "abort", "was lost in the middle of an answer"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "abort", "was lost in the middle of an answer"),
        (CHUNKED.replace(b"3\r\n", b"+3\r\n"), "wait", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "close", "was lost in the head"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "wait", "malformed"),
        (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "wait", "malformed"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "wait", "malformed"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "wait", "malformed"),
        (b"x" * 40000, "wait", "malformed"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "wait", "malformed"),
        (b"", "close", "ended without an answer"),
        (b"", "abort", "reset"),
    ],
)
async def test_a_broken_answer_is_an_error_that_names_the_upstream(
    network: MemoryNetwork, answer: bytes, end: str, told: str
) -> None:
    async with scripted(network, answer, end=end):
        client = client_on(network)
        with pytest.raises(UpstreamError) as caught:
            async with client.request("GET", URL.with_(username="u", password="hunter2")) as response:
                await response.read(1000)
        assert told in str(caught.value)
        assert "http://origin" in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert "x=1" not in str(caught.value)
        assert client.connections == 0


async def test_an_answer_that_is_too_long(network: MemoryNetwork) -> None:
    async with scripted(network, OK):
        client = client_on(network)
        async with client.request("GET", URL) as response:
            with pytest.raises(UpstreamError, match="longer than 4 bytes"):
                await response.read(4)


async def test_more_than_was_announced_is_not_taken_and_the_connection_not_reused(network: MemoryNetwork) -> None:
    async with scripted(network, OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", OK) as script:
        client = client_on(network)
        for _ in range(2):
            async with client.request("GET", URL) as response:
                assert await response.read(100) == b"hello"
        assert client.connected == 2
        assert len(script.asked) == 2


async def test_a_port_where_nobody_listens(network: MemoryNetwork) -> None:
    client = client_on(network)
    with pytest.raises(UpstreamError, match="refuses connections"):
        async with client.request("GET", URL):
            pass
    assert client.connections == 0


async def test_a_path_that_cannot_be_asked_for(network: MemoryNetwork) -> None:
    with pytest.raises(UpstreamError, match="cannot be asked"):
        async with client_on(network).request("GET", URL.with_(path="/a b")):
            pass
    assert network.connections == []


# --- time ----------------------------------------------------------------------------------------


async def failing(client: HttpClient) -> tuple[float, str]:
    start = trio.current_time()
    with pytest.raises(UpstreamError) as caught:
        async with client.request("GET", URL) as response:
            await response.read(1 << 20)
    assert client.connections == 0
    return trio.current_time() - start, caught.value.reason


async def test_connecting_has_its_time(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    network.fault(AT, black_hole=True)
    took, reason = await failing(client_on(network, connect=4))
    assert (took, reason) == (4, "did not answer to connecting within 4 s")


async def test_the_first_byte_has_its_time(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    async with scripted(network):
        assert await failing(client_on(network, first_byte=20)) == (20, "did not answer within 20 s")


async def test_a_head_that_drips_has_a_bound(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    async with scripted(network, b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000, step=1, pause=4):
        took, _ = await failing(client_on(network, first_byte=20, between_bytes=5))
        assert took == 20
    async with scripted(network, b"HTTP/1.1 103 Hints\r\n\r\n" * 100, step=22, pause=4):
        took, _ = await failing(client_on(network, first_byte=20, between_bytes=30))
        assert took == 30


async def test_a_pause_in_a_body_has_its_time(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    slow = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + b"x" * 10
    async with (
        scripted(network, slow, step=len(slow) - 9, pause=4),
        client_on(network, between_bytes=5).request("GET", URL) as response,
    ):
        assert len(await response.read(100)) == 10
    async with scripted(network, slow[:-9]):
        took, reason = await failing(client_on(network, between_bytes=5))
        assert (took, reason) == (5, "sent nothing for 5 s in the middle of an answer")


# --- the pool ------------------------------------------------------------------------------------


async def test_a_connection_that_was_closed_meanwhile_is_not_used(network: MemoryNetwork) -> None:
    async with scripted(network, OK, OK, each=1, end="close"):
        client = client_on(network)
        for _ in range(2):
            async with client.request("GET", URL) as response:
                assert await response.read(100) == b"hello"
            await trio.testing.wait_all_tasks_blocked()
        assert client.connected == 2


async def test_what_comes_unasked_between_requests_answers_none(network: MemoryNetwork) -> None:
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    unasked = trio.Event()

    async def speak(connection: Connection) -> None:
        await connection.recv()
        await connection.send_all(OK)
        await unasked.wait()
        await connection.send_all(evil)
        await trio.sleep_forever()

    async with open_door(network, AT, speak):
        client = client_on(network)
        async with client.request("GET", URL) as response:
            assert await response.read(100) == b"hello"
        assert client.connections == 1
        unasked.set()
        await trio.testing.wait_all_tasks_blocked()
        async with client.request("GET", URL) as response:
            assert await response.read(100) == b"hello"
        assert client.connected == 2


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_connection_that_dies_as_we_ask_is_tried_once_more(network: MemoryNetwork, end: str) -> None:
    # The server answers once on each connection, then reads the next request and ends without a word.
    seen: list[int] = []

    async def speak(connection: Connection) -> None:
        seen.append(len(seen))
        await connection.recv()
        await connection.send_all(OK)
        await connection.recv()
        if end == "abort":
            connection.abort()

    async with open_door(network, AT, speak):
        client = client_on(network)
        for _ in range(3):
            async with client.request("GET", URL) as response:
                assert await response.read(100) == b"hello"
        assert client.connected == 3
        with pytest.raises(UpstreamError):
            async with client.request("POST", URL):
                pass  # might do something twice


async def test_a_fresh_connection_that_dies_is_not_tried_again(network: MemoryNetwork) -> None:
    async with scripted(network, end="close") as script:
        client = client_on(network)
        with pytest.raises(UpstreamError, match="without an answer"):
            async with client.request("GET", URL):
                pass
        assert len(script.asked) == client.connected == 1


async def test_an_answer_that_was_left_unread_ends_its_connection(network: MemoryNetwork) -> None:
    async with scripted(network, OK):
        client = client_on(network)
        async with client.request("GET", URL):
            pass
        assert client.connections == 0


async def test_the_pool_is_bounded_and_swept(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    together = trio.Event()
    waiting = 0

    async def handler(request: Request) -> Response:
        nonlocal waiting
        waiting += 1
        if waiting == 20:
            together.set()
        await together.wait()
        return Response(200, [], b"hello")

    async with open_server(network, handler, AT):
        client = HttpClient(network, trio.current_time, timeouts=ClientTimeouts(idle=20), idle_connections=3)

        async def ask() -> None:
            async with client.request("GET", URL) as response:
                await response.read(100)

        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
        assert (client.connected, client.connections) == (20, 3)
        await trio.sleep(19)
        client.sweep()
        assert client.connections == 3
        await trio.sleep(2)
        client.sweep()
        assert client.connections == 0


async def test_an_idle_connection_past_its_time_is_not_used(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    async with open_server(network, hello, AT):
        client = client_on(network, idle=20)
        for pause in (0, 19, 21):
            await trio.sleep(pause)
            async with client.request("GET", URL) as response:
                await response.read(100)
        assert client.connected == 2


async def test_a_pool_keeps_upstreams_and_trust_apart(network: MemoryNetwork) -> None:
    async with open_server(network, hello, AT), open_server(network, hello, "http://other:80"):
        client = client_on(network)
        for url, trust in ((URL, None), (URL.with_(host="other"), None), (URL, Trust(verify=False)), (URL, None)):
            async with client.request("GET", url, trust=trust) as response:
                await response.read(100)
        assert client.connected == 3


async def test_a_cancelled_request_ends_its_connection(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    async with scripted(network, OK[:-1]):
        client = client_on(network)
        with trio.move_on_after(1):
            async with client.request("GET", URL) as response:
                await response.read(100)
        with trio.move_on_after(1):
            async with client.request("GET", URL) as response:
                pass
        assert client.connections == 0


# --- anything ------------------------------------------------------------------------------------


def outcome(answer: bytes, step: int) -> object:
    async def main() -> object:
        network = MemoryNetwork()
        async with scripted(network, answer, step=step, end="close"):
            try:
                async with client_on(network).request("GET", URL) as response:
                    return response.status, await response.read(10_000)
            except UpstreamError:
                return "refused"

    return trio.run(main)


@given(st.sampled_from([OK, CHUNKED, b"HTTP/1.1 200 OK\r\n\r\nhello"]), st.data())
def test_a_recorded_answer_cut_and_followed_by_noise(answer: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(answer)))
    noisy = answer[:cut] + data.draw(st.binary(max_size=20))
    step = data.draw(st.integers(1, 20))
    assert outcome(noisy, step) == outcome(noisy, 1 << 20)


@pytest.mark.parametrize("more", [b"", b"more than was said"])
async def test_no_more_is_read_at_once_than_is_wanted(network: MemoryNetwork, more: bytes) -> None:
    """Also of what came with the head; and what is left of that behind the end spoils the connection."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" + bytes(40) + more
    async with scripted(network, answer, OK, answer, OK):
        client = client_on(network)
        async with client.request("GET", URL) as response:
            assert [len(await response.read_some(16)) for _ in range(4)] == [16, 16, 8, 0]
        async with client.request("GET", URL) as response:
            assert await response.read(100)
        assert client.connected == (2 if more else 1)
        client.close()
