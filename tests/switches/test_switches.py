"""Every switch of the list has its effect: CI throws them all."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys

import pytest
from hypothesis import is_hypothesis_test

from tests.codecs.test_http1 import LENIENT, REFUSED

from .rules import GROUPS
from .rules.hostile import chunks, heads
from .switch import Switch

EVERY = [each for group in GROUPS.values() for each in group]


@pytest.fixture(scope="session")
def without_effect() -> dict[str, list[str]]:
    """In a process of its own: rules are taken out of modules that the other tests use."""
    command = [sys.executable, "-m", "tests.switches"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=400, env={**os.environ})
    assert ended.stdout.startswith("{"), ended.stderr[-3000:]
    told: dict[str, list[str]] = json.loads(ended.stdout)
    return told


@pytest.mark.timeout(420)
@pytest.mark.parametrize("switch", EVERY, ids=lambda switch: switch.rule[:70])
def test_without_the_rule_its_tests_fail(switch: Switch, without_effect: dict[str, list[str]]) -> None:
    assert without_effect.get(switch.rule, []) == []


def test_every_head_and_chunk_that_must_be_refused_has_a_rule_of_its_own() -> None:
    named = {test for each in EVERY for test in each.tests}
    assert {*heads(*REFUSED), *chunks(*LENIENT)} - named == set()


def test_no_rule_depends_on_chance() -> None:
    """What Hypothesis finds follows from the source of all that is imported: an edit elsewhere would blind the test."""
    for test in {test for each in EVERY for test in each.tests}:
        path, _, name = test.partition("::")
        module = importlib.import_module(f"tests.{path.removesuffix('.py').replace('/', '.')}")
        assert not is_hypothesis_test(getattr(module, name.partition("[")[0])), test


def test_every_rule_is_named_once() -> None:
    rules = [each.rule for each in EVERY]
    assert sorted(set(rules)) == sorted(rules)
