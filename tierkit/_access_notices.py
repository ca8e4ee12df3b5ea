"""What authorisers are told later: by a few tasks, from a bounded queue, each under a deadline.

The bound: `MAX_WAITING` notices of under 1 kB each; what comes when so many wait is left out and counted.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable
from itertools import count

import trio

from .errors import TierkitError

__all__ = ["Notices"]

#: Told at the same time: a back end of 50 ms then takes 320 a second.
WORKERS = 16
MAX_WAITING = 10_000

Tell = Callable[[], Awaitable[None]]
#: Called at the end of a notice, with what went wrong or "".
Over = Callable[[str], None]


class Notices:
    """The queue, and what is due when.

    Attributes:
        within: seconds that one notice may take.
        failed, lost: how many failed, and how many were left out because too many waited.
    """

    def __init__(self, within: float) -> None:
        self.within = within
        self.failed = self.lost = 0
        #: Put and not over yet.
        self.waiting = 0
        self._send, self._receive = trio.open_memory_channel[tuple[Tell, Over]](MAX_WAITING)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._empty = trio.Event()

    def start(self, nursery: trio.Nursery, tier: str) -> None:
        """Begin to tell."""
        for _ in range(WORKERS):
            nursery.start_soon(self._work, name=f"{tier} tells authorisers")

    def put(self, tell: Tell, over: Over) -> None:
        """Tell something soon."""
        self.waiting += 1
        try:
            self._send.send_nowait((tell, over))
        except trio.WouldBlock:
            self.lost += 1
            self._end(over, f"is too slow: {MAX_WAITING} notices wait for it, and this one is left out")

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Call something at a time."""
        heapq.heappush(self._due, (when, next(self._numbers), call))

    def look(self, now: float) -> None:
        """Do what is due."""
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()

    async def empty(self) -> None:
        """Until nothing waits."""
        while self.waiting:
            await self._empty.wait()

    async def _work(self) -> None:
        async for tell, over in self._receive:
            trouble = ""
            with trio.move_on_after(self.within) as scope:
                try:
                    await tell()
                except Exception as error:
                    said = " ".join(str(error).split())
                    trouble = said if isinstance(error, TierkitError) else f"failed: {type(error).__name__}: {said}"
            if scope.cancelled_caught:
                trouble = f"has not answered within {self.within:g} s"
            self.failed += bool(trouble)
            self._end(over, trouble)

    def _end(self, over: Over, trouble: str) -> None:
        self.waiting -= 1
        over(trouble)
        if not self.waiting:
            self._empty.set()
            self._empty = trio.Event()
