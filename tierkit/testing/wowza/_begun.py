"""A connection of which something was read already: it comes first, and all else is the connection's own."""

from __future__ import annotations

from tierkit.plugin import Blob, Connection

__all__ = ["Begun"]


class Begun(Connection):
    """`connection`, whose reader first gets `first`."""

    def __init__(self, connection: Connection, first: bytes) -> None:
        super().__init__(peer=connection.peer, door=connection.door, secure=connection.secure)
        self._inner = connection
        self._first = first
        self.bytes_in, self.bytes_out = connection.bytes_in, connection.bytes_out

    def _counted(self) -> None:
        self.bytes_in, self.bytes_out = self._inner.bytes_in, self._inner.bytes_out

    async def recv(self, max_bytes: int = 65536) -> bytes:
        if self._first:
            return self._early(max_bytes)
        data = await self._inner.recv(max_bytes)
        self._counted()
        return data

    def recv_nowait(self, max_bytes: int = 65536) -> bytes | None:
        if self._first:
            return self._early(max_bytes)
        data = self._inner.recv_nowait(max_bytes)
        self._counted()
        return data

    def _early(self, max_bytes: int) -> bytes:
        data, self._first = self._first[:max_bytes], self._first[max_bytes:]
        return data

    @property
    def buffered(self) -> bool:
        return bool(self._first) or self._inner.buffered

    def readable_now(self) -> bool:
        return bool(self._first) or self._inner.readable_now()

    def send_nowait(self, data: bytes | bytearray | memoryview, *, more: bool = False) -> int:
        taken = self._inner.send_nowait(data, more=more)
        self._counted()
        return taken

    def sendfile_nowait(self, blob: Blob, offset: int, count: int) -> int:
        taken = self._inner.sendfile_nowait(blob, offset, count)
        self._counted()
        return taken

    async def wait_writable(self) -> None:
        await self._inner.wait_writable()

    def unsent(self) -> int:
        return self._inner.unsent()

    def end_input(self) -> None:
        self._inner.end_input()

    def end_output(self) -> None:
        self._inner.end_output()

    def abort(self) -> None:
        self._inner.abort()

    def close(self) -> None:
        self._inner.close()
