"""Players of FLV over HTTP and WebSocket in memory, which keep what they are sent as values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from wsproto import WSConnection
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Event, Pong, RejectConnection
from wsproto.events import Request as Opening

from tests.core.rig import Rig
from tests.rtmp.media import letter
from tierkit import Address, Relay
from tierkit.codecs.flv import FLVReader, Tag
from tierkit.errors import ConnectionLost
from tierkit.plugin import Connection
from tierkit.plugins.flv import FLV
from tierkit.plugins.rtmp import RTMP
from tierkit.testing import MemoryNetwork


def relay(name: str = "relay", *, rtmp: RTMP | None = None, flv: FLV | None = None, **changes: Any) -> Relay:
    """A relay that speaks RTMP and FLV."""
    listen = (f"rtmp://{name}.example:1935", f"http://{name}.example:8080")
    serves = (rtmp or RTMP(), flv or FLV())
    return Relay(name, **{"listen": listen, "host": f"{name}.example", "serves": serves, **changes})


def web(name: str = "relay") -> Address:
    return Address.parse(f"http://{name}.example:8080")


def figures(rig: Rig, tier: str = "relay", service: str = "flv") -> dict[str, Any]:
    found: dict[str, Any] = rig.handle.statistics()["tiers"][tier]["services"][service]
    return found


class FlvPlayer:
    """A player over HTTP, and the base of the one over WebSocket."""

    def __init__(self, network: MemoryNetwork, path: str = "/live/s.flv", *fields: str, where: Address | None = None):
        self.network = network
        self.path = path
        self.fields = fields
        self.where = where or web()
        self.status = 0
        self.head = b""
        #: What came behind the head: FLV, or what says why not.
        self.body = bytearray()
        self.tags: list[Tag] = []
        self.reader = FLVReader()
        self.lost = ""
        self.ended = trio.Event()
        self.reading = True
        self._resume = trio.Event()
        self._changed = trio.Event()
        self._connection: Connection | None = None

    @property
    def connection(self) -> Connection:
        assert self._connection is not None
        return self._connection

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        try:
            self._connection = await self.network.connect(self.where, source="192.0.2.9")
            await self.connection.send_all(self.request())
            task_status.started()
            while data := await self._recv():
                await self.take(data)
                self._changed.set()
                self._changed = trio.Event()
        except ConnectionLost as error:
            self.lost = str(error)
        finally:
            self.ended.set()
            self._changed.set()
            if self._connection is not None:
                self._connection.close()

    async def _recv(self) -> bytes:
        while not self.reading:
            await self._resume.wait()
        return await self.connection.recv()

    def pause(self) -> None:
        self.reading = False

    def go_on(self) -> None:
        self.reading = True
        self._resume.set()
        self._resume = trio.Event()

    def request(self) -> bytes:
        return "\r\n".join((f"GET {self.path} HTTP/1.1", "Host: relay.example", *self.fields, "", "")).encode()

    async def take(self, data: bytes) -> None:
        if not self.status:
            self.head += data
            if b"\r\n\r\n" not in self.head:
                return
            self.head, _, data = self.head.partition(b"\r\n\r\n")
            self.status = int(self.head.split()[1])
        self.see(data)

    def see(self, data: bytes) -> None:
        self.body += data
        if self.status in (101, 200):
            self.tags += self.reader.receive(data)

    async def until(self, condition: Callable[[FlvPlayer], bool], seconds: float = 60) -> None:
        with trio.move_on_after(seconds):
            while not condition(self):
                assert not self.ended.is_set(), f"it has ended: {self.status} {self.letters} {self.lost}"
                await self._changed.wait()
            return
        raise AssertionError(f"it did not come: {self.status} {self.letters}")

    @property
    def letters(self) -> str:
        return "".join(letter(each.type_id, each.payload) for each in self.tags)

    @property
    def flags(self) -> int:
        """Of the FLV header: 4 for sound, 1 for pictures."""
        return self.body[4]


class WebSocketPlayer(FlvPlayer):
    """A player over WebSocket, by wsproto: it takes nothing that a browser would not."""

    def __init__(self, network: MemoryNetwork, path: str = "/live/s.flv", *fields: str, where: Address | None = None):
        super().__init__(network, path, *fields, where=where)
        self.socket = WSConnection(ConnectionType.CLIENT)
        self.messages: list[bytes] = []
        self.pongs: list[bytes] = []
        self.closed: CloseConnection | None = None
        self._parts: list[bytes] = []

    def request(self) -> bytes:
        fields = [(name.encode(), value.strip().encode()) for name, _, value in (f.partition(":") for f in self.fields)]
        return self.socket.send(Opening(host="relay.example", target=self.path, extra_headers=fields))

    async def take(self, data: bytes) -> None:
        if self.status not in (0, 101):
            self.body += data
            return
        if not self.status and not data.startswith(b"HTTP/1.1 101 "):
            self.head, _, rest = data.partition(b"\r\n\r\n")
            self.status = int(self.head.split()[1])
            self.body += rest
            return
        self.socket.receive_data(data)
        for event in self.socket.events():
            await self._event(event)

    async def _event(self, event: Event) -> None:
        if isinstance(event, AcceptConnection):
            self.status = 101
        elif isinstance(event, RejectConnection):
            self.status = event.status_code
        elif isinstance(event, BytesMessage):
            self._parts.append(bytes(event.data))
            if event.message_finished:
                self.messages.append(b"".join(self._parts))
                self._parts.clear()
                self.see(self.messages[-1])
        elif isinstance(event, Pong):
            self.pongs.append(bytes(event.payload))
        elif isinstance(event, CloseConnection):
            self.closed = event
            if self.socket.state is ConnectionState.REMOTE_CLOSING:
                await self.connection.send_all(self.socket.send(event.response()))

    async def say(self, event: Event) -> None:
        await self.connection.send_all(self.socket.send(event))


KINDS = {"http": FlvPlayer, "websocket": WebSocketPlayer}


async def join(nursery: trio.Nursery, player: FlvPlayer) -> FlvPlayer:
    await nursery.start(player.run)
    return player


@asynccontextmanager
async def playing(player: FlvPlayer) -> AsyncIterator[FlvPlayer]:
    async with trio.open_nursery() as nursery:
        await nursery.start(player.run)
        yield player
        nursery.cancel_scope.cancel()
