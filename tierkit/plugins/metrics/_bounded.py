"""Few names out of many: what keeps the number of series bounded, and every counter from going back.

Names of streams come from the network, and words of strangers' services from strangers.  Each new one would be a series
that Prometheus keeps for as long as its disk does, so a tier has `MAX_STREAMS` names, and the others are told together
as ``other``.

What is told together must not go back either, though streams come and go there, and change places with those that have
a name.  So it is no sum over those who are there: it grows by what each has grown since the last look.  A stream that
gets a name of its own takes nothing away with it, and one that ends leaves what it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

__all__ = ["MAX_LENGTH", "MAX_STREAMS", "MAX_WORDS", "OTHER", "Streams", "Words", "number", "spelt"]

#: Streams of a tier that have series of their own.
MAX_STREAMS: Final = 200
#: Reasons, results and kinds that a tier may tell in one metric.
MAX_WORDS: Final = 24
#: Characters of a name or a word; longer ones are told with the others.
MAX_LENGTH: Final = 128
#: What stands for the others.
OTHER: Final = "other"

_COUNTERS: Final = ("bytes_in", "bytes_out")


def number(value: object) -> float | None:
    """A number of the statistics, or None for what is none."""
    return value if isinstance(value, (int, float)) else None


def spelt(name: object) -> str:
    """A name as a label's value: what is no Unicode text (half of a surrogate pair) is a question mark."""
    return str(name).encode("utf-8", "replace").decode()


class Streams:
    """Which streams of one tier have a name.

    One that has, keeps it for as long as it is there: a series that comes and goes says nothing.  It gives its place up
    for one that is watched, and only while it is neither watched nor on the air itself.
    """

    def __init__(self, limit: int = MAX_STREAMS) -> None:
        self._limit = limit
        self._named: set[str] = set()
        self._seen: dict[str, dict[str, float]] = {}
        #: What those without a name have had, all told; None before there was one.
        self._others: dict[str, float] | None = None

    def look(self, told: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
        """The streams that a tier tells of, by the names that they have here."""
        streams = _by_name(told)
        self._choose(streams)
        unnamed = [name for name in streams if name not in self._named]
        found: dict[str, Mapping[str, Any]] = {name: streams[name] for name in streams if name in self._named}
        if unnamed:
            self._others = self._others or dict.fromkeys(_COUNTERS, 0.0)
        if self._others is not None:
            for key in _COUNTERS:
                self._others[key] += sum(self._grown(name, key, streams[name][key]) for name in unnamed)
            found[OTHER] = {**self._others, "viewers": sum(streams[name]["viewers"] for name in unnamed)}
        self._seen = {name: {key: each[key] for key in _COUNTERS} for name, each in streams.items()}
        return found

    def _grown(self, name: str, key: str, now: float) -> float:
        before = self._seen.get(name, {}).get(key, 0.0)
        return now - before if now >= before else now  # it began anew

    def _choose(self, streams: Mapping[str, Mapping[str, Any]]) -> None:
        self._named &= streams.keys()
        waiting = sorted(
            (name for name in streams if name not in self._named and name != OTHER and len(name) <= MAX_LENGTH),
            key=lambda name: (-streams[name]["viewers"], not streams[name]["on_air"], name),
        )
        free = self._limit - len(self._named)
        self._named.update(waiting[:free])
        idle = sorted(name for name in self._named if not streams[name]["viewers"] and not streams[name]["on_air"])
        for name, gone in zip(waiting[free:], idle, strict=False):
            if not streams[name]["viewers"]:
                break
            self._named.remove(gone)
            self._named.add(name)


def _by_name(told: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What is told, complete; two services that tell of one name differently are added up."""
    streams: dict[str, dict[str, Any]] = {}
    for each in told:
        figures: dict[str, Any] = {key: number(each.get(key)) or 0 for key in ("viewers", *_COUNTERS)}
        same = streams.get(name := spelt(each.get("name", "")))
        if same is not None:
            figures = {key: value + same[key] for key, value in figures.items()}
        on_air = bool(each.get("on_air")) or (same is not None and same["on_air"])
        streams[name] = {**figures, "on_air": on_air}
    return streams


class Words:
    """Which words of one metric of one tier have a name: those that came first, for good."""

    def __init__(self, limit: int = MAX_WORDS) -> None:
        self._limit = limit
        self._named: set[str] = set()

    def look(self, told: Mapping[str, Any]) -> dict[str, float]:
        """The values by the words that they have here."""
        found: dict[str, float] = {}
        for word, value in sorted((spelt(word), number(value)) for word, value in told.items()):
            if value is None:
                continue
            if word not in self._named and len(self._named) < self._limit and len(word) <= MAX_LENGTH:
                self._named.add(word)
            name = word if word in self._named else OTHER
            found[name] = found.get(name, 0.0) + value
        return found
