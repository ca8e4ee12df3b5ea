"""HTTP/1.1 on a connection, the server's role.

One loop a connection: wait for a head, screen it, parse it, ask the handler, send what it gives, and begin
again.  Requests that were sent ahead (pipelining) wait in the buffer for their turn.

* A body that ends early is never a clean end: the connection is reset (`abort`), so that no cache below
  takes half a segment for a whole one.
* A viewer that takes nothing for `ServerTimeouts.stall` seconds is reset.
* A head is made anew from parsed fields; nothing is relayed raw.
* Small bodies leave in one call with their head.
* A handler may take the connection over (`Response.take_over`): for a body without end that leaves by other hands,
  or for another protocol.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable

import trio
from attrs import define, field, frozen

from ._accesslog import AccessRecorder
from ._because import Because
from ._http_body import MAX_DRAINED_BODY, BodyReader
from ._http_heads import Head, parse_head
from ._http_logged import REQUEST_ID, Log, Said, new_request_id
from ._http_park import Park, Quick, turn
from ._http_ready import Ready, Unsent
from ._http_response import BodySink, Response, phrase, response_head, send, text_response, writable
from ._ports import Connection
from .codecs.access_line import request_id_in
from .codecs.http1 import (
    Headers,
    find_head_end,
    get,
    render_head,
    screen_start,
)
from .errors import ConnectionLost, GivenUp, RemoteProtocolError

__all__ = ["Answered", "Handler", "Request", "ServerTimeouts", "serve_http"]

#: Bodies up to this size leave in one call with their head.
JOINED_BODY = 65536
SWITCHING = 101
#: Seconds and bytes that we go on reading after an error was answered and our side was ended: a close with
#: unread input is a reset, which would destroy the answer on its way (RFC 9112 section 9.6).
LINGER_SECONDS = 2.0
LINGER_BYTES = 1 << 20


@frozen
class ServerTimeouts:
    """How long a viewer may take, seconds."""

    #: Between requests.  nginx keeps connections for 75 s, Varnish for 5; a player with 10 s segments
    #: comes back within 10.
    idle: float = 60.0
    #: From the first byte of a head to its last.  Less than a tier has patience from accept to the first request
    #: (10 s), so that who stops in the middle of it is told 408.  Varnish gives 2 s.
    head: float = 8.0
    #: From the first byte of a body to its last; only small ones are taken.
    body: float = 30.0
    #: Without taking a single byte of what we send.
    stall: float = 30.0
    #: From the first byte of an answer to its last; infinite, because an answer may be a stream.
    answer: float = math.inf


@define(eq=False)
class Request:
    """A request that has passed the screen."""

    head: Head
    connection: Connection
    _body: BodyReader = field(repr=False)
    _stall: float = field(repr=False)
    #: What became of it, for the access log: what a cache made of it, by nginx's words (HIT, MISS, STALE ...).
    outcome: str = ""
    _id: str = field(default="", init=False, repr=False)

    @property
    def id(self) -> str:
        """What it is called in the logs of all tiers that see to it: as it came, where it came with an id, else new."""
        if not self._id:
            self._id = request_id_in(self.get(REQUEST_ID)) or new_request_id()
        return self._id

    @property
    def method(self) -> str:
        """As sent: methods are case-sensitive."""
        return self.head.method

    @property
    def path(self) -> str:
        """As sent, still percent-encoded; "*" for `OPTIONS *`."""
        return self.head.path

    @property
    def query(self) -> str:
        """Without the question mark."""
        return self.head.query

    @property
    def host(self) -> str:
        """From the target where that is absolute, else from the Host field."""
        return self.head.host

    @property
    def headers(self) -> Headers:
        """Lower-case names and values, in order."""
        return self.head.fields.headers

    @property
    def minor(self) -> int:
        """0 for HTTP/1.0, 1 for 1.1."""
        return self.head.minor

    def get(self, name: bytes) -> bytes | None:
        """A field by its lower-case name; several are joined by a comma."""
        return get(self.head.fields.headers, name) if name in self.head.fields.names else None

    async def inform(self, status: int, headers: Headers) -> None:
        """Send an interim answer (1xx), before the one that is returned; one who speaks HTTP/1.0 gets none.

        Raises ConnectionLost where the viewer has gone or (GivenUp) takes nothing.
        """
        assert 100 <= status < 200, f"{status} is no interim answer"
        if self.minor:
            head = render_head(b"HTTP/1.1 %d %s" % (status, phrase(status)), headers)
            await send(self.connection, head, self._stall)

    async def read_body(self, limit: int = MAX_DRAINED_BODY) -> bytes:
        """The whole body.  Raises RemoteProtocolError (413) where it is longer than `limit` bytes."""
        return await self._body.read(limit)

    @property
    def bodiless(self) -> bool:
        """Whether it has no body, or none that has not been read."""
        return self._body.done

    async def stream_body(self) -> AsyncIterator[bytes]:
        """The body as it arrives.  Raises RemoteProtocolError (408) where nothing of it comes for too long."""
        async for piece in self._body.stream():
            yield piece


Handler = Callable[[Request], Awaitable[Response]]
#: Told of each answer once it has left or cannot: the request, its status, and the bytes sent for it, head
#: included.  Synchronous, and called for every request: for counters and logs, not for events.
Answered = Callable[[Request, int, int], None]


class _Loop:
    """One connection's requests, one after the other."""

    def __init__(
        self,
        connection: Connection,
        handler: Handler,
        timeouts: ServerTimeouts,
        answered: Answered | None,
        quick: Quick,
        park: Park | None,
        log: AccessRecorder | None,
    ) -> None:
        self.connection = connection
        self.log = Log(log, connection) if log is not None else None
        self.handler = handler
        self.answered = answered
        self.timeouts = timeouts
        self.quick = quick if self.log is None else self.log.at_hand(quick)
        self.park = park
        self.buffer = bytearray()

    def take(self, count: int) -> bytes:
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    async def more(self) -> None:
        data = await self.connection.recv()
        if not data:
            raise ConnectionLost("the viewer has ended in the middle of a request")
        self.buffer += data

    async def wait(self) -> bytes | Unsent:
        """Until there is something that cannot be answered at once; b"" at the end, or where nothing comes."""
        connection, pollable = self.connection, self.connection.pollable
        while self.park is None or pollable is None or connection.buffered:
            data = b""
            with trio.move_on_after(self.timeouts.idle):
                data = await connection.recv()
            left = turn(connection, data, self.quick) if data else b""
            if left is not None:
                return left
        return await self.park.wait(connection, pollable, self.quick, self.timeouts.idle)

    async def rest(self, unsent: Unsent) -> None:
        """Send what a viewer has not taken yet of an answer that was at hand."""
        ready, sent = unsent.ready, unsent.sent
        try:
            with trio.move_on_after(self.timeouts.answer) as scope:
                while sent < ready.size:
                    await writable(self.connection, self.timeouts.stall)
                    sent = ready.send_nowait(self.connection, sent)
            if scope.cancelled_caught:
                self.connection.abort()
                raise self.too_long()
        finally:
            unsent.release()

    async def head(self) -> bytes | None:
        """The next head; None where the viewer has ended between requests, or came with none in time."""
        if not self.buffer:
            self.connection.idle = True
            while isinstance(got := await self.wait(), Unsent):
                self.connection.idle = False
                await self.rest(got)
                self.connection.idle = True
            self.connection.idle = False
            if not got:
                return None
            self.buffer += got
        with trio.move_on_after(self.timeouts.head):
            looked = 0
            while True:
                # An empty line before a request is forgiven (RFC 9112 section 2.2).
                while self.buffer[:2] == b"\r\n":
                    del self.buffer[:2]
                try:
                    end = find_head_end(self.buffer, looked)
                except RemoteProtocolError:
                    screen_start(self.buffer)  # what it is says more than that it is too long
                    raise
                if end:
                    return self.take(end)
                if self.buffer.find(b"\n", 0, looked) < 0:  # the first line is new, or has just ended
                    screen_start(self.buffer)
                looked = len(self.buffer)
                if not (data := await self.connection.recv()):
                    raise RemoteProtocolError("the request has ended in the middle of its head", hint=400)
                self.buffer += data
        raise RemoteProtocolError(f"the head took more than {self.timeouts.head:g} s", hint=408)

    async def run(self) -> None:
        log = self.log
        began = 0.0
        while True:
            request: Request | None = None
            try:
                raw = await self.head()
                if raw is None:
                    return
                if log is not None:
                    began = trio.current_time()
                head = parse_head(raw)
                self.connection.settled()
                body = BodyReader(self, head, self.timeouts.body)
                request = Request(head, self.connection, body, self.timeouts.stall)
                response = await self.handler(request)
            except RemoteProtocolError as error:
                await self.refuse(error, request, began)
                raise
            except ConnectionLost:
                raise
            except Exception:
                # Nothing has been sent yet, so the viewer can be told; what went wrong is the guard's to tell.
                await self.refuse(RemoteProtocolError("this server has failed to answer", hint=500), request, began)
                raise
            before = self.connection.bytes_out
            may_stay = head.fields.keep_alive and not response.close and body.drains
            try:
                keep = await self.timed(request, response, keep=may_stay)
            finally:
                if response.release is not None:
                    response.release()
                if self.answered is not None:
                    self.answered(request, response.status, self.connection.bytes_out - before)
                if log is not None:
                    log.answered(_said(request), response.status, self.connection.bytes_out - before, began)
            if not (keep and await body.drain()):
                await self.linger()
                return
            if self.buffer:  # requests sent ahead are answered without reading, so without a checkpoint
                await trio.lowlevel.checkpoint()

    async def timed(self, request: Request, response: Response, *, keep: bool) -> bool:
        with trio.move_on_after(self.timeouts.answer) as scope:
            return await self.respond(request, response, keep=keep)
        assert scope.cancelled_caught
        self.connection.abort()
        raise self.too_long()

    def too_long(self) -> GivenUp:
        return GivenUp(Because(f"the viewer took more than {self.timeouts.answer:g} s for one answer", word="slow"))

    async def respond(self, request: Request, response: Response, *, keep: bool) -> bool:
        """Send a response; returns whether the connection can carry another."""
        if response.take_over is not None:
            keep = response.status == SWITCHING  # its Connection field says upgrade, and not close
            head = response_head(response, length=None, chunked=False, keep=keep, minor=request.minor)
            await response.take_over(head, self.take(len(self.buffer)))
            return False
        bare = request.method == "HEAD" or response.status in (204, 304) or response.status < 200
        length = len(response.body) if isinstance(response.body, bytes) else response.length
        chunked = length is None and request.minor > 0 and not bare
        keep = keep and (length is not None or chunked or bare)
        data = response_head(response, length=length, chunked=chunked, keep=keep, minor=request.minor)
        connection, stall = self.connection, self.timeouts.stall
        if isinstance(response.body, bytes):
            body = b"" if bare else response.body
            if len(body) <= JOINED_BODY:
                await send(connection, data + body, stall)
            else:
                await send(connection, data, stall, more=True)
                await send(connection, body, stall)
            return keep
        await send(connection, data, stall, more=not bare)
        if not bare:
            sink = BodySink(connection, chunked=chunked, left=length, stall=stall)
            try:
                await response.body(sink)
                await sink.end()
            except BaseException:
                # Never a clean end: whoever reads this must not take it for the whole.
                connection.abort()
                raise
        return keep

    async def refuse(self, error: RemoteProtocolError, request: Request | None, began: float) -> None:
        status = error.hint if isinstance(error.hint, int) else 400
        before = self.connection.bytes_out
        try:
            await self._refuse(status, error)
        finally:
            if self.log is not None:
                said = Said() if request is None else _said(request)
                now = trio.current_time()
                self.log.answered(said, status, self.connection.bytes_out - before, began or now)
        await self.linger()

    async def _refuse(self, status: int, error: RemoteProtocolError) -> None:
        response = text_response(status, str(error))
        assert isinstance(response.body, bytes)
        data = response_head(response, length=len(response.body), chunked=False, keep=False, minor=1)
        await send(self.connection, data + response.body, self.timeouts.stall)

    async def linger(self) -> None:
        """End our side and read on for a moment, so that the last answer is not destroyed by a reset."""
        self.connection.end_output()
        taken = 0
        with trio.move_on_after(LINGER_SECONDS):
            while taken < LINGER_BYTES and (data := await self.connection.recv()):
                taken += len(data)


def _said(request: Request) -> Said:
    head = request.head
    return Said(
        method=head.method,
        target=f"{head.path}?{head.query}" if head.query else head.path,
        version=f"HTTP/1.{head.minor}",
        referer=request.get(b"referer") or b"",
        agent=request.get(b"user-agent") or b"",
        request_id=request.id,
        outcome=request.outcome,
    )


def _nothing(data: bytes) -> Ready | None:
    return None


async def serve_http(
    connection: Connection,
    handler: Handler,
    timeouts: ServerTimeouts | None = None,
    *,
    answered: Answered | None = None,
    quick: Quick = _nothing,
    park: Park | None = None,
    log: AccessRecorder | None = None,
) -> None:
    """Answer the requests of one connection until it ends.

    A request that breaks the rules is answered (400, 408, 413, 414, 431, 505) and the RemoteProtocolError
    goes on to the caller, who is the connection's guard.  Whatever else a handler raises is a 500, and goes on
    to the guard too; what a body raises once it has begun ends the connection by a reset, never in order.

    Args:
        quick: gives answers that are at hand; asked first, for whatever comes first on a connection that is idle.
            `plain_get` takes most requests apart for it.
        park: where the connection waits between requests, `ctx.shared(Park)`; without one its task waits.
        log: where each request is noted once it was answered, `ctx.access_log`.
    """
    await _Loop(connection, handler, timeouts or ServerTimeouts(), answered, quick, park, log).run()
