"""Listeners: every address, names, unix sockets, and the line that tells why one cannot be opened."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest
import trio

from tierkit import Address, Listener, ListenError
from tierkit._net import UNIX_MODE, RealNetwork, dialable, raise_descriptor_limit
from tierkit._ports import Bound
from tierkit.errors import ConnectionLost
from tierkit.testing import MemoryNetwork


async def opened(text: str | Address, **options) -> Bound:
    with trio.fail_after(10):
        return await RealNetwork().listen(Listener.parse(text), **options)


async def refused(text: str | Address) -> str:
    with pytest.raises(ListenError) as caught:
        (await opened(text)).close()
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def reached_by(bound: Bound, host: str) -> str:
    """Dial `host` at the listener's port; returns who the listener thinks that was."""
    async with trio.open_nursery() as nursery:
        hosts: list[str] = []

        async def accept() -> None:
            connection = await bound.accept()
            hosts.append(connection.peer.host)
            connection.close()

        nursery.start_soon(accept)
        (await RealNetwork().connect(Address("http", host, bound.address.port))).close()
    return hosts[0]


async def test_a_bare_port_is_every_address_of_both_families() -> None:
    bound = await opened("http://:0")
    assert bound.address.host == "::"
    assert str(bound.address) == f"http://[::]:{bound.address.port}"
    assert dialable(bound.address) == Address("http", "127.0.0.1", bound.address.port)
    # IPv4 viewers are shown, counted and matched as IPv4, not as ::ffff:127.0.0.1.
    assert await reached_by(bound, "127.0.0.1") == "127.0.0.1"
    assert await reached_by(bound, "::1") == "::1"
    bound.close()


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
async def test_without_ipv6_a_bare_port_is_every_ipv4_address(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    class NoIPv6(socket.socket):
        def __init__(self, family: int = socket.AF_INET, *args, **options) -> None:
            if family == socket.AF_INET6 and number == errno.EAFNOSUPPORT:
                raise OSError(number, "no IPv6")
            super().__init__(family, *args, **options)

        def bind(self, address) -> None:
            if self.family == socket.AF_INET6:
                raise OSError(number, "no IPv6")
            super().bind(address)

    monkeypatch.setattr(socket, "socket", NoIPv6)
    bound = await opened("http://:0")
    assert bound.address.host == "0.0.0.0"
    bound.close()


async def test_one_address_is_one_address() -> None:
    bound = await opened("http://[::1]:0")
    with pytest.raises(ConnectionLost, match="refuses connections"):
        await RealNetwork().connect(Address("http", "127.0.0.1", bound.address.port))
    assert await reached_by(bound, "::1") == "::1"
    bound.close()
    # Three machines on one port: the loopback network has room for them.
    first = await opened("http://127.0.0.2:0")
    second = await opened(first.address.with_(host="127.0.0.3"))
    assert await reached_by(first, "127.0.0.2") == "127.0.0.1"
    first.close()
    second.close()


async def test_a_name_is_looked_up() -> None:
    bound = await opened("http://localhost:0")
    assert bound.address.host == "127.0.0.1"
    bound.close()


async def test_accepted_sockets_inherit_what_they_need() -> None:
    bound = await opened("rtmp://127.0.0.1:0", send_lowat=98304)
    near = await RealNetwork().connect(bound.address)
    far = await bound.accept()
    sock = far._sock  # type: ignore[attr-defined]
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 98304
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert not sock.getblocking()
    assert not os.get_inheritable(sock.fileno())
    assert near._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1  # type: ignore[attr-defined]
    near.close()
    far.close()
    bound.close()


async def test_a_stalled_viewer_parks_little_in_the_kernel() -> None:
    bound = await opened("http://127.0.0.1:0", send_lowat=65536)
    near = await RealNetwork().connect(bound.address)
    far = await bound.accept()
    far._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)  # type: ignore[attr-defined]
    near._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # type: ignore[attr-defined]
    while far.send_nowait(bytes(65536)):
        pass
    # Its receive window, and not more than about the low-water mark beyond that.
    assert far.unsent() < 1 << 20
    # What it costs the kernel is more than the bytes: each packet has its own overhead.
    assert far.unsent() < far.kernel_bytes() < 4 * far.unsent() + 65536
    near.abort()
    far.abort()
    assert far.kernel_bytes() == 0
    bound.close()


# --- refusals ------------------------------------------------------------------------------------


async def test_a_port_that_is_taken() -> None:
    bound = await opened("http://127.0.0.1:0")
    for spelling in (bound.address, bound.address.with_(host=""), bound.address.with_(host="0.0.0.0")):
        line = await refused(spelling)
        assert f":{bound.address.port} is already taken" in line
    bound.close()
    (await opened(bound.address)).close()


async def test_an_address_that_is_not_ours() -> None:
    line = await refused("http://192.0.2.1:0")
    assert line.startswith("http://192.0.2.1:0 is not an address of this machine")
    assert "no-such-host.invalid:0 cannot be found" in await refused("http://no-such-host.invalid:0")


async def test_what_a_graph_check_would_have_said() -> None:
    assert "needs a certificate" in await refused("https://127.0.0.1:0")
    with pytest.raises(ListenError, match="is no network"):
        await RealNetwork().listen(Listener("http://127.0.0.1:0", proxy_from="nonsense"))


async def test_a_port_that_is_not_permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(self, address) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", bind)
    line = await refused("rtmp://:843")
    assert line.startswith("rtmp://:843 is not permitted")
    assert "CAP_NET_BIND_SERVICE" in line


# --- unix sockets --------------------------------------------------------------------------------


async def test_a_unix_socket_comes_and_goes_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "edge.sock"
    bound = await opened(Address("http", unix=str(path)))
    assert stat.S_IMODE(path.stat().st_mode) == UNIX_MODE
    near = await RealNetwork().connect(bound.address)
    far = await bound.accept()
    assert near.peer.host == far.peer.host == "unix"
    near.close()
    far.close()
    bound.close()
    assert not path.exists()


async def test_a_file_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "edge.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert path.exists()
    bound = await opened(Address("http", unix=str(path)))
    (await RealNetwork().connect(bound.address)).close()
    assert "is already taken: another program listens" in await refused(Address("http", unix=str(path)))
    # A successor that has taken the path over keeps its file.
    os.unlink(path)
    successor = await opened(Address("http", unix=str(path)))
    bound.close()
    assert path.exists()
    successor.close()


async def test_odd_paths_of_unix_sockets(tmp_path: Path) -> None:
    line = await refused(Address("http", unix=f"{tmp_path}/nowhere/edge.sock"))
    assert "nowhere/edge.sock has no directory: create it first" in line
    (tmp_path / "file").write_text("precious")
    assert "is no socket" in await refused(Address("http", unix=f"{tmp_path}/file"))
    assert (tmp_path / "file").read_text() == "precious"
    assert "leads through something" in await refused(Address("http", unix=f"{tmp_path}/file/edge.sock"))
    assert "at most 107 bytes" in await refused(Address("http", unix="/" + "x" * 107))
    with pytest.raises(ConnectionLost, match=r"nobody\.sock does not exist: is the server"):
        await RealNetwork().connect(Address("http", unix=f"{tmp_path}/nobody.sock"))


async def test_a_full_queue_of_a_unix_socket_is_waited_for(tmp_path: Path, autojump_clock) -> None:
    bound = await opened(Address("http", unix=str(tmp_path / "edge.sock")), backlog=1)
    network = RealNetwork()
    ends = []

    async def dial() -> None:
        ends.append(await network.connect(bound.address))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(dial)
        await trio.sleep(1)
        assert len(ends) == 2  # the queue takes its backlog and one
        ends += [await bound.accept() for _ in range(5)]
        await trio.sleep(1)
    assert len(ends) == 10
    for end in ends:
        end.close()
    bound.close()


# --- the rest ------------------------------------------------------------------------------------


def test_the_limit_of_descriptors_is_raised_to_the_hard_one() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        network = RealNetwork()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == network.descriptors.limit == raise_descriptor_limit()
        assert network.descriptors.limit > 256 or before[1] <= 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("network", [RealNetwork(), MemoryNetwork()], ids=["real", "memory"])
async def test_ports_differ(network) -> None:
    each = [await network.listen(Listener.parse("http://127.0.0.1:0")) for _ in range(5)]
    assert len({bound.address.port for bound in each}) == 5
    for bound in each:
        bound.close()
