"""Where a viewer is in one media playlist: what it has of it, and what it fetches next.

It starts three segments from the end of a live playlist (RFC 8216 section 6.3.3).  What has left the window before it
was fetched is a "gap", and so is what the server lists as one.  A playlist that ends before what was fetched already is
counted ("sequence went back"); where it overlaps the last one it is a stale copy and is waited out, as players do, else
the server began anew, and so does the viewer.

Variants of a stream are the same media cut at the same places (section 6.2.4), but their numbers need not agree.  So
after a switch the viewer goes on at the same date where both have dates, else at the same number where that is in the
window, else as far from the end as it was.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from ._mpegts import Continuity
from ._playlist import Part, Playlist

__all__ = ["Track"]


@define(eq=False)
class Track:
    """`count` is told what is missing or odd: "gap", "sequence went back"."""

    url: str
    count: Callable[[str], None]
    #: Bits a second as the multivariant playlist has it, 0 for sound and where there is none.
    bandwidth: int = 0
    #: URL of the initialisation section that it has.
    init: str = ""
    #: Bytes of the segment that was fetched last.
    size: int = 0
    #: Seconds of media that were fetched.
    media: float = 0.0
    #: Whether what is fetched next has only just been listed: before we came, it is as old as it must be.
    live: bool = False
    continuity: Continuity = field(factory=Continuity)
    #: Seconds after which the playlist is asked for again (section 6.3.4), from when it was.
    wait: float = 0.0
    ended: bool = False
    _next: int | None = None  # media sequence number
    _playlist: Playlist | None = None
    _aligning: bool = False
    _position: float | None = None  # date at which the next segment begins

    def listed(self, playlist: Playlist) -> None:
        """The playlist as it is now."""
        self.wait = playlist.target_duration / (2 if playlist is self._playlist else 1)
        self.ended = playlist.ended
        self.live = self._next is not None
        before, self._playlist = self._playlist, playlist
        if self._next is None:
            self._next = playlist.first
        elif self._aligning:
            self._next = self._aligned(playlist, before)
        last = playlist.media_sequence + len(playlist.parts)
        if last < self._next:
            if self._next <= last + len(playlist.parts):
                self.count("sequence went back")
                return
            self.lost("sequence went back")
            self._next = playlist.first
        elif self._next < playlist.media_sequence:
            self.lost("gap")
            self._next = playlist.media_sequence
        self._aligning = False

    def peek(self) -> Part | None:
        """What is fetched next; None where there is nothing new."""
        playlist = self._playlist
        if playlist is None or self._next is None:
            return None
        index = self._next - playlist.media_sequence
        return playlist.parts[index] if 0 <= index < len(playlist.parts) else None

    def take(self, part: Part) -> None:
        """It is being fetched; whatever comes of that, the next one is next."""
        assert self._next is not None
        self._next += 1
        self._position = part.ends_at
        if part.discontinuity:
            self.continuity.restart()

    def lost(self, kind: str) -> None:
        """Media is missing, and what comes next does not continue what was there."""
        self.count(kind)
        self.continuity.restart()

    def switch(self, url: str, bandwidth: int) -> None:
        """Go on with another playlist of the same media, when it is `listed`."""
        self.url, self.bandwidth = url, bandwidth
        self._aligning = self._next is not None
        self.continuity.restart()

    def _aligned(self, playlist: Playlist, before: Playlist | None) -> int:
        assert self._next is not None
        first, end = playlist.media_sequence, playlist.media_sequence + len(playlist.parts)
        if self._position is not None and any(part.ends_at is not None for part in playlist.parts):
            for number, part in enumerate(playlist.parts, first):
                # The one in which the date lies, or the next where that is nearer.
                if part.ends_at is not None and part.ends_at - self._position > part.duration / 2:
                    return number
            return end
        if first <= self._next <= end or before is None:
            return self._next
        return max(first, end - max(0, before.media_sequence + len(before.parts) - self._next))
