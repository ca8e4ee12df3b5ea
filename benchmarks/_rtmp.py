"""What `rtmp.py` compares, row by row."""

from __future__ import annotations

import os
import ssl
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from benchmarks import _load_tls, _rtmp_peers
from benchmarks._compare import Comparison
from benchmarks._figures import BUSY, SHARE, Bench, Figure, Goal, Row, Sample
from benchmarks._load import Window, metered
from benchmarks._peers import Peer
from benchmarks._procs import resident_bytes, socket_bytes
from benchmarks._rtmp_load import READ, Clip, Door, House, Player, make_clip

__all__ = ["COMPARISON"]

ALL = ("tierkit", "stock", "tuned")
MB = 1e6
#: Seconds from the last player's first picture to the window.
SETTLE = 2.0
#: Seconds that those who stall are left alone before the window: what they hold has grown by then.
STANDING = 20.0


@cache
def clip() -> Clip:
    """The one that all rows publish."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        return make_clip(Path(folder))


@cache
def trusting() -> ssl.SSLContext:
    """Players that trust everybody."""
    return _load_tls.any_certificate()


@contextmanager
def house(peer: Peer, streams: int = 1) -> Iterator[tuple[House, Door, list[str]]]:
    """Streams on air, with names that no run before has had, and nobody who plays them."""
    made, door = House(clip(), trusting()), Door(peer.port)
    # A half of a random number is enough: a name that another run has used would find its last pictures.
    names = [f"s{os.urandom(6).hex()}" for _ in range(streams)]
    try:
        for name in names:
            made.publish(door, name)
        made.run(3.0)
        yield made, door, names
    finally:
        made.close()


def window(peer: Peer, made: House, seconds: float, players: Sequence[Player] | None = None) -> Sample:
    """What the server spent and what players got in so many seconds; of some players, where they are named."""
    chosen = made.players if players is None else players
    before, sent = [each.arrived() for each in made.players], [each.sent for each in made.publishers]
    marks = [len(each.late) for each in made.readers]
    made.counting = True
    with metered(peer.pid) as spent:
        made.run(seconds)
    made.counting = False
    taken = {each: each.arrived() - then for each, then in zip(made.players, before, strict=True)}
    gbit = sum(taken.values()) * 8 / 1e9
    published = statistics.mean(each.sent - then for each, then in zip(made.publishers, sent, strict=True))
    late = sorted(each for reader, mark in zip(made.readers, marks, strict=True) for each in reader.late[mark:])
    found = Window(gbit, *spent)
    return {
        "per_gbit": found.cpu / gbit,
        "gbit": gbit / found.seconds,
        "least": 100 * min(taken[each] for each in chosen) / published,
        "gaps": sum(each.gaps for each in made.readers),
        "p50": percentile(late, 0.5),
        "p99": percentile(late, 0.99),
        SHARE: found.share,
        BUSY: found.busy,
    }


def percentile(values: Sequence[float], share: float) -> float:
    """Milliseconds, of sorted seconds."""
    return 1000 * values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def some(bench: Bench, players: int) -> int:
    """A tenth of the players where it is to be quick."""
    return players // 10 if bench.quick else players


def many(players: int, cost: float | None, latency: float, *, streams: int = 1, memory: float | None = None) -> Row:
    """So many players at the full rate.

    Args:
        cost: what of nginx-rtmp's CPU time may be spent for each Gbit, where there is a goal.
        latency: how late 99 % of messages may be, ms.
        memory: how much may be resident, MB.
    """

    def run(peer: Peer, bench: Bench) -> Sample:
        with house(peer, streams) as (made, door, names):
            made.join_all(door, names, some(bench, players))
            made.run(SETTLE)
            sample = window(peer, made, bench.seconds)
            sample["resident"] = resident_bytes(peer.pid) / MB
            sample["kernel"] = socket_bytes(peer.port) / MB
            return sample

    what = f"{players:,} players" if streams == 1 else f"{streams} streams of {players // streams} players"
    goals = () if cost is None else tuple(Goal(cost, other, at_least=False) for other in ("stock", "tuned"))
    most = () if memory is None else (Goal(memory, at_least=False),)
    figures = (
        Figure("per_gbit", f"{what}: CPU-seconds per Gbit", goals, of_busy=False),
        Figure("p99", "the same: added latency, p99, ms", (Goal(latency, at_least=False),)),
        Figure("least", "the same: what the least served got, % of what was published", (Goal(95),)),
        Figure("gbit", "the same: delivered, Gbit/s"),
        Figure("resident", "the same: resident, MB", most),
        Figure("kernel", "the same: the kernel for its sockets, MB"),
    )
    return Row(f"many-{streams}-{players}", run, figures, ALL, fresh=True)


def stalled(players: int = 1500) -> Row:
    """Every tenth takes nothing."""

    def run(peer: Peer, bench: Bench) -> Sample:
        with house(peer) as (made, door, names):
            made.join_all(door, names, some(bench, players))
            made.run(SETTLE)
            # Those who read see what others lose, so none of them stalls.
            held = [each for at, each in enumerate(made.players) if at % 10 == 1]
            made.stall(held)
            made.run(STANDING if not bench.quick else STANDING / 4)
            others = [each for each in made.players if not each.stalled]
            found = window(peer, made, bench.seconds, others)
            kernel = socket_bytes(peer.port) / MB
            return {**found, "kernel": kernel, "resident": resident_bytes(peer.pid) / MB}

    what = f"{players:,} players, every tenth stalled for {STANDING:.0f} s"
    figures = (
        Figure("least", f"{what}: what the least served other got, % of what was published", (Goal(95),)),
        Figure("gaps", "the same: gaps that others saw", (Goal(0, at_least=False),)),
        Figure("p99", "the same: added latency of others, p99, ms"),
        Figure("resident", "the same: resident, MB"),
        Figure("kernel", "the same: the kernel for its sockets, MB"),
    )
    return Row("stalled", run, figures, ALL, fresh=True)


def joining(there: int = 500, come: int = 200) -> Row:
    """From asking to play to the first keyframe, among others who watch."""

    def run(peer: Peer, bench: Bench) -> Sample:
        with house(peer) as (made, door, names):
            made.join_all(door, names, some(bench, there))
            made.run(SETTLE)
            for _ in range(some(bench, come)):
                made.join(door, names[0], reads=True)
                made.run(0.02)
            made.run(5.0)
            newest = made.readers[-some(bench, come) :]
            waits = sorted(each.keyframe_after or 5.0 for each in newest)
            return {"p50": percentile(waits, 0.5), "p99": percentile(waits, 0.99)}

    figures = (
        Figure("p50", f"{come} join {there}: from play to the first keyframe, median, ms"),
        Figure("p99", "the same: p99, ms", (Goal(100, at_least=False),)),
    )
    return Row("joining", run, figures, ALL)


def storm(there: int = 500, come: int = 2000, within: float = 2.0) -> Row:
    """Many at once, and those who were there before."""

    def run(peer: Peer, bench: Bench) -> Sample:
        with house(peer) as (made, door, names):
            made.join_all(door, names, some(bench, there))
            made.run(SETTLE)
            before = [each.arrived() for each in made.players]
            sent, began = made.publishers[0].sent, time.monotonic()
            made.counting = True
            made.join_all(door, names, some(bench, come), per_second=some(bench, come) / within)
            playing = time.monotonic() - began
            made.run(max(1.0, 5.0 - playing))
            published = made.publishers[0].sent - sent
            old = [each.arrived() - then for each, then in zip(made.players, before, strict=False)]
            watched = [each for each in made.readers if each.began < began]
            late = sorted(each for reader in watched for each in reader.late)
            return {
                "playing": playing,
                "least": 100 * min(old) / published,
                "p99": percentile(late, 0.99),
            }

    figures = (
        Figure("playing", f"{come:,} join {there} within {within:g} s: until all play, s", (Goal(5, at_least=False),)),
        Figure("least", "the same: what the least served old one got, % of what was published", (Goal(95),)),
        Figure("p99", "the same: added latency of the old, p99, ms"),
    )
    return Row("storm", run, figures, ALL, fresh=True)


def encrypted(players: int = 500) -> Row:
    """RTMPS; nginx-rtmp speaks none."""

    def run(peer: Peer, bench: Bench) -> Sample:
        assert peer.tls is not None
        with house(peer) as (made, door, names):
            secure = Door(peer.tls, tls=True)
            made.join_all(secure, names, 20)
            first = resident_bytes(peer.pid, "Pss_Anon")
            made.join_all(secure, names, some(bench, players))
            # Nobody who deciphers reads along by TLS: those by the other door share the ring and the pump.
            for _ in range(some(bench, players) // READ):
                made.join(door, names[0], reads=True)
            made.run(SETTLE)
            sample = window(peer, made, bench.seconds)
            grown = resident_bytes(peer.pid, "Pss_Anon") - first
            return {**sample, "each": grown / some(bench, players) / 1024}

    figures = (
        Figure("per_gbit", f"RTMPS, {players} players: CPU-seconds per Gbit"),
        Figure("each", "the same: user space of each, KiB"),
        Figure("least", "the same: what the least served got, % of what was published", (Goal(95),)),
    )
    return Row("tls", run, figures, ("tierkit",), fresh=True)


COMPARISON = Comparison(
    "rtmp.py",
    {
        "1": (many(500, 0.33, 350), many(1500, 0.33, 350), many(4000, 0.33, 350)),
        "2": (many(6000, None, 500, memory=150),),
        "3": (many(100, None, 60),),
        "4": (stalled(),),
        "5": (many(4000, None, 500, streams=100),),
        "6": (joining(),),
        "7": (storm(),),
        "8": (encrypted(),),
    },
    _rtmp_peers.STARTERS,
    origin=False,
)
