"""What a plan of capacity holds to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import evolve

from ..switch import Switch


def _each_for_itself(house: Any, node: Any) -> float:
    """Streams as if every viewer cost a fetch."""
    return float(sum(seat.viewers for seat in house.seats[node.name]))


def _all_alike(seats: Sequence[Any], audience: Any, copies: Mapping[str, int]) -> Iterator[Any]:
    """Viewers over all tiers, whatever they speak."""
    total = sum(copies.get(seat.tier, 1) for seat in seats)
    viewers = sum(seat.viewers for seat in seats)
    for seat in seats:
        yield evolve(seat, viewers=viewers * copies.get(seat.tier, 1) / total)


def _on_the_line(demand: Any, flow: Any, *, one: bool) -> float:
    """Nothing of a flow stays on its machine."""
    return 0.0


def _constant(cost: float, cap: float) -> float:
    """A relay that always holds media for as long as it may."""
    return cap


_DEMAND: Final = "plan/test_demand.py::"
GROUPS: Final[dict[str, list[Switch]]] = {
    "Capacity": [
        Switch(
            rule="A tier fetches each stream once, however many watch",
            source="the HLS edge and the RTMP relay: one fetch for each object and tier",
            off={"tierkit.plan._demand:_pulled": _each_for_itself},
            tests=(f"{_DEMAND}test_the_origin_sees_one_fetch_for_each_object_and_tier",),
        ),
        Switch(
            rule="More tiers of one kind take no viewers from another: no player of RTMP becomes one of HLS",
            off={"tierkit.plan._audience:_by_copies": _all_alike},
            tests=("plan/test_audience.py::test_copies_take_from_their_own_kind_alone",),
        ),
        Switch(
            rule="What one tier sends to another on its machine is not on the machine's line",
            off={"tierkit.plan._bounds:_between": _on_the_line},
            tests=("plan/test_plan.py::test_what_stays_on_a_machine_or_in_a_place_touches_no_line",),
        ),
        Switch(
            rule="A relay's passes come at the pump's own pace, so a bit is cheaper the more players there are",
            source="`tierkit.plugin.pass_delay`",
            off={"tierkit.plan._costs:pass_delay": _constant},
            tests=("plan/test_costs.py::test_a_bit_is_cheaper_the_more_players_there_are",),
        ),
    ],
}
