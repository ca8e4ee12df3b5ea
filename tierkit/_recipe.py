"""What users write: frozen recipes with options, which Python, TOML and the command line read from one place."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from attrs import field, fields

__all__ = ["Recipe", "option", "option_problems"]


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[object] = (),
    unit: str = "",
    converter: Callable[[Any], Any] | None = None,
    holds: str = "",
    secret: bool = False,
) -> Any:
    """One option of a recipe: an attrs field with its help, unit and range.

    Python, TOML, ``--option key=value`` and `tierkit plugins` all read it from here.  The range is
    checked by `option_problems` when the graph is checked, not on construction, so that every problem
    of a graph can be told at once and with the tier's name.  `unit` is "bytes" (TOML and the command
    line then take "512MiB"), "s", or a word for the help.  `holds` names the kind of recipe that an option is a
    tuple of ("authoriser"): TOML and the command line then take them by name, each with options of its own.  A
    `secret` is shown nowhere.
    """
    metadata = {"help": help, "minimum": minimum, "maximum": maximum, "choices": tuple(choices), "unit": unit}
    metadata |= {"holds": holds, "secret": secret}
    return field(default=default, metadata=metadata, converter=converter, repr=not secret)


def option_problems(recipe: Any) -> list[str]:
    """What is out of range or of the wrong type in a recipe's options, one line each."""
    found = []
    for each in fields(type(recipe)):
        value, meta = getattr(recipe, each.name), each.metadata
        if meta.get("holds"):
            found += _held_problems(each.name, meta["holds"], value)
        elif "help" in meta and (wrong := _wrong(value, each.default, meta)):
            found.append(f"option {each.name}={'***' if meta.get('secret') else repr(value)}{wrong}")
    return found


def _held_problems(name: str, kind: str, value: object) -> list[str]:
    held = value if isinstance(value, tuple) else (value,)
    odd = [each for each in held if not isinstance(each, Recipe)]
    if odd:
        return [f"option {name}={odd[0]!r} is no {kind}: give recipes such as those that `tierkit plugins` lists"]
    return [f"{name}: {each.name}: {problem}" for each in held for problem in each.problems()]


def _wrong(value: object, default: object, meta: Mapping[Any, Any]) -> str:
    low, high, choices = meta["minimum"], meta["maximum"], meta["choices"]
    unit = f" {meta['unit']}" if meta["unit"] else ""
    if choices:
        return "" if value in choices else f": choose one of {', '.join(map(repr, choices))}"
    if value is default:
        return ""
    if isinstance(default, (bool, str)):
        want = "true or false" if isinstance(default, bool) else "a string"
        return "" if type(value) is type(default) else f" is of the wrong type: give {want}"
    if low is None and high is None and not isinstance(default, (int, float)):
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return f" is not a number: give a number{unit and ' of'}{unit}"
    if isinstance(default, int) and not isinstance(value, int):
        return f" is not a whole number: give a whole number{unit and ' of'}{unit}"
    if low is not None and value < low:
        return f" is too small: give at least {low:.15g}{unit}"
    if high is not None and value > high:
        return f" is too large: give at most {high:.15g}{unit}"
    return ""


class Recipe(ABC):
    """The common root of `Service` and `Source`: a frozen attrs class with a name and options."""

    #: How TOML and the command line call it; unique in its kind.
    name: ClassVar[str]

    def problems(self) -> list[str]:
        """What is wrong with this recipe by itself, one line each.  Extend it for rules between options."""
        return option_problems(self)

    def problems_here(self) -> list[str]:
        """What would keep it from running on this machine, such as a file that is not there, one line each.

        It may read files, so it is asked by `tierkit check`, never in an event loop.
        """
        return []
