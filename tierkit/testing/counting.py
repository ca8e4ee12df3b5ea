"""A TCP proxy that counts: what one tier really asks of another, seen from outside of both.

    async with open_counting_proxy("127.0.0.1:1935") as proxy:
        edge = Edge(..., upstream=f"http://{proxy.address}/live")
        ...
        assert proxy.fetches["/live/s/1.ts"] == 1

It forwards bytes as they are and reads along: the first bytes of a connection tell HTTP/1.1 from RTMP.  What is
neither, or breaks the rules, is forwarded all the same; `Seen.protocol` is then empty, or `Seen.problem` says what
could not be read.  It can also break connections, refuse them, and hold everything back.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field

from tierkit import Address

from ._sniff import Exchange, Sniffer

__all__ = ["CountingProxy", "Exchange", "Seen", "open_counting_proxy"]

_READ = 65536


@define(eq=False)
class Seen:
    """One connection that was forwarded."""

    #: "http", "rtmp", or empty while it is not known.
    protocol: str = ""
    #: Bytes towards the server, and back.
    sent: int = 0
    received: int = 0
    #: HTTP: in the order of the requests.
    requests: list[Exchange] = field(factory=list)
    #: RTMP: the stream names of `play` and `publish`, each as "app/name".
    plays: list[str] = field(factory=list)
    publishes: list[str] = field(factory=list)
    #: What could not be read along, if anything.
    problem: str = ""
    #: False from when either end has closed it.
    open: bool = True


class CountingProxy:
    """What `open_counting_proxy` gives; its lists are the truth so far, oldest first."""

    def __init__(self, target: Address, address: Address) -> None:
        #: Where it listens.
        self.address = address
        self.connections: list[Seen] = []
        #: While true, new connections are reset.
        self.refuse = False
        self._target = target
        self._pairs: dict[Seen, tuple[trio.SocketStream, trio.SocketStream | None, trio.CancelScope]] = {}
        self._going = trio.Event()
        self._going.set()

    @property
    def requests(self) -> list[Exchange]:
        """Every HTTP request of every connection, by connection."""
        return [request for each in self.connections for request in each.requests]

    @property
    def fetches(self) -> Counter[str]:
        """How often each request target was asked for."""
        return Counter(request.target for request in self.requests)

    @property
    def plays(self) -> list[str]:
        """What was played over RTMP, as "app/name"."""
        return [name for each in self.connections for name in each.plays]

    @property
    def publishes(self) -> list[str]:
        """What was published over RTMP, as "app/name"."""
        return [name for each in self.connections for name in each.publishes]

    @property
    def open_connections(self) -> int:
        """How many are forwarded now."""
        return sum(each.open for each in self.connections)

    @property
    def sent(self) -> int:
        """Bytes towards the server."""
        return sum(each.sent for each in self.connections)

    @property
    def received(self) -> int:
        """Bytes from the server."""
        return sum(each.received for each in self.connections)

    @property
    def stall(self) -> bool:
        """While true nothing is forwarded in either direction, and nothing is lost."""
        return not self._going.is_set()

    @stall.setter
    def stall(self, value: bool) -> None:
        if value and self._going.is_set():
            self._going = trio.Event()
        elif not value:
            self._going.set()

    def cut(self) -> None:
        """Reset every connection, at both ends, now."""
        for near, far, scope in list(self._pairs.values()):
            for each in (near, far):
                if each is not None:
                    _reset(each)
            scope.cancel()

    async def _serve(self, near: trio.SocketStream) -> None:
        if self.refuse:
            _reset(near)
            return
        seen = Seen()
        self.connections.append(seen)
        with trio.CancelScope() as scope:
            self._pairs[seen] = (near, None, scope)
            try:
                await self._forward(near, seen, scope)
            finally:
                seen.open = False
                del self._pairs[seen]
                near.socket.close()

    async def _forward(self, near: trio.SocketStream, seen: Seen, scope: trio.CancelScope) -> None:
        try:
            far = await trio.open_tcp_stream(self._target.host, self._target.dial_port)
        except OSError:
            _reset(near)  # as the server's own refusal: the client learns at once
            return
        self._pairs[seen] = (near, far, scope)
        sniffer = Sniffer(seen)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pump, near, far, sniffer, True)
                nursery.start_soon(self._pump, far, near, sniffer, False)
        finally:
            far.socket.close()

    async def _pump(self, source: trio.SocketStream, sink: trio.SocketStream, sniffer: Sniffer, up: bool) -> None:
        try:
            while data := await source.receive_some(_READ):
                await self._going.wait()
                # Counted before it is passed on: whoever has an answer finds its request in the lists.
                sniffer.feed(data, up=up)
                await sink.send_all(data)
            sniffer.end(up=up)
            await sink.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # One end is gone: so is the other, in the same way.
            _reset(source)
            _reset(sink)


def _reset(stream: trio.SocketStream) -> None:
    try:
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:  # closed already
        pass
    stream.socket.close()


@asynccontextmanager
async def open_counting_proxy(target: Address | str, *, host: str = "127.0.0.1") -> AsyncIterator[CountingProxy]:
    """A proxy on a free port of `host` (a loopback address, IPv4 or IPv6) in front of `target`, "HOST:PORT".

    Raises AddressError for a target without a port, OSError where nothing can be listened on.  On leaving, all
    connections are closed.
    """
    address = Address.parse(target)
    address.dial_port  # noqa: B018 - says so now where there is none
    listeners = await trio.open_tcp_listeners(0, host=host)
    port = listeners[0].socket.getsockname()[1]
    proxy = CountingProxy(address, Address(host=host, port=port))
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, proxy._serve, listeners)
        try:
            yield proxy
        except Exception as error:
            # Raised again outside, so that it is not wrapped in a group of one: tests say `pytest.raises` around this.
            failure = error
        finally:
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
