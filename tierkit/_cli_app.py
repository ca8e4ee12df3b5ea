"""The commands, put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from tierkit import Registry, __version__

from . import (
    _cli_console,
    _cli_load,
    _cli_look,
    _cli_night,
    _cli_plan,
    _cli_purge,
    _cli_run,
    _cli_single,
    _cli_top,
    _cli_trace,
    _cli_wowza,
)
from ._cli_common import complain

__all__ = ["add_plugin_commands", "app", "start"]

app = typer.Typer(
    name="tierkit",
    help="Live-streaming tiers: origins, edges and relays, from a graph or in one line each.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tierkit {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and end.")
    ] = False,
) -> None:
    pass


_RUN = (_cli_run.run, _cli_single.edge, _cli_single.relay, _cli_single.origin)
_LOOK = (_cli_look.check, _cli_look.graph, _cli_look.plugins)
_WATCH = (_cli_top.top, _cli_console.console, _cli_trace.trace, _cli_night.report)
_PLAN = (_cli_plan.plan,)
_CHANGE = (_cli_purge.purge,)
for _command in (*_RUN, *_LOOK, *_WATCH, *_PLAN, *_CHANGE):
    app.command()(_command)
app.add_typer(_cli_load.load)
app.add_typer(_cli_wowza.wowza)
_OWN = frozenset({"load", "wowza", *(command.__name__ for command in (*_RUN, *_LOOK, *_WATCH, *_PLAN, *_CHANGE))})


def start(arguments: Sequence[str]) -> None:
    """Run the command line; ends in SystemExit."""
    # Loading the plugins takes a moment, so theirs are asked for only where none of our own is meant.
    if not arguments or arguments[0] not in {*_OWN, "--version"}:
        add_plugin_commands(app, Registry.load())
    app(args=list(arguments), prog_name="tierkit")


def add_plugin_commands(to: typer.Typer, registry: Registry) -> None:
    """Add the command groups that plugins bring; none may take the name of one of ours."""
    taken = set(_OWN)
    for group in registry.commands():
        name = group.info.name
        if not isinstance(name, str) or not name:
            complain(["plugins: a command group has no name: give it one, typer.Typer(name='...')"])
        elif name in taken:
            complain([f"plugins: the command {name} is taken: rename the group"])
        else:
            taken.add(name)
            to.add_typer(group)
