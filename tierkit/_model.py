"""The plan: frozen origins, edges, relays and the graph they make.

A graph is one value.  It can be checked, printed, drawn, compared and tested without a socket; nothing
here opens, resolves or connects anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from attrs import evolve, field, frozen

from ._accesslog import AccessLog
from ._address import TLS_SCHEMES, Address, Listener, Trust
from ._masking import TRUNCATED
from ._plugin import Role, Service, Source
from ._recipe import option
from .errors import GraphError

__all__ = ["Edge", "Graph", "Limits", "Node", "Origin", "Relay", "Tier"]

T = TypeVar("T")


# Converters are plain typed functions: a type checker takes what a field accepts from their argument.


def _listeners(value: str | Address | Listener | Iterable[str | Address | Listener]) -> tuple[Listener, ...]:
    return tuple(map(Listener.parse, (value,) if isinstance(value, (str, Address, Listener)) else value))


def _services(value: Service | Iterable[Service] | None) -> tuple[Service, ...]:
    return _several(value, Service, "serves= takes services such as HLS()")


def _nodes(value: Node | Iterable[Node] | None) -> tuple[Node, ...]:
    return _several(value, Node, "upstream= and push= take origins and tiers themselves, no names")


def _several(value: T | Iterable[T] | None, kind: type[Any], wanted: str) -> tuple[T, ...]:
    if value is None:
        return ()
    several = (value,) if isinstance(value, (kind, str, type)) else value
    found = tuple(several) if isinstance(several, Iterable) else (several,)
    for each in found:
        if not isinstance(each, kind):
            raise GraphError([f"{wanted}: {each!r} is none"])
    return found


def _addresses(value: str | Address | Iterable[str | Address]) -> tuple[Address, ...]:
    return tuple(map(Address.parse, (value,) if isinstance(value, (str, Address)) else value))


def _address(value: str | Address | None) -> Address | None:
    return None if value is None else Address.parse(value)


@frozen(kw_only=True)
class Limits:
    """Bounds of one tier; they exist from the first day, and each refusal is counted and told."""

    connections: int = option(
        20_000,
        "Connections at once; 20,000 is what one process can hold descriptors for on common systems.",
        minimum=1,
    )
    per_address: int = option(
        4_000, "Connections at once from one address; a university's NAT easily holds a thousand viewers.", minimum=1
    )
    # 10 s is mediamtx's read timeout; 5 s (Red5, livego) is short for a phone on a bad line.
    first_request: float = option(
        10.0,
        "Time from accept to the first request or play, handshakes included: one absolute deadline.",
        minimum=0.1,
        maximum=3600,
        unit="s",
    )
    accept_burst: int = option(
        64, "New connections taken in one go before those already there get a turn.", minimum=1, maximum=10_000
    )


@frozen
class Node:
    """What `Origin`, `Edge` and `Relay` have in common."""

    name: str
    #: A place (datacentre) that it stands in.
    site: str = field(default="", kw_only=True)
    #: The machine that it runs on, and the name by which others dial it.
    host: str = field(default="127.0.0.1", kw_only=True)
    #: What others dial instead, where `host` and the listeners do not say it: ``host``, ``host:port``,
    #: ``:port`` at `host`, or several URLs, one for each scheme.
    reach: tuple[Address, ...] = field(default=(), kw_only=True, converter=_addresses)
    listen: tuple[Listener, ...] = field(default=(), kw_only=True, converter=_listeners)
    serves: tuple[Service, ...] = field(default=(), kw_only=True, converter=_services)
    #: How others verify it when they dial it by TLS.
    trust: Trust | None = field(default=None, kw_only=True)
    limits: Limits = field(factory=Limits, kw_only=True)

    @property
    def role(self) -> Role:
        """ "origin", "edge" or "relay"."""
        raise NotImplementedError

    @property
    def runs(self) -> bool:
        """Whether this node runs here or is a server elsewhere that is only dialled."""
        return True

    @property
    def upstreams(self) -> tuple[Node, ...]:
        """Whom it pulls from, in order."""
        return ()

    @property
    def targets(self) -> tuple[Node, ...]:
        """Whom it pushes to."""
        return ()

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes that it can be asked by, in the order of its listeners."""
        return tuple(dict.fromkeys(self.scheme_of(each) for each in self.listen))

    def scheme_of(self, listener: Listener) -> str:
        """The scheme of one of its listeners: its own, or what the services give a bare ``:PORT``."""
        if listener.address.scheme:
            return listener.address.scheme
        for service in self.serves:
            wanted = [s for s in service.schemes if (s in TLS_SCHEMES) == bool(listener.certificates)]
            if wanted:
                return wanted[0]
        return ""

    def service_for(self, scheme: str) -> Service | None:
        """The service that answers at a door of this scheme: the first that names it."""
        return next((each for each in self.serves if scheme in each.schemes), None)

    def reach_address(self, schemes: Iterable[str]) -> Address | None:
        """What somebody on another machine dials for one of `schemes`, or None where the plan does not say.

        `reach` wins; else `host` with the port of a listener.  Port 0 is not something to dial.
        """
        wanted = tuple(schemes)
        for scheme in (s for s in self.schemes if s in wanted):
            listener = next(each for each in self.listen if self.scheme_of(each) == scheme)
            for address in self.reach:
                if address.scheme in ("", scheme):
                    port = address.port if address.port is not None else listener.address.port
                    if port != 0:
                        return address.with_(scheme=scheme, host=address.host or self.host, port=port)
            if listener.address.unix:
                return listener.address.with_(scheme=scheme)
            if listener.address.port == 0:
                continue
            host = self.host if listener.address.wildcard else listener.address.host
            return Address(scheme=scheme, host=host, port=listener.address.port)
        return None


@frozen
class Origin(Node):
    """Where streams come from: a server elsewhere (`address`, `speaks`) or a node that runs (`listen`, `serves`).

    ``Origin("wowza", "wowza.example:1935", speaks=Wowza(app="live"))`` is a server elsewhere; without
    `speaks` its paths pass through.  ``Origin("studio", listen=("rtmp://:1935", "http://:8080"),
    serves=Ingest())`` runs.
    """

    address: Address | None = field(default=None, converter=_address)
    speaks: Source | None = field(default=None, kw_only=True)

    @property
    def role(self) -> Role:
        return "origin"

    @property
    def runs(self) -> bool:
        return self.address is None

    @property
    def schemes(self) -> tuple[str, ...]:
        if self.address is None:
            return super().schemes
        if self.speaks is not None:
            return self.speaks.schemes
        return (self.address.scheme,) if self.address.scheme else ()


@frozen
class Tier(Node):
    """An edge or a relay: what runs and has upstreams."""

    #: Whom to pull from: one node, or several in order of preference.
    upstream: tuple[Node, ...] = field(default=(), kw_only=True, converter=_nodes)
    #: "ordered" tries them in order; "hash" spreads keys over them (a shield layer), each key on one.
    policy: str = field(default="ordered", kw_only=True)

    @property
    def upstreams(self) -> tuple[Node, ...]:
        return self.upstream


@frozen
class Edge(Tier):
    """A pull-through cache that viewers fetch from."""

    @property
    def role(self) -> Role:
        return "edge"


@frozen
class Relay(Tier):
    """Pulls or receives a continuous stream once and fans it out; can push onwards."""

    push: tuple[Node, ...] = field(default=(), kw_only=True, converter=_nodes)

    @property
    def role(self) -> Role:
        return "relay"

    @property
    def targets(self) -> tuple[Node, ...]:
        return self.push


@frozen
class Graph:
    """The whole plan, one frozen value.

    `nodes` holds every node, upstreams before those who pull from them; `selected` names those that run
    in this process, None for all.
    """

    nodes: tuple[Node, ...]
    #: Where this process answers `/healthz` and its kin; None for nowhere.
    control: Listener | None = None
    #: What a caller must show to change state there; empty forbids every change.
    control_token: str = field(default="", repr=False)
    selected: frozenset[str] | None = None
    #: One line for each request and session; None for none.
    access_log: AccessLog | None = None
    #: How much of viewers' addresses is told, in logs and statistics: "full", "truncated" (to /24 of IPv4, /48 of IPv6)
    #: or "none".
    viewer_addresses: str = TRUNCATED

    @classmethod
    def of(
        cls,
        *tiers: Node,
        control: str | Address | Listener | None = None,
        control_token: str = "",
        access_log: AccessLog | str | None = None,
        viewer_addresses: str = TRUNCATED,
    ) -> Graph:
        """A graph of these tiers and, through their upstreams and push targets, of all that they need."""
        given: tuple[Node, ...] = _several(tiers, Node, "a graph takes origins and tiers themselves, no names")
        seen: set[int] = set()
        ordered = tuple(node for tier in given for node in _with_upstreams(tier, seen))
        return cls(
            ordered,
            None if control is None else _control(control),
            control_token,
            access_log=AccessLog(access_log) if isinstance(access_log, str) else access_log,
            viewer_addresses=viewer_addresses,
        )

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites, in order of appearance; nodes without one stand in no site."""
        return tuple(dict.fromkeys(node.site for node in self.nodes if node.site))

    @property
    def running(self) -> tuple[Node, ...]:
        """The nodes that run in this process, upstreams first."""
        chosen = self.selected
        return tuple(n for n in self.nodes if n.runs and (chosen is None or n.name in chosen))

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def at(self, site: str) -> Graph:
        """The same plan, of which only what stands in this site runs."""
        return self._keep((n for n in self.running if n.site == site), f"site {site!r}", self.sites)

    def on(self, host: str) -> Graph:
        """The same plan, of which only what is on this host runs."""
        hosts = tuple(dict.fromkeys(n.host for n in self.running))
        return self._keep((n for n in self.running if n.host == host), f"host {host!r}", hosts)

    def only(self, *names: str) -> Graph:
        """The same plan, of which only these tiers run."""
        known = tuple(n.name for n in self.running)
        for name in names:
            if name not in known:
                raise GraphError([_nothing(f"tier {name!r}", known)])
        return self._keep((n for n in self.running if n.name in names), "selection", known)

    def _keep(self, nodes: Iterable[Node], what: str, known: tuple[str, ...]) -> Graph:
        names = frozenset(node.name for node in nodes)
        if not names:
            raise GraphError([_nothing(what, known)])
        return evolve(self, selected=names)


def _control(value: str | Address | Listener) -> Listener:
    # Whoever reaches the control address sees everything, so a bare port means loopback alone.
    listener = Listener.parse(value)
    address = listener.address
    if not address.unix and not address.host:
        address = address.with_(host="127.0.0.1")
    return evolve(listener, address=address.with_(scheme=address.scheme or "http"))


def _nothing(what: str, known: tuple[str, ...]) -> str:
    return f"nothing in this graph runs by {what}: choose among {', '.join(known) or 'nothing'}"


def _with_upstreams(node: Node, seen: set[int]) -> Iterator[Node]:
    # Upstreams first, so that whatever runs in this order finds what it pulls from already there.  The same
    # node reached by two paths is one node; two that only look alike stay two, and `check` names them, as
    # it does a value that was forced into a cycle.
    if id(node) in seen:
        return
    seen.add(id(node))
    for other in (*node.upstreams, *node.targets):
        yield from _with_upstreams(other, seen)
    yield node
