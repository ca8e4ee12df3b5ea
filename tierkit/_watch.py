"""Notices who holds the event loop up: one loop serves everybody, so a long step is everybody's wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import trio

from ._events import LoopBlocked

__all__ = ["LoopWatch"]

#: A step longer than this is told: 50 ms is a frame and a half at 25 pictures a second, and what a player
#: joining now would feel.
LONG_STEP = 0.050


class LoopWatch(trio.abc.Instrument):
    """Counts long task steps and tells about the longest at most once a second.

    Attributes:
        long_steps: how many steps were longer than 50 ms.
        longest: seconds of the longest step so far.
    """

    def __init__(self, emit: Callable[[LoopBlocked], None], *, meter: Callable[[], float] = time.perf_counter) -> None:
        self.long_steps = 0
        self.longest = 0.0
        self._emit = emit
        self._meter = meter
        # Never, as long as no step has begun under it: it is put on in the middle of one.
        self._began = float("inf")
        self._told = float("-inf")
        self._untold = 0
        self._worst: tuple[float, str] = (0.0, "")

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Start the watch."""
        self._began = self._meter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Stop the watch, and look whether there is something to tell."""
        now = self._meter()
        took = now - self._began
        if took < LONG_STEP:
            return
        self.long_steps += 1
        self.longest = max(self.longest, took)
        self._untold += 1
        self._worst = max(self._worst, (took, _where(task)))
        if now - self._told >= 1.0:
            seconds, name = self._worst
            self._emit(LoopBlocked(task=name, seconds=seconds, count=self._untold))
            self._told, self._untold, self._worst = now, 0, (0.0, "")


def _where(task: trio.lowlevel.Task) -> str:
    # The task now waits somewhere below the code that held the loop up, often inside our own machinery, so
    # the innermost frame of somebody else's is the one to name; the task's name says for whom it ran.
    coro: Any = task.coro
    ours = theirs = ""
    while coro is not None:
        frame = getattr(coro, "cr_frame", None) or getattr(coro, "ag_frame", None) or getattr(coro, "gi_frame", None)
        if frame is not None:
            module = frame.f_globals.get("__name__", "")
            place = f"{module}:{frame.f_code.co_name}"
            if module.startswith("tierkit.") and not module.startswith("tierkit.plugins."):
                ours = place
            elif module.partition(".")[0] != "trio":
                theirs = place
        coro = getattr(coro, "cr_await", None) or getattr(coro, "ag_await", None) or getattr(coro, "gi_yieldfrom", None)
    place = theirs or ours
    return f"{task.name} ({place})" if place else task.name
