"""TLS load that does not decipher what it is sent: the server's core is what a figure is about.

The first answer on a connection is read through `ssl`, which takes the handshake's tail with it.  From then
on requests are enciphered, and of what comes only the record headers are read (RFC 8446 section 5.1: type,
version, length; five bytes in the clear) to count the plaintext of a body.  One Python thread so takes
several times what a client that deciphers does.
"""

from __future__ import annotations

import select
import ssl
import time
from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks import _load
from benchmarks._load import WARM, Window
from benchmarks._procs import Void

#: Header, inner content type and authentication tag that each TLS 1.3 record adds to its plaintext.
HEADER, ADDED = 5, 17
#: A head may be some bytes longer or shorter than the first was (Age grows): what is this near to the end,
#: at the end of a record, is the end.
SLACK = 64


def any_certificate() -> ssl.SSLContext:
    """What the load trusts: everybody, with TLS 1.3."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


class Records:
    """Counts the plaintext of a stream of records by their headers, cut anywhere."""

    def __init__(self) -> None:
        self.plain = 0
        self.whole = True
        self._skip = 0
        self._partial = b""

    def feed(self, data: memoryview) -> None:
        """Count what `data` holds; a record's plaintext counts when its header has come."""
        at, end = 0, len(data)
        while at < end:
            if self._skip:
                step = min(self._skip, end - at)
                self._skip -= step
                at += step
                continue
            header = self._partial + bytes(data[at : at + HEADER - len(self._partial)])
            at += len(header) - len(self._partial)
            self._partial = header if len(header) < HEADER else b""
            if len(header) == HEADER:
                self._skip = int.from_bytes(header[3:], "big")
                self.plain += self._skip - ADDED
        self.whole = not (self._skip or self._partial)


class TlsTaker:
    """One keep-alive client by TLS, the counterpart of `Taker`."""

    def __init__(self, port: int, paths: Sequence[str], first: int, context: ssl.SSLContext) -> None:
        self.socket = _load.connect(port)
        self.socket.settimeout(20)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.requests = [_load.get(path, port) for path in paths]
        self.next = first
        self.records = Records()
        self.length = 0
        self._buffer = memoryview(bytearray(1 << 18))

    def begin(self) -> None:
        """Handshake, and one whole answer."""
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._exchange()
        self.ask()
        data = bytearray()
        while b"\r\n\r\n" not in data or len(data) < sum(_load.parse_head(bytes(data[:2048]))):
            try:
                data += self.tls.read(1 << 18)
            except ssl.SSLWantReadError:
                self._exchange()
        self.length = len(data)
        self.socket.setblocking(False)

    def _exchange(self) -> None:
        self.socket.sendall(self.outgoing.read())
        data = self.socket.recv(1 << 18)
        if not data:
            raise Void("the server closed a connection in its handshake")
        self.incoming.write(data)

    def ask(self) -> None:
        """The next request."""
        self.tls.write(self.requests[self.next % len(self.requests)])
        self.socket.send(self.outgoing.read())
        self.next += 1

    def take(self) -> int:
        """What is there; 1 where that ended an answer, and asks again then."""
        try:
            got = self.socket.recv_into(self._buffer)
        except BlockingIOError:
            return 0
        if got == 0:
            raise Void("the server closed a connection in a steady run")
        self.records.feed(self._buffer[:got])
        if self.records.plain < self.length - SLACK or not self.records.whole:
            return 0
        # What a body had too little or too much of is the next one's: bytes count in the end.
        self.records.plain -= self.length
        self.ask()
        return 1


def open_takers(
    stack: ExitStack, port: int, paths: Sequence[str], clients: int, *, same: bool = False
) -> dict[int, TlsTaker]:
    """Clients that have had one answer each, none of them asking; `same` has all begin with the first path."""
    context, takers = any_certificate(), {}
    for number in range(clients):
        taker = TlsTaker(port, paths, 0 if same else number, context)
        stack.callback(taker.socket.close)
        taker.begin()
        takers[taker.socket.fileno()] = taker
    return takers


def take_bodies(pid: int, takers: dict[int, TlsTaker], seconds: float) -> Window:
    """All of them in a closed loop; answers that ended within the window count."""
    with select.epoll() as poll:
        for number, taker in takers.items():
            taker.ask()
            poll.register(number, select.EPOLLIN)
        _take(poll, takers, min(WARM, seconds))
        with _load.metered(pid) as cost:
            units = _take(poll, takers, seconds)
    return Window(units, *cost)


def _take(poll: select.epoll, takers: dict[int, TlsTaker], seconds: float) -> int:
    until, units = time.monotonic() + seconds, 0
    while (now := time.monotonic()) < until:
        for number, _ in poll.poll(until - now):
            units += takers[number].take()
    return units
