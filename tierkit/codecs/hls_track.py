"""One media playlist, version after version: what is shown of it, what is new, what comes next.

`Track.feed` is given each version that arrives, from whichever upstream, and says what to do with it:

- ``TAKE``: show it.  It is the same as, or newer than what is shown.
- ``HOLD_BACK``: go on showing what is shown.  Within an epoch the first and the last number shown never go back.
- ``NEW_EPOCH``: show it, and drop what is stored of the epoch before: its names may mean other things now.

What tells a parent that lags from an encoder that started again stands in `hls_epoch`.  Where the two versions alone do
not tell, time does:

| rule | new epoch when |
|---|---|
| `_confirmed` | three versions in a row, each further than the one before, began near the start |
| `_wider` | nothing newer for 2 target durations, and the same run is there with a wider window and a later end |
| `_nobody_asked` | no version at all for 5 target durations: nobody is watching who could be turned back |
| `_patience_is_over` | nothing newer for 5 target durations: what is held back is all that there is |

Five, because a parent that lags by three segments, alone after a failover, has caught up before, and is then taken as
it is.  Versions of the epoch before that come late (from a parent that has not noticed) are held back likewise, until
the new epoch has not moved for as long.

A name that is listed again under another number means another thing too (a packager that counts to ten and begins
again), so it is purged, within an epoch also, unless the playlist lists it twice by design, as it does with a slate.

Paths go out as a player asks for them, those at other hosts left out.  Every list is bounded; a track costs about
200 bytes for each segment of the window, and 100 for each of 1,024 names that have left it.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Collection, Iterable
from itertools import pairwise

from attrs import field, frozen

from .hls_epoch import Overlap, another_run, near_start, overlap, regressed
from .hls_facts import MAX_LISTED, ListedPart, ListedSegment, PlaylistFacts
from .hls_next import LOOKED_AT, next_name
from .hls_uris import resolve

__all__ = ["PATIENCE", "PREFETCH", "Step", "Track", "TrackStatistics", "Verdict"]

#: Target durations without anything newer after which what is held back is shown.
PATIENCE = 5
#: The same where it is the same run, and reaches further, but its window begins earlier.
WIDER_PATIENCE = 2
#: Versions in a row, each further than the last, that make a run from near the start believed.
CONFIRMED = 3
#: Paths that one version gives for prefetch at most: a late edge must not ask for a whole window.
PREFETCH = 4
#: Names that are remembered beyond the window: what may be stored still, and what may be used again.
REMEMBERED = 1024
#: Last versions of the epochs before whose bytes are known again.
MARKS = 8


class Verdict(enum.Enum):
    """What to do with a version."""

    TAKE = enum.auto()
    HOLD_BACK = enum.auto()
    NEW_EPOCH = enum.auto()


@frozen(kw_only=True)
class Step:
    """What a version means for those who serve the playlist."""

    verdict: Verdict
    #: Why, for people; empty for what is simply newer.
    reason: str = ""
    #: Whether other bytes are shown than before.
    changed: bool = False
    #: Paths to fetch ahead: new init sections, then segments and parts that are new, newest first.
    fresh: tuple[str, ...] = ()
    #: Paths of preload hints: a request for one waits at the upstream until it is there.
    hints: tuple[str, ...] = ()
    #: Paths whose stored copies mean something else now.
    purge: tuple[str, ...] = ()
    #: Paths of which new segments and parts are byte ranges, and how many bytes those say that there are: a copy that
    #: is shorter was made while the resource grew.
    reach: tuple[tuple[str, int], ...] = ()


@frozen(kw_only=True)
class TrackStatistics:
    """Where a track stands.  Over processes, the counts add up and the numbers are the largest."""

    #: Epochs so far, from 1; 0 before the first version.
    epoch: int = field(metadata={"merge": "max"})
    #: Media sequence number of the first segment shown, and of the one that comes next.
    first: int = field(metadata={"merge": "max"})
    next: int = field(metadata={"merge": "max"})
    #: Versions shown, and held back.
    taken: int = field(metadata={"merge": "sum"})
    held_back: int = field(metadata={"merge": "sum"})
    #: Seconds between the last two versions that brought something, 0 before.
    interval: float = field(metadata={"merge": "max"})


class Track:
    """One media playlist.

    Args:
        path: of the playlist at this edge, without its query.
        key: what of a path or URI counts as the name of a thing: ids of sessions and tokens taken out.
        hosts: authorities that mean this edge, as `hls_uris.resolve` takes them.
    """

    def __init__(self, path: str, *, key: Callable[[str], str] = str, hosts: Collection[str] = ()) -> None:
        self.path = path
        #: The version that is shown, None before the first.
        self.facts: PlaylistFacts | None = None
        self.epoch = self.taken = self.held_back = 0
        self._key = key
        self._hosts = hosts
        self._mark = b""
        self._moved_at = self._fed_at = self._interval = 0.0
        # Since the last version that was taken: what was held back, oldest first.
        self._held: deque[PlaylistFacts] = deque(maxlen=CONFIRMED)
        # What segments are called to their numbers and URIs, oldest first; URIs of parts, init sections and keys.
        self._names: dict[str, tuple[int, str]] = {}
        self._others: dict[str, None] = {}
        self._previous: PlaylistFacts | None = None
        self._old_marks: deque[bytes] = deque(maxlen=MARKS)
        #: What the segments and parts that come next are called, by the numbers in the names or by preload hints.
        self.awaited: frozenset[str] = frozenset()

    def feed(self, facts: PlaylistFacts, mark: bytes, now: float) -> Step:
        """Say what to do with a version.

        Args:
            facts: of a media playlist; a delta update does as well.
            mark: the same for the same bytes alone: a hash, or the bytes.
            now: when it arrived, on any clock that goes forward.
        """
        shown, idle, self._fed_at = self.facts, now - self._fed_at, now
        if shown is None:
            return self._take(facts, mark, now, Verdict.TAKE, "the first version")
        if mark == self._mark:
            self._held.clear()
            return Step(verdict=Verdict.TAKE, reason="unchanged")
        if self._late(shown, facts, mark, now):
            return self._hold_back(facts, "a version of the epoch before")
        if reason := another_run(shown, facts, self._name):
            return self._begin(facts, mark, now, reason)
        if not regressed(shown, facts):
            return self._take(facts, mark, now, Verdict.TAKE, "")
        if facts.segments and (reason := self._time_tells(shown, facts, now, idle)):
            return self._begin(facts, mark, now, reason)
        return self._hold_back(facts, f"reaches {facts.last_sequence}, and {shown.last_sequence} is shown")

    def confirmed(self, now: float) -> None:
        """Upstream has said that what is shown is what there is: the same as feeding it again."""
        self._fed_at = now
        self._held.clear()

    # --- what time tells -------------------------------------------------------------------------

    def _time_tells(self, shown: PlaylistFacts, new: PlaylistFacts, now: float, idle: float) -> str:
        """Why an older version is shown all the same; empty where it is not."""
        if reason := self._confirmed(new):
            return reason
        if shown.ended and overlap(shown, new, self._name) is Overlap.SAME:
            return ""  # what has ended does not move, and an older copy of it is never the better one
        unmoved = self._unmoved(shown, new, now)
        return (
            self._wider(shown, new, unmoved)
            or self._nobody_asked(idle / max(shown.pace, new.pace))
            or self._patience_is_over(unmoved)
        )

    def _unmoved(self, shown: PlaylistFacts, new: PlaylistFacts, now: float) -> float:
        """Target durations since something newer came."""
        return (now - self._moved_at) / max(shown.pace, new.pace)

    def _late(self, shown: PlaylistFacts, new: PlaylistFacts, mark: bytes, now: float) -> bool:
        """Whether this is of the epoch before, and the one that is shown is alive."""
        if self._previous is None or self._unmoved(shown, new, now) > PATIENCE:
            return False
        if mark in self._old_marks:
            return True
        if overlap(shown, new, self._name) is Overlap.SAME:
            return False
        if overlap(self._previous, new, self._name) is not Overlap.SAME:
            return False
        if not regressed(self._previous, new):
            self._previous = new  # that run still goes on somewhere: know it further on, too
        return True

    def _confirmed(self, new: PlaylistFacts) -> str:
        run = [*self._held, new][-CONFIRMED:]
        if len(run) < CONFIRMED or not all(map(near_start, run)):
            return ""
        grows = all(a.edge < b.edge for a, b in pairwise(run))
        return f"{CONFIRMED} versions from the start of a run, one after the other" if grows else ""

    def _wider(self, shown: PlaylistFacts, new: PlaylistFacts, unmoved: float) -> str:
        if new.edge <= shown.edge or unmoved <= WIDER_PATIENCE:
            return ""
        same = overlap(shown, new, self._name) is Overlap.SAME
        return "the window of what upstream has begins earlier" if same else ""

    def _nobody_asked(self, idle: float) -> str:
        return f"nothing at all for {idle:.0f} target durations" if idle > PATIENCE else ""

    def _patience_is_over(self, unmoved: float) -> str:
        if not self._held or unmoved <= PATIENCE:
            return ""
        return f"nothing newer for {unmoved:.0f} target durations"

    # --- what follows ----------------------------------------------------------------------------

    def _hold_back(self, facts: PlaylistFacts, reason: str) -> Step:
        self.held_back += 1
        if not self._held or self._held[-1].edge != facts.edge:
            self._held.append(facts)
        return Step(verdict=Verdict.HOLD_BACK, reason=reason)

    def _begin(self, facts: PlaylistFacts, mark: bytes, now: float, reason: str) -> Step:
        assert self.facts is not None
        # An older copy of the same run lists the same things: nothing of them has to go.
        same = overlap(self.facts, facts, self._name) is Overlap.SAME and not self._ambiguous(facts)
        old = () if same else (*self._uris(), *self._others)
        self._previous = None if same else self.facts
        self._old_marks.append(self._mark)
        self._names.clear()
        self._others.clear()
        self.facts = None
        return self._take(facts, mark, now, Verdict.NEW_EPOCH, reason, old)

    def _ambiguous(self, facts: PlaylistFacts) -> bool:
        """Whether this may be a run that began again with the same names, having been held back while it grew."""
        held = [*self._held]
        return (
            len(held) > 1 and all(map(near_start, [*held, facts])) and all(a.edge < b.edge for a, b in pairwise(held))
        )

    def _take(
        self, facts: PlaylistFacts, mark: bytes, now: float, verdict: Verdict, reason: str, old: Iterable[str] = ()
    ) -> Step:
        before = self.facts
        new = _newer(facts, before)
        purge = [*old, *self._used_again(new, facts)]
        if before is None:
            self.epoch += 1
        elif self._ambiguous(facts):
            # It has caught up, as an older copy does, and as a run does that began again: to fetch twice is cheap.
            purge += [*self._uris(), *self._others]
        ahead = self._ahead(facts, new, before)
        if before is None or (facts.media_sequence, facts.edge) != (before.media_sequence, before.edge):
            self._interval = now - self._moved_at if before is not None else 0.0
            self._moved_at = now
        self.taken += 1
        self.facts, self._mark = facts, mark
        self._held.clear()
        self._remember(facts, new)
        self.awaited = self._following(facts)
        return Step(
            verdict=verdict,
            reason=reason,
            changed=True,
            fresh=tuple(ahead),
            hints=tuple(self._paths(hint.uri for hint in facts.hints)),
            purge=tuple(self._paths(purge)),
            reach=tuple(self._reach(new, facts, before)),
        )

    def _reach(
        self, new: Iterable[ListedSegment], facts: PlaylistFacts, before: PlaylistFacts | None
    ) -> list[tuple[str, int]]:
        """How far new byte ranges reach."""
        edge = before.edge if before is not None else (0, 0)
        parts = (each for each in facts.parts if (each.sequence, each.index) >= edge)
        ends: dict[str, int] = {}
        ranges: tuple[ListedSegment | ListedPart, ...] = (*new, *parts)
        for each in ranges:
            if each.byte_range is not None and not each.gap:
                ends[each.uri] = max(ends.get(each.uri, 0), sum(each.byte_range))
        return [(path, end) for uri, end in ends.items() for path in self._all_paths([uri])]

    def _used_again(self, new: Iterable[ListedSegment], facts: PlaylistFacts) -> list[str]:
        """URIs that were those of other numbers, which are listed no more."""
        return [
            each.uri
            for each in new
            if each.byte_range is None
            and (known := self._names.get(self._key(each.uri))) is not None
            and known[0] < facts.media_sequence
        ]

    def _uris(self, first: int = 0) -> list[str]:
        """URIs of the segments that are remembered, from a number on."""
        return [uri for sequence, uri in self._names.values() if sequence >= first]

    def _ahead(self, facts: PlaylistFacts, new: list[ListedSegment], before: PlaylistFacts | None) -> list[str]:
        edge = before.edge if before is not None else (0, 0)
        inits = self._paths(uri for uri in facts.maps[-PREFETCH:] if uri not in self._others)
        parts = [each for each in facts.parts if (each.sequence, each.index) >= edge and not each.gap]
        # What has ended before anybody asked is watched from its start, not from its end.
        segments = [each for each in new if not each.gap] if before is not None or not facts.ended else []
        # Parts behind the last segment are newer than it, and all others are in a segment that is listed.
        newest = [each.uri for each in reversed(parts) if each.sequence == facts.next_sequence]
        newest += [each.uri for each in reversed(segments)]
        return [*inits, *self._paths(newest[: 2 * PREFETCH])][:PREFETCH]

    def _remember(self, facts: PlaylistFacts, new: Iterable[ListedSegment]) -> None:
        for segment in new:
            name = self._key(segment.uri)
            self._names.pop(name, None)  # the order is that of the last use
            self._names[name] = segment.sequence, segment.uri
        for uri in (*facts.maps, *facts.keys, *(part.uri for part in facts.parts)):
            self._others.pop(uri, None)
            self._others[uri] = None
        _forget(self._names, min(len(facts.segments) + facts.skipped, MAX_LISTED) + REMEMBERED)
        _forget(self._others, len(facts.maps) + len(facts.keys) + len(facts.parts) + REMEMBERED)

    def _following(self, facts: PlaylistFacts) -> frozenset[str]:
        if facts.ended:
            return frozenset()
        found = {self._key(path) for path in self._paths(hint.uri for hint in facts.hints)}
        for normal in (self._key, self._without_query):
            listed = [normal(path) for path in self._all_paths(each.uri for each in facts.segments[-LOOKED_AT:])]
            if (following := next_name(listed)) is not None:
                found.add(following)
                break
        return frozenset(found)

    # --- names -----------------------------------------------------------------------------------

    def _name(self, uri: str) -> str:
        """What of a URI counts when two versions are compared: tokens in a query may differ from one to the other."""
        return self._key(uri).partition("?")[0]

    def _without_query(self, path: str) -> str:
        return self._key(path).partition("?")[0]

    def _all_paths(self, uris: Iterable[str]) -> list[str]:
        targets = (resolve(self.path, uri, hosts=self._hosts) for uri in uris)
        return [target.path for target in targets if target.here]

    def path_of(self, uri: str) -> str:
        """The path of what a playlist names; empty where that is elsewhere."""
        return "".join(self._all_paths([uri]))

    def _paths(self, uris: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(self._all_paths(uris)))

    # --- what others ask -------------------------------------------------------------------------

    @property
    def window(self) -> tuple[str, ...]:
        """Paths of the segments that are shown, oldest first, and of what belongs to them.  Resolved on each call."""
        if self.facts is None:
            return ()
        facts, uris = self.facts, self._uris(self.facts.media_sequence)
        return tuple(self._paths([*facts.maps, *facts.keys, *uris, *(part.uri for part in facts.parts)]))

    def is_next(self, path: str) -> bool:
        """Whether this is what comes next, by the numbers in the names or by a preload hint.

        A request for it may wait, for a target duration at most (`facts.pace`), instead of being told 404.
        """
        key = self._key(path)
        return key in self.awaited or key.partition("?")[0] in self.awaited

    @property
    def newest(self) -> str:
        """Path of the newest segment that is shown; empty where there is none, or it is elsewhere."""
        listed = self.facts.segments[-1:] if self.facts is not None else ()
        return "".join(self._all_paths(each.uri for each in listed))

    def statistics(self) -> TrackStatistics:
        """Where it stands."""
        return TrackStatistics(
            epoch=self.epoch,
            first=self.facts.media_sequence if self.facts is not None else 0,
            next=self.facts.next_sequence if self.facts is not None else 0,
            taken=self.taken,
            held_back=self.held_back,
            interval=self._interval,
        )


def _newer(facts: PlaylistFacts, before: PlaylistFacts | None) -> list[ListedSegment]:
    """The segments of one version that the version before had not."""
    if before is None or not facts.segments:
        return list(facts.segments)
    skipped = max(0, before.next_sequence - facts.segments[0].sequence)
    return list(facts.segments[skipped:])


def _forget(names: dict[str, tuple[int, str]] | dict[str, None], most: int) -> None:
    while len(names) > most:
        del names[next(iter(names))]
