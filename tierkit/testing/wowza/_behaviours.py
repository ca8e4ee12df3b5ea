"""What the stand-in does, and how we know that Wowza does it: the register that keeps it honest.

Whatever the stand-in shows is a `Behaviour`, made once by `as_recorded`, `as_documented` or `as_assumed`, in the
module that has a table of them (`_shown_hls.py` and its kin).  Code refers to the value: an answer over HTTP cannot
be made without one (`_reply.py`), everything else says ``@BEHAVIOUR.shown``.  So something without a tag does not
pass the type checker, and one that no code refers to fails a test.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

from attrs import field, frozen

__all__ = ["Behaviour", "Tag", "as_assumed", "as_documented", "as_recorded", "assumed", "behaviours"]

F = TypeVar("F", bound=Callable[..., Any])


class Tag(StrEnum):
    """How a behaviour is known."""

    #: Somebody recorded it of a real server.
    recorded = "recorded"
    #: The vendor's text says so.
    documented = "documented"
    #: Neither: our reading, third parties' words, or what had to be chosen.
    assumed = "assumed"


@frozen(eq=False)
class Behaviour:
    """One thing that the stand-in shows."""

    #: ``area-what``; unique.
    name: str
    tag: Tag
    #: One line, without a full stop.
    text: str
    #: Where it is known from: tags of the list of sources on the stand-in's page; for an assumed one, why it is so.
    source: str
    #: The qualified names of the functions that show it.
    places: list[str] = field(factory=list, repr=False)

    def shown(self, function: F) -> F:
        """Marks the function that shows it."""
        self.places.append(f"{function.__module__}.{function.__qualname__}")
        return function

    def __str__(self) -> str:
        return f"{self.tag}  {self.name}: {self.text} ({self.source})"


_register: dict[str, Behaviour] = {}


def _registered(name: str, tag: Tag, text: str, source: str) -> Behaviour:
    if name in _register:
        raise ValueError(f"the behaviour {name} is registered already")
    if not text or not source or "\n" in text + source:
        raise ValueError(f"the behaviour {name} needs a text and a source, one line each")
    made = _register[name] = Behaviour(name, tag, text, source)
    return made


def as_recorded(name: str, text: str, source: str) -> Behaviour:
    """Register what was recorded of a real server.  Raises ValueError for a name that is taken, or no source."""
    return _registered(name, Tag.recorded, text, source)


def as_documented(name: str, text: str, source: str) -> Behaviour:
    """Register what the vendor's text says."""
    return _registered(name, Tag.documented, text, source)


def as_assumed(name: str, text: str, source: str) -> Behaviour:
    """Register what nobody has recorded: `source` says why it is so all the same."""
    return _registered(name, Tag.assumed, text, source)


def behaviours(tag: Tag | None = None) -> tuple[Behaviour, ...]:
    """Every behaviour that is registered, or those with one tag, by name."""
    return tuple(each for _, each in sorted(_register.items()) if tag is None or each.tag is tag)


def assumed() -> list[str]:
    """What the stand-in shows and nobody has recorded or documented: a line each, to be printed."""
    return [f"{each.name}: {each.text} ({each.source})" for each in behaviours(Tag.assumed)]
