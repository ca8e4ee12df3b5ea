"""Asking a second upstream beside a slow one, and how often that may be done.

The first acceptable head wins: whoever has it says so (`Claim`) before it does anything with it, and the other is
cancelled, which drops its connection.

A slow origin is slow for everybody: if each request to it were sent once more, it would get twice the load when it can
bear it least.  So hedges are paid from a budget that requests fill: gRPC's retry throttling has the same two numbers
(`tokenRatio` 0.1, `maxTokens` 10), Finagle's BackupRequestFilter and RetryBudget the same idea.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from attrs import define, field

from tierkit.plugin import Candidate, TierkitError

__all__ = ["HEDGE_SAVED", "HEDGE_SHARE", "Claim", "HedgeBudget", "race"]

Claim = Callable[[], None]
#: Asks one: None where its answer was taken, or why others may be asked.
One = Callable[[Candidate, Claim], Awaitable[TierkitError | None]]

#: Hedges that each request pays for.
HEDGE_SHARE = 0.1
#: Hedges that can be saved up: so many may come at once after a quiet time.
HEDGE_SAVED = 10.0


class HedgeBudget:
    """At most `HEDGE_SAVED` hedges, and `HEDGE_SHARE` of all requests, in any stretch of time."""

    def __init__(self) -> None:
        self._saved = HEDGE_SAVED

    def asked(self) -> None:
        """A request was sent for its own sake."""
        self._saved = min(HEDGE_SAVED, self._saved + HEDGE_SHARE)

    def take(self) -> bool:
        """Pay for one hedge; whether there was enough."""
        # Ten tenths are a little less than one.
        if self._saved < 1 - 1e-9:
            return False
        self._saved -= 1
        return True


@define(eq=False)
class _Lane:
    who: Candidate
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    ended: bool = False
    outcome: TierkitError | None = None
    raised: Exception | None = None


class _Beaten(Exception):
    """Somebody else's head was first."""


async def race(one: One, line: list[Candidate], after: float, allowed: Callable[[], bool]) -> list[TierkitError | None]:
    """Ask the first in the line, and the second as well where nothing has come of that for `after` seconds.

    Takes out of the line who has ended by himself; who was beaten by a head that then was no good stays in it.

    Args:
        allowed: whether the second may be asked; called at most once.

    Returns what came of each who ended.  Raises what the winner raised.
    """
    lanes: list[_Lane] = []
    winner: _Lane | None = None
    settled = trio.Event()

    async def run(lane: _Lane) -> None:
        def claim() -> None:
            nonlocal winner
            if winner is not None and winner is not lane:
                raise _Beaten
            winner = lane
            settled.set()
            for other in lanes:
                if other is not lane:
                    other.scope.cancel()

        with lane.scope:
            try:
                lane.outcome = await one(lane.who, claim)
                lane.ended = True
            except _Beaten:
                pass
            except Exception as error:  # told apart below: a nursery would wrap it
                lane.ended, lane.raised = True, error
        settled.set()

    async with trio.open_nursery() as nursery:
        lanes.append(_Lane(line[0]))
        nursery.start_soon(run, lanes[0])
        with trio.move_on_after(after):
            await settled.wait()
        if not settled.is_set() and allowed():
            lanes.append(_Lane(line[1]))
            nursery.start_soon(run, lanes[1])
    for lane in lanes:
        if lane.raised is not None:
            raise lane.raised
        if lane.ended:
            line.remove(lane.who)
    return [lane.outcome for lane in lanes if lane.ended]
