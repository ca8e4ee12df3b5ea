"""The root of all events, and the fields in which they hold addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, TypeVar

from attrs import NOTHING, evolve, field, fields, frozen

__all__ = ["Event", "peer_field"]

EventT = TypeVar("EventT", bound="Event")


def peer_field(default: Any = NOTHING) -> Any:
    """A field that may hold somebody's address: no other does, so that it can be told in part or not at all."""
    return field(default=default, metadata={"address": True})


@frozen(kw_only=True)
class Event:
    """The root of all events.  `tier` is the tier's name, empty for what concerns the whole process.

    Addresses of viewers and publishers stand in fields called `peer`, or marked by ``metadata={"address": True}``, and
    nowhere else: a `text` takes them from there.
    """

    #: How urgent it is: "warning" is for the morning, "error" for the night.
    level: ClassVar[Literal["info", "warning", "error"]] = "info"

    tier: str = ""

    def masked(self: EventT, show: Callable[[str], str]) -> EventT:
        """The event as it may be told where `show` says how much of an address may be."""
        told = {
            each.name: show(value)
            for each in fields(type(self))
            if (each.name == "peer" or "address" in each.metadata)
            and isinstance(value := getattr(self, each.name), str)
        }
        return evolve(self, **told) if told else self

    @property
    def text(self) -> str:
        """One line for a person."""
        return type(self).__name__
