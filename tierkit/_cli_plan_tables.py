"""A plan as tables for a terminal, a narrow one too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tierkit import Graph, __version__
from tierkit.plan import Breaking, LinkLoad, Machines, Plan, Profile, TierLoad

__all__ = ["show"]

#: Columns of what goes into a file or a pipe.
WIDE = 120
#: Of what breaks besides: as many lines.
TOLD = 6
#: What may be more than used of a bound, in words.
_WORDS = {
    "cpu": "the core of {}",
    "connections": "connections of {} (limits.connections)",
    "descriptors": "descriptors of {}",
    "memory": "memory of {}",
    "cores": "the cores of {}",
    "out": "the line out of {}",
    "in": "the line into {}",
    "link": "the link {}",
}


def show(plan: Plan, graph: Graph, profile: Profile, machines: Machines, *, now: float) -> None:
    """Print all of it; `now` is in seconds since 1970."""
    _say(_headline(plan))
    _tables(plan)
    for line in (*_notes(graph, machines), *_verdict(plan), *_sources(plan, profile, now)):
        _say(line)
    if plan.then is not None:
        _say(f"\nWith {_copies(plan.wanted or {})}:")
        _tables(plan.then)
        _say(_first(plan.then))


def _say(line: str) -> None:
    typer.echo(line)


def _headline(plan: Plan) -> str:
    audience = plan.audience
    total = audience.viewers * audience.bitrate
    what = f"{_many(audience.streams, 'stream')}, {_many(audience.renditions, 'rendition')} of each"
    return (
        f"{audience.viewers:,.0f} viewers at {audience.bitrate / 1e3:g} kbit/s: {_bits(total)} in all; "
        f"{what}, segments of {audience.segment:g} s, for {_time(audience.seconds)}\n"
    )


def _tables(plan: Plan) -> None:
    _print(_tier_table(plan))
    _say("")
    _print(_link_table(plan.links))
    _say("")
    for load in plan.origins:
        _say(_origin(load, plan))


def _tier_table(plan: Plan) -> Table:
    table = _table("tier", "viewers", "out", "in", "req/s", "memory", "CPU", "descr.")
    for load in plan.tiers.values():
        if load.runs:
            name = load.name if load.copies == 1 else f"{load.name} x{load.copies}"
            table.add_row(
                escape(name),
                f"{load.viewers:,.0f}",
                _bits(load.bits_out),
                _bits(load.bits_in),
                f"{load.requests:,.0f}" if load.requests else "-",
                _bytes(load.memory),
                f"{load.cpu:.1%}",
                f"{load.descriptors:,.0f}",
            )
    return table


def _link_table(links: Iterable[LinkLoad]) -> Table:
    table = _table("link", "on the wire", "back", "of", "used")
    for link in links:
        name = link.name.replace(":", " → ", 1) if link.kind == "pull" else link.name
        name = f"site {name}" if link.kind == "site" else name
        share = link.share
        table.add_row(
            escape(name),
            _bits(link.out),
            _bits(link.back) if link.back else "-",
            _bits(link.speed) if link.speed else "-",
            f"{share:.0%}" if share is not None else "-",
        )
    return table


def _origin(load: TierLoad, plan: Plan) -> str:
    pulled = [link.name.partition(":")[2] for link in plan.links if link.name.startswith(f"{load.name}:")]
    asking = sum(plan.tiers[name].copies for name in pulled if name in plan.tiers)
    asked = f"{load.requests:,.1f} requests/s and " if load.requests else ""
    return f"origin {load.name}: {_many(asking, 'tier')} ask it, {asked}{_bits(load.bits_out)} in all"


def _verdict(plan: Plan) -> Iterable[str]:
    yield ""
    yield _first(plan)
    if plan.holds:
        yield "it holds"
        return
    others = [each for each in plan.breaking if each.share > plan.fill and each is not plan.first]
    for each in others[:TOLD]:
        yield f"breaks too: {_what(each)}, asked for {each.share:.0%} of it"
    if len(others) > TOLD:
        yield f"breaks too: {len(others) - TOLD} more; --json has all"
    if plan.wanted is None:
        yield f"more tiers do not help: {plan.stuck}"
        return
    added = {name: copies - 1 for name, copies in plan.wanted.items()}
    yield f"wanted: {sum(added.values())} more: " + ", ".join(f"{n} like {name}" for name, n in added.items())


def _first(plan: Plan) -> str:
    first = plan.first
    if first is None:
        return "nothing in it has a bound that more viewers reach"
    return (
        f"breaks first: {_what(first)}, at {first.viewers:,.0f} viewers ({plan.fill:.0%} of it); "
        f"{plan.audience.viewers:,.0f} use {first.share:.0%}"
    )


def _what(breaking: Breaking) -> str:
    return _WORDS[breaking.what].format(breaking.name)


def _copies(wanted: Mapping[str, int]) -> str:
    return ", ".join(f"{copies} x {name}" for name, copies in wanted.items())


def _notes(graph: Graph, machines: Machines) -> Iterable[str]:
    local = [node.name for node in graph.running if node.host.startswith("127.") or node.host == "localhost"]
    if local and not machines.one:
        which = "all tiers say" if len(local) == len(graph.running) else f"{', '.join(local)}: no host, that is,"
        yield f"{which} this machine: each is taken to have one of its own; --one-machine has them share one"


def _sources(plan: Plan, profile: Profile, now: float) -> Iterable[str]:
    kinds = dict.fromkeys(kind for load in plan.tiers.values() for kind in load.kinds)
    by_source: dict[str, list[str]] = {}
    for kind in kinds:
        by_source.setdefault(profile.of(kind).source, []).append(kind)
    for source, mine in by_source.items():
        yield f"costs of {', '.join(mine)}: {source}"
    if not profile.made_at:
        yield "this machine is not calibrated: tierkit plan --calibrate measures it"
        return
    about = profile.about
    shown = {"processor": "{}", "python": "Python {}", "tierkit": "tierkit {}", "to spare": "{} of it to spare"}
    told = ", ".join(form.format(about[key]) for key, form in shown.items() if key in about)
    age = _time(max(0.0, now - profile.made_at))
    yield f"calibration: {age} old, of {about.get('machine', 'a machine')} ({told})"
    if about.get("tierkit") != __version__:
        yield f"it was made by tierkit {about.get('tierkit', 'unknown')}, this is {__version__}: make it again"


# --- how it looks --------------------------------------------------------------------------------


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(first, overflow="fold")
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _print(table: Table) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    console.print(table)


def _bits(rate: float) -> str:
    for unit, name in ((1e9, "Gbit/s"), (1e6, "Mbit/s")):
        if rate >= unit:
            return f"{rate / unit:.3g} {name}" if rate < 1000 * unit else f"{rate / unit:,.0f} {name}"
    return f"{rate / 1e3:.3g} kbit/s"


def _bytes(count: float) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _time(seconds: float) -> str:
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit:
            return _many(round(seconds / unit), name)
    return _many(round(seconds), "second")


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
