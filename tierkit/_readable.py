"""Many sockets that one task waits for: an epoll set that says which have become readable.

trio arms a descriptor anew for each wait, which costs a system call and a task's turn.  A set is armed once: its
own descriptor becomes readable when any of those in it does (epoll(7): an epoll file descriptor can be polled).
"""

from __future__ import annotations

import select

import trio

__all__ = ["ReadableSet"]


class ReadableSet:
    """Descriptors, each in the set until it is discarded or closed; level-triggered."""

    def __init__(self) -> None:
        self._epoll = select.epoll()

    def add(self, fd: int) -> None:
        """Watch a descriptor that is not in the set."""
        self._epoll.register(fd, select.EPOLLIN)

    def discard(self, fd: int) -> None:
        """Watch it no longer; one that was closed has left already."""
        try:
            self._epoll.unregister(fd)
        except OSError:
            pass

    def ready(self, limit: int) -> list[int]:
        """At most `limit` descriptors that have something to read, an end or an error."""
        return [fd for fd, _ in self._epoll.poll(0, limit)]

    async def wait(self) -> None:
        """Until one of them has."""
        await trio.lowlevel.wait_readable(self._epoll.fileno())

    def close(self) -> None:
        """Give its descriptor back."""
        self._epoll.close()
