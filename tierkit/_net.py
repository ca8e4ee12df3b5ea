"""The real network: listening and dialling on the sockets of this machine.

The pieces: `_sockets` (a TCP or unix connection), `_tls` (TLS over one), `_certificates` (which one
answers), `_dial` (names, several addresses at once), `_reasons` (what the system says, in words).

What is promised here besides the port's rules:

* ``:PORT`` is every address of the machine, IPv4 and IPv6 by one socket; where the machine has no IPv6 it is
  every IPv4 address.
* Connections are counted against the process's descriptors; one too many fails exactly as if the kernel
  had said EMFILE, while there is still a reserve for files, logs and look-ups.
* A stalled handshake or PROXY header costs its own connection only: both happen in `establish`.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
import ssl
import stat
from collections.abc import Sequence
from typing import Any

import trio

from ._address import Address, Listener, Trust
from ._certificates import ClientTrust, ServerCertificates
from ._dial import Resolver, Target, dial, dial_unix
from ._networks import Networks
from ._ports import Bound, CertificateState, Connection, Descriptors, Door, Network, Peer
from ._reasons import dial_reason, listen_reason
from ._sockets import SocketConnection, peer_of, prepare
from ._tls import TLSConnection
from .errors import AddressError, ConnectionLost, ListenError, RemoteProtocolError

__all__ = ["RealNetwork", "dialable", "raise_descriptor_limit"]

#: Where the hard limit is "unlimited" or absurd: Linux's own ceiling, fs.nr_open, is 1,048,576 by default.
MAX_DESCRIPTORS = 1 << 20
#: Owner and group may connect to a unix socket: a reverse proxy is put into the group.
UNIX_MODE = 0o660
# accept(2): "Linux accept() passes already-pending network errors on the new socket as an error code.
# For reliable operation the application should detect the network errors defined for the protocol and
# treat them like EAGAIN by retrying"; EPERM is a firewall's verdict on one connection.
_NEXT_PLEASE = frozenset(
    {
        errno.ECONNABORTED,
        errno.ENETDOWN,
        errno.EPROTO,
        errno.ENOPROTOOPT,
        errno.EHOSTDOWN,
        errno.ENONET,
        errno.EHOSTUNREACH,
        errno.EOPNOTSUPP,
        errno.ENETUNREACH,
        errno.EPERM,
        errno.EINTR,
    }
)


def raise_descriptor_limit() -> int:
    """Raise this process's soft limit of descriptors to its hard one; returns what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            return soft  # a sandbox forbids it: we live with what we have
        return wanted
    return wanted if soft == resource.RLIM_INFINITY else soft


def dialable(address: Address) -> Address:
    """A bound address as something to dial on this machine: every address includes the loopback one."""
    if not address.wildcard:
        return address
    return address.with_(host="127.0.0.1")


class RealNetwork(Network):
    """The sockets of this machine.

    Makes room for them first: the process's limit of descriptors is raised to the hard one.
    """

    def __init__(self) -> None:
        self.descriptors = Descriptors(limit=raise_descriptor_limit())
        self._resolver = Resolver()
        self._trust = ClientTrust()

    async def listen(self, listener: Listener, *, backlog: int = 1024, send_lowat: int = 131072) -> Bound:
        address = listener.address
        if problems := listener.problems():
            raise ListenError(problems[0])
        tickets = address.scheme != "rtmps"
        certificates = ServerCertificates(listener.certificates, tickets=tickets) if address.secure else None
        await trio.lowlevel.checkpoint()
        try:
            if address.unix:
                sock = _bind_unix(address.unix)
            else:
                sock = await self._bind(address)
        except OSError as error:
            reason = listen_reason(error, unix=bool(address.unix))
            raise ListenError(f"{_shown(address)} {reason}") from None
        try:
            prepare(sock, send_lowat=send_lowat)
            sock.listen(backlog)
            if not address.unix:
                host, port = sock.getsockname()[:2]
                address = address.with_(host=host, port=port)
        except OSError as error:
            sock.close()
            raise ListenError(f"{_shown(address)} {listen_reason(error)}") from None
        return _SocketBound(sock, Door(listener, address), self.descriptors, certificates)

    async def _bind(self, address: Address) -> socket.socket:
        port = address.dial_port
        if not address.host:
            try:
                return _bind(socket.AF_INET6, ("::", port))
            except OSError as error:
                # No IPv6 in the kernel, or switched off (net.ipv6.conf.all.disable_ipv6).
                if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    raise
            return _bind(socket.AF_INET, ("0.0.0.0", port))
        targets = await self._resolver.targets(address.host, port, passive=True)
        # A name such as localhost has both: IPv4 then, because whoever dials a name tries that in any case.
        targets.sort(key=lambda target: target[0] != socket.AF_INET)
        return _bind(*targets[0])

    async def connect(self, address: Address, *, trust: Trust | None = None) -> Connection:
        if not self.descriptors.connections_free:
            await trio.lowlevel.checkpoint()
            raise ConnectionLost(f"{_shown(address)} {dial_reason(OSError(errno.EMFILE, ''))}")
        # Counted before it is dialled: a thousand dials at once are a thousand descriptors.
        self.descriptors.connections += 1
        try:
            connection = await self._open(address, trust)
        except BaseException:
            self.descriptors.connections -= 1
            raise
        if not address.secure:
            return connection
        try:
            return await self._secure(connection, address, trust or Trust())
        except BaseException:
            connection.abort()
            raise

    async def _open(self, address: Address, trust: Trust | None) -> SocketConnection:
        try:
            if address.unix:
                sock, peer = await dial_unix(address.unix), Peer("unix")
            else:
                if address.wildcard:
                    raise ConnectionLost(f"{_shown(address)} cannot be dialled: it is every address, not one")
                targets = await self._resolver.targets(address.host, address.dial_port)
                if trust is not None and trust.networks:
                    targets = _within(targets, trust.networks, address)
                sock, sockaddr = await dial(targets)
                peer = peer_of(sock.family, sockaddr)
        except AddressError as error:
            raise ConnectionLost(str(error)) from None
        except (OSError, UnicodeError) as error:
            raise ConnectionLost(f"{_shown(address)} {dial_reason(error)}") from None
        return SocketConnection(sock, self.descriptors, peer=peer)

    async def _secure(self, inner: SocketConnection, address: Address, trust: Trust) -> Connection:
        alpn = ("http/1.1",) if address.scheme == "https" else ()
        name = trust.server_name or address.host or "localhost"
        where = _shown(address)
        connection = TLSConnection(inner, self._trust.context(trust, alpn), server_name=name.partition("%")[0])
        try:
            await connection.establish()
        except ssl.SSLCertVerificationError as error:
            raise ConnectionLost(f"{where}: its certificate is not trusted: {error.verify_message}") from None
        except (ConnectionLost, RemoteProtocolError) as error:
            raise ConnectionLost(f"{where}: {error}") from None
        return connection


def _within(targets: list[Target], networks: tuple[str, ...], address: Address) -> list[Target]:
    """Those that may be dialled, and no name is looked up again.  Raises ConnectionLost where none may."""
    allowed = Networks(networks)
    found = [each for each in targets if each[1][0] in allowed]
    if not found:
        where = ", ".join(sorted({str(each[1][0]) for each in targets}))
        raise ConnectionLost(f"{_shown(address)} was not dialled: {where} is not in {', '.join(networks)}")
    return found


def _shown(address: Address) -> str:
    """Scheme and authority alone: no credentials, no path."""
    return str(Address(scheme=address.scheme, host=address.host, port=address.port, unix=address.unix))


# --- opening listeners ---------------------------------------------------------------------------


def _bind(family: int, sockaddr: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Without it a restart waits a minute for the old connections' TIME_WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Dual-stack only for the wildcard; one address is one address.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(sockaddr[0] != "::"))
        sock.bind(sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_unix(path: str) -> socket.socket:
    if len(os.fsencode(path)) > 107:  # sockaddr_un: 108 bytes with the final zero, unix(7)
        raise ListenError(f"unix:{path} is too long: a socket's path has at most 107 bytes")
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        os.chmod(path, UNIX_MODE)  # nobody can connect before listen()
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on any more: a process that was killed leaves its file behind."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"unix:{path} is taken by something that is no socket: remove it or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass  # somebody listens, and is busy
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


# --- listeners at work ---------------------------------------------------------------------------


class _SocketBound(Bound):
    def __init__(
        self, sock: socket.socket, door: Door, budget: Descriptors, certificates: ServerCertificates | None
    ) -> None:
        self.door = door
        self._sock = sock
        self._budget = budget
        self._certificates = certificates
        self._proxied = Networks(door.listener.proxy_from)
        self._closed = False
        self._file = os.stat(door.address.unix) if door.address.unix else None

    async def accept(self) -> Connection:
        while True:
            if self._closed:
                raise ConnectionLost(f"listener {self.address} is closed")
            if not self._budget.connections_free:
                await self._wait()
                self._ask_budget()
            try:
                sock, sockaddr = self._sock.accept()
            except BlockingIOError:
                await self._wait()
            except OSError as error:
                if error.errno not in _NEXT_PLEASE:
                    raise
            else:
                return self._welcome(sock, sockaddr)

    def _ask_budget(self) -> None:
        if not self._closed and not self._budget.connections_free:
            raise OSError(errno.EMFILE, "the budget of descriptors is used up")

    async def _wait(self) -> None:
        try:
            await trio.lowlevel.wait_readable(self._sock)
        except trio.ClosedResourceError:
            pass

    def _welcome(self, sock: socket.socket, sockaddr: Any) -> Connection:
        sock.setblocking(False)
        peer = peer_of(sock.family, sockaddr)
        proxied = bool(self._proxied) and peer.host in self._proxied
        self._budget.connections += 1
        connection = SocketConnection(sock, self._budget, peer=peer, door=self.door, proxied=proxied)
        if self._certificates is None:
            return connection
        return TLSConnection(connection, self._certificates.context())

    @property
    def trouble(self) -> str:
        return "" if self._certificates is None else self._certificates.trouble

    @property
    def certificates(self) -> Sequence[CertificateState]:
        if self._certificates is None:
            return ()
        address = str(self.address)
        return [
            CertificateState(address=address, file=file, not_after=not_after)
            for file, not_after in self._certificates.ends()
        ]

    @property
    def taken(self) -> int:
        return 0 if self._certificates is None else self._certificates.taken

    def reload(self) -> None:
        if self._certificates is not None:
            self._certificates.reload()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._remove_file()
        trio.lowlevel.notify_closing(self._sock)
        self._sock.close()

    def _remove_file(self) -> None:
        """Remove the socket's file, unless somebody has put another one there since."""
        if self._file is None:
            return
        path = self.door.address.unix
        try:
            now = os.lstat(path)
            if (now.st_dev, now.st_ino) == (self._file.st_dev, self._file.st_ino):
                os.unlink(path)
        except OSError:
            pass
