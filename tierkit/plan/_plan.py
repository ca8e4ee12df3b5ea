"""The plan of a graph for an audience: does it hold, what breaks first, and how many more tiers are wanted.

found = plan(graph, Audience(viewers=6000, bitrate=592_000), Profile(), Machines(uplink=1e9))
found.holds, found.first, found.wanted
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from attrs import asdict, evolve, frozen

from tierkit import Graph, GraphError

from ._audience import Audience
from ._bounds import Bound, LinkLoad, bounds, link_loads
from ._demand import Demand, TierLoad, demand
from ._links import Machines
from ._profile import Profile

__all__ = ["Breaking", "Plan", "plan"]

#: Viewers beyond which nothing is looked for.
MOST = 1e9
#: Rounds of adding tiers, and how many of one there may be: what wants more does not grow by tiers.
ROUNDS, MOST_COPIES = 64, 10_000
#: How near the audience at which something breaks is looked for: viewers, and parts of them all.
_NEAR, _SAME = 1e-3, 1e-9


@frozen(kw_only=True)
class Breaking:
    """A bound, and the audience at which it is used up to where it may be."""

    name: str
    what: str
    viewers: float
    #: The share of it that this plan's audience uses.
    share: float


@frozen(kw_only=True)
class Plan:
    """What came of it.  Rates are of a second, bytes are bytes, CPU is a share of one core."""

    audience: Audience
    #: The share of a bound that may be used.
    fill: float
    tiers: Mapping[str, TierLoad]
    links: tuple[LinkLoad, ...]
    #: Every bound that a larger audience reaches, what breaks first before all others.
    breaking: tuple[Breaking, ...]
    #: Copies of each tier that carry the audience, where that is more than one each; None where no number does.
    wanted: Mapping[str, int] | None
    #: Why copies do not help, where they do not.
    stuck: str = ""
    #: The same with the tiers that are wanted; None where none are.
    then: Plan | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing breaks."""
        return all(each.share <= self.fill for each in self.breaking)

    @property
    def first(self) -> Breaking | None:
        """What breaks first; None where nothing in it is bounded."""
        return self.breaking[0] if self.breaking else None

    @property
    def origins(self) -> tuple[TierLoad, ...]:
        """Where the streams come from."""
        return tuple(load for load in self.tiers.values() if load.role == "origin")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "holds": self.holds,
            "audience": asdict(self.audience),
            "fill": self.fill,
            "tiers": {name: _load_dict(load) for name, load in self.tiers.items()},
            "links": [{**asdict(link), "share": link.share} for link in self.links],
            "breaking": [asdict(each) for each in self.breaking],
            "wanted": None if self.wanted is None else dict(self.wanted),
            "stuck": self.stuck,
            "then": None if self.then is None else self.then.as_dict(),
        }


def _load_dict(load: TierLoad) -> dict[str, Any]:
    return {**asdict(load), "kinds": list(load.kinds), "memory": load.memory}


def plan(
    graph: Graph,
    audience: Audience,
    profile: Profile | None = None,
    machines: Machines | None = None,
    *,
    fill: float = 0.8,
) -> Plan:
    """The plan of `graph` for `audience`.

    Args:
        profile: what tiers cost; by default what the documentation has measured.
        machines: what there is of bandwidth, memory and cores; by default only what every process has.
        fill: the share of each bound that may be used.

    Raises GraphError, with every problem, for an audience or machines that do not fit the graph.
    """
    profile, machines = profile or Profile(), machines or Machines()
    if problems := list(machines.problems(graph)):
        raise GraphError(problems)
    found = _plan(graph, audience, profile, machines, {}, fill)
    if found.holds:
        return found
    wanted, stuck = _wanted(graph, audience, profile, machines, fill)
    if wanted is None:
        return evolve(found, wanted=None, stuck=stuck)
    then = _plan(graph, audience, profile, machines, wanted, fill)
    return evolve(found, wanted={name: n for name, n in wanted.items() if n > 1}, then=then)


def _plan(
    graph: Graph, audience: Audience, profile: Profile, machines: Machines, copies: Mapping[str, int], fill: float
) -> Plan:
    def at(viewers: float) -> Demand:
        return demand(graph, evolve(audience, viewers=viewers), profile, copies)

    here = at(audience.viewers)
    return Plan(
        audience=audience,
        fill=fill,
        tiers=here.tiers,
        links=tuple(link_loads(graph, here, machines)),
        breaking=tuple(_breaking(graph, here, machines, audience.viewers, fill, at)),
        wanted={},
    )


# --- what breaks first ---------------------------------------------------------------------------


def _breaking(
    graph: Graph, here: Demand, machines: Machines, viewers: float, fill: float, at: Callable[[float], Demand]
) -> list[Breaking]:
    shares: dict[float, list[Bound]] = {}

    def share(number: int, audience: float) -> float:
        if audience not in shares:
            shares[audience] = bounds(graph, at(audience), machines)
        return shares[audience][number].share

    found = []
    for number, bound in enumerate(bounds(graph, here, machines)):
        reached = _reach(lambda audience, number=number: share(number, audience), fill)  # type: ignore[misc]
        if reached is not None:
            found.append(Breaking(name=bound.name, what=bound.what, viewers=reached, share=bound.share))
    return sorted(found, key=lambda each: (each.viewers, -each.share))


def _reach(share: Callable[[float], float], fill: float) -> float | None:
    """The most viewers with which a share stays within `fill`: shares only grow.  None where more never reach it."""
    if share(MOST) <= fill:
        return None
    low, high = 0.0, MOST
    while high - low > max(_NEAR, _SAME * high):
        # By ratio while they are far apart: an audience of a thousand is as likely as one of a million.
        middle = math.sqrt(low * high) if low >= 1 and high > 4 * low else (low + high) / 2 if low >= 1 else high / 1000
        low, high = (middle, high) if share(middle) <= fill else (low, middle)
    return math.floor(low + 2 * _NEAR)


# --- more tiers ----------------------------------------------------------------------------------


def _wanted(
    graph: Graph, audience: Audience, profile: Profile, machines: Machines, fill: float
) -> tuple[dict[str, int] | None, str]:
    """Copies of tiers with which nothing breaks; else why there are none."""
    copies = {node.name: 1 for node in graph.running}
    for _ in range(ROUNDS):
        found = bounds(graph, demand(graph, audience, profile, copies), machines)
        broken = [each for each in found if each.share > fill]
        if not broken:
            return copies, ""
        if stuck := next((each for each in broken if not each.tiers), None):
            return None, _why(stuck)
        worst = max(broken, key=lambda each: each.share)
        before = dict(copies)
        _add(audience, graph, copies, worst, fill)
        if copies == before or max(copies.values()) > MOST_COPIES:
            return None, f"{worst.name}: no number of tiers brings its {worst.what} down"
    return None, "the plan does not settle: bounds and tiers chase each other"


def _why(bound: Bound) -> str:
    if bound.what in ("memory", "cores"):
        return f"{bound.name}: everything shares its {bound.what}: another machine is wanted, not another tier"
    if bound.what == "link":
        return f"{bound.name}: this link is full whatever else there is: it wants a faster one, or a tier nearer by"
    return f"{bound.name}: its line is full ({bound.what}): it wants a faster one, or tiers in another place"


def _add(audience: Audience, graph: Graph, copies: dict[str, int], worst: Bound, fill: float) -> None:
    """More copies of the tiers that a bound is about, or of those that share the audience evenly with them."""
    for name in worst.tiers:
        alike = [name] if name in audience.share else _alike(graph, audience, name)
        total = sum(copies[each] for each in alike)
        more = max(1, math.ceil(total * worst.share / fill - 1e-9) - total)
        for _ in range(min(more, MOST_COPIES)):
            # One each in turn, so that every place gets its part.
            copies[min(alike, key=lambda each: copies[each])] += 1


def _alike(graph: Graph, audience: Audience, name: str) -> list[str]:
    """Tiers of the same kind on the same upstreams, among which an audience is shared out evenly."""
    mine = graph[name]

    def kind(name: str) -> object:
        node = graph[name]
        return node.role, {s.name for s in node.serves}, set(node.schemes), {up.name for up in node.upstreams}

    return [n.name for n in graph.running if n.name not in audience.share and kind(n.name) == kind(mine.name)]
