"""From measured audiences to costs: which figure says what, and least squares where two of them say it together."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from ._costs import GBIT, Costs
from ._demand import GOPS
from ._fit import fit
from ._profile import MEASURED
from ._samples import Rates

__all__ = ["origin_costs", "request_costs", "stream_costs"]


def request_costs(kind: str, idle: Rates, sizes: Sequence[Rates], dense: Rates) -> Costs:
    """Of a tier whose viewers fetch pieces.

    Args:
        sizes: audiences of one stream that grow, two at the least.
        dense: as large a one as the second, of a stream with more bits.
    """
    least = MEASURED[kind]
    gbit = _per_gbit(sizes[1], dense)
    if gbit <= 0:
        # Too little to be told from noise, and yet no bit is free.
        gbit = least.gbit_cpu
    own = [max(0.0, each.cpu - idle.cpu - gbit * each.bits_out / GBIT) for each in sizes]
    # Nobody at all would still be a stream that is fetched: what the two smallest audiences lead back to.
    slope = (own[1] - own[0]) / (sizes[1].requests - sizes[0].requests)
    stream = max(0.0, own[0] - slope * sizes[0].requests)
    curve = _rising([(each.requests, max(0.0, cpu - stream)) for each, cpu in zip(sizes, own, strict=True)])
    (before, less), (last, more) = curve[-2:]
    costs = evolve(
        least,
        base_cpu=idle.cpu,
        stream_cpu=stream,
        gbit_cpu=gbit,
        curve=curve,
        request_cpu=max(least.request_cpu, (more - less) / (last - before)),
    )
    return _memory(costs, sizes, [0.0] * len(sizes))


def stream_costs(kind: str, idle: Rates, sizes: Sequence[Rates], dense: Rates, gop: float) -> Costs:
    """Of a tier that fans out: the pump itself says what its sends cost, what is left goes by its passes."""
    large = (*sizes[1:], dense)
    send, gbit = fit([(each.sends, each.bits_out / GBIT) for each in large], [each.pump for each in large])
    everybody = (*sizes, dense)
    stream, besides = fit(
        [(1.0, each.passes) for each in everybody], [max(0.0, each.cpu - each.pump - idle.cpu) for each in everybody]
    )
    costs = evolve(
        MEASURED[kind],
        base_cpu=idle.cpu,
        stream_cpu=stream,
        pass_cpu=besides,
        send_cpu=send,
        gbit_cpu=gbit or MEASURED[kind].gbit_cpu,
    )
    # What the ring holds is reckoned by the plan, so it is no part of the base.
    return _memory(costs, sizes, [GOPS * gop * each.bits_out / each.viewers / 8 for each in sizes])


def origin_costs(idle: Rates, busy: Rates, streams: int, kept: float) -> Costs:
    """Of an embedded origin that takes `streams` publishers and holds `kept` bytes of their media."""
    return evolve(
        MEASURED["origin"],
        base_cpu=idle.cpu,
        stream_cpu=max(0.0, busy.cpu - idle.cpu) / streams,
        base_bytes=max(idle.resident, busy.resident - kept),
    )


def _per_gbit(thin: Rates, dense: Rates) -> float:
    """CPU-seconds of each Gbit, from two audiences of one size."""
    # A viewer late makes a request fewer: it is the bits that are to differ.
    requests = thin.requests / dense.requests if dense.requests else 1.0
    return (dense.cpu * requests - thin.cpu) / ((dense.bits_out * requests - thin.bits_out) / GBIT)


def _rising(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Points of a curve that never falls; where it did, it was noise."""
    found: list[tuple[float, float]] = []
    highest = 0.0
    for at, cost in points:
        highest = max(highest, cost)
        found.append((at, highest))
    return tuple(found)


def _memory(costs: Costs, sizes: Sequence[Rates], rings: Sequence[float]) -> Costs:
    own = [each.resident - ring for each, ring in zip(sizes, rings, strict=True)]
    base, viewer = fit([(1.0, each.viewers) for each in sizes], own)
    (sockets,) = fit([(each.viewers,) for each in sizes], [each.sockets for each in sizes])
    return evolve(costs, base_bytes=base, viewer_bytes=viewer, socket_bytes=sockets)
