"""A tier that looks at its Wowza's control ports: what it knows stands in the graph's statistics."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tierkit import Edge, Graph, Origin
from tierkit._check import check
from tierkit.plugins.hls import HLS
from tierkit.plugins.wowza import Wowza
from tierkit.testing import MemoryNetwork

from .tiers import crowd, edges, wowza

ADMINISTRATORS = {"monitor": "s3cret"}


@pytest.mark.assumes("admin-dash", "admin-digest-form", "admin-rates")
@pytest.mark.assumes("http-off-air", "rest-licence", "rest-machine-figures", "rest-nonce-lifetime")
async def test_what_the_server_says_of_itself_is_in_the_statistics(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()
    ports: dict[str, Any] = {"admin": "wowza.example:8086", "rest": "wowza.example:8087"}
    recipe = {"app": "live", "admin": "monitor:s3cret@:8086", "rest": "monitor:s3cret@:8087"}
    async with (
        wowza(network=network, listen="wowza.example:1935", administrators=ADMINISTRATORS, **ports) as stand_in,
        edges(network, stand_in, count=1, recipe=recipe) as tiers,
        crowd(tiers, 3) as watchers,
        trio.open_nursery() as nursery,
    ):
        for each in watchers:
            nursery.start_soon(each.watch, 3600)
        await trio.sleep(45)
        told = tiers.source("edge1")
        assert told["control"]["server"]["up"]
        assert told["control"]["server"]["version"] == "4.7.0"
        assert [(each["app"], each["name"], each["connected"]) for each in told["streams"]] == [
            ("live", "myStream", True)
        ]
        # What Wowza counts is the tier, whoever watches there.
        counted = sum(told["streams"][0]["viewers"].values())
        assert counted <= 2
        assert tiers.handles["edge1"].statistics()["tiers"]["edge1"]["upstreams"][0]["clients"] == counted
        assert "s3cret" not in str(tiers.handles["edge1"].statistics())
        assert "s3cret" not in str(tiers.events)
        stand_in.off_air("live/myStream")
        await trio.sleep(25)
        assert [each["name"] for each in tiers.source("edge1")["streams"] if each["connected"]] == []
        nursery.cancel_scope.cancel()


@pytest.mark.assumes("rest-licence", "rest-machine-figures", "rest-nonce-lifetime", "rest-streamfile-bodies")
async def test_a_stream_file_is_connected_when_somebody_wants_it(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()
    recipe = {"app": "live", "rest": "monitor:s3cret@:8087", "stream_files": True, "stream_files_grace": 30.0}
    async with (
        wowza(
            network=network, listen="wowza.example:1935", rest="wowza.example:8087", administrators=ADMINISTRATORS
        ) as stand_in,
        edges(network, stand_in, count=1, recipe=recipe) as tiers,
        crowd(tiers, 1) as (viewer,),
    ):
        stand_in.server.application("live").stream_files["camera"] = "rtsp://camera.example/1"
        path = "/live/camera.stream/playlist.m3u8"
        start = trio.current_time()
        while (await viewer.get(path))[0] != 200:
            await trio.sleep(2)
            assert trio.current_time() - start < 60
        await viewer.watch(40, path)
        assert viewer.trouble == []
        assert tiers.source("edge1")["control"]["files_open"] == 1
        await trio.sleep(120)
        assert tiers.source("edge1")["control"]["files_open"] == 0
        assert not [each for _, each in stand_in.server.streams() if each.name == "camera.stream" and each.is_connected]


def test_its_options_are_checked_and_its_credentials_shown_nowhere() -> None:
    def problems(**options: Any) -> list[str]:
        origin = Origin("w", "wowza.example:1935", speaks=Wowza(**options))
        return check(Graph.of(Edge("e", upstream=origin, listen=":80", serves=HLS())))

    assert problems(stream_files=True) == [
        "w: wowza: option stream_files needs rest: give the address of the REST interface, such as ':8087'"
    ]
    (line,) = problems(admin="rtmp://me:s3cret@h")
    assert "s3cret" not in line
    assert "give [USER:PASSWORD@]HOST[:PORT]" in line
    assert problems(admin="me:s3cret@:8086", rest=":8087") == []
    assert "s3cret" not in repr(Wowza(admin="me:s3cret@:8086"))
