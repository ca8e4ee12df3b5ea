"""The control address: what it answers, and to whom it does not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio
from trio.testing import MockClock

from tierkit import Graph, GraphHandle, ListenError, Registry, Relay, open_graph
from tierkit.http import HttpClient
from tierkit.plugin import (
    Address,
    Companion,
    ControlAnswer,
    ControlRequest,
    ControlRoute,
    Handle,
    Sink,
    hookimpl,
)
from tierkit.plugins import control, rtmp
from tierkit.plugins.rtmp import RTMP
from tierkit.testing import MemoryNetwork


async def _purge(request: ControlRequest) -> ControlAnswer:
    return ControlAnswer(body=f"purged {request.query['path']} {request.body.decode()}\n".encode())


async def _fields(request: ControlRequest) -> ControlAnswer:
    return ControlAnswer(body=json.dumps(dict(request.headers)).encode())


@hookimpl
def tierkit_control_routes() -> Sequence[ControlRoute]:
    return [ControlRoute("POST", "/forget", _purge, changes=True), ControlRoute("POST", "/fields", _fields)]


class Told(Companion):
    """Says something every second, and keeps how it ended."""

    def __init__(self) -> None:
        self.ended = False

    def routes(self) -> Sequence[ControlRoute]:
        return [ControlRoute("GET", "/told", self._answer)]

    async def _answer(self, request: ControlRequest) -> ControlAnswer:
        return ControlAnswer(body=self._tell, content_type="text/event-stream", headers=[(b"X-Told", b"yes")])

    async def _tell(self, sink: Sink) -> None:
        try:
            while True:
                await sink.write(b"data: told\n\n")
                await trio.sleep(1)
        finally:
            self.ended = True

    @asynccontextmanager
    async def open(self, handle: Handle) -> AsyncIterator[None]:
        yield


CONTROL = Address.parse("http://127.0.0.1:9000")


@asynccontextmanager
async def opened(token: str = "", *companions: Companion) -> AsyncIterator[tuple[MemoryNetwork, GraphHandle]]:
    registry = Registry()
    registry.add("told", SimpleNamespace(tierkit_companions=hookimpl(lambda: companions)))
    registry.add("control", control)
    registry.add("rtmp", rtmp)
    registry.add("purger", SimpleNamespace(tierkit_control_routes=tierkit_control_routes))
    assert registry.failures == []
    network = MemoryNetwork()
    relay = Relay("relay", listen="rtmp://127.0.0.1:1935", serves=RTMP())
    graph = Graph.of(relay, control=":9000", control_token=token)
    async with open_graph(graph, network=network, registry=registry, drain=5) as handle:
        yield network, handle


async def ask(
    network: MemoryNetwork, method: str, path: str, *headers: tuple[bytes, bytes]
) -> tuple[int, dict[bytes, bytes], bytes]:
    client = HttpClient(network, trio.current_time)
    where, _, query = path.partition("?")
    async with client.request(method, CONTROL.with_(path=where, query=query), headers) as response:
        found = response.status, dict(response.headers), await response.read(1 << 20)
    client.close()
    return found


async def test_a_route_is_given_the_fields_but_not_what_lets_in(autojump_clock: MockClock) -> None:
    async with opened(token="s3cret") as (network, _):
        fields = [(b"Authorization", b"Bearer s3cret"), (b"X-Of-Two", b"one"), (b"X-Of-Two", b"two")]
        _, _, body = await ask(network, "POST", "/fields", *fields)
        told = json.loads(body)
        assert told["x-of-two"] == "one, two"
        assert "authorization" not in told


async def test_a_bare_port_means_loopback(autojump_clock: MockClock) -> None:
    async with opened() as (_, handle):
        assert handle.graph.control is not None
        assert str(handle.graph.control.address) == "http://127.0.0.1:9000"


async def test_a_handle_says_where_its_control_address_is_bound(autojump_clock: MockClock) -> None:
    registry = Registry()
    registry.add("control", control)
    registry.add("rtmp", rtmp)
    graph = Graph.of(Relay("relay", listen="rtmp://127.0.0.1:1935", serves=RTMP()), control="127.0.0.1:0")
    async with open_graph(graph, network=MemoryNetwork(), registry=registry, drain=0) as handle:
        assert handle.control is not None
        assert (handle.control.host, handle.control.port) == ("127.0.0.1", handle.control.port or None)
    assert handle.control is None


async def test_healthz_and_readyz(autojump_clock: MockClock) -> None:
    async with opened() as (network, _):
        assert (await ask(network, "GET", "/healthz"))[::2] == (200, b"ok\n")
        assert (await ask(network, "GET", "/readyz"))[::2] == (200, b"relay running\n")
        assert (await ask(network, "HEAD", "/readyz"))[::2] == (200, b"")


async def test_statistics_are_json_and_not_for_caches(autojump_clock: MockClock) -> None:
    async with opened() as (network, _):
        status, headers, body = await ask(network, "GET", "/statistics")
        assert status == 200
        assert headers[b"content-type"] == b"application/json"
        assert headers[b"cache-control"] == b"no-store"
        told = json.loads(body)
        assert told["process"]["ready"] is True
        assert told["tiers"]["relay"]["addresses"] == ["rtmp://127.0.0.1:1935"]
        assert told["tiers"]["relay"]["services"]["rtmp"]["players"] == 0


async def test_it_answers_while_the_tiers_drain(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        async with opened() as (network, _):
            # A viewer who stays makes the drain last.
            viewer = await network.connect(Address.parse("rtmp://127.0.0.1:1935"))

            async def look() -> None:
                await trio.sleep(1)
                status, _, body = await ask(network, "GET", "/readyz")
                assert (status, body) == (503, b"relay draining\n")
                assert (await ask(network, "GET", "/healthz"))[0] == 200

            nursery.start_soon(look)
        viewer.close()


async def test_a_companion_brings_routes_and_may_go_on_telling(autojump_clock: MockClock) -> None:
    told = Told()
    async with opened("", told) as (network, _):
        client = HttpClient(network, trio.current_time)
        async with client.request("GET", CONTROL.with_(path="/told")) as response:
            assert dict(response.headers)[b"x-told"] == b"yes"
            assert dict(response.headers)[b"content-type"] == b"text/event-stream"
            assert [await response.read_some() for _ in range(3)] == [b"data: told\n\n"] * 3
        client.close()
        await trio.sleep(3)
        assert told.ended  # whoever has gone is not told for ever
        told.ended = False
        stays = await network.connect(CONTROL)
        await stays.send_all(b"GET /told HTTP/1.1\r\nHost: h\r\n\r\n")
        await stays.recv()
        assert not told.ended
    assert told.ended  # and nobody holds the end up
    stays.close()


async def test_what_is_not_there_says_what_is(autojump_clock: MockClock) -> None:
    async with opened() as (network, _):
        status, _, body = await ask(network, "GET", "/nothing")
        assert status == 404
        assert body == b"nothing is here; there are /fields /forget /healthz /kick /purge /readyz /statistics\n"
        status, headers, _ = await ask(network, "GET", "/forget")
        assert (status, headers[b"allow"]) == (405, b"POST")


async def test_too_many_parameters_are_a_mistake(autojump_clock: MockClock) -> None:
    async with opened() as (network, _):
        status, _, body = await ask(network, "GET", "/healthz?" + "&".join(f"a{i}=1" for i in range(65)))
        assert (status, body) == (400, b"more than 64 parameters: there are too many\n")


async def test_changes_are_refused_without_a_token_in_the_graph(autojump_clock: MockClock) -> None:
    async with opened() as (network, _):
        status, _, body = await ask(network, "POST", "/forget?path=/live", (b"Authorization", b"Bearer"))
        assert status == 403
        assert b"control_token" in body


@pytest.mark.parametrize("shown", [None, b"Bearer wrong", b"secret", b"Bearer", b"Basic c2VjcmV0", b"Bearer \xff"])
async def test_changes_are_refused_without_the_token(shown: bytes | None, autojump_clock: MockClock) -> None:
    async with opened("secret") as (network, _):
        headers = [] if shown is None else [(b"Authorization", shown)]
        status, fields, body = await ask(network, "POST", "/forget?path=/live", *headers)
        assert status == 401
        assert fields[b"www-authenticate"] == b"Bearer"
        assert b"secret" not in body.replace(b"control_token", b"")


async def test_changes_are_made_with_the_token(autojump_clock: MockClock) -> None:
    async with opened("secret") as (network, _):
        answer = await ask(network, "POST", "/forget?path=/live/s", (b"Authorization", b"Bearer secret"))
        assert answer[::2] == (200, b"purged /live/s \n")


async def test_a_silent_caller_is_cut_after_ten_seconds(autojump_clock: MockClock) -> None:
    async with opened() as (network, _):
        caller = await network.connect(CONTROL)
        before = trio.current_time()
        assert await caller.recv() == b""
        assert trio.current_time() - before == pytest.approx(10, abs=0.1)


async def test_too_many_callers_are_turned_away_and_the_first_are_served(autojump_clock: MockClock) -> None:
    async with opened() as (network, _):
        callers = [await network.connect(CONTROL) for _ in range(control.MAX_CONNECTIONS)]
        await trio.sleep(1)
        late = await network.connect(CONTROL)
        await late.send_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(Exception, match="reset"):
            await late.recv()
        await callers[0].send_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await callers[0].recv()).startswith(b"HTTP/1.1 200")
        callers[1].close()
        await trio.sleep(1)
        assert (await ask(network, "GET", "/healthz"))[0] == 200


async def test_a_taken_port_is_one_line(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()
    registry = Registry()
    registry.add("control", control)
    relay = Relay("relay", listen="rtmp://127.0.0.1:1935", serves=RTMP())
    from tierkit import Listener

    await network.listen(Listener("http://127.0.0.1:9000"))
    with pytest.raises(ListenError, match="9000"):
        async with open_graph(Graph.of(relay, control=":9000"), network=network, registry=registry):
            pytest.fail("must not start")
