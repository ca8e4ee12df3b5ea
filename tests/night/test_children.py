"""Processes that are started are ended, whatever becomes of who has started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from tierkit import TierkitError
from tierkit.night._children import open_children

SLEEPER = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]
#: One that starts two, tells their ids, and waits to be killed.
PARENT = """
import sys, pathlib, trio
from tierkit.night._children import open_children
async def main():
    async with open_children(pathlib.Path(sys.argv[1])) as children:
        for name in ("one", "two"):
            child = await children.start(name, [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"])
            print(child.pid, flush=True)
        await trio.sleep_forever()
trio.run(main)
"""


def lives(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_leaving_ends_all(tmp_path: Path) -> None:
    async with open_children(tmp_path) as children:
        pids = [(await children.start(name, SLEEPER)).pid for name in ("one", "two")]
        assert all(map(lives, pids))
    assert not any(map(lives, pids))


async def test_cancelling_ends_all(tmp_path: Path) -> None:
    pids = []
    with trio.move_on_after(0.5):
        async with open_children(tmp_path) as children:
            pids.append((await children.start("one", SLEEPER)).pid)
            await trio.sleep_forever()
    assert pids
    assert not any(map(lives, pids))


async def test_one_that_will_not_hear_is_ended_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tierkit.night._children.END", 0.4)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready x y z', flush=True); time.sleep(600)"
    async with open_children(tmp_path) as children:
        child = await children.start("deaf", [sys.executable, "-I", "-S", "-c", deaf])
        assert await child.ready(1) == {"x": {"y": "y://z"}}
        await children.end(child)
        assert child.process.returncode == -signal.SIGKILL


@pytest.mark.timeout(60)
def test_what_a_killed_parent_has_started_is_ended(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(parent.stdout.readline()) for _ in range(2)]
        assert all(map(lives, pids))
        parent.kill()
        parent.wait()
        until = time.monotonic() + 30
        while any(map(lives, pids)) and time.monotonic() < until:
            time.sleep(0.05)
    left = [pid for pid in pids if lives(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


async def test_one_that_ends_before_it_is_ready_says_why(tmp_path: Path) -> None:
    async with open_children(tmp_path) as children:
        child = await children.start("broken", [sys.executable, "-c", "raise SystemExit('no such stream')"])
        with pytest.raises(TierkitError, match="broken has ended before it was ready: no such stream"):
            await child.ready(1)
