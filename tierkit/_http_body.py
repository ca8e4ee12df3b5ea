"""The body of a request, on the server's side: read by its handler, or drained behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import trio

from ._http_heads import Head
from ._ports import Connection
from .codecs.http1 import ChunkedDecoder, content_length, get
from .errors import RemoteProtocolError

__all__ = ["MAX_DRAINED_BODY", "BodyReader"]

#: Largest request body that is read to its end only to keep the connection; beyond it is closed.
MAX_DRAINED_BODY = 65536


class Arriving(Protocol):
    """What a body is read from."""

    connection: Connection
    buffer: bytearray

    def take(self, count: int) -> bytes:
        """Bytes off the buffer, as many as there are."""

    async def more(self) -> None:
        """Wait until there are more.  Raises ConnectionLost, or RemoteProtocolError at the end."""


class BodyReader:
    """The body of one request.

    Args:
        patience: seconds for a body that is read whole, and for each piece of one that is streamed.

    Attributes:
        done: whether nothing of it is left to read.
    """

    def __init__(self, loop: Arriving, head: Head, patience: float) -> None:
        fields = head.fields
        self._loop = loop
        self._length = content_length(fields.headers) if b"content-length" in fields.names else None
        self._decoder = ChunkedDecoder() if b"transfer-encoding" in fields.names else None
        self._expects = (
            b"expect" in fields.names
            and head.minor > 0
            and (get(fields.headers, b"expect") or b"").lower() == b"100-continue"
        )
        self.done = not self._length and self._decoder is None
        self._patience = patience

    async def read(self, limit: int) -> bytes:
        if self.done:
            return b""
        if self._length is not None and self._length > limit:
            raise RemoteProtocolError(f"the body is longer than {limit} bytes", hint=413)
        if self._expects:
            await self._loop.connection.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
        with trio.move_on_after(self._patience) as scope:
            body = await (self._chunked(limit) if self._decoder is not None else self._counted())
            self.done = True
            if len(body) > limit:
                raise RemoteProtocolError(f"the body is longer than {limit} bytes", hint=413)
            return body
        assert scope.cancelled_caught
        raise RemoteProtocolError(f"the body took more than {self._patience:g} s", hint=408)

    async def stream(self) -> AsyncIterator[bytes]:
        if self.done:
            return
        if self._expects:
            self._expects = False
            await self._loop.connection.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = self._length
        while left or (self._decoder is not None and not self._decoder.finished):
            if not self._loop.buffer:
                with trio.move_on_after(self._patience) as scope:
                    await self._loop.more()
                if scope.cancelled_caught:
                    patience = self._patience
                    raise RemoteProtocolError(f"nothing of the body came for {patience:g} s", hint=408)
            data = self._loop.take(len(self._loop.buffer) if left is None else left)
            self._length = left = None if left is None else left - len(data)
            if self._decoder is not None:
                data = self._decoder.receive(data)
                self._loop.buffer[:0] = self._decoder.rest
            if data:
                yield data
        self.done = True

    @property
    def drains(self) -> bool:
        """Whether what the handler left of it is little, as far as is known, so that the connection can be kept."""
        # One that was never asked for: nobody knows whether it will come.
        return self.done or not (self._expects or (self._length or 0) > MAX_DRAINED_BODY)

    async def drain(self) -> bool:
        """Read what the handler left, where it is small; False where the connection must be closed instead."""
        if self.done:
            return True
        if not self.drains:
            return False
        try:
            await self.read(MAX_DRAINED_BODY)
        except RemoteProtocolError:
            return False
        return True

    async def _counted(self) -> bytes:
        assert self._length is not None
        while len(self._loop.buffer) < self._length:
            await self._loop.more()
        return self._loop.take(self._length)

    async def _chunked(self, limit: int) -> bytes:
        assert self._decoder is not None
        parts = [self._decoder.receive(self._loop.take(len(self._loop.buffer)))]
        while not self._decoder.finished:
            if sum(map(len, parts)) > limit:
                raise RemoteProtocolError(f"the body is longer than {limit} bytes", hint=413)
            await self._loop.more()
            parts.append(self._decoder.receive(self._loop.take(len(self._loop.buffer))))
        self._loop.buffer[:0] = self._decoder.rest
        return b"".join(parts)
