"""What is told of tiers to those who watch them: metrics."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tierkit.http import Request
from tierkit.plugins.metrics._bounded import MAX_LENGTH, OTHER, Streams, Words, spelt
from tierkit.plugins.metrics._collect import STATES

from ..switch import Switch

_COUNTERS: Final = ("bytes_in", "bytes_out")


def _added_up(self: Streams, told: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Those without a name as the sum over those who are there."""
    streams = {str(each["name"]): each for each in told}
    self._choose(streams)
    found: dict[str, Mapping[str, Any]] = {name: streams[name] for name in streams if name in self._named}
    others = [each for name, each in streams.items() if name not in self._named]
    return {**found, OTHER: {key: sum(each[key] for each in others) for key in ("viewers", *_COUNTERS)}}


def _most_watched(self: Streams, streams: Mapping[str, Mapping[str, Any]]) -> None:
    """The most watched of now have names."""
    self._named = set(sorted(streams, key=lambda name: -streams[name]["viewers"])[: self._limit])


def _whoever(self: Streams, streams: Mapping[str, Mapping[str, Any]]) -> None:
    """Whatever a stream is called, it may have a name."""
    self._named = set(list(streams)[: self._limit])


def _any_word(self: Words, told: Mapping[str, Any]) -> dict[str, float]:
    """Each word has a name."""
    return {spelt(word): value for word, value in told.items() if isinstance(value, (int, float))}


def _zeros(figures: Mapping[str, Any], *, pulls: bool) -> Mapping[str, Any]:
    """Every service has every figure."""
    return {**figures, "fanout": figures, "pulling": figures}


def _all_fields(request: Request) -> dict[str, str]:
    """A route gets what the control address got."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}


GROUPS: Final[dict[str, list[Switch]]] = {
    "Series": [
        Switch(
            rule="What is told together grows by what each has grown",
            source="a counter that goes back is a restart to rate()",
            off={"tierkit.plugins.metrics._bounded:Streams.look": _added_up},
            tests=(
                "metrics/test_bounded.py::test_one_that_gets_a_name_takes_nothing_from_the_others",
                "metrics/test_bounded.py::test_one_that_ends_frees_its_place_and_leaves_what_it_had_among_the_others",
            ),
        ),
        Switch(
            rule="A stream that has a name keeps it",
            source="series that come and go",
            off={"tierkit.plugins.metrics._bounded:Streams._choose": _most_watched},
            tests=("metrics/test_bounded.py::test_a_name_is_kept_while_others_are_watched_more",),
        ),
        Switch(
            rule=f"A name of more than {MAX_LENGTH} characters is no label, and `{OTHER}` is nobody's",
            source="names come from the network",
            off={"tierkit.plugins.metrics._bounded:Streams._choose": _whoever},
            tests=("metrics/test_bounded.py::test_a_stranger_cannot_be_the_others_nor_have_a_name_without_end",),
        ),
        Switch(
            rule="Words that become labels are few",
            source="words come from strangers' services",
            off={"tierkit.plugins.metrics._bounded:Words.look": _any_word},
            tests=("metrics/test_bounded.py::test_words_are_bounded_in_length_and_values_are_numbers",),
        ),
        Switch(
            rule="A tier that does not tell has its state alone",
            source="viewers of a process that is dead",
            off={"tierkit.plugins.metrics._collect:_TELLING": frozenset(STATES)},
            tests=("metrics/test_collect.py::test_one_that_does_not_tell_has_its_state_alone",),
        ),
        Switch(
            rule="What is not known is absent, not zero",
            source="the lag of a cache",
            off={"tierkit.plugins.metrics._collect:_service": _zeros},
            tests=(
                "metrics/test_collect.py::test_each_metric_is_what_the_statistics_say",
                "metrics/test_collect.py::test_who_has_no_upstream_has_no_figures_of_one",
            ),
        ),
    ],
    "The control address": [
        Switch(
            rule="What lets somebody in goes on to no plugin",
            source="credentials",
            off={"tierkit.plugins.control:_fields": _all_fields},
            tests=("plugins/test_control.py::test_a_route_is_given_the_fields_but_not_what_lets_in",),
        ),
    ],
}
