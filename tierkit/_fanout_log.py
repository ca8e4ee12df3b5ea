"""The bytes of one stream by position: appended as messages, joined into batches, evicted from the front.

Pure bookkeeping: no task, no connection, no clock of its own.  `_fanout.py` tells what it is for.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import NamedTuple

from attrs import field, frozen

__all__ = ["Batch", "FanoutPolicy", "Log", "Sync"]

#: Batches smaller than this are joined when somebody who lags walks over them: a GOP that was cut into
#: frames for those at the head leaves in a few calls (24 separate kilobytes cost 178 µs, joined 13).
SMALL_BATCH = 65536
#: A batch made by joining is at least SMALL_BATCH long, so that none is joined twice, and at most this.
JOINED_BATCH = 262144


@frozen(kw_only=True)
class FanoutPolicy:
    """The bounds of one ring.  The defaults hold 3 s of 20 Mbit/s (4K), or 60 s of 1.1 Mbit/s."""

    #: Largest GOP kept for those who join; of a larger one joiners wait for the end.
    gop_bytes: int = field(default=8 << 20)
    #: How far a player may fall behind where it began, in bytes ...
    soft_bytes: int = field(default=8 << 20)
    #: ... and in seconds, before it jumps to the newest keyframe.  nginx-rtmp drops after some 3 s, SRS after 30.
    soft_seconds: float = field(default=10.0)
    #: For how long a player may take nothing before it is closed.
    hard_seconds: float = field(default=30.0)
    #: Longest wait between two passes of the pump, seconds.
    max_delay: float = field(default=0.3)


class Sync(NamedTuple):
    """Where a player may begin: `ordinal` counts them from 0, `timestamp` is that of the message there."""

    position: int
    timestamp: int
    ordinal: int


class Batch(NamedTuple):
    """Messages joined: `ends` are the positions behind each, `at` is when it was sealed."""

    start: int
    data: bytes
    ends: list[int]
    at: float


class Log:
    """One stream's bytes.

    Args:
        clock: seconds, monotonic; read once a batch.
        gop_bytes: how much may stand behind the newest sync point before it is given up.
    """

    def __init__(self, clock: Callable[[], float], gop_bytes: int) -> None:
        self.gop_bytes = gop_bytes
        #: Position behind the last sealed byte: how far anybody may have been sent.
        self.end = 0
        #: Position behind the last byte appended.
        self.tail = 0
        #: When the newest batch was sealed.
        self.at = clock()
        self.clock = clock
        self.messages = 0
        self._pending: list[bytes] = []
        self._ends: list[int] = []
        self._batches: list[Batch] = []
        self._starts: list[int] = []  # of the batches, for bisect
        self._syncs: list[Sync] = []
        self._ordinal = 0
        self._usable_from = 0

    @property
    def start(self) -> int:
        """Position of the oldest byte that is kept."""
        return self._starts[0] if self._starts else self.end

    @property
    def pending(self) -> int:
        """Bytes appended and not yet sealed."""
        return self.tail - self.end

    @property
    def batches(self) -> int:
        """How many batches are kept."""
        return len(self._batches)

    # --- writing ---------------------------------------------------------------------------------

    def append(self, data: bytes, timestamp: int, *, sync: bool) -> None:
        """Add one encoded message; `sync` where a player may begin with it."""
        if sync:
            self._syncs.append(Sync(self.tail, timestamp, self._ordinal))
            self._ordinal += 1
        self._pending.append(data)
        self.tail += len(data)
        self._ends.append(self.tail)
        self.messages += 1

    def seal(self) -> Batch | None:
        """Join what is pending into one batch; None where nothing is."""
        if not self._pending:
            return None
        data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self.at = self.clock()
        batch = Batch(self.end, data, self._ends, self.at)
        self._batches.append(batch)
        self._starts.append(self.end)
        self.end = self.tail
        self._pending, self._ends = [], []
        return batch

    def close_syncs(self) -> None:
        """Nobody may begin at what has been appended so far: the headers have changed."""
        self._usable_from = self.tail

    @property
    def sync(self) -> Sync | None:
        """The newest point where a player may begin; None where the next one must be waited for."""
        if not self._syncs:
            return None
        newest = self._syncs[-1]
        usable = newest.position >= self._usable_from and self.tail - newest.position <= self.gop_bytes
        return newest if usable else None

    def forget(self, before: int) -> None:
        """Evict whole batches that end at or before a position."""
        gone = bisect_right(self._starts, before)
        if gone and (gone > len(self._batches) - 1 or self._starts[gone] > before):
            # The batch that `before` stands in stays, unless it ends there.
            last = self._batches[gone - 1]
            if last.start + len(last.data) > before:
                gone -= 1
        if gone:
            del self._batches[:gone]
            del self._starts[:gone]
            # The newest sync before what is left still numbers the GOP that is left.
            stale = bisect_right(self._syncs, self.start, key=_position) - 1
            if stale > 0:
                del self._syncs[:stale]

    # --- reading ---------------------------------------------------------------------------------

    def view(self, position: int, *, message: bool = False) -> bytes | memoryview:
        """What can be sent at a position in one call, empty at the end; with `message` no further than its boundary."""
        if position >= self.end:
            return b""
        index = bisect_right(self._starts, position) - 1
        batch = self._batches[index]
        if message:
            stop = batch.ends[bisect_right(batch.ends, position)]
            return memoryview(batch.data)[position - batch.start : stop - batch.start]
        if len(batch.data) < SMALL_BATCH:
            batch = self._join(index)
        return batch.data if position == batch.start else memoryview(batch.data)[position - batch.start :]

    def since(self, position: int) -> bytes:
        """All bytes from a position that is kept on, sealed or not."""
        kept = self._batches[max(0, bisect_right(self._starts, position) - 1) :]
        start = kept[0].start if kept else self.end
        return b"".join([*(each.data for each in kept), *self._pending])[position - start :]

    def boundary(self, position: int) -> bool:
        """Whether a message begins at this position."""
        if position >= self.end or position <= self.start:
            return True
        batch = self._batches[bisect_right(self._starts, position) - 1]
        if position == batch.start:
            return True
        at = bisect_left(batch.ends, position)
        return batch.ends[at] == position

    def sealed_at(self, position: int) -> float:
        """When the byte at this position was sealed; for one that is no longer kept, the oldest time known."""
        if position >= self.end or not self._batches:
            return self.at
        return self._batches[max(0, bisect_right(self._starts, position) - 1)].at

    def gop(self, position: int) -> int:
        """The ordinal of the GOP that a position stands in, -1 before the first."""
        index = bisect_right(self._syncs, position, key=_position) - 1
        if index >= 0:
            return self._syncs[index].ordinal
        return self._syncs[0].ordinal - 1 if self._syncs else self._ordinal - 1

    def _join(self, index: int) -> Batch:
        """Join the small batch at `index` with small ones behind it, for good."""
        stop, size = index, 0
        batches = self._batches
        while stop < len(batches) and len(batches[stop].data) < SMALL_BATCH and size < JOINED_BATCH - SMALL_BATCH:
            size += len(batches[stop].data)
            stop += 1
        if stop - index < 2:
            return batches[index]
        parts = batches[index:stop]
        data = b"".join([each.data for each in parts])
        ends = [end for each in parts for end in each.ends]
        joined = Batch(parts[0].start, data, ends, parts[0].at)
        batches[index:stop] = [joined]
        del self._starts[index + 1 : stop]
        return joined


def _position(sync: Sync) -> int:
    return sync.position
