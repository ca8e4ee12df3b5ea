"""`tierkit run --processes tier`: what becomes of children that start, end, and are told to go.

Most children here are small scripts that keep to the child's side of the bargain: ready lines on standard
output, an end at SIGTERM.  At the end stand real ones.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tierkit import Edge, Graph, Origin
from tierkit._cli_processes import Bound, Supervisor, child_command, parse_bound
from tierkit.events import Event, ProcessEnded

from ..core.fakes import Echo
from .support import tierkit_

ROOT = Path(__file__).parent.parent.parent
ORIGIN = Origin("o", "http://o")
SHIELD = Edge("shield", upstream=ORIGIN, listen=(":0", "http://127.0.0.1:0"), serves=Echo())
GRAPH = Graph.of(Edge("leaf", upstream=SHIELD, listen="[::1]:0", serves=Echo()))

# SIGTERM is blocked until somebody waits for it, so that it is never too early.
PRELUDE = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGHUP])
def say(*lines): print(*lines, sep="\\n", flush=True)
def wait(*numbers): return signal.sigwait(numbers or [signal.SIGTERM])
"""
SHIELD_READY = "say('ready shield http [::]:1001', 'ready shield http 127.0.0.1:1002')\n"
LEAF_READY = "say('hello', 'ready leaf http [::1]:1003')\n"


class Rig:
    """A supervisor whose children are scripts, and what it said."""

    def __init__(self, graph: Graph = GRAPH, **scripts: Sequence[str]) -> None:
        self.scripts = {name: list(each) for name, each in scripts.items()}
        self.started: list[tuple[str, dict[str, list[str]]]] = []
        self.said: list[str] = []
        self.told: list[str] = []
        self.when: dict[str, Callable[[], Any]] = {}
        self.supervisor = Supervisor(graph, self.command, say=self.say, note=self.note, jitter=lambda: 0.0)

    def command(self, name: str, bound: Bound) -> list[str]:
        self.started.append((name, json.loads(json.dumps(bound))))
        script = self.scripts[name].pop(0) if len(self.scripts[name]) > 1 else self.scripts[name][0]
        return [sys.executable, "-I", "-S", "-c", PRELUDE + script]

    def note(self, event: Event) -> None:
        if isinstance(event, ProcessEnded):
            self.told.append(event.text)

    def say(self, line: str) -> None:
        self.said.append(line)
        if (act := self.when.pop(line, None)) is not None:
            act()

    @property
    def children(self) -> dict[str, trio.Process]:
        return self.supervisor._processes


def terminate_ourselves() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


SHIELD_ADDRESSES = ["http://127.0.0.1:1001", "http://127.0.0.1:1002"]
LEAF_IS_READY = "ready leaf http [::1]:1003"


async def test_upstreams_first_and_each_learns_where_they_are() -> None:
    rig = Rig(shield=[SHIELD_READY + "wait()"], leaf=[LEAF_READY + "wait()"])
    rig.when[LEAF_IS_READY] = terminate_ourselves
    assert await rig.supervisor.run() == 0
    assert rig.started == [("shield", {}), ("leaf", {"shield": SHIELD_ADDRESSES})]
    assert rig.said == ["ready shield http [::]:1001", "ready shield http 127.0.0.1:1002", "hello", LEAF_IS_READY]
    assert rig.told == []
    assert rig.children == {}


async def test_one_that_dies_is_started_again_where_it_was() -> None:
    rig = Rig(shield=[SHIELD_READY + "wait()"], leaf=[LEAF_READY + "sys.exit(1)", LEAF_READY + "say('again'); wait()"])
    rig.when["again"] = terminate_ourselves
    assert await rig.supervisor.run() == 0
    assert rig.started[2:] == [("leaf", {"shield": SHIELD_ADDRESSES, "leaf": ["http://[::1]:1003"]})]
    assert rig.told == ["leaf: its process ended with exit code 1: it is started again in 0.1 s"]


async def test_pauses_grow() -> None:
    dead = LEAF_READY + "os.kill(os.getpid(), signal.SIGKILL)"
    rig = Rig(shield=[SHIELD_READY + "wait()"], leaf=[dead, dead, dead, LEAF_READY + "say('again'); wait()"])
    rig.when["again"] = terminate_ourselves
    assert await rig.supervisor.run() == 0
    pauses = [line.removeprefix("leaf: its process was ended by SIGKILL: it is started again in ") for line in rig.told]
    assert pauses == ["0.1 s", "0.1 s", "0.2 s"]  # 0.05, 0.1 and 0.2


async def test_one_that_fails_again_after_it_was_ready_once_is_tried_on() -> None:
    rig = Rig(
        shield=[SHIELD_READY + "wait()"],
        leaf=[LEAF_READY + "sys.exit(1)", "sys.exit(2)", LEAF_READY + "say('again'); wait()"],
    )
    rig.when["again"] = terminate_ourselves
    assert await rig.supervisor.run() == 0
    assert len(rig.told) == 2


@pytest.mark.parametrize(("ends", "code"), [(2, 2), (1, 1), (0, 1), (7, 1)])
async def test_a_plan_that_does_not_start_ends_all(ends: int, code: int) -> None:
    rig = Rig(shield=[SHIELD_READY + "wait()"], leaf=[f"sys.exit({ends})"])
    assert await rig.supervisor.run() == code
    assert rig.told == [f"leaf: its process ended with exit code {ends} before it was ready: all others are ended too"]
    assert rig.children == {}


async def test_what_follows_a_failed_start_is_not_started() -> None:
    rig = Rig(shield=["sys.exit(2)"], leaf=[LEAF_READY + "wait()"])
    assert await rig.supervisor.run() == 2
    assert [name for name, _ in rig.started] == ["shield"]


async def test_orders_of_several_wait_for_each_other_and_one_given_up_spoils_no_other() -> None:
    # It reads nothing until it is told to, so that the first order fills the pipe.
    deaf = """
wait(signal.SIGHUP)
for line in sys.stdin:
    say(f"{line.strip()[:6]} of {len(line.strip())}")
    if "last" in line: break
wait()
"""
    rig = Rig(Graph.of(SHIELD), shield=[SHIELD_READY + deaf])
    rig.when["last of 4"] = terminate_ourselves
    ready = trio.Event()
    rig.when["ready shield http 127.0.0.1:1002"] = ready.set
    done: list[bool] = []

    async def order(line: bytes) -> None:
        done.append(await rig.supervisor.order("shield", line))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.supervisor.run)
        await ready.wait()
        with trio.move_on_after(0.1) as given_up:
            await order(b"x" * 1_000_000 + b"\n")
        assert given_up.cancelled_caught
        async with trio.open_nursery() as others:
            for _ in range(3):
                others.start_soon(order, b"others\n")
            await trio.testing.wait_all_tasks_blocked()
            rig.children["shield"].send_signal(signal.SIGHUP)
        await order(b"last\n")
    assert done == [True] * 4
    # Before each there is an empty line, which ends what was given up.
    given_up_part, *whole = [line for line in rig.said[2:] if line != " of 0"]
    assert given_up_part.startswith("xxxxxx of ")
    assert whole == ["others of 6"] * 3 + ["last of 4"]


async def test_nobody_is_there_to_take_an_order() -> None:
    assert await Rig(shield=[""], leaf=[""]).supervisor.order("shield", b"x\n") is False


async def test_the_second_signal_is_handed_on_too() -> None:
    stubborn = LEAF_READY + "wait(); say('draining'); wait(); say('dropped')"
    rig = Rig(shield=[SHIELD_READY + "wait()"], leaf=[stubborn])
    rig.when[LEAF_IS_READY] = terminate_ourselves
    rig.when["draining"] = terminate_ourselves
    assert await rig.supervisor.run() == 0
    assert rig.said[-2:] == ["draining", "dropped"]


async def test_a_failure_while_draining_is_told_and_ends_with_1() -> None:
    rig = Rig(shield=[SHIELD_READY + "wait(); sys.exit(3)"], leaf=[LEAF_READY + "wait()"])
    rig.when[LEAF_IS_READY] = terminate_ourselves
    assert await rig.supervisor.run() == 1
    assert rig.told == ["shield: its process ended with exit code 3 while it drained"]


async def test_sighup_reaches_all() -> None:
    script = "wait(signal.SIGHUP); say('{0} reads again'); wait()"
    rig = Rig(shield=[SHIELD_READY + script.format("shield")], leaf=[LEAF_READY + script.format("leaf")])
    rig.when[LEAF_IS_READY] = lambda: os.kill(os.getpid(), signal.SIGHUP)
    left = {"shield", "leaf"}

    def read(name: str) -> None:
        left.remove(name)
        if not left:
            terminate_ourselves()

    rig.when["shield reads again"] = lambda: read("shield")
    rig.when["leaf reads again"] = lambda: read("leaf")
    assert await rig.supervisor.run() == 0
    assert left == set()


async def test_cancelling_leaves_no_process_behind() -> None:
    rig = Rig(shield=[SHIELD_READY + "wait()"], leaf=[LEAF_READY + "wait()"])
    processes: list[trio.Process] = []
    with trio.CancelScope() as scope:

        def cut() -> None:
            processes.extend(rig.children.values())
            scope.cancel()

        rig.when[LEAF_IS_READY] = cut
        await rig.supervisor.run()
    assert len(processes) == 2
    assert all(each.returncode is not None for each in processes)


async def test_odd_output_passes_through() -> None:
    rig = Rig(
        shield=[SHIELD_READY + "wait()"],
        leaf=["sys.stdout.write('x' * 200_000); say('', 'ready other http 127.0.0.1:1')\n" + LEAF_READY + "wait()"],
    )
    rig.when[LEAF_IS_READY] = terminate_ourselves
    assert await rig.supervisor.run() == 0
    assert sum(line.count("x") for line in rig.said) == 200_000
    assert "ready other http 127.0.0.1:1" in rig.said


async def test_a_machine_without_room_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(shield=[SHIELD_READY + "wait()"], leaf=[LEAF_READY + "sys.exit(1)", LEAF_READY + "say('again'); wait()"])
    rig.when["again"] = terminate_ourselves
    really = trio.lowlevel.open_process
    calls = 0

    async def sometimes(*arguments: Any, **options: Any) -> trio.Process:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return await really(*arguments, **options)

    monkeypatch.setattr(trio.lowlevel, "open_process", sometimes)
    rig.scripts["leaf"].insert(1, "the one that is not started")
    assert await rig.supervisor.run() == 0
    assert rig.told[1].startswith("leaf: its process cannot be started: ")
    assert len(rig.children) == 0


def test_the_command_of_a_child() -> None:
    bound = {"a": ["http://127.0.0.1:1"]}
    command = child_command("g.toml", "e", bound, plugins=["p.py"], log="json", drain=2.5)
    assert command[:5] == [sys.executable, "-m", "tierkit", "run", "g.toml"]
    assert parse_bound(command[command.index("--bound") + 1]) == bound
    assert command[command.index("--drain") + 1] == "2.5"
    assert command[command.index("--plugin") + 1] == "p.py"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": [1]}', '{"a": ["http://:99999"]}'])
def test_odd_places_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_bound(text)


# --- real children -----------------------------------------------------------------------------------

REAL = """
from tierkit import Edge, Graph, Origin
from tierkit.plugins.hls import HLS
shield = Edge("shield", upstream=Origin("o", "http://127.0.0.1:9"), listen="127.0.0.1:0", serves=HLS())
graph = Graph.of(Edge("leaf", upstream=shield, listen="127.0.0.1:0", serves=HLS()), control="127.0.0.1:0")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "graph.py"
    path.write_text(REAL)
    return path


def test_real_tiers_find_each_other_and_drain(file: Path) -> None:
    command = [sys.executable, "-m", "tierkit", "run", str(file), "--processes", "tier", "--drain", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as running:
        assert running.stdout is not None
        ready = [running.stdout.readline().split() for _ in range(2)]
        # 127.0.0.1:9 answers nothing, so what comes is the shield's own word about that, through the leaf.
        answer = fetch(ready[1][3], "/live/s/playlist.m3u8")
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=60)
    assert [line[:3] for line in ready] == [["ready", "shield", "http"], ["ready", "leaf", "http"]]
    assert answer in (502, 503, 504)
    assert running.returncode == 0, err
    assert "shield: upstream o:" in err


def fetch(address: str, path: str) -> int:
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_a_child_whose_parent_is_gone_drains(file: Path) -> None:
    bound = json.dumps({"shield": ["http://127.0.0.1:1"]})
    command = [sys.executable, "-m", "tierkit", "run", str(file), "--only", "leaf", "--bound", bound]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith("ready leaf http 127.0.0.1:")
        running.communicate(timeout=60)  # closes its standard input
    assert running.returncode == 0


def test_a_bad_graph_is_told_once_and_starts_nothing(tmp_path: Path) -> None:
    path = tmp_path / "graph.py"
    path.write_text(REAL.replace("HLS())", "HLS(cache_bytes=1))", 1))
    outcome = tierkit_("run", path, "--processes", "tier")
    assert (outcome.code, outcome.out) == (2, [])
    assert len(outcome.err) == 1
