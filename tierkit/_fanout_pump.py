"""The one task of a process that sends to everybody at the head."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import trio
from attrs import field, frozen

from ._fanout_cursor import Cursor
from ._fanout_log import FanoutPolicy
from ._fanout_pace import pass_delay
from ._fanout_ring import Ring
from ._plugin import Shared
from ._ports import Network

__all__ = ["Pump", "PumpStatistics"]

#: Publishers are not asked to rest for less: nothing would come meanwhile.  A picture comes every 20 to 40 ms.
SHORTEST_REST = 0.010
#: Ticks of the scheduler in which a reader that was woken has read and handed on what has come, and the end behind
#: it: each `Connection.recv` takes one, and trio shuffles who runs first in each.
TICKS_TO_READ = 4
#: Sends between two checkpoints.  Without any, others stall 97 ms at p99 at 6,000 players; so 8 to 12.
POLITE = 64
#: What is done for many players between two checkpoints: a join costs some 100 µs, ten times a send.
AT_ONCE = 32

_NOBODY = -2


@frozen(kw_only=True)
class PumpStatistics:
    """The pump of one process, now and so far."""

    #: Passes, sends to players at the head, and those of them that were short.
    passes: int = field(metadata={"merge": "sum"})
    sends: int = field(metadata={"merge": "sum"})
    short: int = field(metadata={"merge": "sum"})
    #: Seconds that all passes have cost, and the last one.
    cost: float = field(metadata={"merge": "sum"})
    last_cost: float = field(metadata={"merge": "max"})
    #: Seconds from the start of the last pass to the earliest start of the next.
    delay: float = field(metadata={"merge": "max"})


class Pump(Shared):
    """Joins and sends, for all rings of the process; `ctx.shared(Pump)`.

    Args:
        clock: seconds on trio's clock.
        meter: CPU seconds that work has cost this thread, read around it; while others have the processor, nothing
            is spent.  Tests give one of their own.
    """

    def __init__(
        self, network: Network, clock: Callable[[], float], *, meter: Callable[[], float] = time.thread_time
    ) -> None:
        super().__init__(network, clock)
        self._meter = meter
        self._dirty: list[Ring] = []
        self._woken = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._early: list[Callable[[], Awaitable[None]]] = []
        #: Readers that rest, and when the next pass may begin: 0 while nothing waits for one.
        self._resting = trio.lowlevel.ParkingLot()
        self._next = 0.0
        self._passes = self._sends = self._short = 0
        self._cost = self._last_cost = self._delay = 0.0

    def ring(self, policy: FanoutPolicy, prelude: Callable[[int], bytes]) -> Ring:
        """A new ring of this pump; see `Ring` for `prelude`."""
        return Ring(self, policy, self.clock, prelude)

    def wants(self, ring: Ring) -> None:
        """A ring has something to send."""
        ring.dirty = True
        self._dirty.append(ring)
        self._woken.set()

    def wait_for(self, cursor: Cursor) -> None:
        """Have a task wait until a cursor has caught up."""
        self._start(cursor.catch_up, "slow player")

    def in_turns(self, calls: Iterable[Callable[[], None]]) -> None:
        """Call each: the first few now, the others by and by, so that thousands of them keep nobody waiting."""
        rest = list(calls)
        for call in rest[:AT_ONCE]:
            call()
        if later := rest[AT_ONCE:]:
            self._start(partial(_in_turns, later), "many players")

    def _start(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        if self._nursery is None:
            self._early.append(work)
        else:
            self._nursery.start_soon(work, name=name)

    async def run(self) -> None:
        """Pass after pass, until cancelled."""
        async with trio.open_nursery() as self._nursery:
            for work in self._early:
                self._nursery.start_soon(work)
            self._early.clear()
            while True:
                if not self._dirty:
                    self._next = 0.0
                    self._resting.unpark_all()
                    self._woken = trio.Event()
                    await self._woken.wait()
                started = self.clock()
                self._next = started + self._delay
                self._delay = await self._pass()
                self._next = started + self._delay
                await trio.sleep(max(0.0, self._next - self.clock()))
                self._next = self.clock() + self._delay  # who reads from now on may rest until the pass behind this one
                if self._resting:
                    await self.wake_readers()

    async def rest(self, most: float) -> None:
        """Until a pass is about to begin, or for `most` seconds: for a reader whose stream is sent by no other way.

        What comes until then would leave by that pass in any case, so it is read by one wake-up instead of one a
        message (which costs 60 µs, and 400 where the core has slept).  At once while no pass is in sight.
        """
        left = self._next - self.clock()
        if min(left, most) < SHORTEST_REST:
            return
        if most < left:
            with trio.move_on_after(most):
                await self._resting.park()
        else:
            await self._resting.park()

    async def wake_readers(self) -> None:
        """Have readers read what has come, so that it is known: media, or that somebody has gone."""
        for _ in range(0, len(self._resting), AT_ONCE):
            self._resting.unpark(count=AT_ONCE)
            await trio.lowlevel.checkpoint()
        # Also where nobody rests: who was woken a moment ago, or by the same event as the caller, may not have read.
        for _ in range(TICKS_TO_READ):
            await trio.lowlevel.checkpoint()

    def statistics(self) -> PumpStatistics:
        """Plain counters."""
        return PumpStatistics(
            passes=self._passes,
            sends=self._sends,
            short=self._short,
            cost=self._cost,
            last_cost=self._last_cost,
            delay=self._delay,
        )

    async def _pass(self) -> float:
        """Send everybody at the head what has come; returns how long after the start of this the next may start."""
        rings, self._dirty = self._dirty, []
        cap = min(ring.policy.max_delay for ring in rings)
        cost, budget, mark = 0.0, POLITE, self._meter()
        for ring in rings:
            ring.dirty = False
            batch = ring.log.seal()
            upto = ring.log.end
            # The position of no cursor where there is no batch.
            start, data = (batch.start, batch.data) if batch is not None else (_NOBODY, b"")
            size = len(data)
            for cursor in tuple(ring.cursors):
                if cursor.alive and not cursor.blocked:
                    if cursor.position == start:
                        # Written out, because a call costs a twentieth of a send.
                        self._sends += 1
                        try:
                            taken = cursor.send(data)
                        except Exception as error:  # of this connection alone, whatever it is
                            cursor.fail(error)
                        else:
                            cursor.position = start + taken
                            cursor.sent += taken
                            ring.bytes_sent += taken
                            if taken < size:
                                self._short += 1
                                cursor.block()
                    else:
                        cursor.push()  # it waits for a keyframe, or is a batch behind: somebody joined at one
                    budget -= 1
                    if not budget:
                        cost += self._meter() - mark
                        await trio.lowlevel.checkpoint()
                        budget, mark = POLITE, self._meter()
            ring.settle(upto)
        cost += self._meter() - mark
        self._passes += 1
        self._cost += cost
        self._last_cost = cost
        return pass_delay(cost, cap)


async def _in_turns(calls: list[Callable[[], None]]) -> None:
    for number, call in enumerate(calls):
        if number % AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
        call()
