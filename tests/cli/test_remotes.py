"""Several control addresses seen as one handle."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from tierkit import Address, Edge, Graph, Listener, Origin, Registry, open_graph
from tierkit._cli_remotes import EVERY, PATIENCE, SILENT, Remotes
from tierkit.errors import LocalProtocolError
from tierkit.plugins import control
from tierkit.testing import MemoryNetwork

from ..core.fakes import Echo

ORIGIN = Origin("o", "http://o")
A = Edge("a", site="dc-a", upstream=ORIGIN, listen="http://127.0.0.1:80", serves=Echo())
B = Edge("b", site="dc-b", upstream=ORIGIN, listen="http://127.0.0.1:81", serves=Echo())
AT_A, AT_B = Address.parse("http://127.0.0.1:9000"), Address.parse("http://127.0.0.1:9001")


@asynccontextmanager
async def running(network: MemoryNetwork, tier: Edge, where: Address) -> AsyncIterator[None]:
    registry = Registry()
    registry.add("control", control)
    async with open_graph(Graph.of(tier, control=where), network=network, registry=registry, threads=False):
        yield


@asynccontextmanager
async def watched(network: MemoryNetwork, *addresses: Address) -> AsyncIterator[Remotes]:
    remotes = Remotes(addresses, network=network)
    async with trio.open_nursery() as nursery:
        await nursery.start(remotes.listen)
        yield remotes
        nursery.cancel_scope.cancel()


async def test_two_machines_are_one_graph(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()
    async with running(network, A, AT_A), running(network, B, AT_B), watched(network, AT_A, AT_B) as remotes:
        found = remotes.statistics()
        assert {name: (tier["site"], tier["state"]) for name, tier in found["tiers"].items()} == {
            "a": ("dc-a", "running"),
            "b": ("dc-b", "running"),
        }
        assert set(found["processes"]) == {str(AT_A), str(AT_B)}
        assert all(each["alive"] and each["cpu_seconds"] > 0 for each in found["processes"].values())
        assert remotes.ready
        assert remotes.troubles == []
        assert remotes.addresses("b") == (Address.parse("http://127.0.0.1:81"),)
        assert [each["text"] for each in found["process"]["events"]] == [
            "a is ready on http://127.0.0.1:80",
            "b is ready on http://127.0.0.1:81",
        ]
        assert json.loads(json.dumps(found)) == found


async def test_figures_are_a_second_old_at_most(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()
    async with running(network, A, AT_A), watched(network, AT_A) as remotes:
        assert remotes.statistics()["tiers"]["a"]["connections"] == 0
        viewer = await network.connect(Address.parse("http://127.0.0.1:80"))
        await viewer.send_all(b"hello\n")
        await trio.sleep(EVERY + 0.1)
        assert remotes.statistics()["tiers"]["a"]["connections"] == 1
        viewer.close()


async def test_a_machine_that_is_gone_is_unheard_and_then_back(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()
    async with running(network, B, AT_B), watched(network, AT_A, AT_B) as remotes:
        (trouble,) = remotes.troubles
        assert trouble.startswith("control address http://127.0.0.1:9000: ")
        assert trouble.endswith("does the graph run there?")
        assert set(remotes.statistics()["tiers"]) == {"b"}
        assert not remotes.ready
        async with running(network, A, AT_A):
            await trio.sleep(EVERY + 0.1)
            assert remotes.ready
        await trio.sleep(SILENT + EVERY)
        found = remotes.statistics()
        assert found["tiers"]["a"]["state"] == "unheard"
        assert found["tiers"]["b"]["state"] == "running"
        assert found["processes"][str(AT_A)]["alive"] is False
        assert found["processes"][str(AT_A)]["told_ago"] > SILENT


async def test_one_that_hangs_holds_nobody_up(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()
    hangs = await network.listen(Listener.parse(str(AT_A)))
    async with running(network, B, AT_B):
        remotes = Remotes([AT_A, AT_B], network=network)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(remotes.listen)
            await trio.sleep(EVERY * 2.5)
            assert remotes.statistics()["tiers"]["b"]["state"] == "running"
            await trio.sleep(PATIENCE)
            (trouble,) = remotes.troubles
            assert "has not answered within 5 s" in trouble
            nursery.cancel_scope.cancel()
    hangs.close()


async def test_nothing_is_changed_from_afar() -> None:
    remotes = Remotes([AT_A], network=MemoryNetwork())
    with pytest.raises(LocalProtocolError, match="only looks"):
        await remotes.purge("/x")
    with pytest.raises(LocalProtocolError, match="only looks"):
        await remotes.kick("x")
    assert remotes.running("a") == {}
    assert remotes.control_routes() == ()
