"""What a load run has found, and the tally that it is counted in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from ._playback import Playback

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
        }

    def text(self) -> str:
        """For people: a few lines without a trailing newline."""
        errors = ", ".join(f"{count} x {kind}" for kind, count in sorted(self.errors.items())) or "none"
        return "\n".join(
            (
                f"viewers  {self.viewers} for {self.seconds:.1f} s",
                f"traffic  {self.gbit_per_s:.3f} Gbit/s ({self.bytes} bytes)",
                f"startup  {_shown(self.startup_ms)}",
                f"stalls   {self.stalls} at {self.stalled_viewers} viewers",
                f"latency  {_shown(self.latency_ms)}",
                f"errors   {errors}",
            )
        )


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
    #: Bytes that had come when the ramp was over.
    ramp_bytes: int = 0

    def late(self, epoch: int, offset: float) -> None:
        """A frame's arrival minus its media time, by clocks that have nothing in common."""
        self.offsets.setdefault(epoch, Counter())[round(offset * _TICKS)] += 1

    def report(self, *, viewers: int, seconds: float) -> Report:
        """The outcome, when every viewer has left."""
        return Report(
            viewers=viewers,
            seconds=round(seconds, 3),
            bytes=self.bytes - self.ramp_bytes,
            startup_ms=quantiles(self.startups),
            stalls=sum(each.stalls for each in self.playbacks),
            stalled_viewers=sum(each.stalls > 0 for each in self.playbacks),
            errors=dict(sorted(self.errors.items())),
            latency_ms=quantiles(self.latencies) if self.latencies else lateness(self.offsets),
        )
