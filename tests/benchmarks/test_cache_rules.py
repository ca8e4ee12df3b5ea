"""The table of caches that `cache_rules.py` makes, and the page that it goes into; the suite itself is not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks._compare import write_between
from benchmarks._rules import SCRIPT, counts, main, table
from tests.real.cache_suite.judge import Case, Verdict

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "http-conformance.md"
WRONG, SETUP = ("Assertion", "it is stale"), ("Setup", "it was not stored")


def case(name: str, group: str, kind: str, result: bool | tuple[str, str] | None, browser: bool = False) -> Case:
    return Case(name, name, group, group.title(), kind, (), browser, result)


def test_what_is_required_is_passed_failed_or_not_judged() -> None:
    verdicts = [Verdict.PASS, Verdict.PASS, Verdict.FAIL, Verdict.SETUP_FAIL, Verdict.RETRY, Verdict.DEPENDENCY_FAIL]
    assert counts(verdicts, "required") == "2 / 1 / 3"


def test_what_is_optimal_is_there_or_not() -> None:
    assert counts([Verdict.PASS, Verdict.OPTIONAL_FAIL, Verdict.SETUP_FAIL], "optimal") == "1 of 3"
    assert counts([], "optimal") == counts([], "required") == ""


def test_the_table_has_groups_that_count_and_their_sum() -> None:
    def cases(result: bool | tuple[str, str]) -> list[Case]:
        return [
            case("a", "age", "required", True),
            case("b", "age", "required", result),
            case("c", "vary", "optimal", result),
            case("d", "pragma", "check", result),
            case("e", "age", "required", None, browser=True),
        ]

    assert table({"tierkit": cases(True), "varnish": cases(SETUP)}).splitlines() == [
        "| tests | tierkit, required | tierkit, optimal | Varnish, required | Varnish, optimal |",
        "|---|---|---|---|---|",
        "| Age | 2 / 0 / 0 |  | 1 / 0 / 1 |  |",
        "| Vary |  | 1 of 1 |  | 0 of 1 |",
        "| **all** | 2 / 0 / 0 | 1 of 1 | 1 / 0 / 1 | 0 of 1 |",
    ]
    assert "| **all** | 1 / 1 / 0 | 0 of 1 |" in table({"nginx": cases(WRONG)})


def test_the_page_has_a_place_for_the_table() -> None:
    assert "new" in write_between(PAGE.read_text(), "new", SCRIPT)


def test_unknown_caches_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main("", ["--peers", "nginx,squid"])
    assert "there is no 'squid'" in capsys.readouterr().err
