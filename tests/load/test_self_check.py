"""Whether the load tool finds out that it is too slow, and only then."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tierkit.load import SelfCheck, run_hls
from tierkit.load._self_check import MAX_CPU, MAX_LATE, MAX_NEGLECT, TICK, Meter, worst_of

from .support import TinyOrigin, serving


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({}, []),
        ({"late_p99_ms": 1000 * MAX_LATE - 1, "cpu": MAX_CPU - 0.01, "neglect_s": MAX_NEGLECT - 0.01}, []),
        ({"late_p99_ms": 1000 * MAX_LATE}, ["its event loop was 250 ms late (99th percentile)"]),
        ({"cpu": MAX_CPU}, ["it took 0.95 of a core"]),
        ({"neglect_s": 0.5}, ["0.50 s of traffic waited for it in the kernel (median)"]),
    ],
)
def test_each_measure_alone_convicts(measured: dict[str, float], said: list[str]) -> None:
    check = SelfCheck(**measured)  # type: ignore[arg-type]
    assert (check.evidence, check.bottleneck) == (said, bool(said))
    assert ("--processes" in check.advice) is ("cpu" in measured and bool(said))
    assert SelfCheck.from_dict(check.as_dict()) == check


def test_of_several_the_worst_counts() -> None:
    fine, slow = SelfCheck(cpu=0.5, cpu_all=0.5, late_p99_ms=1), SelfCheck(cpu=0.25, cpu_all=0.25, late_p99_ms=900)
    both = worst_of([fine, slow])
    assert (both.cpu, both.cpu_all, both.late_p99_ms, both.processes) == (0.5, 0.75, 900, 2)
    assert both.bottleneck


async def _measured(seconds: float, *, late: float, cpu: float, neglect: float, clock: MockClock) -> SelfCheck:
    """Ticks that all come late by so much; CPU and bytes of a process that takes and gets that much a second."""
    begun = trio.current_time()

    def elapsed() -> float:
        return trio.current_time() - begun

    meter = Meter(lambda _: 1e6 * neglect, lambda: int(1e6 * elapsed()), cpu=lambda: cpu * elapsed())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(meter.run)
        while elapsed() < seconds:
            # Whoever sleeps until the next tick is woken by a clock that has gone too far.
            await trio.testing.wait_all_tasks_blocked()
            clock.jump(TICK + late)
        nursery.cancel_scope.cancel()
    return meter.found()


async def test_a_meter_measures_what_there_was(mock_clock: MockClock) -> None:
    fine = await _measured(10, late=0, cpu=0.5, neglect=0.125, clock=mock_clock)
    assert (fine.cpu, fine.neglect_s, fine.late_p99_ms, fine.bottleneck) == (0.5, 0.125, 0, False)
    slow = await _measured(10, late=0.4, cpu=0.97, neglect=0.5, clock=mock_clock)
    assert (slow.cpu, slow.neglect_s, slow.late_p99_ms) == (0.97, 0.5, 400)
    assert len(slow.evidence) == 3


@pytest.mark.parametrize("stuck", [0.0, 0.4])
async def test_a_run_knows_whether_it_was_too_slow(fast_clock: MockClock, stuck: float) -> None:
    async with serving(TinyOrigin()) as origin, trio.open_nursery() as nursery:

        async def hog() -> None:
            # A step that takes so long by the clock: nothing else runs meanwhile.
            while stuck:
                fast_clock.jump(stuck)
                await trio.sleep(0.1)

        nursery.start_soon(hog)
        report = await run_hls(origin.url, viewers=2, seconds=5)
        nursery.cancel_scope.cancel()
    # Of the CPU nothing can be said under a clock that leaps.
    assert (report.self_check.late_p99_ms >= 250) is bool(stuck)
    assert ("its event loop was" in report.text()) is bool(stuck)
