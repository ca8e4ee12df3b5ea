"""How commands ask the control address of a graph that runs."""

from __future__ import annotations

import json
from typing import Any

import trio

from tierkit import Address, Trust
from tierkit.errors import AddressError, TierkitError, UpstreamError
from tierkit.plugin import Network
from tierkit.reporting import Asker

__all__ = ["Control", "dialled", "statistics_of"]

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
    ) -> None:
        self.where = where
        self._patience = patience
        self._asker = Asker(where, trust=trust, network=network, patience=patience)

    async def statistics(self) -> dict[str, Any]:
        """What a graph that runs tells of itself.  Raises TierkitError in one line."""
        where = self.where
        try:
            status, body = await self._asker.get("/statistics")
            found = json.loads(body) if status == 200 else None
        except UpstreamError as error:
            raise TierkitError(f"control address {where}: {error.reason}: does the graph run there?") from None
        except trio.TooSlowError:
            late = f"has not answered within {self._patience:g} s"
            raise TierkitError(f"control address {where} {late}: does the graph run there?") from None
        except (ValueError, RecursionError):
            raise TierkitError(f"{where} answers what is no JSON: is it tierkit's control address?") from None
        if not isinstance(found, dict) or not isinstance(found.get("tiers"), dict):
            raise TierkitError(f"{where} answers {status} without statistics: is it tierkit's control address?")
        return found

    def close(self) -> None:
        """Let go of the connection."""
        self._asker.close()


async def statistics_of(
    where: Address, *, trust: Trust | None = None, network: Network | None = None
) -> dict[str, Any]:
    """What a graph that runs tells of itself, asked once.  Raises TierkitError in one line."""
    control = Control(where, trust=trust, network=network)
    try:
        return await control.statistics()
    finally:
        control.close()
