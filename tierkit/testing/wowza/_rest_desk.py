"""What the answers of the REST API stand on: the request in plain values, and the server's state looked up by it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from attrs import define, field, frozen

from tierkit.http import Request

from ._behaviours import Behaviour
from ._model import Application, Instance, Server
from ._rest_bodies import SERVER, VHOST
from ._shown_rest import CREATE_BODY, UNKNOWN_APPLICATION

__all__ = ["Answer", "Asked", "Desk", "Refused"]


class Refused(Exception):
    """An error to answer."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


@frozen(kw_only=True)
class Asked:
    """A request that has passed the guard."""

    method: str
    path: str
    query: Mapping[str, str]
    content_type: str
    body: bytes = field(repr=False)

    @classmethod
    def of(cls, request: Request, body: bytes) -> Asked:
        """From a request and its body.  Raises Refused (400) for a query that nobody would send."""
        kind = (request.get(b"content-type") or b"").decode("latin-1").partition(";")[0].strip().lower()
        try:
            query = dict(parse_qsl(request.query, keep_blank_values=True, max_num_fields=64))
        except ValueError:
            raise Refused(400) from None
        return cls(method=request.method, path=request.path, query=query, content_type=kind, body=body)

    @CREATE_BODY.shown
    def values(self) -> dict[str, Any]:
        """The object of its body.  Raises Refused (415, 400) for anything but JSON, and for what is no object."""
        if self.content_type != "application/json":
            raise Refused(415)
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            raise Refused(400) from None
        if not isinstance(found, dict):
            raise Refused(400)
        return found


@frozen
class Answer:
    """A body, and what its root is called where it is XML.

    `shows` is what it shows besides what all answers of its path do.
    """

    root: str
    body: Mapping[str, Any]
    status: int = 200
    shows: tuple[Behaviour, ...] = ()


@define
class Desk:
    """One server, and what of it only the REST API knows.

    Attributes:
        ports: gives the streaming and the administration port.
        stream_files: those of the vhost, with their URIs.
    """

    server: Server
    ports: Callable[[], tuple[int, int]]
    stream_files: dict[str, str] = field(factory=dict, repr=False)

    def at_home(self, values: Mapping[str, str]) -> None:
        """Raises Refused for another server or vhost than the one that every stock installation has."""
        if values.get("server", SERVER) != SERVER or values.get("vhost", VHOST) != VHOST:
            raise Refused(404)

    @UNKNOWN_APPLICATION.shown
    def application(self, name: str) -> Application:
        """An application by its name.  Raises Refused (404)."""
        found = self.server.applications.get(name)
        if found is None:
            raise Refused(404)
        return found

    def instance(self, app: str, name: str) -> Instance | None:
        """An instance that runs; None where it does not, Refused where there is no such application."""
        application = self.application(app)
        return application.instances.get(name) if application.loaded else None
