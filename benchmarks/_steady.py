"""Rows of steady load: closed loops of keep-alive clients on objects that are cached."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks import _load
from benchmarks._figures import SHARE, Bench, Figure, Goal, Row, Sample
from benchmarks._load import Window
from benchmarks._origin import SEGMENT, names
from benchmarks._peers import Peer
from benchmarks._procs import resident_bytes

SEGMENTS = tuple(names("seg", 20, ".ts"))
PLAYLIST = "/vod/1.m3u8"


def told(window: Window) -> Sample:
    """The sample of a window."""
    return {"per_cpu_second": window.per_cpu_second, SHARE: window.share}


def segments(clients: int) -> Row:
    """Segments over plain HTTP."""

    def run(peer: Peer, bench: Bench) -> Sample:
        for path in SEGMENTS:
            _load.fetch(peer.port, path)
        return told(_load.take_bodies(peer.pid, peer.port, SEGMENTS, clients, bench.seconds))

    goals = (Goal(1.3, "varnish"), Goal(1.15, "nginx"))
    title = f"segments of 750 KB, HTTP, {clients} clients: per CPU-second"
    return Row(f"segments-{clients}", run, (Figure("per_cpu_second", title, goals, of_busy=True),))


def playlists(clients: int) -> Row:
    """Playlists, every request the same to the byte."""

    def run(peer: Peer, bench: Bench) -> Sample:
        _load.fetch(peer.port, PLAYLIST)
        url = f"http://127.0.0.1:{peer.port}{PLAYLIST}"
        return told(_load.wrk(peer.pid, url, clients, bench.seconds, bench.load_core))

    goals = (Goal(1.5, "varnish"), Goal(0.7, "nginx"))
    title = f"playlists of 0.5 KB, identical heads, {clients} clients: per CPU-second"
    return Row(f"playlists-{clients}", run, (Figure("per_cpu_second", title, goals, of_busy=True),))


def tls_segments(clients: int, *, memory: bool) -> Row:
    """Segments over HTTPS, and on the way what a connection that is being served costs in user space."""

    def run(peer: Peer, bench: Bench) -> Sample:
        assert peer.tls is not None
        _load.fetch(peer.port, SEGMENTS[0])
        # One connection first: what TLS costs once is not what a connection costs.
        _load.take_tls_bodies(peer.pid, peer.tls, SEGMENTS[0], SEGMENT, 1, 0.1, bench.load_core)
        seconds = bench.seconds
        with sampled(lambda: resident_bytes(peer.pid, "Pss_Anon")) as grown:
            window = _load.take_tls_bodies(peer.pid, peer.tls, SEGMENTS[0], SEGMENT, clients, seconds, bench.load_core)
        return {**told(window), "memory": grown() / clients / 1024}

    title = f"segments of 750 KB, HTTPS, {clients} clients: per CPU-second"
    figures: tuple[Figure, ...] = (Figure("per_cpu_second", title, (Goal(1.0, "nginx"),), of_busy=True),)
    if memory:
        goal = Goal(60, at_least=False)
        figures += (Figure("memory", f"HTTPS, {clients} clients downloading: user space of each, KiB", (goal,)),)
    return Row(f"tls-segments-{clients}", run, figures, ("tierkit", "nginx"), fresh=memory)


def distinct(clients: int) -> Row:
    """Playlists, no two request lines alike: a token and a CMCD query each, and 200 user agents."""

    def run(peer: Peer, bench: Bench) -> Sample:
        _load.fetch(peer.port, PLAYLIST)
        before = _load.counts(bench.origin).get(PLAYLIST, 0)
        url = f"http://127.0.0.1:{peer.port}{PLAYLIST}"
        window = _load.wrk(peer.pid, url, clients, bench.seconds, bench.load_core, distinct=True)
        asked = _load.counts(bench.origin).get(PLAYLIST, 0) - before
        return {**told(window), "hits": 100 * (1 - asked / window.units)}

    title = f"playlists of 0.5 KB, every request line distinct, {clients} clients: per CPU-second"
    figures = (
        Figure("per_cpu_second", title, (Goal(25_000),), of_busy=True),
        Figure("hits", f"the same: % of {clients} clients' requests that the origin did not see"),
    )
    return Row(f"distinct-{clients}", run, figures)


def passed(clients: int) -> Row:
    """Answers that are for one viewer alone: each request goes to the origin."""

    def run(peer: Peer, bench: Bench) -> Sample:
        _load.fetch(peer.port, "/pass/1")
        url = f"http://127.0.0.1:{peer.port}/pass/1"
        return told(_load.wrk(peer.pid, url, clients, bench.seconds, bench.load_core))

    title = f"pass-through of 20 KB, `private`, {clients} clients: per CPU-second"
    return Row(f"pass-{clients}", run, (Figure("per_cpu_second", title, of_busy=True),))


@contextmanager
def sampled(measure: Callable[[], int], every: float = 0.25) -> Iterator[Callable[[], int]]:
    """Yields what tells the largest growth of a measure since the beginning, looked at now and then."""
    first, most, done = measure(), [0], threading.Event()

    def look() -> None:
        while not done.wait(every):
            most[0] = max(most[0], measure() - first)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield lambda: most[0]
    finally:
        done.set()
        watcher.join()


ROWS = {
    "1": (segments(50), segments(500)),
    "2": (tls_segments(50, memory=False), tls_segments(300, memory=True)),
    "3": (playlists(50), playlists(500)),
    "4": (distinct(50), distinct(500)),
    "5": (passed(50),),
}
