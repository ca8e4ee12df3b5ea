"""Access logs of real services on the network in memory, and the id that a request has from tier to tier."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.core.rig import opened
from tests.rtmp.media import gop
from tests.rtmp.rig import join, published, relay, send, studio, url
from tests.support_http import Viewer, open_server
from tierkit import AccessLog, Address, Edge, Graph
from tierkit.http import Request, Response
from tierkit.plugins.flv import FLV
from tierkit.plugins.hls import HLS
from tierkit.plugins.rtmp import RTMP
from tierkit.testing import MemoryNetwork

from .edge_rig import ORIGIN, SEGMENT, FakeOrigin, plain, playlist

BIG = b"x" * 300_000


class Logged:
    """Two edges in a row, the lines that both write, and who asks."""

    def __init__(self, network: MemoryNetwork, origin: FakeOrigin, path: Path) -> None:
        self.network = network
        self.origin = origin
        self.path = path
        self._read = 0

    async def viewer(self, tier: str = "edge", source: str = "198.51.100.77") -> Viewer:
        return Viewer(await self.network.connect(Address.parse(f"http://{tier}.example:80"), source=source))

    async def lines(self) -> list[dict[str, Any]]:
        """What was written since this was asked last."""
        await trio.sleep(1)
        found = self.path.read_text().splitlines()[self._read :]
        self._read += len(found)
        return [json.loads(each) for each in found]


@asynccontextmanager
async def open_logged(path: Path, **options: Any) -> AsyncIterator[Logged]:
    network = MemoryNetwork()
    fake = FakeOrigin({SEGMENT: plain(b"segment one"), "/live/s/media_2.ts": plain(BIG)})
    shield = Edge("shield", site="dc-a", upstream=ORIGIN, listen="http://shield.example:80", serves=HLS())
    edge = Edge("edge", site="dc-b", upstream=shield, listen="http://edge.example:80", serves=HLS())
    log = AccessLog(str(path), **{"form": "json", **options})
    graph = Graph.of(edge, access_log=log)
    async with open_server(network, fake, "http://origin.example:80"), opened(graph, network=network, drain=1):
        yield Logged(network, fake, path)


async def test_a_miss_is_followed_from_tier_to_tier(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_logged(tmp_path / "a.log") as logged:
        viewer = await logged.viewer()
        answer = await viewer.ask(SEGMENT + "?token=secret", "User-Agent: curl", "Referer: http://page.example/?s=1")
        id = (answer.get(b"x-request-id") or b"").decode()
        assert len(id) == 16
        shield, edge = await logged.lines()
        (asked,) = logged.origin.asked
        assert (asked.get(b"x-request-id") or b"").decode() == id == shield["request_id"] == edge["request_id"]
        assert (shield["tier"], shield["site"], edge["tier"], edge["site"]) == ("shield", "dc-a", "edge", "dc-b")
        assert (shield["cache"], edge["cache"]) == ("MISS", "MISS")
        assert edge["address"] == "198.51.100.0"
        assert (edge["method"], edge["target"], edge["status"]) == ("GET", SEGMENT + "?token=***", 200)
        assert (edge["agent"], edge["referer"]) == ("curl", "http://page.example/?s=***")
        assert (edge["scheme"], edge["version"]) == ("http", "HTTP/1.1")


async def test_an_id_that_somebody_brings_is_kept_where_it_is_one(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_logged(tmp_path / "a.log") as logged:
        viewer = await logged.viewer()
        await viewer.ask(SEGMENT, "X-Request-ID: balancer-000001")
        assert {each["request_id"] for each in await logged.lines()} == {"balancer-000001"}
        await viewer.ask("/live/s/media_2.ts", 'X-Request-ID: "quote me"')
        assert {len(each["request_id"]) for each in await logged.lines()} == {16}
        # What is stored keeps no id of who has brought it.
        answer = await viewer.ask(SEGMENT, "X-Odd: 1")
        assert b"hit" in (answer.get(b"cache-status") or b"")
        assert len(answer.get(b"x-request-id") or b"") == 16


async def test_an_upstreams_own_id_is_nobody_elses(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_logged(tmp_path / "a.log") as logged:
        logged.origin.paths[SEGMENT] = plain(b"x", (b"X-Request-ID", b"of-the-origin"))
        viewer = await logged.viewer()
        first = await viewer.ask(SEGMENT)
        second = await viewer.ask(SEGMENT)
        assert b"of-the-origin" not in (first.get(b"x-request-id"), second.get(b"x-request-id"))


async def test_what_is_at_hand_is_logged_as_well(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_logged(tmp_path / "a.log") as logged:
        viewer = await logged.viewer()
        for _ in range(4):
            await viewer.ask(SEGMENT, "User-Agent: player", "X-Request-ID: hit-hit-hit")
        lines = [each for each in await logged.lines() if each["tier"] == "edge"]
        assert [each["cache"] for each in lines] == ["MISS", "HIT", "HIT", "HIT"]
        assert {each["agent"] for each in lines} == {"player"}
        assert {each["request_id"] for each in lines} == {"hit-hit-hit"}
        assert {each["target"] for each in lines} == {SEGMENT}
        assert all(each["bytes_out"] > len(b"segment one") for each in lines)
        # Conditions and ranges are at hand, too.
        await viewer.ask(SEGMENT, "User-Agent: player", "Range: bytes=0-3")
        await viewer.ask(SEGMENT, "User-Agent: player", "Range: bytes=0-3")
        assert [each["status"] for each in await logged.lines()] == [206, 206]


async def test_an_answer_is_logged_when_it_has_left_or_cannot(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_logged(tmp_path / "a.log") as logged:
        warm = await logged.viewer()
        path = "/live/s/media_2.ts"
        await warm.ask(path)
        await warm.ask(path)
        await logged.lines()
        slow = await logged.viewer(source="203.0.113.9")
        head = f"GET {path} HTTP/1.1\r\nHost: server\r\n\r\n".encode()
        await slow.say(head)
        assert await logged.lines() == []  # it has not taken all of it yet
        await trio.sleep(3)
        assert (await slow.answer()).body == BIG
        (line,) = await logged.lines()
        assert (line["cache"], line["address"]) == ("HIT", "203.0.113.0")
        assert line["seconds"] >= 4
        assert line["bytes_out"] > len(BIG)
        gone = await logged.viewer()
        await gone.say(head)
        await trio.sleep(1)
        gone.connection.abort()
        (line,) = await logged.lines()
        assert 0 < line["bytes_out"] < len(BIG)


async def test_refusals_have_their_lines(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_logged(tmp_path / "a.log") as logged:
        viewer = await logged.viewer()
        await viewer.say(b"GET / HTTP/9.9\r\n\r\n")
        await viewer.rest()
        (line,) = await logged.lines()
        assert (line["status"], line["method"], line["target"]) == (505, "-", "-")
        viewer = await logged.viewer()
        await viewer.ask("/live/s/a.ts", method="DELETE")
        (line,) = await logged.lines()
        assert (line["status"], line["method"], line["target"]) == (405, "DELETE", "/live/s/a.ts")

        async def fails(request: Request) -> Response:
            raise ValueError("a mistake")

        logged.origin.paths["/live/s/media_9.ts"] = fails
        viewer = await logged.viewer()
        await viewer.ask("/live/s/media_9.ts")
        assert {each["status"] for each in await logged.lines()} == {502}


async def test_one_of_many_is_logged_and_every_failure(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_logged(tmp_path / "a.log", sample=10) as logged:
        viewer = await logged.viewer()
        for _ in range(40):
            await viewer.ask(SEGMENT)
        edges = [each for each in await logged.lines() if each["tier"] == "edge"]
        assert [each["sample"] for each in edges] == [10] * 4
        logged.origin.paths["/live/s/media_9.ts"] = Response(500, [], b"")
        await viewer.ask("/live/s/media_9.ts")
        failed = await logged.lines()
        assert {each["tier"] for each in failed} == {"edge", "shield"}
        assert all("sample" not in each and each["status"] >= 500 for each in failed)


async def test_without_a_log_nothing_of_it_is_called(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tierkit import _http_logged

    def never(*args: object) -> None:
        raise AssertionError("there is no log")

    monkeypatch.setattr(_http_logged.Log, "__init__", never)
    from .edge_rig import open_edge

    async with open_edge() as rig:
        viewer = await rig.viewer()
        for _ in range(3):
            assert (await viewer.ask(SEGMENT)).status == 200


# --- RTMP and FLV -------------------------------------------------------------------------------


async def test_a_play_and_a_publish_have_a_line_when_they_end(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = tmp_path / "a.log"
    graph = Graph.of(relay(upstream=studio()), access_log=AccessLog(str(path), form="json"))
    async with opened(graph) as rig:
        async with published(rig.network, url("studio")) as publisher, trio.open_nursery() as nursery:
            player = await join(nursery, rig.network, url("relay", "/live/s?key=secret"))
            await send(publisher, gop(0, 25))
            await player.until(lambda v: "K" in v.letters)
            await trio.sleep(10)
            nursery.cancel_scope.cancel()
        await trio.sleep(1)
        first, second = (json.loads(each) for each in path.read_text().splitlines()[:2])
        lines = {each["tier"] + " " + each["method"]: each for each in (first, second)}
    for each in path.read_text().splitlines()[2:]:
        told = json.loads(each)
        lines[told["tier"] + " " + told["method"]] = told
    assert set(lines) == {"relay PLAY", "studio PUBLISH", "studio PLAY"}
    played = lines["relay PLAY"]
    assert (played["target"], played["version"], played["status"]) == ("/live/s?key=***", "RTMP", 200)
    assert played["address"] == "192.0.2.0"
    assert played["seconds"] >= 10
    assert played["bytes_out"] > 1000
    assert lines["studio PUBLISH"]["bytes_in"] > 1000
    assert len(played["request_id"]) == 16
    # What was pulled for it is called the same.
    assert lines["studio PLAY"]["request_id"] == played["request_id"] != lines["studio PUBLISH"]["request_id"]


async def test_a_play_that_is_refused(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = tmp_path / "a.log"
    graph = Graph.of(studio(), access_log=AccessLog(str(path), form="json"))
    async with opened(graph) as rig, trio.open_nursery() as nursery:
        await join(nursery, rig.network, url("studio", "/live/nothing"), extra={"tierkitRequest": "downstream-1"})
        await trio.sleep(60)
        (line,) = (json.loads(each) for each in path.read_text().splitlines())
        assert (line["method"], line["status"], line["request_id"]) == ("PLAY", 404, "downstream-1")
        assert line["reason"] == "nobody publishes /live/nothing"
        nursery.cancel_scope.cancel()


async def test_flv_over_http_is_one_request_for_as_long_as_it_plays(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = tmp_path / "a.log"
    listen = ("rtmp://relay.example:1935", "http://relay.example:80")
    graph = Graph.of(
        relay(listen=listen, serves=(RTMP(), FLV())), access_log=AccessLog(str(path), form="json", addresses="full")
    )
    async with opened(graph) as rig, published(rig.network, url("relay")) as publisher:
        viewer = Viewer(await rig.network.connect(Address.parse("http://relay.example:80"), source="203.0.113.9"))
        await viewer.say(b"GET /live/s.flv HTTP/1.1\r\nHost: relay.example\r\nUser-Agent: flv.js\r\n\r\n")
        await send(publisher, gop(0, 25))
        await trio.sleep(10)
        assert b"FLV" in await viewer.connection.recv()
        viewer.connection.close()
        await trio.sleep(2)
        (line,) = (json.loads(each) for each in path.read_text().splitlines())
        assert (line["method"], line["target"], line["status"], line["agent"]) == (
            "GET", "/live/s.flv", 200, "flv.js",
        )  # fmt: skip
        assert line["address"] == "203.0.113.9"
        assert line["seconds"] >= 10


async def test_what_is_pulled_for_a_player_of_flv_is_called_as_its_request(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    path = tmp_path / "a.log"
    listen = ("rtmp://relay.example:1935", "http://relay.example:80")
    edge = relay(listen=listen, serves=(RTMP(), FLV()), upstream=studio())
    graph = Graph.of(edge, access_log=AccessLog(str(path), form="json"))
    async with opened(graph) as rig, published(rig.network, url("studio")) as publisher:
        await send(publisher, gop(0, 25))
        viewer = Viewer(await rig.network.connect(Address.parse("http://relay.example:80")))
        await viewer.say(b"GET /live/s.flv HTTP/1.1\r\nHost: x\r\nX-Request-ID: flv-player-1\r\n\r\n")
        await trio.sleep(5)
        viewer.connection.close()
        await trio.sleep(2)
    told = [json.loads(each) for each in path.read_text().splitlines()]
    named = {each["tier"]: each["request_id"] for each in told if each["method"] != "PUBLISH"}
    assert named == {"relay": "flv-player-1", "studio": "flv-player-1"}


async def test_what_the_cache_made_of_a_request_has_nginxs_words(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_logged(tmp_path / "a.log") as logged:
        path, etag = "/live/s/playlist.m3u8", b'"one"'

        def versioned(request: Request) -> Response:
            known = request.get(b"if-none-match") == etag
            return plain(b"" if known else playlist(), (b"ETag", etag), status=304 if known else 200)

        logged.origin.paths[path] = versioned
        viewer = await logged.viewer("shield")
        await viewer.ask(path)
        await trio.sleep(10)  # it is stale by then, and its origin says that it still holds
        await viewer.ask(path)
        await viewer.ask(path, "Authorization: Basic eDp5")
        assert [each["cache"] for each in await logged.lines()] == ["MISS", "REVALIDATED", "BYPASS"]
        logged.origin.paths["/live/s/media_77.ts"] = plain(b"not listed, so not fetched ahead")
        logged.origin.delay = 1

        async def ask() -> None:
            await (await logged.viewer("shield")).ask("/live/s/media_77.ts")

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
        assert sorted(each["cache"] for each in await logged.lines()) == ["COLLAPSED", "COLLAPSED", "MISS"]
