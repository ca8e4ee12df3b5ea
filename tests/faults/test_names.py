"""Names that nobody has, and a name that somebody has already: the right error, and nobody else notices."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.rtmp.rig import Viewer
from tierkit.http import HttpClient
from tierkit.plugin import UpstreamError
from tierkit.rtmp import open_publisher

from .rig import get, watched


@pytest.mark.parametrize("path", ["/", "/live", "/live/none/playlist.m3u8", "/other/s/chunklist.m3u8", "/live/s/no.ts"])
@pytest.mark.parametrize("tier", ["studio", "edge"])
async def test_404(tier: str, path: str, autojump_clock: MockClock) -> None:
    async with watched() as scene:
        client = HttpClient(scene.network, trio.current_time)
        status, body = await get(client, scene.url(tier, path, scheme="http"))
        client.close()
        assert status == 404
        assert len(body.splitlines()) == 1
        assert scene.troubles() == []
        await scene.undisturbed()


@pytest.mark.parametrize("path", ["/live/none", "/other/s"])
@pytest.mark.parametrize(("tier", "patience"), [("studio", 0), ("relay", 11)])
async def test_a_stream_that_nobody_publishes(tier: str, patience: float, path: str, autojump_clock: MockClock) -> None:
    async with watched() as scene:
        viewer = Viewer(scene.memory, scene.url(tier, path, scheme="rtmp"))
        began = trio.current_time()
        with trio.fail_after(30):
            await viewer.run()
        assert viewer.codes == ["NetStream.Play.StreamNotFound"]
        # A relay waits for it a while: encoders come and go.
        assert trio.current_time() - began <= patience + 3
        assert scene.troubles() == []
        await scene.undisturbed()


async def test_a_name_that_is_taken(autojump_clock: MockClock) -> None:
    async with watched() as scene:
        with pytest.raises(UpstreamError, match=r"refused: NetStream\.Publish\.BadName .*/live/s") as caught:
            async with open_publisher(scene.network, scene.url("studio", "/live/s", scheme="rtmp")):
                pass
        assert "\n" not in str(caught.value)
        await scene.undisturbed()
        assert scene.troubles() == []


async def test_publishing_where_nothing_is_taken(autojump_clock: MockClock) -> None:
    async with watched() as scene:
        with pytest.raises(UpstreamError, match=r"relay pulls its streams: publish to its upstream"):
            async with open_publisher(scene.network, scene.url("relay", "/live/s")):
                pass
        await scene.undisturbed()
        assert scene.troubles() == []
