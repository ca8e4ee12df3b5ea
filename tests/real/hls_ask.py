"""One HTTP request at a time on a connection of its own, as bare as can be: what a viewer of the tests sends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import h11
import trio
from attrs import frozen


@frozen
class Got:
    status: int
    headers: dict[str, str]
    body: bytes


@asynccontextmanager
async def asking(url: str, **headers: str) -> AsyncIterator[tuple[h11.Response, AsyncIterator[bytes]]]:
    """The head of an answer, and its body as it comes."""
    parts = urlsplit(url)
    connection = h11.Connection(h11.CLIENT)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    fields = [("Host", parts.netloc), ("Connection", "close"), *((k.replace("_", "-"), v) for k, v in headers.items())]
    async with await trio.open_tcp_stream(parts.hostname or "", parts.port or 80) as stream:
        request = connection.send(h11.Request(method="GET", target=target, headers=fields)) or b""
        await stream.send_all(request + (connection.send(h11.EndOfMessage()) or b""))

        async def events() -> AsyncIterator[h11.Event]:
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    connection.receive_data(await stream.receive_some(65536))
                elif isinstance(event, h11.Event):
                    yield event
                    if isinstance(event, h11.EndOfMessage):
                        return

        coming = events()
        head = await anext(coming)
        assert isinstance(head, h11.Response)
        yield head, (bytes(event.data) async for event in coming if isinstance(event, h11.Data))


async def ask(url: str, **headers: str) -> Got:
    """The whole answer, within ten seconds."""
    with trio.fail_after(10):
        async with asking(url, **headers) as (head, body):
            data = b"".join([piece async for piece in body])
    return Got(head.status_code, {name.decode(): value.decode() for name, value in head.headers}, data)
