"""Whom a stream's going on and off air is told: recorders, packagers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from ._events import StreamFault
from ._plugin import Context

__all__ = ["Watchers"]

StreamT = TypeVar("StreamT")


class Watchers(Generic[StreamT]):
    """Those who are told, in the order in which they came; one that raises is told of, and told the next time again."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._told: list[Callable[[StreamT], None]] = []

    def add(self, watcher: Callable[[StreamT], None]) -> Callable[[], None]:
        """Tell this one, too; returns how to end it."""
        self._told.append(watcher)

        def cancel() -> None:
            if watcher in self._told:
                self._told.remove(watcher)

        return cancel

    def tell(self, stream: StreamT, name: str) -> None:
        """Something about this stream has changed."""
        for watcher in tuple(self._told):
            try:
                watcher(stream)
            except Exception as error:  # a publisher is not to pay for those who watch
                reason = f"something that follows it failed: {type(error).__name__}: {error}"
                self._ctx.emit(StreamFault(stream=name, reason=reason))
