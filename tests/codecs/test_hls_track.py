"""One playlist, version after version.  The invariant: within an epoch the numbers shown never go back."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.hls import ListedPart, ListedSegment, PlaylistFacts, read_playlist
from tierkit.codecs.hls_epoch import MAX_LAG, NEAR_START
from tierkit.codecs.hls_track import CONFIRMED, PATIENCE, PREFETCH, REMEMBERED, WIDER_PATIENCE, Track, Verdict

TAKE, HOLD_BACK, NEW_EPOCH = Verdict.TAKE, Verdict.HOLD_BACK, Verdict.NEW_EPOCH
#: Target duration of everything here, seconds.
TD = 2.0


def version(
    first: int, count: int = 4, *, name: str = "{}.ts", at: float | None = None, duration: float = TD, **other: object
) -> PlaylistFacts:
    """`count` segments from number `first`; `at` is the date that number 0 would have."""
    segments = tuple(
        ListedSegment(
            uri=name.format(number),
            sequence=number,
            duration=duration,
            at=None if at is None else at + number * duration,
        )
        for number in range(first, first + count)
    )
    facts = PlaylistFacts(
        multivariant=False, target_duration=TD, media_sequence=first, segments=segments, listed=len(segments)
    )
    return evolve(facts, **other)


class Driver:
    """Feeds versions, each with a mark of its own and half a target duration after the last."""

    def __init__(self, track: Track | None = None) -> None:
        self.track = track or Track("/live/s/p.m3u8")
        self.now = 100.0

    def __call__(self, facts: PlaylistFacts, *, after: float = TD / 2) -> Verdict:
        self.now += after
        self.step = self.track.feed(facts, repr(facts).encode(), self.now)
        return self.step.verdict


def paths(names: Iterable[object]) -> list[str]:
    return [f"/live/s/{name}" for name in names]


# --- forward -------------------------------------------------------------------------------------


def test_a_playlist_that_goes_on_is_taken() -> None:
    feed = Driver()
    assert [feed(version(first)) for first in range(10)] == [TAKE] * 10
    assert feed.track.epoch == 1
    assert feed.track.window == tuple(paths(f"{number}.ts" for number in range(9, 13)))


def test_the_same_bytes_change_nothing() -> None:
    feed = Driver()
    feed(version(5))
    assert feed(version(5)) is TAKE
    assert (feed.step.changed, feed.step.fresh, feed.step.purge) == (False, (), ())


def test_a_window_that_is_trimmed_is_newer() -> None:
    feed = Driver()
    feed(version(0, 1000))
    assert feed(version(600, 400)) is TAKE
    assert feed.step.purge == ()
    assert len(feed.track.window) == 400


def test_a_jump_forward_is_taken_without_a_new_epoch() -> None:
    feed = Driver()
    feed(version(5))
    assert feed(version(1_700_000_000)) is TAKE
    assert (feed.track.epoch, feed.step.purge) == (1, ())


def test_a_playlist_that_ends_is_newer() -> None:
    feed = Driver()
    feed(version(5))
    assert feed(version(5, ended=True)) is TAKE
    assert feed.step.changed


# --- older copies --------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [1, 2, 3])
def test_a_parent_that_lags_is_held_back_until_it_has_caught_up(lag: int) -> None:
    feed = Driver()
    feed(version(500))
    for behind in range(lag, 0, -1):
        assert feed(version(500 - behind)) is HOLD_BACK
        assert feed.track.facts == version(500)
        feed.now += TD / 2
    assert feed(version(501)) is TAKE
    assert (feed.track.epoch, feed.step.purge) == (1, ())


def test_parents_of_which_one_lags_never_turn_the_stream_back() -> None:
    feed = Driver()
    feed(version(500, at=1e9))
    for newest in range(501, 540):
        assert feed(version(newest - 3, at=1e9)) is HOLD_BACK
        assert feed(version(newest, at=1e9)) is TAKE
    assert feed.track.epoch == 1
    assert feed.track.statistics().held_back == 39


def test_a_truncated_playlist_is_held_back() -> None:
    feed = Driver()
    feed(version(500, 6))
    assert feed(version(500, 3)) is HOLD_BACK


def test_a_playlist_without_segments_is_held_back_however_long() -> None:
    feed = Driver()
    feed(version(500))
    for _ in range(20):
        assert feed(version(0, 0), after=TD) is HOLD_BACK


def test_a_window_that_begins_earlier_is_held_back_at_first() -> None:
    feed = Driver()
    feed(version(500, 4))
    assert feed(version(498, 6)) is HOLD_BACK
    assert feed(version(498, 7)) is HOLD_BACK


def test_fewer_parts_are_an_older_copy() -> None:
    def with_parts(count: int) -> PlaylistFacts:
        parts = tuple(ListedPart(uri=f"p{index}", sequence=504, index=index) for index in range(count))
        return version(500, parts=parts)

    feed = Driver()
    feed(with_parts(3))
    assert feed(with_parts(2)) is HOLD_BACK
    assert feed(with_parts(0)) is HOLD_BACK
    assert feed(with_parts(4)) is TAKE
    assert feed(version(501)) is TAKE


# --- runs that begin again -----------------------------------------------------------------------


def test_a_restart_from_the_first_number_is_a_new_epoch_at_once() -> None:
    """OvenMediaEngine counts from 0 again, and calls its segments the same: `5.ts` of the old run was served."""
    feed = Driver()
    for first in range(0, 500, 2):
        feed(version(first))
    assert feed(version(0, 1)) is NEW_EPOCH
    assert feed.step.reason == "the sequence numbers went back to 0"
    assert set(paths(f"{number}.ts" for number in range(502))) == set(feed.step.purge)
    assert feed.track.epoch == 2
    assert feed(version(0, 2)) is TAKE


def test_a_number_that_has_another_name_is_a_new_epoch_at_once() -> None:
    feed = Driver()
    feed(version(50, name="a_{}.ts"))
    assert feed(version(48, name="b_{}.ts")) is NEW_EPOCH
    assert feed.step.reason == "the same sequence numbers have other segments"
    assert feed.step.purge == tuple(paths(f"a_{number}.ts" for number in range(50, 54)))


def test_a_number_that_has_another_date_is_a_new_epoch_at_once() -> None:
    feed = Driver()
    feed(version(50, at=1e9))
    assert feed(version(51, at=1e9 - 30)) is NEW_EPOCH
    assert feed.step.reason == "the same sequence numbers have other segments"


def test_a_number_that_lasts_otherwise_is_a_new_epoch_at_once() -> None:
    feed = Driver()
    feed(version(50))
    assert feed(version(49, duration=1.5)) is NEW_EPOCH


def test_packagers_in_step_may_differ_a_little() -> None:
    feed = Driver()
    feed(version(50, at=1e9))
    assert feed(version(49, at=1e9 + 0.2, duration=TD - 0.001)) is HOLD_BACK
    assert feed(version(51, at=1e9 - 0.2, duration=TD + 0.001)) is TAKE


def test_dates_that_go_on_while_numbers_go_back_are_a_new_epoch_at_once() -> None:
    feed = Driver()
    feed(version(20, at=1e9))
    assert feed(version(15, 4, at=1e9)) is HOLD_BACK
    assert feed(version(12, 4, at=1e9 + 60)) is NEW_EPOCH
    assert feed.step.reason == "the sequence numbers went back while the dates went on"


def test_dates_are_counted_on_from_the_last_that_is_written() -> None:
    def dated(facts: PlaylistFacts) -> PlaylistFacts:
        first, *others = facts.segments
        return evolve(facts, segments=(first, *(evolve(each, at=None) for each in others)))

    feed = Driver()
    feed(dated(version(20, at=1e9)))
    assert feed(dated(version(14, 4, at=1e9))) is HOLD_BACK
    assert feed(dated(version(14, 4, at=1e9 + 20))) is NEW_EPOCH


def test_numbers_that_go_on_with_other_names_are_a_new_epoch() -> None:
    feed = Driver()
    feed(version(50, name="a_{}.ts"))
    assert feed(version(51, name="b_{}.ts")) is NEW_EPOCH
    assert feed.track.window == tuple(paths(f"b_{number}.ts" for number in range(51, 55)))


def test_what_the_key_takes_out_is_not_another_name() -> None:
    track = Track("/live/s/p.m3u8", key=lambda path: re.sub(r"_w\d+", "", path))
    feed = Driver(track)
    feed(version(50, name="m_w1_{}.ts"))
    assert feed(version(51, name="m_w2_{}.ts")) is TAKE
    assert feed(version(50, name="m_w2_{}.ts")) is HOLD_BACK
    assert track.epoch == 1


def test_a_token_in_the_query_is_not_another_name() -> None:
    feed = Driver()
    feed(version(50, name="{}.ts?t=1"))
    assert feed(version(51, name="{}.ts?t=2")) is TAKE
    assert feed.track.epoch == 1


@pytest.mark.parametrize(("first", "discontinuities"), [(30, 9), (80, 7)])
def test_discontinuities_that_go_the_other_way_are_a_new_epoch(first: int, discontinuities: int) -> None:
    feed = Driver()
    feed(version(50, discontinuity_sequence=8))
    assert feed(version(first, discontinuity_sequence=discontinuities)) is NEW_EPOCH
    assert feed.step.reason == "the discontinuity sequence went the other way than the media sequence"


def test_another_count_of_discontinuities_for_the_same_segments_is_no_new_epoch() -> None:
    feed = Driver()
    feed(version(50, discontinuity_sequence=8))
    assert feed(version(51, discontinuity_sequence=0)) is TAKE
    assert feed.track.epoch == 1


def test_an_older_copy_has_fewer_discontinuities_and_is_held_back() -> None:
    feed = Driver()
    feed(version(50, discontinuity_sequence=8))
    assert feed(version(40, discontinuity_sequence=7)) is HOLD_BACK


def test_what_begins_after_the_end_is_a_new_epoch_at_once() -> None:
    feed = Driver()
    feed(version(5, ended=True))
    assert feed(version(0, 2)) is NEW_EPOCH
    assert feed.step.reason == "the playlist had ended and begins again"


def test_an_older_copy_of_what_has_ended_is_held_back_for_ever() -> None:
    feed = Driver()
    feed(version(50, ended=True))
    for _ in range(20):
        assert feed(version(49), after=TD) is HOLD_BACK


def test_the_same_run_may_go_on_after_its_end() -> None:
    feed = Driver()
    feed(version(50, ended=True))
    assert feed(version(51)) is TAKE
    assert feed.track.epoch == 1


def test_a_short_run_that_begins_again_is_believed_at_the_third_version() -> None:
    """Nothing but further versions tell it from an older copy: names, durations and numbers are the same."""
    feed = Driver()
    feed(version(0, 8))
    assert [feed(version(0, count)) for count in range(1, CONFIRMED + 1)] == [HOLD_BACK, HOLD_BACK, NEW_EPOCH]
    assert set(feed.step.purge) == set(paths(f"{number}.ts" for number in range(8)))


def test_the_same_older_copy_three_times_is_no_run() -> None:
    feed = Driver()
    feed(version(0, 8))
    assert [feed(version(0, 5), after=0.1) for _ in range(9)] == [HOLD_BACK] * 9


def test_a_run_that_has_caught_up_unseen_leaves_nothing_of_the_old_one() -> None:
    feed = Driver()
    feed(version(0, 3))
    assert [feed(version(0, 1)), feed(version(0, 2))] == [HOLD_BACK] * 2
    assert feed(version(0, 4)) is TAKE
    assert set(feed.step.purge) == set(paths(["0.ts", "1.ts", "2.ts"]))


def test_far_behind_is_further_than_any_parent_lags() -> None:
    feed = Driver()
    feed(version(NEAR_START + MAX_LAG))
    assert feed(version(NEAR_START)) is HOLD_BACK
    feed = Driver()
    feed(version(NEAR_START + MAX_LAG + 1))
    assert feed(version(NEAR_START)) is NEW_EPOCH


def test_a_parent_far_behind_in_the_middle_of_a_run_is_held_back() -> None:
    feed = Driver()
    feed(version(500))
    assert feed(version(100)) is HOLD_BACK


def test_what_is_held_back_is_shown_when_nothing_newer_comes_for_long() -> None:
    feed = Driver()
    feed(version(500))
    assert feed(version(400), after=TD) is HOLD_BACK
    assert feed(version(401), after=TD * (PATIENCE - 1)) is HOLD_BACK
    assert feed(version(402), after=TD / 2) is NEW_EPOCH
    assert feed.step.reason == "nothing newer for 6 target durations"
    assert feed.step.purge == tuple(paths(f"{number}.ts" for number in range(500, 504)))


def test_one_older_copy_never_outlasts_what_is_shown_and_confirmed() -> None:
    feed = Driver()
    feed(version(500))
    for _ in range(20):
        assert feed(version(500), after=TD) is TAKE
        assert feed(version(499), after=TD) is HOLD_BACK
    assert feed.track.facts == version(500)


def test_after_a_time_without_viewers_whatever_comes_first_is_shown() -> None:
    """The stream began again while nobody watched: the first who comes is not told what was an hour ago."""
    feed = Driver()
    feed(version(500))
    assert feed(version(480), after=TD * PATIENCE) is HOLD_BACK
    feed = Driver()
    feed(version(500))
    assert feed(version(480), after=TD * PATIENCE + 1) is NEW_EPOCH
    assert feed.step.reason == "nothing at all for 6 target durations"
    assert len(feed.step.purge) == 4


def test_an_older_copy_that_has_to_be_shown_keeps_what_is_stored() -> None:
    feed = Driver()
    feed(version(500))
    feed(version(499), after=TD * 4)
    assert feed(version(499), after=TD * 2) is NEW_EPOCH
    assert feed.step.purge == ()


def test_a_wider_window_that_reaches_further_is_shown_soon() -> None:
    feed = Driver()
    feed(version(500, 4))
    assert feed(version(496, 9), after=TD * WIDER_PATIENCE) is HOLD_BACK
    assert feed(version(497, 9), after=0.1) is NEW_EPOCH
    assert feed.step.purge == ()


# --- the epoch before ----------------------------------------------------------------------------


def test_late_versions_of_the_epoch_before_are_held_back() -> None:
    feed = Driver()
    feed(version(499))
    feed(version(500))
    assert feed(version(0, 1)) is NEW_EPOCH
    assert feed(version(500)) is HOLD_BACK
    assert feed.step.reason == "a version of the epoch before"
    assert feed(version(0, 2)) is TAKE
    for first in (499, 501, 503, 505):
        assert feed(version(first), after=0.1) is HOLD_BACK
    assert feed(version(0, 3)) is TAKE
    assert feed.track.epoch == 2


def test_the_last_versions_of_the_epoch_before_are_known_by_their_bytes() -> None:
    """Where a short run begins again with the same names, nothing else tells them from a version that is newer."""
    feed = Driver()
    feed(version(0, 8))
    for count in range(1, CONFIRMED + 1):
        feed(version(0, count))
    assert feed.track.epoch == 2
    assert feed(version(0, 8)) is HOLD_BACK
    assert feed.step.reason == "a version of the epoch before"


def test_the_epoch_before_comes_back_when_the_new_one_is_dead() -> None:
    feed = Driver()
    feed(version(500))
    assert feed(version(0, 1)) is NEW_EPOCH
    assert feed(version(501), after=TD * PATIENCE) is HOLD_BACK
    assert feed(version(502), after=TD) is TAKE


# --- names that are used again -------------------------------------------------------------------


def test_a_name_under_another_number_is_purged() -> None:
    """A packager that counts to six and begins again (FFmpeg's hls_wrap)."""

    def wrapped(first: int) -> PlaylistFacts:
        facts = version(first)
        return evolve(facts, segments=tuple(evolve(each, uri=f"{each.sequence % 6}.ts") for each in facts.segments))

    feed = Driver()
    purged = []
    for first in range(6):
        assert feed(wrapped(first)) is TAKE
        purged += feed.step.purge
    assert purged == paths(["0.ts", "1.ts", "2.ts"])


def test_a_name_that_is_listed_twice_means_one_thing() -> None:
    def slate(first: int) -> PlaylistFacts:
        facts = version(first)
        return evolve(facts, segments=tuple(evolve(each, uri="slate.ts") for each in facts.segments))

    feed = Driver()
    feed(slate(0))
    assert feed(slate(1)) is TAKE
    assert feed.step.purge == ()


def test_a_file_of_which_each_segment_is_a_range_is_one_thing() -> None:
    def ranges(first: int) -> PlaylistFacts:
        facts = version(first, 1)
        return evolve(facts, segments=tuple(evolve(each, uri="all.ts", byte_range=(1, 1)) for each in facts.segments))

    feed = Driver()
    feed(ranges(0))
    assert feed(ranges(1)) is TAKE
    assert feed.step.purge == ()


# --- what is new, and what comes next ------------------------------------------------------------


def test_new_segments_are_fetched_ahead_newest_first_and_few() -> None:
    feed = Driver()
    feed(version(0, 10))
    assert feed.step.fresh == tuple(paths(["9.ts", "8.ts", "7.ts", "6.ts"]))
    feed(version(2, 10))
    assert feed.step.fresh == tuple(paths(["11.ts", "10.ts"]))
    feed(version(500, 100))
    assert len(feed.step.fresh) == PREFETCH


def test_init_sections_come_first_and_once() -> None:
    feed = Driver()
    feed(version(0, 2, maps=("init.mp4",)))
    assert feed.step.fresh == tuple(paths(["init.mp4", "1.ts", "0.ts"]))
    feed(version(1, 2, maps=("init.mp4", "init2.mp4")))
    assert feed.step.fresh == tuple(paths(["init2.mp4", "2.ts"]))


def test_gaps_and_other_hosts_are_not_fetched_ahead() -> None:
    facts = version(0, 3)
    a, b, c = facts.segments
    segments = (evolve(a, gap=True), evolve(b, uri="//cdn.example/x.ts"), c)
    feed = Driver()
    feed(evolve(facts, segments=segments))
    assert feed.step.fresh == tuple(paths(["2.ts"]))


LOW_LATENCY = """#EXTM3U
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES
#EXT-X-PART-INF:PART-TARGET=1
#EXT-X-MEDIA-SEQUENCE:8
#EXT-X-MAP:URI="init.mp4"
#EXTINF:2,
s8.m4s
#EXT-X-PART:DURATION=1,URI="s9.0.m4s"
#EXT-X-PART:DURATION=1,URI="s9.1.m4s"
#EXTINF:2,
s9.m4s
#EXT-X-PART:DURATION=1,URI="s10.0.m4s"
"""


def test_parts_are_new_one_by_one_and_hints_are_told() -> None:
    feed = Driver()
    feed(read_playlist(LOW_LATENCY.encode()))
    assert feed.step.fresh == tuple(paths(["init.mp4", "s10.0.m4s", "s9.m4s", "s8.m4s"]))
    hint = '#EXT-X-PART:DURATION=1,URI="s10.1.m4s"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="s11.0.m4s"\n'
    feed(read_playlist((LOW_LATENCY + hint).encode()))
    assert feed.step.fresh == tuple(paths(["s10.1.m4s"]))
    assert feed.step.hints == tuple(paths(["s11.0.m4s"]))
    assert feed.track.is_next("/live/s/s11.0.m4s")
    assert feed.track.is_next("/live/s/s10.m4s")


def test_the_next_segment_is_known_by_its_number() -> None:
    feed = Driver()
    assert not feed.track.is_next("/live/s/4.ts")
    feed(version(0))
    assert feed.track.is_next("/live/s/4.ts")
    assert not any(map(feed.track.is_next, ["/live/s/5.ts", "/live/s/3.ts", "/live/t/4.ts", "4.ts", "/live/s/04.ts"]))
    feed(version(1))
    assert not feed.track.is_next("/live/s/4.ts")
    assert feed.track.is_next("/live/s/5.ts")


def test_one_name_alone_says_nothing_of_the_next() -> None:
    feed = Driver()
    feed(version(7, 1))
    assert not feed.track.is_next("/live/s/8.ts")


def test_nothing_comes_after_the_end() -> None:
    feed = Driver()
    feed(version(0, ended=True))
    assert not feed.track.is_next("/live/s/4.ts")


def test_the_next_segment_is_known_whatever_token_it_has() -> None:
    feed = Driver()
    facts = version(0)
    feed(evolve(facts, segments=tuple(evolve(each, uri=f"{each.uri}?t={each.sequence**3}") for each in facts.segments)))
    assert feed.track.is_next("/live/s/4.ts?t=anything")


def test_the_next_segment_is_known_to_every_session() -> None:
    track = Track("/live/s/p.m3u8", key=lambda path: re.sub(r"_w\d+", "", path))
    Driver(track)(version(0, name="m_w77_{}.ts"))
    assert track.is_next("/live/s/m_w12_4.ts")


# --- bounds --------------------------------------------------------------------------------------


def test_what_is_remembered_is_bounded() -> None:
    feed = Driver()
    for first in range(0, 3 * REMEMBERED, 50):
        feed(version(first, 60, maps=(f"i{first}",), keys=(f"k{first}",)))
    assert feed(version(0, 1)) is NEW_EPOCH
    assert REMEMBERED < len(feed.step.purge) <= 2 * REMEMBERED + 100


def test_keys_and_init_sections_of_the_old_epoch_go_too() -> None:
    feed = Driver()
    feed(version(500, maps=("init.mp4",), keys=("k.key",)))
    assert feed(version(0, 1)) is NEW_EPOCH
    assert {"/live/s/init.mp4", "/live/s/k.key"} <= set(feed.step.purge)


def test_a_multivariant_playlist_is_always_taken() -> None:
    feed = Driver()
    for variants in (("a",), ("b",), ("a",)):
        assert feed(PlaylistFacts(multivariant=True, variants=variants)) is TAKE


def test_statistics_tell_where_it_stands() -> None:
    feed = Driver()
    assert feed.track.statistics().epoch == 0
    feed(version(5))
    feed(version(6), after=TD)
    feed(version(5))
    told = feed.track.statistics()
    assert (told.epoch, told.first, told.next, told.taken, told.held_back, told.interval) == (1, 6, 10, 2, 1, TD)


def test_a_delta_update_goes_on_like_a_whole_playlist() -> None:
    def delta(first: int, count: int) -> PlaylistFacts:
        whole = version(first, count)
        return evolve(whole, segments=whole.segments[-3:], listed=3, skipped=count - 3)

    feed = Driver()
    feed(version(0, 20))
    assert feed(delta(1, 20)) is TAKE
    assert feed.step.fresh == tuple(paths(["20.ts"]))
    assert feed.track.window == tuple(paths(f"{number}.ts" for number in range(1, 21)))
    assert feed(delta(0, 20)) is HOLD_BACK
    assert feed(version(1, 20)) is TAKE
    assert feed.track.epoch == 1


VERSIONS = st.builds(
    version,
    st.integers(0, 40),
    st.integers(0, 6),
    name=st.sampled_from(["{}.ts", "b{}.ts"]),
    at=st.sampled_from([None, 1e9, 1e9 + 100]),
    ended=st.booleans(),
    discontinuity_sequence=st.integers(0, 2),
)


@given(st.lists(st.tuples(VERSIONS, st.floats(0, 10)), max_size=30))
def test_within_an_epoch_the_numbers_never_go_back(versions: list[tuple[PlaylistFacts, float]]) -> None:
    feed = Driver()
    for facts, after in versions:
        before, epoch = feed.track.facts, feed.track.epoch
        verdict = feed(facts, after=after)
        shown = feed.track.facts
        assert shown is not None
        assert (verdict is NEW_EPOCH) == (epoch > 0 and feed.track.epoch == epoch + 1)
        assert shown == (before if verdict is HOLD_BACK else facts)
        if before is not None and feed.track.epoch == epoch:
            assert shown.media_sequence >= before.media_sequence
            assert shown.edge >= before.edge
        assert len(feed.step.fresh) <= PREFETCH
        assert all(path.startswith("/live/s/") for path in (*feed.step.fresh, *feed.step.purge, *feed.track.window))


@given(
    st.lists(st.tuples(VERSIONS, st.floats(0, 10)), max_size=8),
    st.integers(0, 60),
    st.sampled_from(["{}.ts", "b{}.ts"]),
    st.sampled_from([None, 1e9, 1e9 + 500]),
)
def test_what_alone_goes_on_is_shown_in_the_end(
    before: list[tuple[PlaylistFacts, float]], first: int, name: str, at: float | None
) -> None:
    """Whatever was shown before: an upstream that is alive is not held back for ever."""
    feed = Driver()
    for facts, after in before:
        feed(evolve(facts, ended=False), after=after)
    for number in range(2 * (PATIENCE + 2)):
        newest = version(first + number // 2, name=name, at=at)
        feed(newest, after=TD / 2)
    assert feed.track.facts == newest


@given(st.permutations(range(12)), st.lists(st.floats(0, TD), min_size=12, max_size=12))
def test_versions_of_one_run_in_any_order_are_one_epoch(order: list[int], delays: list[float]) -> None:
    """Dates make it certain; the newest comes last, as it does while anything is alive."""
    feed = Driver()
    feed(version(500, at=1e9))
    for number, after in zip(order, delays, strict=True):
        feed(version(500 + number, at=1e9), after=after / 12)
    feed(version(512, at=1e9))
    assert feed.track.epoch == 1
    assert feed.track.facts == version(512, at=1e9)
