"""How many viewers there are, counted where they are served: HTTP has requests, not viewers.

Whoever has asked within the last `WINDOW` seconds counts as one viewer, by the first of these that a request has:

| identity | counts twice | counts as one |
|---|---|---|
| the token of a signed URL | who gets a new URL in the middle | friends who share a URL |
| CMCD's session id, ``sid`` (CTA-5004) | who reloads the page | nobody |
| address and user agent | who changes from wireless to mobile | all behind one address (NAT) with the same browser |

So the last is low for a campus or a company, and two numbers made in different ways do not compare.

An identity is kept as its hash, which Python salts for each process, so neither addresses nor tokens are stored.  Two
sets take turns, each for half a window: adding is two set operations, forgetting is dropping a set, and a viewer is
forgotten between half a window and a whole one after the last request.  What strangers can make us keep is bounded:
beyond `MOST` identities a count stands still and says so.
"""

from __future__ import annotations

import re

__all__ = ["MOST", "WINDOW", "Audience", "session_id"]

#: Seconds: players with 10 s segments ask for a playlist or a segment every 10, and may be late for one.
WINDOW = 30.0
#: Identities in each set; about 100 bytes each, so 40 MB at the very most, and four times what one edge carries.
MOST = 100_000
#: Streams that are counted one by one.
STREAMS = 1024

# CMCD as a query argument: percent-encoded once.  The value of a sid is a string of at most 64 characters.
_SID = re.compile(rb"[?&]CMCD=(?:[^&]*?%2C)?sid%3D%22([^%&\"]{1,64})%22", re.IGNORECASE)
_SID_FIELD = re.compile(rb'(?:\A|,)[ \t]*sid="([^"\\]{1,64})"')


def session_id(target: bytes, field: bytes | None = None) -> bytes | None:
    """CMCD's ``sid`` from the query of a request's target, or from its CMCD-Session field."""
    if b"CMCD=" in target and (match := _SID.search(target)) is not None:
        return match.group(1)
    if field is not None and (match := _SID_FIELD.search(field)) is not None:
        return match.group(1)
    return None


class _Pair:
    """Who was seen in this half of a window, and who in the one before."""

    __slots__ = ("now", "old")

    def __init__(self) -> None:
        self.now: set[int] = set()
        self.old: set[int] = set()

    def count(self) -> int:
        return len(self.now | self.old)


class Audience:
    """Counts viewers, in all and by stream.

    Attributes:
        full: whether there were too many to count, so that the counts are too low.
    """

    def __init__(self) -> None:
        self.full = False
        self._all = _Pair()
        self._streams: dict[str, _Pair] = {}
        self._turn_at: float | None = None

    def seen(self, identity: int, stream: str, now: float) -> None:
        """Somebody has asked for something of a stream.

        Args:
            identity: a hash of whatever tells viewers apart.
            now: seconds, monotonic.
        """
        if self._turn_at is None or now >= self._turn_at:
            self._turn(now)
        mine = self._all.now
        if len(mine) < MOST:
            mine.add(identity)
        elif identity not in mine:
            self.full = True
            return
        pair = self._streams.get(stream)
        if pair is None:
            if len(self._streams) >= STREAMS:
                return
            pair = self._streams[stream] = _Pair()
        pair.now.add(identity)

    def count(self, now: float, stream: str | None = None) -> int:
        """Viewers of a stream, or of all together."""
        if self._turn_at is not None and now >= self._turn_at:
            self._turn(now)
        pair = self._all if stream is None else self._streams.get(stream)
        return pair.count() if pair is not None else 0

    def _turn(self, now: float) -> None:
        half = WINDOW / 2
        late = self._turn_at is None or now >= self._turn_at + half
        # From when it was due, not from now: else what is old would stay for longer.
        self._turn_at = now + half if late or self._turn_at is None else self._turn_at + half
        self.full = False
        for pair in (self._all, *self._streams.values()):
            pair.old, pair.now = (set() if late else pair.now), set()
        for name in [name for name, pair in self._streams.items() if not pair.old]:
            del self._streams[name]
