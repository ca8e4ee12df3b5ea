"""Cores that never rest while something is measured on them, and how much of them nobody else wanted.

What a wake-up costs depends on whether its core was asleep: 60 µs on one that works, and up to 400 on one that has to
be woken first, in a virtual machine above all.  A machine near its bounds does not sleep, and those are what a plan is
about; so while we measure, a process of the lowest kind there is (SCHED_IDLE, sched(7)) spins on each core, and gives
way to anybody.  What it got of the core is what was to spare.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Spare", "awake"]

# Ends by itself when we are gone: its standard input is a pipe from us.
_SPIN = """
import os, sys, threading
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
while True:
    for _ in range(1000000):
        pass
"""


class Spare:
    """What was to spare of the cores since the block began."""

    def __init__(self, spinning: Sequence[int]) -> None:
        self._spinning = spinning
        self._began = time.monotonic()

    def share(self) -> float:
        """From 0, a machine that others have filled, to 1; 1 also where it cannot be known."""
        passed = (time.monotonic() - self._began) * len(self._spinning)
        return min(1.0, sum(map(_cpu, self._spinning)) / passed) if passed else 1.0


@contextmanager
def awake() -> Iterator[Spare]:
    """Keep every core of this process from resting for as long as the block lasts; where it cannot be, nothing."""
    cores = os.sched_getaffinity(0) if hasattr(os, "SCHED_IDLE") else ()
    spinning = [
        subprocess.Popen([sys.executable, "-c", _SPIN, str(core)], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for core in cores
    ]
    try:
        yield Spare([each.pid for each in spinning])
    finally:
        for each in spinning:
            each.kill()
            each.communicate()


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
