"""From `handle.statistics()` to values with labels: what one scrape tells.

Nothing here knows a protocol, nor whether the tiers run in this process or in processes of their own: it walks the
statistics by the table, and takes what is there.  What is not there is not told: no figure is a zero because nobody
knows it.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tierkit import __version__

from ._bounded import Streams, Words, number, spelt
from ._table import TABLE, Metric, Of

__all__ = ["STATES", "Collector", "Samples"]

#: What a tier can be; "down" is one whose process has ended, "unknown" one that has not told yet.
STATES: Final = ("starting", "running", "draining", "stopped", "down", "unknown")
#: In these a tier tells of what is now; in the others it has told of what was.
_TELLING: Final = frozenset({"running", "draining", "stopped"})
_BY_OF: Final[dict[Of, tuple[Metric, ...]]] = {
    of: tuple(each for each in TABLE if each.of == of) for of in dict.fromkeys(each.of for each in TABLE)
}
#: What is told of a tier that does not tell itself.
_OF_A_SILENT_ONE: Final = frozenset({"tierkit_tier_info", "tierkit_tier_state"})

_Labels = tuple[str, ...]
#: By metric, its values by its labels' values; that of a histogram is its mapping, that of an info its texts.
Samples = dict[str, dict[_Labels, Any]]


class Collector:
    """What is remembered from scrape to scrape: which streams and words have names.  One for each graph."""

    def __init__(self) -> None:
        self._streams: dict[str, Streams] = {}
        self._words: dict[tuple[str, _Labels], Words] = {}

    def collect(self, statistics: Mapping[str, Any]) -> Samples:
        """Everything that one scrape tells, in the order of the table."""
        found: Samples = {each.name: {} for each in TABLE}
        for of, labels, told in _things(statistics):
            silent = of == "tier" and told["state"] not in _TELLING
            for metric in _BY_OF[of]:
                if not silent or metric.name in _OF_A_SILENT_ONE:
                    self._take(found[metric.name], metric, labels, told)
        for tier, labels, streams in _streams(statistics):
            names = self._streams.setdefault(tier, Streams())
            for name, told in names.look(streams).items():
                for metric in _BY_OF["stream"]:
                    self._take(found[metric.name], metric, (*labels, name), _stream(told))
        return {name: values for name, values in found.items() if values}

    def _take(self, into: dict[_Labels, Any], metric: Metric, labels: _Labels, told: Mapping[str, Any]) -> None:
        value = _at(told, metric.key)
        if metric.kind in ("info", "histogram"):
            if isinstance(value, Mapping) and (metric.kind == "info" or {"count", "sum", "buckets"} <= value.keys()):
                into[labels] = value
        elif metric.more and isinstance(value, Mapping):
            words = self._words.setdefault((metric.name, labels), Words())
            for word, amount in words.look(value).items():
                into[*labels, word] = amount
        elif not metric.more and (plain := number(value)) is not None:
            # Two that are alike, such as two doors of one address, are told together.
            into[labels] = into.get(labels, 0.0) + plain


def _at(told: Mapping[str, Any], key: str) -> Any:
    """What stands at ``a.b`` of nested mappings; None where there is nothing."""
    value: Any = told
    for part in key.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _things(statistics: Mapping[str, Any]) -> Iterator[tuple[Of, _Labels, Mapping[str, Any]]]:
    """All that metrics are told of but streams: what it is, the values of its labels, and what is told."""
    process = statistics.get("process", {})
    build = {"version": __version__, "python": platform.python_version()}
    yield "graph", (), {"build": build, "ready": process.get("ready")}
    yield "process", ("",), _process(process)
    for name, child in statistics.get("processes", {}).items():
        yield "child", (name,), child
        if child.get("alive"):
            yield "process", (name,), _process(child)
    for name, tier in statistics.get("tiers", {}).items():
        labels = (name, _site(tier))
        yield "tier", labels, _tier(tier)
        if tier.get("state") not in _TELLING:
            continue
        for service, figures in _mapping(tier, "figures_by_service").items():
            yield "service", (*labels, spelt(service)), _service(figures, pulls=bool(_listed(tier, "upstreams")))
        for each in _listed(tier, "traffic"):
            yield "traffic", (*labels, spelt(each.get("protocol", "")), spelt(each.get("scheme", ""))), each
        for each in _listed(tier, "upstreams"):
            yield "upstream", (*labels, spelt(each.get("name", ""))), each
        for each in _listed(tier, "certificates"):
            yield "certificate", (*labels, spelt(each.get("address", "")), spelt(each.get("file", ""))), each


def _streams(statistics: Mapping[str, Any]) -> Iterator[tuple[str, _Labels, Sequence[Mapping[str, Any]]]]:
    for name, tier in statistics.get("tiers", {}).items():
        if tier.get("state") in _TELLING:
            yield name, (name, _site(tier)), _listed(tier, "streams")


def _listed(tier: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    found = tier.get(key)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, (list, tuple)) else ()


def _mapping(told: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = told.get(key)
    return found if isinstance(found, Mapping) else {}


def _site(tier: Mapping[str, Any]) -> str:
    return spelt(tier.get("site", ""))


def _process(told: Mapping[str, Any]) -> Mapping[str, Any]:
    descriptors = _mapping(told, "descriptors")
    used = {kind: descriptors[kind] for kind in ("connections", "memfds") if kind in descriptors}
    return {**told, "descriptors_used": used}


def _service(figures: Mapping[str, Any], *, pulls: bool) -> Mapping[str, Any]:
    """A service's figures, apart: those that mean something only where there is a ring, or an upstream."""
    fans_out = "ring" in _mapping(figures, "memory")
    return {**figures, "fanout": figures if fans_out else None, "pulling": figures if pulls else None}


def _stream(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """A stream, without the bytes that its service does not count: a cache knows what it sends of a stream, at most."""
    if told["bytes_in"]:
        return told
    return {**told, "bytes_in": None, "bytes_out": told["bytes_out"] or None}


def _tier(told: Mapping[str, Any]) -> Mapping[str, Any]:
    state = told.get("state")
    state = state if state in STATES else "unknown"
    streams = _listed(told, "streams")
    return {
        **told,
        "state": state,
        "states": {each: float(each == state) for each in STATES},
        "info": {"role": spelt(told.get("role", ""))},
        "streams_known": len(streams),
        "streams_on_air": sum(bool(each.get("on_air")) for each in streams),
    }
