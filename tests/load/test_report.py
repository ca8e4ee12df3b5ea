"""The buffer model, the figures and their two forms."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.errors import TierkitError
from tierkit.load import Playback, Quantiles, Report, SelfCheck, Watched, write_viewers
from tierkit.load._report import Tally, lateness, quantiles

KEYS = ["viewers", "seconds", "bytes", "gbit_per_s", "startup_ms", "stalls", "stalled_viewers", "errors", "latency_ms"]
KEYS += ["starved_viewers", "switches", "variants", "self_check", "notes"]


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


def fed(gaps: list[float], media: float, *, begins_with: float = 0.0, until: float = 0.0) -> Playback:
    """A viewer who gets so much media after each of these gaps."""
    playback = Playback(begins_with)
    now = 0.0
    for gap in gaps:
        now += gap
        playback.received(now, media)
    playback.check(max(now, until))
    return playback


@pytest.mark.parametrize(
    ("period", "starved"),
    [
        # 4 s of media every 4, 4.125, 4.2 and 5 s, the last two less than 95 % of the stream in some 5 s: two freezes
        # of 0.125 s lie within 5 s and are the quarter of a second that is borne, two of 0.2 are more.
        (4.0, False),
        (4.125, False),
        (4.2, True),
        (5.0, True),
    ],
)
def test_segments_come_in_bursts_and_are_played_evenly(period: float, starved: bool) -> None:
    # Three at once, as HLS begins, and then one in each period; long enough for what is in hand to be used up.
    playback = fed([0, 0, 0, *[period] * 120], 4)
    assert playback.starved is starved


def test_one_freeze_of_a_quarter_second_is_borne_and_a_longer_one_is_not() -> None:
    assert not fed([0, 2.25, 2, 2], 2).starved
    playback = fed([0, 2.26, 2, 2], 2)
    assert playback.hungry == [(2, 2.26)]
    assert (playback.stalls, playback.halts) == (0, [])


def test_freezes_add_up_within_a_window_and_not_beyond_it() -> None:
    # Two of 0.2 s, the second from 4.2 s and from 5.2 s after the first.
    assert fed([0, 4.2, 4.2], 4).hungry == [(4, pytest.approx(8.4))]
    assert not fed([0, 5.2, 5.2], 5).starved


def test_what_a_player_gathers_first_hides_batches() -> None:
    # 0.3 s of media every 0.3 s, the first of them 0.3 s late: without anything in hand that is a freeze.
    gaps = [0, 0.6, *[0.3] * 10]
    assert fed(gaps, 0.3).hungry == [(0.3, pytest.approx(0.6))]
    assert not fed(gaps, 0.3, begins_with=1.0).starved


def test_what_lasts_to_the_end_is_seen() -> None:
    playback = fed([0], 2, until=10)
    assert (playback.halts, playback.hungry) == ([(2, None)], [(2, 10)])
    assert playback.told(1000.0) == {"stalls": ((1002.0, None),), "starved": ((1002.0, 1010.0),)}


def test_a_stall_ends_when_media_comes_again() -> None:
    assert fed([0, 5, 1], 2).halts == [(2, 5)]


def test_a_shortage_below_a_twentieth_ends_in_a_stall() -> None:
    playback = Playback(1.0)
    for tick in range(1, 400):
        playback.noticed(tick / 4, 0.97 / 4) if playback.started else playback.received(tick / 4, 0.97 / 4)
    assert (playback.starved, playback.stalls > 0) == (False, True)


def test_a_look_takes_what_has_come_to_have_been_there() -> None:
    playback = Playback()
    playback.received(0, 1)
    playback.noticed(1.5, 0.5)
    assert playback.frozen == 0
    playback.noticed(2.0, 0.1)
    assert playback.frozen == pytest.approx(0.4)
    assert playback.starved


def test_the_buffer_is_what_a_player_would_say() -> None:
    playback = Playback(1.0)
    playback.received(10, 0.5)
    assert playback.buffered(11) == 0.5
    playback.received(12, 1)
    assert (playback.buffered(12), playback.buffered(13), playback.buffered(20)) == (1.5, 0.5, 0)


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
        starved_viewers=5,
        switches_up=6,
        variants={900_000: 8, 400_000: 9},
    )


def test_the_keys_are_a_contract() -> None:
    found = report().as_dict()
    assert list(found) == KEYS
    assert found["gbit_per_s"] == 2.0
    assert found["startup_ms"] == {"p50": 12.5, "p99": 80.0}
    assert found["latency_ms"] == {"p50": None, "p99": None}
    assert found["switches"] == {"up": 6, "down": 0}
    assert found["variants"] == {"400000": 9, "900000": 8}
    assert found["self_check"]["bottleneck"] is False
    assert json.loads(json.dumps(found)) == found


def test_the_text_is_for_people() -> None:
    text = report().text()
    for part in (
        "7 for 2.0 s",
        "2.000 Gbit/s",
        "3 at 2 viewers",
        "4 x http 404",
        "not measured",
        "median 12 ms",
        "5 viewers had less",
    ):
        assert part in text
    assert "5 viewers had less" in text
    assert "9 of 400 kbit/s, 8 of 900 kbit/s; 6 switches up, 0 down" in text
    assert "no bottleneck" in text


def watched(number: int, *, stalls: tuple[tuple[float, float | None], ...] = ()) -> Watched:
    return Watched(viewer=number, reads=number == 0, local=(("127.0.0.1", 5000 + number), ("::1", 6)), stalls=stalls)


def test_a_tally_leaves_out_the_ramps_bytes_and_knows_the_least_offset() -> None:
    audience = [watched(1), watched(0, stalls=((5.0, None),))]
    tally = Tally(bytes=100, ramp_bytes=40, startups=[0.1], errors=Counter(b=1, a=2), audience=audience)
    for epoch, offset in ((0, 7.5), (0, 7.25), (1, -3.0), (1, -2.875)):
        tally.late(epoch, offset)
    found = tally.report(viewers=2, seconds=1.0)
    assert (found.bytes, found.stalls, found.stalled_viewers) == (60, 1, 1)
    # Late by 0 and 250 ms in one epoch, by 0 and 125 in the other.
    assert found.latency_ms == Quantiles(0.0, 250.0)
    assert list(found.errors) == ["a", "b"]
    assert [each.viewer for each in found.audience] == [0, 1]


SECONDS = st.lists(st.floats(0, 100), max_size=20)
OFFSETS = st.dictionaries(st.integers(), st.integers(1, 9), min_size=1).map(Counter)
TALLIES = st.builds(
    Tally,
    bytes=st.integers(0, 1 << 40),
    ramp_bytes=st.integers(0, 1 << 40),
    startups=SECONDS,
    latencies=SECONDS,
    offsets=st.dictionaries(
        st.integers(0, 2), st.dictionaries(st.integers(), st.integers(1, 9), min_size=1).map(Counter)
    ),
    errors=st.dictionaries(st.sampled_from(["gap", "reset"]), st.integers(1, 9)).map(Counter),
    switches=st.dictionaries(st.sampled_from(["up", "down"]), st.integers(1, 9)).map(Counter),
    variants=st.dictionaries(st.integers(), st.integers(1, 9)).map(Counter),
    audience=st.lists(st.builds(watched, st.integers(0, 99), stalls=st.just(((1.0, 2.0), (3.0, None)))), max_size=3),
    checks=st.lists(st.builds(SelfCheck, cpu=st.floats(0, 1), late_p99_ms=st.floats(0, 1e4)), min_size=1, max_size=2),
    notes=st.lists(st.text(), max_size=1),
)


@given(TALLIES)
def test_a_tally_comes_through_a_pipe_unchanged(tally: Tally) -> None:
    assert Tally.from_dict(json.loads(json.dumps(tally.as_dict()))).as_dict() == tally.as_dict()


@given(TALLIES, TALLIES)
def test_what_two_processes_counted_is_what_one_would_have(one: Tally, two: Tally) -> None:
    both = Tally()
    both.merge(one)
    both.merge(two)
    found = both.report(viewers=1, seconds=1.0)
    assert found.startup_ms == quantiles(one.startups + two.startups)
    assert found.bytes == one.bytes + two.bytes - one.ramp_bytes - two.ramp_bytes
    assert found.errors == dict(sorted((one.errors + two.errors).items()))
    assert found.stalls == 2 * (len(one.audience) + len(two.audience))
    if not (one.latencies or two.latencies):
        epochs = {each: one.offsets.get(each, Counter()) + two.offsets.get(each, Counter()) for each in (0, 1, 2)}
        assert found.latency_ms == lateness({each: counts for each, counts in epochs.items() if counts})
    assert found.self_check.cpu == max(each.cpu for each in one.checks + two.checks)


def test_viewers_are_a_line_each(tmp_path: Path) -> None:
    write_viewers(tmp_path / "v", [watched(0, stalls=((1.5, 2.5),)), watched(1)])
    lines = [json.loads(each) for each in (tmp_path / "v").read_text().splitlines()]
    assert [each["viewer"] for each in lines] == [0, 1]
    assert lines[0]["local"] == ["127.0.0.1:5000", "[::1]:6"]
    assert lines[0]["stalls"] == [{"begin": 1.5, "end": 2.5}]
    with pytest.raises(TierkitError, match="cannot be written"):
        write_viewers(tmp_path, [])
