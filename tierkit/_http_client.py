"""HTTP/1.1 on a connection, the client's role: what a tier asks its upstreams with.

Heads go through h11, behind the same screen as requests; bodies come straight from the connection in
whatever pieces they arrive.  The pool is small: a tier has few upstreams.

* Connecting, the first byte and the pause between bytes have timeouts of their own: a slow origin is not a
  dead one.
* A connection that was readable between requests is not used again.
* A safe request on a reused connection that ends without a byte of an answer is tried once more on a fresh
  one (RFC 9110 section 9.2.2): the server had closed while we sent.
* A body that ends early is an UpstreamError, never a short body.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import h11
import trio
from attrs import define, frozen

from ._address import Address, Trust
from ._ports import Connection, Network
from .codecs.http1 import MAX_HEAD, ChunkedDecoder, Headers, content_length, find_head_end, get, screen_response
from .errors import ConnectionLost, RemoteProtocolError, UpstreamError, UpstreamTimeout

__all__ = ["ClientResponse", "ClientTimeouts", "HttpClient"]

#: Methods that may be sent twice (RFC 9110 section 9.2.1).
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@frozen
class ClientTimeouts:
    """How long an upstream may take, seconds."""

    connect: float = 5.0
    #: From the end of the request to the first byte of the answer; a blocking playlist reload takes up to
    #: three target durations.
    first_byte: float = 30.0
    #: Between two pieces of a body.
    between_bytes: float = 15.0
    #: An idle connection is kept for this long; below what servers keep them (Wowza's own default is 60 s).
    idle: float = 20.0


@define
class _Pooled:
    connection: Connection
    since: float


class ClientResponse:
    """An answer whose head has arrived.  Read its body with `read_some` until b"", or `read`."""

    def __init__(self, client: HttpClient, connection: Connection, where: str, method: str, head: h11.Response) -> None:
        self.status: int = head.status_code
        #: Lower-case names and values, in order.
        self.headers: Headers = tuple((name, value) for name, value in head.headers)
        #: Bytes of the body where they are declared, else None.
        self.length: int | None = None
        self.finished = False
        self._client = client
        self._connection = connection
        self._where = where
        self._decoder: ChunkedDecoder | None = None
        self._early = b""
        options = {each.strip() for each in (get(self.headers, b"connection") or b"").lower().split(b",")}
        self.reusable = b"close" not in options and head.http_version == b"1.1"
        if method == "HEAD" or self.status in (204, 304):
            self.length, self.finished = 0, True
        elif get(self.headers, b"transfer-encoding") is not None:
            self._decoder = ChunkedDecoder()
        else:
            self.length = content_length(self.headers)
            self.finished = self.length == 0
            self.reusable = self.reusable and self.length is not None
        self._left = self.length

    async def read_some(self) -> bytes:
        """Some bytes of the body, at least one; b"" at its end.  Raises UpstreamError if it ends early."""
        while not self.finished:
            if self._early:
                data, self._early = self._early, b""
            else:
                data = await self._recv()
            body = self._decode(data) if self._decoder is not None else self._count(data)
            if body:
                return body
        return b""

    async def read(self, limit: int) -> bytes:
        """The whole body.  Raises UpstreamError where it is longer than `limit` bytes."""
        parts, size = [], 0
        while data := await self.read_some():
            size += len(data)
            if size > limit:
                raise UpstreamError(self._where, f"the answer is longer than {limit} bytes")
            parts.append(data)
        return b"".join(parts)

    async def _recv(self) -> bytes:
        patience = self._client.timeouts.between_bytes
        try:
            with trio.move_on_after(patience):
                return await self._connection.recv()
        except ConnectionLost as error:
            raise UpstreamError(self._where, f"the connection was lost in the middle of an answer: {error}") from None
        raise UpstreamTimeout(self._where, f"sent nothing for {patience:g} s in the middle of an answer")

    def _decode(self, data: bytes) -> bytes:
        assert self._decoder is not None
        if not data:
            raise UpstreamError(self._where, "ended in the middle of a chunked answer")
        try:
            body = self._decoder.receive(data)
        except RemoteProtocolError as error:
            raise UpstreamError(self._where, f"sent a malformed answer: {error}") from None
        if self._decoder.finished:
            self.finished = True
            self.reusable = self.reusable and not self._decoder.rest
        return body

    def _count(self, data: bytes) -> bytes:
        if self._left is None:  # until the connection ends (RFC 9112 section 6.3, item 8)
            self.finished = not data
            return data
        if not data:
            raise UpstreamError(self._where, f"ended {self._left} of {self.length} bytes before the answer's end")
        if len(data) > self._left:
            data, self.reusable = data[: self._left], False
        self._left -= len(data)
        self.finished = not self._left
        return data


class HttpClient:
    """Asks upstreams, and keeps their connections for a while.

    Args:
        network: to dial on.
        clock: seconds, monotonic.
        idle_connections: how many idle ones are kept for each upstream.
    """

    def __init__(
        self,
        network: Network,
        clock: Callable[[], float],
        *,
        timeouts: ClientTimeouts | None = None,
        idle_connections: int = 8,
    ) -> None:
        self.timeouts = timeouts or ClientTimeouts()
        #: Connections open now, idle ones among them.
        self.connections = 0
        #: Connections opened so far, and bytes received over all of them.
        self.connected = 0
        self.bytes_in = 0
        self._network = network
        self._clock = clock
        self._idle_connections = idle_connections
        self._pool: dict[tuple[str, str, Trust | None], list[_Pooled]] = {}

    @asynccontextmanager
    async def request(
        self, method: str, url: Address, headers: Headers = (), *, trust: Trust | None = None
    ) -> AsyncIterator[ClientResponse]:
        """Ask, and yield the answer once its head is there.  The body of a request is always empty.

        A connection whose answer was read to its end goes back to the pool; any other is closed.

        Raises:
            UpstreamError: it cannot be reached, or answers nonsense; UpstreamTimeout where it is too slow.  Either
            names it without its path.
        """
        key = (url.scheme, url.authority, trust)
        where = f"{url.scheme}://{url.authority}"
        wire = self._render(method, url, headers, where)
        fresh = False
        while True:
            connection = None if fresh else self._idle(key)
            reused = connection is not None
            if connection is None:
                connection = await self._connect(url, trust, where)
            before = connection.bytes_in
            try:
                response = await self._ask(connection, where, method, wire)
                break
            except _Silent as error:
                self._drop(connection)
                if reused and method in SAFE:
                    fresh = True
                    continue
                raise UpstreamError(where, str(error)) from None
            except BaseException:
                self.bytes_in += connection.bytes_in - before
                self._drop(connection)
                raise
        try:
            yield response
        finally:
            self.bytes_in += connection.bytes_in - before
            if response.finished and response.reusable and not connection.readable_now():
                self._keep(key, connection)
            else:
                self._drop(connection)

    def close(self) -> None:
        """Close every idle connection."""
        for kept in self._pool.values():
            while kept:
                self._drop(kept.pop().connection)

    def sweep(self) -> None:
        """Close idle connections that have been kept for long enough; call it now and then."""
        now = self._clock()
        for key, kept in list(self._pool.items()):
            for each in [each for each in kept if now - each.since > self.timeouts.idle]:
                kept.remove(each)
                self._drop(each.connection)
            if not kept:
                del self._pool[key]

    def _render(self, method: str, url: Address, headers: Headers, where: str) -> tuple[h11.Connection, bytes]:
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        host = url.with_(port=None if url.port == _USUAL.get(url.scheme) else url.port).authority
        fields = [(b"Host", (b"localhost" if url.unix else host.encode())), *headers]
        try:
            data = parser.send(h11.Request(method=method, target=url.target, headers=fields))
            parser.send(h11.EndOfMessage())
        except h11.LocalProtocolError as error:
            raise UpstreamError(where, f"cannot be asked for this path: {error}") from None
        assert data is not None
        return parser, data

    async def _connect(self, url: Address, trust: Trust | None, where: str) -> Connection:
        try:
            with trio.move_on_after(self.timeouts.connect):
                connection = await self._network.connect(url, trust=trust)
                self.connections += 1
                self.connected += 1
                return connection
        except ConnectionLost as error:
            raise UpstreamError(where, str(error)) from None
        raise UpstreamTimeout(where, f"did not answer to connecting within {self.timeouts.connect:g} s")

    async def _ask(
        self, connection: Connection, where: str, method: str, wire: tuple[h11.Connection, bytes]
    ) -> ClientResponse:
        parser, data = wire
        patience = self.timeouts.first_byte
        buffer, latest = bytearray(), math.inf
        with trio.move_on_after(patience) as scope:
            try:
                await connection.send_all(data)
                while not (end := find_head_end(buffer)):
                    more = await connection.recv()
                    if not more:
                        raise ConnectionLost("it ended without an answer")
                    buffer += more
                    # From its first byte on a head has the time of a pause, as a whole: nobody drips it.
                    latest = min(latest, trio.current_time() + self.timeouts.between_bytes)
                    scope.deadline = max(scope.deadline, latest)
                    self._skip_informational(buffer)
                head = bytes(buffer[:end])
                screen_response(head)
            except ConnectionLost as error:
                if buffer:
                    raise UpstreamError(where, f"the connection was lost in the head of an answer: {error}") from None
                raise _Silent(str(error)) from None
            except RemoteProtocolError as error:
                raise UpstreamError(where, f"sent a malformed answer: {error}") from None
            response = ClientResponse(self, connection, where, method, self._head(parser, head, where))
            response._early = bytes(buffer[end:])
            if response.finished and response._early:
                response.reusable = False
            return response
        raise UpstreamTimeout(where, f"did not answer within {patience:g} s")

    @staticmethod
    def _skip_informational(buffer: bytearray) -> None:
        # 1xx may come at any time, unasked (RFC 9110 section 15.2); none concerns a cache.  101 is not among
        # them: we never ask to switch.
        while buffer.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")) and buffer[9:10] == b"1" and buffer[9:12] != b"101":
            end = find_head_end(buffer)
            if not end:
                return
            del buffer[:end]

    @staticmethod
    def _head(parser: h11.Connection, head: bytes, where: str) -> h11.Response:
        try:
            parser.receive_data(head)
            event = parser.next_event()
        except h11.RemoteProtocolError as error:
            raise UpstreamError(where, f"sent a malformed answer: {error}") from None
        if not isinstance(event, h11.Response):
            raise UpstreamError(where, "sent a malformed answer: no final status")
        return event

    def _idle(self, key: tuple[str, str, Trust | None]) -> Connection | None:
        kept = self._pool.get(key, [])
        while kept:
            pooled = kept.pop()
            if self._clock() - pooled.since <= self.timeouts.idle and not pooled.connection.readable_now():
                return pooled.connection
            self._drop(pooled.connection)
        return None

    def _keep(self, key: tuple[str, str, Trust | None], connection: Connection) -> None:
        kept = self._pool.setdefault(key, [])
        if len(kept) < self._idle_connections:
            kept.append(_Pooled(connection, self._clock()))
        else:
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        self.connections -= 1
        connection.close()


_USUAL = {"http": 80, "https": 443}


class _Silent(Exception):
    """The connection ended before a single byte of an answer."""
