"""`tierkit console`: one page, one /metrics and one /statistics for a graph that runs on several machines."""

from __future__ import annotations

import signal
from typing import Annotated

import trio
import typer
from attrs import evolve

from tierkit import Address, Graph, GraphError, Trust

from ._cli_common import File, Plugins, complain, read, registry_of, told
from ._cli_control import dialled
from ._cli_remotes import Remotes

__all__ = ["addresses_of", "console"]


@told
def console(
    file: File,
    control: Annotated[
        list[str] | None,
        typer.Option(
            "--control",
            metavar="HOST:PORT",
            help="A machine's control address; repeatable.  By default the "
            "graph's own: at each host, where it listens on all addresses.",
        ),
    ] = None,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where the page is; a bare :PORT means loopback.")
    ] = ":9090",
    ca: Annotated[str, typer.Option("--ca", metavar="FILE", help="Who has signed their certificates (PEM).")] = "",
    plugin: Plugins = None,
) -> None:
    """Show a graph that runs on several machines on one page: tierkit console graph.py.  Ends with Ctrl-C."""
    registry = registry_of(plugin)
    graph = read(file, registry)
    addresses = [dialled(each) for each in control] if control else addresses_of(graph)
    # Its own address here; nothing is changed through it, so it has no token.
    shown = evolve(graph, control=Graph.of(control=listen).control, control_token="")
    remotes = Remotes(addresses, graph=shown, registry=registry, trust=Trust(ca=ca) if ca else None)
    trio.run(_show, remotes)


def addresses_of(graph: Graph) -> list[Address]:
    """Where the control addresses of a graph's machines are dialled.

    One that listens on every address of its machine is at each host of the graph; any other is where it says.  Raises
    GraphError for a graph without one.
    """
    if graph.control is None:
        raise GraphError(["the graph has no control address to ask: give it control=, or say --control HOST:PORT"])
    address = graph.control.address
    if address.unix or not address.wildcard:
        return [dialled(address)]
    hosts = dict.fromkeys(node.host for node in graph.running)
    return [dialled(address.with_(host=host, port=address.dial_port)) for host in hosts]


async def _show(remotes: Remotes) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(remotes.listen)
            complain(remotes.troubles)
            async with remotes.answering():
                typer.echo(f"console {remotes.control}/")
                async for _ in signals:
                    break
            nursery.cancel_scope.cancel()
