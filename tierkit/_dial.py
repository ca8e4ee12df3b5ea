"""Dialling: names to addresses, and several addresses at once.

Happy eyeballs (RFC 8305): addresses are tried in turn, families alternating, the next one as soon as one
fails or after 250 ms (its section 5 recommends that), and the first to answer wins.  One address, which
is what upstreams mostly are, needs no tasks at all.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

import trio

from ._sockets import prepare

__all__ = ["Resolver", "Target", "dial", "dial_unix"]

#: RFC 8305 section 5, "Connection Attempt Delay".
ATTEMPT_DELAY = 0.25
#: Parallel look-ups.  Our own limiter: a slow name server must not wait behind anybody's threads, nor
#: anybody behind it.
LOOKUPS = 16
# A unix listener whose queue is full answers EAGAIN and tells nobody when there is room.
_UNIX_RETRY = 0.02

_NO_WAY = frozenset({errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})

#: A family and a socket address of it.
Target = tuple[socket.AddressFamily, Any]


class Resolver:
    """Name look-up in threads of its own; numeric addresses never leave the loop."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(LOOKUPS)

    async def targets(self, host: str, port: int, *, passive: bool = False) -> list[Target]:
        """The socket addresses of a host, in the system's order.  Raises OSError (gaierror)."""
        flags = socket.AI_PASSIVE if passive else 0
        try:
            found = _look_up(host, port, flags | socket.AI_NUMERICHOST)
        except socket.gaierror:
            found = await trio.to_thread.run_sync(
                _look_up, host, port, flags | socket.AI_ADDRCONFIG, limiter=self._limiter, abandon_on_cancel=True
            )
        return list(dict.fromkeys((family, sockaddr) for family, _, _, _, sockaddr in found))


def _look_up(host: str, port: int, flags: int) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)


async def dial(targets: Sequence[Target]) -> tuple[socket.socket, Any]:
    """Connect to the first of `targets` that answers; returns its socket and address.

    Raises the failure that tells most, as OSError.
    """
    if len(targets) == 1:
        return await _attempt(*targets[0]), targets[0][1]
    won: list[tuple[socket.socket, Any]] = []
    failures: list[OSError] = []

    async def attempt(target: Target, over: trio.Event) -> None:
        try:
            sock = await _attempt(*target)
        except OSError as error:
            failures.append(error)
            over.set()
            return
        if won:  # two answered within one turn
            sock.close()
            return
        won.append((sock, target[1]))
        nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for target in _alternate(targets):
                over = trio.Event()
                nursery.start_soon(attempt, target, over)
                with trio.move_on_after(ATTEMPT_DELAY):
                    await over.wait()
    except BaseException:
        for sock, _ in won:
            sock.close()
        raise
    if not won:
        # A machine without IPv6 has no route to half of the addresses; the other half's failure is the news.
        raise min(failures, key=lambda error: error.errno in _NO_WAY)
    return won[0]


def _alternate(targets: Sequence[Target]) -> list[Target]:
    # RFC 8305 section 4: interleave the families, beginning with the one that the system put first.
    ours = [each for each in targets if each[0] == targets[0][0]]
    others = [each for each in targets if each[0] != targets[0][0]]
    return [each for each in chain.from_iterable(zip_longest(ours, others)) if each is not None]


async def _attempt(family: socket.AddressFamily, sockaddr: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        prepare(sock)
        try:
            sock.connect(sockaddr)
            await trio.lowlevel.checkpoint()
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock)
            if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, os.strerror(code)) from None
    except BaseException:
        sock.close()
        raise
    return sock


async def dial_unix(path: str) -> socket.socket:
    """Connect to a unix socket, waiting while its queue is full.  Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        prepare(sock)
        while True:
            try:
                sock.connect(path)
            except BlockingIOError:
                await trio.sleep(_UNIX_RETRY)
            else:
                await trio.lowlevel.checkpoint()
                return sock
    except BaseException:
        sock.close()
        raise
