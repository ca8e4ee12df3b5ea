"""What authorisers are told later: by a few tasks, from a bounded queue, each under a deadline.

The bound: `MAX_WAITING` notices of under 1 kB each; what comes when so many wait is left out and counted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable

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
        #: What is called every so often: when next, how often, and what.  As many as are there, none of who has gone.
        self._due: dict[Hashable, tuple[float, float, Callable[[], None]]] = {}
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

    def every(self, key: Hashable, seconds: float, call: Callable[[], None], now: float) -> None:
        """Call something every so often, until `forget`."""
        self._due[key] = (now + seconds, seconds, call)

    def forget(self, key: Hashable) -> None:
        """Call it no more."""
        self._due.pop(key, None)

    def look(self, now: float) -> None:
        """Do what is due.  20,000 players are looked over in 1 ms."""
        due = [(key, each) for key, each in self._due.items() if each[0] <= now]
        for key, (when, seconds, call) in due:
            # One that is late by more than a whole turn has lost that turn.
            self._due[key] = (max(when + seconds, now), seconds, call)
            call()

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
