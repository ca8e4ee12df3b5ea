"""Two versions of a media playlist: is the second one newer, an older copy, or of another run of the encoder?

A version whose numbers are lower than those already shown comes from one of two places, and they want opposite
answers:

- *A parent that lags.*  One of several upstreams, or a cache before them, gives an older copy.  Viewers must not see
  it: a player that has read segment 12 and is then told that 11 is the last one stalls or fails.
- *An encoder that started again.*  The old numbers will never come back.  Viewers must see it at once, and what is
  stored under names that are used again must go.

Each rule below is one piece of evidence, by itself decisive or not:

| evidence | says |
|---|---|
| the same number has another name, another date (1 s), or another duration (0.1 s) | another run |
| the dates go on (by a target duration) while the numbers go back | another run |
| the discontinuities go up while the numbers go down, or the other way round | another run |
| the playlist had ended, and now it has not, and nothing of the two is the same | another run |
| numbers from near the start, further behind than any parent lags | another run |
| the same numbers mean the same | the same run, an older copy |
| none of these | not known: `hls_track` waits for more versions |

A run that starts again from its first numbers, with the same names, the same durations and no dates, cannot be told
from an older copy while the numbers overlap; there only time and further versions tell.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from .hls_facts import ListedSegment, PlaylistFacts

__all__ = [
    "MAX_LAG",
    "NEAR_START",
    "Overlap",
    "another_run",
    "near_start",
    "overlap",
    "regressed",
]

#: How many of the newest numbers that two versions have in common are compared.
COMPARED = 16
#: Seconds by which dates, and durations, of one segment may differ between two packagers that work in step.  Only
#: dates that are written are compared: one that is counted on from another drifts where durations are rounded.
DATE_SLACK = 1.0
DURATION_SLACK = 0.1
#: A first number up to this is one of a run that has just begun.
NEAR_START = 8
#: Segments by which a parent may lag.  A parent of this project serves nothing older than 3 target durations when
#: its upstream fails, so two tiers of them are 6 behind, and this is that twice.
MAX_LAG = 12

Name = Callable[[str], str]


class Overlap(enum.Enum):
    """What the numbers say that two versions have in common."""

    #: There are none.
    NONE = enum.auto()
    SAME = enum.auto()
    DIFFERENT = enum.auto()


def regressed(shown: PlaylistFacts, new: PlaylistFacts) -> bool:
    """Whether `new` is an older copy by its numbers.

    It begins before `shown` does, or reaches less far: fewer segments, fewer parts of the next one, or the same and not
    its end.
    """
    if shown.ended and not new.ended and new.edge == shown.edge:
        return True
    return new.media_sequence < shown.media_sequence or new.edge < shown.edge


def overlap(shown: PlaylistFacts, new: PlaylistFacts, name: Name) -> Overlap:
    """Whether the same numbers mean the same in both; `name` is what of a URI counts."""
    if not shown.segments or not new.segments:
        return Overlap.NONE
    first = max(shown.segments[0].sequence, new.segments[0].sequence)
    last = min(shown.segments[-1].sequence, new.segments[-1].sequence)
    if last < first:
        return Overlap.NONE
    for sequence in range(max(first, last - COMPARED + 1), last + 1):
        a = shown.segments[sequence - shown.segments[0].sequence]
        b = new.segments[sequence - new.segments[0].sequence]
        if _named_otherwise(a, b, name) or _dated_otherwise(a, b):
            return Overlap.DIFFERENT
        # The last one of a version may yet have been growing.
        if sequence < last and _lasts_otherwise(a, b):
            return Overlap.DIFFERENT
    return Overlap.SAME


def _named_otherwise(a: ListedSegment, b: ListedSegment, name: Name) -> bool:
    return a.uri != b.uri and name(a.uri) != name(b.uri)


def _dated_otherwise(a: ListedSegment, b: ListedSegment) -> bool:
    return a.at is not None and b.at is not None and abs(a.at - b.at) > DATE_SLACK


def _lasts_otherwise(a: ListedSegment, b: ListedSegment) -> bool:
    return abs(a.duration - b.duration) > DURATION_SLACK


def another_run(shown: PlaylistFacts, new: PlaylistFacts, name: Name) -> str:
    """Why `new` is certain to be of another run than `shown`, for people; empty where it is not."""
    if not new.segments:
        return ""  # a playlist that lists nothing says nothing
    common = overlap(shown, new, name)
    if common is Overlap.DIFFERENT:
        return "the same sequence numbers have other segments"
    if dates_go_on(shown, new):
        return "the sequence numbers went back while the dates went on"
    if common is Overlap.SAME:
        return ""
    if discontinuities_contradict(shown, new):
        return "the discontinuity sequence went the other way than the media sequence"
    if began_after_the_end(shown, new):
        return "the playlist had ended and begins again"
    if began_again_far_behind(shown, new):
        return f"the sequence numbers went back to {new.media_sequence}"
    return ""


def dates_go_on(shown: PlaylistFacts, new: PlaylistFacts) -> bool:
    """Whether fewer segments reach a later date: an older copy cannot."""
    if new.next_sequence >= shown.next_sequence or not shown.segments or not new.segments:
        return False
    before, after = latest_date(shown), latest_date(new)
    return before is not None and after is not None and after > before + shown.pace


def latest_date(facts: PlaylistFacts) -> float | None:
    """Wall time of the end of the last segment, counted on from the last date; None without one."""
    since = 0.0
    for segment in reversed(facts.segments):
        since += segment.duration
        if segment.at is not None:
            return segment.at + since
    return None


def discontinuities_contradict(shown: PlaylistFacts, new: PlaylistFacts) -> bool:
    """Whether discontinuities and segments went in opposite directions: within one run both only grow."""
    segments = new.media_sequence - shown.media_sequence
    return segments * (new.discontinuity_sequence - shown.discontinuity_sequence) < 0


def began_after_the_end(shown: PlaylistFacts, new: PlaylistFacts) -> bool:
    """Whether what was finished goes on, with nothing that was there before."""
    return shown.ended and not new.ended


def near_start(facts: PlaylistFacts) -> bool:
    """Whether this is a run that has just begun."""
    return facts.media_sequence <= NEAR_START


def began_again_far_behind(shown: PlaylistFacts, new: PlaylistFacts) -> bool:
    """Whether a run has just begun, further behind what is shown than any parent lags."""
    return near_start(new) and new.next_sequence + MAX_LAG < shown.next_sequence
