"""The main job with real parts: ffmpeg publishes, ffmpeg and Chromium watch, through three edges and a relay."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
import trustme

from tierkit import Certificate, Edge, Graph, GraphHandle, Listener, Origin, Relay, open_graph
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP

from .browser import Browser, open_browser
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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder = tmp_path_factory.mktemp("tls")
    issued = trustme.CA().issue_cert("127.0.0.1", "localhost")
    pem = folder / "edge.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(str(pem))
    return Certificate(str(pem))


async def watches(browser: Browser, url: str, *, seconds: float) -> None:
    """Let a page with nothing but a `<video>` play a URL until that many seconds of media are through."""
    await browser.run(
        "document.body.innerHTML = '<video muted autoplay playsinline></video>';"
        "document.querySelector('video').src = arguments[0];",
        url,
    )
    state: dict[str, float] = {}
    with trio.move_on_after(60):
        while True:
            state = await browser.run(
                "const v = document.querySelector('video'), q = v.getVideoPlaybackQuality();"
                "return {at: v.currentTime - (v.played.length ? v.played.start(0) : 0), frames: q.totalVideoFrames,"
                " width: v.videoWidth, error: v.error ? v.error.message || String(v.error.code) : null};"
            )
            assert state["error"] is None, state
            if state["at"] >= seconds and state["frames"] >= seconds * 20:
                assert state["width"] == 1280
                return
            await trio.sleep(0.5)
    raise AssertionError(f"Chromium has not played {seconds} s of {url}: {state}")


async def test_chromium_plays_through_an_edge_over_http_and_https(
    clip: Path, certificate: Certificate, tmp_path: Path
) -> None:
    studio = Origin("studio", listen=("rtmp://127.0.0.1:0", "http://127.0.0.1:0"), serves=Ingest())
    doors = ("http://127.0.0.1:0", Listener("https://127.0.0.1:0", certificates=certificate))
    edge = Edge("edge", upstream=studio, listen=doors, serves=HLS(cache_bytes=64 << 20))
    async with open_graph(Graph.of(edge), drain=1) as handle, trio.open_nursery() as nursery:
        publish = publish_command(clip, handle.url("studio", "/live/s", scheme="rtmp"))
        nursery.start_soon(partial(trio.run_process, publish, check=False, capture_stderr=True))
        await until_on_air(handle)
        async with open_browser() as browser:
            for scheme in ("http", "https"):
                # The page comes from the edge's own origin, whose 404 page is as good as any.
                await browser.open(handle.url("edge", "/", scheme=scheme))
                await watches(browser, handle.url("edge", PLAYLIST, scheme=scheme), seconds=5)
        nursery.cancel_scope.cancel()
