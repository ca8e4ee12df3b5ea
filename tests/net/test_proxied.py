"""The PROXY protocol at a door: required from some, never read from others, and before TLS."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

from tierkit import Address, Certificate, Listener
from tierkit._net import RealNetwork
from tierkit._ports import Bound, Connection
from tierkit.errors import ConnectionLost, RemoteProtocolError

from ..codecs.test_proxy import SIGNATURE, V4, V6, tcp4, tcp6, v2
from .conftest import Papers

V1 = b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 443\r\n"


async def arrived(listener: Listener, *pieces: bytes, end: bool = False) -> tuple[Connection, trio.SocketStream, Bound]:
    """A connection that has begun with `pieces`."""
    bound = await RealNetwork().listen(listener)
    if bound.address.unix:
        stream = await trio.open_unix_socket(bound.address.unix)
    else:
        stream = await trio.open_tcp_stream(bound.address.host, bound.address.port or 0)
    connection = await bound.accept()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.establish)
            for piece in pieces:
                await stream.send_all(piece)
                await trio.testing.wait_all_tasks_blocked(0.005)
            if end:
                await stream.send_eof()
    except BaseExceptionGroup as group:
        await done(connection, stream, bound)
        raise group.exceptions[0] from None
    return connection, stream, bound


async def done(connection: Connection, stream: trio.SocketStream, bound: Bound) -> None:
    connection.close()
    bound.close()
    await stream.aclose()


@pytest.mark.parametrize(
    ("header", "peer"),
    [
        (V1, "198.51.100.7:56324"),
        (tcp4(*V4, tlvs=b"\x04\x00\x01\x00"), "198.51.100.7:56324"),
        (tcp6(*V6), "[2001:db8::7]:65535"),
    ],
    ids=["v1", "v2", "v2-ipv6"],
)
@pytest.mark.parametrize("cut", [0, 1, 20, -1])
async def test_the_peer_is_who_the_header_tells(header: bytes, peer: str, cut: int) -> None:
    listener = Listener("rtmp://127.0.0.1:0", proxy_from=("10.0.0.0/8", "127.0.0.0/8"))
    whole = header + b"hello"
    connection, *rest = await arrived(listener, *filter(None, (whole[:cut], whole[cut:])))
    assert str(connection.peer) == peer
    assert connection.bytes_in == 0
    got = b""
    while len(got) < 5:
        got += await connection.recv(3)
    assert got == b"hello"
    assert connection.bytes_in == 5
    await done(connection, *rest)


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", v2(0x20, 0, b""), v2(0x21, 0, b"")])
async def test_a_balancer_that_speaks_for_itself_stays_itself(header: bytes) -> None:
    listener = Listener("rtmp://127.0.0.1:0", proxy_from="127.0.0.1/32")
    connection, *rest = await arrived(listener, header + b"x")
    assert connection.peer.host == "127.0.0.1"
    assert connection.readable_now()
    assert connection.recv_nowait() == b"x"
    await done(connection, *rest)


async def test_a_stranger_cannot_lie() -> None:
    listener = Listener("rtmp://127.0.0.1:0", proxy_from="10.0.0.0/8")
    connection, *rest = await arrived(listener, V1)
    assert connection.peer.host == "127.0.0.1"
    assert await connection.recv() == V1
    await done(connection, *rest)


async def test_ipv6_and_dual_stack_networks_match() -> None:
    for address, network in (("[::1]:0", "::1/128"), (":0", "127.0.0.1/32")):
        listener = Listener(f"rtmp://{address}", proxy_from=network)
        bound = await RealNetwork().listen(listener)
        stream = await trio.open_tcp_stream("::1" if "::1" in network else "127.0.0.1", bound.address.port or 0)
        connection = await bound.accept()
        await stream.send_all(V1)
        await connection.establish()
        assert connection.peer.host == "198.51.100.7"
        await done(connection, stream, bound)


async def test_a_unix_socket_may_require_it(tmp_path: Path) -> None:
    address = Address("http", unix=str(tmp_path / "edge.sock"))
    connection, *rest = await arrived(Listener(address, proxy_from="unix"), V1)
    assert connection.peer.host == "198.51.100.7"
    await done(connection, *rest)


async def test_it_comes_before_tls(papers: Papers, local_certificate: Certificate) -> None:
    bound = await RealNetwork().listen(Listener("https://127.0.0.1:0", (local_certificate,), proxy_from="127.0.0.1/32"))
    plain = await trio.open_tcp_stream("127.0.0.1", bound.address.port or 0)
    await plain.send_all(V1)
    import ssl

    stream = trio.SSLStream(plain, ssl.create_default_context(cafile=papers.ca_file), server_hostname="localhost")
    connection = await bound.accept()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.establish)
        await stream.do_handshake()
    assert str(connection.peer) == "198.51.100.7:56324"
    await stream.send_all(b"secret")
    assert await connection.recv() == b"secret"
    connection.close()
    await stream.aclose()
    bound.close()


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\xc8", b"PROXY TCP4 nonsense\r\n", SIGNATURE + b"\xff\xff\xff\xff"],
)
async def test_whoever_must_send_it_and_does_not_is_told(
    papers: Papers, local_certificate: Certificate, data: bytes, secure: bool
) -> None:
    listener = Listener(
        "https://127.0.0.1:0" if secure else "http://127.0.0.1:0",
        (local_certificate,) if secure else (),
        proxy_from="127.0.0.1/32",
    )
    with pytest.raises(RemoteProtocolError, match="PROXY"):
        await arrived(listener, data)


async def test_an_end_inside_the_header_is_an_end() -> None:
    listener = Listener("rtmp://127.0.0.1:0", proxy_from="127.0.0.1/32")
    with pytest.raises(ConnectionLost, match="before its PROXY header was complete"):
        await arrived(listener, V1[:20], end=True)
