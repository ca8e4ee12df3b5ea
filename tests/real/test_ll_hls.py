"""Low-latency HLS through `tierkit edge hls`: what many viewers wait for is asked for once, and comes when it is there.

The origin is given its parts by hand, so that a test decides when a thing is there; the edge is a process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from attrs import frozen

from .cmaf import Part
from .hls_ask import Got, ask, asking
from .hls_origins import open_edge
from .ll_hls import LowLatencyOrigin, open_low_latency_origin

pytestmark = pytest.mark.timeout(60)

#: Viewers that want the same thing.
CROWD = 100
BOTH = pytest.mark.parametrize("folder", ["parts", "ranges"])


def part(number: int) -> Part:
    """The n-th half second: four make a segment, every other one begins with a keyframe."""
    return Part(b"%04d" % number * 20_000, 0.5, independent=number % 2 == 0)


@frozen
class Rig:
    origin: LowLatencyOrigin
    edge: str

    async def until_waited(self, target: str, viewers: int = 1) -> None:
        """Until the origin has been asked for what is not there yet."""
        with trio.fail_after(10):
            while sum(times for key, times in self.origin.waited.items() if key.startswith(target)) < viewers:
                await trio.sleep(0.01)


@asynccontextmanager
async def rig(folder: Path) -> AsyncIterator[Rig]:
    """An origin with segments 0 to 8 and the first two parts of segment 9, and an edge before it."""
    async with open_low_latency_origin() as origin, open_edge(origin.url, folder / "edge.log") as edge:
        origin.init = b"init" * 200
        for number in range(38):
            origin.add(part(number))
        assert (origin.last.number, len(origin.last.parts)) == (9, 2)
        yield Rig(origin, edge)
    log = (folder / "edge.log").read_text().splitlines()
    assert [line for line in log if " info " not in line and "the event loop stood still" not in line] == []


async def crowd(rig: Rig, targets: list[str], waits_for: str) -> list[Got]:
    """All targets asked for at once; the next part is there once the origin is waited on and all have come."""
    got: list[Got] = []

    async def one(target: str) -> None:
        got.append(await ask(rig.edge + target))

    async with trio.open_nursery() as viewers:
        for target in targets:
            viewers.start_soon(one, target)
        await rig.until_waited(waits_for)
        # Long enough for every viewer's request to be at the edge: those who come later find it stored, which
        # costs the origin no more.
        await trio.sleep(0.3)
        assert got == []
        rig.origin.add(part(38))
    return got


@BOTH
async def test_a_crowd_that_waits_for_a_playlist_is_one_request(folder: str, tmp_path: Path) -> None:
    target = f"/{folder}/live.m3u8?_HLS_msn=9&_HLS_part=2"
    async with rig(tmp_path) as live:
        got = await crowd(live, [target] * CROWD, target)
        assert live.origin.asked[target] == 1
    assert {each.status for each in got} == {200}
    (text,) = {each.body for each in got}
    assert text.count(b"#EXT-X-PART:") == 4 + 4 + 3


async def test_the_order_of_directives_is_no_difference(tmp_path: Path) -> None:
    one = "/parts/live.m3u8?_HLS_msn=9&_HLS_part=2&_HLS_skip=YES"
    other = "/parts/live.m3u8?_HLS_skip=YES&_HLS_part=2&_HLS_msn=9"
    async with rig(tmp_path) as live:
        got = await crowd(live, [one, other] * 10, "/parts/live.m3u8")
        assert [count for path, count in live.origin.asked.items() if "live.m3u8" in path] == [1]
    (text,) = {each.body for each in got}
    assert b"#EXT-X-SKIP:SKIPPED-SEGMENTS=" in text


async def test_a_delta_update_is_never_answered_for_the_whole_playlist(tmp_path: Path) -> None:
    async with rig(tmp_path) as live:
        for skip, mark in (("&_HLS_skip=YES", True), ("", False), ("&_HLS_skip=YES", True)):
            got = await ask(f"{live.edge}/parts/live.m3u8?_HLS_msn=9&_HLS_part=1{skip}")
            assert (b"#EXT-X-SKIP" in got.body) is mark


@BOTH
async def test_successive_reloads_never_go_backwards(folder: str, tmp_path: Path) -> None:
    seen: list[int] = []
    async with rig(tmp_path) as live:
        for number in range(38, 46):
            msn, index = divmod(number, 4)
            target = f"/{folder}/live.m3u8?_HLS_msn={msn}&_HLS_part={index}"
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_note, live, target, seen)
                await live.until_waited(target)
                live.origin.add(part(number))
    assert seen == sorted(seen)
    assert len(seen) == 8


async def _note(live: Rig, target: str, seen: list[int]) -> None:
    text = (await ask(live.edge + target)).body.decode()
    first = int(text.split("#EXT-X-MEDIA-SEQUENCE:")[1].split()[0])
    seen.append((first + text.count("#EXTINF")) * 10 + text.rsplit("#EXTINF", 1)[1].count("#EXT-X-PART:"))


async def test_a_crowd_that_waits_for_the_hinted_part_is_one_request(tmp_path: Path) -> None:
    target = "/parts/seg9.2.m4s"
    async with rig(tmp_path) as live:
        got = await crowd(live, [target] * CROWD, target)
        assert live.origin.asked[target] == 1
    assert {(each.status, each.body) for each in got} == {(200, part(38).data)}


async def test_a_part_is_a_range_of_a_growing_segment(tmp_path: Path) -> None:
    """What is there of it is answered at once, though the segment has not ended, and the origin is asked once."""
    async with rig(tmp_path) as live:
        for number in (36, 37, 36):
            first = (number - 36) * 80_000
            got = await ask(f"{live.edge}/ranges/seg9.m4s", Range=f"bytes={first}-{first + 79_999}")
            assert (got.status, got.body) == (206, part(number).data)
            assert got.headers["content-range"].startswith(f"bytes {first}-{first + 79_999}/")
        assert sum(times for key, times in live.origin.asked.items() if "/seg9" in key) == 1


async def test_the_hinted_range_comes_as_the_segment_grows(tmp_path: Path) -> None:
    """A hint has a start and no end (BYTERANGE-START): each part is there as soon as the origin has it."""
    async with rig(tmp_path) as live:
        with trio.fail_after(20):
            async with asking(f"{live.edge}/ranges/seg9.m4s", Range="bytes=160000-") as (head, body):
                offset = 160_000 if head.status_code == 206 else 0
                seen = b""
                for number in (38, 39):
                    live.origin.add(part(number))
                    while len(seen) + offset < (number - 35) * 80_000:
                        seen += await anext(body)
                assert seen == live.origin.last.data[offset:]
                live.origin.add(part(40))
                assert b"".join([piece async for piece in body]) == b""


async def test_a_playlist_is_never_answered_in_pieces(tmp_path: Path) -> None:
    """Chromium asks for playlists by range and puts pieces of two versions together: half a URI, and a stall.

    RFC 9110 section 14.2 lets a server ignore Range; of what changes every second no range means anything.
    """
    async with rig(tmp_path) as live:
        whole = await ask(f"{live.edge}/parts/live.m3u8")
        for wanted in ("bytes=0-", "bytes=0-99", "bytes=100-", "bytes=-50"):
            got = await ask(f"{live.edge}/parts/live.m3u8", Range=wanted)
            assert (got.status, got.body) == (200, whole.body), wanted


@pytest.mark.parametrize(
    "query", ["_HLS_msn=999999999", "_HLS_msn=4000000000000000000000", "_HLS_msn=x", "_HLS_part=1"]
)
async def test_what_cannot_come_is_refused_at_once(query: str, tmp_path: Path) -> None:
    async with rig(tmp_path) as live:
        with trio.fail_after(5):
            assert (await ask(f"{live.edge}/parts/live.m3u8?{query}")).status == 400
