"""The command line called in this process, with what would run caught instead of run."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import define, field
from typer.testing import CliRunner

import tierkit
from tierkit import Graph
from tierkit._cli_app import app


@define
class Outcome:
    """How a command ended: its exit code and its lines."""

    code: int
    out: list[str]
    err: list[str]


@define
class Caught:
    """What `tierkit.run` was called with instead of running."""

    graphs: list[Graph] = field(factory=list)
    options: list[dict[str, Any]] = field(factory=list)

    @property
    def graph(self) -> Graph:
        (graph,) = self.graphs
        return graph


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> Caught:
    found = Caught()

    def run(graph: Graph, **options: Any) -> None:
        found.graphs.append(graph)
        found.options.append(options)

    monkeypatch.setattr(tierkit, "run", run)
    return found


def tierkit_(*arguments: object) -> Outcome:
    """Call the command line; whatever it raises beyond an exit is the test's failure."""
    result = CliRunner(env={"TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "200"}).invoke(app, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout.splitlines(), result.stderr.splitlines())
