"""The RTMP handshake: simple (specification section 5.2) and with digests, both sides, no I/O.

C0 C1 ->, <- S0 S1 S2, C2 ->.  C1 and S1 are 1,536 bytes: time, version, random.  Flash players since 9.0.115,
ffmpeg and others hide an HMAC-SHA256 digest in C1, at a place that four bytes of C1 tell, in one of two
layouts ("schemas"); they then expect S1 and S2 to carry digests as well.  The keys are public constants.

Rules of this file:

* A server takes either schema, and falls back to the simple form where C1 has no digest.
* Nobody is required to echo: C2 is read and thrown away, S2 is not checked (RTMP errata, section 3).
* C0 may be 6 (RTMPE); it is answered 3.  What begins neither with 3 nor 6 is not RTMP, and is refused at its
  first byte, so that HTTP and TLS clients on the wrong port are told at once.
* Randomness and time are arguments.  A short `nonce` is stretched by SHAKE-256.
"""

from __future__ import annotations

import hmac
from hashlib import sha256, shake_256
from typing import Final

from tierkit.errors import RemoteProtocolError

__all__ = ["ClientHandshake", "ServerHandshake", "SIZE"]

SIZE: Final = 1536
"""Bytes in C1, S1, C2 and S2."""

_SUFFIX: Final = bytes.fromhex("f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae")
_SERVER_KEY: Final = b"Genuine Adobe Flash Media Server 001"
_CLIENT_KEY: Final = b"Genuine Adobe Flash Player 001"
# First offset byte of the digest block in schema 0 and schema 1.
_SCHEMAS: Final = (8, 772)
# Any non-zero version says "I know digests"; Flash Media Server 4.5 and Flash Player 10.0.32 are ours.
_SERVER_VERSION: Final = bytes((4, 5, 0, 1))
_CLIENT_VERSION: Final = bytes((10, 0, 32, 18))


def _digest(key: bytes, *parts: bytes) -> bytes:
    return hmac.digest(key, b"".join(parts), sha256)


def _place(block: bytes, schema: int) -> int:
    base = _SCHEMAS[schema]
    return sum(block[base : base + 4]) % 728 + base + 4


def _find(block: bytes, key: bytes) -> tuple[int, bytes] | None:
    """The schema and the digest of a C1 or S1, None where it has none."""
    for schema in range(len(_SCHEMAS)):
        at = _place(block, schema)
        digest = block[at : at + 32]
        if hmac.compare_digest(digest, _digest(key, block[:at], block[at + 32 :])):
            return schema, digest
    return None


def _sign(block: bytes, key: bytes, schema: int) -> tuple[bytes, bytes]:
    """The block with its digest in place, and the digest."""
    at = _place(block, schema)
    digest = _digest(key, block[:at], block[at + 32 :])
    return block[:at] + digest + block[at + 32 :], digest


def _answer(seed: bytes, key: bytes, digest: bytes) -> bytes:
    """A C2 or S2 that proves knowledge of the peer's digest."""
    body = seed[: SIZE - 32]
    return body + _digest(_digest(key + _SUFFIX, digest), body)


class _Handshake:
    """What both sides share: bytes collected up to the end of the handshake, and what came behind it."""

    def __init__(self) -> None:
        self._buffer = b""
        self.done = False
        """True when the handshake is complete and `leftover` is the beginning of the chunk stream."""

    def leftover(self) -> bytes:
        """What arrived behind the handshake in the same segments; given out once."""
        rest, self._buffer = self._buffer, b""
        return rest

    def _take(self, size: int) -> bytes:
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


class ServerHandshake(_Handshake):
    """The answering side.

    Args:
        nonce: at least 16 unpredictable bytes, different for every connection.
        time: our clock in ms, for S1 (modulo 2**32).
    """

    def __init__(self, nonce: bytes, time: int = 0) -> None:
        super().__init__()
        self._nonce = nonce
        self._time = (time & 0xFFFFFFFF).to_bytes(4, "big")
        self._answered = False
        self.schema: int | None = None
        """0 or 1 where the client uses digests in that schema, else None."""

    def receive(self, data: bytes) -> bytes:
        """Takes what came, returns what to send (often nothing).  Call until `done`, then read `leftover`.

        Raises:
            RemoteProtocolError: this is not RTMP.
        """
        self._buffer += data
        reply = b""
        if not self._answered and self._buffer:
            _check_version(self._buffer[0])
            if len(self._buffer) > SIZE:
                reply = self._hello(self._take(1 + SIZE)[1:])
                self._answered = True
        if self._answered and not self.done and len(self._buffer) >= SIZE:
            self._take(SIZE)
            self.done = True
        return reply

    def _hello(self, c1: bytes) -> bytes:
        found = _find(c1, _CLIENT_KEY) if c1[4:8] != bytes(4) else None
        noise = shake_256(self._nonce).digest(SIZE * 2)
        if found is None:
            return b"\x03" + self._time + bytes(4) + noise[: SIZE - 8] + c1
        self.schema, digest = found
        s1, _ = _sign(self._time + _SERVER_VERSION + noise[: SIZE - 8], _SERVER_KEY, self.schema)
        return b"\x03" + s1 + _answer(noise[SIZE:], _SERVER_KEY, digest)


class ClientHandshake(_Handshake):
    """The calling side.

    Args:
        nonce: at least 16 unpredictable bytes, different for every connection.
        time: our clock in ms, for C1 (modulo 2**32).
        schema: 0 or 1 to offer digests in that schema, None for the simple form.
    """

    def __init__(self, nonce: bytes, time: int = 0, *, schema: int | None = 0) -> None:
        super().__init__()
        noise = shake_256(nonce).digest(SIZE * 2)
        clock = (time & 0xFFFFFFFF).to_bytes(4, "big")
        self._noise = noise[SIZE:]
        if schema is None:
            self._c1 = clock + bytes(4) + noise[: SIZE - 8]
        else:
            self._c1, _ = _sign(clock + _CLIENT_VERSION + noise[: SIZE - 8], _CLIENT_KEY, schema)
        self._schema = schema
        self.verified = False
        """True where the server's S1 carried a valid digest."""

    def hello(self) -> bytes:
        """C0 and C1: send them first."""
        return b"\x03" + self._c1

    def receive(self, data: bytes) -> bytes:
        """Takes what came, returns what to send: C2, once S0, S1 and S2 are here.

        Raises:
            RemoteProtocolError: the server does not speak RTMP version 3.
        """
        self._buffer += data
        if self.done or not self._buffer:
            return b""
        if self._buffer[0] != 3:
            raise RemoteProtocolError(f"the server answered with RTMP version {self._buffer[0]}, not 3")
        if len(self._buffer) < 1 + 2 * SIZE:
            return b""
        s1 = self._take(1 + 2 * SIZE)[1 : 1 + SIZE]
        self.done = True
        found = _find(s1, _SERVER_KEY) if self._schema is not None else None
        if found is None:
            return s1
        self.verified = True
        return _answer(self._noise, _CLIENT_KEY, found[1])


def _check_version(version: int) -> None:
    if version in (3, 6):
        return
    what = {0x16: "a TLS client (use rtmps)", 0x47: "an HTTP client", 0x50: "an HTTP client"}.get(version)
    raise RemoteProtocolError(
        f"not RTMP: {what or f'the first byte is {version}, not 3'}", hint="NetConnection.Connect.Rejected"
    )
