"""The registry: every plugin by itself, its promises looked at, its failures named, and the others none the worse."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import attrs
import pytest

from tierkit import Registry
from tierkit.errors import PluginError
from tierkit.plugin import Companion, ControlAnswer, ControlRequest, ControlRoute, hookimpl

from .plugins import AUTHORISER, BAD, GOOD, HEAD, service


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.py"
    path.write_text(GOOD)
    return path


def only(*files: Path) -> Registry:
    return Registry.load(files, installed=False)


def reasons(registry: Registry) -> list[str]:
    return [str(each) for each in registry.failures]


def test_a_file_brings_its_service_and_source(good: Path) -> None:
    registry = only(good)
    assert reasons(registry) == []
    assert list(registry.services()) == ["gopher"]
    assert list(registry.sources()) == ["burrow"]
    (info,) = registry.plugins()
    assert (info.name, info.where, info.services, info.sources) == ("good", str(good), ("gopher",), ("burrow",))
    assert info.hooks == ("tierkit_services", "tierkit_sources")
    assert info.provides == ("service gopher", "source burrow")
    assert registry.origin_of("service", "gopher") == f"good ({good})"
    with pytest.raises(KeyError):
        registry.origin_of("service", "badger")


def test_a_file_brings_its_authoriser(good: Path, tmp_path: Path) -> None:
    file = tmp_path / "doors.py"
    file.write_text(AUTHORISER)
    registry = only(good, file)
    assert reasons(registry) == []
    assert list(registry.authorisers()) == ["door"]
    assert registry.plugins()[1].provides == ("authoriser door",)
    assert registry.plugins()[1].authorisers == ("door",)
    assert registry.origin_of("authoriser", "door") == f"doors ({file})"
    door = registry.authorisers()["door"](names=("/a",))  # type: ignore[call-arg]
    assert pickle.loads(pickle.dumps(door)) == door


def test_recipes_of_a_file_are_values_like_any_other(good: Path) -> None:
    gopher = only(good).services()["gopher"]
    recipe = gopher(depth=4)  # type: ignore[call-arg]
    assert recipe == gopher(depth=4)  # type: ignore[call-arg]
    assert hash(recipe) == hash(gopher(depth=4))  # type: ignore[call-arg]
    assert pickle.loads(pickle.dumps(recipe)) == recipe
    assert attrs.evolve(recipe, depth=10).problems() == ["option depth=10 is too large: give at most 9 m"]  # type: ignore[misc]


@pytest.mark.parametrize("wrong", BAD)
def test_what_is_wrong_with_a_plugin_is_told_in_one_line_and_the_others_live(
    wrong: str, tmp_path: Path, good: Path
) -> None:
    source, expected = BAD[wrong]
    bad = tmp_path / "bad.py"
    bad.write_text(source)
    modules = set(sys.modules)

    registry = only(bad, good)

    (failure,) = registry.failures
    assert failure.plugin == "bad"
    assert "\n" not in str(failure)
    for each in expected:
        assert each in str(failure)
    assert registry.failure_of("bad") is failure
    # Nothing of it has stayed, and the other is whole.
    assert [info.name for info in registry.plugins()] == ["good"]
    assert list(registry.services()) == ["gopher"]
    assert registry.companions() == []
    assert not {each for each in set(sys.modules) - modules if "_bad_" in each and "load" in expected[0]}


def test_a_file_that_is_not_there_or_is_no_python(tmp_path: Path) -> None:
    text = tmp_path / "plugin.txt"
    text.write_text("hello")
    registry = only(tmp_path / "missing.py", text)
    assert reasons(registry) == [
        f"plugin missing: there is no file {tmp_path / 'missing.py'}: give the path of a Python file",
        f"plugin plugin: {text} is no Python file: its name must end in .py",
    ]


def test_the_first_of_two_services_of_one_name_stays(good: Path, tmp_path: Path) -> None:
    second = tmp_path / "second.py"
    second.write_text(service("    name = 'gopher'\n"))
    registry = only(good, second)
    assert reasons(registry) == [f"plugin second: service 'gopher' is already there from good ({good}): rename it"]
    assert registry.services()["gopher"].schemes == ("gopher",)


def test_the_first_of_two_plugins_of_one_name_stays(good: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    second = tmp_path / "other" / "good.py"
    second.write_text(service())
    registry = only(good, second)
    assert reasons(registry) == [f"plugin good: is here twice: the one from {good} stays, rename {second}"]
    # Two files of one name are two modules: the first one's classes can still be found by pickle.
    gopher = registry.services()["gopher"]
    assert pickle.loads(pickle.dumps(gopher())) == gopher()


def test_the_same_file_again_changes_nothing(good: Path) -> None:
    registry = only(good, good)
    registry.load_file(str(good))
    assert reasons(registry) == []
    assert len(registry.plugins()) == 1


def test_a_service_and_a_source_may_share_a_name(tmp_path: Path) -> None:
    path = tmp_path / "both.py"
    path.write_text(GOOD.replace('"burrow"', '"gopher"'))
    registry = only(path)
    assert reasons(registry) == []
    assert list(registry.services()) == list(registry.sources()) == ["gopher"]


def test_what_the_program_has_in_hand_can_be_added() -> None:
    class Mine:
        @hookimpl
        def tierkit_observers(self) -> list[object]:
            return [print]

    registry = Registry()
    registry.add("mine", Mine())
    assert registry.observers() == [print]
    assert registry.plugins()[0].where == "given by the program"


async def _answer(request: ControlRequest) -> ControlAnswer:
    return ControlAnswer()


class Aside(Companion):
    def open(self, handle: object) -> object:  # type: ignore[override]
        raise NotImplementedError


def test_one_bad_implementation_of_a_hook_does_not_stop_the_others() -> None:
    class Bad:
        @hookimpl
        def tierkit_observers(self) -> list[object]:
            raise RuntimeError("no observers today")

        @hookimpl
        def tierkit_companions(self) -> list[object]:
            return ["me"]

        @hookimpl
        def tierkit_control_routes(self) -> list[object]:
            return [_answer]

        @hookimpl
        def tierkit_commands(self) -> object:
            return 7

    route = ControlRoute("GET", "/x", _answer)
    aside = Aside()

    class Good:
        @hookimpl
        def tierkit_observers(self) -> list[object]:
            return [print]

        @hookimpl
        def tierkit_companions(self) -> list[object]:
            return [aside]

        @hookimpl
        def tierkit_control_routes(self) -> list[object]:
            return [route]

    registry = Registry()
    registry.add("bad", Bad())
    registry.add("good", Good())
    for _ in range(2):  # asked twice, it is told once
        assert registry.observers() == [print]
        assert registry.companions() == [aside]
        assert registry.control_routes() == [route]
        assert registry.commands() == []
    assert reasons(registry) == [
        "plugin bad: tierkit_observers raised RuntimeError: no observers today",
        "plugin bad: tierkit_companions gave 'me', which is not a Companion",
        f"plugin bad: tierkit_control_routes gave {str(_answer)[:77]}, which is not a ControlRoute",
        "plugin bad: tierkit_commands gave 7: return a list",
    ]


def test_the_order_is_the_order_of_loading(tmp_path: Path) -> None:
    files = []
    for name in "cab":
        path = tmp_path / f"{name}.py"
        path.write_text(HEAD + f"@hookimpl\ndef tierkit_observers():\n    return [lambda event: {name!r}]\n")
        files.append(path)
    registry = only(*files)
    assert [info.name for info in registry.plugins()] == ["c", "a", "b"]
    assert [each(None) for each in registry.observers()] == ["c", "a", "b"]  # type: ignore[arg-type, func-returns-value]


def test_mappings_cannot_be_written(good: Path) -> None:
    registry = only(good)
    with pytest.raises(TypeError):
        registry.services()["x"] = registry.services()["gopher"]  # type: ignore[index]


def test_a_keyboard_interrupt_is_nobodys_failure(tmp_path: Path) -> None:
    path = tmp_path / "impatient.py"
    path.write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        only(path)


def test_failures_can_be_pickled(tmp_path: Path) -> None:
    (failure,) = only(tmp_path / "missing.py").failures
    again = pickle.loads(pickle.dumps(failure))
    assert isinstance(again, PluginError)
    assert str(again) == str(failure)
