"""A viewer's connection: a bare socket that thousands of one process can afford.

What a viewer does not read is dropped in the kernel: `recv` with MSG_TRUNC on TCP counts and copies nothing
(Linux, tcp(7); elsewhere the flag does no harm, and the bytes land in a scratch buffer that all share).  While it
drops, SO_RCVLOWAT keeps it from being woken for every packet.  TLS has to be decrypted, so it is read.
"""

from __future__ import annotations

import errno
import socket
import ssl
import sys
from typing import Any

import trio
from attrs import field, frozen

try:
    import fcntl
    import termios
except ImportError:  # not there on Windows
    fcntl = None  # type: ignore[assignment]

from tierkit import Address, Trust
from tierkit.errors import AddressError, ConnectionLost, RemoteProtocolError, TierkitError

__all__ = ["FAILURES", "LOW_WATER", "PATIENCE", "Refused", "Target", "Wire", "kind_of", "reachable", "told"]

#: Seconds without a byte after which a viewer gives up and dials again: hls.js's fragLoadingMaxTimeToFirstByteMs.
PATIENCE = 10.0
#: What a viewer counts and gets over; anything else is a fault of this program.
FAILURES = (OSError, trio.TooSlowError, TierkitError)
#: Bytes dropped by one call; never written on Linux, so it costs address space alone.
_SCRATCH = bytearray(1 << 20)
#: Bytes that wait in the kernel before a dropping viewer is woken: most of an untuned receive window.
LOW_WATER = 49152
#: Reads in a row that found something, after which others get their turn.
_BURST = 16


class Refused(TierkitError):
    """The server answered, and the answer was no; `kind` is what to count it as."""

    def __init__(self, kind: str, message: str = "") -> None:
        self.kind = kind
        super().__init__(message or kind)


def kind_of(error: BaseException) -> str:
    """What a viewer's failure is counted as."""
    if isinstance(error, Refused):
        return error.kind
    kinds: tuple[tuple[type[BaseException], str], ...] = (
        (ConnectionRefusedError, "refused"),
        (ConnectionResetError, "reset"),
        (BrokenPipeError, "reset"),
        (ConnectionLost, "closed"),
        (TimeoutError, "timeout"),
        (trio.TooSlowError, "timeout"),
        (ssl.SSLError, "tls"),
        (socket.gaierror, "name not found"),
        (RemoteProtocolError, "protocol"),
        (AddressError, "odd url"),
    )
    for kind, name in kinds:
        if isinstance(error, kind):
            return name
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno, "os").lower()
    return type(error).__name__


@frozen
class Target:
    """A server, resolved: what every viewer dials."""

    family: int
    sockaddr: Any
    server_name: str = ""
    context: ssl.SSLContext | None = field(default=None, eq=False, repr=False)


def told(error: BaseException) -> str:
    """Why nothing can be watched at all, and what to do, for a person."""
    if isinstance(error, (Refused, RemoteProtocolError, AddressError)):
        return str(error)
    if isinstance(error, trio.TooSlowError):
        return f"no answer within {PATIENCE:g} s: is this its port, and is the stream on air?"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not verify ({error.verify_message}): give the authority that signed it"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails ({error.reason or error}): is this port one for TLS?"
    if isinstance(error, socket.gaierror):
        return "its host name is not known: is it spelt right?"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there: is the server up, and is this its port?"
    return f"{kind_of(error)}: is the server up, and is this its address?"


async def reachable(address: Address, trust: Trust | None = None) -> Target:
    """The first place of those that the address means that takes connections, in the resolver's order.

    "localhost" may mean two, of which one listens.  Raises OSError or trio.TooSlowError where none does.
    """
    targets = await _resolve(address, trust)
    for target in targets[:-1]:
        try:
            with trio.fail_after(PATIENCE):
                (await Wire.dial(target)).close()
        except (OSError, trio.TooSlowError):
            continue
        return target
    return targets[-1]


async def _resolve(address: Address, trust: Trust | None) -> list[Target]:
    context = _context(trust or Trust()) if address.secure else None
    name = (trust.server_name if trust else "") or address.host
    found = await trio.socket.getaddrinfo(address.host, address.dial_port, type=socket.SOCK_STREAM)
    return [Target(family, sockaddr, name, context) for family, _, _, _, sockaddr in found]


def _context(trust: Trust) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=trust.ca or None)
    if not trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Wire:
    """One connection; use it from one task, inside one's own time limit."""

    def __init__(self, sock: socket.socket, *, secure: bool) -> None:
        self._sock = sock
        self._secure = secure
        self._low_water = 1
        self._burst = 0

    @classmethod
    async def dial(cls, target: Target) -> Wire:
        """Raises OSError; the caller limits the time."""
        sock = socket.socket(target.family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await _connect(sock, target.sockaddr)
            if target.context is not None:
                sock = target.context.wrap_socket(
                    sock, server_hostname=target.server_name, do_handshake_on_connect=False
                )
                await _shake(sock)
        except BaseException:
            sock.close()
            raise
        return cls(sock, secure=target.context is not None)

    def close(self) -> None:
        """At once; says nothing to the server above TCP."""
        self._sock.close()

    def idle(self) -> bool:
        """Whether it is open with nothing to read: False once the server has closed it, or says what nobody asked."""
        try:
            self._sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            pass
        return False

    async def send(self, data: bytes) -> None:
        """All of it.  Raises OSError."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._sock.send(view) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                await trio.lowlevel.wait_writable(self._sock)
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(self._sock)

    async def receive(self, limit: int = 65536) -> bytes:
        """Something, at most `limit` bytes; empty at the end.  Raises OSError."""
        await self._take_turns()
        self._wake_at(1)
        while True:
            try:
                return self._sock.recv(limit)
            except (BlockingIOError, ssl.SSLWantReadError):
                await self._wait()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def discard(self, limit: int, *, wake_at: int) -> int:
        """Drops at least one and at most `limit` bytes; 0 at the end.  Raises OSError.

        Where nothing is there it sleeps until `wake_at` bytes are, or LOW_WATER.  No bytes are lost from the count
        where it is cancelled.
        """
        await self._take_turns()
        self._wake_at(min(limit, wake_at, LOW_WATER))
        limit = min(limit, len(_SCRATCH))
        while True:
            try:
                if not self._secure:
                    return self._sock.recv_into(_SCRATCH, limit, socket.MSG_TRUNC)
                return self._sock.recv_into(_SCRATCH, limit)
            except (BlockingIOError, ssl.SSLWantReadError):
                await self._wait()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return 0

    def waiting(self) -> int:
        """Bytes that have come and were not taken; 0 over TLS, where nobody knows before they are decrypted."""
        if self._secure or fcntl is None:
            return 0
        try:
            return int.from_bytes(fcntl.ioctl(self._sock, termios.FIONREAD, bytes(4)), sys.byteorder)
        except OSError:  # the connection is gone, and what was there with it
            return 0

    async def _wait(self) -> None:
        self._burst = 0
        await trio.lowlevel.wait_readable(self._sock)

    async def _take_turns(self) -> None:
        self._burst += 1
        if self._burst >= _BURST:
            self._burst = 0
            await trio.lowlevel.checkpoint()

    def _wake_at(self, count: int) -> None:
        # TLS buffers whole records of its own, whatever the kernel has.
        if count != self._low_water and not self._secure:
            self._low_water = count
            try:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
            except OSError:  # it only saves time, and some systems have none
                pass


async def _connect(sock: socket.socket, sockaddr: Any) -> None:
    try:
        sock.connect(sockaddr)
    except BlockingIOError:
        await trio.lowlevel.wait_writable(sock)
        failed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            raise OSError(failed, errno.errorcode.get(failed, "")) from None
    else:
        await trio.lowlevel.checkpoint()


async def _shake(sock: ssl.SSLSocket) -> None:
    while True:
        try:
            sock.do_handshake()
            return
        except ssl.SSLWantReadError:
            await trio.lowlevel.wait_readable(sock)
        except ssl.SSLWantWriteError:
            await trio.lowlevel.wait_writable(sock)
