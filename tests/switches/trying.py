"""Throw switch after switch within one run of pytest, and tell of each named test how it ended."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import Factory, define

from .switch import Switch

#: A test that only the clock ends has not noticed anything; seconds.
PATIENCE = 20
#: Exceptions of a replacement that does not fit: what they break would break for anything put there.
UNFIT = (TypeError, AttributeError, NameError, ImportError)


@define(eq=False)
class Trial:
    """A plugin of pytest which runs, for each switch, the tests that it names while it is thrown."""

    switches: list[Switch]
    #: By switch, in their order: what is wrong with it, line by line.
    wrong: list[list[str]] = Factory(list)
    _ended: pytest.CallInfo[None] | None = None

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        for switch in self.switches:
            with switch.thrown():
                self.wrong.append([f"{test}: {how}" for test in switch.tests if (how := self._how(session, test))])
        return True

    def _how(self, session: pytest.Session, test: str) -> str:
        """Why a test is no witness, or ""; the first of its cases that fails is one."""
        node = f"tests/{test}"
        cases = [item for item in session.items if item.nodeid == node or item.nodeid.startswith(f"{node}[")]
        how = "no such test"
        for item in cases:
            if not (how := self._tried(item)):
                break
        return how

    def _tried(self, item: pytest.Item) -> str:
        self._ended = None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        if self._ended is None:
            return "did not get as far as to be called"
        if self._ended.excinfo is None:
            return "passes without the rule"
        return next(filter(None, map(_unfit, _leaves(self._ended.excinfo.value))), "")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Iterator[None]:  # type: ignore[misc]
        if call.when == "call":
            self._ended = call
        return (yield)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _unfit(error: BaseException) -> str:
    if isinstance(error, UNFIT) or isinstance(error.__cause__, UNFIT):
        return f"fails for what was put in the rule's place: {error!r}"
    if isinstance(error, pytest.skip.Exception):
        return f"skipped: {error}"
    if isinstance(error, pytest.fail.Exception) and str(error).startswith("Timeout"):
        return "ends only when time is up"
    return ""


def attempt(switches: list[Switch]) -> list[list[str]]:
    """What is wrong with each switch: nothing where every test that it names fails.

    Raises:
        AssertionError: pytest could not collect what they name; with what it said.
    """
    os.environ["HYPOTHESIS_PROFILE"] = "unshrunk"
    named = sorted({f"tests/{test.partition('[')[0]}" for switch in switches for test in switch.tests})
    # What a test that is torn off mid-air leaves behind is its own matter.
    without = ("cacheprovider", "faulthandler", "unraisableexception", "threadexception")
    options = ["-q", f"--timeout={PATIENCE}", "--tb=no", *(word for name in without for word in ("-p", f"no:{name}"))]
    trial, said = Trial(switches), io.StringIO()
    root = Path(__file__).parents[2]
    with contextlib.chdir(root), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        pytest.main([f"--rootdir={root}", *options, *named], plugins=[trial])
    assert len(trial.wrong) == len(switches), said.getvalue()[-3000:]
    return trial.wrong
