"""What a switch is, and how a rule is taken out wherever it is held."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FunctionType, ModuleType
from typing import Any

from attrs import field, frozen

#: A place, "package.module:Name.attribute", and what is put there instead.
Off = dict[str, Any]


@frozen(kw_only=True)
class Switch:
    """One rule, and the tests that notice when it does not hold.

    Args:
        rule: what holds, in one sentence.
        source: who says so: a section of an RFC, or the software in which its absence was seen.
        off: what is put in the rule's place: code that a careless author could have written, never nonsense, for
            what a `TypeError` breaks proves nothing.
        tests: node ids without the leading "tests/"; each must fail in at least one of its cases.
    """

    rule: str = field()
    source: str = ""
    off: Off
    tests: tuple[str, ...]

    @rule.validator
    def _one_line(self, _attribute: object, rule: str) -> None:
        assert rule, "a switch says what holds"
        assert "\n" not in rule, f"{rule!r} is more than one line"

    @contextmanager
    def thrown(self) -> Iterator[None]:
        """While this lasts, the rule does not hold."""
        with ExitStack() as back:
            for place, instead in self.off.items():
                _replace(place, instead, back)
            yield


def _replace(place: str, instead: Any, back: ExitStack) -> None:
    module, path = place.split(":")
    holder: Any = importlib.import_module(module)
    *classes, name = path.split(".")
    for each in classes:
        holder = getattr(holder, each)
    old = inspect.getattr_static(holder, name)
    _assert_fits(place, old, instead)
    if isinstance(holder, ModuleType):
        for other in _ours():
            _replace_in(other, name, old, instead, back)
    else:
        setattr(holder, name, instead)
        back.callback(setattr, holder, name, old)


def _ours() -> list[ModuleType]:
    """The modules that may hold it: the project's, and the tests that call it by its name."""
    return [
        module
        for name, module in sys.modules.items()
        if name.partition(".")[0] in ("tierkit", "tests") and not name.startswith("tests.switches")
    ]


def _replace_in(module: ModuleType, name: str, old: Any, new: Any, back: ExitStack) -> None:
    """Wherever a module imported it, and in the tables that it was put into."""
    for key, value in list(vars(module).items()):
        if key == name and (value is old or (not callable(old) and type(value) is type(old) and value == old)):
            setattr(module, key, new)
            back.callback(setattr, module, key, old)
        elif not callable(old):
            continue
        elif isinstance(value, list) and any(each is old for each in value):
            whole = list(value)
            value[:] = [new if each is old else each for each in value]
            back.callback(value.__setitem__, slice(None), whole)
        elif isinstance(value, tuple) and any(each is old for each in value):
            setattr(module, key, tuple(new if each is old else each for each in value))
            back.callback(setattr, module, key, value)
        elif isinstance(value, dict) and any(each is old for each in value.values()):
            kept = dict(value)
            value.update({at: new for at, each in kept.items() if each is old})
            back.callback(value.update, kept)


def _assert_fits(place: str, old: Any, new: Any) -> None:
    """A function stands for a function of as many arguments: else every test would fail, and none for the rule."""
    old, new = (getattr(each, "__func__", each) for each in (old, new))
    if isinstance(old, FunctionType) and isinstance(new, FunctionType):
        assert _takes(new) == _takes(old), f"{place} takes {_takes(old)}, and what stands for it {_takes(new)}"
        assert inspect.iscoroutinefunction(new) == inspect.iscoroutinefunction(old), f"{place}: async or not?"


def _takes(function: Callable[..., Any]) -> list[tuple[str, bool]]:
    """Names of keyword-only arguments, and how many there are by position."""
    kinds = inspect.signature(function).parameters.values()
    named = sorted(each.name for each in kinds if each.kind is each.KEYWORD_ONLY)
    by_place = sum(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in kinds)
    return [(f"{by_place} by position", True), *((name, False) for name in named)]
