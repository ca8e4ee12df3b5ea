"""A run shared out over processes: real ones, by a real clock, so short."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest
import trio

from tierkit.errors import TierkitError
from tierkit.load import Live, run_hls, run_rtmp
from tierkit.load._processes import DIED
from tierkit.load._run import Plan
from tierkit.testing import open_counting_proxy

from .relay import TinyRelay, relaying
from .support import TinyOrigin, serving


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
@pytest.mark.parametrize("read_every", [0, 1, 3])
def test_every_viewer_is_in_one_process_and_each_has_its_readers(processes: int, read_every: int) -> None:
    shares = [Plan(viewers=50, seconds=1, read_every=read_every, share=n, of=processes) for n in range(processes)]
    assert Counter(number for each in shares for number in each.numbers) == Counter(range(50))
    for share in shares:
        reading = sum(share.reads(number) for number in share.numbers)
        assert reading == (-(-len(share.numbers) // read_every) if read_every else 0)
    # One ramp for all: who comes later has a higher number, wherever it is.
    assert [Plan(viewers=4, seconds=1, ramp=2).comes(number) for number in range(4)] == [0, 0.5, 1, 1.5]


async def test_hls_viewers_of_several_processes_are_one_audience() -> None:
    seen: list[Live] = []
    async with serving(TinyOrigin(window=20)) as origin, open_counting_proxy(f"127.0.0.1:{origin.port}") as proxy:
        report = await run_hls(
            f"http://{proxy.address}/master.m3u8",
            viewers=5,
            seconds=2,
            ramp=0.5,
            read_every=2,
            processes=2,
            watching=seen.append,
        )
        came = proxy.connections[1:]
    assert report.errors == {}
    assert [each.viewer for each in report.audience] == [0, 1, 2, 3, 4]
    # Each process has its own: numbers 0, 2 and 4 in one, 1 and 3 in the other.
    assert [each.reads for each in report.audience] == [True, True, False, False, True]
    assert len(came) == 5
    assert report.self_check.processes == 2
    assert seen[-1].viewers == seen[-1].expected == 5
    assert 0 < report.bytes < sum(each.received for each in came)
    # One ramp: the last comes 0.4 s after the first, at the earliest.
    assert report.audience[4].joined - report.audience[0].joined >= 0.35
    assert report.audience[3].joined - report.audience[0].joined >= 0.25


async def test_rtmp_players_of_several_processes_are_late_by_one_clock() -> None:
    async with relaying(TinyRelay()) as relay:
        report = await run_rtmp(relay.url, viewers=4, seconds=3.5, read_every=1, processes=2)
    assert (report.errors, report.stalls, report.starved_viewers) == ({}, 0, 0)
    # With a clock for each process the one's frames would be seconds or days behind the other's.
    assert report.latency_ms.p99 is not None
    assert report.latency_ms.p99 < 500


async def test_a_process_that_dies_is_told_and_the_rest_goes_on() -> None:
    victims: list[int] = []
    async with serving(TinyOrigin()) as origin, trio.open_nursery() as nursery:

        async def kill() -> None:
            await trio.sleep(1.5)
            victims.append(_children()[0])
            os.kill(victims[0], signal.SIGKILL)

        nursery.start_soon(kill)
        report = await run_hls(origin.url, viewers=4, seconds=3, processes=2)
    assert report.errors[DIED] == 1
    (note,) = report.notes
    assert "was ended by SIGKILL" in note
    assert "2 viewers" in note
    assert note in report.text()
    assert len(report.audience) == 2
    assert report.bytes > 0


async def test_when_all_die_there_is_no_report() -> None:
    async with serving(TinyOrigin()) as origin, trio.open_nursery() as nursery:

        async def kill() -> None:
            await trio.sleep(1)
            for each in _children():
                os.kill(each, signal.SIGKILL)

        nursery.start_soon(kill)
        with pytest.raises(TierkitError, match="no load process came to an end: load process 1 of 2 was ended by"):
            await run_hls(origin.url, viewers=4, seconds=3, processes=2)


async def test_who_is_cancelled_leaves_no_process() -> None:
    async with serving(TinyOrigin()) as origin:
        with trio.move_on_after(1.5):
            await run_hls(origin.url, viewers=4, seconds=60, processes=2)
    assert _children() == []


def _children() -> list[int]:
    """Load processes of this one."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as stat, open(f"/proc/{name}/cmdline", "rb") as command:
                parent = int(stat.read().rpartition(")")[2].split()[1])
                if parent == os.getpid() and b"tierkit.load._worker" in command.read():
                    found.append(int(name))
        except OSError:  # it has ended
            pass
    return sorted(found)
