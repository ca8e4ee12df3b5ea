"""`python -m tierkit run` as a process: a mistake is one line on standard error and exit code 2."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
GRAPH = """\
from tierkit import Edge, Graph, Origin
from tierkit.plugins.hls import HLS

origin = Origin("origin", "http://127.0.0.1:9")
graph = Graph.of(
    Edge("a", upstream=origin, listen="127.0.0.1:0", serves=HLS()),
    Edge("b", upstream=origin, listen="127.0.0.1:PORT", serves=HLS()),
)
"""
TOML = """\
[origin.studio]
address = "http://127.0.0.1:9"

[edge.a]
listen = "127.0.0.1:0"
upstream = "studio"
serves = { plugin = "hls" }
"""


def run(path: Path) -> tuple[int, str, list[str]]:
    """Exit code, standard output, and the lines of standard error."""
    found = subprocess.run(
        [sys.executable, "-m", "tierkit", "run", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    return found.returncode, found.stdout, found.stderr.splitlines()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "graph.py"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path.write_text(GRAPH.replace("PORT", str(port)))
        code, out, err = run(path)
    # Nothing is said to be ready that will not stay.
    assert (code, out) == (2, "")
    (line,) = err
    assert line.startswith(f"b: http://127.0.0.1:{port} is already taken: stop the other program")


@pytest.mark.parametrize(
    ("right", "wrong", "number", "said"),
    [
        ("upstream=origin, listen=\"127.0.0.1:0\"", "upstream=orgin, listen=\"127.0.0.1:0\"", 6, "name 'orgin'"),
        ("import Edge, Graph", "import Egde, Graph", 1, "cannot import name 'Egde'"),
        ("serves=HLS()),\n    Edge", "serves=HLS(),\n    Edge", 5, "'(' was never closed"),
        ("HLS()),\n    Edge", "HLS(cache_byte=1)),\n    Edge", 6, "cache_byte"),
        ("\"a\", upstream", "\"a\", upsteam", 6, "upsteam"),
        ("upstream=origin, listen=\"127.0.0.1:0\"", "upstream=\"origin\", listen=\"127.0.0.1:0\"", 6, "origin"),
        ("http://127.0.0.1:9", "http://127.0.0.1:99999", 4, "99999"),
    ],
)  # fmt: skip
def test_a_graph_file_with_a_typing_error(tmp_path: Path, right: str, wrong: str, number: int, said: str) -> None:
    assert GRAPH.count(right) == 1
    path = tmp_path / "graph.py"
    path.write_text(GRAPH.replace("PORT", "0").replace(right, wrong))
    code, out, err = run(path)
    assert (code, out) == (2, "")
    (line,) = err
    assert line.startswith(f"{path}:{number}: "), line
    assert said in line


@pytest.mark.parametrize(
    ("right", "wrong", "start", "said"),
    [
        ('listen = "127.0.0.1:0"', 'listen = "127.0.0.1:0', "{path}:5: ", ""),
        ("upstream =", "upsteam =", "{path}:6: a: ", "did you mean 'upstream'?"),
        ('upstream = "studio"', 'upstream = "stduio"', "{path}:6: a: ", "did you mean 'studio'?"),
        ('plugin = "hls"', 'plugin = "hsl"', "{path}:7: a: ", "did you mean 'hls'?"),
    ],
)
def test_a_toml_file_with_a_typing_error(tmp_path: Path, right: str, wrong: str, start: str, said: str) -> None:
    assert TOML.count(right) == 1
    path = tmp_path / "graph.toml"
    path.write_text(TOML.replace(right, wrong))
    code, out, err = run(path)
    assert (code, out) == (2, "")
    (line,) = err
    assert line.startswith(start.format(path=path)), line
    assert said in line


def test_no_file(tmp_path: Path) -> None:
    code, out, err = run(tmp_path / "none.py")
    assert (code, out) == (2, "")
    (line,) = err
    assert "none.py" in line
