"""The stand-in's ports: who is on them, what was asked, and which protocol a first byte begins."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tierkit import Address, ListenError
from tierkit.plugin import Connection
from tierkit.testing import MemoryNetwork
from tierkit.testing.wowza import open_wowza

from .stand_in import PLAYLIST, address_of, opened


async def test_the_log_has_every_request(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as (stand_in, viewer):
        await viewer.get(f"{PLAYLIST}?a=1")
        await trio.sleep(2)
        await viewer.get("/live/x/playlist.m3u8", "HEAD")
        await trio.testing.wait_all_tasks_blocked()
        one, other = stand_in.requests
        assert (one.method, one.target, one.path, one.status) == ("GET", f"{PLAYLIST}?a=1", PLAYLIST, 200)
        assert (other.method, other.status, other.at - one.at) == ("HEAD", 404, 2.0)
        assert one.connection == other.connection == 1
        assert one.contact.address == "127.0.0.1"
        assert one.sent > 200
        assert stand_in.log.fetches() == {f"{PLAYLIST}?a=1": 1, "/live/x/playlist.m3u8": 1}
        assert stand_in.server.sent.total == one.sent + other.sent
        assert stand_in.server.applications["live"].sent.total == one.sent + other.sent
        again = [await viewer.get("/live/x/playlist.m3u8"), await viewer.get(PLAYLIST), await viewer.get(PLAYLIST)]
        assert [each.status for each in again] == [404, 200, 200]
        versions = [each.version for each in stand_in.requests[1:]]
        assert versions[0] == versions[1] == 0
        assert len(set(versions[1:])) == 3  # each of the last two playlists has a session of its own
        assert "hls-session-per-playlist" in {each.name for each in stand_in.log.relied_on}


async def test_connections_are_counted(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    async with opened(network) as (stand_in, _):
        held = [await network.connect(address_of(stand_in)) for _ in range(3)]
        await trio.testing.wait_all_tasks_blocked()
        assert (stand_in.open_connections, stand_in.most_connections) == (3, 3)
        held[0].close()
        held[1].abort()
        await trio.testing.wait_all_tasks_blocked()
        assert (stand_in.open_connections, stand_in.most_connections) == (1, 3)
        assert [each.closed is None for each in stand_in.log.contacts] == [False, False, True]


async def test_one_who_says_nothing_is_closed(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    async with opened(network) as (stand_in, _):
        connection = await network.connect(address_of(stand_in))
        started = trio.current_time()
        assert await connection.recv() == b""
        assert trio.current_time() - started == 30.0
        connection.close()


@pytest.mark.parametrize("version", [3, 6])
async def test_rtmp_shares_the_port(autojump_clock: trio.testing.MockClock, version: int) -> None:
    network = MemoryNetwork()
    async with opened(network) as (stand_in, viewer):
        taken: list[bytes] = []

        async def rtmp(connection: Connection, first: bytes) -> None:
            taken.append(first)
            await connection.send_all(b"spoken")
            taken.append(await connection.recv())

        stand_in.rtmp = rtmp
        connection = await network.connect(address_of(stand_in))
        await connection.send_all(bytes([version, 1, 2]))
        assert await connection.recv() == b"spoken"
        await connection.send_all(b"more")
        assert await connection.recv() == b""
        connection.close()
        assert taken == [bytes([version, 1, 2]), b"more"]
        assert (await viewer.get(PLAYLIST)).status == 200
        assert [each.protocol for each in stand_in.log.contacts] == ["rtmp", "http"]


@pytest.mark.parametrize("garbage", [b"\x00\xff" * 40, b"\x16\x03\x01", b"GET / HTTP/9\r\n\r\n", b"{}\r\n\r\n"])
async def test_garbage_ends_its_own_connection_alone(autojump_clock: trio.testing.MockClock, garbage: bytes) -> None:
    network = MemoryNetwork()
    async with opened(network) as (stand_in, viewer):
        connection = await network.connect(address_of(stand_in))
        await connection.send_all(garbage)
        connection.end_output()
        while await connection.recv():
            pass
        connection.close()
        assert (await viewer.get(PLAYLIST)).status == 200


async def test_heads_come_in_pieces(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    async with opened(network) as (stand_in, _):
        connection = await network.connect(address_of(stand_in))
        for byte in f"GET {PLAYLIST} HTTP/1.1\r\nHost: x\r\n\r\n".encode():
            await connection.send_all(bytes([byte]))
            await trio.testing.wait_all_tasks_blocked()
        assert (await connection.recv()).startswith(b"HTTP/1.1 200 OK\r\n")
        connection.close()


async def test_which_ports_there_are(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    async with open_wowza(network=network, listen="wowza:1935", admin="wowza:8086", rest="wowza:8087") as stand_in:
        told = [str(each) for each in (stand_in.address, stand_in.admin_address, stand_in.rest_address)]
        assert told == ["wowza:1935", "wowza:8086", "wowza:8087"]
        assert stand_in.url("live/myStream") == "http://wowza:1935/live/myStream/playlist.m3u8"
        assert stand_in.url("live/myStream", "rtmp") == "rtmp://wowza:1935/live/myStream"
        with pytest.raises(ListenError, match="taken"):
            async with open_wowza(network=network, listen="wowza:1935"):
                pass
    async with open_wowza(network=network, listen="wowza:1935", admin=None, profile="wms3") as stand_in:
        assert list(stand_in.addresses) == ["streaming"]
        with pytest.raises(LookupError, match="rest"):
            _ = stand_in.rest_address


async def test_what_is_raised_within_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with open_wowza(network=MemoryNetwork()):
            raise KeyError("mine")


async def test_over_real_sockets() -> None:
    from tierkit import RealNetwork
    from tierkit.http import HttpClient

    network = RealNetwork()
    with trio.fail_after(20):
        async with open_wowza(network=network) as stand_in:
            client = HttpClient(network, trio.current_time)
            url = Address.parse(stand_in.url("live/myStream"))
            async with client.request("GET", url) as response:
                body = await response.read(10_000)
            client.close()
    assert body.startswith(b"#EXTM3U\n")
