"""How large a night is, who watches where, and whether this machine can hold it."""

from __future__ import annotations

import resource
from collections.abc import Iterator

from attrs import field, frozen

from tierkit.errors import TierkitError

__all__ = ["EDGES", "KBPS", "RELAY", "SITES", "Plan"]

#: The layout of examples/grnet.py.
EDGES = ("edge-a1", "edge-a2", "edge-b1")
RELAY = "relay-a"
SITES = {"edge-a1": "dc-a", "edge-a2": "dc-a", "edge-b1": "dc-b", "relay-a": "dc-a"}
#: The night's own: 3.55 Gbit/s for 6,000 viewers.
VIEWERS, KBPS = 6000, 592
#: Descriptors that a process needs besides those of its viewers: files, upstreams, what the core keeps in reserve; and
#: the share of them that an edge keeps for memfds, a quarter (DESIGN.md, of the store).
_BESIDE, _MEMFDS = 300, 0.25


def _split(parts: str | tuple[int, int]) -> tuple[int, int]:
    """ "3:1", of HLS and RTMP.  Raises TierkitError."""
    if isinstance(parts, tuple):
        return parts
    hls, _, rtmp = parts.partition(":")
    if not (hls.isdecimal() and rtmp.isdecimal() and int(hls) + int(rtmp)):
        raise TierkitError(f"split {parts[:40]!r} is none: write HLS:RTMP in whole parts, such as 3:1")
    return int(hls), int(rtmp)


@frozen(kw_only=True)
class Plan:
    """One run.  Raises TierkitError for what makes no sense."""

    #: Of the night of 2013; 0.1 are 600 viewers.
    scale: float = 1.0
    #: Seconds at the peak, and those before it in which the audience comes.
    seconds: float = 60.0
    ramp: float = 60.0
    #: HLS and RTMP, in parts.  What it was in 2013 nobody has told, and so with the ramp.
    split: tuple[int, int] = field(default=(3, 1), converter=_split)
    #: Players that read everything, at the peak, and are compared with the source.
    players: int = 10
    https: bool = False
    #: Seconds of a segment.
    segment: float = 4.0

    def __attrs_post_init__(self) -> None:
        if not 0 < self.scale <= 10:
            raise TierkitError(f"a scale of {self.scale:g} makes no night: give more than 0, and 10 at most")
        if not 5 <= self.seconds <= 3600 or not 0 <= self.ramp <= 3600:
            raise TierkitError("the peak lasts from 5 s to an hour, and the ramp an hour at most")
        if not 0 <= self.players <= 100:
            raise TierkitError(f"{self.players} players: give from 0 to 100")

    @property
    def viewers(self) -> int:
        """All of them; one at each tier at least."""
        return max(round(VIEWERS * self.scale), len(SITES))

    @property
    def audience(self) -> dict[str, int]:
        """How many watch at each tier."""
        hls, rtmp = self.split
        at_relay = round(self.viewers * rtmp / (hls + rtmp))
        rest = self.viewers - at_relay
        shares = {name: rest // len(EDGES) + (n < rest % len(EDGES)) for n, name in enumerate(EDGES)}
        return {**shares, RELAY: at_relay}

    @property
    def nominal(self) -> float:
        """Bits per second that all of them together must get."""
        return self.viewers * KBPS * 1000.0

    @property
    def frames_from(self) -> Iterator[str]:
        """The tiers that the players play from, in the proportion of the split, one after another."""
        hls, rtmp = self.split
        at_relay = min(self.players, max(1 if rtmp else 0, round(self.players * rtmp / (hls + rtmp))))
        at_edges = self.players - at_relay if hls else 0
        for number in range(at_edges):
            yield EDGES[number % len(EDGES)]
        for _ in range(self.players - at_edges):
            yield RELAY

    def check_descriptors(self, limit: int | None = None) -> None:
        """Raise TierkitError where a process would need more descriptors than it may have.

        `limit` is the hard one of this machine unless it is given.
        """
        if limit is None:
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        name, most = max(self.audience.items(), key=lambda each: each[1])
        need = round((most + _BESIDE) / (1 - _MEMFDS))
        if limit not in (resource.RLIM_INFINITY, -1) and need > limit:
            raise TierkitError(
                f"{name} needs some {need} descriptors for {most} viewers, and a process may have {limit} here: "
                f"raise the limit (ulimit -n {need}), or give a smaller --scale"
            )
