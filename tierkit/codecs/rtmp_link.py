"""What both ends of an RTMP connection have in common: handshake, chunks, control messages, acknowledgements.

Theory of operation.  `receive` takes what came, but hands out events one at a time, and looks at the next message
only when the next event is asked for.  So an answer given while handling an event (`accept_connect`) stands in front
of the answers to what the peer sent behind it, and a bound that an event changes (publishers may send long messages)
holds for the next byte, however the bytes were cut.

Answers collect in memory until `data_to_send`, whole messages only and each with a full header (fmt 0), so that
other encoded messages may be written between two calls.  A peer that asks without reading is cut at `MAX_PENDING`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tierkit.errors import RemoteProtocolError

from . import rtmp_message as m
from .rtmp_chunk import MAX_BUFFERED, ChunkReader, ChunkWriter, Message
from .rtmp_events import Media, Pong
from .rtmp_handshake import ClientHandshake, ServerHandshake

__all__ = ["COMMAND_LIMIT", "Link", "MAX_PENDING", "WINDOW"]

WINDOW: Final = 2_500_000
"""The acknowledgement window that we announce, and assume of a peer that announces none (nginx-rtmp, FMS)."""

_WINDOW_FLOOR: Final = 32 << 10  # smaller windows make storms of acknowledgements; ZLMediaKit clamps so since #1839

COMMAND_LIMIT: Final = 64 << 10
"""Longest message before somebody may publish: commands need 1 KB."""

MAX_PENDING: Final = 256 << 10
"""Most bytes of answers that wait for `data_to_send`: enough for 1,000 pipelined commands."""

_MAX_PINGS: Final = 8
_MEDIA: Final = frozenset((m.AUDIO, m.VIDEO))


class Link:
    """One end of a connection; `ServerSession` and `ClientSession` say what the commands mean."""

    __slots__ = (
        "_acknowledged",
        "_error",
        "_handshake",
        "_out",
        "_pending",
        "_pings",
        "_reader",
        "_window",
        "_writer",
        "bytes_received",
        "closing",
        "ignored",
        "max_message",
        "peer_acknowledged",
        "pinged",
    )

    def __init__(self, handshake: ServerHandshake | ClientHandshake, max_message: int) -> None:
        self.max_message = max_message
        self.closing = False
        """True when the peer has been told that it is over: send `data_to_send`, then close."""
        self.bytes_received = 0
        """Bytes of chunks, without the handshake."""
        self.peer_acknowledged = 0
        """The last sequence number that the peer acknowledged (modulo 2**32)."""
        self.ignored = 0
        """Messages that were understood and had no use here."""
        self.pinged = 0
        """Pings of the peer, which were answered."""
        self._handshake: ServerHandshake | ClientHandshake | None = handshake
        self._reader = ChunkReader(max_message=COMMAND_LIMIT, max_buffered=COMMAND_LIMIT)
        self._writer = ChunkWriter()
        self._out: list[bytes] = []
        self._pending = 0
        self._window = WINDOW
        self._acknowledged = 0
        self._pings: dict[int, float] = {}
        self._error: RemoteProtocolError | None = None

    @property
    def chunk_size(self) -> int:
        """The size of outgoing chunks."""
        return self._writer.chunk_size

    @property
    def window(self) -> int:
        """After how many bytes at most the peer hears from us, as it asked for and within our bounds."""
        return self._window

    def data_to_send(self) -> bytes:
        """Everything that waits to be sent, once: whole messages."""
        data = b"".join(self._out)
        self._out.clear()
        self._pending = 0
        return data

    def ping(self, now: float) -> None:
        """Asks the peer for a sign of life; `Pong` reports it."""
        stamp = int(now * 1000) & 0xFFFFFFFF
        self._pings[stamp] = now
        while len(self._pings) > _MAX_PINGS:
            del self._pings[next(iter(self._pings))]
        self._user_control(m.PING_REQUEST, stamp)

    # In

    def _feed(self, data: bytes) -> None:
        if self._error is not None:
            raise self._error
        if self._handshake is not None:
            rest = self._shake(self._handshake, data)
            if rest is None:
                return
            data, self._handshake = rest, None
            self._established()
        self._reader.feed(data)
        self.bytes_received += len(data)
        if self.bytes_received - self._acknowledged >= self._window // 2:
            self._acknowledged = self.bytes_received
            self._control(m.ACKNOWLEDGEMENT, self.bytes_received)

    def _shake(self, handshake: ServerHandshake | ClientHandshake, data: bytes) -> bytes | None:
        """What came behind the handshake, None while it is not complete."""
        self._raw(handshake.receive(data))
        return handshake.leftover() if handshake.done else None

    def _established(self) -> None:
        """The handshake is complete."""

    def _events(self, now: float) -> Iterator[Any]:
        next_message = self._reader.next_message
        try:
            while (message := next_message()) is not None:
                if message.type_id in _MEDIA:
                    event = self._media(message)
                    if event is not None:
                        yield event
                else:
                    yield from self._dispatch(message, now)
        except RemoteProtocolError as exc:
            self._error = exc  # whatever follows cannot be trusted: every later call raises it again
            raise

    def _dispatch(self, message: Message, now: float) -> Iterator[Any]:
        kind = message.type_id
        if kind in (m.DATA, m.DATA_AMF3):
            yield from self._data(message)
        elif kind in (m.COMMAND, m.COMMAND_AMF3):
            yield from self._command(message.stream_id, m.Command.decode(message))
        elif kind == m.AGGREGATE:
            for part in m.split_aggregate(message):
                if part.type_id in (m.DATA, m.DATA_AMF3):
                    yield from self._data(part)
                elif part.type_id in _MEDIA and (event := self._media(part)) is not None:
                    yield event
        elif kind == m.USER_CONTROL:
            yield from self._user_event(m.UserControl.decode(message.payload), now)
        elif kind in (m.ACKNOWLEDGEMENT, m.WINDOW_ACK_SIZE, m.SET_PEER_BANDWIDTH):
            self._flow(kind, m.unpack_u32(message))
        elif kind not in (m.SET_CHUNK_SIZE, m.ABORT):
            self.ignored += 1

    def _data(self, message: Message) -> Iterator[Any]:
        payload = m.media_data(message)
        if payload is None:
            self.ignored += 1
        elif (event := self._media(message._replace(type_id=m.DATA, payload=payload))) is not None:
            yield event

    def _flow(self, kind: int, value: int) -> None:
        if kind == m.ACKNOWLEDGEMENT:
            self.peer_acknowledged = value
        elif kind == m.WINDOW_ACK_SIZE:
            # Acknowledging is cheap for neither side: tiny windows are taken as 32 KiB, huge ones as ours.
            self._window = min(max(value, _WINDOW_FLOOR), WINDOW)
        else:
            self._control(m.WINDOW_ACK_SIZE, value)

    def _user_event(self, event: m.UserControl, now: float) -> Iterator[Any]:
        if event.event == m.PING_REQUEST:
            self.pinged += 1
            self._user_control(m.PING_RESPONSE, event.value)
        elif event.event == m.PING_RESPONSE and (sent := self._pings.pop(event.value, None)) is not None:
            yield Pong(now - sent)

    def _media(self, message: Message) -> Media | None:
        raise NotImplementedError

    def _command(self, stream_id: int, command: m.Command) -> Iterator[Any]:
        raise NotImplementedError

    # Out

    def _raw(self, data: bytes) -> None:
        if data:
            self._out.append(data)
            self._pending += len(data)
            if self._pending > MAX_PENDING:
                raise RemoteProtocolError("the RTMP peer asks for more answers than it reads")

    def _send(self, csid: int, type_id: int, stream_id: int, payload: bytes) -> None:
        self._raw(self._writer.message(csid, type_id, stream_id, 0, payload))

    def _control(self, type_id: int, value: int) -> None:
        payload = m.u32_payload(value)
        if type_id == m.SET_PEER_BANDWIDTH:
            payload += b"\x02"  # dynamic
        self._send(m.CSID_CONTROL, type_id, 0, payload)

    def _user_control(self, event: int, value: int, extra: int = 0) -> None:
        self._send(m.CSID_CONTROL, m.USER_CONTROL, 0, m.UserControl(event, value, extra).payload())

    def _call(self, stream_id: int, name: str, transaction: float, *args: Any) -> None:
        self._send(m.CSID_COMMAND, m.COMMAND, stream_id, m.command_payload(name, transaction, *args))

    def _allow_media(self, allowed: bool) -> None:
        self._reader.max_message = self.max_message if allowed else COMMAND_LIMIT
        self._reader.max_buffered = max(MAX_BUFFERED, self.max_message) if allowed else COMMAND_LIMIT
