"""How a stream's messages look on the wire: RTMP chunks, FLV tags, FLV tags in WebSocket frames.

An encoding gives each message bytes that depend on nothing that was sent before, and on no player, so that one
encoding serves all of them and a player may be let in at any message boundary.  Timestamps are the stream's own in
each: a player that joins begins with whatever time it is there (mpegts.js, flv.js, ffmpeg, mpv and GStreamer go by the
first tag), because a timestamp of a player's own would be bytes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import frozen

from .codecs.flv import create_flv_tag
from .codecs.rtmp_chunk import CHUNK_SIZE, ChunkReader, Message, encode_message
from .codecs.rtmp_message import DATA, MEDIA_CSID
from .codecs.websocket import binary_frame

__all__ = ["FLV_TAGS", "METADATA_TIME", "RTMP_CHUNKS", "WEBSOCKET_FLV", "Encoding", "decode_chunks"]

#: Metadata is about the whole stream, and is stamped so: ffmpeg takes what is stamped later for subtitles.
METADATA_TIME = 0


@frozen
class Encoding:
    """One way to write messages.

    Attributes:
        name: for statistics.
        message: the bytes of a message, of its type (8, 9, 18), timestamp in ms and payload.
    """

    name: str
    message: Callable[[int, int, bytes], bytes]

    def prelude(self, pinned: Iterable[tuple[int, bytes]], timestamp: int) -> bytes:
        """What a newcomer needs before the picture at `timestamp`: metadata and sequence headers."""
        return b"".join(
            self.message(type_id, METADATA_TIME if type_id == DATA else timestamp, payload)
            for type_id, payload in pinned
        )


def _chunks(type_id: int, timestamp: int, payload: bytes) -> bytes:
    # fmt 0, fixed chunk streams, message stream 1, chunks so large that nearly every message is one.
    return encode_message(MEDIA_CSID[type_id], type_id, 1, timestamp, payload, CHUNK_SIZE)


def _framed_tag(type_id: int, timestamp: int, payload: bytes) -> bytes:
    # A frame for each tag: a player that skips does so between frames.
    return binary_frame(create_flv_tag(type_id, timestamp, payload))


RTMP_CHUNKS = Encoding("rtmp", _chunks)
FLV_TAGS = Encoding("flv", create_flv_tag)
WEBSOCKET_FLV = Encoding("websocket-flv", _framed_tag)


def decode_chunks(data: bytes) -> list[Message]:
    """The messages again that `RTMP_CHUNKS` has written, whole ones."""
    reader = ChunkReader(max_message=len(data), max_buffered=len(data))
    reader.chunk_size = CHUNK_SIZE
    return reader.receive(data)
