"""The client's end of an RTMP connection: playing from a server, or publishing to one.

Say `play` or `publish` at any time; the session connects, creates its stream and asks, in the order that servers
know from ffmpeg and librtmp, and reports `PlayStarted` or `PublishStarted`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from tierkit.errors import LocalProtocolError, RemoteProtocolError

from . import amf0
from . import rtmp_message as m
from .rtmp_chunk import CHUNK_SIZE, MAX_MESSAGE, Message
from .rtmp_events import (
    CallReceived,
    ClientEvent,
    Connected,
    ConnectRefused,
    Media,
    PlayEnded,
    PlayStarted,
    PublishStarted,
    ReconnectRequested,
    Status,
)
from .rtmp_handshake import ClientHandshake
from .rtmp_link import WINDOW, Link

__all__ = ["ClientSession"]

_PLAYER: Final = "LNX 9,0,124,2"
_PUBLISHER: Final = "FMLE/3.0 (compatible; tierkit)"
_STARTED: Final = frozenset(("NetStream.Play.Start", "NetStream.Play.PublishNotify"))
# Of no interest, and sent as data by some servers, as status by others.
_SILENT: Final = frozenset(("NetStream.Play.Reset", "NetStream.Data.Start"))
_ENDED: Final = frozenset(("NetStream.Play.UnpublishNotify", "NetStream.Play.Stop", "NetStream.Play.Complete"))
_CAN_FORWARD: Final = {"*": 4.0}


@frozen
class _Intent:
    publish: bool
    name: str
    detail: Any  # start in ms for playing, "live" for publishing
    subscribe: bool = False
    buffer_ms: int = 3000


class ClientSession(Link):
    """One connection to a server.

    Args:
        app: the application; see `rtmp_url.dial`.
        tc_url: the URL of the application.
        nonce: at least 16 unpredictable bytes, for the handshake.
        now: a clock in seconds.
        schema: digest schema of the handshake, None for the simple form.
        connect_object: overrides and additions to what `connect` says; a key whose value is None is left out.
        connect_args: what follows that object.
        chunk_size: of what we send.
        max_message: longest message taken from the server.
    """

    def __init__(
        self,
        app: str,
        tc_url: str,
        *,
        nonce: bytes,
        now: float = 0.0,
        schema: int | None = 0,
        connect_object: Mapping[str, Any] | None = None,
        connect_args: tuple[Any, ...] = (),
        chunk_size: int = CHUNK_SIZE,
        max_message: int = MAX_MESSAGE,
    ) -> None:
        handshake = ClientHandshake(nonce, int(now * 1000), schema=schema)
        super().__init__(handshake, max_message)
        self.stream_id = 0
        """The number that the server gave our stream, 0 before."""
        self._app = app
        self._tc_url = tc_url
        self._extra = dict(connect_object or {})
        self._args = connect_args
        self._out_chunk_size = chunk_size
        self._intent: _Intent | None = None
        self._connected = False
        self._asked = False
        self._ended = True
        self._transaction = 0
        self._waiting: dict[float, str] = {}
        self._allow_media(True)
        self._raw(handshake.hello())

    def receive(self, data: bytes, now: float) -> Iterator[ClientEvent]:
        """Takes what came; gives out events one by one, and looks at a message only when asked for the next.

        Raises:
            RemoteProtocolError: at the place in the order of events where the fault was.
        """
        self._feed(data)
        return self._events(now)

    # What we want

    def play(self, name: str, *, start: int = -2, subscribe: bool = False, buffer_ms: int = 3000) -> None:
        """Asks to play `name` (with its query): now, or as soon as the server lets us.

        Args:
            start: in ms, -2 for live or recorded, -1 for live only.
            subscribe: send `FCSubscribe` first; some CDNs, and Wowza as a live edge, need it.
            buffer_ms: the buffer length that we announce.
        """
        self._want(_Intent(False, name, float(start * 1000 if start < 0 else start), subscribe, buffer_ms))

    def publish(self, name: str, kind: str = "live") -> None:
        """Asks to publish `name` (with its query).  Send media from `PublishStarted` on, not before."""
        self._want(_Intent(True, name, kind))

    def encode_media(self, type_id: int, timestamp: int, payload: bytes) -> bytes:
        """A media message to send as a publisher; it is returned, not queued.  Metadata gets its `@setDataFrame`.

        Raises:
            LocalProtocolError: no stream has been created yet.
        """
        if not self.stream_id:
            raise LocalProtocolError("nothing can be published before PublishStarted")
        if type_id == m.DATA:
            payload = m.set_data_frame(payload)
        csid = m.MEDIA_CSID.get(type_id, m.CSID_DATA)
        return self._writer.message(csid, type_id, self.stream_id, timestamp, payload)

    def call(self, name: str, *args: Any, stream_id: int = 0) -> None:
        """Calls a command that needs no answer (Wowza's `secureTokenResponse`)."""
        self._call(stream_id, name, 0.0, None, *args)

    def stop(self) -> None:
        """Says that we leave: `FCUnpublish` where we publish, then `deleteStream`."""
        if self.stream_id:
            if self._intent is not None and self._intent.publish:
                self._ask("FCUnpublish", None, self._intent.name)
            self._call(0, "deleteStream", 0.0, None, float(self.stream_id))
            self.stream_id = 0
            self._ended = True

    def _want(self, intent: _Intent) -> None:
        if self._intent is not None:
            raise LocalProtocolError("an RTMP client session plays or publishes one stream")
        self._intent = intent
        if self._connected:
            self._pursue()

    def _pursue(self) -> None:
        """Sends what leads to the intent, once."""
        intent = self._intent
        if intent is None or self._asked:
            return
        self._asked = True
        if intent.publish:
            self._raw(self._writer.set_chunk_size(self._out_chunk_size))
            self._ask("releaseStream", None, intent.name)
            self._ask("FCPublish", None, intent.name)
        elif intent.subscribe:
            self._ask("FCSubscribe", None, intent.name)
        self._ask("createStream", None)

    def _created(self) -> None:
        intent = self._intent
        assert intent is not None
        if intent.publish:
            self._ask("publish", None, intent.name, intent.detail, stream_id=self.stream_id)
        else:
            self._ask("play", None, intent.name, intent.detail, stream_id=self.stream_id)
            self._user_control(m.SET_BUFFER_LENGTH, self.stream_id, intent.buffer_ms)

    def _ask(self, name: str, *args: Any, stream_id: int = 0) -> None:
        self._transaction += 1
        self._waiting[float(self._transaction)] = name
        self._call(stream_id, name, float(self._transaction), *args)

    def _established(self) -> None:
        publishing = self._intent is not None and self._intent.publish
        said: dict[str, Any] = {"app": self._app}
        if publishing:
            said["type"] = "nonprivate"
        said |= {"flashVer": _PUBLISHER if publishing else _PLAYER, "tcUrl": self._tc_url}
        if not publishing:
            said |= {"fpad": False, "capabilities": 239.0, "audioCodecs": 3575.0, "videoCodecs": 252.0}
            said |= {"videoFunction": 1.0}
        said |= {"objectEncoding": 0.0, "fourCcList": ["*"]}
        said |= {"videoFourCcInfoMap": _CAN_FORWARD, "audioFourCcInfoMap": _CAN_FORWARD, "capsEx": 15.0}
        said |= self._extra
        self._ask("connect", {key: value for key, value in said.items() if value is not None}, *self._args)

    # What the server says

    def _media(self, message: Message) -> Media | None:
        if self._intent is None or self._intent.publish or not self.stream_id:
            self.ignored += 1
            return None
        return Media(message.type_id, message.timestamp, message.payload, self.stream_id)

    def _data(self, message: Message) -> Iterator[ClientEvent]:
        """Data messages that are signals for this connection are not media: nobody further down may see them."""
        name = m.data_name(message)
        if name in ("onStatus", "onPlayStatus"):
            values = amf0.decode_all(m.media_data(message) or b"")
            yield from self._on_status(message.stream_id, m.Command(name, args=tuple(values[1:])))
        elif name in ("|RtmpSampleAccess", "@clearDataFrame"):
            self.ignored += 1
        else:
            yield from super()._data(message)

    def _command(self, stream_id: int, command: m.Command) -> Iterator[ClientEvent]:
        if command.name in ("_result", "_error"):
            yield from self._answered(command)
        elif command.name == "onStatus":
            yield from self._on_status(stream_id, command)
        elif command.name == "close":
            yield Status(0, "error", "NetConnection.Connect.Closed", "the server closes the connection", True)
        elif command.name == "onFCUnpublish":
            yield from self._end("onFCUnpublish")
        else:
            yield CallReceived(stream_id, command)

    def _answered(self, command: m.Command) -> Iterator[ClientEvent]:
        asked = self._waiting.pop(command.transaction, None)
        refused = command.name == "_error"
        if asked == "connect":
            yield from self._on_connect(command, refused)
        elif asked == "createStream":
            if refused:
                yield _failed(0, command)
                return
            self.stream_id = amf0.as_int(command.arg(0))
            if not 0 < self.stream_id <= 0xFFFFFFFF:
                raise RemoteProtocolError("the server answered createStream without a stream number")
            self._created()
        elif refused and asked in ("publish", "play"):
            yield _failed(self.stream_id, command)

    def _on_connect(self, command: m.Command, refused: bool) -> Iterator[ClientEvent]:
        info = _info(command)
        if refused or info.get("level") == "error":
            self.closing = True
            code = amf0.as_text(info.get("code"), "NetConnection.Connect.Rejected")
            yield ConnectRefused(code, amf0.as_text(info.get("description")), info)
            return
        self._connected = True
        self._control(m.WINDOW_ACK_SIZE, WINDOW)
        yield Connected(command.object if isinstance(command.object, dict) else {}, info)
        self._pursue()

    def _on_status(self, stream_id: int, command: m.Command) -> Iterator[ClientEvent]:
        info = _info(command)
        code = amf0.as_text(info.get("code"))
        if info.get("level") == "error" or code in m.FATAL_CODES:
            yield _status_of(stream_id, info, code, fatal=True)
        elif code in _STARTED:
            self._ended = False
            yield PlayStarted(self.stream_id, code)
        elif code in _ENDED:
            yield from self._end(code)
        elif code == "NetStream.Publish.Start":
            yield PublishStarted(self.stream_id)
        elif code == "NetConnection.Connect.ReconnectRequest":
            yield ReconnectRequested(amf0.as_text(info.get("tcUrl")), amf0.as_text(info.get("description")))
        elif code not in _SILENT:
            yield _status_of(stream_id, info, code, fatal=False)

    def _user_event(self, event: m.UserControl, now: float) -> Iterator[Any]:
        if event.event == m.STREAM_EOF and event.value == self.stream_id:
            yield from self._end("StreamEOF")
        else:
            yield from super()._user_event(event, now)

    def _end(self, code: str) -> Iterator[ClientEvent]:
        """Servers say it twice; it is reported once."""
        if not self._ended:
            self._ended = True
            yield PlayEnded(self.stream_id, code)


def _info(command: m.Command) -> dict[str, Any]:
    """The information object: behind the command object, or in its place at servers that leave that out."""
    for value in (command.arg(0), command.object):
        if isinstance(value, dict) and "code" in value:
            return value
    first = command.arg(0)
    return first if isinstance(first, dict) else {}


def _failed(stream_id: int, command: m.Command) -> Status:
    """An `_error`, with or without information."""
    info = _info(command)
    return _status_of(stream_id, info, amf0.as_text(info.get("code"), "NetStream.Failed"), fatal=True)


def _status_of(stream_id: int, info: dict[str, Any], code: str, *, fatal: bool) -> Status:
    level = amf0.as_text(info.get("level"), "error" if fatal else "status")
    return Status(stream_id, level, code, amf0.as_text(info.get("description")), fatal, info)
