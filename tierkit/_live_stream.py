"""One live stream: who publishes it, what is shown, and who follows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Protocol

from ._events import PublisherJoined, StreamFault, StreamStarted
from ._fanout import Cursor, FanoutPolicy, Pump
from ._live_encoding import Encoding
from ._live_errors import Busy
from ._live_publication import Player, Publication
from ._live_rings import Rings
from ._live_statistics import StreamStatistics
from ._live_takeover import STALE, takeover_of
from ._live_watch import Watchers
from ._plugin import Context
from ._ports import Connection

__all__ = ["Cover", "Stream", "Subscriber"]

#: In-process consumers of a stream (the HLS packager): called with each message, synchronously; they must not
#: block.  One that raises is told of as a StreamFault and not called again.
Subscriber = Callable[[int, int, bytes], None]


class Cover(Protocol):
    """Who decides about a clip while nobody publishes: `tierkit.off_air.OffAir`."""

    def covers(self, stream: Stream) -> bool:
        """Whether a stream that nobody publishes is shown a clip, now or in a moment."""


class House(Protocol):
    """What a stream asks of the tier's streams: `tierkit.live.Streams`."""

    ctx: Context
    clock: Callable[[], float]
    pump: Pump
    policy: FanoutPolicy
    watchers: Watchers[Stream]
    cover: Cover | None
    standing: frozenset[str]


class Stream:
    """One named stream.

    Attributes:
        name: the joined path, "/live/s".
        ring: what players read over RTMP.
        rings: that, and one for each other encoding that is played.
        players: who plays it now, or waits for it.
        epochs: how many publishers it has had.
        slate: the off-air clip's presence, None while it is not shown.
        splices: how often what is shown has changed: to a publisher, or to the clip.
        codecs: of each kind of media (8 sound, 9 pictures) that the last publisher to be shown has sent.
        trouble: why it is not on air, for those who wait; whoever pulls it sets this.
        kept: it is pulled all the time: its players end when it has been off air for too long, it does not.
    """

    def __init__(self, streams: House, name: str) -> None:
        self.name = name
        self.rings = Rings(streams.pump, streams.policy, self.pinned)
        self.ring = self.rings.rtmp
        self.players: set[Player] = set()
        self.publication: Publication | None = None
        self.slate: Publication | None = None
        self.splices = 0
        self.codecs: Mapping[int, str] = {}
        self.epochs = 0
        self.messages = 0
        self.bytes_in = 0
        self.held = 0
        self.leaps = 0
        self.trouble = ""
        self.kept = False
        #: Since when there is nothing to show, on the tier's clock; None while there is a publisher or the clip.
        self.off_since: float | None = streams.clock()
        self._streams = streams
        self._subscribers: list[Subscriber] = []
        self._watches: list[Callable[[], bool]] = []
        #: Whose media is shown, or was last.
        self.shown: Publication | None = None
        #: Of the newest message as players see it, ms; and when one was last shown, on the tier's clock.
        self.last_timestamp = 0
        self.last_shown = streams.clock()

    @property
    def on_air(self) -> bool:
        """Whether somebody publishes it."""
        return self.publication is not None

    @property
    def playable(self) -> bool:
        """Whether players are let in: somebody publishes it, or the off-air clip is shown."""
        return self.publication is not None or self.slate is not None

    @property
    def goes_on(self) -> bool:
        """Whether it is playable, or will be shown the off-air clip in a moment."""
        return self.playable or (self._streams.cover is not None and self._streams.cover.covers(self))

    @property
    def source(self) -> str:
        """What is shown now: "live", "off_air", or nothing."""
        if self.slate is not None:
            return "off_air"
        return "live" if self.on_air else ""

    @property
    def standing(self) -> bool:
        """Whether it is a programme also without ever having had a publisher."""
        return self.name in self._streams.standing

    @property
    def watched(self) -> bool:
        """Whether anybody plays it, waits for it, or watches it by `watch`."""
        return bool(self.players) or any(watches() for watches in self._watches)

    def watch(self, watches: Callable[[], bool]) -> Callable[[], None]:
        """Count as an audience, for which the off-air clip goes on, while `watches` says so; returns how to end it.

        For those who are no players: a push, a packager that is asked for its playlists.
        """
        self._watches.append(watches)
        return partial(self._watches.remove, watches)

    @property
    def begun(self) -> bool:
        """Whether what is shown has come to something that a player can begin with."""
        return self.playable and self.shown is not None and self.shown.begun

    def carries(self, type_id: int) -> bool:
        """Whether what is shown has pictures (9) or sound (8), as far as can be told."""
        return self.shown is not None and self.shown.carries(type_id)

    def pinned(self) -> Iterator[tuple[int, bytes]]:
        """Type and payload of what a newcomer needs first: metadata, then all else in the order it came in."""
        return iter(self.shown.pinned if self.shown is not None else ())

    def attach(
        self, encoding: Encoding, connection: Connection, on_end: Callable[[str], None], *, first: bytes = b""
    ) -> Cursor:
        """Let a connection play in an encoding: it is sent `first`, headers and the current GOP now, and all that
        follows; see `Ring.attach`."""
        return self.rings.attach(encoding, connection, on_end, first)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with each message from now on, pinned ones first; returns how to end it."""
        for type_id, payload in self.pinned():
            subscriber(type_id, self.last_timestamp, payload)
        self._subscribers.append(subscriber)

        def cancel() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return cancel

    def publish(self, publisher: str, *, takeover: str | bool = "never", pulled: bool = False) -> Publication:
        """Begin to publish.  A publisher that is there is ended as `takeover` says, else raises Busy.

        `pulled` says that this tier has fetched it: no publisher has come to us, and no event says so.
        """
        if (old := self.publication) is not None:
            silent = self._streams.clock() - old.last
            takeover = takeover_of(takeover)
            if takeover == "never" or (takeover == "stale" and silent < STALE):
                raise Busy(f"{self.name} is published already: end that, or choose another name")
            old.end("another publisher has taken its name over")
            if old.on_end is not None:
                old.on_end()
        self.publication = Publication(self, publisher, self._streams, pulled=pulled)
        self.epochs += 1
        self.trouble = ""
        if self.slate is None:
            self._show(self.publication)
        if not pulled:
            self._streams.ctx.emit(PublisherJoined(peer=publisher, stream=self.name))
        self._streams.ctx.emit(StreamStarted(stream=self.name, origin=publisher))
        self._let_in()
        publication = self.publication
        self._streams.watchers.tell(self, self.name)
        return publication

    def show_off_air(self) -> Publication:
        """Begin to show a clip: what is sent by it is shown until the next keyframe of a publisher.

        For while nobody publishes; or whoever does has fallen silent, and is to begin again as if it had just come.
        """
        assert self.slate is None, "one clip at a time"
        self.rings.close_syncs()  # who joins now is not shown the last GOP of what has fallen silent
        if self.publication is not None:
            self.publication.begin_again()
        self.slate = Publication(self, "", self._streams, slate=True)
        self._show(self.slate)
        self._let_in()
        self._streams.watchers.tell(self, self.name)
        return self.slate

    def end(self, code: str, reason: str) -> None:
        """End every player with an RTMP status code."""
        self._streams.pump.in_turns([partial(player.end, code, reason) for player in self.players])

    def statistics(self) -> StreamStatistics:
        """The stream now and so far."""
        return StreamStatistics(
            name=self.name,
            on_air=self.on_air,
            publisher=self.publication.publisher if self.publication is not None else "",
            source=self.source,
            players=len(self.players),
            epochs=self.epochs,
            messages=self.messages,
            bytes_in=self.bytes_in,
            held=self.held,
            leaps=self.leaps,
            ring=self.ring.statistics(),
            encodings=self.rings.statistics(),
        )

    def _show(self, publication: Publication) -> None:
        """Let what this one sends be what is shown; who follows the messages gets its headers."""
        self.shown = publication
        self.splices += 1
        self.off_since = None
        self.last_shown = self._streams.clock()
        for type_id, payload in self.pinned():
            self.tell(type_id, self.last_timestamp, payload)

    def _let_in(self) -> None:
        self._streams.pump.in_turns([player.resumed for player in self.players])

    def gone(self, publication: Publication) -> None:
        """A publisher, or the clip, has ended: its `Publication.end` says so."""
        if publication is self.slate:
            self.slate = None
        else:
            self.publication = None
        if publication is self.shown:  # else the clip has been shown all the time
            self._show_next()
        self._streams.watchers.tell(self, self.name)

    def _show_next(self) -> None:
        self.rings.close_syncs()  # who joins now is not shown the last GOP of what has ended
        if self.publication is not None:
            self._show(self.publication)
        else:
            self.off_since = self._streams.clock()

    def tell(self, type_id: int, timestamp: int, payload: bytes) -> None:
        """Give a message to those who follow the stream in this process; for its publications."""
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(type_id, timestamp, payload)
            except Exception as error:
                self._subscribers.remove(subscriber)
                reason = f"a consumer of it failed and is left out: {type(error).__name__}: {error}"
                self._streams.ctx.emit(StreamFault(stream=self.name, reason=reason))
