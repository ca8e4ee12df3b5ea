"""When a viewer's picture stands still: media received against the wall clock.

A viewer begins to play with the first media that it has, and plays at the speed of the clock.  It has stalled
once the clock is more than TOLERANCE ahead of the media: a real player's picture has frozen then.  A smaller
lag is borne, and adds up: a stream that comes ever later does stall in the end.  When media comes again, it
plays on from there, so that one interruption is one stall, however long it was.
"""

from __future__ import annotations

__all__ = ["TOLERANCE", "Playback"]

#: Seconds that media may lag behind the clock; less is what a decoder's own buffers hide.
TOLERANCE = 1.0


class Playback:
    """One viewer's.  `now` is any clock in seconds."""

    def __init__(self) -> None:
        self.stalls = 0
        #: Seconds of media received since playback began.
        self.media = 0.0
        self._base: float | None = None  # when the media's first sample would have been shown, had nothing stalled
        self._counted = False

    @property
    def started(self) -> bool:
        """Whether media has come, and no end since."""
        return self._base is not None

    def received(self, now: float, seconds: float) -> None:
        """So many more seconds of media are here; the first of them begin playback."""
        if self._base is None:
            self._base = now
            self.media = 0.0
        elif self._stalled(now):
            self._base = now - self.media
            self._counted = False
        self.media += seconds

    def ahead(self, now: float) -> float:
        """Seconds of media that are here and not yet shown; negative while it lags."""
        return 0.0 if self._base is None else self.media - (now - self._base)

    def check(self, now: float) -> None:
        """Nothing has come until now."""
        self._stalled(now)

    def noticed(self, now: float, seconds: float) -> None:
        """So many more seconds have come at some time until now, which nobody saw; see whether they were enough."""
        if self._counted and seconds > 0:
            self.received(now, seconds)
        else:
            self.media += seconds
        self._stalled(now)

    def suppose(self, now: float) -> None:
        """Nobody can say what has come until now: suppose that nothing was missing."""
        if self._base is not None:
            self.media = max(self.media, now - self._base)
            self._counted = False

    def end(self, now: float) -> None:
        """The stream is over as far as the server says: waiting from now on is no stall."""
        self._stalled(now)
        self._base = None
        self._counted = False

    def _stalled(self, now: float) -> bool:
        if self.ahead(now) >= -TOLERANCE:
            return False
        if not self._counted:
            self._counted = True
            self.stalls += 1
        return True
