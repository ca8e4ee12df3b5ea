"""Publishers and players in memory, and a graph to put them to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from tierkit import Address, Origin, Relay
from tierkit.codecs.rtmp_session import ClientSession, ConnectRefused, Media, PlayEnded, PlayStarted, Status
from tierkit.codecs.rtmp_url import dial
from tierkit.errors import ConnectionLost
from tierkit.plugin import Connection
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP
from tierkit.rtmp import Publisher, open_publisher
from tierkit.testing import MemoryNetwork

from .media import Sent, gop, headers, letter

STUDIO = "rtmp://studio.example:1935"


def studio(**options: Any) -> Origin:
    return Origin("studio", host="studio.example", listen=STUDIO, serves=Ingest(**options))


def relay(name: str = "relay", **changes: Any) -> Relay:
    options = {"listen": f"rtmp://{name}.example:1935", "host": f"{name}.example", "serves": RTMP(), **changes}
    return Relay(name, **options)


def url(name: str, path: str = "/live/s") -> Address:
    return Address.parse(f"rtmp://{name}.example:1935{path}")


class Viewer:
    """A player: everything it is sent, as values."""

    def __init__(self, network: MemoryNetwork, where: Address, *, extra: dict[str, Any] | None = None) -> None:
        self.network = network
        self.where = where
        self.events: list[Any] = []
        self.media: list[Media] = []
        self.ended = trio.Event()
        self.lost = ""
        self.reading = True
        self.session = ClientSession(
            *self._dial(), nonce=b"v" * 32, now=trio.current_time(), connect_object=extra, schema=None
        )
        self.connection: Connection | None = None
        self._resume = trio.Event()
        self._changed = trio.Event()

    def _dial(self) -> tuple[str, str]:
        said = dial(self.where.reveal())
        self.name = said.name
        return said.app, said.tc_url

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        try:
            self.connection = await self.network.connect(self.where, source="192.0.2.7")
            self.session.play(self.name)
            await self.connection.send_all(self.session.data_to_send())
            task_status.started()
            while data := await self._recv():
                for event in self.session.receive(data, trio.current_time()):
                    (self.media if isinstance(event, Media) else self.events).append(event)
                if answer := self.session.data_to_send():
                    await self.connection.send_all(answer)
                self._changed.set()
                self._changed = trio.Event()
        except ConnectionLost as error:
            self.lost = str(error)
        finally:
            self.ended.set()
            self._changed.set()
            if self.connection is not None:
                self.connection.close()

    async def _recv(self) -> bytes:
        assert self.connection is not None
        while not self.reading:
            await self._resume.wait()
        return await self.connection.recv()

    def pause(self) -> None:
        self.reading = False

    def go_on(self) -> None:
        self.reading = True
        self._resume.set()
        self._resume = trio.Event()

    async def until(self, condition: Callable[[Viewer], bool], seconds: float = 60) -> None:
        with trio.move_on_after(seconds):
            while not condition(self):
                assert not self.ended.is_set(), f"it has ended: {self.events} {self.lost}"
                await self._changed.wait()
            return
        raise AssertionError(f"it did not come: {self.letters} {self.events}")

    @property
    def letters(self) -> str:
        return "".join(letter(each.type_id, each.payload) for each in self.media)

    @property
    def payloads(self) -> list[tuple[int, bytes]]:
        return [(each.type_id, each.payload) for each in self.media]

    @property
    def codes(self) -> list[str]:
        """Status codes and their kin, in order."""
        kinds = (Status, PlayStarted, PlayEnded, ConnectRefused)
        return [each.code for each in self.events if isinstance(each, kinds)]


async def join(nursery: trio.Nursery, network: MemoryNetwork, where: Address, **options: Any) -> Viewer:
    """A player that has asked to play, in `nursery`."""
    made = Viewer(network, where, **options)
    await nursery.start(made.run)
    return made


@asynccontextmanager
async def viewer(network: MemoryNetwork, where: Address, **options: Any) -> AsyncIterator[Viewer]:
    async with trio.open_nursery() as nursery:
        made = Viewer(network, where, **options)
        await nursery.start(made.run)
        yield made
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def published(network: MemoryNetwork, where: Address, sent: Sequence[Sent] = ()) -> AsyncIterator[Publisher]:
    """A publisher that has sent its headers, or what is given."""
    async with open_publisher(network, where) as publisher:
        for each in sent or headers():
            await publisher.send(*each)
        yield publisher


async def send(publisher: Publisher, sent: Sequence[Sent], *, pace: bool = False) -> None:
    """Send messages, in the time that their timestamps say where that is wanted."""
    before: int | None = None
    for each in sent:
        if pace and before is not None:
            await trio.sleep(max(0, each.timestamp - before) / 1000)
        before = each.timestamp
        await publisher.send(*each)


async def stream_on(publisher: Publisher, *, start: int = 0, frames: int = 25, gops: int = 10**6) -> None:
    """GOPs of a second, in real (virtual) time."""
    for index in range(gops):
        await send(publisher, gop(start + index * frames * 40, frames), pace=True)
        await trio.sleep(0.02)
