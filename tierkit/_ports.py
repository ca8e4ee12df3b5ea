"""The border to the network, as abstract classes.

Everything above it talks to a `Connection`; `_net.py` makes real and TLS ones, `testing.py` makes them
in memory, and one shared test suite holds all of them to what is written here.

Rules of the port:

* One reader, one writer.  `recv` has one caller at a time; `send_nowait`, `sendfile_nowait`,
  `wait_writable` have one at a time.
* Non-blocking first: `send_nowait` takes what fits (0 = nothing fits now) and never waits.  What it has
  accepted is on its way (for TLS: encrypted): offer only the rest next time.  After a short write call
  `wait_writable`: it is what moves the rest on.  What was accepted whole needs no further call.
* Only the guard of a connection (`_serve.py`) closes it.  `close` and `abort` are synchronous, so that
  no await stands between letting go of a cursor and closing its connection.
* Whatever the operating system raises comes out as `ConnectionLost`, with a reason for people.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import define, field, frozen

from ._address import Address, Listener, Trust

__all__ = ["Blob", "Bound", "CertificateState", "Connection", "Descriptors", "Door", "Network", "Peer", "Pollable"]

#: What one recv asks for: a 64 KiB buffer holds several RTMP batches or any HTTP head.
RECV_BYTES = 65536


@frozen
class Peer:
    """Who is at the other end.  `host` is an IP address, or "unix" for a unix socket, or a test's name."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host


@frozen
class Door:
    """By which door a connection came in: the listener and the address that it is really bound to."""

    listener: Listener
    #: With its scheme filled in and the port that the kernel gave.
    address: Address

    @property
    def scheme(self) -> str:
        """The scheme of this door: "rtmp", "https" and so on."""
        return self.address.scheme


class Blob(ABC):
    """Bytes that the kernel can send by itself: a memfd, which may still grow but is never rewritten."""

    @abstractmethod
    def fileno(self) -> int:
        """Descriptor for `os.sendfile`."""

    @abstractmethod
    def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`; fewer at the end of what is there."""

    def view(self, offset: int, count: int) -> memoryview:
        """Like `read`, without a copy where that can be had.  To be let go of before anything is awaited."""
        return memoryview(self.read(offset, count))


class Pollable(Protocol):
    """The socket under a connection, for whoever waits for many of them at once."""

    #: Called when the connection has ended or been half-closed by ourselves, which no event tells.
    when_woken: Callable[[], None] | None

    def fileno(self) -> int:
        """Its descriptor: readable when `recv_nowait` may have something."""


@define(eq=False)
class Meter:
    """Bytes that many connections have brought and taken, so that nobody has to walk them to know."""

    bytes_in: int = 0
    bytes_out: int = 0


#: Of connections that nobody counts together.
_NOBODYS = Meter()


class Connection(ABC):
    """One byte stream with one peer.  See the rules at the head of this module."""

    #: By which door it came in; None for one that we dialled.
    door: Door | None
    #: The far end: as the PROXY protocol header tells it where one is expected.
    peer: Peer
    #: Whether the bytes are encrypted on the wire.
    secure: bool
    #: The protocol sets this while it waits between requests: a drain half-closes idle connections.
    idle: bool
    #: Bytes received and accepted for sending so far, without TLS overhead.
    bytes_in: int
    bytes_out: int
    #: What the same bytes are counted in beside those of others; whoever has accepted it puts his own here.
    meter: Meter
    #: Whether the peer's side has ended without the goodbye that its transport has, TLS its close_notify: what is
    #: delimited by that end alone may then be short of it, by anybody's hand.
    cut: bool
    #: Set by the guard; called once by `settled`.
    when_settled: Callable[[], None] | None

    def __init__(self, *, peer: Peer, door: Door | None = None, secure: bool = False) -> None:
        self.peer = peer
        self.door = door
        self.secure = secure
        self.idle = False
        self.bytes_in = 0
        self.bytes_out = 0
        self.meter = _NOBODYS
        self.cut = False
        self.when_settled = None

    async def establish(self) -> None:
        """Do what must be done before the first byte of the protocol: PROXY header, TLS handshake.

        The guard calls this once, in the connection's own task and under the accept deadline, so that a
        stalled handshake holds nobody else up.  Raises RemoteProtocolError or ConnectionLost.
        """

    @abstractmethod
    async def recv(self, max_bytes: int = RECV_BYTES) -> bytes:
        """Some bytes, at least one; b"" when the peer has ended its side (or `end_input` was called).

        Tries without waiting first; passes a checkpoint in any case.  Raises ConnectionLost.
        """

    @abstractmethod
    def recv_nowait(self, max_bytes: int = RECV_BYTES) -> bytes | None:
        """What is there already, b"" at the end, or None where nothing has arrived yet."""

    @abstractmethod
    def readable_now(self) -> bool:
        """Whether `recv` would return at once: bytes, the end, or an error.

        For a pooled connection between requests, True means that it is not fit for another one.
        """

    @property
    def pollable(self) -> Pollable | None:
        """The socket that it stands on; None where there is none."""
        return None

    @property
    def buffered(self) -> bool:
        """Whether bytes were taken off the socket that `recv_nowait` has not given yet: no event tells of them."""
        return False

    @abstractmethod
    def send_nowait(self, data: bytes | bytearray | memoryview, *, more: bool = False) -> int:
        """Send what fits now and return how many bytes were accepted; 0 when none.  Raises ConnectionLost.

        `more` is a hint: what comes next is sent at once, and may share a packet (MSG_MORE).
        """

    @abstractmethod
    def sendfile_nowait(self, blob: Blob, offset: int, count: int) -> int:
        """Like `send_nowait` for `count` bytes of a blob, by the kernel where it can.

        0 means that nothing fits now.  The caller asks only for bytes that the blob already has.
        """

    @abstractmethod
    async def wait_writable(self) -> None:
        """Until `send_nowait` would accept something (or raise).  Raises ConnectionLost if closed meanwhile."""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything, waiting as often as need be.  Does not checkpoint when it need not wait."""
        sent = self.send_nowait(data)
        if sent == len(data):
            return
        view = memoryview(data)
        while sent < len(view):
            await self.wait_writable()
            sent += self.send_nowait(view[sent:])

    async def sendfile_all(self, blob: Blob, offset: int, count: int) -> None:
        """Send `count` bytes of a blob from `offset`, waiting as often as need be."""
        end = offset + count
        while offset < end:
            sent = self.sendfile_nowait(blob, offset, end - offset)
            if not sent:
                await self.wait_writable()
            offset += sent

    @abstractmethod
    def unsent(self) -> int:
        """Bytes accepted by `send_nowait` that the peer has not acknowledged yet (SIOCOUTQ, TLS buffers)."""

    def kernel_bytes(self) -> int:
        """Memory that the kernel holds for it, bytes: what waits either way, and what is set aside for more."""
        return 0

    @abstractmethod
    def end_input(self) -> None:
        """Half-close for reading: a reader that waits gets b"" now.  What was accepted still goes out.

        What had arrived before (a request that crossed with the drain) can still be read, then b"".
        """

    @abstractmethod
    def end_output(self) -> None:
        """Half-close for writing: the peer reads to an end, and we may still read.  Nothing can be sent after it.

        For an answer that must not be lost: closing with unread input is a reset, which would destroy it.
        """

    def settled(self) -> None:
        """The first request or play has been understood: the accept deadline no longer applies."""
        if (tell := self.when_settled) is not None:
            self.when_settled = None
            tell()

    @abstractmethod
    def abort(self) -> None:
        """Reset: the peer sees an error, never a clean end (a unix socket has no reset: an end).  Idempotent."""

    @abstractmethod
    def close(self) -> None:
        """End in order (TLS: with close_notify if it fits at once); what was accepted still goes out.

        Wakes whoever waits on this connection with ConnectionLost.  Idempotent.
        """


@frozen(kw_only=True)
class CertificateState:
    """A certificate that a listener shows."""

    #: The listener's address, and the file.
    address: str = field(metadata={"merge": "last"})
    file: str = field(metadata={"merge": "last"})
    #: When it ends, seconds since 1970.
    not_after: float = field(metadata={"merge": "last"})


class Bound(ABC):
    """A listener that is open."""

    door: Door

    @property
    def address(self) -> Address:
        """The address it is really bound to."""
        return self.door.address

    @abstractmethod
    async def accept(self) -> Connection:
        """The next connection, not yet established.

        A full descriptor table (EMFILE and its kin) raises OSError, and the caller pauses;
        ConnectionLost is raised once the listener is closed.
        """

    @property
    def trouble(self) -> str:
        """What is wrong with it now, one line, empty when nothing: a changed certificate that was no good."""
        return ""

    @property
    def certificates(self) -> Sequence[CertificateState]:
        """The certificates that it shows, as they were last read; none where it speaks no TLS."""
        return ()

    @property
    def taken(self) -> int:
        """How many changed certificate files it has taken so far."""
        return 0

    def reload(self) -> None:
        """Read certificate files again.  Raises ListenError and keeps the old ones if they are no good."""

    @abstractmethod
    def close(self) -> None:
        """Stop listening.  Connections already accepted live on.  Idempotent."""


@define
class Descriptors:
    """The process's budget of file descriptors: everything that needs many asks here first.

    memfds may use a quarter; connections all but a reserve that is kept for files, logs and look-ups.
    """

    #: The process's limit (RLIMIT_NOFILE), raised to the hard limit at start.
    limit: int = 1024
    #: Kept free for everything that does not ask.
    reserve: int = 64
    connections: int = 0
    memfds: int = 0
    #: Memory in those memfds, bytes in whole pages: no resident size shows it.
    memfd_bytes: int = 0

    @property
    def memfds_free(self) -> int:
        """How many memfds may still be made."""
        return max(0, self.limit // 4 - self.memfds)

    @property
    def connections_free(self) -> int:
        """How many connections, either way, may still be opened."""
        return max(0, self.limit - self.reserve - max(self.memfds, 0) - self.connections)


class Network(ABC):
    """What tiers listen and dial on.  `_net.RealNetwork` is the sockets of this machine."""

    descriptors: Descriptors

    @abstractmethod
    async def listen(self, listener: Listener, *, backlog: int = 1024, send_lowat: int = 131072) -> Bound:
        """Open a listener whose address has its scheme and port filled in.

        `send_lowat` is the TCP_NOTSENT_LOWAT of the accepted sockets in bytes: without it one stalled
        viewer parks 4 MB in the kernel.  Raises ListenError with a line for people.
        """

    @abstractmethod
    async def connect(self, address: Address, *, trust: Trust | None = None) -> Connection:
        """Dial an address (TLS by its scheme) and establish it.  The caller bounds the time.

        Raises ConnectionLost with a reason for people ("refused", "no such host", "certificate ...").
        """
