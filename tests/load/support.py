"""A tiny origin and a tiny relay to put load on: real sockets, short segments, and faults on request."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import trio
from attrs import define, field

#: Seconds of a segment.  Playlists cannot say less; the tests' clock runs faster instead.
SEGMENT = 1


def pes(dts: int) -> bytes:
    """A video PES packet's beginning, with PTS and DTS alike."""

    def stamp(mark: int) -> bytes:
        return bytes(
            (mark << 4 | dts >> 29 & 14 | 1, dts >> 22 & 255, dts >> 14 & 254 | 1, dts >> 7 & 255, dts << 1 & 254 | 1)
        )

    return b"\0\0\1\xe0\0\0\x80\xc0\x0a" + stamp(3) + stamp(1)


def packet(pid: int, counter: int, payload: bytes = b"", *, start: bool = False, excused: bool = False) -> bytes:
    """One MPEG-TS packet, stuffed with an adaptation field."""
    room = 184 - len(payload)
    adaptation = b""
    if room or excused:
        length = room - 1
        flags = bytes((0x80 if excused else 0,)) if length else b""
        adaptation = bytes((length,)) + flags + b"\xff" * (length - len(flags))
    control = (0x20 if adaptation else 0) | (0x10 if payload else 0)
    return bytes((0x47, (0x40 if start else 0) | pid >> 8, pid & 255, control | counter & 15)) + adaptation + payload


def ts(number: int, *, packets: int = 20) -> bytes:
    """Segment `number` of an endless stream on one PID: four frames, `packets` packets."""
    out = []
    for each in range(packets):
        counter = number * packets + each
        begins = each % (packets // 4) == 0
        dts = int((number + each / packets) * SEGMENT * 90_000) + 90_000
        head = pes(dts) if begins else b""
        out.append(packet(0x100, counter, head + bytes(100) + counter.to_bytes(4, "big"), start=begins))
    return b"".join(out)


@define(eq=False)
class TinyOrigin:
    """Serves /master.m3u8, /live/media.m3u8 and /live/N.ts; `frozen` holds the clock of the stream still."""

    port: int = 0
    window: int = 6
    status: dict[str, int] = field(factory=dict)
    mangle: Callable[[int, bytes], bytes] = lambda number, body: body
    playlist: Callable[[str], str] = lambda text: text
    framing: str = "length"
    dated: bool = True
    vod: bool = False
    #: A segment from this number on is asked for and never answered.
    hang_from: int = 1 << 60
    frozen_at: float | None = None
    #: Where to go instead, by path.
    moved: dict[str, str] = field(factory=dict)
    #: What else there is, by path.
    pages: dict[str, Callable[[], str]] = field(factory=dict)
    #: Seconds that each segment of a folder takes to come.
    slow: dict[str, float] = field(factory=dict)
    heads: list[str] = field(factory=list)
    seen: Counter[str] = field(factory=Counter)
    body_bytes: int = 0
    connections: int = 0
    _begun: float = field(factory=trio.current_time)
    _wall: float = field(factory=lambda: datetime.now(UTC).timestamp())
    _first: int = 100

    def newest(self) -> int:
        """Number behind the newest whole segment."""
        now = trio.current_time() if self.frozen_at is None else self.frozen_at
        return self._first + int((now - self._begun) / SEGMENT)

    def media(self) -> str:
        last = self.newest()
        first = last - self.window
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{SEGMENT}", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        if self.dated:
            at = self._wall + (first - self._first) * SEGMENT
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{datetime.fromtimestamp(at, UTC).isoformat()}")
        for number in range(first, last):
            lines += [f"#EXTINF:{SEGMENT},", f"{number}.ts"]
        if self.vod:
            lines.append("#EXT-X-ENDLIST")
        return self.playlist("\n".join([*lines, ""]))

    async def answer(self, path: str) -> tuple[int, bytes]:
        if path in self.pages:
            return 200, self.pages[path]().encode()
        if path in self.status:
            return self.status[path], b"no such thing"
        if path == "/master.m3u8":
            return 200, b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlive/media.m3u8\n"
        if path == "/live/media.m3u8":
            return 200, self.media().encode()
        if path.endswith(".ts"):
            number = int(path.rpartition("/")[2][:-3])
            if number >= self.hang_from:
                await trio.sleep_forever()
            await trio.sleep(self.slow.get(path.rpartition("/")[0], 0))
            return 200, self.mangle(number, ts(number))
        return 404, b"not found"

    async def handle(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        buffer = bytearray()
        try:
            while True:
                while (end := buffer.find(b"\r\n\r\n")) < 0:
                    data = await stream.receive_some(4096)
                    if not data:
                        return
                    buffer += data
                    if not buffer[:1].isalpha():  # TLS, where none is spoken
                        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                        return
                self.heads.append(buffer[:end].decode())
                path = buffer[:end].split(b" ")[1].decode().partition("?")[0]
                del buffer[: end + 4]
                self.seen[path] += 1
                status, body = await self.answer(path)
                if path in self.moved:
                    head = f"HTTP/1.1 302 Found\r\nLocation: {self.moved[path]}\r\nContent-Length: 0\r\n\r\n"
                    await stream.send_all(head.encode())
                    continue
                await stream.send_all(self.encode(status, body))
                self.body_bytes += len(body)
                if self.framing == "close":
                    return
        except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
            pass
        finally:
            await trio.aclose_forcefully(stream)

    def encode(self, status: int, body: bytes) -> bytes:
        head = b"HTTP/1.1 %d X\r\n" % status
        if self.framing == "chunked":
            half = len(body) // 2 or 1
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in (body[:half], body[half:]) if each)
            return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        if self.framing == "close":
            return head + b"Connection: close\r\n\r\n" + body
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/master.m3u8"


@asynccontextmanager
async def serving(origin: TinyOrigin, *, context: ssl.SSLContext | None = None) -> AsyncIterator[TinyOrigin]:
    """The origin on a port of its own."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    origin.port = listeners[0].socket.getsockname()[1]

    async def handle(stream: trio.SocketStream) -> None:
        if context is not None:
            await origin.handle(trio.SSLStream(stream, context, server_side=True, https_compatible=True))
        else:
            await origin.handle(stream)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, handle, listeners)
        yield origin
        nursery.cancel_scope.cancel()
