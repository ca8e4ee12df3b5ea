"""Real tiers as processes, a test signal for them, and a real load: what a calibration measures.

The tiers are `tierkit run --processes tier` on a graph file, so that each has a process of its own and its costs are
its own; the load is `tierkit load` in more processes.  All figures are what the tiers tell of themselves.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio
from attrs import frozen

from tierkit import Address, RealNetwork, TierkitError
from tierkit.reporting import Asker

from ._samples import Sample

__all__ = ["Crowd", "Rig", "open_rig", "self_signed"]

#: Seconds for processes to be ready, and to end when they are told to.
START, END = 30.0, 10.0
#: Seconds between looks; children tell once a second.
LOOK = 0.5
_TIERKIT = (sys.executable, "-m", "tierkit")


@frozen(kw_only=True)
class Crowd:
    """Viewers of one stream at one door."""

    tier: str
    scheme: str
    stream: str
    viewers: int

    def command(self, addresses: tuple[Address, ...], seconds: float, ramp: float, trusted: Path | None) -> list[str]:
        """The command line of their load."""
        address = next(each for each in addresses if each.scheme == self.scheme)
        kind, path = ("hls", "/playlist.m3u8") if self.scheme in ("http", "https") else ("rtmp", "")
        url = f"{address}/{self.stream}{path}"
        numbers = ("--viewers", str(self.viewers), "--seconds", f"{seconds:g}", "--ramp", f"{ramp:g}")
        trust = ("--ca", str(trusted)) if self.scheme == "https" and trusted is not None else ()
        return [*_TIERKIT, "load", kind, url, *numbers, *trust, "--json"]


class Rig:
    """Tiers at work; `open_rig` yields it."""

    def __init__(self, control: Address, trusted: Path | None) -> None:
        self.network = RealNetwork()
        self._asker = Asker(control, network=self.network)
        self._trusted = trusted

    def close(self) -> None:
        """Ask no more."""
        self._asker.close()

    async def statistics(self) -> dict[str, Any]:
        """What all of them tell.  Raises TierkitError."""
        return await self._asker.json("/statistics")

    async def addresses(self, tier: str) -> tuple[Address, ...]:
        """Where a tier can be dialled."""
        return tuple(map(Address.parse, (await self.statistics())["tiers"][tier]["addresses"]))

    async def watch(self, tiers: tuple[str, ...], seconds: float) -> dict[str, list[Sample]]:
        """Looks at some tiers for so many seconds."""
        found: dict[str, list[Sample]] = {tier: [] for tier in tiers}
        end = trio.current_time() + seconds
        while trio.current_time() < end:
            told = await self.statistics()
            for tier in tiers:
                if (sample := Sample.of(told, tier)) is not None:
                    found[tier].append(sample)
            await trio.sleep(LOOK)
        return found

    async def load(
        self, crowds: tuple[Crowd, ...], *, ramp: float, settle: float, seconds: float
    ) -> dict[str, list[Sample]]:
        """All crowds at once; what their tiers did in so many seconds, while all were there and had settled.

        Raises TierkitError where a load fails, or not all come.
        """
        addresses = {crowd.tier: await self.addresses(crowd.tier) for crowd in crowds}
        async with trio.open_nursery() as nursery:
            for crowd in crowds:
                # Each dials by itself, and has its libraries to load before that: they stay until they are told to go.
                command = crowd.command(addresses[crowd.tier], 10 * START + seconds, ramp, self._trusted)
                nursery.start_soon(self._one_load, command)
            await self._until_all_are_there(crowds, ramp)
            await trio.sleep(settle)
            found = await self.watch(tuple(addresses), seconds)
            nursery.cancel_scope.cancel()
        return found

    async def _until_all_are_there(self, crowds: tuple[Crowd, ...], ramp: float) -> None:
        wanted: dict[str, int] = {}
        for crowd in crowds:
            wanted[crowd.tier] = wanted.get(crowd.tier, 0) + crowd.viewers
        with trio.move_on_after(ramp + START):
            while True:
                told = (await self.statistics())["tiers"]
                if all(told[tier]["figures"]["viewers"] >= count for tier, count in wanted.items()):
                    return
                await trio.sleep(LOOK)
        raise TierkitError(f"not all viewers of the calibration were there after {ramp + START:.0f} s: is it too busy?")

    async def _one_load(self, command: list[str]) -> None:
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
        raise TierkitError(f"the load of the calibration ended early: {_last(done.stderr.decode(errors='replace'))}")


@asynccontextmanager
async def open_rig(graph: str, folder: Path, *, trusted: Path | None = None) -> AsyncIterator[Rig]:
    """Run a graph, each tier its process, for as long as the block lasts.

    Args:
        graph: TOML without `control`, which is a socket in `folder`.
        trusted: a certificate that the load is to trust.

    Raises TierkitError where the tiers do not start.
    """
    control = f"unix:{folder / 'control'}"
    file, log = folder / "graph.toml", folder / "log"
    file.write_text(f'control = "{control}"\n{graph}')
    rig = Rig(Address.parse(control).with_(scheme="http"), trusted)
    command = [*_TIERKIT, "run", str(file), "--processes", "tier", "--drain", "1"]
    with log.open("wb") as sink:
        process = await trio.lowlevel.open_process(command, stdout=subprocess.DEVNULL, stderr=sink)
    try:
        await _until_ready(rig, process, log)
        yield rig
    finally:
        rig.close()
        with trio.CancelScope(shield=True):
            await _end(process)


async def _until_ready(rig: Rig, process: trio.Process, log: Path) -> None:
    with trio.move_on_after(START):
        while process.poll() is None:
            try:
                if (await rig.statistics())["process"]["ready"]:
                    return
            except TierkitError:
                pass
            await trio.sleep(0.1)
    raise TierkitError(f"the tiers to be measured do not start: {_last(_text(log))}")


async def _end(process: trio.Process) -> None:
    # The first drains, the second drops: nobody is left who would mind.
    for _ in range(2):
        if process.poll() is None:
            process.terminate()
            await trio.sleep(0.2)
    with trio.move_on_after(END) as scope:
        await process.wait()
    if scope.cancelled_caught:
        process.kill()
        await process.wait()


def _text(log: Path) -> str:
    return log.read_text(errors="replace")


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"


async def self_signed(folder: Path) -> tuple[Path, Path] | None:
    """A certificate for 127.0.0.1 and its key, by the `openssl` program; None where there is none."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    what = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    run = partial(trio.run_process, check=False, capture_stdout=True, capture_stderr=True)
    try:
        done = await run(["openssl", *what, *names, "-keyout", str(key), "-out", str(cert)])
    except OSError:
        return None
    return (cert, key) if done.returncode == 0 else None
