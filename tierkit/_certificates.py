"""Certificates: which one answers for which name, reading them again, and whom to believe when dialling.

* One SSLContext for each certificate of a listener lives as long as the listener.  Session tickets are
  sealed with keys that the *first* one holds, also where SNI then chooses another (OpenSSL keeps the
  session context apart from the chosen one), and reading a certificate again puts it into the same
  context.  So a viewer who returns after a renewal still resumes its session.  The keys are the process's own
  and live as long as it does: Python's `ssl` can neither set them nor tell them, so a viewer who comes to
  another process (or host) of a tier shakes hands in full.
* Doors for RTMPS give no tickets at all under TLS 1.3, where they come behind the handshake: librtmp with GnuTLS
  (Debian's rtmpdump and GStreamer's rtmpsrc) takes them for the end of the connection.  A connection there lasts for
  hours, so a second handshake saved is nothing.
* A ticket is all that is kept of a session, and the viewer keeps it: the server's own cache stays empty.  Early
  data (0-RTT) stays off: OpenSSL does not take it unless asked, and what it carries can be replayed.
* A renewed pair is tried in a scratch context first: a half-written chain, or a certificate whose key has
  not been renamed into place yet, must not break what works.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Sequence

from ._address import Certificate, Trust
from ._reasons import KeyIsEncrypted, certificate_reason
from .codecs.x509 import not_after
from .errors import ConnectionLost, ListenError

__all__ = ["ClientTrust", "ServerCertificates"]

#: Seconds between looks at the files' times: a look costs one stat for each file.
LOOK_EVERY = 1.0
_Signature = tuple[tuple[int, int, int], ...]


def _harden(context: ssl.SSLContext) -> None:
    # RFC 8996 forbids TLS 1.0 and 1.1.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Renegotiation lets a client make us compute (CVE-2011-1473), compression leaks secrets (CRIME).
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION


def _server_context(*, tickets: bool = True) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    if not tickets:
        context.num_tickets = 0
    # The client's order decides: browsers put AES-128 first where their processor has AES and ChaCha20 where it has
    # not, and OpenSSL's own order would give both AES-256, 12 % dearer to encrypt here and slow on such phones.  All
    # that is offered is strong (Mozilla's "Server Side TLS" says the same of its intermediate profile).
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    # What is not offered here is not negotiated: browsers fall back to HTTP/1.1, RTMPS clients offer nothing.
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, certificate: Certificate) -> None:
    # An encrypted key would otherwise ask for its passphrase on the terminal and hold everybody up.
    context.load_cert_chain(certificate.cert, certificate.key or None, password=_no_passphrase)


def _no_passphrase() -> str:
    raise KeyIsEncrypted


def _signature(certificate: Certificate) -> _Signature:
    """What changes when a file is replaced or rewritten."""
    found = []
    for path in filter(None, (certificate.cert, certificate.key)):
        state = os.stat(path)
        found.append((state.st_mtime_ns, state.st_size, state.st_ino))
    return tuple(found)


def _ends(path: str) -> float | None:
    """When the first certificate of a file ends: that is what is shown, the rest of the chain outlives it."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read()
        begin = text.index(ssl.PEM_HEADER)
        end = text.index(ssl.PEM_FOOTER, begin) + len(ssl.PEM_FOOTER)
        return not_after(ssl.PEM_cert_to_DER_cert(text[begin:end]))
    except (OSError, ValueError):
        return None


class _Pair:
    def __init__(self, certificate: Certificate, *, tickets: bool) -> None:
        self.certificate = certificate
        self.context = _server_context(tickets=tickets)
        self.signature: _Signature = ()
        #: When the certificate ends, seconds since 1970; None where it does not say in a way that we read.
        self.ends: float | None = None

    def read(self) -> None:
        """Take what the files hold now; raises ListenError, and keeps what it has, if they are no good."""
        try:
            signature = _signature(self.certificate)
            _load(_server_context(), self.certificate)
            _load(self.context, self.certificate)
        except (OSError, ValueError) as error:
            reason = certificate_reason(error, self.certificate.cert, self.certificate.key)
            raise ListenError(f"{reason}: mend it and reload") from None
        self.signature = signature
        self.ends = _ends(self.certificate.cert)

    def changed(self) -> bool:
        try:
            return _signature(self.certificate) != self.signature
        except OSError:
            return True  # gone: reading it again finds the words


class ServerCertificates:
    """The certificates of one listener.

    Args:
        certificates: the first answers for every name that no other claims.
        clock: seconds; looked at when a handshake begins.
        tickets: whether TLS 1.3 sends session tickets behind the handshake.

    Raises:
        ListenError: one of them cannot be used; the line names the file.
    """

    def __init__(
        self,
        certificates: Sequence[Certificate],
        *,
        clock: Callable[[], float] = time.monotonic,
        tickets: bool = True,
    ) -> None:
        self._pairs = [_Pair(each, tickets=tickets) for each in certificates]
        self._clock = clock
        self._next_look = clock() + LOOK_EVERY
        #: What was wrong with the files when they were last read again; empty when nothing.
        self.trouble = ""
        #: How often a file that had changed was taken since the start.
        self.taken = 0
        self._names: dict[str, ssl.SSLContext] = {}
        for pair in self._pairs:
            pair.read()
            for name in pair.certificate.names:
                self._names.setdefault(name.lower().rstrip("."), pair.context)
        if self._names:
            self._pairs[0].context.sni_callback = self._choose

    def context(self) -> ssl.SSLContext:
        """The context for a new handshake; reads changed files first, at most once a second."""
        now = self._clock()
        if now >= self._next_look:
            self._next_look = now + LOOK_EVERY
            changed = [pair for pair in self._pairs if pair.changed()]
            if changed:
                self._read(changed)
            else:
                self.trouble = ""
        return self._pairs[0].context

    def ends(self) -> list[tuple[str, float]]:
        """Each certificate's file, and when it ends, seconds since 1970, as it was last read."""
        return [(pair.certificate.cert, pair.ends) for pair in self._pairs if pair.ends is not None]

    def reload(self) -> None:
        """Read all files again.  Raises ListenError, naming each that is no good; its old one stays."""
        self._read(self._pairs)
        if self.trouble:
            raise ListenError(self.trouble)

    def _read(self, pairs: Sequence[_Pair]) -> None:
        problems = []
        for pair in pairs:
            before = pair.signature
            try:
                pair.read()
            except ListenError as error:
                problems.append(str(error))
            self.taken += pair.signature != before
        self.trouble = "; ".join(problems)

    def _choose(self, tls: ssl.SSLSocket | ssl.SSLObject, name: str | None, first: ssl.SSLContext) -> None:
        if not name:
            return
        name = name.lower().rstrip(".")
        found = self._names.get(name) or self._names.get("*." + name.partition(".")[2])
        if found is not None:
            tls.context = found


class ClientTrust:
    """The contexts that we dial with, one for each way to trust.  Made once: the system's list takes 20 ms."""

    def __init__(self) -> None:
        self._contexts: dict[tuple[Trust, tuple[str, ...]], ssl.SSLContext] = {}

    def context(self, trust: Trust, alpn: tuple[str, ...]) -> ssl.SSLContext:
        """The settings for a client.  Raises ConnectionLost where the file of authorities is no good."""
        found = self._contexts.get((trust, alpn))
        if found is None:
            found = self._contexts[trust, alpn] = _client_context(trust, alpn)
        return found


def _client_context(trust: Trust, alpn: tuple[str, ...]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=trust.ca or None)
    except OSError as error:
        words = "not a PEM file of certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConnectionLost(f"file of authorities {trust.ca}: {words}") from None
    _harden(context)
    if not trust.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context
