"""The suite of cache-tests.fyi through `tierkit edge hls` as a plain HTTP cache: what does not pass has its reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from attrs import frozen

from . import cache_suite
from .cache_suite.judge import Case, Verdict, judged
from .cache_suite.reasons import EXPECTED
from .hls_origins import open_edge
from .npm import installed_or_skipped

pytestmark = [pytest.mark.real("node", "npm"), pytest.mark.timeout(400)]


@frozen
class Run:
    """What the suite has found, and what the edge logged meanwhile."""

    cases: dict[str, Case]
    log: list[str]


async def through_an_edge(suite: Path, origin: int, log: Path) -> list[Case]:
    # Heuristic freshness is off by default; the suite looks whether it is done well.
    async with open_edge(f"http://127.0.0.1:{origin}", log, "policy=rfc9111", "heuristic=0.1") as edge:
        return await trio.to_thread.run_sync(cache_suite.run, suite, edge)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    suite = installed_or_skipped(cache_suite.HERE)
    log = tmp_path_factory.mktemp("suite") / "edge.log"
    with cache_suite.origin(suite) as origin:
        cases = trio.run(through_an_edge, suite, origin, log)
    return Run({case.id: case for case in cases}, log.read_text().splitlines())


@pytest.mark.parametrize("kind", ["required", "optimal"])
def test_what_does_not_pass_is_what_has_a_reason(kind: str, run: Run) -> None:
    """No more, and no less: what begins to pass leaves the list, and the page that is made of it."""
    verdicts = judged(run.cases.values())
    found = {
        test: verdict
        for test, verdict in verdicts.items()
        if run.cases[test].kind == kind and verdict is not Verdict.PASS
    }
    expected = {test: verdict for test, verdict in EXPECTED.items() if run.cases[test].kind == kind}
    odd = {test for test, _ in found.items() ^ expected.items()}
    assert found == expected, {test: (verdicts[test], run.cases[test].result) for test in odd}


def test_it_is_the_whole_suite(run: Run) -> None:
    verdicts = judged(run.cases.values())
    assert {run.cases[test].kind for test in EXPECTED} == {"required", "optimal"}
    assert Verdict.UNTESTED not in verdicts.values()
    assert len(verdicts) == 329


def test_the_edge_logs_no_fault(run: Run) -> None:
    """What the origin does wrong on purpose is a warning."""
    assert [line for line in run.log if " info " not in line and " warning " not in line] == []
