"""What a process costs, and how late its loop is."""

from __future__ import annotations

import time
from pathlib import Path

import trio
from trio.testing import MockClock

from tierkit._process_figures import BOUNDS, LoopDelay, cpu_seconds, memory_limit, resident_bytes


def test_delays_are_counted_cumulatively() -> None:
    delay = LoopDelay(lambda: 0.0)
    for late in (-0.001, 0.0005, 0.001, 0.03, 7.0):
        delay.note(late)
    found = delay.statistics()
    assert found.count == 5
    assert found.sum == 0.0005 + 0.001 + 0.03 + 7.0
    assert list(found.buckets) == [f"{bound:g}" for bound in BOUNDS]
    assert (found.buckets["0.001"], found.buckets["0.02"], found.buckets["0.05"], found.buckets["1"]) == (3, 3, 4, 4)


async def test_it_looks_twice_a_second(autojump_clock: MockClock) -> None:
    delay = LoopDelay()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(delay.run)
        await trio.sleep(5.25)
        nursery.cancel_scope.cancel()
    assert delay.statistics().count == 10
    assert delay.statistics().sum == 0.0


async def test_a_step_that_holds_the_loop_up_shows() -> None:
    delay = LoopDelay()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(delay.run)
        await trio.sleep(0.4)
        time.sleep(0.3)  # noqa: ASYNC251 (that is the point)
        await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    found = delay.statistics()
    assert found.count == 1
    assert found.buckets["0.1"] == 0
    assert found.sum >= 0.15


def test_memory_and_time() -> None:
    before = cpu_seconds()
    block = bytearray(b"x") * (64 << 20)
    grown = resident_bytes()
    del block
    assert grown - resident_bytes() > 32 << 20
    assert cpu_seconds() > before


def test_the_memory_limit_is_the_least_of_all_above(tmp_path: Path) -> None:
    def write(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    assert memory_limit(tmp_path) is None
    write("proc/meminfo", "MemTotal:        4096 kB\nMemFree:          100 kB\n")
    assert memory_limit(tmp_path) == 4 << 20
    write("proc/self/cgroup", "1:cpu:/elsewhere\n0::/system.slice/tierkit.service\n")
    write("sys/fs/cgroup/system.slice/tierkit.service/memory.max", "max\n")
    assert memory_limit(tmp_path) == 4 << 20
    write("sys/fs/cgroup/system.slice/memory.max", "2097152\n")
    assert memory_limit(tmp_path) == 2 << 20
    write("sys/fs/cgroup/system.slice/tierkit.service/memory.max", "1048576\n")
    assert memory_limit(tmp_path) == 1 << 20
