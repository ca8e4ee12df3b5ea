"""The two control ports of a Wowza, opened for one tier: what its source plugs in.

async with open_administration(
    ctx.network, ctx.clock, admin=..., rest=..., app=recipe.app, run_sync=ctx.run_sync, tell=...
) as administration:
    await administration.wanted(path)            # in `target`: connects a stream file, waits a moment at most
    administration.knowing.on_air("live", "s")   # True, False, or None where nobody knows
    administration.statistics()
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import unquote

import trio
from attrs import evolve, field, frozen

from tierkit import AddressError
from tierkit.codecs.http_auth import Authentication
from tierkit.codecs.wowza_counts import DEFAULT_INSTANCE
from tierkit.plugin import Address, LocalProtocolError, Network, Trust

from ._client import RunSync, WowzaClient
from ._counters import ADMIN_PORT, WowzaCounters
from ._knowing import PERIOD, Knowing
from ._known import KnowingStatistics
from ._rest import REST_PORT, WowzaRest
from ._stream_files import StreamFiles

__all__ = ["Administration", "AdministrationStatistics", "control_address", "control_problem", "open_administration"]


@frozen(kw_only=True)
class AdministrationStatistics:
    """What the control ports tell, and what was done by them."""

    #: Of the server.
    server: KnowingStatistics = field(metadata={"merge": "max"})
    #: Stream files connected here and not yet disconnected.
    files_open: int = field(default=0, metadata={"merge": "sum"})
    #: Stream files connected and disconnected so far, and questions about them that had no usable answer.
    files_connected: int = field(default=0, metadata={"merge": "sum"})
    files_disconnected: int = field(default=0, metadata={"merge": "sum"})
    files_failed: int = field(default=0, metadata={"merge": "sum"})


@frozen(eq=False)
class Administration:
    """The control ports at work."""

    knowing: Knowing
    #: None where stream files are left alone.
    files: StreamFiles | None = None

    async def wanted(self, path: str) -> None:
        """Somebody wants what is at a path of ours (``/app/name/...``): its stream file is connected where it has one.

        Costs nothing, and waits for nothing, where there are no stream files or it is connected already; see
        `StreamFiles.wanted`.
        """
        parts = path.partition("?")[0].strip("/").split("/")
        if self.files is None or len(parts) < 2:
            return
        # The instance stands between the two, where it is said; a stream file's name has no directory.
        for at in (1, 2):
            if len(parts) > at and parts[at].endswith(".stream"):
                instance = unquote(parts[1]) if at == 2 else DEFAULT_INSTANCE
                await self.files.wanted(unquote(parts[0]), unquote(parts[at]), instance)
                return

    def statistics(self) -> AdministrationStatistics:
        """What is known now, and what was done."""
        found = AdministrationStatistics(server=self.knowing.statistics())
        if self.files is None:
            return found
        return evolve(
            found,
            files_open=self.files.open,
            files_connected=self.files.connected,
            files_disconnected=self.files.disconnected,
            files_failed=self.files.failures,
        )


def control_address(text: str, of: Address) -> Address:
    """A control address as it stands in an option; without a host, that of the server itself is meant.

    Raises AddressError.
    """
    address = Address.parse(text)
    return address.with_(host=of.host) if not address.host and not address.unix else address


def control_problem(text: str) -> str:
    """Why this is no control address, without its credentials; "" where it is one."""
    try:
        address = Address.parse(text)
        if address.scheme not in ("", "http", "https") or address.unix:
            return f"{address} is no control address: give [USER:PASSWORD@]HOST[:PORT]"
        Authentication(address.username, address.password)
    except (AddressError, LocalProtocolError) as error:
        return str(error)
    return ""


@asynccontextmanager
async def open_administration(
    network: Network,
    clock: Callable[[], float],
    *,
    admin: Address | None = None,
    rest: Address | None = None,
    trust: Trust | None = None,
    app: str = "",
    period: float = PERIOD,
    run_sync: RunSync | None = None,
    stream_files: bool = False,
    grace: float = 60.0,
    caster: str = "rtp",
    tell: Callable[[str], None] = lambda line: None,
) -> AsyncIterator[Administration]:
    """Look at a server for as long as the block lasts, and connect its stream files on demand.

    Args:
        admin, rest: the control ports, with their credentials; None for one that is not to be asked.
        app: the only application that matters; "" for all.
        period: seconds between two looks.
        run_sync: reads large answers in a thread (`Context.run_sync`).
        stream_files: whether to connect stream files, which needs `rest`.
        grace, caster: of `StreamFiles`.
        tell: is told in a line what a person should know.
    """
    clients = [
        None if address is None else WowzaClient(network, clock, address, port=port, trust=trust, run_sync=run_sync)
        for address, port in ((admin, ADMIN_PORT), (rest, REST_PORT))
    ]
    counters = None if clients[0] is None else WowzaCounters(clients[0])
    manager = None if clients[1] is None else WowzaRest(clients[1])
    knowing = Knowing(clock, counters=counters, rest=manager, app=app, period=period, tell=tell)
    files = None
    if stream_files and manager is not None:
        files = StreamFiles(manager, clock, app=app, grace=grace, caster=caster, tell=tell)
    try:
        async with trio.open_nursery() as nursery:
            if counters is not None or manager is not None:
                nursery.start_soon(knowing.run, name="knows wowza")
            if files is not None:
                nursery.start_soon(files.run, name="wowza's stream files")
            yield Administration(knowing, files)
            nursery.cancel_scope.cancel()
    finally:
        for client in clients:
            if client is not None:
                client.close()
