"""Wowza's counters on its administration port (8086): the only figures that a server of 2013 has."""

from __future__ import annotations

import re
from typing import Final

from tierkit.codecs.wowza_counts import Counts, read_counts
from tierkit.codecs.wowza_xml import plain

from ._client import WowzaClient

__all__ = ["ADMIN_PORT", "WowzaCounters", "product_in"]

#: Of the administration port on a stock server.
ADMIN_PORT: Final = 8086

_TAG = re.compile(r"<[^<>]{0,200}>")
_PRODUCT = re.compile(r"Wowza [^<>\r\n]{3,120}")


class WowzaCounters:
    """The administration port of one server.  Every method raises WowzaFailure."""

    def __init__(self, client: WowzaClient) -> None:
        self.client = client

    async def counts(self) -> Counts:
        """Who plays what, by stream and protocol: `connectioncounts`."""
        return (await self.client.look(read_counts, "connectioncounts", "/connectioncounts"))[0]

    async def info(self) -> Counts:
        """The same with a row for each client: `serverinfo`.  Larger; for a report, not for every few seconds."""
        return (await self.client.look(read_counts, "serverinfo", "/serverinfo"))[0]

    async def product(self) -> str:
        """What the server calls itself on its first page, which needs no password; "" where it says nothing."""
        answer = await self.client.get("/")
        return product_in(answer.body)


def product_in(page: bytes) -> str:
    """The product's name in the page at ``/``, whose HTML is recorded nowhere."""
    match = _PRODUCT.search(_TAG.sub("\n", page[:65536].decode("utf-8", "replace")))
    return plain(match.group(0).strip()) if match else ""
