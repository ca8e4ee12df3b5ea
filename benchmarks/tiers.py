"""What one edge and one relay cost: CPU-seconds of the server for each Gbit delivered, medians of several runs.

    python benchmarks/tiers.py --viewers 200 --seconds 10 --runs 3

Origin, edge and relay run as processes of their own, the viewers (`tierkit load`) in another; the figures are
the server's alone, read from /proc, so that they hold on a machine that is shared.  A Markdown table goes to
standard output.  `http.py` sets the edge beside nginx and Varnish.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

# Python puts a script's folder first, where `import http` of any library would find the script of that name.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks._procs import TIERKIT, cpu_seconds, resident_bytes, tier

CLIP = ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=44100"]
#: About 1.1 Mbit/s, the bitrate of the design's own measurements.
ENCODE = ["-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-b:v", "1000k", "-maxrate", "1000k"]
ENCODE += ["-bufsize", "1000k", "-c:a", "aac", "-b:a", "96k", "-f", "flv"]


def load(kind: str, url: str, viewers: int, seconds: int) -> dict[str, float]:
    """One run of `tierkit load`."""
    command = [
        *TIERKIT,
        "load",
        kind,
        url,
        "--viewers",
        str(viewers),
        "--seconds",
        str(seconds),
        "--ramp",
        "2",
        "--json",
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(kind: str, pid: int, url: str, options: argparse.Namespace) -> str:
    """One row of the table."""
    costs, rates, stalls = [], [], 0
    for _ in range(options.runs):
        before = cpu_seconds(pid)
        report = load(kind, url, options.viewers, options.seconds)
        # The ramp's traffic is in the CPU time and not in the report's bytes, so the figure errs upwards.
        costs.append((cpu_seconds(pid) - before) / (report["bytes"] * 8 / 1e9))
        rates.append(report["gbit_per_s"])
        stalls += int(report["stalls"])
    cells = [
        f"{statistics.median(costs):.3f}",
        f"{statistics.median(rates):.3f}",
        f"{resident_bytes(pid) / 1e6:.0f}",
        str(stalls),
    ]
    return f"| {kind} | {options.viewers} | {' | '.join(cells)} |"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        clip = Path(folder) / "clip.flv"
        ffmpeg = ["ffmpeg", "-loglevel", "error", "-y"]
        subprocess.run([*ffmpeg, *CLIP, "-t", "20", *ENCODE, str(clip)], check=True)
        _, origin = stack.enter_context(tier("origin", "--rtmp", "127.0.0.1:0", "--http", "127.0.0.1:0"))
        edge, at_edge = stack.enter_context(tier("edge", "hls", f"http://{origin['http']}", "--listen", "127.0.0.1:0"))
        relay, at_relay = stack.enter_context(
            tier("relay", "rtmp", f"rtmp://{origin['rtmp']}", "--listen", "127.0.0.1:0")
        )
        publish = [*ffmpeg, "-re", "-stream_loop", "-1", "-i", str(clip), "-c", "copy", "-f", "flv"]
        publisher = subprocess.Popen([*publish, f"rtmp://{origin['rtmp']}/live/s"], stderr=subprocess.DEVNULL)
        try:
            time.sleep(8)
            print("| tier | viewers | CPU-s per Gbit | Gbit/s | resident MB | stalls |")
            print("|---|---|---|---|---|---|")
            print(measure("hls", edge, f"http://{at_edge['http']}/live/s/playlist.m3u8", options), flush=True)
            print(measure("rtmp", relay, f"rtmp://{at_relay['rtmp']}/live/s", options), flush=True)
        finally:
            publisher.terminate()
            publisher.wait()


if __name__ == "__main__":
    main()
