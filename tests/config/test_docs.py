"""The page about TOML is true: its example is a graph, and its mistakes are told as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tierkit import GraphError, check
from tierkit.config import load_graph

from ..registry.plugins import GOOD

PAGE = (Path(__file__).parent.parent.parent / "docs" / "reference" / "toml.md").read_text()
EXAMPLE = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_can_run(tmp_path: Path) -> None:
    assert EXAMPLE is not None
    (tmp_path / "my_plugin.py").write_text(GOOD)
    path = tmp_path / "g.toml"
    path.write_text(EXAMPLE.group(1))
    graph = load_graph(path)
    assert [node.name for node in graph] == ["wowza", "backup", "studio", "cdn", "edge-a1", "relay-a"]
    assert check(graph) == []


def test_every_key_of_a_node_is_on_the_page(tmp_path: Path) -> None:
    path = tmp_path / "g.toml"
    for kind in ("origin", "edge", "relay"):
        path.write_text(f"[{kind}.x]\nzzzzzz = 1\n")
        with pytest.raises(GraphError) as caught:
            load_graph(path)
        known = caught.value.problems[0].partition("choose among ")[2].split(", ")
        assert len(known) > 7
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `[{kind}.NAME]`"))
        own = [key for key in known if f"`{key}`" in row]
        rest = next(line for line in PAGE.splitlines() if line.startswith("| `[origin.NAME]`"))
        assert all(f"`{key}`" in row + rest for key in known)
        assert own
