"""A recess as ffmpeg sees it: players of RTMP and of HLS run through it, and see what was to be seen."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

import m3u8
import pytest
import trio

from tests.real.media import QUIET, file_md5, make_clip, read_md5, run
from tierkit import Graph, GraphHandle, Origin, Relay, open_graph
from tierkit._registry import Registry
from tierkit.plugins.ingest import Ingest
from tierkit.plugins.rtmp import RTMP

pytestmark = [pytest.mark.real("ffmpeg", "ffprobe"), pytest.mark.timeout(150)]

SIZE = "160x90"
LIVE, RECESS, AGAIN, PLAYED = 5, 8, 9, 17


#: As `make_clip` encodes, and otherwise: with B-frames, and so with other parameter sets.
ALIKE = ["-preset", "ultrafast", "-g", "25", "-keyint_min", "25", "-sc_threshold", "0", "-flags", "+cgop"]
OTHERWISE = ["-g", "50"]


def make_slate(path: Path, coding: Sequence[str]) -> Path:
    inputs = [
        "-f",
        "lavfi",
        "-i",
        f"smptebars=size={SIZE}:rate=25",
        "-f",
        "lavfi",
        "-i",
        "sine=f=200:sample_rate=44100",
    ]
    # Noise, so that every picture has a hash of its own.
    moving = ["-vf", "noise=alls=20:allf=t"]
    codecs = ["-c:v", "libx264", "-pix_fmt", "yuv420p", *coding, "-c:a", "aac", "-ar", "44100", "-ac", "2"]
    command = [*QUIET, *inputs, *moving, *codecs, "-t", "3", "-f", "flv", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def graph(slate: Path) -> Graph:
    studio = Ingest(off_air=str(slate), window=30, segment=1.0)
    return Graph.of(
        Relay("entry", listen="rtmp://127.0.0.1:0", serves=RTMP(off_air=str(slate), linger=2)),
        Origin("studio", listen=("rtmp://127.0.0.1:0", "http://127.0.0.1:0"), serves=studio),
    )


async def publish(handle: GraphHandle, clip: Path, seconds: int) -> None:
    """To both tiers at once, in real time."""
    to = [handle.url(name, "/live/s", scheme="rtmp") for name in ("entry", "studio")]
    tee = "|".join(f"[f=flv]{url}" for url in to)
    command = [*QUIET, "-re", "-i", str(clip), "-t", str(seconds), "-map", "0", "-c", "copy", "-f", "tee", tee]
    await run(command, seconds=seconds + 20)


async def play(url: str, out: Path, *options: str, complains: bool = False) -> None:
    """Every decoded picture's hash; and, unless it `complains`, not a word."""
    command = [*QUIET, *options, "-i", url, "-t", str(PLAYED), "-map", "0:v", "-map", "0:a", "-f", "framemd5", str(out)]
    with trio.fail_after(60):
        done = await trio.run_process(command, capture_stderr=True, check=False)
    assert done.returncode == 0, done.stderr
    # ffmpeg's parser of H.264 knows one configuration for a connection's life, and says so; its decoder knows better.
    parser = ("[NULL @ ", "    Last message repeated ")
    said = [each for each in done.stderr.decode().splitlines() if not (complains and each.startswith(parser))]
    assert said == []


def sources(out: Path, live: set[str], slate: set[str]) -> list[tuple[str, int]]:
    """What the pictures are, run by run, with how many there are in each."""
    pictures = read_md5(out)["video"]
    kinds = ["live" if each in live else "slate" if each in slate else "?" for each in pictures]
    return [(kind, len(list(run))) for kind, run in groupby(kinds)]


async def until_segments(handle: GraphHandle, count: int) -> None:
    with trio.fail_after(20):
        while True:
            streams = handle.running("studio")["ingest"].statistics().streams  # type: ignore[attr-defined]
            if streams and streams[0].hls.segments >= count:
                return
            await trio.sleep(0.05)


@pytest.mark.parametrize("coding", [ALIKE, OTHERWISE], ids=["alike", "otherwise"])
async def test_players_run_through_a_recess(tmp_path: Path, coding: list[str]) -> None:
    clip = await trio.to_thread.run_sync(partial(make_clip, tmp_path / "clip.flv", seconds=LIVE + AGAIN, size=SIZE))
    slate = await trio.to_thread.run_sync(make_slate, tmp_path / "slate.flv", coding)
    live_md5 = set((await trio.to_thread.run_sync(file_md5, clip))["video"])
    slate_md5 = set((await trio.to_thread.run_sync(file_md5, slate))["video"])
    assert not live_md5 & slate_md5
    rtmp, hls = tmp_path / "rtmp.md5", tmp_path / "hls.md5"
    async with open_graph(graph(slate), registry=Registry(), drain=0.5) as handle:
        playlist = handle.url("studio", "/live/s/playlist.m3u8", scheme="http")
        async with trio.open_nursery() as nursery:
            player = partial(play, complains=coding is OTHERWISE)
            nursery.start_soon(player, handle.url("entry", "/live/s"), rtmp, "-rtmp_live", "live")
            nursery.start_soon(publish, handle, clip, LIVE)
            await until_segments(handle, 2)
            nursery.start_soon(play, playlist, hls, "-live_start_index", "0")
            await trio.sleep(LIVE - 2 + RECESS)
            await publish(handle, clip, AGAIN)
        listed = await trio.to_thread.run_sync(fetch, playlist.replace("playlist", "chunklist"))
        await probe(playlist.rpartition("/")[0], listed, tmp_path)
    for out in (rtmp, hls):
        runs = sources(out, live_md5, slate_md5)
        assert [kind for kind, _ in runs] == ["live", "slate", "live"], (out, runs)
        assert runs[0][1] >= 25 * (LIVE - 1)
        assert runs[1][1] >= 25 * (RECESS - 3)
        assert runs[2][1] >= 25


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


async def probe(base: str, listed: bytes, folder: Path) -> None:
    """Each segment alone, and all of them in a row: nothing that ffprobe would mention, and time never goes back."""
    segments = m3u8.loads(listed.decode()).segments
    assert sum(bool(each.discontinuity) for each in segments) in (2, 3)  # the third is the clip that follows
    last = -1.0
    for each in segments:
        path = folder / each.uri
        path.write_bytes(await trio.to_thread.run_sync(fetch, f"{base}/{each.uri}"))
        command = ["ffprobe", "-v", "warning", "-select_streams", "v", "-show_entries", "packet=dts_time,flags"]
        done = await trio.run_process([*command, "-of", "csv=p=0", str(path)], capture_stdout=True, capture_stderr=True)
        assert done.stderr == b""
        lines = [line.split(",") for line in done.stdout.decode().split()]
        assert lines[0][1].startswith("K")
        for dts, *_ in lines:
            assert float(dts) > last
            last = float(dts)
