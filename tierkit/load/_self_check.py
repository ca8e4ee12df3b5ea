"""Whether the load tool itself was what was too slow.

Of each process three things are measured, and each alone can convict it:

* *lateness*: a ticker wants to run every TICK seconds, and notes how much later it did.  What comes late to the
  viewers by that much was not late at the server's.
* *CPU*: a process has one thread, so a share near 1 of a core means that it had no time left.
* *neglect*: bytes that wait in the kernel though a viewer has asked to be woken for so many, as seconds of the
  traffic.  What a viewer leaves there on purpose, to be woken less often, is no part of it.

The limits are what would spoil a verdict on a viewer: a quarter of a second is a twentieth of 5 s, and a quarter of the
lag that makes a stall.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

import trio
from attrs import asdict, frozen

__all__ = ["TICK", "Meter", "SelfCheck", "worst_of"]

#: Seconds between two looks.
TICK = 0.1
#: Seconds late at the 99th percentile; share of a core; seconds of traffic that wait, in the median.
MAX_LATE = 0.25
MAX_CPU = 0.95
MAX_NEGLECT = 0.25
#: Viewers that are looked at in each tick: a look is a system call.
_SAMPLE = 16


@frozen(kw_only=True)
class SelfCheck:
    """What a load process has measured of itself; of several the worst of each, and the CPU of all."""

    #: Milliseconds that its event loop was late, 99th percentile and most.
    late_p99_ms: float = 0.0
    late_max_ms: float = 0.0
    #: Share of a core, of the process that took most.
    cpu: float = 0.0
    #: Cores of all processes together.
    cpu_all: float = 0.0
    #: Seconds of traffic that waited to be looked at, median.
    neglect_s: float = 0.0
    processes: int = 1

    @property
    def evidence(self) -> list[str]:
        """What was over its limit; empty where the tool was no bottleneck."""
        found = []
        if self.late_p99_ms >= 1000 * MAX_LATE:
            found.append(f"its event loop was {self.late_p99_ms:.0f} ms late (99th percentile)")
        if self.cpu >= MAX_CPU:
            found.append(f"it took {self.cpu:.2f} of a core")
        if self.neglect_s >= MAX_NEGLECT:
            found.append(f"{self.neglect_s:.2f} s of traffic waited for it in the kernel (median)")
        return found

    @property
    def advice(self) -> str:
        """What to do where there is evidence."""
        if self.cpu >= MAX_CPU:
            return "give it more --processes"
        return "others took the CPU that it needed: give it a core of its own, or fewer viewers"

    @property
    def bottleneck(self) -> bool:
        """Whether the figures are of the tool and not of what it was pointed at."""
        return bool(self.evidence)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "bottleneck": self.bottleneck, "evidence": self.evidence}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> SelfCheck:
        """The inverse of `as_dict`."""
        return cls(**{key: value for key, value in found.items() if key not in ("bottleneck", "evidence")})


def worst_of(checks: Sequence[SelfCheck]) -> SelfCheck:
    """Of several processes: one that could not keep up spoils its viewers' figures, whatever the others did."""
    if not checks:
        return SelfCheck()
    return SelfCheck(
        late_p99_ms=max(each.late_p99_ms for each in checks),
        late_max_ms=max(each.late_max_ms for each in checks),
        cpu=max(each.cpu for each in checks),
        cpu_all=round(sum(each.cpu_all for each in checks), 3),
        neglect_s=max(each.neglect_s for each in checks),
        processes=sum(each.processes for each in checks),
    )


class Meter:
    """Measures this process while a run lasts.

    Args:
        neglected: bytes that wait at some viewers, given how many to look at, scaled up to all of them.
        received: bytes of media so far.
        cpu: seconds of CPU that this process has taken.
    """

    def __init__(
        self,
        neglected: Callable[[int], float],
        received: Callable[[], int],
        *,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._neglected = neglected
        self._received = received
        self._cpu = cpu
        self._late: Counter[int] = Counter()  # by ms
        self._waiting: list[float] = []
        self._begun = (trio.current_time(), cpu(), received())
        self._last = self._begun
        self._worst = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        due = trio.current_time() + TICK
        while True:
            await trio.sleep_until(due)
            now = trio.current_time()
            late = now - due
            self._worst = max(self._worst, late)
            self._late[round(1000 * late)] += 1
            self._waiting.append(self._neglected(_SAMPLE))
            # A tick that was missed is one that was late, however many would have fitted.
            due = max(due + TICK, now)

    def begin(self) -> None:
        """The ramp is over: CPU and what waits are measured from now on, lateness is of the whole run."""
        self._begun = (trio.current_time(), self._cpu(), self._received())
        self._waiting.clear()

    def lap(self) -> tuple[float, float, float]:
        """Since the last call: most lateness in seconds, share of a core, and bytes a second."""
        before, self._last = self._last, (trio.current_time(), self._cpu(), self._received())
        worst, self._worst = self._worst, 0.0
        return (worst, *_rates(before, self._last))

    def found(self) -> SelfCheck:
        """What it was so far."""
        cpu, rate = _rates(self._begun, (trio.current_time(), self._cpu(), self._received()))
        waiting = median(self._waiting) / rate if self._waiting and rate > 0 else 0.0
        return SelfCheck(
            late_p99_ms=float(_percentile(self._late.items(), 0.99)),
            late_max_ms=float(max(self._late, default=0)),
            cpu=round(cpu, 3),
            cpu_all=round(cpu, 3),
            neglect_s=round(waiting, 3),
        )


def _rates(before: tuple[float, float, int], after: tuple[float, float, int]) -> tuple[float, float]:
    seconds = after[0] - before[0]
    if seconds <= 0:
        return 0.0, 0.0
    return (after[1] - before[1]) / seconds, (after[2] - before[2]) / seconds


def _percentile(counts: Iterable[tuple[int, int]], share: float) -> int:
    """Nearest rank."""
    ordered = sorted(counts)
    left = math.ceil(share * sum(count for _, count in ordered))
    for value, count in ordered:
        left -= count
        if left <= 0:
            return value
    return 0
