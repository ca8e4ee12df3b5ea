"""Where times and rates stand on an axis, and how they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit._report_figures import clock, marks, rate


@pytest.mark.parametrize(
    ("bits", "told"),
    [
        (3.55e9, "3.55 Gbit/s"),
        (888e6, "888 Mbit/s"),
        (999.4e6, "999 Mbit/s"),
        (999.6e6, "1.00 Gbit/s"),
        (12.3e6, "12.3 Mbit/s"),
    ],
)
def test_rates_have_three_digits(bits: float, told: str) -> None:
    assert rate(bits) == told


@pytest.mark.parametrize(
    ("began", "whole", "labels"),
    [
        (1000.0, 124.0, ["0:00", "0:30", "1:00", "1:30", "2:00"]),
        (7260.0, 3600.0, ["02:10", "02:20", "02:30", "02:40", "02:50", "03:00"]),
    ],
)
def test_times_are_round(began: float, whole: float, labels: list[str]) -> None:
    assert [clock(began + after, began, whole) for after in marks(began, whole, 7)] == labels


@given(st.floats(0, 2e9), st.floats(1, 2 * 86400), st.integers(3, 10))
def test_there_are_few_and_they_are_within(began: float, whole: float, most: int) -> None:
    found = marks(began, whole, most)
    assert len(found) <= most
    assert all(0 <= each <= whole for each in found)
