"""Two pipes make a connection in memory; see `_memory` for what it promises."""

from __future__ import annotations

import trio

from tierkit.errors import ConnectionLost, LocalProtocolError, RemoteProtocolError
from tierkit.plugin import Blob, Connection, Descriptors, Door, Peer

__all__ = ["MemoryConnection", "Pipe"]

_CLOSED = "closed by ourselves"
_RESET = "reset by the peer"
_GONE = "the peer has closed the connection"


class Pipe:
    """One direction of a connection: a bounded buffer between one writer and one reader."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.data = bytearray()
        #: Bytes that the writer has put in so far.
        self.total = 0
        #: The writer has closed: the reader gets the rest and then the end.
        self.ended = False
        #: The reader has closed, or the writer has aborted, or the connection was cut.
        self.broken = ""
        #: After a stall: how many bytes still arrive; None while everything does.
        self.allowed: int | None = None
        self.cut_after: int | None = None
        self.stall_after: int | None = None
        #: The other direction, which a fault hits as well.
        self.twin: Pipe | None = None
        self.changed = trio.lowlevel.ParkingLot()

    @property
    def over(self) -> bool:
        """Whether nothing can be put in any more."""
        return self.ended or bool(self.broken)

    @property
    def arrived(self) -> int:
        """How many bytes the reader may have now."""
        return len(self.data) if self.allowed is None else min(self.allowed, len(self.data))

    def put(self, data: bytes | bytearray | memoryview) -> int:
        """Take what fits."""
        room = self.size - len(self.data)
        until_fault = self._until_fault()
        if until_fault is not None:
            room = min(room, until_fault)
        taken = bytes(data[: max(0, room)])
        self.data += taken
        self.total += len(taken)
        if self._until_fault() == 0:
            self._strike()
        self.changed.unpark_all()
        return len(taken)

    def take(self, max_bytes: int) -> bytes:
        """Give the reader what has arrived."""
        data = bytes(self.data[: min(max_bytes, self.arrived)])
        del self.data[: len(data)]
        if self.allowed is not None:
            self.allowed -= len(data)
        self.changed.unpark_all()
        return data

    def _until_fault(self) -> int | None:
        if self.allowed is not None:
            return None
        bounds = [each for each in (self.cut_after, self.stall_after) if each is not None]
        return max(0, min(bounds) - self.total) if bounds else None

    def _strike(self) -> None:
        for pipe in filter(None, (self, self.twin)):
            if self.cut_after is not None and self.total >= self.cut_after:
                pipe.fail(_RESET)
            else:
                pipe.allowed = len(pipe.data)

    def resume(self) -> None:
        """End a stall."""
        self.allowed = self.stall_after = None
        self.changed.unpark_all()

    def fail(self, reason: str) -> None:
        """Break it for both ends."""
        self.broken = self.broken or reason
        self.changed.unpark_all()

    def end(self) -> None:
        """The writer says that it is done."""
        self.ended = True
        self.changed.unpark_all()


class MemoryConnection(Connection):
    """One end of a connection in memory."""

    def __init__(
        self,
        incoming: Pipe,
        outgoing: Pipe,
        budget: Descriptors,
        *,
        peer: Peer,
        door: Door | None = None,
        secure: bool = False,
    ) -> None:
        super().__init__(peer=peer, door=door, secure=secure)
        self._incoming = incoming
        self._outgoing = outgoing
        self._budget = budget
        self._counted = False
        self._closed = False
        #: After `end_input`: how many bytes may still be read; None before it.
        self._left: int | None = None
        #: Why it cannot be established.
        self.refusal: RemoteProtocolError | None = None

    def count(self) -> None:
        """Take a descriptor from the budget, as opening or accepting a socket does."""
        self._counted = True
        self._budget.connections += 1

    async def establish(self) -> None:
        """Nothing to do; a plain dialler at a TLS door is told so here, as by the real one."""
        await trio.lowlevel.checkpoint()
        if self.refusal is not None:
            raise self.refusal

    # --- reading ---------------------------------------------------------------------------------

    async def recv(self, max_bytes: int = 65536) -> bytes:
        await trio.lowlevel.checkpoint_if_cancelled()
        data = self.recv_nowait(max_bytes)
        if data is not None:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return data
        while data is None:
            await self._incoming.changed.park()
            data = self.recv_nowait(max_bytes)
        return data

    def recv_nowait(self, max_bytes: int = 65536) -> bytes | None:
        pipe = self._incoming
        if self._closed:
            raise ConnectionLost(_CLOSED)
        if self._left is not None:
            if not self._left:
                return b""
            max_bytes = min(max_bytes, self._left)
        if pipe.arrived:
            data = pipe.take(max_bytes)
            self.bytes_in += len(data)
            self.meter.bytes_in += len(data)
            if self._left is not None:
                self._left -= len(data)
            return data
        if pipe.broken:
            raise ConnectionLost(pipe.broken)
        return b"" if pipe.ended and pipe.allowed is None else None

    def readable_now(self) -> bool:
        pipe = self._incoming
        waits = pipe.arrived > 0 or bool(pipe.broken) or (pipe.ended and pipe.allowed is None)
        return waits or self._closed or self._left is not None

    def end_input(self) -> None:
        if self._left is None and not self._closed:
            self._left = self._incoming.arrived
            self._incoming.changed.unpark_all()

    # --- writing ---------------------------------------------------------------------------------

    def send_nowait(self, data: bytes | bytearray | memoryview, *, more: bool = False) -> int:
        self._check_writer()
        taken = self._outgoing.put(data)
        self.bytes_out += taken
        self.meter.bytes_out += taken
        return taken

    def sendfile_nowait(self, blob: Blob, offset: int, count: int) -> int:
        self._check_writer()
        data = blob.read(offset, min(count, self._outgoing.size))
        if not data and count:
            raise LocalProtocolError(f"asked to send {count} bytes at {offset} of a blob that ends before them")
        return self.send_nowait(data)

    def _check_writer(self) -> None:
        if self._closed:
            raise ConnectionLost(_CLOSED)
        if self._outgoing.broken:
            raise ConnectionLost(self._outgoing.broken)

    async def wait_writable(self) -> None:
        await trio.lowlevel.checkpoint()
        while True:
            if self._closed:
                raise ConnectionLost(_CLOSED)
            pipe = self._outgoing
            if pipe.broken or len(pipe.data) < pipe.size:
                return
            await pipe.changed.park()

    def unsent(self) -> int:
        return 0 if self._closed or self._outgoing.broken else len(self._outgoing.data)

    def end_output(self) -> None:
        if not self._closed:
            self._outgoing.end()

    # --- the end ---------------------------------------------------------------------------------

    def abort(self) -> None:
        if not self._closed:
            self._let_go()
            self._outgoing.fail(_RESET)

    def close(self) -> None:
        if not self._closed:
            self._let_go()
            self._outgoing.end()

    def _let_go(self) -> None:
        self._closed = True
        self._budget.connections -= self._counted
        # What the peer sends from now on goes nowhere.
        self._incoming.fail(_GONE)

    def __repr__(self) -> str:
        return f"<{'closed' if self._closed else 'open'} connection with {self.peer} in memory>"
