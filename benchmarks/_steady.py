"""Rows of steady load: closed loops of keep-alive clients on objects that are cached."""

from __future__ import annotations

from benchmarks import _load
from benchmarks._figures import SHARE, Bench, Figure, Goal, Row, Sample
from benchmarks._load import Window
from benchmarks._origin import names
from benchmarks._peers import Peer

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


ROWS = {
    "1": (segments(50), segments(500)),
    "3": (playlists(50), playlists(500)),
}
