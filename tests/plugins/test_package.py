"""HLS out of a relay, on a network in memory: when streams are packaged, and what players get."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import m3u8
import trio
from attrs import evolve
from trio.testing import MockClock

from tests.core.rig import Rig, opened
from tests.off_air.clips import flv
from tests.packaging.media import decode, signal
from tests.rtmp.rig import join, relay, url
from tierkit import Graph, check
from tierkit.codecs.flv import Tag
from tierkit.http import HttpClient
from tierkit.plugin import Address
from tierkit.plugins.package import Package, PackageStatistics
from tierkit.plugins.rtmp import RTMP
from tierkit.rtmp import open_publisher

DOORS = ("rtmp://relay.example:1935", "http://relay.example:80")
HLS = Address.parse("http://relay.example:80")


class Hall:
    """A relay with HLS, and who talks to it."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self._client = HttpClient(rig.network, trio.current_time)

    @property
    def statistics(self) -> PackageStatistics:
        found = self.rig.handle.running("relay")["package"].statistics()
        assert isinstance(found, PackageStatistics)
        return found

    async def ask(self, path: str) -> tuple[int, bytes]:
        async with self._client.request("GET", HLS.with_(path=path), []) as response:
            return response.status, await response.read(64 << 20)

    async def segments(self, path: str = "/live/s") -> dict[str, bytes]:
        status, listed = await self.ask(f"{path}/chunklist.m3u8")
        assert status == 200
        names = [segment.uri for segment in m3u8.loads(listed.decode()).segments]
        return {name: (await self.ask(f"{path}/{name}"))[1] for name in names}

    async def publish(self, tags: tuple[Tag, ...], path: str = "/live/s") -> None:
        async with open_publisher(self.rig.network, url("relay", path)) as publisher:
            start = trio.current_time()
            for tag in tags:
                await trio.sleep_until(start + tag.timestamp / 1000)
                await publisher.send(tag.type_id, tag.timestamp, tag.payload)


@asynccontextmanager
async def hall(*, linger: float = 5, **options: Any) -> AsyncIterator[Hall]:
    graph = Graph.of(relay(listen=DOORS, serves=(RTMP(linger=linger), Package(**options))))
    assert check(graph) == []
    async with opened(graph, drain=1) as rig:
        yield Hall(rig)


def pictures(body: bytes) -> list[Any]:
    with av.open(BytesIO(body), format="mpegts") as container:
        return list(container.decode(video=0))


async def test_a_stream_is_packaged_from_the_first_request_on(autojump_clock: MockClock) -> None:
    async with hall() as relay, trio.open_nursery() as nursery:
        nursery.start_soon(relay.publish, signal(12))
        await trio.sleep(3.5)
        assert relay.statistics.streams == ()
        began = trio.current_time()
        status, _ = await relay.ask("/live/s/playlist.m3u8")
        assert status == 200
        assert 2 < trio.current_time() - began < 3.6  # the next keyframe, and a segment from there
        await trio.sleep(4.5)
        segments = await relay.segments()
        found = decode(b"".join(segments.values()), "video")
        assert len(found) == 50 * len(segments) == 150
        nursery.cancel_scope.cancel()


async def test_many_who_ask_at_once_are_answered_by_one_packager(autojump_clock: MockClock) -> None:
    async with hall() as relay, trio.open_nursery() as nursery:
        nursery.start_soon(relay.publish, signal(8))
        await trio.sleep(1.5)
        answers: list[int] = []

        async def ask() -> None:
            answers.append((await relay.ask("/live/s/playlist.m3u8"))[0])

        async with trio.open_nursery() as players:
            for _ in range(20):
                players.start_soon(ask)
        assert answers == [200] * 20
        assert len(relay.statistics.streams) == 1
        assert relay.statistics.streams[0].hls.segments == 1
        nursery.cancel_scope.cancel()


async def test_what_nobody_asks_for_any_more_is_let_go(autojump_clock: MockClock) -> None:
    async with hall(idle=10) as relay, trio.open_nursery() as nursery:
        nursery.start_soon(relay.publish, signal(60))
        await trio.sleep(1)
        first = await relay.segments()
        await trio.sleep(9.5)
        assert len(relay.statistics.streams) == 1
        await trio.sleep(1)
        assert relay.statistics.streams == ()
        assert (await relay.ask(f"/live/s/{next(iter(first))}"))[0] == 404
        # Who comes then is given numbers that have never stood for anything else.
        again = await relay.segments()
        number = [int(name.removeprefix("media_").removesuffix(".ts")) for name in (*first, *again)]
        assert number == sorted(set(number))
        nursery.cancel_scope.cancel()


async def test_what_is_always_packaged_waits_for_nobody(autojump_clock: MockClock) -> None:
    async with hall(always=("live/*",), idle=5) as relay, trio.open_nursery() as nursery:
        for path in ("/live/s", "/other/s"):
            nursery.start_soon(relay.publish, signal(40), path)
        await trio.sleep(20)
        assert [each.name for each in relay.statistics.streams] == ["/live/s"]
        began = trio.current_time()
        assert len(await relay.segments()) == 6
        assert trio.current_time() == began
        nursery.cancel_scope.cancel()


async def test_requests_alone_make_nothing(autojump_clock: MockClock) -> None:
    async with hall() as relay, trio.open_nursery() as nursery:
        nursery.start_soon(relay.publish, signal(8))
        await trio.sleep(1)
        for path in ("/live/nobody/playlist.m3u8", "/live/s/media_1.ts", "/live/s/x.html", "/", "/live/../x/y.m3u8"):
            assert (await relay.ask(path))[0] == 404
        assert relay.statistics.streams == ()
        assert relay.statistics.not_found == 5
        # Somebody waits for a stream over RTMP: it has a name, and is not on air.
        await join(nursery, relay.rig.network, url("relay", "/live/later"))
        assert (await relay.ask("/live/later/playlist.m3u8"))[0] == 404
        nursery.cancel_scope.cancel()


async def test_a_publisher_that_comes_back_goes_on_behind_a_discontinuity(autojump_clock: MockClock) -> None:
    async with hall(linger=10) as relay:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(relay.publish, signal(6))
            await trio.sleep(0.5)
            await relay.ask("/live/s/playlist.m3u8")
        await trio.sleep(3)
        assert len(await relay.segments()) == 3  # a request came before the second keyframe; the rest is the last
        await relay.publish(signal(4))
        _, listed = await relay.ask("/live/s/chunklist.m3u8")
        assert listed.count(b"#EXT-X-DISCONTINUITY\n") == 1
        await trio.sleep(11)
        assert (await relay.ask("/live/s/chunklist.m3u8"))[0] == 404
        assert relay.statistics.streams == ()


async def test_the_off_air_clip_is_packaged_too(tmp_path: Path, autojump_clock: MockClock) -> None:
    clip = tmp_path / "slate.flv"
    clip.write_bytes(flv(signal(3, width=96, height=54)))
    rtmp = RTMP(off_air=str(clip), off_air_for=("live/s",), off_air_after=0.5, linger=5)
    async with opened(Graph.of(relay(listen=DOORS, serves=(rtmp, Package()))), drain=1) as rig:
        hall = Hall(rig)
        before = await hall.segments()  # nobody has ever published it
        assert before
        await hall.publish(signal(6))
        await trio.sleep(4)
        _, listed = await hall.ask("/live/s/chunklist.m3u8")
        assert listed.count(b"#EXT-X-DISCONTINUITY\n") == 2
        sizes = {frame.width for body in (await hall.segments()).values() for frame in pictures(body)}
        assert sizes == {96, 128}


async def test_changed_options_are_taken_as_they_are(autojump_clock: MockClock) -> None:
    async with hall() as relay, trio.open_nursery() as nursery:
        nursery.start_soon(relay.publish, signal(8))
        await trio.sleep(1)
        running = relay.rig.handle.running("relay")["package"]
        assert running.replace(Package(always=("*",)))
        await trio.sleep(1)
        assert [each.name for each in relay.statistics.streams] == ["/live/s"]
        assert not running.replace(evolve(Package(), segment=4.0))
        assert not running.replace(RTMP())
        nursery.cancel_scope.cancel()


def test_it_is_checked_with_its_graph() -> None:
    graph = Graph.of(relay(listen=DOORS, serves=(RTMP(), Package(segment=10.0))))
    assert check(graph) == ["relay: package: option patience=10.0 must be more than segment=10.0: raise it"]
    graph = Graph.of(relay(serves=(RTMP(), Package())))
    assert check(graph) == ["relay: no listener leads to package: add listen='http://:PORT', or leave the service out"]
