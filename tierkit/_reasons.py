"""What the operating system and OpenSSL say, in words for people.

The one place where a foreign exception becomes one of ours.  Numbers and names are looked up in tables;
what is not in them comes out in the system's own words, never as a bare OSError.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl

from .errors import ConnectionLost

__all__ = [
    "KeyIsEncrypted",
    "OUT_OF_DESCRIPTORS",
    "certificate_reason",
    "dial_reason",
    "listen_reason",
    "lost",
    "tls_reason",
]

#: What accept(2) and socket(2) say when something is used up that comes back by itself.
OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

_LOST = {
    errno.ECONNRESET: "reset by the peer",
    errno.EPIPE: "the peer has closed the connection",
    errno.ETIMEDOUT: "the peer has not answered for too long",
    errno.EHOSTUNREACH: "no route to the peer any more",
    errno.ENETUNREACH: "no route to the peer any more",
    errno.ECONNABORTED: "the connection was aborted",
    errno.EBADF: "closed by ourselves",
}
_DIAL = {
    errno.ECONNREFUSED: "refuses connections: nothing listens there",
    errno.ETIMEDOUT: "does not answer: timed out",
    errno.EHOSTUNREACH: "cannot be reached: no route to that host",
    errno.ENETUNREACH: "cannot be reached: no route to that network",
    errno.EADDRNOTAVAIL: "cannot be dialled from here: no local address or port is left for it",
    errno.EAFNOSUPPORT: "cannot be dialled from here: this machine does not have its address family",
    errno.ECONNRESET: "reset the connection at once",
    errno.EACCES: "cannot be dialled: permission denied",
    errno.EPERM: "cannot be dialled: a local firewall forbids it",
    errno.ENOENT: "does not exist: is the server with that socket running?",
    errno.ENOTDIR: "does not exist: is the server with that socket running?",
    errno.EMFILE: "was not dialled: no descriptor is free (raise the limit, ulimit -n)",
    errno.ENFILE: "was not dialled: the machine has no descriptor left",
    errno.EPROTOTYPE: "is a socket of another kind",
}
_LISTEN = {
    errno.EADDRINUSE: "is already taken: stop the other program (ss -ltnp shows it) or choose another port",
    errno.EACCES: "is not permitted: ports below 1024 need root, CAP_NET_BIND_SERVICE or a port above",
    errno.EPERM: "is not permitted here",
    errno.EADDRNOTAVAIL: "is not an address of this machine: choose one of its own (ip address) or :PORT",
    errno.EAFNOSUPPORT: "has an address family that this machine does not have",
    errno.EMFILE: "cannot be opened: no descriptor is free (raise the limit, ulimit -n)",
    errno.ENOENT: "has no directory: create it first",
    errno.ENOTDIR: "has a path that leads through something that is no directory",
    errno.EROFS: "is on a read-only file system",
}
_UNIX_LISTEN = {
    errno.EACCES: "is not permitted: its directory cannot be written by this user",
    errno.EADDRINUSE: "is already taken: another program listens on it",
}
# Reasons of OpenSSL that deserve better words than its own; the rest is spelt out from its name.
_TLS = {
    "HTTP_REQUEST": "plain HTTP where TLS was expected",
    "HTTPS_PROXY_REQUEST": "a plain HTTP CONNECT where TLS was expected",
    "WRONG_VERSION_NUMBER": "no TLS at all, or a version that does not exist",
    "PACKET_LENGTH_TOO_LONG": "no TLS at all, or a broken record",
    "UNSUPPORTED_PROTOCOL": "a TLS version below 1.2",
    "VERSION_TOO_LOW": "a TLS version below 1.2",
    "NO_SHARED_CIPHER": "no cipher in common",
    "TLSV1_ALERT_UNKNOWN_CA": "the peer does not trust our certificate's authority",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the peer rejects our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the peer rejects our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the peer finds our certificate expired",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the peer speaks no TLS version of ours",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the peer finds nothing in common with us",
    "TLSV1_UNRECOGNIZED_NAME": "the peer has no certificate for that name",
    "NO_RENEGOTIATION": "renegotiation, which is off",
}


class KeyIsEncrypted(ValueError):
    """A private key asked for a passphrase."""


def _words(error: OSError, *tables: dict[int, str]) -> str:
    for table in tables:
        if error.errno in table:
            return table[error.errno]
    return error.strerror or str(error) or type(error).__name__


def lost(error: OSError) -> ConnectionLost:
    """A connection's end as the operating system tells it."""
    return ConnectionLost(_words(error, _LOST))


def dial_reason(error: OSError | UnicodeError) -> str:
    """Why a connection could not be opened, as the predicate of a sentence about its address."""
    if isinstance(error, socket.gaierror):
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            return "cannot be found: no such host"
        return f"cannot be found: name look-up failed ({error.strerror or error})"
    if isinstance(error, UnicodeError):
        return "cannot be found: no such host"
    return _words(error, _DIAL)


def listen_reason(error: OSError, *, unix: bool = False) -> str:
    """Why an address could not be listened on, as the predicate of a sentence about it."""
    if isinstance(error, socket.gaierror):
        return "cannot be found: write an address of this machine or :PORT"
    return _words(error, _UNIX_LISTEN if unix else {}, _LISTEN)


def tls_reason(error: ssl.SSLError) -> str:
    """What OpenSSL found wrong, as a phrase."""
    name = error.reason or ""
    if name in _TLS:
        return _TLS[name]
    return name.replace("_", " ").lower() or str(error.strerror or error)


def certificate_reason(error: OSError | ValueError, cert: str, key: str) -> str:
    """Why a certificate could not be loaded; names the file where that is known."""
    pair = f"certificate {cert}" + (f" with key {key}" if key else "")
    if isinstance(error, KeyIsEncrypted):
        return f"{pair}: the key is encrypted; write it without a passphrase, readable by this user only"
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"{pair}: the key does not belong to the certificate"
        return f"{pair}: not a PEM certificate chain and key"
    for path in filter(None, (cert, key)):
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as found:
            return f"certificate file {path}: {(found.strerror or str(found)).lower()}"
    return f"{pair}: {error}"
