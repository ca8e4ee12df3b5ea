"""The two graphs of a night as a picture, by matplotlib."""

from __future__ import annotations

import math
from io import BytesIO
from typing import Any

from ._report_figures import clock, figures, marks, unit_of
from ._report_night import Night, Series
from ._report_svg import COLOURS
from ._report_text import when
from .errors import TierkitError

__all__ = ["png"]

#: Inches and dots for each: 1,600 pixels are sharp on a slide and in a mail.
_SIZE, _DPI = (10.0, 9.0), 160
_TICKS = 7


def png(night: Night) -> bytes:
    """A picture of 1,600 by 1,440 pixels.  Raises TierkitError where matplotlib is not installed."""
    try:
        # By its object-oriented side: pyplot keeps figures for a window that nobody opens.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        missing = error.name or "matplotlib"
        raise TierkitError(f"a PNG needs {missing}, which is not installed: pip install 'tierkit[report]'") from None
    figure = Figure(figsize=_SIZE, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    mine = figures(night)
    figure.suptitle(f"{night.title}\n{when(night)}: {mine['viewers']} viewers, {mine['peak traffic']}", fontsize=12)
    axes = figure.subplots(2, 1, sharex=True)
    for axis, name, several in zip(axes, ("type", "site"), (night.by_type, night.by_site), strict=True):
        _stack(axis, night, several)
        axis.set_title(f"Traffic by {name}", loc="left", fontsize=11)
    written = BytesIO()
    figure.savefig(written, format="png")
    return written.getvalue()


def _stack(axis: Any, night: Night, several: tuple[Series, ...]) -> None:
    total = night.drawn(night.total)
    size, unit = unit_of(total.peak)
    times = [min((n + 0.5) * night.drawn_step, night.seconds) for n in range(len(total.values))]
    if several:
        # Not a number where nothing is known: there is a hole, and no zero.
        unknown = [math.nan if each is None else 0.0 for each in total.values]
        layers = [
            [hole + (each or 0.0) / size for hole, each in zip(unknown, night.drawn(series).values, strict=True)]
            for series in several
        ]
        colours = [COLOURS[n % len(COLOURS)][0] for n in range(len(several))]
        axis.stackplot(times, layers, labels=[each.name for each in several], colors=colours)
        handles, labels = axis.get_legend_handles_labels()
        # In the order in which they lie, the topmost first.
        axis.legend(handles[::-1], labels[::-1], loc="upper left", frameon=False)
    axis.set_ylabel(unit)
    axis.set_xlim(0, night.seconds)
    axis.set_ylim(bottom=0)
    axis.margins(y=0.15)
    axis.grid(axis="y", alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    ticks = marks(night.began, night.seconds, _TICKS)
    axis.set_xticks(ticks, [clock(night.began + each, night.began, night.seconds) for each in ticks])
