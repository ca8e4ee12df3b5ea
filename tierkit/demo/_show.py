"""`show`: a graph at work, with a test signal, a page and a table; what `examples/grnet.py` runs."""

from __future__ import annotations

from functools import partial

import trio
from attrs import evolve
from rich.console import Console
from rich.live import Live

from tierkit import Graph, GraphHandle, run
from tierkit.events import Event, UpstreamLost
from tierkit.plugin import Address, ConnectionLost, Listener, UpstreamError
from tierkit.testing.signal import publish_signal

from ._page import WatchPage
from ._table import Rates, table

__all__ = ["show"]

#: Seconds between two looks at the figures; on a terminal the table changes, elsewhere a new one is printed
#: every so many looks.
LOOK = 1.0
LOOKS_PER_PRINT = 5


def show(graph: Graph, *, stream: str, publish_to: str = "", seconds: float | None = None) -> None:
    """Run `graph` as this process, print where to watch `stream`, and show a live table until Ctrl-C.

    A graph without a control address gets one, on this machine alone, so that there is a console.

    Args:
        stream: ``app/name``.
        publish_to: the tier that a live test signal is published to; empty for none.
        seconds: end by itself after that long.

    Ends the process with exit code 2 where the graph cannot run, 1 where it fails while running.
    """
    console = Console()
    if graph.control is None:
        graph = evolve(graph, control=Listener.parse("http://127.0.0.1:0"))
    beside = partial(_beside, stream=stream.strip("/"), publish_to=publish_to, seconds=seconds, console=console)
    run(graph, log="", observers=[partial(_notice, console)], beside=beside, drain=2.0)


def _notice(console: Console, event: Event) -> None:
    if isinstance(event, UpstreamLost):
        console.print(event.text, style="yellow", markup=False, highlight=False)


async def _beside(
    handle: GraphHandle, *, stream: str, publish_to: str, seconds: float | None, console: Console
) -> None:
    async with WatchPage(handle, stream).open() as address, trio.open_nursery() as nursery:
        if publish_to:
            url = next(each for each in handle.addresses(publish_to) if each.scheme in ("rtmp", "rtmps"))
            nursery.start_soon(_publish, handle, url.with_(path=f"/{stream}"), console)
        console.print(f"watch {address}/", markup=False, highlight=False, soft_wrap=True)
        console.print(f"console {handle.control}/", markup=False, highlight=False, soft_wrap=True)
        for name in handle.tiers:
            for each in handle.addresses(name):
                if each.scheme in ("rtmp", "rtmps") and name != publish_to:
                    console.print(f"play {each}/{stream}", markup=False, highlight=False, soft_wrap=True)
        with trio.move_on_after(float("inf") if seconds is None else seconds):
            await _look(handle, publish_to, console)
        nursery.cancel_scope.cancel()


async def _publish(handle: GraphHandle, url: Address, console: Console) -> None:
    """Publish the test signal, again and again where the origin refuses or goes."""
    while True:
        try:
            await publish_signal(url, network=handle.network)
        except (UpstreamError, ConnectionLost) as error:
            console.print(f"test signal: {error}", style="yellow", markup=False, highlight=False)
        await trio.sleep(1)


async def _look(handle: GraphHandle, origin: str, console: Console) -> None:
    rates = Rates()
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(table(handle.statistics(), rates, origin=origin), refresh=True)
                await trio.sleep(LOOK)
    while True:
        await trio.sleep(LOOK * LOOKS_PER_PRINT)
        console.print(table(handle.statistics(), rates, origin=origin))
