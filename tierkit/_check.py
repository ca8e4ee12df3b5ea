"""What is wrong with a graph: every problem at once, each one line that names the tier and the remedy.

Each rule is a small generator over the whole graph; `check` runs them all.  Nothing here opens a socket
or looks up a name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from ipaddress import ip_address

from ._address import DEFAULT_PORTS, Address
from ._masking import MASKS
from ._model import Graph, Node, Origin, Tier
from ._recipe import option_problems
from ._restream import Restream

__all__ = ["check", "listen_address"]

# Names stand in URLs, metric labels and `ready` lines, so they keep to what needs no quoting there.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")


def check(graph: Graph, *, bound: Collection[str] = ()) -> list[str]:
    """Every problem of `graph`, one line each, empty when it can run.

    Args:
        bound: names of tiers that run elsewhere and whose bound addresses are known, whatever the plan says.
    """
    if cycle := _cycle(graph):
        # The other rules walk upstreams, so a cycle is told alone.
        return [f"{cycle[0]}: upstreams go round in a circle, {' -> '.join(cycle)}: take one of them out"]
    return [*(line for rule in _RULES for line in rule(graph)), *_distance(graph, bound)]


def listen_address(node: Node, scheme: str, address: Address) -> Address:
    """A listener's address with its scheme and port filled in."""
    port = address.port if address.port is not None or address.unix else address.with_(scheme=scheme).dial_port
    return address.with_(scheme=scheme, port=port)


def _cycle(graph: Graph) -> list[str]:
    done: set[int] = set()

    def visit(node: Node, path: list[Node]) -> list[str]:
        # By identity: comparing values that hold each other would never end.
        if start := next((i for i, each in enumerate(path, 1) if each is node), 0):
            return [*(each.name for each in path[start - 1 :]), node.name]
        if id(node) in done:
            return []
        for other in (*node.upstreams, *node.targets):
            if found := visit(other, [*path, node]):
                return found
        done.add(id(node))
        return []

    return next((found for node in graph.nodes if (found := visit(node, []))), [])


def _empty(graph: Graph) -> Iterator[str]:
    if not graph.running:
        yield "the graph has nothing to run: add an Edge, a Relay or an Origin that listens"


def _names(graph: Graph) -> Iterator[str]:
    for name, count in Counter(node.name for node in graph.nodes).items():
        if count > 1:
            yield f"{name}: {count} tiers have this name: give each its own"
        if not _NAME.match(name):
            yield f"{name!r}: a tier's name is letters, digits, '.', '_' and '-', 63 at most: rename it"


def _origins(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if not isinstance(node, Origin):
            continue
        if node.address is None and not node.listen:
            yield f"{node.name}: an origin is either elsewhere or runs here: give it an address, or listen= and serves="
        if node.address is not None:
            if node.listen or node.serves:
                yield f"{node.name}: an origin with an address is a server elsewhere: leave out listen= and serves="
            if node.address.wildcard:
                yield f"{node.name}: {node.address} is no address to dial: write HOST:PORT"
            if node.speaks is None and not node.address.scheme:
                yield f"{node.name}: how does {node.address} speak? Write http://{node.address} or give speaks="
        elif node.speaks is not None:
            yield f"{node.name}: speaks= is for a server elsewhere: give its address, or serves= instead"


def _restreams(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        for other in node.upstreams:
            if isinstance(other, Restream):
                yield f"{node.name}: {other.name} is only pushed to: name it in push=, or write an Origin to pull from"
        if not isinstance(node, Restream):
            continue
        yield from (f"{node.name}: {line}" for line in node.problems())
        if node.listen or node.serves:
            yield f"{node.name}: a Restream is a server elsewhere: leave out listen= and serves="


def _edges(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if not isinstance(node, Tier):
            continue
        if node.role == "edge" and not node.upstream:
            yield f"{node.name}: an edge has nothing of its own: give upstream="
        if node.policy not in ("ordered", "hash"):
            yield f"{node.name}: policy {node.policy!r} is unknown: choose 'ordered' or 'hash'"
        twice = [n for n, count in Counter(each.name for each in node.upstream).items() if count > 1]
        for name in twice:
            yield f"{node.name}: names its upstream {name} twice: once is enough"


def _services(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        if not node.runs or (isinstance(node, Origin) and not node.listen):
            continue
        if not node.listen:
            yield f"{node.name}: nobody can reach it: give listen=, for instance ':8080'"
        if not node.serves:
            yield f"{node.name}: it serves nothing: give serves=, for instance HLS() or RTMP()"
            continue
        for service in node.serves:
            yield from (f"{node.name}: {service.name}: {line}" for line in service.problems_in(node))
            if node.role not in service.roles:
                fits = " or ".join(_a(role) for role in sorted(service.roles))
                yield f"{node.name}: {service.name} cannot stand in {_a(node.role)}: it is made for {fits}"
            answered = [s for s in node.schemes if node.service_for(s) is service]
            hidden = [s for s in node.schemes if s in service.schemes and s not in answered]
            if hidden:
                first = node.service_for(hidden[0])
                assert first is not None, "the service itself names it"
                yield (
                    f"{node.name}: serves {service.name} twice: once is enough"
                    if first.name == service.name
                    else f"{node.name}: {hidden[0]} leads to {first.name} and never to {service.name}, which speaks it "
                    "too: give one of them a tier of its own"
                )
            elif node.listen and service.schemes and not answered:
                yield (
                    f"{node.name}: no listener leads to {service.name}: "
                    f"add listen='{service.schemes[0]}://:PORT', or leave the service out"
                )
        # Of two with doors, one has none, which is told above.
        for name, count in Counter(each.name for each in node.serves if not each.schemes).items():
            if count > 1:
                yield f"{node.name}: serves {name} {count} times: once is enough"
        for listener in node.listen:
            scheme = node.scheme_of(listener)
            if node.service_for(scheme) is None:
                offered = ", ".join(dict.fromkeys(s for each in node.serves for s in each.schemes))
                what = f"scheme {scheme!r}" if scheme else "its TLS"
                if offered:
                    yield f"{node.name}: nothing answers at {listener.address}, {what} is none of {offered}: change it"
                else:
                    names = " and ".join(each.name for each in node.serves)
                    yield f"{node.name}: nothing answers at {listener.address}, {names} needs no door: add what does"


def _a(role: str) -> str:
    return f"a {role}" if role == "relay" else f"an {role}"


def _speaking(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        for links, verb, attribute in ((node.upstreams, "pull from", "pulls"), (node.targets, "push to", "pushes")):
            for other in links:
                wanted = tuple(dict.fromkeys(s for each in node.serves for s in getattr(each, attribute)))
                names = "+".join(each.name for each in node.serves)
                if node.serves and not wanted:
                    yield f"{node.name}: {names} cannot {verb} anything: leave {other.name} out"
                elif node.serves and other.schemes and not set(wanted) & set(other.schemes):
                    yield (
                        f"{node.name}: {names} cannot {verb} {other.name}, which speaks {', '.join(other.schemes)}: "
                        f"it needs {' or '.join(wanted)}"
                    )


def _doors(graph: Graph) -> Iterator[str]:
    taken: list[tuple[str, Address, str]] = []
    for node in graph.nodes:
        for listener in node.listen:
            for line in listener.problems():
                yield f"{node.name}: {line}"
            scheme = node.scheme_of(listener)
            if not scheme:
                continue  # told by _services
            if not listener.address.unix and listener.address.port is None and scheme not in DEFAULT_PORTS:
                yield f"{node.name}: listener {listener.address} has no port and {scheme} has no usual one: add :PORT"
                continue
            address = listen_address(node, scheme, listener.address)
            for host, other, name in taken:
                if host == node.host and _clash(address, other):
                    yield f"{node.name}: {address.authority} on {host} is taken by {name} already: choose another port"
            taken.append((node.host, address, node.name))
    if graph.control is not None:
        for line in graph.control.problems():
            yield f"control address: {line}"
        address = listen_address(graph.nodes[0], graph.control.address.scheme, graph.control.address)
        for host, other, name in taken:
            # Each process has one, so it is on the machine of every tier.
            if _clash(address, other):
                yield f"control address: {address.authority} on {host} is taken by {name}: choose another port"


def _clash(one: Address, other: Address) -> bool:
    if one.unix or other.unix:
        return one.unix == other.unix
    if one.port != other.port or one.port == 0:
        return False
    # "::" takes IPv4 too, as _net opens it.
    if one.host == other.host or {one.host, other.host} & {"", "::"}:
        return True
    families = _family(one.host), _family(other.host)
    return (one.wildcard or other.wildcard) and (families[0] == families[1] or 0 in families)


def _family(host: str) -> int:
    """4 or 6 of an address, 0 of a name, which may be either."""
    try:
        return ip_address(host).version
    except ValueError:
        return 0


def _reaches(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        for address in node.reach:
            if address.scheme and address.scheme not in node.schemes:
                yield (
                    f"{node.name}: reach={str(address)!r} is for {address.scheme}, which none of its listeners speaks: "
                    f"write it for {' or '.join(node.schemes) or 'one of them'}"
                )
            if address.host and address.wildcard:
                yield f"{node.name}: reach={str(address)!r} is no address to dial: write HOST:PORT"


def _distance(graph: Graph, bound: Collection[str]) -> Iterator[str]:
    """Across machines and processes, what is dialled must be an address that means something there."""
    running = {id(node) for node in graph.running}
    for node in graph.nodes:
        for other in (*node.upstreams, *node.targets):
            if not other.runs or not other.listen or other.name in bound:
                continue
            pulled = tuple(s for each in node.serves for s in (*each.pulls, *each.pushes))
            if not set(pulled) & set(other.schemes):
                continue  # told by _speaking
            reach = other.reach_address(pulled)
            together = id(node) in running and id(other) in running
            if reach is None and (other.host != node.host or (id(node) in running and not together)):
                yield (
                    f"{other.name}: {node.name} dials it from another {_place(node, other)}, and port 0 is no port "
                    f"to dial: give {other.name} a fixed port, or reach='HOST:PORT'"
                )
            elif reach is not None and other.host != node.host and _loopback(reach):
                yield (
                    f"{other.name}: {node.name} on {node.host} cannot dial it at {reach.authority}: "
                    f"give {other.name} host= or reach="
                )


def _place(node: Node, other: Node) -> str:
    return "machine" if node.host != other.host else "process"


def _loopback(address: Address) -> bool:
    if address.unix or address.host == "localhost":
        return True
    try:
        return ip_address(address.host).is_loopback
    except ValueError:
        return False


def _options(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        speaks = node.speaks if isinstance(node, Origin) else None
        for recipe in (*node.serves, *((speaks,) if speaks is not None else ())):
            for line in recipe.problems():
                yield f"{node.name}: {recipe.name}: {line}"
        for line in option_problems(node.limits):
            yield f"{node.name}: limits: {line}"


def _logs(graph: Graph) -> Iterator[str]:
    if graph.viewer_addresses not in MASKS:
        yield f"viewer_addresses={graph.viewer_addresses!r}: choose one of {', '.join(map(repr, MASKS))}"
    if graph.access_log is not None:
        for line in option_problems(graph.access_log):
            yield f"access log: {line}"
        if not graph.access_log.file:
            yield "access log: it has no file: give it a name"


_RULES = (_empty, _names, _origins, _restreams, _edges, _services, _speaking, _doors, _reaches, _options, _logs)
