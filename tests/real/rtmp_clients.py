"""RTMP clients as they are installed: publishers and players of one stream, each as its makers mean it to be used.

A player tells what it got as the checksums of pictures or packets, in order: `Played`.  ffmpeg, ffprobe and mpv bring
ffmpeg's RTMP, rtmpdump and GStreamer's `rtmpsrc` librtmp, `rtmp2src` and `rtmp2sink` one of their own.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import trio
from attrs import Factory, define

from . import hls_players
from .media import QUIET, read_md5

#: Seconds after which a player that has not ended by itself is ended.
MOST = 60.0
GST = ["gst-launch-1.0", "-q"]
_SUMMED = re.compile(r"^\d+:\d\d:\d\d\.\d{9} ([0-9a-f]{32})$", re.MULTILINE)
# What a packet says of new headers stands between the two, on lines of its own.
_PACKET = re.compile(r"codec_type=(video|audio).*?data_hash=MD5:([0-9a-f]{32})", re.DOTALL)


@define
class Played:
    """What one player got: pictures or packets of video, packets of sound where it tells them, and its complaints."""

    video: list[str] = Factory(list)
    audio: list[str] = Factory(list)
    complaint: str = ""


async def run(command: Sequence[str], *, codes: tuple[int, ...] = (0,)) -> tuple[str, str]:
    """Run a player to its end; its output, and why it is no good end or ""."""
    done = None
    with trio.move_on_after(MOST):
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    if done is None:
        return "", f"did not end: {' '.join(command)}"
    wrong = "" if done.returncode in codes else f"{' '.join(command)} ended with {done.returncode}: "
    return done.stdout.decode(errors="replace"), wrong and wrong + done.stderr.decode(errors="replace")[-800:]


async def ffmpeg(url: str, out: Path) -> Played:
    """Decoded pictures, sound as it came."""
    to = out.with_suffix(".md5")
    command = [*QUIET, "-rtmp_live", "live", "-i", url, "-map", "0:v", "-map", "0:a", "-c:a", "copy"]
    _, wrong = await run([*command, "-fps_mode", "passthrough", "-f", "framemd5", str(to)])
    found = read_md5(to) if to.exists() else {}
    return Played(found.get("video", []), found.get("audio", []), wrong)


async def ffprobe(url: str, out: Path) -> Played:
    """Packets as they came."""
    entries = ["-show_packets", "-show_entries", "packet=codec_type,data_hash", "-show_data_hash", "md5"]
    said, wrong = await run(["ffprobe", "-v", "error", *entries, "-of", "compact", url])
    found = _PACKET.findall(said)
    # Sound in front of the first picture is kept from players, who begin with a keyframe.
    first = next((n for n, (kind, _) in enumerate(found) if kind == "video"), 0)
    video, audio = ([md5 for kind, md5 in found[first:] if kind == wanted] for wanted in ("video", "audio"))
    return Played(video, audio, wrong)


async def _recorded(command: Sequence[str], out: Path, codes: tuple[int, ...] = (0,)) -> Played:
    """A player that writes FLV; what is in it, packet by packet."""
    _, wrong = await run(command, codes=codes)
    played = await ffprobe(str(out), out)
    return Played(played.video, played.audio, wrong or played.complaint)


async def rtmpdump(url: str, out: Path) -> Played:
    """librtmp's own."""
    flv = out.with_suffix(".flv")
    # It ends with 2, "may be incomplete", where the last frame is not at the metadata's duration.
    return await _recorded(["rtmpdump", "-q", "--live", "-r", url, "-o", str(flv)], flv, (0, 2))


async def rtmpsrc(url: str, out: Path) -> Played:
    """GStreamer on librtmp, recorded.  At the end it connects once more, and ends when it is told of no such stream."""
    flv = out.with_suffix(".flv")
    return await _recorded([*GST, "rtmpsrc", f"location={url} live=1", "!", "filesink", f"location={flv}"], flv)


async def rtmp2src(url: str, out: Path) -> Played:
    """GStreamer's own RTMP, taken apart and decoded."""
    source = ["rtmp2src", f"location={url}"] + ["tls-validation-flags=0"] * url.startswith("rtmps")
    video = [
        "d.video",
        "!",
        "queue",
        "!",
        "h264parse",
        "!",
        "avdec_h264",
        "!",
        "checksumsink",
        "hash=md5",
        "sync=false",
    ]
    audio = ["d.audio", "!", "queue", "!", "fakesink", "sync=false"]
    said, wrong = await run([*GST, *source, "!", "flvdemux", "name=d", *video, *audio])
    return Played(_SUMMED.findall(said), [], wrong)


async def mpv(url: str, out: Path, *, seconds: float) -> Played:
    """Shown as on a screen, in time; it is ended when it has shown as much as that."""
    watched = await hls_players.mpv(url, seconds)
    return Played(watched.pictures, [], "; ".join(watched.complaints))


Player = Callable[[str, Path], Awaitable[Played]]
PLAYERS: dict[str, Player] = {
    "ffmpeg": ffmpeg,
    "ffprobe": ffprobe,
    "rtmpdump": rtmpdump,
    "rtmpsrc": rtmpsrc,
    "rtmp2src": rtmp2src,
}


def by_ffmpeg(clip: Path, url: str) -> list[str]:
    """Publish a clip in real time, its packets as they are."""
    return [*QUIET, "-re", "-i", str(clip), "-c", "copy", "-f", "flv", url]


def by_gstreamer(clip: Path, url: str) -> list[str]:
    """The same by `rtmp2sink`, of packets that `flvmux` has made again."""
    sink = ["rtmp2sink", f"location={url}", "sync=true"] + ["tls-validation-flags=0"] * url.startswith("rtmps")
    source = ["filesrc", f"location={clip}", "!", "flvdemux", "name=d"]
    mux = ["flvmux", "name=m", "streamable=true", "!", *sink]
    video = ["d.video", "!", "queue", "!", "h264parse", "!", "m.video"]
    audio = ["d.audio", "!", "queue", "!", "aacparse", "!", "m.audio"]
    return [*GST, *source, *mux, *video, *audio]


PUBLISHERS = {"ffmpeg": by_ffmpeg, "rtmp2sink": by_gstreamer}


def cut(clip: Path, out: Path, *where: str) -> Path:
    """A stretch of whole GOPs of a clip, its packets as they are."""
    subprocess.run([*QUIET, *where, "-i", str(clip), "-c", "copy", "-f", "flv", str(out)], check=True, timeout=60)
    return out


def mpv_for(seconds: float) -> Player:
    """mpv that is ended when it has shown `seconds`."""
    return partial(mpv, seconds=seconds)
