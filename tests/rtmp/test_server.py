"""One connection at an RTMP service: waiting, refusing, stopping, silence, last words."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from tests.core.rig import opened
from tierkit import Address, Graph
from tierkit.codecs.rtmp_chunk import encode_message
from tierkit.codecs.rtmp_handshake import SIZE
from tierkit.codecs.rtmp_session import ReconnectRequested
from tierkit.errors import NotServed, UpstreamError
from tierkit.events import ConnectionFailed, Dropped, PublisherLeft, StreamStarted, ViewerJoined, ViewerLeft
from tierkit.plugins.rtmp import RTMP
from tierkit.rtmp import Publisher, open_publisher
from tierkit.testing import MemoryNetwork

from .media import Sent, audio_header, frame, gop, headers, key, metadata, sound
from .rig import Viewer, join, published, relay, send, stream_on, url, viewer


async def test_play_before_publish_waits_then_begins(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, viewer(rig.network, url("relay")) as early:
        await trio.sleep(5)
        assert (early.events[1:], early.media) == ([], [])  # connected, and nothing since
        assert rig.events.of(ViewerJoined) == []
        async with published(rig.network, url("relay")) as publisher:
            await send(publisher, gop(0, 5))
            await early.until(lambda v: v.letters == "MVAKSPSPSPSPS")
            assert early.codes == ["NetStream.Play.Start"]
            (joined,) = rig.events.of(ViewerJoined)
            assert joined.stream == "/live/s"


async def test_who_has_waited_for_too_long_is_refused(autojump_clock: MockClock) -> None:
    async with opened(relay(serves=RTMP(patience=3))) as rig, viewer(rig.network, url("relay")) as early:
        start = trio.current_time()
        await early.ended.wait()
        assert 3 <= trio.current_time() - start <= 4.1
        assert early.codes == ["NetStream.Play.StreamNotFound"]
        await trio.sleep(0.1)
        assert "/live/s is not on air" in early.events[-1].description
        assert rig.handle.statistics()["tiers"]["relay"]["streams"] == []


async def test_two_players_wait_each_by_its_own_clock(autojump_clock: MockClock) -> None:
    async with opened(relay(serves=RTMP(patience=3))) as rig, trio.open_nursery() as nursery:
        first = await join(nursery, rig.network, url("relay"))
        await trio.sleep(2)
        second = await join(nursery, rig.network, url("relay"))
        await first.ended.wait()
        assert not second.ended.is_set()
        async with published(rig.network, url("relay")) as publisher:
            await send(publisher, gop(0, 5))
            await second.until(lambda v: v.letters.startswith("MVAK"))
            nursery.cancel_scope.cancel()


async def test_a_player_may_stop_and_play_again_on_its_connection(autojump_clock: MockClock) -> None:
    async with (
        opened(relay()) as rig,
        published(rig.network, url("relay")) as publisher,
        published(rig.network, url("relay", "/live/other"), [*headers(), key(7000)]),
        viewer(rig.network, url("relay")) as zapper,
    ):
        await send(publisher, gop(0, 5))
        await zapper.until(lambda v: v.letters == "MVAKSPSPSPSPS")
        session, connection = zapper.session, zapper.connection
        assert connection is not None
        # What a player does that changes the channel: createStream gives 1 again, as 1 was deleted.
        session.stop()
        session._intent = None
        session._asked = False
        session.play("other")
        await connection.send_all(session.data_to_send())
        await zapper.until(lambda v: v.letters.endswith("SMVAK"))
        assert zapper.media[-1].timestamp == 7000
        assert [each.stream for each in rig.events.of(ViewerLeft)] == ["/live/s"]
        assert rig.handle.statistics()["tiers"]["relay"]["services"]["rtmp"]["players"] == 1


async def test_a_second_publisher_is_refused_and_the_first_goes_on(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, published(rig.network, url("relay")) as publisher:
        with pytest.raises(UpstreamError, match=r"NetStream\.Publish\.BadName .*is published already"):
            async with published(rig.network, url("relay")):
                pass
        async with viewer(rig.network, url("relay")) as player:
            await send(publisher, gop(0, 5))
            await player.until(lambda v: v.letters.startswith("MVAK"))


async def test_takeover_ends_the_old_publisher(autojump_clock: MockClock) -> None:
    async with opened(relay(serves=RTMP(takeover=True))) as rig, trio.open_nursery() as nursery:
        player = await join(nursery, rig.network, url("relay"))
        with pytest.raises(UpstreamError):  # noqa: PT012
            async with published(rig.network, url("relay")) as old:
                await send(old, gop(0, 5))
                async with published(rig.network, url("relay")) as new:
                    await send(new, gop(9000, 5))
                    await player.until(lambda v: v.letters.count("K") == 2)
                    await send(old, gop(200, 5))
                    await trio.sleep(1)
                    await send(old, gop(400, 5))
        assert [each.reason for each in rig.events.of(Dropped)] == ["another publisher has taken its name over"]
        assert len(rig.events.of(StreamStarted)) == 2
        nursery.cancel_scope.cancel()


async def test_republish_lingers_and_time_goes_on(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, viewer(rig.network, url("relay")) as player:
        async with published(rig.network, url("relay")) as first:
            await send(first, gop(50_000, 5))
        await player.until(lambda v: len(v.media) == 3 + 10)
        await trio.sleep(20)
        second = [*headers(mark=1), frame(0), sound(10), *gop(40, 5)]
        async with published(rig.network, url("relay"), second):
            await player.until(lambda v: v.letters.count("K") == 2)
            await trio.sleep(1)
        times = [each.timestamp for each in player.media if each.type_id != 18]
        assert times == sorted(times)
        assert player.letters == "MVAKSPSPSPSPS" + "MVAKSPSPSPSPS"  # the frame before the keyframe was held
        last = player.media[12].timestamp
        assert player.media[16].timestamp > last
        assert player.media[16].timestamp - last <= 100
        assert player.codes == ["NetStream.Play.Start"]


async def test_players_of_what_does_not_come_back_are_told(autojump_clock: MockClock) -> None:
    async with opened(relay(serves=RTMP(linger=5))) as rig, viewer(rig.network, url("relay")) as player:
        async with published(rig.network, url("relay")) as publisher:
            await send(publisher, gop(0, 5))
        start = trio.current_time()
        await player.ended.wait()
        assert 5 <= trio.current_time() - start <= 6
        assert player.codes == ["NetStream.Play.Start", "StreamEOF"]  # said twice, told once
        assert player.lost == ""  # an end, not a reset


async def test_a_publisher_cut_in_the_middle_of_a_message_ends_its_epoch_alone(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, viewer(rig.network, url("relay")) as player:
        with pytest.raises(UpstreamError):  # noqa: PT012
            async with published(rig.network, url("relay")) as publisher:
                await send(publisher, gop(0, 5))
                half = publisher._session.encode_media(*frame(300, 5000))[:2000]
                await publisher._connection.send_all(half)
                publisher._connection.abort()
                await publisher.send(*frame(340))
        await player.until(lambda v: len(v.media) == 3 + 10)
        await trio.sleep(1)
        (left,) = rig.events.of(PublisherLeft)
        assert left.stream == "/live/s"
        async with published(rig.network, url("relay"), [*headers(), *gop(0, 2)]):
            await player.until(lambda v: v.letters == "MVAKSPSPSPSPS" + "MVAKSPS")
        assert rig.events.of(ConnectionFailed) == []


async def test_a_tier_that_pulls_takes_no_publishers(autojump_clock: MockClock) -> None:
    from tierkit import Origin

    graph = Graph.of(relay(upstream=Origin("far", "rtmp://far.example")))
    async with opened(graph) as rig:
        with pytest.raises(UpstreamError, match=r"Publish\.Denied relay pulls its streams: publish to its upstream"):
            async with published(rig.network, url("relay")):
                pass


async def test_a_stalled_player_is_dropped_with_a_reason_and_hurts_nobody(autojump_clock: MockClock) -> None:
    network = MemoryNetwork(buffer_bytes=20_000)
    async with opened(relay(serves=RTMP(drop_after=10)), network=network) as rig, trio.open_nursery() as nursery:
        stalled = await join(nursery, network, url("relay"))
        well = await join(nursery, network, url("relay"))
        async with published(network, url("relay")) as source:
            nursery.start_soon(stream_on, source)
            await stalled.until(lambda v: len(v.media) > 20)
            stalled.pause()
            await trio.sleep(60)
            (dropped,) = rig.events.of(Dropped)
            assert dropped.reason == "too slow: took nothing for 10 s"
            assert dropped.stream == "/live/s"
            before = len(well.media)
            await trio.sleep(2)
            assert len(well.media) > before
            times = [each.timestamp for each in well.media if each.type_id == 9][1:]
            assert {b - a for a, b in pairwise(times)} == {40}
            nursery.cancel_scope.cancel()


async def test_a_slow_player_never_resumes_in_the_middle_of_a_gop(autojump_clock: MockClock) -> None:
    network = MemoryNetwork(buffer_bytes=3000)
    recipe = RTMP(slow_after=2, drop_after=600)
    async with opened(relay(serves=recipe), network=network) as rig, trio.open_nursery() as nursery:
        slow = await join(nursery, network, url("relay"))
        async with published(network, url("relay")) as source:
            nursery.start_soon(stream_on, source)
            await slow.until(lambda v: len(v.media) > 20)
            for _ in range(5):
                slow.pause()
                await trio.sleep(7.3)
                slow.go_on()
                await trio.sleep(1)
            pictures = [(each.payload[5:6], each.timestamp) for each in slow.media if _is_picture(each.payload)]
            gaps = [(what, at) for (_, before), (what, at) in pairwise(pictures) if at - before != 40]
            assert [what for what, _ in gaps] == [b"K"] * 5
            # Each gap brought the headers again.
            assert slow.letters.count("V") == 6
            seen = Counter(at // 1000 for _, at in pictures)  # a GOP is 25 pictures in a second
            whole = sum(count == 25 for count in seen.values())
            (stream,) = rig.handle.statistics()["tiers"]["relay"]["services"]["rtmp"]["streams"]
            now = pictures[-1][1] // 1000
            assert stream["ring"]["skipped_gops"] == now - whole
            nursery.cancel_scope.cancel()


def _is_picture(payload: bytes) -> bool:
    return payload[:2] in (b"\x17\x01", b"\x27\x01")


async def test_a_silent_publisher_is_dropped(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig:
        with pytest.raises(UpstreamError, match="the connection was lost"):
            async with published(rig.network, url("relay")):
                await trio.sleep(90)
        (dropped,) = rig.events.of(Dropped)
        assert dropped.reason == "it sent nothing for 75 s"


async def test_a_player_that_is_gone_without_a_word_is_dropped(autojump_clock: MockClock) -> None:
    async with (
        opened(relay()) as rig,
        published(rig.network, url("relay")) as publisher,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream_on, publisher)
        well = await join(nursery, rig.network, url("relay"))
        gone = await join(nursery, rig.network, url("relay"))
        await gone.until(lambda v: bool(v.media))
        gone.connection.recv = _take_and_say_nothing(gone)  # type: ignore[method-assign,union-attr]
        await trio.sleep(120)
        (dropped,) = rig.events.of(Dropped)
        assert dropped.reason == "it has not answered pings for 75 s"
        assert not well.ended.is_set()  # it sends nothing either, but answers
        nursery.cancel_scope.cancel()


def _take_and_say_nothing(gone: Viewer):  # type: ignore[no-untyped-def]
    receive = gone.connection.recv  # type: ignore[union-attr]

    async def recv(max_bytes: int = 65536) -> bytes:
        while await receive(max_bytes):
            pass
        return b""

    return recv


async def test_who_stops_and_asks_for_nothing_is_let_go(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, published(rig.network, url("relay")) as publisher:
        await send(publisher, gop(0, 5))
        async with viewer(rig.network, url("relay")) as player:
            await player.until(lambda v: bool(v.media))
            player.session.stop()
            assert player.connection is not None
            await player.connection.send_all(player.session.data_to_send())
            await trio.sleep(50)
            assert not player.ended.is_set()
            await trio.sleep(20)
            assert player.ended.is_set()


async def test_a_client_that_breaks_the_rules_is_told_and_named(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig:
        connection = await rig.network.connect(url("relay"))
        await connection.send_all(b"\x03" + bytes(2 * SIZE) + encode_message(3, 20, 0, 0, b"\x02\x00\x04play", 128))
        while await connection.recv():
            pass
        connection.close()
        await trio.sleep(0.1)
        (failed,) = rig.events.of(ConnectionFailed)
        assert "before it is connected" in failed.reason


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x03", b"\x03" + bytes(SIZE)])
async def test_a_client_that_stalls_has_one_deadline(autojump_clock: MockClock, said: bytes) -> None:
    async with opened(relay()) as rig:
        connection = await rig.network.connect(url("relay"))
        await connection.send_all(said)
        with trio.fail_after(10.1):
            while await connection.recv():
                pass
        connection.close()
        await trio.sleep(0.1)
        assert len(rig.events.of(ConnectionFailed)) == 1


async def test_kick_ends_players_and_publishers_of_a_stream(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, trio.open_nursery() as nursery:
        running = rig.handle.running("relay")["rtmp"]
        player = await join(nursery, rig.network, url("relay"))
        other = await join(nursery, rig.network, url("relay", "/other/s"))
        with pytest.raises(UpstreamError):  # noqa: PT012
            async with published(rig.network, url("relay")) as publisher:
                await send(publisher, gop(0, 5))
                await player.until(lambda v: bool(v.media))
                assert running.kick("live/*") == 2
                await player.ended.wait()
                await send(publisher, gop(0, 5))
        assert not other.ended.is_set()
        assert running.kick("/other/s") == 1
        assert {each.reason for each in rig.events.of(Dropped)} == {"kicked"}
        nursery.cancel_scope.cancel()


async def _publish_until_the_end(network: MemoryNetwork, task_status: trio.TaskStatus[Publisher]) -> None:
    with pytest.raises(UpstreamError):  # noqa: PT012
        async with published(network, url("relay")) as publisher:
            task_status.started(publisher)
            while True:
                await trio.sleep(1)
                await publisher.send(*metadata())


async def test_a_drain_says_farewell_and_ends_early(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        async with opened(relay(), drain=60) as rig:
            player = await join(nursery, rig.network, url("relay"))
            publisher = await nursery.start(_publish_until_the_end, rig.network)
            await send(publisher, gop(0, 5))
            await player.until(lambda v: len(v.media) == 13)
            start = trio.current_time()
        assert 5 <= trio.current_time() - start <= 6.2
        assert player.codes == ["NetStream.Play.Start", "StreamEOF"]
        assert any(isinstance(each, ReconnectRequested) for each in player.events)
        assert player.ended.is_set()
        assert player.lost == ""
        nursery.cancel_scope.cancel()


async def test_too_many_streams_are_refused(autojump_clock: MockClock) -> None:
    async with opened(relay(serves=RTMP(max_streams=1))) as rig, published(rig.network, url("relay")):
        with pytest.raises(UpstreamError, match="max_streams"):
            async with open_publisher(rig.network, url("relay", "/live/two")):
                pass
        async with viewer(rig.network, url("relay", "/live/three")) as third:
            await third.ended.wait()
            assert third.codes == ["NetStream.Play.Failed"]


async def test_names_are_one_however_a_client_divides_them(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, published(rig.network, url("relay", "/a/b/s")) as publisher:
        await send(publisher, gop(0, 5))
        async with viewer(rig.network, Address.parse("rtmp://relay.example:1935/a/mp4:b/s?token=1")) as player:
            await player.until(lambda v: v.letters.startswith("MVAK"))


async def test_a_publisher_learns_of_an_unknown_name(autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig:
        with pytest.raises((UpstreamError, NotServed)):
            async with open_publisher(rig.network, url("relay", "/live/..")):
                pass


async def test_sound_alone_plays(autojump_clock: MockClock) -> None:

    sounds = [sound(at) for at in range(0, 3000, 20)]
    sent: list[Sent] = [metadata(video=False), audio_header()]
    async with opened(relay()) as rig, published(rig.network, url("relay"), sent) as publisher:
        await send(publisher, sounds, pace=True)
        async with viewer(rig.network, url("relay")) as player:
            await player.until(lambda v: v.letters.startswith("MAS"))
            assert 1 <= player.letters.count("S") <= 51  # from the last mark on: a second at most
