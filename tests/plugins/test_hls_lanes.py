"""Requests that a source wants to go one after the other."""

from __future__ import annotations

from collections.abc import Callable

import trio
from trio.testing import MockClock

from tierkit.plugins.hls._lanes import PATIENCE, Lanes


async def test_one_after_the_other_in_each_lane(autojump_clock: MockClock) -> None:
    lanes, done = Lanes(), list[tuple[str, float]]()

    async def go(upstream: str, lane: str) -> None:
        async with lanes.turn(upstream, lane):
            await trio.sleep(0.25)
            done.append((upstream + lane, trio.current_time()))

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for name in ("a/x", "a/x", "a/y", "b/x", "a/x", "a", "a", "a"):
            nursery.start_soon(go, name[0], name[1:])
    times = {name: [round(at - start, 2) for key, at in done if key == name] for name, _ in done}
    assert times == {"a/x": [0.25, 0.5, 0.75], "a/y": [0.25], "b/x": [0.25], "a": [0.25, 0.25, 0.25]}
    assert lanes._lanes == {}


async def test_nobody_waits_for_long(autojump_clock: MockClock) -> None:
    lanes, done = Lanes(), list[float]()

    async def go(seconds: float) -> None:
        async with lanes.turn("a", "/x"):
            await trio.sleep(seconds)
            done.append(trio.current_time() - start)

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(go, 10)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            nursery.start_soon(go, 0.0)
    assert done == [PATIENCE] * 3 + [10]
    assert lanes._lanes == {}


async def test_who_gives_up_while_he_waits_leaves_nothing(autojump_clock: MockClock) -> None:
    lanes = Lanes()

    async def go(hold: Callable[[], trio.CancelScope]) -> None:
        with hold():
            async with lanes.turn("a", "/x"):
                await trio.sleep(5)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(go, lambda: trio.move_on_after(1))
        nursery.start_soon(go, lambda: trio.move_on_after(0.5))
    assert lanes._lanes == {}
