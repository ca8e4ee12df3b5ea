"""Bytes by media time and back again."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.load._timeline import WRAP, Timeline, step

FRAMES = st.lists(st.tuples(st.integers(1, 2000), st.integers(1, 100_000)), min_size=2, max_size=50)


def written(frames: list[tuple[int, int]]) -> Timeline:
    timeline = Timeline()
    media = list(accumulate(each for each, _ in frames))
    for at, position in zip(media, accumulate(size for _, size in frames), strict=True):
        timeline.reached(at, position)
    return timeline


@given(FRAMES, st.floats(-1e5, 2e5))
def test_there_and_back(frames: list[tuple[int, int]], media: float) -> None:
    timeline = written(frames)
    if timeline.known:
        assert timeline.media(timeline.position(media)) == pytest.approx(media, abs=0.01)


@given(FRAMES, st.lists(st.floats(-1e5, 2e5), min_size=2))
def test_more_media_is_more_bytes(frames: list[tuple[int, int]], places: list[float]) -> None:
    timeline = written(frames)
    if timeline.known:
        found = [timeline.position(each) for each in sorted(places)]
        assert found == sorted(found)


def test_what_is_known_is_exact_and_the_rest_goes_by_the_rate() -> None:
    timeline = Timeline()
    assert timeline.empty
    for media, position in ((1000, 0), (2000, 500), (2050, 510), (3000, 2500)):
        timeline.reached(media, position)
    # The third point was too near to the second.
    assert [timeline.position(each) for each in (1000, 1500, 2000, 2500, 3000)] == [0, 250, 500, 1500, 2500]
    assert timeline.position(4000) == 3750
    assert timeline.position(0) == -1250
    assert timeline.end == 2500


def test_who_lags_adds_nothing() -> None:
    timeline = written([(1000, 100), (1000, 100)])
    timeline.reached(1500, 900)
    timeline.reached(3000, 150)
    assert timeline.end == 200


def test_a_restart_forgets_all_but_that_there_was_one() -> None:
    timeline = written([(1000, 100), (1000, 100)])
    timeline.least = 3.0
    timeline.restart()
    assert (timeline.epoch, timeline.empty, timeline.known) == (1, True, False)
    assert timeline.least == float("inf")


def test_timestamps_are_unwrapped_towards_the_newest() -> None:
    timeline = Timeline()
    assert timeline.unwrap(17) == 17
    timeline.reached(WRAP - 100, 0)
    assert timeline.unwrap(50) == WRAP + 50
    assert timeline.unwrap(WRAP - 200) == WRAP - 200
    timeline.reached(5 * WRAP + 30, 1000)
    assert timeline.unwrap(WRAP - 1) == 5 * WRAP - 1
    assert (step(WRAP - 1, 1), step(1, WRAP - 1)) == (2, -2)


def test_what_comes_after_the_end_is_no_end() -> None:
    timeline = written([(1000, 100), (1000, 100)])
    timeline.over = True
    timeline.reached(1900, 300)
    assert timeline.over
    timeline.reached(2500, 300)
    assert not timeline.over
