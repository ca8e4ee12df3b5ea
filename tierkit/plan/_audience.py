"""Who watches, and where: viewers shared out over the doors of a graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import evolve, field, frozen

from tierkit import Graph, GraphError, Node
from tierkit.plugin import Service

__all__ = ["Audience", "Seat", "feeders", "is_secure", "requested", "share_out"]

#: Services whose viewers fetch pieces by requests, at doors for HTTP; `ingest` serves both, by the door's scheme.
_BY_REQUEST = frozenset({"hls", "package", "ingest"})
_HTTP = frozenset({"http", "https"})
_SECURE = frozenset({"https", "rtmps"})


@frozen(kw_only=True)
class Audience:
    """Viewers in all, what they watch, and how they are shared out."""

    viewers: float
    #: Bit/s that each of them is sent, container included.
    bitrate: float
    #: Streams, and renditions of each, that somebody watches at every tier.
    streams: int = 1
    renditions: int = 1
    #: Seconds of a segment, and from keyframe to keyframe.
    segment: float = 2.0
    gop: float = 2.0
    #: Seconds for which it goes on: caches keep what they have until they are full.
    seconds: float = 3 * 3600.0
    #: Weights by service ("hls"), scheme ("https") or both ("hls/https"); where empty, all tiers that take viewers
    #: get as many.
    split: Mapping[str, float] = field(factory=dict)
    #: The share of its protocol's viewers that a tier gets, of all viewers where there is no split; the others share
    #: the rest evenly.
    share: Mapping[str, float] = field(factory=dict)

    @property
    def pulled(self) -> int:
        """Streams that a tier fetches: each rendition is one."""
        return self.streams * self.renditions


@frozen
class Seat:
    """Viewers at the doors of one service of a tier and all its copies."""

    tier: str
    service: Service
    scheme: str
    viewers: float


def requested(node: Node, service: Service | None, scheme: str) -> bool:
    """Whether viewers fetch pieces by requests there; else it is one answer without end."""
    if scheme not in _HTTP:
        return False
    name = service.name if service is not None else ""
    return name in _BY_REQUEST or (node.role != "relay" and name != "flv")


def is_secure(scheme: str) -> bool:
    """Whether a door's bytes are encrypted."""
    return scheme in _SECURE


def feeders(graph: Graph) -> frozenset[str]:
    """Nodes that other tiers are fed by: viewers are not sent there unless somebody says so."""
    pulled = {up.name for node in graph for up in node.upstreams}
    pushing = {node.name for node in graph if any(target.runs for target in node.targets)}
    return frozenset(pulled | pushing)


def share_out(graph: Graph, audience: Audience, copies: Mapping[str, int]) -> list[Seat]:
    """The seats of an audience.  Raises GraphError for shares that fit no tier, with every problem."""
    takers = _takers(graph, audience)
    if problems := [*_share_problems(graph, audience), *_split_problems(audience, takers)]:
        raise GraphError(problems)
    if not takers:
        raise GraphError(["nobody can watch: no tier of this graph has a door for viewers"])
    if not audience.split:
        seats = _spread(audience, takers, audience.viewers, {node.name: _doors(node, "") for node in takers})
        return list(_by_copies(seats, audience, copies))
    total = sum(audience.split.values())
    seats = []
    for key, weight in audience.split.items():
        doors = {node.name: found for node in takers if (found := _doors(node, key))}
        mine = [node for node in takers if node.name in doors]
        seats += _spread(audience, mine, audience.viewers * weight / total, doors)
    return list(_by_copies(seats, audience, copies))


def _by_copies(seats: Sequence[Seat], audience: Audience, copies: Mapping[str, int]) -> Iterator[Seat]:
    """The same where some tiers have copies: viewers of a protocol stay with it, and go where there are more tiers."""

    def pool(seat: Seat) -> object:
        return seat.service.name, seat.scheme, seat.tier if seat.tier in audience.share else None

    viewers: dict[object, float] = defaultdict(float)
    tiers: dict[object, int] = defaultdict(int)
    for seat in seats:
        viewers[pool(seat)] += seat.viewers
        tiers[pool(seat)] += copies.get(seat.tier, 1)
    for seat in seats:
        mine = pool(seat)
        yield evolve(seat, viewers=viewers[mine] * copies.get(seat.tier, 1) / tiers[mine]) if copies else seat


def _takers(graph: Graph, audience: Audience) -> list[Node]:
    inner = feeders(graph)
    running = [node for node in graph.running if _doors(node, "")]
    leaves = [n for n in running if n.name in audience.share or (n.name not in inner and n.role != "origin")]
    return leaves or [node for node in running if node.name not in inner]


def _doors(node: Node, key: str) -> list[tuple[Service, str]]:
    """Where viewers go in: a door for each service, the encrypted one where it has both; of those that `key` names."""
    found = []
    for service in node.serves:
        schemes = [scheme for scheme in node.schemes if node.service_for(scheme) is service]
        if key and key != service.name:
            schemes = [scheme for scheme in schemes if key in (scheme, f"{service.name}/{scheme}")]
        if schemes:
            found.append((service, next(filter(is_secure, schemes), schemes[0])))
    return found


def _spread(
    audience: Audience, tiers: Sequence[Node], viewers: float, doors: Mapping[str, list[tuple[Service, str]]]
) -> list[Seat]:
    said = {node.name: audience.share[node.name] for node in tiers if node.name in audience.share}
    free = len(tiers) - len(said)
    rest = max(0.0, 1 - sum(said.values()))
    # Where every tier's share is said and they do not make a whole, they are weights.
    whole = 1.0 if free else sum(said.values()) or 1.0
    seats = []
    for node in tiers:
        part = said[node.name] / whole if node.name in said else rest / free
        for service, scheme in doors[node.name]:
            seats.append(Seat(node.name, service, scheme, viewers * part / len(doors[node.name])))
    return seats


def _share_problems(graph: Graph, audience: Audience) -> Iterable[str]:
    names = {node.name for node in graph.running if _doors(node, "")}
    for name in audience.share:
        if name not in names:
            yield f"share of {name!r}: no tier with a door is called so: there are {', '.join(sorted(names)) or 'none'}"
    if sum(audience.share.values()) > 1 + 1e-9 and not audience.split:
        yield f"shares of tiers: together they are {sum(audience.share.values()):g}, more than 1"


def _split_problems(audience: Audience, takers: Sequence[Node]) -> Iterable[str]:
    known = {key for node in takers for service, _ in _doors(node, "") for key in (service.name, *node.schemes)}
    for key in audience.split:
        if not any(_doors(node, key) for node in takers):
            yield f"split {key!r}: no tier that takes viewers serves it: there are {', '.join(sorted(known)) or 'none'}"
    if audience.split and not sum(audience.split.values()):
        yield "split: all parts are 0: give one of them some viewers"
