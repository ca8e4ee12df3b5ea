"""Reading a history: JSON from a file or from another machine, checked before anything is made of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from attrs import frozen

from .errors import TierkitError

__all__ = ["History", "Tier", "Values", "read_history"]

Values: TypeAlias = "tuple[float | None, ...]"

#: Points: a day of seconds.  Series of one kind: a graph with more tiers is no picture any more.
_POINTS = 90_000
_SERIES = 1_000
#: The figures of a tier, and whether they may be missing: all may, a history of Prometheus lacks some.
_FIGURES = ("bits", "viewers", "chopped", "hit_ratio", "cpu", "memory")


@frozen
class Tier:
    """One tier of a history."""

    role: str
    site: str
    values: Mapping[str, Values]


@frozen
class History:
    """A history that is sound: every series has as many values as there are points."""

    began: float
    step: float
    points: int
    by_type: Mapping[str, Values]
    by_site: Mapping[str, Values]
    tiers: Mapping[str, Tier]


def read_history(told: Mapping[str, Any]) -> History:
    """What is in a history.  Raises TierkitError."""
    step = _number(told, "step")
    if not step > 0:
        raise TierkitError(f"the history's 'step' is {step}: it is seconds between points")
    points = _points(told)
    tiers = _table(told, "tiers")
    return History(
        began=_number(told, "from"),
        step=step,
        points=points,
        by_type={name: _values(each, points, f"type {name}") for name, each in _table(told, "type").items()},
        by_site={name: _values(each, points, f"site {name}") for name, each in _table(told, "site").items()},
        tiers={name: _tier(each, points, name) for name, each in tiers.items()},
    )


def _points(told: Mapping[str, Any]) -> int:
    points = told.get("points")
    if type(points) is not int or not 0 < points <= _POINTS:
        shown = str(points)[:40]
        raise TierkitError(f"the history's 'points' is {shown}: it is from 1 to {_POINTS}; is anything recorded yet?")
    return points


def _number(told: Mapping[str, Any], name: str) -> float:
    found = told.get(name)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
        raise TierkitError(f"the history's {name!r} is no number: is this what GET /history answers?")
    return float(found)


def _table(told: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = told.get(name)
    if not isinstance(found, Mapping) or len(found) > _SERIES:
        raise TierkitError(f"the history's {name!r} is no object of at most {_SERIES} names")
    return {str(key): value for key, value in found.items()}


def _tier(told: Any, points: int, name: str) -> Tier:
    if not isinstance(told, Mapping):
        raise TierkitError(f"the history's tier {name[:80]!r} is no object")
    return Tier(
        role=str(told.get("role") or ""),
        site=str(told.get("site") or ""),
        values={each: _values(told.get(each), points, f"{each} of tier {name}") for each in _FIGURES},
    )


def _values(told: Any, points: int, what: str) -> Values:
    if told is None:
        return (None,) * points
    if not isinstance(told, list) or len(told) != points:
        raise TierkitError(f"the history's {what[:80]} is no list of {points} values")
    return tuple(_value(each) for each in told)


def _value(told: Any) -> float | None:
    """A number that is at least 0; what is none, or no figure (NaN), is unknown."""
    if isinstance(told, bool) or not isinstance(told, (int, float)) or not math.isfinite(told):
        return None
    return max(0.0, float(told))
