"""Requests to an upstream that go one after the other, so that one connection carries them.

A source may say so of what belongs together (`LiveSource.lane`): a server that counts what is connected to it then sees
one client for each stream.  Whoever has waited for his turn for two seconds goes anyway, by a connection of his own: a
segment that stalls must not hold up its playlist.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

__all__ = ["PATIENCE", "Lanes"]

#: Seconds to wait for a turn: a segment of 10 s of 8 Mbit/s takes a twentieth of that at 1 Gbit/s.
PATIENCE = 2.0


class Lanes:
    """All lanes of a tier; those that nobody is in take no memory."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, str], tuple[trio.Lock, int]] = {}

    @asynccontextmanager
    async def turn(self, upstream: str, lane: str) -> AsyncIterator[None]:
        """Wait for a turn in a lane, then hold it; an empty name is no lane."""
        if not lane:
            yield
            return
        key = upstream, lane
        lock, users = self._lanes.get(key, (trio.Lock(), 0))
        self._lanes[key] = lock, users + 1
        held = False
        try:
            with trio.move_on_after(PATIENCE):
                await lock.acquire()
                held = True
            yield
        finally:
            if held:
                lock.release()
            lock, users = self._lanes.pop(key)
            if users > 1:
                self._lanes[key] = lock, users - 1
