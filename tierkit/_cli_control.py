"""How commands ask the control address of a graph that runs."""

from __future__ import annotations

import json
from typing import Any

import trio

from tierkit import Address, RealNetwork, Trust
from tierkit.errors import AddressError, TierkitError, UpstreamError
from tierkit.http import HttpClient
from tierkit.plugin import Network

__all__ = ["dialled", "statistics_of"]

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


async def statistics_of(
    where: Address, *, trust: Trust | None = None, network: Network | None = None
) -> dict[str, Any]:
    """What a graph that runs tells of itself.  Raises TierkitError in one line."""
    client = HttpClient(network or RealNetwork(), trio.current_time)
    try:
        with trio.move_on_after(PATIENCE):
            async with client.request("GET", where.with_(path="/statistics"), trust=trust) as response:
                status, body = response.status, await response.read(LONGEST)
            found = json.loads(body) if status == 200 else None
            if not isinstance(found, dict) or not isinstance(found.get("tiers"), dict):
                raise TierkitError(f"{where} answers {status} without statistics: is it tierkit's control address?")
            return found
    except UpstreamError as error:
        raise TierkitError(f"control address {where}: {error.reason}: does the graph run there?") from None
    except (ValueError, RecursionError):
        raise TierkitError(f"{where} answers what is no JSON: is it tierkit's control address?") from None
    finally:
        client.close()
    raise TierkitError(f"control address {where} has not answered within {PATIENCE:g} s: does the graph run there?")
