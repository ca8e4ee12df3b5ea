"""A graph in a thread of its own, beside a program that knows nothing of trio: real sockets, plain threads."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tierkit import Graph, GraphError, ListenError, TierkitError
from tierkit._background import BackgroundHandle, background
from tierkit._registry import Registry
from tierkit.events import TierStarted, TierStopped

from .fakes import Record
from .rig import edge


def graph(**changes: Any) -> Graph:
    return Graph.of(edge(listen="127.0.0.1:0", **changes))


def ask(handle: BackgroundHandle, line: str) -> str:
    (address,) = handle.addresses("e")
    with socket.create_connection((address.host, address.dial_port), timeout=20) as client:
        client.sendall(line.encode() + b"\n")
        return client.makefile().readline().rstrip()


@pytest.fixture
def threads() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [each.name for each in set(threading.enumerate()) - before if each.name == "tierkit"]
    assert not left


@pytest.mark.usefixtures("threads")
class TestBackground:
    def test_it_serves_while_the_block_lasts(self) -> None:
        record = Record()
        with background(graph(), registry=Registry(), observers=[record]) as handle:
            assert handle.ready
            assert len(record.of(TierStarted)) == 1
            assert ask(handle, "hello") == "hello"
            assert handle.url("e", "/a").startswith("http://127.0.0.1:")
            assert json.dumps(handle.statistics())
        assert record.of(TierStopped) == [TierStopped(tier="e")]
        with pytest.raises(TierkitError, match="use its handle only inside the with block"):
            handle.addresses("e")

    def test_the_handle_may_be_used_from_any_thread(self) -> None:
        answers: list[str] = []
        with background(graph(), registry=Registry()) as handle:
            several = [threading.Thread(target=lambda: answers.append(ask(handle, "hello"))) for _ in range(5)]
            for each in several:
                each.start()
            for each in several:
                each.join()
        assert answers == ["hello"] * 5

    def test_a_wrong_name_is_the_callers_mistake_and_ends_nothing(self) -> None:
        with background(graph(), registry=Registry()) as handle:
            with pytest.raises(KeyError):
                handle.addresses("nobody")
            assert ask(handle, "hello") == "hello"

    def test_a_graph_that_cannot_run_is_raised_at_the_door(self) -> None:
        with (
            pytest.raises(GraphError, match="an edge has nothing of its own"),
            background(graph(upstream=()), registry=Registry()),
        ):
            raise AssertionError("not reached")

    def test_so_is_a_port_that_is_taken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            listener = f"127.0.0.1:{port}"
            refused = pytest.raises(ListenError, match=f"^e: .*{port}")
            with refused, background(Graph.of(edge(listen=listener)), registry=Registry()):
                raise AssertionError("not reached")

    def test_the_blocks_own_exception_is_raised_after_the_drain(self) -> None:
        record = Record()
        with pytest.raises(ZeroDivisionError), background(graph(), registry=Registry(), observers=[record]):
            raise ZeroDivisionError
        assert record.of(TierStopped) == [TierStopped(tier="e")]

    def test_a_failure_while_it_runs_is_raised_when_the_block_ends(self) -> None:
        died = pytest.RaisesExc(RuntimeError, match="the background has died")
        with pytest.RaisesGroup(died, flatten_subgroups=True), background(graph(), registry=Registry()) as handle:
            assert ask(handle, "die") == ""
            with pytest.raises(TierkitError, match="failed: RuntimeError: the background has") as caught:  # noqa: PT012
                while True:  # the connection ends a moment before the graph
                    handle.addresses("e")
            assert isinstance(caught.value.__cause__, ExceptionGroup)
