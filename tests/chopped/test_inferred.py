"""What an edge infers of its viewers' pictures, held against players who know.

Everything that people do goes on at once: they pause, zap, leave in the middle, sit behind one address.  One edge of
three is throttled in one of several ways, or all of them suffer from what they share.
"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.chopped.rig import Bench, Link, Score, three_edges

#: Seconds for which a crowd watches, behind the half minute in which it comes.
WATCHED = 60.0
CROWD = 21
SIZE = 60_000
#: What segments last: no round numbers, so that nothing falls due at the same moment by chance.
DURATIONS = (0.96, 1.92, 3.84, 5.76)


def outages(random: Random, target: float) -> tuple[tuple[float, float], ...]:
    begins = (25 + 10 * random.random(), 55 + 15 * random.random())
    return tuple((begin, begin + random.uniform(0.5, 4 * target)) for begin in begins)


def slow_uplink(random: Random, target: float) -> dict[str, Any]:
    """An edge whose way to the origin is too slow at times, or always."""
    rate = SIZE / target * random.choice((0.8, 0.95, 1.3, 5.0))
    return {"uplinks": {"edge-1": Link(rate, outages(random, target))}}


def slow_doors(bench: Bench, target: float, seed: int) -> None:
    """What an edge sends waits in the kernel, for some of its viewers too long."""

    def link(port: int) -> Link:
        own = Random(port * 7 + seed)
        rate = SIZE / target * own.choice((0.6, 0.85, 0.95, 1.05, 1.5, 4.0))
        return Link(rate, outages(own, target) if own.random() < 0.5 else ())

    bench.nursery.start_soon(bench.pace, "edge-1", link)


def silent_origin(random: Random, target: float) -> dict[str, Any]:
    """Nothing new is published for a while."""
    return {"silences": outages(random, target)}


def overloaded_loop(bench: Bench, random: Random) -> None:
    """The loop is elsewhere for moments, now and then for seconds."""
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)

    async def stuck() -> None:
        while True:
            await trio.sleep(random.uniform(0.2, 3.0))
            clock.jump(random.choice((0.1, 0.3, 0.5, 1.0, 2.0, 5.0)) if random.random() < 0.3 else 0.05)

    bench.nursery.start_soon(stuck)


def habits(random: Random) -> dict[str, Any]:
    """What one viewer will do."""
    found: dict[str, Any] = {}
    if random.random() < 0.2:
        found["stays"] = random.uniform(10, 70)
    if random.random() < 0.2:
        found["zaps"] = (random.uniform(10, 40), random.uniform(45, 65))
    if random.random() < 0.25:
        found["pauses"] = ((random.uniform(10, 60), random.choice((2.0, 5.0, 8.0, 20.0))),)
        found["polls"] = random.random() < 0.5
    if random.random() < 0.3:
        found["source"] = "192.0.2.250"
    if random.random() < 0.05:
        found["fickle"] = True
    return found


async def evening(how: str, seed: int, *, cmcd: bool) -> Score:
    """One crowd before three edges."""
    random = Random(seed)
    target = random.choice(DURATIONS)
    about = slow_uplink(random, target) if how == "uplink" else {}
    about |= silent_origin(random, target) if how == "silence" else {}
    async with three_edges(random, target=target, size=SIZE, **about) as bench:
        if how == "doors":
            slow_doors(bench, target, seed)
        if how == "loop":
            overloaded_loop(bench, random)
        for number in range(CROWD):
            bench.add(f"edge-{number % 3 + 1}", cmcd=cmcd, **habits(random))
            await trio.sleep(random.uniform(0, 1.5))
        await trio.sleep(WATCHED)
        return bench.score()


def judged(hows: tuple[str, ...], seeds: range, *, cmcd: bool) -> Score:
    total = Score(0, 0, 0, 0)
    for how in hows:
        for seed in seeds:
            total += trio.run(partial(evening, how, seed, cmcd=cmcd), clock=MockClock(autojump_threshold=0))
    return total


@pytest.mark.timeout(300)
@pytest.mark.parametrize("cmcd", [False, True], ids=["by requests alone", "with CMCD"])
@pytest.mark.parametrize(
    ("hows", "seeds", "enough"),
    # Where nothing new comes for anybody, who pauses meanwhile cannot be told from who waits.
    [(("uplink", "doors"), range(3), 0.95), (("silence", "loop"), range(3), 0.9)],
    ids=["one edge of three is throttled", "all suffer"],
)
def test_who_was_chopped_is_known(hows: tuple[str, ...], seeds: range, enough: float, cmcd: bool) -> None:
    score = judged(hows, seeds, cmcd=cmcd)
    assert score.right >= 20, score  # else there is nothing to be right about
    assert score.healthy >= 50, score
    assert score.precision >= enough, score
    assert score.recall >= enough, score


@pytest.mark.parametrize("cmcd", [False, True], ids=["by requests alone", "with CMCD"])
def test_an_evening_without_trouble_has_nobody_chopped(cmcd: bool) -> None:
    score = judged(("nothing",), range(3), cmcd=cmcd)
    assert (score.right, score.wrong, score.missed) == (0, 0, 0)
    assert score.healthy == 3 * CROWD
