"""What tiers of each kind cost: the constants of the arithmetic, and the CPU that they mean.

Two shapes.  What is fetched by *requests* (HLS) costs CPU for each request and for each bit.  What is a *stream* (RTMP,
FLV) leaves in passes of the pump, whose pace depends on what a pass costs (`tierkit.plugin.pass_delay`): a send to
each player in each pass, and the bits of it.  So the cost of a bit falls as the audience grows, until passes are as
rare as they get.  All CPU is in seconds of one core, all rates are of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from attrs import field, frozen, validators

from tierkit.plugin import pass_delay

__all__ = ["GBIT", "Costs", "Players", "pump_cpu"]

GBIT = 1e9
#: Messages of a stream a second: 25 pictures and 43 frames of AAC.  There are no more passes than that.
MESSAGES = 68.0
#: Longest time that a relay holds media: the default of its option `batch`.
BATCH = 0.3
#: Of the search for the pace: exact to a millionth.
HALVINGS = 20
_MOST = 1e15


def _cost() -> Any:
    return field(default=0.0, validator=[validators.instance_of((int, float)), validators.ge(0), validators.lt(_MOST)])


def _points(value: Iterable[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    found = tuple((float(at), float(cost)) for at, cost in value)
    for (at, cost), (later, more) in pairwise(((0.0, 0.0), *found)):
        if not (at < later < _MOST and cost <= more < _MOST):
            raise ValueError("the points of a curve rise")
    return found


@frozen(kw_only=True)
class Costs:
    """Of one kind of tier."""

    #: Share of a core without viewers, and more for each stream that comes in, and for each viewer.
    base_cpu: float = _cost()
    stream_cpu: float = _cost()
    viewer_cpu: float = _cost()
    #: CPU-seconds of one pass of the pump, of one send in it, and of one Gbit that is sent.
    pass_cpu: float = _cost()
    send_cpu: float = _cost()
    gbit_cpu: float = _cost()
    #: Requests a second, and the share of a core that so many took, bits left out: rising.  Requests that come
    #: together share a wake-up, so each is cheaper the more there are.
    curve: tuple[tuple[float, float], ...] = field(default=(), converter=_points)
    #: CPU-seconds of each request beyond the last of these.
    request_cpu: float = _cost()
    #: Bytes of the process without viewers; of each viewer; and in the kernel for its socket while it keeps up.
    base_bytes: float = _cost()
    viewer_bytes: float = _cost()
    socket_bytes: float = _cost()
    #: Bytes in the kernel of a viewer that takes nothing.
    stalled_bytes: float = _cost()
    #: Where these numbers are from, for people.
    source: str = field(default="", validator=validators.instance_of(str))

    def requests(self, rate: float) -> float:
        """The share of a core for so many requests a second, without their bits."""
        before, share = 0.0, 0.0
        for at, cost in self.curve:
            if rate <= at:
                return share + (cost - share) * (rate - before) / (at - before)
            before, share = at, cost
        return share + (rate - before) * self.request_cpu


@frozen
class Players:
    """Players of one kind on a pump: how many, at how many bit/s each."""

    count: float
    rate: float
    costs: Costs

    def sends_cpu(self, interval: float) -> float:
        """CPU-seconds of their sends in one pass, with so many seconds between two."""
        return self.count * (self.costs.send_cpu + self.rate * interval / GBIT * self.costs.gbit_cpu)


def pump_cpu(everybody: Sequence[Players], cap: float = BATCH) -> float:
    """The share of a core that a pump takes for these players; more than 1 means that it cannot.

    The pace is where both hold: a pass costs its sends and the bits of the time between two, and that time follows
    from the cost.  There are no more passes than messages.
    """
    if not any(each.count for each in everybody):
        return 0.0
    interval, longest = 1 / MESSAGES, cap
    if pass_delay(_sends(everybody, interval), cap) > interval:
        for _ in range(HALVINGS):
            middle = (interval + longest) / 2
            if pass_delay(_sends(everybody, middle), cap) > middle:
                interval = middle
            else:
                longest = middle
    # A process has one pump, whoever plays there: what a pass costs besides its sends is there once.
    besides = max(each.costs.pass_cpu for each in everybody if each.count)
    return (_sends(everybody, interval) + besides) / interval


def _sends(everybody: Sequence[Players], interval: float) -> float:
    return sum(each.sends_cpu(interval) for each in everybody)
