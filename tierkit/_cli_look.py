"""Looking without running: `tierkit check`, `tierkit graph`, `tierkit plugins`."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import tierkit
from tierkit import Graph, GraphError, PluginError, PluginInfo, Registry
from tierkit.config import closest
from tierkit.plugin import Recipe

from ._cli_common import File, Plugins, complain, read, registry_of, told

__all__ = ["check", "graph", "plugins"]

#: Columns of a table that goes into a file or a pipe, where nothing should be wrapped.
WIDE = 200


class Format(StrEnum):
    """How a graph is drawn."""

    text = "text"
    mermaid = "mermaid"
    dot = "dot"
    json = "json"


@told
def check(
    file: File,
    live: Annotated[
        bool, typer.Option("--live", help="Also try every upstream, and print the URL that each resolves to.")
    ] = False,
    plugin: Plugins = None,
) -> None:
    """Tell every problem of a graph at once; exit code 2 if there is one.

    With --live every upstream is tried from here; exit code 1 if one does not answer.
    """
    registry = registry_of(plugin)
    graph = _sound(file, registry)
    if problems := [f"{file}: {each}" for each in _here(graph)]:
        raise GraphError(problems)
    complain([str(each) for each in registry.failures])
    tiers = len(graph.running)
    typer.echo(f"{file}: fine: {tiers} {'tier' if tiers == 1 else 'tiers'}, {len(graph.nodes)} nodes")
    if live:
        from ._cli_live import report

        if not report(graph):
            raise typer.Exit(1)


@told
def graph(
    file: File,
    format: Annotated[Format, typer.Option("--format", "-f", help="How to draw it.")] = Format.text,
    plugin: Plugins = None,
) -> None:
    """Draw a graph, credentials left out: tierkit graph FILE --format dot | dot -Tsvg > graph.svg."""
    typer.echo(tierkit.draw(_sound(file, registry_of(plugin)), format.value))


@told
def plugins(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="A plugin, a service, a source or an authoriser, to show its options."),
    ] = None,
    plugin: Plugins = None,
) -> None:
    """List the plugins: what each provides and where it is from; with NAME, with its options.

    Exit code 1 if one of them has failed to load; the others are listed all the same.
    """
    registry = Registry.load(plugin or ())
    if name is not None:
        _details(registry, name)
        return
    _list(registry)
    complain([str(each) for each in registry.failures])
    if registry.failures:
        raise typer.Exit(1)


def _sound(file: Path, registry: Registry) -> Graph:
    """The graph in a file, which can run.  Raises GraphError with the file before each problem."""
    graph = read(file, registry)
    if problems := tierkit.check(graph):
        raise GraphError([f"{file}: {each}" for each in problems])
    return graph


def _here(graph: Graph) -> Iterator[str]:
    """What would keep its tiers from running on this machine: files that are missing or no good."""
    for node in graph.running:
        for service in node.serves:
            for line in service.problems_here():
                yield f"{node.name}: {service.name}: {line}"


def _details(registry: Registry, name: str) -> None:
    infos = [each for each in registry.plugins() if each.name == name]
    recipes = _recipes(registry, name)
    if not infos and not recipes:
        if (failure := registry.failure_of(name)) is not None:
            raise PluginError(failure.plugin, failure.reason)
        recipes_known = (*registry.services(), *registry.sources(), *registry.authorisers())
        known = {*(each.name for each in registry.plugins()), *recipes_known}
        raise GraphError([f"plugin {name!r} is unknown: {closest(name, sorted(known))}"])
    for info in infos:
        typer.echo(f"plugin {info.name}, from {info.where}")
        if others := _others(info):
            typer.echo(f"brings {others}")
    for kind, recipe in recipes:
        _detail(registry, kind, recipe)


def _recipes(registry: Registry, name: str) -> list[tuple[str, type[Recipe]]]:
    """The recipes that are called so, and those of the plugin that is."""
    infos = [each for each in registry.plugins() if each.name == name]
    services = {name, *(each for info in infos for each in info.services)}
    sources = {name, *(each for info in infos for each in info.sources)}
    authorisers = {name, *(each for info in infos for each in info.authorisers)}
    return [
        *(("service", each) for key, each in registry.services().items() if key in services),
        *(("source", each) for key, each in registry.sources().items() if key in sources),
        *(("authoriser", each) for key, each in registry.authorisers().items() if key in authorisers),
    ]


def _list(registry: Registry) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("plugin", "provides", "from"):
        table.add_column(heading)
    for info in registry.plugins():
        table.add_row(escape(info.name), escape(", ".join(info.provides) or _others(info)), escape(info.where))
    _print(table)


def _print(table: Table) -> None:
    # Into a pipe nothing is wrapped, so that grep finds whole lines.
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    console.print(table)


def _others(info: PluginInfo) -> str:
    hooks = (each.removeprefix("tierkit_").replace("_", " ") for each in info.hooks)
    return ", ".join(each for each in hooks if each not in ("services", "sources", "authorisers"))


def _detail(registry: Registry, kind: str, recipe: type[Recipe]) -> None:
    about = [f"{kind} {recipe.name}, from {registry.origin_of(kind, recipe.name)}"]
    if doc := (recipe.__doc__ or "").strip().splitlines():
        about.append(doc[0])
    traits = {"roles": sorted(getattr(recipe, "roles", ())), "schemes": getattr(recipe, "schemes", ())}
    traits |= {each: getattr(recipe, each, ()) for each in ("pulls", "pushes")}
    about += [f"{label}: {', '.join(values)}" for label, values in traits.items() if values]
    typer.echo("\n".join(about))
    table = Table(box=None, pad_edge=False)
    for heading in ("option", "default", "range"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what it does")
    for field in attrs.fields(recipe):  # type: ignore[arg-type]  # the registry takes attrs classes only
        if "help" in field.metadata:
            meta = field.metadata
            cells = (field.name, _default(field), _range(meta), meta["help"])
            table.add_row(*map(escape, cells))
    if table.row_count:
        _print(table)


def _default(field: Any) -> str:
    value = field.default.factory() if isinstance(field.default, attrs.Factory) else field.default  # type: ignore[arg-type]
    if value is attrs.NOTHING:
        return "(must be given)"
    return shown(value, field.metadata["unit"])


def _range(meta: Any) -> str:
    if meta["choices"]:
        return "|".join(map(str, meta["choices"]))
    low, high = meta["minimum"], meta["maximum"]
    if low is None and high is None:
        return ""
    ends = ["" if end is None else shown(end, meta["unit"]) for end in (low, high)]
    return "..".join(ends)


def shown(value: Any, unit: str) -> str:
    """A value as one would write it: "512MiB", "15s", "true"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        if unit == "bytes" and value:
            for size, suffix in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
                if value % size == 0:
                    return f"{value // size:g}{suffix}"
        return f"{value:g}{unit}" if unit in ("s", "ms") else f"{value:.15g}"
    if isinstance(value, (tuple, list, frozenset, set)):
        return ",".join(map(str, value)) or "(none)"
    return str(value) or '""'
