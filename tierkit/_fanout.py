"""One writer, many cursors on one shared ring, one pump for the process.

**Encoded once, joined once, sent once.**  The writer appends messages that are encoded already.  A pass of
the pump joins what came since the last pass into one `bytes` object, a *batch*, and every cursor at the head
is sent that same object, non-blocking, from the pump's one task.  A viewer is a cursor: a position, not a
queue.  Only a short write costs that viewer a wait, in its own task (`Cursor.run`).

**Paced by cost.**  After a pass that took p seconds of sending, summed over all rings of the process, the
next starts no sooner than min(30 p, cap) after the start of the last.  With few viewers that is a frame; with
many it grows by itself.  Pacing each stream by itself collapses with many streams.

**Polite.**  A checkpoint every 64 sends, over a snapshot, with a look for the dead after each.

**Boundaries.**  A batch begins and ends at a message, and one that holds a sync point (a keyframe) begins with
it.  So a viewer joins at a sync point and never in the middle of a GOP, and whatever else must be said on its
connection (`Cursor.reply`) leaves between batches.

**Slow viewers** never hurt others.  One that is more than `soft_seconds` behind finishes the batch it is in,
gets the stream's headers again, and goes on at the newest sync point; what it jumped over is counted in GOPs.
One that has taken nothing for `hard_seconds` is closed with a reason.  The pump marks and wakes; it never
closes, and holds connections, never descriptor numbers.

Memory: a ring holds at most `ring_bytes` of batches, once, whatever the number of viewers.  A viewer holds its
cursor (0.5 kB), at most `REPLY_BYTES` of replies, and a reference to the batch that it is in: batches that have
left the ring live on while a stalled viewer is in one, so n stalled viewers hold at most n batches of at most
cap seconds each, until `hard_seconds` close them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import trio
from attrs import field, frozen

from ._plugin import Shared
from ._ports import Connection, Network
from .errors import ConnectionLost

__all__ = ["Batch", "Cursor", "FanoutLimits", "Pump", "PumpStatistics", "Ring"]

#: The next pass starts no sooner than this many times the cost of the last after its start: the pump then
#: takes about 3 % of a core, and each viewer's batch is as small as that allows.
COST_FACTOR = 30.0
#: Longest time between passes, seconds: what a viewer is added at most by batching.
CAP = 0.300
#: Sends between two checkpoints: without them other tasks stall 97 ms at 6,000 viewers, with them 8 to 12.
SENDS_PER_STEP = 64
#: Bytes of replies that may wait on a cursor; a peer that makes us talk must also listen.
REPLY_BYTES = 65536


@frozen(kw_only=True)
class FanoutLimits:
    """The bounds of one ring and of the cursors on it."""

    #: Bytes of batches kept, and seconds; the GOP that newcomers start with is kept beyond the seconds.
    ring_bytes: int = 32 << 20
    ring_seconds: float = 10.0
    #: A GOP longer than this is not kept for newcomers: they wait for the next sync point instead.
    gop_bytes: int = 16 << 20
    #: Seconds behind at which a viewer jumps to the newest sync point.
    soft_seconds: float = 3.0
    #: Seconds without taking a byte at which it is closed.
    hard_seconds: float = 20.0


@frozen
class Batch:
    """Messages joined: what everybody at the head is sent."""

    seq: int
    data: bytes
    #: Whether it begins with a sync point.
    sync: bool
    #: Number of the GOP that it belongs to.
    gop: int
    #: When it was sealed, on the pump's clock.
    at: float


@frozen(kw_only=True)
class PumpStatistics:
    """The process's pump so far."""

    #: Passes, sends, and seconds spent sending.
    passes: int = field(metadata={"merge": "sum"})
    sends: int = field(metadata={"merge": "sum"})
    seconds: float = field(metadata={"merge": "sum"})
    #: Seconds between the last two passes.
    interval: float = field(metadata={"merge": "max"})


class Ring:
    """One stream's encoded messages.

    Args:
        pump: the process's.
        limits: its bounds.
        headers: gives what a viewer must have before the first message at a sync point (metadata, sequence
            headers), encoded.
    """

    def __init__(self, pump: Pump, limits: FanoutLimits, headers: Callable[[], bytes]) -> None:
        self.limits = limits
        self.headers = headers
        #: Bytes appended so far, and bytes kept now.
        self.bytes_in = 0
        self.kept = 0
        self.cursors: set[Cursor] = set()
        self._pump = pump
        self._batches: deque[Batch] = deque()
        self._next = 0
        self._gop = 0
        self._pending: list[bytes] = []
        self._pending_sync = False
        #: The batch at which newcomers start, or None where there is none (yet, or any more).
        self._pinned: int | None = None
        self._pinned_bytes = 0

    @property
    def gop(self) -> int:
        """How many sync points there have been."""
        return self._gop

    def append(self, data: bytes, *, sync: bool = False) -> None:
        """Add one encoded message; `sync` marks one that a viewer can start with."""
        if sync:
            self.seal()
            self._pending_sync = True
            self._gop += 1
        self._pending.append(data)
        self.bytes_in += len(data)
        if self.cursors:
            self._pump.wake(self)
        elif len(self._pending) >= 64:
            self.seal()  # nobody looks: keep the batches of a size that a newcomer can be sent

    def unpin(self) -> None:
        """The stream's headers have changed, or its source has: newcomers wait for the next sync point."""
        self.seal()
        self._pinned = None

    def seal(self) -> None:
        """Join what was appended since the last time into a batch."""
        if not self._pending:
            return
        data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        batch = Batch(self._next, data, self._pending_sync, self._gop, self._pump.clock())
        self._pending.clear()
        self._pending_sync = False
        self._batches.append(batch)
        self._next += 1
        self.kept += len(data)
        if batch.sync:
            self._pinned, self._pinned_bytes = batch.seq, 0
        self._pinned_bytes += len(data)
        if self._pinned_bytes > self.limits.gop_bytes:
            self._pinned = None
        self._trim(batch.at)

    def at(self, seq: int) -> Batch | None:
        """The batch with this number; None where it is not there yet."""
        index = seq - self._first
        return self._batches[index] if 0 <= index < len(self._batches) else None

    @property
    def _first(self) -> int:
        return self._next - len(self._batches)

    @property
    def head(self) -> int:
        """The number that the next batch will have."""
        return self._next

    @property
    def pinned(self) -> int | None:
        """The batch at which a newcomer starts."""
        return self._pinned

    def has(self, seq: int) -> bool:
        """Whether a batch is still there, or still to come."""
        return seq >= self._first

    def _trim(self, now: float) -> None:
        while self._batches:
            oldest = self._batches[0]
            over = self.kept > self.limits.ring_bytes
            old = now - oldest.at > self.limits.ring_seconds and oldest.seq != self._pinned
            if self._pinned is not None and oldest.seq >= self._pinned and not over:
                return
            if not over and not old:
                return
            if oldest.seq == self._pinned:
                self._pinned = None
            self._batches.popleft()
            self.kept -= len(oldest.data)


class Cursor:
    """One viewer's place on a ring, and the only writer on its connection.

    Attributes:
        skipped: GOPs that were jumped over for it.
        reason: why it ended, empty while it lives.
    """

    def __init__(self, ring: Ring, connection: Connection) -> None:
        self.ring = ring
        self.connection = connection
        self.skipped = 0
        self.reason = ""
        #: Where it begins to count GOPs as skipped; None until it has started.
        self._gop: int | None = None
        self._position: int | None = None
        self._out: bytes | memoryview = b""
        self._replies: list[bytes] = []
        self._reply_bytes = 0
        self._closing = ""
        self._blocked = False
        self._progress = ring._pump.clock()
        self._wake = trio.Event()

    @property
    def alive(self) -> bool:
        """Whether it still wants to be sent things."""
        return not self.reason

    @property
    def started(self) -> bool:
        """Whether it has begun to play."""
        return self._gop is not None

    def join(self) -> None:
        """Begin: headers and the current GOP leave at once; without one it waits for the next sync point."""
        self._progress = self.ring._pump.clock()
        self.ring.cursors.add(self)
        self.ring.seal()
        self.push()

    def leave(self) -> None:
        """Let go of the ring.  Idempotent."""
        self.ring.cursors.discard(self)

    def reply(self, data: bytes) -> None:
        """Send something beside the stream, at the next message boundary."""
        if not data or not self.alive:
            return
        self._replies.append(data)
        self._reply_bytes += len(data)
        if self._reply_bytes > REPLY_BYTES:
            self.fail("it asks without end and does not read the answers")
        else:
            self.push()

    def finish(self, data: bytes, reason: str) -> None:
        """Say `data` at the next message boundary and end: no more media."""
        self.leave()
        self._closing = reason
        if data:
            self._replies.append(data)
        self.push()

    def fail(self, reason: str) -> None:
        """End at once; `run` returns."""
        if self.alive:
            self.reason = reason
            self.leave()
            self._wake.set()

    async def run(self) -> str:
        """Wait for this viewer where the pump may not; returns the reason of its end."""
        while self.alive:
            if self._blocked:
                try:
                    await self.connection.wait_writable()
                except ConnectionLost as error:
                    self.fail(str(error))
                    break
                self._blocked = False
                self.push()
            else:
                await self._wake.wait()
                self._wake = trio.Event()
        return self.reason

    def check(self, now: float) -> None:
        """Close it where it has taken nothing for too long; the pump and a sweep call this."""
        if self._blocked and self.alive and now - self._progress > self.ring.limits.hard_seconds:
            self.fail(f"it took nothing for {self.ring.limits.hard_seconds:g} s")

    def push(self) -> None:
        """Send what there is, as far as that goes without waiting."""
        if self._blocked or not self.alive:
            return
        try:
            while self._out or self._advance():
                sent = self.connection.send_nowait(self._out)
                if sent:
                    self._progress = self.ring._pump.clock()
                if sent < len(self._out):
                    self._out = memoryview(self._out)[sent:]
                    self._blocked = True
                    self._wake.set()
                    return
                self._out = b""
        except ConnectionLost as error:
            self.fail(str(error))

    def _advance(self) -> bool:
        """Choose what is sent next; False where there is nothing."""
        if self._replies:
            self._out = b"".join(self._replies)
            self._replies.clear()
            self._reply_bytes = 0
            return True
        if self._closing:
            self.fail(self._closing)
            return False
        if self._position is None:
            return self._start()
        ring = self.ring
        batch = ring.at(self._position)
        if batch is None:
            if ring.has(self._position):
                return False  # at the head
            return self._jump()
        behind = ring._pump.clock() - batch.at
        if behind > ring.limits.soft_seconds and ring.pinned is not None and ring.pinned > self._position:
            return self._jump()
        self._out = batch.data
        self._position += 1
        self._gop = batch.gop
        return True

    def _start(self) -> bool:
        pinned = self.ring.pinned
        if pinned is None:
            return False
        batch = self.ring.at(pinned)
        assert batch is not None, "what is pinned is there"
        if self._gop is not None:
            self.skipped += max(1, batch.gop - self._gop)
        self._position, self._gop = pinned, batch.gop
        self._out = self.ring.headers()
        # Without headers (none known yet) the media itself comes next.
        return bool(self._out) or self._advance()

    def _jump(self) -> bool:
        """Go on at the newest sync point, headers first; what is jumped over is counted."""
        self._position = None
        return self._start()


class Pump(Shared):
    """The process's one pump: `ctx.shared(Pump)`.

    Attributes:
        cap: longest time between passes, seconds.
        meter: what tells the cost of a pass, seconds; tests give a deterministic one.
    """

    def __init__(self, network: Network, clock: Callable[[], float]) -> None:
        super().__init__(network, clock)
        self.cap = CAP
        self.meter: Callable[[], float] = time.perf_counter
        self._dirty: dict[Ring, None] = {}
        self._work = trio.Event()
        self._passes = self._sends = 0
        self._seconds = self._interval = 0.0

    def wake(self, ring: Ring) -> None:
        """A ring has something new."""
        self._dirty[ring] = None
        self._work.set()

    def statistics(self) -> PumpStatistics:
        """The pump so far."""
        return PumpStatistics(passes=self._passes, sends=self._sends, seconds=self._seconds, interval=self._interval)

    async def run(self) -> None:
        """Pass after pass, for as long as the process lives."""
        last = float("-inf")
        while True:
            await self._work.wait()
            start = self.clock()
            self._interval = start - last if self._passes else 0.0
            last = start
            self._work = trio.Event()
            dirty, self._dirty = self._dirty, {}
            cost = await self._pass(list(dirty))
            self._passes += 1
            self._seconds += cost
            rest = start + min(COST_FACTOR * cost, self.cap) - self.clock()
            if rest > 0:
                await trio.sleep(rest)

    async def _pass(self, rings: list[Ring]) -> float:
        """One batch to everybody at the head of these rings; returns the seconds that sending took."""
        cost, began, sends = 0.0, self.meter(), 0
        now = self.clock()
        for ring in rings:
            ring.seal()
            for cursor in tuple(ring.cursors):
                if cursor.alive:
                    cursor.check(now)
                    cursor.push()
                sends += 1
                if sends % SENDS_PER_STEP == 0:
                    # What others do meanwhile is not our cost.
                    cost += self.meter() - began
                    await trio.lowlevel.checkpoint()
                    began = self.meter()
        self._sends += sends
        return cost + self.meter() - began
