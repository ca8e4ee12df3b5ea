"""A viewer's connection: a bare socket that thousands of one process can afford.

What a viewer does not read is dropped in the kernel: `recv` with MSG_TRUNC on TCP counts and copies nothing
(Linux, tcp(7); elsewhere the flag does no harm, and the bytes land in a scratch buffer that all share).  TLS has to
be decrypted, into that same buffer.  While a viewer drops, SO_RCVLOWAT keeps it from being woken for every packet, by
TLS too: there are at least as many bytes of records under way as bytes of a body are wanted, save one record of which
OpenSSL may have a part already.

A read that found less than it asked for has emptied the socket.  So the next waits first, and is not told by an
exception what it knows.
"""

from __future__ import annotations

import errno
import socket
import ssl
import sys
from typing import Any, cast

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
#: Bytes that wait in the kernel before a dropping viewer is woken, at most.  The kernel makes the receive buffer as
#: large as they need.  Twice as many wake nobody half as often: a segment comes in one go or two.
LOW_WATER = 98304
#: Bytes that a TLS record has at most (RFC 8446 section 5.2): so many may be inside OpenSSL.
_RECORD = 16384 + 256 + 5
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
        (ssl.SSLEOFError, "closed"),  # in the middle of a handshake
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

    __slots__ = ("_burst", "_dry", "_fd", "_low_water", "_secure", "_sock", "local")

    def __init__(self, sock: socket.socket, *, secure: bool) -> None:
        self._sock = sock
        self._fd = sock.fileno()
        self._secure = secure
        self._low_water = 1
        self._burst = 0
        self._dry = True  # the last read has emptied it
        #: Its own address and port, as the server sees them where nothing stands between.
        self.local: tuple[str, int] = sock.getsockname()[:2]

    @classmethod
    async def dial(cls, target: Target, session: ssl.SSLSession | None = None) -> Wire:
        """Raises OSError; the caller limits the time.  `session` is one that this viewer had there before."""
        sock = socket.socket(target.family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await _connect(sock, target.sockaddr)
            if target.context is not None:
                sock = target.context.wrap_socket(
                    sock, server_hostname=target.server_name, do_handshake_on_connect=False, session=session
                )
                await _shake(sock)
            return cls(sock, secure=target.context is not None)
        except BaseException:
            sock.close()
            raise

    def close(self) -> None:
        """At once; says nothing to the server above TCP."""
        self._sock.close()

    def interrupt(self) -> None:
        """Have who waits for it get trio.ClosedResourceError."""
        trio.lowlevel.notify_closing(self._fd)

    def nudge(self) -> None:
        """Wake who waits for more than there is, if anything is there."""
        self._wake_at(1)

    def session(self) -> ssl.SSLSession | None:
        """To come again with; None where there is none."""
        return self._sock.session if isinstance(self._sock, ssl.SSLSocket) else None

    def idle(self) -> bool:
        """Whether it is open with nothing to read: False once the server has closed it, or says what nobody asked."""
        try:
            # Past TLS where there is any: nothing in the kernel is nothing at all, and an answer that costs little.
            if not socket.socket.recv(self._sock, 1, socket.MSG_PEEK):
                return False
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
                await trio.lowlevel.wait_writable(self._fd)
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(self._fd)
        # An answer takes a moment: look for it when the event loop says so.
        self._dry = not isinstance(self._sock, ssl.SSLSocket) or not self._sock.pending()

    async def receive(self, limit: int = 65536, *, wake_at: int = 1) -> bytes:
        """Something, at most `limit` bytes; empty at the end.  Raises OSError.

        Where nothing is there it sleeps until `wake_at` bytes are, or LOW_WATER, or until somebody calls `nudge`.
        """
        await self._ready(min(wake_at, LOW_WATER))
        while True:
            try:
                data = self._sock.recv(limit)
                self._dry = not self._secure and len(data) < limit
                return data
            except (BlockingIOError, ssl.SSLWantReadError):
                await self._wait()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def discard(self, limit: int, *, wake_at: int = LOW_WATER) -> int:
        """Drops at least one and at most `limit` bytes; 0 at the end.  Raises OSError.

        Where nothing is there it sleeps until `wake_at` bytes are, or LOW_WATER.  No bytes are lost from the count
        where it is cancelled.
        """
        await self._ready(min(limit - _RECORD if self._secure else limit, wake_at, LOW_WATER))
        limit = min(limit, len(_SCRATCH))
        while True:
            try:
                count = self._drop_records(limit) if self._secure else self._drop(limit)
            except (BlockingIOError, ssl.SSLWantReadError):
                await self._wait()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return 0
            else:
                self._dry = count < limit
                return count

    def _drop(self, limit: int) -> int:
        return self._sock.recv_into(_SCRATCH, limit, socket.MSG_TRUNC)

    def _drop_records(self, limit: int) -> int:
        """All that is there.  OpenSSL gives out a record at a time."""
        sock = self._sock
        assert isinstance(sock, ssl.SSLSocket)
        left = limit
        try:
            while left:
                count = cast(int, sock.read(left, _SCRATCH))
                if not count:
                    break
                left -= count
        except OSError:
            # What has come counts; if this is more than an empty socket, the next call will say so again.
            if left == limit:
                raise
        return limit - left

    def waiting(self) -> int:
        """Bytes that have come and were not taken.

        Over TLS nobody knows before they are decrypted: then it is a little less than what the kernel has, by what
        records of 1.4 KB, a packet, would add to what is in them.
        """
        raw = self.raw_waiting()
        return raw - raw // 64 if self._secure else raw

    def raw_waiting(self) -> int:
        """The same as the kernel has it, encrypted or not."""
        if sys.platform == "win32":
            return 0
        try:
            return int.from_bytes(fcntl.ioctl(self._sock, termios.FIONREAD, bytes(4)), sys.byteorder)
        except (OSError, ValueError):  # the connection is gone, and what was there with it
            return 0

    def neglected(self) -> int:
        """Bytes that wait although this viewer wanted to be woken for them: what this program has not got round to."""
        waiting = self.raw_waiting()
        return waiting if waiting >= self._low_water else 0

    async def _wait(self) -> None:
        self._burst = 0
        await trio.lowlevel.wait_readable(self._fd)

    async def _ready(self, wake_at: int) -> None:
        self._wake_at(max(1, wake_at))
        if self._dry:
            self._dry = False
            await self._wait()
            return
        self._burst += 1
        if self._burst >= _BURST:
            self._burst = 0
            await trio.lowlevel.checkpoint()

    def _wake_at(self, count: int) -> None:
        if count != self._low_water:
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
