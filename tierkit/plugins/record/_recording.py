"""One publisher's stream on its way to the disk.

The stream's messages are cut into files at once and synchronously, and queued; a task carries what is queued to the
disk in a thread, twice a second or when half the queue is full.  Nobody who publishes or plays ever waits for a disk:
where the queue is full, whole GOPs are left out and counted.  A disk that fails rests, for all recordings of the tier
together.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import trio
from attrs import field, frozen

from tierkit.codecs.flv_file import Begin, FLVCutter, Step
from tierkit.events import Recorded, RecordingFailed
from tierkit.live import Stream
from tierkit.plugin import Context

from ._files import Outcome, Place
from ._names import file_name

__all__ = ["Disk", "Recording", "RecordingState"]

#: Seconds between two looks at the queue: a file is that far behind its stream.
FLUSH: Final = 0.5
#: Seconds for which a disk that has failed rests; each failure in a row doubles them.
FIRST_REST: Final = 1.0
LONGEST_REST: Final = 60.0
#: Seconds that the last of a recording may take when the tier is cut off.
FAREWELL: Final = 5.0
#: Threads of all recordings of a tier at once; the process has eight for everything.
THREADS: Final = 3


@frozen(kw_only=True)
class RecordingState:
    """One stream that is recorded."""

    name: str = field(metadata={"merge": "last"})
    #: The file that grows; empty before the first keyframe and while the disk rests.
    file: str = field(metadata={"merge": "last"})
    #: Bytes that wait for the disk.
    queued: int = field(metadata={"merge": "sum"})
    #: Messages that the disk was too slow for, and GOPs lost from their beginning.
    lost: int = field(metadata={"merge": "sum"})
    lost_gops: int = field(metadata={"merge": "sum"})


class Disk:
    """What all recordings of a tier share: threads, rests, and counts."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.files = self.bytes = self.failures = self.lost = self.lost_gops = 0
        #: Held by whoever has a thread write.
        self.threads = trio.CapacityLimiter(THREADS)
        self._rest = FIRST_REST
        self._rests_until = float("-inf")

    @property
    def rests(self) -> bool:
        """Whether it has failed a short time ago."""
        return self.ctx.clock() < self._rests_until

    async def perform(self, place: Place, steps: list[Step], stream: str) -> bool:
        """Have a thread write; False where it could not."""
        outcome = await self.ctx.run_sync(place.perform, steps)
        self.bytes += outcome.written
        for file in outcome.finished:
            self.files += 1
            self.ctx.emit(Recorded(stream=stream, file=file.path, seconds=file.seconds, bytes=file.bytes))
        if outcome.error:
            self._failed(stream, outcome)
            return False
        self._rest = FIRST_REST
        return True

    def _failed(self, stream: str, outcome: Outcome) -> None:
        self.failures += 1
        self.lost += outcome.lost
        if self.rests:
            return  # told for another stream already
        self._rests_until = self.ctx.clock() + self._rest
        reason, path = outcome.error, outcome.path or "its file"
        self.ctx.emit(RecordingFailed(stream=stream, file=path, reason=reason, retry_in=self._rest))
        self._rest = min(2 * self._rest, LONGEST_REST)


class Recording:
    """One publisher's presence on a stream, recorded.

    Args:
        limit: bytes that may wait for the disk.
        now: the time of day, UTC.
    """

    def __init__(
        self,
        disk: Disk,
        stream: Stream,
        *,
        folder: str,
        template: str,
        cutter: FLVCutter,
        limit: int,
        sync: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.stream = stream
        self.cutter = cutter
        self._disk = disk
        self._limit = limit
        self._place = Place(folder, self._next_name, sync=sync)
        self._template = template
        self._now = now
        self._starts: list[datetime] = []
        self._queue: list[Step] = []
        self._queued = 0
        self._finished = False
        self._something = trio.Event()
        #: Set where the queue is not to wait for its turn.
        self._hurry = trio.Event()
        self._unsubscribe = stream.subscribe(self._receive)

    def state(self) -> RecordingState:
        """What it does now."""
        return RecordingState(
            name=self.stream.name,
            file=self._place.path,
            queued=self._queued,
            lost=self.cutter.lost,
            lost_gops=self.cutter.lost_gops,
        )

    def finish(self) -> None:
        """The publisher has gone, or the tier ends: what is open is finished.  Idempotent."""
        if not self._finished:
            self._finished = True
            self._unsubscribe()
            self._enqueue(self.cutter.end())
            self._hurry.set()
            self._something.set()

    async def run(self) -> None:
        """Carry what is queued to the disk, until `finish`."""
        try:
            while not self._finished:
                await self._something.wait()
                with trio.move_on_after(FLUSH):
                    await self._hurry.wait()
                await self._flush()
        finally:
            # Cut off in the middle, it has a moment to end the file in order.
            with trio.CancelScope(deadline=trio.current_time() + FAREWELL, shield=True):
                self.finish()
                await self._flush()
            self._disk.lost += self.cutter.lost
            self._disk.lost_gops += self.cutter.lost_gops

    def _receive(self, type_id: int, timestamp: int, payload: bytes) -> None:
        if self.stream.source != "live":
            return  # the off-air clip is in a file already
        room = self._queued + len(payload) <= self._limit and not self._disk.rests
        self._enqueue(self.cutter.receive(type_id, timestamp, payload, room=room))

    def _enqueue(self, steps: list[Step]) -> None:
        for step in steps:
            if isinstance(step, Begin):
                self._starts.append(self._now())
            self._queue.append(step)
            self._queued += _size(step)
        if steps:
            self._something.set()
        if self._queued > self._limit // 2:
            self._hurry.set()

    async def _flush(self) -> None:
        async with self._disk.threads:
            steps, self._queue = self._queue, []
            self._something = trio.Event()
            if not self._finished:
                self._hurry = trio.Event()
            if not steps:
                return
            try:
                written = await self._disk.perform(self._place, steps, self.stream.name)
            except trio.Cancelled:  # before a thread had them: once one has, it is waited for
                self._queue[:0] = steps
                raise
            self._queued -= sum(map(_size, steps))
            if not written:
                self._abandon()

    def _abandon(self) -> None:
        """What came since belongs to a file that is no more."""
        self.cutter.lost += sum(isinstance(step, bytes) for step in self._queue)
        self._queue.clear()
        self._starts.clear()
        self._queued = 0
        self.cutter.abandon()

    def _next_name(self) -> tuple[str, ...]:
        start = self._starts.pop(0)
        return file_name(self._template, tier=self._disk.ctx.tier, stream=self.stream.name, start=start)


def _size(step: Step) -> int:
    return len(step) if isinstance(step, bytes) else len(step.data) if isinstance(step, Begin) else len(step.head)
