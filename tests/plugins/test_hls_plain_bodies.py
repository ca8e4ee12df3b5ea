"""`HLS(policy="rfc9111")`: bodies of requests, other methods, and other ways to say the same."""

from __future__ import annotations

import h11
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from tests.support_http import open_door
from tierkit import Origin
from tierkit.errors import ConnectionLost
from tierkit.events import ConnectionFailed, StreamFault, UpstreamLost
from tierkit.http import BodySink, ClientResponse, Request, Response
from tierkit.plugin import Connection
from tierkit.testing import MemoryNetwork

from .edge_rig import Rig, dripping, open_edge

PATH = "/thing"


def echoing(rig: Rig) -> None:
    """Have the origin send back what it gets, and how it was framed."""

    async def echo(request: Request) -> Response:
        body = b"".join([piece async for piece in request.stream_body()])
        framed = request.get(b"content-length") or request.get(b"transfer-encoding") or b"none"
        return Response(200, [(b"X-Framed", framed), (b"X-Method", request.method.encode())], body)

    rig.origin.paths[PATH] = echo


def head(line: str, *fields: str) -> bytes:
    return "\r\n".join((line, "Host: edge.example", *fields, "", "")).encode()


async def test_a_body_with_a_length_passes(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        echoing(rig)
        viewer = await rig.viewer()
        await viewer.say(head(f"POST {PATH} HTTP/1.1", "Content-Length: 5") + b"he")
        await trio.sleep(1)
        await viewer.say(b"llo")
        answer = await viewer.answer("POST")
        assert (answer.status, answer.body, answer.get(b"x-framed")) == (200, b"hello", b"5")
        assert answer.get(b"cache-status") == b"tierkit-edge; fwd=method"


async def test_a_chunked_body_passes_without_its_trailers(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        echoing(rig)
        viewer = await rig.viewer()
        body = b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n"
        await viewer.say(head(f"PUT {PATH} HTTP/1.1", "Transfer-Encoding: chunked", "Trailer: X-Trailer") + body)
        answer = await viewer.answer("PUT")
        assert (answer.body, answer.get(b"x-framed"), answer.get(b"x-method")) == (b"hello world", b"chunked", b"PUT")
        assert rig.origin.asked[0].get(b"x-trailer") is None
        assert (await viewer.ask(PATH)).status == 200  # and the connection is fit for more


async def test_a_get_with_a_body_is_for_nobody_else(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        asked = []

        async def answer(request: Request) -> Response:
            asked.append(b"".join([piece async for piece in request.stream_body()]))
            return Response(200, [(b"Cache-Control", b"max-age=60")], asked[-1] or b"without")

        rig.origin.paths[PATH] = answer
        viewer = await rig.viewer()
        await viewer.say(head(f"GET {PATH} HTTP/1.1", "Content-Length: 4") + b"body")
        assert (await viewer.answer()).body == b"body"
        assert (await rig.get(PATH)).body == b"without"
        await viewer.say(head(f"GET {PATH} HTTP/1.1", "Content-Length: 4") + b"next")
        assert (await viewer.answer()).body == b"next"
        assert asked == [b"body", b"", b"next"]


async def test_a_body_waits_for_the_word_where_the_viewer_says_so(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        echoing(rig)
        viewer = await rig.viewer()
        await viewer.say(head(f"POST {PATH} HTTP/1.1", "Content-Length: 5", "Expect: 100-continue"))
        assert (await viewer.connection.recv()).startswith(b"HTTP/1.1 100 ")
        await viewer.say(b"hello")
        assert (await viewer.answer("POST")).body == b"hello"


async def test_a_refusal_comes_before_the_body(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        rig.origin.paths[PATH] = Response(413, [], b"too much")
        viewer = await rig.viewer()
        await viewer.say(head(f"POST {PATH} HTTP/1.1", "Content-Length: 5000000", "Expect: 100-continue"))
        said = await viewer.rest()
        assert said.startswith(b"HTTP/1.1 413 ")
        assert said.endswith(b"too much")


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
async def test_echoes_and_tunnels_are_refused(method: str) -> None:
    async with open_edge(policy="rfc9111") as rig:
        viewer = await rig.viewer()
        target = "edge.example:80" if method == "CONNECT" else PATH
        await viewer.say(head(f"{method} {target} HTTP/1.1"))
        said = await viewer.connection.recv()
        assert said.split()[1] == (b"400" if method == "CONNECT" else b"405")
        assert rig.origin.asked == []


@pytest.mark.parametrize("method", ["OPTIONS", "PATCH", "PROPFIND"])
async def test_other_methods_pass(method: str) -> None:
    async with open_edge(policy="rfc9111") as rig:
        echoing(rig)
        for _ in range(2):
            assert (await rig.get(PATH, method=method)).get(b"x-method") == method.encode()
        assert rig.origin.count(PATH) == 2


@pytest.mark.parametrize(("said", "goes"), [("1", "0"), ("10", "9"), ("many", "many"), ("0", None)])
async def test_options_is_forwarded_so_often_and_no_more(said: str, goes: str | None) -> None:
    """RFC 9110 section 7.6.2: who wants to know what is on the way asks each hop in turn."""
    async with open_edge(policy="rfc9111") as rig:
        echoing(rig)
        answer = await rig.get(PATH, f"Max-Forwards: {said}", method="OPTIONS")
        if goes is None:
            assert (answer.status, rig.origin.asked) == (204, [])
        else:
            assert answer.status == 200
            assert rig.origin.asked[0].get(b"max-forwards") == goes.encode()


async def test_options_of_the_server_is_answered_by_the_server() -> None:
    async with open_edge(policy="rfc9111") as rig:
        assert (await rig.get("*", method="OPTIONS")).status == 204
        assert rig.origin.asked == []


async def test_an_upgrade_is_not_made(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        echoing(rig)
        answer = await rig.get(PATH, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
        assert answer.status == 200
        assert rig.origin.asked[0].get(b"upgrade") is None
        assert b"pgrade" not in (rig.origin.asked[0].get(b"connection") or b"")


async def test_an_absolute_target_is_the_same_thing(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        rig.origin.paths[PATH] = Response(200, [(b"Cache-Control", b"max-age=60")], b"x")
        viewer = await rig.viewer()
        await viewer.say(head(f"GET http://edge.example{PATH} HTTP/1.1"))
        assert (await viewer.answer()).body == b"x"
        await rig.get(PATH)
        assert rig.origin.count(PATH) == 1


async def test_requests_on_end_are_answered_in_their_order(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:

        async def slowly(request: Request) -> Response:
            await trio.sleep(2)
            return Response(200, [], b"slow")

        rig.origin.paths["/slow"] = slowly
        rig.origin.paths["/fast"] = Response(200, [(b"Cache-Control", b"max-age=60")], b"fast")
        await rig.get("/fast")
        viewer = await rig.viewer()
        await viewer.say(head("GET /slow HTTP/1.1") + head("GET /fast HTTP/1.1", "Connection: close"))
        said = await viewer.rest()
        assert 0 < said.index(b"slow") < said.index(b"fast")


@pytest.mark.parametrize("shared", [b"max-age=60", b"no-store"])
async def test_an_old_client_reads_until_the_end(shared: bytes, autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        response = dripping(b"abc", b"def")
        rig.origin.paths[PATH] = Response(200, [(b"Cache-Control", shared)], response.body)
        viewer = await rig.viewer()
        await viewer.say(f"GET {PATH} HTTP/1.0\r\n\r\n".encode())
        said = await viewer.rest()
        assert said.endswith(b"\r\n\r\nabcdef")
        assert b"chunked" not in said.lower()


async def test_a_broken_body_is_not_sent_twice_nor_stored(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:

        async def body(sink: BodySink) -> None:
            await sink.write(b"abc")
            raise ValueError("broken")

        rig.origin.paths[PATH] = Response(200, [(b"Cache-Control", b"max-age=60")], body, 10)
        viewer = await rig.viewer()
        await viewer.say(head(f"POST {PATH} HTTP/1.1", "Content-Length: 2") + b"hi")
        with pytest.raises((ConnectionLost, h11.RemoteProtocolError)):  # whichever is noticed first
            await viewer.answer("POST")
        assert rig.origin.count(PATH) == 1
        assert rig.statistics().store.objects == 0


#: Interim answers and trailers go to who is passed on to, where he takes them; what fills the store is our own request.
@pytest.mark.parametrize(
    ("line", "passes", "late"),
    [
        (f"POST {PATH} HTTP/1.1\r\nTE: gzip, trailers", True, True),
        (f"POST {PATH} HTTP/1.1", True, False),
        (f"POST {PATH} HTTP/1.0\r\nTE: trailers", False, False),
        (f"GET {PATH} HTTP/1.1\r\nTE: trailers", False, False),
    ],
)
async def test_interim_answers_and_trailers(line: str, passes: bool, late: bool, autojump_clock: MockClock) -> None:
    async def speak(connection: Connection) -> None:
        heard = b""
        while b"\r\n\r\n" not in heard:
            heard += await connection.recv()
        await connection.send_all(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n")
        await trio.sleep(1)
        await connection.send_all(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late, Cache-Control\r\n\r\n"
            b"5\r\nhello\r\n0\r\nX-Late: 1\r\nCache-Control: max-age=60\r\n\r\n"
        )
        await connection.recv()

    network = MemoryNetwork()
    async with (
        open_door(network, "http://raw.example:80", speak),
        open_edge(origin=Origin("raw", "http://raw.example:80"), network=network, policy="rfc9111") as rig,
    ):
        viewer = await rig.viewer()
        first, *more = line.split("\r\n")
        framing = [] if first.startswith("GET") else ["Content-Length: 0"]
        await viewer.say(head(first, *more, *framing, "Connection: close"))
        said = (await viewer.rest()).lower()
        assert said.startswith(b"http/1.1 103 early hints\r\nlink: </x>\r\n") == passes
        assert (b"103" in said) == passes
        assert b"\r\n\r\nhttp/1.1 200 " in said or not passes
        assert b"hello" in said
        assert (b"0\r\nx-late: 1\r\n\r\n" in said) == late
        for gone in (b"max-age", b"x-hop"):
            assert gone not in said
        assert rig.statistics().store.objects == 0


async def test_a_passed_answer_that_breaks_off_is_the_upstreams_fault_and_told_once(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        rig.origin.paths[PATH] = dripping(b"01234", length=10, fail=ConnectionLost("gone"))
        for number in (1, 2):
            with pytest.raises(ConnectionLost):
                await rig.get(PATH, method="POST")
            await trio.testing.wait_all_tasks_blocked()
            counted = rig.statistics()
            assert (counted.passed, counted.upstream_errors, counted.broken) == (number, number, number)
        assert len(rig.events.of(UpstreamLost)) == 1
        assert [each.stream for each in rig.events.of(StreamFault)] == [PATH]
        assert not rig.events.of(ConnectionFailed)


async def test_a_viewer_who_leaves_a_passed_answer_is_nobodys_fault(autojump_clock: MockClock) -> None:
    async with open_edge(policy="rfc9111") as rig:
        rig.origin.paths[PATH] = dripping(*[bytes(100_000)] * 10, pause=1)
        viewer = await rig.viewer()
        await viewer.say(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        await viewer.connection.recv()
        viewer.connection.abort()
        await trio.sleep(20)
        counted = rig.statistics()
        assert (counted.upstream_errors, counted.broken, counted.upstream_connections) == (0, 0, 0)
        assert not rig.events.of(UpstreamLost)


async def test_nothing_is_read_from_upstream_for_who_takes_nothing(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_some = ClientResponse.read_some
    early, pieces = 0, set[tuple[bool, int]]()

    async def watched(self: ClientResponse, limit: int) -> bytes:
        nonlocal early
        early += near.unsent() >= network.buffer_bytes
        pieces.add((near.unsent() > 0, limit))
        return await read_some(self, limit)

    network = MemoryNetwork(buffer_bytes=20_000)
    async with open_edge(policy="rfc9111", network=network) as rig:
        rig.origin.paths[PATH] = dripping(*[bytes(5000)] * 20, pause=0.001)
        viewer = await rig.viewer()
        await viewer.say(head(f"POST {PATH} HTTP/1.1", "Content-Length: 0"))
        await trio.testing.wait_all_tasks_blocked()
        (near,) = rig.handle.running("edge")["hls"]._viewers
        monkeypatch.setattr(ClientResponse, "read_some", watched)
        await trio.sleep(1)
        for _ in range(6000):  # at some time a piece has left to its last byte, and there is no room for the next
            await viewer.connection.recv(1)
            await trio.testing.wait_all_tasks_blocked()
        assert early == 0
        assert pieces == {(True, 12288)}  # who is behind may stall with it; the first came before we looked
