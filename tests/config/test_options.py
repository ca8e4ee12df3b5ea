"""Options of a recipe from names and values: types, units, defaults, and names that nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs
import pytest

from tierkit.config import closest, parse_options
from tierkit.plugin import Recipe, option
from tierkit.plugins.hls import HLS

if TYPE_CHECKING:
    from nowhere import Unknown


@attrs.frozen
class Plain(Recipe):
    name: ClassVar[str] = "plain"

    size: int = option(1 << 20, "A size.", minimum=1024, unit="bytes")
    pause: float = option(1.0, "A time.", unit="s")
    loud: bool = option(False, "A switch.")
    names: tuple[str, ...] = option((), "Several.")
    mood: str = option("calm", "One of some.", choices=("calm", "wild"))


@attrs.frozen
class Demanding(Recipe):
    name: ClassVar[str] = "demanding"

    key: str = option(attrs.NOTHING, "It must be given.")
    shout: str = option("", "Made large.", converter=str.upper)
    odd: int = attrs.field(default=1)

    @odd.validator
    def _odd(self, attribute: object, value: int) -> None:
        if value % 2 == 0:
            raise ValueError("odd is even:\ngive 1, 3 or 5")


@attrs.frozen
class Vague(Recipe):
    """Its types exist for type checkers alone."""

    name: ClassVar[str] = "vague"

    thing: Unknown | None = option(None, "A thing.")
    count: Unknown = option(3, "A number.")


def test_texts_become_a_recipe() -> None:
    recipe, problems = parse_options(Plain, ["size=2MiB", "pause=1m30s", "loud=yes", "names=a,b", "mood=wild"])
    assert problems == []
    assert recipe == Plain(size=2 << 20, pause=90.0, loud=True, names=("a", "b"), mood="wild")


def test_none_given_means_the_defaults() -> None:
    assert parse_options(Plain, []) == (Plain(), [])


def test_a_dash_is_as_good_as_an_underscore_and_values_may_hold_equals_signs() -> None:
    assert parse_options(HLS, ["cache-bytes=64MiB"])[0] == HLS(cache_bytes=64 << 20)
    assert parse_options(Demanding, ["key=a=b="])[0] == Demanding(key="a=b=")


def test_every_problem_is_told_at_once() -> None:
    recipe, problems = parse_options(Plain, ["sise=1", "loud", "pause=soon", "pause=2", "=x", "zzz=1"])
    assert recipe is None
    assert problems == [
        "option 'loud' has no value: write NAME=VALUE",
        "option pause is given twice: once is enough",
        "option '=x' has no value: write NAME=VALUE",
        "option 'sise' is unknown: did you mean 'size'?",
        "option pause='soon' is of the wrong kind: give a time such as 2s, 500ms or 1m30s",
        "option 'zzz' is unknown: choose among size, pause, loud, names, mood",
    ]


def test_a_range_is_for_the_check_to_tell() -> None:
    recipe, problems = parse_options(Plain, ["size=1", "mood=sad"])
    assert problems == []
    assert recipe is not None
    assert recipe.problems() == [
        "option size=1 is too small: give at least 1024 bytes",
        "option mood='sad': choose one of 'calm', 'wild'",
    ]


def test_what_must_be_given_and_what_a_recipe_refuses_itself() -> None:
    assert parse_options(Demanding, []) == (None, ["option key is missing: give it"])
    assert parse_options(Demanding, ["key=k", "odd=2"]) == (None, ["options do not fit: odd is even: give 1, 3 or 5"])
    assert parse_options(Demanding, ["key=k", "shout=loud"])[0] == Demanding(key="k", shout="LOUD")


def test_types_that_cannot_be_looked_up_are_those_of_the_defaults() -> None:
    assert parse_options(Vague, ["thing=x", "count=4"])[0] == Vague(thing="x", count=4)
    assert parse_options(Vague, ["count=x"])[1] == ["option count='x' is of the wrong kind: give a whole number"]


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("cache_byts", ["cache_bytes", "cors"], "did you mean 'cache_bytes'?"),
        ("zzz", ["cache_bytes", "cors"], "choose among cache_bytes, cors"),
        ("zzz", [], "there is none to choose"),
    ],
)
def test_what_may_have_been_meant(name: str, known: list[str], said: str) -> None:
    assert closest(name, known) == said
