"""A run of `http.py` or `rtmp.py`: every peer takes its turn at every row, and a table comes of it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import attrs

from benchmarks import _peers, _procs, _rtmp_peers
from benchmarks._figures import NAMES, Bench, Results, Row, table

#: What a peer needs to be compared: a program, or a file.
NEEDS = {"nginx": "nginx", "varnish": "varnishd", "stock": _rtmp_peers.MODULE, "tuned": _rtmp_peers.MODULE}


@attrs.frozen
class Comparison:
    """What one script compares."""

    #: Its name: of its marks in the page that keeps the table, too.
    name: str
    #: By the numbers that --rows takes.
    rows: dict[str, tuple[Row, ...]]
    starters: dict[str, _peers.Starter]
    #: Whether there is an origin behind the servers.
    origin: bool = True

    @property
    def peers(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.starters)


def arguments(what: Comparison, description: str, given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(what.rows), help="which rows, by number: %(default)s")
    parser.add_argument("--peers", default=",".join(what.peers), help="which servers: %(default)s")
    parser.add_argument("--runs", type=int, default=5, help="repetitions, of which the median counts")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each measurement")
    parser.add_argument("--quick", action="store_true", help="a tenth of what takes minutes")
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="an option of tierkit's service"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample here")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between its marks in this page")
    found = parser.parse_args(given)
    found.rows, found.peers = found.rows.split(","), found.peers.split(",")
    for each, known in [(each, what.rows) for each in found.rows] + [(each, what.peers) for each in found.peers]:
        if each not in known:
            parser.error(f"there is no {each!r}: take from {', '.join(known)}")
    return found


def here(peers: Sequence[str]) -> tuple[str, ...]:
    """Those whose programs are installed; the others are told."""
    for peer in peers:
        if not _is_here(peer):
            print(f"{NAMES[peer]} is left out: {NEEDS[peer]} is not installed", file=sys.stderr)
    return tuple(filter(_is_here, peers))


def _is_here(peer: str) -> bool:
    needed = NEEDS.get(peer, "")
    return not needed or Path(needed).is_file() or shutil.which(needed) is not None


def possible(rows: Iterable[Row]) -> list[Row]:
    """Those whose load is installed; the others are told."""
    found = []
    for row in rows:
        missing = [each for each in row.programs if shutil.which(each) is None]
        if missing:
            print(f"{row.key} is left out: {', '.join(missing)} is not installed", file=sys.stderr)
        else:
            found.append(row)
    return found


def measure(row: Row, peers: Sequence[_peers.Peer], bench: Bench, results: Results) -> None:
    """Each peer once."""
    for peer in peers:
        try:
            sample = row.run(peer, bench)
        except (_procs.Void, OSError, subprocess.SubprocessError) as error:
            results.void(row, peer.name, str(error))
            print(f"{row.key} #{bench.repetition + 1} {peer.name}: void: {error}", file=sys.stderr, flush=True)
            continue
        results.add(row, peer.name, sample)
        told = ", ".join(f"{key} {value:.4g}" for key, value in sample.items())
        print(f"{row.key} #{bench.repetition + 1} {peer.name}: {told}", file=sys.stderr, flush=True)


def run(what: Comparison, options: argparse.Namespace, bench: Bench, place: _peers.Place) -> Results:
    """All rows: those of peers that live through the run, then those that want them fresh."""
    rows = possible(row for number in options.rows for row in what.rows[number])
    results, names = Results(), here(options.peers)
    with _peers.alive(what.starters, names, place) as peers:
        for row in (row for row in rows if not row.fresh):
            for repetition in range(options.runs):
                turn = attrs.evolve(bench, repetition=repetition)
                measure(row, [peer for peer in peers if peer.name in row.peers], turn, results)
    for row in (row for row in rows if row.fresh):
        for repetition in range(options.runs):
            turn = attrs.evolve(bench, repetition=repetition)
            wanted = tuple(name for name in names if name in row.peers)
            for name in wanted:
                own = attrs.evolve(place, options=place.options + row.options)
                with _peers.alive(what.starters, (name,), own) as peers:
                    measure(row, peers, turn, results)
    return results


def write_between(page: str, text: str, script: str) -> str:
    """The page with a script's table replaced: what stands between its two marks."""
    begin, end = f"<!-- {script}: begin -->", f"<!-- {script}: end -->"
    before, begun, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not (begun and ended):
        raise SystemExit(f"the page has no place for a table: {begin!r} and {end!r}")
    return f"{before}{begun}\n{text.rstrip()}\n{ended}{after}"


def machine() -> dict[str, str]:
    """What it ran on."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    found = {
        "processor": model[0].partition(":")[2].strip() if model else platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load average": " ".join(f"{each:.1f}" for each in os.getloadavg()),
    }
    for name, command in (("nginx", ["nginx", "-v"]), ("varnish", ["varnishd", "-V"])):
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True)
            found[name] = (done.stdout + done.stderr).splitlines()[0].strip()
    return found


def main(what: Comparison, description: str, given: Sequence[str] | None = None) -> None:
    """Run it."""
    options = arguments(what, description, given)
    server_core, load_core = _procs.cores()
    if server_core == load_core:
        raise SystemExit("two cores are needed: one for the server, one for load and origin")
    # Asked to end, we end what we started: by the way that an exception takes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        origin = stack.enter_context(_procs.origin(load_core)) if what.origin else 0
        os.sched_setaffinity(0, {load_core})
        stack.callback(os.sched_setaffinity, 0, {server_core, load_core})
        bench = Bench(origin, load_core, options.seconds, options.quick)
        place = _peers.Place(folder, origin, server_core, tuple(options.option))
        results = run(what, options, bench, place)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "samples": results.samples}, indent=1) + "\n")
    told = [f"{name}: {value}" for name, value in machine().items()]
    told.append(f"medians of {options.runs} runs of {options.seconds:g} s")
    if options.quick:
        told.append("--quick: a tenth of the viewers, connections and gigabytes that rows of memory name")
    rows = [row for number in options.rows for row in what.rows[number]]
    text = f"{'; '.join(told)}.\n\n{table(results, rows, here(options.peers))}\n"
    print(text, end="")
    if options.write:
        options.write.write_text(write_between(options.write.read_text(), f"\n{text}", what.name))
    if results.voids:
        raise SystemExit(f"{len(results.voids)} measurements are void; why, stands above")
