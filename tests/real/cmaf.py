"""ffmpeg's fragmented MP4, as it comes out of a pipe, cut into an init section and parts (ISO/IEC 14496-12)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from attrs import Factory, define, frozen

#: sample_is_non_sync_sample among the sample flags (8.8.3.1).
NON_SYNC = 0x10000


@frozen
class Part:
    """One moof with its mdat: a partial segment of HLS."""

    data: bytes
    duration: float
    independent: bool


@define
class Cutter:
    """Bytes in, parts out.  Durations and keyframes are the video track's."""

    init: bytes = b""
    _buffer: bytearray = Factory(bytearray)
    _moof: bytes = b""
    _track: int = 0
    _timescale: int = 0
    _defaults: tuple[int, int] = (0, 0)

    def feed(self, data: bytes) -> Iterator[Part]:
        self._buffer += data
        while len(self._buffer) >= 8 and len(self._buffer) >= (size := int.from_bytes(self._buffer[:4], "big")):
            assert size >= 8, "a box of 64-bit or open length, which ffmpeg does not write to a pipe here"
            kind, box = bytes(self._buffer[4:8]), bytes(self._buffer[:size])
            del self._buffer[:size]
            if kind in (b"ftyp", b"moov"):
                self.init += box
                if kind == b"moov":
                    self._learn(box[8:])
            elif kind == b"moof":
                self._moof = box
            elif kind == b"mdat":
                yield self._part(box)

    def _learn(self, moov: bytes) -> None:
        for trak in _all(moov, b"trak"):
            media = _one(trak, b"mdia")
            if _one(media, b"hdlr")[8:12] == b"vide":
                self._track = _word(_one(trak, b"tkhd"), 20 if _one(trak, b"tkhd")[0] else 12)
                self._timescale = _word(_one(media, b"mdhd"), 20 if _one(media, b"mdhd")[0] else 12)
        for trex in _all(_one(moov, b"mvex"), b"trex"):
            if _word(trex, 4) == self._track:
                self._defaults = _word(trex, 12), _word(trex, 20)

    def _part(self, mdat: bytes) -> Part:
        for traf in _all(self._moof[8:], b"traf"):
            if _word(_one(traf, b"tfhd"), 4) == self._track:
                ticks, flags = _run(_one(traf, b"tfhd"), _one(traf, b"trun"), *self._defaults)
                return Part(self._moof + mdat, ticks / self._timescale, not flags & NON_SYNC)
        raise AssertionError("a fragment without pictures")


def _run(tfhd: bytes, trun: bytes, duration: int, flags: int) -> tuple[int, int]:
    """Ticks that a track's run lasts, and the flags of its first sample (8.8.7, 8.8.8)."""
    has, at = _word(tfhd, 0), 8
    for bit, size in ((0x1, 8), (0x2, 4), (0x8, 4), (0x10, 4), (0x20, 4)):
        if has & bit:
            duration = _word(tfhd, at) if bit == 0x8 else duration
            flags = _word(tfhd, at) if bit == 0x20 else flags
            at += size
    has, count, at = _word(trun, 0), _word(trun, 4), 8
    at += 4 * bool(has & 0x1)
    if has & 0x4:
        flags = _word(trun, at)
        at += 4
    total = 0
    for n in range(count):
        for bit in (0x100, 0x200, 0x400, 0x800):
            if has & bit:
                duration = _word(trun, at) if bit == 0x100 else duration
                flags = _word(trun, at) if bit == 0x400 and n == 0 else flags
                at += 4
        total += duration
    return total, flags


def _all(data: bytes, wanted: bytes) -> Iterator[bytes]:
    """The contents of each box of that type, one level deep."""
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == wanted:
            yield data[at + 8 : at + size]
        at += size


def _one(data: bytes, wanted: bytes) -> bytes:
    return next(_all(data, wanted))


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")
