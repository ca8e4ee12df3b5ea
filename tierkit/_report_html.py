"""A night as one HTML file that needs no other: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ._report_figures import figures, rate, rows, span
from ._report_night import Night, Series
from ._report_svg import COLOURS, PHONE, WIDE, graph
from ._report_text import TIER_HEAD, tier_rows, when

__all__ = ["html"]

_STYLE = """
:root { color-scheme: light dark; --back: #fff; --ink: #1a1d21; --dim: #565d66; --rule: #d5d9de; --bad: #a3201d; }
@media (prefers-color-scheme: dark) {
  :root { --back: #14171a; --ink: #e6e9ec; --dim: #a4adb7; --rule: #363d45; --bad: #ff8d85; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--back); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0.5rem 0 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; }
p { margin: 0.25rem 0; }
.dim, caption { color: var(--dim); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 0.75rem; margin: 1rem 0; }
.tiles div { border: 1px solid var(--rule); border-radius: 0.4rem; padding: 0.5rem 0.75rem; }
.tiles dt { color: var(--dim); font-size: 0.9rem; }
.tiles dd { margin: 0; font-size: 1.4rem; font-variant-numeric: tabular-nums; }
.pair { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 1rem; align-items: start; }
figure { margin: 0; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--dim); font: 12px system-ui, sans-serif; }
svg .grid { stroke: var(--rule); stroke-width: 1; }
svg path { stroke: var(--back); stroke-width: 1; }
svg.phone { display: none; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 0.95rem; }
caption { text-align: left; font-size: 0.9rem; padding-bottom: 0.25rem; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.6rem 0.3rem 0; border-bottom: 1px solid var(--rule); }
th { font-weight: 600; }
.figures th, .figures td { white-space: nowrap; }
.figures th:not(:first-child), .figures td { text-align: right; }
.figures td.word, .figures th.word:not(:first-child) { text-align: left; }
.swatch { display: inline-block; width: 0.8rem; height: 0.8rem; margin-right: 0.4rem; border-radius: 0.15rem; }
.bad { color: var(--bad); }
@media (max-width: 46rem) {
  .pair { grid-template-columns: minmax(0, 1fr); }
  svg.wide { display: none; } svg.phone { display: block; }
  .beside thead { display: none; }
  .beside tr { display: block; padding: 0.4rem 0; border-bottom: 1px solid var(--rule); }
  .beside th, .beside td { display: block; border: 0; padding: 0.1rem 0; }
  .beside td::before { content: attr(data-of) ": "; color: var(--dim); }
}
@media print { body { max-width: none; } }
"""


def html(night: Night) -> str:
    """The whole file."""
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(night.title)}</title>",
        f"<style>{_STYLE}{_colours()}</style>",
        "</head>",
        "<body>",
        "<main>",
        f"<h1>{escape(night.title)}</h1>",
        f'<p class="dim">{escape(when(night))}</p>',
        *_broken(night),
        *_tiles(night),
        *_picture(night, "Traffic by type", night.by_type),
        *_picture(night, "Traffic by site", night.by_site),
        *_beside(night),
        *_tiers(night),
        *_conditions(night),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _colours() -> str:
    def rules(which: int) -> str:
        pairs = enumerate(each[which] for each in COLOURS)
        return "\n".join(f".s{n} {{ fill: {colour}; background: {colour}; }}" for n, colour in pairs)

    return f"{rules(0)}\n@media (prefers-color-scheme: dark) {{\n{rules(1)}\n}}\n"


def _broken(night: Night) -> list[str]:
    if not night.broken:
        return []
    lines = [f"<li>{escape(each)}</li>" for each in night.broken]
    return ['<section aria-label="Not held">', '<h2 class="bad">Not held</h2>', "<ul>", *lines, "</ul>", "</section>"]


def _tiles(night: Night) -> list[str]:
    found = figures(night)
    tiles = {"peak traffic": rate(night.peak[0])}
    tiles |= {name: found[name] for name in ("viewers", "viewers that stalled", "clients that the origin saw")}
    rows = [f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in tiles.items()]
    lasted = span(night.peak_width * night.step)
    over = f"The peak is the mean of the {f'best {lasted}' if night.peak_from is None else f'{lasted} that it lasted'}."
    return ['<dl class="tiles">', *rows, "</dl>", f'<p class="dim">{over}</p>']


def _picture(night: Night, title: str, several: Sequence[Series]) -> list[str]:
    drawn = [night.drawn(each) for each in several]
    whole = sum(each.mean for each in drawn)
    rows = [
        f'<tr><th scope="row"><span class="swatch s{n % len(COLOURS)}" aria-hidden="true"></span>'
        f"{escape(each.name)}</th><td>{rate(each.peak)}</td><td>{rate(each.mean)}</td>"
        f"<td>{100 * each.mean / whole:.1f}%</td></tr>"
        for n, each in reversed(list(enumerate(drawn)))
    ]
    hours = "minutes and seconds since it began" if night.seconds < 900 else "the time of day in UTC"
    return [
        "<section>",
        f"<h2>{title}</h2>",
        '<div class="pair">',
        "<figure>",
        graph(night, several, WIDE, title),
        graph(night, several, PHONE, title),
        f'<figcaption class="dim">Sent by all tiers; along the bottom, {hours}.</figcaption>',
        "</figure>",
        '<table class="figures">',
        f"<caption>In the order of the graph; each point is the mean of {span(night.drawn_step)}.</caption>",
        '<thead><tr><th scope="col">' + title.rpartition(" ")[2] + '</th><th scope="col">highest</th>'
        '<th scope="col">mean</th><th scope="col">share</th></tr></thead>',
        "<tbody>",
        *rows,
        "</tbody>",
        "</table>",
        "</div>",
        "</section>",
    ]


def _beside(night: Night) -> list[str]:
    name = dict(night.beside).get("night", "another night")
    lines = []
    for figure, theirs, mine in rows(night):
        cells = f'<td data-of="{escape(name)}">{escape(theirs)}</td>' if night.beside else ""
        lines.append(
            f'<tr><th scope="row">{escape(figure)}</th>{cells}<td data-of="this night">{escape(mine) or "-"}</td></tr>'
        )
    other = f'<th scope="col">{escape(name)}</th>' if night.beside else ""
    return [
        "<section>",
        "<h2>Side by side</h2>" if night.beside else "<h2>Figures</h2>",
        '<table class="beside">',
        f'<thead><tr><td></td>{other}<th scope="col">this night</th></tr></thead>',
        "<tbody>",
        *lines,
        "</tbody>",
        "</table>",
        "</section>",
    ]


def _tiers(night: Night) -> list[str]:
    head = "".join(f'<th scope="col"{" class=word" if n < 3 else ""}>{each}</th>' for n, each in enumerate(TIER_HEAD))
    rows = []
    for name, site, role, *numbers in tier_rows(night):
        words = "".join(f'<td class="word">{escape(each)}</td>' for each in (site, role))
        cells = "".join(f"<td>{each}</td>" for each in numbers)
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{words}{cells}</tr>')
    about = (
        "Traffic, hit ratio and CPU (a share of one core) are means over the peak; memory is the most at once: "
        "resident, blocks of memfds, and what the kernel holds for sockets."
    )
    return [
        "<section>",
        "<h2>Tiers</h2>",
        f'<p class="dim">{about}</p>',
        '<div class="scroll" tabindex="0" role="region" aria-label="Tiers">',
        '<table class="figures">',
        f"<thead><tr>{head}</tr></thead>",
        "<tbody>",
        *rows,
        "</tbody>",
        "</table>",
        "</div>",
        "</section>",
    ]


def _conditions(night: Night) -> list[str]:
    if not night.conditions:
        return []
    rows = [f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in night.conditions]
    return [
        "<section>",
        "<h2>Conditions of the run</h2>",
        "<table>",
        "<tbody>",
        *rows,
        "</tbody>",
        "</table>",
        "</section>",
    ]
