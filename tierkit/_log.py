"""Events as log lines, by structlog: for people (text) or for machines (json).

One line an event.  What repeats within a second (same kind, tier and reason) is held back and counted, and
the count is told with the next line after that second, so that a flood of bad connections costs one line a
second and hides nothing.  Text from the network is told with its control characters spelt out: a stranger
must not be able to write log lines.

Addresses of viewers are told whole, truncated to their network, or not at all: events hold them in fields of their own
(`Event.masked`), so nothing has to be looked for in a text.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TextIO

import attrs

from . import _events as events
from ._address import Address
from ._masking import MASKS, TRUNCATED, mask
from ._visible import visible
from .errors import TierkitError

__all__ = ["LogObserver", "log_observer"]

#: Seconds within which the same thing is told once.
WINDOW = 1.0
#: Kinds of repeats remembered at once; beyond it the oldest is told and forgotten.
REMEMBERED = 1024

#: Streams are few, and each of their events matters; viewers are many, and told by tier.
_BY_STREAM = (
    events.PublisherJoined,
    events.PublisherLeft,
    events.Recorded,
    events.RecordingFailed,
    events.StreamEnded,
    events.StreamFault,
    events.StreamStarted,
)
_KEYED = ("reason", "upstream", "plugin", "task", "file", "address", "pattern", "by")


@attrs.define
class _Repeat:
    last: events.Event
    until: float
    held: int = 0


class LogObserver:
    """An observer that writes a line for each event; made by `log_observer`."""

    def __init__(self, write: Callable[[events.Event, int], None], clock: Callable[[], float]) -> None:
        self._write = write
        self._clock = clock
        self._repeats: dict[tuple[object, ...], _Repeat] = {}

    def __call__(self, event: events.Event) -> None:
        """Write the event, or count it where the same was told less than a second ago."""
        now = self._clock()
        self._tell_held(now)
        key = _key(event)
        repeat = self._repeats.get(key)
        if repeat is not None:
            repeat.held += 1
            repeat.last = event
            return
        if len(self._repeats) >= REMEMBERED:
            self._forget(next(iter(self._repeats)))
        self._repeats[key] = _Repeat(event, now + WINDOW)
        self._write(event, 1)

    def flush(self) -> None:
        """Write what is still held back; for the end of the process."""
        for key in list(self._repeats):
            self._forget(key)

    def _tell_held(self, now: float) -> None:
        # In order of time, since every entry has the same window.
        while self._repeats:
            key, oldest = next(iter(self._repeats.items()))
            if oldest.until > now:
                return
            del self._repeats[key]
            if oldest.held:
                self._repeats[key] = _Repeat(oldest.last, now + WINDOW)
                self._write(oldest.last, oldest.held)

    def _forget(self, key: tuple[object, ...]) -> None:
        repeat = self._repeats.pop(key)
        if repeat.held:
            self._write(repeat.last, repeat.held)


def log_observer(
    format: str = "text",
    stream: TextIO | None = None,
    *,
    addresses: str = TRUNCATED,
    sites: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> LogObserver:
    """An observer that logs each event, for `serve`, `open_graph` and `background`.

    Args:
        format: "text", a line for people, or "json", one object a line with the event's kind and fields.
        stream: where to; standard error by default.
        addresses: how much of a viewer's address is told: "full", "truncated" to its network, or "none".
        sites: of tiers, by name, for the lines in JSON.

    Raises:
        TierkitError: structlog is not installed, or there is no such format.
    """
    if addresses not in MASKS:
        raise TierkitError(f"addresses {addresses!r} cannot be told so: choose {', '.join(MASKS)}")
    if format not in ("text", "json"):
        raise TierkitError(f"log format {format!r} is unknown: choose text or json")
    try:
        import structlog
    except ImportError as error:
        raise TierkitError("logs need structlog, which is not installed: pip install 'tierkit[log]'") from error
    out = sys.stderr if stream is None else stream
    renderers: list[Any] = [structlog.processors.add_log_level]
    if format == "json":
        renderers += [structlog.processors.TimeStamper("iso", key="time"), structlog.processors.JSONRenderer()]
    else:
        renderers += [structlog.processors.TimeStamper("iso"), _line]
    logger = structlog.wrap_logger(structlog.WriteLogger(out), processors=renderers, cache_logger_on_first_use=True)
    show = partial(mask, how=addresses)
    as_json = format == "json"
    # Bound once for each tier: what is the same in all of its lines.
    bound = {"": logger}

    def write(event: events.Event, times: int) -> None:
        event = event.masked(show)
        log = bound.get(event.tier)
        if log is None:
            site = (sites or {}).get(event.tier, "")
            log = bound[event.tier] = logger.bind(tier=event.tier, **({"site": site} if site else {}))
        more = {"times": times} if times > 1 else {}
        fields = _fields(event) if as_json else {}
        getattr(log, event.level)(type(event).__name__, text=event.text, **fields, **more)

    return LogObserver(write, clock)


def _key(event: events.Event) -> tuple[object, ...]:
    stream = getattr(event, "stream", "") if isinstance(event, _BY_STREAM) else ""
    return (type(event), event.tier, stream, *(getattr(event, name, "") for name in _KEYED))


def _fields(event: events.Event) -> dict[str, Any]:
    # "event", "text", "level", "time" and "times" are the line's own, "site" and "tier" are bound for each tier; a
    # plugin's field of that name gives way.
    own = {"event", "text", "level", "time", "times", "site", *(["tier"] if event.tier else [])}
    names = [each.name for each in attrs.fields(type(event)) if each.name not in own]
    return {name: _plain(getattr(event, name)) for name in names}


def _plain(value: object) -> Any:
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, (list, tuple)) and not isinstance(value, Address):
        return [_plain(each) for each in value]
    return str(value)


def _line(_: object, __: str, event: Any) -> str:
    times = f" ({event['times']} times)" if "times" in event else ""
    return f"{event['timestamp']} {event['level']:<7} {visible(event['text'])}{times}"
