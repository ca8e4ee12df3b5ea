"""TLS connections: `ssl` on memory buffers, over a connection of `_sockets`.

Theory of operation:

* *Accepted means encrypted.*  OpenSSL cannot take a record back, so what it has encrypted must leave, and in
  order.  `send_nowait` encrypts one batch (32 KiB), offers it to the socket, and goes on only while nothing
  is left over: at most one batch of ciphertext is ever kept, and it leaves first.
* *One buffer for what goes out.*  OpenSSL writes to a memory BIO, and that never gives back what it has once
  grown to, 44 KB after one batch.  So all connections of a run share one, and each takes its records out of it
  in the same step that put them there (`_gather`): it is empty whenever another one may write.
* *Somebody must send what is left over.*  A caller whose write was short has bytes of its own left and calls
  `wait_writable`, which sees to ours too.  A caller whose bytes were all accepted does not come back; so a
  *flusher*, a task of its own (16 µs, only then), waits until the rest has left.  `wait_writable` then
  waits for the flusher, because trio lets only one task wait for a descriptor.
* A server's handshakes are computed in turns, so that many at once hold nobody up: see `_tls_turns`.
* `close` hands a rest to such a flusher too, for at most LINGER seconds; TCP does the same for plain bytes.
* An end without close_notify is an ordinary end of input, and told as `cut`.  Players and phones just drop, and the
  protocols above delimit their messages themselves (Content-Length, chunks, RTMP messages), so a cut is seen there;
  whoever takes the end itself for the end of a message asks for `cut` first (RFC 9112 section 9.8).
* Renegotiation is off and nothing below TLS 1.2 is spoken; see `_certificates`.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import TypeVar

import trio

from ._ports import RECV_BYTES, Blob, Connection, Pollable
from ._reasons import tls_reason
from ._sockets import SocketConnection
from ._tls_turns import HandshakeTurns
from .errors import ConnectionLost, LocalProtocolError, RemoteProtocolError

__all__ = ["TLSConnection"]

#: Plaintext encrypted in one go, two whole TLS records of 16 KiB (RFC 8446 section 5.1).  It is what a stalled
#: viewer keeps; 48 and 64 KiB serve no more segments per CPU-second (measured, with MSG_MORE between batches).
BATCH = 32768
#: Asked of the socket at least, where less is wanted of us: a record's head and tag come with it.
HEAD = 4096
#: What a handshake may send us: OpenSSL bounds a certificate chain at 100 kB (SSL_MAX_CERT_LIST_DEFAULT).
HANDSHAKE_BYTES = 1 << 18
#: What is read of it at once: a hello with a post-quantum key share has 1.8 KB.
HANDSHAKE_READ = 4096
#: What the peer can make us owe it without reading it (alerts, key updates, tickets).
OWED_BYTES = 1 << 18
#: Seconds that a closed connection has for its last batch: 32 KiB on a line of 10 kbit/s.
LINGER = 30.0


_T = TypeVar("_T")
_outgoing: trio.lowlevel.RunVar[ssl.MemoryBIO] = trio.lowlevel.RunVar("tierkit TLS outgoing")
_turns: trio.lowlevel.RunVar[HandshakeTurns] = trio.lowlevel.RunVar("tierkit TLS handshakes")


def _new_turns() -> HandshakeTurns:
    return HandshakeTurns(time.thread_time, time.monotonic)


def _run_wide(variable: trio.lowlevel.RunVar[_T], make: Callable[[], _T]) -> _T:
    """What all connections of this run share: two runs in two threads have one each."""
    try:
        return variable.get()
    except LookupError:
        variable.set(made := make())
        return made


class TLSConnection(Connection):
    """TLS on top of a socket.

    Args:
        inner: the socket; this object is from now on its only user.
        context: the server's or client's settings.
        server_name: for a client, whom it expects to find.
    """

    def __init__(self, inner: SocketConnection, context: ssl.SSLContext, *, server_name: str | None = None) -> None:
        super().__init__(peer=inner.peer, door=inner.door, secure=True)
        self._inner = inner
        self._incoming = ssl.MemoryBIO()
        self._outgoing = _run_wide(_outgoing, ssl.MemoryBIO)
        self._server = server_name is None
        self._turns = _run_wide(_turns, _new_turns)
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=self._server, server_hostname=server_name
        )
        #: Ciphertext that has not left yet.
        self._rest = memoryview(b"")
        self._flusher: trio.CancelScope | None = None
        self._flushed = trio.Event()
        #: Plaintext that `readable_now` has come upon.
        self._early = b""
        self._failure: ConnectionLost | RemoteProtocolError | None = None
        self._ended = False
        self._closed = False
        self._ready = False

    # --- the handshake ---------------------------------------------------------------------------

    async def establish(self) -> None:
        if self._ready:
            return
        if self._server:
            self._turns.knock()
        await self._inner.establish()
        self.peer = self._inner.peer
        start = self._inner.bytes_in
        done = not self._server and self._shake()
        while not done:
            while self._push():
                await self._inner.wait_writable()
            data = await self._inner.recv(HANDSHAKE_READ)
            if not data:
                raise ConnectionLost("it has ended the connection during the TLS handshake")
            if self._inner.bytes_in - start > HANDSHAKE_BYTES:
                raise RemoteProtocolError(f"it sent a TLS handshake of more than {HANDSHAKE_BYTES} bytes")
            self._incoming.write(data)
            if self._server:
                done = await self._turns.take(self._shake, begun=self._inner.bytes_out > 0)
            else:
                done = self._shake()  # those that we dial are few, and whole tiers wait for them
        self._ready = True
        # A server's last words (session tickets) need not be waited for.
        self._push()
        self._flush_later()

    def _shake(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLCertVerificationError:
            self._say_alert()
            raise  # `connect` knows the address and finds the words
        except ssl.SSLError as error:
            self._say_alert()
            raise RemoteProtocolError(f"no TLS handshake: {tls_reason(error)}") from None
        finally:
            self._gather()
        return True

    def _say_alert(self) -> None:
        self._gather()
        try:
            self._push()
        except ConnectionLost:
            pass  # it has gone already; what it did wrong is the better story

    # --- reading ---------------------------------------------------------------------------------

    async def recv(self, max_bytes: int = RECV_BYTES) -> bytes:
        await trio.lowlevel.checkpoint_if_cancelled()
        data = self.recv_nowait(max_bytes)
        if data is not None:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return data
        while data is None:
            await self._inner.wait_readable()
            data = self.recv_nowait(max_bytes)
        return data

    def recv_nowait(self, max_bytes: int = RECV_BYTES) -> bytes | None:
        if self._early:
            data, self._early = self._early[:max_bytes], self._early[max_bytes:]
            self._got(len(data))
            return data
        if self._failure is not None:
            raise self._failure
        found = self._decrypt(max_bytes)
        if found:
            self._got(len(found))
        return found

    def _got(self, size: int) -> None:
        self.bytes_in += size
        self.meter.bytes_in += size

    def _decrypt(self, max_bytes: int) -> bytes | None:
        """Some plaintext, b"" at the end, None where more must arrive."""
        while not self._ended:
            try:
                data = self._tls.read(max_bytes)
            except ssl.SSLWantReadError:
                data = None
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLError as error:
                self._say_alert()
                raise RemoteProtocolError(f"it has ended TLS with an error: {tls_reason(error)}") from None
            if self._outgoing.pending:
                self._gather()
                self._owe()
            if data is not None:
                self._ended = not data
                return data
            more = self._inner.recv_nowait(max(max_bytes, HEAD))
            if more is None:
                return None
            if not more:
                # Not told to OpenSSL: it takes a missing close_notify for an error, and refuses to write then.
                self._ended = self.cut = True
            self._incoming.write(more)
        return b""

    def _owe(self) -> None:
        """Send what reading has made us say; somebody who makes us talk must listen as well."""
        if self._push() > OWED_BYTES:
            raise RemoteProtocolError("it asks without end and does not read the answers")
        self._flush_later()

    def readable_now(self) -> bool:
        """Whether `recv` would return at once.  Tickets and key updates are no such thing, so this decrypts."""
        if self._early or self._ended or self._closed or self._failure is not None:
            return True
        try:
            found = self._decrypt(RECV_BYTES)
        except (ConnectionLost, RemoteProtocolError) as error:
            self._failure = error
            return True
        self._early = found or b""
        return found is not None

    def end_input(self) -> None:
        self._inner.end_input()

    # --- writing ---------------------------------------------------------------------------------

    @property
    def pollable(self) -> Pollable | None:
        return self._inner.pollable

    @property
    def buffered(self) -> bool:
        return bool(self._early or self._incoming.pending or self._tls.pending())

    def send_nowait(self, data: bytes | bytearray | memoryview, *, more: bool = False) -> int:
        taken, size, view = 0, len(data), memoryview(data)
        while taken < size and not self._held_up():
            batch = view[taken : taken + BATCH]
            taken += len(batch)
            self._encrypt(batch, more=more or taken < size)
        return self._took(taken, size)

    def sendfile_nowait(self, blob: Blob, offset: int, count: int) -> int:
        taken = 0
        while taken < count and not self._held_up():
            batch = blob.view(offset + taken, min(BATCH, count - taken))
            if not batch:
                raise LocalProtocolError(f"asked to send {count} bytes at {offset} of a blob that ends before them")
            taken += len(batch)
            self._encrypt(batch, more=taken < count)
        return self._took(taken, count)

    def _took(self, taken: int, size: int) -> int:
        if taken == size and self._rest:
            self._flush_later()
        self.bytes_out += taken
        self.meter.bytes_out += taken
        return taken

    def _held_up(self) -> bool:
        """Whether ciphertext still waits once the socket has been offered it: nothing is encrypted then."""
        if self._closed:
            raise ConnectionLost("closed by ourselves")
        return bool(self._rest and self._push())

    def _encrypt(self, batch: memoryview, *, more: bool) -> None:
        """Encrypt a batch and send what fits; `more` joins it in the kernel with what follows at once."""
        write = self._tls.write
        try:
            while batch:  # OpenSSL takes a record at a time (SSL_MODE_ENABLE_PARTIAL_WRITE)
                batch = batch[write(batch) :]
        except ssl.SSLError as error:
            self._gather()
            raise ConnectionLost(f"it has broken TLS before: {tls_reason(error)}") from None
        data = self._outgoing.read()
        sent = self._inner.send_nowait(data, more=more)
        if sent < len(data):
            self._rest = memoryview(data[sent:])  # no slice of a view: that would keep the whole batch alive

    def _gather(self) -> None:
        """Take out of the buffer that all share what OpenSSL has just put there for this connection."""
        if self._outgoing.pending:
            fresh = self._outgoing.read()
            self._rest = memoryview(b"".join((self._rest, fresh)) if self._rest else fresh)

    def _push(self) -> int:
        """Offer the ciphertext that waits to the socket; returns how much of it is left."""
        if self._rest:
            self._rest = self._rest[self._inner.send_nowait(self._rest) :]
        return len(self._rest)

    async def wait_writable(self) -> None:
        while True:
            if self._closed:
                raise ConnectionLost("closed by ourselves")
            if self._flusher is not None:
                await self._flushed.wait()
            elif not await self._inner.wait_room():
                continue
            if not self._push():
                return

    def unsent(self) -> int:
        return self._inner.unsent() + len(self._rest)

    def kernel_bytes(self) -> int:
        return self._inner.kernel_bytes()

    def end_output(self) -> None:
        if self._closed:
            return
        try:
            self._say_goodbye()
            if not self._push():
                self._inner.end_output()
        except ConnectionLost:
            return
        self._flush_later()  # what is left leaves with our close_notify, which is end enough for the peer

    # --- what is left over -----------------------------------------------------------------------

    def _flush_later(self) -> None:
        if self._rest and self._flusher is None:
            self._flusher, self._flushed = trio.CancelScope(), trio.Event()
            trio.lowlevel.spawn_system_task(self._flush, self._flusher, name="tierkit TLS flush")

    async def _flush(self, patience: trio.CancelScope) -> None:
        # A system task must not raise: whoever uses the connection next finds out what became of it.
        try:
            with patience:
                while self._push():
                    await self._inner.wait_room()
                if self._closed:
                    self._inner.close()
        except ConnectionLost:
            pass
        finally:
            self._flusher = None
            self._flushed.set()
            if self._closed:
                self._inner.abort()  # out of patience, or the program ends; nothing to do once it is closed

    # --- the end ---------------------------------------------------------------------------------

    def abort(self) -> None:
        self._shut()
        self._inner.abort()

    def close(self) -> None:
        if self._closed:
            return
        self._shut()
        try:
            self._say_goodbye()
            self._push()
        except ConnectionLost:
            self._rest = memoryview(b"")
        self._flush_later()
        if self._flusher is None:
            self._inner.close()
        else:
            self._flusher.deadline = trio.current_time() + LINGER
            self._inner.wake()

    def _shut(self) -> None:
        self._closed = True
        self._early = b""
        self._failure = ConnectionLost("closed by ourselves")
        self._flushed.set()  # a writer that waits finds us closed

    def _say_goodbye(self) -> None:
        if not self._ready:
            return
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            pass  # it wants the peer's goodbye too; ours is in the buffer, and theirs is not worth a wait
        finally:
            self._gather()

    def __repr__(self) -> str:
        return f"<TLS over {self._inner!r}>"
