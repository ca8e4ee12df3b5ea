"""Few names out of many: their number, who has one, and that no counter goes back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tierkit.plugins.metrics._bounded import MAX_LENGTH, MAX_WORDS, OTHER, Streams, Words


def stream(name: str, viewers: int = 0, sent: int = 0, *, on_air: bool = True, came: int = 0) -> dict[str, Any]:
    return {"name": name, "on_air": on_air, "viewers": viewers, "bytes_in": came, "bytes_out": sent}


def test_few_streams_have_names_and_nothing_else() -> None:
    found = Streams(2).look([stream("live/a", 3, 100, came=10), stream("live/b")])
    assert found == {
        "live/a": {"viewers": 3, "bytes_in": 10, "bytes_out": 100, "on_air": True},
        "live/b": {"viewers": 0, "bytes_in": 0, "bytes_out": 0, "on_air": True},
    }


def test_the_most_watched_have_names_and_the_rest_is_told_together() -> None:
    found = Streams(2).look(
        [stream(name, viewers, 10 * viewers) for name, viewers in zip("abcd", (1, 4, 2, 3), strict=True)]
    )
    assert set(found) == {"b", "d", OTHER}
    assert found[OTHER] == {"viewers": 3, "bytes_in": 0, "bytes_out": 30}


def test_a_name_is_kept_while_others_are_watched_more() -> None:
    streams = Streams(1)
    assert "a" in streams.look([stream("a", 1)])
    assert set(streams.look([stream("a", 1), stream("b", 99)])) == {"a", OTHER}
    assert set(streams.look([stream("a", 0), stream("b", 99)])) == {"a", OTHER}, "it is on air"
    assert set(streams.look([stream("a", 0, on_air=False), stream("b", 99)])) == {"b", OTHER}


def test_nobody_takes_a_place_from_an_idle_one_whom_nobody_watches() -> None:
    streams = Streams(1)
    streams.look([stream("a", 0, on_air=False)])
    assert set(streams.look([stream("a", 0, on_air=False), stream("b", 0)])) == {"a", OTHER}


def test_one_that_ends_frees_its_place_and_leaves_what_it_had_among_the_others() -> None:
    streams = Streams(1)
    streams.look([stream("a", 2, 50), stream("b", 1, 30)])
    assert streams.look([stream("a", 2, 50)])[OTHER] == {"viewers": 0, "bytes_in": 0, "bytes_out": 30}
    assert set(streams.look([stream("c", 1)])) == {"c", OTHER}


def test_one_that_gets_a_name_takes_nothing_from_the_others() -> None:
    streams = Streams(1)
    streams.look([stream("a", 2), stream("b", 1, 30)])
    found = streams.look([stream("b", 1, 45)])
    assert found["b"]["bytes_out"] == 45
    assert found[OTHER]["bytes_out"] == 30


def test_one_that_loses_its_name_brings_only_what_comes_from_now_on() -> None:
    streams = Streams(1)
    streams.look([stream("a", 0, 1000, on_air=False)])
    found = streams.look([stream("a", 0, 1007, on_air=False), stream("b", 1)])
    assert found[OTHER]["bytes_out"] == 7


def test_one_that_begins_anew_among_the_others_counts_from_nothing() -> None:
    streams = Streams(1)
    streams.look([stream("a", 2), stream("b", 1, 30)])
    assert streams.look([stream("a", 2), stream("b", 1, 4)])[OTHER]["bytes_out"] == 34


def test_a_stranger_cannot_be_the_others_nor_have_a_name_without_end() -> None:
    streams = Streams(5)
    found = streams.look([stream(OTHER, 1, 10), stream("x" * (MAX_LENGTH + 1), 2, 20)])
    assert found == {OTHER: {"viewers": 3, "bytes_in": 0, "bytes_out": 30}}


def test_what_is_no_text_is_told_all_the_same() -> None:
    assert set(Streams(5).look([stream("live/\ud800")])) == {"live/?"}


def test_two_who_tell_of_one_name_are_added_up() -> None:
    found = Streams(5).look([stream("a", 1, 10, on_air=False), stream("a", 2, 5)])
    assert found == {"a": {"viewers": 3, "bytes_in": 0, "bytes_out": 15, "on_air": True}}


NAMES = st.sampled_from([f"live/{number}" for number in range(8)])
LOOKS = st.lists(
    st.dictionaries(NAMES, st.tuples(st.integers(0, 3), st.integers(0, 1000), st.booleans()), max_size=8), max_size=12
)


@given(LOOKS)
def test_whatever_comes_and_goes_names_are_few_and_nothing_is_lost_or_told_twice(
    looks: list[dict[str, tuple[int, int, bool]]],
) -> None:
    streams, sent = Streams(3), dict.fromkeys((f"live/{number}" for number in range(8)), 0)
    others = grown = 0
    before: set[str] = set()
    for look in looks:
        # A name that ends is forgotten by the tier, and begins from nothing.
        sent = {name: count if name in look else 0 for name, count in sent.items()}
        for name, (_, more, _) in look.items():
            sent[name] += more
        found = streams.look([stream(name, v, sent[name], on_air=air) for name, (v, _, air) in look.items()])
        named = set(found) - {OTHER}
        assert len(named) <= 3
        # Each keeps its name, unless it is idle.
        assert {name for name in before & look.keys() if look[name][0] or look[name][2]} <= named
        assert all(found[name]["bytes_out"] == sent[name] for name in named)
        grown += sum(more for name, (_, more, _) in look.items() if name not in named)
        if OTHER in found:
            assert found[OTHER]["bytes_out"] >= others
            others = found[OTHER]["bytes_out"]
        assert others == grown
        assert sum(each["viewers"] for each in found.values()) == sum(v for v, _, _ in look.values())
        before = named


def test_words_that_came_first_keep_their_names() -> None:
    words = Words(2)
    assert words.look({"slow": 1, "kicked": 2}) == {"kicked": 2, "slow": 1}
    assert words.look({"slow": 1, "kicked": 2, "a": 5, "b": 6}) == {"kicked": 2, "slow": 1, OTHER: 11}
    assert words.look({"slow": 4, OTHER: 1, "a": 5}) == {"slow": 4, OTHER: 6}


def test_words_are_bounded_in_length_and_values_are_numbers() -> None:
    words = Words()
    assert words.look({"x" * (MAX_LENGTH + 1): 1, "y": "no number", "z\ud800": 2}) == {OTHER: 1, "z?": 2}
    assert len(Words().look({f"word{number:03}": 1 for number in range(100)})) == MAX_WORDS + 1
