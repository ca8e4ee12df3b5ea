"""What a request asks for, and what authorisers are asked about it."""

from __future__ import annotations

import re
from typing import Final

from tierkit.access import AccessDenied, connection_number
from tierkit.codecs.rtmp_url import Route, route
from tierkit.http import Request
from tierkit.plugin import Attempt, RemoteProtocolError

__all__ = ["attempt_of", "denied_status", "route_of"]

_EXTENSION: Final = ".flv"
#: Longest field that goes into an attempt; streams' names are bounded by `route`.
_MAX_TEXT: Final = 2048
#: What is usual in HTTP for those who may not.
_FORBIDDEN: Final = 403


def route_of(request: Request) -> Route:
    """The stream that a request means.  Raises RemoteProtocolError where it can mean none."""
    directory, _, file = request.path.rpartition("/")
    if not file.endswith(_EXTENSION) or file == _EXTENSION:
        raise RemoteProtocolError(f"{request.path} does not end in a name with {_EXTENSION}")
    return route(directory, f"{file.removesuffix(_EXTENSION)}?{request.query}")


def attempt_of(request: Request, asked: Route) -> Attempt:
    """Who wants to play what.  The path is the stream's, as over RTMP: without the extension."""
    connection = request.connection
    return Attempt(
        action="play",
        path=asked.path,
        query=asked.query,
        peer=connection.peer,
        scheme=connection.door.scheme if connection.door is not None else "",
        secure=connection.secure,
        id=connection_number(),
        agent=_field(request, b"user-agent"),
        page=_field(request, b"referer"),
    )


def denied_status(denial: AccessDenied) -> int:
    """The status that an authoriser wants it refused with, where it has named one of HTTP's."""
    return int(denial.code) if re.fullmatch("[45][0-9]{2}", denial.code) else _FORBIDDEN


def _field(request: Request, name: bytes) -> str:
    return (request.get(name) or b"").decode("latin-1")[:_MAX_TEXT]
