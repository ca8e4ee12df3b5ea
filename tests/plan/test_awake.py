"""Cores that do not rest."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tierkit.plan._awake import awake


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="not run: this system has no SCHED_IDLE")
def test_one_of_the_lowest_kind_spins_on_each_core_and_none_is_left() -> None:
    before = children()
    with awake() as spare:
        spinning = children() - before
        assert len(spinning) == len(os.sched_getaffinity(0))
        until = time.monotonic() + 20
        while not all(os.sched_getscheduler(int(pid)) == os.SCHED_IDLE for pid in spinning):
            assert time.monotonic() < until
            time.sleep(0.01)
        assert sorted(core for pid in spinning for core in os.sched_getaffinity(int(pid))) == sorted(
            os.sched_getaffinity(0)
        )
        assert 0 <= spare.share() <= 1
    assert children() == before
