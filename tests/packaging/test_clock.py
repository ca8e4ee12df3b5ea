"""Time: rising strictly, whatever comes in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit._packaging_clock import JUMP, STRAY, Timeline

VIDEO, AUDIO = 0, 1


def line(at: int = 0) -> Timeline:
    clock = Timeline()
    assert clock.begin(at)
    return clock


def test_milliseconds_become_ticks() -> None:
    clock = line(5000)
    assert [clock.place(VIDEO, 5000 + each, leads=True) for each in (0, 40, 80)] == [0, 3600, 7200]
    assert clock.place(AUDIO, 5023, leads=False) == 2070
    assert clock.end == 7200 + 3600


def test_the_leader_jumps_and_the_other_strays() -> None:
    clock = line(5000)
    clock.place(VIDEO, 5000, leads=True)
    for odd in (3999, 20_001, 0, 1 << 31):
        assert clock.place(VIDEO, odd, leads=True) == JUMP
        assert clock.place(AUDIO, odd, leads=False) == STRAY
    assert clock.place(VIDEO, 4001, leads=True) == 1
    assert clock.place(VIDEO, 20_000, leads=True) == 15_000 * 90


def test_sound_from_before_the_first_picture_is_left_out() -> None:
    clock = line(5000)
    assert clock.place(AUDIO, 4990, leads=False) == STRAY
    assert clock.place(AUDIO, 5000, leads=False) == 0


def test_a_leader_from_before_the_line_begins_where_it_does() -> None:
    clock = line(5000)
    assert clock.place(AUDIO, 5000, leads=True) == 0
    assert not clock.begin(4500)
    assert clock.place(VIDEO, 4500, leads=True) == 0


def test_many_small_steps_back_are_one_large_one() -> None:
    clock = line(5000)
    clock.place(VIDEO, 5000, leads=True)
    assert clock.place(VIDEO, 4400, leads=True) == 1
    assert clock.place(VIDEO, 3800, leads=True) == JUMP


def test_a_segment_that_begins_near_goes_on_and_one_that_begins_elsewhere_is_moved() -> None:
    clock = line()
    clock.place(VIDEO, 0, leads=True)
    clock.place(VIDEO, 40, leads=True)
    assert not clock.begin(2000)
    assert clock.place(VIDEO, 2000, leads=True) == 180_000
    assert clock.begin(9_000_000)
    # 1.96 s is what the last frame seemed to take; a second is what it is given.
    assert clock.place(VIDEO, 9_000_000, leads=True) == 180_000 + 90_000
    clock.stop()
    assert clock.begin(9_000_040)


@pytest.mark.parametrize("start", [0, (1 << 32) - 100, (1 << 31) - 100])
def test_the_wrap(start: int) -> None:
    clock = line(start)
    for each in range(0, 400, 40):
        assert not clock.begin((start + each) & 0xFFFFFFFF)
        assert clock.place(VIDEO, (start + each) & 0xFFFFFFFF, leads=True) == each * 90


@given(
    st.lists(
        st.tuples(
            st.sampled_from([VIDEO, AUDIO]),
            st.one_of(st.integers(0, 30_000), st.integers(0, 0xFFFFFFFF)),
        )
    )
)
def test_times_rise_strictly_for_each_track(steps: list[tuple[int, int]]) -> None:
    clock = line()
    last = {VIDEO: -1, AUDIO: -1}
    for slot, timestamp in steps:
        at = clock.place(slot, timestamp, leads=slot == VIDEO)
        if at == JUMP:
            assert slot == VIDEO
            end = clock.end
            assert clock.begin(timestamp)
            at = clock.place(slot, timestamp, leads=True)
            assert at == end
        if at == STRAY:
            assert slot == AUDIO
            continue
        assert at > last[slot]
        last[slot] = at
