"""Rows of steady load: closed loops of keep-alive clients on objects that are cached."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks import _load, _load_tls
from benchmarks._figures import BUSY, SHARE, Bench, Figure, Goal, Row, Sample
from benchmarks._load import Window
from benchmarks._origin import names
from benchmarks._peers import Peer

SEGMENTS = tuple(names("seg", 20, ".ts"))
PLAYLIST = "/vod/1.m3u8"


def told(window: Window) -> Sample:
    """The sample of a window."""
    return {"per_cpu_second": window.per_cpu_second, SHARE: window.share, BUSY: window.busy}


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
    figures = (Figure("per_cpu_second", title, goals, of_busy=True),)
    return Row(f"playlists-{clients}", run, figures, programs=("wrk",))


def tls_segments(clients: int) -> Row:
    """Segments over HTTPS; Varnish speaks none."""

    def run(peer: Peer, bench: Bench) -> Sample:
        assert peer.tls is not None
        for path in SEGMENTS:
            _load.fetch(peer.port, path)
        with ExitStack() as stack:
            takers = _load_tls.open_takers(stack, peer.tls, SEGMENTS, clients)
            return told(_load_tls.take_bodies(peer.pid, takers, bench.seconds))

    title = f"segments of 750 KB, HTTPS, {clients} clients: per CPU-second"
    figures = (Figure("per_cpu_second", title, (Goal(1.0, "nginx"),), of_busy=True),)
    return Row(f"tls-segments-{clients}", run, figures, ("tierkit", "nginx"))


def distinct(clients: int, *, lines: bool) -> Row:
    """Playlists, no two heads alike, in the request line (a token, CMCD) or below it, and 200 user agents."""

    def run(peer: Peer, bench: Bench) -> Sample:
        path = f"/vod/{peer.name}.m3u8"
        _load.fetch(peer.port, path)
        before = _load.counts(bench.origin)[path]
        script = _load.DISTINCT_LINES if lines else _load.DISTINCT_HEADS
        url = f"http://127.0.0.1:{peer.port}{path}"
        first = 10_000_000 * (1000 * clients + bench.repetition)
        window = _load.wrk(peer.pid, url, clients, bench.seconds, bench.load_core, f"n = {first}\n{script}")
        asked = _load.counts(bench.origin)[path] - before
        return {**told(window), "hits": 100 * (1 - asked / window.units)}

    what = "request line" if lines else "head (not its request line)"
    title = f"playlists of 0.5 KB, every {what} distinct, {clients} clients: per CPU-second"
    goals = (Goal(25_000),) if lines else ()
    figures = (
        Figure("per_cpu_second", title, goals, of_busy=True),
        Figure("hits", "the same: % of requests that the origin did not see"),
    )
    return Row(f"distinct-{'lines' if lines else 'heads'}-{clients}", run, figures, programs=("wrk",))


def passed(clients: int) -> Row:
    """Answers that are for one viewer alone: each request goes to the origin."""

    def run(peer: Peer, bench: Bench) -> Sample:
        _load.fetch(peer.port, "/pass/1")
        url = f"http://127.0.0.1:{peer.port}/pass/1"
        return told(_load.wrk(peer.pid, url, clients, bench.seconds, bench.load_core))

    title = f"pass-through of 20 KB, `private`, {clients} clients: per CPU-second"
    figures = (Figure("per_cpu_second", title, of_busy=True),)
    return Row(f"pass-{clients}", run, figures, programs=("wrk",))


ROWS = {
    "1": (segments(50), segments(500)),
    "2": (tls_segments(50), tls_segments(300)),
    "3": (playlists(50), playlists(500)),
    "4": tuple(distinct(clients, lines=lines) for lines in (False, True) for clients in (50, 500)),
    "5": (passed(50),),
}
