"""The clip as HLS: what the embedded origin packages while nobody publishes."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import av
import m3u8
import pytest
import trio
from trio.testing import MockClock

from tests.packaging.media import signal
from tests.plugins.test_ingest import Studio, studio
from tierkit.codecs.flv import Tag

from .clips import flv


@pytest.fixture
def clip(tmp_path: Path) -> str:
    """Three seconds of another size, rate and sound than what is published: other parameter sets."""
    path = tmp_path / "slate.flv"
    path.write_bytes(flv(signal(3, width=96, height=54, sample_rate=48000)))
    return str(path)


class Watcher:
    """A player of HLS: asks for the playlist every second, and holds it to what must never happen."""

    def __init__(self, origin: Studio, path: str = "/live/s") -> None:
        self.origin, self.path = origin, path
        #: By media sequence number: whether a discontinuity stands before it, and its bytes.
        self.segments: dict[int, tuple[bool, bytes]] = {}
        self.sequence = self.discontinuity = 0

    async def watch(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            await self.look()
            await trio.sleep(1)

    async def look(self) -> None:
        answer = await self.origin.ask(f"{self.path}/chunklist.m3u8")
        assert answer.status == 200
        listed = m3u8.loads(answer.text)
        assert listed.media_sequence >= self.sequence
        assert (listed.discontinuity_sequence or 0) >= self.discontinuity
        self.sequence, self.discontinuity = listed.media_sequence, listed.discontinuity_sequence or 0
        for number, each in enumerate(listed.segments, self.sequence):
            if number not in self.segments:
                body = (await self.origin.ask(f"{self.path}/{each.uri}")).body
                self.segments[number] = (bool(each.discontinuity), body)

    @property
    def numbers(self) -> list[int]:
        return sorted(self.segments)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """The picture's size in each segment."""
        return [size_of(self.segments[number][1]) for number in self.numbers]


def size_of(segment: bytes) -> tuple[int, int]:
    with av.open(io.BytesIO(segment), format="mpegts") as container:
        sizes = {(each.width, each.height) for each in container.decode(video=0)}
    (size,) = sizes
    return size


async def live(origin: Studio, seconds: int, path: str = "/live/s") -> None:
    await origin.publish(signal(seconds), path)


async def test_a_recess(autojump_clock: MockClock, clip: str) -> None:
    async with studio(off_air=clip, linger=4) as origin, trio.open_nursery() as nursery:
        nursery.start_soon(live, origin, 6)
        await trio.sleep(3)
        player = Watcher(origin)
        await player.watch(20)
        (told,) = origin.statistics.streams
        assert (told.live.source, told.live.on_air) == ("off_air", False)
        nursery.start_soon(live, origin, 6)
        await player.watch(12)
        assert player.numbers == list(range(player.numbers[0], player.numbers[-1] + 1))
        marks = [player.segments[number][0] for number in player.numbers]
        sizes = player.sizes
        changes = [before != after for before, after in pairwise([sizes[0], *sizes])]
        assert marks == changes
        parts = [size for size, change in zip(sizes, [True, *changes[1:]], strict=True) if change]
        assert parts == [(128, 72), (96, 54), (128, 72), (96, 54)]
        (told,) = origin.statistics.streams
        assert (told.hls.faults, told.hls.breaks) == (0, 0)


async def test_it_is_packaged_for_those_who_ask_and_for_nobody_else(autojump_clock: MockClock, clip: str) -> None:
    async with studio(off_air=clip, linger=4) as origin:
        await live(origin, 6)
        await Watcher(origin).watch(30)
        (told,) = origin.statistics.streams
        assert told.live.source == "off_air"
        await trio.sleep(7)  # three segments' time
        (before,) = origin.statistics.streams
        assert before.live.source == ""
        await trio.sleep(2)
        (after,) = origin.statistics.streams
        assert after.hls.segments <= before.hls.segments + 1
        await trio.sleep(3)
        assert origin.statistics.streams == ()
        assert (await origin.ask("/live/s/playlist.m3u8")).status == 404


async def test_a_programme_by_name_has_a_playlist_before_its_first_publisher(
    autojump_clock: MockClock, clip: str
) -> None:
    async with studio(off_air=clip, off_air_for=("live/the hall",)) as origin:
        assert (await origin.ask("/live/s/playlist.m3u8")).status == 404
        assert (await origin.ask("/live/the%20hall/playlist.m3u8")).status == 200
        player = Watcher(origin, "/live/the%20hall")
        await player.watch(6)
        assert set(player.sizes) == {(96, 54)}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(live, origin, 8, "/live/the hall")
            await player.watch(7)
        assert player.sizes[-1] == (128, 72)


async def test_a_publisher_without_a_keyframe_does_not_disturb_it(autojump_clock: MockClock, clip: str) -> None:
    async with studio(off_air=clip) as origin:
        await live(origin, 4)
        player = Watcher(origin)
        await player.watch(4)
        async with origin.publisher() as publisher:
            headers = [tag for tag in signal(1) if tag.kind.is_pinned]
            for tag in [*headers, *_pictures(signal(1))[1:]]:
                await publisher.send(tag.type_id, tag.timestamp, tag.payload)
            await player.watch(8)
            (told,) = origin.statistics.streams
            assert (told.live.on_air, told.live.source) == (True, "off_air")
        assert player.sizes[-1] == (96, 54)
        assert sum(mark for mark, _ in player.segments.values()) == 1
        assert told.hls.faults == 0


def _pictures(tags: tuple[Tag, ...]) -> list[Tag]:
    return [tag for tag in tags if tag.type_id == 9 and not tag.kind.is_pinned]
