"""What `tierkit wowza shield` makes of Wowza's counters and the tiers' own: plain values, no asking.

How the figures are made:

- Viewers of a tier: of its HLS edge those that it tells apart (`audience`), of everything else its connections.  A tier
  that other tiers pull from has these among its viewers, so they are taken off again.  Connections stand beside them:
  a lecture hall behind one address may be one viewer to an edge.
- Bytes that the tiers have sent to viewers are all that they have sent, less what tiers have had from tiers; bytes that
  they have taken from Wowza are what came in at those that pull from it.
- Clients of Wowza are the rows of `serverinfo`: players and HLS sessions, encoders left out as far as REST tells them.
  One whose address is a tier's is a tier; any other is a straggler.
- In HTTP origin mode Wowza counts no HLS at all.  That is seen by tiers that fetch HLS from it while it counts none,
  and said: nobody is to read "no stragglers" where nobody has looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from attrs import evolve, field, frozen

from tierkit import Graph, Node
from tierkit.codecs.wowza_counts import ClientRow, Counts
from tierkit.codecs.wowza_xml import plain

__all__ = ["Shield", "Straggler", "TierFigures", "lines", "names_behind", "shield", "tier_figures"]


#: Applications whose mode is told.
MOST_MODES = 20


class Addresses(Protocol):
    """A set of addresses."""

    def __contains__(self, address: str) -> bool: ...


@frozen(kw_only=True)
class TierFigures:
    """One tier, as the control address tells of it."""

    name: str
    #: Whether it pulls from the Wowza, and what other tiers pull from it.
    direct: bool
    feeds: tuple[str, ...] = ()
    state: str = "unknown"
    viewers: int = 0
    #: At its doors now; viewers behind one address look like one, connections do not.
    connections: int = 0
    #: Since it began: bytes sent at its doors, bytes that came from its upstreams.
    bytes_out: int = 0
    bytes_in: int = 0
    #: Connections to upstreams now, and whether it pulls HLS.
    upstream_connections: int = 0
    hls: bool = False
    #: By application, what it has found the names of HLS to be made of.
    modes: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class Straggler:
    """An address that Wowza serves itself and that is no tier."""

    address: str
    protocol: str
    app: str
    #: Without a query.
    uri: str
    #: Sessions of it that look alike.
    sessions: int = 1
    #: Seconds that the oldest has been there.
    seconds: float | None = None
    agent: str = ""


@frozen(kw_only=True)
class Shield:
    """Wowza's own counters beside the tiers'."""

    origin: str
    server: str
    version: str = ""
    #: What Wowza has now: clients of all kinds, those that are tiers, and encoders; None where it does not tell.
    clients: int | None = None
    tier_clients: int | None = None
    encoders: int = 0
    #: Whether it was told who publishes; else encoders may be among the stragglers.
    knows_encoders: bool = True
    #: Whether it counts HLS; False is HTTP origin mode; None where no tier fetches any, so nobody knows.
    counts_hls: bool | None = None
    #: By application, what the tiers have found its mode to be.
    modes: Mapping[str, str] = field(factory=dict)
    stragglers: tuple[Straggler, ...] = ()
    #: Tiers that were heard, and names of those that were not.
    tiers: tuple[TierFigures, ...] = ()
    unheard: tuple[str, ...] = ()
    viewers: int = 0
    #: Connections at the doors of the tiers, those of other tiers among them.
    connections: int = 0
    #: Connections that the tiers hold to Wowza, by their own count.
    tier_connections: int = 0
    #: Bytes so far, as above.
    bytes_to_viewers: int = 0
    bytes_from_wowza: int = 0
    #: What could not be asked, a line each.
    troubles: tuple[str, ...] = ()

    @property
    def ratio(self) -> float | None:
        """Viewers of the tiers for each connection that these hold to Wowza; None where there is none."""
        return self.viewers / self.tier_connections if self.tier_connections else None

    @property
    def bytes_saved(self) -> int:
        """What Wowza did not have to send."""
        return max(0, self.bytes_to_viewers - self.bytes_from_wowza)

    @property
    def saved(self) -> float | None:
        """The same as a part of all; None before anything was sent."""
        return self.bytes_saved / self.bytes_to_viewers if self.bytes_to_viewers else None


def tier_figures(graph: Graph, origin: Node, told: Mapping[str, Any]) -> list[TierFigures]:
    """The tiers behind an origin that were heard, out of the `tiers` of one or more control addresses."""
    behind = _behind(graph, origin)
    found = []
    for node in behind:
        if isinstance(each := told.get(node.name), Mapping):
            feeds = tuple(other.name for other in behind if any(up is node for up in other.upstreams))
            tier = _tier(node.name, each, any(up is origin for up in node.upstreams), feeds)
            found.append(evolve(tier, modes=_modes(each, origin.name)))
    return found


def _behind(graph: Graph, origin: Node) -> list[Node]:
    """The nodes that pull from it, or from one that does; upstreams come before those who pull from them."""
    found = [origin]
    for node in graph.nodes:
        if any(up is each for up in node.upstreams for each in found):
            found.append(node)
    return found[1:]


def names_behind(graph: Graph, origin: Node) -> list[str]:
    """Their names."""
    return [node.name for node in _behind(graph, origin)]


def _tier(name: str, told: Mapping[str, Any], direct: bool, feeds: tuple[str, ...]) -> TierFigures:
    figures, services = _within(told, "figures"), _within(told, "services")
    hls, rtmp = _within(services, "hls"), _within(services, "rtmp")
    streams = rtmp.get("streams")
    pulled = sum(_int(each.get("bytes_in")) for each in streams or () if isinstance(each, Mapping))
    viewers = _int(hls.get("audience")) if hls else _int(figures.get("viewers"))
    if hls and rtmp:
        viewers += _int(rtmp.get("players"))
    return TierFigures(
        name=name,
        direct=direct,
        feeds=feeds,
        state=str(told.get("state", "unknown"))[:40],
        viewers=viewers,
        connections=_int(told.get("connections")),
        bytes_out=_int(told.get("bytes_out")),
        bytes_in=_int(hls.get("upstream_bytes")) + pulled,
        upstream_connections=_int(figures.get("upstream_connections")),
        hls=bool(hls),
    )


def _modes(told: Mapping[str, Any], origin: str) -> dict[str, str]:
    """What the source of a tier tells of the mode, where it does."""
    upstreams = told.get("upstreams")
    for upstream in upstreams if isinstance(upstreams, (list, tuple)) else ():
        if isinstance(upstream, Mapping) and upstream.get("name") == origin:
            modes = _within(_within(upstream, "source"), "modes")
            return {plain(str(app)): plain(str(mode)) for app, mode in list(modes.items())[:MOST_MODES]}
    return {}


def _within(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _int(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def shield(
    found: Shield,
    tiers: Sequence[TierFigures],
    counts: Counts | None,
    ours: Addresses,
    encoders: Iterable[str] | None = (),
) -> Shield:
    """Fill in a report.

    Args:
        counts: `serverinfo`, or `connectioncounts` where that is all there is; None where neither was to be had.
        ours: addresses by which Wowza may see a tier.
        encoders: addresses that streams come in from; None where nobody could tell.
    """
    known = {each.name: each for each in tiers}
    between = sum(_fetching(each, known[child]) for each in tiers for child in each.feeds if child in known)
    inner = sum(each.bytes_in for each in tiers if not each.direct)
    found = evolve(
        found,
        tiers=tuple(tiers),
        viewers=max(0, sum(each.viewers for each in tiers) - between),
        connections=sum(each.connections for each in tiers),
        bytes_to_viewers=max(0, sum(each.bytes_out for each in tiers) - inner),
        bytes_from_wowza=sum(each.bytes_in for each in tiers if each.direct),
        tier_connections=sum(each.upstream_connections for each in tiers if each.direct),
        knows_encoders=encoders is not None,
        modes={app: mode for each in tiers for app, mode in each.modes.items()},
    )
    if counts is None:
        return found
    found = evolve(found, counts_hls=_counts_hls(tiers, counts))
    if counts.viewers and not counts.clients:
        return evolve(found, clients=counts.viewers)
    return _by_rows(found, counts.clients, ours, frozenset(encoders or ()))


def _fetching(parent: TierFigures, child: TierFigures) -> int:
    """How many of a tier's viewers are one that pulls from it: an edge tells it by its address, once."""
    return min(1, child.upstream_connections) if parent.hls else child.upstream_connections


def _counts_hls(tiers: Sequence[TierFigures], counts: Counts) -> bool | None:
    if any(each.sessions.get("hls") for each in counts.streams) or any(row.protocol == "hls" for row in counts.clients):
        return True
    return False if any(each.direct and each.hls and each.upstream_connections for each in tiers) else None


def _by_rows(found: Shield, rows: Sequence[ClientRow], ours: Addresses, encoders: frozenset[str]) -> Shield:
    tiers = coming_in = 0
    stragglers: dict[tuple[str, str, str], Straggler] = {}
    for row in rows:
        if row.protocol == "rtmp" and row.address in encoders:
            coming_in += 1
        elif row.address in ours:
            tiers += 1
        else:
            key = (row.address, row.app, row.uri)
            before = stragglers.get(key)
            stragglers[key] = _straggler(row) if before is None else _one_more(before, row)
    return evolve(
        found,
        clients=len(rows) - coming_in,
        tier_clients=tiers,
        encoders=coming_in,
        stragglers=tuple(sorted(stragglers.values(), key=lambda each: (-each.sessions, each.address))),
    )


def _straggler(row: ClientRow) -> Straggler:
    return Straggler(
        address=row.address,
        protocol=row.protocol,
        app=row.app,
        uri=row.uri,
        seconds=row.seconds,
        agent=row.agent,
    )


def _one_more(before: Straggler, row: ClientRow) -> Straggler:
    ages = [each for each in (before.seconds, row.seconds) if each is not None]
    return evolve(before, sessions=before.sessions + 1, seconds=max(ages, default=None))


# --- for people ----------------------------------------------------------------------------------


def lines(found: Shield) -> list[str]:
    """The report as text, but for the table of stragglers."""
    version = f" ({found.version})" if found.version else ""
    said = [f"{found.origin} at {found.server}{version}", f"  Wowza has       {_clients(found)}"]
    said.append(f"  the tiers have  {_viewers(found)}")
    if found.ratio is not None:
        said.append(
            f"  ratio           {found.ratio:.1f} viewers for each of {_of(found.tier_connections, 'connection')} to it"
        )
    said.append(f"  bytes           {_bytes(found)}")
    said += [f"  mode            {app}: {mode}" for app, mode in found.modes.items()]
    if found.unheard:
        said.append(f"  not heard       {', '.join(found.unheard)}: give --control of the graphs that run them")
    if not found.knows_encoders and any(each.protocol.startswith("rtmp") for each in found.stragglers):
        said.append("  not told        who publishes: REST could not be asked, so encoders may be among those below")
    if found.counts_hls is False:
        said.append(
            "  not counted     HLS: the tiers fetch it, and Wowza counts no session of it, as in HTTP origin mode; who "
            "fetches HLS from it directly stands in its access log alone"
        )
    return said


def _clients(found: Shield) -> str:
    if found.clients is None:
        return "clients: not told"
    clients = _of(found.clients, "client")
    if found.tier_clients is None:
        return f"{clients}; which of them are tiers is not told"
    others = sum(each.sessions for each in found.stragglers)
    encoders = f", and {_of(found.encoders, 'encoder')}" if found.encoders else ""
    return f"{clients}: {found.tier_clients} of tiers, {others} of others{encoders}"


def _viewers(found: Shield) -> str:
    each = ", ".join(f"{tier.name} {tier.viewers}" for tier in found.tiers)
    counted = f"{_of(found.viewers, 'viewer')} on {_of(found.connections, 'connection')}"
    return f"{counted}: {each}" if each else counted


def _of(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _bytes(found: Shield) -> str:
    if found.saved is None:
        return "nothing was sent to viewers yet"
    sent, taken = _size(found.bytes_to_viewers), _size(found.bytes_from_wowza)
    return f"{sent} sent to viewers for {taken} taken from Wowza: {found.saved:.2%} saved"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
