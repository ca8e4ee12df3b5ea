"""Single values as people write them: "512MiB", "1m30s", true, "a,b", to the types that options have.

TOML has types of its own, so there a value must have the right one; the command line has only text.  cattrs
does the structuring, with one converter for each of the two; what it does not know, sizes and durations,
goes by an option's unit.  Every refusal is a ValueError whose text says what to write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

import cattrs

from tierkit import Address

__all__ = ["parse_duration", "parse_size", "read_value"]

_SIZES = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgt", 1):
    _SIZES[f"{_letter}ib"] = 1024**_power  # IEC 80000-13
    _SIZES[f"{_letter}b"] = 1000**_power
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\Z")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]+)\s*")
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


def parse_size(text: str) -> int:
    """Bytes from "512MiB" (1024s), "500MB" (1000s) or "65536".  Raises ValueError.

    A letter alone is refused: "512m" is 1024s to nginx and 1000s to others, and "Mb" are bits.
    """
    match = _SIZE.match(text.strip())
    unit = match.group(2) if match else "?"
    bits = unit.endswith("b") and unit[:1].isupper()
    if match is None or bits or unit.lower() not in _SIZES:
        raise ValueError("give a size such as 512MiB, 2GiB or 65536")
    number = float(match.group(1)) * _SIZES[unit.lower()]
    if number != int(number):
        raise ValueError("give a whole number of bytes, such as 512MiB")
    return int(number)


def parse_duration(text: str) -> float:
    """Seconds from "2s", "500ms", "1m30s", "2h" or "2.5".  Raises ValueError."""
    text = text.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return float(text)
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text or any(p.group(2) not in _SECONDS for p in parts):
        raise ValueError("give a time such as 2s, 500ms or 1m30s")
    # Rounded to the microsecond, so that 1m30s is 90 and 100ms is 0.1.
    return round(sum(float(part.group(1)) * _SECONDS[part.group(2)] for part in parts), 6)


def _number(text: str) -> float:
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?", text):
        raise ValueError("give a number")
    if abs(number := float(text)) == float("inf"):
        raise ValueError("give a smaller number")
    return number


def read_value(value: object, hint: Any, *, unit: str = "", text: bool = False) -> Any:
    """`value` as what an option of type `hint` and `unit` takes.

    Args:
        text: whether it is text from the command line, and not a typed value from TOML.

    Raises:
        ValueError: it is not fit; the text says what to write.
    """
    if isinstance(value, str) and unit == "bytes" and _has(hint, int):
        return parse_size(value)
    if isinstance(value, str) and unit in ("s", "ms") and (_has(hint, float) or _has(hint, int)):
        seconds = parse_duration(value)
        if unit == "ms" and not re.fullmatch(r"[0-9.]+", value.strip()):
            seconds *= 1000
        return int(seconds) if seconds == int(seconds) and not _has(hint, float) else seconds
    try:
        return (_TEXT if text else _TYPED).structure(value, hint)
    except ValueError:
        raise
    except Exception as error:
        # What cattrs says of shapes it cannot fill (a missing key, a stranger's class), on one line.
        raise ValueError(f"it does not fit: {' '.join(str(error).split()) or type(error).__name__}") from error


def _has(hint: Any, kind: type) -> bool:
    return hint is kind or (_is_union(hint) and kind in get_args(hint))


def _is_union(hint: Any) -> bool:
    origin: Any = get_origin(hint)
    return origin is Union or origin is UnionType


def _exactly(kind: type, what: str) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"give {what}")
        return value

    return structure


def _whole(value: Any, _: Any) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", str(value).strip()):
        raise ValueError("give a whole number")
    return int(value)


def _truth(value: Any, _: Any) -> bool:
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("give true or false")
    return word in _TRUE


def _float(value: Any, _: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("give a number")
    return float(value)


def _address(value: Any, _: Any) -> Address:
    if not isinstance(value, str):
        raise ValueError("give an address as a string")
    return Address.parse(value)


def _union_of(converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    def structure(value: Any, hint: Any) -> Any:
        arms = get_args(hint)
        if value is None and type(None) in arms:
            return None
        failures = []
        # Text comes last: on the command line anything is a string.
        for arm in sorted((arm for arm in arms if arm is not type(None)), key=lambda arm: arm is str):
            try:
                return converter.structure(value, arm)
            except Exception as error:
                failures.append(str(error))
        raise ValueError("; or ".join(dict.fromkeys(failures)))

    return structure


def _is_several(hint: Any) -> bool:
    origin = get_origin(hint) or hint
    return isinstance(origin, type) and issubclass(origin, Collection) and not issubclass(origin, (str, bytes, Mapping))


def _several_of(converter: cattrs.Converter, *, text: bool) -> Callable[[Any, Any], Any]:
    """For tuples and their kin: cattrs would take a string for a sequence of its letters."""

    def structure(value: Any, hint: Any) -> Any:
        if isinstance(value, str):
            value = [each.strip() for each in value.split(",") if each.strip()] if text else [value]
        if not isinstance(value, (list, tuple)):
            raise ValueError("give a list")
        kinds = tuple(each for each in get_args(hint) if each is not Ellipsis) or (str,)
        if len(kinds) > 1 and len(kinds) != len(value):
            raise ValueError(f"give {len(kinds)} values")
        origin = get_origin(hint) or hint
        kind = origin if origin in (list, set, frozenset) else tuple
        return kind(converter.structure(each, kinds[i % len(kinds)]) for i, each in enumerate(value))

    return structure


def _converter(leaves: Mapping[Any, Callable[[Any, Any], Any]], *, text: bool) -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=False, forbid_extra_keys=True)
    for kind, hook in {**leaves, Address: _address}.items():
        converter.register_structure_hook(kind, hook)
    converter.register_structure_hook_func(_is_union, _union_of(converter))
    converter.register_structure_hook_func(_is_several, _several_of(converter, text=text))
    return converter


_TYPED = _converter(
    {
        bool: _exactly(bool, "true or false, without quotes"),
        int: _exactly(int, "a whole number, without quotes"),
        float: _float,
        str: _exactly(str, "a string, in quotes"),
    },
    text=False,
)
_TEXT = _converter(
    {bool: _truth, int: _whole, float: lambda v, _: _number(str(v)), str: _exactly(str, "text")}, text=True
)
