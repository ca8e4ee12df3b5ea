"""Delivery directives.  The invariants: one meaning has one spelling, and nothing absurd goes upstream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs import hls_query
from tierkit.codecs.hls import ListedPart, PlaylistFacts
from tierkit.codecs.hls_query import (
    Directives,
    advance_part_limit,
    blocking_lifetime,
    effective,
    longest_hold,
    missing_lifetime,
    satisfied,
    screen,
    split_query,
)
from tierkit.errors import RemoteProtocolError


def low_latency(*, parts: int = 2, last: int = 9, **other: object) -> PlaylistFacts:
    """Segments up to `last`, whose four parts are listed, and `parts` of the next one."""
    listed = [ListedPart(uri="p", sequence=last, index=index) for index in range(4)]
    listed += [ListedPart(uri="p", sequence=last + 1, index=index) for index in range(parts)]
    told: dict[str, object] = {
        "target_duration": 2.0,
        "part_target": 0.5,
        "media_sequence": last - 4,
        "listed": 5,
        "parts": tuple(listed),
        "can_block_reload": True,
        "can_skip_until": 12.0,
    }
    return PlaylistFacts(multivariant=False, **(told | other))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "directives", "rest"),
    [
        ("", Directives(), ""),
        ("a=1&b", Directives(), "a=1&b"),
        ("a=%5f", Directives(), "a=%5f"),
        ("_HLS_msn=5", Directives(msn=5), ""),
        ("_HLS_part=1&a=1&_HLS_msn=5&b=2&_HLS_skip=YES", Directives(msn=5, part=1, skip="YES"), "a=1&b=2"),
        ("_HLS_skip=v2", Directives(skip="v2"), ""),
        ("_HLS_msn=007&x", Directives(msn=7), "x"),
        ("%5FHLS_msn=%35", Directives(msn=5), ""),
        ("_HLS_pathway=cdn-a&_HLS_MSN=x", Directives(), "_HLS_pathway=cdn-a&_HLS_MSN=x"),
        (f"_HLS_msn={1 << 53}", Directives(msn=1 << 53), ""),
    ],
)
def test_directives_stand_apart_from_the_rest(query: str, directives: Directives, rest: str) -> None:
    assert split_query(query) == (directives, rest)


@pytest.mark.parametrize(
    "query",
    ["_HLS_msn=", "_HLS_msn", "_HLS_msn=+5", "_HLS_msn=-1", "_HLS_msn=5_0", "_HLS_msn=%D9%A3", "_HLS_msn=5%20",
     "_HLS_msn=5%0A", "_HLS_msn=0x5", "_HLS_msn=5.0", f"_HLS_msn={(1 << 53) + 1}", "_HLS_msn=" + "9" * 5000,
     "_HLS_msn=5&_HLS_part=x"],
)  # fmt: skip
def test_numbers_are_decimal_and_bounded(query: str) -> None:
    with pytest.raises(RemoteProtocolError, match="decimal number") as caught:
        split_query(query)
    assert caught.value.hint == 400


@pytest.mark.parametrize("value", ["", "NO", "yes", "V2", "YES%20"])
def test_skip_is_yes_or_v2(value: str) -> None:
    with pytest.raises(RemoteProtocolError, match="YES or v2") as caught:
        split_query(f"_HLS_skip={value}")
    assert caught.value.hint == 400


def test_a_part_needs_its_segment() -> None:
    with pytest.raises(RemoteProtocolError, match="_HLS_part needs _HLS_msn") as caught:
        split_query("_HLS_part=0")
    assert caught.value.hint == 400


@pytest.mark.parametrize("query", ["_HLS_msn=5&_HLS_msn=5", "_HLS_msn=5&%5fHLS_msn=6", "_HLS_skip=YES&_HLS_skip=v2"])
def test_a_doubled_directive_is_refused(query: str) -> None:
    with pytest.raises(RemoteProtocolError, match="twice") as caught:
        split_query(query)
    assert caught.value.hint == 400


DIRECTIVES = st.builds(Directives, skip=st.sampled_from(["", "YES", "v2"])) | st.builds(
    Directives,
    msn=st.integers(0, 1 << 53),
    part=st.none() | st.integers(0, 1 << 53),
    skip=st.sampled_from(["", "YES", "v2"]),
)
OTHERS = st.lists(st.from_regex(r"[a-z_]{1,5}(=[A-Za-z0-9%+.~-]{0,5})?", fullmatch=True), max_size=4)


@given(DIRECTIVES, OTHERS, st.randoms(use_true_random=False))
def test_one_meaning_has_one_spelling(directives: Directives, others: list[str], random: object) -> None:
    assert split_query(directives.render()) == (directives, "")
    pairs = [each for each in directives.render().split("&") if each] + others
    random.shuffle(pairs)  # type: ignore[attr-defined]
    found, rest = split_query("&".join(pairs))
    assert found == directives
    assert sorted(rest.split("&")) == sorted(others or [""])
    assert split_query(found.join(rest)) == (found, rest)


@given(st.text(max_size=40) | st.from_regex(r"(_HLS_(msn|part|skip)=[^&]{0,4}&?){0,4}", fullmatch=True))
def test_any_query_is_split_or_refused_as_400(query: str) -> None:
    try:
        found, _ = split_query(query)
    except RemoteProtocolError as error:
        found = Directives()
        hint = error.hint
    else:
        hint = 400
    assert hint == 400
    assert split_query(found.render()) == (found, "")


# --- what changes nothing ------------------------------------------------------------------------

ALL = Directives(msn=10, part=2, skip="YES")


def test_an_ended_playlist_neither_blocks_nor_skips() -> None:
    assert effective(ALL, low_latency(ended=True)) == Directives()


def test_without_can_block_reload_nothing_blocks() -> None:
    assert effective(ALL, low_latency(can_block_reload=False)) == Directives(skip="YES")


def test_without_can_skip_until_nothing_is_skipped() -> None:
    assert effective(ALL, low_latency(can_skip_until=0.0)) == Directives(msn=10, part=2)


def test_a_part_behind_the_last_of_its_segment_is_the_first_of_the_next() -> None:
    assert effective(Directives(msn=9, part=4), low_latency()) == Directives(msn=10, part=0)
    assert effective(Directives(msn=9, part=3), low_latency()) == Directives(msn=9, part=3)
    assert effective(Directives(msn=10, part=9), low_latency()) == Directives(msn=10, part=9)


# --- bounds --------------------------------------------------------------------------------------


def test_a_segment_more_than_two_ahead_is_refused() -> None:
    screen(Directives(msn=11), low_latency())
    with pytest.raises(RemoteProtocolError, match="too far ahead: the last segment is 9") as caught:
        screen(Directives(msn=12), low_latency())
    assert caught.value.hint == 400


def test_what_has_arrived_long_ago_says_less() -> None:
    screen(Directives(msn=15), low_latency(), age=4.0)
    screen(Directives(msn=15, part=5), low_latency(), age=4.0)
    with pytest.raises(RemoteProtocolError):
        screen(Directives(msn=16), low_latency(), age=4.0)


def test_a_part_beyond_the_advance_part_limit_is_refused() -> None:
    # Parts 0 and 1 are there; three seconds of parts are six.
    screen(Directives(msn=10, part=7), low_latency())
    with pytest.raises(RemoteProtocolError, match="_HLS_part 8 is too far ahead") as caught:
        screen(Directives(msn=10, part=8), low_latency())
    assert caught.value.hint == 400


def test_a_part_that_no_segment_has_is_refused() -> None:
    screen(Directives(msn=11, part=10), low_latency())
    with pytest.raises(RemoteProtocolError, match="too far ahead"):
        screen(Directives(msn=11, part=11), low_latency())


def test_without_a_segment_there_is_nothing_to_refuse() -> None:
    screen(Directives(skip="YES"), low_latency())


@pytest.mark.parametrize(("part_target", "limit"), [(0.5, 6), (0.33334, 9), (1.0, 3), (2.0, 3), (0.0, 3)])
def test_the_advance_part_limit(part_target: float, limit: int) -> None:
    assert advance_part_limit(part_target) == limit


# --- what is at hand -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("directives", "answered"),
    [
        (Directives(), True),
        (Directives(msn=3), True),
        (Directives(msn=9), True),
        (Directives(msn=10), False),
        (Directives(msn=10, part=0), True),
        (Directives(msn=10, part=1), True),
        (Directives(msn=10, part=2), False),
        (Directives(msn=9, part=3), True),
        (Directives(msn=9, part=99), True),
        (Directives(msn=11, part=0), False),
        (Directives(msn=10, part=1, skip="YES"), True),
    ],
)
def test_what_a_version_at_hand_answers(directives: Directives, answered: bool) -> None:
    assert satisfied(directives, low_latency()) is answered


def test_a_part_behind_the_last_waits_for_the_next_segment() -> None:
    assert not satisfied(Directives(msn=9, part=4), low_latency(parts=0))
    assert satisfied(Directives(msn=9, part=4), low_latency(parts=1))


def test_an_ended_playlist_answers_everything() -> None:
    assert satisfied(Directives(msn=99), low_latency(ended=True))


def test_a_delta_update_answers_only_who_asked_for_one() -> None:
    delta = low_latency(skipped=3, listed=2)
    assert satisfied(Directives(msn=9, skip="YES"), delta)
    assert not satisfied(Directives(msn=9), delta)
    assert not satisfied(Directives(), delta)


@given(DIRECTIVES, st.integers(0, 8), st.integers(4, 1 << 50))
def test_what_is_answered_stays_answered_as_the_stream_goes_on(directives: Directives, parts: int, last: int) -> None:
    before, after = low_latency(parts=parts, last=last), low_latency(parts=parts + 1, last=last)
    if satisfied(directives, before):
        assert satisfied(directives, after)


# --- lifetimes -----------------------------------------------------------------------------------


def test_lifetimes_are_counted_in_target_durations() -> None:
    facts = low_latency()
    assert (longest_hold(facts), missing_lifetime(facts), blocking_lifetime(facts)) == (6, 8, 12)


def test_a_misspelt_target_duration_freezes_nothing() -> None:
    assert longest_hold(low_latency(target_duration=3600.0)) == 180
    assert longest_hold(low_latency(target_duration=0.0)) == 18


def test_nothing_is_kept_that_a_player_cannot_count() -> None:
    assert hls_query.LARGEST == 2**53


def test_directives_have_one_spelling() -> None:
    for query in ("_HLS_skip=YES&_HLS_part=0&_HLS_msn=5", "_HLS_msn=5&_HLS_skip=YES&_HLS_part=0"):
        assert split_query(query)[0].render() == "_HLS_msn=5&_HLS_part=0&_HLS_skip=YES"
