"""What signals mean to a process that runs a graph."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

import trio

from ._events import Event, GraphLeaving, Reread

__all__ = ["Reloadable", "leave_when_done", "obey"]

HandleT = TypeVar("HandleT")


class Reloadable(Protocol):
    """What SIGHUP asks of a graph at work."""

    @property
    def listeners(self) -> int:
        """How many listeners its tiers have."""

    def reload_certificates(self) -> list[str]:
        """Read every certificate file again; returns a line for each that is no good."""

    def reopen_logs(self) -> None:
        """Open access logs anew."""


async def leave_when_done(beside: Callable[[HandleT], Awaitable[Any]], handle: HandleT, leave: trio.Event) -> None:
    """Have the graph leave when what runs beside it has ended."""
    await beside(handle)
    leave.set()


async def obey(
    signals: Any,
    leave: trio.Event,
    everything: trio.CancelScope,
    handles: Iterable[Reloadable],
    tell: Callable[[Event], None],
) -> None:
    """The first signal to end leaves, the second drops; SIGHUP has certificates and logs looked at again."""
    async for number in signals:
        if number == signal.SIGHUP:
            for handle in handles:
                # What is wrong with them, each tier tells as an event.
                kept = len(handle.reload_certificates())
                handle.reopen_logs()
                tell(Reread(listeners=handle.listeners, kept=kept))
            continue
        tell(GraphLeaving(by=signal.Signals(number).name, drops=leave.is_set()))
        if leave.is_set():
            everything.cancel()
        else:
            leave.set()
