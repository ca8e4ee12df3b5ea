"""One stream that is pushed to one target; what becomes of it harms nobody else."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Protocol

import trio

from tierkit.codecs.flv import Kind, classify
from tierkit.codecs.rtmp_message import AUDIO, VIDEO
from tierkit.live import Stream
from tierkit.plugin import Candidate, Context, NotServed, UpstreamError
from tierkit.rtmp import Publisher, RTMPTimeouts, open_publisher

__all__ = ["Push", "PushQueue"]

SCHEMES = ("rtmp", "rtmps")
#: What may wait for a slow target: some 10 s of 3 Mbit/s, or 30 s of messages.  Then whole GOPs are skipped.
QUEUE_BYTES = 4 << 20
QUEUE_MESSAGES = 2048
#: Seconds between looks at whether the stream still goes on.
LOOK = 1.0


class PushBounds(Protocol):
    """The times that a push goes by."""

    @property
    def timeouts(self) -> RTMPTimeouts:
        """How long servers may take."""


class PushHost(Protocol):
    """What a push asks of its relay."""

    ctx: Context
    push_failures: int

    @property
    def bounds(self) -> PushBounds:
        """The times that it goes by."""

    def lost(self, candidate: Candidate, reason: str) -> float:
        """A server has failed."""

    def back(self, candidate: Candidate) -> None:
        """A server answers."""


class Push:
    """One stream to one target, for as long as it goes on: also while the off-air clip is shown, for the target's
    players are players, too.

    We do not know whether that has any.  So where nobody else watches, the clip goes on for a push alone only of
    streams that are programmes by name (`off_air_for`), and never in a tier that pulls, where it would hide what the
    upstream has.

    Attributes:
        connected: whether the target takes it.
        skipped: messages that a slow target did not get.
    """

    def __init__(self, host: PushHost, stream: Stream, candidate: Candidate, extra: Mapping[str, object]) -> None:
        self.connected = False
        self.skipped = 0
        self._host = host
        self._stream = stream
        self._candidate = candidate
        self._extra = extra

    async def run(self) -> None:
        """Connect again and again, with the rests that the upstreams' rules give."""
        unwatch = self._stream.watch(lambda: self._stream.standing and not self._host.ctx.upstream.names)
        try:
            while self._stream.goes_on:
                try:
                    await self._once()
                except (UpstreamError, NotServed) as error:
                    self._host.push_failures += 1
                    await trio.sleep(self._host.lost(self._candidate, getattr(error, "reason", str(error))))
        finally:
            unwatch()

    async def _once(self) -> None:
        host, candidate = self._host, self._candidate
        target = await candidate.source.target(self._stream.name, SCHEMES)
        extra = {**candidate.source.connect_arguments(target), **self._extra}
        async with open_publisher(
            host.ctx.network, target, trust=candidate.trust, connect_object=extra, timeouts=host.bounds.timeouts
        ) as publisher:
            self.connected = True
            host.back(candidate)
            queue = PushQueue(self._stream)
            cancel = self._stream.subscribe(queue.put)
            try:
                await self._send(publisher, queue)
            finally:
                cancel()
                self.connected = False
                self.skipped += queue.skipped

    async def _send(self, publisher: Publisher, queue: PushQueue) -> None:
        while self._stream.goes_on or queue:
            with trio.move_on_after(LOOK):
                await queue.wait()
            while queue:
                await publisher.send(*queue.pop())


class PushQueue:
    """Messages on their way to a slow target: bounded, and what is lost is whole GOPs.

    It begins, and goes on after a loss, with the headers and a keyframe; without pictures, with any sound.
    """

    def __init__(self, stream: Stream) -> None:
        self.skipped = 0
        self._stream = stream
        self._queue: deque[tuple[int, int, bytes]] = deque()
        self._bytes = 0
        self._holding = True
        self._pictures = False
        self._filled = trio.Event()

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, type_id: int, timestamp: int, payload: bytes) -> None:
        """A subscriber of the stream: never blocks."""
        kind = classify(type_id, payload)
        self._pictures = self._pictures or type_id == VIDEO
        if self._holding and not self._begins(type_id, kind):
            self.skipped += not kind.is_pinned
            return
        if self._bytes + len(payload) > QUEUE_BYTES or len(self._queue) >= QUEUE_MESSAGES:
            self._holding = True
            self.skipped += 1
            return
        if self._holding:
            self._holding = False
            for pinned_type, pinned in self._stream.pinned():
                self._add(pinned_type, timestamp, pinned)
        self._add(type_id, timestamp, payload)

    def _begins(self, type_id: int, kind: Kind) -> bool:
        if kind.is_pinned or (self._queue and self._bytes > QUEUE_BYTES // 2):
            return False
        return kind.is_keyframe if self._pictures else type_id == AUDIO

    def _add(self, type_id: int, timestamp: int, payload: bytes) -> None:
        self._queue.append((type_id, timestamp, payload))
        self._bytes += len(payload)
        self._filled.set()

    def pop(self) -> tuple[int, int, bytes]:
        """The oldest message."""
        message = self._queue.popleft()
        self._bytes -= len(message[2])
        if not self._queue:
            self._filled = trio.Event()
        return message

    async def wait(self) -> None:
        """Until there is a message."""
        await self._filled.wait()
