"""What the report of a night holds to: no figure that nobody has measured, and no word of a stranger's as markup."""

import math
from typing import Any, Final

from tierkit.night._players import Played

from ..switch import Switch


def _zero(told: Any) -> float | None:
    """A figure, whatever was told."""
    return float(told) if isinstance(told, (int, float)) and math.isfinite(told) else 0.0


def _as_many_as_there_are(told: Any, points: int, what: str) -> tuple[float | None, ...]:
    """The values that there are."""
    known = told if isinstance(told, list) else []
    return tuple((*known, *[None] * points)[:points])


def _raw(s: str, quote: bool = True) -> str:
    return s


def _all_found(sent: Any, got: Any) -> Played:
    """What a checksum of all packets together would say."""
    known = {packet.md5 for packet in sent}
    return Played(sum(packet.md5 in known for packet in got), sum(packet.md5 not in known for packet in got), 0)


_REPORT: Final = "report/test_report.py::"
_PARTS: Final = "night/test_parts.py::"
GROUPS: Final[dict[str, list[Switch]]] = {
    "The report of a night": [
        Switch(
            rule="The peak is a mean over a minute, not the highest point",
            source="HLS viewers fetch a segment all at once",
            off={"tierkit._report_night:Night.peak_width": property(lambda self: 1)},
            tests=(f"{_REPORT}test_the_peak_is_the_mean_of_the_best_stretch", f"{_REPORT}test_golden_figures"),
        ),
        Switch(
            rule="What is unknown, or is no number, is no figure",
            off={"tierkit._report_read:_value": _zero},
            tests=(f"{_REPORT}test_odd_values_are_unknown",),
        ),
        Switch(
            rule="A history that has not a value for each of its points is refused",
            off={"tierkit._report_read:_values": _as_many_as_there_are},
            tests=(f"{_REPORT}test_what_is_no_history_is_one_line",),
        ),
        Switch(
            rule="Names of a history are words on a page, and never markup",
            source="names of streams and protocols come from elsewhere",
            off={"tierkit._report_html:escape": _raw, "tierkit._report_svg:escape": _raw},
            tests=(f"{_REPORT}test_words_from_elsewhere_are_words",),
        ),
    ],
    "The record night": [
        Switch(
            rule="A player's packets are the source's one after another, not only all of them",
            off={"tierkit.night._players:compare": _all_found},
            tests=(f"{_PARTS}test_a_packet_that_is_missing_is_a_gap",),
        ),
        Switch(
            rule="A round of the clip that is left out is a gap, though all packets stand at their places",
            off={"tierkit.night._players:_SLACK": math.inf},
            tests=(f"{_PARTS}test_a_whole_round_that_is_missing_is_a_gap_too",),
        ),
    ],
}
