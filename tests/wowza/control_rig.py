"""A control port in memory that says what a test tells it, and asks who it is as it is told."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import md5

import trio
from attrs import define, field

from tierkit import Address
from tierkit.http import Request, Response
from tierkit.plugins.wowza.admin import WowzaClient
from tierkit.testing import MemoryNetwork

from ..support_http import Guarded, open_server

USER, PASSWORD = "admin", "s3cret"
Say = Response | bytes | Callable[[Request], Response]


def body(data: bytes, media: str = "application/json", status: int = 200) -> Response:
    return Response(status, [(b"Content-Type", media.encode())], data)


@define
class Port:
    """One control port.

    `asks` is "none", "basic" or "digest"; a digest's nonce is good for `uses` answers, then it is stale.
    """

    says: dict[str, Say] = field(factory=dict)
    asks: str = "none"
    uses: int = 1000
    #: Whether a nonce that is over is told to be stale, or only refused.
    tells_stale: bool = True
    #: Paths with queries, in order, and what of the credentials came with each.
    asked: list[str] = field(factory=list)
    fields: list[dict[bytes, bytes]] = field(factory=list)
    challenges: int = 0
    seen: Guarded | None = None
    _nonce: int = 0
    _used: int = 0

    async def answer(self, request: Request) -> Response:
        target = request.path + (f"?{request.query}" if request.query else "")
        self.asked.append(f"{request.method} {target}")
        self.fields.append(dict(request.headers))
        await request.read_body()
        if (refusal := self._refuse(request, target)) is not None:
            return refusal
        said = self.says.get(request.path, body(b'{"message":"nothing","code":"404"}', status=404))
        if callable(said):
            return said(request)
        return body(said, "text/xml" if said[:1] == b"<" else "application/json") if isinstance(said, bytes) else said

    def _refuse(self, request: Request, target: str) -> Response | None:
        said = (request.get(b"authorization") or b"").decode()
        if self.asks == "none":
            return None
        if self.asks == "basic":
            wanted = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            return None if said == wanted else self._challenge('Basic realm="Wowza"')
        told = dict(re.findall(r'(\w+)="?([^",]+)"?', said))
        right = told.get("response") == digest(request.method, target, told)
        if right and told.get("nonce") == f"n{self._nonce}" and self._used < self.uses:
            self._used += 1
            return None
        stale = ", stale=true" if right and self.tells_stale else ""
        self._nonce, self._used = self._nonce + 1, 0
        return self._challenge(f'Digest realm="Wowza", nonce="n{self._nonce}", algorithm=MD5, qop="auth"{stale}')

    def _challenge(self, value: str) -> Response:
        self.challenges += 1
        refused = b'{"message":"The request requires user authentication","code":"401","success":false}'
        return Response(401, [(b"WWW-Authenticate", value.encode())], refused)


def digest(method: str, target: str, told: dict[str, str]) -> str:
    """What RFC 2617 wants of our user, by the values that the client chose."""

    def hashed(text: str) -> str:
        return md5(text.encode(), usedforsecurity=False).hexdigest()

    known, asked = hashed(f"{USER}:Wowza:{PASSWORD}"), hashed(f"{method}:{target}")
    return hashed(f"{known}:{told.get('nonce')}:{told.get('nc')}:{told.get('cnonce')}:auth:{asked}")


@asynccontextmanager
async def serving(network: MemoryNetwork, port: Port, at: str = "http://wowza:8087") -> AsyncIterator[Port]:
    async with open_server(network, port.answer, at) as seen:
        port.seen = seen
        yield port


def client(network: MemoryNetwork, address: str = f"{USER}:{PASSWORD}@wowza", port: int = 8087) -> WowzaClient:
    numbers = iter(range(1000))
    return WowzaClient(
        network, trio.current_time, Address.parse(address), port=port, nonce=lambda: f"{next(numbers):08x}"
    )
