"""What a run looks like while it lasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import asdict, frozen

__all__ = ["Live", "Watching", "merged"]


@frozen(kw_only=True)
class Live:
    """The last second, and what has come of the run so far; every second one."""

    #: Seconds since the first viewer was let in, and seconds that the run takes.
    elapsed: float = 0.0
    total: float = 0.0
    #: Viewers that have come so far, of how many.
    viewers: int = 0
    expected: int = 0
    #: Media since the last one, in 10**9 bits a second.
    gbit_per_s: float = 0.0
    #: So far.
    bytes: int = 0
    stalls: int = 0
    stalled_viewers: int = 0
    starved_viewers: int = 0
    errors: int = 0
    #: Milliseconds that the slowest load process was late at most, and cores of all of them, since the last one.
    late_ms: float = 0.0
    cpu: float = 0.0
    processes: int = 1

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the keys are the fields."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Live:
        """The inverse of `as_dict`."""
        return cls(**found)


#: What is called with each.  It must not block, and may be called a last time at the end.
Watching = Callable[[Live], None]

_MOST = frozenset({"elapsed", "total", "late_ms"})


def merged(parts: Sequence[Live]) -> Live:
    """Of several processes with one ramp."""
    if not parts:
        return Live()
    values: dict[str, Any] = {}
    for name in asdict(parts[0]):
        each = [getattr(part, name) for part in parts]
        values[name] = max(each) if name in _MOST else sum(each)
    values["gbit_per_s"], values["cpu"] = round(values["gbit_per_s"], 6), round(values["cpu"], 3)
    return Live(**values)
