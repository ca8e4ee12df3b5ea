"""A graph from TOML: the third spelling of the same value, and the one in which names are strings.

Three steps, each of which goes on after a mistake, so that every problem is told at once:

1. every table becomes the arguments of one node; what cannot be read is left out and told;
2. names become nodes, upstreams first; unknown names and circles are told;
3. where there were problems, the rules of `check` run over what could be built, and are heard for the tiers
   that had none: a consequence of a mistake is not a second mistake.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field

from tierkit import Address, AddressError, Edge, Graph, GraphError, Node, Origin, Registry, Relay, Restream, check
from tierkit.plugin import Recipe

from ._config_doors import Doors
from ._config_options import closest, known_recipes, make
from ._config_problems import Problems, listed

__all__ = ["read_toml"]

R = TypeVar("R", bound=Recipe)

_KINDS: dict[str, type[Node]] = {"origin": Origin, "edge": Edge, "relay": Relay, "restream": Restream}
_TOP = ("control", "control_token", "access_log", "viewer_addresses", "plugins", *_KINDS)
_COMMON = ("site", "host", "reach", "listen", "serves", "trust", "limits")
_KEYS = {
    "origin": ("address", "speaks", *_COMMON),
    "edge": ("upstream", "policy", *_COMMON),
    "relay": ("upstream", "policy", "push", *_COMMON),
    "restream": ("address", "streams", "backups", "site", "trust"),
}
_LINKS = ("upstream", "push")


def read_toml(path: Path, registry: Registry) -> Graph:
    """The graph that a TOML file describes.

    Raises GraphError with every problem, each with the file, the line where that can be told, and the tier.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, place = str(error).partition(" (at ")
        line = match.group(1) if (match := re.match(r"line (\d+)", place)) else len(text.splitlines())
        raise GraphError([f"{path}:{line}: this is no TOML: {what}"]) from None
    except UnicodeDecodeError:
        raise GraphError([f"{path}: this is no TOML: write it in UTF-8"]) from None
    return _Reader(Problems(path, text), registry).graph(content)


@define
class _Plan:
    """One node as the file has it, on its way to becoming one."""

    kind: str
    #: Arguments of the node, as far as they could be read.
    arguments: dict[str, Any] = field(factory=dict)
    #: Names of upstreams and push targets.
    links: dict[str, tuple[str, ...]] = field(factory=dict)


class _Reader:
    def __init__(self, problems: Problems, registry: Registry) -> None:
        self.problems = problems
        self.registry = registry
        self.plans: dict[str, _Plan] = {}
        doors = Doors(problems)
        self.doors = doors
        self.readers: dict[str, Callable[[str, str, Any], Any]] = {
            "listen": doors.listeners,
            "address": doors.address,
            "reach": doors.addresses,
            "backups": doors.addresses,
            "streams": self.problems.strings,
            "trust": doors.trust,
            "limits": doors.limits,
            "serves": self._serves,
            "speaks": self._speaks,
        }

    def graph(self, content: Mapping[str, Any]) -> Graph:
        self.problems.unknown("", content, _TOP)
        self._plugins(content.get("plugins", []))
        for kind in _KINDS:
            self._nodes(kind, content.get(kind, {}))
        settings: dict[str, Any] = {}
        if "control" in content:
            settings["control"] = self.doors.listener("", "control", content["control"])
        if self.problems.fits("", "control_token", token := content.get("control_token", ""), str, "a string"):
            settings["control_token"] = token
        if "access_log" in content:
            settings["access_log"] = self.doors.access_log("access_log", content["access_log"])
        if "viewer_addresses" in content:
            how = content["viewer_addresses"]
            if self.problems.fits("", "viewer_addresses", how, str, "a string"):
                settings["viewer_addresses"] = how
        graph = Graph.of(*_Links(self.plans, self.problems).nodes(), **settings)
        if self.problems.lines:
            raise GraphError([*self.problems.lines, *self._others(graph)])
        return graph

    def _others(self, graph: Graph) -> list[str]:
        """What `check` says of the tiers that nothing else is wrong with."""
        broken = "|".join(map(re.escape, self.problems.broken)) or r"\b\B"
        about = re.compile(rf"(?<![\w.-])({broken})(?![\w.-])")
        lines = check(graph) if graph.nodes else []
        return [f"{self.problems.path}: {line}" for line in lines if not about.search(line)]

    def _plugins(self, given: object) -> None:
        for each in self.problems.strings("", "plugins", given):
            before = len(self.registry.failures)
            self.registry.load_file(self.problems.path.parent / each)
            for failure in self.registry.failures[before:]:
                self.problems.tell("", "plugins", str(failure))

    # --- tables to arguments ---------------------------------------------------------------------

    def _nodes(self, kind: str, tables: object) -> None:
        if not isinstance(tables, dict):
            self.problems.tell("", kind, f"{kind} is no table: write [{kind}.NAME]")
            return
        for name, table in tables.items():
            if not isinstance(table, dict):
                self.problems.tell("", name, f"{name!r} stands in [{kind}] itself: write [{kind}.NAME] before it")
            elif name in self.plans:
                also = self.plans[name].kind
                self.problems.tell(name, "", f"is here twice, as {also} and as {kind}: rename one of them")
            else:
                self.plans[name] = self._plan(kind, name, table)

    def _plan(self, kind: str, name: str, table: Mapping[str, Any]) -> _Plan:
        plan = _Plan(kind)
        self.problems.unknown(name, table, _KEYS[kind])
        for key in _KEYS[kind]:
            if key not in table:
                continue
            if key in _LINKS:
                plan.links[key] = self.problems.strings(name, key, table[key])
            elif key in self.readers:
                if (value := self.readers[key](name, key, table[key])) is not None:
                    plan.arguments[key] = value
            elif self.problems.fits(name, key, table[key], str, "a string in quotes"):
                plan.arguments[key] = table[key]
        return plan

    def _serves(self, name: str, key: str, value: object) -> tuple[Any, ...]:
        found = [self._recipe(name, key, each, self.registry.services()) for each in listed(value)]
        return tuple(each for each in found if each is not None)

    def _speaks(self, name: str, key: str, value: object) -> Any:
        return self._recipe(name, key, value, self.registry.sources())

    def _recipe(self, name: str, key: str, value: object, known: Mapping[str, type[R]]) -> R | None:
        table = {"plugin": value} if isinstance(value, str) else value
        if not isinstance(table, dict) or not isinstance(plugin := table.get("plugin"), str):
            wanted = f"{key} = 'NAME' or {key} = {{ plugin = 'NAME', OPTION = VALUE }}"
            self.problems.tell(name, key, f"{key} = {value!r} names no plugin: write {wanted}")
            return None
        if plugin not in known:
            failure = self.registry.failure_of(plugin)
            why = f"is unknown: {closest(plugin, known)}" if failure is None else failure.reason
            self.problems.tell(name, key, f"{key}: plugin {plugin!r} {why}")
            return None
        given = {k: v for k, v in table.items() if k != "plugin"}
        made, problems = make(known[plugin], given, held=known_recipes(self.registry))
        for problem in problems:
            self.problems.tell(name, key, f"{plugin}: {problem}")
        return made


class _Links:
    """Names to nodes, upstreams first; a link that leads nowhere or round is told and left out."""

    def __init__(self, plans: Mapping[str, _Plan], problems: Problems) -> None:
        self.plans = plans
        self.problems = problems
        self.built: dict[str, Node] = {}
        self.rings: set[frozenset[str]] = set()

    def nodes(self) -> list[Node]:
        return [node for name in self.plans if (node := self._build(name, ())) is not None]

    def _build(self, name: str, path: tuple[str, ...]) -> Node | None:
        if name in path:
            self._ring((*path[path.index(name) :], name))
            return None
        if name not in self.built:
            plan = self.plans[name]
            links: dict[str, Any] = {key: self._linked(name, key, names, path) for key, names in plan.links.items()}
            if plan.kind == "restream" and "address" not in plan.arguments:
                if name not in self.problems.broken:
                    self.problems.tell(name, "", "has no address: add address = 'rtmp://HOST/APP/KEY'")
                return None
            self.built[name] = _KINDS[plan.kind](name, **plan.arguments, **links)
        return self.built[name]

    def _linked(self, name: str, key: str, others: tuple[str, ...], path: tuple[str, ...]) -> tuple[Node, ...]:
        known = [other for other in others if self._known(name, key, other)]
        nodes = [self._build(other, (*path, name)) for other in known]
        return tuple(node for node in nodes if node is not None)

    def _known(self, name: str, key: str, other: str) -> bool:
        if other in self.plans:
            return True
        try:
            address = Address.parse(other) if "://" in other else None
            url = "" if address is None else str(address.with_(keyed=key == "push"))
        except AddressError:
            url = "this"
        if url:
            kind = "restream" if key == "push" else "origin"
            wanted = f"write [{kind}.NAME] with address = '{url}', and {key} = 'NAME'"
            self.problems.tell(name, key, f"{key}: {url} is a URL, and names are wanted here: {wanted}")
        else:
            others = [each for each in self.plans if each != name]
            self.problems.tell(name, key, f"{key} {other!r} is unknown: {closest(other, others)}")
        return False

    def _ring(self, ring: tuple[str, ...]) -> None:
        if frozenset(ring) in self.rings:
            return
        self.rings.add(frozenset(ring))
        self.problems.broken.update(ring)
        key = next(key for key, names in self.plans[ring[0]].links.items() if ring[1] in names)
        circle = " -> ".join(ring)
        self.problems.tell(ring[0], key, f"upstreams go round in a circle, {circle}: take one of them out")
