"""The buffer model, the figures and their two forms."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.load import Playback, Quantiles, Report
from tierkit.load._report import Tally, lateness, quantiles

KEYS = ["viewers", "seconds", "bytes", "gbit_per_s", "startup_ms", "stalls", "stalled_viewers", "errors", "latency_ms"]


def test_a_viewer_in_time_does_not_stall() -> None:
    playback = Playback()
    for number in range(10):
        playback.received(100 + number * 2, 2)
    playback.check(120)
    assert (playback.stalls, playback.ahead(120)) == (0, 0)


@pytest.mark.parametrize(("late", "stalls"), [(1.0, 0), (1.01, 1), (500, 1)])
def test_more_than_a_second_late_is_one_stall(late: float, stalls: int) -> None:
    playback = Playback()
    playback.received(0, 2)
    playback.check(2 + late / 2)
    playback.check(2 + late)
    playback.received(2 + late, 2)
    assert playback.stalls == stalls
    # After a stall it plays on from where it stood.
    assert playback.ahead(2 + late) == (2 if stalls else 2 - late)


def test_small_lags_add_up() -> None:
    playback = Playback()
    for number in range(1, 8):
        playback.received(number * 1.3, 1)
    # 0.3 s later each time; the fourth wait makes more than a second, and from there it begins anew.
    assert playback.stalls == 1


def test_what_is_noticed_late_was_in_time() -> None:
    playback = Playback()
    playback.received(0, 0)
    playback.noticed(10, 9.5)
    assert playback.stalls == 0
    playback.noticed(12, 0)
    playback.noticed(13, 0)
    assert playback.stalls == 1
    # It goes on from where it stood.
    playback.noticed(14, 0.2)
    assert (playback.stalls, playback.ahead(14)) == (1, pytest.approx(0.2))
    playback.noticed(16, 0.2)
    assert playback.stalls == 2


def test_what_nobody_knows_is_no_stall() -> None:
    playback = Playback()
    playback.suppose(5)
    assert not playback.started
    playback.received(5, 2)
    playback.suppose(6)
    assert playback.ahead(6) == 1
    playback.suppose(20)
    playback.check(21)
    assert (playback.stalls, playback.ahead(21)) == (0, -1)


def test_the_end_of_a_stream_is_no_stall() -> None:
    playback = Playback()
    playback.received(0, 1)
    playback.end(1)
    playback.check(100)
    assert (playback.stalls, playback.started) == (0, False)
    playback.received(100, 1)
    assert playback.ahead(100) == 1


def test_an_end_that_comes_too_late_was_one() -> None:
    playback = Playback()
    playback.received(0, 1)
    playback.end(3)
    assert playback.stalls == 1


@given(st.lists(st.floats(0, 100), min_size=1))
def test_quantiles_are_values_that_occurred(samples: list[float]) -> None:
    found = quantiles(samples)
    assert found.p50 in [round(1000 * each, 1) for each in samples]
    assert found.p99 is not None
    assert found.p50 is not None
    assert found.p50 <= found.p99
    below = sum(round(1000 * each, 1) <= found.p99 for each in samples)
    assert below >= 0.99 * len(samples)


def test_quantiles_of_a_hundred() -> None:
    assert quantiles([each / 1000 for each in range(1, 101)]) == Quantiles(50.0, 99.0)
    assert quantiles([]) == Quantiles(None, None)


@given(st.lists(st.integers(0, 100_000), min_size=1))
def test_lateness_is_the_quantiles_of_what_is_above_the_least(ticks: list[int]) -> None:
    least = min(ticks)
    assert lateness({0: Counter(ticks)}) == quantiles([(each - least) / 10_000 for each in ticks])
    assert lateness({}) == Quantiles()


def report() -> Report:
    return Report(
        viewers=7,
        seconds=2.0,
        bytes=500_000_000,
        startup_ms=Quantiles(12.5, 80.0),
        stalls=3,
        stalled_viewers=2,
        errors={"http 404": 4},
        latency_ms=Quantiles(),
    )


def test_the_keys_are_a_contract() -> None:
    found = report().as_dict()
    assert list(found) == KEYS
    assert found["gbit_per_s"] == 2.0
    assert found["startup_ms"] == {"p50": 12.5, "p99": 80.0}
    assert found["latency_ms"] == {"p50": None, "p99": None}
    assert json.loads(json.dumps(found)) == found


def test_the_text_is_for_people() -> None:
    text = report().text()
    for part in ("7 for 2.0 s", "2.000 Gbit/s", "3 at 2 viewers", "4 x http 404", "not measured", "median 12 ms"):
        assert part in text


def test_a_tally_leaves_out_the_ramps_bytes_and_knows_the_least_offset() -> None:
    late, fine = Playback(), Playback()
    for each in (late, fine):
        each.received(0, 1)
    late.check(10)
    tally = Tally(bytes=100, ramp_bytes=40, startups=[0.1], errors=Counter(b=1, a=2), playbacks=[late, fine])
    for epoch, offset in ((0, 7.5), (0, 7.25), (1, -3.0), (1, -2.875)):
        tally.late(epoch, offset)
    found = tally.report(viewers=2, seconds=1.0)
    assert (found.bytes, found.stalls, found.stalled_viewers) == (60, 1, 1)
    # Late by 0 and 250 ms in one epoch, by 0 and 125 in the other.
    assert found.latency_ms == Quantiles(0.0, 250.0)
    assert list(found.errors) == ["a", "b"]
