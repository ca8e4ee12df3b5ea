"""The how-tos of recording and of HLS out of a relay: their graphs are graphs, their names come out as they say."""

from __future__ import annotations

import re
import runpy
from datetime import UTC, datetime
from pathlib import Path

import pytest

import tierkit
from tierkit import Graph, check
from tierkit.config import load_graph
from tierkit.events import Recorded
from tierkit.plugins.package import Package
from tierkit.plugins.record import Record
from tierkit.plugins.record._names import file_name, template_problem
from tierkit.plugins.rtmp import RTMP

HOW_TO = Path(__file__).parent.parent.parent / "docs" / "how-to"
RECORD, PACKAGE = (HOW_TO / "record.md").read_text(), (HOW_TO / "relay-hls.md").read_text()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def graph_of(source: str, tmp_path: Path) -> Graph:
    path = tmp_path / "page.py"
    path.write_text(source)
    graph = runpy.run_path(str(path))["graph"]
    assert isinstance(graph, Graph)
    return graph


def test_the_graphs_can_run(tmp_path: Path) -> None:
    recording = graph_of(blocks(RECORD, "python")[0], tmp_path)
    packaging = graph_of(blocks(PACKAGE, "python")[0], tmp_path)
    assert check(recording) == check(packaging) == []
    assert recording["relay"].serves == (RTMP(), Record(folder="/var/rec", streams=("live/*",)))
    assert packaging["relay"].serves == (RTMP(), Package(always=("live/hall",)))


def test_toml_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "g.toml"
    path.write_text(blocks(RECORD, "toml")[0])
    graph = load_graph(path)
    assert check(graph) == []
    assert graph["relay"].serves == graph_of(blocks(RECORD, "python")[0], tmp_path)["relay"].serves


def test_names_are_as_the_page_says() -> None:
    start = datetime(2026, 3, 1, 9, tzinfo=UTC)
    name = "/".join(file_name(Record().file, tier="relay", stream="/live/hall", start=start))
    assert f"/var/rec/{name}" in RECORD
    (template,) = re.findall(r'"(\{start.*?)"', RECORD)
    assert template_problem(template) == ""
    assert file_name(template, tier="relay", stream="/live/hall", start=start)[:3] == ("2026", "03", "01")


def test_the_observer_prints_what_is_recorded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (source,) = [each for each in blocks(RECORD, "python") if "Recorded" in each]
    monkeypatch.setattr(tierkit, "run", lambda graph, observers: observers[0](graph))
    exec(source, {"graph": Recorded(stream="/live/s", file="/var/rec/s.flv", seconds=5.0, bytes=7)})
    assert capsys.readouterr().out == "/live/s /var/rec/s.flv 5.0 7\n"
