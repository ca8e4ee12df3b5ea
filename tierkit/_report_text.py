"""A night as text."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ._report_figures import cores, count, megabytes, percent, rate, rows, span
from ._report_night import Night, Series

__all__ = ["TIER_HEAD", "text", "tier_rows", "when"]

#: Three words, then figures.
TIER_HEAD = ("tier", "site", "role", "at the peak", "viewers", "hit ratio", "CPU", "CPU time", "memory")
_WIDTH = 44
_BLOCKS = " ▁▂▃▄▅▆▇█"


def text(night: Night) -> str:
    """For a terminal or a mail."""
    parts = [night.title, when(night), ""]
    name = dict(night.beside).get("night", "")
    head = (("", name, "this night"),) if name else ()
    parts += _columns([row if name else (row[0], row[2]) for row in (*head, *rows(night))])
    top = night.drawn(night.total).peak
    for title, several in (("Traffic by type", night.by_type), ("Traffic by site", night.by_site)):
        parts += ["", title, *_columns([_line(night.drawn(each), top) for each in several])]
    parts += ["", "Tiers", *_columns([TIER_HEAD, *tier_rows(night)])]
    if night.conditions:
        parts += ["", "Conditions of the run", *_columns(night.conditions)]
    if night.broken:
        parts += ["", "Not held", *(f"  {each}" for each in night.broken)]
    return "\n".join(each.rstrip() for each in parts)


def when(night: Night) -> str:
    """When it was, and how long."""
    began = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(night.began))
    return f"{began}, {span(night.seconds)}"


def tier_rows(night: Night) -> list[tuple[str, ...]]:
    """The table of tiers."""
    return [
        (
            tier.name,
            tier.site,
            tier.role,
            rate(night.at_peak(tier.bits) or 0.0),
            count(tier.viewers.peak),
            percent(night.at_peak(tier.hit_ratio)),
            cores(night.at_peak(tier.cpu)),
            f"{tier.cpu_seconds(night.step):.1f} s" if tier.cpu.last is not None else "",
            megabytes(tier.memory.peak) if tier.memory.peak else "",
        )
        for tier in night.tiers
    ]


def _line(series: Series, top: float) -> tuple[str, str, str]:
    """A series as a row of blocks, as high as its share of the highest total."""
    count = len(series.values)
    width = min(_WIDTH, count)
    shown = ""
    for column in range(width):
        piece = series.values[column * count // width : (column + 1) * count // width]
        known = [each for each in piece if each is not None]
        level = sum(known) / len(known) / top if known and top else 0.0
        shown += _BLOCKS[max(1, round(level * (len(_BLOCKS) - 1)))] if level > 0 else " "
    return series.name, shown, f"at most {rate(series.peak)}"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return ["  none"]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
