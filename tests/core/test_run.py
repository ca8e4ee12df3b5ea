"""A graph as a program: what comes out of it, and with which exit code it ends."""

from __future__ import annotations

import errno
import os
import signal
import sys

import pytest
import trio

from tierkit import (
    Edge,
    Graph,
    GraphError,
    ListenError,
    Origin,
    Registry,
    TierkitError,
    UpstreamError,
    explain,
    open_graph,
    run,
)
from tierkit._run import ready_lines
from tierkit._serve import GraphHandle
from tierkit.events import Event, TierStarted, TierStopped
from tierkit.plugin import Address

from .fakes import Echo, Record

ORIGIN = Origin("origin", "http://origin.example")


def graph(*listen: str) -> Graph:
    return Graph.of(Edge("e", upstream=ORIGIN, listen=listen or "127.0.0.1:0", serves=Echo()))


async def briefly(handle: GraphHandle) -> None:
    assert handle.ready


def test_ready_lines_log_and_a_quiet_end(capsys: pytest.CaptureFixture[str]) -> None:
    events = Record()
    run(graph("127.0.0.1:0", "http://[::1]:0"), registry=Registry(), observers=[events], beside=briefly)
    out, err = capsys.readouterr()
    (started,) = events.of(TierStarted)
    assert out.splitlines() == [f"ready e http {each.authority}" for each in started.addresses]
    assert out.splitlines()[1].startswith("ready e http [::1]:")
    assert "e is ready on" in err
    assert "e has stopped" in err


def test_no_log(capsys: pytest.CaptureFixture[str]) -> None:
    run(graph(), log="", registry=Registry(), beside=briefly)
    assert capsys.readouterr().err == ""


def test_sigterm_drains(capsys: pytest.CaptureFixture[str]) -> None:
    async def end(handle: GraphHandle) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await trio.sleep_forever()

    events = Record()
    run(graph(), registry=Registry(), observers=[events], beside=end)
    assert events.of(TierStopped)


def test_a_bad_graph_is_told_whole_and_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    bad = Graph.of(Edge("e", listen=":0", serves=Echo(limit=0)))
    with pytest.raises(SystemExit) as ended:
        run(bad, registry=Registry())
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        "e: an edge has nothing of its own: give upstream=",
        "e: echo: option limit=0 is too small: give at least 1",
    ]


def test_a_taken_port_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    async def again(handle: GraphHandle) -> None:
        (address,) = handle.addresses("e")
        other = graph(f"127.0.0.1:{address.port}")
        with pytest.raises(ListenError) as failed:
            async with open_graph(other, registry=Registry()):
                raise AssertionError("the port is taken")
        failures.append(failed.value)

    failures: list[Exception] = []
    run(graph(), registry=Registry(), beside=again)
    code, (line,) = explain(failures[0])
    assert code == 2
    assert "127.0.0.1:" in line


def test_a_failure_while_running_ends_with_1_and_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    async def die(handle: GraphHandle) -> None:
        raise ValueError("a\nfault")

    with pytest.raises(SystemExit) as ended:
        run(graph(), log="", registry=Registry(), beside=die)
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("failed: ValueError: a fault (test_run.py:")


def test_without_structlog_the_extra_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "structlog", None)
    with pytest.raises(SystemExit) as ended:
        run(graph(), registry=Registry())
    assert ended.value.code == 2
    assert "pip install 'tierkit[log]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (GraphError(["a: b", "c: d"]), 2, ["a: b", "c: d"]),
        (ListenError("port taken"), 2, ["port taken"]),
        (ExceptionGroup("x", [ExceptionGroup("y", [ListenError("port taken")])]), 2, ["port taken"]),
        (ExceptionGroup("x", [ListenError("a"), UpstreamError("u", "b")]), 1, ["a", "upstream u: b"]),
        (ExceptionGroup("x", [TierkitError("a"), TierkitError("a")]), 1, ["a"]),
        (TierkitError("two\nlines\x1b"), 1, ["two lines\\x1b"]),
        (OSError(errno.EMFILE, "Too many"), 1, [f"failed: OSError: [Errno {errno.EMFILE}] Too many"]),
        (KeyError(), 1, ["failed: KeyError"]),
    ],
)
def test_explain(error: Exception, code: int, lines: list[str]) -> None:
    assert explain(error) == (code, lines)


def test_ready_lines_are_for_started_tiers_alone() -> None:
    addresses = (Address.parse("rtmps://[::1]:443"), Address.parse("http+unix:/run/x"))
    assert ready_lines(TierStarted(tier="r", addresses=addresses)) == [
        "ready r rtmps [::1]:443",
        "ready r http unix:/run/x",
    ]
    assert ready_lines(Event(tier="r")) == []
