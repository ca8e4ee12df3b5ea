"""`tierkit wowza shield`: the proof that a Wowza is shielded, and who still goes to it directly."""

from __future__ import annotations

import json as jsonlib
import socket
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any

import trio
import typer
from attrs import asdict, frozen
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tierkit import Address, Graph, GraphError, Node, Origin, TierkitError, Trust
from tierkit.codecs.wowza_counts import Counts
from tierkit.plugin import Networks
from tierkit.plugins.wowza import Wowza
from tierkit.plugins.wowza.admin import WowzaFailure, control_address

from ._cli_common import File, Plugins, complain, read, registry_of, told
from ._cli_control import dialled, statistics_of
from ._cli_wowza_common import Ca, Controls, CredentialsFile, Json, controls, credentials, ports_of
from ._cli_wowza_shield_report import Shield, Straggler, lines, names_behind, tier_figures
from ._cli_wowza_shield_report import shield as filled_in

__all__ = ["shield"]

#: Columns of a table that goes into a file or a pipe, where nothing should be wrapped.
WIDE = 200


@told
def shield(
    file: File,
    control: Annotated[
        list[str] | None,
        typer.Option(
            "--control",
            metavar="HOST:PORT",
            help="Control address of a graph that runs, if not the file's; repeatable.",
        ),
    ] = None,
    wowza: Annotated[
        str,
        typer.Option(
            "--wowza", metavar="HOST:PORT", help="Wowza's control port, if not as the graph or the stock has it."
        ),
    ] = "",
    tiers_in: Annotated[
        list[str] | None,
        typer.Option("--tiers-in", metavar="CIDR", help="A network whose addresses are tiers', as Wowza sees them."),
    ] = None,
    credentials_file: CredentialsFile = None,
    ca: Ca = "",
    json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Put Wowza's own counters beside the tiers': tierkit wowza shield graph.py.

    Says how many clients Wowza has, how many viewers the tiers have, what that saves, and who is served by Wowza
    directly.  Exit code 1 if neither Wowza nor the tiers could be asked, or somebody is served directly.
    """
    graph = read(file, registry_of(plugin))
    origins = _origins(graph, str(file))
    try:
        known = Networks(tiers_in or ())
    except ValueError as error:
        raise GraphError([f"--tiers-in: {error}"]) from None
    plan = _Plan(graph, _control_addresses(graph, control), known, Trust(ca=ca) if ca else None, ca)
    reports = trio.run(_all, plan, [(each, _wowza_ports(each, wowza, credentials_file)) for each in origins])
    complain([line for each in reports for line in each.troubles])
    if json:
        typer.echo(jsonlib.dumps({"origins": [_plain(each) for each in reports]}))
    else:
        for each in reports:
            typer.echo("\n".join(lines(each)))
            _table(each.stragglers)
    if any(each.stragglers or (each.clients is None and not each.tiers) for each in reports):
        raise typer.Exit(1)


@frozen
class _Plan:
    graph: Graph
    control: Sequence[Address]
    tiers_in: Networks
    trust: Trust | None
    ca: str


def _origins(graph: Graph, file: str) -> list[Origin]:
    found = [each for each in graph.nodes if isinstance(each, Origin) and isinstance(each.speaks, Wowza)]
    if not found:
        raise GraphError([f"{file}: no origin speaks Wowza: give one speaks=Wowza(...)"])
    return found


def _control_addresses(graph: Graph, given: Sequence[str] | None) -> list[Address]:
    if given:
        return [dialled(each) for each in given]
    if graph.control is None:
        raise GraphError(
            ["the graph has no control address to ask the tiers by: give control=, or --control HOST:PORT"]
        )
    return [dialled(graph.control.address)]


def _wowza_ports(origin: Origin, text: str, file: Path | None) -> tuple[Address | None, Address | None]:
    """Where a Wowza's REST and counters are: as is said here, as the recipe has it, or at the stock's ports."""
    assert origin.address is not None, "it speaks, so it is elsewhere"
    if text:
        return ports_of(credentials(Address.parse(text), file))
    found = []
    for option in ("rest", "admin"):
        said = getattr(origin.speaks, option, "")
        address = control_address(said, origin.address) if said else Address(host=origin.address.host)
        found.append(credentials(address, file))
    return found[0], found[1]


async def _all(plan: _Plan, ports: Sequence[tuple[Origin, tuple[Address | None, Address | None]]]) -> list[Shield]:
    tiers: dict[str, Any] = {}
    troubles: list[str] = []
    for where in plan.control:
        try:
            tiers |= (await statistics_of(where, trust=plan.trust))["tiers"]
        except TierkitError as error:
            troubles.append(str(error))
    reports = []
    for origin, (rest, admin) in ports:
        async with controls(rest, admin, ca=plan.ca) as asked:
            reports.append(await _one(plan, origin, asked, tiers, troubles))
        troubles = []
    return reports


async def _one(plan: _Plan, origin: Origin, ports: Controls, told: dict[str, Any], troubles: list[str]) -> Shield:
    failures: list[WowzaFailure] = []
    counts = await _counts(ports, failures)
    version, encoders = await _by_rest(ports, failures)
    figures = tier_figures(plan.graph, origin, told)
    heard = {each.name for each in figures}
    report = Shield(
        origin=origin.name,
        server=ports.where,
        version=version,
        unheard=tuple(each for each in names_behind(plan.graph, origin) if each not in heard),
        # REST is asked for what the counters do not say; that it cannot be is told only where nothing else was there.
        troubles=(*troubles, *(str(each) for each in failures if counts is None or not each.upstream.count("/v2/"))),
    )
    assert origin.address is not None
    ours = _Ours(await _tier_addresses(plan.graph, origin), plan.tiers_in)
    return filled_in(report, figures, counts, ours, encoders)


async def _counts(ports: Controls, failures: list[WowzaFailure]) -> Counts | None:
    """`serverinfo`, which names each client; else the counts alone."""
    if ports.counters is None:
        return None
    try:
        return await ports.counters.info()
    except WowzaFailure as error:
        failures.append(error)
    if failures[-1].kind in ("unreachable", "slow", "credentials"):
        return None
    try:
        return await ports.counters.counts()
    except WowzaFailure as error:
        failures.append(error)
        return None


async def _by_rest(ports: Controls, failures: list[WowzaFailure]) -> tuple[str, list[str] | None]:
    """The version, and the addresses that streams come in from; None where that cannot be told."""
    if ports.rest is None:
        return "", None
    try:
        version = (await ports.rest.status()).version
        return version, [_host(each.source) for each in await ports.rest.incoming()]
    except WowzaFailure as error:
        failures.append(error)
        return "", None


def _host(source: str) -> str:
    """Of a `sourceIp` such as ``rtmp://192.0.2.1:50000``; "" for a stream that is made on the server."""
    try:
        return Address.parse(source).host
    except ValueError:
        return ""


@frozen
class _Ours:
    """Addresses by which a Wowza may see a tier."""

    known: frozenset[str]
    networks: Networks

    def __contains__(self, address: str) -> bool:
        try:
            return address in self.known or address in self.networks
        except ValueError:
            return False


async def _tier_addresses(graph: Graph, origin: Origin) -> frozenset[str]:
    """Addresses of the hosts that the tiers of an origin stand on, and of this machine on its way there.

    A name that cannot be looked up has none: its tier will be among the stragglers, which the how-to explains.
    """
    assert origin.address is not None
    names = [each for each in (graph[name] for name in names_behind(graph, origin)) if origin in each.upstreams]
    hosts = {host for each in names for host in _hosts(each)}
    found: set[str] = set()
    for host in hosts:
        found |= await _looked_up(host)
    if any(_loopback(each) for each in found):
        found |= await trio.to_thread.run_sync(_on_the_way_to, origin.address.host)
    return frozenset(found)


def _hosts(node: Node) -> Iterable[str]:
    yield node.host
    yield from (each.host for each in node.reach if each.host)
    yield from (each.address.host for each in node.listen if each.address.host and not each.address.wildcard)


async def _looked_up(host: str) -> set[str]:
    try:
        rows = await trio.socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {str(row[4][0]).partition("%")[0] for row in rows}


def _loopback(text: str) -> bool:
    return ip_address(text).is_loopback


def _on_the_way_to(host: str) -> set[str]:
    """This machine's addresses as a server sees them; a datagram socket says so without sending anything."""
    found: set[str] = set()
    try:
        rows = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return found
    for family, kind, protocol, _, where in rows:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.connect(where)
                found.add(str(probe.getsockname()[0]).partition("%")[0])
        except OSError:
            continue
    return found


def _plain(found: Shield) -> dict[str, Any]:
    return {**asdict(found), "ratio": found.ratio, "bytes_saved": found.bytes_saved, "saved": found.saved}


def _table(stragglers: Sequence[Straggler]) -> None:
    if not stragglers:
        return
    typer.echo("served by Wowza directly: tell them, or whoever has linked them, to switch to a tier")
    table = Table(box=None, pad_edge=False)
    for heading in ("address", "by", "sessions", "for", "what", "says it is"):
        table.add_column(heading, no_wrap=True)
    for each in stragglers:
        since = "" if each.seconds is None else f"{each.seconds / 60:.0f} min"
        cells = (each.address, each.protocol, str(each.sessions), since, each.uri or each.app, each.agent[:60])
        table.add_row(*map(escape, cells))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    console.print(table)
