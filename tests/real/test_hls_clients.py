"""A minute of live HLS through `tierkit edge hls`, in every player that is at hand, all at the same time.

A stall is a picture shown late or a pause to buffer; an error is anything that a player complains of; and every
picture that a player tells must be the publisher's.  The origins count what they are asked: a crowd of viewers
must cost them one request for each object.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from attrs import Factory, define

from .hls_origins import (
    Nginx,
    aes_publisher,
    fmp4_publisher,
    open_edge,
    open_nginx,
    rotate_keys,
    ts_publisher,
    until_listed,
)
from .hls_players import RATE, Truth, Watched, ffmpeg, gstreamer, know_gstreamer, mpv, parts_ways, truth
from .hls_web import Viewed, fetch_hls_js, install_player, watch_in_browser
from .ll_hls import TARGET, LowLatencyOrigin, kill, open_low_latency_origin
from .media import make_clip, stretch

PARTS = ("ffmpeg", "nginx", "mpv", "gst-launch-1.0", "chromium", "chromedriver", "npm")
pytestmark = [pytest.mark.real(*PARTS), pytest.mark.timeout(240)]

#: Seconds that each player plays, that it must have played, and that it may take from its first picture on.
PLAYED, LEAST, MOST = 60, 58, 75
#: Seconds by which a picture may come after its time: what a player holds that begins two segments behind.
LATE = 1.0
#: Share of pictures that a browser may drop: it draws a dozen videos without a graphics card, whoever serves them.
DROPPED = 0.05

Player = Callable[[str, float], Awaitable[Watched]]
PLAYERS: dict[str, Player] = {
    "ffmpeg": ffmpeg,
    "mpv": mpv,
    "gstreamer": gstreamer,
    "gstreamer-3": partial(gstreamer, playbin="playbin3"),
}
#: The playlist of each kind of media, and how the page in Chromium plays it.
PUBLISHERS = {"ts": ts_publisher, "fmp4": fmp4_publisher, "aes": aes_publisher}
LOW_LATENCY = ("parts", "ranges")
KINDS = (*PUBLISHERS, *LOW_LATENCY)
EVERY = [(kind, player) for kind in KINDS for player in PLAYERS]
IN_PAGE = [(kind, how) for kind in KINDS for how in ("live", "native")]
#: Two of each, so that what one has asked for is what the other asks for.
NEAR = [(kind, f"low latency {n}") for kind in LOW_LATENCY for n in (1, 2)]


@define
class Evening:
    """What was seen, asked and logged while everybody watched."""

    truth: Truth
    watched: dict[tuple[str, str], Watched] = Factory(dict)
    viewed: dict[str, Viewed] = Factory(dict)
    asked: Counter[str] = Factory(Counter)
    low_latency: LowLatencyOrigin = Factory(LowLatencyOrigin)
    logs: list[str] = Factory(list)


async def watch_everything(folder: Path, hls_js: Path) -> Evening:
    clip = make_clip(folder / "clip.flv", seconds=PLAYED + 40, size="320x180")
    evening = Evening(truth(clip))
    await know_gstreamer()
    logs = [folder / "edge.log", folder / "low-latency-edge.log"]
    async with (
        open_nginx(folder) as nginx,
        open_low_latency_origin(clip) as evening.low_latency,
        open_edge(nginx.url, logs[0]) as edge,
        open_edge(evening.low_latency.url, logs[1]) as low_latency_edge,
        trio.open_nursery() as publishers,
    ):
        install_player(nginx.root / "player", hls_js)
        await publish(publishers, clip, nginx)
        urls = {kind: f"{edge}/{kind}/index.m3u8" for kind in PUBLISHERS}
        urls |= {kind: f"{low_latency_edge}/{kind}/live.m3u8" for kind in LOW_LATENCY}
        await watch(evening, urls, f"{edge}/player/index.html")
        evening.asked = nginx.asked()
        publishers.cancel_scope.cancel()
    evening.logs = [line for log in logs for line in log.read_text().splitlines()]
    return evening


async def publish(publishers: trio.Nursery, clip: Path, nginx: Nginx) -> None:
    """Begin every stream that nginx serves, and wait until each can be watched."""
    for kind, publisher in PUBLISHERS.items():
        command = publisher(clip, nginx.root / kind)
        publishers.start_soon(partial(trio.run_process, command, check=False, deliver_cancel=kill))
    publishers.start_soon(rotate_keys, nginx.root / "aes")
    for kind in PUBLISHERS:
        await until_listed(nginx.root / kind / "index.m3u8", 4)


async def watch(evening: Evening, urls: dict[str, str], page: str) -> None:
    """Every player at once, until each has played its minute."""

    async def one(kind: str, player: str) -> None:
        evening.watched[kind, player] = await PLAYERS[player](urls[kind], PLAYED)

    async with trio.open_nursery() as viewers:
        for kind, player in EVERY:
            viewers.start_soon(one, kind, player)
        players = {
            f"{kind} {how}": (of_its_own(urls[kind], f"{kind} {how}"), how.rstrip(" 12"))
            for kind, how in (*IN_PAGE, *NEAR)
        }
        evening.viewed = await watch_in_browser(page, players, PLAYED)


def of_its_own(url: str, player: str) -> str:
    """The same URL by a name that no other player in the page uses.

    A browser keeps what one player was given for the next, and opens six connections to a host, of which players of
    low latency hold one or two each while they wait.  Viewers have browsers of their own.
    """
    return url.replace("127.0.0.1", f"{player.replace(' ', '-')}.localhost")


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    hls_js = fetch_hls_js()
    return trio.run(watch_everything, tmp_path_factory.mktemp("hls"), hls_js)


@pytest.mark.parametrize(("kind", "player"), EVERY)
def test_it_plays_a_minute_without_a_stall_or_an_error(kind: str, player: str, evening: Evening) -> None:
    watched = evening.watched[kind, player]
    assert watched.complaints == []
    assert watched.stalls == []
    assert watched.seconds >= LEAST
    assert watched.wall <= MOST
    assert watched.late <= LATE


@pytest.mark.parametrize(("kind", "player"), EVERY)
def test_every_picture_is_the_publishers(kind: str, player: str, evening: Evening) -> None:
    whole = evening.truth.adler if player == "mpv" else evening.truth.md5
    assert parts_ways(whole, evening.watched[kind, player].pictures) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_of_sound_is_the_publishers(kind: str, evening: Evening) -> None:
    heard = evening.watched[kind, "ffmpeg"].audio
    assert len(heard) >= LEAST * 44100 / 1024
    stretch(evening.truth.adts if kind in ("ts", "aes") else evening.truth.aac, heard)


@pytest.mark.parametrize(("kind", "how"), [*IN_PAGE, *NEAR])
def test_chromium_plays_a_minute_without_a_stall_or_an_error(kind: str, how: str, evening: Evening) -> None:
    viewed = evening.viewed[f"{kind} {how}"]
    assert viewed.errors == []
    assert viewed.stalls == []
    assert viewed.seconds >= LEAST
    assert viewed.wall <= MOST
    assert viewed.width == 320
    assert viewed.frames >= LEAST * RATE * (1 - DROPPED)
    assert viewed.dropped <= viewed.frames * DROPPED


@pytest.mark.parametrize(("kind", "how"), NEAR)
def test_low_latency_is_low(
    kind: str, how: str, evening: Evening, record_property: Callable[[str, object], None]
) -> None:
    """Parts and blocking reloads bring hls.js nearer than a player of whole segments can be."""
    near, far = evening.viewed[f"{kind} {how}"].latency, evening.viewed[f"{kind} live"].latency
    record_property("latency", f"{near} s, with whole segments {far} s")
    assert near is not None
    assert far is not None
    assert near < far - TARGET


@pytest.mark.parametrize("kind", PUBLISHERS)
def test_the_origin_serves_each_segment_and_key_once(kind: str, evening: Evening) -> None:
    media = {what: times for what, times in evening.asked.items() if f"/{kind}/" in what and ".m3u8" not in what}
    assert len(media) >= LEAST / 2
    assert set(media.values()) == {1}
    assert kind != "aes" or sum(what.endswith(".key") for what in media) >= LEAST / 10


@pytest.mark.parametrize("kind", LOW_LATENCY)
def test_the_low_latency_origin_serves_each_segment_and_part_once(kind: str, evening: Evening) -> None:
    media = {what: times for what, times in evening.low_latency.asked.items() if f"/{kind}/seg" in what}
    assert len(media) >= LEAST / 2 * (1 if kind == "ranges" else 4)
    assert set(media.values()) == {1}


@pytest.mark.parametrize("kind", LOW_LATENCY)
def test_a_playlist_that_is_waited_for_is_asked_for_once(kind: str, evening: Evening) -> None:
    waits = {what: times for what, times in evening.low_latency.waited.items() if f"/{kind}/live.m3u8" in what}
    assert len(waits) >= LEAST
    assert set(waits.values()) == {1}
    assert evening.low_latency.deltas[kind] >= LEAST


def test_what_one_viewer_asks_for_once_is_fetched_once(evening: Evening) -> None:
    """The page's script is nothing that the edge stores: passing it on must not cost the origin a second request."""
    assert evening.asked["GET /player/hls.min.js"] == 1


def test_the_edges_log_no_fault(evening: Evening) -> None:
    """That the loop stood still is not one of them: so many players on a small machine take the processor away."""
    # Browsers open spare connections, and may never use them.
    ordinary = (" info ", "the event loop stood still", "no request within 10 s of connecting")
    assert [line for line in evening.logs if not any(each in line for each in ordinary)] == []
