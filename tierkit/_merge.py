"""How figures add up: over the services of a tier, and over processes.

Each field of a statistics value says it in its metadata: "sum", "max", or the "last" one told.  Mappings of counts are
merged key by key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from attrs import fields

__all__ = ["merged"]

T = TypeVar("T")


def merged(kind: type[T], values: Iterable[T]) -> T:
    """One value of an attrs class out of several, field by field; its defaults where there is none."""
    several = list(values)
    if not several:
        return kind()
    found = {}
    for each in fields(kind):  # type: ignore[arg-type]
        how = each.metadata.get("merge", "last")
        found[each.name] = _merge(how, [getattr(value, each.name) for value in several])
    return kind(**found)


def _merge(how: str, values: list[Any]) -> Any:
    if isinstance(values[0], Mapping):
        keys = dict.fromkeys(key for value in values for key in value)
        return {key: _merge(how, [value[key] for value in values if key in value]) for key in keys}
    if how == "sum":
        return sum(values)
    return max(values) if how == "max" else values[-1]
