"""The control client, what is known by it and the shield's report, against the stand-in."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import frozen
from trio.testing import MockClock

from tierkit import Address, Edge, Graph, Origin, RealNetwork, open_graph
from tierkit.codecs.wowza_counts import DEFAULT_INSTANCE
from tierkit.http import HttpClient
from tierkit.plugins.hls import HLS
from tierkit.plugins.wowza import Wowza
from tierkit.plugins.wowza.admin import (
    Administration,
    WowzaClient,
    WowzaCounters,
    WowzaFailure,
    WowzaRest,
    open_administration,
)
from tierkit.testing import MemoryNetwork
from tierkit.testing.wowza import PROFILES, Mode, StandIn, open_wowza

from ..cli.support import tierkit_

AT = {"listen": "wowza:1935", "admin": "wowza:8086", "rest": "wowza:8087"}
WITH_REST = [name for name, profile in PROFILES.items() if profile.rest]
PLAYLIST = "/live/myStream/playlist.m3u8"


@frozen
class Rig:
    network: MemoryNetwork
    stand_in: StandIn
    rest: WowzaRest
    counters: WowzaCounters

    async def watch(self) -> list[str]:
        """Somebody asks for the master playlist, and so has a session; the children that it names."""
        client = HttpClient(self.network, trio.current_time)
        url = Address.parse(f"http://wowza:1935{PLAYLIST}")
        async with client.request("GET", url) as response:
            lines = (await response.read(65536)).decode().splitlines()
        client.close()
        return [line for line in lines if not line.startswith("#")]


@asynccontextmanager
async def opened(profile: str, user: str = "admin:admin", **more: object) -> AsyncIterator[Rig]:
    network = MemoryNetwork()
    async with open_wowza(network=network, profile=profile, **{**AT, **more}) as stand_in:  # type: ignore[arg-type]

        def client(port: int) -> WowzaClient:
            return WowzaClient(network, trio.current_time, Address.parse(f"{user}@wowza"), port=port)

        yield Rig(network, stand_in, WowzaRest(client(8087)), WowzaCounters(client(8086)))


@pytest.mark.parametrize("profile", PROFILES)
async def test_the_counters_of_every_profile(autojump_clock: MockClock, profile: str) -> None:
    async with opened(profile) as rig:
        for _ in range(3):
            await rig.watch()
        counts = await rig.counters.counts()
        assert counts.applications == {"live": "loaded"}
        (stream,) = counts.streams
        assert (stream.app, stream.instance, stream.name) == ("live", DEFAULT_INSTANCE, "myStream")
        assert (stream.sessions["hls"], stream.total) == (3, 3)
        assert len((await rig.counters.info()).clients) == 3
        assert await rig.counters.product() == PROFILES[profile].product


@pytest.mark.parametrize("profile", WITH_REST)
async def test_the_rest_of_every_profile_that_has_one(autojump_clock: MockClock, profile: str) -> None:
    async with opened(profile) as rig:
        await rig.watch()
        status = await rig.rest.status()
        assert (status.version, status.build) == (PROFILES[profile].version, PROFILES[profile].build)
        assert [each.name for each in await rig.rest.applications()] == ["live"]
        (stream,) = await rig.rest.incoming()
        assert (stream.path, stream.connected) == ("live/myStream", True)
        assert (await rig.rest.traffic("live", stream="myStream")).by_protocol["hls"] == 1
        assert (await rig.rest.machine()).uptime is not None
        assert rig.rest.client.scheme == PROFILES[profile].rest_authentication
        assert not rig.rest.speaks_xml
        # Zeros for a name that is not there, which is no sign of life.
        assert (await rig.rest.traffic("live", stream="nobody")).connections == 0
        assert await rig.rest.stream("live", "nobody") is None
        rig.stand_in.off_air("live/myStream")
        assert await rig.rest.stream("live", "myStream") is None
        with pytest.raises(WowzaFailure, match="has nothing there") as caught:
            await rig.rest.instances("nowhere")
        assert caught.value.kind == "missing"


@pytest.mark.parametrize("profile", WITH_REST)
async def test_the_same_facts_from_the_xml_that_comes_instead(autojump_clock: MockClock, profile: str) -> None:
    """As where the Accept field is not understood: every body of the stand-in, read from JSON and from XML."""
    async with opened(profile, streams=("live/a", "live/b", "vod/_inst_/c")) as rig:
        plain = [await rig.rest.status(), await rig.rest.applications(), await rig.rest.incoming()]
        ask = rig.rest.client.ask

        async def as_xml(method: str, path: str, *query: str, accept: str = "", body: bytes | None = None) -> object:
            return await ask(method, path, *query, accept="*/*", body=body)

        rig.rest.client.ask = as_xml  # type: ignore[method-assign,assignment]
        found = [await rig.rest.status(), await rig.rest.applications(), await rig.rest.incoming()]
        assert rig.rest.speaks_xml
        assert found == plain


async def test_nonces_are_renewed_without_anybody_noticing(autojump_clock: MockClock) -> None:
    async with opened("wse47") as rig:
        for _ in range(5):
            await rig.rest.status()
            await trio.sleep(290)
        statuses = [each.status for each in rig.stand_in.log.requests if each.port == "rest"]
        assert statuses.count(200) == 5
        assert 2 <= statuses.count(401) <= 5


@pytest.mark.parametrize("port", ["admin", "rest"])
async def test_wrong_credentials(autojump_clock: MockClock, port: str) -> None:
    async with opened("wse47", user="admin:wr0ng") as rig:
        with pytest.raises(WowzaFailure, match="does not take this user and password") as caught:
            await (rig.counters.counts() if port == "admin" else rig.rest.status())
        assert "wr0ng" not in str(caught.value)
        assert len([each for each in rig.stand_in.log.requests if each.port == port]) == 2


# --- known by it ---------------------------------------------------------------------------------


async def known_after(administration: Administration, seconds: float) -> tuple[bool | None, int, bool]:
    await trio.sleep(seconds)
    told = administration.statistics().server
    return administration.knowing.on_air("live", "myStream"), told.viewers, told.up


async def test_what_a_tier_knows_follows_the_server(autojump_clock: MockClock) -> None:
    lines: list[str] = []
    async with opened("wse47") as rig:
        control = Address.parse("admin:admin@wowza")
        async with open_administration(
            rig.network, trio.current_time, admin=control, rest=control, period=25, tell=lines.append
        ) as administration:
            assert await known_after(administration, 1) == (True, 0, True)
            await rig.watch()
            assert await known_after(administration, 30) == (True, 1, True)
            rig.stand_in.off_air("live/myStream")
            assert (await known_after(administration, 30))[0] is False
            rig.stand_in.publish("live/myStream")
            assert (await known_after(administration, 30))[0] is True
            for port in (8086, 8087):
                rig.network.fault(f"http://wowza:{port}", refuse=True)
            assert await known_after(administration, 100) == (None, 0, False)
            for port in (8086, 8087):
                rig.network.heal(f"http://wowza:{port}")
            assert (await known_after(administration, 150))[::2] == (True, True)
        assert len(lines) == 2
        assert lines[1] == "answers again"


async def test_stream_files_on_demand(autojump_clock: MockClock) -> None:
    lines: list[str] = []
    async with opened("wse47", streams=()) as rig:
        rig.stand_in.server.application("live").stream_files["cam 1"] = "rtsp://192.0.2.1/"
        control = Address.parse("admin:admin@wowza")
        async with open_administration(
            rig.network, trio.current_time, rest=control, stream_files=True, grace=30, tell=lines.append
        ) as administration:
            assert administration.files is not None
            await trio.testing.wait_all_tasks_blocked()
            await administration.wanted("/live/none.stream/playlist.m3u8")
            assert await rig.rest.incoming() == ()
            await administration.wanted("/live/_definst_/cam%201.stream/chunklist_w1.m3u8?x")
            assert await rig.rest.stream("live", "cam 1.stream") is not None
            assert administration.statistics().files_open == 1
            await trio.sleep(40)
            assert await rig.rest.stream("live", "cam 1.stream") is None
        assert lines == [
            "stream file live/cam 1.stream connected: somebody wants it",
            "stream file live/cam 1.stream disconnected: nobody wants it",
        ]
        assert administration.statistics().files_disconnected == 1


# --- the shield, end to end ----------------------------------------------------------------------

GRAPH = """
from tierkit import Edge, Graph, Origin
from tierkit.plugins.hls import HLS
from tierkit.plugins.wowza import Wowza

wowza = Origin("wowza", "{wowza}", speaks=Wowza(app="live"))
graph = Graph.of(Edge("edge", upstream=wowza, listen=":80", serves=HLS()), control="{control}")
"""


async def fetched(where: str, target: str, local: str = "127.0.0.1") -> bytes:
    """GET by hand, so that the address it comes from can be chosen."""
    host, _, port = where.rpartition(":")
    async with await trio.open_tcp_stream(host, int(port), local_address=local) as stream:
        await stream.send_all(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        found = b""
        async for piece in stream:
            found += piece
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("mode", [Mode.sessions, Mode.origin])
async def test_the_shield(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode) -> None:
    monkeypatch.setenv("TIERKIT_WOWZA_CREDENTIALS", "admin:admin")
    async with open_wowza(network=RealNetwork(), mode=mode) as stand_in:
        wowza = stand_in.address.authority
        origin = Origin("wowza", wowza, speaks=Wowza(app="live"))
        edge = Edge("edge", upstream=origin, listen="http://127.0.0.1:0", serves=HLS())
        control = f"127.0.0.1:{free_port()}"
        async with open_graph(Graph.of(edge, control=control)) as handle:
            door = handle.addresses("edge")[0].authority
            for _ in range(5):
                assert b"200 OK" in await fetched(door, PLAYLIST)
            assert b"200 OK" in await fetched(wowza, PLAYLIST + "?token=hush", local="127.0.0.2")
            file = tmp_path / "graph.py"
            file.write_text(GRAPH.format(wowza=wowza, control=control))
            arguments = ("wowza", "shield", file, "--wowza", stand_in.admin_address.authority)
            found = await trio.to_thread.run_sync(lambda: tierkit_(*arguments))
            as_json = await trio.to_thread.run_sync(lambda: tierkit_(*arguments, "--json"))
    assert found.err == []
    (told,) = json.loads("".join(as_json.out))["origins"]
    assert told["bytes_from_wowza"] > 0
    assert told["bytes_to_viewers"] > told["bytes_from_wowza"]
    assert "hush" not in "".join(found.out)
    if mode is Mode.sessions:
        assert found.code == 1
        # To find out the mode, a source may begin a second session: the tier's all the same.
        assert told["tier_clients"] in (1, 2)
        assert (told["clients"], told["counts_hls"]) == (told["tier_clients"] + 1, True)
        (straggler,) = told["stragglers"]
        assert (straggler["address"], straggler["protocol"]) == ("127.0.0.2", "hls")
        assert straggler["uri"] == "live/myStream/playlist.m3u8"
    else:
        assert found.code == 0
        assert (told["clients"], told["counts_hls"], told["stragglers"]) == (0, False, [])
        assert any("not counted     HLS" in line for line in found.out)
