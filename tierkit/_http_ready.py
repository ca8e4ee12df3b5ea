"""Answers that are at hand: known to the last byte, sent without waiting."""

from __future__ import annotations

from typing import Protocol

from attrs import define

from ._ports import Blob, Connection

__all__ = ["Held", "Ready", "Unsent"]


class Held(Protocol):
    """What keeps the bytes of an answer while it is being sent: an `Entry` of the store is one."""

    def acquire(self) -> None:
        """Keep them."""

    def release(self) -> None:
        """They are not needed any more."""


@define(eq=False)
class Ready:
    """An answer that can be sent again and again until something of it changes.

    `data` is its head as it goes over the wire, with the body behind it where that is small; else the body is
    `count` bytes of `blob`.  It must carry all framing, and leave the connection fit for another request.
    """

    data: bytes
    blob: Blob | None = None
    count: int = 0
    held: Held | None = None

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.data) + self.count

    def send_nowait(self, connection: Connection, start: int = 0) -> int:
        """Send what fits of the bytes from `start` on; returns how many of all have been sent by now.

        Raises ConnectionLost.
        """
        head = len(self.data)
        if self.blob is None:
            return start + connection.send_nowait(memoryview(self.data)[start:] if start else self.data)
        if start < head:
            start += connection.send_nowait(memoryview(self.data)[start:] if start else self.data, more=True)
            if start < head:
                return start
        return start + connection.sendfile_nowait(self.blob, start - head, self.count - (start - head))


class Unsent:
    """What a viewer has not taken yet of an answer; holds its bytes until `release`."""

    def __init__(self, ready: Ready, sent: int) -> None:
        self.ready = ready
        self.sent = sent
        if ready.held is not None:
            ready.held.acquire()

    def release(self) -> None:
        """It has been sent, or will not be."""
        if self.ready.held is not None:
            self.ready.held.release()
