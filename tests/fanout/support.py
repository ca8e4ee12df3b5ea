"""A connection that takes what a test lets it take, a writer of numbered messages, and a reader that checks them.

Messages are 4 bytes of length, a letter, 4 bytes of number, and padding: enough to see that whatever arrives is whole
messages in a legal order, with no knowledge of RTMP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import trio

from tierkit._fanout import Cursor, FanoutPolicy, Pump, Ring
from tierkit.errors import ConnectionLost
from tierkit.plugin import Blob, Connection, Peer
from tierkit.testing import MemoryNetwork


class Part(NamedTuple):
    kind: str
    number: int


def message(kind: str, number: int, size: int = 20) -> bytes:
    body = kind.encode() + number.to_bytes(4, "big")
    body += bytes(max(0, size - 4 - len(body)))
    return len(body).to_bytes(4, "big") + body


def parse(data: bytes, *, whole: bool = True) -> list[Part]:
    """Every message; with `whole`, nothing may be left over."""
    at, parts = 0, []
    while at + 4 <= len(data):
        stop = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if stop > len(data):
            break
        parts.append(Part(chr(data[at + 4]), int.from_bytes(data[at + 5 : at + 9], "big")))
        at = stop
    assert at == len(data) or not whole, f"{len(data) - at} bytes of an unfinished message"
    return parts


class Tap(Connection):
    """Takes `room` bytes, or everything where that is None; tests open it further."""

    def __init__(self, room: int | None = None, *, on_send: Callable[[], None] = lambda: None) -> None:
        super().__init__(peer=Peer("tap"))
        self.room = room
        self.got = bytearray()
        self.objects: list[object] = []
        self.held = 0
        self.calls = 0
        self.lost = ""
        self._on_send = on_send
        self._changed = trio.lowlevel.ParkingLot()

    def send_nowait(self, data: bytes | bytearray | memoryview, *, more: bool = False) -> int:
        self.calls += 1
        self._on_send()
        if self.lost:
            raise ConnectionLost(self.lost)
        taken = len(data) if self.room is None else min(self.room, len(data))
        if self.room is not None:
            self.room -= taken
        self.objects.append(data)
        self.got += data[:taken]
        self.bytes_out += taken
        return taken

    def open(self, more: int | None) -> None:
        """Take that many bytes more, or everything from now on."""
        self.room = None if more is None else (self.room or 0) + more
        self._changed.unpark_all()

    def lose(self, reason: str = "reset") -> None:
        self.lost = reason
        self._changed.unpark_all()

    async def wait_writable(self) -> None:
        await trio.lowlevel.checkpoint()
        while self.room == 0 and not self.lost:
            await self._changed.park()
        if self.lost:
            raise ConnectionLost(self.lost)

    def unsent(self) -> int:
        return self.held

    async def recv(self, max_bytes: int = 65536) -> bytes:
        raise NotImplementedError

    def recv_nowait(self, max_bytes: int = 65536) -> bytes | None:
        raise NotImplementedError

    def readable_now(self) -> bool:
        raise NotImplementedError

    def sendfile_nowait(self, blob: Blob, offset: int, count: int) -> int:
        raise NotImplementedError

    def end_input(self) -> None: ...

    def end_output(self) -> None: ...

    def abort(self) -> None:
        self.lose("closed")

    def close(self) -> None:
        self.lose("closed")


class Meter:
    """A cost meter: so many seconds for each send, exactly."""

    def __init__(self, each: float = 0.0) -> None:
        self.each = each
        self.spent = 0.0

    def __call__(self) -> float:
        return self.spent

    def count(self) -> None:
        self.spent += self.each


class Bench:
    """A pump at work on one ring, in virtual time."""

    def __init__(self, nursery: trio.Nursery, policy: FanoutPolicy, meter: Meter) -> None:
        self.nursery = nursery
        self.meter = meter
        self.pump = Pump(MemoryNetwork(), trio.current_time, meter=meter)
        self.ring = self.new_ring(policy)
        self.number = 0
        self.ended: list[tuple[Cursor, str]] = []

    def new_ring(self, policy: FanoutPolicy) -> Ring:
        return self.pump.ring(policy, lambda timestamp: message("H", timestamp))

    def tap(self, room: int | None = None) -> Tap:
        return Tap(room, on_send=self.meter.count)

    def join(self, tap: Tap, *, ring: Ring | None = None, first: bytes = b"") -> Cursor:
        cursors: list[Cursor] = []
        cursor = (ring or self.ring).attach(tap, lambda reason: self.ended.append((cursors[0], reason)), first=first)
        cursors.append(cursor)
        return cursor

    def write(self, kind: str = "p", *, size: int = 20, ring: Ring | None = None) -> bytes:
        """One message: "K" is a keyframe, "p" another one.  Its timestamp is its number."""
        data = message(kind, self.number, size)
        (ring or self.ring).append(data, self.number, sync=kind == "K")
        self.number += 1
        return data

    async def gops(self, count: int, length: int = 3, *, size: int = 20, gap: float = 1.0) -> None:
        """GOPs, a message every `gap` seconds."""
        for _ in range(count):
            for index in range(length):
                self.write("p" if index else "K", size=size)
                await trio.sleep(gap)


@asynccontextmanager
async def bench(policy: FanoutPolicy | None = None, *, each: float = 0.0) -> AsyncIterator[Bench]:
    async with trio.open_nursery() as nursery:
        made = Bench(nursery, policy or FanoutPolicy(), Meter(each))
        nursery.start_soon(made.pump.run)
        yield made
        nursery.cancel_scope.cancel()


def check_legal(parts: list[Part]) -> None:
    """What a player may see: numbers never go back, each gap ends with a prelude and a keyframe; replies anywhere."""
    expected: int | None = None
    prelude = -1
    for kind, number in parts:
        if kind == "R":
            continue
        if kind == "H":
            prelude = number
            continue
        if expected is None or number != expected:
            assert kind == "K", f"resumes at {kind}{number}, in the middle of a GOP"
            assert prelude == number, f"no prelude before K{number}"
            assert expected is None or number > expected, f"goes back to {number}"
        expected = number + 1
