"""A stacked graph as inline SVG: areas, axes, and words for those who do not see it.

Each graph is drawn twice, for a desk and for a phone: type that is scaled down with a picture cannot be read.  The
style sheet shows one of them, and what is not shown is not read out either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from attrs import frozen

from ._report_figures import clock, marks, rate, unit_of
from ._report_night import Night, Series

__all__ = ["COLOURS", "PHONE", "WIDE", "Frame", "graph", "ticks"]

#: For a light page and for a dark one.  Those next to each other differ in lightness too, for who sees no colours.
COLOURS = (
    ("#1f5fa8", "#5b9bdf"),
    ("#f0a63c", "#ffc46b"),
    ("#1b7a5c", "#3fbf93"),
    ("#d98cb3", "#f0b3d0"),
    ("#7a3e9d", "#b07ad6"),
    ("#9bc4e2", "#cfe6f5"),
    ("#a33b2a", "#e0705d"),
    ("#b9b34a", "#e4df86"),
)


@frozen
class Frame:
    """A canvas: size in pixels, room beside the areas for the axes, and labels along the time."""

    name: str
    width: int
    height: int
    left: int
    times: int


WIDE = Frame("wide", 760, 300, 58, 7)
PHONE = Frame("phone", 340, 250, 46, 4)
_TOP, _BOTTOM, _RIGHT = 26, 28, 14


def ticks(top: float) -> list[float]:
    """Round values from 0 to above `top`, three to six of them."""
    if top <= 0:
        return [0.0, 1.0]
    step = 10.0 ** math.floor(math.log10(top / 3))
    step *= next(each for each in (1, 2, 5, 10) if top / (step * each) <= 5)
    return [step * n for n in range(math.ceil(top / step) + 1)]


def graph(night: Night, several: Sequence[Series], frame: Frame, title: str) -> str:
    """One graph."""
    drawn = [night.drawn(each) for each in several]
    total = night.drawn(night.total)
    scale = _Scale(frame, len(total.values), ticks(total.peak))
    name = f"{title.replace(' ', '-').lower()}-{frame.name}"
    size = f"0 0 {frame.width} {frame.height}"
    parts = [
        f'<svg class="{frame.name}" role="img" viewBox="{size}" aria-labelledby="{name}-t {name}-d">',
        f'<title id="{name}-t">{escape(title)}</title>',
        f'<desc id="{name}-d">{escape(_described(drawn))}</desc>',
        *scale.grid(),
        *_areas(drawn, total, scale),
        *scale.times(night),
        "</svg>",
    ]
    return "\n".join(parts)


def _described(several: Sequence[Series]) -> str:
    whole = "; ".join(f"{each.name} at most {rate(each.peak)}, {rate(each.mean)} on average" for each in several)
    return f"Stacked areas, from the bottom: {whole or 'nothing'}. The table beside it has the same figures."


@frozen
class _Scale:
    frame: Frame
    columns: int
    marks: list[float]

    def x(self, column: float) -> float:
        inner = self.frame.width - self.frame.left - _RIGHT
        return self.frame.left + inner * column / max(1, self.columns)

    def y(self, bits: float) -> float:
        inner = self.frame.height - _TOP - _BOTTOM
        return self.frame.height - _BOTTOM - inner * bits / self.marks[-1]

    def grid(self) -> list[str]:
        size, unit = unit_of(self.marks[-1])
        right = self.frame.width - _RIGHT
        parts = [f'<text class="unit" x="2" y="{_TOP - 12}">{unit}</text>']
        for mark in self.marks:
            at = self.y(mark)
            parts.append(f'<line class="grid" x1="{self.frame.left}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
            parts.append(f'<text x="{self.frame.left - 6}" y="{at + 4:.1f}" text-anchor="end">{mark / size:g}</text>')
        return parts

    def times(self, night: Night) -> list[str]:
        parts = []
        for after in marks(night.began, night.seconds, self.frame.times):
            share = after / night.seconds if night.seconds else 0.0
            anchor = "start" if share < 0.03 else "end" if share > 0.97 else "middle"
            x = self.x(self.columns * share)
            label = clock(night.began + after, night.began, night.seconds)
            parts.append(f'<text x="{x:.1f}" y="{self.frame.height - 8}" text-anchor="{anchor}">{label}</text>')
        return parts


def _areas(several: Sequence[Series], total: Series, scale: _Scale) -> list[str]:
    """The layers, each on top of the one before; with a hole where nothing is known."""
    parts = []
    floor = [0.0] * scale.columns
    stretches = list(_known(total))
    for index, series in enumerate(several):
        roof = [low + (value or 0.0) for low, value in zip(floor, series.values, strict=True)]
        path = "".join(_outline(roof, floor, each, scale) for each in stretches)
        parts.append(f'<path class="s{index % len(COLOURS)}" d="{path}"><title>{escape(series.name)}</title></path>')
        floor = roof
    return parts


def _known(series: Series) -> Iterator[range]:
    """The stretches of columns of which something is known."""
    places = enumerate(each is not None for each in series.values)
    for known, run in groupby(places, key=lambda each: each[1]):
        columns = [n for n, _ in run]
        if known:
            yield range(columns[0], columns[-1] + 1)


def _outline(roof: Sequence[float], floor: Sequence[float], columns: range, scale: _Scale) -> str:
    points = [*_line(roof, columns, scale), *reversed(_line(floor, columns, scale))]
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points) + "Z"


def _line(heights: Sequence[float], columns: range, scale: _Scale) -> list[tuple[float, float]]:
    """Through the middle of each column, out to both edges."""
    line = [(scale.x(n + 0.5), scale.y(heights[n])) for n in columns]
    return [(scale.x(columns.start), line[0][1]), *line, (scale.x(columns.stop), line[-1][1])]
