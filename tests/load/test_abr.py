"""Which variant is watched: the estimate against its closed form, and the choice by table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.load._abr import AT_FIRST, FAST, SLOW, Choice, Estimate, choose


def test_nothing_is_known_at_first() -> None:
    assert Estimate().bits == AT_FIRST


@given(st.lists(st.floats(0.05, 20), min_size=1, max_size=20), st.integers(1, 10**8))
def test_a_steady_throughput_is_itself(seconds: list[float], rate: int) -> None:
    estimate = Estimate()
    for each in seconds:
        estimate.downloaded(int(rate * each), each)
    assert estimate.bits == pytest.approx(8 * rate, rel=1e-3, abs=400)


def test_it_goes_down_at_once_and_up_slowly() -> None:
    up, down = Estimate(), Estimate()
    for estimate, rates in ((up, (1e5, 1e6)), (down, (1e6, 1e5))):
        for rate in rates:
            estimate.downloaded(int(rate * 9), 9)
    # Half of the slow average is forgotten in 9 s, and 7/8 of the fast one; the smaller of both counts.
    slow = (0.5 * 0.5 * 8e5 + 0.5 * 8e6) / (1 - 0.5 ** (18 / SLOW))
    fast = ((1 - 0.5 ** (9 / FAST)) * (0.5 ** (9 / FAST) * 8e6 + 8e5)) / (1 - 0.5 ** (18 / FAST))
    assert up.bits == pytest.approx(slow)
    assert down.bits == pytest.approx(fast)


def test_what_comes_in_no_time_measures_latency() -> None:
    estimate = Estimate()
    estimate.downloaded(1000, 0.0001)
    assert estimate.bits == pytest.approx(8 * 1000 / 0.05)


RATES = [800_000, 200_000, 3_000_000, 800_000]


@pytest.mark.parametrize(
    ("choice", "bits", "present", "chosen"),
    [
        ("first", 1e9, 2, 0),
        ("lowest", 1e9, 2, 1),
        ("highest", 1, 1, 2),
        # 95 % of the throughput at first, and for what is watched or less; 70 % for more.
        ("abr", 3_000_000 / 0.95, None, 2),
        ("abr", 3_000_000 / 0.95 - 1, None, 3),
        ("abr", 3_000_000 / 0.95, 2, 2),
        ("abr", 3_000_000 / 0.95, 0, 0),
        ("abr", 3_000_000 / 0.7 + 1, 0, 2),
        ("abr", 800_000 / 0.95, 2, 3),
        ("abr", 1, 2, 1),
        # Of two of one rate it stays where it is.
        ("abr", 1_000_000, 0, 0),
        ("abr", 1_000_000, 3, 3),
    ],
)
def test_choices(choice: Choice, bits: float, present: int | None, chosen: int) -> None:
    assert choose(RATES, choice, bits=bits, present=present) == chosen


@given(st.lists(st.integers(0, 10**8), min_size=1), st.floats(0, 1e9), st.data())
def test_a_choice_is_one_of_them_and_stays(rates: list[int], bits: float, data: st.DataObject) -> None:
    present = data.draw(st.none() | st.integers(0, len(rates) - 1))
    chosen = choose(rates, "abr", bits=bits, present=present)
    assert choose(rates, "abr", bits=bits, present=chosen) == chosen
