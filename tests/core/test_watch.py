"""The watch over the event loop, with a meter that the tests wind."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tierkit import Listener
from tierkit._watch import LONG_STEP, LoopWatch
from tierkit.events import LoopBlocked
from tierkit.testing import MemoryNetwork

LISTENER = Listener("rtmp://:0")


class Meter:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def step(watch: LoopWatch, meter: Meter, seconds: float) -> None:
    """One step of this very task that takes `seconds`."""
    task = trio.lowlevel.current_task()
    watch.before_task_step(task)
    meter.now += seconds
    watch.after_task_step(task)


async def test_a_long_step_is_told_and_counted() -> None:
    told: list[LoopBlocked] = []
    meter = Meter()
    watch = LoopWatch(told.append, meter=meter)
    await step(watch, meter, LONG_STEP * 0.99)
    assert not told
    await step(watch, meter, 0.2)
    assert watch.long_steps == 1
    assert watch.longest == pytest.approx(0.2)
    assert [(round(each.seconds, 3), each.count) for each in told] == [(0.2, 1)]


async def test_a_watch_put_on_in_the_middle_of_a_step_does_not_blame_it() -> None:
    told: list[LoopBlocked] = []
    watch = LoopWatch(told.append, meter=lambda: 1000.0)
    watch.after_task_step(trio.lowlevel.current_task())
    assert not told
    assert watch.long_steps == 0


async def test_at_most_one_event_a_second_with_the_longest_of_it() -> None:
    told: list[LoopBlocked] = []
    meter = Meter()
    watch = LoopWatch(told.append, meter=meter)
    for seconds in (0.1, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1):
        await step(watch, meter, seconds)
    # The first at once, then those of the second behind it together.
    assert [(round(each.seconds, 3), each.count) for each in told] == [(0.1, 1), (0.3, 7)]
    assert watch.long_steps == 8
    assert watch.longest == pytest.approx(0.3)


@pytest.fixture
def watched() -> tuple[LoopWatch, Meter, list[LoopBlocked]]:
    told: list[LoopBlocked] = []
    meter = Meter()
    return LoopWatch(told.append, meter=meter), meter, told


async def _wait_within_the_machinery(meter: Meter, network: MemoryNetwork) -> None:
    # The step that is long ends deep in somebody else's code: it is not that code that is to blame.
    await trio.lowlevel.checkpoint()
    meter.now += 0.4
    bound = await network.listen(LISTENER)
    await bound.accept()


async def test_the_code_that_blocked_is_named(watched: tuple[LoopWatch, Meter, list[LoopBlocked]]) -> None:
    watch, meter, told = watched
    trio.lowlevel.add_instrument(watch)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_wait_within_the_machinery, meter, MemoryNetwork(), name="edge-a1 hls")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    finally:
        trio.lowlevel.remove_instrument(watch)
    assert [each.task for each in told] == [f"edge-a1 hls ({__name__}:_wait_within_the_machinery)"]
    assert told[0].text.startswith("the event loop stood still for 400 ms in edge-a1 hls (")


async def _ends(meter: Meter) -> None:
    meter.now += 0.4


async def test_a_task_that_has_ended_is_named_by_its_name(watched: tuple[LoopWatch, Meter, list[LoopBlocked]]) -> None:
    watch, meter, told = watched
    trio.lowlevel.add_instrument(watch)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_ends, meter, name="short-lived")
    finally:
        trio.lowlevel.remove_instrument(watch)
    assert [each.task for each in told] == ["short-lived"]
