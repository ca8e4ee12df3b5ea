"""`tierkit trace`: which tier is late with a stream, and since which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import trio
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tierkit import Address, RealNetwork, Trust
from tierkit.errors import TierkitError
from tierkit.plugin import Network

from ._cli_common import duration, told
from ._cli_control import dialled, statistics_of
from ._cli_trace_look import FrameLook, PlaylistLook, look_at_frames, look_at_playlist, look_once
from ._cli_trace_plan import HTTP, RTMP, Hop, chain, everybody, named_by_via, owner, streams
from ._cli_trace_verdict import Finding, frames_found, playlists_found, verdict

__all__ = ["trace"]

#: Seconds of watching: three target durations of a playlist, and no longer than a person waits.
LONGEST = 30.0
TARGETS = 3
FIRST_GUESS = 6.0
#: The same of frames: a GOP of two seconds and what a slow tier is behind.
FRAMES = 8.0


@told
def trace(
    address: Annotated[
        str,
        typer.Argument(
            metavar="[ADDRESS]",
            help="A stream's URL at a tier, as viewers have it (http, https, rtmp), or a graph's control address.",
        ),
    ] = ":9000",
    control: Annotated[
        list[str] | None,
        typer.Option("--control", metavar="HOST:PORT", help="Control addresses of the graph; by default :9000."),
    ] = None,
    stream: Annotated[
        str,
        typer.Option(
            "--stream", metavar="PATH", help="With a control address: which stream; by default the most watched."
        ),
    ] = "",
    seconds: Annotated[
        float,
        typer.Option("--seconds", metavar="S", parser=duration, help="How long to watch; by default as is needed."),
    ] = 0.0,
    ca: Annotated[str, typer.Option("--ca", metavar="FILE", help="Who has signed certificates (PEM).")] = "",
) -> None:
    """Name the tier that is late: tierkit trace http://edge-a1.example/live/s/playlist.m3u8

    Asks the tier, and all that it has the stream from, at the same time.  Exit code 1 where one is late.
    """
    trust = Trust(ca=ca) if ca else None
    findings = trio.run(_trace, address, control or (), stream, seconds, trust, RealNetwork())
    _print(findings)
    late, line = verdict(findings)
    typer.echo(line)
    if late:
        raise typer.Exit(1)


async def _trace(
    address: str, control: Sequence[str], stream: str, seconds: float, trust: Trust | None, network: Network
) -> list[Finding]:
    """What is found at each place, the origin first.  Raises TierkitError."""
    url = Address.parse(address)
    whole = bool(url.scheme and url.path.strip("/"))
    tiers = await _tiers(control or ([":9000"] if whole else [address]), trust, network)
    if not whole:
        return await _of_graph(tiers, stream, seconds, trust, network)
    if url.scheme in RTMP:
        return await _frames(chain(tiers, owner(tiers, url), url.path, RTMP, url=url), seconds, trust, network)
    if url.scheme not in HTTP:
        raise TierkitError(f"{url} cannot be traced: give a URL of http, https, rtmp or rtmps, or a control address")
    first = PlaylistLook(Hop("", url, ours=False))
    await look_once(first, network, trust)
    via = named_by_via(first.via, tiers)
    name = via[-1] if via else owner(tiers, url)
    path = first.hop.url.path
    return await _playlists(chain(tiers, name, path, HTTP, url=first.hop.url, via=via), seconds, trust, network)


async def _tiers(control: Sequence[str], trust: Trust | None, network: Network) -> dict[str, Any]:
    """All tiers that some control addresses tell of, dialable from here."""
    found: dict[str, Any] = {}
    for text in control:
        where = dialled(text)
        told_of = await statistics_of(where, trust=trust, network=network)
        for name, tier in told_of["tiers"].items():
            if isinstance(tier, dict):
                found[name] = {**tier, "addresses": [_from_here(each, where) for each in tier.get("addresses", ())]}
    return found


def _from_here(text: object, control: Address) -> str:
    """A bound address as it is dialled from here: another machine's loopback is that machine."""
    address = Address.parse(str(text))
    if address.host in ("127.0.0.1", "::1", "localhost") and not control.unix:
        address = address.with_(host=control.host)
    return str(address)


async def _of_graph(
    tiers: dict[str, Any], stream: str, seconds: float, trust: Trust | None, network: Network
) -> list[Finding]:
    for schemes, look in ((HTTP, _playlists), (RTMP, _frames)):
        known = streams(tiers, schemes)
        wanted = [each for each in known if not stream or each.strip("/") == stream.strip("/")]
        if wanted:
            return await look(everybody(tiers, wanted[0], schemes), seconds, trust, network)
    what = f"{stream} is not" if stream else "nothing is"
    raise TierkitError(f"{what} on air at {', '.join(tiers) or 'any tier'}: give a stream's URL, or --stream PATH")


async def _playlists(hops: Sequence[Hop], seconds: float, trust: Trust | None, network: Network) -> list[Finding]:
    looks = [PlaylistLook(hop) for hop in hops]
    begun = trio.current_time()

    def until() -> float:
        targets = [each.facts.pace for each in looks if each.facts is not None]
        return begun + (seconds or min(LONGEST, 1 + TARGETS * max(targets, default=FIRST_GUESS)))

    async with trio.open_nursery() as nursery:
        for look in looks:
            nursery.start_soon(look_at_playlist, look, network, trust, until)
    return playlists_found(looks, begun, until())


async def _frames(hops: Sequence[Hop], seconds: float, trust: Trust | None, network: Network) -> list[Finding]:
    looks = [FrameLook(hop) for hop in hops]
    end = trio.current_time() + (seconds or FRAMES)
    async with trio.open_nursery() as nursery:
        for look in looks:
            nursery.start_soon(look_at_frames, look, network, trust, lambda: end)
    return frames_found(looks, seconds or FRAMES)


def _print(findings: Sequence[Finding]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading, justify in (
        ("tier", "left"), ("from", "left"), ("newest", "right"), ("behind the origin", "right"),
        ("of that its own", "right"), ("first byte", "right"), ("newest segment", "right"), ("viewers", "right"),
        ("chopped", "right"), ("", "left"),
    ):  # fmt: skip
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]  # one of rich's literals
    for each in findings:
        table.add_row(*map(escape, each.cells()))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    console.print(table)
