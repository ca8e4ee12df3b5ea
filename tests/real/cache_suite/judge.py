"""What the suite's results mean, by its own rules (those that cache-tests.fyi shows)."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen


class Verdict(enum.Enum):
    """What a test has found out."""

    PASS = "pass"
    #: A `required` test: the cache does what the RFC forbids, or not what it demands.
    FAIL = "fail"
    #: An `optimal` test: the cache does less than it might.
    OPTIONAL_FAIL = "optional fail"
    #: A `check`: what the cache does, where both are right.
    YES = "yes"
    NO = "no"
    #: It did not come so far: what it builds on did not happen.
    SETUP_FAIL = "setup fail"
    #: The same; the origin was asked the same thing twice.
    RETRY = "retry"
    #: Another one that it builds on does not pass.
    DEPENDENCY_FAIL = "dependency fail"
    UNTESTED = "untested"


@frozen
class Case:
    """A test of the suite with its result: True, or the kind of error and its message; None where it was not run."""

    id: str
    name: str
    group: str
    title: str
    kind: str
    depends_on: tuple[str, ...]
    browser_only: bool
    result: bool | tuple[str, str] | None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Case:
        """A test as `client.mjs` tells it."""
        result = told["result"]
        result = tuple(result) if isinstance(result, list) else result
        return cls(**{**told, "depends_on": tuple(told["depends_on"]), "result": result})


def merged(first: Iterable[Case], second: Iterable[Case]) -> list[Case]:
    """The cases of the first run, with the second one's in the place of those that were run again."""
    again = {case.id: case for case in second}
    return [again.get(case.id, case) for case in first]


def judged(cases: Iterable[Case]) -> dict[str, Verdict]:
    """The verdict on each test that a cache on a server can be put to, by the test's id."""
    every = {case.id: case for case in cases}
    return {case.id: _verdict(case, every) for case in every.values() if not case.browser_only}


def _verdict(case: Case, every: Mapping[str, Case]) -> Verdict:
    if case.result is None:
        return Verdict.UNTESTED
    if any(_verdict(every[each], every) not in (Verdict.PASS, Verdict.YES) for each in case.depends_on):
        return Verdict.DEPENDENCY_FAIL
    if isinstance(case.result, tuple) and case.result[0] == "Setup":
        return Verdict.RETRY if case.result[1] == "retry" else Verdict.SETUP_FAIL
    passed = case.result is True
    match case.kind:
        case "required":
            return Verdict.PASS if passed else Verdict.FAIL
        case "optimal":
            return Verdict.PASS if passed else Verdict.OPTIONAL_FAIL
        case "check":
            return Verdict.YES if passed else Verdict.NO
        case other:
            raise ValueError(f"the suite has a kind of test that is new: {other!r}")
