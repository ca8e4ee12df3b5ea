"""JSON from a server that is asked for figures: one connection, bounded, timed, and failures in one line."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any

import trio

from tierkit import Address, RealNetwork, Trust
from tierkit.errors import AddressError, TierkitError, UpstreamError
from tierkit.http import HttpClient
from tierkit.plugin import Network

__all__ = ["Asker", "NotThere"]

#: Bytes of an answer: two days of a thousand tiers.
LONGEST = 64 << 20
#: Seconds for one answer; Prometheus gives a query two minutes, which is nothing to wait for here.
PATIENCE = 30.0


class NotThere(TierkitError):
    """What was asked for is not there (404): it is another kind of server."""


class Asker:
    """Asks one server; a context manager, which closes its connection.

    Args:
        where: HOST:PORT or a URL without a path.  Raises AddressError.
        trust: how its certificate is verified.
        network: to dial on.
        patience: seconds for one answer.
    """

    def __init__(
        self,
        where: str | Address,
        *,
        trust: Trust | None = None,
        network: Network | None = None,
        patience: float = PATIENCE,
    ) -> None:
        address = Address.parse(where)
        if not address.scheme:
            address = address.with_(scheme="http")
        if address.scheme not in ("http", "https"):
            raise AddressError(f"{address} cannot be asked: give HOST:PORT, or a URL with http or https")
        if not address.unix and address.wildcard:
            address = address.with_(host="127.0.0.1")
        self.address = address
        self._trust = trust
        self._patience = patience
        self._client = HttpClient(network or RealNetwork(), trio.current_time)

    def __enter__(self) -> Asker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of its connections."""
        self._client.close()

    async def get(self, target: str) -> tuple[int, bytes]:
        """Status and body for a path with its query.  Raises UpstreamError, and trio.TooSlowError."""
        base = (self.address.path or "").rstrip("/")
        with trio.fail_after(self._patience):
            async with self._client.request("GET", self.address.with_(path=base + target), trust=self._trust) as answer:
                return answer.status, await answer.read(LONGEST)

    async def json(self, target: str) -> dict[str, Any]:
        """What it answers for a path with its query.  Raises TierkitError, NotThere for 404."""
        try:
            status, body = await self.get(target)
        except UpstreamError as error:
            raise TierkitError(f"{self._where}: {error.reason}: does it run there?") from None
        except trio.TooSlowError:
            late = f"has not answered within {self._patience:g} s"
            raise TierkitError(f"{self._where} {late}: does it run there?") from None
        return self._read(target.partition("?")[0], status, body)

    async def until_there(self, target: str) -> None:
        """Return once a path is answered with 200; asked twice a second until then."""
        while not await self._there(target):  # noqa: ASYNC110 - it is another process that knows
            await trio.sleep(0.5)

    async def _there(self, target: str) -> bool:
        try:
            return (await self.get(target))[0] == 200
        except (UpstreamError, trio.TooSlowError):
            return False

    @property
    def _where(self) -> str:
        return f"{self.address.scheme}://{self.address.authority}"

    def _read(self, path: str, status: int, body: bytes) -> dict[str, Any]:
        if status == 404:
            raise NotThere(f"{self._where} has no {path}: what kind of server is it?")
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict) and status == 200:
            return found
        # Prometheus says in JSON what is wrong with a query.
        why = found.get("error") if isinstance(found, dict) else None
        said = f": {' '.join(str(why).split())[:200]}" if why else ""
        raise TierkitError(f"{self._where} answers {status} for {path}, and no figures{said}")
