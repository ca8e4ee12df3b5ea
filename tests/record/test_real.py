"""ffmpeg publishes through a relay that records and packages; ffprobe and ffmpeg look at what came of it."""

from __future__ import annotations

import json
import signal
import sys
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.core.fakes import Record as Events
from tests.real.media import QUIET, file_md5, make_clip, play_command, read_md5, run, stretch
from tierkit import Graph, GraphHandle, Relay, open_graph
from tierkit.events import Recorded, RecordingFailed, RecordingLeft
from tierkit.plugins.package import Package
from tierkit.plugins.record import Record, RecordStatistics
from tierkit.plugins.rtmp import RTMP

from .test_files import files

pytestmark = [pytest.mark.real("ffmpeg", "ffprobe"), pytest.mark.timeout(120)]

#: A relay that records, in a process of its own; it tells where it is.
CHILD = """
import sys, trio
from tierkit import Graph, Relay, open_graph
from tierkit.plugins.record import Record
from tierkit.plugins.rtmp import RTMP

async def main():
    serves = (RTMP(), Record(folder=sys.argv[1]))
    async with open_graph(Graph.of(Relay("relay", listen="rtmp://127.0.0.1:0", serves=serves))) as handle:
        print(handle.url("relay", "/live/s"), flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.flv", seconds=20, size="320x180")


@pytest.fixture(scope="module")
def truth(clip: Path) -> dict[str, list[str]]:
    return file_md5(clip)


def publish(clip: Path, url: str, speed: float = 4) -> list[str]:
    """Faster than real time; as fast as it goes would lose the end: ffmpeg closes in spite of it."""
    return [*QUIET, "-readrate", str(speed), "-i", str(clip), "-c", "copy", "-f", "flv", url]


async def probe(path: Path) -> dict[str, object]:
    """What ffprobe finds; every packet is read and every frame decoded, and it may complain about none."""
    command = ["ffprobe", "-v", "error", "-count_packets", "-count_frames", "-show_streams", "-show_format"]
    done = await trio.run_process([*command, "-of", "json", str(path)], capture_stdout=True, capture_stderr=True)
    assert done.stderr == b"", path
    found: dict[str, object] = json.loads(done.stdout)
    return found


async def decoded(path: Path) -> dict[str, list[str]]:
    out = path.with_suffix(".md5")
    await run([*QUIET, "-i", str(path), "-map", "0:v", "-map", "0:a", "-c:a", "copy", "-f", "framemd5", str(out)],
              seconds=60)  # fmt: skip
    found = read_md5(out)
    out.unlink()
    return found


async def until(true: Callable[[], bool]) -> None:
    with trio.fail_after(60):
        while not true():
            await trio.sleep(0.05)


async def test_files_that_are_rotated_are_whole_and_hold_every_frame(
    clip: Path, truth: dict[str, list[str]], tmp_path: Path
) -> None:
    events = Events()
    recorder = Record(folder=str(tmp_path), rotate_seconds=5)
    graph = Graph.of(Relay("relay", listen="rtmp://127.0.0.1:0", serves=(RTMP(), recorder)))
    async with open_graph(graph, observers=[events], drain=0.5) as handle:
        await run(publish(clip, handle.url("relay", "/live/s")), seconds=60)
        await until(lambda: len(events.of(Recorded)) == 4)
        statistics = handle.running("relay")["record"].statistics()
        assert isinstance(statistics, RecordStatistics)
        assert (statistics.files, statistics.lost, statistics.failures) == (4, 0, 0)
    paths = [Path(each.file) for each in events.of(Recorded)]
    assert files(tmp_path) == sorted(str(each.relative_to(tmp_path)) for each in paths)
    seen: dict[str, list[str]] = {"video": [], "audio": []}
    for path, event in zip(paths, events.of(Recorded), strict=True):
        found = await probe(path)
        streams, about = found["streams"], found["format"]
        assert isinstance(streams, list)
        assert isinstance(about, dict)
        assert sorted(each["codec_name"] for each in streams) == ["aac", "h264"]
        assert float(about["duration"]) == pytest.approx(event.seconds, abs=0.002) == pytest.approx(5, abs=0.1)
        assert float(about["start_time"]) < 0.05
        assert int(about["size"]) == event.bytes
        for kind, lines in (await decoded(path)).items():
            seen[kind] += lines
    assert seen["video"] == truth["video"]
    # Of sound, what came before the first picture is left out.
    assert len(seen["audio"]) >= len(truth["audio"]) - 2
    stretch(truth["audio"], seen["audio"])


async def test_what_a_killed_process_leaves_plays_to_its_cut(
    clip: Path, truth: dict[str, list[str]], tmp_path: Path
) -> None:
    start = partial(trio.run_process, [sys.executable, "-c", CHILD, str(tmp_path)], stdout=-1, check=False)
    async with trio.open_nursery() as nursery:
        child: trio.Process = await nursery.start(start)
        assert child.stdout is not None
        url = (await child.stdout.receive_some()).decode().strip()
        source = partial(trio.run_process, publish(clip, url, speed=1), check=False, capture_stderr=True)
        publisher: trio.Process = await nursery.start(source)
        await until(lambda: sum(each.stat().st_size for each in tmp_path.rglob("*.part")) > 300_000)
        child.send_signal(signal.SIGKILL)
        await child.wait()
        publisher.kill()
    (name,) = files(tmp_path)
    assert name.endswith(".flv.part")
    await probe(tmp_path / name)
    seen = await decoded(tmp_path / name)
    assert len(seen["video"]) >= 25
    assert seen["video"] == truth["video"][: len(seen["video"])]
    # As the how-to has it: with a duration, and every frame.
    mended = tmp_path / "mended.flv"
    await run([*QUIET, "-i", str(tmp_path / name), "-c", "copy", str(mended)], seconds=30)
    about = (await probe(mended))["format"]
    assert isinstance(about, dict)
    assert float(about["duration"]) == pytest.approx(len(seen["video"]) / 25, abs=0.2)
    assert (await decoded(mended))["video"] == seen["video"]
    mended.unlink()
    # The next process says so, and leaves it alone.
    events = Events()
    recorder = Record(folder=str(tmp_path))
    graph = Graph.of(Relay("relay", listen="rtmp://127.0.0.1:0", serves=(RTMP(), recorder)))
    async with open_graph(graph, observers=[events], drain=0.5):
        await until(lambda: bool(events.of(RecordingLeft)))
    assert [each.file for each in events.of(RecordingLeft)] == [str(tmp_path / name)]
    assert events.of(RecordingFailed) == []
    assert files(tmp_path) == [name]


async def test_a_republish_and_odd_streams_are_probed_clean(tmp_path: Path) -> None:
    clips = {
        "sound": make_clip(tmp_path / "sound.flv", seconds=4, video=False),
        "picture": make_clip(tmp_path / "picture.flv", seconds=4, size="160x90", audio=False),
        "both": make_clip(tmp_path / "both.flv", seconds=4, size="160x90"),
    }
    folder = tmp_path / "rec"
    folder.mkdir()
    recorder = Record(folder=str(folder), rotate_seconds=2)
    graph = Graph.of(Relay("relay", listen="rtmp://127.0.0.1:0", serves=(RTMP(), recorder)))
    events = Events()
    async with open_graph(graph, observers=[events], drain=0.5) as handle:
        for kind in ("both", "sound", "picture", "both"):
            await run(publish(clips[kind], handle.url("relay", "/live/s")), seconds=60)
            await until(lambda: not handle.running("relay")["record"].statistics().recordings)  # type: ignore[attr-defined]
        await until(lambda: len(events.of(Recorded)) >= 8)
    kinds = []
    for event in events.of(Recorded):
        streams = (await probe(Path(event.file)))["streams"]
        assert isinstance(streams, list)
        kinds.append("+".join(sorted(each["codec_type"] for each in streams)))
    assert list(dict.fromkeys(kinds)) == ["audio+video", "audio", "video"]
    assert kinds[-1] == "audio+video"


def relay_with_hls(**options: object) -> Graph:
    doors = ("rtmp://127.0.0.1:0", "http://127.0.0.1:0")
    serves = (RTMP(), Package(**options))  # type: ignore[arg-type]
    return Graph.of(Relay("relay", listen=doors, serves=serves))


def segments(handle: GraphHandle) -> int:
    return sum(each.hls.segments for each in handle.running("relay")["package"].statistics().streams)  # type: ignore[attr-defined]


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


async def test_hls_out_of_a_relay_has_every_picture(clip: Path, truth: dict[str, list[str]], tmp_path: Path) -> None:
    async with open_graph(relay_with_hls(always=("live/*",), window=30), drain=0.5) as handle:
        await run(publish(clip, handle.url("relay", "/live/s", scheme="rtmp")), seconds=60)
        await until(lambda: segments(handle) == 10)
        top = handle.url("relay", "/live/s/chunklist.m3u8", scheme="http")
        listed: Sequence[str] = (await trio.to_thread.run_sync(fetch, top)).decode().splitlines()
        names = [each for each in listed if each.endswith(".ts")]
        parts = [await trio.to_thread.run_sync(fetch, top.replace("chunklist.m3u8", each)) for each in names]
    whole = tmp_path / "whole.ts"
    whole.write_bytes(b"".join(parts))
    assert (await decoded(whole))["video"] == truth["video"]


async def test_ffmpeg_plays_hls_that_it_was_the_first_to_ask_for(
    clip: Path, truth: dict[str, list[str]], tmp_path: Path
) -> None:
    async with open_graph(relay_with_hls(), drain=0.5) as handle, trio.open_nursery() as nursery:
        source = publish(clip, handle.url("relay", "/live/s", scheme="rtmp"), speed=1)
        nursery.start_soon(partial(trio.run_process, source, check=False, capture_stderr=True))
        await until(lambda: any(each["on_air"] for each in handle.statistics()["tiers"]["relay"]["streams"]))
        await trio.sleep(1)
        out = tmp_path / "seen.md5"
        url = handle.url("relay", "/live/s/playlist.m3u8", scheme="http")
        await run(play_command(url, out, seconds=6), seconds=60)
        nursery.cancel_scope.cancel()
    seen = read_md5(out)
    assert len(seen["video"]) > 100
    stretch(truth["video"], seen["video"])
