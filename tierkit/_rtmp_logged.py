"""Plays and publishes over RTMP as lines of an access log, each when it ends; and the id that follows it upstream.

nginx-rtmp logs a session's end as well (its access_log).  Here a line has the shape of a request's, so that one log of
both is read by one expression: the verb, the stream's path, a status by HTTP's numbers, and the bytes of either way.
"""

from __future__ import annotations

import time
from functools import partial

from attrs import evolve, frozen

from ._accesslog import AccessRecorder, Shape
from ._http_logged import new_request_id
from ._ports import Connection
from .codecs import amf0
from .codecs.access_line import Entry, request_id_in
from .codecs.rtmp_session import ConnectRequested

__all__ = ["PLAY", "PUBLISH", "REQUEST_ID_KEY", "SessionLog", "named", "request_id_of"]

#: The key in the object of `connect` that an id travels in, from tier to tier, as X-Request-ID does over HTTP.
REQUEST_ID_KEY = "tierkitRequest"
PLAY, PUBLISH = "PLAY", "PUBLISH"
#: How a refusal's code is told as a status: not there, not now, taken.  Whatever else is said, this one may not.
_STATUS = {
    "NetStream.Play.StreamNotFound": 404,
    "NetStream.Play.Failed": 503,
    "NetStream.Publish.BadName": 409,
}
_MAY_NOT = 403


def request_id_of(request: ConnectRequested) -> str:
    """The id that somebody has connected with; "" where that is none."""
    said = amf0.as_text(request.object.get(REQUEST_ID_KEY))
    return request_id_in(said.encode("utf-8", "replace"))


def named(request: ConnectRequested) -> ConnectRequested:
    """The same with an id: its own, or a new one where it has none that will do."""
    known = request_id_of(request)
    return request if known else evolve(request, object={**request.object, REQUEST_ID_KEY: new_request_id()})


@frozen
class _Begun:
    verb: str
    target: str
    at: float
    bytes_in: int
    bytes_out: int


class SessionLog:
    """One connection's.  `now` is seconds on the tier's clock."""

    def __init__(self, recorder: AccessRecorder, connection: Connection) -> None:
        self._recorder = recorder
        self._connection = connection
        self._begun: dict[int, _Begun] = {}

    def begin(self, stream_id: int, verb: str, path: str, query: str, now: float) -> None:
        """It plays or publishes on this message stream from now on."""
        connection = self._connection
        self._begun[stream_id] = _Begun(verb, _target(path, query), now, connection.bytes_in, connection.bytes_out)

    def end(
        self, stream_id: int, request: ConnectRequested, now: float, reason: str, *, status: int = 200, skipped: int = 0
    ) -> None:
        """It does not any more; no line where it never did."""
        if (begun := self._begun.pop(stream_id, None)) is not None:
            self._note(begun, request, now, reason, status, skipped)

    def end_all(self, request: ConnectRequested, now: float, reason: str) -> None:
        """The connection has ended."""
        for stream_id in tuple(self._begun):
            self.end(stream_id, request, now, reason)

    def refused(
        self, verb: str, path: str, query: str, request: ConnectRequested, now: float, code: str, reason: str
    ) -> None:
        """It may not, or cannot."""
        connection = self._connection
        tried = _Begun(verb, _target(path, query), now, connection.bytes_in, connection.bytes_out)
        self._note(tried, request, now, reason, _STATUS.get(code, _MAY_NOT), 0)

    def _note(
        self, begun: _Begun, request: ConnectRequested, now: float, reason: str, status: int, skipped: int
    ) -> None:
        # Publishers are few, and each of them matters.
        if begun.verb != PUBLISH and not self._recorder.due(status):
            return
        connection = self._connection
        scheme = connection.door.scheme if connection.door is not None else "rtmp"
        self._recorder.note(
            partial(
                _entry,
                begun,
                connection.peer.host,
                scheme,
                request,
                (connection.bytes_in - begun.bytes_in, connection.bytes_out - begun.bytes_out),
                (time.time(), now - begun.at),
                (status, reason, skipped),
            )
        )


def _target(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _entry(
    begun: _Begun,
    host: str,
    scheme: str,
    request: ConnectRequested,
    counts: tuple[int, int],
    times: tuple[float, float],
    end: tuple[int, str, int],
    shape: Shape,
) -> Entry:
    status, reason, skipped = end
    return Entry(
        at=times[0],
        seconds=times[1],
        tier=shape.tier,
        site=shape.site,
        address=shape.address(host),
        scheme=scheme,
        method=begun.verb,
        target=shape.target(begun.target),
        version="RTMP",
        status=status,
        bytes_in=counts[0],
        bytes_out=counts[1],
        referer=shape.target(amf0.as_text(request.object.get("pageUrl"))),
        agent=request.flash_ver,
        request_id=request_id_of(request),
        reason=reason,
        skipped=skipped,
        sample=1 if begun.verb == PUBLISH or status >= 500 else shape.sample,
    )
