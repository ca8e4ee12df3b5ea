"""Choosing among upstreams: order, hash, rest and forgiveness, by a clock and a jitter of our own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit._upstream import FIRST_REST, LONGEST_REST, UpstreamSet
from tierkit.plugin import Candidate

from .fakes import FixedSource


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def candidates(*names: str, schemes: tuple[str, ...] = ("http",)) -> list[Candidate]:
    return [Candidate(name, FixedSource(schemes)) for name in names]


def make(*names: str, policy: str = "ordered", jitter: float = 0.0) -> tuple[UpstreamSet, Clock]:
    clock = Clock()
    return UpstreamSet(candidates(*names), policy=policy, clock=clock, jitter=lambda: jitter), clock


def order(upstreams: UpstreamSet, key: str = "") -> list[str]:
    return [each.name for each in upstreams.candidates(["http"], key)]


def by_name(upstreams: UpstreamSet, name: str) -> Candidate:
    return next(each for each in upstreams.candidates(["http"]) if each.name == name)


def test_order_is_the_recipes() -> None:
    upstreams, _ = make("c", "a", "b")
    assert upstreams.names == ("c", "a", "b")
    assert order(upstreams) == order(upstreams, "any key") == ["c", "a", "b"]


def test_only_those_who_speak_a_wanted_scheme() -> None:
    both = [*candidates("web"), *candidates("live", schemes=("rtmp", "rtmps"))]
    upstreams = UpstreamSet(both, clock=Clock(), jitter=lambda: 0.0)
    assert [each.name for each in upstreams.candidates(["rtmps"])] == ["live"]
    assert [each.name for each in upstreams.candidates(["rtmp", "http"])] == ["web", "live"]
    assert upstreams.candidates(["srt"]) == []


def test_nobody_to_ask() -> None:
    upstreams, _ = make()
    assert upstreams.names == ()
    assert order(upstreams) == []
    assert upstreams.key("/live/a") == "/live/a"


def test_a_failure_goes_to_the_end_of_the_line_and_comes_back() -> None:
    upstreams, clock = make("a", "b", "c")
    rest = upstreams.failed(by_name(upstreams, "a"), "refused")
    assert order(upstreams) == ["b", "c", "a"]
    assert upstreams.delay(by_name(upstreams, "a")) == rest
    assert upstreams.delay(by_name(upstreams, "b")) == 0
    clock.now += rest / 2
    assert upstreams.delay(by_name(upstreams, "a")) == pytest.approx(rest / 2)
    clock.now += rest / 2
    assert order(upstreams) == ["a", "b", "c"]


def test_when_all_rest_the_one_whose_rest_ends_first_is_first() -> None:
    upstreams, clock = make("a", "b", "c")
    for name in ("c", "a", "b"):
        upstreams.failed(by_name(upstreams, name), "down")
        clock.now += 0.01
    assert order(upstreams) == ["c", "a", "b"]


def test_an_answer_forgives_everything_but_the_total() -> None:
    upstreams, _ = make("a", "b")
    a = by_name(upstreams, "a")
    for _ in range(5):
        upstreams.failed(a, "down")
    (state, _) = upstreams.statistics()
    assert (state.healthy, state.failures, state.failures_total, state.reason) == (False, 5, 5, "down")
    upstreams.succeeded(a)
    assert order(upstreams) == ["a", "b"]
    (state, _) = upstreams.statistics()
    assert (state.healthy, state.failures, state.failures_total, state.reason) == (True, 0, 5, "")
    assert upstreams.failed(a, "down") == FIRST_REST / 2  # and it begins at the beginning


def test_a_push_target_rests_like_the_others() -> None:
    upstreams, clock = make("a")
    (target,) = candidates("target")
    assert upstreams.delay(target) == 0
    assert upstreams.failed(target, "refused") == upstreams.delay(target) == FIRST_REST / 2
    assert order(upstreams) == ["a"]
    assert [each.name for each in upstreams.statistics()] == ["a", "target"]
    clock.now += 1
    upstreams.succeeded(target)
    assert upstreams.delay(target) == 0


@pytest.mark.parametrize(("jitter", "share"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_rests_double_up_to_a_bound(jitter: float, share: float) -> None:
    upstreams, _ = make("a", jitter=jitter)
    a = by_name(upstreams, "a")
    rests = [upstreams.failed(a, "down") for _ in range(100)]
    assert rests[:6] == [share * each for each in (0.5, 1, 2, 4, 8, 15)]
    assert set(rests[5:]) == {share * LONGEST_REST}


def test_a_source_says_how_a_path_is_spelled() -> None:
    class Loud(FixedSource):
        def key(self, path: str) -> str:
            return path.upper()

    upstreams = UpstreamSet([Candidate("loud", Loud(["http"])), *candidates("b")], clock=Clock(), jitter=lambda: 0.0)
    assert upstreams.key("/live/a") == "/LIVE/A"


names = st.lists(st.text("abcdefgh0123-", min_size=1, max_size=8), min_size=2, max_size=8, unique=True)
keys = st.lists(st.text(max_size=20), min_size=1, max_size=30, unique=True)


@given(names, keys)
def test_hash_is_the_same_for_everybody_and_for_any_order(names: list[str], keys: list[str]) -> None:
    one, _ = make(*names, policy="hash")
    other, _ = make(*reversed(names), policy="hash")
    for key in keys:
        assert order(one, key) == order(other, key)
        assert sorted(order(one, key)) == sorted(names)


@given(names, keys, st.data())
def test_hash_moves_only_the_keys_of_who_is_lost(names: list[str], keys: list[str], data: st.DataObject) -> None:
    lost = data.draw(st.sampled_from(names))
    whole, _ = make(*names, policy="hash")
    failing, _ = make(*names, policy="hash")
    failing.failed(by_name(failing, lost), "down")
    without, _ = make(*(name for name in names if name != lost), policy="hash")
    for key in keys:
        before = order(whole, key)
        kept = [name for name in before if name != lost]
        assert order(without, key) == kept
        assert order(failing, key) == [*kept, lost]


def test_hash_spreads_and_stays_as_it_is() -> None:
    upstreams, _ = make("s1", "s2", "s3", policy="hash")
    firsts = [order(upstreams, f"/live/stream{i}")[0] for i in range(300)]
    assert all(70 <= firsts.count(name) <= 130 for name in ("s1", "s2", "s3"))
    # Written down, so that a change of the hash, which would empty every shield's cache, is noticed.
    assert firsts[:8] == FIRSTS


FIRSTS = ["s2", "s1", "s2", "s2", "s3", "s1", "s2", "s1"]


SHIELDS = ("shield-a", "shield-b", "shield-c", "shield-d", "shield-e")
#: Names as a shield is asked for them: streams, variants, segments in a row.
OBJECTS = [f"/live/stream{s}/v{v}/media_{n}.ts" for s in range(10) for v in range(4) for n in range(100)]


def chi_square(counts: list[int]) -> float:
    expected = sum(counts) / len(counts)
    return sum((count - expected) ** 2 / expected for count in counts)


@pytest.mark.parametrize("keys", [OBJECTS, OBJECTS[:100], [f"/live/stream{i}" for i in range(1000)]])
def test_hash_spreads_as_evenly_as_chance(keys: list[str]) -> None:
    upstreams, _ = make(*SHIELDS, policy="hash")
    for place in range(2):  # also what falls to the second choice when the first is lost
        chosen = [order(upstreams, key)[place] for key in keys]
        # 18.47: the 0.1 % point of chi-square with four degrees of freedom.
        assert chi_square([chosen.count(name) for name in SHIELDS]) < 18.47


def test_hash_spreads_what_a_lost_upstream_had_over_all_others() -> None:
    upstreams, _ = make(*SHIELDS, policy="hash")
    mine = [key for key in OBJECTS if order(upstreams, key)[0] == "shield-a"]
    upstreams.failed(by_name(upstreams, "shield-a"), "down")
    heirs = [order(upstreams, key)[0] for key in mine]
    # 16.27: three degrees of freedom.
    assert chi_square([heirs.count(name) for name in SHIELDS[1:]]) < 16.27


@given(names, keys, st.integers(0, 2**32))
def test_hash_has_one_second_choice_that_every_edge_knows(names: list[str], keys: list[str], seed: int) -> None:
    """Whatever else each edge has seen fail and come back before, all of them fail over to the same."""
    edges = [make(*names, policy="hash", jitter=i / 3)[0] for i in range(3)]
    for key in keys:
        first, second = order(edges[0], key)[:2]
        for at, edge in enumerate(edges):
            other = by_name(edge, names[(seed + at) % len(names)])
            edge.failed(other, "down")
            edge.succeeded(other)
            edge.failed(by_name(edge, first), "down")
            assert order(edge, key)[0] == second
            edge.succeeded(by_name(edge, first))
            assert order(edge, key)[:2] == [first, second]


@given(names, keys)
def test_hash_with_one_more_moves_keys_to_that_one_alone(names: list[str], keys: list[str]) -> None:
    before, _ = make(*names, policy="hash")
    after, _ = make(*names, "newcomer", policy="hash")
    for key in keys:
        assert order(after, key)[0] in (order(before, key)[0], "newcomer")


def test_who_is_asked_instead_is_told_once() -> None:
    told: list[tuple[str, str]] = []
    now = 0.0
    several = candidates("a", "b", "c")
    found = UpstreamSet(
        several, clock=lambda: now, jitter=lambda: 0.5, chosen=lambda name, instead: told.append((name, instead))
    )
    a, b, _ = several
    found.failed(a, "down")
    assert told == [("b", "a")]
    now = 60.0  # its rest is over, so it is tried, and fails again: that is no news
    found.failed(a, "down")
    assert told == [("b", "a")]
    found.failed(b, "down")
    assert told == [("b", "a"), ("c", "b")]
    found.succeeded(b)
    found.succeeded(a)
    found.failed(b, "down")
    assert len(told) == 2
    found.failed(a, "down")
    assert told[2:] == [("c", "a")]


def test_a_push_target_is_nobody_to_be_asked_instead() -> None:
    told: list[str] = []
    (target,) = candidates("target")
    found = UpstreamSet([], clock=lambda: 0.0, jitter=lambda: 0.5, chosen=lambda name, instead: told.append(name))
    found.failed(target, "down")
    found.succeeded(target)
    assert told == []
