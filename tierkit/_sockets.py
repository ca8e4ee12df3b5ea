"""Connections over the sockets of this machine: TCP and unix.

Theory of operation:

* The socket is non-blocking and belongs to us; trio only waits for it.  Each operation tries first and
  waits only after the kernel has said no (a wait costs 12 µs, a try that fails one).
* Options that accepted sockets need are set once, on the listening socket: Linux hands them down
  (`sk_clone_lock` copies the whole sock), so that an accept costs one ioctl and nothing else.
* `end_input` does not use `shutdown(SHUT_RD)`: on a unix socket that would break the peer's writes, and on
  TCP Linux goes on delivering what comes after it.  Instead the kernel is asked how many bytes have
  arrived; these may still be read, and then the input has ended, whatever comes.
* `close` leaves in order.  A TCP socket that is closed with unread bytes sends a reset, and a reset throws
  away what was still on its way to the peer; so `close` first reads away what has arrived.
* `notify_closing`, then close, with no await between: whoever waits is woken and finds us closed, and the
  descriptor number is free for somebody else only after that.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import termios
from collections.abc import Callable

import trio

from ._ports import RECV_BYTES, Blob, Connection, Descriptors, Door, Peer, Pollable
from ._reasons import lost
from .codecs.proxy import MAX_HEADER, parse_proxy
from .errors import ConnectionLost, LocalProtocolError

__all__ = ["SocketConnection", "peer_of", "prepare"]

_CLOSED = "closed by ourselves"
# struct linger {1, 0}: close() then sends RST instead of FIN (socket(7)).
_RESET = struct.pack("ii", 1, 0)
# struct sk_meminfo as getsockopt gives it (linux/sock_diag.h, SK_MEMINFO_*): nine 32-bit numbers, of which these are
# held: received, allocated ahead, queued for sending, options, backlog.  What `ss -m` shows as r, f, w, o and bl.
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")
_HELD = (0, 4, 5, 6, 7)
# On close, at most this much of what the peer sent is read away: two rounds of the largest receive buffer
# that Linux grows to by default (tcp_rmem 6 MB) would be a denial of service by itself; 1 MiB is a request
# body in flight on any line that such a peer has.
_READ_AWAY = 1 << 20


def peer_of(family: int, sockaddr: object) -> Peer:
    """Who a socket address is; IPv4 that came in by a dual-stack socket is shown as IPv4."""
    if family == socket.AF_UNIX or not isinstance(sockaddr, tuple):
        return Peer("unix")
    host = str(sockaddr[0])
    if host.startswith("::ffff:") and "." in host:
        host = host[7:]
    return Peer(host, int(sockaddr[1]))


def prepare(sock: socket.socket, *, send_lowat: int = 0) -> None:
    """Set what every TCP socket of ours has; on a listening socket, what it accepts inherits it."""
    sock.setblocking(False)
    if sock.family == socket.AF_UNIX:
        return
    # We send whole messages and batches, so waiting for more (Nagle) only adds delay.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A viewer whose phone lost its radio never says goodbye: Linux asks after two hours by default, we
    # after two minutes and then four times, 15 s apart, so a dead one costs its 5 kB for three minutes.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 120)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
    if send_lowat:
        # Without it one stalled viewer parks the whole of tcp_wmem, 4 MB, in the kernel (measured).
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, send_lowat)


class SocketConnection(Connection):
    """A TCP or unix connection.

    Args:
        sock: non-blocking; ours from now on.
        budget: the connection is counted in it already, and counted out when it closes.
        proxied: a PROXY header comes first.
    """

    def __init__(
        self,
        sock: socket.socket,
        budget: Descriptors,
        *,
        peer: Peer,
        door: Door | None = None,
        proxied: bool = False,
    ) -> None:
        super().__init__(peer=peer, door=door)
        self._sock = sock
        self._fd = sock.fileno()
        self._budget = budget
        self._proxied = proxied
        self._closed = False
        #: Bytes that were read ahead (behind a PROXY header) and come first.
        self._early = b""
        #: After `end_input`: how many bytes may still be read; None before it.
        self._left: int | None = None
        self.when_woken: Callable[[], None] | None = None

    def fileno(self) -> int:
        """Its descriptor, for whoever waits for many at once."""
        return self._fd

    @property
    def pollable(self) -> Pollable:
        return self

    @property
    def buffered(self) -> bool:
        return bool(self._early)

    async def establish(self) -> None:
        """Read the PROXY header where this peer must send one."""
        if not self._proxied:
            return
        self._proxied = False
        head = b""
        while (found := parse_proxy(head)) is None:
            more = await self.recv(MAX_HEADER)
            if not more:
                raise ConnectionLost("it has ended the connection before its PROXY header was complete")
            head += more
        header, size = found
        self._early = head[size:]
        self.meter.bytes_in -= self.bytes_in  # the header is the proxy's, and what came with it is read again
        self.bytes_in = 0
        if header.source is not None:
            self.peer = Peer(*header.source)

    # --- reading ---------------------------------------------------------------------------------

    async def recv(self, max_bytes: int = RECV_BYTES) -> bytes:
        await trio.lowlevel.checkpoint_if_cancelled()
        data = self.recv_nowait(max_bytes)
        if data is not None:
            # Somebody who sends without pause would otherwise keep everybody else from their turn.
            await trio.lowlevel.cancel_shielded_checkpoint()
            return data
        while data is None:
            await self.wait_readable()
            data = self.recv_nowait(max_bytes)
        return data

    async def wait_readable(self) -> None:
        """Until there is something to read, or `wake` was called: look again."""
        try:
            await trio.lowlevel.wait_readable(self._sock)
        except trio.ClosedResourceError:
            pass

    def recv_nowait(self, max_bytes: int = RECV_BYTES) -> bytes | None:
        if self._early:
            data, self._early = self._early[:max_bytes], self._early[max_bytes:]
        elif self._closed:
            raise ConnectionLost(_CLOSED)
        else:
            if self._left is not None:
                if not self._left:
                    return b""
                max_bytes = min(max_bytes, self._left)
            try:
                data = self._sock.recv(max_bytes)
            except (BlockingIOError, InterruptedError):
                return None
            except OSError as error:
                raise lost(error) from None
            if self._left is not None:
                self._left = self._left - len(data) if data else 0
        self.bytes_in += len(data)
        self.meter.bytes_in += len(data)
        return data

    def readable_now(self) -> bool:
        if self._early or self._closed or self._left is not None:
            return True
        # poll, not a peek: reading an error would take it away from the reader.
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(0))

    def end_input(self) -> None:
        if self._closed or self._left is not None:
            return
        self._left = self._ask(termios.FIONREAD)
        self.wake()

    def wake(self) -> None:
        """Let whoever waits look again."""
        if not self._closed:
            trio.lowlevel.notify_closing(self._sock)
            if self.when_woken is not None:
                self.when_woken()

    # --- writing ---------------------------------------------------------------------------------

    def send_nowait(self, data: bytes | bytearray | memoryview, *, more: bool = False) -> int:
        try:
            sent = self._sock.send(data, socket.MSG_MORE) if more else self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise lost(error) from None
        self.bytes_out += sent
        self.meter.bytes_out += sent
        return sent

    def sendfile_nowait(self, blob: Blob, offset: int, count: int) -> int:
        if self._closed:
            raise ConnectionLost(_CLOSED)
        try:
            sent = os.sendfile(self._fd, blob.fileno(), offset, count)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise lost(error) from None
        if not sent and count:
            raise LocalProtocolError(f"asked to send {count} bytes at {offset} of a blob that ends before them")
        self.bytes_out += sent
        self.meter.bytes_out += sent
        return sent

    async def wait_writable(self) -> None:
        while not await self.wait_room():
            pass  # it was `end_input` that woke us

    async def wait_room(self) -> bool:
        """Until something can be sent (True), or `wake` was called (False).  Raises ConnectionLost."""
        if not self._closed:
            try:
                await trio.lowlevel.wait_writable(self._sock)
                return True
            except trio.ClosedResourceError:
                pass
        if self._closed:
            raise ConnectionLost(_CLOSED)
        return False

    def unsent(self) -> int:
        # SIOCOUTQ and TIOCOUTQ are one number (linux/sockios.h): bytes in the send queue, not yet
        # acknowledged by the peer's kernel; on a unix socket, memory that the peer has not read.
        return 0 if self._closed else self._ask(termios.TIOCOUTQ)

    def kernel_bytes(self) -> int:
        if self._closed or self._sock.family == socket.AF_UNIX:
            return 0
        try:
            told = _MEMINFO.unpack(self._sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))
        except (OSError, struct.error):  # a kernel before 4.12 does not tell
            return 0
        return sum(told[index] for index in _HELD)

    def end_output(self) -> None:
        if not self._closed:
            try:
                self._sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it has ended already

    # --- the end ---------------------------------------------------------------------------------

    def abort(self) -> None:
        """Reset.  A unix socket has no reset: its peer sees an end unless it had sent what we did not read."""
        if self._closed:
            return
        if self._sock.family != socket.AF_UNIX:
            try:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            except OSError:  # pragma: no cover - the socket is dead already, which is what we want
                pass
        self._let_go()

    def close(self) -> None:
        if self._closed:
            return
        try:
            self._sock.shutdown(socket.SHUT_WR)
            self._read_away()
        except OSError:
            pass  # it has ended already
        self._let_go()

    def _read_away(self) -> None:
        for _ in range(_READ_AWAY // RECV_BYTES):
            try:
                if not self._sock.recv(RECV_BYTES):
                    return
            except (BlockingIOError, InterruptedError):
                return

    def _let_go(self) -> None:
        self._closed = True
        self._early = b""
        self._budget.connections -= 1
        trio.lowlevel.notify_closing(self._sock)
        if self.when_woken is not None:
            self.when_woken()
        self._sock.close()

    def _ask(self, request: int) -> int:
        answer = fcntl.ioctl(self._fd, request, b"\0\0\0\0")
        return int.from_bytes(answer, "little", signed=True)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<{state} connection with {self.peer}>"
