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

    It must carry all framing, and leave the connection fit for another request.
    """

    #: Its head as it goes over the wire, with the body behind it where that is small.
    data: bytes
    #: The rest: bytes, or `count` bytes of a blob from `offset` on.
    body: Blob | memoryview | None = None
    count: int = 0
    offset: int = 0
    held: Held | None = None

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.data) + self.count

    def send_nowait(self, connection: Connection, start: int = 0) -> int:
        """Send what fits of the bytes from `start` on; returns how many of all have been sent by now.

        Raises ConnectionLost.
        """
        head, body = len(self.data), self.body
        if start < head:
            data = memoryview(self.data)[start:] if start else self.data
            start += connection.send_nowait(data, more=body is not None)
        if start < head or body is None:
            return start
        done = start - head
        if isinstance(body, memoryview):
            return start + connection.send_nowait(body[done:])
        return start + connection.sendfile_nowait(body, self.offset + done, self.count - done)


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
