"""Tracks: from the payloads of FLV to what MPEG-TS carries.

H.264 and H.265 leave as Annex B with an access unit delimiter, keyframes with their parameter sets before
them: always, so that each segment can be decoded by itself.  (libav's own filters put them only before IDR
pictures, not before recovery points, and would read a stranger's configuration record in C.)  AAC leaves as
ADTS, MP3 as it is.
"""

from __future__ import annotations

from typing import Final

from .codecs.aac import MAX_FRAME, SAMPLES, aac_codec, adts_header, adts_template
from .codecs.avc import START_CODE, AVCConfig, parse_avc_config, picture_size, split_units
from .codecs.flv import parse_audio_config
from .codecs.flv_packet import Kind
from .codecs.hevc import HEVCConfig, parse_hevc_config
from .errors import RemoteProtocolError

__all__ = [
    "AUDIO_SLOT",
    "VIDEO_SLOT",
    "AudioTrack",
    "Unsupported",
    "VideoTrack",
    "audio_body",
    "mp3_header",
    "video_body",
]

VIDEO_SLOT: Final = 0
AUDIO_SLOT: Final = 1

# Access unit delimiters: any kind of slice may follow (H.264 7.3.2.4, H.265 7.3.2.5).
_AVC_DELIMITER: Final = START_CODE + b"\x09\xf0"
_HEVC_DELIMITER: Final = START_CODE + b"\x46\x01\x50"
_AVC_SPS: Final = 7
_AVC_DELIMITER_TYPE: Final = 9
_HEVC_SPS: Final = 33
_HEVC_DELIMITER_TYPE: Final = 35

_ENHANCED: Final = 0x80
_SEQUENCE_START, _CODED, _CODED_X = 0, 1, 3
_COMMAND_FRAME: Final = 5


class Unsupported(Exception):
    """Media that MPEG-TS in HLS cannot carry; the text says which and what to send instead."""


def video_body(payload: bytes, kind: Kind) -> tuple[int, int] | None:
    """Where the codec's own bytes begin, and the composition time in ms; None where there are none.

    Raises:
        Unsupported: wrapped in ModEx or Multitrack, or a codec that MPEG-TS does not carry.
    """
    first = payload[0]
    if kind.codec not in ("avc1", "hvc1"):
        raise Unsupported(f"video in {kind.codec or 'an unknown codec'} cannot be packaged: send H.264")
    if not first & _ENHANCED:
        if first >> 4 == _COMMAND_FRAME or len(payload) <= 5:
            return None
        return 5, int.from_bytes(payload[2:5], "big", signed=True)
    packet_type = first & 0x0F
    if first >> 4 & 7 == _COMMAND_FRAME:
        return None
    if packet_type == _CODED:
        return (8, int.from_bytes(payload[5:8], "big", signed=True)) if len(payload) > 8 else None
    if packet_type in (_SEQUENCE_START, _CODED_X):
        return (5, 0) if len(payload) > 5 else None
    raise Unsupported("video in Enhanced RTMP's wraps cannot be packaged: send it as one plain track")


def audio_body(payload: bytes, kind: Kind) -> int:
    """Where the codec's own bytes begin.

    Raises:
        Unsupported: wrapped in ModEx or Multitrack, or a codec that HLS in MPEG-TS does not carry.
    """
    if payload[0] >> 4 == 9:
        if kind.codec == "mp4a" and payload[0] & 0x0F in (_SEQUENCE_START, _CODED):
            return 5
        raise Unsupported(f"audio in {kind.codec or 'wraps'} by Enhanced RTMP cannot be packaged: send AAC")
    if kind.codec == "mp4a":
        return 2
    if kind.codec == "mp3":
        return 1
    raise Unsupported(f"audio in {kind.codec or 'an unknown codec'} cannot be packaged: send AAC")


class VideoTrack:
    """H.264 or H.265 with one configuration."""

    slot = VIDEO_SLOT

    def __init__(self, header: bytes, fourcc: str) -> None:
        """`header` is the configuration record.  Raises RemoteProtocolError where it makes no sense."""
        self.header = header
        self._config: AVCConfig | HEVCConfig
        if fourcc == "avc1":
            self._config = parse_avc_config(header)
            self.stream, self._delimiter = "h264", _AVC_DELIMITER
        else:
            self._config = parse_hevc_config(header)
            self.stream, self._delimiter = "hevc", _HEVC_DELIMITER
        #: As CODECS in a playlist says it.
        self.codec = self._config.codec
        self._sets = self._config.parameter_sets
        self._length_size = self._config.length_size

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height as the parameter set tells them; None where it does not."""
        if isinstance(self._config, HEVCConfig):
            return None
        try:
            return picture_size(self._config.sps[0])
        except RemoteProtocolError:
            return None

    def sample(self, payload: bytes, at: int, key: bool) -> bytes:
        """One frame in Annex B.  Raises RemoteProtocolError where its NAL units do not fit."""
        units = split_units(payload, at, self._length_size)
        if not units:
            raise RemoteProtocolError("a picture without NAL units")
        kinds = self._kinds(units)
        parts = [] if kinds[0] == self._delimiter_type else [self._delimiter]
        if key and self._sps_type not in kinds:
            # After a delimiter of the encoder's own, before everything else.
            if not parts:
                parts = [START_CODE, units.pop(0)]
            parts.append(self._sets)
        for unit in units:
            parts += (START_CODE, unit)
        return b"".join(parts)

    def _kinds(self, units: list[bytes]) -> list[int]:
        if self.stream == "h264":
            return [unit[0] & 0x1F for unit in units]
        return [unit[0] >> 1 & 0x3F for unit in units]

    @property
    def _delimiter_type(self) -> int:
        return _AVC_DELIMITER_TYPE if self.stream == "h264" else _HEVC_DELIMITER_TYPE

    @property
    def _sps_type(self) -> int:
        return _AVC_SPS if self.stream == "h264" else _HEVC_SPS


class AudioTrack:
    """AAC with one configuration, or MP3 of one sampling rate."""

    slot = AUDIO_SLOT

    def __init__(self, header: bytes, codec: str) -> None:
        """`header` is an AudioSpecificConfig, or for MP3 what `mp3_header` gives.

        Raises:
            RemoteProtocolError: where ADTS cannot say it.
        """
        self.header = header
        if codec == "mp3":
            self.stream, self.codec, self.rate = "mp3", "mp4a.40.34", _mp3_rate(header)
            #: Ticks of one frame; 0 where they need not be known.
            self.frame = 0.0
        else:
            config = parse_audio_config(header)
            self._template = adts_template(config)
            self.stream, self.codec, self.rate = "aac", aac_codec(config), config.sample_rate
            self.frame = SAMPLES * 90000 / config.sample_rate

    def sample(self, payload: bytes, at: int) -> bytes:
        """One frame as MPEG-TS carries it.  Raises RemoteProtocolError where it is empty or too long for ADTS."""
        size = len(payload) - at
        if not 0 < size <= MAX_FRAME:
            raise RemoteProtocolError(f"an audio frame of {size} bytes")
        return payload[at:] if self.stream == "mp3" else adts_header(self._template, size) + payload[at:]


def mp3_header(payload: bytes, at: int) -> bytes:
    """What stays the same in every MP3 frame of a stream: version and sampling rate (ISO/IEC 11172-3 2.4.1.3).

    Raises:
        RemoteProtocolError: there is no frame of layer III here.
    """
    if len(payload) < at + 4 or payload[at] != 0xFF or payload[at + 1] & 0xE6 != 0xE2:
        raise RemoteProtocolError("an audio frame that is announced as MP3 and is none")
    return bytes((payload[at + 1] & 0x18, payload[at + 2] & 0x0C))


def _mp3_rate(header: bytes) -> int:
    version, index = header[0] >> 3, header[1] >> 2
    if version == 1 or index == 3:
        raise RemoteProtocolError("an MP3 frame with a reserved sampling rate")
    # MPEG-1, MPEG-2 and the unofficial 2.5 have a half and a quarter of the rates.
    return (44100, 48000, 32000)[index] >> {3: 0, 2: 1, 0: 2}[version]
