"""What goes wrong with Wowza servers, on purpose."""

from __future__ import annotations

import re

import pytest
import trio
import trio.testing

from tierkit.errors import UpstreamError
from tierkit.testing import MemoryNetwork

from .stand_in import PLAYLIST, opened

WHERE = "live/myStream"


async def test_an_encoder_comes_back_under_the_same_names(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(mode="origin", streams=[]) as (stand_in, viewer):
        stand_in.publish(WHERE, on_air_for=30.0)
        first = await viewer.chunklist()
        before = await viewer.get(first.uris[0])
        stand_in.restart_encoder(WHERE)
        assert (await viewer.get(PLAYLIST)).status == 404
        assert (await viewer.get(first.uris[0])).status == 404
        await trio.sleep(30)
        again = await viewer.chunklist()
        assert "#EXT-X-MEDIA-SEQUENCE:0" in again.lines
        assert again.uris == first.uris
        after = await viewer.get(again.uris[0])
        assert after.body != before.body
        assert after.body == stand_in.chunk(WHERE, 0)


@pytest.mark.parametrize("mode", ["sessions", "origin"])
async def test_an_encoder_comes_back_under_new_names(autojump_clock: trio.testing.MockClock, mode: str) -> None:
    async with opened(mode=mode, streams=[]) as (stand_in, viewer):
        stand_in.publish(WHERE, on_air_for=30.0, randomise=True)
        first = await viewer.chunklist()
        stand_in.restart_encoder(WHERE)
        await trio.sleep(30)
        again = await viewer.chunklist()
        one, other = (re.search(r"media-u(\d+)_", each.uris[0]) for each in (first, again))
        assert one is not None
        assert other is not None
        assert one[1] != other[1]
        assert (await viewer.get(again.uris[0])).status == 200


async def test_a_stream_that_is_not_packetized_yet(autojump_clock: trio.testing.MockClock) -> None:
    async with opened(mode="origin", streams=[]) as (stand_in, viewer):
        stand_in.publish("live/new")
        stand_in.publish("live/slow", packetized_after=60.0)
        stand_in.publish("live/quick", packetized_after=1.0, pattern=(1,))

        async def ready() -> list[int]:
            return [(await viewer.get(f"/live/{each}/playlist.m3u8")).status for each in ("new", "slow", "quick")]

        assert await ready() == [404, 404, 404]
        await trio.sleep(1)
        assert await ready() == [404, 404, 200]
        await trio.sleep(29)
        assert await ready() == [200, 404, 200]
        await trio.sleep(30)
        assert await ready() == [200, 200, 200]


async def test_off_the_air_everything_is_404(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as (stand_in, viewer):
        chunklist = await viewer.chunklist()
        stand_in.off_air(WHERE)
        for target in (PLAYLIST, chunklist.target, chunklist.uris[0]):
            answer = await viewer.get(target)
            assert (answer.status, answer.field("cache-control")) == (404, None)
            assert [each.name for each in stand_in.requests[-1].shows] == ["http-off-air"]
        stand_in.publish(WHERE, on_air_for=60.0)
        assert (await viewer.chunklist()).status == 200


async def test_a_restart_of_the_server(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as (stand_in, viewer):
        chunklist = await viewer.chunklist()
        assert stand_in.open_connections == 1
        stand_in.restart()
        await trio.testing.wait_all_tasks_blocked()
        assert stand_in.open_connections == 0
        assert (await viewer.get(PLAYLIST)).status == 404
        await trio.sleep(30)
        assert (await viewer.get(chunklist.target)).status == 403
        assert "#EXT-X-MEDIA-SEQUENCE:0" in (await viewer.chunklist()).lines


async def test_a_second_origin_counts_differently(autojump_clock: trio.testing.MockClock) -> None:
    network = MemoryNetwork()
    async with opened(network) as (_, one), opened(network, seed=1) as (_, other):
        lists = [await one.chunklist(), await other.chunklist()]
        ids = [re.search(r"_w(\d+)", each.target) for each in lists]
        sequences = [next(line for line in each.lines if "SEQUENCE" in line) for each in lists]
        assert None not in ids
        assert ids[0][1] != ids[1][1]  # type: ignore[index]
        assert sequences[0] != sequences[1]
        assert [(await one.get(lists[1].target)).status, (await other.get(lists[0].target)).status] == [403, 403]


async def test_two_runs_are_the_same(autojump_clock: trio.testing.MockClock) -> None:
    found = []
    for _ in range(2):
        async with opened() as (_, viewer):
            playlist = await viewer.get(PLAYLIST)
            chunklist = await viewer.get(playlist.uris[0])
            found.append((playlist.body, chunklist.body, (await viewer.get(chunklist.uris[0])).body))
    assert found[0] == found[1]


async def test_slow_answers(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as (stand_in, viewer):
        stand_in.slow(3.0, "chunklist")
        took = []
        for target in (PLAYLIST, (await viewer.get(PLAYLIST)).uris[0]):
            started = trio.current_time()
            await viewer.get(target)
            took.append(trio.current_time() - started)
        assert took == [0.0, 3.0]
        stand_in.slow(0.0)
        started = trio.current_time()
        await viewer.chunklist()
        assert trio.current_time() == started


async def test_a_chunk_that_ends_early(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as (stand_in, viewer):
        chunklist = await viewer.chunklist()
        stand_in.truncate(1, at=0.25)
        with pytest.raises(UpstreamError):
            await viewer.get(chunklist.uris[0])
        cut = stand_in.requests[-1]
        whole = await viewer.get(chunklist.uris[0])
        assert cut.status == 200
        assert 0 < cut.sent < len(whole.body) / 3
        assert len(whole.body) == int(whole.field("content-length") or 0)


async def test_a_redirect_loop(autojump_clock: trio.testing.MockClock) -> None:
    async with opened() as (stand_in, viewer):
        stand_in.faults.redirect_loop = True
        answer = await viewer.get(f"{PLAYLIST}?a=1")
        assert (answer.status, answer.field("location")) == (302, f"{PLAYLIST}?a=1")
        stand_in.faults.redirect_loop = False
        assert (await viewer.get(PLAYLIST)).status == 200
