"""HTTP/1.1 on a connection, the client's role: what a tier asks its upstreams with.

What is asked is in `_http_asking`, what is answered in `_http_answer`; here they meet on a connection.  The pool is
small: a tier has few upstreams.

* Connecting, the first byte and the pause between bytes have timeouts of their own: a slow origin is not a
  dead one.
* A connection that was readable between requests is not used again.
* A safe request on a reused connection that ends without a byte of an answer is tried once more on a fresh
  one (RFC 9110 section 9.2.2): the server had closed while we sent.  Any other is, where not a byte was sent.
* A body that ends early is an UpstreamError, never a short body.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
from attrs import define, field, frozen

from ._address import Address, Trust
from ._http_answer import MAX_INTERIM, AnswerHead, ClientResponse, interim, next_head
from ._http_asking import Asking, Body, Inform
from ._ports import Connection, Network
from .codecs.http1 import Headers
from .errors import ConnectionLost, RemoteProtocolError, UpstreamError, UpstreamTimeout

__all__ = ["ClientResponse", "ClientTimeouts", "HttpClient", "Unreached"]


class Unreached(UpstreamError):
    """An upstream that could not be connected to: nothing was asked of it, so anybody else may be asked the same."""


class _TooFar(Unreached, UpstreamTimeout):
    """The same, for want of an answer in time."""


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
        self,
        method: str,
        url: Address,
        headers: Headers = (),
        body: Body = None,
        *,
        trust: Trust | None = None,
        inform: Inform | None = None,
    ) -> AsyncIterator[ClientResponse]:
        """Ask, and yield the answer once its head is there.

        A connection whose answer was read to its end goes back to the pool; any other is closed.

        Args:
            headers: end-to-end fields.  Host is the URL's unless it stands here; framing is made from `body`.
            body: bytes, or an async iterable of them: chunked, or with the Content-Length that stands in `headers`.
                A field `Expect: 100-continue` is heeded.  An answer that comes before the body is whole ends its
                sending; the iterable may then not have been read to its end.
            inform: told of each interim answer but 100, as it comes: its status and fields.

        Raises:
            UpstreamError: it answers nonsense, or (Unreached) cannot be connected to; UpstreamTimeout where it is
            too slow.  Each names it without its path.
            LocalProtocolError: the body is not as long as its Content-Length.
        """
        key = (url.scheme, url.authority, trust)
        asking = Asking(method, url, headers, body, f"{url.scheme}://{url.authority}", inform)
        fresh = False
        while True:
            connection = None if fresh else self._idle(key)
            reused = connection is not None
            if connection is None:
                connection = await self._connect(url, trust, asking.where)
            before, sent = connection.bytes_in, connection.bytes_out
            try:
                response = await self._ask(connection, asking)
                break
            except _Silent as error:
                self._drop(connection)
                if reused and asking.again(connection.bytes_out - sent):
                    fresh = True
                    continue
                raise UpstreamError(asking.where, str(error)) from None
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

    async def _connect(self, url: Address, trust: Trust | None, where: str) -> Connection:
        try:
            with trio.move_on_after(self.timeouts.connect):
                connection = await self._network.connect(url, trust=trust)
                self.connections += 1
                self.connected += 1
                return connection
        except ConnectionLost as error:
            raise Unreached(where, str(error)) from None
        raise _TooFar(where, f"did not answer to connecting within {self.timeouts.connect:g} s")

    async def _ask(self, connection: Connection, asking: Asking) -> ClientResponse:
        where, heard = asking.where, _Hearing()
        try:
            if asking.at_once(connection):
                with trio.move_on_after(self.timeouts.first_byte) as heard.scope:
                    await self._hear(connection, asking, heard)
            else:
                await self._hear_while_sending(connection, asking, heard)
        except ConnectionLost as error:
            if heard.any:
                raise UpstreamError(where, f"the connection was lost in the head of an answer: {error}") from None
            raise _Silent(str(error)) from None
        except RemoteProtocolError as error:
            raise UpstreamError(where, f"sent a malformed answer: {error}") from None
        if asking.failure is not None:
            raise asking.failure
        if heard.head is None:
            raise UpstreamTimeout(where, f"did not answer within {self.timeouts.first_byte:g} s")
        early, patience = bytes(heard.buffer), self.timeouts.between_bytes
        response = ClientResponse(connection, where, asking.method, heard.head, early, patience)
        response.reusable = response.reusable and asking.sent
        return response

    async def _hear(self, connection: Connection, asking: Asking, heard: _Hearing) -> None:
        """Read until the head of the final answer is there."""
        latest, spent, seen = math.inf, 0, 0
        while True:
            before = len(heard.buffer)
            head = next_head(heard.buffer, seen)
            if head is None:
                seen = before
                more = await connection.recv()
                if not more:
                    raise ConnectionLost("it ended without an answer")
                heard.buffer += more
                heard.any = True
                # From its first byte on a head has the time of a pause, as a whole: nobody drips it.
                latest = min(latest, trio.current_time() + self.timeouts.between_bytes)
                heard.scope.deadline = max(heard.scope.deadline, latest)
            elif interim(head):
                seen, spent = 0, spent + before - len(heard.buffer)
                if spent > MAX_INTERIM:
                    raise RemoteProtocolError(f"it sends more than {MAX_INTERIM} bytes of interim answers")
                if head.status == 100:
                    asking.go_on.set()
                elif asking.inform is not None:
                    asking.inform(head.status, head.headers)
            else:
                heard.head = head
                return

    async def _hear_while_sending(self, connection: Connection, asking: Asking, heard: _Hearing) -> None:
        """The same while a request is still going out: what comes first ends the other."""
        lost: Exception | None = None

        def sent() -> None:
            heard.scope.deadline = trio.current_time() + self.timeouts.first_byte

        async def send() -> None:
            try:
                await asking.send(connection, self.timeouts.between_bytes, sent)
            except Exception as error:  # the body is the caller's, and so is what it raises
                asking.failure = error
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            try:
                with heard.scope:
                    await self._hear(connection, asking, heard)
            except Exception as error:
                lost = error
            nursery.cancel_scope.cancel()
        if lost is not None and asking.failure is None:
            raise lost

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


@define
class _Hearing:
    """What was heard of an answer so far."""

    #: Until the head of the final answer is there: what of the time for it is left.
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    buffer: bytearray = field(factory=bytearray)
    any: bool = False
    head: AnswerHead | None = None


class _Silent(Exception):
    """The connection ended before a single byte of an answer."""
