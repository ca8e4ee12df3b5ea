"""`tierkit plan`: what a graph has to carry for an audience, and whether it can."""

from __future__ import annotations

import json as jsonlib
import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import trio
import typer

import tierkit
from tierkit import Graph, GraphError, TierkitError
from tierkit.config import parse_size
from tierkit.plan import Audience, Machines, Profile, calibrate, default_path, parse_speed
from tierkit.plan import plan as make_plan

from ._cli_common import Plugins, complain, duration, read, registry_of, told

__all__ = ["plan"]

#: Kbit/s; a programme of 8K has 100,000.
MOST_KBPS = 1e7


def speed(text: str) -> float:
    """Bit/s, for options that take a speed."""
    return parse_speed(str(text))


def size(text: str) -> float:
    """Bytes, for options that take a size."""
    return float(parse_size(str(text)))


Part = Annotated[
    list[str] | None,
    typer.Option(
        "--split", metavar="hls=0.75,rtmp=0.25", help="Parts of the audience by service or scheme; repeatable."
    ),
]
Share = Annotated[
    list[str] | None,
    typer.Option("--share", metavar="TIER=0.5", help="A tier's part of its protocol's viewers; repeatable."),
]
Link = Annotated[
    list[str] | None,
    typer.Option(
        "--link",
        metavar="NAME=SPEED",
        help="Speed of a tier's, host's or origin's interface, of a site's line, or of A:B; repeatable.",
    ),
]
LinksFile = Annotated[
    Path | None, typer.Option("--links", metavar="FILE", help="The same as TOML: uplink, and a table [links].")
]
Uplink = Annotated[
    float | None, typer.Option("--uplink", metavar="SPEED", parser=speed, help="Speed of every machine's interface.")
]
Memory = Annotated[float | None, typer.Option("--memory", metavar="SIZE", parser=size, help="Of every machine.")]
Segment = Annotated[
    float | None,
    typer.Option("--segment", metavar="S", parser=duration, help="Length of a segment; the origin's own, or 2 s."),
]
Lasting = Annotated[
    float, typer.Option("--lasting", metavar="S", parser=duration, help="How long it goes on: caches fill meanwhile.")
]
Seconds = Annotated[
    float, typer.Option("--seconds", metavar="S", parser=duration, help="Of each measurement of a calibration.")
]


@told
def plan(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A Python file that holds `graph`, or a .toml file.")
    ] = None,
    viewers: Annotated[int | None, typer.Option("--viewers", min=1, max=10**9, help="How many in all.")] = None,
    bitrate: Annotated[
        float | None,
        typer.Option("--bitrate", metavar="KBPS", min=1, max=MOST_KBPS, help="What each is sent, kbit/s."),
    ] = None,
    split: Part = None,
    share: Share = None,
    streams: Annotated[int, typer.Option("--streams", min=1, max=10**6, help="Programmes that are watched.")] = 1,
    renditions: Annotated[int, typer.Option("--renditions", min=1, max=100, help="Of each programme.")] = 1,
    segment: Segment = None,
    lasting: Lasting = 3 * 3600.0,
    uplink: Uplink = None,
    link: Link = None,
    links: LinksFile = None,
    memory: Memory = None,
    cores: Annotated[float | None, typer.Option("--cores", min=0.1, help="Of every machine.")] = None,
    descriptors: Annotated[
        int, typer.Option("--descriptors", min=64, help="That a process may have (ulimit -Hn).")
    ] = 20_000,
    one_machine: Annotated[bool, typer.Option("--one-machine", help="All tiers share one machine.")] = False,
    fill: Annotated[
        float, typer.Option("--fill", min=0.01, max=1, help="The share of anything that may be used.")
    ] = 0.8,
    profile: Annotated[
        Path | None, typer.Option("--profile", metavar="FILE", help="The calibration, if not this user's own.")
    ] = None,
    calibration: Annotated[
        bool, typer.Option("--calibrate", help="Measure first what tiers cost on this machine: two to three minutes.")
    ] = False,
    seconds: Seconds = 10.0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
    plugin: Plugins = None,
) -> None:
    """Reckon what a graph carries: tierkit plan grnet.py --viewers 6000 --bitrate 592 --uplink 1G.

    Exit code 1 where the plan breaks.
    """
    if file is None and not calibration:
        raise GraphError(["plan: nothing to do: give FILE with --viewers and --bitrate, or --calibrate"])
    if file is not None and (viewers is None or bitrate is None):
        raise GraphError(["plan: how many watch what: give --viewers N and --bitrate KBPS"])
    where = profile or default_path()
    # What is asked for is looked at before minutes are spent on measuring.
    parts, shares = weights("--split", split), weights("--share", share)
    machines = _machines(uplink, link, links, memory=memory, cores=cores, descriptors=descriptors, one=one_machine)
    graph = None if file is None else _sound(file, plugin)
    if calibration:
        _calibrate(where, seconds)
    if graph is None or viewers is None or bitrate is None:
        return
    audience = Audience(
        viewers=viewers,
        bitrate=bitrate * 1000,
        streams=streams,
        renditions=renditions,
        segment=segment or segment_of(graph),
        seconds=lasting,
        split=parts,
        share=shares,
    )
    known = costs_in(where, asked=profile is not None)
    found = make_plan(graph, audience, known, machines, fill=fill)
    if json:
        typer.echo(jsonlib.dumps({**found.as_dict(), "calibration": calibration_dict(known)}))
    else:
        from ._cli_plan_tables import show

        show(found, graph, known, machines, now=time.time())
    if not found.holds:
        raise typer.Exit(1)


def weights(option: str, words: Sequence[str] | None) -> dict[str, float]:
    """Numbers by name from "a=0.5,b=0.5".  Raises GraphError with every problem."""
    found: dict[str, float] = {}
    problems = []
    for word in (part for each in words or () for part in each.split(",") if part.strip()):
        name, _, number = word.strip().rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not name or not 0 <= value < 1e9:
            problems.append(f"{option} {word.strip()!r}: write NAME=NUMBER, such as hls=0.75")
        elif name in found:
            problems.append(f"{option} {name}: is there twice")
        else:
            found[name] = value
    if problems:
        raise GraphError(problems)
    return found


def speeds(words: Sequence[str] | None) -> dict[str, float]:
    """Bit/s by name from "edge-a1=1G".  Raises GraphError with every problem."""
    found: dict[str, float] = {}
    problems = []
    for word in words or ():
        name, _, text = word.rpartition("=")
        try:
            found[name] = parse_speed(text)
        except ValueError as error:
            problems.append(f"--link {word!r}: {error}")
            continue
        if not name:
            problems.append(f"--link {word!r}: write NAME=SPEED, such as edge-a1=1G")
    if problems:
        raise GraphError(problems)
    return found


def _machines(uplink: float | None, link: Sequence[str] | None, links: Path | None, **more: Any) -> Machines:
    named: Mapping[str, float] = {} if links is None else Machines.read(links)
    # What stands on the command line is nearer than a file.
    uplink = uplink if uplink is not None else named.get("")
    named = {name: each for name, each in named.items() if name} | speeds(link)
    return Machines(uplink=uplink, links=named, **more)


def _sound(file: Path, plugin: list[str] | None) -> Graph:
    graph = read(file, registry_of(plugin))
    if problems := tierkit.check(graph):
        raise GraphError([f"{file}: {each}" for each in problems])
    return graph


def segment_of(graph: Graph) -> float:
    """Seconds of a segment as the graph's own origin has it; 2 where it is a server elsewhere."""
    return next((float(s.segment) for node in graph for s in node.serves if hasattr(s, "segment")), 2.0)


def costs_in(path: Path, *, asked: bool) -> Profile:
    """The calibration in a file; an empty one where there is none and nobody has asked for that file."""
    try:
        return Profile.read(path)
    except OSError as error:
        if asked or not isinstance(error, FileNotFoundError):
            raise TierkitError(f"{path}: cannot be read: {error.strerror}: tierkit plan --calibrate makes it") from None
        return Profile()


def calibration_dict(profile: Profile) -> dict[str, Any] | None:
    """For JSON: what the costs are from; null where they are the documentation's."""
    return {"made_at": profile.made_at, **profile.about} if profile.made_at else None


def _calibrate(where: Path, seconds: float) -> None:
    if seconds < 4:
        raise GraphError([f"--seconds {seconds:g}: a measurement of less than 4 s says nothing"])
    if not os.access(_existing(where), os.W_OK):
        raise TierkitError(f"{where}: cannot be written: say --profile FILE")
    found = trio.run(partial(calibrate, seconds=seconds, tell=lambda line: complain([line])))
    found.write(where)
    complain([f"calibration written to {where}"])


def _existing(path: Path) -> Path:
    """The file, or the nearest folder above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
