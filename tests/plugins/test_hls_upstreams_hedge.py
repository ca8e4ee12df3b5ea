"""A second upstream is asked beside a slow one: when, how often, who wins, and what becomes of the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.core.fakes import FixedSource
from tests.plugins.edge_rig import Rig
from tests.plugins.upstreams_rig import BODY, Mirror, asker, mirrored
from tierkit.errors import UpstreamError
from tierkit.events import UpstreamLost
from tierkit.http import Body, ClientResponse
from tierkit.plugin import Address, Candidate, TierkitError
from tierkit.plugins.hls._hedge import HEDGE_SAVED, HEDGE_SHARE, Claim, HedgeBudget, race

# --- through an edge -------------------------------------------------------------------------------------


async def fetch(rig: Rig, path: str = "/live/s/media_1.ts") -> tuple[float, bytes]:
    start = trio.current_time()
    answer = await rig.get(path)
    return trio.current_time() - start, answer.body


def open_upstream(rig: Rig) -> int:
    """Connections to upstreams that are open."""
    return sum(each.open and each.address.host != "edge.example" for each in rig.network.connections)


async def test_a_slow_head_has_the_next_asked_as_well_and_the_first_head_wins(autojump_clock: MockClock) -> None:
    a, b = Mirror(delay=10), Mirror(delay=1)
    async with mirrored(a, b, hedge_after=0.5) as rig:
        assert await fetch(rig) == (1.5, BODY)
        assert (len(a.asked), len(b.asked), asker(rig).hedged) == (1, 1, 1)
        assert open_upstream(rig) == 1  # the slow one's was dropped
        assert rig.events.of(UpstreamLost) == []  # slow is not lost


async def test_the_first_wins_where_its_head_comes_first_after_all(autojump_clock: MockClock) -> None:
    a, b = Mirror(delay=1), Mirror(delay=10)
    async with mirrored(a, b, hedge_after=0.5) as rig:
        assert await fetch(rig) == (1.0, BODY)
        assert (len(a.asked), len(b.asked)) == (1, 1)
        assert open_upstream(rig) == 1


async def test_who_answers_in_time_is_asked_alone(autojump_clock: MockClock) -> None:
    a, b = Mirror(delay=0.4), Mirror()
    async with mirrored(a, b, hedge_after=0.5) as rig:
        assert await fetch(rig) == (0.4, BODY)
        assert (len(b.asked), asker(rig).hedged) == (0, 0)


async def test_a_slow_body_is_no_slow_head(autojump_clock: MockClock) -> None:
    a, b = Mirror(breaks=[1000], how="stall"), Mirror(etag=b"")
    async with mirrored(a, b, hedge_after=0.5, between_bytes_timeout=5) as rig, trio.open_nursery() as nursery:
        nursery.start_soon(fetch, rig)
        await trio.sleep(4)
        assert (len(a.asked), b.asked, asker(rig).hedged) == (1, [], 0)


async def test_without_the_option_nobody_is_asked_twice(autojump_clock: MockClock) -> None:
    a, b = Mirror(delay=10), Mirror()
    async with mirrored(a, b) as rig:
        assert await fetch(rig) == (10, BODY)
        assert b.asked == []


async def test_one_hedge_at_a_time(autojump_clock: MockClock) -> None:
    a, b, c = Mirror(delay=10), Mirror(delay=10), Mirror()
    async with mirrored(a, b, c, hedge_after=0.5) as rig:
        assert await fetch(rig) == (10, BODY)
        assert (len(a.asked), len(b.asked), len(c.asked)) == (1, 1, 0)


async def test_a_hedge_that_answers_badly_does_not_win(autojump_clock: MockClock) -> None:
    a, b, c = Mirror(delay=10), Mirror(status=500), Mirror()
    async with mirrored(a, b, c, hedge_after=0.5) as rig:
        assert await fetch(rig) == (10, BODY)
        assert c.asked == []


async def test_where_both_fail_the_third_is_asked(autojump_clock: MockClock) -> None:
    a, b, c = Mirror(delay=2, status=500), Mirror(status=500), Mirror()
    async with mirrored(a, b, c, hedge_after=0.5) as rig:
        assert await fetch(rig) == (2, BODY)
        assert [len(each.asked) for each in (a, b, c)] == [1, 1, 1]


async def test_who_was_beaten_by_a_head_that_was_no_good_is_asked_again(autojump_clock: MockClock) -> None:
    path, good = "/live/s/playlist.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nmedia_1.ts\n"
    kind = b"application/vnd.apple.mpegurl"
    a, b = Mirror(delay=2, body=good, kind=kind), Mirror(body=b"this is none", kind=kind)
    async with mirrored(a, b, hedge_after=0.5) as rig:
        took, body = await fetch(rig, path)
        assert (took, len(a.asked)) == (2.5, 2)
        assert b"media_1.ts" in body


async def test_a_slow_origin_is_not_doubled(autojump_clock: MockClock) -> None:
    a, b = Mirror(delay=1), Mirror(delay=1)
    requests = 300
    async with mirrored(a, b, hedge_after=0.5) as rig:
        for i in range(requests):
            await fetch(rig, f"/live/s/media_{i}.ts")
        assert len(b.asked) == asker(rig).hedged == HEDGE_SAVED + requests * HEDGE_SHARE - 1


async def test_a_body_of_the_winner_that_breaks_off_goes_on_too(autojump_clock: MockClock) -> None:
    a, b = Mirror(delay=10), Mirror(breaks=[1000])
    async with mirrored(a, b, hedge_after=0.5) as rig:
        assert (await fetch(rig))[1] == BODY
        assert (a.ranges_asked(), b.ranges_asked()) == ([None, b"bytes=1000-"], [None])


# --- what may do something -----------------------------------------------------------------------------------


async def send(rig: Rig, method: str, body: Body) -> int:
    found: list[int] = []

    async def take(candidate: Candidate, target: Address, response: ClientResponse) -> None:
        found.append(response.status)

    await asker(rig).ask(method, "/x", "/x", [], take, begun=lambda: bool(found), body=body)
    return found[0]


async def pieces() -> AsyncIterator[bytes]:
    yield b"x"


@pytest.mark.parametrize(("method", "body"), [("POST", b"x"), ("DELETE", None), ("PUT", b"x"), ("GET", "pieces")])
async def test_what_may_do_something_is_never_hedged_and_goes_to_nobody_else(
    method: str, body: Body | str, autojump_clock: MockClock
) -> None:
    a, b = Mirror(delay=10), Mirror()
    async with mirrored(a, b, hedge_after=0.5, first_byte_timeout=5) as rig:
        with pytest.raises(UpstreamError, match="did not answer"):
            await send(rig, method, pieces() if body == "pieces" else body)  # type: ignore[arg-type]
        assert b.asked == []


@pytest.mark.parametrize("status", [500, 429, 404])
async def test_an_answer_to_what_may_do_something_is_the_answer(status: int, autojump_clock: MockClock) -> None:
    a, b = Mirror(status=status), Mirror()
    async with mirrored(a, b) as rig:
        assert await send(rig, "POST", b"x") == status
        assert b.asked == []


@pytest.mark.parametrize("fault", ["refuse", "black_hole"])
async def test_what_could_not_be_sent_goes_to_the_next(fault: str, autojump_clock: MockClock) -> None:
    a, b = Mirror(), Mirror()
    async with mirrored(a, b) as rig:
        rig.network.fault("http://a.example:80", **{fault: True})
        assert await send(rig, "POST", b"x") == 200
        assert (len(a.asked), len(b.asked)) == (0, 1)


# --- the budget ----------------------------------------------------------------------------------------------


@given(st.lists(st.booleans(), max_size=400))
def test_hedges_are_a_share_of_requests_whatever_the_order(story: list[bool]) -> None:
    budget, asked, taken = HedgeBudget(), 0, 0
    for wants in story:
        if wants:
            taken += budget.take()
        else:
            budget.asked()
            asked += 1
        assert taken <= HEDGE_SAVED + HEDGE_SHARE * asked + 1e-6


def test_a_budget_that_is_spent_is_saved_up_again_and_no_further() -> None:
    budget = HedgeBudget()
    assert [budget.take() for _ in range(11)] == [True] * 10 + [False]
    for _ in range(10):
        assert not budget.take()
        budget.asked()
    assert budget.take()
    assert not budget.take()
    for _ in range(100_000):
        budget.asked()
    assert sum(budget.take() for _ in range(100)) == HEDGE_SAVED


# --- the race itself -----------------------------------------------------------------------------------------

A, B, C = (Candidate(name, FixedSource(["http"])) for name in "abc")


async def test_two_heads_in_one_tick_have_one_winner(autojump_clock: MockClock) -> None:
    took: list[str] = []

    async def one(candidate: Candidate, claim: Claim) -> TierkitError | None:
        await trio.sleep(2 if candidate is A else 1)
        claim()
        took.append(candidate.name)
        await trio.sleep(5)
        return None

    line = [A, B, C]
    assert await race(one, line, 1.0, lambda: True) == [None]
    assert len(took) == 1
    assert len(line) == 2
    assert C in line


async def test_what_the_winner_raises_is_raised_bare(autojump_clock: MockClock) -> None:
    async def one(candidate: Candidate, claim: Claim) -> TierkitError | None:
        if candidate is A:
            await trio.sleep_forever()
        claim()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await race(one, [A, B], 1.0, lambda: True)


async def test_a_race_that_is_cancelled_cancels_both(autojump_clock: MockClock) -> None:
    ended: list[str] = []

    async def one(candidate: Candidate, claim: Claim) -> TierkitError | None:
        try:
            await trio.sleep(1000)
        finally:
            ended.append(candidate.name)
        return None

    with trio.move_on_after(5) as scope:
        await race(one, [A, B], 1.0, lambda: True)
    assert scope.cancelled_caught
    assert sorted(ended) == ["a", "b"]


async def test_nobody_is_asked_beside_another_where_it_is_not_allowed(autojump_clock: MockClock) -> None:
    asked: list[str] = []

    async def one(candidate: Candidate, claim: Claim) -> TierkitError | None:
        asked.append(candidate.name)
        await trio.sleep(9)
        claim()
        return None

    line = [A, B]
    assert await race(one, line, 1.0, lambda: False) == [None]
    assert (asked, line) == (["a"], [B])
