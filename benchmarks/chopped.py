"""How well edges know whose picture stands still: three edges, one of them throttled, against what the viewers saw.

    python benchmarks/chopped.py --viewers 40 --seconds 16

Origin and edges are processes of their own, and so are the viewers of each (`tierkit load hls --viewers-out`), over
real sockets.  One edge of three is throttled: by a slow way to the origin, by the pace at which the kernel lets its
answers out (SO_MAX_PACING_RATE), or by a loop that is elsewhere for seconds.  A viewer was chopped where the load tool
says that it has stalled, and was known to be where an edge says so of its connection.  A Markdown table goes to
standard output.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

# Python puts a script's folder first, where `import http` of any library would find the script of that name.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks._chopped import SIZE, TARGET
from benchmarks._procs import ROOT, TIERKIT

EDGES = ("edge-1", "edge-2", "edge-3")
RATE = SIZE / TARGET
#: How edge-1 is throttled: arguments for the origin, and for the edge.
HOW: dict[str, tuple[list[str], list[str]]] = {
    "nothing": ([], []),
    "its way to the origin": (["--slow", str(RATE * 0.15), "--slow-from", "6", "--slow-to", "60"], []),
    "its doors, by pacing": ([], ["--rate", str(int(RATE * 0.6))]),
    "its doors, for every other viewer": ([], ["--rate", str(int(RATE * 0.6)), "--every", "2"]),
    "its event loop": ([], ["--stuck", "4.5"]),
}


@contextmanager
def running(*arguments: str) -> Iterator[int]:
    """A process of `_chopped`; yields its port."""
    command = [sys.executable, "-m", "benchmarks._chopped", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)


def evening(how: str, cmcd: str, viewers: int, seconds: int, folder: Path) -> tuple[int, int, int, int]:
    """Right, wrong, missed, and healthy."""
    slow, throttled = HOW[how]
    with ExitStack() as stack:
        origin = stack.enter_context(running("origin", *slow))
        loads: list[tuple[Path, Path, subprocess.Popen[bytes]]] = []
        for name in EDGES:
            told, seen = folder / f"{name}.json", folder / f"{name}.jsonl"
            more = throttled if name == "edge-1" else []
            port = stack.enter_context(running("edge", name, f"http://127.0.0.1:{origin}", str(told), *more))
            command = [*TIERKIT, "load", "hls", f"http://127.0.0.1:{port}/live/s/playlist.m3u8"]
            command += ["--viewers", str(viewers), "--seconds", str(seconds), "--ramp", "2", "--json"]
            command += ["--cmcd", cmcd, "--viewers-out", str(seen)]
            loads.append((told, seen, subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)))
        for _, _, process in loads:
            process.wait(seconds + 60)
        total = (0, 0, 0, 0)
        for told, seen, _ in loads:
            total = tuple(map(sum, zip(total, compared(told, seen), strict=True)))  # type: ignore[assignment]
    return total


def compared(told: Path, seen: Path) -> tuple[int, int, int, int]:
    """One edge's viewers."""
    known = {int(port) for port in json.loads(told.read_text())}
    right = wrong = missed = healthy = 0
    for line in seen.read_text().splitlines():
        viewer = json.loads(line)
        stalled = bool(viewer["stalls"])
        found = bool({int(each.rpartition(":")[2]) for each in viewer["local"]} & known)
        right += stalled and found
        wrong += not stalled and found
        missed += stalled and not found
        healthy += not stalled and not found
    return right, wrong, missed, healthy


def share(part: int, other: int) -> str:
    return f"{part / (part + other):.3f}" if part + other else "-"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--viewers", type=int, default=40, help="at each edge")
    parser.add_argument("--seconds", type=int, default=16)
    parser.add_argument("--how", choices=list(HOW), nargs="*", default=list(HOW))
    options = parser.parse_args(arguments)
    print("| what throttles one edge of three | CMCD | viewers | chopped | precision | recall |")
    print("|---|---|---|---|---|---|")
    for how in options.how:
        for cmcd in ("none", "query", "header"):
            with tempfile.TemporaryDirectory() as folder:
                right, wrong, missed, healthy = evening(how, cmcd, options.viewers, options.seconds, Path(folder))
            total = right + wrong + missed + healthy
            print(
                f"| {how} | {cmcd} | {total} | {right + missed} | {share(right, wrong)} | {share(right, missed)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
