"""The report of a night: what was delivered, to whom, at what cost, and what to set beside it.

A `Report` is a frozen value made from a history, the JSON that the console serves at ``/history`` (and that
`tierkit.reporting` makes from Prometheus).  It holds no clock and asks nobody; `html`, `text` and `png` write it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from . import _report_html, _report_png, _report_text
from ._report_night import Night, Series, TierNight
from ._report_read import Values, read_history
from .errors import TierkitError

__all__ = ["GRNET_2013", "Report", "report"]

#: What is known of the night that this library is about: what was reported of it, and nothing else.
GRNET_2013: Mapping[str, str] = {
    "night": "10 November 2013, GRNET",
    "viewers": "6,000",
    "peak traffic": "3.55 Gbit/s",
    "for each viewer": "592 kbit/s, on average",
    "viewers that stalled": "not known; the stream was no longer chopped",
    "clients that the origin saw": "mainly four: three Varnish, one nginx-rtmp",
    "memory of an HLS tier": "Varnish: under 1 GB for 900 Mbit/s",
    "memory of an RTMP tier": "nginx-rtmp: under 1 GB",
    "memory of all tiers": "not known",
    "Wowza by itself": "6 GB for 500-600 Mbit/s; chopped at hundreds of viewers",
}
#: Seconds that a peak is averaged over.
PEAK_OVER = 60.0


@frozen(kw_only=True)
class Report(Night):
    """One night.  `tierkit.report` makes it."""

    def html(self) -> str:
        """One file that needs no other: the two graphs, a table beside each, and all figures."""
        return _report_html.html(self)

    def text(self) -> str:
        """For a terminal or a mail; without a trailing newline."""
        return _report_text.text(self)

    def png(self) -> bytes:
        """The two graphs as a picture.  Raises TierkitError where matplotlib is not installed."""
        return _report_png.png(self)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `report` takes it again."""
        return {
            "title": self.title,
            "history": dict(self.history),
            "origin_clients": self.origin_clients,
            "stalled_viewers": self.stalled_viewers,
            "stalls": self.stalls,
            "conditions": dict(self.conditions),
            "beside": dict(self.beside),
            "broken": list(self.broken),
            "peak_over": self.peak_over,
            "peak_from": self.peak_from,
        }


def report(
    history: Mapping[str, Any],
    *,
    title: str = "",
    origin_clients: int | None = None,
    stalled_viewers: int | None = None,
    stalls: int | None = None,
    conditions: Mapping[str, str] | None = None,
    beside: Mapping[str, str] = GRNET_2013,
    broken: Sequence[str] = (),
    peak_over: float = PEAK_OVER,
    peak_from: float | None = None,
) -> Report:
    """The report of a night.

    Args:
        history: what ``GET /history`` of a control address answers, as a dict; or `Report.as_dict()`, and then what is
            given here besides is left out.
        title: what to call it.
        origin_clients: how many the origin has had at most.
        stalled_viewers: viewers that a load tool has seen stall, and `stalls` how often.
        conditions: what else is to be known of the run.
        beside: figures of another night to set beside; the record of 2013 unless said otherwise, {} for none.
        broken: conditions that were not held, a line each.
        peak_over: seconds that a peak is averaged over.
        peak_from: unix time from which on, where it is known; else the best there is is looked for.

    Raises:
        TierkitError: what is given is no history, in one line that says what is wrong with it.
    """
    if "history" in history:
        return _again(history)
    found = read_history(history)
    if not peak_over > 0:
        raise TierkitError(f"a peak cannot be averaged over {peak_over} s: give more than none")
    return Report(
        title=title or "A night",
        began=found.began,
        step=found.step,
        points=found.points,
        by_type=_series(found.by_type),
        by_site=_series(found.by_site),
        tiers=tuple(
            TierNight(
                name=name,
                role=tier.role,
                site=tier.site,
                **{each: Series(name, values) for each, values in tier.values.items()},
            )
            for name, tier in found.tiers.items()
        ),
        origin_clients=origin_clients,
        stalled_viewers=stalled_viewers,
        stalls=stalls,
        conditions=tuple((conditions or {}).items()),
        beside=tuple(beside.items()),
        broken=tuple(broken),
        peak_over=peak_over,
        peak_from=peak_from,
        history=history,
    )


def _again(saved: Mapping[str, Any]) -> Report:
    """A report from what `as_dict` made of one."""

    def words(name: str) -> dict[str, str]:
        found = saved.get(name)
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, Mapping) else {}

    def number(name: str) -> int | None:
        found = saved.get(name)
        return found if type(found) is int else None

    def real(name: str) -> float | None:
        found = saved.get(name)
        return float(found) if isinstance(found, (int, float)) and math.isfinite(found) else None

    history, broken = saved["history"], saved.get("broken")
    if not isinstance(history, Mapping) or "history" in history:
        raise TierkitError("the report's history is none: it is what GET /history answers")
    return report(
        history,
        title=str(saved.get("title", "")),
        origin_clients=number("origin_clients"),
        stalled_viewers=number("stalled_viewers"),
        stalls=number("stalls"),
        conditions=words("conditions"),
        beside=words("beside"),
        broken=[str(each) for each in broken] if isinstance(broken, list) else (),
        peak_over=real("peak_over") or PEAK_OVER,
        peak_from=real("peak_from"),
    )


def _series(found: Mapping[str, Values]) -> tuple[Series, ...]:
    """What has carried anything, the most first, so that it lies at the bottom of a stack."""
    made = [Series(name or "(none)", values) for name, values in found.items()]
    return tuple(sorted((each for each in made if each.peak), key=lambda each: (-each.mean, each.name)))
