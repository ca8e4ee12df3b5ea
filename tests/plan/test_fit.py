"""Least squares without negative costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.plan._fit import fit


def test_what_was_put_in_comes_out() -> None:
    rows = [(1.0, 20.0, 0.01), (1.0, 200.0, 0.1), (1.0, 200.0, 0.4), (1.0, 800.0, 0.5)]
    costs = (0.004, 50e-6, 0.03)
    values = [sum(a * b for a, b in zip(row, costs, strict=True)) for row in rows]
    assert fit(rows, values) == pytest.approx(costs)


def test_a_negative_cost_is_none_and_the_others_are_fitted_without_it() -> None:
    rows = [(1.0, 10.0), (1.0, 20.0)]
    # A line through both has a slope below zero: what is left is the level between them, weighed by size.
    level, slope = fit(rows, [2.0, 1.0])
    assert slope == 0
    assert 1.0 < level < 1.5


def test_columns_that_say_the_same_and_columns_of_nothing_do_no_harm() -> None:
    assert sum(fit([(1.0, 1.0), (2.0, 2.0)], [3.0, 6.0])) == pytest.approx(3.0)
    assert fit([(0.0, 1.0), (0.0, 2.0)], [3.0, 6.0]) == pytest.approx([0.0, 3.0])
    assert fit([(1.0,)], [0.0]) == [0.0]
    assert fit([(0.0, 0.0), (0.0, 1.0)], [0.0, 1e-308]) == [0.0, 0.0]


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e3)), min_size=2, max_size=6), st.data())
def test_no_cost_is_ever_negative(rows: list[tuple[float, float]], data: st.DataObject) -> None:
    values = data.draw(st.lists(st.floats(0, 10), min_size=len(rows), max_size=len(rows)))
    assert min(fit(rows, values)) >= 0
