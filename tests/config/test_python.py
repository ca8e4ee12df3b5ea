"""Graphs from Python files: whatever goes wrong in one is a line with its place, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tierkit import Edge, Graph, GraphError, Origin
from tierkit.config import load_graph
from tierkit.plugins.hls import HLS

GOOD = """
from tierkit import Edge, Graph, Origin, run
from tierkit.plugins.hls import HLS

graph = Graph.of(Edge("e", listen=":80", upstream=Origin("o", "http://o"), serves=HLS()))

if __name__ == "__main__":
    run(graph)
"""


def test_the_graph_of_a_file_that_would_run_it(tmp_path: Path) -> None:
    path = tmp_path / "grnet.py"
    path.write_text(GOOD)
    expected = Graph.of(Edge("e", listen=":80", upstream=Origin("o", "http://o"), serves=HLS()))
    assert load_graph(path) == load_graph(str(path)) == expected


def test_modules_beside_it_can_be_imported_and_the_path_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "sites_of_ours.py").write_text("LISTEN = ':8080'\n")
    path = tmp_path / "graph.py"
    path.write_text("from sites_of_ours import LISTEN\n" + GOOD.replace('":80"', "LISTEN"))
    before = list(sys.path)
    graph = load_graph(path)
    assert str(graph["e"].listen[0].address) == ":8080"
    assert sys.path == before


MISTAKES = {
    "syntax": ("graph = Graph.of(\n", [":1: SyntaxError: '(' was never closed"]),
    "name": ("\n\ngraph = Grph.of()\n", [":3: NameError: name 'Grph' is not defined"]),
    "argument": (
        GOOD.replace("upstream=", "upsteam="),
        [":5: TypeError: Edge.__init__() got an unexpected keyword argument 'upsteam'"],
    ),
    "upstream by name": (
        GOOD.replace('Origin("o", "http://o")', '"o"'),
        [":5: upstream= and push= take origins and tiers themselves, no names: 'o' is none"],
    ),
    "address": (
        GOOD.replace('":80"', '":http"'),
        [":5: AddressError: address ':http' has an odd port: write a number from 0 to 65535"],
    ),
    "no graph": ("x = 1\n", [": there is no `graph`: write graph = Graph.of(...)"]),
    "no Graph": ("graph = 1\n", [": graph is a int, no Graph: write graph = Graph.of(...)"]),
    "another name": (GOOD.replace("graph =", "plan ="), [": there is no `graph`, but plan: rename it to graph"]),
    "exit": (
        "import sys\nsys.exit('bye')\n",
        [":2: the file ends the program: put what runs the graph under if __name__ == '__main__':"],
    ),
    "assertion": ("assert False\n", [":1: AssertionError"]),
    "several lines": ("raise ValueError('a\\nb')\n", [":1: ValueError: a b"]),
}


@pytest.fixture
def problems(tmp_path: Path) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        path = tmp_path / "g.py"
        path.write_text(text)
        with pytest.raises(GraphError) as caught:
            load_graph(path)
        return [each.removeprefix(str(path)) for each in caught.value.problems]

    return read


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(mistake: str, problems: Callable[[str], list[str]]) -> None:
    text, expected = MISTAKES[mistake]
    # Python 3.13 adds a guess of its own ("Did you mean ...?") to some of its messages.
    assert [each.partition(". Did you mean")[0] for each in problems(text)] == expected


def test_a_mistake_in_another_file_names_the_line_that_led_there(
    problems: Callable[[str], list[str]], tmp_path: Path
) -> None:
    (tmp_path / "helper_of_ours.py").write_text("\n\ndef build():\n    return 1 / 0\n")
    assert problems("import helper_of_ours\nhelper_of_ours.build()\n") == [":2: ZeroDivisionError: division by zero"]
    (tmp_path / "broken_of_ours.py").write_text("x = (\n")
    assert problems("import broken_of_ours\n") == [
        f"{tmp_path / 'broken_of_ours.py'}:1: SyntaxError: '(' was never closed"
    ]
