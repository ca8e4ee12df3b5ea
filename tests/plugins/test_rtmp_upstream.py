"""The relay's upstream side beside pulls on demand: kept pulls, restreaming, and going where servers ask to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.core.rig import Rig, opened
from tests.rtmp.double import Double, adobe, elsewhere
from tests.rtmp.media import gop, headers, key, letter
from tests.rtmp.rig import join, published, relay, send, stream_on, studio, url, viewer
from tierkit import Graph, Origin, Restream, check
from tierkit.codecs.rtmp_session import ReconnectRequested
from tierkit.errors import UpstreamError
from tierkit.events import PublisherLeft, StreamFault, UpstreamBack, UpstreamLost, ViewerLeft
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP
from tierkit.plugins.wowza import Wowza
from tierkit.testing import MemoryNetwork


def figures(rig: Rig, tier: str = "relay") -> dict[str, Any]:
    found: dict[str, Any] = rig.handle.statistics()["tiers"][tier]["services"]["rtmp"]
    return found


@asynccontextmanager
async def doubles(*hosts: str) -> AsyncIterator[list[Double]]:
    """Servers of somebody else's on one network, by the names of their hosts."""
    network = MemoryNetwork()
    async with trio.open_nursery() as nursery:
        made = [Double(network, f"rtmp://{host}:1935") for host in hosts]
        for each in made:
            await nursery.start(each.run)
        yield made
        nursery.cancel_scope.cancel()


def letters(double: Double, visit: int = -1) -> str:
    return "".join(letter(each.type_id, each.payload) for each in double.visits[visit].media)


# --- pulls that are kept -----------------------------------------------------------------------------


async def test_what_is_named_is_pulled_whether_or_not_anybody_plays(autojump_clock: MockClock) -> None:
    graph = Graph.of(relay(upstream=studio(), serves=RTMP(pull=("live/s",), grace=2, linger=5)))
    async with opened(graph) as rig:
        await trio.sleep(60)
        (state,) = figures(rig)["upstream"]
        assert (state["stream"], state["upstream"], state["connected"], state["kept"]) == (
            "/live/s",
            "studio",
            False,
            True,
        )
        assert "nobody publishes /live/s" in state["trouble"]
        assert figures(rig)["streams"][0]["on_air"] is False
        for _ in range(2):
            async with published(rig.network, url("studio")) as publisher, trio.open_nursery() as nursery:
                nursery.start_soon(stream_on, publisher)
                await trio.sleep(20)  # asked again within 8 s, and no grace ends it
                (state,) = figures(rig)["upstream"]
                assert (state["connected"], state["trouble"]) == (True, "")
                async with viewer(rig.network, url("relay")) as player:
                    await player.until(lambda v: "K" in v.letters, 0.1)
                await trio.sleep(20)
                assert figures(rig)["upstream"][0]["connected"]
                nursery.cancel_scope.cancel()
            await trio.sleep(60)
            assert not figures(rig)["upstream"][0]["connected"]
        assert (figures(rig)["pulls"], figures(rig)["pulling"]) == (1, 1)


async def test_players_of_a_kept_stream_end_and_wait_as_others_do(autojump_clock: MockClock) -> None:
    graph = Graph.of(relay(upstream=studio(linger=0.5), serves=RTMP(pull=("live/s",), linger=5, patience=3)))
    async with opened(graph) as rig:
        async with published(rig.network, url("studio")) as publisher, trio.open_nursery() as nursery:
            nursery.start_soon(stream_on, publisher)
            await trio.sleep(10)
            player = await join(nursery, rig.network, url("relay"))
            await player.until(lambda v: "K" in v.letters)
            nursery.cancel_scope.shield = True
            nursery.cancel_scope.cancel()
        await trio.sleep(20)
        async with viewer(rig.network, url("relay")) as late:
            began = trio.current_time()
            await late.ended.wait()
            assert 3 <= trio.current_time() - began <= 4.1  # it waits for its patience, as for any other stream
            assert late.codes == ["NetStream.Play.StreamNotFound"]
        assert figures(rig)["upstream"][0]["kept"]


async def test_an_upstream_that_is_down_is_asked_for_ever_with_rests(autojump_clock: MockClock) -> None:
    graph = Graph.of(relay(upstream=Origin("far", "rtmp://far.example"), serves=RTMP(pull=("live/s",))))
    async with opened(graph) as rig:
        await trio.sleep(600)
        assert len(rig.events.of(UpstreamLost)) == 1
        # From 0.375 s to 11.25 s between two tries: nobody is hammered.
        assert 50 <= figures(rig)["pull_failures"] <= 70
        assert "refuses connections" in figures(rig)["upstream"][0]["trouble"]


async def test_names_can_be_added_and_taken_away_while_it_runs(autojump_clock: MockClock) -> None:
    async with opened(Graph.of(relay(upstream=studio(), serves=RTMP(pull=("live/a",))))) as rig:
        running = rig.handle.running("relay")["rtmp"]
        await trio.sleep(1)
        assert running.replace(RTMP(pull=("live/b",)))
        await trio.sleep(1)
        assert [(each["stream"], each["kept"]) for each in figures(rig)["upstream"]] == [("/live/b", True)]


def test_a_kept_pull_needs_an_upstream() -> None:
    (line,) = check(Graph.of(relay(serves=RTMP(pull=("live/a",)))))
    assert line.startswith("relay: rtmp: option pull names streams, and there is no upstream to pull them from")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"pull": "s"}, "option pull names 's', which is no stream: write APP/NAME"),
        ({"pull": ("live/../s",)}, "which is no stream"),
        ({"pull": ("a/b", "a/c"), "max_streams": 1}, "option pull names 2 streams, more than max_streams=1"),
        ({"redirect": "http://a"}, "option redirect http://a is no RTMP server: write rtmp://HOST:PORT"),
        ({"redirect": "rtmp://u:secret@a"}, "option redirect has credentials"),
        ({"redirect": "rtmp://a b"}, "option redirect is no URL"),
        ({"takeover": "sometimes"}, "option takeover='sometimes': choose one of 'never', 'stale', 'always'"),
    ],
)
def test_odd_options_are_told(options: dict[str, Any], told: str) -> None:
    (line,) = check(Graph.of(relay(upstream=studio(), serves=RTMP(**options))))
    assert told in line
    assert "secret" not in line


# --- restreaming -------------------------------------------------------------------------------------


async def test_a_stream_goes_to_the_url_that_each_target_has_given(autojump_clock: MockClock) -> None:
    tube = Restream("tube", "rtmp://tube.example/live2/abcd-key?x=1", streams="live/main")
    face = Restream("face", "rtmp://face.example/rtmp/{app}_{name}", streams="live/*")
    async with (
        doubles("tube.example", "face.example") as (far, other),
        opened(Graph.of(relay(push=(tube, face))), network=far.network) as rig,
        published(rig.network, url("relay", "/live/main")) as main,
        published(rig.network, url("relay", "/live/second")) as second,
        published(rig.network, url("relay", "/vod/third")) as third,
    ):
        for index in range(3):
            for each in (main, second, third):
                await send(each, gop(index * 200, 5))
            await trio.sleep(1)
        assert [each.asked for each in far.visits] == [["/live2/abcd-key?x=1"]]
        assert sorted(each.asked for each in other.visits) == [["/rtmp/live_main"], ["/rtmp/live_second"]]
        assert letters(far).startswith("MVAKS")
        states = figures(rig)["targets"]
        assert sorted((each["stream"], each["target"], each["connected"]) for each in states) == [
            ("/live/main", "face", True),
            ("/live/main", "tube", True),
            ("/live/second", "face", True),
        ]
        assert "abcd-key" not in repr(rig.handle.statistics()) + repr(rig.events)
    assert rig.events.of(StreamFault) == []


async def test_backups_are_tried_in_order_and_the_publisher_notices_nothing(autojump_clock: MockClock) -> None:
    tube = Restream(
        "tube", "rtmp://a.example/live2/k3y", backups=("rtmp://b.example/live2/k3y", "rtmp://c.example/live2/k3y")
    )
    tube = Restream("tube", tube.address, streams="live/s", backups=tube.backups)
    async with (
        doubles("a.example", "b.example", "c.example") as (a, b, c),
        opened(Graph.of(relay(push=(tube, studio()))), network=a.network) as rig,
        published(rig.network, url("relay")) as publisher,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream_on, publisher)
        await trio.sleep(5)
        assert (len(a.visits), len(b.visits)) == (1, 0)
        a.network.fault("a.example:1935", refuse=True)
        b.refuse_publish = "k3y is taken"
        a.last.connection.abort()
        await trio.sleep(3)
        assert letters(c).startswith("MVAK")  # with headers, at a keyframe
        assert len(b.visits) == 1
        (state,) = [each for each in figures(rig)["targets"] if each["target"] == "tube"]
        assert (state["server"], state["connected"]) == ("tube backup 2", True)
        lost = rig.events.of(UpstreamLost)
        assert [each.upstream for each in lost] == ["tube", "tube backup 1"]
        assert "k3y" not in repr(rig.events)
        assert "*** is taken" in lost[1].reason
        # When all of them are down, each is asked again after its rest, and the first that answers is taken.
        a.network.fault("b.example:1935", refuse=True)
        a.network.fault("c.example:1935", refuse=True)
        c.last.connection.abort()
        await trio.sleep(30)
        (state,) = [each for each in figures(rig)["targets"] if each["target"] == "tube"]
        assert (state["connected"], "refuses connections" in state["trouble"]) == (False, True)
        a.network.heal("a.example:1935")
        await trio.sleep(16)
        assert letters(a).startswith("MVAK")
        assert {"tube"} <= {each.upstream for each in rig.events.of(UpstreamBack)}
        # The publisher and the other target have had all of it.
        assert rig.events.of(PublisherLeft) == []
        assert rig.handle.statistics()["tiers"]["studio"]["services"]["ingest"]["publishers"] == 1
        nursery.cancel_scope.cancel()


async def test_what_a_target_cannot_have_is_told_once_and_not_tried_for_ever(autojump_clock: MockClock) -> None:
    cdn = Origin("cdn", "rtmp://cdn.example/app")
    async with (
        doubles("cdn.example") as (far,),
        opened(Graph.of(relay(push=cdn)), network=far.network) as rig,
        published(rig.network, url("relay")) as publisher,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream_on, publisher)
        await trio.sleep(30)
        (fault,) = rig.events.of(StreamFault)
        assert fault.stream == "/live/s"
        assert "is not pushed to cdn: /live/s is outside /app" in fault.reason
        assert (far.visits, figures(rig)["push_failures"], figures(rig)["targets"]) == ([], 0, [])
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("opaque", ["", "o=="])
async def test_a_target_that_asks_who_we_are_is_told(autojump_clock: MockClock, opaque: str) -> None:
    tube = Restream("tube", "rtmp://me:pa%40ss@tube.example/live2/key", streams="live/s")
    async with doubles("tube.example") as (far,):
        far.judge = adobe("me", "pa@ss", opaque=opaque)
        async with (
            opened(Graph.of(relay(push=tube)), network=far.network) as rig,
            published(rig.network, url("relay")) as publisher,
        ):
            await send(publisher, [*gop(0, 50), *gop(2000, 50)], pace=True)
            assert letters(far).startswith("MVAK")
            assert len(far.visits) == 3
            far.judge = adobe("me", "another", opaque=opaque)
            far.last.connection.abort()
            await send(publisher, gop(5000, 50), pace=True)
            (lost,) = rig.events.of(UpstreamLost)
            assert "lost" in lost.reason
            (state,) = figures(rig)["targets"]
            assert "it takes neither this user nor this password" in state["trouble"]
            assert "pa@ss" not in repr(rig.events) + repr(rig.handle.statistics())


async def test_a_target_that_stops_reading_is_left_and_costs_nobody(autojump_clock: MockClock) -> None:
    tube = Restream("tube", "rtmp://a.example/live2/key", streams="live/s", backups="rtmp://b.example/live2/key")
    async with (
        doubles("a.example", "b.example") as (a, b),
        opened(Graph.of(relay(push=tube, serves=RTMP(no_media_timeout=5))), network=a.network) as rig,
        published(rig.network, url("relay")) as publisher,
        trio.open_nursery() as nursery,
    ):
        player = await join(nursery, rig.network, url("relay"))
        await send(publisher, gop(0, 5))
        await trio.sleep(1)
        a.last.connection.recv = trio.sleep_forever  # type: ignore[method-assign, assignment]
        for index in range(1, 20):
            await send(publisher, gop(index * 1000, 25, size=8000), pace=True)
        assert letters(b).startswith("MVAK")
        assert player.letters.count("K") == 20
        (lost,) = rig.events.of(UpstreamLost)
        assert "it has taken nothing for 5 s" in lost.reason
        nursery.cancel_scope.cancel()


async def test_a_target_that_ends_in_a_pause_is_noticed(autojump_clock: MockClock) -> None:
    tube = Restream("tube", "rtmp://a.example/live2/key", streams="live/s")
    async with (
        doubles("a.example") as (far,),
        opened(Graph.of(relay(push=tube)), network=far.network) as rig,
        published(rig.network, url("relay")) as publisher,
    ):
        await send(publisher, gop(0, 5))
        await trio.sleep(1)
        assert figures(rig)["targets"][0]["connected"]
        far.network.fault("a.example:1935", refuse=True)
        far.last.connection.close()
        await trio.sleep(2)
        (state,) = figures(rig)["targets"]
        assert not state["connected"]
        assert state["trouble"]
        far.network.heal("a.example:1935")
        await trio.sleep(8)
        await send(publisher, gop(9000, 5))
        await trio.sleep(1)
        assert letters(far).startswith("MVAK")


async def test_a_target_that_asks_us_away_loses_no_frame(autojump_clock: MockClock) -> None:
    tube = Restream("tube", "rtmp://a.example/live2/key", streams="live/s", backups="rtmp://b.example/live2/key")
    async with (
        doubles("a.example", "b.example") as (a, b),
        opened(Graph.of(relay(push=tube)), network=a.network) as rig,
        published(rig.network, url("relay")) as publisher,
    ):
        await send(publisher, gop(0, 25), pace=True)
        await a.last.ask_away("rtmp://b.example/other")
        sent = [each for index in range(1, 4) for each in gop(index * 1000, 25)]
        await send(publisher, sent, pace=True)
        await trio.sleep(2)
        assert b.last.asked == ["/other/key"]
        assert letters(b).startswith("MVAK")
        got = [each.payload for far in (a, b) for each in far.last.media]
        assert [each for each in got if each in {s.payload for s in sent}] == [s.payload for s in sent]
        assert a.last.over
        assert rig.events.of(UpstreamLost) == []


# --- pulling from servers that ask and send elsewhere ------------------------------------------------


async def test_wowzas_secure_token_is_answered_and_shown_nowhere(autojump_clock: MockClock) -> None:
    wowza = Origin("wowza", "far.example:1935", speaks=Wowza(app="live", token="#ed%h0#w@1", flash_version="FMLE/3.0"))
    async with doubles("far.example") as (far,):
        far.more = {"secureToken": "9980e2f3f615b613871adcd3a7dc6608"}
        far.media = [*headers(), *gop(0)]
        graph = Graph.of(relay(upstream=wowza))
        assert "#ed" not in repr(graph)
        async with opened(graph, network=far.network) as rig, viewer(rig.network, url("relay")) as player:
            await player.until(lambda v: "K" in v.letters)
            assert far.last.calls == [("secureTokenResponse", "0123456789abcdef")]
            assert far.last.connect is not None
            assert far.last.connect.flash_ver == "FMLE/3.0"


async def test_an_upstream_with_credentials_is_pulled_from(autojump_clock: MockClock) -> None:
    async with doubles("far.example") as (far,):
        far.judge = adobe("me", "secret")
        far.media = [*headers(), *gop(0)]
        graph = Graph.of(relay(upstream=Origin("far", "rtmp://me:secret@far.example")))
        async with opened(graph, network=far.network) as rig, viewer(rig.network, url("relay")) as player:
            await player.until(lambda v: "K" in v.letters)
        far.judge = adobe("me", "other")
        async with opened(graph, network=far.network) as rig, viewer(rig.network, url("relay")) as player:
            await player.ended.wait()
            assert "it takes neither this user nor this password" in player.events[-1].description
            assert "secret" not in repr(rig.events)


async def test_an_upstream_may_send_us_to_another_of_ours(autojump_clock: MockClock) -> None:
    async with doubles("far.example", "near.example") as (far, near):
        far.judge = elsewhere("rtmp://near.example/live")
        near.media = [*headers(), *gop(0)]
        ours = (Origin("far", "rtmp://far.example"), Origin("near", "rtmp://near.example"))
        async with (
            opened(Graph.of(relay(upstream=ours)), network=far.network) as rig,
            viewer(rig.network, url("relay")) as player,
        ):
            await player.until(lambda v: "K" in v.letters)
            assert rig.events.of(UpstreamLost) == []
        async with opened(Graph.of(relay(upstream=ours[0])), network=far.network) as rig:
            async with viewer(rig.network, url("relay")) as player:
                await player.ended.wait()
            (lost,) = rig.events.of(UpstreamLost)
            assert "sends us to near.example, which is none of ours" in lost.reason


async def test_players_of_a_relay_do_not_notice_that_its_upstream_drains(autojump_clock: MockClock) -> None:
    """Two tiers of our own: the leaf is sent from one shield to the other, at a keyframe."""
    origin = studio()
    one = relay("one", upstream=origin, serves=RTMP(redirect="rtmp://two.example:1935", farewell=30))
    two = relay("two", upstream=origin)
    leaf = relay("leaf", upstream=(one, two))
    async with (
        opened(Graph.of(origin, two)) as rig,
        opened(Graph.of(leaf).only("leaf"), network=rig.network) as below,
        published(rig.network, url("studio")) as publisher,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream_on, publisher)
        async with opened(Graph.of(one).only("one"), network=rig.network, drain=20):
            player = await join(nursery, rig.network, url("leaf"))
            await player.until(lambda v: v.letters.count("K") >= 3)
            before = len(player.media)
        await trio.sleep(30)
        assert not player.ended.is_set()
        assert len(player.media) > before + 400
        assert below.events.of(ViewerLeft) == []
        assert below.events.of(UpstreamLost) == []
        (state,) = figures(below, "leaf")["upstream"]
        assert state["connected"]
        stamps = [each.timestamp for each in player.media if each.type_id != 18]
        assert stamps == sorted(stamps)
        nursery.cancel_scope.cancel()


# --- a drain -----------------------------------------------------------------------------------------


async def test_a_drain_tells_everybody_where_to_go_and_ends_the_rest_in_order(autojump_clock: MockClock) -> None:
    serves = RTMP(redirect="rtmp://other.example:1936", farewell=5, patience=60)
    async with opened(relay(serves=serves)) as rig, trio.open_nursery() as nursery:
        ended: list[str] = []

        async def publish() -> None:
            try:
                async with published(rig.network, url("relay")) as publisher:
                    await stream_on(publisher)
            except UpstreamError as error:
                ended.append(error.reason)

        nursery.start_soon(publish)
        await trio.sleep(1)
        player = await join(nursery, rig.network, url("relay"))
        waiter = await join(nursery, rig.network, url("relay", "/live/later"))
        old = await join(nursery, rig.network, url("relay"), extra={"capsEx": None})
        for each in (player, old):
            await each.until(lambda v: "K" in v.letters)
        rig.handle.running("relay")["rtmp"].draining()
        await trio.sleep(1)
        for each in (player, waiter):
            assert ReconnectRequested("rtmp://other.example:1936/live", "The server is about to stop.") in each.events
        assert not any(isinstance(each, ReconnectRequested) for each in old.events)
        for each in (player, waiter, old):
            assert not each.ended.is_set(), (each.events, each.lost)
        await trio.sleep(10)
        assert [each.codes[-1] for each in (player, old)] == ["StreamEOF"] * 2
        assert waiter.codes == ["NetStream.Play.StreamNotFound"]
        assert all(each.ended.is_set() for each in (player, waiter, old))
        assert "lost" in ended[0]
        nursery.cancel_scope.cancel()


async def test_where_to_go_may_be_an_application_or_here_again(autojump_clock: MockClock) -> None:
    for redirect, told, publish in (
        ("rtmp://relay.example/app", "rtmp://relay.example/app", "rtmp://relay.example/app/s"),
        ("rtmp://relay.example:1936/", "rtmp://relay.example:1936/live", "rtmp://relay.example:1936/live/s"),
        ("", "", "rtmp://relay.example:1935/live/s"),
    ):
        async with (
            opened(relay(serves=RTMP(redirect=redirect))) as rig,
            published(rig.network, url("relay")) as publisher,
            viewer(rig.network, url("relay")) as player,
        ):
            await send(publisher, gop(0))
            await player.until(lambda v: "K" in v.letters)
            rig.handle.running("relay")["rtmp"].draining()
            await trio.sleep(1)
            assert [each.tc_url for each in player.events if isinstance(each, ReconnectRequested)] == [told]
            assert publisher.asked_away is not None
            assert publisher.asked_away.url.reveal() == publish


# --- takeover ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "silent", "fresh"), [("never", False, False), ("stale", True, False), ("always", True, True)]
)
async def test_who_is_taken_over(autojump_clock: MockClock, option: str, silent: bool, fresh: bool) -> None:
    for wait, expected in ((6, silent), (1, fresh)):
        for serves in (RTMP(takeover=option), Ingest(takeover=option)):
            tier = relay(serves=serves) if isinstance(serves, RTMP) else studio(takeover=option)
            async with opened(tier) as rig, trio.open_nursery() as nursery:
                where = url(tier.name)

                async def half_dead(rig: Rig = rig, where: Any = where) -> None:
                    try:
                        async with published(rig.network, where):
                            await trio.sleep_forever()
                    except UpstreamError:
                        pass

                nursery.start_soon(half_dead)
                await trio.sleep(wait)
                taken = True
                try:
                    async with published(rig.network, where) as publisher:
                        await publisher.send(*key(0))
                        await trio.sleep(1)
                except UpstreamError as error:
                    taken = "BadName" not in str(error)
                assert taken == expected, (wait, serves)
                nursery.cancel_scope.cancel()


def test_true_and_false_are_what_they_were() -> None:
    assert (RTMP(takeover=True), RTMP(takeover=False)) == (RTMP(takeover="always"), RTMP(takeover="never"))
    assert (Ingest(takeover=True), Ingest(takeover=False)) == (Ingest(takeover="always"), Ingest(takeover="never"))
