"""ffmpeg, ffprobe and players in Chromium: a relay's FLV over HTTP and WebSocket, with and without TLS."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from attrs import frozen

from tierkit import Certificate, Graph, GraphHandle, Listener, Relay, open_graph
from tierkit._registry import Registry
from tierkit.plugins.flv import FLV
from tierkit.plugins.rtmp import RTMP

from .media import MD5, QUIET, file_md5, make_clip, publish_command, read_md5, stretch
from .web_players import Viewed, fetch_flv_players, install_player, watch_in_browser

PICTURES = 25
SECONDS = 5
#: Seconds that each player in the page plays, and may take for it from its first picture on.
PLAYED, MOST = 20, 24
#: Share of pictures that a browser may drop: it draws all of them without a graphics card, whoever serves them.
DROPPED = 0.05


@asynccontextmanager
async def relays(*doors: Listener) -> AsyncIterator[GraphHandle]:
    """One that is published to and one that pulls from it; what goes off air ends at once, so that players end."""
    serves = RTMP(linger=0.2)
    entry = Relay("entry", listen=("rtmp://127.0.0.1:0", "http://127.0.0.1:0"), serves=(serves, FLV()))
    listen = ("rtmp://127.0.0.1:0", "http://127.0.0.1:0", *doors)
    leaf = Relay("leaf", upstream=entry, listen=listen, serves=(serves, FLV()))
    async with open_graph(Graph.of(leaf), registry=Registry(), drain=0.5) as handle:
        yield handle


def url(handle: GraphHandle, tier: str, scheme: str = "http") -> str:
    return handle.url(tier, "/live/s" if scheme == "rtmp" else "/live/s.flv", scheme=scheme)


async def until_waiting(handle: GraphHandle, players: int) -> None:
    while sum(each["services"]["flv"]["waiting"] for each in handle.statistics()["tiers"].values()) < players:
        await trio.sleep(0.05)


@pytest.mark.real("ffmpeg")
@pytest.mark.timeout(120)
async def test_ffmpeg_gets_every_picture_and_every_sound(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.flv", seconds=SECONDS, size="320x180")
    truth = file_md5(clip)
    outs = {tier: tmp_path / f"{tier}.md5" for tier in ("entry", "leaf")}
    async with relays() as handle:
        with trio.fail_after(60):
            async with trio.open_nursery() as players:
                for tier, out in outs.items():
                    # Both ask before there is a publisher: they wait, so they miss nothing.
                    players.start_soon(trio.run_process, [*QUIET, "-i", url(handle, tier), *MD5, str(out)])
                await until_waiting(handle, 2)
                await trio.run_process(publish_command(clip, url(handle, "entry", "rtmp")))
        assert handle.statistics()["tiers"]["leaf"]["services"]["rtmp"]["pulls"] == 1
    for tier, out in outs.items():
        seen = read_md5(out)
        assert len(seen["video"]) == SECONDS * PICTURES
        assert seen["video"] == truth["video"], tier
        # A sound that comes before the first picture is kept from every player, whatever it speaks.
        assert len(seen["audio"]) >= len(truth["audio"]) - 1
        stretch(truth["audio"], seen["audio"])


async def probe(where: str) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", "-i", where]
    done = await trio.run_process(command, capture_stdout=True)
    return {each["codec_type"]: each for each in json.loads(done.stdout)["streams"]}


@pytest.mark.real("ffmpeg", "ffprobe")
@pytest.mark.parametrize("carried", ["both", "picture", "sound"])
async def test_ffprobe_sees_what_there_is(carried: str, tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "clip.flv", seconds=10, size="320x180", video=carried != "sound", audio=carried != "picture"
    )
    async with relays() as handle, trio.open_nursery() as nursery:
        publish = partial(trio.run_process, publish_command(clip, url(handle, "entry", "rtmp")), check=False)
        nursery.start_soon(publish)
        await trio.sleep(2.5)  # in the middle of a GOP
        with trio.fail_after(30):
            seen = await probe(url(handle, "leaf"))
        nursery.cancel_scope.cancel()
    assert seen.keys() == {"both": {"video", "audio"}, "picture": {"video"}, "sound": {"audio"}}[carried]
    if "video" in seen:
        assert (seen["video"]["codec_name"], seen["video"]["width"]) == ("h264", 320)
        assert float(seen["video"]["start_time"]) >= 1  # the stream's own time, from the current GOP's keyframe on
    if "audio" in seen:
        assert (seen["audio"]["codec_name"], seen["audio"]["channels"]) == ("aac", 2)


# --- in Chromium ---------------------------------------------------------------------------------


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """A web server with nothing to do with ours, as the page of a broadcaster is."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@frozen
class Evening:
    """What was seen and counted while everybody watched."""

    viewed: dict[str, Viewed]
    statistics: dict[str, Any]


LIBRARIES = ("mpegts.js", "flv.js")
#: Each of them with a picture and sound; and one stream of either alone, as a header that lies makes players wait.
TRANSPORTS = ("http", "ws", "https", "wss")
DOORS = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
ALONE = ("picture", "sound")
PLAYERS = [(library, what) for library in LIBRARIES for what in (*TRANSPORTS, *ALONE)]


async def watch_everything(folder: Path, scripts: tuple[Path, Path]) -> Evening:
    clips = {
        "s": make_clip(folder / "s.flv", seconds=60, size="320x180"),
        "picture": make_clip(folder / "picture.flv", seconds=60, size="320x180", audio=False),
        "sound": make_clip(folder / "sound.flv", seconds=60, video=False),
    }
    issued = trustme.CA().issue_cert("127.0.0.1", "localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "relay.pem"))
    install_player(folder / "site", *scripts, page="flv_players")
    async with (
        relays(Listener("https://127.0.0.1:0", Certificate(str(folder / "relay.pem")))) as handle,
        trio.open_nursery() as publishers,
    ):
        for name, clip in clips.items():
            command = publish_command(clip, handle.url("entry", f"/live/{name}", scheme="rtmp"))
            publishers.start_soon(partial(trio.run_process, command, check=False))
        await trio.sleep(3)
        players = {f"{library} {what}": (address(handle, library, what), library) for library, what in PLAYERS}
        with site(folder / "site") as page:
            viewed = await watch_in_browser(f"{page}/index.html", players, PLAYED)
        statistics = handle.statistics()["tiers"]["leaf"]
        publishers.cancel_scope.cancel()
    return Evening(viewed, statistics)


def address(handle: GraphHandle, library: str, what: str) -> str:
    """What a player in the page is given: a host of its own, because a browser opens six connections to one."""
    scheme = what if what in TRANSPORTS else "http"
    door = handle.url("leaf", f"/live/{what if what in ALONE else 's'}.flv", scheme=DOORS[scheme])
    host = f"{library.replace('.', '-')}-{what}.localhost"
    return f"{scheme}://{door.partition('://')[2]}".replace("127.0.0.1", host)


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    scripts = fetch_flv_players()
    return trio.run(watch_everything, tmp_path_factory.mktemp("flv"), scripts)


@pytest.mark.real("ffmpeg", "chromium", "chromedriver", "npm")
@pytest.mark.timeout(150)
@pytest.mark.parametrize(("library", "what"), PLAYERS)
def test_a_page_plays_without_a_stall_or_an_error(library: str, what: str, evening: Evening) -> None:
    viewed = evening.viewed[f"{library} {what}"]
    assert viewed.errors == []
    assert viewed.stalls == []
    assert viewed.seconds >= PLAYED
    assert viewed.wall <= MOST
    if what != "sound":
        assert viewed.width == 320
        assert viewed.frames >= (PLAYED - 1) * PICTURES * (1 - DROPPED)
        assert viewed.dropped <= viewed.frames * DROPPED


@pytest.mark.real("ffmpeg", "chromium", "chromedriver", "npm")
@pytest.mark.timeout(150)
def test_all_of_them_were_one_pull_of_each_stream(evening: Evening) -> None:
    services = evening.statistics["services"]
    assert services["rtmp"]["pulls"] == len(("s", *ALONE))
    assert services["flv"]["requests"] == len(PLAYERS)
    assert services["flv"]["refused"] == 0
