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
    assert [node.name for node in graph] == ["wowza", "backup", "studio", "cdn", "edge-a1", "youtube", "relay-a"]
    assert check(graph) == []


def test_every_key_of_a_node_is_on_the_page(tmp_path: Path) -> None:
    path = tmp_path / "g.toml"
    for kind in ("origin", "edge", "relay", "restream"):
        path.write_text(f"[{kind}.x]\nzzzzzz = 1\n")
        with pytest.raises(GraphError) as caught:
            load_graph(path)
        known = caught.value.problems[0].partition("choose among ")[2].split(", ")
        assert len(known) > (4 if kind == "restream" else 7)
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `[{kind}.NAME]`"))
        own = [key for key in known if f"`{key}`" in row]
        rest = next(line for line in PAGE.splitlines() if line.startswith("| `[origin.NAME]`"))
        assert all(f"`{key}`" in row + rest for key in known)
        assert own


def test_the_pages_about_restreaming_are_one_graph(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "how-to" / "restream.md").read_text()
    spelt = dict(re.findall(r"```(python|toml)\n(.*?)```", page.partition("## ")[0], re.DOTALL))
    for kind, name in (("python", "g.py"), ("toml", "g.toml")):
        (tmp_path / name).write_text(spelt[kind])
    found = load_graph(tmp_path / "g.py")
    assert found["relay"] == load_graph(tmp_path / "g.toml")["relay"]
    assert check(found) == []
