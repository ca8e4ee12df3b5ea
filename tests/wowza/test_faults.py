"""What goes wrong with a Wowza behind a cache (facts, section 5), and what viewers of an edge see of it: nothing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import pytest
import trio
from attrs import define, evolve
from trio.testing import MockClock

from tierkit.events import UpstreamLost
from tierkit.testing import MemoryNetwork
from tierkit.testing.wowza import Mode, Rendition, StandIn

from .tiers import PLAYLIST, Tiers, Watcher, crowd, edges, wowza

STREAM = "live/myStream"
MODES = list(Mode)


@define
class Night:
    stand_in: StandIn
    tiers: Tiers
    watchers: list[Watcher]
    nursery: trio.Nursery

    def begin(self, seconds: float = 3600) -> None:
        for each in self.watchers:
            self.nursery.start_soon(each.watch, seconds)

    @property
    def trouble(self) -> list[str]:
        return [line for each in self.watchers for line in each.trouble]


@asynccontextmanager
async def night(
    *, viewers: int = 6, count: int = 2, options: dict[str, Any] | None = None, **server: Any
) -> AsyncIterator[Night]:
    network = MemoryNetwork()
    async with (
        wowza(network=network, listen="wowza.example:1935", **server) as stand_in,
        edges(network, stand_in, count=count, **(options or {})) as tiers,
        crowd(tiers, viewers) as watchers,
        trio.open_nursery() as nursery,
    ):
        yield Night(stand_in, tiers, watchers, nursery)
        nursery.cancel_scope.cancel()


def check_new_run(it: Night, before: dict[int, int]) -> None:
    """Everybody has gone on with the segments of the new run as if it were the old one's continuation."""
    for index, each in enumerate(it.watchers):
        # What was on its way when the encoder went is still of the old run.
        first = next(number for number in sorted(each.segments) if number > before[index] and number in each.breaks)
        assert first - before[index] <= 3
        fresh = [each.segments[number] for number in range(first, max(each.segments) + 1)]
        assert len(fresh) > 5
        # The first list of the new run that was looked at may have gone on by one or two.
        began = next(number for number in range(4) if it.stand_in.chunk(STREAM, number) == fresh[0])
        assert fresh == [it.stand_in.chunk(STREAM, began + number) for number in range(len(fresh))]
        assert each.broken == 1
        assert sorted(each.segments) == list(range(min(each.segments), max(each.segments) + 1))


def newest(it: Night) -> dict[int, int]:
    """The newest segment that each viewer has."""
    return {index: max(each.segments) for index, each in enumerate(it.watchers)}


@pytest.mark.assumes("hls-reaped-playlist")
@pytest.mark.parametrize("status", [403, 404])
async def test_a_session_that_is_reaped_while_nobody_watches(autojump_clock: MockClock, status: int) -> None:
    async with night(idle=30.0, reaped_status=status) as it:
        it.begin(20)
        await trio.sleep(120)
        assert not it.stand_in.server.sessions.alive(it.stand_in.server.now())
        it.begin(20)  # as players do that were paused: from the chunklist that they have
        chunklist = next(each for each in it.watchers[0].names if each.startswith("chunklist"))
        assert await it.watchers[0].playlist(f"/live/myStream/{chunklist}")
        await trio.sleep(30)
        assert it.trouble == []
        assert sum(it.tiers.source(each)["renewed"] for each in it.tiers.handles) == 2


@pytest.mark.assumes("hls-children-need-session", "hls-origin-cache", "hls-unknown-session")
@pytest.mark.parametrize("mode", MODES)
async def test_a_server_that_is_started_again(autojump_clock: MockClock, mode: Mode) -> None:
    async with night(mode=mode) as it:
        it.begin()
        await trio.sleep(60)
        shown = newest(it)
        it.stand_in.restart()
        await trio.sleep(105)
        # Until there was something to show again, the last that there was.
        assert it.trouble == []
        check_new_run(it, shown)


@pytest.mark.assumes("hls-children-need-session", "hls-origin-cache", "hls-random-names")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("randomise", [False, True])
async def test_an_encoder_that_is_started_again(autojump_clock: MockClock, mode: Mode, randomise: bool) -> None:
    """Numbers from the beginning, in the old names or in others; other bytes in any case."""
    async with night(mode=mode) as it:
        it.begin()
        await trio.sleep(60)
        shown = newest(it)
        it.stand_in.restart_encoder(STREAM, randomise=randomise)
        await trio.sleep(130)
        assert it.trouble == []
        check_new_run(it, shown)


@pytest.mark.assumes("hls-origin-cache", "http-off-air")
@pytest.mark.parametrize("mode", MODES)
async def test_a_stream_that_has_ended_is_shown_for_a_minute_and_no_longer(
    autojump_clock: MockClock, mode: Mode
) -> None:
    async with night(mode=mode, viewers=1, count=1) as it:
        it.begin()
        await trio.sleep(60)
        ended = trio.current_time()
        it.stand_in.off_air(STREAM)
        await trio.sleep(50)
        assert it.trouble == []
        await trio.sleep(60)
        first = float(it.trouble[0].partition(":")[0])
        assert 40 < first - ended < 75
        assert {line.rpartition(" ")[2] for line in it.trouble} == {"404"}


@pytest.mark.assumes("hls-origin-cache", "http-off-air")
@pytest.mark.parametrize("mode", MODES)
async def test_a_stream_that_was_off_air_is_not_missing_for_long(autojump_clock: MockClock, mode: Mode) -> None:
    async with night(mode=mode) as it:
        it.stand_in.off_air(STREAM)
        (viewer, *_) = it.watchers
        for _ in range(20):
            assert (await viewer.get(PLAYLIST))[0] == 404
            await trio.sleep(0.2)
        # One look a second, whoever asks.
        assert len([each for each in it.stand_in.requests if "playlist" in each.target]) <= 8
        it.stand_in.server.publish(STREAM, on_air_for=600)
        await trio.sleep(1.1)
        assert (await viewer.get(PLAYLIST))[0] == 200


async def test_a_stream_that_is_not_packetized_yet(autojump_clock: MockClock) -> None:
    async with night(streams=()) as it:
        it.stand_in.publish(STREAM)
        start = trio.current_time()
        (viewer, *_) = it.watchers
        while (await viewer.get(PLAYLIST))[0] != 200:
            await trio.sleep(1)
            assert trio.current_time() - start < 60
        assert trio.current_time() - start > 5
        it.begin(20)
        await trio.sleep(25)
        assert it.trouble == []


@pytest.mark.assumes("fault-slow")
async def test_a_server_that_is_slow(autojump_clock: MockClock) -> None:
    async with night() as it:
        it.begin()
        await trio.sleep(30)
        it.stand_in.slow(3.0)
        await trio.sleep(60)
        assert it.trouble == []
        assert all(len(each.segments) > 8 for each in it.watchers)


@pytest.mark.assumes("fault-truncated")
async def test_a_segment_that_breaks_off(autojump_clock: MockClock) -> None:
    async with night() as it:
        it.begin()
        await trio.sleep(30)
        it.stand_in.truncate(2)
        await trio.sleep(60)
        assert it.trouble == []
        for number, body in it.watchers[0].segments.items():
            assert body == it.stand_in.chunk(STREAM, number)


async def test_queries_of_viewers_are_nothing_to_the_server(autojump_clock: MockClock) -> None:
    async with night(viewers=2, count=1) as it:
        viewer = it.watchers[0]
        for number in range(30):
            status, body = await viewer.get(f"{PLAYLIST}?nc=0.{number}&_HLS_x={number}&token={number}")
            assert status == 200
            assert b"nc=" not in body
            assert b"_HLS" not in body
        masters = [each.target for each in it.stand_in.requests if "playlist" in each.target]
        assert len(masters) == 2
        assert not any("nc=" in each for each in masters)


async def test_both_spellings_are_one_stream(autojump_clock: MockClock) -> None:
    async with night(viewers=2, count=1) as it:
        for each in it.watchers:
            it.nursery.start_soon(each.watch, 30, PLAYLIST)
            it.nursery.start_soon(each.watch, 30, "/live/_definst_/myStream/playlist.m3u8")
        await trio.sleep(35)
        assert it.trouble == []
        chunks = [each.target for each in it.stand_in.requests if "media_" in each.target]
        assert len(chunks) == len(set(chunks))


@pytest.mark.assumes("hls-origin-cache")
@pytest.mark.parametrize("mode", MODES)
async def test_another_server_takes_its_place(autojump_clock: MockClock, mode: Mode) -> None:
    """With ids of its own, which nobody sees."""
    network = MemoryNetwork()
    options: dict[str, Any] = {"network": network, "mode": mode, "admin": None, "rest": None}

    async def first(dies: trio.Event, *, task_status: trio.TaskStatus[StandIn] = trio.TASK_STATUS_IGNORED) -> None:
        async with wowza(listen="one.example:1935", seed=1, **options) as made:
            task_status.started(made)
            await dies.wait()

    async with trio.open_nursery() as nursery, wowza(listen="two.example:1935", seed=2, **options) as two:
        dies = trio.Event()
        one = await nursery.start(first, dies)
        async with edges(network, one, two, count=1) as tiers, crowd(tiers, 4) as watchers:
            for each in watchers:
                nursery.start_soon(each.watch, 3600)
            await trio.sleep(40)
            assert not [each for each in two.requests if "media" in each.target]
            dies.set()
            await trio.sleep(60)
            assert [each for each in two.requests if "media" in each.target]
            assert [line for each in watchers for line in each.trouble] == []
            assert all(len(each.segments) > 8 for each in watchers)
            names = set().union(*(each.names for each in watchers))
            assert not [each for each in names if "_w" in each]
            nursery.cancel_scope.cancel()


@pytest.mark.assumes("fault-redirects", "hls-origin-cache")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("late", [False, True])
async def test_a_redirect_that_leads_in_circles(autojump_clock: MockClock, mode: Mode, late: bool) -> None:
    async with night(viewers=1, count=1, mode=mode) as it:
        (viewer,) = it.watchers
        if late:
            assert (await viewer.get(PLAYLIST))[0] == 200
            await trio.sleep(120)
        it.stand_in.faults.redirect_loop = True
        assert (await viewer.get("/live/myStream/chunklist.m3u8"))[0] == 502
        lost = it.tiers.events.of(UpstreamLost)
        assert len(lost) == 1
        assert re.fullmatch(
            r"redirects /live/myStream/\S+\.m3u8 to itself \(302\): look at its redirects and load balancing",
            lost[0].reason,
        )
        assert len([each for each in it.stand_in.requests if each.status == 302]) <= 2


#: What a stream's name may have in it, as it stands in a URL's path.
NAMES = [
    "myStream", "foo.stream", "ngrp:ch1_all", "smil:ch1.smil", "mp4:sample.mp4", "a-b_c~d.e", "50%25", "caf%C3%A9",
    "with%20space", "a+b", "(x)", "x,y;z", "it's", "a@b", "a=b", "a&b", "$1", "!x", "media_w12", "chunklist_w7.stream",
]  # fmt: skip


@pytest.mark.assumes("hls-origin-cache")
@pytest.mark.parametrize("mode", MODES)
async def test_whatever_a_stream_is_called(autojump_clock: MockClock, mode: Mode) -> None:
    async with night(viewers=1, count=1, mode=mode, streams=()) as it:
        for name in NAMES:
            plain = unquote(name)
            it.stand_in.publish(f"live/{plain}", on_air_for=600)
        (viewer,) = it.watchers
        for name in NAMES:
            folder = f"/live/{name}"
            master = await viewer.playlist(f"{folder}/playlist.m3u8")
            chunklist = await viewer.playlist(f"{folder}/{master[-1]}")
            assert (await viewer.get(f"{folder}/{chunklist[-1]}"))[0] == 200, name
        assert it.trouble == []


#: Renditions with every part that a name may have, in orders as they were recorded.
RENDITIONS = [
    Rendition(bitrate=2_500_000, label="Main"),
    Rendition(bitrate=764_000, language="bul", order=("w", "b", "sl", "vo", "t64", "tk", "DVR")),
    Rendition(bitrate=300_000, video_only=True, label="FPS:29.97", order=("b", "vo", "t64", "w", "tk", "DVR")),
]


@pytest.mark.assumes("hls-origin-cache", "hls-reaped-playlist")
@pytest.mark.parametrize("mode", MODES)
async def test_renditions_whose_names_have_parts_in_any_order(autojump_clock: MockClock, mode: Mode) -> None:
    async with night(viewers=1, count=1, mode=mode, idle=20.0, streams=()) as it:
        it.stand_in.publish(STREAM, on_air_for=600, renditions=RENDITIONS)
        it.stand_in.group("live/ngrp:all", *(evolve(each, of="myStream") for each in RENDITIONS))
        (viewer,) = it.watchers
        for folder in ("/live/myStream", "/live/ngrp:all"):
            for _ in range(2):  # the second time by a session that was begun anew
                master = await viewer.playlist(f"{folder}/playlist.m3u8")
                listed = [each for each in master if each and not each.startswith("#")]
                assert len(listed) == 3
                for each in listed:
                    chunklist = await viewer.playlist(f"{folder}/{each}")
                    assert (await viewer.get(f"{folder}/{chunklist[-1]}"))[0] == 200
                await trio.sleep(60)
        assert it.trouble == []
        assert not [each for each in viewer.names if "_w" in each]


@pytest.mark.assumes("hls-dvr-length")
async def test_the_past_is_there_beside_the_present(autojump_clock: MockClock) -> None:
    async with night(viewers=1, count=1) as it:
        (viewer,) = it.watchers
        for query in ("", "?DVR", "?DVR=1&x=2"):
            master = await viewer.playlist(f"{PLAYLIST}{query}")
            name = master[-1].partition("?")[0]
            assert name == ("chunklist_DVR.m3u8" if query else "chunklist.m3u8")
            chunklist = await viewer.playlist(f"/live/myStream/{master[-1]}")
            assert (await viewer.get(f"/live/myStream/{chunklist[-1]}"))[0] == 200
        assert it.trouble == []
