"""What came of a night: the conditions that were not held, and those of the run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import define, field

from ._clip import Clip
from ._plan import EDGES, KBPS, RELAY, SITES, Plan
from ._players import Played
from ._watch import Watch

__all__ = ["MEMORY", "Outcome", "broken", "conditions"]

#: Bytes that a tier may have, resident, in memfds and in sockets.
MEMORY = 250_000_000


@define
class Outcome:
    """What the loads and the players have seen."""

    #: By tier, what `tierkit load --json` tells.
    loads: dict[str, dict[str, Any]] = field(factory=dict)
    players: dict[str, dict[str, Played]] = field(factory=dict)
    #: Processor seconds, by whose.
    cpu: dict[str, float] = field(factory=dict)
    #: What has failed altogether, a line each.
    failed: list[str] = field(factory=list)
    #: From when to when all were there, on trio's clock.
    peak: tuple[float, float] = (0.0, 0.0)
    #: When all were there, unix time.
    peak_at: float = 0.0
    #: The most clients, and connections, that the origin had then.
    clients: int | None = None
    connections: int | None = None

    def total(self, key: str) -> int:
        """A count of all loads together."""
        return sum(int(each.get(key) or 0) for each in self.loads.values())

    @property
    def bits(self) -> float:
        """What all viewers together received in a second of the peak."""
        return sum(float(each.get("gbit_per_s") or 0) for each in self.loads.values()) * 1e9


def broken(plan: Plan, outcome: Outcome, watch: Watch) -> list[str]:
    """The conditions that were not held, a line each."""
    return [*outcome.failed, *_viewers(plan, outcome), *_players(plan, outcome), *_tiers(outcome, watch)]


def _viewers(plan: Plan, outcome: Outcome) -> Iterator[str]:
    for name, told in outcome.loads.items():
        if told.get("stalled_viewers"):
            yield f"{told['stalled_viewers']} viewers of {name} stalled, {told.get('stalls')} times in all"
        if told.get("starved_viewers"):
            yield f"{told['starved_viewers']} viewers of {name} had less than 95 % of some 5 s of the stream"
        for evidence in (told.get("self_check") or {}).get("evidence", ()):
            yield f"the load of {name} was too slow itself, so its figures are its own: {evidence}"
        if errors := told.get("errors"):
            yield f"viewers of {name} met {', '.join(f'{count} x {kind}' for kind, count in errors.items())}"
    if outcome.bits < plan.nominal:
        yield (
            f"all viewers together got {outcome.bits / 1e9:.3f} Gbit/s, and not the {plan.nominal / 1e9:.3f} of "
            f"{plan.viewers:,} at {KBPS} kbit/s"
        )


def _players(plan: Plan, outcome: Outcome) -> Iterator[str]:
    for label, kinds in outcome.players.items():
        for kind, played in kinds.items():
            if not played.fine:
                yield (
                    f"{label} differs from the source: of its {kind} packets {played.same} are the source's, "
                    f"{played.other} are not, and there are {played.gaps} gaps"
                )


def _tiers(outcome: Outcome, watch: Watch) -> Iterator[str]:
    if outcome.clients is not None and outcome.clients > len(SITES):
        yield f"the origin saw {outcome.clients} clients at the peak, and there are {len(SITES)} tiers"
    for name in (*EDGES, RELAY):
        most = max(watch.inside.get(name, 0), watch.outside[name].total if name in watch.outside else 0)
        if not most:
            yield f"nobody knows how much memory {name} had"
        elif most > MEMORY:
            yield f"{name} had {most / 1e6:.0f} MB, and {MEMORY / 1e6:.0f} are what it may have"
    if watch.restarts:
        yield f"processes of tiers have ended and were started again, {watch.restarts} times"


def conditions(plan: Plan, outcome: Outcome, watch: Watch, clip: Clip | None) -> dict[str, str]:
    """What is to be known of the run, in words."""
    hls, rtmp = plan.split
    rate = f"{clip.kbps:.0f} kbit/s as FLV" if clip else "the project's test signal"
    made = "a clip of 20 s in a loop, H.264 and AAC" if clip else "made while it plays"
    audience = ", ".join(f"{count:,} at {name}" for name, count in plan.audience.items())
    return {
        "all on one machine": "load, tiers, origin and encoder share its cores",
        "scale": f"{plan.scale:g}: {audience}",
        "split (an assumption)": f"{hls}:{rtmp} of HLS{' over HTTPS' if plan.https else ''} and RTMP",
        "ramp (an assumption)": f"{plan.ramp:g} s, evenly; then {plan.seconds:g} s with all of them",
        "stream": f"{rate}, {made}; segments of {plan.segment:g} s",
        "origin": "tierkit's embedded one in a process of its own, where Wowza stood in 2013",
        "received by viewers": f"{outcome.bits / 1e9:.3f} Gbit/s; nominal are {plan.nominal / 1e9:.3f}",
        "viewers": "as the tiers count them: of HLS connections, of which a player that is compared has two or three",
        "stall": "media more than 1 s behind, of viewers that read; of the others, too few bytes",
        "clients of the origin": _clients(outcome),
        "players compared": _compared(outcome),
        "memory by the system": _outside(watch),
        "CPU time": ", ".join(f"{name} {seconds:.1f} s" for name, seconds in sorted(outcome.cpu.items())),
        "looks": f"{watch.looks}, once a second; {watch.missed} were not answered",
    }


def _clients(outcome: Outcome) -> str:
    known = "not counted, as ss is not here" if outcome.clients is None else f"{outcome.clients} processes"
    return f"{known}, and by its own count {outcome.connections} connections, the encoder left out"


def _compared(outcome: Outcome) -> str:
    if not outcome.players:
        return "none"
    every = [each for kinds in outcome.players.values() for each in kinds.values()]
    fine = sum(all(each.fine for each in kinds.values()) for kinds in outcome.players.values())
    return (
        f"{fine} of {len(outcome.players)} equal to the source: {sum(each.same for each in every):,} packets by their "
        f"MD5, {sum(each.other for each in every)} others, {sum(each.gaps for each in every)} gaps"
    )


def _outside(watch: Watch) -> str:
    """What the system says, beside what the tiers say: resident, memfds, sockets."""
    found = [
        f"{name} {each.total / 1e6:.0f} MB ({each.resident / 1e6:.0f} + {each.memfds / 1e6:.0f} + "
        f"{each.sockets / 1e6:.0f}; it says {watch.inside.get(name, 0) / 1e6:.0f})"
        for name, each in sorted(watch.outside.items())
    ]
    return ", ".join(found) or "not looked at"
