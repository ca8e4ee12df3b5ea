"""SecureToken version 1, the server's end: a plain text that becomes a challenge by a shared secret.

XXTEA (Wheeler and Needham, "Correction to xtea", 1998) forwards: the words of 32 bits are little-endian, the key is
the first 16 characters of the secret, padded with zeros.  The client's end, backwards, is in `codecs/rtmp_auth`.
"""

from __future__ import annotations

from typing import Final

__all__ = ["encrypt"]

_DELTA: Final = 0x9E3779B9
_WORD: Final = 0xFFFFFFFF


def encrypt(plain: str, secret: str) -> str:
    """`plain` (4 characters or more) by `secret`, in hexadecimal."""
    text = plain.encode()
    size = max(2, -(-len(text) // 4))
    words = _words(text.ljust(4 * size, b"\0"))
    key = _words(secret.encode()[:16].ljust(16, b"\0"))
    total = 0
    for _ in range(6 + 52 // size):
        total = total + _DELTA & _WORD
        turn = total >> 2 & 3
        for at in range(size):
            before, after = words[at - 1], words[(at + 1) % size]  # of the first and the last: around the corner
            mixed = (before >> 5 ^ after << 2) + (after >> 3 ^ before << 4)
            mixed ^= (total ^ after) + (key[at & 3 ^ turn] ^ before)
            words[at] = words[at] + mixed & _WORD
    return b"".join(word.to_bytes(4, "little") for word in words).hex()


def _words(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]
