"""RTMP at the stand-in: the recorded order, who may, what is played, what is lost, and our own relay at it."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import pytest
import trio
from attrs import fields
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.codecs.rtmp_helpers import command, connect
from tests.core.rig import opened
from tests.rtmp.media import gop, headers, letter
from tests.rtmp.raw import codes, lines, raw
from tests.rtmp.rig import Viewer, relay, send, url, viewer
from tierkit import Address, Graph, Origin, Restream
from tierkit.codecs import amf0
from tierkit.codecs import rtmp_message as m
from tierkit.codecs.flv import create_flv_header, create_flv_tag
from tierkit.codecs.rtmp_auth import secure_token
from tierkit.codecs.rtmp_session import Media
from tierkit.errors import UpstreamError
from tierkit.events import UpstreamLost
from tierkit.plugins.rtmp import RTMP
from tierkit.plugins.wowza import Wowza
from tierkit.rtmp import open_publisher
from tierkit.testing import MemoryNetwork
from tierkit.testing.wowza import RtmpOptions, StandIn, open_wowza, place_of
from tierkit.testing.wowza._rtmp_media import Publication, the_programme
from tierkit.testing.wowza._rtmp_publishers import Publishers
from tierkit.testing.wowza._tea import encrypt

from .http_rig import Asker

GOP = 0.96
HOST = "wowza.example"


@asynccontextmanager
async def wowza(network: MemoryNetwork | None = None, **options: Any) -> AsyncIterator[tuple[StandIn, MemoryNetwork]]:
    network = network or MemoryNetwork()
    where = {"listen": f"{HOST}:1935", "admin": f"{HOST}:8086", "rest": f"{HOST}:8087"}
    async with open_wowza(network=network, **{**where, **options}) as made:
        yield made, network


def at(path: str = "/live/myStream", login: str = "") -> Address:
    return Address.parse(f"rtmp://{login}{HOST}:1935{path}")


def seen(media: Sequence[Media]) -> str:
    return "".join(letter(each.type_id, each.payload) for each in media)


async def counts(network: MemoryNetwork, stand_in: StandIn) -> Any:
    return (await Asker(network, stand_in.admin_address).get("/connectioncounts")).xml


def test_the_page_has_every_option() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "wowza-stand-in.md").read_text("utf-8")
    table = page[page.index("| `RtmpOptions` |") :].partition("\n\n")[0]
    named = [re.findall(r"`([a-z_]+)(?:=.*?)?`", line.split("|")[1]) for line in table.splitlines()[2:]]
    assert [each for row in named for each in row] == [each.name for each in fields(RtmpOptions)]


# --- the recorded order --------------------------------------------------------------------------------


async def test_connect_is_answered_in_the_recorded_order(autojump_clock: MockClock) -> None:
    async with wowza() as (_, network), raw(network, at()) as client:
        await trio.sleep(1)
        await client.say(connect("live"))
        messages = await client.hear(quiet=1)
        first = lines(messages)
        assert first[:2] == ["2 0 0 control 5 2500000", "2 0 0 control 6 2500000"]
        assert messages[1].payload[4:] == b"\x02"  # dynamic
        assert first[2].startswith("2 0 0 user 6 ")
        assert first[3] == "2 0 0 control 1 512"
        assert first[4].startswith("3 0 0 _result#1(")
        assert len(first) == 5
        assert codes(messages) == ["NetConnection.Connect.Success"]


async def test_play_tells_the_odd_events_and_has_the_strict_array(autojump_clock: MockClock) -> None:
    async with wowza() as (_, network), viewer(network, at()) as player:
        controls: list[m.UserControl] = []
        original = player.session._user_event

        def note(event: m.UserControl, now: float) -> Any:
            controls.append(event)
            return original(event, now)

        player.session._user_event = note  # type: ignore[method-assign]
        await player.until(lambda v: "K" in v.letters)
        assert player.letters.startswith("MVAK")
        (metadata,) = [each for each in player.media if each.type_id == m.DATA]
        name, content = amf0.decode_all(metadata.payload)
        assert name == "onMetaData"
        assert [each["type"] for each in content["trackinfo"]] == ["video", "audio"]
        assert content["width"] == 320
        await trio.sleep(21)
        odd = [(each.event, each.value) for each in controls if each.event in (31, 32)]
        assert odd == [(31, 1), (32, 1)] * 3
    options = RtmpOptions(buffer_events=False, strict_array=False)
    async with wowza(rtmp=options) as (_, network), viewer(network, at()) as player:
        await player.until(lambda v: "K" in v.letters)
        assert "trackinfo" not in amf0.decode_all(player.media[0].payload)[1]


async def test_on_bw_done_by_configuration(autojump_clock: MockClock) -> None:
    async with wowza(rtmp=RtmpOptions(check_bandwidth=True)) as (_, network), raw(network, at()) as client:
        await client.say(connect("live"), command("_checkbw", 2.0, None))
        assert [each.partition(" ")[2].split()[-1] for each in lines(await client.hear(1))][-2:] == [
            "onBWDone#0()",
            "_result#2(None)",
        ]


# --- media ---------------------------------------------------------------------------------------------


async def test_media_begin_at_a_keyframe_and_keep_the_encoders_time(autojump_clock: MockClock) -> None:
    async with wowza(streams=()) as (stand_in, network):
        stand_in.publish("live/s", on_air_for=10)
        async with viewer(network, at("/live/s")) as player:
            await trio.sleep(20)
            media = [each for each in player.media if each.type_id != m.DATA]
            keys = [each.timestamp for each in media if letter(each.type_id, each.payload) == "K"]
            assert keys[0] == 9600  # of the GOP that is on the air at 10 s
            assert [after - before for before, after in itertools.pairwise(keys)] == [960] * (len(keys) - 1)
            assert 29_000 < media[-1].timestamp <= 30_040
            times = [each.timestamp for each in media if letter(each.type_id, each.payload) in "KP"]
            assert [after - before for before, after in itertools.pairwise(times)] == [40] * (len(times) - 1)
            sounds = [each.timestamp for each in media if letter(each.type_id, each.payload) == "S"]
            steps = {after - before for before, after in itertools.pairwise(sounds)}
            assert steps == {21, 22}


def test_a_gop_of_the_programme_is_whole() -> None:
    programme = the_programme()
    assert seen(programme.headers).replace("M", "", 1) in ("VA", "AV")  # type: ignore[arg-type]
    assert len(programme.gops) == 8
    for each in programme.gops:
        letters = seen(each)  # type: ignore[arg-type]
        assert (letters.count("K"), letters.count("P"), letters.count("S")) == (1, 23, 45)


async def test_hls_and_rtmp_show_the_same_pictures(autojump_clock: MockClock) -> None:
    async with wowza(streams=()) as (stand_in, network):
        stand_in.publish("live/s", on_air_for=60, pattern=(2,))
        # Chunk 30 has the GOPs 60 and 61; the player begins in GOP 62.
        async with viewer(network, at("/live/s")) as player:
            await trio.sleep(4.5)
        chunk = stand_in.chunk("live/s", 32)
        flv = bytearray(create_flv_header())
        for each in player.media:
            if each.type_id == m.DATA or each.timestamp < 66 * 960:
                flv += create_flv_tag(each.type_id, each.timestamp, each.payload)
    by_rtmp = pictures(bytes(flv))
    by_hls = pictures(chunk)
    assert len(by_hls) == 48
    assert by_rtmp[48:96] == by_hls


def pictures(data: bytes) -> list[bytes]:
    import io

    with av.open(io.BytesIO(data)) as container:
        return [bytes(each.reformat(format="gray").planes[0]) for each in container.decode(video=0)]


async def test_who_does_not_read_costs_nobody_and_stays_bounded(autojump_clock: MockClock) -> None:
    async with wowza(rtmp=RtmpOptions(ping_timeout=math.inf)) as (_, network), viewer(network, at()) as slow:
        await slow.until(lambda v: "K" in v.letters)
        slow.pause()
        async with viewer(network, at()) as quick:
            await trio.sleep(40)
            assert quick.letters.count("K") >= 40
        slow.go_on()
        await trio.sleep(1)
        assert slow.letters.count("K") >= 40  # the signal is worked out, not kept


# --- names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "name", "place"),
    [
        ("live", "myStream", "live/_definst_/myStream"),
        ("live/_definst_", "myStream", "live/_definst_/myStream"),
        ("live/", "_definst_/myStream", "live/_definst_/myStream"),
        ("live", "flv:myStream?x=1", "live/_definst_/myStream"),
        ("live/greek", "b", "live/greek/b"),
        ("live", "greek/b", "live/greek/b"),
        ("live", "dir/c.stream", "live/_definst_/dir/c.stream"),
        ("live/_definst_", "dir/c.stream", "live/_definst_/dir/c.stream"),
        ("vod", "mp4:sample.mp4", "vod/_definst_/mp4:sample.mp4"),
    ],
)
async def test_spellings_of_a_stream(autojump_clock: MockClock, app: str, name: str, place: str) -> None:
    streams = ("live/myStream", "live/greek/b", "live/_definst_/dir/c.stream", "vod/mp4:sample.mp4")
    async with wowza(streams=streams) as (stand_in, network), raw(network, at()) as client:
        await client.play(name, app)
        await trio.sleep(1)
        assert [str(each.place) for each in stand_in.server.players()] == [place]


@pytest.mark.parametrize("app", ["none", "", "off"])
async def test_an_application_that_is_not_there(autojump_clock: MockClock, app: str) -> None:
    async with wowza() as (stand_in, network), raw(network, at()) as client:
        stand_in.server.application("off").loaded = False
        await client.say(connect(app))
        assert codes(await client.hear()) == ["NetConnection.Connect.InvalidApp"]
        assert client.ended
        assert stand_in.server.rtmp == []
        assert stand_in.server.connections.rejected == 1


async def test_an_unpublished_name_is_not_found(autojump_clock: MockClock) -> None:
    async with wowza() as (stand_in, network), raw(network, at()) as client:
        await client.play("none")
        assert codes(await client.hear())[-1] == "NetStream.Play.StreamNotFound"
        assert not client.ended
        stand_in.publish("live/none")
        await client.say(command("play", 0.0, None, "none", -2000.0, stream_id=1))
        await trio.sleep(1)
        assert len(stand_in.server.players()) == 1


async def test_or_it_is_waited_for(autojump_clock: MockClock) -> None:
    async with (
        wowza(rtmp=RtmpOptions(unpublished="wait")) as (stand_in, network),
        viewer(network, at("/live/none")) as player,
    ):
        await trio.sleep(40)  # pings are answered meanwhile
        assert player.codes == ["NetStream.Play.Start"]
        assert player.media == []
        stand_in.publish("live/none")
        await player.until(lambda v: "K" in v.letters, 1)
        assert player.codes == ["NetStream.Play.Start", "NetStream.Play.PublishNotify"]
        assert player.media[-1].timestamp < 960


# --- pings ---------------------------------------------------------------------------------------------


async def test_who_does_not_answer_a_ping_is_dropped_after_twelve_seconds(autojump_clock: MockClock) -> None:
    async with wowza() as (stand_in, network), raw(network, at()) as client:
        await client.play("myStream")
        began = trio.current_time()
        await client.hear(quiet=20)
        assert client.ended
        assert 12 <= trio.current_time() - began < 12.1
        assert stand_in.server.rtmp == []
        await trio.sleep(0.1)
        assert stand_in.open_connections == 0


async def test_who_answers_stays(autojump_clock: MockClock) -> None:
    async with wowza() as (stand_in, network), viewer(network, at()) as player:
        await trio.sleep(60)
        assert not player.ended.is_set()
        assert len(stand_in.server.players()) == 1
        assert player.letters.count("K") >= 60


async def test_who_shakes_hands_and_says_no_more_is_dropped(autojump_clock: MockClock) -> None:
    async with wowza() as (_, network), raw(network, at()) as client:
        began = trio.current_time()
        await client.hear(quiet=60)
        assert client.ended
        assert 30 <= trio.current_time() - began < 31.1


# --- the encoder is lost -------------------------------------------------------------------------------


async def test_a_lost_encoder_is_told_and_so_is_its_return(autojump_clock: MockClock) -> None:
    async with wowza() as (stand_in, network), viewer(network, at()) as player:
        await player.until(lambda v: "K" in v.letters)
        await trio.sleep(5)
        stand_in.off_air("live/myStream")
        await trio.sleep(1)
        before = len(player.media)
        assert player.codes[-1] == "NetStream.Play.UnpublishNotify"
        async with viewer(network, at()) as late:
            await trio.sleep(1)
            assert late.codes == ["NetStream.Play.StreamNotFound"]
        assert len(player.media) == before
        stand_in.restart_encoder("live/myStream")
        await trio.sleep(3)
        assert player.codes[-1] == "NetStream.Play.PublishNotify"
        assert seen(player.media[before:]).startswith("MVAK")
        assert player.media[-1].timestamp < 3100
        stand_in.restart_encoder("live/myStream")  # without a gap
        await trio.sleep(1)
        assert player.codes[-4:] == ["NetStream.Play.UnpublishNotify", "NetStream.Play.PublishNotify"] * 2


# --- what is counted -----------------------------------------------------------------------------------


async def test_players_are_counted_while_they_play(autojump_clock: MockClock) -> None:
    async with wowza() as (stand_in, network):
        async with viewer(network, at()) as one, viewer(network, at("/live/_definst_/myStream")) as two:
            await one.until(lambda v: "K" in v.letters)
            await two.until(lambda v: "K" in v.letters)
            await trio.sleep(10)
            found = await counts(network, stand_in)
            assert found.findtext(".//Stream/SessionsFlash") == found.findtext(".//Stream/SessionsTotal") == "2"
            assert found.findtext("ConnectionsCurrent") == found.findtext("ConnectionsTotalAccepted") == "2"
            assert float(found.findtext("MessagesOutBytesRate")) > 2 * 30_000
            stream = stand_in.server.find(place_of("live/myStream"))
            assert stream is not None
            assert 0 < stream.sent.total <= stand_in.server.sent.total
            assert stream.sent.total > 0.9 * stand_in.server.sent.total
            info = (await Asker(network, stand_in.admin_address).get("/serverinfo")).xml
            assert [each.findtext("IpAddress") for each in info.findall(".//Client")] == ["192.0.2.7"] * 2
            assert info.findtext(".//Client/URI") == f"rtmp://{HOST}:1935/live"
        await trio.sleep(0.1)
        found = await counts(network, stand_in)
        assert found.findtext(".//Stream/SessionsTotal") == "0"
        assert found.findtext("ConnectionsTotal") == "2"


# --- SecureToken ---------------------------------------------------------------------------------------


def test_teas_vector() -> None:
    assert encrypt("0123456789abcdef", "#ed%h0#w@1") == "9980e2f3f615b613871adcd3a7dc6608"


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=5, max_size=64), st.text(max_size=20))
def test_what_is_encrypted_here_the_client_reads(plain: str, secret: str) -> None:
    assert secure_token(encrypt(plain, secret), secret) == plain


async def test_the_secure_token_is_asked_for_and_heeded(autojump_clock: MockClock) -> None:
    options = RtmpOptions(secret="#ed%h0#w@1")
    async with wowza(rtmp=options) as (stand_in, network):
        asked = []
        for _ in range(2):
            async with raw(network, at()) as client:
                await client.say(connect("live"))
                (result,) = [each for each in await client.hear(1) if each.type_id == m.COMMAND]
                token = m.Command.decode(result).arg(0)["secureToken"]
                asked.append(token)
                answer = secure_token(token, options.secret)
                await client.say(command("secureTokenResponse", 0.0, None, answer), command("createStream", 2.0, None))
                await client.say(command("play", 0.0, None, "myStream", -2000.0, stream_id=1))
                await trio.sleep(1)
                assert len(stand_in.server.players()) == 1
            await trio.sleep(0.1)
        assert len(set(asked)) == 2  # another one each time


async def test_a_wrong_or_missing_answer_is_refused(autojump_clock: MockClock) -> None:
    async with wowza(rtmp=RtmpOptions(secret="s3cret")) as (stand_in, network):
        async with raw(network, at()) as client:
            await client.say(connect("live"), command("secureTokenResponse", 0.0, None, "no"))
            assert codes(await client.hear())[-1] == "NetConnection.Connect.Rejected"
            assert client.ended
        async with raw(network, at()) as client:
            await client.play("myStream")
            assert codes(await client.hear())[-1] == "NetConnection.Connect.Rejected"
            assert client.ended
        assert stand_in.server.rtmp == []


@pytest.mark.parametrize(("token", "plays"), [("#ed%h0#w@1", True), ("", False), ("#ed%h0#w@2", False)])
async def test_the_relay_answers_the_secure_token(autojump_clock: MockClock, token: str, plays: bool) -> None:
    async with wowza(rtmp=RtmpOptions(secret="#ed%h0#w@1")) as (_, network), pulling(network, token=token) as rig:
        async with viewer(network, url("relay", "/live/myStream")) as player:
            await trio.sleep(5)
            assert ("K" in player.letters) == plays
        assert len(rig.events.of(UpstreamLost)) == (not plays)
        assert "#ed%h0" not in repr(rig.events)


# --- the project's own relay ---------------------------------------------------------------------------


@asynccontextmanager
async def pulling(network: MemoryNetwork, **options: Any) -> AsyncIterator[Any]:
    """A relay that pulls from the stand-in."""
    source = Origin("wowza", f"{HOST}:1935", speaks=Wowza(**options))
    async with opened(Graph.of(relay(upstream=source, serves=RTMP(linger=20, grace=5))), network=network) as rig:
        yield rig


async def test_the_relay_pulls_once_and_answers_pings(autojump_clock: MockClock) -> None:
    async with wowza() as (stand_in, network), pulling(network) as rig, trio.open_nursery() as nursery:
        players = [Viewer(network, url("relay", "/live/myStream")) for _ in range(5)]
        for each in players:
            await nursery.start(each.run)
        await trio.sleep(40)
        assert [each.letters.count("K") >= 38 for each in players] == [True] * 5
        assert [each.letters[:4] for each in players] == ["MVAK"] * 5
        shown = {each.name for each in stand_in.log.relied_on}
        assert {"rtmp-connect-order", "rtmp-buffer-events", "rtmp-strict-array", "rtmp-ping-every"} <= shown
        assert "rtmp-ping-timeout" not in shown
        assert len(stand_in.server.players()) == 1
        assert stand_in.open_connections == stand_in.most_connections == 1
        assert (await counts(network, stand_in)).findtext(".//Stream/SessionsFlash") == "1"
        assert rig.events.of(UpstreamLost) == []
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("profile", "players"), [("wms3", 5), ("wse42", 5), ("wse47", 200), ("wse49", 5)])
async def test_however_many_play_at_the_relay_the_server_has_one_client(
    autojump_clock: MockClock, profile: str, players: int
) -> None:
    async with wowza(profile=profile) as (stand_in, network), pulling(network), trio.open_nursery() as nursery:
        made = [Viewer(network, url("relay", "/live/myStream")) for _ in range(players)]
        for each in made:
            await nursery.start(each.run)
        await trio.sleep(3)
        assert sum("K" in each.letters for each in made) == players
        found = await counts(network, stand_in)
        assert found.findtext(".//Stream/SessionsFlash") == found.findtext("ConnectionsTotal") == "1"
        assert stand_in.most_connections == 1
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("unpublished", ["not-found", "wait"])
async def test_the_relay_carries_its_players_through_a_loss_of_the_encoder(
    autojump_clock: MockClock, unpublished: Any
) -> None:
    options = RtmpOptions(unpublished=unpublished)
    async with (
        wowza(rtmp=options) as (stand_in, network),
        pulling(network),
        viewer(network, url("relay", "/live/myStream")) as player,
    ):
        await trio.sleep(15)
        assert player.letters.count("K") >= 15
        stand_in.off_air("live/myStream")
        await trio.sleep(5)
        before = len(player.media)
        stand_in.restart_encoder("live/myStream")
        await trio.sleep(20)
        assert seen(player.media[before:]).count("K") >= 8
        assert not player.ended.is_set()
        times = [each.timestamp for each in player.media if each.type_id != m.DATA]
        assert times == sorted(times)
        assert len(stand_in.server.players()) == 1


async def test_the_relay_survives_a_restart_of_the_server(autojump_clock: MockClock) -> None:
    async with (
        wowza() as (stand_in, network),
        pulling(network) as rig,
        viewer(network, url("relay", "/live/myStream")) as player,
    ):
        await trio.sleep(5)
        stand_in.restart()
        assert stand_in.server.rtmp == []
        await trio.sleep(1)
        before = len(player.media)
        await trio.sleep(15)
        assert seen(player.media[before:]).count("K") >= 10
        assert not player.ended.is_set()
        assert len(rig.events.of(UpstreamLost)) == 1


# --- publishing into it --------------------------------------------------------------------------------


async def test_what_is_published_is_played_and_listed(autojump_clock: MockClock) -> None:
    async with wowza() as (stand_in, network):
        web = Asker(network, stand_in.address)
        rest = Asker(network, stand_in.rest_address)
        rest.headers = {"Accept": "application/json"}
        instance = "/v2/servers/_defaultServer_/vhosts/_defaultVHost_/applications/live/instances/_definst_"
        async with open_publisher(network, at("/live/pushed")) as publisher:
            await send(publisher, [*headers(), *gop(0, 5), *gop(200, 5)])
            await trio.sleep(0.5)
            async with viewer(network, at("/live/pushed")) as player:
                await trio.sleep(0.5)
                await send(publisher, gop(400, 5))
                await trio.sleep(0.5)
                sent = [*gop(200, 5), *gop(400, 5)]
                assert player.letters[:3] == "MVA"
                assert player.payloads[3:] == [(each.type_id, each.payload) for each in sent]
                assert [each.timestamp for each in player.media[3:]] == [each.timestamp for each in sent]
            (_, row) = (await rest.get(instance)).json["incomingStreams"]
            assert (row["name"], row["isConnected"]) == ("pushed", True)
            assert row["sourceIp"].startswith("rtmp://127.0.0.1:")
            current = (await rest.get(f"{instance}/incomingstreams/pushed/monitoring/current")).json
            size = sum(len(each.payload) for each in [*headers(), *gop(0, 5), *gop(200, 5), *gop(400, 5)])
            assert current["bytesIn"] == size
            await trio.sleep(60)  # long enough for any playlist
            assert (await web.bare("GET", "/live/pushed/playlist.m3u8")).status == 404
            with pytest.raises(UpstreamError, match="already being published"):
                async with open_publisher(network, at("/live/pushed")):
                    pass
            with pytest.raises(UpstreamError, match="already being published"):
                async with open_publisher(network, at("/live/myStream")):
                    pass
        await trio.sleep(0.1)
        (row,) = (await rest.get(instance)).json["incomingStreams"]
        assert row["name"] == "myStream"


async def test_rest_disconnects_a_publisher_and_its_players_are_told(autojump_clock: MockClock) -> None:
    async with wowza() as (stand_in, network), trio.open_nursery() as nursery:
        rest = Asker(network, stand_in.rest_address)
        action = (
            "/v2/servers/_defaultServer_/vhosts/_defaultVHost_/applications/live/instances/_definst_"
            "/incomingstreams/pushed/actions/disconnectStream"
        )
        ended = trio.Event()

        async def publish() -> None:
            async with open_publisher(network, at("/live/pushed")) as publisher:
                await send(publisher, headers())
                for index in range(100):
                    await send(publisher, gop(index * 200, 5), pace=True)

        async def until_it_ends() -> None:
            with pytest.raises(UpstreamError):
                await publish()
            ended.set()

        nursery.start_soon(until_it_ends)
        await trio.sleep(1)
        async with viewer(network, at("/live/pushed")) as player:
            await player.until(lambda v: "K" in v.letters)
            assert (await rest.ask("PUT", action)).status == 200
            await trio.sleep(1)
            assert player.codes[-1] == "NetStream.Play.UnpublishNotify"
        with trio.fail_after(5):
            await ended.wait()
        await trio.sleep(0.1)
        assert stand_in.server.rtmp == []


async def test_a_publication_without_pictures_and_one_that_is_long() -> None:
    sound = Publication()
    for each in gop(0, 3):
        if letter(each.type_id, each.payload) == "S":
            sound.receive(Media(*each))
    cursor = sound.join()
    assert seen(cursor.take(0)) == "S"
    long = Publication()
    late = long.join()
    assert late.take(0) == []
    for index in range(3000):
        for message in gop(index * 80, 2):
            long.receive(Media(*message))
    first = late.take(0)
    assert seen(first[:1]) == "K"  # what it has missed is gone; it goes on at the newest keyframe
    assert first[0].timestamp == 2999 * 80
    assert late.take(0) == []


# --- authmod=adobe -------------------------------------------------------------------------------------


def test_the_vector_of_authmod() -> None:
    class Salted(Publishers):
        def _salt(self, user: str) -> str:
            return "xyz"

    asked = Salted(users={"source1": "s3cret"}, opaque="other")
    for opaque, response in (("vgoAAA==", "cpTmMO1/kZXb+pGLtuH4Ew=="), ("", "25QcBzzElY8fYLsnO1CJdA==")):
        asked._open.append(("source1", "abc", opaque))
        behind = f"&opaque={opaque}" if opaque else ""
        said = f"authmod=adobe&user=source1&challenge=4f1c02aa&response={response}{behind}"
        assert asked.judge(said).refusal == ""
        assert asked.judge(said).refusal.endswith("?reason=authfailed")  # a challenge is good once


@given(st.text(max_size=100), st.sampled_from(["", "authmod=adobe&user=source1&response=", "authmod=adobe&user="]))
def test_whatever_stands_behind_the_application_is_refused(query: str, head: str) -> None:
    asked = Publishers(users={"source1": "s3cret"})
    asked.judge("authmod=adobe&user=source1")
    assert asked.judge(head + query).refusal.startswith("[ AccessManager.Reject ] : [ ")


@pytest.mark.parametrize("opaque", ["absent", "same", "other"])
async def test_a_publisher_proves_who_it_is_in_three_connections(autojump_clock: MockClock, opaque: Any) -> None:
    options = {"rtmp": RtmpOptions(opaque=opaque), "publishers": {"source1": "s3cret"}}
    async with wowza(**options) as (stand_in, network):
        async with open_publisher(network, at("/live/pushed", "source1:s3cret@")) as publisher:
            await send(publisher, headers())
            await trio.sleep(0.1)
            assert len(stand_in.log.contacts) == 3
            assert stand_in.server.connections.rejected == 2
            assert stand_in.server.find(next(iter(p for p, _ in stand_in.server.streams() if p.stream == "pushed")))
        for login, told in (
            ("source1:wrong@", "neither this user nor this password"),
            ("other:s3cret@", "knows no such user"),
            ("", "wants a user and a password"),
        ):
            with pytest.raises(UpstreamError, match=told):
                async with open_publisher(network, at("/live/pushed", login)):
                    pass


async def test_the_questions_are_the_recorded_ones(autojump_clock: MockClock) -> None:
    async with wowza(publishers={"source1": "s3cret"}, rtmp=RtmpOptions(opaque="absent")) as (_, network):
        told = []
        for query in ("", "?authmod=adobe&user=source1", "?authmod=adobe&user=x"):
            async with raw(network, at()) as client:
                more = {"flashVer": "FMLE/3.0 (compatible; x)", "tcUrl": f"rtmp://{HOST}/live{query}"}
                await client.say(connect(f"live{query}", **more))
                (refusal,) = [each for each in await client.hear() if each.type_id == m.COMMAND]
                said = m.Command.decode(refusal)
                assert (said.name, said.arg(0)["code"]) == ("_error", "NetConnection.Connect.Rejected")
                told.append(said.arg(0)["description"])
                assert client.ended
        assert told[0] == "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "
        head = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason="
        assert told[1].startswith(f"{head}needauth&user=source1&salt=")
        assert "&challenge=" in told[1]
        assert "opaque" not in told[1]
        assert told[2] == f"{head}nosuchuser"


async def test_who_is_no_encoder_may_play_and_not_publish(autojump_clock: MockClock) -> None:
    async with wowza(publishers={"source1": "s3cret"}) as (_, network):
        async with viewer(network, at()) as player:
            await player.until(lambda v: "K" in v.letters)
        async with raw(network, at()) as client:
            await client.publish("pushed", flashVer="LNX 9,0,124,2")
            assert codes(await client.hear())[-1] == "NetStream.Publish.Denied"
            assert client.ended


async def test_the_relay_pushes_into_it(autojump_clock: MockClock) -> None:
    target = Restream("far", f"rtmp://source1:s3cret@{HOST}:1935/live/pushed", streams="live/s")
    async with (
        wowza(publishers={"source1": "s3cret"}) as (_, network),
        opened(Graph.of(relay(push=target)), network=network),
        open_publisher(network, url("relay")) as publisher,
    ):
        await send(publisher, headers())
        for index in range(20):
            await send(publisher, gop(index * 1000, 25), pace=True)
            await trio.sleep(0.02)
        async with viewer(network, at("/live/pushed")) as player:
            await player.until(lambda v: "K" in v.letters)
            await send(publisher, gop(20_000, 25), pace=True)
            await trio.sleep(1)
            assert player.letters.startswith("MVAK")
            assert player.letters.count("K") >= 2


# --- strangers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
async def test_garbage_ends_its_own_connection(autojump_clock: MockClock, seed: int) -> None:
    import random

    chance = random.Random(seed)
    async with wowza() as (stand_in, network):
        async with raw(network, at()) as client:
            good = connect("live") + command("createStream", 2.0, None)
            await client.say(good[: chance.randrange(len(good))] + chance.randbytes(2000))
            await client.hear(quiet=61)
            assert client.ended
        assert stand_in.server.rtmp == []
        async with viewer(network, at()) as player:
            await player.until(lambda v: "K" in v.letters)
