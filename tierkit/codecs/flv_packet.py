"""What an audio, video or data payload is, told from its first bytes, without understanding its codec.

RTMP messages and FLV tags have the same payloads (FLV specification 10.1, annex E; Enhanced RTMP v2).
A relay has to know four things of a payload: whether a player can begin there, whether it is a header that every
late joiner needs, whether it is metadata, and which track it belongs to.  `classify` tells them.

* Any bytes are classified; what is not understood is an ordinary payload (`PLAIN`).
* Enhanced RTMP wraps (ModEx, Multitrack) are looked through.
* Codec 12 for HEVC and 13 for AV1, in use in China before the standard, are handled like codec 7.
"""

from __future__ import annotations

from functools import _lru_cache_wrapper, lru_cache
from typing import Final

from attrs import frozen

from .rtmp_message import AUDIO, DATA, VIDEO

__all__ = ["Kind", "PLAIN", "classify"]


@frozen
class Kind:
    """What a payload is.

    `codec` is a FourCC (`avc1`, `mp4a`, `hvc1`, `av01`, `Opus`, ...), the old codec's name, or empty;
    `track` is 0 but in multitrack streams.
    """

    is_keyframe: bool = False
    """Coded pictures that a decoder can begin with.  Never set for headers, though their tags say "key"."""
    is_sequence_header: bool = False
    """Decoder configuration: needed before any frame of its track."""
    is_metadata: bool = False
    """`onMetaData`, video metadata (HDR) or a channel layout: needed by late joiners, newest counts."""
    is_end_of_sequence: bool = False
    is_disposable: bool = False
    """An inter frame that no other frame refers to: may be dropped singly."""
    codec: str = ""
    track: int = 0
    role: str = ""
    """What a late joiner's copy replaces: "header", "metadata", "channels", or empty where nothing is kept."""

    @property
    def is_pinned(self) -> bool:
        """True for what late joiners must be given; keep the newest for each (type, role, track)."""
        return bool(self.role)


PLAIN: Final = Kind()
"""Nothing special: an audio frame, an unknown payload."""

_ON_META_DATA: Final = b"\x02\x00\x0aonMetaData"
_SET_DATA_FRAME: Final = b"\x02\x00\x0d@setDataFrame"

_VIDEO_CODECS: Final = {2: "h263", 3: "screen", 4: "vp6f", 5: "vp6a", 6: "screen2", 7: "avc1", 12: "hvc1", 13: "av01"}
_AUDIO_CODECS: Final = {
    0: "pcm", 1: "adpcm", 2: "mp3", 3: "pcm", 4: "nellymoser", 5: "nellymoser", 6: "nellymoser",
    7: "alaw", 8: "mulaw", 10: "mp4a", 11: "speex", 13: "Opus", 14: "mp3", 15: "device",
}  # fmt: skip
_HEADED_VIDEO: Final = frozenset((7, 12, 13))
_HEADED_AUDIO: Final = frozenset((10, 13))

_SEQUENCE_START, _CODED, _SEQUENCE_END, _CODED_X, _METADATA, _TS_SEQUENCE_START, _MULTITRACK_VIDEO, _MODEX = range(8)
_CHANNELS, _MULTITRACK_AUDIO = 4, 5
_ENHANCED_AUDIO: Final = 9
_MAX_WRAPS: Final = 8
_COMMAND_FRAME: Final = 5  # "seek begins" and "seek ends": the byte behind is no packet type


def classify(type_id: int, payload: bytes) -> Kind:
    """What the payload of an RTMP message or FLV tag of this type is (8 audio, 9 video, 18 data).

    Data payloads are recognised with and without `@setDataFrame`.
    """
    if not payload:
        return PLAIN
    first = payload[0]
    if type_id == VIDEO:
        if first & 0x80:
            return _enhanced(_enhanced_video, payload, _MULTITRACK_VIDEO)
        return _video(first, payload[1] if len(payload) > 1 else -1)
    if type_id == AUDIO:
        if first >> 4 == _ENHANCED_AUDIO:
            return _enhanced(_enhanced_audio, payload, _MULTITRACK_AUDIO)
        return _audio(first, payload[1] if len(payload) > 1 else -1)
    if type_id == DATA and (
        payload.startswith(_ON_META_DATA) or payload.startswith(_ON_META_DATA, len(_SET_DATA_FRAME))
    ):
        return _METADATA_KIND
    return PLAIN


_METADATA_KIND: Final = Kind(is_metadata=True, role="metadata")


def _enhanced(read: _lru_cache_wrapper[Kind], payload: bytes, multitrack: int) -> Kind:
    """Reads as many bytes as decide and no more, so that the cache hits."""
    packet_type = payload[0] & 0x0F
    if packet_type == _MODEX:
        # Of any length and different in every frame: no use in remembering it.
        kind: Kind = read.__wrapped__(payload)
        return kind
    # Packet type, FourCC; in multitrack its type and a track number, too.
    return read(payload[:7] if packet_type == multitrack else payload[:5])


@lru_cache(maxsize=1024)
def _video(first: int, packet_type: int) -> Kind:
    frame_type, codec_id = first >> 4, first & 0x0F
    if frame_type == _COMMAND_FRAME:
        return PLAIN
    codec = _VIDEO_CODECS.get(codec_id, "")
    if codec_id in _HEADED_VIDEO:
        if packet_type == 0:
            return Kind(is_sequence_header=True, codec=codec, role="header")
        if packet_type == 2:
            return Kind(is_end_of_sequence=True, codec=codec)
    return Kind(is_keyframe=frame_type in (1, 4), is_disposable=frame_type == 3, codec=codec)


@lru_cache(maxsize=512)
def _audio(first: int, packet_type: int) -> Kind:
    codec = _AUDIO_CODECS.get(first >> 4, "")
    if first >> 4 in _HEADED_AUDIO and packet_type == 0:
        return Kind(is_sequence_header=True, codec=codec, role="header")
    return Kind(codec=codec)


@lru_cache(maxsize=1024)
def _enhanced_video(head: bytes) -> Kind:
    frame_type = head[0] >> 4 & 7
    packet_type, codec, track = _unwrap(head, _MULTITRACK_VIDEO)
    if frame_type == _COMMAND_FRAME and packet_type != _METADATA:
        return PLAIN
    if packet_type in (_SEQUENCE_START, _TS_SEQUENCE_START):
        return Kind(is_sequence_header=True, codec=codec, track=track, role="header")
    if packet_type == _METADATA:
        return Kind(is_metadata=True, codec=codec, track=track, role="metadata")
    if packet_type == _SEQUENCE_END:
        return Kind(is_end_of_sequence=True, codec=codec, track=track)
    if packet_type in (_CODED, _CODED_X):
        return Kind(is_keyframe=frame_type in (1, 4), is_disposable=frame_type == 3, codec=codec, track=track)
    return PLAIN


@lru_cache(maxsize=1024)
def _enhanced_audio(head: bytes) -> Kind:
    packet_type, codec, track = _unwrap(head, _MULTITRACK_AUDIO)
    if packet_type == _SEQUENCE_START:
        return Kind(is_sequence_header=True, codec=codec, track=track, role="header")
    if packet_type == _CHANNELS:
        return Kind(is_metadata=True, codec=codec, track=track, role="channels")
    if packet_type == _SEQUENCE_END:
        return Kind(is_end_of_sequence=True, codec=codec, track=track)
    return Kind(codec=codec, track=track)


def _unwrap(head: bytes, multitrack: int) -> tuple[int, str, int]:
    """Packet type, FourCC and (first) track behind ModEx and Multitrack wraps; -1 for what is cut or odd."""
    packet_type, at = head[0] & 0x0F, 1
    for _ in range(_MAX_WRAPS):
        if packet_type != _MODEX:
            break
        size = head[at] + 1 if at < len(head) else 0
        at += 1
        if size == 256:
            size = int.from_bytes(head[at : at + 2], "big") + 1
            at += 2
        at += size
        if at >= len(head):
            return -1, "", 0
        packet_type = head[at] & 0x0F
        at += 1
    if packet_type != multitrack:
        return packet_type, _fourcc(head, at), 0
    if at >= len(head):
        return -1, "", 0
    packet_type = head[at] & 0x0F
    codec, at = _fourcc(head, at + 1), at + 5
    return packet_type, codec, head[at] if at < len(head) else 0


def _fourcc(head: bytes, at: int) -> str:
    return head[at : at + 4].decode("ascii", "replace") if len(head) >= at + 4 else ""
