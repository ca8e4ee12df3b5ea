"""The verdicts on the suite's tests, and the list of reasons: without the suite."""

from __future__ import annotations

from collections import Counter

import pytest

from .cache_suite.judge import Case, Verdict, judged, merged
from .cache_suite.reasons import EXPECTED, REASONS

SETUP, RETRY, WRONG = ("Setup", "Response 1 status is 502, not 200"), ("Setup", "retry"), ("Assertion", "it is stale")


def case(
    name: str, result: bool | tuple[str, str] | None, kind: str = "required", *on: str, browser: bool = False
) -> Case:
    return Case(name, name, "group", "Group", kind, on, browser, result)


@pytest.mark.parametrize(
    ("kind", "result", "verdict"),
    [
        ("required", True, Verdict.PASS),
        ("required", WRONG, Verdict.FAIL),
        ("required", ("FetchError", "connection reset"), Verdict.FAIL),
        ("optimal", True, Verdict.PASS),
        ("optimal", WRONG, Verdict.OPTIONAL_FAIL),
        ("check", True, Verdict.YES),
        ("check", WRONG, Verdict.NO),
        ("required", SETUP, Verdict.SETUP_FAIL),
        ("check", SETUP, Verdict.SETUP_FAIL),
        ("optimal", RETRY, Verdict.RETRY),
        ("required", None, Verdict.UNTESTED),
    ],
)
def test_a_verdict_is_of_the_kind_and_the_result(
    kind: str, result: bool | tuple[str, str] | None, verdict: Verdict
) -> None:
    assert judged([case("a", result, kind)]) == {"a": verdict}


@pytest.mark.parametrize(
    ("kind", "result"), [("required", WRONG), ("check", WRONG), ("optimal", WRONG), ("required", SETUP)]
)
def test_what_builds_on_what_does_not_pass_is_not_judged(kind: str, result: bool | tuple[str, str] | None) -> None:
    cases = [case("a", result, kind), case("b", True, "required", "a"), case("c", SETUP, "check", "b")]
    verdicts = judged(cases)
    assert (verdicts["b"], verdicts["c"]) == (Verdict.DEPENDENCY_FAIL, Verdict.DEPENDENCY_FAIL)


def test_what_builds_on_a_yes_or_a_pass_is_judged() -> None:
    cases = [case("a", True, "check"), case("b", True, "optimal"), case("c", WRONG, "required", "a", "b")]
    assert judged(cases)["c"] is Verdict.FAIL


def test_browsers_have_tests_of_their_own() -> None:
    assert judged([case("a", None, browser=True)]) == {}


def test_an_unknown_kind_is_told() -> None:
    with pytest.raises(ValueError, match="kind of test that is new: 'vital'"):
        judged([case("a", True, "vital")])


def test_the_second_result_counts() -> None:
    first = [case("a", WRONG), case("b", True), case("c", WRONG)]
    assert judged(merged(first, [case("a", True), case("c", SETUP)])) == {
        "a": Verdict.PASS,
        "b": Verdict.PASS,
        "c": Verdict.SETUP_FAIL,
    }


def test_a_case_is_read_as_it_is_told() -> None:
    told = {"id": "a", "name": "n", "group": "g", "title": "t", "kind": "check", "depends_on": ["b"]}
    told |= {"browser_only": False, "result": ["Setup", "retry"]}
    assert Case.of(told) == Case("a", "n", "g", "t", "check", ("b",), False, RETRY)


def test_each_test_has_one_reason() -> None:
    named = Counter(test for reason in REASONS for test in reason.tests)
    assert named.most_common(1)[0][1] == 1
    assert Verdict.PASS not in EXPECTED.values()
