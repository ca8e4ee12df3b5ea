"""The RTMP kit and the relay in memory: publish, play, join, leave, come back."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from tests.core.rig import opened
from tierkit import Graph

from .media import gop, headers
from .rig import join, published, relay, send, stream_on, studio, url, viewer


async def test_what_is_published_is_played_byte_for_byte(autojump_clock: MockClock) -> None:
    async with (
        opened(relay()) as rig,
        published(rig.network, url("relay")) as publisher,
        viewer(rig.network, url("relay")) as one,
        viewer(rig.network, url("relay")) as two,
    ):
        sent = gop(0, 10) + gop(400, 10)
        await send(publisher, sent, pace=True)
        await one.until(lambda v: len(v.media) == 3 + len(sent))
        await two.until(lambda v: len(v.media) == 3 + len(sent))
        assert one.payloads == [(each.type_id, each.payload) for each in headers() + sent]
        assert [each.timestamp for each in one.media[3:]] == [each.timestamp for each in sent]
        assert one.media == two.media
        assert one.codes == ["NetStream.Play.Start"]


async def test_a_late_player_begins_with_headers_and_the_current_gop(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, published(rig.network, url("relay")) as publisher:
        await send(publisher, gop(0, 5) + gop(200, 5))
        await trio.sleep(0.1)
        async with viewer(rig.network, url("relay")) as late:
            await late.until(lambda v: len(v.media) == 3 + 10)
            assert late.letters == "MVAKSPSPSPSPS"
            # Metadata is about the whole stream; ffmpeg takes what is stamped later for subtitles.
            assert [each.timestamp for each in late.media[:4]] == [0, 200, 200, 200]


async def test_200_players_are_one_player_upstream(autojump_clock: MockClock) -> None:
    graph = Graph.of(relay(upstream=studio()))
    async with opened(graph) as rig, published(rig.network, url("studio")) as publisher, trio.open_nursery() as nursery:
        nursery.start_soon(stream_on, publisher)
        crowd = [await join(nursery, rig.network, url("relay")) for _ in range(200)]
        for each in crowd:
            await each.until(lambda v: len(v.media) > 100)
        upstream = [each for each in rig.network.connections if each.address.host == "studio.example"]
        assert len(upstream) == 2  # the publisher and the relay
        found = rig.handle.statistics()["tiers"]["relay"]["services"]["rtmp"]
        assert (found["players"], found["pulls"], found["pulling"], found["pulled"]) == (200, 1, 1, 1)
        assert {each.letters[:4] for each in crowd} == {"MVAK"}
        nursery.cancel_scope.cancel()
