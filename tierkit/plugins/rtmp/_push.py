"""One stream that is pushed to one target; what becomes of it harms nobody else."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import trio
from attrs import field, frozen

from tierkit.codecs.flv import Kind, classify
from tierkit.codecs.rtmp_message import AUDIO, VIDEO
from tierkit.events import StreamFault
from tierkit.live import Stream
from tierkit.plugin import Address, Candidate, Context, NotServed, UpstreamError
from tierkit.rtmp import Publisher, RTMPPlace, RTMPRefused, RTMPTimeouts, open_publisher

from ._places import SCHEMES, places

__all__ = ["Push", "PushQueue", "PushState"]

#: What may wait for a slow target: some 10 s of 3 Mbit/s, or 30 s of messages.  Then whole GOPs are skipped.
QUEUE_BYTES = 4 << 20
QUEUE_MESSAGES = 2048
#: How often a source may answer one server with another address.
MAX_CHALLENGES = 3
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


@frozen(kw_only=True)
class PushState:
    """One push now."""

    stream: str = field(metadata={"merge": "last"})
    #: The target's name, and the one of its addresses that takes the stream or was tried last.
    target: str = field(metadata={"merge": "last"})
    server: str = field(metadata={"merge": "last"})
    #: Whether it takes the stream.
    connected: bool = field(metadata={"merge": "max"})
    #: Why it does not, empty while it does.
    trouble: str = field(metadata={"merge": "last"})
    #: Messages that it did not get because it was slow.
    skipped: int = field(metadata={"merge": "sum"})


class Push:
    """One stream to one target, for as long as it goes on: also while the off-air clip is shown, for the target's
    players are players, too.

    We do not know whether that has any.  So where nobody else watches, the clip goes on for a push alone only of
    streams that are programmes by name (`off_air_for`), and never in a tier that pulls, where it would hide what the
    upstream has.

    A target has an address and perhaps backups: the first that does not rest is tried, and is kept until it fails.

    Attributes:
        connected: whether the target takes it.
    """

    def __init__(self, host: PushHost, stream: Stream, target: Candidate, extra: Mapping[str, object]) -> None:
        self.connected = False
        self._host = host
        self._stream = stream
        self._target = target
        self._extra = extra
        self._servers = (target, *target.backups)
        self._server = target
        self._trouble = ""
        self._skipped = 0
        self._queue: PushQueue | None = None

    @property
    def skipped(self) -> int:
        """Messages that a slow target did not get."""
        return self._skipped + (0 if self._queue is None else self._queue.skipped)

    def state(self) -> PushState:
        """How it fares."""
        return PushState(
            stream=self._stream.name,
            target=self._target.name,
            server=self._server.name,
            connected=self.connected,
            trouble="" if self.connected else self._trouble,
            skipped=self.skipped,
        )

    async def run(self) -> None:
        """Connect again and again, with the rests that the upstreams' rules give."""
        unwatch = self._stream.watch(lambda: self._stream.standing and not self._host.ctx.upstream.names)
        try:
            while self._stream.goes_on and await self._round():
                pass
        finally:
            unwatch()

    async def _round(self) -> bool:
        """Wait for a server that does not rest, and push to it; False where that is of no use."""
        host = self._host
        rests = {each.name: host.ctx.upstream.delay(each) for each in self._servers}
        if (rest := min(rests.values())) > 0:
            await trio.sleep(rest)
            return True
        self._server = server = next(each for each in self._servers if rests[each.name] <= 0)
        try:
            target = await server.source.target(self._stream.name, SCHEMES)
        except NotServed as error:
            # Its path does not fit, and will not the next time either.
            host.ctx.emit(StreamFault(stream=self._stream.name, reason=f"is not pushed to {server.name}: {error}"))
            return False
        except UpstreamError as error:
            self._failed(error.reason)
            return True
        try:
            await self._once(server, target)
        except (UpstreamError, NotServed) as error:
            self._failed(getattr(error, "reason", str(error)))
        return True

    def _failed(self, reason: str) -> None:
        self._trouble = reason
        self._host.push_failures += 1
        self._host.lost(self._server, reason)

    async def _once(self, server: Candidate, target: Address) -> None:
        """Push until the stream or the connection ends; where the server asks for it, on another connection."""
        others = await places((each for each in self._servers if each is not server), self._stream.name)
        place: RTMPPlace | None = RTMPPlace(target, server.trust)
        # What comes while we connect is kept, so that a stream which has just begun has its beginning there.
        self._queue = queue = PushQueue(self._stream)
        cancel = self._stream.subscribe(queue.put)
        try:
            while place is not None:
                async with self._open(server, place, others) as publisher:
                    self.connected = True
                    self._host.back(server)
                    place = await self._send(publisher, queue)
        finally:
            self.connected = False
            self._queue = None
            self._skipped += queue.skipped
            cancel()

    @asynccontextmanager
    async def _open(self, server: Candidate, place: RTMPPlace, others: Sequence[RTMPPlace]) -> AsyncIterator[Publisher]:
        """A connection that takes the stream; what else the server asks is for the source to answer."""
        source, host = server.source, self._host
        for left in range(MAX_CHALLENGES, -1, -1):
            extra = {**source.connect_arguments(place.url), **self._extra}
            accepted = False
            try:
                async with open_publisher(
                    host.ctx.network,
                    place.url,
                    trust=place.trust,
                    others=others,
                    connect_object=extra,
                    greeting=source.greeting,
                    timeouts=host.bounds.timeouts,
                ) as publisher:
                    accepted = True
                    yield publisher
                return
            except RTMPRefused as error:
                answer = None if accepted or not left else source.challenge(place.url, error.description)
                if answer is None:
                    raise
                place = RTMPPlace(answer, place.trust)

    async def _send(self, publisher: Publisher, queue: PushQueue) -> RTMPPlace | None:
        """Send until the stream ends; returns where to go on, between two GOPs, once the server asks for it."""
        while self._stream.goes_on or queue:
            with trio.move_on_after(LOOK):
                await queue.wait()
            publisher.check()
            while queue:
                if publisher.asked_away is not None and queue.begins_anew():
                    return publisher.asked_away
                await publisher.send(*queue.pop())
        return None


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

    def begins_anew(self) -> bool:
        """Whether a decoder can begin with the oldest message; then headers are put before it."""
        type_id, timestamp, payload = self._queue[0]
        kind = classify(type_id, payload)
        if not kind.is_keyframe and (self._pictures or type_id != AUDIO or kind.is_pinned):
            return False
        for pinned_type, pinned in reversed([*self._stream.pinned()]):
            self._queue.appendleft((pinned_type, timestamp, pinned))
            self._bytes += len(pinned)
        return True

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
