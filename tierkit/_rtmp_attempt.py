"""What authorisers are asked about somebody who connects by RTMP."""

from __future__ import annotations

from itertools import count

from attrs import evolve

from ._access_chain import AccessDenied
from ._authorise import Action, Attempt
from ._ports import Connection
from ._rtmp_host import RTMPRefusal
from .codecs import amf0
from .codecs.rtmp_session import ConnectRequested, PlayRequested, PublishRequested
from .codecs.rtmp_url import Route, route
from .errors import RemoteProtocolError

__all__ = ["attempt_of", "connection_number", "refusal", "rewritten"]

#: Longest text of a client's that goes into an attempt; names have 2,048 (`rtmp_url.MAX_LENGTH`).
MAX_TEXT = 2048

#: What a client is told by; librtmp and OBS give up at both.
_CODES = {
    "connect": "NetConnection.Connect.Rejected",
    "publish": "NetStream.Publish.BadName",
    "play": "NetStream.Play.Failed",
}
_NUMBERS = count(1)


def connection_number() -> int:
    """A number for a connection, unique in the process's life."""
    return next(_NUMBERS)


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


def refusal(denial: AccessDenied, attempt: Attempt) -> RTMPRefusal:
    """A denial in RTMP's words."""
    return RTMPRefusal(denial.code or _CODES[attempt.action], str(denial))


def rewritten(request: ConnectRequested, attempt: Attempt) -> ConnectRequested:
    """A `connect` as an authoriser has changed it: to another application."""
    query = f"?{attempt.query}" if attempt.query else ""
    return evolve(request, app=attempt.path.strip("/") + query)


def _application(request: ConnectRequested) -> Route:
    try:
        return route(request.app, "", request.tc_url)
    except RemoteProtocolError:
        return Route("/")  # it may yet name a stream, or be refused then


def _said(request: ConnectRequested, key: str) -> str:
    return amf0.as_text(request.object.get(key))[:MAX_TEXT]
