"""The main job with real parts: ffmpeg publishes, ffmpeg watches, through three edges and a relay."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio

from tierkit import Edge, Graph, GraphHandle, Origin, Relay, open_graph
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP

from .media import file_md5, make_clip, play_command, publish_command, read_md5, run, stretch

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

PLAYLIST = "/live/s/playlist.m3u8"
EDGES = ("edge-a1", "edge-a2", "edge-b1")
#: Seconds that each player decodes.
WINDOW = 30


def grnet(host: str) -> Graph:
    at = f"[{host}]" if ":" in host else host
    studio = Origin("studio", host=host, listen=(f"rtmp://{at}:0", f"http://{at}:0"), serves=Ingest())
    edge = partial(Edge, upstream=studio, serves=HLS(cache_bytes=128 << 20), listen=f"{at}:0", host=host)
    return Graph.of(
        edge("edge-a1", site="dc-a"),
        edge("edge-a2", site="dc-a"),
        edge("edge-b1", site="dc-b"),
        Relay("relay-a", site="dc-a", upstream=studio, serves=RTMP(), listen=f"{at}:0", host=host),
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.flv", seconds=60)


@pytest.fixture(scope="module")
def truth(clip: Path) -> dict[str, list[str]]:
    return file_md5(clip)


async def until_on_air(handle: GraphHandle, tier: str = "studio") -> None:
    """Until the origin has a playlist with three segments, as players of live streams want them."""
    with trio.fail_after(30):
        while True:
            streams = handle.statistics()["tiers"][tier]["streams"]
            if any(each["on_air"] for each in streams):
                break
            await trio.sleep(0.1)
        await trio.sleep(7)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_every_player_gets_what_was_published_frame_for_frame(
    host: str, clip: Path, truth: dict[str, list[str]], tmp_path: Path
) -> None:
    async with open_graph(grnet(host), drain=2) as handle, trio.open_nursery() as nursery:
        publish = publish_command(clip, handle.url("studio", "/live/s", scheme="rtmp"))
        nursery.start_soon(partial(trio.run_process, publish, check=False, capture_stderr=True))
        await until_on_air(handle)
        urls = {name: handle.url(name, PLAYLIST) for name in EDGES} | {"relay-a": handle.url("relay-a", "/live/s")}
        async with trio.open_nursery() as players:
            for name, url in urls.items():
                out = tmp_path / f"{name}.md5"
                players.start_soon(partial(run, play_command(url, out, seconds=WINDOW), seconds=WINDOW + 30))
        nursery.cancel_scope.cancel()

    for name in urls:
        seen = read_md5(tmp_path / f"{name}.md5")
        assert len(seen["video"]) >= WINDOW * 25 - 2, name
        stretch(truth["video"], seen["video"])
        assert len(seen["audio"]) >= WINDOW * 44100 / 1024 - 2, name
        stretch(truth["audio" if name == "relay-a" else "adts"], seen["audio"])
