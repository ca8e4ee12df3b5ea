"""What a load run has found, and the tally that it is counted in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from ._playback import Playback
from ._self_check import SelfCheck, worst_of
from ._watched import Watched

__all__ = ["Quantiles", "Report", "Tally", "lateness", "quantiles"]

#: Offsets are counted by ticks of 0.1 ms: a frame of each reading player is too much to keep one by one.
_TICKS = 10_000


@frozen
class Quantiles:
    """Median and 99th percentile in milliseconds; None where nothing was measured."""

    p50: float | None = None
    p99: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """For JSON."""
        return {"p50": self.p50, "p99": self.p99}


def quantiles(samples: Sequence[float]) -> Quantiles:
    """Of samples in seconds.  Nearest rank: always a value that really occurred."""
    if not samples:
        return Quantiles()
    ordered = sorted(samples)
    found = (ordered[max(0, math.ceil(share * len(ordered)) - 1)] for share in (0.50, 0.99))
    return Quantiles(*(round(1000 * value, 1) for value in found))


def lateness(epochs: Mapping[int, Counter[int]]) -> Quantiles:
    """Of counted offsets in ticks, each above the least of its epoch; nearest rank again."""
    late: Counter[int] = Counter()
    for offsets in epochs.values():
        least = min(offsets)
        for ticks, count in offsets.items():
            late[ticks - least] += count
    if not late:
        return Quantiles()
    ranks = [math.ceil(share * late.total()) for share in (0.50, 0.99)]
    found: list[float] = []
    seen = 0
    for ticks in sorted(late):
        seen += late[ticks]
        while len(found) < len(ranks) and seen >= ranks[len(found)]:
            found.append(round(1000 * ticks / _TICKS, 1))
    return Quantiles(*found)


@frozen(kw_only=True)
class Report:
    """The outcome of `run_hls` or `run_rtmp`.

    `bytes` and `gbit_per_s` are of the `seconds` in which the whole audience was there, that is behind the
    ramp; all other figures are of the whole run.
    """

    viewers: int
    #: How long the whole audience watched.
    seconds: float
    #: HLS: of response bodies.  RTMP: of chunks.  What came, whether it completed anything or not.
    bytes: int
    #: From a viewer's first dial to its first whole segment (HLS) or frame (RTMP), failed attempts included; once
    #: for each viewer who got so far.
    startup_ms: Quantiles
    #: How often media fell more than a second behind; `tierkit.load.Playback` has the definition.  Of all viewers:
    #: those who drop what they get are judged by the media that their bytes are worth.
    stalls: int
    stalled_viewers: int
    #: How often each kind of failure occurred, such as "http 404", "refused", "gap", "continuity".
    errors: dict[str, int]
    #: HLS: now minus EXT-X-PROGRAM-DATE-TIME of a segment's end, for segments that were listed after the viewer
    #: came; None where the playlist has no dates.  RTMP: arrival minus media time, above the least that any reading
    #: player saw.  Reading viewers alone.
    latency_ms: Quantiles
    #: Viewers who had less than 95 % of some 5 s of the stream to play, whether that became a stall or not.
    starved_viewers: int = 0
    #: HLS: how often a viewer has gone to a higher and to a lower variant, and segments by their variant's BANDWIDTH.
    switches_up: int = 0
    switches_down: int = 0
    variants: dict[int, int] = field(factory=dict)
    #: Whether the load tool itself was too slow for this.
    self_check: SelfCheck = field(factory=SelfCheck)
    #: What became of each viewer, in the order in which they came.  Not in `as_dict`.
    audience: tuple[Watched, ...] = field(default=(), repr=False)
    #: What a person should know besides, a line each.
    notes: tuple[str, ...] = ()

    @property
    def gbit_per_s(self) -> float:
        """10**9 bits a second; 0 for a run without duration."""
        return self.bytes * 8 / 1e9 / self.seconds if self.seconds > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON; these keys are a contract with other people's scripts."""
        return {
            "viewers": self.viewers,
            "seconds": self.seconds,
            "bytes": self.bytes,
            "gbit_per_s": round(self.gbit_per_s, 6),
            "startup_ms": self.startup_ms.as_dict(),
            "stalls": self.stalls,
            "stalled_viewers": self.stalled_viewers,
            "errors": dict(self.errors),
            "latency_ms": self.latency_ms.as_dict(),
            "starved_viewers": self.starved_viewers,
            "switches": {"up": self.switches_up, "down": self.switches_down},
            "variants": {str(bandwidth): count for bandwidth, count in sorted(self.variants.items())},
            "self_check": self.self_check.as_dict(),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """For people: a few lines without a trailing newline."""
        errors = ", ".join(f"{count} x {kind}" for kind, count in sorted(self.errors.items())) or "none"
        lines = [
            f"viewers  {self.viewers} for {self.seconds:.1f} s",
            f"traffic  {self.gbit_per_s:.3f} Gbit/s ({self.bytes} bytes)",
            f"startup  {_shown(self.startup_ms)}",
            f"stalls   {self.stalls} at {self.stalled_viewers} viewers",
            f"starved  {self.starved_viewers} viewers had less than 95 % of some 5 s",
            f"latency  {_shown(self.latency_ms)}",
            f"errors   {errors}",
        ]
        if len(self.variants) > 1:
            watched = ", ".join(f"{count} of {rate // 1000} kbit/s" for rate, count in sorted(self.variants.items()))
            lines.append(f"variants {watched}; {self.switches_up} switches up, {self.switches_down} down")
        check = self.self_check
        if check.bottleneck:
            lines.append(f"THE LOAD TOOL WAS THE BOTTLENECK: {'; '.join(check.evidence)}: {check.advice}")
        else:
            lines.append(
                f"itself   no bottleneck: {check.cpu:.2f} of a core at most, {check.late_p99_ms:.0f} ms late (99th "
                f"percentile), {check.processes} process{'es' if check.processes > 1 else ''}"
            )
        return "\n".join([*lines, *(f"note     {each}" for each in self.notes)])


def _shown(value: Quantiles) -> str:
    if value.p50 is None:
        return "not measured"
    return f"median {value.p50:.0f} ms, 99th percentile {value.p99:.0f} ms"


@define(eq=False)
class Tally:
    """What all viewers of a run count in.  Times are seconds."""

    bytes: int = 0
    startups: list[float] = field(factory=list)
    latencies: list[float] = field(factory=list)
    #: RTMP, by epoch of the stream's clock: arrival minus media time in ticks, and how many frames had it.
    offsets: dict[int, Counter[int]] = field(factory=dict)
    errors: Counter[str] = field(factory=Counter)
    playbacks: list[Playback] = field(factory=list)
    #: HLS: switches by "up" and "down", segments by BANDWIDTH.
    switches: Counter[str] = field(factory=Counter)
    variants: Counter[int] = field(factory=Counter)
    #: Those who have left.
    audience: list[Watched] = field(factory=list)
    #: Bytes that had come when the ramp was over.
    ramp_bytes: int = 0
    checks: list[SelfCheck] = field(factory=list)
    notes: list[str] = field(factory=list)

    def late(self, epoch: int, offset: float) -> None:
        """A frame's arrival minus its media time, by clocks that have nothing in common."""
        self.offsets.setdefault(epoch, Counter())[round(offset * _TICKS)] += 1

    def merge(self, other: Tally) -> None:
        """Add what another process has counted: counts and samples, so that quantiles are of all of them.

        Offsets go by the machine's monotonic clock, which its processes share.
        """
        self.bytes += other.bytes
        self.ramp_bytes += other.ramp_bytes
        for epoch, offsets in other.offsets.items():
            self.offsets.setdefault(epoch, Counter()).update(offsets)
        self.startups += other.startups
        self.latencies += other.latencies
        self.errors.update(other.errors)
        self.switches.update(other.switches)
        self.variants.update(other.variants)
        self.audience += other.audience
        self.checks += other.checks
        self.notes += other.notes

    def as_dict(self) -> dict[str, Any]:
        """For another process; of playbacks there is what became of them, the audience."""
        return {
            "bytes": self.bytes,
            "ramp_bytes": self.ramp_bytes,
            "startups": self.startups,
            "latencies": self.latencies,
            "offsets": [[epoch, list(offsets.items())] for epoch, offsets in self.offsets.items()],
            "errors": dict(self.errors),
            "switches": dict(self.switches),
            "variants": list(self.variants.items()),
            "audience": [each.as_dict() for each in self.audience],
            "checks": [each.as_dict() for each in self.checks],
            "notes": self.notes,
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Tally:
        """The inverse of `as_dict`."""
        values = dict(found)
        values["offsets"] = {epoch: Counter(dict(offsets)) for epoch, offsets in found["offsets"]}
        values["errors"], values["switches"] = Counter(found["errors"]), Counter(found["switches"])
        values["variants"] = Counter(dict(found["variants"]))
        values["audience"] = [Watched.from_dict(each) for each in found["audience"]]
        values["checks"] = [SelfCheck.from_dict(each) for each in found["checks"]]
        return cls(**values)

    def report(self, *, viewers: int, seconds: float) -> Report:
        """The outcome, when every viewer has left."""
        return Report(
            viewers=viewers,
            seconds=round(seconds, 3),
            bytes=self.bytes - self.ramp_bytes,
            startup_ms=quantiles(self.startups),
            stalls=sum(len(each.stalls) for each in self.audience),
            stalled_viewers=sum(bool(each.stalls) for each in self.audience),
            errors=dict(sorted(self.errors.items())),
            latency_ms=quantiles(self.latencies) if self.latencies else lateness(self.offsets),
            starved_viewers=sum(bool(each.starved) for each in self.audience),
            switches_up=self.switches["up"],
            switches_down=self.switches["down"],
            variants=dict(sorted(self.variants.items())),
            self_check=worst_of(self.checks),
            audience=tuple(sorted(self.audience, key=lambda each: each.viewer)),
            notes=tuple(self.notes),
        )
