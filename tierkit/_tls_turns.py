"""Whose TLS handshake is computed when: joins must not hold up those who watch.

Theory of operation:

* A handshake costs a quarter to half a millisecond of pure computing, and one loop serves everybody.  A hundred
  hellos that arrive together would be computed in one go, and nobody else had a turn for 50 ms.  So the steps of
  handshakes share a *budget* of CPU time; who comes after it is spent waits in a queue.
* While somebody waits, a task of its own, the *keeper*, has one step in each turn of the loop: it begins a new
  budget and computes those who wait, in order, until that is spent.  With an empty queue there is no keeper, and
  a handshake is computed where it stands.
* Whoever has had our answer already goes first: that work is done, and the rest of it is small.  Each of them has
  been in the other queue before, so they keep nobody waiting for ever.  All others: first come, first served.
* Nobody waits for nothing.  Who would be late in any case is told so at the door, before any work; who has waited
  for `patience` when the turn comes is let go, so that work is spent only on those who have the time left to ask
  for something (the accept deadline goes on while they wait).
* No clock and no sockets here: the meter and the clock are arguments.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import outcome
import trio
from attrs import define

from ._because import Because
from .errors import GivenUp

__all__ = ["BUDGET", "PATIENCE", "HandshakeTurns"]

#: Seconds of handshakes in one turn of the loop: a tenth of the step that is told as one that blocks the loop,
#: and 10 to 20 handshakes.
BUDGET = 0.005
#: Seconds that a newcomer may wait: half of the usual deadline for a first request, the rest is the client's.
PATIENCE = 5.0
#: How much of what a newcomer takes of the clock is taken over from each turn, as in TCP's round trip (RFC 6298).
GAIN = 0.125

Shake = Callable[[], bool]


@define(eq=False)
class _Waiting:
    shake: Shake
    #: None once it has been cancelled, or has been seen to.
    task: trio.lowlevel.Task | None
    since: float


class HandshakeTurns:
    """The handshakes of one run of the loop.

    Args:
        meter: CPU seconds that this thread has used so far.
        clock: seconds.
        budget: seconds of handshakes in one turn; the last step may go beyond it.
        patience: seconds that a newcomer may wait.
    """

    def __init__(
        self,
        meter: Callable[[], float],
        clock: Callable[[], float],
        *,
        budget: float = BUDGET,
        patience: float = PATIENCE,
    ) -> None:
        self.budget = budget
        self.patience = patience
        self._meter = meter
        self._clock = clock
        self._spent = 0.0
        self._begun: deque[_Waiting] = deque()
        self._new: deque[_Waiting] = deque()
        self._newcomers = 0
        self._keeping = False
        #: Seconds of the clock between two newcomers' turns, while there is a queue.
        self._apart = 0.0

    @property
    def waiting(self) -> int:
        """Newcomers in the queue."""
        return self._newcomers

    def knock(self) -> None:
        """For a newcomer at the door.  Raises GivenUp where the queue is longer than its patience."""
        if (expected := self._newcomers * self._apart) > self.patience:
            many = f"{self._newcomers} TLS handshakes wait already, {expected:.1f} s of work"
            raise GivenUp(Because(f"{many}: more joins than this CPU has", word="overload"))

    async def take(self, shake: Shake, *, begun: bool) -> bool:
        """Compute a step of a handshake when its turn has come; returns, or raises, what it does.

        Does not checkpoint where there is no queue.

        Args:
            begun: whether it has had an answer of ours already.

        Raises:
            GivenUp: it has waited for too long.
        """
        if not (self._begun or self._new) and self._within():
            return self._compute(shake)
        waiting = _Waiting(shake, trio.lowlevel.current_task(), self._clock())
        self._queue(waiting, begun=begun)
        self._keep()

        def cancelled(_: object) -> trio.lowlevel.Abort:
            waiting.task = None
            self._newcomers -= not begun
            return trio.lowlevel.Abort.SUCCEEDED

        done: bool = await trio.lowlevel.wait_task_rescheduled(cancelled)
        return done

    def _queue(self, waiting: _Waiting, *, begun: bool) -> None:
        if begun:
            self._begun.append(waiting)
        else:
            self._new.append(waiting)
            self._newcomers += 1

    def _within(self) -> bool:
        return self._spent < self.budget

    def _compute(self, shake: Shake) -> bool:
        start = self._meter()
        try:
            return shake()
        finally:
            self._spent += self._meter() - start

    # --- the keeper ------------------------------------------------------------------------------

    def _keep(self) -> None:
        if not self._keeping:
            self._keeping = True
            trio.lowlevel.spawn_system_task(self._run, name="tierkit TLS handshakes")

    async def _run(self) -> None:
        try:
            while self._begun or self._new:
                before = self._clock()
                served = self._turn()
                await trio.lowlevel.checkpoint()
                if served:
                    self._learn((self._clock() - before) / served)
        finally:
            # The end of the run comes here with Cancelled: whoever waits is cancelled too.
            self._keeping = False

    def _turn(self) -> int:
        """A new budget; returns how many newcomers have had their turn."""
        self._spent, served = 0.0, 0
        while self._within() and (self._begun or self._new):
            waiting = (self._begun or self._new)[0]
            newcomer = not self._begun
            (self._new if newcomer else self._begun).popleft()
            if waiting.task is not None:
                self._newcomers -= newcomer
                served += newcomer
                self._see_to(waiting, late=newcomer and self._late(waiting))
        return served

    def _late(self, waiting: _Waiting) -> bool:
        return self._clock() - waiting.since > self.patience

    def _see_to(self, waiting: _Waiting, *, late: bool) -> None:
        task, waiting.task = waiting.task, None
        assert task is not None
        if late:
            reason = f"waited {self.patience:g} s for its TLS handshake: more joins than this CPU has"
            trio.lowlevel.reschedule(task, outcome.Error(GivenUp(Because(reason, word="overload"))))
        else:
            trio.lowlevel.reschedule(task, outcome.capture(self._compute, waiting.shake))

    def _learn(self, apart: float) -> None:
        self._apart += GAIN * (apart - self._apart) if self._apart else apart
