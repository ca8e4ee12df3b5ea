"""How commands ask the control address of a graph that runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import trio

from tierkit import Address, RealNetwork, Trust
from tierkit.errors import AddressError, TierkitError, UpstreamError
from tierkit.http import HttpClient
from tierkit.plugin import Network

__all__ = ["Control", "dialled", "statistics_of"]

#: Bytes of an answer: the statistics of some ten thousand streams.
LONGEST = 64 << 20
#: Seconds for all of it.
PATIENCE = 10.0


def dialled(text: str | Address) -> Address:
    """Where a control address is dialled; a bare port means loopback, as it does in the graph.

    Raises AddressError.
    """
    address = Address.parse(text)
    if not address.scheme:
        address = address.with_(scheme="http")
    if address.scheme not in ("http", "https") or address.path.strip("/"):
        raise AddressError(f"{str(address)!r} is no control address: give HOST:PORT, or a URL without a path")
    if not address.unix and address.wildcard:
        address = address.with_(host="127.0.0.1")
    return address


class Control:
    """One control address, asked again and again over one connection."""

    def __init__(
        self,
        where: Address,
        *,
        trust: Trust | None = None,
        network: Network | None = None,
        patience: float = PATIENCE,
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        self.where = where
        self._trust = trust
        self._patience = patience
        self._client = HttpClient(network or RealNetwork(), clock)

    async def statistics(self) -> dict[str, Any]:
        """What a graph that runs tells of itself.  Raises TierkitError in one line."""
        found = await self.ask("/statistics")
        if not isinstance(found.get("tiers"), dict):
            raise TierkitError(f"{self.where} answers without statistics: is it tierkit's control address?")
        return found

    async def ask(self, path: str, query: str = "") -> dict[str, Any]:
        """The JSON object at a path.  Raises TierkitError in one line."""
        where = self.where
        try:
            with trio.move_on_after(self._patience):
                url = where.with_(path=path, query=query)
                async with self._client.request("GET", url, trust=self._trust) as response:
                    status, body = response.status, await response.read(LONGEST)
                found = json.loads(body) if status == 200 else None
                if not isinstance(found, dict):
                    raise TierkitError(f"{where} answers {status} for {path}: is it tierkit's control address?")
                return found
        except UpstreamError as error:
            raise TierkitError(f"control address {where}: {error.reason}: does the graph run there?") from None
        except (ValueError, RecursionError):
            raise TierkitError(f"{where} answers what is no JSON: is it tierkit's control address?") from None
        raise TierkitError(
            f"control address {where} has not answered within {self._patience:g} s: does the graph run there?"
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


async def statistics_of(
    where: Address, *, trust: Trust | None = None, network: Network | None = None
) -> dict[str, Any]:
    """What a graph that runs tells of itself, asked once.  Raises TierkitError in one line."""
    control = Control(where, trust=trust, network=network)
    try:
        return await control.statistics()
    finally:
        control.close()
