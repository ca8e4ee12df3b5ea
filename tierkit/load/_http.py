"""A viewer's HTTP/1.1 connection: one request at a time, kept alive, bodies read or dropped."""

from __future__ import annotations

import ssl
from collections import deque
from functools import lru_cache

import trio
from attrs import frozen

from tierkit.codecs.http1 import ChunkedDecoder, find_head_end, screen_response
from tierkit.errors import ConnectionLost, RemoteProtocolError

from ._report import Tally
from ._wire import PATIENCE, Target, Wire

__all__ = ["MAX_BODY", "MOST_LOCAL", "Answer", "HttpConnection"]

#: Addresses and ports that are remembered of a viewer who dials again and again.
MOST_LOCAL = 16

#: Bytes of the longest body that is kept: a minute of 4K.
MAX_BODY = 256 << 20
#: Bytes of the first read of an answer that is dropped: a head, and little of what MSG_TRUNC can drop cheaper.
_HEAD_READ = 2048
#: Bytes of the first read of one that is kept: a playlist.
_READ = 16384


@frozen
class Answer:
    """`body` is empty where it was dropped; `size` are its bytes on any account."""

    status: int
    location: str
    body: bytes
    size: int


@frozen
class _Head:
    status: int
    length: int | None
    chunked: bool
    close: bool
    location: str


class HttpConnection:
    """To one server, dialled when it is needed.

    `host` is the Host field.  Every byte of a body is counted in `tally` as it comes.
    """

    def __init__(self, target: Target, host: str, tally: Tally) -> None:
        self._target = target
        self._fields = f" HTTP/1.1\r\nHost: {host}\r\nUser-Agent: tierkit-load\r\nAccept: */*\r\n"
        self._tally = tally
        self._wire: Wire | None = None
        self._session: ssl.SSLSession | None = None
        self._left = 0
        # What `look` looks at: bytes so far, how many there were, and since when.
        self._busy = False
        self._came = 0
        self._noticed = 0
        self._since = 0.0
        #: Addresses and ports that it has had, the newest MOST_LOCAL of them.
        self.local: deque[tuple[str, int]] = deque(maxlen=MOST_LOCAL)

    def waiting(self) -> int:
        """Bytes of the body that is under way which have come and were not counted; of one with a length."""
        return min(self._left, self._wire.waiting()) if self._left and self._wire is not None else 0

    def neglected(self) -> int:
        """Bytes that wait although they are enough to be looked at; see `Wire.neglected`."""
        return self._wire.neglected() if self._wire is not None else 0

    def close(self) -> None:
        """At once."""
        self._left = 0
        if self._wire is not None:
            self._session = self._wire.session()
            self._wire.close()
            self._wire = None

    async def get(self, path: str, *, keep: bool, fields: str = "", likely: int = 0) -> Answer:
        """One GET; `keep` says whether the body is wanted, `fields` are more of the head, each with its CRLF.

        `likely` is how many bytes the answer will have, as far as can be said: of a large one that is dropped even
        the head is not looked at before half of it is there.

        Raises OSError, trio.TooSlowError after PATIENCE seconds without a byte (where somebody calls `look`),
        ConnectionLost where the answer breaks off and RemoteProtocolError for no HTTP.  The connection is then
        closed; the next call dials anew.
        """
        request = f"GET {path}{self._fields}{fields}\r\n".encode("ascii")
        self._since, self._noticed, self._busy = trio.current_time(), self._came, True
        try:
            return await self._exchange(request, keep, 1 if keep else max(1, likely // 2))
        except trio.ClosedResourceError:  # by `look`
            self.close()
            raise trio.TooSlowError from None
        except BaseException:
            self.close()
            raise
        finally:
            self._busy = False

    def look(self, now: float) -> None:
        """Give up what has been silent for too long; to be called about once a second.

        One look at all of them costs less than a deadline for each request.
        """
        if not self._busy or self._wire is None:
            return
        # What is too little to be woken for has come all the same.
        came = self._came + self._wire.raw_waiting()
        if came != self._noticed:
            self._noticed, self._since = came, now
        elif now - self._since >= PATIENCE:
            self._wire.interrupt()
        else:
            self._wire.nudge()

    async def _exchange(self, request: bytes, keep: bool, wake_at: int) -> Answer:
        # Servers close what is idle: that is no failure.  One that closes just as we ask is counted as one.
        if self._wire is not None and not self._wire.idle():
            self.close()
        if self._wire is None:
            with trio.fail_after(PATIENCE):
                self._wire = await Wire.dial(self._target, self._session)
            self.local.append(self._wire.local)
        wire = self._wire
        await wire.send(request)
        head, rest = await self._head(wire, _READ if keep else _HEAD_READ, wake_at)
        body: list[bytes] | None = [] if keep else None
        if head.chunked:
            size = await self._chunked(wire, rest, body)
        elif head.length is not None:
            size = await self._counted(wire, rest, body, head.length)
        else:
            size = await self._to_the_end(wire, rest, body)
        if head.close:
            self.close()
        return Answer(head.status, head.location, b"".join(body or ()), size)

    async def _head(self, wire: Wire, size: int, wake_at: int) -> tuple[_Head, bytes]:
        buffer = b""
        while True:
            end = find_head_end(buffer)
            if end:
                head = _read_head(buffer[:end])
                buffer = buffer[end:]
                if head.status >= 200:
                    return head, buffer
                continue  # 100 Continue and the like come before the answer
            data = await wire.receive(size, wake_at=wake_at)
            if not data:
                raise ConnectionLost("the connection ended before an answer")
            wake_at = 1
            self._came += len(data)
            buffer += data

    async def _counted(self, wire: Wire, rest: bytes, body: list[bytes] | None, length: int) -> int:
        if len(rest) > length:
            raise RemoteProtocolError("the answer goes on behind its Content-Length")
        if body is not None and length > MAX_BODY:
            raise RemoteProtocolError(f"an answer of {length} bytes; at most {MAX_BODY} are read")
        self._take(rest, body)
        self._left = length - len(rest)
        while self._left:
            if body is None:
                count = await wire.discard(self._left)
                self._tally.bytes += count
            else:
                data = await wire.receive(min(self._left, 1 << 18))
                self._take(data, body)
                count = len(data)
            if not count:
                raise ConnectionLost("the connection ended inside a body")
            self._left -= count
            self._came += count
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
            self._came += len(rest)

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
            self._came += len(rest)

    def _take(self, data: bytes, body: list[bytes] | None) -> None:
        self._tally.bytes += len(data)
        if body is not None and data:
            body.append(data)


# A server says the same to all who ask within a second, and screening takes longer than all else about an answer.
@lru_cache(maxsize=512)
def _read_head(data: bytes) -> _Head:
    screen_response(data)
    status, close = int(data[9:12]), data[7:8] == b"0"
    length: int | None = None
    chunked, location = False, ""
    for line in data.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        match name.lower():
            case b"content-length":
                length = int(value)
            case b"transfer-encoding":
                chunked = True
            case b"connection":
                options = value.lower()
                close = b"close" in options or (close and b"keep-alive" not in options)
            case b"location":
                location = value.strip().decode("latin-1")
    if status in (204, 304):
        length, chunked = 0, False
    # A body without a length ends with its connection.
    return _Head(status, length, chunked, close or (length is None and not chunked), location)
