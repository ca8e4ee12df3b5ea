"""The options of a recipe from names and values, as TOML and the command line give them.

Options are attrs fields made by `tierkit.plugin.option`.  A range is not looked at here: `check` does it,
with the tier's name, wherever a graph comes from.
"""

from __future__ import annotations

import typing
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

import attrs

from tierkit import TierkitError

from ._config_values import read_value

__all__ = ["assignments", "closest", "make", "parse_options"]

T = TypeVar("T")


def parse_options(recipe: type[T], texts: Iterable[str]) -> tuple[T | None, list[str]]:
    """A recipe from ``key=value`` texts, such as ``["cache_bytes=512MiB", "idle_timeout=30s"]``.

    Returns:
        The recipe and no problems, or None and every problem, one line each.
    """
    given, problems = assignments(texts)
    made, more = make(recipe, given, text=True)
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


def make(kind: type[T], given: Mapping[str, object], *, text: bool = False) -> tuple[T | None, list[str]]:
    """An attrs value (a recipe, limits, trust) from names and values; None where there are problems.

    Args:
        text: whether the values are text from the command line.
    """
    known = {each.name: each for each in attrs.fields(kind) if each.init}  # type: ignore[arg-type]
    hints = _hints(kind)
    values: dict[str, Any] = {}
    problems = []
    for name, value in given.items():
        if (field := known.get(name)) is None:
            problems.append(f"option {name!r} is unknown: {closest(name, known)}")
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
