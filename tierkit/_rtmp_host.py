"""What a service decides for those who connect to it by RTMP, and who looks after all of them together."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol

import trio

from ._access_chain import Access
from ._authorise import Attempt
from ._because import Because
from ._fanout import Cursor, Pump
from ._plugin import Context
from .codecs.rtmp_session import ConnectRequested
from .live import Publication, Stream, Unavailable

__all__ = ["RTMPHost", "RTMPRefusal", "Served", "Sweeper"]

#: Seconds between two looks at those who wait for a stream, and, in such looks, at everybody.
LOOK = 1.0
LOOKS_AT_ALL = 5
#: Connections looked at before others get a turn: some 100 µs.
BURST = 256


class Served(Protocol):
    """One connection, as the sweeper and a service see it."""

    #: What it publishes, by message stream, and what it plays by.
    publications: dict[int, Publication]
    cursor: Cursor | None

    def names(self) -> list[str]:
        """The streams that it publishes, plays or waits for."""

    def stop(self, reason: str) -> None:
        """End it now."""

    def drain(self) -> None:
        """Let it go elsewhere, if it knows how."""

    def say_farewell(self) -> None:
        """End it in order: the tier is about to stop."""

    def look(self, now: float) -> None:
        """Ping it, or drop it."""

    def look_at_wait(self, now: float) -> None:
        """Refuse it where its stream has not come on air in time."""


class RTMPRefusal(Unavailable):
    """A publisher or player is turned away, with an RTMP status code."""


class RTMPHost(ABC):
    """What a service decides for those who connect to it.

    Attributes:
        sweeper: what looks after silent peers; the service runs it.
        access: who may publish and play; None lets everybody.
        patience: seconds that a player waits for a stream that is not on air before it is refused.
    """

    ctx: Context
    sweeper: Sweeper
    access: Access | None = None
    patience: float = 10.0

    def admit(self, request: ConnectRequested) -> None:
        """Raise RTMPRefusal to refuse a connection by what its `connect` says."""

    @abstractmethod
    async def play(self, attempt: Attempt, request: ConnectRequested) -> Stream:
        """The stream that a player, which may play it, asks for; it may still be off air.  Raises RTMPRefusal."""

    @abstractmethod
    async def publish(self, attempt: Attempt) -> Publication:
        """Begin to publish, for one who may.  Raises RTMPRefusal or Busy."""

    def joined(self, stream: Stream) -> None:
        """A player has come: it is in `stream.players`, and plays or waits."""

    def left(self, stream: Stream) -> None:
        """A player has left; the last one's departure may end a pull."""


class Sweeper:
    """Looks after all connections of a service, in one task.

    Attributes:
        farewell: seconds that players and publishers have to go elsewhere once the tier drains; then they are
            ended in order.
        elsewhere: where that is, ``rtmp://HOST:PORT`` or with an application; empty where they are to come back.
        max_bitrate: bits per second, over five seconds, beyond which a publisher is dropped.
        too_fast: how many publishers were dropped for that.
    """

    farewell: float = 5.0
    elsewhere: str = ""
    max_bitrate: float = math.inf

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._pump = ctx.shared(Pump)
        self.served: set[Served] = set()
        #: How many of them play now, and those that publish: those who begin and end it say so.
        self.players = 0
        self.publishing: set[Served] = set()
        #: Those of them that wait for a stream which is not on air.
        self.waits: set[Served] = set()
        #: The tier drains: nobody new may begin.
        self.leaving = False
        self.too_fast = 0
        self._farewell_at = math.inf

    def __iter__(self) -> Iterator[Served]:
        return iter(tuple(self.served))

    @property
    def waiting(self) -> int:
        """How many wait for a stream that is not on air."""
        return len(self.waits)

    @property
    def publishers(self) -> int:
        """How many publish now."""
        return len(self.publishing)

    async def run(self) -> None:
        """Refuse who has waited for too long; ping, and drop who has been silent for too long."""
        looks = 0
        while True:
            await trio.sleep(LOOK)
            looks += 1
            now = self._ctx.clock()
            for served in tuple(self.waits):
                served.look_at_wait(now)
            if now >= self._farewell_at:
                self._farewell_at = math.inf
                self._pump.in_turns([served.say_farewell for served in self])
            if looks % LOOKS_AT_ALL == 0:
                for index, served in enumerate(self):
                    served.look(now)
                    self._bound(served, now)
                    if index % BURST == BURST - 1:
                        await trio.lowlevel.checkpoint()

    def _bound(self, served: Served, now: float) -> None:
        """Drop a publisher that sends too much."""
        for publication in served.publications.values():
            rate = publication.bitrate(now)
            if rate is not None and rate > self.max_bitrate:
                self.too_fast += 1
                much = f"it sends {rate / 1e6:.1f} Mbit/s; max_bitrate is {self.max_bitrate / 1e6:g}"
                served.stop(Because(much, word="too_fast"))

    def draining(self) -> None:
        """Let nobody new begin, and tell all that can go elsewhere to do so."""
        self.leaving = True
        self._farewell_at = self._ctx.clock() + self.farewell
        self._pump.in_turns([served.drain for served in self])

    def kick(self, name: str, reason: str = "kicked") -> int:
        """End whoever plays or publishes a stream (or, with a ``*`` at its end, those that begin so)."""
        wanted = "/" + name.lstrip("/")
        count = 0
        for served in self:
            if any(_matches(each, wanted) for each in served.names()):
                served.stop(Because(reason, word="kicked"))
                count += 1
        return count


def _matches(name: str, wanted: str) -> bool:
    return name.startswith(wanted[:-1]) if wanted.endswith("*") else name == wanted
