"""Least squares with no negative costs: how constants are made of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

__all__ = ["fit"]

#: Below this a pivot is noise: two columns say the same.
_SINGULAR = 1e-9
#: What no clock can tell from nothing: seconds, or any other unit that costs are told in.
_NOTHING = 1e-15
#: A value smaller than this part of the largest weighs no more than one of that size.
_FAINT = 0.01


def fit(rows: Sequence[Sequence[float]], values: Sequence[float]) -> list[float]:
    """The x >= 0 for which ``rows @ x`` is nearest to `values`, each weighed by its size.

    A cost below zero is noise, and would be a gift in a larger plan; so every subset of the unknowns is tried with the
    others at zero, and the best that needs no negative one is taken.  Meant for a handful of unknowns.
    """
    width = len(rows[0])
    least = max(values) * _FAINT
    if least < _NOTHING:
        return [0.0] * width
    scaled = [_weigh(row, value, least) for row, value in zip(rows, values, strict=True)]
    found = [0.0] * width
    nearest = _miss(scaled, found)
    for size in range(1, width + 1):
        for columns in combinations(range(width), size):
            solved = _solve(scaled, columns)
            if solved is None or min(solved) < 0:
                continue
            candidate = [0.0] * width
            for column, value in zip(columns, solved, strict=True):
                candidate[column] = value
            if (miss := _miss(scaled, candidate)) < nearest:
                found, nearest = candidate, miss
    return found


def _weigh(row: Sequence[float], value: float, least: float) -> tuple[list[float], float]:
    # By relative error: 10 % off a small audience counts as much as 10 % off a large one.
    weight = 1 / max(value, least)
    return [each * weight for each in row], value * weight


def _miss(rows: Sequence[tuple[list[float], float]], x: Sequence[float]) -> float:
    return sum((sum(a * b for a, b in zip(row, x, strict=True)) - value) ** 2 for row, value in rows)


def _solve(rows: Sequence[tuple[list[float], float]], columns: Sequence[int]) -> list[float] | None:
    """The normal equations of some columns by Gauss's elimination; None where they are singular."""
    size = len(columns)
    # Columns differ by many powers of ten (a request and a Gbit): each is brought to length one first.
    lengths = [sum(row[c] ** 2 for row, _ in rows) ** 0.5 for c in columns]
    if min(lengths) < 1e-100:
        return None
    units = [([row[c] / length for c, length in zip(columns, lengths, strict=True)], value) for row, value in rows]
    matrix = [
        [sum(row[i] * row[j] for row, _ in units) for j in range(size)] + [sum(row[i] * value for row, value in units)]
        for i in range(size)
    ]
    for i in range(size):
        pivot = max(range(i, size), key=lambda r: abs(matrix[r][i]))
        matrix[i], matrix[pivot] = matrix[pivot], matrix[i]
        if abs(matrix[i][i]) < _SINGULAR:
            return None
        for r in range(size):
            if r != i:
                factor = matrix[r][i] / matrix[i][i]
                matrix[r] = [a - factor * b for a, b in zip(matrix[r], matrix[i], strict=True)]
    return [matrix[i][size] / matrix[i][i] / lengths[i] for i in range(size)]
