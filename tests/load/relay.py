"""A tiny RTMP server: every player gets headers, then a frame of video and of audio each FRAME seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field

from tierkit.codecs.rtmp_chunk import encode_message
from tierkit.codecs.rtmp_session import ConnectRequested, PlayRequested, ServerSession

FRAME = 0.1
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
    sent: int = 0
    sessions: list[ServerSession] = field(factory=list)
    connections: int = 0
    _begun: float = field(factory=trio.current_time)

    async def handle(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        session = ServerSession(b"s" * 32)
        self.sessions.append(session)
        try:
            async with trio.open_nursery() as nursery:
                while data := await stream.receive_some(4096):
                    playing = False
                    for event in session.receive(data, trio.current_time()):
                        playing |= self.answer(session, event)
                    await stream.send_all(session.data_to_send())
                    if session.closing:
                        break
                    if playing:
                        nursery.start_soon(self.feed, stream, session)
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

    async def feed(self, stream: trio.SocketStream, session: ServerSession) -> None:
        first = True
        number = int((trio.current_time() - self._begun) / FRAME)
        while True:
            due = self._begun + number * FRAME
            await trio.sleep_until(due)
            if self.frozen:
                await trio.sleep_forever()
            if number >= self.end_at:
                session.end_play(1)
                await stream.send_all(session.data_to_send())
                return
            at = int(number * FRAME * 1000) + (self.leap if number >= self.leap_at else 0)
            frames = [(8, b"\xaf\x00\x12\x10"), (9, b"\x17\0\0\0\0hello")] if first else []
            key = first and not self.without_key
            frames += [(9, (KEY if key else INTER) + bytes(self.size)), (8, b"\xaf\x01" + bytes(50))]
            data = b"".join(encode_message(4, kind, 1, at, body, session.chunk_size) for kind, body in frames)
            await stream.send_all(data)
            self.sent += len(data)
            first = False
            number += 1

    @property
    def url(self) -> str:
        return f"rtmp://127.0.0.1:{self.port}/live/s"


@asynccontextmanager
async def relaying(relay: TinyRelay) -> AsyncIterator[TinyRelay]:
    """The relay on a port of its own."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    relay.port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, relay.handle, listeners)
        yield relay
        nursery.cancel_scope.cancel()
