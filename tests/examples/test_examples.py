"""Every example starts and does what its docstring says; the long ones for a moment."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import ModuleType

import pytest
import trio

from tierkit import ListenError, check, open_graph
from tierkit.config import load_graph

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def get(url: str, timeout: float = 10) -> str:
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return str(answer.read().decode())


def until_there(url: str) -> str:
    """What a URL answers once it is no longer a 404: the signal has to reach the origin first."""
    for _ in range(100):
        try:
            return get(url, 30)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 404:
                raise
            time.sleep(0.2)
    raise AssertionError(f"{url} is still a 404")


@pytest.mark.parametrize("name", ["grnet", "two_levels", "inside_fastapi"])
def test_the_graph_of_each_example_passes_the_check(name: str) -> None:
    assert check(load_graph(EXAMPLES / f"{name}.py")) == []


def test_grnet_before_a_wowza_is_the_graph_of_the_readme() -> None:
    from tierkit import Origin
    from tierkit.plugins.wowza import Wowza

    graph = load("grnet").grnet(Origin("wowza", "wowza.example:1935", speaks=Wowza(app="live")))
    assert check(graph) == []
    assert [(node.name, node.site, node.role) for node in graph.running] == [
        ("edge-a1", "dc-a", "edge"),
        ("edge-a2", "dc-a", "edge"),
        ("edge-b1", "dc-b", "edge"),
        ("relay-a", "dc-a", "relay"),
    ]


@pytest.mark.timeout(120)
def test_grnet_shows_a_live_stream_a_page_and_a_table() -> None:
    """The README's first command, for as long as it takes to be watched."""
    command = [sys.executable, str(EXAMPLES / "grnet.py"), "--seconds", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "120"}) as process:
        assert process.stdout is not None
        lines: list[str] = []
        try:
            for line in process.stdout:
                lines.append(line.strip())
                if line.startswith("watch "):
                    break
            ready = [line.split() for line in lines if line.startswith("ready ")]
            names = [name for _, name, _, _ in ready]
            assert names == ["studio", "studio", "edge-a1", "edge-a2", "edge-b1", "relay-a"], lines
            word, console = process.stdout.readline().split()
            assert word == "console"
            assert "<title>tierkit console</title>" in get(console)
            assert json.loads(get(f"{console}history"))["tiers"].keys() == set(names)
            page = get(lines[-1].split()[1])
            urls = re.findall(r'data-src="(http://[^"]+)"', page)
            assert len(urls) == 3
            for url in urls:
                assert until_there(url).startswith("#EXTM3U")
            table = ""
            for line in process.stdout:
                table += line
                if "connections at studio" in line:
                    break
            assert "hit ratio" in table
            assert "edge-b1" in table
        finally:
            process.send_signal(signal.SIGINT)
            process.stdout.read()
        assert process.wait(timeout=60) == 0


@pytest.mark.timeout(120)
def test_an_edge_inside_a_trio_program() -> None:
    command = [sys.executable, str(EXAMPLES / "inside_trio.py"), "http://127.0.0.1:9"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(f"{url}/live/s/playlist.m3u8")
        assert caught.value.code == 502
        with caught.value as answer:
            assert "upstream origin" in answer.read().decode()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
        assert "edge: upstream origin" in told  # the program's own observer
        assert "Traceback" not in told


@pytest.mark.timeout(120)
def test_a_graph_inside_fastapi_under_uvicorn(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "inside_fastapi:app", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        base = ""
        for line in process.stderr:
            if match := re.search(r"running on (http://\S+)", line):
                base = match.group(1)
                break
        try:
            where = json.loads(get(f"{base}/where"))
            assert where["publish"].startswith("rtmp://127.0.0.1:")
            with pytest.raises(urllib.error.HTTPError) as caught:
                get(where["watch"], 30)
            caught.value.close()
            assert caught.value.code == 404
            figures = json.loads(get(f"{base}/figures"))
            assert figures["edge"]["requests"] >= 1
        finally:
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=60)
        assert "Application shutdown complete" in told
        assert process.returncode in (0, -signal.SIGTERM)  # uvicorn ends by the signal that it was sent


async def test_two_levels_runs_as_it_is_written() -> None:
    graph = load("two_levels").graph
    try:
        async with open_graph(graph, drain=0) as handle:
            assert [str(a) for a in handle.addresses("edge-3")] == ["http://127.0.0.1:8083"]
            assert handle.ready
            with trio.fail_after(10):
                done = await trio.to_thread.run_sync(get, "http://127.0.0.1:9000/readyz")
            assert "shield-2 running" in done
    except ListenError as error:
        pytest.skip(f"a port of this example is in use here: {error}")
