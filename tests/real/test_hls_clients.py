"""A minute of live HLS through `tierkit edge hls`, in every player that is at hand, all at the same time.

A stall is a picture shown late or a pause to buffer; an error is anything that a player complains of; and every
picture must be the publisher's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from attrs import Factory, define

from .hls_origins import open_edge, open_nginx, ts_publisher, until_listed
from .hls_players import Truth, Watched, ffmpeg, gstreamer, mpv, truth
from .media import make_clip, stretch

pytestmark = [pytest.mark.real("ffmpeg", "nginx", "mpv", "gst-launch-1.0"), pytest.mark.timeout(240)]

#: Seconds that each player plays, that it must have played, and that it may take from its first picture on.
PLAYED, LEAST, MOST = 60, 58, 75
#: Seconds by which a picture may come after its time: what a player holds that begins two segments behind.
LATE = 1.0

Player = Callable[[str, float], Awaitable[Watched]]
PLAYERS: dict[str, Player] = {
    "ffmpeg": ffmpeg,
    "mpv": mpv,
    "gstreamer": gstreamer,
    "gstreamer-3": partial(gstreamer, playbin="playbin3"),
}
PUBLISHERS = {"ts": ts_publisher}
EVERY = [(kind, player) for kind in PUBLISHERS for player in PLAYERS]


@define
class Evening:
    """What was seen, asked and logged while everybody watched."""

    truth: Truth
    watched: dict[tuple[str, str], Watched] = Factory(dict)
    asked: Counter[str] = Factory(Counter)
    log: str = ""


async def watch_everything(folder: Path) -> Evening:
    clip = make_clip(folder / "clip.flv", seconds=PLAYED + 25, size="320x180")
    evening = Evening(truth(clip))

    async def watch(kind: str, player: str, url: str) -> None:
        evening.watched[kind, player] = await PLAYERS[player](url, PLAYED)

    async with open_nginx(folder) as origin, open_edge(origin.url, folder / "edge.log") as edge:
        async with trio.open_nursery() as publishers:
            for kind, publisher in PUBLISHERS.items():
                command = publisher(clip, origin.root / kind)
                publishers.start_soon(partial(trio.run_process, command, check=False))
            for kind in PUBLISHERS:
                await until_listed(origin.root / kind / "index.m3u8", 4)
            async with trio.open_nursery() as viewers:
                for kind, player in EVERY:
                    viewers.start_soon(watch, kind, player, f"{edge}/{kind}/index.m3u8")
            publishers.cancel_scope.cancel()
        evening.asked = origin.asked()
    evening.log = (folder / "edge.log").read_text()
    return evening


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    return trio.run(watch_everything, tmp_path_factory.mktemp("hls"))


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
    stretch(whole, evening.watched[kind, player].pictures)


@pytest.mark.parametrize("kind", PUBLISHERS)
def test_every_frame_of_sound_is_the_publishers(kind: str, evening: Evening) -> None:
    heard = evening.watched[kind, "ffmpeg"].audio
    assert len(heard) >= LEAST * 44100 / 1024
    stretch(evening.truth.aac if kind == "fmp4" else evening.truth.adts, heard)


@pytest.mark.parametrize("kind", PUBLISHERS)
def test_the_origin_serves_each_segment_once(kind: str, evening: Evening) -> None:
    segments = {what: times for what, times in evening.asked.items() if f"/{kind}/" in what and ".m3u8" not in what}
    assert len(segments) >= LEAST / 2
    assert set(segments.values()) == {1}


def test_the_edge_logs_no_fault(evening: Evening) -> None:
    assert [line for line in evening.log.splitlines() if " info " not in line] == []
