"""What a newcomer to a stream needs first of what is shown: the newest metadata and sequence headers, of each track."""

from __future__ import annotations

from collections.abc import Iterator

from .codecs.flv import Kind
from .codecs.rtmp_message import DATA

__all__ = ["MAX_PINNED", "MAX_PINNED_BYTES", "Pinned"]

#: What is kept for late joiners: a header and metadata for each of so many tracks.  Real streams have up to 8.
MAX_PINNED = 64
#: Largest header or metadata kept.  Real ones have under 1 KB; `onMetaData` with a keyframe index some 10.
MAX_PINNED_BYTES = 65536


class Pinned:
    """The newest payload of each, by type, role and track."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, str, int], bytes] = {}

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Type and payload: metadata, then all else in the order it came in."""
        for key in sorted(self._kept, key=lambda key: key[0] != DATA):
            yield key[0], self._kept[key]

    @property
    def metadata(self) -> bytes:
        """`onMetaData`, empty where none has come."""
        return self._kept.get((DATA, "metadata", 0), b"")

    def keep(self, type_id: int, payload: bytes, kind: Kind) -> bool:
        """Keep it, within bounds; whether it is a header in the place of another."""
        key = type_id, kind.role, kind.track
        before = self._kept.get(key)
        if before == payload or len(payload) > MAX_PINNED_BYTES or (before is None and len(self._kept) >= MAX_PINNED):
            return False
        self._kept[key] = payload
        return before is not None and kind.is_sequence_header
