"""What is compared: rows of figures with their goals, medians of the runs, and the Markdown table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence

import attrs

from benchmarks._peers import Peer

NAMES = {"tierkit": "tierkit", "nginx": "nginx", "varnish": "Varnish"}
NAMES |= {"stock": "nginx-rtmp", "tuned": "nginx-rtmp, tuned", "bare": "nobody looks"}
#: Under these keys a sample tells the share of its core that the server used, and the share of the time in
#: which it had something to do (more, where others had the core).
SHARE, BUSY = "share", "busy"
#: Less of the core or of the time than this, and a server's figure is marked.
HALF = 0.5

Sample = dict[str, float]


@attrs.frozen
class Goal:
    """A bound on tierkit's figure: by itself, or as a multiple of a peer's."""

    bound: float
    peer: str = ""
    at_least: bool = True

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.bound:g} times {NAMES[self.peer]}" if self.peer else f"{sign} {number(self.bound)}"

    def judge(self, medians: dict[str, float]) -> str:
        """What it came to, in words; empty where the peer did not run."""
        own, other = medians.get("tierkit"), medians.get(self.peer) if self.peer else 1.0
        if own is None or not other:
            return ""
        came = own / other
        met = came >= self.bound if self.at_least else came <= self.bound
        return f"{f'{came:.2f}: ' if self.peer else ''}{'met' if met else '**not met**'}"


@attrs.frozen
class Figure:
    """One line of the table."""

    key: str
    title: str
    goals: tuple[Goal, ...] = ()
    #: Whether it means something only where the server was busy.
    of_busy: bool = False


@attrs.frozen
class Row:
    """One thing that every peer is asked to do, and the figures that come of it."""

    key: str
    run: Callable[[Peer, Bench], Sample]
    figures: tuple[Figure, ...]
    peers: tuple[str, ...] = ("tierkit", "nginx", "varnish")
    #: Memory is told by a process that has done nothing else: peers are started anew for each run.
    fresh: bool = False
    #: Options of tierkit's service for this row, `NAME=VALUE` each.
    options: tuple[str, ...] = ()
    #: Programs without which it is left out.
    programs: tuple[str, ...] = ()


@attrs.frozen
class Bench:
    """What all rows share."""

    origin: int
    load_core: int | None
    seconds: float = 4.0
    quick: bool = False
    #: Told apart from other repetitions: each cold object needs a name of its own.
    repetition: int = 0


@attrs.define
class Results:
    """Samples by row, peer and figure."""

    samples: dict[str, dict[str, list[Sample]]] = attrs.Factory(dict)
    #: What went wrong, by row and peer.
    voids: dict[tuple[str, str], str] = attrs.Factory(dict)

    def add(self, row: Row, peer: str, sample: Sample) -> None:
        """One run more."""
        self.samples.setdefault(row.key, {}).setdefault(peer, []).append(sample)

    def void(self, row: Row, peer: str, reason: str) -> None:
        """A run that tells nothing, and voids the figure: a median of those that went well would flatter."""
        self.voids[row.key, peer] = reason

    def tried(self, row: Row) -> bool:
        """Whether anybody was asked for it."""
        return row.key in self.samples or any(key == row.key for key, _ in self.voids)

    def median(self, row: str, peer: str, key: str) -> float | None:
        """Over the runs; None where there is nothing, or a run went wrong."""
        if (row, peer) in self.voids:
            return None
        found = [sample[key] for sample in self.samples.get(row, {}).get(peer, ()) if key in sample]
        return statistics.median(found) if found else None

    def medians(self, row: str, key: str) -> dict[str, float]:
        """By peer."""
        told = {peer: self.median(row, peer, key) for peer in self.samples.get(row, {})}
        return {peer: value for peer, value in told.items() if value is not None}


def number(value: float) -> str:
    """As people read it: three digits that count, thousands set apart."""
    if value == 0 or math.isnan(value):
        return "0" if value == 0 else "-"
    if abs(value) < 1000 and value == round(value):
        return f"{value:.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}" if digits else f"{round(value, 2 - math.floor(math.log10(abs(value)))):,.0f}"


def cell(results: Results, row: Row, figure: Figure, peer: str) -> str:
    """A median, with the share of its core that the server used where that matters."""
    value = results.median(row.key, peer, figure.key)
    if value is None:
        return "void" if (row.key, peer) in results.voids else ""
    share = results.median(row.key, peer, SHARE)
    if share is None or not figure.of_busy:
        return number(value)
    return f"{number(value)} ({share:.0%}{doubt(share, results.median(row.key, peer, BUSY))})"


def doubt(share: float, busy: float | None) -> str:
    """What to hold against a figure: the server had too little to do, or others had its core."""
    if busy is None or share >= HALF:
        return ""
    return ": idle" if busy < HALF else ": core shared"


def line(results: Results, row: Row, figure: Figure, peers: Sequence[str]) -> str:
    """One line of the table."""
    medians = results.medians(row.key, figure.key)
    goals = "; ".join(str(goal) for goal in figure.goals)
    judged = "; ".join(filter(None, (goal.judge(medians) for goal in figure.goals)))
    cells = [cell(results, row, figure, peer) for peer in peers]
    return f"| {' | '.join([figure.title, *cells, goals, judged])} |"


def table(results: Results, rows: Iterable[Row], peers: Sequence[str]) -> str:
    """Markdown, one line for each figure that has been measured."""
    head = ["figure", *(NAMES[peer] for peer in peers), "goal", "tierkit against it"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [line(results, row, figure, peers) for row in rows if results.tried(row) for figure in row.figures]
    return "\n".join(lines)
