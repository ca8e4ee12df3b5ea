"""RTMP players: real sessions up to the first frame, then read to the end or dropped in the kernel.

A player that drops what it gets still acknowledges it by the server's window, as real players do, or a server that
counts would stop; it answers nothing else, pings included.  Its startup is its first audio or video frame.

A player that reads checks that video begins with a keyframe ("no keyframe first") and that the timestamps of each
kind of media never go back ("timestamps") nor leap by more than a second ("gap": a relay that skips for a slow
player).  Its media is what the newest timestamp says, gaps left out, and the wall clock runs against that.

Its added latency is a frame's arrival minus the frame's timestamp, above the least such difference that any reading
player of the run has seen: nobody knows when the frame was made, so the fastest is taken for zero.  That needs a
server that gives all players the same timestamps, as relays do.  What a server sends at once to bring a late joiner
up to date is as old as it must be; so frames count for latency from SETTLE seconds after the first.
"""

from __future__ import annotations

import os

import trio

from tierkit import Address, Trust
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
from tierkit.codecs.rtmp_url import dial
from tierkit.errors import AddressError, ConnectionLost, TierkitError

from ._playback import Playback
from ._report import Report, Tally
from ._run import RETRY, attend, check_numbers, raise_descriptor_limit
from ._wire import FAILURES, PATIENCE, Refused, Target, Wire, kind_of, reachable, told

__all__ = ["SETTLE", "run_rtmp"]

#: Seconds after a player's first frame from which on frames are live.
SETTLE = 2.0
#: Timestamps are ms modulo 2**32; less than half of that is forward (RTMP specification section 5.3.1.1).
_WRAP = 1 << 32
#: Milliseconds between two frames of a stream: more is a hole, as long as a stall.
_LEAP = 1000
_DROP = 1 << 20


async def run_rtmp(
    url: str | Address,
    *,
    viewers: int,
    seconds: float,
    ramp: float = 0,
    read_every: int = 20,
    trust: Trust | None = None,
) -> Report:
    """Play an RTMP stream with many players.

    Args:
        url: rtmp://HOST[:PORT]/APP/NAME, or rtmps.
        viewers: how many; thousands are fine.
        seconds: how long the whole audience plays.
        ramp: seconds over which they come, evenly; before `seconds` begin.
        read_every: every nth reads all messages and checks them, the others drop them in the kernel (TLS is always
            read, and dropped here); 0 for none.  Stalls are seen by reading players alone.
        trust: how the server's certificate is verified.

    Raises:
        TierkitError: the stream cannot be played at all, found by one player before all others.
    """
    check_numbers(viewers, seconds, ramp, read_every)
    address = Address.parse(url)
    if address.scheme not in ("rtmp", "rtmps") or address.unix or address.wildcard:
        raise AddressError(f"{address} cannot be played over RTMP: write rtmp://HOST:PORT/APP/NAME, or rtmps")
    raise_descriptor_limit(viewers)
    house = _House(address)
    await _probe(house, trust)
    house.tally = tally = Tally()

    def make(number: int) -> RtmpPlayer:
        return RtmpPlayer(house, reads=read_every > 0 and number % read_every == 0)

    return await attend(make, tally, viewers=viewers, seconds=seconds, ramp=ramp)


class _House:
    """What all players of a run share."""

    def __init__(self, address: Address) -> None:
        self.tally = Tally()
        self.address = address
        self.target: Target | None = None
        to = dial(address.reveal())
        self._app, self._tc_url, self._name = to.app, to.tc_url, to.name

    def session(self) -> ClientSession:
        session = ClientSession(self._app, self._tc_url, nonce=os.urandom(32), now=trio.current_time())
        session.play(self._name)
        return session


async def _probe(house: _House, trust: Trust | None) -> None:
    player: RtmpPlayer | None = None
    try:
        house.target = await reachable(house.address, trust)
        player = RtmpPlayer(house, reads=True)
        await player.begin(until_media=False)
    except FAILURES as error:
        raise TierkitError(f"{house.address} cannot be played: {told(error)}") from None
    finally:
        if player is not None:
            player.leave(trio.current_time())


class RtmpPlayer:
    """One player, reading what it gets or not."""

    def __init__(self, house: _House, *, reads: bool) -> None:
        self._house = house
        self._tally = house.tally
        self._reads = reads
        self._wire: Wire | None = None
        self._session: ClientSession | None = None
        self._playback = Playback()
        self._seen = False
        self._forget()
        if reads:
            self._tally.playbacks.append(self._playback)

    def _forget(self) -> None:
        self._playing = False
        self._begun = trio.current_time()
        self._first_at: float | None = None
        self._video = False
        self._newest: dict[int, int] = {}  # timestamp by type
        self._unwrapped = 0  # the newest timestamp of all, counted on over wraps
        self._dropped = 0
        self._acknowledged = 0

    async def watch(self) -> None:
        """Until cancelled; what fails is counted, and tried again."""
        while True:
            try:
                await self.begin(until_media=True)
                await (self._read() if self._reads else self._drop())
            except FAILURES as error:
                self._fail(kind_of(error))
            self._close()
            self._playback.end(trio.current_time())
            await trio.sleep(RETRY)

    def leave(self, now: float) -> None:
        """Take what has come in the last moment; count a stall that still lasts, and a player without a frame."""
        if self._wire is not None and not self._reads and self._first_at is not None:
            self._tally.bytes += self._wire.discard_all()
        self._close()
        self._playback.check(now)
        if not self._seen:
            self._fail("nothing came")

    async def begin(self, *, until_media: bool) -> None:
        """Connect and play, until the server says that it plays or until the first frame.

        Raises OSError, trio.TooSlowError, Refused, ConnectionLost or RemoteProtocolError.
        """
        assert self._house.target is not None
        self._forget()
        with trio.move_on_after(PATIENCE) as scope:
            self._wire = await Wire.dial(self._house.target)
            self._session = self._house.session()
            await self._wire.send(self._session.data_to_send())
            while not self._playing:
                await self._more()
        if scope.cancelled_caught:
            raise trio.TooSlowError
        # A server may let players wait for a stream that is yet to begin: that is no failure of the connection.
        while until_media and self._first_at is None:
            await self._more()

    async def _read(self) -> None:
        while True:
            await self._more()

    async def _drop(self) -> None:
        assert self._wire is not None
        assert self._session is not None
        window = self._session.window // 2
        while count := await self._wire.discard(_DROP):
            self._tally.bytes += count
            self._dropped += count
            if self._dropped - self._acknowledged >= window:
                self._acknowledged = self._dropped
                await self._wire.send(self._acknowledgement(self._session.bytes_received + self._dropped))
        raise ConnectionLost("the server has closed the connection")

    @staticmethod
    def _acknowledgement(sequence: int) -> bytes:
        return encode_message(m.CSID_CONTROL, m.ACKNOWLEDGEMENT, 0, 0, m.u32_payload(sequence & 0xFFFFFFFF))

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
        if answer := self._session.data_to_send():
            await self._wire.send(answer)

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
            self._seen = True
            self._first_at = now
            self._tally.startups.append(now - self._begun)
        if not self._reads:
            return
        if media.type_id == m.VIDEO and not self._video:
            self._video = True
            if not kind.is_keyframe:
                self._fail("no keyframe first")
        self._time(media, now)

    def _time(self, media: Media, now: float) -> None:
        stamp = media.timestamp
        last = self._newest.get(media.type_id)
        if last is not None and _step(last, stamp) < 0:
            self._fail("timestamps")
        self._newest[media.type_id] = stamp
        if not self._playback.started:
            self._unwrapped = stamp
            self._playback.received(now, 0.0)
        step = _step(self._unwrapped % _WRAP, stamp)
        if step > _LEAP:
            self._fail("gap")
        elif step > 0:
            self._playback.received(now, step / 1000)
        if step > 0 or step < -_LEAP:
            self._unwrapped += step
            step = 0
        assert self._first_at is not None
        if now - self._first_at >= SETTLE:
            self._tally.offsets.append(now - (self._unwrapped + step) / 1000)

    def _fail(self, kind: str) -> None:
        self._seen = True
        self._tally.errors[kind] += 1

    def _close(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


def _step(before: int, now: int) -> int:
    """Milliseconds from one timestamp to the other, negative where it goes back."""
    step = (now - before) % _WRAP
    return step - _WRAP if step >= _WRAP // 2 else step
