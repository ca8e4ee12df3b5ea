"""A tiny RTMP server: every player gets headers, then a frame of video and of audio each FRAME seconds.

Pictures are far from equal: every KEYS-th is a keyframe of ten times the size.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field

from tierkit.codecs.rtmp_chunk import encode_message
from tierkit.codecs.rtmp_session import ConnectRequested, PlayRequested, Pong, ServerSession

FRAME = 0.1
KEYS = 20
KEY, INTER = b"\x17\x01\0\0\0", b"\x27\x01\0\0\0"


@define(eq=False)
class TinyRelay:
    """`frozen` stops all media; the other attributes are faults, on request."""

    port: int = 0
    size: int = 2000
    refuse_connect: bool = False
    refuse_play: bool = False
    without_key: bool = False
    frozen: bool = False
    silent: bool = False
    #: Milliseconds added to timestamps from frame number `leap_at` on.
    leap: int = 0
    leap_at: int = 20
    #: Unpublish behind this frame.
    end_at: int = 1 << 60
    #: Frames that leave together.
    batch: int = 1
    #: A player begins so many frames ago.
    back: int = 0
    #: Connections (the probe's is 1) that get no more than this share of each second from frame `starve_at` on.
    starved: frozenset[int] = frozenset()
    share: float = 0.0
    starve_at: int = 15
    #: Seconds for which everything stands still, once; it comes late, and all of it.
    pause: float = 0.0
    #: Ping behind every so many frames; 0 for never.
    ping_every: int = 0
    #: Answers by connection.
    pongs: list[int] = field(factory=list)
    sent: int = 0
    sessions: list[ServerSession] = field(factory=list)
    connections: int = 0
    _resumes: float | None = None
    _begun: float = field(factory=trio.current_time)
    _locks: dict[trio.abc.Stream, trio.Lock] = field(factory=dict)

    async def handle(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        session = ServerSession(b"s" * 32)
        self.sessions.append(session)
        self.pongs.append(0)
        me = self.connections
        try:
            async with trio.open_nursery() as nursery:
                while data := await stream.receive_some(4096):
                    playing = False
                    for event in session.receive(data, trio.current_time()):
                        playing |= self.answer(session, event)
                        self.pongs[me - 1] += isinstance(event, Pong)
                    await self._send(stream, session.data_to_send())
                    if session.closing:
                        break
                    if playing:
                        nursery.start_soon(self.feed, stream, session, me)
                nursery.cancel_scope.cancel()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    def answer(self, session: ServerSession, event: object) -> bool:
        match event:
            case ConnectRequested():
                if self.refuse_connect:
                    session.reject_connect(description="no such application")
                else:
                    session.accept_connect()
            case PlayRequested(stream_id):
                if self.refuse_play:
                    session.reject_play(stream_id)
                else:
                    session.accept_play(stream_id)
                    return not self.silent
        return False

    async def feed(self, stream: trio.abc.Stream, session: ServerSession, me: int) -> None:
        first = True
        late = 0.0
        number = int((trio.current_time() - self._begun) / FRAME) - self.back
        while True:
            if me in self.starved and number >= self.starve_at:
                late = late + FRAME * (1 / self.share - 1) if self.share else float("inf")
            await trio.sleep_until(self._begun + (number - number % self.batch + self.batch - 1) * FRAME + late)
            if self.frozen:
                await trio.sleep_forever()
            if self.pause and self._resumes is None:
                self._resumes = trio.current_time() + self.pause
            if self._resumes is not None:
                await trio.sleep_until(self._resumes)
            if number >= self.end_at:
                session.end_play(1)
                await self._send(stream, session.data_to_send())
                return
            at = 60_000 + int(number * FRAME * 1000) + (self.leap if number >= self.leap_at else 0)
            frames = [(8, b"\xaf\x00\x12\x10"), (9, b"\x17\0\0\0\0hello")] if first else []
            key = (first or number % KEYS == 0) and not self.without_key
            size = self.size * 10 if number % KEYS == 0 else self.size
            frames += [(9, (KEY if key else INTER) + bytes(size)), (8, b"\xaf\x01" + bytes(50))]
            data = b"".join(encode_message(4, kind, 1, at, body, session.chunk_size) for kind, body in frames)
            await self._send(stream, data)
            self.sent += len(data)
            if self.ping_every and number % self.ping_every == 0:
                session.ping(trio.current_time())
                await self._send(stream, session.data_to_send())
            first = False
            number += 1

    async def _send(self, stream: trio.abc.Stream, data: bytes) -> None:
        # Media and answers come from two tasks.
        async with self._locks.setdefault(stream, trio.Lock()):
            await stream.send_all(data)

    @property
    def url(self) -> str:
        return f"rtmp://127.0.0.1:{self.port}/live/s"


@asynccontextmanager
async def relaying(relay: TinyRelay, *, context: ssl.SSLContext | None = None) -> AsyncIterator[TinyRelay]:
    """The relay on a port of its own, with TLS where there is a context."""

    async def handle(stream: trio.SocketStream) -> None:
        if context is None:
            await relay.handle(stream)
        else:
            await relay.handle(trio.SSLStream(stream, context, server_side=True))

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    relay.port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handle, listeners)
        yield relay
        nursery.cancel_scope.cancel()
