"""What a process costs: time, memory, and how late its event loop is.

Memory is what no single figure of the system shows: resident bytes, the blocks of its memfds, and what the kernel
holds for its sockets (which the tiers tell).
"""

from __future__ import annotations

import os
import resource
import time
from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path, PurePosixPath

import trio
from attrs import field, frozen

from ._ports import Descriptors

__all__ = ["LoopDelay", "LoopDelayStatistics", "ProcessStatistics", "cpu_seconds", "memory_limit", "resident_bytes"]

#: Seconds between two looks at how late the loop is.
LOOK = 0.5
#: Upper ends of the classes of delay, seconds.  10 ms is what a polite pump keeps others waiting for, 50 ms is told.
BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_PAGE = os.sysconf("SC_PAGE_SIZE")


@frozen(kw_only=True)
class LoopDelayStatistics:
    """How late a task was that is due every half second: what whoever is served now waits beside the work for it."""

    #: Looks so far, and seconds of delay over all of them.
    count: int = field(metadata={"merge": "sum"})
    sum: float = field(metadata={"merge": "sum"})
    #: Looks that were at most so late, by seconds: cumulative, as Prometheus has them; more are in `count` alone.
    buckets: dict[str, int] = field(metadata={"merge": "sum"})


@frozen(kw_only=True)
class ProcessStatistics:
    """One process, now and so far."""

    #: When it began, seconds since 1970, and for how many seconds it has run.
    started_at: float = field(metadata={"merge": "last"})
    uptime: float = field(metadata={"merge": "max"})
    #: Whether every tier accepts and none drains.
    ready: bool = field(metadata={"merge": "last"})
    #: Descriptors: what it may have, keeps free, and uses for connections and memfds, with the bytes in those.
    descriptors: Descriptors = field(metadata={"merge": "last"})
    #: Steps of the event loop of more than 50 ms so far, and seconds of the longest.
    long_steps: int = field(metadata={"merge": "sum"})
    longest_step: float = field(metadata={"merge": "max"})
    #: How late its event loop is.
    loop_delay: LoopDelayStatistics = field(metadata={"merge": "sum"})
    #: Seconds of CPU so far, user and system, of all its threads.
    cpu_seconds: float = field(metadata={"merge": "sum"})
    #: Memory now, bytes: resident (without what is shared with other processes as files are), in memfds, and held by
    #: the kernel for the connections of its tiers.
    resident_bytes: int = field(metadata={"merge": "sum"})
    memfd_bytes: int = field(metadata={"merge": "sum"})
    socket_bytes: int = field(metadata={"merge": "sum"})
    #: Memory that the process may have, with all others of its control group: the least of their limits and of what the
    #: machine has; None where the system does not say.
    memory_limit: int | None = field(metadata={"merge": "last"})
    #: The last events that are not viewers coming and going, newest last.
    events: list[dict[str, object]] = field(metadata={"merge": "last"})
    #: Of its access log: `lines` and `bytes` written so far, and lines `lost`; empty where there is none.
    access_log: dict[str, int] = field(factory=dict, metadata={"merge": "sum"})


class LoopDelay:
    """Measures how late the event loop is, in a task of its own."""

    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        self._clock = clock
        self._classes = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            due = self._clock() + LOOK
            await trio.sleep_until(due)
            self.note(self._clock() - due)

    def note(self, late: float) -> None:
        """A look was so many seconds late."""
        late = max(0.0, late)
        self._classes[bisect_left(BOUNDS, late)] += 1
        self._sum += late

    def statistics(self) -> LoopDelayStatistics:
        """So far."""
        counts = accumulate(self._classes[:-1])
        buckets = {f"{bound:g}": count for bound, count in zip(BOUNDS, counts, strict=True)}
        return LoopDelayStatistics(count=sum(self._classes), sum=self._sum, buckets=buckets)


def cpu_seconds() -> float:
    """User and system time of this process so far, all threads."""
    return time.process_time()


def memory_limit(root: Path = Path("/")) -> int | None:
    """The memory that this process may have, bytes: the least of the limits above it, and of what the machine has.

    By control groups of version 2 (Documentation/admin-guide/cgroup-v2.rst, memory.max), whose limits hold for all
    below, and by /proc/meminfo.  `root` is where these stand.
    """
    found = []
    try:
        found.append(int((root / "proc/meminfo").read_text().split(None, 2)[1]) * 1024)
    except (OSError, ValueError, IndexError):
        pass
    groups = root / "sys/fs/cgroup"
    try:
        own = (root / "proc/self/cgroup").read_text()
    except OSError:
        own = ""
    for line in own.splitlines():
        if line.startswith("0::/"):
            group = PurePosixPath(line.removeprefix("0::/"))
            found += filter(None, (_limit_of(groups / each) for each in (group, *group.parents)))
    return min(found, default=None)


def _limit_of(group: Path) -> int | None:
    try:
        return int((group / "memory.max").read_text())
    except (OSError, ValueError):  # no such file at the root, "max" where there is no limit
        return None


def resident_bytes() -> int:
    """Anonymous resident memory, bytes, as /proc/self/statm has it; where there is none, the most there ever was.

    Without shared pages: those of mapped memfds are counted as memfds.
    """
    try:
        with open("/proc/self/statm", "rb") as file:
            _, resident, shared, *_ = file.read().split()
        return (int(resident) - int(shared)) * _PAGE
    except (OSError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
