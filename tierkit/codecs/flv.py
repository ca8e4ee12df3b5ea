"""FLV: tags, and streams of them (FLV specification 10.1, annex E), with the vocabulary of flvlib3.

`FLVReader` takes a live stream in pieces of any size; the `create_*` functions write one.  The payload of a tag is
the payload of the RTMP message with the same type: `parse_tag` gives it a face, `classify` tells what a relay needs.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from tierkit.errors import LocalProtocolError, RemoteProtocolError

from . import amf0
from .flv_packet import PLAIN, Kind, classify
from .rtmp_message import AUDIO, DATA, VIDEO

__all__ = [
    "AudioConfig",
    "AudioTag",
    "FLVReader",
    "Kind",
    "MAX_TAG",
    "PLAIN",
    "ScriptTag",
    "Tag",
    "VideoTag",
    "classify",
    "create_audio_tag",
    "create_flv_header",
    "create_flv_tag",
    "create_script_tag",
    "create_video_tag",
    "parse_audio_config",
    "parse_tag",
]

MAX_TAG: Final = 8 << 20
"""Longest tag that `FLVReader` takes, as for RTMP messages."""

_HEADER: Final = 11
_AAC: Final = 10
_AVC_LIKE: Final = frozenset((7, 12, 13))
# ISO 14496-3, table 1.18.
_SAMPLE_RATES: Final = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
# ISO 14496-3, table 1.19: channels for each channel configuration.
_CHANNELS: Final = (0, 1, 2, 3, 4, 5, 6, 8)


@frozen
class Tag:
    """One FLV tag: `type_id` (8, 9, 18, or anything unknown), `timestamp` in ms, `payload` without the tag header."""

    type_id: int
    timestamp: int
    payload: bytes

    @property
    def kind(self) -> Kind:
        """What `classify` says."""
        return classify(self.type_id, self.payload)


@frozen
class AudioTag(Tag):
    """An audio tag.  Properties of a byte that is not there are 0, or None where the codec has no such field."""

    @property
    def sound_format(self) -> int:
        """0 to 15: 2 MP3, 10 AAC, 9 an Enhanced RTMP payload."""
        return _byte(self.payload, 0) >> 4

    @property
    def sound_rate(self) -> int:
        """0 to 3: 5.5, 11, 22, 44 kHz.  AAC always says 3; its true rate is in its configuration."""
        return _byte(self.payload, 0) >> 2 & 3

    @property
    def sound_size(self) -> int:
        """0 for 8 bits a sample, 1 for 16."""
        return _byte(self.payload, 0) >> 1 & 1

    @property
    def sound_type(self) -> int:
        """0 mono, 1 stereo."""
        return _byte(self.payload, 0) & 1

    @property
    def aac_packet_type(self) -> int | None:
        """0 configuration, 1 a frame; None where this is not AAC."""
        return _byte(self.payload, 1) if self.sound_format == _AAC else None

    @property
    def body(self) -> bytes:
        """The codec's own bytes, behind the audio tag header."""
        return self.payload[2 if self.sound_format == _AAC else 1 :]


@frozen
class VideoTag(Tag):
    """A video tag.  Properties of a byte that is not there are 0, or None where the codec has no such field."""

    @property
    def is_enhanced(self) -> bool:
        """An Enhanced RTMP payload: ask `kind` then, the properties below are those of the old header."""
        return bool(_byte(self.payload, 0) & 0x80)

    @property
    def frame_type(self) -> int:
        """1 key, 2 inter, 3 disposable inter, 4 generated key, 5 command."""
        return _byte(self.payload, 0) >> 4 & 7

    @property
    def codec_id(self) -> int:
        """7 AVC, 12 HEVC (before the standard), 2 H.263, 4 VP6."""
        return _byte(self.payload, 0) & 0x0F

    @property
    def avc_packet_type(self) -> int | None:
        """0 configuration, 1 NAL units, 2 end of sequence; None for codecs without."""
        return _byte(self.payload, 1) if self._has_avc_header else None

    @property
    def composition_time(self) -> int:
        """Presentation minus decoding time in ms, signed; 0 for codecs without."""
        if not self._has_avc_header or len(self.payload) < 5:
            return 0
        return int.from_bytes(self.payload[2:5], "big", signed=True)

    @property
    def body(self) -> bytes:
        """The codec's own bytes (for AVC: length-prefixed NAL units, or the configuration record)."""
        return self.payload[5 if self._has_avc_header else 1 :]

    @property
    def _has_avc_header(self) -> bool:
        return self.codec_id in _AVC_LIKE and not self.is_enhanced


@frozen
class ScriptTag(Tag):
    """A data tag: a name such as `onMetaData`, and values."""

    @property
    def values(self) -> list[Any]:
        """The name and what follows it.  Raises RemoteProtocolError where the payload is not AMF0."""
        return amf0.decode_all(self.payload)

    @property
    def name(self) -> str:
        """The name, empty where there is none."""
        try:
            return amf0.as_text(amf0.decode(self.payload)[0])
        except RemoteProtocolError:
            return ""


_TAGS: Final[dict[int, type[Tag]]] = {AUDIO: AudioTag, VIDEO: VideoTag, DATA: ScriptTag}


def _byte(payload: bytes, at: int) -> int:
    return payload[at] if at < len(payload) else 0


def parse_tag(type_id: int, timestamp: int, payload: bytes) -> Tag:
    """The payload of a tag or RTMP message as an AudioTag, VideoTag, ScriptTag, or a plain Tag."""
    return _TAGS.get(type_id, Tag)(type_id, timestamp, payload)


@frozen
class AudioConfig:
    """An AAC AudioSpecificConfig: `object_type` (2 is AAC-LC), `sample_rate` in Hz, `channels` (0: told elsewhere)."""

    object_type: int
    sample_rate: int
    channels: int


def parse_audio_config(body: bytes) -> AudioConfig:
    """The basics of an AudioSpecificConfig (ISO 14496-3, 1.6.2.1): the body of an AAC header tag.

    Raises:
        RemoteProtocolError: cut short, or a reserved value.
    """
    bits = int.from_bytes(body[:8].ljust(8, b"\0"), "big")
    used = 0

    def take(count: int) -> int:
        nonlocal used
        used += count
        return bits >> (64 - used) & ((1 << count) - 1)

    object_type = take(5)
    if object_type == 31:
        object_type = 32 + take(6)
    index = take(4)
    rate = take(24) if index == 15 else None
    channels = take(4)
    if used > len(body) * 8:
        raise RemoteProtocolError("an AAC configuration is cut short")
    if (rate is None and index >= len(_SAMPLE_RATES)) or channels >= len(_CHANNELS):
        raise RemoteProtocolError("an AAC configuration has a reserved value")
    return AudioConfig(object_type, _SAMPLE_RATES[index] if rate is None else rate, _CHANNELS[channels])


# Writing


def create_flv_header(*, audio: bool = True, video: bool = True) -> bytes:
    """The header of a stream, with the first (zero) back pointer."""
    return b"FLV\x01" + bytes((audio << 2 | video,)) + b"\x00\x00\x00\x09" + bytes(4)


def create_flv_tag(type_id: int, timestamp: int, payload: bytes) -> bytes:
    """One tag with its back pointer.  `timestamp` is in ms and taken modulo 2**32.

    Raises:
        LocalProtocolError: a payload that the format cannot carry.
    """
    size = len(payload)
    if size > 0xFFFFFF:
        raise LocalProtocolError(f"an FLV tag has at most 16,777,215 bytes, not {size}")
    clock = timestamp & 0xFFFFFFFF
    return b"".join(
        (
            bytes((type_id,)),
            size.to_bytes(3, "big"),
            (clock & 0xFFFFFF).to_bytes(3, "big"),
            bytes((clock >> 24, 0, 0, 0)),
            payload,
            (_HEADER + size).to_bytes(4, "big"),
        )
    )


def create_audio_tag(
    timestamp: int,
    body: bytes,
    *,
    sound_format: int = _AAC,
    sound_rate: int = 3,
    sound_size: int = 1,
    sound_type: int = 1,
    aac_packet_type: int = 1,
) -> AudioTag:
    """An audio tag around a codec's own bytes; the defaults are those of AAC frames."""
    head = bytes((sound_format << 4 | sound_rate << 2 | sound_size << 1 | sound_type,))
    if sound_format == _AAC:
        head += bytes((aac_packet_type,))
    return AudioTag(AUDIO, timestamp, head + body)


def create_video_tag(
    timestamp: int,
    body: bytes,
    *,
    frame_type: int,
    codec_id: int = 7,
    avc_packet_type: int = 1,
    composition_time: int = 0,
) -> VideoTag:
    """A video tag around a codec's own bytes; `composition_time` in ms is -8,388,608 to 8,388,607."""
    head = bytes((frame_type << 4 | codec_id,))
    if codec_id in _AVC_LIKE:
        head += bytes((avc_packet_type,)) + composition_time.to_bytes(3, "big", signed=True)
    return VideoTag(VIDEO, timestamp, head + body)


def create_script_tag(timestamp: int, name: str, *values: Any) -> ScriptTag:
    """A data tag: `create_script_tag(0, "onMetaData", ECMAArray(...))`."""
    return ScriptTag(DATA, timestamp, amf0.encode(name, *values))


class FLVReader:
    """An FLV stream in, tags out.

    Kept in between: at most one tag, `max_tag` bytes.  Back pointers are not checked: live recordings and
    cut files have wrong ones, and every player ignores them.
    """

    def __init__(self, *, max_tag: int = MAX_TAG) -> None:
        self.max_tag = max_tag
        self.has_audio = False
        self.has_video = False
        self._buffer = bytearray()
        self._skip = -1  # bytes to skip before the next tag; -1: the file header has not come
        self._error: RemoteProtocolError | None = None

    def receive(self, data: bytes) -> list[Tag]:
        """Every tag that `data` completes, in order.

        Raises:
            RemoteProtocolError: this is not FLV, or a tag is too long; every later call raises the same.  Tags that
                were whole before are handed out first: then the next call raises.
        """
        if self._error is not None:
            raise self._error
        self._buffer += data
        tags: list[Tag] = []
        try:
            self._parse(tags)
        except RemoteProtocolError as exc:
            self._error = exc
            self._buffer.clear()
            if not tags:
                raise
        return tags

    def _parse(self, tags: list[Tag]) -> None:
        buffer, at = self._buffer, 0
        if self._skip < 0:
            self._header()
        while self._skip >= 0:
            start = at + self._skip
            if start + _HEADER > len(buffer):
                break
            size = int.from_bytes(buffer[start + 1 : start + 4], "big")
            if size > self.max_tag:
                raise RemoteProtocolError(f"an FLV tag of {size} bytes; at most {self.max_tag} are taken")
            stop = start + _HEADER + size
            if stop > len(buffer):
                break
            clock = buffer[start + 7] << 24 | int.from_bytes(buffer[start + 4 : start + 7], "big")
            # Bit 5 says "encrypted"; such a payload is passed on as it is.
            tags.append(parse_tag(buffer[start] & 0x1F, clock, bytes(buffer[start + _HEADER : stop])))
            at, self._skip = stop, 4
        del buffer[:at]

    def _header(self) -> None:
        buffer = self._buffer
        if not b"FLV".startswith(buffer[:3]) and buffer[:3] != b"FLV":
            raise RemoteProtocolError("not FLV: the stream does not begin with those letters")
        if len(buffer) < 9:
            return
        offset = int.from_bytes(buffer[5:9], "big")
        if not 9 <= offset <= 1024:
            raise RemoteProtocolError(f"not FLV: the header claims to have {offset} bytes")
        self.has_audio = bool(buffer[4] & 4)
        self.has_video = bool(buffer[4] & 1)
        self._skip = offset + 4
