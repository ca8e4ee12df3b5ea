"""One RTMP player, reading what it gets or not; `_rtmp` has the rules."""

from __future__ import annotations

from collections import deque
from typing import Protocol

import trio

from tierkit.codecs import rtmp_message as m
from tierkit.codecs.flv_packet import classify
from tierkit.codecs.rtmp_chunk import encode_message
from tierkit.codecs.rtmp_session import (
    ClientEvent,
    ClientSession,
    ConnectRefused,
    Media,
    PlayEnded,
    PlayStarted,
    Status,
)
from tierkit.errors import ConnectionLost

from ._http import MOST_LOCAL
from ._playback import Playback
from ._report import Tally
from ._run import RETRY
from ._timeline import WRAP, Timeline, step
from ._watched import Watched
from ._wire import FAILURES, PATIENCE, Refused, Target, Wire, kind_of

__all__ = ["SETTLE", "SIGN_OF_LIFE", "RtmpPlayer"]

#: Seconds after a connection's first frame from which on frames are live.
SETTLE = 2.0
#: Seconds after which a player that drops is heard of at the latest: Wowza takes 12 s of silence for a dead client.
SIGN_OF_LIFE = 10.0
#: Milliseconds between two frames of a stream: more is a hole, as long as a stall.
_LEAP = 1000
#: Milliseconds that a server may send a second time to who comes again: the longest GOP that is believed.
_OVERLAP = 30_000
_DROP = 1 << 20
#: How a ping looks whose chunk header is whole (type 0): length 6, type 4, message stream 0, event 6; four bytes of
#: timestamp follow.  Servers send control messages so, as nothing came before on their chunk stream to refer to.
_PING = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x06"
#: Seconds that a ping waits at most for a player that drops, where a stream has less than LOW_WATER in them.
_PATIENT = 2.0
#: Seconds of media that a player gathers before its picture moves, where it does not get them at once: VLC's
#: network-caching.
_BEGINS_WITH = 1.0


class House(Protocol):
    """What the players of a run share."""

    tally: Tally
    timeline: Timeline
    target: Target | None
    #: Whether the server pings, as a player that reads has seen.
    pings: bool
    #: Wall time, and the machine's monotonic clock, at zero of the event loop's clock.
    wall: float
    monotonic: float

    def session(self) -> ClientSession:
        """For another connection."""


class RtmpPlayer:
    """A player is one person before a screen: it comes again when its connection is lost."""

    def __init__(self, house: House, number: int, *, reads: bool) -> None:
        self._house = house
        self._tally = house.tally
        self._number = number
        self._reads = reads
        self._local: deque[tuple[str, int]] = deque(maxlen=MOST_LOCAL)
        self._playback = Playback(_BEGINS_WITH)
        self._tally.playbacks.append(self._playback)
        self._begun = trio.current_time()
        self._epoch = 0
        self._came = False  # a frame
        self._seen = False  # anything at all: a frame, or a failure
        self._at: float | None = None  # media time up to which playback has its media
        self._wire: Wire | None = None
        self._session: ClientSession | None = None
        self._forget()

    def _forget(self) -> None:
        """What belongs to one connection."""
        self._playing = False
        self._first_at: float | None = None
        self._video = False
        self._newest: dict[int, int] = {}  # timestamp by type
        self._head = 0  # the newest timestamp of all, unwrapped
        self._dropped: int | None = None  # None until it drops
        self._nudged = 0.0
        self._tail = b""  # of what was looked at for pings
        self._base: float | None = None  # position in the timeline: of a reader's byte 0, or of where it began to drop

    async def watch(self) -> None:
        """Until cancelled; what fails is counted, and tried again."""
        self._begun = trio.current_time()
        while True:
            try:
                await self.begin(until_media=True)
                await (self._read() if self._reads else self._drop())
            except FAILURES as error:
                self._fail(kind_of(error))
            self._settle(trio.current_time())
            self._close()
            await trio.sleep(RETRY)

    def waiting(self) -> int:
        """Bytes that have come and were not looked at."""
        return self._wire.waiting() if self._wire is not None and self._first_at is not None else 0

    def neglected(self) -> int:
        """Bytes that wait although they are enough to be looked at."""
        return self._wire.neglected() if self._wire is not None else 0

    def look(self, now: float) -> None:
        """Whether a player that drops has stalled, or is starved; and have it look for pings."""
        if self._house.pings and self._wire is not None and now >= self._nudged + _PATIENT:
            self._nudged = now
            self._wire.nudge()
        # What nobody has noticed yet only makes it better, so many need no look.
        if self._dropped is not None and not self._playback.fine(now):
            self._settle(now)

    def leave(self, now: float) -> Watched:
        """The run is over: count a stall that still lasts, and a player without a frame."""
        self._settle(now)
        self._playback.check(now)
        self._close()
        if not self._seen:
            self._fail("nothing came")
        wall = self._house.wall
        return Watched(
            viewer=self._number,
            reads=self._reads,
            local=tuple(self._local),
            joined=round(wall + self._begun, 3),
            left=round(wall + now, 3),
            **self._playback.told(wall),
        )

    async def begin(self, *, until_media: bool) -> None:
        """Connect and play, until the server says that it plays or until the first frame.

        Raises OSError, trio.TooSlowError, Refused, ConnectionLost or RemoteProtocolError.
        """
        assert self._house.target is not None
        self._forget()
        with trio.move_on_after(PATIENCE) as scope:
            self._wire = await Wire.dial(self._house.target)
            self._local.append(self._wire.local)
            self._session = self._house.session()
            await self._wire.send(self._session.data_to_send())
            while not self._playing:
                await self._more()
        if scope.cancelled_caught:
            raise trio.TooSlowError
        # A server may let players wait for a stream that is yet to begin: that is no failure of the connection.
        while until_media and self._first_at is None:
            await self._more()

    # Dropping

    async def _drop(self) -> None:
        assert self._wire is not None
        assert self._session is not None
        self._dropped = 0
        while True:
            with trio.move_on_after(SIGN_OF_LIFE):
                await self._drop_some(self._wire, self._session.window // 2)
            # What has come and waits in the kernel will be dropped there: for the server it has arrived.
            arrived = self._session.bytes_received + self._dropped + self._wire.waiting()
            await self._wire.send(_acknowledgement(arrived))

    async def _drop_some(self, wire: Wire, enough: int) -> None:
        assert self._dropped is not None
        end = self._dropped + enough
        while self._dropped < end:
            if self._house.pings:
                data = await wire.receive(wake_at=enough)
                count = len(data)
                pongs = self._pongs(data)
            else:
                count, pongs = await wire.discard(_DROP, wake_at=enough), b""
            if not count:
                raise ConnectionLost("the server has closed the connection")
            self._tally.bytes += count
            self._dropped += count
            if pongs:
                await wire.send(pongs)

    def _pongs(self, data: bytes) -> bytes:
        """Answers to the pings in there: looked for by their looks, as nobody here knows where a message begins."""
        data = self._tail + data
        pongs = b""
        at = data.find(_PING)
        while 0 <= at <= len(data) - len(_PING) - 4:
            stamp = int.from_bytes(data[at + len(_PING) : at + len(_PING) + 4], "big")
            payload = m.UserControl(m.PING_RESPONSE, stamp).payload()
            pongs += encode_message(m.CSID_CONTROL, m.USER_CONTROL, 0, 0, payload)
            at = data.find(_PING, at + len(_PING) + 4)
        # The beginning of one may be in there, and no whole one.
        self._tail = data[-len(_PING) - 3 :]
        return pongs

    def _settle(self, now: float) -> None:
        """Give playback the media that the dropped bytes are worth."""
        if self._dropped is None or self._wire is None:
            return
        assert self._at is not None
        timeline = self._house.timeline
        if not timeline.known or timeline.over:
            self._playback.suppose(now)
            return
        count = self._dropped + self._wire.waiting()
        if self._epoch != timeline.epoch:
            # The timestamps began anew somewhere in what was dropped: call it as far as those who read.
            self._epoch = timeline.epoch
            self._base = timeline.end - count
            self._at = timeline.media(timeline.end)
            self._playback.suppose(now)
            return
        if self._base is None:
            self._base = timeline.position(self._head)
        at = max(self._at, timeline.media(self._base + count))
        self._playback.noticed(now, (at - self._at) / 1000)
        self._at = at

    # Reading

    async def _read(self) -> None:
        while True:
            await self._more()
            self._note()

    async def _more(self) -> None:
        assert self._wire is not None
        assert self._session is not None
        data = await self._wire.receive()
        if not data:
            raise ConnectionLost("the server has closed the connection")
        now = trio.current_time()
        before = self._session.bytes_received
        for event in self._session.receive(data, now):
            self._event(event, now)
        self._tally.bytes += self._session.bytes_received - before
        if self._session.pinged:
            self._house.pings = True
        if answer := self._session.data_to_send():
            await self._wire.send(answer)

    def _note(self) -> None:
        """Tell the others how far so many bytes go."""
        assert self._session is not None
        timeline = self._house.timeline
        if self._epoch != timeline.epoch:
            return
        count = self._session.bytes_received
        if self._base is None:
            if timeline.empty:
                self._base = float(-count)
            elif timeline.known:
                self._base = timeline.position(self._head) - count
            else:
                return
        timeline.reached(self._head, self._base + count)

    def _event(self, event: ClientEvent, now: float) -> None:
        match event:
            case Media():
                if event.type_id != m.DATA:
                    self._frame(event, now)
            case PlayStarted():
                self._playing = True
            case PlayEnded():
                self._fail("stream ended")
                self._playback.end(now)
                self._house.timeline.over = True
                self._newest.clear()
                self._video = False
            case ConnectRefused():
                raise Refused(event.code, f"the server refuses with {event.code} {event.description}".rstrip())
            case Status(fatal=True):
                raise Refused(event.code, f"the server answers {event.code} {event.description}".rstrip())
            case _:
                pass

    def _frame(self, media: Media, now: float) -> None:
        kind = classify(media.type_id, media.payload)
        if kind.is_pinned:
            return
        if self._first_at is None:
            self._first(media.timestamp, now)
        if media.type_id == m.VIDEO and not self._video:
            self._video = True
            if self._reads and not kind.is_keyframe:
                self._fail("no keyframe first")
        if not self._reads:
            self._head = max(self._head, self._head + step(self._head % WRAP, media.timestamp))
            return
        last = self._newest.get(media.type_id)
        if last is not None and step(last, media.timestamp) < 0:
            self._fail("timestamps")
        self._newest[media.type_id] = media.timestamp
        self._time(media.timestamp, now)

    def _first(self, stamp: int, now: float) -> None:
        """Of this connection; the player may have had others."""
        self._seen = True
        self._first_at = now
        if not self._came:
            self._came = True
            self._tally.startups.append(now - self._begun)
        timeline = self._house.timeline
        self._head = timeline.unwrap(stamp)
        # What it has seen before is no media; nor is what it has missed.
        if self._at is None or self._epoch != timeline.epoch or not 0 <= self._at - self._head <= _OVERLAP:
            self._at = self._head
        self._epoch = timeline.epoch
        self._playback.received(now, 0.0)

    def _time(self, stamp: int, now: float) -> None:
        assert self._first_at is not None
        assert self._at is not None
        timeline = self._house.timeline
        forward = step(self._head % WRAP, stamp)
        at = self._head + forward
        offset = now - at / 1000
        if forward < -_LEAP or (forward > _LEAP and offset < timeline.least - _LEAP / 1000):
            # It is the stream's clock that leapt, not the delivery.
            if self._epoch == timeline.epoch:
                timeline.restart()
            self._epoch = timeline.epoch
        if abs(forward) > _LEAP:
            self._base = None
            self._head = at
            self._at = max(self._at, at) if forward > 0 else at
            if forward > 0:
                self._fail("gap")
        self._head = max(self._head, at)
        if not self._playback.started or at > self._at:
            self._playback.received(now, max(0.0, at - self._at) / 1000)
            self._at = max(self._at, at)
        if now - self._first_at >= SETTLE and self._epoch == timeline.epoch:
            timeline.least = min(timeline.least, offset)
            # By a clock that all processes of a run have.
            self._tally.late(self._epoch, offset + self._house.monotonic)

    def _fail(self, kind: str) -> None:
        self._seen = True
        self._tally.errors[kind] += 1

    def _close(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        self._dropped = None


def _acknowledgement(sequence: int) -> bytes:
    return encode_message(m.CSID_CONTROL, m.ACKNOWLEDGEMENT, 0, 0, m.u32_payload(sequence & 0xFFFFFFFF))
