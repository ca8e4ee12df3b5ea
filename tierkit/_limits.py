"""Bounds on connections, and the loop that accepts them.

`Admission` decides and counts, and does nothing else: it has no clock, no socket, no task.  `accept_loop`
takes connections in bursts, so that a storm of new viewers does not silence those already there, and
pauses where the kernel has nothing left to give; only closing its listener ends it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from ipaddress import AddressValueError, IPv6Address

import trio

from ._because import Because
from ._model import Limits
from ._ports import Bound, Connection
from ._reasons import OUT_OF_DESCRIPTORS
from .errors import ConnectionLost

__all__ = ["Admission", "accept_loop"]

#: Seconds between two reports of one reason.
TELL_EVERY = 1.0
#: First pause when no descriptor is free, as in trio.serve_listeners; each one in a row is twice as long.
FIRST_PAUSE = 0.1
#: The longest pause: viewers reconnect within a second or two, so a longer one would be felt.
LONGEST_PAUSE = 1.0


class Admission:
    """Who may come in.  Synchronous and pure: the caller does what it says.

    An IPv6 address counts as its /64, because that is what one subscriber is given (RFC 6177), and moving
    about in it costs nothing.  "unix" is a proxy in front of us and counts for the tier alone.
    """

    def __init__(self, limits: Limits) -> None:
        #: May be replaced at any time; those who are in stay in.
        self.limits = limits
        self.connections = 0
        self._by_address: dict[str | int, int] = {}
        self._untold: dict[str, tuple[str, int]] = {}
        self._told: dict[str, float] = {}

    def admit(self, host: str) -> str | None:
        """Count a connection from `host` in and return None, or return why it is refused."""
        limits, key = self.limits, _key(host)
        there = self._by_address.get(key, 0)
        if self.connections >= limits.connections:
            full = f"the tier is full: {limits.connections} connections (limits.connections)"
            reason = Because(full, word="full")
        elif there >= limits.per_address and host != "unix":
            many = f"{limits.per_address} connections from one address already (limits.per_address)"
            reason = Because(many, word="address")
        else:
            self.connections += 1
            self._by_address[key] = there + 1
            return None
        _, count = self._untold.get(reason, ("", 0))
        self._untold[reason] = (host, count + 1)
        return reason

    def release(self, host: str) -> None:
        """Count out a connection that was admitted as `host`."""
        key = _key(host)
        left = self._by_address[key] - 1
        self.connections -= 1
        if left:
            self._by_address[key] = left
        else:
            del self._by_address[key]

    def due(self, now: float) -> list[tuple[str, str, int]]:
        """The refusals to tell now, as (reason, who was refused last, how many): each reason once a second."""
        due = [each for each in self._untold if now - self._told.get(each, float("-inf")) >= TELL_EVERY]
        for reason in due:
            self._told[reason] = now
        return [(reason, *self._untold.pop(reason)) for reason in due]


def _key(host: str) -> str | int:
    if ":" not in host:
        return host
    try:
        return int(IPv6Address(host.partition("%")[0])) >> 64
    except AddressValueError:
        return host


async def accept_loop(
    bound: Bound,
    *,
    on_connection: Callable[[Connection], None],
    on_pause: Callable[[str, float], None],
    burst: int = 64,
) -> None:
    """Accept until the listener is closed.

    Args:
        on_connection: given each connection, not yet established; synchronous, so that nobody is accepted
            who has no task yet.
        on_pause: told (reason, seconds) when accepting pauses, at most once a second.
        burst: how many are accepted before everybody else gets a turn.

    Raises:
        OSError: the listener is broken in a way that waiting does not mend.
    """
    taken, pause, told = 0, FIRST_PAUSE, float("-inf")
    while True:
        try:
            connection = await bound.accept()
        except ConnectionLost:
            return
        except OSError as error:
            if error.errno not in OUT_OF_DESCRIPTORS:
                raise
            now = trio.current_time()
            if now - told >= TELL_EVERY:
                told = now
                on_pause(_pause_reason(error), pause)
            await trio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            continue
        pause = FIRST_PAUSE
        on_connection(connection)
        taken += 1
        if taken >= burst:
            taken = 0
            await trio.lowlevel.checkpoint()


def _pause_reason(error: OSError) -> str:
    if error.errno == errno.EMFILE:
        return "no descriptor is free in this process (raise the limit, ulimit -n, or lower limits.connections)"
    if error.errno == errno.ENFILE:
        return "the machine has no descriptor left (sysctl fs.file-max)"
    return f"the kernel is short of memory for sockets ({os.strerror(error.errno or 0)})"
