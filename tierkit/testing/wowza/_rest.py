"""8087: the REST API of Wowza Streaming Engine 4.x, as far as it was recorded and an adapter needs it.

    rest = Rest(server, ports)
    response = await rest.answer(asking, request)

Who answers what stands in `_rest_look` (what only looks) and `_rest_change`; here is what all answers have in common:
who may ask, JSON or XML, and the headers.
"""

from __future__ import annotations

from collections.abc import Callable

from tierkit.http import BodySink, Request, Response

from . import _rest_bodies as bodies
from ._guard import Guard
from ._log import Asking
from ._model import Server
from ._rest_change import CHANGES
from ._rest_desk import Answer, Asked, Desk, Refused
from ._rest_form import Form, wants_json
from ._rest_look import LOOKS
from ._shown_rest import (
    ACCEPT,
    BAD_REQUEST,
    BASIC,
    BASIC_REALM,
    CHALLENGE,
    CORS_LISTS,
    ERRORS,
    HEADERS,
    NONCE_LIFETIME,
    URIS,
    XML_FORM,
)

__all__ = ["Rest"]

#: Longest body of a request that is read.
MAX_BODY = 64 << 10


class Rest:
    """The REST API of one server.

    Args:
        ports: gives the streaming and the administration port, as `hostports` lists them.
    """

    def __init__(self, server: Server, ports: Callable[[], tuple[int, int]]) -> None:
        self._server = server
        self._guard = _guard(server)
        self._desk = Desk(server, ports)

    async def answer(self, asking: Asking, request: Request) -> Response:
        """What a request is answered."""
        form = self._form(request)
        if request.method == "OPTIONS":
            asking.shows = (HEADERS, CORS_LISTS)
            return self._respond(200, b"", form)  # a browser's question before the question has no credentials
        said = request.get(b"authorization")
        challenge = self._guard.challenge(
            request.method, asking.target, None if said is None else said.decode("latin-1")
        )
        if challenge is not None:
            asking.shows = (BASIC, BASIC_REALM) if challenge.startswith("Basic") else (CHALLENGE, NONCE_LIFETIME)
            return self._error(401, form, (b"WWW-Authenticate", challenge.encode()))
        try:
            answer = self._found(asking, Asked.of(request, await request.read_body(MAX_BODY)))
        except Refused as refusal:
            asking.shows += (ERRORS if refusal.code in bodies.RECORDED else BAD_REQUEST,)
            return self._error(refusal.code, form)
        asking.shows += (*answer.shows, HEADERS, ACCEPT)
        asking.shows += (URIS,) if "serverName" in answer.body else ()
        asking.shows += () if form.json else (XML_FORM,)
        return self._respond(answer.status, form.write(answer.root, answer.body), form)

    def _found(self, asking: Asking, asked: Asked) -> Answer:
        found = [each for each in (LOOKS.find(asked.path), CHANGES.find(asked.path)) if each is not None]
        if not found:
            raise Refused(404)
        method = "GET" if asked.method == "HEAD" else asked.method
        for each in found:
            if (row := each.methods.get(method)) is not None:
                asking.shows = row.shows
                self._desk.at_home(each.values)
                return row.handler(self._desk, asked, **each.values)
        raise Refused(405)

    @ACCEPT.shown
    @XML_FORM.shown
    @URIS.shown
    def _form(self, request: Request) -> Form:
        accept = request.get(b"accept")
        return Form(
            json=wants_json(None if accept is None else accept.decode("latin-1")),
            old=self._server.profile.rest_uris,
            base=f"http://{request.host}",
            path=request.path,
        )

    @BAD_REQUEST.shown
    @ERRORS.shown
    def _error(self, code: int, form: Form, *headers: tuple[bytes, bytes]) -> Response:
        body = bodies.error(code, self._server.profile.version)
        return self._respond(code, form.write("Response", body), form, *headers)

    @HEADERS.shown
    @CORS_LISTS.shown
    def _respond(self, status: int, data: bytes, form: Form, *headers: tuple[bytes, bytes]) -> Response:
        async def body(sink: BodySink) -> None:
            await sink.write(data)

        common = [
            (b"Server", b"Restlet-Framework/2.2.2"),
            (b"Content-Type", form.content_type),
            (b"Access-Control-Allow-Origin", b"*"),
            (b"Access-Control-Allow-Methods", b"GET, PUT, POST, DELETE, OPTIONS"),
            (b"Access-Control-Allow-Headers", b"Authorization, Accept, Content-Type"),
        ]
        return Response(status, [*common, *headers], body)


@CHALLENGE.shown
@BASIC.shown
@BASIC_REALM.shown
@NONCE_LIFETIME.shown
def _guard(server: Server) -> Guard:
    return Guard(
        method=server.profile.rest_authentication,
        users=server.administrators,
        realm="Wowza",
        now=server.wall,
        secret=f"rest {server.seed}",
        domain="/",
    )
