"""Graphs that run elsewhere, seen by their control addresses as one handle.

Each address is asked once a second, over one connection, by itself: a machine that hangs holds nobody else up.  What
was told last stays, with how long ago that was; after `SILENT` seconds its tiers count as "unheard".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import trio
from attrs import define, field

from tierkit import Address, Graph, Registry, Trust
from tierkit.errors import LocalProtocolError, TierkitError
from tierkit.events import Event
from tierkit.plugin import Network

from ._cli_afar import Afar
from ._cli_control import Control
from ._cli_reports import gathered

__all__ = ["EVERY", "SILENT", "Remotes"]

#: Seconds between two questions to one address, and for one answer.
EVERY = 1.0
PATIENCE = 5.0
#: Seconds without an answer after which its tiers are no longer vouched for.
SILENT = 5.0


@define
class _Remote:
    told: dict[str, Any] = field(factory=dict)
    heard_at: float = 0.0
    #: Why it does not answer; empty while it does.
    trouble: str = "it was not asked yet"


class Remotes(Afar):
    """What runs at several control addresses.  Run `listen` beside it.

    Args:
        addresses: dialable, as `dialled` makes them.
        graph: the plan where that is known; without one, what the addresses tell is all there is.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        graph: Graph | None = None,
        registry: Registry | None = None,
        trust: Trust | None = None,
        network: Network | None = None,
    ) -> None:
        super().__init__(graph or Graph.of(), registry, network)
        self._trust = trust
        self._remotes = {address: _Remote() for address in addresses}

    async def listen(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ask every address once a second, until cancelled; started once each was asked for the first time."""
        first = {address: trio.Event() for address in self._remotes}
        async with trio.open_nursery() as nursery:
            for address, remote in self._remotes.items():
                nursery.start_soon(self._keep_asking, address, remote, first[address], name=f"asks {address}")
            for event in first.values():
                await event.wait()
            task_status.started()

    async def _keep_asking(self, address: Address, remote: _Remote, asked: trio.Event) -> None:
        control = Control(address, trust=self._trust, network=self.network, patience=PATIENCE)
        due = trio.current_time()
        try:
            while True:
                try:
                    remote.told, remote.trouble = await control.statistics(), ""
                    remote.heard_at = trio.current_time()
                except TierkitError as error:
                    remote.trouble = str(error)
                asked.set()
                due = max(due + EVERY, trio.current_time())
                await trio.sleep_until(due)
        finally:
            control.close()

    @property
    def troubles(self) -> list[str]:
        """What is wrong with those that do not answer, a line each."""
        return [each.trouble for each in self._remotes.values() if each.trouble]

    # --- as a handle -----------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether every address answers, and says that it is."""
        return all(not each.trouble and _process(each).get("ready") is True for each in self._remotes.values())

    def addresses(self, tier: str) -> tuple[Address, ...]:
        """Where a tier is bound, as its machine has told."""
        told = self.statistics()["tiers"].get(tier, {})
        return tuple(map(Address.parse, told.get("addresses", ())))

    def statistics(self) -> dict[str, Any]:
        """What all have told last, in the shape of one process's statistics."""
        tiers: dict[str, Any] = {}
        processes: dict[str, Any] = {}
        for address, remote in self._remotes.items():
            ago = trio.current_time() - remote.heard_at if remote.told else None
            silent = ago is None or ago > SILENT
            for name, tier in remote.told.get("tiers", {}).items():
                if isinstance(tier, dict):
                    tiers[name] = {**tier, "state": "unheard"} if silent else tier
            told = remote.told.get("processes")
            several = told if isinstance(told, dict) else {str(address): remote.told.get("process", {})}
            for name, process in several.items():
                if isinstance(process, dict):
                    processes[name] = {**process, "alive": not silent and process.get("alive", True), "told_ago": ago}
        own = [event for remote in self._remotes.values() for event in _events(remote)]
        process = {"ready": self.ready, "events": gathered(own, processes)}
        return {"process": process, "processes": processes, "tiers": tiers}

    async def purge(self, pattern: str, *, soft: bool = False, tiers: Sequence[str] = ()) -> dict[str, int | None]:
        """Not from here.  Raises LocalProtocolError."""
        _not_from_here()

    async def kick(self, pattern: str, *, tiers: Sequence[str] = ()) -> dict[str, int | None]:
        """Not from here.  Raises LocalProtocolError."""
        _not_from_here()

    def emit(self, event: Event) -> None:
        """Nothing happens here that anybody has to know."""


def _process(remote: _Remote) -> dict[str, Any]:
    found = remote.told.get("process")
    return found if isinstance(found, dict) else {}


def _events(remote: _Remote) -> list[dict[str, Any]]:
    """What a machine with several processes tells of all together; one process's own come with that."""
    several = isinstance(remote.told.get("processes"), dict)
    told = _process(remote).get("events") if several else None
    return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []


def _not_from_here() -> NoReturn:
    raise LocalProtocolError("this only looks: ask the machine's own control address")
