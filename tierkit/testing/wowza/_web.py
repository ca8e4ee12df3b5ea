"""The streaming port over HTTP: requests in, answers of `_hls` out, the log, and what goes wrong on purpose."""

from __future__ import annotations

from html import escape

import trio
from attrs import define, field

from tierkit.http import Request, Response

from ._behaviours import Behaviour
from ._hls import Hls
from ._log import Asking
from ._model import Server
from ._names import asked_for
from ._reply import Kind, Reply, empty, found, truncated
from ._shown_hls import (
    KEEP_ALIVE,
    NOT_FOUND,
    OPTIONS,
    POLICY_FILES,
    RANGES,
    REDIRECTS,
    SLOW,
    TRUNCATED,
    VERSION_PAGE,
)

__all__ = ["Faults", "Web", "version_page"]

_CROSSDOMAIN = """<?xml version="1.0"?>
<!DOCTYPE cross-domain-policy SYSTEM "http://www.adobe.com/xml/dtds/cross-domain-policy.dtd">
<cross-domain-policy>
  <allow-access-from domain="*" secure="false"/>
  <site-control permitted-cross-domain-policies="all"/>
</cross-domain-policy>
"""
_CLIENT_ACCESS = """<?xml version="1.0" encoding="utf-8"?>
<access-policy>
  <cross-domain-access>
    <policy>
      <allow-from http-request-headers="*"><domain uri="*"/></allow-from>
      <grant-to><resource path="/" include-subpaths="true"/></grant-to>
    </policy>
  </cross-domain-access>
</access-policy>
"""
_POLICIES = {"/crossdomain.xml": _CROSSDOMAIN, "/clientaccesspolicy.xml": _CLIENT_ACCESS}


@define(eq=False)
class Faults:
    """What goes wrong on purpose; all of it may be changed at any time."""

    #: Seconds for which answers are held back, by what they are for.
    slow: dict[Kind, float] = field(factory=dict)
    #: How many of the next chunks end early, and after which part of their bytes.
    truncate: int = 0
    truncate_at: float = 0.5
    #: Whether everything of HLS is answered by a redirect to itself.
    redirect_loop: bool = False


@VERSION_PAGE.shown
def version_page(server: Server) -> bytes:
    """`GET /`, by which one learns that a server lives (`HTTPServerVersion`)."""
    product = escape(server.profile.product)
    return f"<html><head><title>{product}</title></head><body>{product}</body></html>".encode()


class Web:
    """The handler of the streaming port."""

    def __init__(self, server: Server, hls: Hls) -> None:
        self.server = server
        self.hls = hls
        self.faults = Faults()

    @KEEP_ALIVE.shown
    async def answer(self, asking: Asking, request: Request) -> Response:
        """The answer to one request."""
        reply = await self._reply(asking, request)
        asking.shows = reply.shows
        return reply.response

    def version(self, asking: Asking) -> Response:
        """What is said at any path where nothing else is."""
        reply = self._text(version_page(self.server), "text/html", VERSION_PAGE)
        asking.shows = reply.shows
        return reply.response

    def answered(self, asking: Asking) -> None:
        """An answer has left: its bytes count for the application that they were sent for."""
        asked = asked_for(*asking.target.partition("?")[::2])
        if asked is None:
            self.server.count_sent(asking.sent)
        else:
            self.server.count_sent(asking.sent, asked.place.application, asked.place.instance, asked.place.stream)

    @RANGES.shown
    async def _reply(self, asking: Asking, request: Request) -> Reply:
        if request.method == "OPTIONS":
            return self._empty(200, OPTIONS)
        if (page := self._page(request.path)) is not None:
            return page
        asked = asked_for(request.path, request.query)
        if asked is None:
            return self._empty(404, NOT_FOUND)
        if self.faults.redirect_loop:
            return self._empty(302, REDIRECTS, location=asking.target)
        await trio.sleep(self.hls.waits(asked))
        referrer = (request.get(b"referer") or b"").decode("latin-1")
        kind, reply = self.hls.answer(asked, asking.contact.address, referrer=referrer)
        return await self._spoil(kind, reply)

    @POLICY_FILES.shown
    def _page(self, path: str) -> Reply | None:
        if path == "/":
            return self._text(version_page(self.server), "text/html", VERSION_PAGE)
        if path in _POLICIES:
            return self._text(_POLICIES[path].encode(), "text/xml", POLICY_FILES)
        return None

    @SLOW.shown
    @REDIRECTS.shown
    async def _spoil(self, kind: Kind, reply: Reply) -> Reply:
        if wait := self.faults.slow.get(kind, 0.0):
            await trio.sleep(wait)
            reply = Reply(reply.response, (*reply.shows, SLOW))
        if kind is Kind.chunk and reply.response.status == 200 and self.faults.truncate > 0:
            self.faults.truncate -= 1
            return truncated(reply, self.faults.truncate_at, TRUNCATED)
        return reply

    def _text(self, body: bytes, content_type: str, shows: Behaviour) -> Reply:
        return found(self.server, self.hls.cache_control, Kind.other, body, shows, content_type=content_type)

    def _empty(self, status: int, shows: Behaviour, *, location: str = "") -> Reply:
        more = ((b"Location", location.encode("ascii")),) if location else ()
        return empty(self.server, self.hls.cache_control, status, shows, more=more)
