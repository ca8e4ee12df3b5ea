"""A client that says what a test has it say, byte for byte, and hears message for message."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from tests.codecs.rtmp_helpers import HANDSHAKE, command, connect, describe
from tierkit import Address
from tierkit.codecs import amf0
from tierkit.codecs import rtmp_message as m
from tierkit.codecs.rtmp_chunk import ChunkReader, Message
from tierkit.codecs.rtmp_handshake import SIZE
from tierkit.errors import ConnectionLost
from tierkit.plugin import Connection
from tierkit.testing import MemoryNetwork

from .media import letter

#: Seconds without a word after which somebody has said all that it has to say.
QUIET = 2.0


class Raw:
    """One connection behind its handshake."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.ended = False
        self._reader = ChunkReader()

    async def shake(self) -> None:
        await self.connection.send_all(b"\x03" + bytes(2 * SIZE))
        seen = b""
        while len(seen) < HANDSHAKE:
            seen += await self.connection.recv()
        assert len(seen) == HANDSHAKE

    async def say(self, *data: bytes) -> None:
        await self.connection.send_all(b"".join(data))

    async def hear(self, quiet: float = QUIET) -> list[Message]:
        """Everything until it is quiet, or ends."""
        found: list[Message] = []
        with trio.move_on_after(quiet) as scope:
            while not self.ended:
                try:
                    data = await self.connection.recv()
                except ConnectionLost:
                    data = b""
                self.ended = not data
                found += self._reader.receive(data) if data else []
                scope.deadline = trio.current_time() + quiet
        return found

    async def play(self, name: str = "s", app: str = "live", **more: Any) -> None:
        await self.say(connect(app, **more), command("createStream", 2.0, None))
        await self.say(command("play", 0.0, None, name, -2000.0, stream_id=1))

    async def publish(self, name: str = "s", app: str = "live", **more: Any) -> None:
        await self.say(connect(app, **more), command("createStream", 2.0, None))
        await self.say(command("publish", 3.0, None, name, "live", stream_id=1))


@asynccontextmanager
async def raw(network: MemoryNetwork, where: Address) -> AsyncIterator[Raw]:
    made = Raw(await network.connect(where, source="192.0.2.9"))
    try:
        await made.shake()
        yield made
    finally:
        made.connection.close()


def line(message: Message) -> str:
    """Chunk stream, message stream, timestamp, and what it is: a letter for media."""
    what = describe(message).partition("] ")[2]
    if message.type_id in (8, 9) or m.data_name(message) == "onMetaData":
        what = letter(message.type_id, message.payload)
    return f"{message.csid} {message.stream_id} {message.timestamp} {what}"


def lines(messages: list[Message]) -> list[str]:
    return [line(each) for each in messages]


def codes(messages: list[Message]) -> list[str]:
    """The status codes among them."""
    found: list[str] = []
    for each in messages:
        if each.type_id == m.COMMAND:
            values = amf0.decode_all(each.payload)
            found += [value["code"] for value in values if isinstance(value, dict) and "code" in value]
    return found
