"""What is on the air: a clip of 592 kbit/s that ffmpeg makes, and the MD5 of each of its packets.

The clip is played in a loop, its packets as they are, so the packets of a player are a stretch of the clip's, round and
round.  RTMP carries them as FLV does and HLS as MPEG-TS does; to be compared, both are brought to one form: pictures
with start codes and without what a container adds (access unit delimiters, parameter sets), sound without ADTS.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import trio
from attrs import frozen

from tierkit.errors import TierkitError

from ._plan import KBPS

__all__ = ["QUIET", "Clip", "feed_command", "make_clip", "read_md5", "source_form"]

QUIET = ("ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error", "-y")
#: NAL unit types 7 to 9 are parameter sets and the delimiter (H.264 table 7-1).
_BARE = "filter_units=remove_types=7-9"
#: Seconds; a keyframe every two.
_LENGTH, _GOP, _FPS = 20, 2, 25
_AUDIO_KBPS = 64
#: The rate that is aimed at, and the lowest and the highest that will do: no viewer is to get less than on that night.
_AIM, _LEAST, _MOST = KBPS + 5.0, KBPS + 1.0, KBPS + 14.0
_TRIES = 4


@frozen
class Packet:
    """One packet of a player or of the clip: its time in seconds, and its MD5."""

    at: float
    md5: str


@frozen
class Clip:
    """The file, its rate as FLV, and its packets by kind: "video", "audio"."""

    file: Path
    kbps: float
    packets: dict[str, list[Packet]]


def source_form(scheme: str) -> list[str]:
    """Options of ffmpeg that write packets in the form in which they are compared, by where they come from."""
    if scheme.startswith("rtmp"):
        video, audio = f"h264_mp4toannexb,{_BARE}", "null"
    else:
        video, audio = _BARE, "aac_adtstoasc"
    return ["-map", "0:v", "-map", "0:a", "-c", "copy", "-bsf:v", video, "-bsf:a", audio, "-f", "framemd5"]


def feed_command(clip: Clip, url: str) -> list[str]:
    """Publish the clip in real time, in a loop without an end."""
    return [*QUIET, "-re", "-stream_loop", "-1", "-i", str(clip.file), "-map", "0", "-c", "copy", "-f", "flv", url]


async def make_clip(folder: Path) -> Clip | None:
    """Make the clip; None where there is no ffmpeg.  Raises TierkitError where ffmpeg fails."""
    if shutil.which("ffmpeg") is None:
        return None
    file, listing = folder / "clip.flv", folder / "clip.framemd5"
    video = _AIM - _AUDIO_KBPS - 12  # what FLV's tags take
    for _ in range(_TRIES):
        await _ffmpeg(_encode(video, file))
        kbps = file.stat().st_size * 8 / _LENGTH / 1000
        if _LEAST <= kbps <= _MOST:
            break
        video += _AIM - kbps
    else:
        raise TierkitError(f"ffmpeg makes no clip of {KBPS} kbit/s here, but one of {kbps:.0f}: is it an odd build?")
    await _ffmpeg([*QUIET, "-i", str(file), *source_form("rtmp"), str(listing)])
    return Clip(file, kbps, read_md5(listing))


def _encode(video_kbps: float, file: Path) -> list[str]:
    """Something that moves, with noise, so that the encoder needs the bits that it is given; GOPs of two seconds.

    Sound goes up and up, so that no two of its frames are alike.
    """
    rate = f"{video_kbps:.1f}k"
    picture = f"testsrc2=size=640x360:rate={_FPS},noise=alls=12:allf=t"
    sound = "aevalsrc=0.3*sin(2*PI*(220+40*t)*t):s=44100"
    return [
        *(*QUIET, "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-t", str(_LENGTH)),
        *("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-threads", "1"),
        *("-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-g", str(_GOP * _FPS), "-keyint_min", str(_GOP * _FPS)),
        *("-sc_threshold", "0", "-flags", "+cgop", "-c:a", "aac", "-b:a", f"{_AUDIO_KBPS}k", "-ac", "1"),
        *("-f", "flv", str(file)),
    ]


async def _ffmpeg(command: Sequence[str]) -> None:
    done = await trio.run_process(command, capture_stderr=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise TierkitError(f"ffmpeg cannot make the clip: {said[-1] if said else f'exit code {done.returncode}'}")


def read_md5(file: Path) -> dict[str, list[Packet]]:
    """What `-f framemd5` wrote: packets by kind, in the order of decoding."""
    kinds: dict[str, str] = {}
    bases: dict[str, float] = {}
    found: dict[str, list[Packet]] = {}
    for line in file.read_text().splitlines():
        if line.startswith("#tb "):
            index, base = line[4:].split(": ")
            above, below = base.split("/")
            bases[index] = int(above) / int(below)
        elif line.startswith("#media_type "):
            index, kind = line[12:].split(": ")
            kinds[index] = kind
            found[kind] = []
        elif line and not line.startswith("#"):
            fields = [each.strip() for each in line.split(",")]
            found[kinds[fields[0]]].append(Packet(int(fields[1]) * bases[fields[0]], fields[5]))
    return found
