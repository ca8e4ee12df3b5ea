"""8086: the HTTP providers that count connections, the only ones that a server of 2013 has.

    admin = Admin(server, version)
    response = await admin.answer(asking, request)

What is at no provider's path is the version's page, as `HTTPServerVersion` has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tierkit.http import Request, Response

from ._admin_view import counts
from ._behaviours import Behaviour
from ._counts import connection_counts, flat_counts, server_info
from ._guard import Guard
from ._log import Asking
from ._model import Server
from ._shown_admin import (
    COUNTS,
    DASH,
    DIGEST,
    DIGEST_FORM,
    ENCODED,
    FLAT,
    FLAT_ROOT,
    INFO,
    LOADED,
    NOT_SHOWN,
    RATES,
    ROOTS,
    ZEROS,
)

__all__ = ["Admin"]

#: Providers that ask who it is and that the stand-in does not have.
_OTHERS: Final = ("connectioninfo", "streammanager", "livestreamrecord", "transcoderthumbnail", "medialist")


class Admin:
    """The port for administration of one server.

    Args:
        version: answers at every path that no other provider has (`HTTPServerVersion`).
    """

    def __init__(self, server: Server, version: Callable[[Asking], Response]) -> None:
        self._server = server
        self._version = version
        self._guard = _guard(server)

    async def answer(self, asking: Asking, request: Request) -> Response:
        """What a request is answered."""
        path = request.path.lstrip("/")
        provider = next((found for prefix, found in _PROVIDERS if path.startswith(prefix)), None)
        if provider is None:
            return self._version(asking)
        said = request.get(b"authorization")
        challenge = self._guard.challenge(
            request.method, asking.target, None if said is None else said.decode("latin-1")
        )
        if challenge is not None:
            asking.shows = (DIGEST, DIGEST_FORM)
            return self._respond(401, b"", (b"WWW-Authenticate", challenge.encode()))
        return provider(self, asking, request)

    @DASH.shown
    def _dash(self) -> tuple[Behaviour, ...]:
        return (DASH,) if self._server.profile.dash_counts else ()

    @COUNTS.shown
    @ROOTS.shown
    @ENCODED.shown
    @ZEROS.shown
    @LOADED.shown
    @RATES.shown
    def _counts(self, asking: Asking, request: Request) -> Response:
        if "flat" in request.query.split("&"):
            return self._flat(asking)
        asking.shows = (COUNTS, ROOTS, ENCODED, ZEROS, LOADED, RATES, *self._dash())
        return self._xml(connection_counts(counts(self._server), self._server.profile.root))

    @FLAT.shown
    @FLAT_ROOT.shown
    def _flat(self, asking: Asking) -> Response:
        asking.shows = (FLAT, FLAT_ROOT, ENCODED, ZEROS, LOADED, *self._dash())
        return self._xml(flat_counts(counts(self._server), self._server.profile.root))

    @INFO.shown
    def _info(self, asking: Asking, request: Request) -> Response:
        asking.shows = (INFO, ROOTS, ENCODED, RATES, *self._dash())
        return self._xml(server_info(counts(self._server), self._server.profile.info_root))

    @NOT_SHOWN.shown
    def _not_shown(self, asking: Asking, request: Request) -> Response:
        asking.shows = (NOT_SHOWN,)
        return self._respond(404, b"")

    def _xml(self, text: str) -> Response:
        return self._respond(200, text.encode(), (b"Content-Type", b"text/xml"))

    def _respond(self, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> Response:
        return Response(status, [(b"Server", self._server.profile.server.encode()), *headers], body)


#: By what their paths begin with, as `RequestFilters` has them.
_PROVIDERS: Final[tuple[tuple[str, Callable[[Admin, Asking, Request], Response]], ...]] = (
    ("connectioncounts", Admin._counts),
    ("serverinfo", Admin._info),
    *((each, Admin._not_shown) for each in _OTHERS),
)


@DIGEST.shown
@DIGEST_FORM.shown
def _guard(server: Server) -> Guard:
    return Guard(
        method=server.profile.admin_authentication,
        users=server.administrators,
        realm="Wowza",
        now=server.wall,
        secret=f"admin {server.seed}",
    )
