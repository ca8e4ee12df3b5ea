"""The main job as most people see it: ffmpeg publishes, and Chromium by itself plays what an edge serves."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
import trustme

from tierkit import Certificate, Edge, Graph, Listener, Origin, open_graph
from tierkit.plugins.hls import HLS
from tierkit.plugins.ingest import Ingest

from .browser import Browser, open_browser
from .media import make_clip, publish_command
from .test_end_to_end import PLAYLIST, until_on_air

pytestmark = [pytest.mark.real("ffmpeg", "chromium", "chromedriver"), pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.flv", seconds=60)


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
