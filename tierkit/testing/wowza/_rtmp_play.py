"""One player over RTMP: it begins, loses its encoder, and has it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ._rtmp_media import Cursor, Publication, SignalCursor
from ._rtmp_session import WowzaSession, with_track_info
from ._rtmp_stage import Stage
from ._sessions import Place
from ._shown_rtmp import (
    BUFFER_EVENTS,
    BUFFER_TIMES,
    ENCODER_LOST,
    MEDIA,
    NOT_FOUND,
    STRICT_ARRAY,
    TRACK_INFO,
    UNPUBLISH_NOTIFY,
    WAITS,
)
from ._streams import Epoch, IncomingStream

__all__ = ["Player"]

#: Seconds from one pair of buffer events to the next.
_BUFFER_EVERY: Final = 10.0


class Player:
    """What one connection plays.

    Args:
        wake: called when there may be something to send.
    """

    def __init__(
        self, stage: Stage, session: WowzaSession, stream_id: int, place: Place, wake: Callable[[], None]
    ) -> None:
        self.stream_id = stream_id
        self.place = place
        self._stage = stage
        self._server = stage.server
        self._session = session
        self._wake = wake
        self._cursor: Cursor | None = None
        self._epoch: Epoch | None = None
        self._publication: Publication | None = None
        #: Whether it has been told that it plays and that there is nothing.
        self._waits = False
        self._buffer_at = 0.0

    def begin(self) -> bool:
        """Answer the request; False where it was refused."""
        stream = self._on_air()
        if stream is None and not self._may_wait():
            return False
        self._session.accept_play(self.stream_id)
        if stream is None:
            self._stage.shows(WAITS)
        self._server.changed.append(self._changed)
        self._waits = stream is None
        return True

    @NOT_FOUND.shown
    @WAITS.shown
    @ENCODER_LOST.shown
    def _may_wait(self) -> bool:
        if self._stage.options.unpublished == "wait":
            return True
        self._stage.shows(NOT_FOUND if self._server.find(self.place) is None else ENCODER_LOST)
        told = f"{self.place.stream} is not published"
        self._session.reject_play(self.stream_id, "NetStream.Play.StreamNotFound", told, close=False)
        return False

    def close(self) -> None:
        """It plays no more."""
        if self._changed in self._server.changed:
            self._server.changed.remove(self._changed)
        self._leave()

    def _changed(self, place: Place) -> None:
        if place == self.place:
            self._wake()

    def _on_air(self) -> IncomingStream | None:
        stream = self._server.find(self.place)
        return stream if stream is not None and stream.is_connected else None

    def data(self, now: float) -> bytes:
        """What is to be sent now, behind what the session has said before."""
        self._follow(self._on_air())
        media = b""
        if self._cursor is not None:
            self._tell_buffer(now)
            media = b"".join(
                self._session.encode(each.type_id, self.stream_id, each.timestamp, self._payload(each.payload))
                for each in self._cursor.take(now)
            )
        return self._session.data_to_send() + media

    def due(self) -> float | None:
        """When there is more; None where `wake` is called for it."""
        return None if self._cursor is None else self._cursor.due()

    @UNPUBLISH_NOTIFY.shown
    def _follow(self, stream: IncomingStream | None) -> None:
        """Go with what has become of the stream."""
        if self._cursor is not None and (stream is None or stream.epoch is not self._epoch):
            self._leave()
            self._stage.shows(UNPUBLISH_NOTIFY)
            self._session.tell_unpublished(self.stream_id, self.place.stream)
            self._waits = True
        if self._cursor is None and stream is not None:
            if self._waits:
                self._session.resume_play(self.stream_id)
                self._waits = False
            self._join(stream)

    @MEDIA.shown
    def _join(self, stream: IncomingStream) -> None:
        self._stage.shows(MEDIA)
        self._epoch = stream.epoch
        self._publication = self._stage.publications.get(self.place)
        self._buffer_at = 0.0
        if self._publication is None:
            self._cursor = SignalCursor.join(stream.epoch.began, self._server.now())
        else:
            self._cursor = self._publication.join()
            self._publication.listeners.add(self._wake)

    def _leave(self) -> None:
        if self._publication is not None:
            self._publication.listeners.discard(self._wake)
        self._cursor = self._publication = self._epoch = None

    @BUFFER_TIMES.shown
    def _tell_buffer(self, now: float) -> None:
        if self._stage.options.buffer_events and now >= self._buffer_at:
            self._buffer_at = now + _BUFFER_EVERY
            self._stage.shows(BUFFER_EVENTS, BUFFER_TIMES)
            self._session.tell_buffer(self.stream_id)

    def _payload(self, payload: bytes) -> bytes:
        transcoded = self._publication is None and self._stage.options.strict_array
        if not transcoded or payload[3:13] != b"onMetaData":
            return payload
        self._stage.shows(STRICT_ARRAY, TRACK_INFO)
        return with_track_info(payload)
