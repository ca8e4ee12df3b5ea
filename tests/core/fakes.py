"""A small protocol and a small source, made of public names only: what the tests of the core put into graphs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import trio
from attrs import field, frozen

from tierkit import Origin
from tierkit.events import Event, LoopBlocked
from tierkit.plugin import (
    Address,
    Connection,
    Context,
    LiveSource,
    Node,
    Running,
    Service,
    Source,
    option,
)


class Record(list[Event]):
    """An observer that keeps what it is told, but for the event loop: a machine may stall under a test."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __call__(self, event: Event) -> None:
        if not isinstance(event, LoopBlocked):
            self.append(event)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self if isinstance(event, kind)]

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self]


@frozen(kw_only=True)
class EchoStatistics:
    """What the echo has done."""

    #: Lines answered so far.
    lines: int = field(metadata={"merge": "sum"})


@frozen
class Echo(Service):
    """Answers each line with itself; `pulls` is claimed, never used.  Its words are commands for tests:

    ``raise``, ``group``, ``rude`` and ``lost`` end the connection by an exception, ``busy`` makes it
    deaf to a drain, ``die`` ends the service's background task, ``bye`` ends in order.
    """

    name: ClassVar[str] = "echo"
    roles = frozenset({"origin", "edge", "relay"})
    schemes = ("http", "https")
    pulls = ("http", "https")

    loud: bool = option(False, "Answer in capitals.")
    limit: int = option(10, "Lines for each connection.", minimum=1, maximum=1000)
    wait: float = option(1.0, "Time for nothing in particular.", minimum=0, unit="s")
    accent: str = option("none", "How it sounds.", choices=("none", "greek"))
    motto: str = option("", "What it thinks.")
    ratio: float | None = option(None, "May be left open.", minimum=0, maximum=1)

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        async with trio.open_nursery() as nursery:
            yield LiveEcho(self, ctx, nursery)
            nursery.cancel_scope.cancel()


class LiveEcho(Running):
    """The echo at work."""

    def __init__(self, recipe: Echo, ctx: Context, nursery: trio.Nursery) -> None:
        self.recipe = recipe
        self.ctx = ctx
        self.lines = 0
        self.drained = False
        self._nursery = nursery

    async def handle(self, connection: Connection) -> None:
        buffer = b""
        connection.idle = False
        while True:
            while b"\n" not in buffer:
                connection.idle = not buffer
                piece = await connection.recv()
                connection.idle = False
                if not piece:
                    return
                buffer += piece
            line, _, buffer = buffer.partition(b"\n")
            connection.settled()
            self.lines += 1
            if line == b"bye":
                return
            await self._obey(line, connection)
            await connection.send_all((line.upper() if self.recipe.loud else line) + b"\n")

    async def _obey(self, line: bytes, connection: Connection) -> None:
        if line in COMMANDS:
            raise COMMANDS[line]()
        if line == b"busy":
            await connection.send_all(b"busy\n")
            await trio.sleep_forever()
        if line == b"grudge":  # an exception on the way out, while a sibling is cancelled
            await connection.send_all(b"grudge\n")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_grudge)
                await trio.sleep_forever()
        if line == b"die":
            self._nursery.start_soon(_die)
            await trio.sleep_forever()

    def statistics(self) -> EchoStatistics:
        return EchoStatistics(lines=self.lines)

    def draining(self) -> None:
        self.drained = True


async def _die() -> None:
    await trio.lowlevel.checkpoint()
    raise RuntimeError("the background has died")


async def _grudge() -> None:
    try:
        await trio.sleep_forever()
    finally:
        raise ValueError("a grudge")


def _commands() -> dict[bytes, Callable[[], Exception]]:
    from tierkit.plugin import ConnectionLost, RemoteProtocolError

    return {
        b"raise": lambda: ValueError("told to"),
        b"group": lambda: ExceptionGroup("several", [ConnectionLost("reset"), ValueError("told to in a group")]),
        b"rude": lambda: RemoteProtocolError("rude words", hint=400),
        b"lost": lambda: ConnectionLost("reset"),
        b"allgone": lambda: ExceptionGroup("several", [ConnectionLost("a"), ConnectionLost("b")]),
    }


COMMANDS = _commands()


@frozen
class Publish(Service):
    """Takes publishers by another protocol; it pulls nothing, but can push."""

    name: ClassVar[str] = "publish"
    roles = frozenset({"origin", "relay"})
    schemes = ("rtmp", "rtmps")
    pushes = ("rtmp",)

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        async with trio.open_nursery() as nursery:
            yield LiveEcho(Echo(), ctx, nursery)
            nursery.cancel_scope.cancel()


@frozen
class Inside(Echo):
    """Needs no door."""

    name: ClassVar[str] = "inside"
    schemes = ()
    pulls = ()


@frozen
class Box(Source):
    """A server elsewhere with a place of its own for everything."""

    name: ClassVar[str] = "box"
    schemes = ("rtmp",)

    depth: int = option(1, "How deep in the box.", minimum=1, maximum=3)

    @asynccontextmanager
    async def open(self, origin: Origin, ctx: Context) -> AsyncIterator[LiveSource]:
        assert origin.address is not None
        yield FixedSource(("rtmp",), origin.address)


class FixedSource(LiveSource):
    """Everything is at one address."""

    def __init__(self, schemes: Sequence[str], address: Address = Address(host="fixed.example", port=1)) -> None:  # noqa: B008
        self.schemes = frozenset(schemes)
        self.address = address

    async def target(self, path: str, schemes: Collection[str]) -> Address:
        return self.address.with_(path=path)
