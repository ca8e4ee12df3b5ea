"""The relay's upstream side: one pull for everybody, failover, rests, grace, loops, pushing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.core.fakes import Record
from tests.core.rig import Rig, opened
from tests.rtmp.media import audio_header, gop, headers, key, metadata, video_header
from tests.rtmp.rig import join, published, relay, send, stream_on, studio, url, viewer
from tierkit import Graph, Listener, Origin
from tierkit.codecs.rtmp_message import DATA, VIDEO
from tierkit.codecs.rtmp_session import ConnectRequested, PlayRequested, ServerSession
from tierkit.errors import UpstreamError
from tierkit.events import (
    ConnectionFailed,
    Dropped,
    PublisherJoined,
    StreamEnded,
    StreamStarted,
    UpstreamBack,
    UpstreamLost,
)
from tierkit.plugin import Connection
from tierkit.plugins.networks import Networks
from tierkit.plugins.rtmp import RTMP
from tierkit.plugins.rtmp._push import QUEUE_MESSAGES, PushQueue
from tierkit.plugins.wowza import Wowza


def figures(rig: Rig, tier: str = "relay") -> dict[str, Any]:
    found: dict[str, Any] = rig.handle.statistics()["tiers"][tier]["services"]["rtmp"]
    return found


def dials(rig: Rig, host: str) -> int:
    return sum(each.address.host == host for each in rig.network.connections)


async def test_the_pull_ends_a_grace_after_the_last_player(autojump_clock: MockClock) -> None:
    graph = Graph.of(relay(upstream=studio(), serves=RTMP(grace=7)))
    async with opened(graph) as rig, published(rig.network, url("studio")) as publisher, trio.open_nursery() as nursery:
        nursery.start_soon(stream_on, publisher)
        async with viewer(rig.network, url("relay")) as one:
            await one.until(lambda v: "K" in v.letters)
        await trio.sleep(6.5)
        assert figures(rig)["pulling"] == 1
        async with viewer(rig.network, url("relay")) as two:  # in time: the same pull
            await two.until(lambda v: "K" in v.letters)
            await trio.sleep(20)
        await trio.sleep(6.5)
        assert figures(rig)["pulling"] == 1
        await trio.sleep(1)
        assert (figures(rig)["pulling"], figures(rig)["pulls"]) == (0, 1)
        assert rig.handle.statistics()["tiers"]["relay"]["streams"] == []
        assert rig.handle.statistics()["tiers"]["studio"]["figures"]["viewers"] == 0
        ended = rig.events.of(StreamEnded)
        assert [(each.tier, each.reason) for each in ended] == [("relay", "nobody plays it any more")]
        async with viewer(rig.network, url("relay")) as three:
            await three.until(lambda v: "K" in v.letters)
        nursery.cancel_scope.cancel()


async def test_players_wait_for_an_upstream_that_is_down(autojump_clock: MockClock) -> None:
    graph = Graph.of(relay(upstream=Origin("far", "rtmp://far.example")))
    async with opened(graph) as rig, viewer(rig.network, url("relay")) as player:
        start = trio.current_time()
        await player.ended.wait()
        assert 10 <= trio.current_time() - start <= 11.1
        assert player.codes == ["NetStream.Play.StreamNotFound"]
        assert "far" in player.events[-1].description
        assert "refuses connections" in player.events[-1].description
        (lost,) = rig.events.of(UpstreamLost)
        assert lost.upstream == "far"
        # Rests of 0.375, 0.75, 1.5, 3 ... seconds.
        assert 4 <= figures(rig)["pull_failures"] <= 6
        await trio.sleep(30)
        assert figures(rig)["pulling"] == 0


async def test_an_upstream_that_comes_up_in_time_is_played(autojump_clock: MockClock) -> None:
    graph = Graph.of(relay(upstream=studio()))
    async with opened(graph) as rig:
        rig.network.fault("studio.example:1935", refuse=True)
        async with viewer(rig.network, url("relay")) as player:
            await trio.sleep(2)
            rig.network.heal("studio.example:1935")
            async with published(rig.network, url("studio")) as publisher:
                await send(publisher, gop(0, 5))
                await player.until(lambda v: "K" in v.letters)
            assert [each.upstream for each in rig.events.of(UpstreamBack)] == ["studio"]


async def test_a_stream_that_is_published_late_is_found(autojump_clock: MockClock) -> None:
    async with opened(Graph.of(relay(upstream=studio()))) as rig, viewer(rig.network, url("relay")) as player:
        await trio.sleep(4)
        assert rig.events.of(UpstreamLost) == []  # it is well, and has not got the stream
        async with published(rig.network, url("studio")) as publisher:
            await send(publisher, gop(0, 5))
            await player.until(lambda v: "K" in v.letters)
        assert dials(rig, "studio.example") <= 6


async def test_the_next_upstream_takes_over_and_time_goes_on(autojump_clock: MockClock) -> None:
    backup = Origin("backup", host="backup.example", listen="rtmp://backup.example:1935", serves=studio().serves)
    graph = Graph.of(relay(upstream=(studio(), backup)))
    async with (
        opened(graph) as rig,
        published(rig.network, url("studio")) as source,
        published(rig.network, url("backup")) as spare,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream_on, source)
        nursery.start_soon(stream_on, spare)
        player = await join(nursery, rig.network, url("relay"))
        await player.until(lambda v: v.letters.count("K") >= 3)
        _, pulled = [each for each in rig.network.connections if each.address.host == "studio.example"]
        rig.network.fault("studio.example:1935", refuse=True)
        for pipe in (pulled._down, pulled._up):
            pipe.fail("reset by the peer")
        before, lost_at = len(player.media), trio.current_time()
        await player.until(lambda v: len(v.media) > before + 3)
        assert trio.current_time() - lost_at < 0.1  # the next one is tried at once
        await player.until(lambda v: len(v.media) > before + 200)
        assert [each.upstream for each in rig.events.of(UpstreamLost)] == ["studio"]
        assert {each.tier for each in rig.events.of(PublisherJoined)} == {"studio", "backup"}
        started = [each.origin for each in rig.events.of(StreamStarted) if each.tier == "relay"]
        assert started == ["studio", "backup"]
        times = [each.timestamp for each in player.media if each.type_id == VIDEO]
        assert times == sorted(times)
        assert dials(rig, "backup.example") == 2
        assert not player.ended.is_set()
        nursery.cancel_scope.cancel()


async def test_the_end_of_a_stream_is_no_fault_of_the_upstream(autojump_clock: MockClock) -> None:
    graph = Graph.of(relay(upstream=studio(linger=0.5), serves=RTMP(linger=60)))
    async with opened(graph) as rig, viewer(rig.network, url("relay")) as player:
        async with published(rig.network, url("studio")) as publisher:
            await send(publisher, gop(0, 5))
            await player.until(lambda v: "K" in v.letters)
        await trio.sleep(20)
        assert rig.events.of(UpstreamLost) == []
        assert rig.handle.statistics()["tiers"]["relay"]["upstreams"][0]["failures_total"] == 0
        async with published(rig.network, url("studio")) as publisher:
            await send(publisher, gop(0, 5))
            await player.until(lambda v: v.letters.count("K") == 2)


async def test_an_upstream_that_stalls_is_given_up(autojump_clock: MockClock) -> None:
    graph = Graph.of(relay(upstream=studio(), serves=RTMP(no_media_timeout=6, linger=60)))
    async with opened(graph) as rig, published(rig.network, url("studio")) as publisher:
        await send(publisher, gop(0, 5))
        async with viewer(rig.network, url("relay")) as player:
            await player.until(lambda v: "K" in v.letters)
            await trio.sleep(5)
            assert rig.events.of(UpstreamLost) == []
            await trio.sleep(2)
            (lost,) = rig.events.of(UpstreamLost)
            assert lost.reason == "has sent no media for 6 s"


async def test_a_name_outside_the_upstreams_scope_is_refused_at_once(autojump_clock: MockClock) -> None:
    graph = Graph.of(relay(upstream=Origin("far", "rtmp://far.example/live")))
    async with opened(graph) as rig, viewer(rig.network, url("relay", "/vod/s")) as player:
        start = trio.current_time()
        await player.ended.wait()
        assert player.codes == ["NetStream.Play.StreamNotFound"]
        assert "outside /live" in player.events[-1].description
        assert trio.current_time() - start < 0.1
        assert dials(rig, "far.example") == 0
        assert figures(rig)["refused"] == 1


async def test_two_spellings_are_one_pull_and_queries_stay_here(autojump_clock: MockClock) -> None:
    wowza = Origin("wowza", "studio.example:1935", speaks=Wowza(app="live"))
    async with (
        opened(Graph.of(studio(), relay(upstream=wowza))) as rig,
        published(rig.network, url("studio")) as publisher,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream_on, publisher)
        for path in ("/live/s?token=1", "/live/_definst_/s", "/live/s?token=2", "/live/mp4:s"):
            player = await join(nursery, rig.network, url("relay", path))
            await player.until(lambda v: "K" in v.letters)
        assert figures(rig)["pulls"] == 1
        assert [c.address.query for c in rig.network.connections if c.address.host == "studio.example"] == ["", ""]
        nursery.cancel_scope.cancel()


async def test_relays_in_a_row_pull_once_each(autojump_clock: MockClock) -> None:
    shield = relay("shield", upstream=studio())
    graph = Graph.of(relay("one", upstream=shield), relay("two", upstream=shield))
    async with opened(graph) as rig, published(rig.network, url("studio")) as publisher, trio.open_nursery() as nursery:
        nursery.start_soon(stream_on, publisher)
        crowd = [await join(nursery, rig.network, url(name)) for name in ("one", "two") * 10]
        for each in crowd:
            await each.until(lambda v: len(v.media) > 100)
        assert Counter(each.address.host for each in rig.network.connections) == {
            "studio.example": 2,
            "shield.example": 2,
            "one.example": 10,
            "two.example": 10,
        }
        same = {each.payload: each for each in crowd[0].media[3:]}
        assert all(same.get(each.payload, each) == each for other in crowd for each in other.media[3:])
        nursery.cancel_scope.cancel()


async def test_a_loop_is_told_and_harms_nobody(autojump_clock: MockClock) -> None:
    # A graph cannot hold one; two graphs of two people can.
    one = relay("one", upstream=Origin("other", "rtmp://two.example:1935"))
    two = relay("two", upstream=Origin("other", "rtmp://one.example:1935"))
    told = Record()
    async with (
        opened(one) as rig,
        opened(two, network=rig.network, events=told),
        viewer(rig.network, url("one")) as player,
    ):
        await player.ended.wait()
        assert player.codes == ["NetStream.Play.StreamNotFound"]
        (lost,) = told.of(UpstreamLost)
        assert "a loop: one -> two -> one; mend upstream=" in lost.reason
        assert rig.events.of(ConnectionFailed) == []


async def test_two_tiers_of_one_name_are_no_loop(autojump_clock: MockClock) -> None:
    mine = relay("relay", upstream=Origin("theirs", "rtmp://theirs.example:1935"))
    theirs = relay("relay", host="theirs.example", listen="rtmp://theirs.example:1935", upstream=studio())
    async with (
        opened(mine) as rig,
        opened(theirs, network=rig.network),
        published(rig.network, url("studio")) as source,
    ):
        await send(source, gop(0, 5))
        async with viewer(rig.network, url("relay")) as player:
            await player.until(lambda v: "K" in v.letters)


async def test_an_upstream_that_sends_nothing_of_it_is_asked_again_and_not_blamed(autojump_clock: MockClock) -> None:
    """As nginx-rtmp: it takes every play, and is silent until somebody publishes."""
    async with opened(relay(upstream=Origin("far", "rtmp://far.example:1935"))) as rig, trio.open_nursery() as nursery:
        bound = await rig.network.listen(Listener("rtmp://far.example:1935"))

        async def accept() -> None:
            while True:
                nursery.start_soon(serve, await bound.accept())

        async def serve(connection: Connection) -> None:
            session = ServerSession(b"n" * 32)
            while data := await connection.recv():
                for event in session.receive(data, 0.0):
                    if isinstance(event, ConnectRequested):
                        session.accept_connect()
                    elif isinstance(event, PlayRequested):
                        session.accept_play(event.stream_id)
                await connection.send_all(session.data_to_send())

        nursery.start_soon(accept)
        async with viewer(rig.network, url("relay")) as player:
            await player.ended.wait()
            assert rig.events.of(UpstreamLost) == []
            assert "sent nothing of the stream for 5 s: is it published?" in player.events[-1].description
            assert dials(rig, "far.example") == 2
        nursery.cancel_scope.cancel()


async def test_unknown_names_do_not_fill_the_table(autojump_clock: MockClock) -> None:
    graph = Graph.of(relay(upstream=studio(), serves=RTMP(max_streams=20)))
    async with opened(graph) as rig, trio.open_nursery() as nursery:
        crowd = [await join(nursery, rig.network, url("relay", f"/live/{n}")) for n in range(50)]
        await trio.sleep(15)
        assert Counter(each.codes[-1] for each in crowd) == {
            "NetStream.Play.StreamNotFound": 20,
            "NetStream.Play.Failed": 30,
        }
        assert rig.handle.statistics()["tiers"]["relay"]["streams"] == []
        nursery.cancel_scope.cancel()


async def test_options_can_change_while_it_runs(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig:
        running = rig.handle.running("relay")["rtmp"]
        assert running.replace(RTMP(patience=1))
        assert not running.replace(studio().serves[0])
        async with viewer(rig.network, url("relay")) as player:
            await trio.sleep(2.5)
            assert player.codes == ["NetStream.Play.StreamNotFound"]


async def flood(rig: Rig, path: str) -> None:
    """400 kbit/s for a minute."""
    async with published(rig.network, url("relay", path)) as publisher:
        for at in range(0, 60_000, 40):
            await publisher.send(*key(at, size=2000))
            await trio.sleep(0.04)


async def test_a_publisher_that_sends_too_much_is_dropped(autojump_clock: MockClock) -> None:
    async with opened(relay(serves=RTMP(max_bitrate=200_000))) as rig, trio.open_nursery() as nursery:
        async with published(rig.network, url("relay", "/live/modest")) as modest:
            nursery.start_soon(stream_on, modest)  # some 12 kbit/s
            with pytest.raises(UpstreamError):
                await flood(rig, "/live/greedy")
            (event,) = rig.events.of(Dropped)
            assert event.stream == "/live/greedy"
            assert event.reason == "it sends 0.4 Mbit/s; max_bitrate is 0.2"
            assert figures(rig)["too_fast"] == 1
            assert trio.current_time() < 15
            await trio.sleep(30)
            assert figures(rig)["publishers"] == 1
        nursery.cancel_scope.cancel()


async def test_who_may_can_change_while_it_runs(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, published(rig.network, url("relay")):
        running = rig.handle.running("relay")["rtmp"]
        assert running.replace(RTMP(authorise=(Networks(deny=("192.0.2.0/24",)),)))
        await trio.sleep(0.1)
        async with viewer(rig.network, url("relay")) as player:
            await player.ended.wait()
            assert player.codes == ["NetStream.Play.Failed"]
        assert figures(rig)["publishers"] == 1  # who is in stays in


# --- pushing -----------------------------------------------------------------------------------------


async def test_what_is_published_is_pushed_to_every_target(autojump_clock: MockClock) -> None:
    other = Origin("other", host="other.example", listen="rtmp://other.example:1935", serves=studio().serves)
    graph = Graph.of(relay(push=(studio(), other)))
    async with opened(graph) as rig, published(rig.network, url("relay")) as publisher, trio.open_nursery() as nursery:
        nursery.start_soon(stream_on, publisher)
        for name in ("studio", "other"):
            await trio.sleep(2)
            async with viewer(rig.network, url(name)) as player:
                await player.until(lambda v: v.letters.startswith("MVAK"))
        assert figures(rig)["pushing"] == 2
        nursery.cancel_scope.cancel()


async def test_a_target_that_is_down_harms_nobody(autojump_clock: MockClock) -> None:
    graph = Graph.of(relay(push=(Origin("dead", "rtmp://dead.example"), studio())))
    async with opened(graph) as rig, published(rig.network, url("relay")) as publisher, trio.open_nursery() as nursery:
        nursery.start_soon(stream_on, publisher)
        player = await join(nursery, rig.network, url("relay"))
        far = await _retry(nursery, rig, url("studio"))
        await player.until(lambda v: len(v.media) > 500)
        await far.until(lambda v: len(v.media) > 300)
        assert [each.upstream for each in rig.events.of(UpstreamLost)] == ["dead"]
        assert figures(rig)["push_failures"] >= 3
        nursery.cancel_scope.cancel()


async def _retry(nursery: trio.Nursery, rig: Rig, where: Any) -> Any:
    await trio.sleep(2)
    return await join(nursery, rig.network, where)


async def test_a_push_ends_with_its_stream_and_comes_back_with_it(autojump_clock: MockClock) -> None:
    async with opened(Graph.of(relay(push=studio()))) as rig:
        for _ in range(2):
            async with published(rig.network, url("relay")) as publisher:
                await send(publisher, gop(0, 50), pace=True)
                assert figures(rig)["pushing"] == 1
            await trio.sleep(3)
            assert figures(rig)["pushing"] == 0
            assert rig.handle.statistics()["tiers"]["studio"]["services"]["ingest"]["publishers"] == 0


class _Streamlike:
    def __init__(self) -> None:
        self.sent = headers()

    def pinned(self) -> list[tuple[int, bytes]]:
        return [(each.type_id, each.payload) for each in self.sent]


def test_a_push_that_falls_behind_skips_whole_gops() -> None:
    async def play() -> None:
        queue = PushQueue(_Streamlike())  # type: ignore[arg-type]
        for each in [metadata(), video_header(), audio_header()]:
            queue.put(*each)
        assert len(queue) == 0
        sent = [each for n in range(QUEUE_MESSAGES // 25) for each in gop(n * 1000, 25)]
        for each in sent:
            queue.put(*each)
        assert len(queue) <= QUEUE_MESSAGES
        first = [queue.pop() for _ in range(4)]
        assert [each[0] for each in first[:3]] == [DATA, VIDEO, 8]
        assert first[3] == sent[0]
        kept = 0
        while queue:
            queue.pop()
            kept += 1
        assert queue.skipped == len(sent) - kept - 1 > 0
        queue.put(*gop(10**6)[2])
        assert len(queue) == 0  # still in the middle of a GOP
        queue.put(*key(10**6 + 1000))
        assert [queue.pop()[0] for _ in range(4)] == [DATA, VIDEO, 8, VIDEO]

    trio.run(play)


@pytest.mark.parametrize("sound_only", [False, True])
def test_a_push_begins_where_a_decoder_can(sound_only: bool) -> None:
    async def play() -> None:
        queue = PushQueue(_Streamlike())  # type: ignore[arg-type]
        if not sound_only:
            queue.put(*video_header())
        for each in gop(0, 3)[1:]:
            if each.type_id != VIDEO or not sound_only:
                queue.put(*each)
        assert bool(queue) == sound_only

    trio.run(play)
