"""Viewers' tokens before a Wowza: looked at by the edge, never seen by the server; and one of ours for a fenced one."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio
from trio.testing import MockClock

from tests.core.rig import opened as graph_opened
from tests.support_http import Answer, dial
from tierkit import Address, Edge, Graph, Origin
from tierkit.codecs.wowza_token import SecureToken, resign
from tierkit.codecs.wowza_token_name import read_name, write_name
from tierkit.errors import NotServed
from tierkit.plugins.hls import HLS
from tierkit.plugins.wowza import LiveWowza, Wowza
from tierkit.testing import MemoryNetwork
from tierkit.testing.wowza import Mode

from .stand_in import PLAYLIST, opened

TOKEN = SecureToken("mySharedSecret")
SOON = 2_000_000_000


def listed(answer: Answer) -> list[str]:
    return [line for line in answer.body.decode().splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("mode", list(Mode))
async def test_what_an_origin_that_asks_for_tokens_is_asked_for(mode: Mode, autojump_clock: MockClock) -> None:
    async with opened(mode=mode) as (stand_in, viewer):
        stand_in.server.applications["live"].token = TOKEN
        query = resign(PLAYLIST, "", TOKEN, stand_in.server.wall())
        playlist = await viewer.get(f"{PLAYLIST}?{query}")
        assert playlist.status == 200
        name = playlist.uris[0].rpartition("/")[2].partition("?")[0]
        plain, told = read_name(name)
        assert TOKEN.verify("live/myStream", told, stand_in.server.wall()).end is not None
        assert write_name(plain, told) == name
        chunklist = await viewer.get(playlist.uris[0])
        assert [(await viewer.get(each)).status for each in (chunklist.target, chunklist.uris[0])] == [200, 200]
        assert (await viewer.get(PLAYLIST)).status == 403


@pytest.mark.parametrize("mode", list(Mode))
async def test_viewers_tokens_end_at_the_edge(mode: Mode, tmp_path: Path, autojump_clock: MockClock) -> None:
    (tmp_path / "keys").write_text("wowza mySharedSecret\n")
    network = MemoryNetwork()
    async with opened(network, mode=mode) as (stand_in, _):
        wowza = Origin("wowza", stand_in.address.with_(scheme="http"), speaks=Wowza(app="live"))
        serves = HLS(signing="wowza", signing_keys=str(tmp_path / "keys"), prefetch=False)
        edge = Edge("edge", upstream=wowza, listen="http://edge.example:80", serves=serves)
        async with graph_opened(Graph.of(edge), network=network, drain=1) as rig:

            async def get(target: str) -> Answer:
                viewer = await dial(network, str(rig.handle.addresses("edge")[0]))
                answer = await viewer.ask(target)
                viewer.connection.close()
                return answer

            assert [(await get(each)).status for each in (PLAYLIST, f"{PLAYLIST}?wowzatokenhash=x")] == [403, 403]
            assert stand_in.requests == []
            for user in range(20):
                token = TOKEN.sign("live/myStream", end=SOON, custom={"user": str(user)})
                (chunklist,) = listed(await get(f"{PLAYLIST}?{token}"))
                assert chunklist.endswith(f".m3u8?{token}")
                segments = listed(await get(f"/live/myStream/{chunklist}"))
                answer = await get(f"/live/myStream/{segments[0]}")
                assert answer.status == 200
                assert answer.body[:1] == b"G"
            asked = [each.target for each in stand_in.requests]
            assert not any("wowzatoken" in each or "_tk" in each for each in asked)
            assert sum("/media" in each for each in asked) == 1
            assert sum("/chunklist" in each for each in asked) == 1


@pytest.mark.parametrize("mode", list(Mode))
async def test_a_server_that_asks_tiers_for_tokens_too(
    mode: Mode, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, token = MemoryNetwork(), SecureToken("mySharedSecret", "t", "sha512", bound=True)
    async with opened(network, mode=mode) as (stand_in, _):
        # Our clock is theirs.
        monkeypatch.setattr("tierkit.plugins.wowza._live.time", SimpleNamespace(time=stand_in.server.wall))
        stand_in.server.applications["live"].token = token
        options = {"signing_prefix": "t", "signing_algorithm": "sha512", "signing_address": "127.0.0.1"}
        speaks = Wowza(app="live", signing_secret="mySharedSecret", **options)
        assert "mySharedSecret" not in repr(speaks)
        wowza = Origin("wowza", stand_in.address.with_(scheme="http"), speaks=speaks)
        edge = Edge("edge", upstream=wowza, listen="http://edge.example:80", serves=HLS(prefetch=False))
        async with graph_opened(Graph.of(edge), network=network, drain=1) as rig:
            viewer = await dial(network, str(rig.handle.addresses("edge")[0]))
            for _ in range(25):  # two hours
                (chunklist,) = listed(await viewer.ask(PLAYLIST))
                (*_, newest) = listed(await viewer.ask(f"/live/myStream/{chunklist}"))
                assert (await viewer.ask(f"/live/myStream/{newest}")).status == 200
                assert not any("_tk" in each or "?" in each for each in (chunklist, newest))
                for _ in range(10):
                    await trio.sleep(29)
                    assert (await viewer.ask(f"/live/myStream/{chunklist}")).status == 200
            viewer.connection.close()
            shown = repr(rig.events) + "".join(each.text for each in rig.events) + repr(rig.handle.statistics())
            assert "thash=" not in shown
            queries = {each.target.partition("?")[2] for each in stand_in.requests}
            assert len(queries) == 3
            assert {each.status for each in stand_in.requests} == {200}


async def test_what_is_signed_and_what_is_not() -> None:
    recipe = Wowza(signing_secret="mySharedSecret", instance="second")
    source = LiveWowza(recipe, "wowza", Address.parse("wowza.example:1935"), clock=lambda: 0.0)
    now = time.time()
    rtmp = await source.target("/live/myStream?DVR", ("rtmp",))
    assert rtmp.path == "/live/second/myStream"
    assert TOKEN.verify("live/second/myStream", rtmp.query, now).end is not None
    http = await source.target("/live/myStream/playlist.m3u8?DVR&x=1", ("http",))
    assert http.query.startswith("DVR&wowzatoken")
    assert TOKEN.verify("live/second/myStream", http.query, now).end is not None
    assert "wowzatoken" not in repr(http) + str(http)
    for path in ("/", "/crossdomain.xml", "/live"):
        assert (await source.target(path, ("http",))).query == ""
    with pytest.raises(NotServed, match="cannot be signed"):
        await source.target("/live/s/..;/x/playlist.m3u8", ("http",))


def test_a_prefix_that_no_parameter_begins_with_is_a_problem_of_the_graph() -> None:
    (problem,) = Wowza(signing_prefix="a&b").problems()
    assert "option signing_prefix: 'a&b' begins no parameter" in problem
