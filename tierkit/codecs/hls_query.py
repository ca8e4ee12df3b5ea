"""Low-latency HLS delivery directives: ``_HLS_msn``, ``_HLS_part`` and ``_HLS_skip`` (RFC 8216bis section 6.2.5).

A player asks for the version of a playlist that has a segment or part in it which is not there yet, and the server
holds the request until it has.  A cache in between must do four things:

1. Parse strictly, by table: what is malformed is answered 400 here, and costs no request upstream.
2. Keep the directives in its key in one spelling and order, apart from all other parameters (`split_query`,
   `Directives.render`), and leave out those that change nothing (`effective`): else anybody makes as many keys as
   there are numbers.
3. Answer at once what a version at hand answers already (`satisfied`), and refuse what is absurd (`screen`).
4. Hold the others for one upstream request, at most `longest_hold` seconds, then answer 503.

The rules stand in section 6.2.5.1 (skip) and 6.2.5.2 (blocking), the lifetimes in appendix B.1 of the draft.
"""

from __future__ import annotations

import math
import re
from urllib.parse import unquote

from attrs import evolve, frozen

from ..errors import RemoteProtocolError
from .hls_facts import PlaylistFacts

__all__ = [
    "Directives",
    "advance_part_limit",
    "blocking_lifetime",
    "effective",
    "longest_hold",
    "missing_lifetime",
    "satisfied",
    "screen",
    "split_query",
]

#: Largest number that is taken: no player in JavaScript counts further.
LARGEST = 1 << 53
#: How far ahead of the last segment a request may be (section 6.2.5.2).
SEGMENTS_AHEAD = 2
#: Seconds of parts that a request may be ahead of the last part (section 6.2.5.2, the Advance Part Limit), and the
#: number of parts where they are a second or longer.
PARTS_AHEAD = 3.0
#: Target durations that a request is held for before 503 (section 6.2.5.2).
HOLD = 3
#: Target durations for which an answer to a blocking request is fresh, and a 404 to one (appendix B.1).
BLOCKING_FRESH = 6
BLOCKING_MISSING = 4

_NUMBER = re.compile(r"[0-9]{1,16}\Z")
_NAMES = ("_HLS_msn", "_HLS_part", "_HLS_skip")
_SKIPS = ("YES", "v2")


@frozen(kw_only=True)
class Directives:
    """What a request wants of a playlist; nothing, where each is at its default."""

    #: The media sequence number that the answer must have, or a later one.
    msn: int | None = None
    #: Which part of that segment is enough.
    part: int | None = None
    #: ``YES`` or ``v2`` for a delta update, or empty.
    skip: str = ""

    @property
    def blocking(self) -> bool:
        """Whether the answer may have to wait."""
        return self.msn is not None

    def render(self) -> str:
        """The one spelling: names in UTF-8 order, as section 6.2.5 has clients write them; no leading zeros."""
        told = (("_HLS_msn", self.msn), ("_HLS_part", self.part), ("_HLS_skip", self.skip or None))
        return "&".join(f"{name}={value}" for name, value in told if value is not None)

    def join(self, rest: str) -> str:
        """A query of these and the other parameters."""
        return "&".join(filter(None, (rest, self.render())))


def split_query(query: str) -> tuple[Directives, str]:
    """The delivery directives of a query (without its question mark), and the rest of it as it was written.

    Raises RemoteProtocolError (400) for one that is malformed, doubled, or a part without its segment.
    """
    if "_HLS_" not in query and "%" not in query:
        return Directives(), query
    told: dict[str, str] = {}
    rest = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        # A percent-encoded name means the same to the origin, and must not make another key here.
        plain = unquote(name)
        if plain not in _NAMES:
            rest.append(pair)
            continue
        if plain in told:
            raise RemoteProtocolError(f"{plain} is given twice", hint=400)
        told[plain] = unquote(value)
    found = Directives(msn=_number(told, "_HLS_msn"), part=_number(told, "_HLS_part"), skip=_skip(told))
    _part_needs_its_segment(found)
    return found, "&".join(rest)


def _number(told: dict[str, str], name: str) -> int | None:
    if name not in told:
        return None
    if _NUMBER.match(told[name]) is None or int(told[name]) > LARGEST:
        raise RemoteProtocolError(f"{name} must be a decimal number up to 2^53", hint=400)
    return int(told[name])


def _skip(told: dict[str, str]) -> str:
    if "_HLS_skip" in told and told["_HLS_skip"] not in _SKIPS:
        raise RemoteProtocolError("_HLS_skip must be YES or v2", hint=400)
    return told.get("_HLS_skip", "")


def _part_needs_its_segment(found: Directives) -> None:
    if found.part is not None and found.msn is None:
        raise RemoteProtocolError("_HLS_part needs _HLS_msn (RFC 8216bis section 6.2.5.2)", hint=400)


def effective(directives: Directives, facts: PlaylistFacts) -> Directives:
    """Without what a server that says `facts` ignores.

    An ended playlist neither blocks nor skips, and no other does what EXT-X-SERVER-CONTROL does not offer.  What is
    left is worth a key of its own.
    """
    if facts.ended or not facts.can_block_reload:
        directives = evolve(directives, msn=None, part=None)
    if facts.ended or not facts.can_skip_until:
        directives = evolve(directives, skip="")
    return _rolled_over(directives, facts)


def _rolled_over(directives: Directives, facts: PlaylistFacts) -> Directives:
    """A part behind the last of a whole segment is part 0 of the next segment (section 6.2.5.2)."""
    if directives.msn is None or directives.part is None or directives.msn >= facts.next_sequence:
        return directives
    known = [part.index for part in facts.parts if part.sequence == directives.msn]
    if known and directives.part > max(known):
        return evolve(directives, msn=directives.msn + 1, part=0)
    return directives


def advance_part_limit(part_target: float) -> int:
    """How many parts a request may be ahead of the last one."""
    return math.ceil(PARTS_AHEAD / part_target) if 0 < part_target < 1 else int(PARTS_AHEAD)


def screen(directives: Directives, facts: PlaylistFacts, *, age: float = 0.0) -> None:
    """Raise RemoteProtocolError (400) for a request that is further ahead than any player is.

    Args:
        directives: as `effective` gives them.
        facts: of the newest version at hand.
        age: seconds since that arrived.  The stream has gone on meanwhile, with segments as short as half a target
            duration: whoever comes from another edge is not ahead, we are behind.
    """
    if directives.msn is None:
        return
    behind = math.ceil(2 * max(0.0, age) / facts.pace)
    if directives.msn > facts.last_sequence + SEGMENTS_AHEAD + behind:
        raise RemoteProtocolError(
            f"_HLS_msn {directives.msn} is too far ahead: the last segment is {facts.last_sequence}", hint=400
        )
    if directives.part is not None and directives.part > _last_part(directives.msn, facts, bool(behind)):
        raise RemoteProtocolError(f"_HLS_part {directives.part} is too far ahead", hint=400)


def _last_part(msn: int, facts: PlaylistFacts, behind: bool) -> int:
    """The largest part number that a request for this segment may have."""
    limit = advance_part_limit(facts.part_target)
    if msn == facts.next_sequence and not behind:
        return facts.open_parts - 1 + limit
    # Of another segment: as many parts as one can have, and the limit.
    whole = math.ceil(facts.pace / facts.part_target) if facts.part_target else 0
    return whole + limit


def satisfied(directives: Directives, facts: PlaylistFacts) -> bool:
    """Whether this version answers the request, so that nobody has to wait.

    A whole playlist answers one that asked for a delta update (section 6.2.5.1), never the other way round.
    """
    if facts.skipped and not directives.skip:
        return False
    if directives.msn is None or facts.ended:
        return True
    wanted = _rolled_over(directives, facts)
    assert wanted.msn is not None
    if wanted.msn < facts.next_sequence:
        return True
    return wanted.part is not None and (wanted.msn, wanted.part) < facts.edge


def longest_hold(facts: PlaylistFacts) -> float:
    """Seconds that a blocking request is held before it is answered 503."""
    return HOLD * facts.pace


def blocking_lifetime(facts: PlaylistFacts) -> float:
    """Seconds that the answer to a blocking request is fresh: it says the same for ever, and is soon of no use."""
    return BLOCKING_FRESH * facts.pace


def missing_lifetime(facts: PlaylistFacts) -> float:
    """Seconds that a 404 to a blocking request is believed."""
    return BLOCKING_MISSING * facts.pace
