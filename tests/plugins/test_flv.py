"""FLV over HTTP and WebSocket out of the relay's rings: what players see of a stream's life."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.core.rig import opened
from tests.rtmp.media import Sent, frame, gop, headers, key, metadata, sound, video_header
from tests.rtmp.rig import published, send, stream_on, studio, url, viewer
from tierkit import Graph
from tierkit.codecs.rtmp_message import AUDIO, VIDEO
from tierkit.events import Dropped, PublisherJoined, ViewerJoined, ViewerLeft
from tierkit.plugins.flv import FLV
from tierkit.plugins.rtmp import RTMP

from .flv_rig import KINDS, WebSocketPlayer, figures, join, playing, relay

pytestmark = pytest.mark.parametrize("kind", KINDS)


async def test_what_is_published_is_played_tag_by_tag(kind: str, autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, published(rig.network, url("relay")) as publisher:
        sent = gop(0, 10) + gop(400, 10)
        async with (
            playing(KINDS[kind](rig.network)) as one,
            playing(KINDS[kind](rig.network)) as two,
            viewer(rig.network, url("relay")) as over_rtmp,
        ):
            await send(publisher, sent, pace=True)
            for each in (one, two):
                await each.until(lambda v: len(v.tags) == 3 + len(sent))
            await over_rtmp.until(lambda v: len(v.media) == 3 + len(sent))
            told = [(each.type_id, each.timestamp, each.payload) for each in over_rtmp.media]
        assert [(each.type_id, each.timestamp, each.payload) for each in one.tags] == told
        assert one.tags == two.tags
        assert one.flags == 5
        assert [each.stream for each in rig.events.of(ViewerJoined)] == ["/live/s"] * 3


async def test_the_head_says_what_it_is(kind: str, autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, published(rig.network, url("relay")) as publisher:
        await send(publisher, gop(0, 4))
        async with playing(KINDS[kind](rig.network)) as player:
            await player.until(lambda v: "K" in v.letters)
    if kind == "http":
        assert player.status == 200
        assert b"\r\nContent-Type: video/x-flv" in player.head
        assert b"\r\nCache-Control: no-store" in player.head
        assert b"\r\nAccess-Control-Allow-Origin: *" in player.head
        assert b"\r\nConnection: close" in player.head
        assert b"Content-Length" not in player.head
    else:
        assert isinstance(player, WebSocketPlayer)
        assert player.status == 101
        assert player.messages[0] == b"FLV\x01\x05\0\0\0\x09\0\0\0\0"
        assert len(player.messages) == 1 + len(player.tags)  # a message a tag


async def test_a_late_player_begins_with_headers_and_the_current_gop(kind: str, autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, published(rig.network, url("relay")) as publisher:
        await send(publisher, gop(0, 5) + gop(200, 5))
        await trio.sleep(0.1)
        # One that fills the ring, and one that finds it.
        async with playing(KINDS[kind](rig.network)) as first:
            await first.until(lambda v: len(v.tags) == 3 + 10)
            async with playing(KINDS[kind](rig.network)) as late:
                await late.until(lambda v: len(v.tags) == 3 + 10)
        for each in (first, late):
            assert each.letters == "MVAKSPSPSPSPS"
            assert [tag.timestamp for tag in each.tags[:4]] == [0, 200, 200, 200]


async def test_a_large_picture_is_one_tag_all_the_same(kind: str, autojump_clock: MockClock) -> None:
    sent = [key(0, 200_000), sound(20), frame(40, 70_000)]
    async with opened(relay()) as rig, published(rig.network, url("relay")) as publisher:
        await send(publisher, sent)
        await trio.sleep(0.5)
        async with playing(KINDS[kind](rig.network)) as player:  # out of chunks of 60,000 bytes
            await player.until(lambda v: len(v.tags) == 6)
            await send(publisher, [key(80, 200_000)])
            await player.until(lambda v: len(v.tags) == 7)
    assert [each.payload for each in player.tags[3:]] == [each.payload for each in [*sent, key(80, 200_000)]]


async def test_its_ring_lives_as_long_as_its_players(kind: str, autojump_clock: MockClock) -> None:
    async with (
        opened(relay()) as rig,
        published(rig.network, url("relay")) as publisher,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream_on, publisher)

        def encodings() -> list[str]:
            (stream,) = figures(rig, service="rtmp")["streams"]
            return [each["encoding"] for each in stream["encodings"]]

        await trio.sleep(2)
        assert encodings() == []
        async with playing(KINDS[kind](rig.network)) as one:
            await one.until(lambda v: "K" in v.letters)
            assert encodings() == ["flv" if kind == "http" else "websocket-flv"]
            (state,) = rig.handle.statistics()["tiers"]["relay"]["streams"]
            assert (state["viewers"], state["on_air"]) == (1, True)
            assert figures(rig)["players"] == 1
            assert figures(rig)["websockets"] == (kind == "websocket")
        await trio.sleep(1)
        assert encodings() == []
        told = figures(rig)
        assert told.pop("access")["asked"] == 0
        assert told == {"players": 0, "websockets": 0, "waiting": 0, "requests": 1, "refused": 0}
        # What it was sent is still counted.
        (after,) = rig.handle.statistics()["tiers"]["relay"]["streams"]
        assert (after["viewers"], after["bytes_out"] >= state["bytes_out"] > 0) == (0, True)
        (left,) = rig.events.of(ViewerLeft)
        assert left.stream == "/live/s"
        async with playing(KINDS[kind](rig.network)) as again:
            await again.until(lambda v: len(v.tags) > 60)
            assert again.letters[:4] == "MVAK"
        nursery.cancel_scope.cancel()


async def test_the_first_player_starts_the_pull_and_the_last_ends_it(kind: str, autojump_clock: MockClock) -> None:
    graph = Graph.of(relay(upstream=studio(), rtmp=RTMP(grace=7)))
    async with opened(graph) as rig, published(rig.network, url("studio")) as publisher, trio.open_nursery() as nursery:
        nursery.start_soon(stream_on, publisher)
        assert figures(rig, service="rtmp")["pulls"] == 0
        async with playing(KINDS[kind](rig.network)) as one, viewer(rig.network, url("relay")) as two:
            await one.until(lambda v: "K" in v.letters)
            await two.until(lambda v: "K" in v.letters)
            assert figures(rig, service="rtmp")["pulls"] == 1
        await trio.sleep(6)
        assert figures(rig, service="rtmp")["pulling"] == 1
        await trio.sleep(2)
        assert figures(rig, service="rtmp")["pulling"] == 0
        assert rig.handle.statistics()["tiers"]["relay"]["streams"] == []
        assert {each.tier for each in rig.events.of(PublisherJoined)} == {"studio"}
        # Requests are counted where they are made, so that the tier's figures are right.
        figure = rig.handle.statistics()["tiers"]["relay"]["figures"]
        assert (figure["requests"], figure["viewers"]) == (2, 0)
        nursery.cancel_scope.cancel()


async def test_who_comes_early_waits_for_a_publisher(kind: str, autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, playing(KINDS[kind](rig.network)) as player:
        await trio.sleep(5)
        assert (player.status, figures(rig)["waiting"]) == (0, 1)
        async with published(rig.network, url("relay"), [metadata()]) as publisher:
            await trio.sleep(1)
            assert player.status == 0  # nothing to begin with yet
            await send(publisher, [*headers()[1:], *gop(0, 5)])
            await player.until(lambda v: v.letters.startswith("MVAKSPS"))
            assert (player.flags, figures(rig)["waiting"]) == (5, 0)


async def test_who_waits_in_vain_is_told_404(kind: str, autojump_clock: MockClock) -> None:
    async with opened(relay(flv=FLV(patience=4))) as rig:
        start = trio.current_time()
        async with playing(KINDS[kind](rig.network)) as player:
            await player.ended.wait()
        assert 4 <= trio.current_time() - start <= 7.1
        assert player.status == 404
        assert bytes(player.body) == b"/live/s is not on air\n"
        assert player.lost == ""
        assert figures(rig)["refused"] == 1
        assert rig.handle.statistics()["tiers"]["relay"]["streams"] == []  # nor does the name stay


async def test_an_upstream_that_is_down_is_named(kind: str, autojump_clock: MockClock) -> None:
    async with opened(Graph.of(relay(upstream=studio()))) as rig:
        rig.network.fault("studio.example:1935", refuse=True)
        async with playing(KINDS[kind](rig.network)) as player:
            await player.ended.wait()
        assert player.status == 404
        assert b"studio" in player.body


async def test_players_stay_while_the_publisher_is_away(kind: str, autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, playing(KINDS[kind](rig.network)) as player:
        async with published(rig.network, url("relay"), headers(mark=1)) as publisher:
            await send(publisher, gop(5000, 5))
            await player.until(lambda v: "K" in v.letters)
            await trio.sleep(1)
        await trio.sleep(10)
        seen = len(player.tags)
        async with published(rig.network, url("relay"), headers(mark=2)) as publisher:
            await send(publisher, [frame(0), sound(10)])  # the middle of a GOP: not shown
            await send(publisher, gop(40, 5))
            await player.until(lambda v: v.letters.count("K") == 2)
            await trio.sleep(1)
        after = player.tags[seen:]
        assert player.letters[seen:].startswith("MVAKSPSPS")
        times = [each.timestamp for each in player.tags if each.type_id != 18]
        assert times == sorted(times)
        assert after[1].payload == video_header(mark=2).payload
        assert player.body.count(b"FLV\x01") == 1
        assert [each.stream for each in rig.events.of(ViewerJoined)] == ["/live/s"]  # it has never left


async def test_a_stream_that_does_not_come_back_ends_in_order(kind: str, autojump_clock: MockClock) -> None:
    async with opened(relay(rtmp=RTMP(linger=3))) as rig, playing(KINDS[kind](rig.network)) as player:
        async with published(rig.network, url("relay")) as publisher:
            await send(publisher, gop(0, 5))
            await player.until(lambda v: "K" in v.letters)
        with trio.fail_after(10):
            await player.ended.wait()
        assert player.lost == ""
        if isinstance(player, WebSocketPlayer):
            assert player.closed is not None
            assert (player.closed.code, player.closed.reason) == (1000, "the stream has ended")


async def test_a_draining_tier_ends_them_in_order(kind: str, autojump_clock: MockClock) -> None:
    async with (
        opened(relay(flv=FLV(farewell=5))) as rig,
        published(rig.network, url("relay")) as publisher,
        playing(KINDS[kind](rig.network)) as player,
    ):
        await send(publisher, gop(0, 5))
        await player.until(lambda v: "K" in v.letters)
        left = trio.current_time()
        rig.handle.running("relay")["flv"].draining()
        async with playing(KINDS[kind](rig.network)) as late:
            await late.until(lambda v: v.body.endswith(b"\n"))
        assert (late.status, bytes(late.body)) == (503, b"relay is about to stop\n")
        await send(publisher, gop(200, 5))
        await player.until(lambda v: v.letters.count("K") == 2)  # it goes on meanwhile
        await player.ended.wait()
        assert 5 <= trio.current_time() - left < 9
        assert player.lost == ""
        if isinstance(player, WebSocketPlayer):
            assert player.closed is not None
            assert (player.closed.code, player.closed.reason) == (1001, "the server is about to stop")


async def test_leaving_drains_them(kind: str, autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        async with opened(relay(flv=FLV(farewell=1)), drain=20) as rig:
            waiting = await join(nursery, KINDS[kind](rig.network))
            await trio.sleep(1)
            left = trio.current_time()
        assert trio.current_time() - left < 8
        await waiting.ended.wait()
        assert waiting.status == 503


async def test_a_kick_ends_whoever_plays_it(kind: str, autojump_clock: MockClock) -> None:
    async with (
        opened(relay()) as rig,
        published(rig.network, url("relay")) as publisher,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream_on, publisher)
        player = await join(nursery, KINDS[kind](rig.network))
        await player.until(lambda v: "K" in v.letters)
        service = rig.handle.running("relay")["flv"]
        assert (service.kick("live/other"), service.kick("live/s")) == (0, 1)
        await player.ended.wait()
        assert "reset" in player.lost
        assert ("/live/s", "kicked") in [(each.stream, each.reason) for each in rig.events.of(Dropped)]
        nursery.cancel_scope.cancel()


async def test_a_slow_player_skips_whole_gops(kind: str, autojump_clock: MockClock) -> None:
    slow = RTMP(slow_bytes=65536 * 2, drop_after=300)
    async with opened(relay(rtmp=slow)) as rig, published(rig.network, url("relay")) as publisher:
        player, other = KINDS[kind](rig.network), KINDS[kind](rig.network)
        async with playing(player), playing(other):
            await send(publisher, gop(0, 5))
            for each in (player, other):
                await each.until(lambda v: "K" in v.letters)
            player.pause()
            for number in range(1, 80):
                await send(publisher, gop(number * 1000, 5, size=8000))
                await trio.sleep(1)
            player.go_on()
            await trio.sleep(2)
            await send(publisher, gop(80_000, 5))
            await player.until(lambda v: v.tags[-1].timestamp >= 80_000)
        assert other.letters.count("K") == 81
        assert 2 < player.letters.count("K") < 60
        # Headers again before the picture that it goes on with, and never the middle of a GOP.
        assert player.letters.count("MVAK") > 1
        for start in range(0, 81_000, 1000):
            shown = [
                each.timestamp - start for each in player.tags if each.type_id == VIDEO and not each.kind.is_pinned
            ]
            shown = [at for at in shown if 0 <= at < 1000]
            assert shown in ([0, 40, 80, 120, 160][:many] for many in range(6))
        assert player.lost == ""


async def test_one_that_takes_nothing_is_given_up(kind: str, autojump_clock: MockClock) -> None:
    async with (
        opened(relay(rtmp=RTMP(drop_after=5))) as rig,
        published(rig.network, url("relay")) as publisher,
        playing(KINDS[kind](rig.network)) as player,
    ):
        await send(publisher, gop(0, 5))
        await player.until(lambda v: "K" in v.letters)
        player.pause()
        for number in range(1, 40):
            await send(publisher, gop(number * 1000, 5, size=60_000))
            await trio.sleep(1)
        dropped = [each for each in rig.events.of(Dropped) if "took nothing for 5 s" in each.reason]
        assert [each.stream for each in dropped] == ["/live/s"]
        assert figures(rig)["players"] == 0


async def test_who_chatters_is_ended(kind: str, autojump_clock: MockClock) -> None:
    async with (
        opened(relay()) as rig,
        published(rig.network, url("relay")) as publisher,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream_on, publisher)
        player = await join(nursery, KINDS[kind](rig.network))
        await player.until(lambda v: "K" in v.letters)
        await player.connection.send_all(b"\x82\xfe\x80\x00" + bytes(4) + bytes(32768))
        await trio.sleep(1)
        assert not player.ended.is_set()
        await player.connection.send_all(b"\x82\xfe\x80\x00" + bytes(4) + bytes(40000))
        await player.ended.wait()
        assert "says more than a player has to" in rig.events.of(Dropped)[-1].reason
        nursery.cancel_scope.cancel()


def only_sound(sent: list[Sent]) -> list[Sent]:
    return [each for each in sent if each.type_id == AUDIO]


@pytest.mark.parametrize(
    ("carried", "flags"),
    [
        ("pictures alone", 1),
        ("sound alone", 4),
        ("metadata that lies of pictures", 4),
        ("sound behind the picture", 5),
    ],
)
async def test_the_header_says_what_there_is(kind: str, carried: str, flags: int, autojump_clock: MockClock) -> None:
    # flv.js and mpegts.js wait for ever for sound or pictures that the header promises.
    opening = {
        "pictures alone": [video_header(), *(each for each in gop(0, 5) if each.type_id != AUDIO)],
        "sound alone": [metadata(video=False), headers()[2], *only_sound(gop(0, 5))],
        "metadata that lies of pictures": [metadata(), headers()[2], *only_sound(gop(0, 80))],
        "sound behind the picture": [metadata(), video_header(), key(0), sound(20)],
    }
    async with (
        opened(relay()) as rig,
        playing(KINDS[kind](rig.network)) as early,
        published(rig.network, url("relay"), opening[carried]),
    ):
        await early.until(lambda v: len(v.body) > 13)
        assert early.flags == flags
        await trio.sleep(3)
        async with playing(KINDS[kind](rig.network)) as late:
            await late.until(lambda v: len(v.body) > 13)
            assert late.flags == flags
