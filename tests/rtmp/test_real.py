"""ffmpeg and librtmp through relays over loopback: every frame that was published, unchanged."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import trio

from tierkit import Graph, GraphHandle, Relay, open_graph
from tierkit._registry import Registry
from tierkit.plugins.rtmp import RTMP

FFMPEG = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
TONE = ["-f", "lavfi", "-i", "sine=r=44100"]
PICTURE = ["-f", "lavfi", "-i", "testsrc2=s=128x96:r=25"]
SECONDS = 3

pytestmark = [pytest.mark.real("ffmpeg", "rtmpdump"), pytest.mark.timeout(60)]


def make(path: Path, *inputs: str) -> Path:
    codecs = ["-c:v", "libx264", "-g", "25", "-bf", "2", "-c:a", "aac"]
    subprocess.run([*FFMPEG, *inputs, "-t", str(SECONDS), *codecs, str(path)], check=True, timeout=30)
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three seconds of H.264 with B-frames and AAC; of either alone."""
    folder = tmp_path_factory.mktemp("clips")
    inputs = {"both": [*PICTURE, *TONE], "picture": PICTURE, "sound": TONE}
    return {name: make(folder / f"{name}.flv", *each) for name, each in inputs.items()}


def frames(source: str | Path) -> list[str]:
    """One line a frame: its stream, size and hash.  Times are left out: clocks begin anywhere."""
    result = subprocess.run(
        [*FFMPEG, "-i", str(source), "-c", "copy", "-f", "framemd5", "-"], check=True, capture_output=True, timeout=30
    )
    lines = [line.split(",") for line in result.stdout.decode().splitlines() if not line.startswith("#")]
    return sorted(f"{line[0]} {line[4]} {line[5]}" for line in lines)


def graph() -> Graph:
    # What goes off air ends at once, so that players end.
    serves = RTMP(linger=0.2)
    entry = Relay("entry", listen="rtmp://127.0.0.1:0", serves=serves)
    return Graph.of(Relay("leaf", upstream=entry, listen="rtmp://127.0.0.1:0", serves=serves))


async def run(command: Sequence[str], *, codes: tuple[int, ...] = (0,)) -> None:
    done = await trio.run_process(command, check=False, capture_stderr=True)
    assert done.returncode in codes, f"{' '.join(command)}: {done.stderr.decode()[-500:]}"


async def until_waiting(handle: GraphHandle, players: int) -> None:
    while sum(each["services"]["rtmp"]["waiting"] for each in handle.statistics()["tiers"].values()) < players:
        await trio.sleep(0.05)


@pytest.mark.parametrize("kind", ["both", "picture", "sound"])
async def test_players_of_two_tiers_get_every_frame(kind: str, clips: dict[str, Path], tmp_path: Path) -> None:
    clip = clips[kind]
    async with open_graph(graph(), registry=Registry(), drain=0.5) as handle:
        entry, leaf = handle.url("entry", "/live/s"), handle.url("leaf", "/live/s")
        with trio.fail_after(40):
            async with trio.open_nursery() as players:
                for name, url in (("entry", entry), ("leaf", leaf)):
                    out = str(tmp_path / f"ffmpeg-{name}.flv")
                    players.start_soon(run, [*FFMPEG, "-rtmp_live", "live", "-i", url, "-c", "copy", out])
                    dump = ["rtmpdump", "-q", "--live", "-r", url, "-o", str(tmp_path / f"rtmpdump-{name}.flv")]
                    # It ends with 2, "may be incomplete", where the last frame is not at the metadata's duration.
                    players.start_soon(partial(run, dump, codes=(0, 2)))
                # All of them ask before there is a publisher: they wait, so they miss nothing.
                await until_waiting(handle, 5)
                await run([*FFMPEG, "-readrate", "6", "-i", str(clip), "-c", "copy", "-f", "flv", entry])
        statistics = handle.statistics()["tiers"]["leaf"]["services"]["rtmp"]
        assert statistics["pulls"] == 1
    for name in ("ffmpeg-entry", "ffmpeg-leaf", "rtmpdump-entry", "rtmpdump-leaf"):
        assert frames(tmp_path / f"{name}.flv") == frames(clip), name


async def test_a_player_that_comes_late_begins_at_a_keyframe(clips: dict[str, Path], tmp_path: Path) -> None:
    clip, got = clips["both"], tmp_path / "got.flv"
    async with open_graph(graph(), registry=Registry(), drain=0.5) as handle, trio.open_nursery() as nursery:
        loop = [*FFMPEG, "-re", "-stream_loop", "-1", "-i", str(clip), "-c", "copy", "-f", "flv"]
        publish = partial(trio.run_process, [*loop, handle.url("entry", "/live/s")], check=False, capture_stderr=True)
        nursery.start_soon(publish)
        await trio.sleep(1.5)
        play = [*FFMPEG, "-rtmp_live", "live", "-i", handle.url("leaf", "/live/s"), "-t", "2", "-c", "copy", str(got)]
        with trio.fail_after(30):
            await run(play)
        nursery.cancel_scope.cancel()
    # Decoding says whether something refers to a picture that is not there.
    decoded = await trio.run_process([*FFMPEG, "-i", str(got), "-f", "null", "-"], capture_stderr=True)
    assert decoded.stderr == b""
    assert len(frames(got)) > 100
