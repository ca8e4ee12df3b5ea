"""What the processes of `--processes tier` tell, and the control address that answers for all of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tierkit import Address, Edge, Graph, Origin, Registry, open_graph
from tierkit._cli_reports import EVERY, LINE, Orders, Reports, report_to
from tierkit.errors import LocalProtocolError
from tierkit.events import Event, PluginFailed, ProcessEnded
from tierkit.testing import MemoryNetwork

from ..core.fakes import Echo

ROOT = Path(__file__).parent.parent.parent
SHIELD = Edge("shield", upstream=Origin("o", "http://o"), listen="http://127.0.0.1:80", serves=Echo())
GRAPH = Graph.of(Edge("leaf", upstream=SHIELD, listen="http://127.0.0.1:81", serves=Echo()), control=":0")


def told(*, ready: bool = True, **tier: Any) -> bytes:
    statistics = {"process": {"uptime": 3.0}, "tiers": {"shield": {"state": "running", **tier}}}
    return json.dumps({"ready": ready, "statistics": statistics}).encode() + b"\n"


class Rig:
    def __init__(self) -> None:
        self.leaving = False
        self.lines: list[Event] = []
        self.ordered: list[tuple[str, bytes]] = []
        self.dead: set[str] = set()
        self.reports = Reports(
            GRAPH, Registry(), leaving=lambda: self.leaving, tell=self.lines.append, order=self.order
        )

    async def order(self, name: str, line: bytes) -> bool:
        self.ordered.append((name, line))
        return name not in self.dead

    @property
    def states(self) -> list[str]:
        return [tier["state"] for tier in self.reports.statistics()["tiers"].values()]


async def seen(good: Callable[[], bool]) -> None:
    """Until what went through a pipe is there; pipes are the kernel's, so there is nothing else to wait for."""
    with trio.fail_after(10):
        while not good():
            await trio.sleep(0.001)


async def test_the_last_line_of_each_child_counts() -> None:
    rig = Rig()
    assert rig.states == ["down", "down"]
    async with rig.reports.heard("shield") as shield, rig.reports.heard("leaf") as leaf:
        assert rig.states == ["starting", "starting"]
        second = told(connections=2, addresses=["http://127.0.0.1:80"])
        os.write(shield, told(connections=1) + second[:20])
        os.write(leaf, json.dumps({"ready": True, "statistics": {}}).encode() + b"\n")
        await seen(lambda: rig.states == ["running", "unknown"])
        assert rig.reports.statistics()["tiers"]["shield"]["connections"] == 1
        os.write(shield, second[20:])
        await seen(lambda: rig.reports.statistics()["tiers"]["shield"]["connections"] == 2)
        found = rig.reports.statistics()
        assert found["process"] == {"ready": True, "events": []}
        assert found["processes"]["shield"]["uptime"] == 3.0
        assert found["processes"]["shield"]["starts"] == 1
        assert rig.reports.ready
        assert rig.reports.addresses("shield") == (Address.parse("http://127.0.0.1:80"),)
        rig.leaving = True
        assert not rig.reports.ready
        assert rig.states[0] == "draining"
    assert rig.states == ["down", "down"]
    assert rig.reports.statistics()["tiers"]["shield"]["connections"] == 2  # what it told last


async def test_a_child_that_talks_nonsense_is_not_heard() -> None:
    rig = Rig()
    async with rig.reports.heard("shield") as shield:
        # The last line of a piece counts, so each nonsense goes through the pipe by itself.
        for nonsense in (b"\n", b"{\n", b"[]\n", b'{"ready": 1}\n', b'{"ready": true, "statistics": 7}\n', b"\xff\n"):
            rig.reports._children["shield"].hear(nonsense)
        assert rig.states[0] == "starting"
        assert rig.reports.statistics()["processes"]["shield"]["told_ago"] is None
        os.write(shield, b"nonsense\n" + told())
        await seen(lambda: rig.states[0] == "running")


async def test_a_line_without_end_is_not_kept() -> None:
    rig = Rig()
    async with rig.reports.heard("shield") as shield, trio.lowlevel.FdStream(os.dup(shield)) as pipe:
        os.set_blocking(shield, False)
        with trio.move_on_after(0.2) as scope:  # nobody reads on, so it gets stuck
            await pipe.send_all(b"x" * (LINE + 2_000_000) + b"\n" + told())
        assert scope.cancelled_caught
        assert rig.states[0] == "starting"


async def test_a_child_tells_until_nobody_listens(autojump_clock: trio.testing.MockClock) -> None:
    reader, writer = os.pipe()
    network = MemoryNetwork()
    async with open_graph(Graph.of(SHIELD), network=network, registry=Registry()) as handle:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(report_to, writer, handle, Orders(handle))
                await trio.sleep(EVERY * 2.5)
                lines = [json.loads(line) for line in os.read(reader, 1 << 16).splitlines()]
                os.close(reader)
    assert [line["ready"] for line in lines] == [True, True, True]
    assert lines[-1]["statistics"]["tiers"]["shield"]["addresses"] == ["http://127.0.0.1:80"]


def test_what_a_handle_is_asked_besides() -> None:
    rig = Rig()
    assert rig.reports.running("leaf") == {}
    assert rig.reports.control_routes() == ()
    rig.reports.emit(PluginFailed(plugin="p", reason="broke"))
    assert [each.text for each in rig.lines] == ["plugin p: broke"]


# --- real processes ----------------------------------------------------------------------------------

REAL = """
from tierkit import Edge, Graph, Origin
from tierkit.plugins.hls import HLS
shield = Edge("shield", upstream=Origin("o", "http://127.0.0.1:9"), listen="127.0.0.1:0", serves=HLS())
graph = Graph.of(Edge("leaf", upstream=shield, listen="127.0.0.1:0", serves=HLS()), control="unix:{control}")
"""


def ask(control: Path, path: str) -> tuple[int, bytes]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(control))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: control\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def until(good: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not good():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets here")
def test_one_address_answers_for_all_processes(tmp_path: Path) -> None:
    control = tmp_path / "control"
    file = tmp_path / "graph.py"
    file.write_text(REAL.format(control=control))
    command = [sys.executable, "-m", "tierkit", "run", str(file), "--processes", "tier", "--drain", "1"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as running,
        ExitStack() as stack,
    ):
        stack.callback(running.kill)
        assert running.stdout is not None
        first = running.stdout.readline().split()
        running.stdout.readline()
        until(lambda: ask(control, "/readyz") == (200, b"shield running\nleaf running\n"))
        found = json.loads(ask(control, "/statistics")[1])
        assert found["tiers"]["shield"]["addresses"] == [f"http://{first[3]}"]
        assert {each["starts"] for each in found["processes"].values()} == {1}
        os.kill(found["processes"]["shield"]["pid"], signal.SIGKILL)
        until(lambda: json.loads(ask(control, "/statistics")[1])["processes"]["shield"]["starts"] == 2)
        until(lambda: ask(control, "/readyz")[0] == 200)
        running.send_signal(signal.SIGTERM)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert "shield: its process was ended by SIGKILL: it is started again" in err
    assert not control.exists()


# --- orders --------------------------------------------------------------------------------------


async def test_each_child_that_lives_says_what_it_has_purged(autojump_clock: trio.testing.MockClock) -> None:
    rig = Rig()
    rig.dead.add("leaf")
    found: dict[str, int | None] = {}

    async def purge() -> None:
        found.update(await rig.reports.purge("/live/*", soft=True))

    async with rig.reports.heard("shield") as shield, trio.open_nursery() as nursery:
        nursery.start_soon(purge)
        await trio.testing.wait_all_tasks_blocked()
        os.write(shield, told().replace(b"}\n", b', "done": {"7": 1, "1": 12}}\n'))
        await trio.testing.wait_all_tasks_blocked()
        # Nothing is kept that nobody waits for.
        assert not rig.reports._children["shield"].done
    assert found == {"shield": 12, "leaf": None}
    assert [name for name, _ in sorted(rig.ordered)] == ["leaf", "shield"]
    assert json.loads(rig.ordered[0][1]) == {"number": "1", "do": "purge", "pattern": "/live/*", "soft": True}


async def test_a_child_that_does_not_answer_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    rig = Rig()
    start = trio.current_time()
    assert await rig.reports.purge("/live/*", tiers=["leaf"]) == {"leaf": None}
    assert trio.current_time() - start == 2


async def test_a_child_does_what_it_is_told_and_says_so_at_once(autojump_clock: trio.testing.MockClock) -> None:
    reader, writer = os.pipe()
    graph = Graph.of(SHIELD)
    async with open_graph(graph, network=MemoryNetwork(), registry=Registry()) as handle:
        orders = Orders(handle)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(report_to, writer, handle, orders)
            await trio.sleep(EVERY / 2)
            start = trio.current_time()
            for line in (
                b'{"number": "3", "do": "purge", "pattern": "/a", "soft": false}',
                b"nonsense",
                b'{"number": "4"}',
                b'{"number": "5", "do": "purge", "pattern": "/a"}',
                b'{"number": "6", "do": "dance", "pattern": "/a"}',
                b'{"number": "7", "do": "kick", "pattern": "no pattern"}',
                b'{"number": "8", "do": "kick", "pattern": "*"}',
            ):
                await orders.obey(line)
            await trio.testing.wait_all_tasks_blocked()
            lines = [json.loads(line) for line in os.read(reader, 1 << 16).splitlines()]
            nursery.cancel_scope.cancel()
    os.close(reader)
    assert trio.current_time() == start
    assert [line["done"] for line in lines] == [{}, {"3": 0, "8": 0}]


async def test_one_that_fails_says_so_and_goes_on(autojump_clock: trio.testing.MockClock) -> None:
    graph = Graph.of(SHIELD)
    told: list[str] = []
    async with open_graph(
        graph, network=MemoryNetwork(), registry=Registry(), observers=[lambda event: told.append(event.text)]
    ) as handle:
        (running,) = handle.running("shield").values()

        def purge(pattern: str, *, soft: bool = False) -> int:
            raise AttributeError("a bug")

        running.purge = purge  # type: ignore[method-assign]
        orders = Orders(handle)
        await orders.obey(b'{"number": "1", "do": "purge", "pattern": "/a", "soft": false}')
    assert orders.done == {"1": None}
    assert any("AttributeError: a bug" in line for line in told)


async def test_one_that_fails_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    rig = Rig()
    found: dict[str, int | None] = {}

    async def kick() -> None:
        found.update(await rig.reports.kick("stream:live/s", tiers=["shield"]))

    start = trio.current_time()
    async with rig.reports.heard("shield") as shield, trio.open_nursery() as nursery:
        nursery.start_soon(kick)
        await trio.testing.wait_all_tasks_blocked()
        os.write(shield, told().replace(b"}\n", b', "done": {"1": null}}\n'))
    assert (found, trio.current_time()) == ({"shield": None}, start)
    assert json.loads(rig.ordered[0][1]) == {"number": "1", "do": "kick", "pattern": "stream:live/s"}


async def test_no_child_is_asked_for_what_is_no_pattern(autojump_clock: trio.testing.MockClock) -> None:
    rig = Rig()
    for ask in (rig.reports.purge, rig.reports.kick):
        with pytest.raises(LocalProtocolError):
            await ask("live")
    assert rig.ordered == []


async def test_events_of_all_are_told_in_one_place() -> None:
    rig = Rig()
    rig.reports.emit(ProcessEnded(tier="leaf", reason="was ended by SIGKILL"))
    line = {"ready": True, "statistics": {"process": {"events": [{"at": 5.0, "text": "old"}, 7]}, "tiers": {}}}
    async with rig.reports.heard("shield"):
        rig.reports._children["shield"].hear(json.dumps(line).encode())
        found = rig.reports.statistics()
        assert [each["text"] for each in found["process"]["events"]] == [
            "old",
            "leaf: its process was ended by SIGKILL",
        ]
        assert "events" not in found["processes"]["shield"]
        assert rig.reports.statistics()["process"] == found["process"]  # looking takes nothing away
