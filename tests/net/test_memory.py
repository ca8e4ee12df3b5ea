"""The network in memory: names, counting, and what can be made to go wrong."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tierkit import Address, Certificate, Listener, ListenError
from tierkit.errors import ConnectionLost, RemoteProtocolError
from tierkit.plugin import Bound, Connection
from tierkit.testing import MemoryNetwork, pattern, read_exactly

HOST = "http://a1.example:80"
NO_FILES = Certificate("cert.pem")


async def bound_at(network: MemoryNetwork, text: str = HOST) -> Bound:
    secure = text.startswith(("https", "rtmps"))
    return await network.listen(Listener(text, NO_FILES if secure else ()))


async def ends(network: MemoryNetwork, text: str = HOST, **options) -> tuple[Connection, Connection]:
    bound = await bound_at(network, text)
    near = await network.connect(bound.address, **options)
    return near, await bound.accept()


async def dial(network: MemoryNetwork, text: str = HOST) -> str:
    with pytest.raises(ConnectionLost) as caught:
        await network.connect(Address.parse(text))
    return str(caught.value)


async def test_every_name_is_a_machine() -> None:
    network = MemoryNetwork()
    doors = {host: await bound_at(network, f"http://{host}:80") for host in ("127.0.0.2", "127.0.0.3", "a1.example")}
    for host, bound in doors.items():
        await network.connect(Address("http", host, 80))
        assert (await bound.accept()).door is bound.door
    assert await dial(network, "http://a2.example:80") == (
        "http://a2.example:80 refuses connections: nothing listens there"
    )
    with pytest.raises(ListenError, match=r"http://a1\.example:80 is already taken"):
        await bound_at(network)
    with pytest.raises(ListenError, match="is already taken"):
        await bound_at(network, "http://:80")


async def test_a_wildcard_is_reached_by_every_name() -> None:
    network = MemoryNetwork()
    bound = await bound_at(network, "http://:0")
    assert str(bound.address) == "http://[::]:40001"
    for host in ("127.0.0.1", "::1", "localhost", "a1.example"):
        await network.connect(Address("http", host, 40001))
        await bound.accept()


async def test_ports_and_peers_are_the_same_on_every_run() -> None:
    for _ in range(2):
        network = MemoryNetwork()
        near, far = await ends(network, "rtmp://127.0.0.1:0", source="198.51.100.7")
        assert str(near.peer) == "127.0.0.1:40001"
        assert str(far.peer) == "198.51.100.7:40002"


async def test_unix_sockets_have_no_ports() -> None:
    network = MemoryNetwork()
    bound = await network.listen(Listener(Address("http", unix="/run/edge.sock")))
    near = await network.connect(bound.address)
    assert str(near.peer) == str((await bound.accept()).peer) == "unix"


async def test_connections_are_counted_for_the_test() -> None:
    network = MemoryNetwork()
    bound = await bound_at(network, "http://origin:80")
    near = await network.connect(Address.parse("http://origin:80/live/s/playlist.m3u8"))
    far = await bound.accept()
    await near.send_all(b"12345")
    await far.send_all(b"123")
    (dialled,) = network.connections
    assert dialled.address.path == "/live/s/playlist.m3u8"
    assert dialled.door is bound.door
    assert (dialled.bytes_up, dialled.bytes_down, dialled.open) == (5, 3, True)
    far.close()
    assert not dialled.open


async def test_tls_is_marked_and_mismatches_are_told() -> None:
    network = MemoryNetwork()
    near, far = await ends(network, "https://a1.example:443")
    await far.establish()
    assert near.secure
    assert far.secure
    bound = await bound_at(network, "https://a2.example:443")
    await network.connect(bound.address.with_(scheme="http"))
    with pytest.raises(RemoteProtocolError, match="no TLS handshake"):
        await (await bound.accept()).establish()
    await bound_at(network)
    assert "no TLS handshake" in await dial(network, "https://a1.example:80")


async def test_a_small_buffer_makes_writes_short() -> None:
    near, far = await ends(MemoryNetwork(buffer_bytes=10))
    assert near.send_nowait(pattern(100)) == 10
    assert near.send_nowait(b"x") == 0
    assert await far.recv(4) == pattern(4)
    await near.wait_writable()
    assert near.send_nowait(pattern(100)) == 4


async def test_a_full_queue_is_waited_for() -> None:
    network = MemoryNetwork()
    bound = await network.listen(Listener.parse(HOST), backlog=2)
    arrived: list[Connection] = []

    async def one() -> None:
        arrived.append(await network.connect(bound.address))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(one)
        await trio.testing.wait_all_tasks_blocked()
        assert len(arrived) == 2
        await bound.accept()
        await trio.testing.wait_all_tasks_blocked()
        assert len(arrived) == 3
        nursery.start_soon(raises_lost, network, bound.address)
        await trio.testing.wait_all_tasks_blocked()
        await bound.accept()
        await trio.testing.wait_all_tasks_blocked()
        assert len(arrived) == 4
        bound.close()  # whoever still waits is refused, whoever was queued is reset
    with pytest.raises(ConnectionLost, match="reset"):
        await arrived[3].recv()


async def raises_lost(network: MemoryNetwork, address: Address) -> None:
    with pytest.raises(ConnectionLost, match="refuses"):
        await network.connect(address)


# --- faults --------------------------------------------------------------------------------------


async def test_refused_so_many_times() -> None:
    network = MemoryNetwork()
    await bound_at(network)
    network.fault(HOST, refuse=True, times=2)
    for _ in range(2):
        assert "refuses connections" in await dial(network)
    await network.connect(Address.parse(HOST))


async def test_a_black_hole_takes_as_long_as_one_waits(autojump_clock) -> None:
    network = MemoryNetwork()
    await bound_at(network)
    network.fault(HOST, black_hole=True)
    with trio.move_on_after(1000) as scope:
        await network.connect(Address.parse(HOST))
    assert scope.cancelled_caught
    network.heal(HOST)
    await network.connect(Address.parse(HOST))


@pytest.mark.parametrize("after", [0, 1, 1000, 70_000])
async def test_a_cut_after_so_many_bytes(after: int) -> None:
    network = MemoryNetwork()
    network.fault(HOST, cut_after=after)
    near, far = await ends(network)
    await near.send_all(b"request")
    with pytest.raises(ConnectionLost, match="reset"):
        await far.send_all(pattern(80_000))
    assert await read_exactly(near, after) == pattern(80_000)[:after]
    with pytest.raises(ConnectionLost, match="reset"):
        await near.recv()
    assert await far.recv() == b"request"
    with pytest.raises(ConnectionLost, match="reset"):
        await far.recv()


async def test_a_stall_until_it_is_healed(autojump_clock) -> None:
    network = MemoryNetwork(buffer_bytes=1000)
    network.fault(HOST, stall_after=100)
    near, far = await ends(network)

    async def write() -> None:
        await far.send_all(pattern(5000))

    got = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        with trio.move_on_after(60):
            while data := await near.recv():
                got += data
        assert got == pattern(5000)[:100]
        assert near.recv_nowait() is None
        assert not near.readable_now()
        await near.send_all(b"is anybody there?")
        assert far.recv_nowait() is None
        network.heal(HOST)
        while len(got) < 5000:
            got += await near.recv()
    assert got == pattern(5000)
    assert await far.recv() == b"is anybody there?"


async def test_a_stalled_end_is_not_seen_either(autojump_clock) -> None:
    network = MemoryNetwork()
    network.fault(HOST, stall_after=4)
    near, far = await ends(network)
    await far.send_all(b"12345678")
    far.close()
    assert await near.recv() == b"1234"
    with trio.move_on_after(60) as scope:
        await near.recv()
    assert scope.cancelled_caught


async def test_faults_are_about_one_address() -> None:
    network = MemoryNetwork()
    await bound_at(network)
    await bound_at(network, "http://a2.example:80")
    network.fault(HOST, refuse=True)
    await network.connect(Address.parse("http://a2.example:80"))
    assert "refuses" in await dial(network)
    with pytest.raises(TypeError):
        network.fault(HOST, explode=True)
