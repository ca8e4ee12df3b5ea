"""Watching a night: one look a second at what the tiers and the origin say, and now and then from outside."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import trio
from attrs import define, field

from tierkit.errors import TierkitError
from tierkit.history import History
from tierkit.reporting import Asker

from ._outside import clients_at, memory_of, socket_bytes

__all__ = ["Watch", "connections_of", "most"]

#: Seconds between two looks, and between two from outside: `ss` goes through all connections of the machine.
EVERY, OUTSIDE = 1.0, 5.0


@define
class Outside:
    """The most that a tier had as the system sees it, bytes, at one time."""

    resident: int = 0
    memfds: int = 0
    sockets: int = 0

    @property
    def total(self) -> int:
        """All three."""
        return self.resident + self.memfds + self.sockets


@define
class Watch:
    """What was seen so far.

    Args:
        tiers: the control address of the tiers, and `origin` that of the origin.
        ports: where each tier listens, and `doors` where the origin does.
        encoder: the process that publishes; None where it is ours.
        say: takes a line now and then, for who waits.
    """

    tiers: str
    origin: str
    ports: Mapping[str, int]
    doors: Sequence[int]
    encoder: int | None
    say: Callable[[str], None]
    history: History = field(factory=History)
    #: With the time of the look (trio's clock): the connections that the origin has by its own count, and the processes
    #: that hold them, of which one may have two.  The encoder is left out of both.
    connections: list[tuple[float, int]] = field(factory=list)
    clients: list[tuple[float, int]] = field(factory=list)
    outside: dict[str, Outside] = field(factory=dict)
    #: The most that each tier has said of itself, bytes, and the least and most of what it is made of.
    inside: dict[str, int] = field(factory=dict)
    looks: int = 0
    #: Looks that were not answered.
    missed: int = 0
    #: Times that a tier's process was started again.
    restarts: int = 0
    _pids: dict[str, int] = field(factory=dict)

    async def run(self) -> None:
        """Until cancelled."""
        due = trio.current_time()
        outside = due
        with Asker(self.tiers) as tiers, Asker(self.origin) as origin:
            while True:
                try:
                    self._take(await tiers.json("/statistics"), await origin.json("/statistics"))
                except TierkitError:
                    self.missed += 1
                if trio.current_time() >= outside:
                    outside = trio.current_time() + OUTSIDE
                    await self._from_outside()
                due = max(due + EVERY, trio.current_time())
                await trio.sleep_until(due)

    def _take(self, told: Mapping[str, Any], origin: Mapping[str, Any]) -> None:
        self.looks += 1
        self.history.add(time.time(), told)
        for name, process in told.get("processes", {}).items():
            self._pids[name] = process.get("pid") or 0
            held = [process.get(each) or 0 for each in ("resident_bytes", "memfd_bytes", "socket_bytes")]
            self.inside[name] = max(self.inside.get(name, 0), sum(held))
        self.restarts = sum(max(0, each.get("starts", 1) - 1) for each in told.get("processes", {}).values())
        self.connections.append((trio.current_time(), connections_of(origin)))
        if self.looks % 10 == 0:
            self.say(self._line(told))

    def _line(self, told: Mapping[str, Any]) -> str:
        watching = sum(tier.get("figures", {}).get("viewers", 0) for tier in told.get("tiers", {}).values())
        lately = self.history.as_dict(10)
        sums = [sum(each or 0 for each in values) / max(1, len(values)) for values in lately["type"].values()]
        return (
            f"{watching:,} viewers, {sum(sums) / 1e9:.2f} Gbit/s, {self.connections[-1][1]} connections at the origin"
        )

    async def _from_outside(self) -> None:
        clients = await clients_at(self.doors)
        if clients is not None:
            self.clients.append((trio.current_time(), len(clients - {self.encoder or os.getpid()})))
        sockets = await socket_bytes(self.ports.values())
        for name, pid in self._pids.items():
            resident, memfds = memory_of(pid) if pid else (0, 0)
            now = Outside(resident, memfds, sockets[self.ports[name]])
            if now.total > self.outside.setdefault(name, Outside()).total:
                self.outside[name] = now


def most(counts: Sequence[tuple[float, int]], since: float, until: float) -> int | None:
    """The highest count between two times of trio's clock; None where nobody looked."""
    return max((count for at, count in counts if since <= at <= until), default=None)


def connections_of(origin: Mapping[str, Any]) -> int:
    """The connections of an origin that take something from it."""
    connections = publishers = 0
    for tier in origin.get("tiers", {}).values():
        connections += tier.get("connections", 0)
        publishers += sum(service.get("publishers", 0) for service in tier.get("services", {}).values())
    return max(0, connections - publishers)
