"""Messages as encoders send them, small: headers, keyframes, frames, sound; and a reader of what a player got."""

from __future__ import annotations

from typing import NamedTuple

from tierkit.codecs import amf0
from tierkit.codecs.flv import classify
from tierkit.codecs.rtmp_chunk import ChunkReader, Message
from tierkit.codecs.rtmp_message import AUDIO, DATA, VIDEO


class Sent(NamedTuple):
    type_id: int
    timestamp: int
    payload: bytes


def metadata(timestamp: int = 0, *, video: bool = True, title: str = "t") -> Sent:
    said = {"title": title, "audiocodecid": 10.0} | ({"videocodecid": 7.0} if video else {})
    return Sent(DATA, timestamp, amf0.encode("onMetaData", amf0.ECMAArray(said)))


def video_header(timestamp: int = 0, *, mark: int = 0) -> Sent:
    return Sent(VIDEO, timestamp, b"\x17\x00\x00\x00\x00config" + bytes([mark]))


def audio_header(timestamp: int = 0, *, mark: int = 0) -> Sent:
    return Sent(AUDIO, timestamp, b"\xaf\x00\x12\x10" + bytes([mark]))


def key(timestamp: int, size: int = 40) -> Sent:
    return Sent(VIDEO, timestamp, (b"\x17\x01\x00\x00\x00K" + timestamp.to_bytes(8, "big")).ljust(size, b"k"))


def frame(timestamp: int, size: int = 30) -> Sent:
    return Sent(VIDEO, timestamp, (b"\x27\x01\x00\x00\x00P" + timestamp.to_bytes(8, "big")).ljust(size, b"p"))


def sound(timestamp: int, size: int = 20) -> Sent:
    return Sent(AUDIO, timestamp, (b"\xaf\x01S" + timestamp.to_bytes(8, "big")).ljust(size, b"s"))


def headers(timestamp: int = 0, *, mark: int = 0) -> list[Sent]:
    return [metadata(timestamp), video_header(timestamp, mark=mark), audio_header(timestamp, mark=mark)]


def gop(start: int, frames: int = 4, step: int = 40, *, size: int = 30) -> list[Sent]:
    """A keyframe and what follows it, a sound behind each picture."""
    out: list[Sent] = []
    for index in range(frames):
        at = start + index * step
        out += [frame(at, size) if index else key(at, size), sound(at + step // 2, size)]
    return out


def letter(type_id: int, payload: bytes) -> str:
    """One letter for a message: M metadata, V and A headers, K keyframe, P frame, S sound, ? anything else."""
    kind = classify(type_id, payload)
    if kind.is_metadata:
        return "M"
    if kind.is_sequence_header:
        return "V" if type_id == VIDEO else "A"
    if type_id == VIDEO:
        return "K" if kind.is_keyframe else "P"
    return "S" if type_id == AUDIO else "?"


def read(data: bytes) -> list[Message]:
    """Every message of encoded media; nothing may be left over."""
    reader = ChunkReader()
    reader.chunk_size = 60_000
    found = reader.receive(data)
    assert reader.error is None
    assert reader.buffered == 0
    return found


def letters(messages: list[Message]) -> str:
    return "".join(letter(each.type_id, each.payload) for each in messages)
