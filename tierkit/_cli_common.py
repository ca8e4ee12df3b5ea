"""What the commands share: telling, options that several have, and reading a graph with its plugins."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer

from tierkit import Graph, GraphError, Registry, explain
from tierkit.config import load_graph, parse_duration

__all__ = ["DRAIN", "TOKEN", "Drain", "File", "Log", "LogFormat", "Plugins", "complain", "read", "told"]

#: Seconds, as the library has it.
DRAIN = 20.0
#: The environment variable with the token: what stands on a command line, every user of the machine can read.
TOKEN = "TIERKIT_CONTROL_TOKEN"

P = ParamSpec("P")
T = TypeVar("T")


class LogFormat(StrEnum):
    """How the log is written."""

    text = "text"
    json = "json"


def duration(text: str) -> float:
    """Seconds from "20", "20s" or "1m30s", for options that take a time."""
    seconds = parse_duration(str(text))
    if seconds < 0:
        raise ValueError("give a time that is not negative")
    return seconds


File = Annotated[Path, typer.Argument(metavar="FILE", help="A Python file that holds `graph`, or a .toml file.")]
Plugins = Annotated[
    list[str] | None, typer.Option("--plugin", metavar="FILE", help="Load a plugin from a file; repeatable.")
]
Log = Annotated[LogFormat, typer.Option("--log", help="How the log on standard error is written.")]
Drain = Annotated[
    float,
    typer.Option(
        "--drain", metavar="S", parser=duration, help="Time that connections have to end after the first Ctrl-C."
    ),
]


def complain(lines: Sequence[str]) -> None:
    """Tell what is wrong, on standard error."""
    for line in lines:
        print(line, file=sys.stderr, flush=True)


def told(command: Callable[P, T]) -> Callable[P, T]:
    """A command whose failures are lines on standard error and an exit code, never a traceback."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except KeyboardInterrupt:
            raise SystemExit(130) from None  # as the shell says it: 128 + SIGINT
        except Exception as error:
            code, lines = explain(error)
            complain(lines)
            raise typer.Exit(code) from None

    return guarded


def read(
    file: Path,
    registry: Registry,
    *,
    site: str | None = None,
    host: str | None = None,
    only: Sequence[str] | None = None,
) -> Graph:
    """The graph in a file, of which only what was chosen runs.  Raises GraphError."""
    graph = load_graph(file, registry)
    if site is not None:
        graph = graph.at(site)
    if host is not None:
        graph = graph.on(host)
    return graph.only(*only) if only else graph


def registry_of(files: Sequence[str] | None) -> Registry:
    """The installed plugins and those in `files`.

    Raises GraphError where one of the files does not load: it was asked for by name, so going on without
    it would be a surprise.  Of those that are only installed, the log tells.
    """
    registry = Registry.load()
    before = len(registry.failures)
    for file in files or ():
        registry.load_file(file)
    if problems := [str(each) for each in registry.failures[before:]]:
        raise GraphError(problems)
    return registry
