"""The runs of an encoder, shown as one: what is a new run, what only an older copy, and what a mark in a name means."""

from __future__ import annotations

import pytest

from tests.codecs.test_hls_renumber import listing
from tierkit.codecs.hls import read_playlist
from tierkit.plugins.wowza._runs import Run, Runs


@pytest.mark.parametrize(
    ("before", "now", "added"),
    [
        ((90, 93), (0, 3), 93),  # from the beginning
        ((90, 93), (5, 8), 88),
        ((90, 93), (70, 73), 23),  # further back than any copy is old
        ((90, 93), (89, 92), 0),  # a copy that was under way for longer
        ((90, 93), (80, 83), 0),
        ((2, 5), (0, 3), 0),
        ((4, 7), (0, 1), 7),
        ((90, 93), (91, 94), 0),
        ((90, 93), (5000, 5003), 0),
    ],
)
def test_what_is_a_new_run(before: tuple[int, int], now: tuple[int, int], added: int) -> None:
    run = Run(*before)
    run.follow(*now)
    assert run.added == added
    assert run.before == bool(added)
    assert run.end == (now[1] if added or now >= before else before[1])


def test_each_run_goes_on_where_the_one_before_has_ended() -> None:
    runs, shown = Runs(), list[int]()
    for first in (90, 91, 0, 1, 2, 8, 0, 5):
        found, before = runs.shown("chunklist.m3u8?", listing(first))
        shown.append(read_playlist(found).media_sequence)
    assert shown == [90, 91, 94, 95, 96, 102, 105, 110]
    assert before == 2
    # Each list by itself: a viewer of another rendition may not have been there.
    assert runs.shown("chunklist_b1.m3u8?", listing(3)) == (listing(3), 0)


def test_a_mark_means_nothing_to_the_server() -> None:
    runs = Runs()
    assert runs.marked("media_b1_7.ts", 0) == "media_b1_7.ts"
    assert runs.marked("media_b1_7.ts", 2) == "media_b1_r2_7.ts"
    assert runs.marked("media_b1_7_m3u8.cmfv", 1) == "media_b1_r1_7_m3u8.cmfv"
    assert runs.marked("chunklist_b1.m3u8", 2) == "chunklist_b1.m3u8"
    assert runs.unmarked("media_b1_r2_7.ts") == ("media_b1_7.ts", True)
    # What is of a run that has ended would be other bytes now.
    assert runs.unmarked("media_b1_r1_7.ts") == ("media_b1_7.ts", False)
    assert runs.unmarked("media_b1_7.ts") == ("media_b1_7.ts", False)
    # Nothing is known of it here: another edge has listed it.
    assert runs.unmarked("media_b2_r5_7.ts") == ("media_b2_7.ts", True)
    assert runs.unmarked("media_b2_7.ts") == ("media_b2_7.ts", True)
