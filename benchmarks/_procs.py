"""Processes of the benchmarks: started on a core of their own, and what they cost by /proc.

Costs are CPU time and memory of the server alone, with all its processes, so that they hold on a machine
that others use too.  What is ended is what was started here, by its id.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tierkit.night._outside import cpu_seconds as cpu_seconds

#: Where `python -m benchmarks...` and `python -m tierkit` are run: in benchmarks/ itself, `import http` would
#: find the script of that name.
ROOT = Path(__file__).resolve().parent.parent
TIERKIT = [sys.executable, "-m", "tierkit"]
PAGE = os.sysconf("SC_PAGE_SIZE")
#: Seconds that a server may take until it listens, and until it has ended.
START, END = 20.0, 10.0


class Void(Exception):
    """A measurement that means nothing: requests failed, or a server broke off.  The run goes on without it."""


def cores() -> tuple[int, int]:
    """The core for the server, and the one for load and origin; the same where there is but one."""
    mine = sorted(os.sched_getaffinity(0))
    return mine[0], mine[-1]


def pinned(core: int | None, command: Sequence[str]) -> list[str]:
    """The command, held to one core."""
    return list(command) if core is None else ["taskset", "-c", str(core), *command]


def tree(pid: int) -> list[int]:
    """A process and all that came from it and is alive, parents first."""
    found = [pid]
    for each in found:  # grows while we walk it
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:  # ended between the look and the read
                continue
    return found


def waited_seconds(pid: int) -> float:
    """Time that its threads were ready to run and something else had the core (schedstat, second field)."""
    total = 0
    for each in tree(pid):
        for task in Path(f"/proc/{each}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[1])
            except OSError:
                continue
    return total / 1e9


def resident_bytes(pid: int, part: str = "Pss") -> int:
    """Resident memory of a process and its children, what they share counted once (PSS of smaps, proc(5)).

    `part="Pss_Anon"` counts what is neither of a file nor of shared memory: what connections cost.
    """
    total = 0
    for each in tree(pid):
        for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{part}:"):
                total += int(line.split()[1]) * 1024
    return total


def socket_bytes(*ports: int, side: str = "sport") -> int:
    """Kernel memory of the TCP sockets whose own port (or other side's: `dport`) is one of these.

    Received and unread, written and unacknowledged, allocated ahead, backlog (`ss -m`: r, w, f, o, bl).  What
    is written by sendfile from a memfd counts here and there, so a sum errs upwards.
    """
    wanted = " or ".join(f"{side} = :{port}" for port in ports)
    told = subprocess.run(["ss", "-Htnm", f"( {wanted} )"], check=True, capture_output=True, text=True).stdout
    return sum(skmem_bytes(part) for part in told.split("skmem:(")[1:])


def skmem_bytes(skmem: str) -> int:
    """What a socket holds, of the text that `ss -m` has behind `skmem:(`."""
    total = 0
    for field in skmem.partition(")")[0].split(","):
        name = field.rstrip("0123456789")
        if name in ("r", "w", "f", "o", "bl"):
            total += int(field[len(name) :])
    return total


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_listening(name: str, port: int, child: subprocess.Popen[str], log: Path) -> None:
    """Until somebody accepts at `port`; an error with the log's end where the child ended instead."""
    until = time.monotonic() + START
    while time.monotonic() < until:
        if child.poll() is not None:
            raise SystemExit(f"{name} ended at start: {log.read_text()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{name} does not listen at 127.0.0.1:{port} after {START:.0f} s: {log.read_text()[-2000:]}")


@contextmanager
def process(
    command: Sequence[str], log: Path | None = None, stdout: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A child from start to end: asked to end, and killed where it does not."""
    with (log or Path(os.devnull)).open("w") as sink:
        child = subprocess.Popen(command, stdout=stdout or sink, stderr=sink, text=True, cwd=ROOT)
    try:
        yield child
    finally:
        # tierkit drains at the first SIGTERM and drops at the second; the others take no harm from it.
        child.terminate()
        child.terminate()
        try:
            child.wait(END)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()


@contextmanager
def origin(core: int | None = None) -> Iterator[int]:
    """The benchmarks' own origin as a process; yields its port."""
    with process(pinned(core, [sys.executable, "-m", "benchmarks._origin"]), None, subprocess.PIPE) as child:
        assert child.stdout is not None
        yield int(child.stdout.readline())


@contextmanager
def tier(
    *arguments: str, doors: int = 0, core: int | None = None, log: Path | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """A tier as a process; yields its id and its addresses by protocol."""
    with process(pinned(core, [*TIERKIT, *arguments]), log, subprocess.PIPE) as child:
        assert child.stdout is not None
        addresses: dict[str, str] = {}
        for _ in range(doors or (2 if arguments[0] == "origin" else 1)):
            line = child.stdout.readline().split()
            if len(line) != 4:
                raise SystemExit(f"tierkit {' '.join(arguments)}: {log.read_text() if log else 'did not start'}")
            addresses[line[2]] = line[3]
        yield child.pid, addresses
