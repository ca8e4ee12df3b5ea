"""`tierkit run --processes tier`: each tier in a process of its own, and one that looks after them.

Theory of operation.  A child is this same command line with ``--only NAME --bound JSON``, where the JSON
says where the tiers before it are bound, so that port 0 works across processes.  Children start one by
one, upstreams first, each after the one before has told its `ready` lines; these go on to our standard
output, and standard error is shared.  A child that ends is started again on the ports that it had, after a
jittered pause that grows; the first start alone is not tried twice, because what fails there is the plan.

Each child leads a session of its own, so that Ctrl-C at a terminal reaches us alone and is handed on
once.  It reads a pipe from us, its standard input: a line is something to do (`_cli_reports`), and when the pipe
ends, we are gone, and it drains.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress

import trio

from tierkit import Address, Graph, Node, __version__
from tierkit.events import Event, GraphLeaving, GraphReady, GraphStopped, ProcessEnded, Reread

from ._cli_common import complain

__all__ = ["Bound", "Supervisor", "parse_bound", "until_orphaned"]

Bound = Mapping[str, Sequence[str]]

#: Seconds before a tier that has ended is started again: doubling between these two, from half to the whole.
#: 100 ms is systemd's RestartSec; half a minute is what viewers' players go on trying for.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
#: One that has run this long has been well; its next end begins with the first pause again.
WELL = 60.0
#: Of a child's line on standard output; a `ready` line is far shorter.
LINE = 65536


class Supervisor:
    """The processes of a graph's tiers, from their start to their end."""

    def __init__(
        self,
        graph: Graph,
        command: Callable[[str, Bound], Sequence[str]],
        *,
        say: Callable[[str], None] = lambda line: print(line, flush=True),
        jitter: Callable[[], float] = random.random,
        heard: Callable[[str], AbstractAsyncContextManager[int]] | None = None,
        note: Callable[[Event], None] = lambda event: complain([event.text]),
    ) -> None:
        """Look after the tiers that run in `graph`.

        Args:
            command: the command line for a tier, given its name and where all tiers so far are bound.
            say: takes the lines that children write to standard output.
            note: takes what happens to the processes, and to all of them together.
            heard: surrounds each life of a child, given its name; yields a descriptor that it reports to.
        """
        self._graph = graph
        self._command = command
        self._say = say
        self._jitter = jitter
        self._heard = heard
        self._note = note
        self._processes: dict[str, trio.Process] = {}
        self._writing: dict[str, trio.Lock] = {}
        self._bound: dict[str, list[str]] = {}
        self._leaving = trio.Event()
        self._code = 0

    @property
    def leaving(self) -> bool:
        """Whether it was told to end."""
        return self._leaving.is_set()

    async def run(self) -> int:
        """Start the tiers and keep them until SIGTERM or SIGINT; returns the exit code."""
        began = trio.current_time()
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._obey, signals)
                async with trio.open_nursery() as tiers:
                    for node in self._graph.running:
                        if not self._leaving.is_set():
                            await tiers.start(self._keep, node, name=f"process of {node.name}")
                    if not self._leaving.is_set():
                        names = tuple(node.name for node in self._graph.running)
                        self._note(GraphReady(version=__version__, tiers=names, seconds=trio.current_time() - began))
                nursery.cancel_scope.cancel()
        self._note(GraphStopped(seconds=trio.current_time() - began))
        return self._code

    async def _obey(self, signals: object) -> None:
        async for number in signals:  # type: ignore[attr-defined]
            if number == signal.SIGHUP:
                self._signal(signal.SIGHUP)
                self._note(Reread(listeners=sum(len(node.listen) for node in self._graph.running)))
            else:
                self._note(GraphLeaving(by=signal.Signals(number).name, drops=self.leaving))
                self._leave()  # handed on each time: to a child, too, the second means to drop

    async def order(self, name: str, line: bytes) -> bool:
        """Write a line to a tier's process; whether it lives to read it."""
        process = self._processes.get(name)
        if process is None or process.stdin is None:
            return False
        try:
            async with self._writing.setdefault(name, trio.Lock()):
                # One that was given up in the middle must not spoil this one.
                await process.stdin.send_all(b"\n" + line)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return True

    def _leave(self) -> None:
        self._leaving.set()
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.send_signal(number)

    async def _keep(self, node: Node, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run a tier's process again and again until we leave; started when it is ready, or never will be."""
        pause = FIRST_PAUSE
        reported = False

        def ready() -> None:
            nonlocal reported
            if not reported:
                reported = True
                task_status.started()

        while True:
            began = trio.current_time()
            code = await self._once(node, ready)
            if self._leaving.is_set():
                if code not in (0, -signal.SIGTERM):
                    self._code = self._code or 1
                    self._note(ProcessEnded(tier=node.name, reason=f"{_ended(code)} while it drained"))
                break
            if not reported:
                # What is wrong with the plan, the child has told.
                self._code = code if code in (1, 2) else 1
                early = f"{_ended(code)} before it was ready"
                self._note(ProcessEnded(tier=node.name, reason=early, then="all others are ended too"))
                self._leave()
                break
            if trio.current_time() - began >= WELL:
                pause = FIRST_PAUSE
            wait = pause * (0.5 + self._jitter() / 2)
            again = f"it is started again in {wait:.1f} s"
            self._note(ProcessEnded(tier=node.name, reason=_ended(code), then=again))
            pause = min(2 * pause, LONGEST_PAUSE)
            with trio.move_on_after(wait):
                await self._leaving.wait()
                break
        ready()

    async def _once(self, node: Node, ready: Callable[[], None]) -> int:
        """One life of a tier's process; returns its exit code."""
        command = list(self._command(node.name, self._bound))
        if self._heard is None:
            return await self._live(node, ready, command, ())
        async with self._heard(node.name) as pipe:
            return await self._live(node, ready, [*command, "--report", str(pipe)], (pipe,))

    async def _live(self, node: Node, ready: Callable[[], None], command: list[str], pipes: tuple[int, ...]) -> int:
        try:
            process = await trio.lowlevel.open_process(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, pass_fds=pipes
            )
        except OSError as error:  # no memory or no descriptor just now: the others must not pay for that
            self._note(ProcessEnded(tier=node.name, reason=f"cannot be started: {error}"))
            return 1
        self._processes[node.name] = process
        try:
            if self._leaving.is_set():
                process.terminate()  # we were told to leave while it was born
            assert process.stdout is not None
            addresses: list[str] = []
            async for line in _lines(process.stdout):
                self._say(line)
                if (address := _ready_address(node, line)) is not None:
                    addresses.append(address)
                    if len(addresses) == len(node.listen):
                        self._bound[node.name] = addresses
                        ready()
            return await process.wait()
        finally:
            del self._processes[node.name]
            if process.returncode is None:
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                await _close(process)


async def _close(process: trio.Process) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            await pipe.aclose()


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncGenerator[str, None]:
    buffer = b""
    async for piece in stream:
        *lines, buffer = (buffer + piece).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
        if len(buffer) > LINE:
            yield buffer.decode(errors="replace")
            buffer = b""
    if buffer:
        yield buffer.decode(errors="replace")


def _ready_address(node: Node, line: str) -> str | None:
    """Where to dial what a `ready` line of this tier tells of; None for any other line."""
    word, _, rest = line.partition(" ")
    name, _, rest = rest.partition(" ")
    scheme, _, where = rest.partition(" ")
    if word != "ready" or name != node.name or not where:
        return None
    address = Address.parse(where).with_(scheme=scheme)
    if not address.unix and address.wildcard:
        # Children are on one machine, and a wildcard is its loopback address too.
        six = node.host == "::1" and address.host != "0.0.0.0"
        address = address.with_(host="::1" if six else "127.0.0.1")
    return str(address)


def _ended(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def child_command(
    file: str, name: str, bound: Bound, *, plugins: Sequence[str], log: str, drain: float, more: Sequence[str] = ()
) -> Sequence[str]:
    """The command line of one tier's process."""
    loaded = [word for each in plugins for word in ("--plugin", each)]
    return [
        *(sys.executable, "-m", "tierkit", "run", file, "--only", name, "--bound", json.dumps(dict(bound))),
        *("--log", log, "--drain", f"{drain:g}", *loaded, *more),
    ]


def parse_bound(text: str) -> dict[str, list[str]]:
    """Where tiers in other processes are bound, from JSON.  Raises ValueError."""
    found = json.loads(text)
    if not isinstance(found, dict) or not all(
        isinstance(each, list) and all(isinstance(address, str) for address in each) for each in found.values()
    ):
        raise ValueError('give {"TIER": ["SCHEME://HOST:PORT", ...], ...}')
    for address in (address for each in found.values() for address in each):
        Address.parse(address)
    return found


async def until_orphaned(obey: Callable[[bytes], Awaitable[None]]) -> None:
    """Return when the process that started us is gone: when standard input, a pipe from it, ends.

    Each line of it goes to `obey`.
    """
    waiting = b""
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as pipe:
        async for piece in pipe:
            *lines, waiting = (waiting + piece).split(b"\n")
            for line in filter(None, lines):
                await obey(line)
