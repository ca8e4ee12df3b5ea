"""Whose picture stands still, inferred from what viewers ask of an HLS edge and when they have it.

The definition is the load tool's (`tierkit.load.Playback`): a viewer begins to play with the first media that it has
got, and plays by the clock.  It has rebuffered once the clock is more than `TOLERANCE` ahead of the media.  So what is
kept of it is when its media *ends*: each segment that arrives puts that off by its duration.

When a segment has arrived need be known only roughly, and is known for nothing:

* What the same connection asks for next says so: HTTP/1.1 answers in order, so all before it is there.
* Nobody looks closer while the media that is known to be there lasts.  Then `Rebuffering.look`, called twice a second,
  asks the connection how much of the answer has not been acknowledged.

That its media has ended is no rebuffering by itself.  The viewer must be *hungry*:

| a viewer whose media has ended and who | is |
|---|---|
| has an answer on its way to it, or waits for one | hungry |
| was refused the last segment, and goes on asking | hungry |
| has every segment that it was told of, and goes on asking for the playlist | hungry |
| was told of segments that it does not ask for | at leisure: paused, or its buffer is full |
| asks for another playlist by the same connection | gone to another channel or rendition |
| has asked for nothing for a target duration and a little (`Pace.patience`) | gone, or paused |
| has taken nothing of what waits for it for `GIVEN_UP` seconds | gone, without a word |

Who asks again after leisure begins to play anew.  So does who jumps: backwards, or forwards with media in hand.  Who
jumps forwards without any has lost media, and that counts.

Players that send CMCD know better: what they say of their buffer takes the place of what was inferred.

A viewer who shows a token or a session id (an odd identity) is known by that, whatever connections it uses.  All
others are known by their connection, because behind one address there may be many with the same browser; where that is
closed, the next one from there which goes on with the segment that comes next is taken for the same.

Nothing is kept but times, numbers and the hash that viewers are counted by: `MOST` viewings of some 700 bytes.
"""

from __future__ import annotations

from collections.abc import Callable

from .cmcd_status import PlayerStatus
from .viewings import NEVER, Crowd, Flight, Line, Media, Pace, Viewing

__all__ = ["LOOK", "MOST", "RECENT", "TOLERANCE", "Rebuffering"]

#: Seconds that media may lag behind the clock; less is what a decoder's own buffers hide.  As in `tierkit.load`.
TOLERANCE = 1.0
#: Seconds between two looks: one at least while a lag is still borne.
LOOK = 0.5
#: Seconds for which a viewer that has stood still counts as chopped.
RECENT = 10.0
#: Seconds without any progress of an answer after which its viewer has gone: players give up, and close, before that.
GIVEN_UP = 30.0
#: Seconds after which a viewing in which nothing was asked for is forgotten.
FORGOTTEN = 60.0
#: Viewings that are followed at once; who comes beyond that is not.
MOST = 100_000
#: Segments that a jump may skip where others behind the same address have fetched them: a browser's connections.
SHARED = 4
#: More than any playlist lists: what who has turned to another one was told of is not asked for.
ELSEWHERE = 1 << 62
#: Segments that may be asked for once more without that being a seek: renditions overlap by one or two.
AGAIN = 3


class Rebuffering:
    """All viewers of one edge.  `now` is any clock in seconds that goes forward."""

    def __init__(self) -> None:
        #: How often a viewer's picture has come to stand still so far.
        self.rebufferings = 0
        #: Told of each viewing whose picture comes to stand still.
        self.told: Callable[[Viewing], None] = lambda view: None
        self._looked = NEVER
        self._viewings: dict[Viewing, None] = {}
        #: By identity, of those who show one.
        self._known: dict[tuple[int, Pace], Viewing] = {}
        self._crowds: dict[tuple[int, Pace], Crowd] = {}
        #: Whose connection has closed, by what they would ask for next.
        self._orphans: dict[tuple[int, Pace, int], Viewing] = {}
        self._chopped: dict[Viewing, None] = {}

    def __len__(self) -> int:
        return len(self._viewings)

    def viewings(self) -> tuple[Viewing, ...]:
        """All that are followed now."""
        return tuple(self._viewings)

    # --- what is asked for -----------------------------------------------------------------------

    def asked(
        self, line: Line, who: int, media: Media, now: float, size: int | None, status: PlayerStatus | None = None
    ) -> Flight | None:
        """Something is asked for, and the answer is about to leave.

        Args:
            who: a hash of what tells viewers apart, odd where it does so for certain.
            size: bytes of the answer, None where that is not known: then set `until` of what is returned once it has
                been sent.
            status: what the player says of itself.

        Returns the answer to a segment; None for all else.
        """
        view = line.last
        if view is None or view.pace is not media.pace or view.who != who:
            view = self._found(line, who, media, now)
            if view is None:
                return None
        flights = view.flights
        if flights:
            if now <= view.end and len(flights) == 1 and flights[0].line is line:
                view.end += flights.pop().duration  # as nearly always: it has come, and in time
            else:
                self._answered(view, line, now)
        if now > view.end:
            self._late(view, now)
        duration = media.duration
        if not duration:
            view.asked = now
            view.listed = media.pace.next
            return None
        sequence = media.sequence
        if sequence != view.next:
            duration = self._jumps(view, media, now)
        if status is not None:
            self._says(view, status, view.asked if line.busy is None else view.before, now)
        view.asked = now
        view.refused = False
        if sequence >= view.next:
            view.next = sequence + 1
            crowd = view.crowd
            if crowd is not None and sequence > crowd.newest:
                crowd.newest = sequence
        until = None if size is None or line.channel is None else line.channel.bytes_out + size
        flight = Flight(line, sequence, duration, until, now)
        flights.append(flight)
        return flight

    def waits(self, line: Line, media: Media | None, now: float) -> None:
        """A connection asks for something that is not at hand: all that it had asked for before is there."""
        pace = line.busy = media.pace if media is not None else None
        self._turns(line, pace)
        for view in line.viewings:
            if view.flights:
                self._answered(view, line, now)
            if view.pace is pace:
                if now > view.end:
                    self._late(view, now)
                view.before, view.asked = view.asked, now

    def waited(self, line: Line, media: Media | None, now: float, *, refused: bool) -> None:
        """It is answered, from now on or with a refusal."""
        line.busy = None
        view = line.last
        if refused and view is not None and media is not None and view.pace is media.pace:
            view.refused = True
            view.asked = now

    def ended(self, line: Line, now: float) -> None:
        """A connection has ended: what was on its way is there or lost."""
        if line.channel is not None:
            line.sent = line.channel.bytes_out
        line.channel = line.busy = line.last = None
        for view in line.viewings:
            if view.flights:
                self._see(view, now)
            if view.crowd is not None:
                self._orphans[view.who, view.pace, view.next] = view
        line.viewings.clear()

    # --- whose it is -----------------------------------------------------------------------------

    def _found(self, line: Line, who: int, media: Media, now: float) -> Viewing | None:
        """The viewing that a request belongs to, begun with its first segment."""
        pace = media.pace
        self._turns(line, pace)
        for view in line.viewings:
            if view.pace is pace and view.who == who:
                line.last = view
                return view
        if who & 1 and (known := self._known.get((who, pace))) is not None:
            return self._taken_over(known, line)
        if not media.duration:
            if not who & 1 and (crowd := self._crowds.get((who, pace))) is not None:
                crowd.asked, crowd.listed = now, pace.next
            return None
        orphan = self._orphans.pop((who, pace, media.sequence), None)
        if orphan is not None and orphan in self._viewings and orphan.line.channel is None:
            return self._taken_over(orphan, line)
        crowd = self._crowds.get((who, pace))
        if crowd is not None and crowd.size == 1 and (one := crowd.latest) is not None and one.next == media.sequence:
            return self._taken_over(one, line)  # by another connection, or the end of the last is yet to be heard of
        return self._begun(line, who, media, now)

    def _taken_over(self, view: Viewing, line: Line) -> Viewing:
        self._let_go(view)
        view.line = line
        line.viewings.append(view)
        line.last = view
        return view

    def _begun(self, line: Line, who: int, media: Media, now: float) -> Viewing | None:
        if len(self._viewings) >= MOST:
            return None
        pace, crowd = media.pace, None
        if not who & 1:
            crowd = self._crowds.setdefault((who, pace), Crowd())
            crowd.size += 1
        view = Viewing(who, pace, line, crowd, now, media.sequence)
        if crowd is not None:
            crowd.latest = view
        before = line.last
        if before is not None and before.who == who and before.next == media.sequence:
            # Another rendition goes on where one has ended: the player has the media of that one.
            view.end, view.stands, view.still = before.end, before.stands, before.still
            view.leisure, view.paused = before.leisure, before.paused
        if who & 1:
            self._known[who, pace] = view
        self._viewings[view] = None
        line.viewings.append(view)
        line.last = view
        return view

    def _forget(self, view: Viewing) -> None:
        del self._viewings[view]
        if self._known.get((view.who, view.pace)) is view:
            del self._known[view.who, view.pace]
        self._let_go(view)
        if self._orphans.get((view.who, view.pace, view.next)) is view:
            del self._orphans[view.who, view.pace, view.next]
        if view.crowd is not None:
            view.crowd.size -= 1
            view.crowd.latest = None
            if not view.crowd.size:
                self._crowds.pop((view.who, view.pace), None)

    def _turns(self, line: Line, pace: Pace | None) -> None:
        """Who asks for something else by a connection does not wait for more of what it asked for before."""
        if line.last is not None and line.last.pace is not pace:
            line.last.listed = ELSEWHERE

    def _let_go(self, view: Viewing) -> None:
        line = view.line
        if view in line.viewings:
            line.viewings.remove(view)
        if line.last is view:
            line.last = None

    # --- what follows ----------------------------------------------------------------------------

    def _answered(self, view: Viewing, line: Line, now: float) -> None:
        """All that a connection was asked for before is there; of others see where it matters."""
        for flight in view.flights[:]:
            if flight.line is line:
                self._landed(view, flight, now, arrived=True)
        if view.flights and now > view.end:
            self._see(view, now)

    def _arrived(self, view: Viewing, flight: Flight, now: float) -> None:
        if not view.stands and NEVER < view.end < min(flight.seen, now - TOLERANCE):
            self._stands_still(view, now)  # it was still on its way when the media had ended: this is when it came
        if view.stands or view.end == NEVER:
            view.stands = view.counted = False
            view.end = now + flight.duration
        else:  # in time, whenever that was
            view.end += flight.duration

    def _late(self, view: Viewing, now: float) -> None:
        """Somebody asks whose media has ended."""
        leisure, view.leisure = view.leisure, False
        if view.stands or now <= view.end + TOLERANCE:
            return
        absent = max(0.0, now - self._looked - LOOK)  # the loop has been elsewhere, and whoever asked has waited
        if leisure or view.paused or now - view.asked - absent > view.pace.patience:
            view.end = NEVER
        elif view.end != NEVER:
            # Nobody has looked meanwhile: the loop itself is late, and so was what it was asked for.
            self._stands_still(view, now)

    def _jumps(self, view: Viewing, media: Media, now: float) -> float:
        """Another segment than the next one; returns the seconds of media that it brings."""
        missing = media.sequence - view.next
        if missing < 0:
            if media.part and missing == -1:
                return media.duration
            if -missing > AGAIN:
                self._begins_anew(view, media.sequence)
                return media.duration
            return 0.0
        crowd = view.crowd
        if crowd is not None and not view.refused and missing <= SHARED and crowd.newest >= media.sequence - 1:
            return media.duration * (missing + 1)
        if not view.refused and now < view.end - view.pace.target:
            self._begins_anew(view, media.sequence)
        return media.duration

    def _begins_anew(self, view: Viewing, sequence: int) -> None:
        view.end = NEVER
        view.stands = view.counted = False
        view.flights.clear()
        view.next = sequence

    def _says(self, view: Viewing, told: PlayerStatus, before: float, now: float) -> None:
        """What a player says of its buffer counts for more than what was inferred since it asked `before`."""
        if told.starved and not view.counted and (view.stands or view.still < before):
            self._count(view, now)
        view.paused = told.paused
        if told.buffer is None:
            return
        view.speaks = True
        if told.buffer > 0:
            view.stands = view.counted = False
            view.end = now + told.buffer
        elif not told.starved and not view.stands:
            view.end = NEVER  # it has begun, or has jumped

    # --- looking ---------------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """See to those whose media has ended, as far as is known; every `LOOK` seconds."""
        absent, self._looked = now - self._looked - LOOK, now
        if LOOK < absent < FORGOTTEN:
            for view in self._viewings:
                view.asked += absent
        ended = [view for view in self._viewings if now > view.end]
        for view in ended:
            self._look(view, now)

    def _look(self, view: Viewing, now: float) -> None:
        if view.flights:
            self._see(view, now)
            if now <= view.end:
                return
        if not self._hungry(view, now):
            view.leisure = True
            view.stands = view.counted = False
            if now - view.asked > FORGOTTEN:
                self._forget(view)
        elif view.end != NEVER and now > view.end + TOLERANCE:
            self._stands_still(view, now)

    def _see(self, view: Viewing, now: float) -> None:
        """Ask the connections how far their answers are."""
        for flight in view.flights[:]:
            arrived = flight.arrived(now)
            if arrived is None and now - flight.moved > GIVEN_UP:
                arrived = False
            if arrived is not None:
                # At some time since the last look.
                self._landed(view, flight, now - LOOK / 2, arrived=arrived)

    def _landed(self, view: Viewing, flight: Flight, now: float, *, arrived: bool) -> None:
        view.flights.remove(flight)
        if arrived:
            self._arrived(view, flight, now)
        else:
            view.next = min(view.next, flight.sequence)

    def _hungry(self, view: Viewing, now: float) -> bool:
        if view.paused:
            return False
        if view.flights or view.line.busy is view.pace:
            return True
        channel = view.line.channel
        if channel is not None and now - view.asked <= GIVEN_UP and channel.unsent():
            return True  # the playlist is on its way
        asked, listed, crowd = view.asked, view.listed, view.crowd
        if crowd is not None and crowd.size == 1 and crowd.asked > asked:
            asked, listed = crowd.asked, crowd.listed  # by another connection of its own
        if channel is None and crowd is not None and crowd.asked < asked:
            return False
        return now - asked <= view.pace.patience and (view.refused or view.next >= listed)

    def _stands_still(self, view: Viewing, now: float) -> None:
        view.stands = True
        view.still = now
        self._chopped[view] = None
        # Who says how its buffer stands will say, when it asks, whether it was empty or only paused; unless it waits.
        certain = bool(view.flights) or view.line.busy is view.pace or now > view.end + TOLERANCE + view.pace.patience
        if not view.counted and (certain or not view.speaks):
            self._count(view, now)

    def _count(self, view: Viewing, now: float) -> None:
        view.counted = True
        view.still = now
        view.rebufferings += 1
        self.rebufferings += 1
        self._chopped[view] = None
        self.told(view)

    # --- what others ask -------------------------------------------------------------------------

    def chopped(self, now: float) -> int:
        """Viewers whose picture has stood still within the last `RECENT` seconds."""
        for view in [each for each in self._chopped if now - each.still > RECENT]:
            del self._chopped[view]
        # Sound and picture of one viewer are two viewings.
        return len({view.who if view.who & 1 else id(view.line) for view in self._chopped})
