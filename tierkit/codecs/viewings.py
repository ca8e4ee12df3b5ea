"""What is known of viewers on an HLS edge: the values that `rebuffering` has its rules for.

A `Viewing` is one viewer on one media playlist.  What it asks for is `Media`, a `Flight` is an answer on its way to it
by a `Line`, which is a connection.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["NEVER", "Channel", "Crowd", "Flight", "Line", "Media", "Pace", "Viewing"]

NEVER = float("-inf")


class Channel(Protocol):
    """What is asked of a connection; a `tierkit.plugin.Connection` is one."""

    #: Bytes accepted for sending so far.
    bytes_out: int

    def unsent(self) -> int:
        """Those of them that the peer has not acknowledged yet."""


class Pace:
    """One run of one media playlist: as long as its media sequence numbers go on."""

    __slots__ = ("next", "patience", "target")

    def __init__(self, target: float, following: int) -> None:
        self.moved(target, following)

    def moved(self, target: float, following: int) -> None:
        """A version is shown: its target duration, and the number that comes next."""
        self.target = target
        self.next = following
        # RFC 8216 section 6.3.4: a playlist is asked for again within a target duration, or half of one where nothing
        # had changed.
        self.patience = 1.1 * target + 0.5


class Media:
    """What can be asked for: a media segment or a part of one, or (without duration) the playlist itself."""

    __slots__ = ("duration", "pace", "part", "sequence")

    def __init__(self, pace: Pace, sequence: int = -1, duration: float = 0.0, *, part: bool = False) -> None:
        self.pace = pace
        self.sequence = sequence
        self.duration = duration
        self.part = part


class Line:
    """One connection."""

    __slots__ = ("busy", "channel", "last", "sent", "viewings")

    def __init__(self, channel: Channel) -> None:
        #: None once it has ended; bytes that it had accepted by then.
        self.channel: Channel | None = channel
        self.sent = 0
        #: Whose media or playlist is being waited for.
        self.busy: Pace | None = None
        #: The viewing that was asked in last, and all that this connection was the last to ask in.
        self.last: Viewing | None = None
        self.viewings: list[Viewing] = []


class Flight:
    """An answer on its way: `until` is where it ends among the bytes of its connection, None while that is open."""

    __slots__ = ("duration", "left", "line", "moved", "seen", "sequence", "until")

    def __init__(self, line: Line, sequence: int, duration: float, until: int | None, now: float) -> None:
        self.line = line
        self.sequence = sequence
        self.duration = duration
        self.until = until
        #: When it was last seen to be on its way; how much of it was left, and since when not less.
        self.seen = now
        self.left = 0
        self.moved = now

    def arrived(self, now: float) -> bool | None:
        """Whether its viewer has it, as its connection tells; None while it is on its way, False once it is lost."""
        channel, until = self.line.channel, self.until
        if channel is None:
            return until is not None and self.line.sent >= until
        if until is None or channel.bytes_out < until:
            self.seen = self.moved = now  # it is being written
            return None
        left = channel.unsent()
        if channel.bytes_out - left >= until:
            return True
        self.seen = now
        if left != self.left:
            self.left, self.moved = left, now
        return None


class Crowd:
    """Who is behind one address with one browser: how far any of them is, and when one without a viewing asked."""

    __slots__ = ("asked", "latest", "listed", "newest", "size")

    def __init__(self) -> None:
        self.newest = -1
        self.asked = NEVER
        self.listed = 0
        self.size = 0
        #: The one that has come last, where it is still there.
        self.latest: Viewing | None = None


class Viewing:
    """One viewer on one playlist."""

    __slots__ = (
        "asked", "before", "counted", "crowd", "end", "flights", "leisure", "line", "listed", "next", "pace", "paused",
        "rebufferings", "refused", "speaks", "stands", "still", "who",
    )  # fmt: skip

    def __init__(self, who: int, pace: Pace, line: Line, crowd: Crowd | None, now: float, following: int) -> None:
        self.who = who
        self.pace = pace
        #: By which it asked last; it may have ended.
        self.line = line
        self.crowd = crowd
        #: When it asked last, and before that; the number that comes next of all that it was told of.
        self.asked = self.before = now
        self.listed = pace.next
        #: The number that it will ask for next.
        self.next = following
        #: When the media that it has will have been shown.
        self.end = NEVER
        self.flights: list[Flight] = []
        #: Stands still now, and that was counted; when it was last seen to; how often it has come to.
        self.stands = self.counted = False
        self.still = NEVER
        self.rebufferings = 0
        #: Could have more media and does not ask for it; was refused what it asked for; says that it is paused.
        self.leisure = self.refused = self.paused = False
        #: Has told how much media it has.
        self.speaks = False
