"""How many viewers there are, counted where they are served: HTTP has requests, not viewers.

Whoever has asked for something of a stream within its window counts as one viewer of it, by the first of these that a
request has (`Identities`):

| identity | counts twice | counts as one |
|---|---|---|
| the token of a signed URL | who gets a new URL in the middle | who shares a URL, and one of ours an address |
| CMCD's session id, ``sid`` (CTA-5004) | who reloads the page | who forges the id of another |
| address and user agent | who changes from wireless to mobile | all behind one address (NAT) with the same browser |

A token of the project's own counts with its end, its key and the viewer's address: it is the same for all whose URLs
were signed in one second, and another in each folder that a playlist hands it on to (`signed_url.family`).  nginx's
``md5`` is another one for each path, and says nothing.

So the last is low for a campus or a company, and a private window counts twice only by a new session id.  A script that
makes up session ids can make any number of viewers, and two numbers made in different ways do not compare.  What
advertisers are told has to come from the players; this is for people who run an edge.

An identity is kept as a hash of 8 bytes with a salt of the process, so neither addresses nor tokens are stored, and two
processes do not know each other's.  At 100,000 viewers the chance that any two of them have the same is one in three
thousand million.

A window is three sets that take turns, each for a third of it: who asks is put into the newest, the oldest is dropped
whole.  So a request costs two look-ups and nothing is ever swept, and a viewer is forgotten between two thirds of a
window and a whole one after the last request.  Two thirds are two target durations by default: a player asks for the
playlist in each one (RFC 8216 section 6.3.4), and may be late.

What strangers can make us keep is bounded: beyond `MOST` identities, or `MOST_ENTRIES` over all streams, a count stands
still and `Audience.full` says so, until the window in which it happened is over.  It is then a lower bound.
"""

from __future__ import annotations

import math
import re
from hashlib import blake2b

__all__ = ["MOST", "MOST_ENTRIES", "STREAMS", "WINDOW", "Audience", "Identities", "session_id", "window_for"]

#: Seconds, where no target duration is known: 3 of 10 s, the longest that are usual.
WINDOW = 30.0
#: A window in target durations, and its shortest and longest in seconds: with segments of 2 s a player that was
#: throttled for a moment is still there, and no playlist makes us remember for an hour.
WINDOW_TARGETS = 3
SHORTEST = 15.0
LONGEST = 180.0
#: Identities in each of the three sets, four times the viewers that one edge carries.  With all three full of different
#: ones, and each of those in a stream, the whole takes 43 MB (measured, CPython 3.11): 144 bytes for one.
MOST = 100_000
#: Identities in the sets of all streams together: who zaps through channels is in each of them.
MOST_ENTRIES = 400_000
#: Streams that are counted one by one.
STREAMS = 1024

# CMCD as a query argument: percent-encoded once, of which some clients leave out what a query may have as it is.  The
# value of a sid is a string of at most 64 characters.
_SID = re.compile(rb"[?&]CMCD=(?:[^&]*?(?:%2C|,))?sid(?:%3D|=)%22([^%&\"]{1,64})%22", re.IGNORECASE)
_SID_FIELD = re.compile(rb'(?:\A|,)[ \t]*sid="([^"\\]{1,64})"')


def session_id(target: bytes, field: bytes | None = None) -> bytes | None:
    """CMCD's ``sid`` from the query of a request's target, or from its CMCD-Session field."""
    if b"CMCD=" in target and (match := _SID.search(target)) is not None:
        return match.group(1)
    if field is not None and (match := _SID_FIELD.search(field)) is not None:
        return match.group(1)
    return None


def window_for(target_duration: float) -> float:
    """Seconds of the window of a stream with this target duration."""
    return min(max(WINDOW_TARGETS * target_duration, SHORTEST), LONGEST)


class Identities:
    """Makes identities of what requests show.

    Args:
        salt: up to 64 random bytes, of this process alone, so that the hash of an address tells nothing to who has not
            been here.
    """

    def __init__(self, salt: bytes) -> None:
        self._seed = blake2b(key=salt, digest_size=8)

    def of(self, *, token: bytes = b"", sid: bytes = b"", address: str = "", agent: bytes = b"") -> int:
        """The identity by the first of these that is there: token, CMCD session, or address and user agent."""
        state = self._seed.copy()
        if token:
            state.update(b"t" + token)
        elif sid:
            state.update(b"s" + sid)
        else:
            state.update(b"a" + address.encode("utf-8", "surrogatepass") + b"\0" + agent)
        return int.from_bytes(state.digest(), "little")


class _Ring:
    """Who was seen in this third of a window, in the one before, and in the one before that."""

    __slots__ = ("_again", "_earlier", "_first", "_number", "bytes", "middle", "new", "old", "third", "turn_at")

    def __init__(self, window: float, now: float) -> None:
        self._set_clock(window / 3, now)
        self.new: set[int] = set()
        self.middle: set[int] = set()
        self.old: set[int] = set()
        #: Of the newest: how many the one before has too, and how many neither has.
        self._again = self._first = 0
        #: How many the two older ones have together.
        self._earlier = 0
        #: Sent so far.
        self.bytes = 0

    def _set_clock(self, third: float, now: float) -> None:
        # Thirds are counted from zero, so that rings of one window turn together and their counts agree.
        self.third = third
        self._number = math.floor(now / third)
        self.turn_at = (self._number + 1) * third

    def add(self, identity: int) -> None:
        """Put one in that is not in the newest set."""
        self.new.add(identity)
        if identity in self.middle:
            self._again += 1
        elif identity not in self.old:
            self._first += 1

    @property
    def count(self) -> int:
        return self._earlier + self._first

    @property
    def entries(self) -> int:
        return len(self.new) + len(self.middle) + len(self.old)

    def turn(self, now: float) -> int:
        """Go on to the third that `now` is in; returns how many entries are dropped."""
        before, number = self.entries, self._number
        self._set_clock(self.third, now)
        # now / third may be rounded to just below what now was compared with.
        self._number = max(self._number, number + 1)
        self.turn_at = (self._number + 1) * self.third
        thirds = self._number - number
        if thirds == 1:
            self._earlier = len(self.new) + len(self.middle) - self._again
            self.old, self.middle = self.middle, self.new
        else:
            self.old, self.middle = (self.new if thirds == 2 else set()), set()
            self._earlier = len(self.old)
        self.new = set()
        self._again = self._first = 0
        return before - self.entries

    def pace(self, window: float, now: float) -> None:
        """Another window from now on."""
        self._set_clock(window / 3, now)


class Audience:
    """Counts viewers, in all and by stream.

    Args:
        window: seconds, for streams of which `pace` says nothing.
    """

    def __init__(self, window: float = WINDOW) -> None:
        self._window = window
        self._all: _Ring | None = None
        self._streams: dict[str, _Ring] = {}
        #: Bytes that streams were sent which nobody watches any more; the oldest go where there are too many.
        self._gone: dict[str, int] = {}
        #: In the sets of all streams.
        self._entries = 0
        #: Until when counts are too low.
        self._full_until = float("-inf")
        self._now = float("-inf")

    @property
    def full(self) -> bool:
        """Whether there were too many to count within the last window, so that the counts are too low."""
        return self._now < self._full_until

    def seen(self, identity: int, stream: str, now: float, size: int = 0) -> None:
        """Somebody has asked for something of a stream.

        Args:
            identity: a hash of whatever tells viewers apart.
            now: seconds, monotonic.
            size: bytes of the answer, as far as they are known by now; `sent` takes the rest.
        """
        every = self._all
        if every is None or now >= every.turn_at:
            every = self._turn(now)
        if identity not in every.new:
            if len(every.new) >= MOST:
                return self._overflow(now)
            every.add(identity)
        ring = self._streams.get(stream)
        if ring is None:
            ring = self._opened(stream, now)
            if ring is None:
                return None
        elif now >= ring.turn_at:
            self._entries -= ring.turn(now)
        ring.bytes += size
        if identity not in ring.new:
            if self._entries >= MOST_ENTRIES:
                return self._overflow(now)
            ring.add(identity)
            self._entries += 1
        return None

    def sent(self, stream: str, size: int) -> None:
        """Bytes that an answer of a stream had, once it has left."""
        ring = self._streams.get(stream)
        if ring is not None:
            ring.bytes += size
        elif stream in self._gone:
            self._gone[stream] += size

    def bytes(self, stream: str) -> int:
        """Bytes that were sent of a stream so far."""
        ring = self._streams.get(stream)
        return self._gone.get(stream, 0) + (ring.bytes if ring is not None else 0)

    def pace(self, stream: str, target_duration: float, now: float) -> None:
        """A stream's target duration, which says how long its viewers may be silent.  Cheap when nothing changes."""
        window = window_for(target_duration)
        ring = self._streams.get(stream) or self._opened(stream, now)
        if ring is not None and ring.third != window / 3:
            ring.pace(window, now)
        every = self._all or self._turn(now)
        if window / 3 > every.third:  # or who watches the slowest of them would be missing in the sum
            every.pace(window, now)

    def count(self, now: float, stream: str | None = None) -> int:
        """Viewers of a stream, or of all together."""
        self._now = max(self._now, now)
        if self._all is None or now >= self._all.turn_at:
            self._turn(now)
        ring = self._all if stream is None else self._streams.get(stream)
        if ring is None:
            return 0
        if now >= ring.turn_at:
            self._entries -= ring.turn(now)
        return ring.count

    def _opened(self, stream: str, now: float) -> _Ring | None:
        if len(self._streams) >= STREAMS:
            self._overflow(now)
            return None
        ring = self._streams[stream] = _Ring(self._window, now)
        return ring

    def _remember(self, stream: str, size: int) -> None:
        # The newest last, so that it is the oldest that goes.
        self._gone[stream] = self._gone.pop(stream, 0) + size
        if len(self._gone) > STREAMS:
            del self._gone[next(iter(self._gone))]

    def _overflow(self, now: float) -> None:
        self._now = now
        self._full_until = now + (self._all.third * 3 if self._all is not None else self._window)

    def _turn(self, now: float) -> _Ring:
        """Three times in a window: on to the next third, and streams that nobody watches are forgotten."""
        self._now = now
        if self._all is None:
            self._all = _Ring(self._window, now)
            return self._all
        self._all.turn(now)
        for name, ring in list(self._streams.items()):
            if now >= ring.turn_at:
                self._entries -= ring.turn(now)
            if not ring.entries:
                del self._streams[name]
                self._remember(name, ring.bytes)
        return self._all
