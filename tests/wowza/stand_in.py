"""What the tests of the stand-in share: one in memory, and somebody who asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin

import trio
from attrs import define, frozen

from tierkit import Address
from tierkit.codecs.http1 import Headers, get
from tierkit.http import HttpClient
from tierkit.testing import MemoryNetwork
from tierkit.testing.wowza import StandIn, open_wowza

PLAYLIST = "/live/myStream/playlist.m3u8"


@frozen
class Answer:
    """What was answered."""

    status: int
    headers: Headers
    body: bytes
    target: str

    def field(self, name: str) -> str | None:
        value = get(self.headers, name.lower().encode())
        return None if value is None else value.decode()

    @property
    def lines(self) -> list[str]:
        return self.body.decode().splitlines()

    @property
    def uris(self) -> list[str]:
        """What a playlist lists, as targets."""
        return [urljoin(self.target, each) for each in self.lines if not each.startswith("#")]


@define
class Viewer:
    """Asks the streaming port, over a connection that it keeps."""

    stand_in: StandIn
    client: HttpClient

    async def get(self, target: str, method: str = "GET", headers: Headers = ()) -> Answer:
        path, _, query = target.partition("?")
        url = self.stand_in.address.with_(scheme="http", path=path, query=query)
        async with self.client.request(method, url, headers) as response:
            return Answer(response.status, response.headers, await response.read(1 << 24), target)

    async def chunklist(self, playlist: str = PLAYLIST, entry: int = 0) -> Answer:
        """The chunklist that a new session's playlist names."""
        return await self.get((await self.get(playlist)).uris[entry])


@asynccontextmanager
async def opened(network: MemoryNetwork | None = None, **options: Any) -> AsyncIterator[tuple[StandIn, Viewer]]:
    """A stand-in in memory, and a viewer at 127.0.0.1."""
    network = network or MemoryNetwork()
    async with open_wowza(network=network, **options) as stand_in:
        client = HttpClient(network, trio.current_time)
        try:
            yield stand_in, Viewer(stand_in, client)
        finally:
            client.close()


def address_of(stand_in: StandIn) -> Address:
    return stand_in.address.with_(scheme="http")
