"""Real publishers and players for the integration tests: ffmpeg, and what its framemd5 says."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import trio

QUIET = ["ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error", "-y"]


#: Pictures decoded, sound as it is.
MD5 = ["-map", "0:v", "-map", "0:a", "-c:a", "copy", "-f", "framemd5"]


def make_clip(path: Path, *, seconds: int, size: str = "1280x720", video: bool = True, audio: bool = True) -> Path:
    """An FLV clip of `testsrc2` and a sine, H.264 in GOPs of one second and AAC, as an encoder would send it."""
    command = list(QUIET)
    if video:
        command += ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25"]
    if audio:
        command += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"]
    if video:
        command += ["-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-keyint_min", "25", "-sc_threshold", "0"]
        command += ["-b:v", "1500k", "-maxrate", "1500k", "-bufsize", "1500k", "-pix_fmt", "yuv420p", "-flags", "+cgop"]
    if audio:
        command += ["-c:a", "aac", "-b:a", "96k", "-ac", "2"]
    subprocess.run([*command, "-t", str(seconds), "-f", "flv", str(path)], check=True, timeout=120)
    return path


def publish_command(clip: Path, url: str) -> list[str]:
    """Send a clip in real time, its packets as they are."""
    return [*QUIET, "-re", "-i", str(clip), "-c", "copy", "-f", "flv", url]


def play_command(url: str, out: Path, *, seconds: float) -> list[str]:
    """Play `seconds` of a stream and write the MD5 of every decoded picture and every audio frame as it came.

    Sound is not decoded: what ffmpeg's AAC decoder makes of a frame depends on where it began, in the last bit.
    """
    opts = ["-rtmp_live", "live"] if url.startswith("rtmp") else ["-live_start_index", "-3"]
    return [*QUIET, *opts, "-i", url, "-t", str(seconds), *MD5, str(out)]


def file_md5(clip: Path) -> dict[str, list[str]]:
    """The MD5s of a whole clip, by stream: what every player's must be a stretch of.

    "audio" is as FLV and RTMP carry it, "adts" as MPEG-TS does: the same frames, each with its ADTS header.
    """
    out, ts = clip.with_suffix(".md5"), clip.with_suffix(".ts")
    subprocess.run([*QUIET, "-i", str(clip), *MD5, str(out)], check=True, timeout=300)
    found = read_md5(out)
    subprocess.run([*QUIET, "-i", str(clip), "-map", "0:a", "-c", "copy", str(ts)], check=True, timeout=300)
    subprocess.run([*QUIET, "-i", str(ts), "-c", "copy", "-f", "framemd5", str(out)], check=True, timeout=300)
    return found | {"adts": read_md5(out)["audio"]}


def read_md5(path: Path) -> dict[str, list[str]]:
    """What framemd5 wrote, as {"video": [...], "audio": [...]} in presentation order."""
    kinds: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if line.startswith("#media_type"):
            index, kind = line.split(" ", 1)[1].split(": ")
            kinds[index] = kind
            found[kind] = []
        elif line and not line.startswith("#"):
            fields = [each.strip() for each in line.split(",")]
            found[kinds[fields[0]]].append(fields[5])
    return found


def stretch(whole: Sequence[str], part: Sequence[str]) -> int:
    """Where `part` stands in `whole` without a gap; raises AssertionError with where they part ways."""
    assert part, "the player has decoded nothing"
    best = 0
    for start in range(len(whole) - len(part) + 1):
        same = 0
        while same < len(part) and whole[start + same] == part[same]:
            same += 1
        if same == len(part):
            return start
        best = max(best, same)
    raise AssertionError(f"no stretch of the original: at best {best} of {len(part)} frames are the same in a row")


async def run(command: Sequence[str], *, seconds: float) -> None:
    """Run a command to its end; its own words are the assertion's when it fails."""
    done = None
    with trio.move_on_after(seconds):
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    assert done is not None, f"{command[0]} did not end within {seconds} s: {' '.join(command)}"
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.decode()[-2000:]}"
