"""What processes cost, as the system sees it: beside what they say of themselves.

Memory has three parts and no single figure shows them: what is resident, the blocks of memfds, and what the kernel
holds for sockets.  The last is read by ``ss -m`` and counts what was sent by sendfile from a memfd a second time, so
the sum errs upwards.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import trio

__all__ = ["clients_at", "cpu_seconds", "machine", "memfd_bytes", "memory_of", "socket_bytes"]

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all that came from it; 0 once it is gone."""
    total, found = 0, [pid]
    for each in found:  # grows while we walk it
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(field) for field in fields[11:15])
            for task in Path(f"/proc/{each}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:  # ended between the look and the read
            continue
    return total / _TICK


def memory_of(pid: int) -> tuple[int, int]:
    """Resident bytes, without what is mapped of memfds, and the blocks of memfds; (0, 0) once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        kilobytes = dict(re.findall(r"^(VmRSS|RssShmem):\s+(\d+) kB", status, re.MULTILINE))
        resident = (int(kilobytes["VmRSS"]) - int(kilobytes["RssShmem"])) * 1024
        return resident, memfd_bytes(pid)
    except (OSError, KeyError):
        return 0, 0


def memfd_bytes(pid: int) -> int:
    """Blocks of the memfds that a process holds: they are in no RSS.  Raises OSError once it is gone."""
    total = 0
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            if os.readlink(entry.path).startswith("/memfd:"):
                total += os.stat(entry.path).st_blocks * 512
        except OSError:  # closed meanwhile
            continue
    return total


async def socket_bytes(ports: Iterable[int]) -> Counter[int]:
    """Kernel memory of the TCP connections of each of our listeners, by port; empty where there is no ``ss``."""
    found: Counter[int] = Counter()
    for line in await _ss("-HtnmO", " or ".join(f"sport = :{port}" for port in ports)) or ():
        words = line.split()
        _, _, skmem = line.partition("skmem:(")
        if len(words) > 3 and skmem:
            # r, w, f, o, bl: received and unread, written and unacknowledged, allocated ahead, options, backlog.
            held = re.findall(r"\b(?:r|w|f|o|bl)(\d+)", skmem.partition(")")[0])
            found[int(words[3].rpartition(":")[2])] += sum(map(int, held))
    return found


async def clients_at(ports: Iterable[int]) -> set[int] | None:
    """The processes that have connections to some ports of this machine; None where there is no ``ss``."""
    lines = await _ss("-HtnpO", " or ".join(f"dport = :{port}" for port in ports))
    if lines is None:
        return None
    return {int(pid) for line in lines if line.startswith("ESTAB") for pid in re.findall(r"\bpid=(\d+)", line)}


async def _ss(options: str, wanted: str) -> list[str] | None:
    """A line for each connection; None where there is no ``ss``."""
    try:
        told = await trio.run_process(["ss", options, f"( {wanted} )"], capture_stdout=True, check=False)
    except OSError:
        return None
    return told.stdout.decode().splitlines()


def machine() -> str:
    """What it ran on."""
    cores = len(os.sched_getaffinity(0))
    model = ""
    try:
        model = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[0]
    except (OSError, IndexError):
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{cores} cores{f' of {model}' if model else ''}, {memory:.0f} GB, Linux {os.uname().release}"
