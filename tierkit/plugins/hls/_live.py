"""What an edge knows of the streams that it carries, by their playlists: what is shown, what comes next.

Every version of a media playlist that upstream gives goes through `arrived`, whatever it was asked for by: a plain
request, or a blocking one of low latency.  The rules of what is shown stand in `tierkit.codecs.hls_track`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from hashlib import blake2b

from attrs import define, field, frozen

from tierkit.codecs.hls import PlaylistFacts
from tierkit.codecs.hls_query import Directives, effective, satisfied, screen
from tierkit.codecs.hls_track import Step, Track, Verdict
from tierkit.codecs.viewings import Media, Pace
from tierkit.plugin import RemoteProtocolError

from ._objects import Memory, folders
from ._places import Place, Refused

__all__ = ["Programme", "Streams"]

#: Segments and parts of which it is known what they are, of all playlists together: 300 bytes each; and of one version
#: that is new as a whole, its newest: who watches what lies further back has media in hand.
MOST_MEDIA = 65536
NEWEST = 256
#: The number that comes next of a stream that has ended: nobody waits for it.
NO_MORE = 1 << 62


@define(eq=False)
class Programme:
    """One media playlist at this edge."""

    track: Track
    #: The key of the newest whole version that was shown, and when it arrived.
    newest: str = ""
    at: float = 0.0
    #: For those who watch it, and the segment and part from which on what is listed is new.
    pace: Pace = field(factory=lambda: Pace(0.0, 0))
    edge: tuple[int, int] = (0, 0)

    @property
    def facts(self) -> PlaylistFacts:
        """Of the version that is shown."""
        assert self.track.facts is not None, "it is made with its first version"
        return self.track.facts


@frozen
class Arrived:
    """What a version of a playlist means."""

    step: Step
    programme: Programme

    @property
    def shown(self) -> bool:
        """Whether viewers may see it."""
        return self.step.verdict is not Verdict.HOLD_BACK


class Streams:
    """The media playlists of one tier, by the key of each without delivery directives.

    Args:
        name: what a path or URI is called, whoever's ids are in it.
    """

    def __init__(self, name: Callable[[str], str] = str) -> None:
        self._name = name
        self._programmes: Memory[str, Programme] = Memory()
        # Of each folder that has segments, the playlist that listed some there last; several may share one.
        self._folders: Memory[str, str] = Memory()
        # Of each name that comes next, the playlist that says so.
        self._awaited: Memory[str, str] = Memory()
        # What those who watch can ask for, by its key.
        self._media: Memory[str, Media] = Memory(MOST_MEDIA)
        #: Versions held back, and epochs that began anew, so far.
        self.held_back = self.restarts = 0
        #: Told the folder and the target duration of a version that is shown.
        self.paced: Callable[[str, float], None] = lambda folder, target_duration: None

    def values(self) -> Sequence[Programme]:
        """All of them, the oldest first."""
        return tuple(self._programmes.values())

    def get(self, base: str) -> Programme | None:
        """One of them."""
        return self._programmes.get(base)

    def arrived(
        self, place: Place, facts: PlaylistFacts, body: bytes, now: float, hosts: Collection[str] = ()
    ) -> Arrived:
        """A version has come from upstream: whether it is shown, and what else follows.

        Args:
            hosts: authorities that mean this edge.
        """
        programme = self._programmes.get(place.base)
        if programme is None:
            programme = Programme(Track(place.only, key=self._name, hosts=hosts))
        step = programme.track.feed(facts, blake2b(body, digest_size=16).digest(), now)
        if step.verdict is Verdict.HOLD_BACK:
            self.held_back += 1
        else:
            self.restarts += step.verdict is Verdict.NEW_EPOCH
            if not facts.skipped:
                programme.newest, programme.at = place.key, now
            self._find_by(programme.track, place.base)
            self._list(programme, facts, place.base, anew=step.verdict is Verdict.NEW_EPOCH)
            self.paced(place.stream, facts.pace)
        self._programmes.put(place.base, programme)
        return Arrived(step, programme)

    def confirmed(self, base: str, now: float) -> None:
        """Upstream has nothing else than the version that is shown."""
        if (programme := self._programmes.get(base)) is not None:
            programme.track.confirmed(now)

    def _find_by(self, track: Track, base: str) -> None:
        """Have a playlist found by what it lists: in its own folder, or in one beside or above it."""
        for path in filter(None, (track.path, track.newest)):
            self._folders.put(next(folders(self._name(path))), base)
        for name in track.awaited:
            self._awaited.put(name, base)

    def _list(self, programme: Programme, facts: PlaylistFacts, base: str, *, anew: bool) -> None:
        """Have what is listed anew be known for what it is."""
        following = NO_MORE if facts.ended else facts.next_sequence
        if anew or not programme.edge[0]:
            programme.pace, programme.edge = Pace(facts.pace, following), (0, 0)
            self._media.put(base, Media(programme.pace))
        programme.pace.moved(facts.pace, following)
        edge, programme.edge = programme.edge, facts.edge
        for each in facts.segments[-NEWEST:]:
            if each.sequence >= edge[0] and each.byte_range is None:
                self._learn(programme, each.uri, Media(programme.pace, each.sequence, each.duration))
        for part in facts.parts:
            if (part.sequence, part.index) >= edge and part.byte_range is None:
                self._learn(programme, part.uri, Media(programme.pace, part.sequence, part.duration, part=True))

    def _learn(self, programme: Programme, uri: str, media: Media) -> None:
        if (path := programme.track.path_of(uri)) and media.duration > 0:
            self._media.put(self._name(path), media)

    def media(self, base: str) -> Media | None:
        """What is stored under a key (that of a playlist without delivery directives) to those who watch."""
        return self._media.get(base)

    def of(self, path: str) -> Programme | None:
        """The playlist that a segment belongs to: of its folder, or of one above it."""
        for folder in folders(self._name(path)):
            if (base := self._folders.get(folder)) is not None:
                return self._programmes.get(base)
        return None

    def awaits(self, path: str) -> float:
        """Seconds for which it is worth waiting for something that is not there; 0 for all but what comes next."""
        name = self._name(path)
        base = self._awaited.get(name) or self._awaited.get(name.partition("?")[0])
        programme = self._programmes.get(base) if base is not None else None
        return programme.facts.pace if programme is not None and programme.track.is_next(path) else 0.0

    def directed(self, place: Place, now: float) -> tuple[Place, str]:
        """A place with the directives that its playlist heeds, and the key of what answers them already, or "".

        Raises Refused (400) for directives that are further ahead than any player is.
        """
        programme = self._programmes.get(place.base)
        if programme is None:
            return place, ""
        facts = programme.facts
        heeded = effective(place.directives, facts)
        try:
            screen(heeded, facts, age=now - programme.at)
        except RemoteProtocolError as error:
            raise Refused(400, str(error)) from None
        if heeded != place.directives:
            place = place.directed(heeded)
        if answers_already(heeded, facts):
            return place, programme.newest
        return place, ""


def answers_already(directives: Directives, facts: PlaylistFacts) -> bool:
    """Whether the version at hand answers a request that would wait, so that nobody has to ask."""
    # The whole would do for who asks for what has changed, too, and be ten times as long.
    return directives.blocking and not directives.skip and satisfied(directives, facts)
