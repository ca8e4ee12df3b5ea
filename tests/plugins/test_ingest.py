"""The embedded origin on a network in memory: publishers, players, HLS and everything that goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import m3u8
import pytest
import trio
from attrs import frozen
from trio.testing import MockClock

from tests.packaging.media import decode, frames, of_kind, signal
from tierkit import Graph, Origin, check
from tierkit.codecs.flv import Tag, create_video_tag, parse_tag
from tierkit.codecs.http1 import get
from tierkit.events import Dropped, PublisherJoined, PublisherLeft, StreamFault
from tierkit.http import HttpClient
from tierkit.plugin import Address, NotServed, UpstreamError
from tierkit.plugins.ingest import Ingest, IngestStatistics
from tierkit.rtmp import Publisher, open_publisher, pull
from tierkit.testing import MemoryNetwork

from ..core.rig import Rig, opened

HLS = Address.parse("http://studio:80")
RTMP = Address.parse("rtmp://studio:1935")


@frozen
class Answer:
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def get(self, name: bytes) -> bytes | None:
        return get(self.headers, name)

    @property
    def text(self) -> str:
        return self.body.decode()


class Studio:
    """An origin that is up, and who talks to it."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.network = rig.network
        self._client = HttpClient(rig.network, trio.current_time)

    @property
    def statistics(self) -> IngestStatistics:
        found = self.rig.handle.running("studio")["ingest"].statistics()
        assert isinstance(found, IngestStatistics)
        return found

    async def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        path, _, query = path.partition("?")
        fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        async with self._client.request(method, HLS.with_(path=path, query=query), fields) as response:
            return Answer(response.status, tuple(response.headers), await response.read(64 << 20))

    def publisher(self, path: str = "/live/s") -> Any:
        return open_publisher(self.network, RTMP.with_(path=path))

    async def publish(self, tags: Iterable[Tag], path: str = "/live/s") -> None:
        """Publish messages in real time, then leave."""
        async with self.publisher(path) as publisher:
            await send(publisher, tags)

    async def segments(self, path: str = "/live/s") -> list[bytes]:
        """What a player that begins now would fetch: every segment of the playlist."""
        top = m3u8.loads((await self.ask(f"{path}/playlist.m3u8")).text)
        listed = m3u8.loads((await self.ask(f"{path}/{top.playlists[0].uri}")).text)
        return [(await self.ask(f"{path}/{segment.uri}")).body for segment in listed.segments]


async def send(publisher: Publisher, tags: Iterable[Tag]) -> None:
    start = trio.current_time()
    for tag in tags:
        await trio.sleep_until(start + tag.timestamp / 1000)
        await publisher.send(tag.type_id, tag.timestamp, tag.payload)


@asynccontextmanager
async def studio(**options: Any) -> AsyncIterator[Studio]:
    doors = ("rtmp://studio:1935", "http://studio:80")
    node = Origin("studio", host="studio", listen=doors, serves=Ingest(**options))
    assert check(Graph.of(node)) == []
    async with opened(node, network=MemoryNetwork(), drain=1) as rig:
        yield Studio(rig)


async def test_what_is_published_is_served_as_hls(autojump_clock: MockClock) -> None:
    async with studio() as origin:
        await origin.publish(signal(8))
        await trio.sleep(0.5)
        segments = await origin.segments()
        assert len(segments) == 4
        assert len(decode(b"".join(segments), "video")) == 200
        assert len(of_kind("audio", [f for each in segments for f in frames(each)])) > 340


async def test_headers_for_caches_and_for_browsers(autojump_clock: MockClock) -> None:
    async with studio() as origin:
        await origin.publish(signal(8))
        top = await origin.ask("/live/s/playlist.m3u8")
        listed = await origin.ask("/live/s/chunklist.m3u8")
        name = m3u8.loads(listed.text).segments[0].uri
        segment = await origin.ask(f"/live/s/{name}")
        for answer in (top, listed):
            assert answer.status == 200
            assert answer.get(b"content-type") == b"application/vnd.apple.mpegurl"
            assert answer.get(b"cache-control") == b"max-age=1"
        assert segment.get(b"content-type") == b"video/mp2t"
        assert segment.get(b"cache-control") == b"public, max-age=3600, immutable"
        for answer in (top, listed, segment):
            assert answer.get(b"access-control-allow-origin") == b"*"
            assert answer.get(b"etag")

        etag = (segment.get(b"etag") or b"").decode()
        again = await origin.ask(f"/live/s/{name}", if_none_match=etag)
        assert (again.status, again.body) == (304, b"")
        head = await origin.ask(f"/live/s/{name}", "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.get(b"content-length") == str(len(segment.body)).encode()


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-187", 206, 0, 188),
        ("bytes=188-", 206, 188, None),
        ("bytes=-376", 206, -376, None),
        ("bytes=5-6,0-1", 200, 0, None),  # backwards: nobody honest asks so
        ("bytes=99999999-", 416, 0, 0),
    ],
)
async def test_ranges(autojump_clock: MockClock, asked: str, status: int, start: int, end: int | None) -> None:
    async with studio() as origin:
        await origin.publish(signal(4))
        name = m3u8.loads((await origin.ask("/live/s/chunklist.m3u8")).text).segments[0].uri
        whole = (await origin.ask(f"/live/s/{name}")).body
        part = await origin.ask(f"/live/s/{name}", range=asked)
        assert (part.status, part.body) == (status, whole[start:end])
        size = len(whole)
        if status == 206:
            first = start % size
            assert part.get(b"content-range") == f"bytes {first}-{first + len(part.body) - 1}/{size}".encode()
        if status == 416:
            assert part.get(b"content-range") == f"bytes */{size}".encode()
        other = await origin.ask(f"/live/s/{name}", range=asked, if_range='"another"')
        assert (other.status, other.body) == (200, whole)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/live/s",
        "/live/nobody/playlist.m3u8",
        "/live/s/media_1.ts",
        "/live/s/other.html",
        "/live/../live/s/playlist.m3u8",
        "/live/%2e%2e/s/playlist.m3u8",
        "/playlist.m3u8",
    ],
)
async def test_what_is_not_there_is_not_stored_by_anybody(autojump_clock: MockClock, path: str) -> None:
    async with studio() as origin:
        await origin.publish(signal(4))
        answer = await origin.ask(path)
        assert answer.status == 404
        assert answer.get(b"cache-control") == b"no-store"
        assert answer.get(b"access-control-allow-origin") == b"*"
        assert len(answer.text.splitlines()) == 1
        assert origin.statistics.not_found == 1


async def test_other_methods(autojump_clock: MockClock) -> None:
    async with studio() as origin:
        assert (await origin.ask("/live/s/playlist.m3u8", "POST")).status == 405
        preflight = await origin.ask("/live/s/playlist.m3u8", "OPTIONS")
        assert (preflight.status, preflight.get(b"access-control-allow-methods")) == (204, b"GET, HEAD, OPTIONS")


@pytest.mark.parametrize(
    ("published", "asked"),
    [
        ("/live/s", "/live/s/playlist.m3u8?token=1"),
        ("/live/s", "/live/_definst_/s/playlist.m3u8"),
        ("/live/_definst_/s", "/live/s/playlist.m3u8"),
        ("/live/s?key=secret", "/live/s/playlist.m3u8"),
        ("/live/a/b", "/live/a/b/playlist.m3u8"),
        ("/live/one%20two", "/live/one%20two/playlist.m3u8"),
    ],
)
async def test_one_name_in_both_protocols(autojump_clock: MockClock, published: str, asked: str) -> None:
    path, _, query = published.partition("?")
    async with studio() as origin:
        async with open_publisher(origin.network, RTMP.with_(path=path, query=query)) as publisher:
            await send(publisher, signal(4))
        assert (await origin.ask(asked)).status == 200


async def test_the_first_playlist_is_held_back_until_there_is_a_segment(autojump_clock: MockClock) -> None:
    async with studio() as origin, trio.open_nursery() as nursery:
        nursery.start_soon(origin.publish, signal(6))
        await trio.sleep(0.5)
        asked = trio.current_time()
        answer = await origin.ask("/live/s/playlist.m3u8")
        assert answer.status == 200
        assert 1.4 < trio.current_time() - asked < 2.1
        assert len(m3u8.loads((await origin.ask("/live/s/chunklist.m3u8")).text).segments) == 1


async def test_a_stream_that_never_becomes_one_is_answered_in_time(autojump_clock: MockClock) -> None:
    async with studio(first_wait=3.0) as origin, origin.publisher():
        await trio.sleep(0.1)
        asked = trio.current_time()
        assert (await origin.ask("/live/s/playlist.m3u8")).status == 404
        assert trio.current_time() - asked == pytest.approx(3.0, abs=0.01)


async def test_a_drain_does_not_wait_for_a_first_segment(autojump_clock: MockClock) -> None:
    answers: list[int] = []
    async with trio.open_nursery() as nursery:
        async with studio(first_wait=60.0) as origin:

            async def ask() -> None:
                answers.append((await origin.ask("/live/s/playlist.m3u8")).status)

            async def publish() -> None:
                with pytest.raises(UpstreamError):
                    await origin.publish([*signal(1), parse_tag(8, 90_000, b"\xaf\x01late")])

            nursery.start_soon(publish)
            await trio.sleep(0.5)
            nursery.start_soon(ask)
            await trio.sleep(0.5)
            left = trio.current_time()
        assert trio.current_time() - left <= 1.1
    assert answers == [404]


async def test_a_publisher_that_leaves_is_waited_for_then_forgotten(autojump_clock: MockClock) -> None:
    async with studio(linger=10.0) as origin:
        await origin.publish(signal(4))
        await trio.sleep(9)
        assert (await origin.ask("/live/s/playlist.m3u8")).status == 200
        # Its last segment has been finished, with nothing said of an end: it may come back.
        assert "ENDLIST" not in (await origin.ask("/live/s/chunklist.m3u8")).text
        await trio.sleep(2)
        assert (await origin.ask("/live/s/playlist.m3u8")).status == 404
        assert origin.statistics.streams == ()


def sequences(text: str) -> list[int]:
    return [int(each.uri.removeprefix("media_").removesuffix(".ts")) for each in m3u8.loads(text).segments]


@pytest.mark.parametrize("away", [0.0, 3.0, 60.0])
async def test_a_publisher_that_comes_back_goes_on_with_the_numbers(autojump_clock: MockClock, away: float) -> None:
    async with studio(linger=10.0) as origin:
        await origin.publish(signal(4))
        before = (await origin.ask("/live/s/chunklist.m3u8")).text
        await trio.sleep(away)
        await origin.publish(signal(4))
        after = (await origin.ask("/live/s/chunklist.m3u8")).text
        assert sequences(before)[0] > 1_700_000_000
        assert sequences(after)[-1] > sequences(before)[-1]
        if away < 10:
            assert sequences(after) == list(range(sequences(before)[0], sequences(after)[-1] + 1))
            assert after.count("#EXT-X-DISCONTINUITY\n") == 1
        else:
            assert "DISCONTINUITY" not in after
        assert origin.rig.events.of(StreamFault) == []


async def test_a_second_publisher_is_refused_and_the_first_goes_on(autojump_clock: MockClock) -> None:
    async with studio() as origin, trio.open_nursery() as nursery:
        nursery.start_soon(origin.publish, signal(6))
        await trio.sleep(1)
        with pytest.raises(UpstreamError, match=r"NetStream\.Publish\.BadName"):
            await origin.publish(signal(4))
        await trio.sleep(6)
        assert len(decode(b"".join(await origin.segments()), "video")) == 150


async def test_takeover_by_option(autojump_clock: MockClock) -> None:
    async with studio(takeover=True) as origin, trio.open_nursery() as nursery:

        async def first() -> None:
            with pytest.raises(UpstreamError):
                await origin.publish(signal(12))

        nursery.start_soon(first)
        await trio.sleep(5)
        await origin.publish(signal(6))
        text = (await origin.ask("/live/s/chunklist.m3u8")).text
        assert text.count("#EXT-X-DISCONTINUITY\n") == 1
        assert len(origin.rig.events.of(PublisherJoined)) == 2


async def test_players_get_the_same_stream_over_rtmp(autojump_clock: MockClock) -> None:
    got: list[tuple[int, int, bytes]] = []
    tags = signal(6)

    def started() -> Callable[[int, int, bytes], None]:
        return lambda type_id, timestamp, payload: got.append((type_id, timestamp, payload))

    async with studio() as origin, trio.open_nursery() as nursery:
        nursery.start_soon(origin.publish, tags)
        await trio.sleep(1.5)

        async def play() -> None:
            await pull(origin.network, RTMP.with_(path="/live/s"), started=started)

        nursery.start_soon(play)
        await trio.sleep(3)
        assert origin.statistics.players == 1
        nursery.cancel_scope.cancel()
    headers = [message for message in got[:3] if parse_tag(*message).kind.is_pinned]
    assert len(headers) == 3
    # From the keyframe at 1 s on, every message as it was published.
    sent = [(t.type_id, t.payload) for t in tags]
    frames_seen = [(type_id, payload) for type_id, _, payload in got[3:]]
    start = sent.index(frames_seen[0])
    assert parse_tag(9, 0, frames_seen[0][1]).kind.is_keyframe
    assert frames_seen == sent[start : start + len(frames_seen)]


async def test_nobody_fills_the_table_with_names_that_are_only_asked_for(autojump_clock: MockClock) -> None:
    async with studio() as origin:
        for name in ("a", "b", "c"):
            with pytest.raises(NotServed):
                await pull(origin.network, RTMP.with_(path=f"/live/{name}"), started=lambda: lambda *_: None)
            assert (await origin.ask(f"/live/{name}/playlist.m3u8")).status == 404
        assert origin.rig.handle.running("studio")["ingest"].streams() == []


async def test_the_bound_of_streams(autojump_clock: MockClock) -> None:
    async with studio(max_streams=1) as origin, origin.publisher("/live/a"):
        with pytest.raises(UpstreamError, match="max_streams"):
            await origin.publish(signal(4), "/live/b")


async def test_a_publisher_that_sends_too_much_is_dropped(autojump_clock: MockClock) -> None:
    async with studio(max_bitrate=100_000) as origin:
        with pytest.raises(UpstreamError):
            await origin.publish(signal(30))
        (event,) = origin.rig.events.of(Dropped)
        assert "max_bitrate is 0.1" in event.reason
        assert origin.statistics.too_fast == 1


async def test_garbage_from_one_publisher_harms_nobody_else(autojump_clock: MockClock) -> None:
    bad = [*signal(4), *(create_video_tag(2000 + at, b"\xff" * 50, frame_type=2) for at in range(0, 500, 40))]
    bad.sort(key=lambda t: t.timestamp)
    async with studio() as origin, trio.open_nursery() as nursery:
        nursery.start_soon(origin.publish, bad, "/live/bad")
        nursery.start_soon(origin.publish, signal(6), "/live/good")
        await trio.sleep(7)
        assert {event.stream for event in origin.rig.events.of(StreamFault)} == {"/live/bad"}
        by_name = {each.live.name: each.hls for each in origin.statistics.streams}
        assert by_name["/live/bad"].faults > 0
        assert by_name["/live/good"].faults == 0
        assert len(decode(b"".join(await origin.segments("/live/good")), "video")) == 150


async def test_a_publisher_that_vanishes_in_the_middle_of_a_message(autojump_clock: MockClock) -> None:
    async with studio() as origin:

        async def vanish() -> None:
            async with origin.publisher() as publisher:
                await send(publisher, signal(5))
                publisher._connection.send_nowait(b"\x06\x00\x10\x00\x01\x00\x00\x09\x01\x00\x00\x00 and nothing")
                publisher._connection.abort()
                await trio.sleep(1)
                await publisher.send(9, 5000, b"x")

        with pytest.raises(UpstreamError):
            await vanish()
        await trio.sleep(1)
        assert len(origin.rig.events.of(PublisherLeft)) == 1
        assert len(decode(b"".join(await origin.segments()), "video")) == 125


async def test_sound_alone_and_picture_alone(autojump_clock: MockClock) -> None:
    async with studio() as origin, trio.open_nursery() as nursery:
        nursery.start_soon(origin.publish, signal(6, video=False), "/live/radio")
        nursery.start_soon(origin.publish, signal(6, audio=False), "/live/camera")
        await trio.sleep(7)
        assert {f.kind for each in await origin.segments("/live/radio") for f in frames(each)} == {"audio"}
        assert {f.kind for each in await origin.segments("/live/camera") for f in frames(each)} == {"video"}


async def test_kick_ends_the_publisher(autojump_clock: MockClock) -> None:
    async with studio() as origin, trio.open_nursery() as nursery:

        async def publish() -> None:
            with pytest.raises(UpstreamError):
                await origin.publish(signal(8))

        nursery.start_soon(publish)
        await trio.sleep(2)
        assert origin.rig.handle.running("studio")["ingest"].kick("/live/*") == 1


def test_options_that_do_not_go_together() -> None:
    node = Origin("studio", listen="rtmp://:1935", serves=Ingest(segment=20.0, patience=10.0))
    (problem,) = check(Graph.of(node))
    assert "patience=10.0 must be more than segment=20.0" in problem


async def test_replacing_keeps_the_streams_where_packaging_is_the_same(autojump_clock: MockClock) -> None:
    async with studio() as origin:
        running = origin.rig.handle.running("studio")["ingest"]
        assert running.replace(Ingest(linger=1.0, takeover=True))
        assert not running.replace(Ingest(segment=4.0))
        await origin.publish(signal(4))
        await trio.sleep(2)
        assert (await origin.ask("/live/s/playlist.m3u8")).status == 404
