"""MPEG-DASH (ISO/IEC 23009-1): what a cache must know of a manifest (MPD).

All of it stands in the start tag of the root element, so that is all that is read, by a scanner of a few lines and not
by an XML parser.  Nothing is expanded: there are no entities (a document that declares any is refused, so no billion
laughs), nothing external is fetched, and nothing behind the first tag is looked at, however long the manifest is.

A manifest of a live stream (``type="dynamic"``) says itself how often it changes.  `fresh_for` makes a lifetime of
that, and `is_older` tells a copy from a parent that lags, as `hls_track` does for playlists; numbers need no comparison
here, because a manifest carries the time of its making.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from attrs import frozen

from ..errors import RemoteProtocolError

__all__ = ["MAX_HEAD", "MAX_MPD", "MpdFacts", "duration", "fresh_for", "is_older", "read_mpd"]

#: Bytes of the longest manifest that is taken: a timeline of a day in 2 s segments, several times over.
MAX_MPD = 4 << 20
#: Bytes in which the root's start tag has to end: namespaces and schema locations take one thousand, and packagers
#: put a licence before it.
MAX_HEAD = 65536
#: Attributes of the root that are read at most.
MAX_ATTRIBUTES = 100
#: Seconds of the longest duration that is believed.  "P100Y" is written for "never".
LONGEST = 200 * 365 * 86400.0
#: Seconds that a manifest is fresh for at most, as a finished playlist is.
LONGEST_FRESH = 60.0
#: Seconds that it is fresh for at least: one that says ``PT0S`` wants to be asked for with each segment, and a request
#: of each viewer cannot be granted.
SHORTEST_FRESH = 0.5
#: Seconds of a segment where nothing is told: what DASH packagers cut by default.
ASSUMED_SEGMENT = 2.0

_BLANKS = b" \t\r\n"
_NAME = rb"[A-Za-z_][A-Za-z0-9._-]*"
_ROOT = re.compile(rb"<(?:" + _NAME + rb":)?MPD(?=[ \t\r\n/>])")
_ATTRIBUTE = re.compile(
    rb"[ \t\r\n]+((?:" + _NAME + rb":)?" + _NAME + rb")[ \t\r\n]*=[ \t\r\n]*(?:\"([^\"<]*)\"|'([^'<]*)')"
)
_END = re.compile(rb"[ \t\r\n]*/?>")
_COUNT = r"([0-9]{1,10})"
# xs:duration (XML Schema part 2, section 3.2.6), without its sign: nothing here is negative.
_DURATION = re.compile(
    rf"P(?:{_COUNT}Y)?(?:{_COUNT}M)?(?:{_COUNT}D)?(?:T(?:{_COUNT}H)?(?:{_COUNT}M)?(?:([0-9]{{1,10}}(?:\.[0-9]{{1,12}})?)S)?)?\Z"
)
#: Seconds of a year, month, day, hour, minute and second.  Packagers write years and months as 0.
_UNITS = (365 * 86400, 30 * 86400, 86400, 3600, 60, 1)
_DATE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,12})?(Z|[+-][0-9]{2}:[0-9]{2})?\Z"
)


@frozen(kw_only=True)
class MpdFacts:
    """What a cache has to know of a version of a manifest.  Seconds; None is what it does not tell, or tells oddly."""

    #: ``type="dynamic"``: it may change, or segments are still to come.
    dynamic: bool
    #: How often a player is to look for a new version; 0 is "with each segment"; None is "this one is the last".
    minimum_update_period: float | None = None
    media_presentation_duration: float | None = None
    #: How long segments stay available.
    time_shift_buffer_depth: float | None = None
    max_segment_duration: float | None = None
    #: Unix seconds: when the presentation began, and when this version was made.
    availability_start: float | None = None
    published: float | None = None


def read_mpd(data: bytes) -> MpdFacts:
    """The facts of a manifest.  Raises RemoteProtocolError for what is none, and nothing else."""
    if len(data) > MAX_MPD:
        raise RemoteProtocolError(f"the MPD is longer than {MAX_MPD} bytes")
    told = _root_attributes(data[:MAX_HEAD])
    return MpdFacts(
        dynamic=told.get("type") == "dynamic",
        minimum_update_period=duration(told.get("minimumUpdatePeriod")),
        media_presentation_duration=duration(told.get("mediaPresentationDuration")),
        time_shift_buffer_depth=duration(told.get("timeShiftBufferDepth")),
        max_segment_duration=duration(told.get("maxSegmentDuration")),
        availability_start=_date(told.get("availabilityStartTime")),
        published=_date(told.get("publishTime")),
    )


def _root_attributes(head: bytes) -> dict[str, str]:
    position = _root(head)
    match = _ROOT.match(head, position)
    if match is None:
        raise RemoteProtocolError("the MPD has no MPD element at its root (ISO/IEC 23009-1 section 5.3.1)")
    position = match.end()
    told: dict[str, str] = {}
    while (match := _ATTRIBUTE.match(head, position)) is not None:
        name, a, b = match.groups()
        plain = name.decode("ascii")
        if plain in told or len(told) >= MAX_ATTRIBUTES:
            raise RemoteProtocolError(f"the MPD element has {plain} twice, or more than {MAX_ATTRIBUTES} attributes")
        told[plain] = (a if a is not None else b).decode("latin-1").strip(" \t\r\n")
        position = match.end()
    if _END.match(head, position) is None:
        raise RemoteProtocolError(f"the MPD element is malformed, or does not end within {MAX_HEAD} bytes")
    return told


def _root(head: bytes) -> int:
    """Where the root element begins: behind the XML declaration, comments and processing instructions."""
    position = len(b"\xef\xbb\xbf") if head.startswith(b"\xef\xbb\xbf") else 0
    while True:
        while head[position : position + 1] and head[position] in _BLANKS:
            position += 1
        if head.startswith(b"<?", position):
            end, mark = head.find(b"?>", position + 2), 2
        elif head.startswith(b"<!--", position):
            end, mark = head.find(b"-->", position + 4), 3
        elif head.startswith(b"<!", position):
            raise RemoteProtocolError("the MPD has a document type, which is not read: entities are declared there")
        else:
            return position
        if end < 0:
            raise RemoteProtocolError(f"the MPD element does not begin within {MAX_HEAD} bytes")
        position = end + mark


def duration(text: str | None) -> float | None:
    """Seconds of an ISO 8601 duration such as ``PT2.5S``; None for what is none, negative or longer than 200 years."""
    match = _DURATION.match(text) if text else None
    if match is None or match.end() <= 1 or match.string.endswith("T"):
        return None
    counts = match.groups()
    seconds = sum(float(count) * unit for count, unit in zip(counts, _UNITS, strict=True) if count is not None)
    return seconds if seconds <= LONGEST else None


def _date(text: str | None) -> float | None:
    match = _DATE.match(text) if text else None
    if match is None:
        return None
    moment, fraction, zone = match.groups()
    try:
        at = datetime.fromisoformat(moment + (zone or ""))
    except ValueError:
        return None
    aware = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return aware.timestamp() + float(fraction or 0)


def fresh_for(facts: MpdFacts) -> float:
    """Seconds that a cache may serve it: half of how often it changes, so that nobody is a whole period behind."""
    if not facts.dynamic or facts.minimum_update_period is None:
        return LONGEST_FRESH
    period = facts.minimum_update_period or facts.max_segment_duration or ASSUMED_SEGMENT
    return max(SHORTEST_FRESH, min(period / 2, LONGEST_FRESH))


def is_older(shown: MpdFacts, new: MpdFacts) -> bool:
    """Whether `new` is an older version of the same presentation, as a parent that lags has it: not to be shown.

    A presentation that began anew has another start, and is never older.
    """
    if shown.published is None or new.published is None or shown.availability_start != new.availability_start:
        return False
    return new.published < shown.published
