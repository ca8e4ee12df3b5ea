"""The options of a recipe from names and values, as TOML and the command line give them.

Options are attrs fields made by `tierkit.plugin.option`.  A range is not looked at here: `check` does it,
with the tier's name, wherever a graph comes from.
"""

from __future__ import annotations

import shlex
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias, TypeVar

import attrs

from tierkit import Registry, TierkitError
from tierkit.plugin import Recipe

from ._config_values import read_value

__all__ = ["Known", "assignments", "closest", "known_recipes", "make", "parse_options"]

T = TypeVar("T")
#: The recipes of one kind by name, and why a plugin of that name has not loaded ("" where it has not failed).
Known: TypeAlias = tuple[Mapping[str, type[Recipe]], Callable[[str], str]]


def known_recipes(registry: Registry) -> dict[str, Known]:
    """What options that hold recipes can name: by the kind that `tierkit.plugin.option` calls `holds`."""

    def failure(plugin: str) -> str:
        failed = registry.failure_of(plugin)
        return "" if failed is None else failed.reason

    return {"authoriser": (registry.authorisers(), failure)}


def parse_options(
    recipe: type[T], texts: Iterable[str], registry: Registry | None = None
) -> tuple[T | None, list[str]]:
    """A recipe from ``key=value`` texts, such as ``["cache_bytes=512MiB", "idle_timeout=30s"]``.

    An option that holds recipes of plugins takes their names, each with its own options behind it, ``;`` between
    two: ``authorise=keys file=/etc/keys; networks allow=10.0.0.0/8``.  Those are looked up in `registry`.

    Returns:
        The recipe and no problems, or None and every problem, one line each.
    """
    given, problems = assignments(texts)
    made, more = make(recipe, given, text=True, held={} if registry is None else known_recipes(registry))
    return (None if problems else made), [*problems, *more]


def assignments(texts: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """``key=value`` texts as a mapping, and what is wrong with them."""
    given: dict[str, str] = {}
    problems = []
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            problems.append(f"option {text!r} has no value: write NAME=VALUE")
        elif name in given:
            problems.append(f"option {name} is given twice: once is enough")
        else:
            given[name] = value
    return given, problems


def make(
    kind: type[T], given: Mapping[str, object], *, text: bool = False, held: Mapping[str, Known] | None = None
) -> tuple[T | None, list[str]]:
    """An attrs value (a recipe, limits, trust) from names and values; None where there are problems.

    Args:
        text: whether the values are text from the command line.
        held: what options that hold recipes can name.
    """
    known = {each.name: each for each in attrs.fields(kind) if each.init}  # type: ignore[arg-type]
    hints = _hints(kind)
    values: dict[str, Any] = {}
    problems = []
    for name, value in given.items():
        if (field := known.get(name)) is None:
            problems.append(f"option {name!r} is unknown: {closest(name, known)}")
            continue
        if kind_held := field.metadata.get("holds"):
            values[field.alias or name], more = _held(value, (held or {}).get(kind_held, ({}, str)), text)
            problems += [f"{name}: {each}" for each in more]
            continue
        try:
            unit = field.metadata.get("unit", "")
            values[field.alias or name] = read_value(value, hints.get(name, field.type), unit=unit, text=text)
        except (ValueError, TierkitError) as error:
            shown = "***" if field.metadata.get("secret") else repr(value)
            problems.append(f"option {name}={shown} is of the wrong kind: {error}")
    for name, field in known.items():
        if field.default is attrs.NOTHING and name not in given:
            problems.append(f"option {name} is missing: give it")
    if problems:
        return None, problems
    try:
        return kind(**values), []
    except Exception as error:
        # A validator or converter of the plugin's own.
        return None, [f"options do not fit: {' '.join(str(error).split()) or type(error).__name__}"]


def _held(value: object, known: Known, text: bool) -> tuple[tuple[Recipe, ...], list[str]]:
    """The recipes that an option holds: names, or tables with `plugin` and its options."""
    try:
        tables = _tables(value) if text and isinstance(value, str) else value
    except ValueError as error:
        return (), [f"{value!r} cannot be read: {error}"]
    found, problems = [], []
    for each in tables if isinstance(tables, (list, tuple)) else (tables,):
        table = {"plugin": each} if isinstance(each, str) else each
        if not isinstance(table, Mapping) or not isinstance(plugin := table.get("plugin"), str):
            problems.append(f"{each!r} names no plugin: write 'NAME' or {{ plugin = 'NAME', OPTION = VALUE }}")
        elif plugin not in known[0]:
            problems.append(f"{plugin!r} {known[1](plugin) or f'is unknown: {closest(plugin, known[0])}'}")
        else:
            made, more = make(known[0][plugin], {k: v for k, v in table.items() if k != "plugin"}, text=text)
            problems += [f"{plugin}: {problem}" for problem in more]
            found += [] if made is None else [made]
    return tuple(found), problems


def _tables(text: str) -> list[dict[str, str]]:
    """``NAME OPTION=VALUE ...; NAME ...`` as tables; quotes are a shell's."""
    words = shlex.shlex(text, posix=True, punctuation_chars=";")
    words.whitespace_split, words.commenters = True, ""
    tables: list[dict[str, str]] = []
    fresh = True
    for word in words:
        if set(word) == {";"}:
            fresh = True
        elif fresh:
            tables.append({"plugin": word})
            fresh = False
        else:
            given, problems = assignments([word])
            if problems or not tables[-1].keys().isdisjoint(given):
                raise ValueError((problems or [f"option {word.partition('=')[0]} is given twice"])[0])
            tables[-1] |= given
    return tables


def _hints(kind: type[Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind)
    except Exception:
        # A stranger's class may name types that exist for type checkers alone; then the defaults tell.
        found = {}
        for each in attrs.fields(kind):
            default = each.default.factory() if isinstance(each.default, attrs.Factory) else each.default  # type: ignore[arg-type]
            found[each.name] = Any if default is attrs.NOTHING or default is None else type(default)
        return found


def closest(name: str, known: Collection[str]) -> str:
    """What may have been meant: "did you mean 'x'?", or all there is to choose among."""
    if found := get_close_matches(name, known, n=1, cutoff=0.6):
        return f"did you mean {found[0]!r}?"
    return f"choose among {', '.join(known)}" if known else "there is none to choose"
