"""Cores that never rest while something is measured on them.

What a wake-up costs depends on whether its core was asleep: 60 µs on one that works, and up to 400 on one that has to
be woken first, in a virtual machine above all.  A machine near its bounds does not sleep, and those are what a plan is
about; so while we measure, a process of the lowest kind there is (SCHED_IDLE, sched(7)) spins on each core, and gives
way to anybody.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["awake"]

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


@contextmanager
def awake() -> Iterator[None]:
    """Keep every core of this process from resting for as long as the block lasts; where it cannot be, nothing."""
    if not hasattr(os, "SCHED_IDLE"):
        yield
        return
    spinning = [
        subprocess.Popen([sys.executable, "-c", _SPIN, str(core)], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for core in os.sched_getaffinity(0)
    ]
    try:
        yield
    finally:
        for each in spinning:
            each.kill()
            each.communicate()
