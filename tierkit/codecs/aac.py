"""AAC as FLV carries it, into ADTS as MPEG-TS carries it (ISO/IEC 13818-7 6.2, ISO/IEC 14496-3 1.A.2.2)."""

from __future__ import annotations

from typing import Final

from tierkit.errors import RemoteProtocolError

from .flv import AudioConfig

__all__ = ["MAX_FRAME", "SAMPLES", "adts_header", "adts_template", "aac_codec"]

MAX_FRAME: Final = 8191 - 7
"""Longest raw AAC frame that ADTS can carry: its length field has 13 bits and counts the header."""

SAMPLES: Final = 1024
"""Samples that one AAC-LC frame stands for, at the rate that the configuration names first."""

_RATES: Final = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_CHANNELS: Final = (0, 1, 2, 3, 4, 5, 6, 8)


def adts_template(config: AudioConfig) -> int:
    """The 56 bits of an ADTS header without its length: what `adts_header` takes.

    SBR and PS (object types 5 and 29) are announced as the AAC-LC below them: ADTS has no way to name them,
    and every decoder finds them in the frames.

    Raises:
        RemoteProtocolError: a profile, rate or channel layout that ADTS cannot say.
    """
    profile = 2 if config.object_type in (5, 29) else config.object_type
    if not 1 <= profile <= 4:
        raise RemoteProtocolError(f"AAC object type {config.object_type} cannot be carried in MPEG-TS: send AAC-LC")
    if config.sample_rate not in _RATES:
        raise RemoteProtocolError(f"AAC at {config.sample_rate} Hz cannot be carried in MPEG-TS: send 44,100 or 48,000")
    if not config.channels:
        raise RemoteProtocolError("AAC with a channel layout of its own cannot be carried in MPEG-TS: send stereo")
    rate, channels = _RATES.index(config.sample_rate), _CHANNELS.index(config.channels)
    # Syncword, MPEG-4, no CRC; profile, rate, channels; a buffer fullness of "variable rate"; one frame.
    return 0xFFF1 << 40 | (profile - 1) << 38 | rate << 34 | channels << 30 | 0x7FF << 2


def adts_header(template: int, size: int) -> bytes:
    """The seven bytes before a raw frame of `size` bytes, at most MAX_FRAME."""
    return (template | (size + 7) << 13).to_bytes(7, "big")


def aac_codec(config: AudioConfig) -> str:
    """As RFC 6381 and HLS call it: ``mp4a.40.2``."""
    return f"mp4a.40.{config.object_type}"
