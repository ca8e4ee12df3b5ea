"""What `observability.py` compares: a relay that is looked at, beside one that is not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from urllib.request import Request, urlopen

from benchmarks import _procs
from benchmarks._compare import Comparison
from benchmarks._figures import Bench, Figure, Goal, Row, Sample
from benchmarks._peers import Peer, Place
from benchmarks._rtmp import SETTLE, house, some, window

__all__ = ["COMPARISON"]

RELAY = """\
from tierkit import Graph, Relay
from tierkit.plugins.rtmp import RTMP

graph = Graph.of(Relay("relay", listen="rtmp://127.0.0.1:0", serves=RTMP({options})), control={control!r})
"""
#: Seconds between two scrapes: three times as often as Prometheus would by default.
EVERY = 5.0
#: Scrapes over which the cost of one is taken, one straight after the other.
SCRAPES = 50
#: Seconds over which it is seen what the relay does by itself, with its history.
IDLE = 3.0
#: What Prometheus sends.
FIELDS = {"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}


def scrape(port: int) -> int:
    """Once; returns how many bytes came."""
    with urlopen(Request(f"http://127.0.0.1:{port}/metrics", headers=FIELDS), timeout=10) as answer:
        return len(answer.read())


@contextmanager
def relay(place: Place, name: str, control: int | None) -> Iterator[Peer]:
    """The relay of this project, which takes publishers."""
    graph = place.folder / f"{name}.py"
    address = f"127.0.0.1:{control}" if control else None
    graph.write_text(RELAY.format(options=", ".join(place.options), control=address))
    log = place.folder / f"{name}.log"
    with _procs.tier("run", str(graph), "--drain", "1", core=place.core, log=log) as (pid, doors):
        yield Peer(name, pid, int(doors["rtmp"].rpartition(":")[2]), None, place.core, control)


def _first_scrape(port: int) -> None:
    """The control address opens a moment after the tiers."""
    until = time.monotonic() + _procs.START
    while True:
        try:
            scrape(port)
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@contextmanager
def bare(place: Place) -> Iterator[Peer]:
    """Nobody looks at it, and nobody could."""
    with relay(place, "bare", None) as peer:
        yield peer


@contextmanager
def observed(place: Place) -> Iterator[Peer]:
    """It has a control address with all that comes with one, and somebody scrapes."""
    port = _procs.free_port()
    scraper = [sys.executable, "-m", "benchmarks._observability", str(port)]
    with ExitStack() as stack:
        peer = stack.enter_context(relay(place, "tierkit", port))
        _first_scrape(port)
        stack.enter_context(_procs.process(scraper))
        yield peer


def players(count: int) -> Row:
    """So many players at the full rate."""

    def run(peer: Peer, bench: Bench) -> Sample:
        with house(peer) as (made, door, names):
            made.join_all(door, names, some(bench, count))
            made.run(SETTLE)
            return window(peer, made, bench.seconds)

    figures = (
        Figure("per_gbit", f"{count:,} players: CPU-seconds per Gbit", (Goal(1.03, "bare", at_least=False),)),
        Figure("p99", "the same: added latency, p99, ms"),
        Figure("gbit", "the same: delivered, Gbit/s"),
    )
    return Row(f"players-{count}", run, figures, ("tierkit", "bare"), fresh=True)


def _spent(pid: int, act: Callable[[], object]) -> float:
    """CPU-seconds of a process while something is done."""
    before = _procs.cpu_seconds(pid)
    act()
    return _procs.cpu_seconds(pid) - before


def _share(pid: int, act: Callable[[], object]) -> float:
    """Of a core, meanwhile."""
    began = time.monotonic()
    return _spent(pid, act) / (time.monotonic() - began)


def one_scrape(count: int, streams: int) -> Row:
    """What one scrape takes while nothing else is done, and what is done all the time."""

    def run(peer: Peer, bench: Bench) -> Sample:
        assert peer.control is not None
        with house(peer, streams) as (made, door, names):
            made.join_all(door, names, some(bench, count))
            # Nobody publishes from here on: what the relay does now, it does for the scraper, or by itself.
            time.sleep(IDLE)
            idle = _share(peer.pid, lambda: time.sleep(IDLE))
            sizes: list[int] = []
            began = time.monotonic()
            spent = _spent(peer.pid, lambda: sizes.extend(scrape(peer.control) for _ in range(SCRAPES)))
            own = spent - idle * (time.monotonic() - began)
            return {"ms": 1000 * own / SCRAPES, "kib": sum(sizes) / SCRAPES / 1024, "idle": 100 * idle}

    what = f"{count:,} players of {streams} stream{'s' * (streams > 1)}"
    figures = (
        Figure("ms", f"a scrape, {what}: ms of CPU"),
        Figure("kib", "the same: KiB on the wire"),
        Figure("idle", "the same, between scrapes: % of a core"),
    )
    return Row(f"scrape-{count}-{streams}", run, figures, ("tierkit",), fresh=True)


COMPARISON = Comparison(
    "observability.py",
    {"1": (players(1500),), "2": (one_scrape(1500, 1),), "3": (one_scrape(200, 200),)},
    {"tierkit": observed, "bare": bare},
    origin=False,
)


if __name__ == "__main__":
    while True:
        scrape(int(sys.argv[1]))
        time.sleep(EVERY)
