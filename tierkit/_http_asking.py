"""What an upstream is asked: the head of a request, and its body while it goes out.

* Framing is ours: Content-Length and Transfer-Encoding are made from the body, Host from the URL unless the caller
  gives one, and what the caller says of the connection itself is left out.
* A body goes out beside the wait for the answer.  A final answer that comes before the end of the body ends the
  sending, and the connection with it (nginx does the same): what the rest would have meant is not known any more.
* With `Expect: 100-continue` the body waits for the word, and a second at most (RFC 9110 section 10.1.1: not for ever).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Callable

import trio

from ._address import Address
from ._ports import Connection
from .codecs.http1 import Headers, content_length, get, render_head
from .errors import ConnectionLost, LocalProtocolError, UpstreamError, UpstreamTimeout

__all__ = ["Asking", "Body", "Inform"]

#: A request's body: nothing, all of it, or pieces as they come.
Body = bytes | AsyncIterable[bytes] | None
#: Told of an interim answer: its status and fields.
Inform = Callable[[int, Headers], None]

#: Methods that mean the same however often they arrive (RFC 9110 section 9.2.1), so may be sent twice.
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: Methods to which a body belongs: without one they say so (RFC 9110 section 8.6).
BODIED = frozenset({"POST", "PUT", "PATCH"})
#: Fields that tell of the connection or of the framing: ours to say.
OURS = frozenset({b"connection", b"content-length", b"keep-alive", b"proxy-connection", b"transfer-encoding"})
#: Seconds that a body waits for 100 (Continue); curl's default.
CONTINUE_SECONDS = 1.0

_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(r"/[!\"$-~]*|\*")
_USUAL = {"http": 80, "https": 443}


class Asking:
    """One request.

    Args:
        where: what it is asked of, for errors.
        inform: who is told of interim answers.
    """

    def __init__(
        self, method: str, url: Address, headers: Headers, body: Body, where: str, inform: Inform | None = None
    ) -> None:
        self.method = method
        self.inform = inform
        self.where = where
        #: Whether all of it is on its way.
        self.sent = False
        #: What the caller's own body raised while it was sent.
        self.failure: Exception | None = None
        self._body = body
        self._declared: int | None = None
        named = tuple((name.lower(), value) for name, value in headers)
        # RFC 9110 section 10.1.1: not where there is nothing to send.
        some = body not in (None, b"") and content_length(named) != 0
        self._expects = some and b"100-continue" in (get(named, b"expect") or b"").lower()
        self.go_on = trio.Event()
        self._wire = self._render(url, headers, named)
        if isinstance(body, bytes) and not self._expects:
            self._wire, self._body = self._wire + body, b""

    def again(self, sent: int) -> bool:
        """Whether it may be sent once more on another connection, after `sent` bytes on one that died.

        RFC 9110 section 9.2.2: nothing has happened where nothing was sent, and no more than once where the method
        is safe.  A body that came in pieces is gone.
        """
        return not sent or (self.method in SAFE and not isinstance(self._body, AsyncIterable))

    def at_once(self, connection: Connection) -> bool:
        """Send what fits at once; whether that was everything.  Raises ConnectionLost."""
        self.sent = False
        taken = connection.send_nowait(self._wire)
        self._rest = memoryview(self._wire)[taken:]
        self.sent = not self._rest and (self._body is None or self._body == b"")
        return self.sent

    async def send(self, connection: Connection, patience: float, done: Callable[[], None]) -> None:
        """Send what `at_once` has left; tells `done` when the answer is all there is to wait for.

        Raises UpstreamTimeout where nothing is taken for `patience` seconds.
        """
        try:
            await self._offer(connection, self._rest, patience)
            if self._expects:
                with trio.move_on_after(CONTINUE_SECONDS):
                    await self.go_on.wait()
            if isinstance(self._body, bytes):
                await self._offer(connection, self._body, patience)
            elif self._body is not None:
                await self._pieces(connection, self._body, patience)
            self.sent = True
        except _Gone:
            pass  # it may have said why before it went: whoever reads will see
        done()

    async def _pieces(self, connection: Connection, body: AsyncIterable[bytes], patience: float) -> None:
        left = self._declared
        async for piece in body:
            if left is None and piece:
                await self._offer(connection, b"%x\r\n%b\r\n" % (len(piece), piece), patience)
            elif left is not None:
                left -= len(piece)
                if left < 0:
                    raise LocalProtocolError("the body of a request is longer than its Content-Length")
                await self._offer(connection, piece, patience)
        if left:
            raise LocalProtocolError(f"the body of a request ended {left} bytes before its Content-Length")
        if left is None:
            await self._offer(connection, b"0\r\n\r\n", patience)

    async def _offer(self, connection: Connection, data: bytes | memoryview, patience: float) -> None:
        view = memoryview(data)
        while view:
            try:
                if taken := connection.send_nowait(view):
                    view = view[taken:]
                    continue
                with trio.move_on_after(patience) as scope:
                    await connection.wait_writable()
            except ConnectionLost as error:
                raise _Gone from error
            if scope.cancelled_caught:
                raise UpstreamTimeout(self.where, f"took nothing of the request for {patience:g} s")

    def _render(self, url: Address, headers: Headers, named: Headers) -> bytes:
        target = url.target
        if not _METHOD.fullmatch(self.method) or self.method == "CONNECT" or not _TARGET.fullmatch(target):
            raise UpstreamError(self.where, f"cannot be asked for this path: {self.method} {url}")
        ours = OURS if self._expects else OURS | {b"expect"}
        fields = [each for each, (name, _) in zip(headers, named, strict=True) if name not in ours]
        if get(named, b"host") is None:
            fields.insert(0, (b"Host", _host(url)))
        fields += self._framing(named)
        try:
            return render_head(b"%b %b HTTP/1.1" % (self.method.encode(), target.encode()), fields)
        except ValueError as error:
            raise UpstreamError(self.where, f"cannot be asked for this path: {error}") from None

    def _framing(self, named: Headers) -> Headers:
        if isinstance(self._body, AsyncIterable):
            self._declared = content_length(named)
            if self._declared is None:
                return [(b"Transfer-Encoding", b"chunked")]
            return [(b"Content-Length", b"%d" % self._declared)]
        if self._body or self.method in BODIED:
            return [(b"Content-Length", b"%d" % len(self._body or b""))]
        return []


def _host(url: Address) -> bytes:
    if url.unix:
        return b"localhost"
    authority = url.authority
    usual = url.port is not None and url.port == _USUAL.get(url.scheme)
    return (authority.rpartition(":")[0] if usual else authority).encode("ascii")


class _Gone(Exception):
    """The upstream takes no more of the request."""
