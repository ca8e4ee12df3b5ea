"""A relay that records, on a network in memory and a real disk: what is recorded, and what a bad disk costs whom."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel
from attrs import evolve
from trio.testing import MockClock

from tests.core.rig import Rig, opened
from tests.off_air.clips import CLIP, opening, seconds, write_clip
from tests.rtmp.media import Sent, gop, headers, key, letter, metadata, sound, video_header
from tests.rtmp.rig import join, published, relay, send, stream_on, url
from tierkit import Graph, check
from tierkit.codecs.flv import FLVReader, Tag
from tierkit.errors import UpstreamError
from tierkit.events import Recorded, RecordingFailed, RecordingLeft, StreamFault
from tierkit.live import Stream
from tierkit.plugins.record import Record, RecordStatistics, _files
from tierkit.plugins.rtmp import RTMP

from .test_files import files


def graph(folder: Path, **options: Any) -> Graph:
    return Graph.of(relay(serves=(RTMP(linger=1), Record(folder=str(folder), file="{app}/{name}.flv", **options))))


def statistics(rig: Rig) -> RecordStatistics:
    found = rig.handle.running("relay")["record"].statistics()
    assert isinstance(found, RecordStatistics)
    return found


def tags(path: Path) -> list[Tag]:
    return FLVReader().receive(path.read_bytes())


def shown(path: Path) -> str:
    return "".join(letter(each.type_id, each.payload) for each in tags(path))


def payloads(*paths: Path) -> list[bytes]:
    return [each.payload for path in paths for each in tags(path) if letter(each.type_id, each.payload) in "KPS"]


async def hold(rig: Rig, sent: list[Sent]) -> None:
    """Publish, and stay until the relay ends it."""
    try:
        async with published(rig.network, url("relay"), sent):
            await trio.sleep_forever()
    except* UpstreamError:
        pass


@asynccontextmanager
async def recorded(folder: Path, **options: Any) -> AsyncIterator[Rig]:
    async with opened(graph(folder, **options)) as rig:
        yield rig


async def test_a_stream_is_in_a_file_once_its_publisher_has_left(tmp_path: Path, autojump_clock: MockClock) -> None:
    sent = [*headers(), *gop(0, 25), *gop(1000, 25)]
    async with recorded(tmp_path) as rig:
        async with published(rig.network, url("relay"), sent):
            await trio.sleep(1)
            assert files(tmp_path) == ["live/s.flv.part"]
            (now,) = statistics(rig).recordings
            assert (now.name, now.file, now.queued) == ("/live/s", str(tmp_path / "live/s.flv"), 0)
        await trio.sleep(1)
        assert files(tmp_path) == ["live/s.flv"]
        assert payloads(tmp_path / "live/s.flv") == [each.payload for each in sent[3:]]
        (event,) = rig.events.of(Recorded)
        assert event == Recorded(
            tier="relay",
            stream="/live/s",
            file=str(tmp_path / "live/s.flv"),
            seconds=2.02,
            bytes=(tmp_path / "live/s.flv").stat().st_size,
        )
        found = statistics(rig)
        assert (found.files, found.bytes, found.recordings, found.lost) == (1, event.bytes, (), 0)


async def test_files_follow_each_other_without_a_gap(tmp_path: Path, autojump_clock: MockClock) -> None:
    sent = [*headers(), *(each for index in range(7) for each in gop(index * 1000, 25))]
    async with recorded(tmp_path, rotate_seconds=2) as rig:
        async with published(rig.network, url("relay"), sent):
            pass
        await trio.sleep(1)
        paths = [tmp_path / f"live/s{each}.flv" for each in ("", "-2", "-3", "-4")]
        assert files(tmp_path) == sorted(str(each.relative_to(tmp_path)) for each in paths)
        assert payloads(*paths) == [each.payload for each in sent[3:]]
        assert [each.seconds for each in rig.events.of(Recorded)] == [2.02, 2.02, 2.02, 1.02]


async def test_who_comes_back_begins_another_file(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with recorded(tmp_path) as rig:
        for mark in (0, 1):
            async with published(rig.network, url("relay"), [*headers(mark=mark), *gop(5000 * mark, 3)]):
                await trio.sleep(0.2)
        await trio.sleep(1)
        assert [shown(tmp_path / each) for each in files(tmp_path)] == ["MVAKSPSPS"] * 2
        assert [tags(tmp_path / each)[3].timestamp for each in files(tmp_path)] == [0, 0]
        assert tags(tmp_path / "live/s-2.flv")[1].payload == video_header(mark=1).payload


async def test_a_takeover_begins_another_file(tmp_path: Path, autojump_clock: MockClock) -> None:
    tier = relay(serves=(RTMP(takeover=True), Record(folder=str(tmp_path), file="{name}.flv")))
    async with opened(Graph.of(tier)) as rig, trio.open_nursery() as nursery:
        nursery.start_soon(hold, rig, [*headers(), *gop(0, 3)])
        await trio.sleep(1)
        nursery.start_soon(hold, rig, [*headers(mark=1), *gop(0, 4)])
        await trio.sleep(1)
        assert files(tmp_path) == ["s-2.flv.part", "s.flv"]
        assert (shown(tmp_path / "s.flv"), shown(tmp_path / "s-2.flv.part")) == ("MVAKSPSPS", "MVAKSPSPSPS")
        nursery.cancel_scope.cancel()


async def test_what_is_wanted_is_recorded_alone(tmp_path: Path, autojump_clock: MockClock) -> None:
    names = ("/live/a", "/live/b/c", "/other/a", "/news/hall")
    async with recorded(tmp_path, streams=("live/*", "/news/hall")) as rig:
        for name in names:
            async with published(rig.network, url("relay", name), [*headers(), key(0)]):
                await trio.sleep(0.1)
        await trio.sleep(1)
        assert files(tmp_path) == ["live/a.flv", "live/b/c.flv", "news/hall.flv"]


async def test_the_end_of_the_tier_ends_its_files_in_order(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        async with recorded(tmp_path) as rig:
            nursery.start_soon(hold, rig, [*headers(), *gop(0, 3)])
            await trio.sleep(0.1)
        assert files(tmp_path) == ["live/s.flv"]
        assert shown(tmp_path / "live/s.flv") == "MVAKSPSPS"
        assert len(rig.events.of(Recorded)) == 1
        nursery.cancel_scope.cancel()
    await trio.lowlevel.checkpoint()


async def test_a_tier_that_is_cut_off_ends_its_files_too(tmp_path: Path, autojump_clock: MockClock) -> None:
    with trio.CancelScope() as scope:
        async with (
            recorded(tmp_path) as rig,
            published(rig.network, url("relay"), [*headers(), *gop(0, 3)]),
        ):
            await trio.sleep(0.1)
            scope.cancel()
            await trio.sleep(1)
    assert files(tmp_path) == ["live/s.flv"]
    assert shown(tmp_path / "live/s.flv") == "MVAKSPSPS"


async def test_what_a_pull_brings_is_recorded_too(tmp_path: Path, autojump_clock: MockClock) -> None:
    entry = relay("entry")
    leaf = relay("leaf", upstream=entry, serves=(RTMP(grace=1), Record(folder=str(tmp_path), file="{tier}.flv")))
    async with opened(Graph.of(leaf)) as rig, published(rig.network, url("entry")) as source:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream_on, source)
            player = await join(nursery, rig.network, url("leaf"))
            await player.until(lambda v: v.letters.count("K") >= 3)
            nursery.cancel_scope.cancel()
        await trio.sleep(3)
        assert files(tmp_path) == ["leaf.flv"]
        assert shown(tmp_path / "leaf.flv").startswith("MVAK")


class BadDisk:
    """`run_sync` inline, but as slow as is wanted; and a disk that is full from some moment on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error = 0
        write = os.write

        def fail(fd: int, data: Any) -> int:
            if self.error:
                raise OSError(self.error, os.strerror(self.error))
            return write(fd, data)

        monkeypatch.setattr(_files.os, "write", fail)


async def test_a_full_disk_is_told_once_and_tried_with_rests(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = BadDisk(monkeypatch)
    async with (
        recorded(tmp_path) as rig,
        published(rig.network, url("relay", "/live/a")) as one,
        published(rig.network, url("relay", "/live/b")) as two,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream_on, one)
        nursery.start_soon(stream_on, two)
        player = await join(nursery, rig.network, url("relay", "/live/a"))
        await trio.sleep(3)
        disk.error = errno.ENOSPC
        await trio.sleep(20)
        told = rig.events.of(RecordingFailed)
        # Two streams are one disk.
        assert [each.retry_in for each in told] == [1.0, 2.0, 4.0, 8.0, 16.0]
        assert {each.reason for each in told} == {"No space left on device"}
        assert told[0].file.startswith(str(tmp_path / "live"))
        assert statistics(rig).lost_gops > 10
        assert sum(each.queued for each in statistics(rig).recordings) == 0
        disk.error = 0
        await trio.sleep(20)
        disk.error = errno.EIO
        await trio.sleep(1.5)
        assert rig.events.of(RecordingFailed)[-1].retry_in == 1.0  # it has been well meanwhile
        disk.error = 0
        nursery.cancel_scope.cancel()
    # Who plays has lost nothing.
    assert player.letters.count("K") > 40
    assert player.letters.replace("MVA", "").startswith("KS" + "PS" * 24 + "KS")
    assert len(set(files(tmp_path))) >= 4
    for each in files(tmp_path):
        whole = tmp_path / each
        assert FLVReader().receive(whole.read_bytes()) == tags(whole)
        assert shown(whole).startswith("MVAKSPS")
    assert rig.events.of(StreamFault) == []


async def test_a_folder_that_is_gone_is_told_at_once_and_comes_back(tmp_path: Path, autojump_clock: MockClock) -> None:
    folder = tmp_path / "mount"
    async with recorded(folder) as rig, trio.open_nursery() as nursery:
        await trio.sleep(0.1)
        (told,) = rig.events.of(RecordingFailed)
        assert told.text == (
            f"relay: everything is not recorded, {folder}: No such file or directory: make the folder, or mount its "
            "disk; next try when a stream begins"
        )
        async with published(rig.network, url("relay")) as publisher:
            nursery.start_soon(stream_on, publisher)
            await trio.sleep(2)
            assert not folder.exists()
            folder.mkdir()
            await trio.sleep(10)
            nursery.cancel_scope.cancel()
    assert [shown(folder / each)[:4] for each in files(folder)] == ["MVAK"]


async def test_a_disk_that_is_too_slow_costs_whole_gops(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recorded(tmp_path, queue_bytes=1 << 20) as rig, trio.open_nursery() as nursery:
        ctx = rig.handle.running("relay")["record"].ctx  # type: ignore[attr-defined]
        run_sync, stuck = type(ctx).run_sync, [True]

        async def slow(self: Any, fn: Any, *args: Any) -> Any:
            while stuck[0]:
                await trio.sleep(1)
            return await run_sync(self, fn, *args)

        monkeypatch.setattr(type(ctx), "run_sync", slow)
        async with published(rig.network, url("relay")) as publisher:
            player = await join(nursery, rig.network, url("relay"))
            for index in range(20):
                await send(publisher, gop(index * 1000, 25, size=2000), pace=True)
            (now,) = statistics(rig).recordings
            assert (1 << 20) - 3000 < now.queued <= (1 << 20) + 3000
            assert now.lost_gops in (9, 10)
            stuck[0] = False
            for index in range(20, 23):
                await send(publisher, gop(index * 1000, 25, size=2000), pace=True)
        await player.until(lambda v: v.letters.count("K") == 23)
        await trio.sleep(2)
        assert player.letters.count("P") == 23 * 24
        nursery.cancel_scope.cancel()
    one, two = (shown(tmp_path / each) for each in ("live/s.flv", "live/s-2.flv")) if len(files(tmp_path)) == 2 else (
        shown(tmp_path / "live/s.flv"), "")  # fmt: skip
    whole = "KS" + "PS" * 24
    gops = [f"K{each}" for each in (one + two).replace("MVA", "").replace("VA", "").split("K")[1:]]
    assert sum(each == whole for each in gops) == len(gops) - 1  # the one in which there was no more room ends early
    assert statistics(rig).lost == 23 * 50 - sum(map(len, gops))


async def test_the_off_air_clip_is_not_recorded(tmp_path: Path, autojump_clock: MockClock) -> None:
    folder = tmp_path / "rec"
    folder.mkdir()
    rtmp = RTMP(off_air=write_clip(tmp_path / "slate.flv"), off_air_after=0.5)
    tier = relay(serves=(rtmp, Record(folder=str(folder), file="{name}.flv")))
    async with opened(Graph.of(tier)) as rig, trio.open_nursery() as nursery:
        player = await join(nursery, rig.network, url("relay"))
        for who in (1, 2):
            async with published(rig.network, url("relay"), opening(who)) as publisher:
                await trio.sleep(0.3)  # the second one's headers come while the clip is shown
                await send(publisher, seconds(2, who), pace=True)
            await trio.sleep(4)
        assert {each.payload[-1] for each in player.media if letter(each.type_id, each.payload) in "KPS"} == {
            1,
            2,
            CLIP,
        }
        nursery.cancel_scope.cancel()
    for who, each in ((1, "s.flv"), (2, "s-2.flv")):
        assert shown(folder / each) == "MVA" + ("KS" + "PS" * 24) * 2
        assert {tag.payload[-1] for tag in tags(folder / each)[1:]} == {who}


async def test_whatever_goes_wrong_ends_the_recording_alone(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(*args: object) -> None:
        raise RuntimeError("cannot start a thread")

    monkeypatch.setattr(_files.Place, "perform", odd)
    async with recorded(tmp_path) as rig, trio.open_nursery() as nursery:
        async with published(rig.network, url("relay")) as publisher:
            player = await join(nursery, rig.network, url("relay"))
            await send(publisher, [each for index in range(5) for each in gop(index * 1000, 25)], pace=True)
            await player.until(lambda v: v.letters.count("P") == 5 * 24)
        (told,) = rig.events.of(RecordingFailed)
        assert told.reason == "RuntimeError: cannot start a thread"
        assert rig.events.of(StreamFault) == []
        nursery.cancel_scope.cancel()


async def test_a_queue_that_is_half_full_does_not_wait_for_its_turn(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with recorded(tmp_path, queue_bytes=1 << 20) as rig:
        async with published(rig.network, url("relay")) as publisher:
            for index in range(3):  # 2 MB in less than half a second
                await send(publisher, gop(index * 80, 2, size=175_000), pace=True)
        await trio.sleep(1)
        assert shown(tmp_path / "live/s.flv") == "MVA" + "KSPS" * 3
        assert statistics(rig).lost == 0


async def test_what_another_process_has_left_is_told_at_the_start(tmp_path: Path, autojump_clock: MockClock) -> None:
    (tmp_path / "live").mkdir()
    (tmp_path / "live/old.flv.part").write_bytes(b"x" * 100)
    async with recorded(tmp_path) as rig:
        await trio.sleep(0.1)
        (told,) = rig.events.of(RecordingLeft)
        assert (told.file, told.bytes) == (str(tmp_path / "live/old.flv.part"), 100)
        assert statistics(rig).left_over == 1


async def test_changed_options_are_taken_as_they_are(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with recorded(tmp_path, streams=("live/a",)) as rig:
        async with (
            published(rig.network, url("relay", "/live/a"), [*headers(), *gop(0, 25)]) as one,
            published(rig.network, url("relay", "/live/b"), [*headers(), *gop(0, 25)]) as two,
        ):
            await trio.sleep(1)
            running = rig.handle.running("relay")["record"]
            recipe = rig.handle.graph["relay"].serves[1]
            assert isinstance(recipe, Record)
            assert running.replace(evolve(recipe, streams=("live/*",), rotate_seconds=2))
            assert not running.replace(RTMP())
            for start in (1000, 2000, 3000):
                await send(one, gop(start, 25))
                await send(two, gop(start, 25))
            await trio.sleep(1)
        await trio.sleep(1)
        found = {each: shown(tmp_path / each).count("K") for each in files(tmp_path)}
        assert found == {"live/a.flv": 2, "live/a-2.flv": 2, "live/b.flv": 2, "live/b-2.flv": 1}


async def test_sound_alone_is_recorded(tmp_path: Path, autojump_clock: MockClock) -> None:
    sent: list[Sent] = [metadata(video=False), headers()[2], *(sound(at) for at in range(0, 5000, 23))]
    async with recorded(tmp_path, rotate_seconds=2) as rig:
        async with published(rig.network, url("relay"), sent):
            await trio.sleep(1)
        await trio.sleep(1)
        assert payloads(*(tmp_path / f"live/s{each}.flv" for each in ("", "-2", "-3"))) == [
            each.payload for each in sent[2:]
        ]


async def test_a_stream_outlives_those_who_follow_it(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with recorded(tmp_path) as rig:
        told: list[bool] = []

        def follow(stream: Stream) -> None:
            told.append(stream.on_air)
            raise ValueError("odd")

        cancel = rig.handle.running("relay")["rtmp"].live.follow(follow)  # type: ignore[attr-defined]
        for _ in range(2):
            async with published(rig.network, url("relay"), [*headers(), key(0)]):
                await trio.sleep(0.1)
            await trio.sleep(0.1)
            cancel()
            cancel()
        assert told == [True, False]
        assert {each.reason for each in rig.events.of(StreamFault)} == {
            "something that follows it failed: ValueError: odd"
        }
        await trio.sleep(1)
        assert len(files(tmp_path)) == 2


def test_a_recorder_is_checked_with_its_graph(tmp_path: Path) -> None:
    assert check(graph(tmp_path)) == []
    bad = Record(folder="", streams=(), file="/{name}", rotate_seconds=0.5)
    assert check(Graph.of(relay(serves=(RTMP(), bad)))) == [
        "relay: record: option rotate_seconds=0.5 is too small: give at least 1 s",
        "relay: record: option folder is missing: say where recordings go, for instance folder='/var/rec'",
        "relay: record: option streams=() records nothing: name streams, or leave the service out",
        "relay: record: option file='/{name}': it leaves the folder: write it without '..' and a leading '/'",
    ]
    assert check(Graph.of(relay(serves=Record(folder="/x")))) == [
        "relay: nothing answers at rtmp://relay.example:1935, record needs no door: add what does"
    ]
