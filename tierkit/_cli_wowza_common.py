"""What the commands in `tierkit wowza` that ask a server have in common: its address, its credentials, its ports."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import trio
import typer
from attrs import frozen

from tierkit import Address, AddressError, GraphError, RealNetwork, Trust
from tierkit.plugin import Network
from tierkit.plugins.wowza.admin import ADMIN_PORT, REST_PORT, WowzaClient, WowzaCounters, WowzaRest

__all__ = ["CREDENTIALS", "Ca", "Controls", "CredentialsFile", "Json", "controls", "credentials", "given", "ports_of"]

#: The environment variable with USER:PASSWORD: what stands on a command line, every user of the machine can read.
CREDENTIALS = "TIERKIT_WOWZA_CREDENTIALS"

CredentialsFile = Annotated[
    Path | None,
    typer.Option(
        "--credentials-file", metavar="FILE", help=f"Where USER:PASSWORD is, if not in the URL or in {CREDENTIALS}."
    ),
]
Ca = Annotated[str, typer.Option("--ca", metavar="FILE", help="Who has signed its certificate (PEM).")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of lines.")]


@frozen
class Controls:
    """The control ports of one server; None is one that is not to be asked."""

    rest: WowzaRest | None
    counters: WowzaCounters | None

    @property
    def where(self) -> str:
        """The server, as it is told: no credentials; the port, where there is only one."""
        bases = [each.client.base for each in (self.counters, self.rest) if each is not None]
        return bases[0].host if len(bases) == 2 and bases[0] != bases[1] else str(bases[0])


def given(text: str, file: Path | None = None) -> Address:
    """An address from the command line, with its credentials.  Raises AddressError, GraphError."""
    return credentials(Address.parse(text), file)


def credentials(address: Address, file: Path | None = None) -> Address:
    """The same with credentials: its own, those of a file or those in the environment.

    Raises GraphError for a file, or a variable, that is no good.
    """
    if address.username:
        return address
    said, where = os.environ.get(CREDENTIALS, ""), CREDENTIALS
    if file is not None:
        where = str(file)
        try:
            said = file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise GraphError([f"{file} cannot be read: {error}"]) from None
    if not said and file is None:
        return address
    user, colon, password = said.partition(":")
    if not colon or not user or "\n" in said:
        raise GraphError([f"no credentials are in {where}: have one line there, USER:PASSWORD"])
    return address.with_(username=user, password=password)


def ports_of(address: Address) -> tuple[Address | None, Address | None]:
    """Where REST and the counters are, by one address: both at their stock ports, or the one that it names.

    A port that is neither's may be either: then both are tried there.  Raises AddressError.
    """
    if address.wildcard:
        raise AddressError(f"{address} names no host: give HOST, HOST:PORT or a URL")
    rest = None if address.port == ADMIN_PORT else address
    return rest, None if address.port == REST_PORT else address


@asynccontextmanager
async def controls(
    rest: Address | None, admin: Address | None, *, ca: str = "", network: Network | None = None
) -> AsyncIterator[Controls]:
    """The control ports of a server, for as long as the block lasts; None is one that is not to be asked."""
    trust = Trust(ca=ca) if ca else None
    over = network or RealNetwork()
    clients = [
        None if address is None else WowzaClient(over, trio.current_time, address, port=port, trust=trust)
        for address, port in ((rest, REST_PORT), (admin, ADMIN_PORT))
    ]
    try:
        yield Controls(
            None if clients[0] is None else WowzaRest(clients[0]),
            None if clients[1] is None else WowzaCounters(clients[1]),
        )
    finally:
        for each in clients:
            if each is not None:
                each.close()
