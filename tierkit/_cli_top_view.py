"""What `tierkit top` shows: one look at statistics and their history as something that rich can print.

Nothing here asks anybody: statistics and history go in, a renderable comes out.  All text from the network is told
with what does not print spelt out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tierkit.events import visible

__all__ = ["render"]

#: Eighths of a line's height, lowest first.
_BLOCKS = " ▁▂▃▄▅▆▇█"
#: Columns of the line of the last minutes, and of a whole bar.
_LINE, _BAR = 20, 24
#: Points over which a rate is taken: HLS comes by segments, a second of it says little.
_STEADY = 5
#: Streams and events that are shown.
_STREAMS, _EVENTS = 5, 6
#: By state; all others are bad news.
_STATES = {"running": "green", "starting": "yellow", "draining": "yellow", "stopped": "dim"}
_LEVELS = {"error": "bold red", "warning": "yellow"}
#: In turn, for types and sites: told apart also by those who see few colours, as every one has its name beside it.
_COLOURS = ("blue", "dark_orange", "green", "magenta", "cyan", "yellow")


def render(
    statistics: Mapping[str, Any],
    history: Mapping[str, Any],
    *,
    now: datetime,
    troubles: Sequence[str] = (),
    width: int = 100,
) -> RenderableType:
    """One look.

    Args:
        history: the last minutes, as `tierkit.history.History.as_dict` gives them.
        now: for the head line.
        troubles: why addresses do not answer, a line each.
        width: columns of the terminal: narrow ones get fewer.
    """
    parts: list[RenderableType] = [_head(statistics, history, now)]
    parts += [Text(visible(line), style="bold red") for line in troubles]
    parts.append(_shares({"traffic by type": history.get("type"), "traffic by site": history.get("site")}))
    parts += [Text(), _tiers(statistics, history, width)]
    if (streams := _streams(statistics)) is not None:
        parts += [Text(), streams]
    parts += [Text(), *_events(statistics)]
    return Group(*parts)


def _head(statistics: Mapping[str, Any], history: Mapping[str, Any], now: datetime) -> Text:
    tiers = statistics["tiers"].values()
    served = [tier for tier in tiers if tier.get("role") != "origin"] or list(tiers)
    chopped = sum(_figure(tier, "chopped") for tier in served)
    head = Text()
    head.append("tierkit top", style="bold")
    head.append(f"  {now:%H:%M:%S}  ")
    head.append(f"{sum(_figure(tier, 'viewers') for tier in served):,} viewers", style="bold")
    head.append("  ")
    head.append(_rate(sum(_steady(told.get("bits", ())) for told in _served(history))), style="bold")
    head.append("  ")
    head.append(f"{chopped:,} chopped", style="bold red" if chopped else "dim")
    return head


def _served(history: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The tiers that viewers are served by; what an origin sends goes to tiers, and is told by type and site."""
    tiers = list(history.get("tiers", {}).values())
    return [each for each in tiers if each.get("role") != "origin"] or tiers


def _shares(graphs: Mapping[str, object]) -> Table:
    """Each type's and site's rate now, as a bar of its share."""
    table = Table(box=None, pad_edge=False, show_header=False, show_edge=False)
    for _ in range(4):
        table.add_column(no_wrap=True)
    table.columns[2].justify = table.columns[3].justify = "right"
    for title, found in graphs.items():
        rates = {name: _steady(points) for name, points in _series(found).items()}
        whole = sum(rates.values())
        for index, (name, bits) in enumerate(rates.items()):
            share = bits / whole if whole else 0.0
            bar = Text("█" * max(round(share * _BAR), int(bits > 0)), style=_COLOURS[index % len(_COLOURS)])
            named = Text.assemble(((title if not index else "").ljust(16), "dim"), visible(name) or "no site")
            table.add_row(named, bar, _rate(bits), f"{share:.0%}")
    return table


def _tiers(statistics: Mapping[str, Any], history: Mapping[str, Any], width: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    wide = width >= 100
    for head in ("tier", "site", "state"):
        table.add_column(head, no_wrap=True)
    for head in ("viewers", "chopped", "rate"):
        table.add_column(head, justify="right", no_wrap=True)
    if wide:
        table.add_column("last minutes", no_wrap=True, width=_LINE)
    table.add_column("hits", justify="right", no_wrap=True)
    if wide:
        for head in ("lag", "upstream", "cpu", "memory"):
            table.add_column(head, justify="right", no_wrap=True)
    told = history.get("tiers", {})
    for name, tier in statistics["tiers"].items():
        table.add_row(*_row(name, tier, told.get(name, {}), wide))
    return table


def _row(name: str, tier: Mapping[str, Any], points: Mapping[str, Any], wide: bool) -> list[Text | str]:
    state = str(tier.get("state", "unknown"))
    chopped, bits = _figure(tier, "chopped"), points.get("bits", ())
    cells: list[Text | str] = [
        Text(visible(name), style="bold"),
        visible(str(tier.get("site", ""))) or "-",
        Text(visible(state), style=_STATES.get(state, "bold red")),
        f"{_figure(tier, 'viewers'):,}",
        Text(f"{chopped:,}", style="bold red" if chopped else "dim"),
        _rate(_steady(bits)),
    ]
    if wide:
        cells.append(_line(bits))
    ratio = _last(points.get("hit_ratio", ()), None)
    cells.append("-" if ratio is None else f"{ratio:.1%}")
    if wide:
        lag = tier.get("figures", {}).get("lag") or 0.0
        memory, cpu = _last(points.get("memory", ())), _last(points.get("cpu", ()))
        cells += [f"{lag:.1f} s" if lag else "-", _upstreams(tier), f"{cpu:.0%}", f"{memory / 1e6:.0f} MB"]
    return cells


def _upstreams(tier: Mapping[str, Any]) -> Text:
    upstreams = [each for each in tier.get("upstreams", ()) if isinstance(each, Mapping)]
    if not upstreams:
        return Text("-")
    down = [str(each.get("name")) for each in upstreams if not each.get("healthy", True)]
    if down:
        return Text(visible(f"{', '.join(down)} down"), style="bold red")
    return Text(f"{_figure(tier, 'upstream_connections')} open")


def _streams(statistics: Mapping[str, Any]) -> Table | None:
    """The streams with the most viewers over all tiers."""
    viewers: dict[str, int] = {}
    on_air: dict[str, bool] = {}
    for tier in statistics["tiers"].values():
        for stream in tier.get("streams", ()):
            name = str(stream.get("name", ""))
            viewers[name] = viewers.get(name, 0) + int(stream.get("viewers") or 0)
            on_air[name] = on_air.get(name, False) or bool(stream.get("on_air"))
    if not viewers:
        return None
    most = sorted(viewers, key=lambda name: (-viewers[name], name))
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stream", no_wrap=True)
    table.add_column("viewers", justify="right")
    table.add_column("")
    for name in most[:_STREAMS]:
        air = Text("on air", style="green") if on_air[name] else Text("off air", style="bold red")
        table.add_row(visible(name), f"{viewers[name]:,}", air)
    if (left := len(most) - _STREAMS) > 0:
        table.add_row(Text(f"and {left:,} more", style="dim"), "", "")
    return table


def _events(statistics: Mapping[str, Any]) -> list[Text]:
    events = [each for each in statistics.get("process", {}).get("events", ()) if isinstance(each, Mapping)]
    lines = []
    for each in events[-_EVENTS:]:
        at = datetime.fromtimestamp(float(each.get("at") or 0.0))
        times = int(each.get("times") or 1)
        more = f" ({times} times)" if times > 1 else ""
        style = _LEVELS.get(str(each.get("level")), "dim")
        lines.append(Text(f"{at:%H:%M:%S} {visible(str(each.get('text', '')))}{more}", style=style, no_wrap=True))
    return lines


def _line(points: Sequence[Any]) -> Text:
    """The last points as a line of blocks: its top is the highest of them."""
    shown = [float(each or 0.0) for each in points]
    group = max(1, -(-len(shown) // _LINE))
    means = [sum(part) / len(part) for part in (shown[at : at + group] for at in range(0, len(shown), group))]
    top = max(means, default=0.0)
    cells = (_BLOCKS[round(8 * each / top)] if top else " " for each in means)
    return Text("".join(cells), style="blue")


def _series(found: object) -> dict[str, Sequence[Any]]:
    return {str(name): points for name, points in found.items()} if isinstance(found, Mapping) else {}


def _steady(points: Sequence[Any]) -> float:
    """The mean of the newest points that say anything."""
    known = [float(each) for each in points[-_STEADY:] if each is not None]
    return sum(known) / len(known) if known else 0.0


def _last(points: Sequence[Any], nothing: Any = 0.0) -> Any:
    """The newest point that says anything."""
    return next((each for each in reversed(points[-3:]) if each is not None), nothing)


def _figure(tier: Mapping[str, Any], name: str) -> int:
    found = tier.get("figures", {}).get(name)
    return int(found) if isinstance(found, (int, float)) else 0


def _rate(bits: float) -> str:
    return f"{bits / 1e9:.2f} Gbit/s" if bits >= 1e9 else f"{bits / 1e6:.1f} Mbit/s"
