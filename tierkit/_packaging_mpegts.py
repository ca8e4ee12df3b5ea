"""One MPEG-TS segment by libav's muxer: the one place where tierkit's packaging meets PyAV.

Only packets that this library has built come here, each segment has a muxer of its own, and whatever PyAV
raises comes out as it is: the packager drops the segment and goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

try:
    import av
except ImportError as exc:
    raise ImportError("packaging to HLS needs PyAV, which is not installed: pip install 'tierkit[ingest]'") from exc

from ._packaging_tracks import AUDIO_SLOT, AudioTrack, VideoTrack

__all__ = ["SegmentMuxer"]

_TICK: Final = Fraction(1, 90000)
#: MPEG-TS timestamps have 33 bits (ISO/IEC 13818-1 2.4.3.7).
_WRAP: Final = 1 << 33
#: AAC frames share a PES packet up to here: alone, each wastes a third of its last 188 bytes packet.  libav's
#: own muxer uses 2930 bytes; this many leave it nothing to do.
_PES_BYTES: Final = 2600
#: ... and as long as their times are those of continuous sound, to RTMP's millisecond.
_CONTINUOUS: Final = 2 * 90

_OPTIONS: Final = {
    # The continuity counters of each segment begin anew: say so, and players do not take it for loss.
    "mpegts_flags": "initial_discontinuity",
    # Written when the buffer is full, not after each packet.
    "flush_packets": "0",
    # Microseconds.  The muxer puts twice this between the clock and the decoding times, so that a receiver
    # which honours the clock has 0.7 s to fill its buffer; without it every picture would arrive too late.
    "max_delay": "350000",
    "pes_payload_size": "0",
}


class _Sink:
    """What libav writes into: pieces are kept as they come, and joined once."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.pieces.append(data)
        return len(data)


class SegmentMuxer:
    """Packets in, one segment out.  Times are ticks of 90 kHz, strictly rising for each track."""

    def __init__(self, tracks: Sequence[VideoTrack | AudioTrack], start: int) -> None:
        self._sink = _Sink()
        self._out: Any = av.open(self._sink, "w", format="mpegts", container_options=_OPTIONS)
        self._out.metadata.update(service_name="live", service_provider="tierkit")
        self._streams: dict[int, Any] = {}
        for track in tracks:
            rate = track.rate if isinstance(track, AudioTrack) else None
            stream = self._streams[track.slot] = self._out.add_mux_stream(track.stream, rate=rate)
            stream.time_base = _TICK
            if isinstance(track, AudioTrack):
                self._frame = track.frame
        # Long streams wrap; within one segment libav wraps by itself.
        self._shift = start // _WRAP * _WRAP
        self._sound: list[bytes] = []
        self._sound_at = 0
        self._sound_bytes = 0

    def write(self, slot: int, dts: int, pts: int, key: bool, data: bytes) -> None:
        """Take one frame.  Whatever libav raises comes through."""
        if slot == AUDIO_SLOT and self._frame:
            self._write_sound(dts, data)
        else:
            self._mux(slot, dts, pts, key, data)

    def finish(self) -> bytes:
        """Everything that is left goes out; the whole segment."""
        self._flush_sound()
        self._out.close()
        return b"".join(self._sink.pieces)

    def abandon(self) -> None:
        """Close without caring what libav says: left to the garbage collector it would say it to everybody."""
        self._sink.pieces.clear()
        try:
            self._out.close()
        except Exception:
            pass

    def _write_sound(self, dts: int, data: bytes) -> None:
        if self._sound:
            expected = self._sound_at + self._frame * len(self._sound)
            if self._sound_bytes + len(data) > _PES_BYTES or abs(dts - expected) > _CONTINUOUS:
                self._flush_sound()
        if not self._sound:
            self._sound_at = dts
        self._sound.append(data)
        self._sound_bytes += len(data)

    def _flush_sound(self) -> None:
        if self._sound:
            data, self._sound, self._sound_bytes = b"".join(self._sound), [], 0
            self._mux(AUDIO_SLOT, self._sound_at, self._sound_at, True, data)

    def _mux(self, slot: int, dts: int, pts: int, key: bool, data: bytes) -> None:
        packet = av.Packet(data)
        packet.stream = self._streams[slot]
        packet.time_base = _TICK
        packet.dts = dts - self._shift
        packet.pts = pts - self._shift
        packet.is_keyframe = key
        self._out.mux_one(packet)
