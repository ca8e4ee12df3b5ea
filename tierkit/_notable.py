"""What a process remembers of its own events: the last of them, and how many viewers were refused, dropped or failed.

For whoever looks at a process rather than at its log: the console, `tierkit top`, a scraper.  Events are rare by
contract, so counting here costs nobody anything.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from attrs import define, field

from ._because import word_of
from ._events import ConnectionFailed, Dropped, Event, Refused, ViewerJoined, ViewerLeft
from ._masking import mask

__all__ = ["Notable", "Tally"]

#: Events that are remembered: what fits on two screens.
KEPT = 50
#: Characters of one: a stranger's name may be in it.
LONGEST = 500


@define
class Tally:
    """Of one tier: how many were closed, were refused and failed so far, by the word for the reason."""

    drops: Counter[str] = field(factory=Counter)
    refusals: Counter[str] = field(factory=Counter)
    failures: Counter[str] = field(factory=Counter)


@define
class _Told:
    at: float
    event: Event
    times: int = 1


class Notable:
    """The last events that are not viewers coming and going, and the tallies of all tiers."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}
        self._told: dict[tuple[object, ...], _Told] = {}

    def tally(self, tier: str) -> Tally:
        """The tally of one tier."""
        return self._tallies.setdefault(tier, Tally())

    def note(self, event: Event, at: float) -> None:
        """Take an event; `at` is wall time.  What repeats takes the place of the last such, and is counted."""
        if isinstance(event, Dropped):
            self.tally(event.tier).drops[word_of(event.reason)] += 1
        elif isinstance(event, Refused):
            self.tally(event.tier).refusals[word_of(event.reason)] += event.count
        elif isinstance(event, ConnectionFailed):
            self.tally(event.tier).failures[word_of(event.reason)] += 1
        elif isinstance(event, (ViewerJoined, ViewerLeft)):
            return
        key = _key(event)
        before = self._told.pop(key, None)
        self._told[key] = _Told(at, event, before.times + 1 if before is not None else 1)
        if len(self._told) > KEPT:
            del self._told[next(iter(self._told))]

    def events(self, addresses: str) -> list[dict[str, Any]]:
        """What is remembered, newest last, as plain values; `addresses` says how much of one is told (see `mask`)."""
        show = partial(mask, how=addresses)
        return [
            {
                "at": each.at,
                "tier": each.event.tier,
                "level": each.event.level,
                "kind": type(each.event).__name__,
                "text": each.event.masked(show).text[:LONGEST],
                "times": each.times,
            }
            for each in self._told.values()
        ]


def _key(event: Event) -> tuple[object, ...]:
    # By the word where there is one: sentences with numbers in them would never repeat.
    reason = getattr(event, "reason", "")
    word = word_of(reason) if isinstance(reason, str) else ""
    same = reason if word == "other" else word
    return (type(event), event.tier, getattr(event, "stream", ""), getattr(event, "upstream", ""), same)
