"""`tierkit top`: graphs that run, here or elsewhere, in a terminal."""

from __future__ import annotations

import os
import sys
import termios
import time
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Annotated

import trio
import typer
from rich.console import Console, RenderableType
from rich.live import Live

from tierkit import Trust
from tierkit.errors import TierkitError
from tierkit.history import History

from ._cli_common import duration, told
from ._cli_control import dialled
from ._cli_remotes import Remotes
from ._cli_top_view import render

__all__ = ["top"]

#: Seconds of the line beside each tier.
MINUTES = 300.0


@told
def top(
    control: Annotated[
        list[str] | None,
        typer.Argument(metavar="[HOST:PORT]...", help="Control addresses of graphs that run; by default :9000."),
    ] = None,
    ca: Annotated[str, typer.Option("--ca", metavar="FILE", help="Who has signed their certificates (PEM).")] = "",
    every: Annotated[
        float, typer.Option("--every", metavar="S", parser=duration, help="Time between two looks.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="One look, then end; for scripts.")] = False,
) -> None:
    """Watch graphs that run: tierkit top a1.example:9000 b1.example:9000.  Ends with q or Ctrl-C."""
    if every < 0.1:
        raise typer.BadParameter("give at least 0.1 s", param_hint="--every")
    addresses = [dialled(each) for each in control or [":9000"]]
    remotes = Remotes(addresses, trust=Trust(ca=ca) if ca else None)
    trio.run(_watch, remotes, every, once)


async def _watch(remotes: Remotes, every: float, once: bool) -> None:
    console, history = Console(), History()
    async with _listening(remotes):
        if not remotes.statistics()["tiers"]:
            raise TierkitError("; ".join(remotes.troubles) or "no tier runs there")
        if once or not console.is_terminal:
            await _print(console, remotes, history, every, once)
            return
        with Live(console=console, auto_refresh=False, screen=True) as live, _keys():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_until_q, nursery.cancel_scope)
                while True:
                    live.update(_look(console, remotes, history), refresh=True)
                    await trio.sleep(every)


@asynccontextmanager
async def _listening(remotes: Remotes) -> AsyncIterator[None]:
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(remotes.listen)
        try:
            yield
        except Exception as error:  # raised outside, so that it comes out as itself
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _print(console: Console, remotes: Remotes, history: History, every: float, once: bool) -> None:
    """Look after look, one below the other: not on a terminal, or just one."""
    history.add(time.time(), remotes.statistics())
    while True:
        # A rate needs two looks, and what is asked once a second changes once a second.
        await trio.sleep(max(every, 1.5) if once else every)
        console.print(_look(console, remotes, history))
        if once:
            return


def _look(console: Console, remotes: Remotes, history: History) -> RenderableType:
    statistics = remotes.statistics()
    history.add(time.time(), statistics)
    past = history.as_dict(MINUTES)
    return render(statistics, past, now=datetime.now(), troubles=remotes.troubles, width=console.width)


@contextmanager
def _keys() -> Iterator[None]:
    """Keys come one by one and are not shown; what the terminal was before, it is again."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


async def _until_q(scope: trio.CancelScope) -> None:
    """End it all when q is pressed."""
    if not sys.stdin.isatty():
        return
    while True:
        await trio.lowlevel.wait_readable(sys.stdin)
        pressed = os.read(sys.stdin.fileno(), 64)
        if not pressed or b"q" in pressed.lower():
            scope.cancel()
            return
