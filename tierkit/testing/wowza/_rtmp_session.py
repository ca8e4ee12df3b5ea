"""The server's end of an RTMP connection, where a Wowza's differs from the project's own: the order after connect.

Everything else is `codecs.rtmp_session.ServerSession`'s: this one only speaks in another order, in smaller chunks, and
says more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tierkit.codecs import amf0
from tierkit.codecs import rtmp_message as m
from tierkit.codecs.rtmp_chunk import encode_message
from tierkit.codecs.rtmp_session import ServerSession

from ._shown_rtmp import BUFFER_EVENTS, CONNECT_ORDER, RESULT, STRICT_ARRAY, TRACK_INFO, UNPUBLISH_NOTIFY

__all__ = ["BUFFER_EMPTY", "BUFFER_READY", "CHUNK_SIZE", "WINDOW", "WowzaSession", "with_track_info"]

CHUNK_SIZE: Final = 512
WINDOW: Final = 2_500_000
#: User control events that no specification lists.
BUFFER_EMPTY: Final = 31
BUFFER_READY: Final = 32


class WowzaSession(ServerSession):
    """One client's connection, as the recordings have it."""

    __slots__ = ()

    def __init__(self, nonce: bytes, now: float) -> None:
        super().__init__(nonce, now, chunk_size=CHUNK_SIZE)

    @CONNECT_ORDER.shown
    @RESULT.shown
    def welcome(self, now: float, *, more: Mapping[str, Any] | None = None, check_bandwidth: bool = False) -> None:
        """Accept the connection, in the recorded order; `more` goes into the information object."""
        asked = self._asked_to_connect()
        self._accepted, self._connect = True, None
        self._control(m.WINDOW_ACK_SIZE, WINDOW)
        self._control(m.SET_PEER_BANDWIDTH, WINDOW)
        self.ping(now)
        self._raw(self._writer.set_chunk_size(CHUNK_SIZE))
        properties = {"fmsVer": "FMS/3,5,7,7009", "capabilities": 31.0, "mode": 1.0}
        info = m.status("status", "NetConnection.Connect.Success", "Connection succeeded.", **(more or {}))
        info["objectEncoding"] = 3.0 if amf0.as_int(asked.object.get("objectEncoding")) == 3 else 0.0
        self._call(0, "_result", self._transaction, properties, info)
        if check_bandwidth:
            self._call(0, "onBWDone", 0.0, None)

    @BUFFER_EVENTS.shown
    def tell_buffer(self, stream_id: int) -> None:
        """The two events that are in no specification."""
        self._user_control(BUFFER_EMPTY, stream_id)
        self._user_control(BUFFER_READY, stream_id)

    @UNPUBLISH_NOTIFY.shown
    def tell_unpublished(self, stream_id: int, name: str) -> None:
        """The encoder is lost; `resume_play` says that it is back."""
        code = "NetStream.Play.UnpublishNotify"
        self._status(stream_id, "status", code, f"{name} is now unpublished.")

    def turn_away(self, stream_id: int, code: str, description: str) -> None:
        """Refuse what was asked for, and end the connection."""
        self._status(stream_id, "error", code, description)
        self.closing = True

    def encode(self, type_id: int, stream_id: int, timestamp: int, payload: bytes) -> bytes:
        """A message of media, in this connection's chunks."""
        csid = m.MEDIA_CSID.get(type_id, m.CSID_DATA)
        return encode_message(csid, type_id, stream_id, timestamp, payload, CHUNK_SIZE)


@STRICT_ARRAY.shown
@TRACK_INFO.shown
def with_track_info(payload: bytes) -> bytes:
    """An `onMetaData` with a strict array in it, as transcoded streams have one."""
    name, content, *rest = amf0.decode_all(payload)
    tracks = [
        {"type": kind, "language": "eng", "timescale": 1000.0}
        for kind, codec in (("video", "videocodecid"), ("audio", "audiocodecid"))
        if codec in content
    ]
    return amf0.encode(name, amf0.ECMAArray({**content, "trackinfo": tracks}), *rest)
