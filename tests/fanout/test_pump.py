"""The pump: one object for everybody, passes paced by cost, politeness."""

from __future__ import annotations

import time
from functools import partial
from itertools import pairwise

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from tierkit._fanout import FanoutPolicy, Pump
from tierkit._fanout_pump import AT_ONCE
from tierkit.testing import MemoryNetwork

from .support import Tap, bench, message, parse


async def test_everybody_at_the_head_is_sent_the_very_same_object(autojump_clock: MockClock) -> None:
    async with bench() as b:
        taps = [b.tap() for _ in range(200)]
        for tap in taps:
            b.join(tap)
        sent = [b.write("K"), b.write(), b.write()]
        await trio.sleep(1)
        assert {bytes(tap.got) for tap in taps} == {b"".join([b"\x00\x00\x00\x10H" + bytes(15), *sent])}
        more = b.write() + b.write()
        await trio.sleep(1)
        last = {id(tap.objects[-1]) for tap in taps}
        assert len(last) == 1
        assert taps[0].objects[-1] == more
        # One call each for the pass in which they began, one for the second.
        assert {tap.calls for tap in taps} == {3}


@pytest.mark.parametrize(
    ("players", "each", "delay"), [(10, 1e-5, 0.00302), (100, 1e-5, 0.032), (500, 1e-5, 0.2), (6000, 1e-5, 0.27)]
)
async def test_passes_are_paced_by_what_they_cost(
    autojump_clock: MockClock, players: int, each: float, delay: float
) -> None:
    async with bench() as b:
        b.write("K")
        taps = [b.tap() for _ in range(players)]
        for tap in taps:
            b.join(tap)
        await trio.sleep(10)
        b.meter.each = each
        times: list[float] = []
        taps[0]._on_send = lambda: (times.append(trio.current_time()), b.meter.count())[1]
        start = trio.current_time()
        while trio.current_time() < start + 1.0001:
            b.write()
            await trio.sleep(0.0005)
        passes = [after - before for before, after in pairwise(times)]
        # The first write after an idle time leaves at once; then never before the delay, and at the next write.
        assert times[0] == start
        assert len(passes) == pytest.approx(1 / delay, abs=1.01)
        assert all(delay - 1e-9 <= each <= delay + 0.0006 for each in passes)


async def test_the_cost_of_all_rings_counts_together(autojump_clock: MockClock) -> None:
    async with bench() as b:
        rings = [b.new_ring(FanoutPolicy()) for _ in range(10)]
        for ring in rings:
            b.write("K", ring=ring)
            for _ in range(10):
                b.join(b.tap(), ring=ring)
        await trio.sleep(1)
        b.meter.each = 1e-5
        for ring in rings:
            b.write(ring=ring)
        await trio.sleep(0.5)
        found = b.pump.statistics()
        assert found.last_cost == pytest.approx(100 * 1e-5)
        assert found.delay == pytest.approx(32 * 100 * 1e-5)
        assert found.passes == 1
        assert found.sends == 100


async def test_the_cap_is_the_smallest_of_the_rings(autojump_clock: MockClock) -> None:
    async with bench(each=1.0) as b:
        quick = b.new_ring(FanoutPolicy(max_delay=0.05))
        b.join(b.tap())
        b.join(b.tap(), ring=quick)
        b.write("K")
        b.write("K", ring=quick)
        await trio.sleep(1)
        assert b.pump.statistics().delay == 0.025  # a pass that takes longer than the cap


async def test_with_nothing_to_send_it_is_parked(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.join(b.tap())
        b.write("K")
        await trio.sleep(1)
        before = b.pump.statistics().passes
        await trio.sleep(3600)
        assert b.pump.statistics().passes == before


async def test_a_ring_without_players_costs_no_pass(autojump_clock: MockClock) -> None:
    async with bench() as b:
        await b.gops(5)
        assert b.pump.statistics().passes == 0


async def test_others_run_after_64_sends(autojump_clock: MockClock) -> None:
    async with bench() as b:
        taps = [b.tap() for _ in range(200)]
        for tap in taps:
            b.join(tap)
        seen: set[int] = set()

        async def look() -> None:
            while True:
                seen.add(sum(bool(tap.got) for tap in taps))
                await trio.lowlevel.checkpoint()

        b.nursery.start_soon(look)
        b.write("K")
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        # Trio shuffles who runs first in a tick, so a look may miss one stop of the pump, never two.
        assert seen <= {0, 64, 128, 192, 200}
        assert seen & {64, 128}
        assert seen & {128, 192}


async def test_who_leaves_during_a_pass_is_not_sent_to(autojump_clock: MockClock) -> None:
    async with bench() as b:
        taps = [b.tap() for _ in range(130)]
        cursors = [b.join(tap) for tap in taps]

        def leave() -> None:
            # While the first is served, number 100 goes: behind the first checkpoint of the pass.
            cursors[100].detach()
            taps[100].close()

        b.write("K")
        await trio.sleep(1)
        before = taps[100].calls
        taps[0]._on_send = leave
        b.write("p")
        await trio.sleep(1)
        assert taps[100].calls == before
        assert {parse(bytes(tap.got))[-1].kind for index, tap in enumerate(taps) if index != 100} == {"p"}
        assert b.ring.statistics().cursors == 129


async def test_a_connection_that_breaks_ends_its_player_alone(autojump_clock: MockClock) -> None:
    async with bench() as b:
        bad, good = b.tap(), b.tap()
        cursor = b.join(bad)
        b.join(good)
        bad.lose()
        b.write("K")
        await trio.sleep(1)
        assert b.ended == [(cursor, "")]
        assert parse(bytes(good.got))[-1] == ("K", 0)
        assert b.ring.statistics().dropped == 0


async def test_who_was_slow_before_the_pump_ran_is_not_forgotten(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.write("K")
        tap = Tap(room=5)
        b.join(tap)  # the pump's task has not run yet
        await trio.sleep(1)
        tap.open(None)
        await trio.sleep(1)
        assert [part.kind for part in parse(bytes(tap.got))] == ["H", "K"]


async def test_what_is_done_for_many_keeps_nobody_waiting(autojump_clock: MockClock) -> None:
    done: list[int] = []
    async with bench() as b:
        b.pump.in_turns([partial(done.append, number) for number in range(100)])
        assert done == list(range(AT_ONCE))  # a few need no task
        await trio.testing.wait_all_tasks_blocked()
        assert done == list(range(100))


async def test_what_comes_before_the_pump_runs_is_done_when_it_does(autojump_clock: MockClock) -> None:
    done: list[int] = []
    pump = Pump(MemoryNetwork(), trio.current_time)
    pump.in_turns([partial(done.append, number) for number in range(100)])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump.run)
        await trio.testing.wait_all_tasks_blocked()
        assert done == list(range(100))
        nursery.cancel_scope.cancel()


async def test_what_others_take_from_the_processor_is_no_cost(autojump_clock: MockClock) -> None:
    """Else players would wait up to 300 ms longer whenever something else on the machine is busy."""
    pump = Pump(MemoryNetwork(), trio.current_time)
    ring = pump.ring(FanoutPolicy(), lambda timestamp: message("H", timestamp))
    tap = Tap(None, on_send=partial(time.sleep, 0.05))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump.run)
        ring.attach(tap, print)
        ring.append(message("K", 0), 0, sync=True)
        await trio.sleep(1)
        assert [part.kind for part in parse(bytes(tap.got))] == ["H", "K"]
        assert pump.statistics().passes == 1
        assert pump.statistics().cost < 0.02
        nursery.cancel_scope.cancel()
