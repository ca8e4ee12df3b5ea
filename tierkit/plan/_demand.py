"""What an audience means for each tier and between them: the arithmetic, without any measuring or printing.

Tiers are taken from the viewers inwards, so that what a tier's children ask of it is known before it is looked at.
A tier with copies is several alike: what stands in `TierLoad` is one of them.  Each copy pulls for itself: one fetch
for each object and tier.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from attrs import field, frozen

from tierkit import Graph, Node
from tierkit.plugin import Service

from ._audience import Audience, Seat, is_secure, requested, share_out
from ._costs import BATCH, GBIT, Costs, Players, pump_cpu
from ._profile import Profile

__all__ = ["Demand", "Flow", "TierLoad", "demand"]

#: Objects of up to 64 KiB are kept as bytes, larger ones are memfds and cost a descriptor each.
SMALL = 65536
#: Descriptors that a tier keeps for everything else.
RESERVE = 64
#: A relay keeps the GOP that is being written and what leaves of the one before, on the average one and a half.
GOPS = 1.5
#: Playlists that an edge asks for in a segment's time: it holds one fresh for half of it.
LOOKS = 2
#: Connections that an edge holds to an upstream for each playlist, at the most: for it, for segments and for those
#: that are fetched ahead.
FETCHES = 4


@frozen(kw_only=True)
class Flow:
    """From one node to another, all copies of both: what is pulled or pushed."""

    source: str
    target: str
    #: Bit/s of media.
    bits: float
    #: HTTP requests a second; none for a stream.
    requests: float
    #: Connections, of all copies together.
    connections: float


@frozen(kw_only=True)
class TierLoad:
    """One copy of a node, at work: bit/s, bytes, shares of a core."""

    name: str
    role: str
    site: str
    #: Whether it runs as part of the graph; a server elsewhere has no cost here.
    runs: bool
    copies: int = 1
    #: Kinds of cost it was reckoned by.
    kinds: tuple[str, ...] = ()
    viewers: float = 0.0
    #: Of viewers and children, at its doors.
    connections: float = 0.0
    requests: float = 0.0
    bits_out: float = 0.0
    bits_in: float = 0.0
    upstream_connections: float = 0.0
    descriptors: float = 0.0
    cpu: float = 0.0
    #: The process itself, its store (or what an origin keeps), and its sockets in the kernel.
    resident: float = 0.0
    store: float = 0.0
    sockets: float = 0.0
    #: What the kernel and the ring would hold besides, where every viewer takes nothing.
    stalled: float = 0.0

    @property
    def memory(self) -> float:
        """Resident, store and sockets together."""
        return self.resident + self.store + self.sockets


@frozen(kw_only=True)
class Demand:
    """All of it: by node, and between them."""

    tiers: Mapping[str, TierLoad]
    flows: tuple[Flow, ...]


@frozen
class _Reader:
    """Those who read at one kind of door of one copy: viewers, or children for whom a stream is one player."""

    costs: Costs
    by_request: bool
    count: float
    bits: float
    requests: float


@frozen
class _House:
    """What all steps look at."""

    graph: Graph
    audience: Audience
    profile: Profile
    copies: Mapping[str, int]
    seats: Mapping[str, list[Seat]]
    #: What was found out so far, by source and by target.
    given: dict[str, list[Flow]] = field(factory=lambda: defaultdict(list))
    taken: dict[str, list[Flow]] = field(factory=lambda: defaultdict(list))
    doors: dict[tuple[str, str], str] = field(factory=dict)

    def copies_of(self, node: Node) -> int:
        return self.copies.get(node.name, 1)


def demand(graph: Graph, audience: Audience, profile: Profile, copies: Mapping[str, int] | None = None) -> Demand:
    """What every node has to do for this audience.  Raises GraphError for an audience that fits no tier."""
    seats: dict[str, list[Seat]] = defaultdict(list)
    for seat in share_out(graph, audience, copies or {}):
        seats[seat.tier].append(seat)
    house = _House(graph, audience, profile, copies or {}, seats)
    # Upstreams stand before those who pull from them.
    for node in reversed(graph.nodes):
        for flow, scheme in _flows(house, node):
            house.given[flow.source].append(flow)
            house.taken[flow.target].append(flow)
            house.doors[flow.source, flow.target] = scheme
    tiers = {node.name: _load(house, node) for node in graph.nodes}
    return Demand(tiers=tiers, flows=tuple(flow for node in graph.nodes for flow in house.taken[node.name]))


# --- between tiers -------------------------------------------------------------------------------


def _flows(house: _House, node: Node) -> Iterator[tuple[Flow, str]]:
    """What a node's copies pull, and push, with the scheme of each."""
    if not node.runs:
        return
    streams = _pulled(house, node)
    ups = node.upstreams if getattr(node, "policy", "ordered") == "hash" else node.upstreams[:1]
    for up in ups:
        if (scheme := _pulls_by(node, up)) is not None and streams:
            yield _flow(house, up, node, streams * house.copies_of(node) / len(ups), scheme), scheme
    for target in node.targets:
        # A push goes on whether anybody watches or not.
        scheme = next(iter(target.schemes), "rtmp")
        pushed = house.audience.pulled * house.copies_of(node)
        yield _flow(house, node, target, pushed, scheme, stream=True), scheme


def _pulled(house: _House, node: Node) -> float:
    """Streams that one copy carries: all of them, unless it has fewer viewers than there are."""
    copies = house.copies_of(node)
    viewers = sum(seat.viewers for seat in house.seats[node.name]) / copies
    if house.given[node.name]:
        return float(house.audience.pulled)
    return min(float(house.audience.pulled), viewers)


def _pulls_by(node: Node, up: Node) -> str | None:
    for service in node.serves:
        for scheme in up.schemes:
            if scheme in service.pulls:
                return scheme
    # A server elsewhere may speak what its address does not say.
    pulls = [scheme for service in node.serves for scheme in service.pulls]
    return pulls[0] if pulls and not up.schemes else None


def _flow(house: _House, source: Node, target: Node, streams: float, scheme: str, *, stream: bool = False) -> Flow:
    audience = house.audience
    by_request = not stream and scheme in ("http", "https")
    return Flow(
        source=source.name,
        target=target.name,
        bits=streams * audience.bitrate,
        requests=streams * (1 + LOOKS) / audience.segment if by_request else 0.0,
        connections=streams * (FETCHES if by_request else 1),
    )


# --- one tier ------------------------------------------------------------------------------------


def _load(house: _House, node: Node) -> TierLoad:
    copies = house.copies_of(node)
    given, taken = house.given[node.name], house.taken[node.name]
    viewers = sum(seat.viewers for seat in house.seats[node.name]) / copies
    bits = viewers * house.audience.bitrate + sum(flow.bits for flow in given) / copies
    connections = viewers + sum(flow.connections for flow in given) / copies
    readers = list(_readers(house, node))
    requests = sum(reader.requests for reader in readers)
    if not node.runs:
        return TierLoad(
            name=node.name, role=node.role, site=node.site, runs=False, copies=copies,
            connections=connections, requests=requests, bits_out=bits,
            bits_in=sum(flow.bits for flow in taken) / copies,
        )  # fmt: skip
    streams = _pulled(house, node)
    published = 0.0 if node.upstreams or taken else house.audience.pulled
    upstream = sum(flow.connections for flow in taken) / copies
    store = _store(node, house.audience, streams)
    kinds = tuple(dict.fromkeys((_base_kind(node), *(kind for kind, _ in _kinds(house, node)))))
    base = house.profile.of(kinds[0])
    return TierLoad(
        name=node.name,
        role=node.role,
        site=node.site,
        runs=True,
        copies=copies,
        kinds=kinds,
        viewers=viewers,
        connections=connections + published,
        requests=requests,
        bits_out=bits,
        bits_in=sum(flow.bits for flow in taken) / copies + published * house.audience.bitrate,
        upstream_connections=upstream,
        descriptors=connections + published + upstream + _memfds(node, house.audience, store) + RESERVE,
        cpu=base.base_cpu + streams * base.stream_cpu + _serving(node, readers),
        resident=base.base_bytes + sum(reader.count * reader.costs.viewer_bytes for reader in readers)
        + _ring(node, house.audience, streams),
        store=store,
        sockets=sum(reader.count * reader.costs.socket_bytes for reader in readers),
        stalled=_stalled(node, house.audience, readers, streams),
    )  # fmt: skip


def _readers(house: _House, node: Node) -> Iterator[_Reader]:
    """Everybody who reads at one copy."""
    audience, copies = house.audience, house.copies_of(node)
    for seat in house.seats[node.name]:
        count = seat.viewers / copies
        by_request = requested(node, seat.service, seat.scheme)
        # A playlist and a segment in a segment's time (RFC 8216 section 6.3.4).
        requests = count * 2 / audience.segment if by_request else 0.0
        costs = house.profile.of(_kind(by_request, seat.scheme))
        yield _Reader(costs, by_request, count, count * audience.bitrate, requests)
    for flow in house.given[node.name]:
        scheme = house.doors[flow.source, flow.target]
        costs = house.profile.of(_kind(flow.requests > 0, scheme))
        streams = flow.bits / audience.bitrate if audience.bitrate else 0.0
        count = flow.connections if flow.requests else streams
        yield _Reader(costs, flow.requests > 0, count / copies, flow.bits / copies, flow.requests / copies)


def _serving(node: Node, readers: list[_Reader]) -> float:
    """The share of a core for all readers of one copy."""
    cap = next((float(s.batch) for s in node.serves if hasattr(s, "batch")), BATCH)
    fetching = [r for r in readers if r.by_request]
    share = sum(r.bits / GBIT * r.costs.gbit_cpu for r in fetching)
    # Requests at several doors share wake-ups, and the cost of a door is that of all of them at it.
    total = sum(r.requests for r in fetching)
    share += sum(r.costs.requests(total) * r.requests / total for r in fetching if r.requests)
    players = [r for r in readers if not r.by_request]
    pump = pump_cpu([Players(r.count, r.bits / r.count if r.count else 0.0, r.costs) for r in players], cap)
    return share + pump + sum(r.count * r.costs.viewer_cpu for r in readers)


def _kind(by_request: bool, scheme: str) -> str:
    if by_request:
        return "edge/https" if is_secure(scheme) else "edge/http"
    return "relay/rtmps" if is_secure(scheme) else "relay/rtmp"


def _kinds(house: _House, node: Node) -> Iterator[tuple[str, Seat]]:
    for seat in house.seats[node.name]:
        yield _kind(requested(node, seat.service, seat.scheme), seat.scheme), seat


def _base_kind(node: Node) -> str:
    """The kind whose process it is, viewers or not."""
    if node.role == "origin":
        return "origin"
    schemes = node.schemes or ("rtmp",)
    secure = any(map(is_secure, schemes))
    if node.role == "edge":
        return "edge/https" if secure else "edge/http"
    return "relay/rtmps" if secure else "relay/rtmp"


# --- memory --------------------------------------------------------------------------------------


def _option(node: Node, name: str) -> float | None:
    """An option of one of its services, where one has it."""
    found: Service | None = next((service for service in node.serves if hasattr(service, name)), None)
    return None if found is None else float(getattr(found, name))


def _store(node: Node, audience: Audience, streams: float) -> float:
    """Bytes of segments: an edge's cache fills up until it is full, an origin keeps its window."""
    rate = streams * audience.bitrate / 8
    if (cache := _option(node, "cache_bytes")) is not None:
        return min(cache, rate * audience.seconds)
    window, keep, segment = (_option(node, name) for name in ("window", "keep", "segment"))
    if window is None or keep is None or segment is None:
        return 0.0
    # One more is being written.
    kept = rate * segment * (window + 1 + keep)
    most = streams * (_option(node, "keep_bytes") or kept) + rate * segment * (window + 1)
    return min(kept, most, rate * audience.seconds)


def _memfds(node: Node, audience: Audience, store: float) -> float:
    size = audience.bitrate / 8 * audience.segment
    return store / size if _option(node, "cache_bytes") is not None and size > SMALL else 0.0


def _ring(node: Node, audience: Audience, streams: float) -> float:
    if node.role == "edge":
        return 0.0
    return streams * GOPS * audience.gop * audience.bitrate / 8


def _stalled(node: Node, audience: Audience, readers: list[_Reader], streams: float) -> float:
    kernel = sum(reader.count * reader.costs.stalled_bytes for reader in readers)
    soft, after = _option(node, "slow_bytes"), _option(node, "slow_after")
    if soft is None or after is None:
        return kernel
    return kernel + streams * min(soft, after * audience.bitrate / 8)
