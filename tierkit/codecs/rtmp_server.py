"""The server's end of an RTMP connection: a publisher or player on the other side.

The order and contents of answers are those that ffmpeg, OBS, librtmp, GStreamer and Flash-era players were seen to
depend on; they stand together in the `accept_*` methods.

Sharing the connection with pre-encoded media.  The first `createStream` of a connection is answered with 1, and 1 is
given again once it was deleted (the lowest free number is), so a player's message stream is 1, which is what the
shared encoded form has.  A client that plays on another number gets `PlayRequested` with that number: encode for it
alone, or refuse.  What `data_to_send` returns are whole messages with full headers, so they may stand before, between
and behind pre-encoded messages of chunk size `chunk_size`, once `accept_connect` was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Final

from attrs import define

from tierkit.errors import LocalProtocolError, RemoteProtocolError

from . import amf0
from . import rtmp_message as m
from .rtmp_chunk import CHUNK_SIZE, MAX_MESSAGE, Message
from .rtmp_events import (
    CallReceived,
    ConnectRequested,
    Media,
    PauseRequested,
    PlayRequested,
    PlayStopped,
    PublishRequested,
    SeekRequested,
    ServerEvent,
    Unpublished,
)
from .rtmp_handshake import ServerHandshake
from .rtmp_link import WINDOW, Link
from .rtmp_url import Route, route

__all__ = ["ServerSession", "MAX_STREAMS"]

MAX_STREAMS: Final = 16
"""Most message streams of a connection (a flood of createStream ends there)."""

_CAPS_EX: Final = 1 | 2 | 4 | 8  # we may ask to reconnect, and pass multitrack, ModEx and nanosecond offsets on
_CAN_FORWARD: Final = {"*": 4.0}

_STARTS: Final = {-2000: -2, -1000: -1}

_IDLE, _PUBLISH_ASKED, _PUBLISHING, _PLAY_ASKED, _PLAYING = range(5)


@define
class _Stream:
    id: int
    state: int = _IDLE
    name: str = ""
    reset: bool = True


class ServerSession(Link):
    """One client's connection.

    Args:
        nonce: at least 16 unpredictable bytes, for the handshake.
        now: a clock in seconds.
        chunk_size: of what we send, announced by `accept_connect`.
        max_message: longest message taken from a publisher.
    """

    __slots__ = (
        "_accepted",
        "_connect",
        "_out_chunk_size",
        "_publishing",
        "_streams",
        "_transaction",
        "app",
        "tc_url",
    )

    def __init__(
        self, nonce: bytes, now: float = 0.0, *, chunk_size: int = CHUNK_SIZE, max_message: int = MAX_MESSAGE
    ) -> None:
        super().__init__(ServerHandshake(nonce, int(now * 1000)), max_message)
        self.app = ""
        """The application of `connect`, as sent."""
        self.tc_url = ""
        self._out_chunk_size = chunk_size
        self._connect: ConnectRequested | None = None  # until it is answered
        self._transaction = 0.0  # of the connect that waits for an answer
        self._accepted = False
        self._streams: dict[int, _Stream] = {}
        self._publishing: dict[int, _Stream] = {}

    def receive(self, data: bytes, now: float) -> Iterator[ServerEvent]:
        """Takes what came; gives out events one by one, and looks at a message only when asked for the next.

        Raises:
            RemoteProtocolError: at the place in the order of events where the fault was.  `data_to_send` may then
                hold an answer: send it, then close.
        """
        self._feed(data)
        return self._events(now)

    # Answers

    def accept_connect(self) -> None:
        """Window, bandwidth, chunk size, then the result: in this order, OBS and librtmp need it."""
        asked = self._asked_to_connect()
        self._accepted = True
        self._control(m.WINDOW_ACK_SIZE, WINDOW)
        self._control(m.SET_PEER_BANDWIDTH, WINDOW)
        self._raw(self._writer.set_chunk_size(self._out_chunk_size))
        info = m.status("status", "NetConnection.Connect.Success", "Connection succeeded.")
        info["objectEncoding"] = 3.0 if amf0.as_int(asked.object.get("objectEncoding")) == 3 else 0.0
        properties: dict[str, Any] = {"fmsVer": "FMS/3,0,1,123", "capabilities": 31.0, "mode": 1.0}
        if not _ENHANCED.isdisjoint(asked.object):
            # The specification leaves open which of the two objects clients read these from.
            for place in (properties, info):
                place |= {"videoFourCcInfoMap": _CAN_FORWARD, "audioFourCcInfoMap": _CAN_FORWARD, "capsEx": _CAPS_EX}
        self._connect = None
        self._call(0, "_result", self._transaction, properties, info)

    def reject_connect(self, code: str = "NetConnection.Connect.Rejected", description: str = "", **more: Any) -> None:
        """Refuses; `closing` is set.  `more` goes into the information object (`ex` for a redirect)."""
        self._asked_to_connect()
        self._call(0, "_error", self._transaction, None, m.status("error", code, description, **more))
        self.closing = True

    def accept_publish(self, stream_id: int) -> None:
        """From now on the publisher's media comes out as `Media`."""
        stream = self._stream_in(stream_id, _PUBLISH_ASKED)
        stream.state = _PUBLISHING
        self._publishing[stream_id] = stream
        self._user_control(m.STREAM_BEGIN, stream_id)
        description = f"{stream.name} is now published."
        self._status(stream_id, "status", "NetStream.Publish.Start", description, clientid="tierkit")

    def reject_publish(self, stream_id: int, code: str = "NetStream.Publish.BadName", description: str = "") -> None:
        """Refuses; `closing` is set: an encoder whose connection stays open believes itself live."""
        self._stream_in(stream_id, _PUBLISH_ASKED).state = _IDLE
        self._allow_media(bool(self._publishing))
        self._status(stream_id, "error", code, description)
        self.closing = True

    def accept_play(self, stream_id: int) -> None:
        """Stream begin, reset, start, sample access.  Metadata, headers and media follow from the caller."""
        stream = self._stream_in(stream_id, _PLAY_ASKED)
        stream.state = _PLAYING
        self._user_control(m.STREAM_BEGIN, stream_id)
        if stream.reset:
            self._status(stream_id, "status", "NetStream.Play.Reset", f"Playing and resetting {stream.name}.")
        self._status(stream_id, "status", "NetStream.Play.Start", f"Started playing {stream.name}.", clientid="tierkit")
        self._send(m.CSID_DATA, m.DATA, stream_id, amf0.encode("|RtmpSampleAccess", True, True))

    def reject_play(
        self, stream_id: int, code: str = "NetStream.Play.StreamNotFound", description: str = "", *, close: bool = True
    ) -> None:
        """Refuses; with `close`, `closing` is set."""
        self._stream_in(stream_id, _PLAY_ASKED).state = _IDLE
        self._status(stream_id, "error", code, description)
        self.closing = self.closing or close

    def end_play(self, stream_id: int, code: str = "NetStream.Play.UnpublishNotify") -> None:
        """The stream has ended: both ways of saying it, as ffmpeg ignores Stream EOF, others the status."""
        stream = self._stream_in(stream_id, _PLAYING)
        self._user_control(m.STREAM_EOF, stream_id)
        self._status(stream_id, "status", code, f"{stream.name} is now unpublished.")

    def resume_play(self, stream_id: int) -> None:
        """The stream that `end_play` ended has begun again."""
        stream = self._stream_in(stream_id, _PLAYING)
        self._user_control(m.STREAM_BEGIN, stream_id)
        self._status(stream_id, "status", "NetStream.Play.PublishNotify", f"{stream.name} is now published.")

    def accept_pause(self, stream_id: int, paused: bool) -> None:
        """Pause.Notify and Stream EOF, or Unpause.Notify and Stream Begin."""
        stream = self._stream_in(stream_id, _PLAYING)
        code, verb = ("NetStream.Pause.Notify", "Paused") if paused else ("NetStream.Unpause.Notify", "Unpaused")
        self._status(stream_id, "status", code, f"{verb} {stream.name}.")
        self._user_control(m.STREAM_EOF if paused else m.STREAM_BEGIN, stream_id)

    def accept_seek(self, stream_id: int, ms: int) -> None:
        """Seek.Notify, which ffmpeg and librtmp wait for, then Stream Begin and Play.Start."""
        stream = self._stream_in(stream_id, _PLAYING)
        self._status(stream_id, "status", "NetStream.Seek.Notify", f"Seeking to {ms} ms.")
        self._user_control(m.STREAM_BEGIN, stream_id)
        self._status(stream_id, "status", "NetStream.Play.Start", f"Started playing {stream.name}.")

    def request_reconnect(self, tc_url: str = "", description: str = "The server is about to stop.") -> None:
        """Asks the client to connect again, elsewhere where `tc_url` is given (Enhanced RTMP; see `can_reconnect`)."""
        more = {"tcUrl": tc_url} if tc_url else {}
        self._status(0, "status", "NetConnection.Connect.ReconnectRequest", description, **more)

    def _status(self, stream_id: int, level: str, code: str, description: str, **more: Any) -> None:
        self._call(stream_id, "onStatus", 0.0, None, m.status(level, code, description, **more))

    def _asked_to_connect(self) -> ConnectRequested:
        if self._connect is None or self._accepted or self.closing:
            raise LocalProtocolError("no RTMP connect waits for an answer")
        return self._connect

    def _stream_in(self, stream_id: int, state: int) -> _Stream:
        stream = self._streams.get(stream_id)
        if stream is None or stream.state != state:
            raise LocalProtocolError(f"RTMP message stream {stream_id} does not wait for this answer")
        return stream

    # Commands

    def _media(self, message: Message) -> Media | None:
        publishing = self._publishing
        stream_id = message.stream_id
        if stream_id not in publishing:
            if len(publishing) != 1:
                self.ignored += 1
                return None
            (stream_id,) = publishing  # some encoders write 0 here
        return Media(message.type_id, message.timestamp, message.payload, stream_id)

    def _command(self, stream_id: int, command: m.Command) -> Iterator[ServerEvent]:
        if command.name == "connect":
            yield self._on_connect(command)
        elif not self._accepted:
            raise RemoteProtocolError(
                f"an RTMP client calls {command.name[:40]!r} before it is connected",
                hint="NetConnection.Connect.Rejected",
            )
        elif (handler := self._HANDLERS.get(command.name)) is not None:
            yield from handler(self, stream_id, command)
        else:
            yield CallReceived(stream_id, command)

    def _on_connect(self, command: m.Command) -> ConnectRequested:
        if self._connect is not None or self._accepted:
            raise RemoteProtocolError("an RTMP client connects twice")
        said = command.object if isinstance(command.object, dict) else {}
        self._transaction = command.transaction
        self.app = amf0.as_text(said.get("app"))
        self.tc_url = amf0.as_text(said.get("tcUrl") or said.get("tcurl"))
        self._connect = ConnectRequested(
            self.app,
            self.tc_url,
            said,
            command.args,
            amf0.as_text(said.get("flashVer")),
            amf0.as_int(said.get("capsEx")) & 0xFFFFFFFF,
        )
        return self._connect

    def _on_create_stream(self, stream_id: int, command: m.Command) -> Iterable[ServerEvent]:
        free = next((i for i in range(1, MAX_STREAMS + 1) if i not in self._streams), None)
        if free is None:
            raise RemoteProtocolError(f"an RTMP client creates more than {MAX_STREAMS} streams")
        self._streams[free] = _Stream(free)
        self._call(0, "_result", command.transaction, None, float(free))
        return ()

    def _on_publish(self, stream_id: int, command: m.Command) -> Iterator[ServerEvent]:
        stream = self._target(stream_id)
        yield from self._stop(stream, "publish")
        name = amf0.as_text(command.arg(0))
        where = self._route(stream, name, "NetStream.Publish.BadName")
        stream.state, stream.name = _PUBLISH_ASKED, name.partition("?")[0]
        self._allow_media(True)
        yield PublishRequested(stream.id, where, amf0.as_text(command.arg(1), "live").lower() or "live", name)

    def _on_play(self, stream_id: int, command: m.Command) -> Iterator[ServerEvent]:
        stream = self._target(stream_id)
        yield from self._stop(stream, "play")
        name = amf0.as_text(command.arg(0))
        where = self._route(stream, name, "NetStream.Play.StreamNotFound")
        stream.state, stream.name = _PLAY_ASKED, name.partition("?")[0]
        stream.reset = command.arg(3) is not False
        # Flash, ffmpeg and librtmp send -2000 and -1000 where the specification has -2 and -1.
        start = _STARTS.get(asked := amf0.as_int(command.arg(1), -2), asked)
        duration = max(amf0.as_int(command.arg(2), -1), -1)
        yield PlayRequested(stream.id, where, max(start, -2), duration, stream.reset, name, command.args)

    def _target(self, stream_id: int) -> _Stream:
        """The stream that a command is for.  Numbers never created are taken where there is room, 0 as the first."""
        stream_id = stream_id or min(self._streams, default=1)
        stream = self._streams.get(stream_id)
        if stream is None:
            if len(self._streams) >= MAX_STREAMS:
                raise RemoteProtocolError(f"an RTMP client uses more than {MAX_STREAMS} streams")
            stream = self._streams[stream_id] = _Stream(stream_id)
        return stream

    def _route(self, stream: _Stream, name: str, code: str) -> Route:
        try:
            return route(self.app, name, self.tc_url)
        except RemoteProtocolError as exc:
            self._status(stream.id, "error", code, str(exc))
            self.closing = True
            raise

    def _stop(self, stream: _Stream, reason: str) -> Iterator[ServerEvent]:
        state, stream.state = stream.state, _IDLE
        if state in (_PUBLISHING, _PUBLISH_ASKED):
            self._publishing.pop(stream.id, None)
            self._allow_media(bool(self._publishing))
            yield Unpublished(stream.id, reason)
        elif state in (_PLAYING, _PLAY_ASKED):
            yield PlayStopped(stream.id, reason)

    def _on_fc_unpublish(self, stream_id: int, command: m.Command) -> Iterator[ServerEvent]:
        name = amf0.as_text(command.arg(0))
        code = "NetStream.Unpublish.Success"
        self._call(0, "onFCUnpublish", 0.0, None, m.status("status", code, f"{name} is now unpublished."))
        self._acknowledge(command)
        bare = name.partition("?")[0]
        for stream in list(self._publishing.values()):
            if stream.name == bare or len(self._publishing) == 1:
                self._status(stream.id, "status", code, f"{stream.name} is now unpublished.")
                yield from self._stop(stream, "FCUnpublish")

    def _on_close_stream(self, stream_id: int, command: m.Command) -> Iterator[ServerEvent]:
        stream = self._streams.get(stream_id)
        if stream is not None:
            if stream.state == _PUBLISHING:
                code = "NetStream.Unpublish.Success"
                self._status(stream.id, "status", code, f"{stream.name} is now unpublished.")
            yield from self._stop(stream, "closeStream")

    def _on_delete_stream(self, stream_id: int, command: m.Command) -> Iterator[ServerEvent]:
        stream = self._streams.pop(amf0.as_int(command.arg(0), stream_id), None)
        if stream is not None:
            yield from self._stop(stream, "deleteStream")

    def _on_pause(self, stream_id: int, command: m.Command) -> Iterator[ServerEvent]:
        stream = self._streams.get(stream_id)
        if stream is not None and stream.state == _PLAYING:
            yield PauseRequested(stream.id, command.arg(0) is not False, amf0.as_int(command.arg(1)))

    def _on_seek(self, stream_id: int, command: m.Command) -> Iterator[ServerEvent]:
        stream = self._streams.get(stream_id)
        if stream is not None and stream.state == _PLAYING:
            yield SeekRequested(stream.id, amf0.as_int(command.arg(0)))

    def _on_fc_publish(self, stream_id: int, command: m.Command) -> Iterator[ServerEvent]:
        # Vimeo's encoders wait for this one, with their own transaction number.
        info = m.status("status", "NetStream.Publish.Start", f"{amf0.as_text(command.arg(0))} may be published.")
        self._call(0, "onFCPublish", command.transaction, None, info)
        yield from self._on_answered(stream_id, command)

    def _on_fc_subscribe(self, stream_id: int, command: m.Command) -> Iterable[ServerEvent]:
        info = m.status("status", "NetStream.Play.Start", f"{amf0.as_text(command.arg(0))} may be played.")
        self._call(0, "onFCSubscribe", 0.0, None, info)
        return ()

    def _on_answered(self, stream_id: int, command: m.Command) -> Iterable[ServerEvent]:
        """Calls whose only effect is that the client waits for a result."""
        self._acknowledge(command)
        return ()

    def _on_check_bandwidth(self, stream_id: int, command: m.Command) -> Iterable[ServerEvent]:
        # Who was sent an `onBWDone` by other servers asks; Haivision's encoders wait for this null (SRS#844).
        if command.transaction:
            self._call(0, "_result", command.transaction, None, None)
        return ()

    def _on_ignored(self, stream_id: int, command: m.Command) -> Iterable[ServerEvent]:
        """Answers to us, and calls for which silence is what clients know."""
        self.ignored += 1
        return ()

    def _acknowledge(self, command: m.Command) -> None:
        if command.transaction:
            self._call(0, "_result", command.transaction, None, amf0.UNDEFINED)

    _HANDLERS: ClassVar[dict[str, Callable[[ServerSession, int, m.Command], Iterable[ServerEvent]]]] = {
        "createStream": _on_create_stream,
        "publish": _on_publish,
        "play": _on_play,
        "FCUnpublish": _on_fc_unpublish,
        "closeStream": _on_close_stream,
        "deleteStream": _on_delete_stream,
        "pause": _on_pause,
        "pauseRaw": _on_pause,
        "seek": _on_seek,
        "FCPublish": _on_fc_publish,
        "FCSubscribe": _on_fc_subscribe,
        "releaseStream": _on_answered,
        "_checkbw": _on_check_bandwidth,
        "getStreamLength": _on_ignored,
        "_result": _on_ignored,
        "_error": _on_ignored,
        "onStatus": _on_ignored,
    }


_ENHANCED: Final = frozenset(("fourCcList", "videoFourCcInfoMap", "audioFourCcInfoMap", "capsEx"))
