"""One player on a ring: a connection, a position, and the rules of `_fanout.py` for what leaves when.

What a cursor writes, in order: `_rest`, which is the remainder of something that has begun to leave; then, at a
message boundary, replies and the prelude; then the ring from `position` on.  `_rest` is not empty only while
`position` stands at a boundary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import trio

from ._because import Because
from ._fanout_log import FanoutPolicy, Log, Sync
from ._ports import Connection
from .errors import ConnectionLost

__all__ = ["MAX_REPLIES", "RECENT", "STALL", "WAITING", "Cursor", "Lane"]

#: Most bytes of replies that wait for a message boundary.  A pong has 18 bytes.
MAX_REPLIES = 65536
#: The position of a cursor that waits for the next sync point.
WAITING = -1
#: Seconds by which media may come later than it did before the picture stands still: as in `tierkit.load`.
STALL = 1.0
#: Seconds for which a player that has stood still counts as chopped.
RECENT = 10.0

_NOTHING = memoryview(b"")


class Lane(Protocol):
    """What a cursor asks of its ring."""

    log: Log
    policy: FanoutPolicy
    bytes_sent: int
    skips: int
    #: GOPs that its players have lost so far, and how many of those attached wait for a sync point now.
    skipped_gops: int
    waiting: int

    def prelude_at(self, sync: Sync) -> bytes:
        """What a player is sent before it begins at `sync`."""

    def lags(self, cursor: Cursor) -> None:
        """A write was short: have `Cursor.catch_up` run."""

    def stood_still(self, cursor: Cursor, *, begins: bool) -> None:
        """A player's picture stands still, and has only now begun to."""

    def caught_up(self, cursor: Cursor) -> None:
        """A slow player is at the head again."""

    def drop(self, cursor: Cursor) -> None:
        """Forget a cursor."""


class Cursor:
    """One player.  Made by `Ring.attach`.

    `on_end(reason)` is called once, synchronously, when the cursor cannot go on: with a reason where we give
    the player up, with an empty one where the connection has gone.  It is to cancel the connection's task.
    """

    __slots__ = (
        "_finished",
        "_left",
        "_on_end",
        "_own",
        "_own_bytes",
        "_prelude",
        "_rest",
        "_scope",
        "_suffered",
        "alive",
        "base_bytes",
        "base_seconds",
        "blocked",
        "connection",
        "moved",
        "position",
        "reason",
        "ring",
        "send",
        "sent",
        "skipped",
        "stood",
    )

    def __init__(self, ring: Lane, connection: Connection, on_end: Callable[[str], None]) -> None:
        self.ring = ring
        self.connection = connection
        self.send = connection.send_nowait
        #: The next byte of the ring that leaves, or WAITING.
        self.position = WAITING
        ring.waiting += 1
        #: Attached, and its connection is thought to live.
        self.alive = True
        #: A waiter waits until it can be written to again; the pump leaves it alone.
        self.blocked = False
        #: Why we gave it up.
        self.reason = ""
        #: GOPs of which it did not get all.
        self.skipped = 0
        #: When its picture last stood still, on the ring's clock.
        self.stood = -math.inf
        #: Bytes of the ring that it was sent.
        self.sent = 0
        #: While it is behind: when it last got on, on the ring's clock.
        self.moved = 0.0
        #: How far behind it began: what it may fall behind counts from there.
        self.base_bytes = 0
        self.base_seconds = 0.0
        # How much further behind it has come since, by standing still: there it plays on.
        self._suffered = 0.0
        self._left = -1  # the GOP that it left to wait for the next one; -1 for none
        self._rest = _NOTHING
        self._own: list[bytes] = []
        self._own_bytes = 0
        self._prelude = b""
        self._on_end = on_end
        self._scope: trio.CancelScope | None = None
        self._finished: trio.Event | None = None

    # --- for the connection's task ---------------------------------------------------------------

    def reply(self, data: bytes) -> None:
        """Send whole messages of this connection's own at the next message boundary; now, where that is now."""
        if not data or not self.alive:
            return
        self._own.append(data)
        self._own_bytes += len(data)
        if self._own_bytes > MAX_REPLIES:
            self.end(Because(f"asks for more answers than it reads: {self._own_bytes} bytes wait", word="greedy"))
        elif not self.blocked:
            self.push()

    def detach(self) -> None:
        """Let go: nothing more is written.  No await may stand between this and closing the connection."""
        self.alive = False
        self.ring.drop(self)
        if self._scope is not None:
            self._scope.cancel()

    async def leave(self) -> bytes:
        """Detach from the ring at the next message boundary; returns what must leave first on the connection."""
        rest = bytes(self._remainder()) + b"".join(self._own)
        self.detach()
        if self._finished is not None:
            await self._finished.wait()
        return rest

    # --- for the pump ----------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the pump may write to it."""
        return self.alive and not self.blocked

    def push(self) -> None:
        """Send what fits; what does not fit is left to a waiter."""
        try:
            done = self._advance()
        except Exception as error:
            self.fail(error)
            return
        if not done:
            self.block()

    def block(self) -> None:
        """A write was short: a task of its own waits until it has caught up."""
        self.blocked = True
        self.moved = self.ring.log.clock()
        self.ring.lags(self)

    def end(self, reason: str) -> None:
        """Mark it as given up and tell its task."""
        if self.alive:
            self.reason = reason
            self.detach()
            self._on_end(reason)

    def fail(self, error: Exception) -> None:
        """A send has raised: that ends this player, and nobody else."""
        self.end("" if isinstance(error, ConnectionLost) else f"{type(error).__name__}: {error}")

    async def catch_up(self) -> None:
        """Write until it is at the head again.  The body of the waiter, run by the pump."""
        self._finished = trio.Event()
        try:
            with trio.CancelScope() as self._scope:
                while self.alive:
                    await self.connection.wait_writable()
                    if self._advance():
                        self.blocked = False
                        self.ring.caught_up(self)
                        return
        except Exception as error:
            self.fail(error)
        finally:
            self._scope = None
            self._finished.set()

    def begin(self) -> None:
        """Go to the newest sync point, if there is one, with a prelude of its own."""
        log = self.ring.log
        sync = log.sync
        # A point that is not sealed yet is the next pass's; one that it has left behind is none.
        if sync is not None and sync.position < log.end and sync.ordinal > self._left:
            self.ring.waiting -= self.position == WAITING
            self.position = sync.position
            self._prelude = self.ring.prelude_at(sync)
            self.base_bytes = log.end - sync.position
            self.base_seconds = log.at - log.sealed_at(sync.position)
            self._suffered = 0.0
            if self._left >= 0:  # that one was counted when it was left
                self._lost(sync.ordinal - self._left - 1)
                self._left = -1

    def judge(self) -> None:
        """Apply the bounds; for cursors that lag, once a pass."""
        ring, log, policy = self.ring, self.ring.log, self.ring.policy
        if log.at - self.moved > policy.hard_seconds:
            self.end(Because(f"too slow: took nothing for {policy.hard_seconds:g} s", word="slow"))
            return
        if self.position == WAITING:
            if self._left >= 0:
                self.stands_still(log.at)
            return
        held = self.connection.unsent()
        lag = log.end - self.position + held
        seconds = log.at - log.sealed_at(self.position - held)
        self._falls_behind(seconds)
        if lag - self.base_bytes > policy.soft_bytes or seconds - self.base_seconds > policy.soft_seconds:
            self._skip()
            ring.skips += 1

    def look(self, now: float, silence: float) -> bool:
        """See whether its picture stands still, where nobody has: what it lacks may be in the kernel.

        Args:
            silence: seconds for which nothing has come that could be sent.

        Returns whether it is behind by what could soon be a stall.
        """
        if self.position == WAITING:
            if self._left >= 0:
                self.stands_still(now)
        elif silence - self.base_seconds > STALL:
            self.stands_still(now)
        elif not self.blocked and (held := self.connection.unsent()):
            log = self.ring.log
            seconds = log.at - log.sealed_at(self.position - held)
            self._falls_behind(seconds)
            return seconds - self.base_seconds > STALL / 2
        return False

    def _falls_behind(self, seconds: float) -> None:
        """It is so many seconds behind.  Who began behind has media in hand for as long."""
        behind = seconds - self.base_seconds
        if behind > self._suffered + STALL:
            self._suffered = behind
            self.stands_still(self.ring.log.at)

    def stands_still(self, now: float) -> None:
        """Its picture does; what goes on without a break is one rebuffering."""
        begins = now - self.stood > 2 * STALL
        self.stood = now
        self.ring.stood_still(self, begins=begins)

    def _skip(self) -> None:
        """Finish the message where it is, then go to the newest sync point, or wait for the next."""
        log = self.ring.log
        self.stands_still(log.at)
        gop = log.gop(self.position)
        self._rest = self._remainder()
        sync = log.sync
        if sync is None or sync.position <= self.position:
            self.position = WAITING
            self.ring.waiting += 1
            self._prelude = b""
            self._left = gop
            self._lost(1)
            return
        self.begin()
        self._lost(sync.ordinal - gop)

    def _lost(self, gops: int) -> None:
        self.skipped += gops
        self.ring.skipped_gops += gops

    def _remainder(self) -> memoryview:
        log = self.ring.log
        if self._rest or self.position == WAITING or log.boundary(self.position):
            return self._rest
        return memoryview(log.view(self.position, message=True))

    def _advance(self) -> bool:
        """Send until nothing is left (True) or nothing fits (False).  Raises ConnectionLost."""
        log = self.ring.log
        while self.alive:
            if self._rest:
                taken = self.send(self._rest)
                self._rest = self._rest[taken:]
                if self._rest:
                    return False
                self._rest = _NOTHING
            else:
                if self.position == WAITING:
                    self.begin()
                waits = bool(self._own or self._prelude)
                if waits and (self.position == WAITING or log.boundary(self.position)):
                    if not self._send_own():
                        return False
                elif self.position == WAITING or not (data := log.view(self.position, message=waits)):
                    return True
                elif not self._send_ring(data):
                    return False
            if self.blocked:
                self.moved = log.clock()
        return False

    def _send_own(self) -> bool:
        data = b"".join((*self._own, self._prelude))
        taken = self.send(data)
        if taken:  # else nothing has begun, and a newer prelude may take the place of this one
            self._own, self._own_bytes, self._prelude = [], 0, b""
            # An empty view would keep alive all that has left.
            self._rest = memoryview(data)[taken:] if taken < len(data) else _NOTHING
        return taken == len(data)

    def _send_ring(self, data: bytes | memoryview) -> bool:
        taken = self.send(data)
        self.position += taken
        self.sent += taken
        self.ring.bytes_sent += taken
        return taken == len(data)
