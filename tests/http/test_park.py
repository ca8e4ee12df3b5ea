"""The park, on real sockets: what it answers itself, and what it wakes a connection's task for."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import trio
from attrs import define, field

from tests.net.conftest import Papers
from tests.support_http import Viewer
from tierkit import Address, Certificate, Listener, Trust
from tierkit._net import RealNetwork
from tierkit.errors import ConnectionLost
from tierkit.http import Park, Ready, Request, Response, ServerTimeouts, plain_get, serve_http
from tierkit.plugin import Blob, Connection

BODY = b"at hand"
READY = Ready(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY)


@define(eq=False)
class House:
    """A server that has one answer at hand, for /hand, and makes all others."""

    network: RealNetwork
    address: Address
    park: Park
    ready: Ready = READY
    asked: list[str] = field(factory=list)
    quick: int = 0
    connections: list[Connection] = field(factory=list)
    ends: list[Exception | None] = field(factory=list)
    trust: Trust | None = None
    viewers: list[Viewer] = field(factory=list)

    def hand(self, data: bytes) -> Ready | None:
        known = plain_get(data)
        if known is None or known[0] != b"/hand":
            if known is not None and known[0] == b"/broken":
                raise RuntimeError("the quick function is broken")
            return None
        self.quick += 1
        return self.ready

    async def handler(self, request: Request) -> Response:
        self.asked.append(request.path)
        return Response(200, [], b"made")

    async def viewer(self) -> Viewer:
        self.viewers.append(Viewer(await self.network.connect(self.address, trust=self.trust)))
        return self.viewers[-1]

    async def parked(self) -> None:
        """Until every connection that was dialled and has not ended waits in the park."""
        while len(self.park._places) < len(self.viewers) - len(self.ends):
            await trio.sleep(0.001)


@asynccontextmanager
async def open_house(
    certificate: Certificate | None = None, trust: Trust | None = None, **times: float
) -> AsyncIterator[House]:
    network = RealNetwork()
    at = "https://127.0.0.1:0" if certificate else "http://127.0.0.1:0"
    bound = await network.listen(Listener(at, certificate or ()))
    house = House(network, bound.address, Park(network, trio.current_time), trust=trust)

    async def guard(connection: Connection) -> None:
        try:
            await connection.establish()
            await serve_http(
                connection, house.handler, ServerTimeouts(**times), quick=house.hand, park=house.park
            )  # fmt: skip
            house.ends.append(None)
        except Exception as error:
            house.ends.append(error)
        finally:
            connection.close()

    async def accept() -> None:
        while True:
            try:
                connection = await bound.accept()
            except ConnectionLost:
                return
            house.connections.append(connection)
            nursery.start_soon(guard, connection)

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.park.run)
            nursery.start_soon(accept)
            yield house
            nursery.cancel_scope.cancel()
        bound.close()
        for viewer in house.viewers:
            viewer.connection.close()
    assert house.park._places == {}


async def ended(house: House) -> Exception | None:
    while not house.ends:
        await trio.sleep(0.001)
    return house.ends[0]


async def test_what_is_at_hand_needs_no_handler() -> None:
    async with open_house() as house:
        viewer = await house.viewer()
        for _ in range(3):
            assert (await viewer.ask("/made")).body == b"made"
            assert (await viewer.ask("/hand")).body == BODY
        assert (house.asked, house.quick) == (["/made"] * 3, 3)


async def test_the_first_request_settles_a_connection_in_the_park_too() -> None:
    async with open_house() as house:
        await (await house.viewer()).ask("/hand")  # makes the block known
        viewer = await house.viewer()
        await house.parked()
        settled = []
        house.connections[1].when_settled = lambda: settled.append(True)
        await viewer.ask("/hand")
        await viewer.ask("/hand")
        assert settled == [True]


async def test_requests_sent_ahead_and_in_pieces_go_to_the_task() -> None:
    async with open_house() as house:
        viewer = await house.viewer()
        await viewer.ask("/made")
        request = b"GET /hand HTTP/1.1\r\nHost: server\r\n\r\n"
        await viewer.say(request * 3)
        assert [(await viewer.answer()).body for _ in range(3)] == [b"made"] * 3
        await viewer.say(request[:9])
        await trio.sleep(0.01)
        await viewer.say(request[9:])
        assert (await viewer.answer()).body == b"made"


class _Bytes(Blob):
    """A blob of 32 MB, as a file: more than the kernel holds for who does not read."""

    SIZE = 32 << 20

    def __init__(self, file: int) -> None:
        self._file = file

    def fileno(self) -> int:
        return self._file

    def read(self, offset: int, count: int) -> bytes:
        return os.pread(self._file, count, offset)


class _Held:
    held = 0

    def acquire(self) -> None:
        self.held += 1

    def release(self) -> None:
        self.held -= 1


@pytest.fixture
def large() -> Iterator[tuple[Ready, _Held, bytes]]:
    data = os.urandom(1 << 16) * (_Bytes.SIZE >> 16)
    file = os.memfd_create("large")
    os.write(file, data)
    held = _Held()
    return (
        Ready(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data), _Bytes(file), len(data), held=held),
        held,
        data,
    )


async def test_who_does_not_take_all_of_it_gets_the_rest_from_its_task(large: tuple[Ready, _Held, bytes]) -> None:
    ready, held, data = large
    async with open_house() as house:
        house.ready = ready
        viewer = await house.viewer()
        await viewer.ask("/made")
        await viewer.say(b"GET /hand HTTP/1.1\r\nHost: server\r\n\r\n")
        while not held.held:  # it reads nothing, so its task waits for room, and holds the bytes
            await trio.sleep(0.001)
        assert (await viewer.answer()).body == data
        assert (await viewer.ask("/made")).body == b"made"
        assert held.held == 0


async def test_who_takes_nothing_is_reset_and_lets_go(large: tuple[Ready, _Held, bytes]) -> None:
    ready, held, _ = large
    async with open_house(stall=0.05) as house:
        house.ready = ready
        viewer = await house.viewer()
        await viewer.ask("/made")
        await viewer.say(b"GET /hand HTTP/1.1\r\nHost: server\r\n\r\n")
        assert "took nothing for 0.05 s" in str(await ended(house))
        assert held.held == 0


async def test_a_drain_reaches_who_waits_in_the_park() -> None:
    async with open_house() as house:
        viewer = await house.viewer()
        await viewer.ask("/made")
        await house.parked()
        (connection,) = house.connections
        assert connection.idle
        connection.end_input()
        assert await ended(house) is None
        assert await viewer.rest() == b""


async def test_who_is_reset_by_ourselves_leaves_the_park() -> None:
    async with open_house() as house:
        viewer = await house.viewer()
        await viewer.ask("/made")
        await house.parked()
        house.connections[0].abort()
        assert isinstance(await ended(house), ConnectionLost)


async def test_who_hangs_up_or_resets_leaves_the_park() -> None:
    async with open_house() as house:
        viewer = await house.viewer()
        await viewer.ask("/made")
        await house.parked()
        viewer.connection.close()
        assert await ended(house) is None
        viewer = await house.viewer()
        await viewer.ask("/made")
        await house.parked()
        viewer.connection.abort()
        while len(house.ends) < 2:
            await trio.sleep(0.001)
        assert isinstance(house.ends[1], ConnectionLost)


async def test_who_is_idle_for_too_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tierkit._http_park.SWEEP", 0.01)
    async with open_house(idle=0.05) as house:
        viewer = await house.viewer()
        await viewer.ask("/made")
        with trio.fail_after(3):
            assert await ended(house) is None
        assert await viewer.rest() == b""


async def test_a_broken_quick_function_ends_its_connection_alone() -> None:
    async with open_house() as house:
        viewers = [await house.viewer() for _ in range(2)]
        for viewer in viewers:
            await viewer.ask("/made")
        await house.parked()
        await viewers[0].say(b"GET /broken HTTP/1.1\r\nHost: server\r\n\r\n")
        assert isinstance(await ended(house), RuntimeError)
        assert (await viewers[1].ask("/hand")).body == BODY


async def test_over_tls_two_requests_in_one_record_are_two_answers(
    papers: Papers, local_certificate: Certificate
) -> None:
    async with open_house(local_certificate, papers.trust) as house:
        viewer = await house.viewer()
        await viewer.ask("/made")
        await house.parked()
        before = house.quick
        for _ in range(2):  # each a record of its own, both on the wire before the server looks
            viewer.connection.send_nowait(b"GET /hand HTTP/1.1\r\nHost: server\r\n\r\n")
        assert [(await viewer.answer()).body for _ in range(2)] == [BODY, BODY]
        assert house.quick == before + 2
