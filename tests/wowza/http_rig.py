"""Somebody who asks the stand-in's ports by HTTP, with or without credentials.

The credentials are worked out by the standard library's client, which knows neither the stand-in nor tierkit.
"""

from __future__ import annotations

import json
import urllib.request
from base64 import b64encode
from typing import Any
from xml.etree import ElementTree

import trio
from attrs import frozen

from tierkit import Address
from tierkit.http import HttpClient
from tierkit.plugin import Network

#: For whom the standard library's client keeps a password; the request line has no host in it.
SOMEWHERE = "http://wowza.example"


@frozen
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.body)


class Asker:
    """A client of one port."""

    def __init__(self, network: Network, address: Address) -> None:
        self.client = HttpClient(network, trio.current_time)
        self.address = address.with_(scheme="http")
        #: Sent with every request.
        self.headers: dict[str, str] = {}

    async def bare(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request as it is; of a field's name the underscores are hyphens."""
        path, _, query = target.partition("?")
        url = self.address.with_(path=path, query=query)
        said = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        fields = [(name.encode(), value.encode()) for name, value in said.items()]
        async with self.client.request(method, url, fields, body) as response:
            found = {name.decode(): value.decode() for name, value in response.headers}
            return Answer(response.status, found, await response.read(1 << 20))

    async def ask(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        user: str = "admin",
        password: str = "admin",
        **headers: str,
    ) -> Answer:
        """The same, and once more with credentials where the server asks for them."""
        data = None
        if body is not None:
            headers = {"Content-Type": "application/json", **headers}
            data = json.dumps(body).encode()
        first = await self.bare(method, target, data, **headers)
        if first.status != 401:
            return first
        said = credentials(first.headers["www-authenticate"], method, target, user, password)
        return await self.bare(method, target, data, **headers, Authorization=said)

    async def get(self, target: str, **more: Any) -> Answer:
        return await self.ask("GET", target, **more)


def credentials(challenge: str, method: str, target: str, user: str, password: str) -> str:
    """What the standard library's client says to a challenge."""
    scheme, _, said = challenge.partition(" ")
    if scheme == "Basic":
        return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
    known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    known.add_password(None, SOMEWHERE, user, password)
    handler = urllib.request.HTTPDigestAuthHandler(known)
    parts = urllib.request.parse_keqv_list(urllib.request.parse_http_list(said))
    request = urllib.request.Request(SOMEWHERE + target, method=method)
    found = handler.get_authorization(request, parts)
    return f"Digest {found}"
