"""What the processes of ``--processes tier`` tell about themselves, and the one address that answers for all.

A child writes one JSON line a second into a pipe that it was born with: whether it is ready, and its statistics.
The parent keeps each child's last line, and is, towards the control address, a handle like that of any graph.
Nobody waits for anybody: a scrape is at most a second late, and says by how much.

What is to be done goes the other way, a JSON line with a number into the child's standard input; how it went comes
back under that number in the next report, which is sent at once.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio
from attrs import define, field

from tierkit import Address, Graph, GraphHandle, Registry
from tierkit.events import Event, Notable
from tierkit.plugin import LocalProtocolError, Pattern

from ._cli_afar import Afar

__all__ = ["Orders", "Reports", "gathered", "report_to"]

#: Seconds between two lines; Prometheus asks every 15 s by default, people look every second.
EVERY = 1.0
#: Events that are told of all processes together.
EVENTS = 50
#: Seconds that a child has to carry out an order.
PATIENCE = 2.0
#: Bytes of one line: some ten thousand streams with their statistics.  A child that says more is not heard.
LINE = 8 << 20


class Orders:
    """In a child: what the parent wants done, and how it went."""

    def __init__(self, handle: GraphHandle) -> None:
        self._handle = handle
        self.done: dict[str, int | None] = {}
        self.news = trio.Event()

    async def obey(self, line: bytes) -> None:
        """Do what a line says; one that says nothing we know is for another version."""
        try:
            order = json.loads(line)
            number, do, pattern = str(order["number"]), str(order["do"]), str(order["pattern"])
            if do == "purge":
                found = await self._handle.purge(pattern, soft=bool(order["soft"]))
            elif do == "kick":
                found = await self._handle.kick(pattern)
            else:
                return
        except (ValueError, KeyError, TypeError, LocalProtocolError):
            return
        counts = [count for count in found.values() if count is not None]
        self.done[number] = sum(counts) if len(counts) == len(found) else None
        self.news.set()


async def report_to(descriptor: int, handle: GraphHandle, orders: Orders) -> None:
    """In a child: tell what there is to tell until nobody listens."""
    async with trio.lowlevel.FdStream(descriptor) as pipe:
        while True:
            done, orders.done, orders.news = orders.done, {}, trio.Event()
            told = {"pid": os.getpid(), "ready": handle.ready, "statistics": handle.statistics(), "done": done}
            line = json.dumps(told).encode() + b"\n"
            try:
                await pipe.send_all(line)
            except trio.BrokenResourceError:
                return
            with trio.move_on_after(EVERY):
                await orders.news.wait()


@define
class _Child:
    """What one child has told last."""

    alive: bool = False
    starts: int = 0
    pid: int | None = None
    ready: bool = False
    heard_at: float = 0.0
    told: dict[str, Any] = field(factory=dict)
    #: Orders that somebody waits for, how they went, and what wakes those who wait.
    wanted: set[str] = field(factory=set)
    done: dict[str, int | None] = field(factory=dict)
    news: trio.Event = field(factory=trio.Event)

    def hear(self, line: bytes) -> None:
        """Keep what a line says; one that is none changes nothing, and then `told_ago` grows."""
        try:
            said = json.loads(line)
            self.ready, self.told, self.pid = bool(said["ready"]), dict(said["statistics"]), said.get("pid")
            done = dict(said.get("done", {}))
        except (ValueError, KeyError, TypeError):
            return
        self.heard_at = trio.current_time()
        # What comes when nobody waits any more is not kept.
        for number in self.wanted & done.keys():
            self.done[number] = done[number] if type(done[number]) is int else None
        news, self.news = self.news, trio.Event()
        news.set()


class Reports(Afar):
    """The children together, as one handle: what the control address looks at.

    Args:
        registry: brings the companions, the control address among them.
        leaving: whether the parent was told to end; children drain then, and report no more.
        order: writes a line to a child; whether it lives to read it.
        tell: takes events.
    """

    def __init__(
        self,
        graph: Graph,
        registry: Registry,
        *,
        leaving: Callable[[], bool],
        tell: Callable[[Event], None],
        order: Callable[[str, bytes], Awaitable[bool]],
    ) -> None:
        super().__init__(graph, registry)
        self._leaving = leaving
        self._tell = tell
        self._order = order
        self._orders = 0
        self._children = {node.name: _Child() for node in graph.running}
        self._notable = Notable()

    @asynccontextmanager
    async def heard(self, name: str) -> AsyncIterator[int]:
        """Listen to a child for as long as the block lasts; yields the descriptor that it is to write to."""
        child = self._children[name]
        reader, writer = os.pipe()
        try:
            async with trio.lowlevel.FdStream(reader) as pipe, trio.open_nursery() as nursery:
                nursery.start_soon(self._hear, child, pipe, name=f"hears {name}")
                child.alive, child.ready, child.starts = True, False, child.starts + 1
                yield writer
                nursery.cancel_scope.cancel()
        finally:
            child.alive = child.ready = False
            os.close(writer)

    async def _hear(self, child: _Child, pipe: trio.lowlevel.FdStream) -> None:
        waiting = b""
        async for piece in pipe:
            *lines, waiting = (waiting + piece).split(b"\n")
            if len(waiting) > LINE:
                return
            for line in lines:
                child.hear(line)

    # --- as a handle -----------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether every child lives, says that it is, and none was told to end."""
        return not self._leaving() and all(each.alive and each.ready for each in self._children.values())

    def addresses(self, tier: str) -> tuple[Address, ...]:
        """Where a tier is bound, as far as it has told."""
        told = self._children[tier].told.get("tiers", {}).get(tier, {})
        return tuple(map(Address.parse, told.get("addresses", ())))

    def statistics(self) -> dict[str, Any]:
        """What the children have told last, in the shape of one process's statistics, and each process's own."""
        tiers = {name: self._tier(name, child) for name, child in self._children.items()}
        processes: dict[str, Any] = {
            name: {
                **child.told.get("process", {}),
                "pid": child.pid,
                "alive": child.alive,
                "starts": child.starts,
                "told_ago": trio.current_time() - child.heard_at if child.told else None,
            }
            for name, child in self._children.items()
        }
        events = gathered(self._notable.events(self.graph.viewer_addresses), processes)
        return {"process": {"ready": self.ready, "events": events}, "processes": processes, "tiers": tiers}

    def _tier(self, name: str, child: _Child) -> dict[str, Any]:
        told = dict(child.told.get("tiers", {}).get(name, {}))
        if not child.alive:
            told["state"] = "down"
        elif not child.ready:
            told["state"] = "starting"
        elif self._leaving():
            told["state"] = "draining"
        told.setdefault("state", "unknown")  # a child of another version: the control address counts on it
        return told

    async def purge(self, pattern: str, *, soft: bool = False, tiers: Sequence[str] = ()) -> dict[str, int | None]:
        """Have each child purge its tier; None where it fails or is not done within `PATIENCE` seconds."""
        Pattern.parse(pattern)
        return await self._have(tiers, {"do": "purge", "pattern": pattern, "soft": soft})

    async def kick(self, pattern: str, *, tiers: Sequence[str] = ()) -> dict[str, int | None]:
        """Have each child close connections; None where it fails or is not done within `PATIENCE` seconds."""
        Pattern.parse(pattern)
        return await self._have(tiers, {"do": "kick", "pattern": pattern})

    async def _have(self, tiers: Sequence[str], what: Mapping[str, object]) -> dict[str, int | None]:
        self._orders += 1
        number = str(self._orders)
        line = json.dumps({"number": number, **what}).encode() + b"\n"
        found: dict[str, int | None] = dict.fromkeys(tiers or self._children)

        async def ask(name: str) -> None:
            found[name] = await self._ask(name, number, line)

        async with trio.open_nursery() as nursery:
            for name in found:
                nursery.start_soon(ask, name)
        return found

    async def _ask(self, name: str, number: str, line: bytes) -> int | None:
        child = self._children[name]
        child.wanted.add(number)
        try:
            with trio.move_on_after(PATIENCE):
                if await self._order(name, line):
                    while number not in child.done:
                        await child.news.wait()
            return child.done.get(number)
        finally:
            child.wanted.discard(number)
            child.done.pop(number, None)

    def emit(self, event: Event) -> None:
        """Tell an event, and remember it."""
        self._notable.note(event, time.time())
        self._tell(event)


def gathered(own: Iterable[dict[str, Any]], processes: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The last events of all, newest last; they are taken out of what each process tells of itself."""
    found = list(own)
    for process in processes.values():
        told = process.pop("events", None)
        found += [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
    return sorted(found, key=_at)[-EVENTS:]


def _at(event: Mapping[str, Any]) -> float:
    at = event.get("at")
    return float(at) if isinstance(at, (int, float)) else 0.0
