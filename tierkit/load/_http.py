"""A viewer's HTTP/1.1 connection: one request at a time, kept alive, bodies read or dropped."""

from __future__ import annotations

import trio
from attrs import define, frozen

from tierkit.codecs.http1 import ChunkedDecoder, find_head_end, screen_response
from tierkit.errors import ConnectionLost, RemoteProtocolError

from ._report import Tally
from ._wire import PATIENCE, Target, Wire

__all__ = ["MAX_BODY", "Answer", "HttpConnection"]

#: Bytes of the longest body that is kept: a minute of 4K.
MAX_BODY = 256 << 20
#: Bytes of the first read of an answer that is dropped: a head, and little of what MSG_TRUNC can drop cheaper.
_HEAD_READ = 2048
#: How often a viewer that drops a body is woken for it at most, and for no fewer bytes than that.
_WAKES = 16
_LEAST_WAKE = 4096


@frozen
class Answer:
    """`body` is empty where it was dropped; `size` are its bytes on any account."""

    status: int
    location: str
    body: bytes
    size: int


@define
class _Head:
    status: int
    length: int | None = None
    chunked: bool = False
    close: bool = False
    location: str = ""


class HttpConnection:
    """To one server, dialled when it is needed.

    `host` is the Host field.  Every byte of a body is counted in `tally` as it comes.
    """

    def __init__(self, target: Target, host: str, tally: Tally) -> None:
        self._target = target
        self._host = host
        self._tally = tally
        self._wire: Wire | None = None
        self._scope = trio.CancelScope()
        self._left = 0

    def waiting(self) -> int:
        """Bytes of the body that is under way which have come and were not counted; of one with a length."""
        return min(self._left, self._wire.waiting()) if self._left and self._wire is not None else 0

    def close(self) -> None:
        """At once."""
        self._left = 0
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    async def get(self, path: str, *, keep: bool) -> Answer:
        """One GET; `keep` says whether the body is wanted.

        Raises OSError, trio.TooSlowError after PATIENCE seconds without a byte, ConnectionLost where the answer
        breaks off and RemoteProtocolError for no HTTP.  The connection is then closed; the next call dials anew.
        """
        try:
            with trio.CancelScope(deadline=trio.current_time() + PATIENCE) as self._scope:
                return await self._get(path, keep)
        except BaseException:
            self.close()
            raise
        self.close()
        raise trio.TooSlowError

    async def _get(self, path: str, keep: bool) -> Answer:
        request = f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\nUser-Agent: tierkit-load\r\nAccept: */*\r\n\r\n"
        # Servers close what is idle: that is no failure.  One that closes just as we ask is counted as one.
        if self._wire is not None and not self._wire.idle():
            self.close()
        return await self._exchange(request.encode("ascii"), keep)

    async def _exchange(self, request: bytes, keep: bool) -> Answer:
        if self._wire is None:
            self._wire = await Wire.dial(self._target)
        wire = self._wire
        await wire.send(request)
        head, rest = await self._head(wire, 65536 if keep else _HEAD_READ)
        if head.status == 304 or head.status == 204:
            head.length, head.chunked = 0, False
        body: list[bytes] | None = [] if keep else None
        if head.chunked:
            size = await self._chunked(wire, rest, body)
        elif head.length is not None:
            size = await self._counted(wire, rest, body, head.length)
        else:
            head.close = True
            size = await self._to_the_end(wire, rest, body)
        if head.close:
            self.close()
        return Answer(head.status, head.location, b"".join(body or ()), size)

    async def _head(self, wire: Wire, size: int) -> tuple[_Head, bytes]:
        buffer = bytearray()
        while True:
            end = find_head_end(buffer)
            if end:
                head = _read_head(bytes(buffer[:end]))
                del buffer[:end]
                if head.status >= 200:
                    return head, bytes(buffer)
                continue  # 100 Continue and the like come before the answer
            data = await wire.receive(size)
            if not data:
                raise ConnectionLost("the connection ended before an answer")
            self._progress()
            buffer += data

    async def _counted(self, wire: Wire, rest: bytes, body: list[bytes] | None, length: int) -> int:
        if len(rest) > length:
            raise RemoteProtocolError("the answer goes on behind its Content-Length")
        if body is not None and length > MAX_BODY:
            raise RemoteProtocolError(f"an answer of {length} bytes; at most {MAX_BODY} are read")
        self._take(rest, body)
        self._left = length - len(rest)
        # A few wake-ups for a body, so that a slow one is seen to come.
        wake_at = max(length // _WAKES, _LEAST_WAKE)
        while self._left:
            if body is None:
                count = await wire.discard(self._left, wake_at=wake_at)
                self._tally.bytes += count
            else:
                data = await wire.receive(min(self._left, 1 << 18))
                self._take(data, body)
                count = len(data)
            if not count:
                raise ConnectionLost("the connection ended inside a body")
            self._left -= count
            self._progress()
        return length

    async def _chunked(self, wire: Wire, rest: bytes, body: list[bytes] | None) -> int:
        decoder = ChunkedDecoder()
        size = 0
        while True:
            data = decoder.receive(rest)
            self._take(data, body)
            size += len(data)
            if size > MAX_BODY:
                raise RemoteProtocolError(f"an answer of more than {MAX_BODY} bytes")
            if decoder.finished:
                if decoder.rest:
                    raise RemoteProtocolError("the answer goes on behind its last chunk")
                return size
            rest = await wire.receive()
            if not rest:
                raise ConnectionLost("the connection ended inside a chunked body")
            self._progress()

    async def _to_the_end(self, wire: Wire, rest: bytes, body: list[bytes] | None) -> int:
        size = 0
        while True:
            self._take(rest, body)
            size += len(rest)
            if size > MAX_BODY:
                raise RemoteProtocolError(f"an answer of more than {MAX_BODY} bytes")
            rest = await wire.receive()
            if not rest:
                return size
            self._progress()

    def _take(self, data: bytes, body: list[bytes] | None) -> None:
        self._tally.bytes += len(data)
        if body is not None and data:
            body.append(data)

    def _progress(self) -> None:
        now = trio.current_time()
        # Moving a deadline costs the event loop something: not for every packet.
        if self._scope.deadline - now < PATIENCE / 2:
            self._scope.deadline = now + PATIENCE


def _read_head(data: bytes) -> _Head:
    screen_response(data)
    head = _Head(int(data[9:12]), close=data[7:8] == b"0")
    for line in data.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        match name.lower():
            case b"content-length":
                head.length = int(value)
            case b"transfer-encoding":
                head.chunked = True
            case b"connection":
                options = value.lower()
                head.close = b"close" in options or (head.close and b"keep-alive" not in options)
            case b"location":
                head.location = value.strip().decode("latin-1")
    return head
