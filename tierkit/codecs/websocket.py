"""WebSocket frames as a server writes them (RFC 6455, section 5.2): unmasked, whole messages.

Only what is written once for many readers is here; handshakes, and what clients send, are for wsproto
(`tierkit.websocket`).
"""

from __future__ import annotations

from typing import Final

__all__ = ["binary_frame"]

_FIN_BINARY: Final = 0x82
_SHORT, _TWO_BYTES, _EIGHT_BYTES = 125, 126, 127


def binary_frame(payload: bytes) -> bytes:
    """One binary message in one frame: the same bytes for every client, because a server does not mask."""
    size = len(payload)
    if size <= _SHORT:
        head = bytes((_FIN_BINARY, size))
    elif size <= 0xFFFF:
        head = bytes((_FIN_BINARY, _TWO_BYTES)) + size.to_bytes(2, "big")
    else:
        head = bytes((_FIN_BINARY, _EIGHT_BYTES)) + size.to_bytes(8, "big")
    return head + payload
