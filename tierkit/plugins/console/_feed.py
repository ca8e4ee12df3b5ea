"""Server-sent events: each said once for everybody who listens.

A message is encoded when it is told, whoever listens; a listener is a loop that sends what it has not had yet of each
kind.  So one who reads slowly misses what was replaced meanwhile, and one who reads nothing is given up.

The bound: `CLIENTS` listeners, none of whom holds more than one message of each kind.
"""

from __future__ import annotations

import json
from typing import Any

import trio

from tierkit.plugin import ConnectionLost, Sink

__all__ = ["CLIENTS", "Feed"]

#: Listeners at once: an operations room, and those who look in from their beds.
CLIENTS = 16
#: Seconds that one may take for a message: more than a phone's change of cells.
SLOW = 10.0
#: What a browser waits before it comes again, milliseconds.
_AGAIN = b"retry: 1000\n\n"


class Feed:
    """What is told, and who listens."""

    def __init__(self) -> None:
        self.clients = 0
        #: Of each kind the newest message, with a number that grows.
        self._newest: dict[str, tuple[int, bytes]] = {}
        self._number = 0
        self._news = trio.Event()

    @property
    def full(self) -> bool:
        """Whether there are as many listeners as there may be."""
        return self.clients >= CLIENTS

    def tell(self, kind: str, value: Any) -> None:
        """Tell everybody, unless it is what was told last of that kind."""
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
        message = f"event: {kind}\ndata: {text}\n\n".encode()
        if (before := self._newest.get(kind)) is not None and before[1] == message:
            return
        self._number += 1
        self._newest[kind] = self._number, message
        news, self._news = self._news, trio.Event()
        news.set()

    async def follow(self, sink: Sink) -> None:
        """Send to one listener until it goes or is cancelled.

        Raises ConnectionLost for one who takes nothing for `SLOW` seconds.
        """
        self.clients += 1
        had = 0
        try:
            await _send(sink, _AGAIN)
            while True:
                news, number = self._news, self._number
                due = [message for told, message in self._newest.values() if told > had]
                if due:
                    await _send(sink, b"".join(due))
                had = number
                await news.wait()
        finally:
            self.clients -= 1


async def _send(sink: Sink, data: bytes) -> None:
    with trio.move_on_after(SLOW) as scope:
        await sink.write(data)
    if scope.cancelled_caught:
        raise ConnectionLost(f"a console took nothing for {SLOW:g} s")
