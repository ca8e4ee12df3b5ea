"""Dialling: names, several addresses at once, and reasons for people."""

from __future__ import annotations

import errno
import socket

import pytest
import trio

from tests.ports import free_port
from tierkit import Address, Listener
from tierkit import _dial as dialling
from tierkit._net import RealNetwork
from tierkit.errors import ConnectionLost


async def why(text: str) -> str:
    network = RealNetwork()
    with trio.fail_after(10), pytest.raises(ConnectionLost) as caught:
        await network.connect(Address.parse(text))
    assert network.descriptors.connections == 0
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_reasons_for_people() -> None:
    port = free_port()
    assert await why(f"http://127.0.0.1:{port}") == (
        f"http://127.0.0.1:{port} refuses connections: nothing listens there"
    )
    assert await why("rtmp://no-such-host.invalid") == "rtmp://no-such-host.invalid cannot be found: no such host"
    assert await why("http://:80") == "http://:80 cannot be dialled: it is every address, not one"
    assert "has no port" in await why("ws://127.0.0.1")
    # No credentials and no path: this line ends up in logs.
    assert await why(f"http://user:secret@127.0.0.1:{port}/token?x=y") == (
        f"http://127.0.0.1:{port} refuses connections: nothing listens there"
    )


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EHOSTUNREACH, "no route to that host"),
        (errno.ENETUNREACH, "no route to that network"),
        (errno.ETIMEDOUT, "does not answer: timed out"),
        (errno.EMFILE, "no descriptor is free"),
        (errno.ENOMEM, "Cannot allocate memory"),
    ],
)
async def test_what_the_kernel_says(monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    async def attempt(*_: object) -> None:
        await trio.lowlevel.checkpoint()
        raise OSError(number, "Cannot allocate memory")

    monkeypatch.setattr(dialling, "_attempt", attempt)
    assert words in await why("http://127.0.0.1:80")


async def test_a_name_with_several_addresses_reaches_the_one_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = await RealNetwork().listen(Listener.parse("http://127.0.0.1:0"))

    def several(host, port, **_: object):
        if host != "edge.example":
            raise socket.gaierror(socket.EAI_NONAME, "no")
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    real = socket.getaddrinfo

    def lookup(host, port, **options):
        return several(host, port) if host == "edge.example" else real(host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    near = await RealNetwork().connect(Address("http", "edge.example", bound.address.port))
    assert str(near.peer) == f"127.0.0.1:{bound.address.port}"
    near.close()
    bound.close()


class Attempts:
    """Stands for `_attempt`: each address takes its time and then answers or fails."""

    def __init__(self, **plan: tuple[float, int]) -> None:
        self.plan = plan
        self.began: list[tuple[str, float]] = []

    async def __call__(self, family: object, sockaddr: str) -> socket.socket:
        self.began.append((sockaddr, trio.current_time()))
        seconds, number = self.plan[sockaddr]
        await trio.sleep(seconds)
        if number:
            raise OSError(number, sockaddr)
        return socket.socket()


V4, V6 = socket.AF_INET, socket.AF_INET6


async def test_families_alternate_and_the_next_starts_after_250_ms(monkeypatch, autojump_clock) -> None:
    attempts = Attempts(a=(9, 0), b=(9, 0), c=(1, 0), d=(9, 0))
    monkeypatch.setattr(dialling, "_attempt", attempts)
    start = trio.current_time()
    sock, address = await dialling.dial([(V6, "a"), (V6, "b"), (V4, "c"), (V4, "d")])
    sock.close()
    assert address == "c"
    assert [(name, round(when - start, 2)) for name, when in attempts.began] == [
        ("a", 0.0),
        ("c", 0.25),
        ("b", 0.5),
        ("d", 0.75),
    ]
    assert round(trio.current_time() - start, 2) == 1.25


async def test_a_failure_starts_the_next_at_once(monkeypatch, autojump_clock) -> None:
    attempts = Attempts(a=(0.1, errno.ECONNREFUSED), b=(0.1, 0))
    monkeypatch.setattr(dialling, "_attempt", attempts)
    start = trio.current_time()
    sock, _ = await dialling.dial([(V6, "a"), (V4, "b")])
    sock.close()
    assert round(trio.current_time() - start, 2) == 0.2


@pytest.mark.parametrize("order", ["ab", "ba"])
async def test_the_failure_that_tells_most_is_told(monkeypatch, autojump_clock, order: str) -> None:
    attempts = Attempts(a=(0.1, errno.ECONNREFUSED), b=(0.1, errno.ENETUNREACH))
    monkeypatch.setattr(dialling, "_attempt", attempts)
    with pytest.raises(OSError, match="a") as caught:
        await dialling.dial([({"a": V4, "b": V6}[each], each) for each in order])
    assert caught.value.errno == errno.ECONNREFUSED


async def test_a_cancelled_dial_leaves_nothing_open(monkeypatch, autojump_clock) -> None:
    bound = await RealNetwork().listen(Listener.parse("http://127.0.0.1:0"))
    network = RealNetwork()
    with trio.CancelScope() as scope:
        scope.cancel()
        await network.connect(bound.address)
    assert scope.cancelled_caught
    assert network.descriptors.connections == 0
    bound.close()


async def test_a_cancelled_handshake_leaves_nothing_open() -> None:
    # A server that accepts and says nothing: the caller's deadline is the only end.
    bound = await RealNetwork().listen(Listener.parse("http://127.0.0.1:0"))
    network = RealNetwork()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(network.connect, bound.address.with_(scheme="https"))
        silent = await bound.accept()
        assert (await silent.recv())[:1] == b"\x16"
        nursery.cancel_scope.cancel()
    assert network.descriptors.connections == 0
    silent.close()
    bound.close()
