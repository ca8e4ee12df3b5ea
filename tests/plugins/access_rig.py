"""A relay or an embedded origin with authorisers, and a back end in memory for those that ask one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import trio
from attrs import define, field

from tests.core.rig import Rig, opened
from tests.rtmp.rig import Viewer, published, relay, url, viewer
from tierkit import Graph, Listener
from tierkit.errors import NotServed, UpstreamError
from tierkit.http import Request, Response, serve_http, text_response
from tierkit.plugin import Authoriser
from tierkit.plugins.rtmp import RTMP
from tierkit.rtmp import RTMPRefused, open_publisher

BACKEND = "http://backend.example:8080"


@define
class Call:
    method: str
    path: str
    fields: dict[str, str]
    headers: dict[str, str]
    form: str


@define
class Backend:
    """Answers as it is told to, after some seconds where it is told so."""

    answer: Callable[[Call], Response] = lambda call: text_response(200, "ok")
    delay: float = 0.0
    calls: list[Call] = field(factory=list)

    async def handle(self, request: Request) -> Response:
        body = await request.read_body()
        form = body.decode() or request.query
        headers = {name.decode().lower(): value.decode() for name, value in request.headers}
        call = Call(request.method, request.path, dict(parse_qsl(form, keep_blank_values=True)), headers, form)
        self.calls.append(call)
        await trio.sleep(self.delay)
        return self.answer(call)

    def of(self, name: str) -> list[Call]:
        return [each for each in self.calls if each.fields["call"] == name]


@asynccontextmanager
async def guarded(*authorise: Authoriser, backend: Backend | None = None, **options: Any) -> AsyncIterator[Rig]:
    """A relay that takes publishers, with these authorisers."""
    graph = Graph.of(relay(serves=RTMP(authorise=tuple(authorise), **options)))
    async with opened(graph) as rig, trio.open_nursery() as nursery:
        if backend is not None:
            bound = await rig.network.listen(Listener(BACKEND))

            async def accept() -> None:
                while True:
                    nursery.start_soon(serve, await bound.accept())

            async def serve(connection: Any) -> None:
                assert backend is not None
                await serve_http(connection, backend.handle)
                connection.close()

            nursery.start_soon(accept)
        yield rig
        await trio.sleep(0.1)
        nursery.cancel_scope.cancel()


async def refused(rig: Rig, path: str) -> str:
    """The code and description with which a publisher is refused; "" where it is not."""
    try:
        async with open_publisher(rig.network, url("relay", path)):
            return ""
    except (RTMPRefused, UpstreamError, NotServed) as error:
        return str(error)


async def told(rig: Rig, path: str) -> str:
    """The status code that a player is refused with; "" where it is let in to wait."""
    async with viewer(rig.network, url("relay", path)) as player:
        await trio.sleep(1)
        return " ".join(player.codes)


def everything(rig: Rig) -> str:
    """All that a log or a statistic has shown."""
    return repr(rig.events) + "".join(each.text for each in rig.events) + repr(rig.handle.statistics())


__all__ = ["BACKEND", "Backend", "Call", "Viewer", "everything", "guarded", "published", "refused", "told"]
