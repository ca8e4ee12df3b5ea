"""How often the pump sends: arithmetic alone, for the pump itself and for whoever plans what it will cost."""

from __future__ import annotations

__all__ = ["pass_delay"]

#: A pass may cost one part in this many of the time: 30 leaves a core 97 % to everybody else, and with 100
#: players is still a frame (measured: 20 to 40 are alike).  Long passes go to 40: with hundreds of players a send
#: less is worth more than 50 ms.
PACE, LONG_PACE = 30.0, 40.0
#: Seconds of a pass from which on it is a long one, that of some 350 players.
LONG_PASS = 0.005


def pass_delay(cost: float, cap: float) -> float:
    """Seconds from the start of a pass that has cost `cost` seconds of CPU to the earliest start of the next.

    `cap` is the longest time for which media may be held (`FanoutPolicy.max_delay`).
    """
    pace = PACE + (LONG_PACE - PACE) * min(1.0, cost / LONG_PASS)
    # Who comes in the middle of a pass waits no longer than the cap: what came just behind the start of the last
    # leaves half a pass behind the start of this one.
    return min(pace * cost, max(cap / 2, cap - cost / 2))
