"""What RTMP messages say: control messages, user control events, commands, data, aggregates.

Functions named `*_payload` make the payload of a message; everything that reads takes any bytes and answers with
a value or with `RemoteProtocolError`.  Numbers are those of the RTMP specification, sections 5.4, 6 and 7.1.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from attrs import frozen

from tierkit.errors import RemoteProtocolError

from . import amf0
from .rtmp_chunk import Message

__all__ = [
    "SET_CHUNK_SIZE",
    "ABORT",
    "ACKNOWLEDGEMENT",
    "USER_CONTROL",
    "WINDOW_ACK_SIZE",
    "SET_PEER_BANDWIDTH",
    "AUDIO",
    "VIDEO",
    "DATA_AMF3",
    "SHARED_OBJECT_AMF3",
    "COMMAND_AMF3",
    "DATA",
    "SHARED_OBJECT",
    "COMMAND",
    "AGGREGATE",
    "STREAM_BEGIN",
    "STREAM_EOF",
    "STREAM_DRY",
    "SET_BUFFER_LENGTH",
    "STREAM_IS_RECORDED",
    "PING_REQUEST",
    "PING_RESPONSE",
    "CSID_CONTROL",
    "CSID_COMMAND",
    "CSID_AUDIO",
    "CSID_DATA",
    "CSID_VIDEO",
    "MEDIA_CSID",
    "FATAL_CODES",
    "Command",
    "UserControl",
    "aggregate_payload",
    "command_payload",
    "data_name",
    "media_data",
    "plain",
    "set_data_frame",
    "split_aggregate",
    "status",
    "u32_payload",
    "unpack_u32",
]

SET_CHUNK_SIZE: Final = 1
ABORT: Final = 2
ACKNOWLEDGEMENT: Final = 3
USER_CONTROL: Final = 4
WINDOW_ACK_SIZE: Final = 5
SET_PEER_BANDWIDTH: Final = 6
AUDIO: Final = 8
VIDEO: Final = 9
DATA_AMF3: Final = 15
SHARED_OBJECT_AMF3: Final = 16
COMMAND_AMF3: Final = 17
DATA: Final = 18
SHARED_OBJECT: Final = 19
COMMAND: Final = 20
AGGREGATE: Final = 22

STREAM_BEGIN: Final = 0
STREAM_EOF: Final = 1
STREAM_DRY: Final = 2
SET_BUFFER_LENGTH: Final = 3
STREAM_IS_RECORDED: Final = 4
PING_REQUEST: Final = 6
PING_RESPONSE: Final = 7

# Chunk streams: 2 and 3 by the specification and by everybody's habit; a fixed one for each kind of media.
CSID_CONTROL: Final = 2
CSID_COMMAND: Final = 3
CSID_AUDIO: Final = 4
CSID_DATA: Final = 5
CSID_VIDEO: Final = 6
MEDIA_CSID: Final = {AUDIO: CSID_AUDIO, VIDEO: CSID_VIDEO, DATA: CSID_DATA}
"""The chunk stream that each kind of media travels on, in the shared encoded form and elsewhere."""

FATAL_CODES: Final = frozenset(
    {
        "NetConnection.Connect.Failed",
        "NetConnection.Connect.Rejected",
        "NetConnection.Connect.InvalidApp",
        "NetConnection.Connect.AppShutdown",
        "NetConnection.Connect.Closed",
        "NetStream.Failed",
        "NetStream.Play.Failed",
        "NetStream.Play.StreamNotFound",
        "NetStream.Play.BadAuth",
        "NetStream.Publish.BadName",
        "NetStream.Publish.BadAuth",
        "NetStream.Publish.Denied",
        "NetStream.Publish.Rejected",
        "NetStream.Publish.Unauthorized",
    }
)
"""Status codes after which there is nothing to wait for, whatever their level (librtmp's list, and the refusals
for authentication of ZLMediaKit and MediaMTX)."""

_SET_DATA_FRAME: Final = amf0.encode("@setDataFrame")
_AGGREGATE_HEADER: Final = 11
_SHORT_STRING: Final = 0x02
_LONG_STRING: Final = 0x0C
#: Longest command that is remembered: a connect has some 300 bytes.
_OFTEN_SAID: Final = 1024


@frozen
class Command:
    """A remote call, or the answer to one (`name` is then `_result`, `_error` or `onStatus`).

    `transaction` is 0 where no answer is wanted; `object` is the command object, usually None after `connect`.  What
    was decoded is shared with others who said the same: it is not to be changed.
    """

    name: str
    transaction: float = 0.0
    object: Any = None
    args: tuple[Any, ...] = ()

    @classmethod
    def decode(cls, message: Message) -> Command:
        """The command in a message of type 20, or 17 (one prefix byte, then AMF0).

        Raises:
            RemoteProtocolError: not a command.
        """
        payload = message.payload
        if message.type_id == COMMAND_AMF3 and payload[:1] == b"\x00":
            payload = payload[1:]
        return _command(payload) if len(payload) <= _OFTEN_SAID else _command.__wrapped__(payload)

    def arg(self, index: int, default: Any = None) -> Any:
        """The argument at `index`, or `default` where the peer left it out."""
        return self.args[index] if index < len(self.args) else default

    def payload(self) -> bytes:
        """The payload of a message of type `COMMAND`."""
        return amf0.encode(self.name, self.transaction, self.object, *self.args)


@lru_cache(maxsize=128)
def _command(payload: bytes) -> Command:
    """The command in a payload; players of one kind say the same to the byte, so thousands share what was read once."""
    values = amf0.decode_all(payload)
    if not values or not isinstance(values[0], str):
        raise RemoteProtocolError("an RTMP command has no name")
    transaction = values[1] if len(values) > 1 and isinstance(values[1], float) else 0.0
    return Command(str(values[0]), transaction, values[2] if len(values) > 2 else None, tuple(values[3:]))


def command_payload(name: str, transaction: float, command_object: Any, *args: Any) -> bytes:
    """The payload of a message of type `COMMAND`."""
    return amf0.encode(name, transaction, command_object, *args)


_LONGEST_WORDS: Final = 200
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def plain(text: str) -> str:
    """A peer's words as they may stand in a log: on one line, without control characters, 200 characters at most."""
    return _UNPRINTABLE.sub(" ", text[:_LONGEST_WORDS])


def status(level: str, code: str, description: str, **more: Any) -> dict[str, Any]:
    """The information object of `onStatus` and of answers to `connect`.

    A plain object, never an ECMA array: librtmp, OBS and ffmpeg look for nothing else.
    """
    return {"level": level, "code": code, "description": description, **more}


@frozen
class UserControl:
    """A user control event: its number and the up to two 32-bit values that follow (0 where there is none).

    Unknown numbers are values too: players send 26, 31, 32 and others, and must not lose their connection for it.
    """

    event: int
    value: int = 0
    extra: int = 0

    @classmethod
    def decode(cls, payload: bytes) -> UserControl:
        """Raises RemoteProtocolError where a known event is too short for its values."""
        if len(payload) < 2:
            raise RemoteProtocolError("an RTMP user control message is shorter than 2 bytes")
        event = int.from_bytes(payload[:2], "big")
        needed = _USER_CONTROL_SIZE.get(event, 0)
        if len(payload) < 2 + needed:
            raise RemoteProtocolError(f"RTMP user control event {event} is shorter than {2 + needed} bytes")
        return cls(event, int.from_bytes(payload[2:6], "big"), int.from_bytes(payload[6:10], "big"))

    def payload(self) -> bytes:
        """The payload of a message of type `USER_CONTROL`."""
        out = self.event.to_bytes(2, "big") + (self.value & 0xFFFFFFFF).to_bytes(4, "big")
        if self.event == SET_BUFFER_LENGTH:
            out += (self.extra & 0xFFFFFFFF).to_bytes(4, "big")
        return out


_USER_CONTROL_SIZE: Final = {
    STREAM_BEGIN: 4,
    STREAM_EOF: 4,
    STREAM_DRY: 4,
    SET_BUFFER_LENGTH: 8,
    STREAM_IS_RECORDED: 4,
    PING_REQUEST: 4,
    PING_RESPONSE: 4,
}


def u32_payload(value: int) -> bytes:
    """The payload of the control messages that hold one 32-bit number (types 1, 2, 3 and 5)."""
    return (value & 0xFFFFFFFF).to_bytes(4, "big")


def unpack_u32(message: Message) -> int:
    """The number in such a control message.

    Raises:
        RemoteProtocolError: the payload is shorter than 4 bytes.
    """
    if len(message.payload) < 4:
        raise RemoteProtocolError(f"an RTMP control message of type {message.type_id} is shorter than 4 bytes")
    return int.from_bytes(message.payload[:4], "big")


def data_name(message: Message) -> str:
    """The name that a data message (type 18 or 15) begins with, empty where there is none."""
    payload = message.payload
    if message.type_id == DATA_AMF3 and payload[:1] == b"\x00":
        payload = payload[1:]
    if payload[:1] != b"\x02":
        return ""
    return payload[3 : 3 + int.from_bytes(payload[1:3], "big")].decode("utf-8", "replace")


def media_data(message: Message) -> bytes | None:
    """The payload of a data message (type 18 or 15) as players get it: AMF0, without `@setDataFrame`.

    None for what must be ignored: `@clearDataFrame`, and payloads that do not begin with a name
    (ffmpeg's timecode track sends four bytes that are not AMF).  The bytes are not decoded: rewriting metadata
    has caused trouble before.
    """
    payload = message.payload
    if message.type_id == DATA_AMF3 and payload[:1] == b"\x00":
        payload = payload[1:]
    if payload.startswith(_SET_DATA_FRAME):
        payload = payload[len(_SET_DATA_FRAME) :]
    if not payload or payload[0] not in (_SHORT_STRING, _LONG_STRING):
        return None
    if payload[3:18] == b"@clearDataFrame":
        return None
    return payload


def set_data_frame(payload: bytes) -> bytes:
    """A data payload as servers want it from a publisher: with `@setDataFrame` in front, once."""
    return payload if payload.startswith(_SET_DATA_FRAME) else _SET_DATA_FRAME + payload


def split_aggregate(message: Message) -> list[Message]:
    """The messages inside an aggregate message (type 22), with their own timestamps.

    The first one has the timestamp of the aggregate, the others keep their distance to it.

    Raises:
        RemoteProtocolError: the parts do not fill the payload, or one of them is an aggregate again.
    """
    data = message.payload
    parts: list[Message] = []
    at, first = 0, 0
    while at < len(data):
        header = data[at : at + _AGGREGATE_HEADER]
        stop = at + _AGGREGATE_HEADER + int.from_bytes(header[1:4], "big")
        if len(header) < _AGGREGATE_HEADER or stop > len(data):
            raise RemoteProtocolError("an RTMP aggregate message is cut short")
        if header[0] == AGGREGATE:
            raise RemoteProtocolError("an RTMP aggregate message inside another")
        timestamp = header[7] << 24 | int.from_bytes(header[4:7], "big")
        if not parts:
            first = timestamp
        shifted = (message.timestamp + timestamp - first) & 0xFFFFFFFF
        payload = data[at + _AGGREGATE_HEADER : stop]
        parts.append(Message(header[0], message.stream_id, shifted, payload, message.csid))
        at = stop + 4  # the back pointer; some leave the last one out
    return parts


def aggregate_payload(messages: list[Message]) -> bytes:
    """The payload of an aggregate message that holds `messages`."""
    out = bytearray()
    for message in messages:
        clock = message.timestamp & 0xFFFFFFFF
        out += bytes((message.type_id,)) + len(message.payload).to_bytes(3, "big")
        out += (clock & 0xFFFFFF).to_bytes(3, "big") + bytes((clock >> 24,)) + b"\x00\x00\x00"
        out += message.payload
        out += (_AGGREGATE_HEADER + len(message.payload)).to_bytes(4, "big")
    return bytes(out)
