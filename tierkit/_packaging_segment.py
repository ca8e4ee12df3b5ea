"""One segment in the making: which tracks are in it is decided by what has come, not by what was announced.

A programme map that names a track without a single frame makes players wait for it, and a publisher may
announce audio and never send any.  So the first frames are held back until every track that is configured
has sent one, or SETTLE has passed: then the muxer is opened with those that are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ._packaging_mpegts import SegmentMuxer
from ._packaging_tracks import AudioTrack, VideoTrack

__all__ = ["OpenSegment", "Signature"]

#: Ticks to wait for a track's first frame.  AAC frames come every 21 to 46 ms; encoders hold back up to half a second.
SETTLE: Final = 90000
#: What a decoder must know: a segment whose signature differs from the last one's begins with a discontinuity.
Signature = tuple[tuple[str, bytes], ...]


class OpenSegment:
    """From its first frame to `finish`.  `lead` is the slot whose frames it is cut by."""

    def __init__(self, start: int, lead: int, tracks: Mapping[int, VideoTrack | AudioTrack]) -> None:
        self.start = start
        self.lead = lead
        #: Bytes so far.
        self.size = 0
        #: Sound that does not fit to the configuration this segment began with waits for the next one.
        self.deaf = False
        self._expected = dict(tracks)
        self._tracks: dict[int, VideoTrack | AudioTrack] = {}
        self._seen: set[int] = set()
        self._held: list[tuple[int, int, int, bool, bytes]] = []
        self._muxer: SegmentMuxer | None = None
        self._last: dict[int, int] = {}

    @property
    def tracks(self) -> tuple[VideoTrack | AudioTrack, ...]:
        """The tracks that have frames in it, video first; complete once it is finished."""
        return tuple(self._tracks[slot] for slot in sorted(self._tracks))

    @property
    def signature(self) -> Signature:
        """What tells whether a decoder can go on from another segment into this one."""
        return tuple((track.stream, track.header) for track in self.tracks)

    def last(self, slot: int) -> int | None:
        """Decoding time of this track's newest frame."""
        return self._last.get(slot)

    def add(self, slot: int, dts: int, pts: int, key: bool, data: bytes) -> bool:
        """Take one frame; False where its track came too late to be in this segment.  libav's errors come through."""
        self._last[slot] = dts
        if self._muxer is not None:
            if slot not in self._tracks:
                return False
            self.size += len(data)
            self._muxer.write(slot, dts, pts, key, data)
            return True
        self._seen.add(slot)
        self.size += len(data)
        self._held.append((slot, dts, pts, key, data))
        if len(self._seen) == len(self._expected) or dts - self.start >= SETTLE:
            self._open()
        return True

    def _open(self) -> SegmentMuxer:
        self._tracks = {slot: self._expected[slot] for slot in self._seen}
        self._muxer = muxer = SegmentMuxer(self.tracks, min(frame[1] for frame in self._held))
        held, self._held = self._held, []
        for frame in held:
            muxer.write(*frame)
        return muxer

    def finish(self) -> bytes:
        """The whole segment.  libav's errors come through."""
        return (self._muxer or self._open()).finish()

    def abandon(self) -> None:
        """Let go of it without a word, whatever state libav left it in."""
        self._held.clear()
        if self._muxer is not None:
            self._muxer.abandon()
