"""What authorisers are asked about somebody who connects by RTMP, and what it was allowed."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from ._access_chain import Access, AccessDenied, Pass, connection_number
from ._authorise import Action, Attempt
from ._ports import Connection
from ._rtmp_host import RTMPRefusal
from .codecs import amf0
from .codecs.rtmp_session import ConnectRequested, PlayRequested, PublishRequested
from .codecs.rtmp_url import Route, route
from .errors import RemoteProtocolError

__all__ = ["Passes", "attempt_of"]

#: Longest text of a client's that goes into an attempt; names have 2,048 (`rtmp_url.MAX_LENGTH`).
MAX_TEXT = 2048

#: What a client is told by; librtmp and OBS give up at both.
_CODES = {
    "connect": "NetConnection.Connect.Rejected",
    "publish": "NetStream.Publish.BadName",
    "play": "NetStream.Play.Failed",
}


class Passes:
    """What one connection was allowed to do.

    Args:
        access: whom to ask; None allows everything.
        stop: ends the connection, for the reason that an authoriser gives later.
        timestamp: of the newest message that it sends or sees, ms.
    """

    __slots__ = ("_access", "_connection", "_kept", "_number", "_stop", "_timestamp")

    def __init__(
        self,
        access: Access | None,
        connection: Connection,
        stop: Callable[[str], None],
        timestamp: Callable[[], int],
    ) -> None:
        self._access, self._connection = access, connection
        self._stop, self._timestamp = stop, timestamp
        self._number = connection_number()
        #: Those whose ends somebody is to be told of, by message stream; 0 is the connection itself.
        self._kept: dict[int, Pass] = {}

    async def admit(
        self, asked: ConnectRequested | PublishRequested | PlayRequested, request: ConnectRequested
    ) -> tuple[Attempt, ConnectRequested]:
        """Ask; gives what it means, and the `connect` as it is from now on.  Raises RTMPRefusal."""
        attempt = attempt_of(asked, request, self._connection, self._number)
        if self._access is None:
            return attempt, request
        try:
            allowed = await self._access.admit(attempt, self._stop)
        except AccessDenied as denial:
            raise RTMPRefusal(denial.code or _CODES[attempt.action], str(denial)) from None
        if allowed.live:
            allowed.timestamp = self._timestamp
            self._kept[0 if isinstance(asked, ConnectRequested) else asked.stream_id] = allowed
        if isinstance(asked, ConnectRequested) and allowed.attempt.path != attempt.path:
            query = f"?{allowed.attempt.query}" if allowed.attempt.query else ""
            request = evolve(request, app=allowed.attempt.path.strip("/") + query)
        return allowed.attempt, request

    def end(self, stream_id: int) -> None:
        """It publishes or plays on this message stream no more."""
        if (allowed := self._kept.pop(stream_id, None)) is not None:
            allowed.end()

    def close(self) -> None:
        """The connection has ended."""
        for stream_id in sorted(self._kept, reverse=True):
            self.end(stream_id)


def attempt_of(
    asked: ConnectRequested | PublishRequested | PlayRequested,
    request: ConnectRequested,
    connection: Connection,
    number: int,
) -> Attempt:
    """What it wants, and all that it has said of itself."""
    details: dict[str, str | int] = {
        "app": request.app.partition("?")[0].strip("/")[:MAX_TEXT],
        "tc_url": request.tc_url[:MAX_TEXT],
        "swf_url": _said(request, "swfUrl"),
    }
    action: Action = "play"
    where = _application(asked) if isinstance(asked, ConnectRequested) else asked.route
    details["prefix"] = where.prefix
    if isinstance(asked, ConnectRequested):
        action = "connect"
    elif isinstance(asked, PublishRequested):
        action = "publish"
        details["type"] = asked.kind[:MAX_TEXT]
    else:
        start, duration, reset = (*asked.args[1:4], None, None, None)[:3]
        details |= {"start": amf0.as_int(start, 0), "duration": amf0.as_int(duration, 0), "reset": int(reset is True)}
    door = connection.door
    return Attempt(
        action=action,
        path=where.path,
        query=where.query,
        peer=connection.peer,
        scheme=door.scheme if door is not None else "",
        secure=connection.secure,
        id=number,
        agent=request.flash_ver[:MAX_TEXT],
        page=_said(request, "pageUrl"),
        details=details,
    )


def _application(request: ConnectRequested) -> Route:
    try:
        return route(request.app, "", request.tc_url)
    except RemoteProtocolError:
        return Route("/")  # it may yet name a stream, or be refused then


def _said(request: ConnectRequested, key: str) -> str:
    return amf0.as_text(request.object.get(key))[:MAX_TEXT]
