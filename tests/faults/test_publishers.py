"""Publishers that vanish, wherever they are in what they say, and come back: whoever watches goes on."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.packaging.media import frames
from tests.rtmp.rig import viewer
from tierkit.errors import UpstreamError
from tierkit.events import PublisherLeft
from tierkit.http import HttpClient
from tierkit.rtmp import open_publisher

from .rig import VIDEO, PlaylistWitness, Scene, send_signal, watched

BIG = b"\x27\x01\x00\x00\x00" + bytes(300_000)
OTHER = "/live/other"


async def vanish(scene: Scene, how: str) -> list[bytes]:
    """Publish three seconds of `OTHER`, half a message of it, and be gone; returns what was sent whole."""
    sent: list[bytes] = []
    before = len(scene.memory.connections)
    with trio.CancelScope() as scope:
        async with open_publisher(scene.network, scene.url("studio", OTHER, scheme="rtmp")) as publisher:
            await send_signal(publisher, sent, seconds=3)
            connection = publisher._connection
            data = publisher._session.encode_media(VIDEO, 3000, BIG)
            await connection.send_all(data[: len(data) // 2])
            await trio.sleep(0.5)
            getattr(connection, how)()
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert not scene.memory.connections[before].open
    return sent


@pytest.mark.parametrize("how", ["abort", "close"])
async def test_in_the_middle_of_a_message(how: str, autojump_clock: MockClock) -> None:
    async with watched() as scene:
        url = scene.url("relay", OTHER)
        async with viewer(scene.memory, url) as player, trio.open_nursery() as nursery:
            witness, client = PlaylistWitness(), HttpClient(scene.network, trio.current_time)
            sent = await vanish(scene, how)
            nursery.start_soon(witness.watch, client, scene.url("edge", OTHER))
            await trio.sleep(3)
            left = [event for event in scene.events[scene.told :] if isinstance(event, PublisherLeft)]
            assert [event.text.partition(" of ")[2] for event in left] == ["/live/other left: it has disconnected"]
            assert not player.ended.is_set()
            sent += await vanish(scene, how)
            await trio.sleep(3)
            nursery.cancel_scope.cancel()
        client.close()
        # Every whole message of both, and nothing of the half ones.
        assert [payload for kind, payload in player.payloads if kind == VIDEO and payload[1] == 1] == sent
        found = [frame for number in sorted(witness.segments) for frame in frames(witness.segments[number])]
        assert witness.problems == []
        assert len(found) == len(sent) == 60
        assert scene.troubles() == []
        await scene.undisturbed()


async def test_the_stream_that_is_watched(autojump_clock: MockClock) -> None:
    """The witnesses' own publisher is cut off three times, and comes back each time after a second."""
    async with watched() as scene:
        for _ in range(3):
            assert scene.publisher is not None
            scene.publisher._connection.abort()
            await trio.sleep(5.05)
        assert len([event for event in scene.events if isinstance(event, PublisherLeft)]) == 3
        assert scene.troubles() == []
        await scene.undisturbed(gaps=3)


async def fall_silent(scene: Scene) -> None:
    async with open_publisher(scene.network, scene.url("studio", OTHER, scheme="rtmp")) as publisher:
        await send_signal(publisher, [], seconds=1)
        data = publisher._session.encode_media(VIDEO, 3000, BIG)
        await publisher._connection.send_all(data[: len(data) // 2])
        await trio.sleep(90)


async def test_one_that_says_nothing_any_more(autojump_clock: MockClock) -> None:
    """Half a message, and then silence on a line that stays open: dropped, with the reason."""
    async with watched() as scene:
        with pytest.raises(UpstreamError, match="the connection was lost"):
            await fall_silent(scene)
        line = await scene.line("studio")
        assert line.startswith("studio: dropped 127.0.0.1:")
        assert line.endswith(": it sent nothing for 75 s")
        await scene.undisturbed()
