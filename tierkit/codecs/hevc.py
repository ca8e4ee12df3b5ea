"""H.265 as Enhanced RTMP carries it: the decoder configuration record (ISO/IEC 14496-15 8.3.3.1, hvcC)."""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from tierkit.errors import RemoteProtocolError

from .avc import START_CODE

__all__ = ["HEVCConfig", "parse_hevc_config"]

_FIXED: Final = 23
_MAX_SETS: Final = 64


@frozen
class HEVCConfig:
    """An HEVCDecoderConfigurationRecord."""

    #: general_profile_space, general_tier_flag and general_profile_idc, as one byte.
    profile: int
    #: general_profile_compatibility_flags, 32 bits, first flag highest.
    compatibility: int
    #: general_constraint_indicator_flags, 6 bytes.
    constraints: bytes
    level: int
    #: How many bytes tell the length of a NAL unit: 1, 2 or 4.
    length_size: int
    #: Video, sequence and picture parameter sets, and SEI messages, in the record's order.
    sets: tuple[bytes, ...] = field(repr=False)

    @property
    def codec(self) -> str:
        """As ISO/IEC 14496-15 annex E and HLS call it: ``hvc1.1.6.L93.B0``."""
        space = ("", "A", "B", "C")[self.profile >> 6]
        tier = "H" if self.profile & 0x20 else "L"
        flags = int(f"{self.compatibility:032b}"[::-1], 2)
        trail = "".join(f".{each:X}" for each in self.constraints.rstrip(b"\x00"))
        return f"hvc1.{space}{self.profile & 0x1F}.{flags:X}.{tier}{self.level}{trail}"

    @property
    def parameter_sets(self) -> bytes:
        """All of them in Annex B: what must stand before a keyframe that a player begins with."""
        return b"".join(START_CODE + unit for unit in self.sets)


def parse_hevc_config(body: bytes) -> HEVCConfig:
    """The body of an HEVC sequence header.  Raises RemoteProtocolError where it is cut short or senseless."""
    # Version 0 is written by encoders that followed the draft.
    if len(body) < _FIXED or body[0] > 1:
        raise RemoteProtocolError("an HEVC configuration is cut short or of an unknown version")
    length_size = (body[21] & 3) + 1
    if length_size == 3:
        raise RemoteProtocolError("an HEVC configuration has lengths of three bytes, which the standard forbids")
    found, at = list[bytes](), _FIXED
    for _ in range(body[22]):
        if len(body) < at + 3:
            raise RemoteProtocolError("an HEVC configuration is cut short")
        count = int.from_bytes(body[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            size = int.from_bytes(body[at : at + 2], "big")
            unit = body[at + 2 : at + 2 + size]
            if not size or len(unit) != size or len(found) >= _MAX_SETS:
                raise RemoteProtocolError("an HEVC configuration is cut short or has too many parameter sets")
            found.append(unit)
            at += 2 + size
    if not found:
        raise RemoteProtocolError("an HEVC configuration is without parameter sets")
    compatibility = int.from_bytes(body[2:6], "big")
    return HEVCConfig(body[1], compatibility, body[6:12], body[12], length_size, tuple(found))
