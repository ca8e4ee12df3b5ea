"""What an upstream answers: its head, taken apart at one pass, and its body as it arrives.

* A head is what one strict expression says, and split by another: 8 µs for what takes the line-by-line screen 26 and
  h11 50.  What the expression does not know goes through that screen, which refuses it by name or lets it pass; what
  comes out is what h11 would have made of it (a property test holds the three together).
* Interim answers (1xx) may come unasked and are read over; all of them together are bounded like one head.
* What ends a body is decided once, by `framing` (RFC 9112 section 6.3); a body that ends before that is an
  UpstreamError, never a short body.
"""

from __future__ import annotations

import re

import trio
from attrs import frozen

from ._ports import RECV_BYTES, Connection
from .codecs.http1 import (
    MAX_FIELDS,
    MAX_HEAD,
    MAX_LINE,
    ChunkedDecoder,
    Headers,
    content_length,
    find_head_end,
    get,
    screen_response,
)
from .errors import ConnectionLost, RemoteProtocolError, UpstreamError, UpstreamTimeout

__all__ = ["MAX_INTERIM", "AnswerHead", "ClientResponse", "interim", "next_head", "parse_answer"]

_TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
# RFC 9112 sections 4 and 5, as `screen_response` has them, for heads no longer than one line may be.
_HEAD = re.compile(
    rb"HTTP/1\.[01] [1-9][0-9]{2}(?: "
    + _TEXT
    + rb")?\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:"
    + _TEXT
    + rb"\r\n){0,%d}\r\n" % MAX_FIELDS
)
# Of a head that is good, so every line is a field.
_FIELDS = re.compile(rb"\n([^:\r]+):([^\r]*)")
_PLAIN_LENGTH = re.compile(rb"[0-9]{1,18}")
_LENGTH, _CODING = b"content-length", b"transfer-encoding"
#: All interim answers before the final one, bytes: Go's net/http bounds them by the size of one head, too.
MAX_INTERIM = MAX_HEAD


@frozen(eq=False)
class AnswerHead:
    """The head of an answer."""

    status: int
    #: Lower-case names and values, in order.
    headers: Headers
    #: 0 for HTTP/1.0, 1 for 1.1.
    minor: int


def parse_answer(head: bytes) -> AnswerHead:
    """A whole head, with its empty line.  Raises RemoteProtocolError where it is not beyond doubt."""
    fields = tuple([(name.lower(), value.strip(b" \t")) for name, value in _FIELDS.findall(head)])
    if len(head) > MAX_LINE or _HEAD.fullmatch(head) is None or not _plainly_framed(fields):
        screen_response(head)
    return AnswerHead(int(head[9:12]), fields, head[7] - 0x30)


def _plainly_framed(fields: Headers) -> bool:
    """Whether there is one length and nothing else about where the body ends."""
    lengths = [value for name, value in fields if name in (_LENGTH, _CODING)]
    if len(lengths) != 1:
        return not lengths
    return _PLAIN_LENGTH.fullmatch(lengths[0]) is not None and any(name == _LENGTH for name, _ in fields)


def interim(head: AnswerHead) -> bool:
    """Whether the final answer is still to come (RFC 9110 section 15.2).

    101 is final: we never ask to switch, so whoever switches is not to be talked to any more.
    """
    return head.status < 200 and head.status != 101


def next_head(buffer: bytearray, seen: int = 0) -> AnswerHead | None:
    """Take the next head off `buffer`, interim or final; None where more is needed.  Raises RemoteProtocolError.

    The first `seen` bytes were looked at before, and had no end of a head.
    """
    end = find_head_end(buffer, seen)
    if not end:
        return None
    head = parse_answer(bytes(buffer[:end]))
    if head.status == 101:
        raise RemoteProtocolError("it switches protocols, which was not asked for", hint=502)
    del buffer[:end]
    return head


def keeps(head: AnswerHead) -> bool:
    """Whether the connection may carry another request (RFC 9112 section 9.3)."""
    options = {each.strip() for each in (get(head.headers, b"connection") or b"").lower().split(b",")}
    return b"close" not in options and (head.minor == 1 or b"keep-alive" in options)


def bodiless(method: str, status: int) -> bool:
    """Whether there is no body, whatever the fields say (RFC 9112 section 6.3, items 1 and 2)."""
    return method == "HEAD" or status in (204, 304)


def is_cut(connection: Connection) -> bool:
    """Whether the end of a connection is not the end of a body that has no other (RFC 9112 section 9.8)."""
    return connection.cut


class ClientResponse:
    """An answer whose head has arrived.  Read its body with `read_some` until b"", or `read`.

    Args:
        early: what has arrived behind the head already.
        patience: seconds that may pass between two pieces of the body.
    """

    def __init__(
        self, connection: Connection | None, where: str, method: str, head: AnswerHead, early: bytes, patience: float
    ) -> None:
        self.status = head.status
        #: Lower-case names and values, in order.
        self.headers: Headers = head.headers
        #: Bytes of the body where they are declared, else None.
        self.length: int | None = None
        #: Whether all of the body was read.
        self.finished = False
        #: Whether the connection may carry another request once it was.
        self.reusable = keeps(head)
        self._connection = connection
        self._where = where
        self._patience = patience
        self._early = early
        self._decoder: ChunkedDecoder | None = None
        if bodiless(method, head.status):
            self.length, self.finished = 0, True
        elif get(head.headers, b"transfer-encoding") is not None:
            self._decoder = ChunkedDecoder()
        else:
            self.length = content_length(head.headers)
            self.finished = self.length == 0
            self.reusable = self.reusable and self.length is not None
        if self.finished and early:
            self.reusable = False  # bytes that belong to nothing: whoever sent them may go on so
        self._left = self.length

    @classmethod
    def known(cls, where: str, method: str, status: int, headers: Headers, body: bytes) -> ClientResponse:
        """An answer that nobody need be asked for: all of it is here.  Its framing is made from the body."""
        fields = tuple(each for each in headers if each[0] not in (_LENGTH, _CODING))
        head = AnswerHead(status, (*fields, (_LENGTH, b"%d" % len(body))), 1)
        return cls(None, where, method, head, b"" if bodiless(method, status) else body, 0.0)

    @property
    def trailers(self) -> Headers:
        """The fields behind the body, once it was read: lower-case names and values, in order."""
        return self._decoder.trailers if self._decoder is not None else ()

    async def read_some(self, limit: int = RECV_BYTES) -> bytes:
        """Some bytes of the body, at least one and at most `limit`; b"" at its end.

        Raises UpstreamError if it ends early.
        """
        while not self.finished:
            if self._early:
                data, self._early = self._early[:limit], self._early[limit:]
            else:
                data = await self._recv(limit)
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

    async def _recv(self, limit: int = RECV_BYTES) -> bytes:
        assert self._connection is not None, "what is known has arrived"
        try:
            with trio.move_on_after(self._patience):
                return await self._connection.recv(limit)
        except ConnectionLost as error:
            raise UpstreamError(self._where, f"the connection was lost in the middle of an answer: {error}") from None
        raise UpstreamTimeout(self._where, f"sent nothing for {self._patience:g} s in the middle of an answer")

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
            self.reusable = self.reusable and not (self._decoder.rest or self._early)
        return body

    def _count(self, data: bytes) -> bytes:
        if self._left is None:  # until the connection ends (RFC 9112 section 6.3, item 8)
            if not data and self._connection is not None and is_cut(self._connection):
                raise UpstreamError(
                    self._where,
                    "ended a body without a length by cutting TLS off, so nobody knows if that is all of it",
                )
            self.finished = not data
            return data
        if not data:
            raise UpstreamError(self._where, f"ended {self._left} of {self.length} bytes before the answer's end")
        if len(data) > self._left:
            data, self.reusable = data[: self._left], False
        self._left -= len(data)
        self.finished = not self._left
        self.reusable = self.reusable and not (self.finished and self._early)
        return data
