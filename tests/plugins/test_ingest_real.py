"""ffmpeg publishes to the embedded origin over real sockets, and plays what comes out of it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio

from tests.real.media import QUIET, make_clip, publish_command, read_md5, run, stretch
from tierkit import Graph, GraphHandle, Origin, open_graph
from tierkit.plugins.ingest import Ingest, IngestStatistics, PackagedStream
from tierkit.testing.signal import TestSignal, publish_signal

pytestmark = [pytest.mark.real("ffmpeg", "ffprobe"), pytest.mark.timeout(90)]

LOG = ["-loglevel", "warning"]


def studio(**options: object) -> Graph:
    doors = ("rtmp://127.0.0.1:0", "http://127.0.0.1:0")
    return Graph.of(Origin("studio", listen=doors, serves=Ingest(window=30, **options)))  # type: ignore[arg-type]


def statistics(handle: GraphHandle) -> IngestStatistics:
    found = handle.running("studio")["ingest"].statistics()
    assert isinstance(found, IngestStatistics)
    return found


async def until(handle: GraphHandle, true: Callable[[tuple[PackagedStream, ...]], bool]) -> None:
    with trio.fail_after(40):
        # There is nobody who could set an event.
        while not true(statistics(handle).streams):
            await trio.sleep(0.05)


async def until_published(handle: GraphHandle, segments: int) -> None:
    await until(handle, lambda streams: any(each.hls.segments >= segments for each in streams))


async def until_off_air(handle: GraphHandle, streams: int = 1) -> None:
    await until(handle, lambda known: len(known) == streams and not any(each.live.on_air for each in known))
    await trio.sleep(0.5)


def clip_command(out: Path, kind: str, seconds: int) -> list[str]:
    """A clip whose sound decodes alike wherever a decoder begins: without noise substitution."""
    video = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25"]
    audio = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"]
    inputs = {"both": [*video, *audio], "video": video, "audio": audio}[kind]
    coding = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "25", "-c:a", "aac", "-aac_pns", "0"]
    return [*QUIET, *inputs, *coding, "-t", str(seconds), "-f", "flv", str(out)]


async def decoded(path: Path) -> dict[str, list[str]]:
    """The MD5 of every picture and of every frame of sound."""
    out = path.with_suffix(".md5")
    await run([*QUIET, "-i", str(path), "-map", "0", "-f", "framemd5", str(out)], seconds=60)
    return read_md5(out)


def quick(clip: Path, url: str) -> list[str]:
    """Publish at thrice the real speed.  As fast as it goes would lose the end: ffmpeg closes in spite of it."""
    return [*QUIET, "-readrate", "3", "-i", str(clip), "-c", "copy", "-f", "flv", url]


async def fetch(top: str) -> dict[str, bytes]:
    """Every segment of a stream's playlist by its name."""
    listed = (await data(top.replace("playlist.m3u8", "chunklist.m3u8"))).decode()
    names = [line for line in listed.splitlines() if line.endswith(".ts")]
    return {name: await data(top.replace("playlist.m3u8", name)) for name in names}


async def data(url: str) -> bytes:
    def get() -> bytes:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bytes(answer.read())

    return await trio.to_thread.run_sync(get)


async def test_ffmpeg_sees_every_frame_that_ffmpeg_has_published(tmp_path: Path) -> None:
    kinds = ("both", "audio", "video")
    async with open_graph(studio(), drain=0.5) as handle:

        async def publish(kind: str) -> None:
            clip = tmp_path / f"{kind}.flv"
            await run(clip_command(clip, kind, 9), seconds=60)
            await run(quick(clip, handle.url("studio", f"/live/{kind}", scheme="rtmp")), seconds=30)

        async with trio.open_nursery() as nursery:
            for kind in kinds:
                nursery.start_soon(publish, kind)
        await until_off_air(handle, 3)
        for kind in kinds:
            segments = await fetch(handle.url("studio", f"/live/{kind}/playlist.m3u8", scheme="http"))
            (tmp_path / f"{kind}.ts").write_bytes(b"".join(segments.values()))
        for stream in statistics(handle).streams:
            assert (stream.hls.faults, stream.hls.breaks, stream.hls.forced_cuts) == (0, 0, 0), stream
            assert stream.hls.segments >= 4, stream

    for kind in kinds:
        truth = await decoded(tmp_path / f"{kind}.flv")
        seen = await decoded(tmp_path / f"{kind}.ts")
        assert seen.keys() == truth.keys()
        if kind != "audio":
            assert seen["video"] == truth["video"]
        if kind != "video":
            # What came before the first picture is left out, and a decoder needs two frames to be in step.
            assert len(seen["audio"]) >= len(truth["audio"]) - 5
            stretch(truth["audio"], seen["audio"][2:])


async def test_ffprobe_finds_each_segment_in_order(tmp_path: Path) -> None:
    clip = tmp_path / "clip.flv"
    await run(clip_command(clip, "both", 6), seconds=60)
    async with open_graph(studio(), drain=0.5) as handle:
        await run(quick(clip, handle.url("studio", "/live/s", scheme="rtmp")), seconds=30)
        await until_off_air(handle)
        top = handle.url("studio", "/live/s/playlist.m3u8", scheme="http")
        segments = await fetch(top)
        assert len(segments) == 3
        last = -1.0
        for name, segment in segments.items():
            path = tmp_path / name
            path.write_bytes(segment)
            command = ["ffprobe", "-v", "warning", "-show_packets", "-show_streams", "-of", "json", str(path)]
            done = await trio.run_process(command, capture_stdout=True, capture_stderr=True)
            # A warning here is a broken counter, a time that goes back, a missing parameter set.
            assert done.stderr == b""
            found = json.loads(done.stdout)
            assert [stream["codec_name"] for stream in found["streams"]] == ["h264", "aac"]
            pictures = [each for each in found["packets"] if each["codec_type"] == "video"]
            assert pictures[0]["flags"].startswith("K")
            for each in pictures:
                assert float(each["dts_time"]) > last
                last = float(each["dts_time"])


async def test_a_publisher_that_is_killed_comes_back_and_players_go_on(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.flv", seconds=30, size="160x90")
    async with open_graph(studio(takeover=True), drain=0.5) as handle, trio.open_nursery() as nursery:
        url = handle.url("studio", "/live/s", scheme="rtmp")

        async def publish(*, task_status: trio.TaskStatus[trio.Process]) -> None:
            start = partial(trio.run_process, publish_command(clip, url), check=False, capture_stderr=True)
            task_status.started(await nursery.start(start))

        first: trio.Process = await nursery.start(publish)
        await until_published(handle, 1)
        first.kill()
        await until_off_air(handle)
        out = tmp_path / "player.md5"
        player = ["ffmpeg", "-nostdin", "-y", *LOG, "-i", handle.url("studio", "/live/s/playlist.m3u8", scheme="http")]
        nursery.start_soon(partial(run, [*player, "-t", "4", "-f", "framemd5", str(out)], seconds=40))
        second: trio.Process = await nursery.start(publish)
        await until(handle, lambda _: out.exists() and len(read_md5(out).get("video", ())) >= 95)
        second.kill()
        (stream,) = statistics(handle).streams
        assert stream.live.epochs == 2
        assert stream.hls.faults == 0


async def test_the_test_signal_over_real_rtmp(tmp_path: Path) -> None:
    async with open_graph(studio(segment=1.0), drain=0.5) as handle, trio.open_nursery() as nursery:
        url = handle.url("studio", "/live/demo", scheme="rtmp")
        signal = TestSignal(width=160, height=90, gop=1.0)
        nursery.start_soon(partial(publish_signal, url, network=handle.network, signal=signal))
        await until_published(handle, 3)
        out = tmp_path / "seen.ts"
        play = ["ffmpeg", "-nostdin", "-y", *LOG, "-i", handle.url("studio", "/live/demo/playlist.m3u8", scheme="http")]
        await run([*play, "-t", "2", "-c", "copy", str(out)], seconds=30)
        nursery.cancel_scope.cancel()
    probe = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(out)]
    found = await trio.run_process(probe, capture_stdout=True)
    kinds = {each["codec_name"] for each in json.loads(found.stdout)["streams"]}
    assert kinds == {"h264", "aac"}
