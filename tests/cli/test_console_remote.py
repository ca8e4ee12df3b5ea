"""`tierkit console`: a graph on two machines, on one page; the machines are two addresses of this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from tierkit import Address, Edge, Graph, GraphError, Origin
from tierkit._cli_console import addresses_of

from ..core.fakes import Echo
from ..ports import free_port

ROOT = Path(__file__).parent.parent.parent
GRAPH = """
import os
from tierkit import Graph, Relay
from tierkit.plugins.rtmp import RTMP

graph = Graph.of(
    Relay("relay-a", site="dc-a", host="127.0.0.1", listen="rtmp://127.0.0.1:0", serves=RTMP()),
    Relay("relay-b", site="dc-b", host="127.0.0.2", listen="rtmp://127.0.0.2:0", serves=RTMP()),
    control=os.environ.get("CONTROL", "0.0.0.0:{port}"),
)
"""


def edges(*hosts: str, control: str | None) -> Graph:
    origin = Origin("o", "http://o")
    several = (Edge(f"e{n}", host=host, listen=":80", upstream=origin, serves=Echo()) for n, host in enumerate(hosts))
    return Graph.of(*several, control=control)


def test_each_host_has_the_control_address_of_all() -> None:
    graph = edges("a1.example", "b1.example", "a1.example", control="http://0.0.0.0:9000")
    assert addresses_of(graph) == [Address.parse("http://a1.example:9000"), Address.parse("http://b1.example:9000")]


def test_one_that_is_somewhere_is_there() -> None:
    assert addresses_of(edges("a1.example", control=":9000")) == [Address.parse("http://127.0.0.1:9000")]


def test_none_is_one_line() -> None:
    with pytest.raises(GraphError, match="no control address to ask"):
        addresses_of(edges("a1.example", control=None))


@contextmanager
def child(*words: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A command that runs, and its first line; it is asked to end, and ends in order."""
    command = [sys.executable, "-m", "tierkit", *words]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def states(page: str) -> dict[str, str]:
    with urlopen(f"{page}statistics", timeout=10) as answer:
        return {name: tier["state"] for name, tier in json.load(answer)["tiers"].items()}


def test_two_machines_on_one_page(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "graph.py"
    file.write_text(GRAPH.format(port=port))
    with ExitStack() as stack:
        for host in ("127.0.0.1", "127.0.0.2"):
            _, line = stack.enter_context(child("run", str(file), "--host", host, CONTROL=f"{host}:{port}"))
            assert line.startswith("ready relay-")
        _, line = stack.enter_context(child("console", str(file), "--listen", f"127.0.0.1:{free_port()}"))
        assert line.startswith("console http://127.0.0.1:")
        page = line.partition(" ")[2]
        until = time.monotonic() + 20
        while states(page) != {"relay-a": "running", "relay-b": "running"}:
            assert time.monotonic() < until, states(page)
            time.sleep(0.2)
        with urlopen(page, timeout=10) as answer:
            assert b"tierkit" in answer.read()
        with urlopen(f"{page}metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        assert 'tier="relay-a"' in metrics
        assert 'tier="relay-b"' in metrics
        time.sleep(1.5)
        with urlopen(f"{page}history?seconds=60", timeout=10) as answer:
            assert set(json.load(answer)["tiers"]) == {"relay-a", "relay-b"}
