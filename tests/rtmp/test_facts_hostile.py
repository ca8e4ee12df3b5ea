"""Attacks and accidents that other servers died of, against a relay as it runs: whoever else is there notices nothing.

Each is a row of section 5 of what was found of RTMP servers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from tests.codecs.rtmp_helpers import command, connect, u32
from tests.core.rig import Rig, opened
from tierkit import Graph, Listener, Origin
from tierkit.codecs import rtmp_message as m
from tierkit.codecs.rtmp_chunk import encode_message
from tierkit.codecs.rtmp_handshake import SIZE
from tierkit.codecs.rtmp_session import ConnectRequested, PlayRequested, ServerSession
from tierkit.errors import ConnectionLost
from tierkit.events import ConnectionFailed, UpstreamLost
from tierkit.plugin import Connection
from tierkit.plugins.rtmp import RTMP
from tierkit.rtmp import Publisher

from .media import Sent
from .raw import Raw, codes, raw
from .rig import Viewer, join, published, relay, send, stream_on, url, viewer


@asynccontextmanager
async def busy() -> AsyncIterator[tuple[Rig, Viewer, Publisher]]:
    """A relay with a publisher and a player, of whom every picture must arrive whatever goes on meanwhile."""
    async with (
        opened(relay()) as rig,
        published(rig.network, url("relay")) as publisher,
        viewer(rig.network, url("relay")) as player,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(stream_on, publisher)
        await player.until(lambda v: len(v.media) > 50)
        yield rig, player, publisher
        before = len(player.media)
        await player.until(lambda v: len(v.media) > before + 100)
        pictures = [each.timestamp for each in player.media if each.type_id == 9][1:]
        assert pictures == list(range(pictures[0], pictures[-1] + 40, 40))
        nursery.cancel_scope.cancel()


async def ends(connection: Connection) -> float:
    """When it ends, as seen by a client that takes all and says nothing."""
    with trio.fail_after(300):
        while await connection.recv():
            pass
    return trio.current_time()


async def failure(rig: Rig) -> ConnectionFailed:
    """What is told of the one connection that broke the rules, once it had the time for its last words."""
    await trio.sleep(4)
    (failed,) = rig.events.of(ConnectionFailed)
    assert isinstance(failed, ConnectionFailed)
    return failed


@pytest.mark.parametrize("size", [512_001, 3_000_000, 8 << 20])
async def test_a_picture_over_512000_bytes_comes_through(size: int, autojump_clock: MockClock) -> None:
    """livego's pool of packets ended there (#34, #163, #175)."""
    big = Sent(9, 0, b"\x17\x01\x00\x00\x00" + bytes(size - 5))
    async with (
        opened(relay(serves=RTMP(gop_bytes=32 << 20, slow_bytes=32 << 20))) as rig,
        published(rig.network, url("relay")) as publisher,
        viewer(rig.network, url("relay")) as player,
    ):
        await send(publisher, [big])
        await player.until(lambda v: v.letters == "MVAK")
        assert player.payloads[-1] == (9, big.payload)


async def test_who_drips_a_byte_a_second_has_one_deadline(autojump_clock: MockClock) -> None:
    """A timer that each byte winds up again never ends (nginx-rtmp's)."""
    async with busy() as (rig, _, _):
        connection = await rig.network.connect(url("relay"))
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_drip, connection, b"\x03" + bytes(2 * SIZE))
            assert await ends(connection) - began <= 10.1
            nursery.cancel_scope.cancel()
        connection.close()


async def _drip(connection: Connection, data: bytes) -> None:
    try:
        for at in range(len(data)):
            await trio.sleep(1)
            await connection.send_all(data[at : at + 1])
    except ConnectionLost:
        pass


@pytest.mark.parametrize("more", [b"", command("createStream", 2.0, None)], ids=["connect", "createStream"])
async def test_who_connects_and_says_no_more_has_the_same_deadline(more: bytes, autojump_clock: MockClock) -> None:
    """lal waited for ever for a publish or a play (PR#296)."""
    async with busy() as (rig, _, _):
        began = trio.current_time()
        async with raw(rig.network, url("relay")) as client:
            await client.say(connect(), more)
            assert await ends(client.connection) - began <= 10.1


async def test_a_storm_of_players_plays_and_harms_nobody(autojump_clock: MockClock) -> None:
    """A thousand connections at once stalled ZLMediaKit (#406)."""
    async with busy() as (rig, _, _), trio.open_nursery() as nursery:
        crowd: list[Viewer] = []

        async def come() -> None:
            crowd.append(await join(nursery, rig.network, url("relay")))

        async with trio.open_nursery() as storm:
            for _ in range(300):
                storm.start_soon(come)
        for each in crowd:
            await each.until(lambda v: len(v.media) > 60)
        assert {each.letters[:4] for each in crowd} == {"MVAK"}
        nursery.cancel_scope.cancel()


async def test_a_flood_of_create_stream_ends_its_connection(autojump_clock: MockClock) -> None:
    async with busy() as (rig, _, _), raw(rig.network, url("relay")) as client:
        await client.say(connect(), command("createStream", 2.0, None) * 20)
        await client.hear()
        assert client.ended
        assert "more than 16 streams" in (await failure(rig)).reason


@pytest.mark.parametrize(
    ("attack", "says"),
    [
        (encode_message(2, m.SET_CHUNK_SIZE, 0, 0, u32(0), 128), "Set Chunk Size asks for 0x0"),
        (encode_message(2, m.SET_CHUNK_SIZE, 0, 0, b"\x00\x00", 128), "shorter than 4 bytes"),
        (encode_message(2, m.WINDOW_ACK_SIZE, 0, 0, b"\x00", 128), "shorter than 4 bytes"),
        (encode_message(3, m.COMMAND, 0, 0, b"\x0a\x00\x00\x00\x01" * 70_000, 128), "350000 bytes; at most"),
        (encode_message(3, m.COMMAND, 0, 0, b"\x0a\x00\x00\x00\x01" * 10_000, 128), "too deep"),
        (command("connect", 1.0, {}), "connects twice"),
        (b"\xc9", "leaves out the length"),
    ],
    ids=lambda value: value if isinstance(value, str) else "by",
)
async def test_what_breaks_the_rules_ends_one_connection(attack: bytes, says: str, autojump_clock: MockClock) -> None:
    async with busy() as (rig, _, _), raw(rig.network, url("relay")) as client:
        await client.say(connect(), attack)
        await client.hear()
        assert client.ended
        assert says in (await failure(rig)).reason


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\x00b", "..%2f..%2fx", "a\r\nb", "///", "a\x9b2Jb", "a\u2028b"])
@pytest.mark.parametrize("how", ["publish", "play"])
async def test_names_that_climb_or_hide_are_refused_and_never_reach_a_log(
    name: str, how: str, autojump_clock: MockClock
) -> None:
    async with opened(relay()) as rig, raw(rig.network, url("relay")) as client:
        await getattr(client, how)(name, "" if name == "///" else "live")
        heard = codes(await client.hear())
        assert client.ended
        assert heard[-1] == ("NetStream.Publish.BadName" if how == "publish" else "NetStream.Play.StreamNotFound")
        assert rig.handle.statistics()["tiers"]["relay"]["streams"] == []
        assert all(each.text.isprintable() for each in rig.events)


@pytest.mark.parametrize("said", ["x\nrelay: dropped 192.0.2.1", "x\x1b[2J", "x" * 5000])
async def test_a_command_that_would_write_a_line_of_the_log(said: str, autojump_clock: MockClock) -> None:
    async with opened(relay()) as rig, raw(rig.network, url("relay")) as client:
        await client.say(command(said, 1.0, None))
        await client.hear()
        failed = await failure(rig)
        assert failed.text.isprintable()
        assert len(failed.text) < 300


SAID = "no\nrelay: upstream far is back\x1b[2J\u2028" + "x" * 5000


@pytest.mark.parametrize("how", ["connect", "play"])
async def test_a_servers_description_stays_on_one_line_of_the_log(how: str, autojump_clock: MockClock) -> None:
    async with opened(relay(upstream=Origin("far", "rtmp://far.example:1935"))) as rig, trio.open_nursery() as nursery:
        bound = await rig.network.listen(Listener("rtmp://far.example:1935"))

        async def serve(connection: Connection) -> None:
            session = ServerSession(b"n" * 32)
            while not session.closing and (data := await connection.recv()):
                for event in session.receive(data, 0.0):
                    if isinstance(event, ConnectRequested) and how == "connect":
                        session.reject_connect("NetConnection.Connect.Rejected", SAID)
                    elif isinstance(event, ConnectRequested):
                        session.accept_connect()
                    elif isinstance(event, PlayRequested):
                        session.reject_play(event.stream_id, "NetStream.Failed\n", SAID)
                await connection.send_all(session.data_to_send())
            connection.close()

        async def accept() -> None:
            while True:
                nursery.start_soon(serve, await bound.accept())

        nursery.start_soon(accept)
        async with viewer(rig.network, url("relay")) as player:
            await player.ended.wait()
        (lost,) = rig.events.of(UpstreamLost)
        assert lost.text.isprintable()
        assert len(lost.text) < 400
        assert "no relay: upstream far is back" in lost.text
        nursery.cancel_scope.cancel()


async def test_a_publisher_that_is_gone_in_the_middle_of_a_message_leaves_nothing_behind(
    autojump_clock: MockClock,
) -> None:
    """SRS freed what was still used (#4429, #4483): here each connection owns its tasks, and its end ends them."""
    async with busy() as (rig, _, _):
        for abrupt in (False, True):
            client = Raw(await rig.network.connect(url("relay"), source="192.0.2.9"))
            await client.shake()
            await client.publish("other")
            await client.hear(0.5)
            await client.say(encode_message(6, 9, 1, 0, bytes(100_000), 128)[:50_000])
            (client.connection.abort if abrupt else client.connection.close)()
            await trio.sleep(1)
        found = rig.handle.statistics()["tiers"]["relay"]["services"]["rtmp"]
        assert found["publishers"] == 1
        assert {each["name"]: each["on_air"] for each in found["streams"]} == {"/live/s": True, "/live/other": False}


async def test_a_graph_keeps_its_host_when_a_port_is_chosen(autojump_clock: MockClock) -> None:
    """librtmp2-server bound 0.0.0.0 when the port alone was given on its command line."""
    node = relay(listen="rtmp://[::1]:0")
    assert [each.address.host for each in node.listen] == ["::1"]
    async with opened(Graph.of(node)) as rig, raw(rig.network, rig.handle.addresses("relay")[0]) as client:
        await client.say(connect())
        assert codes(await client.hear())[-1] == "NetConnection.Connect.Success"
        assert {each.host for each in rig.handle.addresses("relay")} == {"::1"}
