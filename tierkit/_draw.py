"""A graph as text, Mermaid, Graphviz or JSON: the plan as people and programs want to look at it.

Addresses come without their credentials and queries, and the control token never comes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from ._model import Graph, Node, Origin, Relay, Tier
from ._recipe import Recipe
from ._restream import Restream
from .errors import TierkitError

__all__ = ["FORMATS", "draw"]


def draw(graph: Graph, format: str = "text") -> str:
    """A graph as one of `FORMATS`: "text", "mermaid", "dot" or "json".  Raises TierkitError for another."""
    if format not in FORMATS:
        raise TierkitError(f"drawing format {format!r} is unknown: choose one of {', '.join(FORMATS)}")
    return FORMATS[format](graph)


def _places(graph: Graph) -> dict[str, list[Node]]:
    """The nodes by where they stand, in the order of the graph: elsewhere, each site, no site."""
    places: dict[str, list[Node]] = {}
    for node in graph.nodes:
        places.setdefault(_place(node), []).append(node)
    return places


def _place(node: Node) -> str:
    return node.site or ("" if node.runs else "elsewhere")


def _doors(node: Node) -> list[str]:
    if isinstance(node, Origin) and node.address is not None:
        return [str(node.address)]
    if isinstance(node, Restream):
        return [str(each) for each in node.addresses]
    return [str(each.address.with_(scheme=node.scheme_of(each))) for each in node.listen]


def _recipes(node: Node) -> tuple[Recipe, ...]:
    speaks = node.speaks if isinstance(node, Origin) else None
    return (*node.serves, *((speaks,) if speaks is not None else ()))


def _links(graph: Graph) -> Iterator[tuple[Node, Node, bool]]:
    """Each pair that media flows between, whence first; True where it is pushed."""
    for node in graph.nodes:
        for other in node.upstreams:
            yield other, node, False
        for other in node.targets:
            yield node, other, True


def _text(graph: Graph) -> str:
    rows: list[tuple[str, ...]] = []
    for place, nodes in _places(graph).items():
        rows.append((place or "no site",))
        for node in nodes:
            ways = [f"from {' or '.join(n.name for n in node.upstreams)}"] if node.upstreams else []
            if isinstance(node, Tier) and len(node.upstream) > 1:
                ways[0] += f" ({node.policy})"
            if node.targets:
                ways.append(f"to {', '.join(n.name for n in node.targets)}")
            if isinstance(node, Restream):
                ways.append(f"takes {', '.join(node.streams) or 'all'}")
            what = "+".join(each.name for each in _recipes(node))
            host = node.host if node.runs else ""
            rows.append((f"  {node.name}", node.role, host, ", ".join(_doors(node)), what, ", ".join(ways)))
    widths = [max((len(row[i]) for row in rows if len(row) > 1), default=0) for i in range(6)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]
    if graph.control is not None:
        lines.append(f"control: {graph.control.address}")
    if graph.selected is not None:
        lines.append(f"runs here: {', '.join(node.name for node in graph.running)}")
    return "\n".join(lines)


def _label(node: Node) -> list[str]:
    what = "+".join(each.name for each in _recipes(node))
    return [node.name, f"{node.role} {what}".strip(), *_doors(node)]


def _ids(graph: Graph) -> dict[int, str]:
    # Names may hold what these languages give a meaning to, so nodes are numbered.
    return {id(node): f"n{i}" for i, node in enumerate(graph.nodes)}


def _mermaid(graph: Graph) -> str:
    ids = _ids(graph)
    lines = ["flowchart LR"]
    for number, (place, nodes) in enumerate(_places(graph).items()):
        indent = "    "
        if place:
            lines.append(f'    subgraph s{number}["{_html(place)}"]')
            indent *= 2
        lines += [f'{indent}{ids[id(node)]}["{"<br>".join(map(_html, _label(node)))}"]' for node in nodes]
        lines += ["    end"] if place else []
    for whence, whither, pushed in _links(graph):
        arrow = "-- push -->" if pushed else "-->"
        lines.append(f"    {ids[id(whence)]} {arrow} {ids[id(whither)]}")
    return "\n".join(lines)


def _html(text: str) -> str:
    for plain, entity in (("#", "#35;"), ("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("\n", " ")):
        text = text.replace(plain, entity)
    return text


def _dot(graph: Graph) -> str:
    ids = _ids(graph)
    lines = ["digraph tierkit {", "    rankdir=LR", "    node [shape=box]"]
    for number, (place, nodes) in enumerate(_places(graph).items()):
        indent = "    "
        if place:
            lines += [f"    subgraph cluster_{number} {{", f"        label={_quoted(place)}"]
            indent *= 2
        for node in nodes:
            style = "" if node.runs else ", style=dashed"
            lines.append(f"{indent}{ids[id(node)]} [label={_quoted(chr(10).join(_label(node)))}{style}]")
        lines += ["    }"] if place else []
    for whence, whither, pushed in _links(graph):
        lines.append(f"    {ids[id(whence)]} -> {ids[id(whither)]}" + (" [label=push]" if pushed else ""))
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _json(graph: Graph) -> str:
    found = {
        "nodes": [_node(graph, node) for node in graph.nodes],
        "control": None if graph.control is None else str(graph.control.address),
    }
    return json.dumps(found, indent=2)


def _node(graph: Graph, node: Node) -> dict[str, Any]:
    running = {id(each) for each in graph.running}
    address = node.address if isinstance(node, (Origin, Restream)) else None
    return {
        "name": node.name,
        "role": node.role,
        "site": node.site,
        "host": node.host if node.runs else None,
        "runs_here": id(node) in running,
        "address": None if address is None else str(address),
        "listen": [] if address is not None else _doors(node),
        "reach": [str(each) for each in node.reach],
        "upstream": [each.name for each in node.upstreams],
        "policy": node.policy if isinstance(node, Tier) else None,
        "push": [each.name for each in node.push] if isinstance(node, Relay) else [],
        **_restream(node),
        "serves": [_recipe(each) for each in node.serves],
        "speaks": next((_recipe(each) for each in _recipes(node) if each not in node.serves), None),
    }


def _restream(node: Node) -> dict[str, Any]:
    if not isinstance(node, Restream):
        return {}
    return {"backups": [str(each) for each in node.backups], "streams": list(node.streams)}


def _recipe(recipe: Any) -> dict[str, Any]:
    # Which of a stranger's options are secrets nobody can tell, so strings that were given are not shown.
    options: dict[str, Any] = {}
    for each in attrs.fields(type(recipe)):
        value = getattr(recipe, each.name)
        if isinstance(value, (bool, int, float)) or value is None:
            options[each.name] = value
        elif value != each.default:
            options[each.name] = "(set)"
    return {"plugin": recipe.name, "options": options}


#: The formats that `draw` knows.
FORMATS: dict[str, Callable[[Graph], str]] = {"text": _text, "mermaid": _mermaid, "dot": _dot, "json": _json}
