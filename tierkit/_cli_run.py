"""`tierkit run`: the tiers of a graph file."""

from __future__ import annotations

from typing import Annotated

import typer

import tierkit

from ._cli_common import DRAIN, Drain, File, Log, LogFormat, Plugins, read, registry_of, told

__all__ = ["run"]


@told
def run(
    file: File,
    site: Annotated[str | None, typer.Option(help="Run only what stands in this site.")] = None,
    host: Annotated[str | None, typer.Option(help="Run only what is on this host.")] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Run only this tier; repeatable.")] = None,
    plugin: Plugins = None,
    log: Log = LogFormat.text,
    drain: Drain = DRAIN,
) -> None:
    """Run the tiers of a graph until Ctrl-C or SIGTERM: the first drains, the second drops."""
    registry = registry_of(plugin)
    graph = read(file, registry, site=site, host=host, only=only)
    tierkit.run(graph, log=log.value, drain=drain, registry=registry)
