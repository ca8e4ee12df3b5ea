"""The RTMP chunk stream (specification section 5.3), both ways.

Writing is deliberately plain: every message begins with a full header (fmt 0, absolute timestamp) and goes on
with fmt 3.  So what is encoded depends on nothing that went before: `encode_message` is a pure function, its
bytes can be shared by every player, and messages of several writers may alternate on a connection at message
boundaries.  With chunks of 60,000 bytes the full header costs nothing.

Reading takes every habit found in the wild:

* Fmt 1 may open a chunk stream (librtmp's pings): its delta counts from 0.  Fmt 2 and 3 may not: no length is known.
* Fmt 3 that begins a message repeats the last delta; after fmt 0 the delta is 0 (nginx, librtmp), not that
  timestamp (specification): taking 0 where the other was meant is wrong by one small timestamp, the reverse
  doubles the clock in the middle of a programme.
* Extended timestamps in fmt 3 are there (specification, ffmpeg) or not (older librtmp): the four bytes are peeked
  at, and taken where they repeat the last timestamp field or the timestamp (SRS's rule).
* Set Chunk Size beyond 24 bits means 24 bits; it applies from the next chunk, also in the middle of a message.
* Abort drops the partial message of its chunk stream; its timestamp counts.

Memory: a byte is kept from the moment it arrives and never before, so a declared length costs nothing.  What is
kept is at most `max_buffered` bytes of unfinished messages, over at most 64 chunk streams, and 17 bytes of header.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tierkit.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "CHUNK_SIZE",
    "ChunkReader",
    "ChunkWriter",
    "DEFAULT_CHUNK_SIZE",
    "MAX_BUFFERED",
    "MAX_CHUNK_STREAMS",
    "MAX_MESSAGE",
    "Message",
    "encode_message",
]

CHUNK_SIZE: Final = 60_000
"""The chunk size that we announce (SRS's): nearly every message is one chunk."""

DEFAULT_CHUNK_SIZE: Final = 128
"""The chunk size of both directions until a Set Chunk Size says otherwise (specification section 5.4.1)."""

MAX_MESSAGE: Final = 8 << 20
"""Longest message that is read.  MediaMTX takes 10 MB, nginx-rtmp 1 MB; a 4K keyframe has some 2 MB."""

MAX_BUFFERED: Final = 16 << 20
"""Most bytes kept of unfinished messages, over all chunk streams of a connection."""

MAX_CHUNK_STREAMS: Final = 64
"""Most chunk streams of a connection.  Real ones have up to 8; nginx-rtmp takes 32."""

_CHUNK_SIZE_LIMIT: Final = 0xFFFFFF
_SMALL_CHUNK: Final = 128
# Chunks under 128 bytes cost as much CPU as large ones (Red5#475).  This many are borne, then not.
_MAX_SMALL_CHUNKS: Final = 20_000


class Message(NamedTuple):
    """One RTMP message.

    Fields: `type_id` (see `rtmp_message`), `stream_id` (message stream), `timestamp` in ms modulo 2**32,
    `payload`, and `csid`, the chunk stream that carried it.
    """

    type_id: int
    stream_id: int
    timestamp: int
    payload: bytes
    csid: int = 3


def encode_message(
    csid: int, type_id: int, stream_id: int, timestamp: int, payload: bytes, chunk_size: int = CHUNK_SIZE
) -> bytes:
    """The message as chunks: fmt 0, then fmt 3, with extended timestamps in every chunk where they are needed.

    Args:
        csid: chunk stream, 2 to 65,599.
        timestamp: in ms; taken modulo 2**32.
        chunk_size: the size that was last announced to the peer.

    Raises:
        LocalProtocolError: a payload or a csid that the format cannot carry.
    """
    size = len(payload)
    if size > 0xFFFFFF:
        raise LocalProtocolError(f"an RTMP message has at most 16,777,215 bytes, not {size}")
    timestamp &= 0xFFFFFFFF
    extended = timestamp.to_bytes(4, "big") if timestamp >= 0xFFFFFF else b""
    head = b"".join(
        (
            _basic_header(0, csid),
            min(timestamp, 0xFFFFFF).to_bytes(3, "big"),
            size.to_bytes(3, "big"),
            type_id.to_bytes(1, "big"),
            stream_id.to_bytes(4, "little"),
            extended,
        )
    )
    if size <= chunk_size:
        return head + payload
    parts = [head, payload[:chunk_size]]
    separator = _basic_header(3, csid) + extended
    for at in range(chunk_size, size, chunk_size):
        parts.append(separator)
        parts.append(payload[at : at + chunk_size])
    return b"".join(parts)


def _basic_header(fmt: int, csid: int) -> bytes:
    if 2 <= csid <= 63:
        return bytes((fmt << 6 | csid,))
    if 64 <= csid <= 319:
        return bytes((fmt << 6, csid - 64))
    if 320 <= csid <= 65_599:
        return bytes((fmt << 6 | 1, (csid - 64) & 0xFF, (csid - 64) >> 8))
    raise LocalProtocolError(f"chunk streams are numbered 2 to 65,599, not {csid}")


class ChunkWriter:
    """`encode_message` with the chunk size of one connection's outgoing direction."""

    def __init__(self, chunk_size: int = DEFAULT_CHUNK_SIZE) -> None:
        self.chunk_size = chunk_size

    def message(self, csid: int, type_id: int, stream_id: int, timestamp: int, payload: bytes) -> bytes:
        """The message as chunks of the current size."""
        return encode_message(csid, type_id, stream_id, timestamp, payload, self.chunk_size)

    def set_chunk_size(self, size: int) -> bytes:
        """Set Chunk Size as a message; what is written after it has the new size."""
        if not 1 <= size <= _CHUNK_SIZE_LIMIT:
            raise LocalProtocolError(f"a chunk size is 1 to {_CHUNK_SIZE_LIMIT}, not {size}")
        data = self.message(2, 1, 0, 0, size.to_bytes(4, "big"))
        self.chunk_size = size
        return data


class _ChunkStream:
    """What one chunk stream remembers from chunk to chunk."""

    __slots__ = ("body", "delta", "field", "length", "partial", "stream_id", "timestamp", "type_id")

    def __init__(self) -> None:
        self.timestamp = 0
        self.delta = 0
        self.field: int | None = None  # the last extended timestamp field, None where the last one was short
        self.length = 0
        self.type_id = 0
        self.stream_id = 0
        self.partial = False  # in the middle of a message
        self.body = bytearray()


class ChunkReader:
    """Chunks in, messages out.

    Set Chunk Size and Abort are obeyed here, since they change how the next byte is read, and handed out too.
    `max_message` and `max_buffered` may be changed at any time.
    """

    def __init__(self, *, max_message: int = MAX_MESSAGE, max_buffered: int = MAX_BUFFERED) -> None:
        self.max_message = max_message
        self.max_buffered = max_buffered
        self.chunk_size = DEFAULT_CHUNK_SIZE
        self.buffered = 0
        """Bytes kept of unfinished messages."""
        self._streams: dict[int, _ChunkStream] = {}
        self._data = b""
        self._at = 0  # how far `_data` has been read
        self._open = 0  # the chunk stream whose chunk is being read, when `_rest` of its bytes have not come
        self._rest = 0
        self._small = 0
        self.error: RemoteProtocolError | None = None
        """What was wrong, once something was."""

    def feed(self, data: bytes) -> None:
        """Takes bytes; `next_message` reads them."""
        at = self._at
        # What is left over is the beginning of a header, unless the caller stopped asking for messages.
        self._data = self._data[at:] + data if at < len(self._data) else bytes(data)
        self._at = 0

    def next_message(self) -> Message | None:
        """The next message, None until more bytes come.  Nothing behind it has been looked at.

        Raises:
            RemoteProtocolError: the bytes break the protocol; every later call raises the same.
        """
        if self.error is not None:
            raise self.error
        try:
            message = self._next()
            if message is None and self._at >= len(self._data):
                self._data, self._at = b"", 0  # thousands of players who have asked for what they get say no more
            return message
        except RemoteProtocolError as exc:
            self.error = exc
            self._streams.clear()
            self._data = b""
            self._at = self.buffered = 0
            raise

    def receive(self, data: bytes) -> list[Message]:
        """`feed`, then every message that is complete, in order.

        Raises:
            RemoteProtocolError: the bytes break the protocol.  Messages that were complete before are handed out
                first: then `error` is set, and the next call raises it, as does every later one.
        """
        self.feed(data)
        out: list[Message] = []
        try:
            while (message := self.next_message()) is not None:
                out.append(message)
        except RemoteProtocolError:
            if not out:
                raise
        return out

    def _next(self) -> Message | None:
        # The hot loop: the payload of a message that lies in the data whole is copied once.
        data = self._data
        end = len(data)
        if self._rest and (message := self._fill(data, self._open, self._streams[self._open], self._rest)) is not None:
            return message
        while (at := self._at) < end:
            header = self._header(data, at, end)
            if header is None:
                return None
            csid, stream, at = header
            self._at = at
            size = self.chunk_size
            length = stream.length
            if not stream.partial:
                if length <= size and at + length <= end:
                    self._at = stop = at + length
                    return self._finish(csid, stream, data[at:stop])
                stream.partial = True
            rest = length - len(stream.body)
            if rest > size:
                rest = size
                if size < _SMALL_CHUNK:
                    self._count_small()
            if (message := self._fill(data, csid, stream, rest)) is not None:
                return message
        return None

    def _fill(self, data: bytes, csid: int, stream: _ChunkStream, rest: int) -> Message | None:
        """Adds up to `rest` bytes of a chunk to an unfinished message; returns it when it is whole."""
        at = self._at
        stop = at + rest
        have = len(data)
        if stop > have:
            self._open = csid
            self._rest = stop - have
            stop = have
        else:
            self._rest = 0
        self._at = stop
        body = stream.body
        body += data[at:stop]
        self.buffered += stop - at
        if len(body) == stream.length:
            self.buffered -= len(body)
            stream.body = bytearray()
            stream.partial = False
            return self._finish(csid, stream, bytes(body))
        if self.buffered > self.max_buffered:
            raise RemoteProtocolError(f"more than {self.max_buffered} bytes in unfinished RTMP messages")
        return None

    def _finish(self, csid: int, stream: _ChunkStream, payload: bytes) -> Message:
        if stream.type_id == 1:
            self._set_chunk_size(payload)
        elif stream.type_id == 2:
            self._abort(payload)
        return Message(stream.type_id, stream.stream_id, stream.timestamp, payload, csid)

    def _header(self, data: bytes, at: int, end: int) -> tuple[int, _ChunkStream, int] | None:
        """Basic and message header at `at`: chunk stream, its state, and where the payload begins.

        None where the header is not here to its end; nothing has changed then.
        """
        first = data[at]
        at += 1
        csid = first & 63
        if csid < 2:
            if at + csid >= end:
                return None
            csid, at = (64 + data[at], at + 1) if csid == 0 else (64 + data[at] + 256 * data[at + 1], at + 2)
        stream = self._streams.get(csid)
        fmt = first >> 6
        if fmt == 3:
            if stream is None:
                raise RemoteProtocolError(f"RTMP chunk stream {csid} begins with a header that leaves out the length")
            if stream.field is not None:
                return self._repeated(data, at, end, csid, stream)
            if not stream.partial:
                stream.timestamp = (stream.timestamp + stream.delta) & 0xFFFFFFFF
            return csid, stream, at
        return self._full(data, at, end, fmt, csid, stream)

    def _full(
        self, data: bytes, at: int, end: int, fmt: int, csid: int, stream: _ChunkStream | None
    ) -> tuple[int, _ChunkStream, int] | None:
        """Fmt 0, 1 and 2: a header that begins a message."""
        stop = at + (11, 7, 3)[fmt]
        if stop > end:
            return None
        field = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
        extended = None
        if field == 0xFFFFFF:
            if stop + 4 > end:
                return None
            extended = field = int.from_bytes(data[stop : stop + 4], "big")
        if stream is None:
            stream = self._new(csid, fmt)
        elif stream.partial:
            raise RemoteProtocolError(f"RTMP chunk stream {csid} begins a message inside another")
        if fmt < 2:
            length = data[at + 3] << 16 | data[at + 4] << 8 | data[at + 5]
            if length > self.max_message:
                raise RemoteProtocolError(f"an RTMP message of {length} bytes; at most {self.max_message} are taken")
            stream.length = length
            stream.type_id = data[at + 6]
        if fmt == 0:
            stream.stream_id = int.from_bytes(data[at + 7 : at + 11], "little")
            stream.timestamp = field
            stream.delta = 0
        else:
            stream.delta = field
            stream.timestamp = (stream.timestamp + field) & 0xFFFFFFFF
        stream.field = extended
        return csid, stream, stop if extended is None else stop + 4

    def _repeated(
        self, data: bytes, at: int, end: int, csid: int, stream: _ChunkStream
    ) -> tuple[int, _ChunkStream, int] | None:
        """Fmt 3 on a chunk stream with extended timestamps: they may be repeated here, or left out."""
        seen = data[at : at + 4]
        timestamp = stream.timestamp
        if not stream.partial:
            timestamp = (timestamp + stream.delta) & 0xFFFFFFFF
        expected = (stream.field, stream.timestamp, timestamp)
        if any(value is not None and value.to_bytes(4, "big").startswith(seen) for value in expected):
            if len(seen) < 4:
                return None
            at += 4
        stream.timestamp = timestamp
        return csid, stream, at

    def _new(self, csid: int, fmt: int) -> _ChunkStream:
        if fmt == 2:
            raise RemoteProtocolError(f"RTMP chunk stream {csid} begins with a header that leaves out the length")
        if len(self._streams) >= MAX_CHUNK_STREAMS:
            raise RemoteProtocolError(f"more than {MAX_CHUNK_STREAMS} RTMP chunk streams on a connection")
        stream = self._streams[csid] = _ChunkStream()
        return stream

    def _count_small(self) -> None:
        self._small += 1
        if self._small > _MAX_SMALL_CHUNKS:
            raise RemoteProtocolError(f"RTMP chunks of {self.chunk_size} bytes: use {_SMALL_CHUNK} at least")

    def _set_chunk_size(self, payload: bytes) -> None:
        if len(payload) < 4:
            raise RemoteProtocolError("RTMP Set Chunk Size is shorter than 4 bytes")
        size = int.from_bytes(payload[:4], "big")
        if size == 0 or size >> 31:
            raise RemoteProtocolError(f"RTMP Set Chunk Size asks for {size:#x}: 1 to 0x7fffffff are allowed")
        self.chunk_size = min(size, _CHUNK_SIZE_LIMIT)

    def _abort(self, payload: bytes) -> None:
        if len(payload) < 4:
            raise RemoteProtocolError("RTMP Abort is shorter than 4 bytes")
        stream = self._streams.get(int.from_bytes(payload[:4], "big"))
        if stream is not None and stream.partial:
            self.buffered -= len(stream.body)
            stream.body = bytearray()
            stream.partial = False
