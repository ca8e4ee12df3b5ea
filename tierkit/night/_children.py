"""The processes of a night: each in a group of its own, none left behind.

What they write to standard error goes to a log each.  However we end (by ourselves, by Ctrl-C, by SIGKILL), the leash
sees the pipe to it end and ends what is left; when we end in good order there is nothing left for it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio
from attrs import define

from tierkit.errors import TierkitError

__all__ = ["Child", "Children", "open_children"]

#: Seconds until a process has told that it is ready, and until it has ended once it was told to.
START, END = 30.0, 8.0


@define(eq=False)
class Child:
    """One process."""

    name: str
    process: trio.Process
    out: Path
    log: Path

    @property
    def pid(self) -> int:
        """Of itself, and of its group."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    @property
    def last_words(self) -> str:
        """The last line that it wrote to standard error."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    async def ready(self, listeners: int) -> dict[str, dict[str, str]]:
        """Wait for its ``ready`` lines; where each tier listens, by scheme.  Raises TierkitError."""
        with trio.move_on_after(START):
            while self.alive:
                lines = [line.split() for line in self.out.read_text(errors="replace").splitlines()]
                told = [line for line in lines if len(line) == 4 and line[0] == "ready"]
                if len(told) >= listeners:
                    found: dict[str, dict[str, str]] = {}
                    for _, tier, scheme, where in told:
                        found.setdefault(tier, {})[scheme] = f"{scheme}://{where}"
                    return found
                await trio.sleep(0.1)
            raise TierkitError(f"{self.name} has ended before it was ready: {self.last_words}")
        raise TierkitError(f"{self.name} is not ready after {START:g} s: {self.last_words}")


class Children:
    """Starts processes and ends them."""

    def __init__(self, folder: Path, leash: trio.Process) -> None:
        self._folder = folder
        self._leash = leash
        self._all: list[Child] = []
        self._telling = trio.Lock()

    async def start(self, name: str, command: Sequence[str]) -> Child:
        """Start one; what it writes is in the folder, under its name."""
        out, log = self._folder / f"{name}.out", self._folder / f"{name}.log"
        with out.open("wb") as stdout, log.open("wb") as stderr:
            process = await trio.lowlevel.open_process(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        child = Child(name, process, out, log)
        self._all.append(child)
        await self._tell(f"+{child.pid}")
        return child

    async def end(self, *children: Child) -> None:
        """Have some end, all at once: they are told to, told again, and ended."""
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            for child in children:
                if child.alive:
                    with suppress(ProcessLookupError):
                        os.killpg(child.pid, number)
            with trio.move_on_after(END / 2):
                for child in children:
                    await child.process.wait()
                break
        for child in children:
            if not child.alive and child in self._all:
                self._all.remove(child)
                await self._tell(f"-{child.pid}")

    async def end_all(self) -> None:
        """Have all end, the newest first: viewers before tiers, tiers before the origin."""
        for child in reversed(tuple(self._all)):
            await self.end(child)

    async def _tell(self, line: str) -> None:
        assert self._leash.stdin is not None
        async with self._telling:
            with suppress(trio.BrokenResourceError):
                await self._leash.stdin.send_all(line.encode() + b"\n")


@asynccontextmanager
async def open_children(folder: Path) -> AsyncIterator[Children]:
    """Processes for as long as the block lasts."""
    script = Path(__file__).with_name("_leash.py")
    leash = await trio.lowlevel.open_process(
        [sys.executable, "-I", "-S", str(script)], stdin=subprocess.PIPE, start_new_session=True
    )
    children = Children(folder, leash)
    try:
        yield children
    finally:
        with trio.CancelScope(shield=True):
            await children.end_all()
            assert leash.stdin is not None
            await leash.stdin.aclose()
            await leash.wait()
