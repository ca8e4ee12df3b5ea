"""Upstreams that break off over the sockets of this machine, where a reset is a reset and a memfd grows."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest
import trio

from tests.core.fakes import Record
from tests.plugins.upstreams_rig import SEGMENT, Mirror
from tests.support_http import Viewer, open_door, open_server
from tierkit import Edge, Graph, Origin
from tierkit._net import RealNetwork
from tierkit._registry import Registry
from tierkit._serve import open_graph
from tierkit.events import UpstreamLost
from tierkit.http import HttpClient, Request, Response
from tierkit.plugin import Address, Connection, UpstreamError
from tierkit.plugins.hls import HLS

VIEWERS = 40
BODY = random.Random(8).randbytes(3_000_000)


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_everybody_who_reads_a_body_that_breaks_off_gets_all_of_it(framing: str) -> None:
    network, seen = RealNetwork(), Record()
    a = Mirror(body=BODY, framing=framing, breaks=[1_234_567], piece=50_000)
    b = Mirror(body=BODY, framing=framing, breaks=[700_001], piece=50_000)
    async with (
        open_server(network, a, "http://127.0.0.1:0") as first,  # type: ignore[arg-type]
        open_server(network, b, "http://127.0.0.1:0") as second,  # type: ignore[arg-type]
    ):
        upstream = (Origin("a", first.address), Origin("b", second.address))
        edge = Edge("edge", upstream=upstream, listen="http://127.0.0.1:0", serves=HLS())
        options = {"network": network, "registry": Registry(), "observers": [seen], "drain": 1}
        async with open_graph(Graph.of(edge), **options) as handle:  # type: ignore[arg-type]
            same: list[bool] = []

            async def view() -> None:
                viewer = Viewer(await network.connect(Address.parse(handle.url("edge", scheme="http"))))
                same.append((await viewer.ask(SEGMENT)).body == BODY)
                viewer.connection.close()

            with trio.fail_after(30):
                async with trio.open_nursery() as nursery:
                    for _ in range(VIEWERS):
                        nursery.start_soon(view)
            assert same == [True] * VIEWERS
            assert a.ranges_asked() == [None, b"bytes=%d-" % (1_234_567 + 700_001)]
            assert b.ranges_asked() == [b"bytes=1234567-"]
            assert [event.upstream for event in seen.of(UpstreamLost)] == ["a", "b"]


async def test_a_body_that_is_refused_half_way_never_hangs() -> None:
    """The answer may be lost to the reset behind it; the client gets that or the answer, and keeps no connection."""
    network = RealNetwork()

    async def refuse(request: Request) -> Response:
        return Response(413, [], b"too large", close=True)

    async with open_server(network, refuse, "http://127.0.0.1:0") as server:  # type: ignore[arg-type]
        client = HttpClient(network, trio.current_time)
        outcomes: set[tuple[object, bytes]] = set()
        for _ in range(20):
            with trio.fail_after(10):
                try:
                    async with client.request("PUT", server.address, body=b"x" * 20_000_000) as response:
                        outcomes.add((response.status, await response.read(100)))
                except UpstreamError as error:
                    outcomes.add((type(error), b""))
            assert client.connections == 0
        assert outcomes <= {(413, b"too large"), (UpstreamError, b"")}


async def test_a_body_goes_as_fast_as_the_upstream_takes_it() -> None:
    network, got = RealNetwork(), bytearray()
    body = random.Random(9).randbytes(10_000_000)

    async def slow(connection: Connection) -> None:
        while not got.endswith(b"0\r\n\r\n"):
            got.extend(await connection.recv())
        await connection.send_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        await trio.sleep_forever()

    parts = [body[at : at + 300_000] for at in range(0, len(body), 300_000)]

    async def pieces() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async with open_door(network, "http://127.0.0.1:0", slow) as server:  # type: ignore[arg-type]
        client = HttpClient(network, trio.current_time)
        with trio.fail_after(20):
            async with client.request("PUT", server.address, body=pieces()) as response:
                assert response.status == 201
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        assert got[got.index(b"\r\n\r\n") + 4 :] == chunks + b"0\r\n\r\n"
        client.close()
