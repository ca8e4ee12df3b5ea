"""H.264 as FLV carries it: the decoder configuration record, and length-prefixed NAL units into Annex B.

ISO/IEC 14496-15 5.3.3.1 (avcC) and H.264 7.3.2.1.1 (sequence parameter set), annex B (start codes).  Everything
here comes from strangers: each loop has a bound, and what does not add up is a RemoteProtocolError.
"""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from tierkit.errors import RemoteProtocolError

__all__ = ["AVCConfig", "MAX_UNITS", "START_CODE", "parse_avc_config", "picture_size", "split_units"]

START_CODE: Final = b"\x00\x00\x00\x01"
MAX_UNITS: Final = 2048
"""NAL units of one frame: level 6.2 allows 200 slices or so, and nobody sends a thousand SEI messages."""

#: Profiles whose parameter set tells of chroma and scaling (H.264 7.3.2.1.1).
_HIGH: Final = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))


@frozen
class AVCConfig:
    """An AVCDecoderConfigurationRecord."""

    profile: int
    compatibility: int
    level: int
    #: How many bytes tell the length of a NAL unit: 1, 2 or 4.
    length_size: int
    sps: tuple[bytes, ...] = field(repr=False)
    pps: tuple[bytes, ...] = field(repr=False)

    @property
    def codec(self) -> str:
        """As RFC 6381 and HLS call it: ``avc1.64001f``."""
        return f"avc1.{self.profile:02x}{self.compatibility:02x}{self.level:02x}"

    @property
    def parameter_sets(self) -> bytes:
        """All of them in Annex B: what must stand before a keyframe that a player begins with."""
        return b"".join(START_CODE + unit for unit in (*self.sps, *self.pps))


def parse_avc_config(body: bytes) -> AVCConfig:
    """The body of an AVC sequence header.  Raises RemoteProtocolError where it is cut short or of another version."""
    if len(body) < 7 or body[0] != 1:
        raise RemoteProtocolError("an AVC configuration is cut short or of an unknown version")
    length_size = (body[4] & 3) + 1
    if length_size == 3:
        raise RemoteProtocolError("an AVC configuration has lengths of three bytes, which the standard forbids")
    sps, at = _sets(body, 6, body[5] & 0x1F)
    pps, at = _sets(body, at + 1, body[at]) if at < len(body) else ((), at)
    if not sps or not pps:
        raise RemoteProtocolError("an AVC configuration is without parameter sets")
    return AVCConfig(body[1], body[2], body[3], length_size, sps, pps)


def _sets(body: bytes, at: int, count: int) -> tuple[tuple[bytes, ...], int]:
    found = []
    for _ in range(count):
        size = int.from_bytes(body[at : at + 2], "big")
        unit = body[at + 2 : at + 2 + size]
        if not size or len(unit) != size:
            raise RemoteProtocolError("an AVC configuration is cut short")
        found.append(unit)
        at += 2 + size
    return tuple(found), at


def split_units(body: bytes, at: int, length_size: int) -> list[bytes]:
    """The NAL units of a frame, from byte `at` of `body` on, without their lengths; empty ones are left out.

    Raises:
        RemoteProtocolError: a length beyond the end, or more than MAX_UNITS.
    """
    units, end, left = [], len(body), MAX_UNITS
    while at < end:
        start = at + length_size
        at = start + int.from_bytes(body[at:start], "big")
        left -= 1
        if start > end or at > end or left < 0:
            what = "has too many NAL units" if left < 0 else "does not end where its NAL units do"
            raise RemoteProtocolError(f"a picture of {end} bytes {what}")
        if at > start:
            units.append(body[start:at])
    return units


class _Bits:
    """Reads a parameter set: fixed fields and Exp-Golomb codes (H.264 9.1)."""

    def __init__(self, unit: bytes) -> None:
        # The bytes that keep start codes out of the payload (7.4.1) are not part of it.
        clean = unit.replace(b"\x00\x00\x03", b"\x00\x00")
        self._value = int.from_bytes(clean, "big")
        self._left = len(clean) * 8

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise RemoteProtocolError("a sequence parameter set is cut short")
        return self._value >> self._left & ((1 << count) - 1)

    def ue(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 31:
                raise RemoteProtocolError("a sequence parameter set has a number beyond 32 bits")
        return (1 << zeros) - 1 + self.take(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def picture_size(sps: bytes) -> tuple[int, int]:
    """Width and height of the pictures after cropping, from a sequence parameter set (7.3.2.1.1, 7.4.2.1.1).

    Raises:
        RemoteProtocolError: cut short, or values that the standard forbids.
    """
    bits = _Bits(sps[1:512])
    profile = bits.take(8)
    bits.take(16)
    bits.ue()
    chroma = _skip_high_profile(bits) if profile in _HIGH else 1
    bits.ue()
    _skip_picture_order(bits)
    bits.ue()
    bits.take(1)
    width, rows = (bits.ue() + 1) * 16, (bits.ue() + 1) * 16
    frames_only = bits.take(1)
    if not frames_only:
        bits.take(1)
    bits.take(1)
    height = rows * (2 - frames_only)
    if bits.take(1):
        left, right, top, bottom = (bits.ue() for _ in range(4))
        width -= (left + right) * (2 if chroma in (1, 2) else 1)
        height -= (top + bottom) * (2 if chroma == 1 else 1) * (2 - frames_only)
    if not (0 < width <= 16384 and 0 < height <= 16384):
        raise RemoteProtocolError(f"a sequence parameter set says pictures of {width}x{height}")
    return width, height


def _skip_high_profile(bits: _Bits) -> int:
    """Read over what only the high profiles have; gives chroma_format_idc, 0 where planes are coded apart."""
    chroma = bits.ue()
    separate = bits.take(1) if chroma == 3 else 0
    bits.ue()
    bits.ue()
    bits.take(1)
    if bits.take(1):
        for index in range(8 if chroma != 3 else 12):
            if bits.take(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return 0 if separate else chroma


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _skip_picture_order(bits: _Bits) -> None:
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.take(1)
        bits.se()
        bits.se()
        cycle = bits.ue()
        if cycle > 255:
            raise RemoteProtocolError("a sequence parameter set has a picture order cycle beyond 255")
        for _ in range(cycle):
            bits.se()
