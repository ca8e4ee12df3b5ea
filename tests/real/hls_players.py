"""Players as they are installed, watching one HLS URL in real time, each telling every picture that it decoded.

ffmpeg and GStreamer tell pictures by the MD5 of their bytes, mpv by an Adler-32 checksum of ffmpeg's `showinfo`.
ffmpeg reads as fast as it is served; mpv and GStreamer show each picture at its time, as on a screen.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import trio
from attrs import Factory, define, frozen

from .media import MD5, QUIET, file_md5

RATE = 25

#: What players say of themselves, their build or this clip, whatever serves it.
IGNORED = re.compile(
    r"No value transform to serialize field 'session'"  # GStreamer prints its HTTP session
    r"|requires a streams-aware context|Couldn't set hlsdemux2-0 to READY"  # playbin tries the other demuxer first
    r"|broken/invalid nal Type: 6 SEI"  # x264 writes its options into one, longer than h264parse reads
    r"|EXTINF duration .* > TARGETDURATION"  # GStreamer does not round it as RFC 8216 4.3.3.1 says
    r"|Found duplicated MOOV Atom"  # ffmpeg reads the init section before each segment, as it does from the origin
    r"|DR failed - disabling"  # mpv decodes into its own memory, there being no screen
)
_BAD = re.compile(r"\[(ffmpeg|lavf|demux|ao|vo|vd|ad|cplayer)[^\]]*\] .*(error|corrupt|invalid|fail|missing)", re.I)

_SHOWN = re.compile(r" type:[IPB] checksum:([0-9A-F]{8}) ")
_SUMMED = re.compile(r"^\d+:\d\d:\d\d\.\d{9} ([0-9a-f]{32})$")


@define
class Watched:
    """What one player has shown: the checksum of each picture and when it came, and whatever it complained of."""

    pictures: list[str] = Factory(list)
    audio: list[str] = Factory(list)
    when: list[float] = Factory(list)
    stalls: list[str] = Factory(list)
    complaints: list[str] = Factory(list)

    def complain(self, line: str) -> None:
        if not IGNORED.search(line):
            self.complaints.append(line)

    @property
    def seconds(self) -> float:
        """Seconds of media."""
        return len(self.pictures) / RATE

    @property
    def wall(self) -> float:
        """Seconds of wall time from the first picture to the last."""
        return self.when[-1] - self.when[0] if self.when else 0.0

    @property
    def late(self) -> float:
        """Seconds by which the latest picture came after its time, where the first came in time."""
        return max((when - self.when[0] - n / RATE for n, when in enumerate(self.when)), default=0.0)


@frozen
class Truth:
    """What the publishers' clip decodes to, in each player's words."""

    md5: list[str]
    adler: list[str]
    adts: list[str]
    aac: list[str]


def parts_ways(whole: Sequence[str], part: Sequence[str]) -> str:
    """Where what a player has shown is no stretch of the original, in words; "" where it is one."""
    if not part or part[0] not in whole:
        return "the first picture is not the publisher's" if part else "no picture"
    start = whole.index(part[0])
    for n, (wanted, seen) in enumerate(zip(whole[start:], part, strict=False)):
        if wanted != seen:
            ahead = whole[start + n :].index(seen) if seen in whole[start + n :] else None
            what = "is not the publisher's" if ahead is None else f"comes {ahead} pictures too early"
            return f"picture {n} of {len(part)} (the publisher's {start + n}) {what}"
    return "" if len(whole) - start >= len(part) else "more pictures than the publisher's"


def truth(clip: Path) -> Truth:
    """Decode the clip itself."""
    known = file_md5(clip)
    shown = subprocess.run(
        ["ffmpeg", "-hide_banner", "-nostdin", "-i", str(clip), "-map", "0:v", "-vf", "showinfo", "-f", "null", "-"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    adler = _SHOWN.findall(shown.stderr.decode())
    assert len(adler) == len(known["video"])
    return Truth(md5=known["video"], adler=adler, adts=known["adts"], aac=known["audio"])


async def _lines(command: Sequence[str], seconds: float, take: Callable[[float, str], bool]) -> int | None:
    """Hand each line that a command writes to `take`, with its time, until `take` says that it is enough.

    Gives the exit code where the command ended by itself, None where it was ended.
    """
    environment = os.environ | {"GST_DEBUG": "2", "GST_DEBUG_NO_COLOR": "1"}
    start = partial(trio.run_process, list(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            process: trio.Process = await nursery.start(partial(start, check=False, env=environment))
            assert process.stdout is not None
            rest = b""
            async for data in process.stdout:
                *whole, rest = (rest + data).split(b"\n")
                now = trio.current_time()
                if not all(take(now, line.decode(errors="replace").rstrip("\r")) for line in whole):
                    process.send_signal(signal.SIGINT)
                    with trio.move_on_after(3):
                        await process.wait()
                    nursery.cancel_scope.cancel()
                    return None
            return await process.wait()
    return None


async def ffmpeg(url: str, seconds: float) -> Watched:
    """ffmpeg decodes the pictures and copies the sound; at `-loglevel warning` every line but a few is a complaint."""
    watched = Watched()

    def take(now: float, line: str) -> bool:
        if line.startswith("0, "):
            watched.pictures.append(line.split(",")[5].strip())
            watched.when.append(now)
        elif line.startswith("1, "):
            watched.audio.append(line.split(",")[5].strip())
        elif line and not line.startswith("#"):
            watched.complain(line)
        return True

    quiet = [*QUIET[: QUIET.index("error")], "repeat+warning"]
    where = ["-live_start_index", "-3", "-i", url, "-t", str(seconds)]
    code = await _lines([*quiet, *where, *MD5, "-flush_packets", "1", "pipe:1"], seconds + 30, take)
    if code != 0:
        watched.complain(f"ffmpeg ended with {code}")
    return watched


async def mpv(url: str, seconds: float) -> Watched:
    """mpv shows the pictures in time; its status line tells whether it pauses for its cache, and what it dropped."""
    watched = Watched()
    # What the screen drops is not told: the processor of a small machine is not the edge's.
    status, fine = (
        f"STATUS paused={paused} decoder={dropped}."
        for paused, dropped in (("${paused-for-cache}", "${decoder-frame-drop-count}"), ("no", "0"))
    )

    def take(now: float, line: str) -> bool:
        if found := _SHOWN.search(line):
            watched.pictures.append(found[1])
            watched.when.append(now)
        elif "STATUS" in line:
            if watched.pictures and fine not in line:
                watched.stalls.append(line)
        elif "underrun" in line and "audio end or underrun" not in line:
            watched.stalls.append(line)
        elif _BAD.match(line):
            watched.complain(line)
        return len(watched.pictures) < seconds * RATE

    # A second of sound ahead, not 0.2: a small machine with so many players on it pauses each now and then.
    options = ["--no-config", "--ao=null", "--audio-buffer=1", "--vo=null", "--hwdec=no", "--vf=lavfi=[showinfo]", "-v"]
    code = await _lines(["mpv", *options, f"--term-status-msg={status}", url], seconds + 30, take)
    if code is not None:
        watched.complain(f"mpv ended by itself with {code}")
    return watched


async def know_gstreamer() -> None:
    """Have GStreamer look at its plugins: what it says of each when it first does so is no player's complaint."""
    await trio.run_process(["gst-inspect-1.0", "--exists", "playbin"], capture_stdout=True, capture_stderr=True)


async def gstreamer(url: str, seconds: float, *, playbin: str = "playbin") -> Watched:
    """GStreamer's player, its pictures and its sound in time; buffering after the start is a stall."""
    watched = Watched()

    def take(now: float, line: str) -> bool:
        if found := _SUMMED.match(line):
            watched.pictures.append(found[1])
            watched.when.append(now)
        elif watched.pictures and "buffering" in line.lower():
            watched.stalls.append(line)
        elif re.search(r"\b(WARN|ERROR)\b|WARNING", line):
            watched.complain(line)
        return len(watched.pictures) < seconds * RATE

    sinks = ["video-sink=checksumsink hash=md5 sync=true", "audio-sink=fakesink sync=true"]
    code = await _lines(["gst-launch-1.0", playbin, f"uri={url}", *sinks], seconds + 30, take)
    if code is not None:
        watched.complain(f"gst-launch-1.0 ended by itself with {code}")
    return watched
