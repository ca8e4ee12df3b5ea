"""`tierkit run FILE`: which tiers run, with which plugins; and as a process, how it starts and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tierkit import __version__

from .support import Caught, tierkit_
from .support import caught as caught

GRAPH = """
from tierkit import Edge, Graph, Origin
from tierkit.plugins.hls import HLS
origin = Origin("origin", "http://127.0.0.1:9")
graph = Graph.of(
    Edge("a", site="dc-a", upstream=origin, listen="127.0.0.1:0", serves=HLS()),
    Edge("b", site="dc-b", host="127.0.0.2", upstream=origin, listen="127.0.0.2:0", serves=HLS()),
    Edge("c", site="dc-b", upstream=origin, listen="127.0.0.1:0", serves=HLS()),
)
if __name__ == "__main__":
    raise SystemExit("it was not meant to run")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "graph.py"
    path.write_text(GRAPH)
    return path


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((), ["a", "b", "c"]),
        (("--site", "dc-b"), ["b", "c"]),
        (("--site", "dc-b", "--host", "127.0.0.2"), ["b"]),
        (("--only", "a", "--only", "c"), ["a", "c"]),
    ],
)
def test_what_runs(caught: Caught, file: Path, words: tuple[str, ...], names: list[str]) -> None:
    outcome = tierkit_("run", file, *words)
    assert outcome.code == 0, outcome.err
    assert [node.name for node in caught.graph.running] == names


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--site", "dc-c"), "nothing in this graph runs by site 'dc-c': choose among dc-a, dc-b"),
        (("--only", "d"), "nothing in this graph runs by tier 'd': choose among a, b, c"),
        (("--site", "dc-a", "--only", "b"), "nothing in this graph runs by tier 'b': choose among a"),
    ],
)
def test_a_choice_of_nothing_ends_with_2(caught: Caught, file: Path, words: tuple[str, ...], line: str) -> None:
    outcome = tierkit_("run", file, *words)
    assert (outcome.code, outcome.err, caught.graphs) == (2, [line], [])


def test_toml_with_a_plugin_from_a_file(caught: Caught, tmp_path: Path) -> None:
    plugin = tmp_path / "yell.py"
    plugin.write_text(
        "from tierkit.plugin import hookimpl\n"
        "from tests.core.fakes import Echo\n"
        "@hookimpl\n"
        "def tierkit_services():\n"
        "    return [Echo]\n"
    )
    graph = tmp_path / "graph.toml"
    graph.write_text(
        '[origin.o]\naddress = "http://o"\n[edge.e]\nlisten = ":0"\nupstream = "o"\n'
        'serves = { plugin = "echo", limit = 3 }\n'
    )
    outcome = tierkit_("run", graph, "--plugin", plugin)
    assert outcome.code == 0, outcome.err
    assert caught.graph["e"].serves[0].limit == 3  # type: ignore[attr-defined]
    outcome = tierkit_("run", graph)
    assert outcome.code == 2
    assert "'echo'" in outcome.err[0]


def test_a_plugin_that_was_asked_for_and_fails_ends_with_2(caught: Caught, file: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "bad.py"
    plugin.write_text("x = 1\nraise ValueError('no\\nway')\n")
    outcome = tierkit_("run", file, "--plugin", plugin)
    assert (outcome.code, caught.graphs) == (2, [])
    assert outcome.err == [f"plugin bad: does not load: ValueError: no way ({plugin}:2)"]


def test_a_mistake_in_the_file_is_a_line_with_its_place(caught: Caught, tmp_path: Path) -> None:
    path = tmp_path / "graph.py"
    path.write_text("import os\ngraph = os.nothing\n")
    outcome = tierkit_("run", path)
    assert outcome.code == 2
    (line,) = outcome.err
    assert line.startswith(f"{path}:2: AttributeError: ")


def test_version() -> None:
    assert tierkit_("--version").out == [f"tierkit {__version__}"]


def process(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tierkit", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent.parent,
    )


def test_as_a_process_it_tells_ready_and_drains_at_sigterm(file: Path) -> None:
    with process("run", file, "--only", "a", "--log", "json") as running:
        assert running.stdout is not None
        word, name, scheme, address = running.stdout.readline().split()
        assert (word, name, scheme) == ("ready", "a", "http")
        assert address.startswith("127.0.0.1:")
        assert int(address.rpartition(":")[2])
        running.send_signal(signal.SIGTERM)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 0
    assert out == ""
    assert '"event": "TierStopped"' in err


def test_as_a_process_a_taken_port_ends_with_2() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with process("edge", "hls", "http://o", "--listen", f"127.0.0.1:{port}") as running:
            out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (2, "")
    assert f"127.0.0.1:{port} is already taken" in err
    assert "Traceback" not in err


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    # A module that cannot be imported stands in for one that is not installed.
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['typer'] = None\n")
    root = Path(__file__).parent.parent.parent
    found = subprocess.run(
        [sys.executable, "-m", "tierkit", "--version"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{root}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 2
    assert found.stderr == "the command line needs typer, which is not installed: pip install 'tierkit[cli]'\n"
