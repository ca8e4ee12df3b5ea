"""A run whose viewers are shared out over several processes, and added up again.

Each child has every nth viewer, and all go by one ramp: they are told when it begins, by the machine's monotonic clock,
once all of them are ready.  A child tells lines of JSON on its standard output, `Live` once a second and at the end its
whole `Tally`: counts and samples, so that what comes of it is what one process would have counted, quantiles too.

A child reads its standard input, a pipe from here: when that ends, so does the child.  It leads a session of its own,
so that Ctrl-C reaches this process alone.  A child that ends before it has told is named in the report, and the rest
goes on.
"""

from __future__ import annotations

import base64
import json
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import trio
from attrs import define, evolve, field

from tierkit.errors import TierkitError

from ._job import Job
from ._live import Live, Watching, merged
from ._report import Report, Tally
from ._run import LIVE

__all__ = ["DIED", "share_out"]

#: What the report counts a child as that told nothing in the end.
DIED = "load process died"
#: Seconds from when all are ready to the first viewer: what a line takes to be read.
_NOTICE = 0.2


async def share_out(job: Job, watching: Watching | None = None) -> Report:
    """Run the job in `job.plan.of` processes.

    Raises:
        TierkitError: no process could be started, or none came to an end.
    """
    children = [_Child(evolve(job, plan=evolve(job.plan, share=share))) for share in range(job.plan.of)]
    async with trio.open_nursery() as nursery:
        for child in children:
            nursery.start_soon(child.live)
        for child in children:
            await child.ready.wait()
        if watching is not None:
            nursery.start_soon(_show, children, watching)
        start = time.monotonic() + _NOTICE
        for child in children:
            await child.begin(start)
        for child in children:
            await child.ended.wait()
        nursery.cancel_scope.cancel()
    if watching is not None:
        watching(merged([child.now for child in children]))
    return _added_up(job, children)


def _added_up(job: Job, children: Sequence[_Child]) -> Report:
    tally, lasted = Tally(), 0.0
    for child in children:
        if child.tally is None:
            tally.errors[DIED] += 1
            tally.notes.append(f"{child.why}: what its {len(child.job.plan.numbers)} viewers saw is in no figure")
            continue
        tally.merge(child.tally)
        lasted = max(lasted, child.lasted)
    if all(child.tally is None for child in children):
        raise TierkitError(f"no load process came to an end: {children[0].why}")
    return tally.report(viewers=job.plan.viewers, seconds=lasted)


async def _show(children: Sequence[_Child], watching: Watching) -> None:
    while True:
        await trio.sleep(LIVE)
        watching(merged([child.now for child in children]))


@define(eq=False)
class _Child:
    job: Job
    #: It waits for the beginning, or never will.
    ready: trio.Event = field(factory=trio.Event)
    ended: trio.Event = field(factory=trio.Event)
    now: Live = field(factory=Live)
    tally: Tally | None = None
    lasted: float = 0.0
    why: str = "a load process has not begun"
    _process: trio.Process | None = None

    async def live(self) -> None:
        """From its start to its end."""
        try:
            await self._live()
        except OSError as error:
            self.why = f"no load process could be started ({error.strerror})"
        finally:
            self.ready.set()
            self.ended.set()

    async def _live(self) -> None:
        process = self._process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "tierkit.load._worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            await self._say(base64.b64encode(pickle.dumps(self.job)))
            async with aclosing(_lines(process.stdout)) as lines:
                async for line in lines:
                    self._hear(json.loads(line))
            self._say_why(await process.wait())
        finally:
            if process.returncode is None:
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                for pipe in (process.stdin, process.stdout):
                    assert pipe is not None
                    await pipe.aclose()

    async def begin(self, start: float) -> None:
        """Let its viewers in from then on, by time.monotonic()."""
        if not self.ended.is_set():
            await self._say(repr(start).encode())

    async def _say(self, line: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            await self._process.stdin.send_all(line + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # it has ended, and its end is told elsewhere

    def _hear(self, told: dict[str, Any]) -> None:
        if "live" in told:
            self.now = Live.from_dict(told["live"])
        elif "tally" in told:
            self.tally, self.lasted = Tally.from_dict(told["tally"]), told["lasted"]
        elif "failed" in told:
            self.why = told["failed"]
        else:
            self.ready.set()

    def _say_why(self, code: int) -> None:
        if self.tally is not None or not code:
            return
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        self.why = f"load process {self.job.plan.share + 1} of {self.job.plan.of} {how}"


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncGenerator[bytes, None]:
    # A tally is one line, of megabytes where thousands have watched.
    pieces: list[bytes] = []
    async for piece in stream:
        *whole, rest = piece.split(b"\n")
        for line in whole:
            yield b"".join([*pieces, line])
            pieces.clear()
        if rest:
            pieces.append(bytes(rest))
