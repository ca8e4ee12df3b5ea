"""The page that plays a graph's edges in `<video>` elements."""

from __future__ import annotations

import html
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from string import Template
from urllib.parse import parse_qs, urlsplit

import trio

from tierkit import GraphHandle
from tierkit.http import Request, Response, serve_http, text_response
from tierkit.plugin import Address, Bound, Connection, ConnectionLost, Listener, ProtocolError

__all__ = ["WatchPage"]


class WatchPage:
    """Serves the page for one stream of a graph at work.

    Args:
        handle: the graph.
        stream: ``app/name``.
    """

    def __init__(self, handle: GraphHandle, stream: str) -> None:
        self.handle = handle
        self.stream = stream.strip("/")
        self._template = Template(files("tierkit.demo").joinpath("page.html").read_text("utf-8"))

    @asynccontextmanager
    async def open(self, listen: str = "http://127.0.0.1:0") -> AsyncIterator[Address]:
        """Serve the page for as long as the block lasts; yields where."""
        bound = await self.handle.network.listen(Listener.parse(listen))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._accept, bound, nursery)
            try:
                yield bound.address
            finally:
                bound.close()
                nursery.cancel_scope.cancel()

    def render(self, player: str = "") -> str:
        """The page; `player` is the URL of a player script for browsers that do not play HLS by themselves."""
        figures, relays = [], []
        for name in self.handle.tiers:
            node = self.handle.graph[name]
            for address in self.handle.addresses(name):
                if node.role == "edge" and address.scheme in ("http", "https"):
                    figures.append(self._figure(name, node.site, f"{address}/{self.stream}/playlist.m3u8"))
                elif node.role == "relay" and address.scheme in ("rtmp", "rtmps"):
                    relays.append(f"<code>{html.escape(f'{address}/{self.stream}')}</code>")
        script = f'<script src="{html.escape(player)}"></script>' if player else ""
        return self._template.substitute(
            stream=html.escape(self.stream),
            figures="\n".join(figures),
            relays=", ".join(relays) or "none",
            script=script,
        )

    @staticmethod
    def _figure(name: str, site: str, url: str) -> str:
        shown = html.escape(url)
        return (
            f'<figure><video data-src="{shown}" aria-label="{html.escape(name)}" controls muted autoplay playsinline>'
            f"</video><figcaption><b>{html.escape(name)}</b> <span>{html.escape(site)}</span>"
            f"<br><code>{shown}</code><output>starting …</output></figcaption></figure>"
        )

    async def _answer(self, request: Request) -> Response:
        if request.path != "/" or request.method not in ("GET", "HEAD"):
            return text_response(404, "only the page is here, at /")
        player = parse_qs(request.query).get("player", [""])[0]
        if player and urlsplit(player).scheme not in ("http", "https"):
            return text_response(400, "player= must be the http or https URL of a script")
        fields = [(b"Content-Type", b"text/html; charset=utf-8"), (b"Cache-Control", b"no-store")]
        return Response(200, fields, self.render(player).encode())

    async def _accept(self, bound: Bound, nursery: trio.Nursery) -> None:
        while True:
            try:
                nursery.start_soon(self._guard, await bound.accept())
            except ConnectionLost:
                return

    async def _guard(self, connection: Connection) -> None:
        try:
            await connection.establish()
            await serve_http(connection, self._answer)
        except (ProtocolError, ConnectionLost):
            pass
        finally:
            connection.close()
