"""One stream and its players."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio
from attrs import field, frozen

from ._fanout_cursor import RECENT, STALL, WAITING, Cursor
from ._fanout_log import FanoutPolicy, Log, Sync
from ._ports import Connection

__all__ = ["MAX_PENDING", "Pacer", "Ring", "RingStatistics"]

#: Bytes that may wait for the next pass; then `Ring.room` makes the writer wait, and TCP its sender.  A pass
#: comes after 300 ms at most, so this is a publisher with more than 100 Mbit/s.
MAX_PENDING = 4 << 20
#: Looks in which every player has had its turn: asked once a second, one whose connection takes everything and that
#: falls behind is noticed within five.
TURNS = 5
#: What a ring without players seals by itself, so that it can be evicted.
_SEAL_BYTES = 262144


class Pacer(Protocol):
    """What a ring asks of its pump."""

    def wants(self, ring: Ring) -> None:
        """There is something to send."""

    def wait_for(self, cursor: Cursor) -> None:
        """Run `Cursor.catch_up` in a task."""


@frozen(kw_only=True)
class RingStatistics:
    """One ring, now and so far."""

    #: Players attached now, those of them behind the head, and those that wait for a keyframe.
    cursors: int = field(metadata={"merge": "sum"})
    lagging: int = field(metadata={"merge": "sum"})
    waiting: int = field(metadata={"merge": "sum"})
    #: Bytes kept, and the bytes of them that a joiner would be sent at once.
    bytes_kept: int = field(metadata={"merge": "sum"})
    bytes_gop: int = field(metadata={"merge": "sum"})
    #: Messages and bytes written so far.
    messages: int = field(metadata={"merge": "sum"})
    bytes_in: int = field(metadata={"merge": "sum"})
    #: Bytes sent to players so far.
    bytes_sent: int = field(metadata={"merge": "sum"})
    #: How often a slow player jumped to a newer keyframe, and the GOPs that were lost by it.
    skips: int = field(metadata={"merge": "sum"})
    skipped_gops: int = field(metadata={"merge": "sum"})
    #: Players whose picture has stood still in the last ten seconds, and how often that has begun so far.
    chopped: int = field(metadata={"merge": "sum"})
    rebufferings: int = field(metadata={"merge": "sum"})
    #: Players given up for a reason.
    dropped: int = field(metadata={"merge": "sum"})


class Ring:
    """One stream's encoded messages and the cursors on them.  Made by `Pump.ring`.

    Args:
        prelude: gives what a player needs before it can begin at a message with this timestamp: encoded
            headers and metadata.  Asked once for each sync point.
    """

    def __init__(
        self,
        pump: Pacer,
        policy: FanoutPolicy,
        clock: Callable[[], float],
        prelude: Callable[[int], bytes],
    ) -> None:
        self.policy = policy
        self.log = Log(clock, policy.gop_bytes)
        #: In the list of the pump's next pass.
        self.dirty = False
        self.cursors: dict[Cursor, None] = {}
        #: Those with a waiter.
        self.lagging: dict[Cursor, None] = {}
        self.bytes_sent = 0
        self.skips = self.skipped_gops = self.rebufferings = self.waiting = 0
        #: Called when the last player has left.
        self.when_empty: Callable[[], None] | None = None
        self._pump = pump
        self._prelude = prelude
        self._prelude_of: Sync | None = None
        self._prelude_bytes = b""
        self._dropped = 0
        # Whose picture has stood still of late.
        self._stood: dict[Cursor, None] = {}
        #: Those who are yet to be looked at, how many at a time, and those who were behind.
        self._turn: list[Cursor] = []
        self._share = 0
        self._behind: dict[Cursor, None] = {}
        self._passed = trio.lowlevel.ParkingLot()

    # --- the writer ------------------------------------------------------------------------------

    def append(self, data: bytes, timestamp: int, *, sync: bool = False) -> None:
        """Add one encoded message; `sync` where a player may begin with it.  Never blocks."""
        log = self.log
        log.append(data, timestamp, sync=sync)
        if self.cursors:
            if not self.dirty:
                self._pump.wants(self)
        elif sync or log.pending > _SEAL_BYTES:
            log.seal()
            self._evict(log.end)

    def close_syncs(self) -> None:
        """Nobody who comes from now on may begin at what was appended so far: the headers have changed.

        Players that have waited for a keyframe which has just come begin at it: nothing else may come for them.
        """
        if self.log.sync is not None:
            waiting = [each for each in self.cursors if each.ready and each.position == WAITING]
            if waiting:
                self.log.seal()
            for cursor in waiting:
                cursor.push()
        self.log.close_syncs()

    async def room(self) -> None:
        """Until the pump has come round to what waits; at once as long as that is within bounds."""
        while self.cursors and self.log.pending > MAX_PENDING:
            await self._passed.park()

    # --- players ---------------------------------------------------------------------------------

    def attach(self, connection: Connection, on_end: Callable[[str], None], *, first: bytes = b"") -> Cursor:
        """Let a connection play: it is sent `first`, the prelude and the current GOP now, and all that follows.

        From now on until `Cursor.detach` or `Cursor.leave` nobody else may write on the connection.
        """
        # Those at the head pay for a batch that is cut short with a second send, so it is cut only where this
        # player would otherwise begin a GOP too early.
        sync = self.log.sync
        if not self.cursors or (sync is not None and sync.position >= self.log.end):
            self.log.seal()
        cursor = Cursor(self, connection, on_end)
        self.cursors[cursor] = None
        if first:
            cursor.reply(first)
        else:
            cursor.push()
        if self.log.pending and not self.dirty:
            self._pump.wants(self)
        return cursor

    def drop(self, cursor: Cursor) -> None:
        """Forget a cursor.  `Cursor.detach` calls this."""
        if cursor in self.cursors:
            del self.cursors[cursor]
            self.lagging.pop(cursor, None)
            self.waiting -= cursor.position == WAITING
            self._stood.pop(cursor, None)
            self._behind.pop(cursor, None)
            self._dropped += bool(cursor.reason)
            if not self.cursors:
                self._passed.unpark_all()
                self._evict(self.log.end)
                if self.when_empty is not None:
                    self.when_empty()

    def prelude_at(self, sync: Sync) -> bytes:
        """What a player is sent before it begins at `sync`; the same object for all who begin there."""
        if self._prelude_of is not sync:
            self._prelude_of, self._prelude_bytes = sync, self._prelude(sync.timestamp)
        return self._prelude_bytes

    # --- for cursors and the pump ----------------------------------------------------------------

    def lags(self, cursor: Cursor) -> None:
        """A write was short."""
        self.lagging[cursor] = None
        self._pump.wait_for(cursor)

    def stood_still(self, cursor: Cursor, *, begins: bool) -> None:
        """A player's picture stands still, and has only now begun to."""
        self.rebufferings += begins
        self._stood[cursor] = None

    def caught_up(self, cursor: Cursor) -> None:
        """A slow player is at the head again."""
        self.lagging.pop(cursor, None)

    def settle(self, upto: int) -> None:
        """After a pass: judge those who lag, evict what nobody needs (nothing from `upto` on), let the writer go on."""
        for cursor in tuple(self.lagging):
            try:
                cursor.judge()
            except Exception as error:
                cursor.fail(error)
        self._evict(upto)
        self._passed.unpark_all()

    def _evict(self, keep: int) -> None:
        sync = self.log.sync
        if sync is not None:
            keep = min(keep, sync.position)
        for cursor in self.lagging:
            if cursor.position != WAITING:
                keep = min(keep, cursor.position)
        self.log.forget(keep)

    @property
    def lag(self) -> float:
        """Seconds of media that the slowest player is behind the head, of those that are still sent to."""
        log = self.log
        positions = [each.position for each in self.lagging if each.position != WAITING]
        return max(0.0, log.at - log.sealed_at(min(positions))) if positions else 0.0

    @property
    def chopped(self) -> int:
        """Players whose picture has stood still in the last seconds, as far as anybody has looked."""
        since = self.log.clock() - RECENT
        for cursor in [each for each in self._stood if each.stood < since]:
            del self._stood[cursor]
        return len(self._stood)

    def look(self, silence: float) -> None:
        """See whose picture stands still, of a part of the players and those that were behind when last looked at.

        What is behind in the kernel has to be asked for, 3 µs a player: all of them have their turn in `TURNS` looks.
        Who takes less than is offered is judged at every pass in any case.  Where nothing comes, everybody is looked
        at: that costs no question.
        """
        now = self.log.clock()
        if silence > STALL:
            self._turn, self._behind = [], {}
            for cursor in tuple(self.cursors):
                cursor.look(now, silence)
            return
        turn = self._next_turn()
        suspects, self._behind = self._behind, {}
        for cursor in (*suspects, *(each for each in turn if each not in suspects)):
            if cursor.alive and cursor.look(now, silence):
                self._behind[cursor] = None

    def _next_turn(self) -> list[Cursor]:
        if not self._turn:
            self._turn = list(self.cursors)
            self._share = -(-len(self._turn) // TURNS)
        turn, self._turn = self._turn[: self._share], self._turn[self._share :]
        return turn

    def statistics(self) -> RingStatistics:
        """Counted when asked."""
        log, sync = self.log, self.log.sync
        return RingStatistics(
            cursors=len(self.cursors),
            lagging=len(self.lagging),
            waiting=self.waiting,
            bytes_kept=log.tail - log.start,
            bytes_gop=0 if sync is None else log.tail - sync.position,
            messages=log.messages,
            bytes_in=log.tail,
            bytes_sent=self.bytes_sent,
            skips=self.skips,
            skipped_gops=self.skipped_gops,
            chopped=self.chopped,
            rebufferings=self.rebufferings,
            dropped=self._dropped,
        )
