"""People who stop reading: given up in time, with a line that says so, and nobody waits for them."""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import MockClock

from tests.rtmp.rig import viewer
from tests.support_http import open_server
from tierkit import Edge, Origin
from tierkit.errors import ConnectionLost
from tierkit.http import HttpClient, Request, Response
from tierkit.plugin import Connection
from tierkit.plugins.hls import HLS
from tierkit.rtmp import open_publisher

from .rig import VIDEO, Scene, get, loop, plan, watched

LARGE = random.Random(5).randbytes(8 << 20)
PATH = "/live/s/media_1.ts"


def picture(*, key: bool) -> bytes:
    """A coded picture of 8 Mbit/s."""
    unit = (b"\x65" if key else b"\x41") + b"\x88" * 100_000
    return (b"\x17" if key else b"\x27") + b"\x01\x00\x00\x00" + len(unit).to_bytes(4, "big") + unit


async def far(request: Request) -> Response:
    return Response(200, [(b"Content-Type", b"video/MP2T")], LARGE)


async def test_within_a_large_object(autojump_clock: MockClock) -> None:
    origin = Origin("far", "http://far.example:80")
    other = Edge("other", host="other.example", listen="http://other.example:80", upstream=origin, serves=HLS())
    async with watched(plan(other)) as scene, open_server(scene.memory, far, "http://far.example:80"):
        stalled = await scene.network.connect(scene.url("other"))
        await stalled.send_all(f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await stalled.recv()
        began = trio.current_time()
        # Everybody else has it meanwhile.
        client = HttpClient(scene.network, trio.current_time)
        assert await get(client, scene.url("other", PATH)) == (200, LARGE)
        client.close()
        line = await scene.line("other")
        assert 29 < trio.current_time() - began < 32
        assert line == f"other: dropped 127.0.0.1:{stalled_port(scene)}: the viewer took nothing for 30 s"
        with pytest.raises(ConnectionLost):
            await read_on(stalled)
        stalled.close()
        await trio.sleep(70)  # what the edge keeps for its next question to that origin
        await scene.undisturbed()


async def read_on(connection: Connection) -> None:
    while await connection.recv():
        pass


def stalled_port(scene: Scene) -> int:
    return next(each.source.port for each in scene.memory.connections if each.address.host == "other.example")


@pytest.mark.parametrize("tier", ["studio", "relay"])
async def test_a_player(tier: str, autojump_clock: MockClock) -> None:
    """A heavy stream of another name, so that the bounds are met; one of its two players stops reading."""
    async with watched() as scene:
        url = scene.url("studio", "/live/heavy", scheme="rtmp")
        where = scene.url(tier, "/live/heavy", scheme="rtmp")
        async with open_publisher(scene.network, url) as publisher:
            for header in loop()[0]:
                await publisher.send(*header)
            async with viewer(scene.memory, where) as stalled, viewer(scene.memory, where) as well:
                for index in range(400):
                    await publisher.send(VIDEO, index * 100, picture(key=index % 10 == 0))
                    await trio.sleep(0.1)
                    if index == 20:
                        stalled.pause()
                line = await scene.line(tier)
                assert line.startswith(f"{tier}: dropped 192.0.2.7:")
                assert line.endswith(": too slow: took nothing for 30 s")
                stalled.go_on()
                await stalled.ended.wait()
                assert stalled.lost
                assert well.letters.count("K") == 40
                assert well.letters.count("P") == 360
        await trio.sleep(45)
        await scene.undisturbed()
