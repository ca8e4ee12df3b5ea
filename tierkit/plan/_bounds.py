"""What can break: every bound of a demand, and how much of it is used."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from attrs import field, frozen

from tierkit import Graph, Node

from ._demand import Demand, Flow, TierLoad
from ._links import WIRE, Machines, machine_of

__all__ = ["Bound", "LinkLoad", "bounds", "link_loads"]


@frozen(kw_only=True)
class Bound:
    """Something of which there is only so much."""

    #: The tier, machine, site or pair.
    name: str
    #: "cpu", "connections", "descriptors", "memory", "cores", "out", "in", "link".
    what: str
    used: float
    most: float
    #: The tiers that would be fewer of with copies; empty where copies do not help.
    tiers: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Of what there is."""
        return self.used / self.most


@frozen(kw_only=True)
class LinkLoad:
    """A line: bit/s on the wire, and its speed where that is known."""

    name: str
    #: "pull", "interface" of a machine or "site".
    kind: str
    out: float
    #: The other way; 0 for what goes from one node to another.
    back: float = 0.0
    speed: float | None = None

    @property
    def share(self) -> float | None:
        """Of the busier way."""
        return max(self.out, self.back) / self.speed if self.speed else None


@frozen
class _Machine:
    """What is on one machine; of a tier with copies one."""

    nodes: list[Node] = field(factory=list)
    loads: list[TierLoad] = field(factory=list)


def _machines(graph: Graph, demand: Demand, machines: Machines) -> Mapping[str, _Machine]:
    found: dict[str, _Machine] = defaultdict(_Machine)
    for node in graph:
        machine = found[machine_of(node, one=machines.one)]
        machine.nodes.append(node)
        machine.loads.append(demand.tiers[node.name])
    return found


def _through(graph: Graph, demand: Demand, machine: _Machine, machines: Machines) -> tuple[float, float]:
    """Bit/s out of and into a machine on the wire; what stays on it does not touch its interface."""
    names = {node.name for node in machine.nodes}
    # With all on one machine, copies share it too.
    times = [load.copies if machines.one else 1 for load in machine.loads]
    out = sum(load.bits_out * n for load, n in zip(machine.loads, times, strict=True))
    back = sum(load.bits_in * n for load, n in zip(machine.loads, times, strict=True))
    inside = sum(
        _between(demand, flow, one=machines.one) for flow in demand.flows if {flow.source, flow.target} <= names
    )
    return max(0.0, out - inside) * WIRE, max(0.0, back - inside) * WIRE


def _between(demand: Demand, flow: Flow, *, one: bool) -> float:
    """Of a flow, what goes from one copy to one copy on the same machine."""
    return flow.bits if one else flow.bits / max(demand.tiers[flow.target].copies, demand.tiers[flow.source].copies)


def link_loads(graph: Graph, demand: Demand, machines: Machines) -> list[LinkLoad]:
    """Every line: between nodes, of machines, of sites."""
    found = [
        LinkLoad(
            name=f"{flow.source}:{flow.target}",
            kind="pull",
            out=flow.bits * WIRE,
            speed=machines.links.get(f"{flow.source}:{flow.target}"),
        )
        for flow in demand.flows
    ]
    for name, machine in _machines(graph, demand, machines).items():
        out, back = _through(graph, demand, machine, machines)
        speed = machines.interface(name, tuple(machine.nodes))
        found.append(LinkLoad(name=name, kind="interface", out=out, back=back, speed=speed))
    for site in graph.sites:
        out, back = _site(graph, demand, site)
        found.append(LinkLoad(name=site, kind="site", out=out, back=back, speed=machines.links.get(site)))
    return found


def _site(graph: Graph, demand: Demand, site: str) -> tuple[float, float]:
    inside = {node.name for node in graph if node.site == site}
    loads = [demand.tiers[name] for name in inside]
    stays = sum(flow.bits for flow in demand.flows if {flow.source, flow.target} <= inside)
    out = sum(load.bits_out * load.copies for load in loads) - stays
    back = sum(load.bits_in * load.copies for load in loads) - stays
    return max(0.0, out) * WIRE, max(0.0, back) * WIRE


def bounds(graph: Graph, demand: Demand, machines: Machines) -> list[Bound]:
    """Everything that is bounded, of one copy of each tier."""
    found = [bound for node in graph.running for bound in _of_tier(node, demand.tiers[node.name], machines)]
    on = _machines(graph, demand, machines)
    for name, machine in on.items():
        found += _of_machine(name, machine, machines)
    for link in link_loads(graph, demand, machines):
        found += _of_link(link, on, machines)
    return found


def _of_tier(node: Node, load: TierLoad, machines: Machines) -> Iterator[Bound]:
    mine = (node.name,)
    # A tier is one process, and a process of Python has one core for its loop.
    yield Bound(name=node.name, what="cpu", used=load.cpu, most=1.0, tiers=mine)
    connections = node.limits.connections
    yield Bound(name=node.name, what="connections", used=load.connections, most=connections, tiers=mine)
    yield Bound(name=node.name, what="descriptors", used=load.descriptors, most=machines.descriptors, tiers=mine)


def _of_machine(name: str, machine: _Machine, machines: Machines) -> Iterator[Bound]:
    times = [load.copies if machines.one else 1 for load in machine.loads]
    tiers = () if machines.one else tuple(load.name for load in machine.loads if load.runs)
    if not any(load.runs for load in machine.loads):
        return
    if machines.memory is not None:
        used = sum(load.memory * n for load, n in zip(machine.loads, times, strict=True))
        yield Bound(name=name, what="memory", used=used, most=machines.memory, tiers=tiers)
    if machines.cores is not None:
        used = sum(load.cpu * n for load, n in zip(machine.loads, times, strict=True))
        yield Bound(name=name, what="cores", used=used, most=machines.cores, tiers=tiers)


def _of_link(link: LinkLoad, on: Mapping[str, _Machine], machines: Machines) -> Iterator[Bound]:
    if link.speed is None:
        return
    if link.kind == "pull":
        yield Bound(name=link.name, what="link", used=link.out, most=link.speed)
        return
    tiers: tuple[str, ...] = ()
    if link.kind == "interface" and not machines.one:
        # What a server elsewhere sends grows with the tiers: more of them do not help it.
        tiers = tuple(load.name for load in on[link.name].loads if load.runs)
    yield Bound(name=link.name, what="out", used=link.out, most=link.speed, tiers=tiers)
    yield Bound(name=link.name, what="in", used=link.back, most=link.speed)
