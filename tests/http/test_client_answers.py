"""Answers that are odd, late, early or too much: what the client takes of them, and whether the connection lives on."""

from __future__ import annotations

import h11
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.support_http import open_door
from tierkit._http_answer import MAX_INTERIM, parse_answer
from tierkit.codecs.http1 import ChunkedDecoder, screen_response
from tierkit.errors import RemoteProtocolError, UpstreamError
from tierkit.plugin import Connection
from tierkit.testing import MemoryNetwork

from .test_client import AT, CHUNKED, OK, URL, client_on, scripted

BYTES = 1 << 20


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


async def ask(network: MemoryNetwork, answer: bytes, method: str = "GET", **how: object) -> tuple[int, bytes, int]:
    """Status and body of one answer, and how many connections are kept behind it."""
    refused = None
    async with scripted(network, answer, **how):
        client = client_on(network)
        try:
            async with client.request(method, URL) as response:
                found = response.status, await response.read(BYTES)
        except UpstreamError as error:
            refused = error
            assert client.connections == 0
    if refused is not None:  # out here, where no nursery wraps it
        raise refused
    return *found, client.connections


# --- keep-alive ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "field", "kept"),
    [
        (b"1.1", b"", 1),
        (b"1.1", b"Connection: close\r\n", 0),
        (b"1.1", b"Connection: keep-alive, Close\r\n", 0),
        (b"1.1", b"Connection: keep-alive\r\nConnection: close\r\n", 0),
        (b"1.0", b"", 0),
        (b"1.0", b"Connection: Keep-Alive\r\n", 1),
        (b"1.0", b"Connection: keep-alive, close\r\n", 0),
    ],
)
async def test_keep_alive_by_version_and_connection_field(
    network: MemoryNetwork, version: bytes, field: bytes, kept: int
) -> None:
    answer = b"HTTP/%b 200 OK\r\n%bContent-Length: 5\r\n\r\nhello" % (version, field)
    assert await ask(network, answer) == (200, b"hello", kept)


async def test_http_1_0_keep_alive_without_a_length_ends_with_the_connection(network: MemoryNetwork) -> None:
    answer = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello"
    assert await ask(network, answer, end="close") == (200, b"hello", 0)


# --- no body, whatever is said ---------------------------------------------------------------------


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
@pytest.mark.parametrize("field", [b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b""])
async def test_204_and_304_have_no_body_and_one_that_comes_ends_the_connection(
    network: MemoryNetwork, autojump_clock: MockClock, status: bytes, field: bytes
) -> None:
    head = b"HTTP/1.1 %b\r\n%b\r\n" % (status, field)
    assert await ask(network, head) == (int(status[:3]), b"", 1)
    assert await ask(network, head + b"hello") == (int(status[:3]), b"", 0)


async def test_head_has_the_length_of_get_and_no_body(network: MemoryNetwork) -> None:
    head = OK[: -len(b"hello")]
    assert await ask(network, head, "HEAD") == (200, b"", 1)
    assert await ask(network, OK, "HEAD") == (200, b"", 0)
    assert await ask(network, CHUNKED[: CHUNKED.index(b"3\r\n")], "HEAD") == (200, b"", 1)


# --- behind a body ---------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [OK, CHUNKED])
@pytest.mark.parametrize("garbage", [b"x", b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"])
async def test_garbage_behind_a_body_is_not_taken_and_ends_the_connection(
    network: MemoryNetwork, answer: bytes, garbage: bytes
) -> None:
    assert await ask(network, answer + garbage) == (200, b"hello", 0)


# --- chunks ----------------------------------------------------------------------------------------

START = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"


async def test_trailers_are_read_over(network: MemoryNetwork) -> None:
    assert await ask(network, START + b"X-Sum: 1\r\nY:\r\n\r\n") == (200, b"hello", 1)


@pytest.mark.parametrize(
    "trailers",
    [
        b"X: " + b"y" * ChunkedDecoder.MAX_TRAILERS + b"\r\n\r\n",
        b"X: yyyyyyyyyyyyy\r\n" * (ChunkedDecoder.MAX_TRAILERS // 16) + b"\r\n",
        b"X : y\r\n\r\n",
        b" folded\r\n\r\n",
        b"X: y\n\r\n",
        b"X: \0\r\n\r\n",
    ],
)
async def test_trailers_are_bounded_and_strict(network: MemoryNetwork, trailers: bytes) -> None:
    with pytest.raises(UpstreamError, match="malformed answer"):
        await ask(network, START + trailers)


# --- interim answers -------------------------------------------------------------------------------


async def test_interim_answers_are_read_over(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.0 199 X\r\n\r\n"
    for step in (BYTES, 1):
        assert await ask(network, interim + OK, step=step) == (200, b"hello", 1)


async def test_interim_answers_are_bounded_together(network: MemoryNetwork) -> None:
    one = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    few, many = one * (MAX_INTERIM // len(one)), one * (MAX_INTERIM // len(one) + 1)
    assert (await ask(network, few + OK))[0] == 200
    with pytest.raises(UpstreamError, match="bytes of interim answers"):
        await ask(network, many + OK)


async def test_an_interim_answer_passes_the_screen_too(network: MemoryNetwork) -> None:
    with pytest.raises(UpstreamError, match="malformed"):
        await ask(network, b"HTTP/1.1 103 Early Hints\r\nX : y\r\n\r\n" + OK)


async def test_switching_protocols_was_not_asked_for(network: MemoryNetwork) -> None:
    with pytest.raises(UpstreamError, match="switches protocols"):
        await ask(network, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + OK)


# --- heads -----------------------------------------------------------------------------------------


async def test_a_head_dripped_byte_by_byte(network: MemoryNetwork, autojump_clock: MockClock) -> None:
    assert await ask(network, OK, step=1, pause=0.1) == (200, b"hello", 1)


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 200OK", b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 099 X",
        b"HTTP/1.1 20 OK", b"HTTP/1.1 +20 OK", b"HTTP/1.1 2_0 OK", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/2 200 OK",
        b"HTTP/2.0 200 OK", b"HTTP/1.2 200 OK", b"HTTP/1.10 200 OK", b"http/1.1 200 OK", b"ICY 200 OK", b"",
        b" HTTP/1.1 200 OK", b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK", b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 200 O\rK",
        b"HTTP/1.1 200 " + b"x" * 9000, b"RTSP/1.0 200 OK",
    ],
)  # fmt: skip
async def test_absurd_status_lines_are_refused(network: MemoryNetwork, line: bytes) -> None:
    with pytest.raises(UpstreamError, match="malformed answer"):
        await ask(network, line + b"\r\nContent-Length: 5\r\n\r\nhello")


@pytest.mark.parametrize("line", [b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 299 \xfcber gut", b"HTTP/1.1 999 x"])
async def test_odd_status_lines_that_are_allowed(network: MemoryNetwork, line: bytes) -> None:
    assert await ask(network, line + b"\r\nContent-Length: 5\r\n\r\nhello") == (int(line[9:12]), b"hello", 1)


FRAMINGS = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"Content-Length: 5\r\nContent-Length: 6",
    b"Content-Length: 5, 5", b"Content-Length: +5", b"Content-Length: 0x5", b"Content-Length: 5_0",
    b"Content-Length: 9999999999999999999", b"Content-Length:", b"Content-Length: \xd9\xa5",
    b"Transfer-Encoding: xchunked", b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: ,chunked",
    b"Content-Length : 5", b"X: y\r\n folded: z", b"X\r\nContent-Length: 5", b": x", b"X: \x0b",
]  # fmt: skip


@pytest.mark.parametrize("fields", FRAMINGS)
def test_a_head_with_odd_framing_is_no_head(fields: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_answer(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\n")


@pytest.mark.parametrize("fields", FRAMINGS)
async def test_framing_that_can_be_read_in_two_ways_is_refused(network: MemoryNetwork, fields: bytes) -> None:
    with pytest.raises(UpstreamError, match="malformed answer"):
        await ask(network, b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n\r\nhello")


async def test_an_answer_that_was_there_before_it_was_asked_for_is_an_answer_to_nothing(
    network: MemoryNetwork,
) -> None:
    eager = trio.Event()

    async def speak(connection: Connection) -> None:
        await connection.recv()
        await connection.send_all(OK)
        await eager.wait()
        await connection.send_all(OK.replace(b"hello", b"wrong"))
        await trio.sleep_forever()

    async with open_door(network, AT, speak):
        client = client_on(network)
        async with client.request("GET", URL) as response:
            await response.read(BYTES)
            eager.set()
            await trio.testing.wait_all_tasks_blocked()
        assert client.connections == 0


# --- against h11 -----------------------------------------------------------------------------------

tokens = st.text("!#$%&'*+.^_`|~09AZaz-", min_size=1, max_size=10).map(str.encode)
values = st.binary(max_size=12) | st.text(" \tab,;=\"'é\x7f", max_size=12).map(lambda text: text.encode("latin-1"))
framings = st.sampled_from(
    [(b"Content-Length", b"5"), (b"content-length", b"05"), (b"Transfer-Encoding", b"Chunked"), (b"Connection", b"x")]
)
lines = st.tuples(tokens, values) | framings
versions, colons = st.sampled_from([b"1.0", b"1.1"]), st.sampled_from([b":", b": "])
statuses = st.sampled_from([b"100", b"103", b"200", b"204", b"304", b"404", b"599", b"999"])
reasons = st.text(" \tOKé", max_size=6).map(lambda text: text.encode("latin-1"))


@given(versions, statuses, reasons, st.lists(lines, max_size=6), colons)
def test_heads_are_what_h11_makes_of_them(
    version: bytes, status: bytes, reason: bytes, fields: list[tuple[bytes, bytes]], colon: bytes
) -> None:
    head = b"HTTP/%b %b %b\r\n" % (version, status, reason)
    head += b"".join(name + colon + value + b"\r\n" for name, value in fields) + b"\r\n"
    try:
        screen_response(head)
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            parse_answer(head)
        return
    ours = parse_answer(head)
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    parser.send(h11.EndOfMessage())
    parser.receive_data(head)
    theirs = parser.next_event()
    assert isinstance(theirs, (h11.Response, h11.InformationalResponse))
    # h11 also lowers the value of Transfer-Encoding.
    headers = tuple((name, value.lower() if name == b"transfer-encoding" else value) for name, value in ours.headers)
    assert (ours.status, headers) == (theirs.status_code, tuple(theirs.headers))
    assert b"1.%d" % ours.minor == theirs.http_version
