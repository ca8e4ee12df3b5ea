"""RTMP on a connection, the server's role: one publisher or player, over the live kit's streams.

A reader task feeds the session; what the session wants to say leaves by itself while nobody plays, and over
the player's cursor from then on, because a player's cursor is the only writer on its connection.  Media never
passes through the session: the cursor sends what the stream's ring has encoded.

Silence: a player is pinged every `PING_EVERY` seconds and dropped when it has not been heard of for
`SILENCE`; a publisher that sends nothing for that long is half dead, and is dropped as well.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator

import trio

from ._events import Dropped, ViewerJoined, ViewerLeft
from ._fanout import Cursor
from ._plugin import Context
from ._ports import Connection
from .codecs.rtmp_session import (
    ConnectRequested,
    Media,
    PauseRequested,
    PlayRequested,
    PlayStopped,
    PublishRequested,
    SeekRequested,
    ServerEvent,
    ServerSession,
    Unpublished,
)
from .codecs.rtmp_url import Route
from .errors import ConnectionLost, RemoteProtocolError, TierkitError
from .live import Busy, Publication, Stream

__all__ = ["RTMPHost", "RTMPRefusal", "Sweeper", "serve_rtmp"]

#: Seconds between pings of a player, and of silence after which it (or a publisher) is dropped.
#: nginx-rtmp pings after 60 s and waits 30; Wowza drops a client that does not answer within 12.
PING_EVERY = 30.0
SILENCE = 75.0
#: Seconds that a player has to take the last words before it is closed.
LAST_WORDS = 3.0


class RTMPRefusal(TierkitError):
    """A publisher or player is turned away, with an RTMP status code."""

    def __init__(self, code: str, description: str) -> None:
        self.code = code
        super().__init__(description)


class RTMPHost(ABC):
    """What a service decides for those who connect to it.

    Attributes:
        sweeper: what looks after silent peers; the service runs it.
    """

    ctx: Context
    sweeper: Sweeper

    def admit(self, request: ConnectRequested) -> None:
        """Raise RTMPRefusal to refuse a connection by what its `connect` says."""

    @abstractmethod
    async def play(self, route: Route, request: ConnectRequested) -> Stream:
        """The stream that a player asks for; it may still be off air.  Raises RTMPRefusal."""

    @abstractmethod
    async def publish(self, route: Route, peer: str) -> Publication:
        """Begin to publish under a name.  Raises RTMPRefusal or Busy."""

    def joined(self, stream: Stream) -> None:
        """A player has joined."""

    def left(self, stream: Stream) -> None:
        """A player has left; the last one's departure may end a pull."""


class Sweeper:
    """Looks after those who are silent, for all connections of a service in one task."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._served: set[_Served] = set()

    def __iter__(self) -> Iterator[_Served]:
        return iter(tuple(self._served))

    @property
    def players(self) -> int:
        """How many play now."""
        return sum(each.cursor is not None for each in self._served)

    @property
    def publishers(self) -> int:
        """How many publish now."""
        return sum(bool(each.publications) for each in self._served)

    async def run(self) -> None:
        """Every few seconds: ping, and drop who has been silent for too long."""
        while True:
            await trio.sleep(5.0)
            now = self._ctx.clock()
            for served in tuple(self._served):
                served.look(now)

    def draining(self) -> None:
        """Tell the players that can go elsewhere to do so."""
        for served in tuple(self._served):
            served.drain()

    def kick(self, name: str, reason: str = "kicked") -> int:
        """End whoever plays or publishes a stream (or, with a ``*`` at its end, those that begin so)."""
        prefix = name[:-1] if name.endswith("*") else None
        count = 0
        for served in tuple(self._served):
            if any(each == name or (prefix is not None and each.startswith(prefix)) for each in served.names()):
                served.stop(reason)
                count += 1
        return count


class _Served:
    """One connection."""

    def __init__(self, connection: Connection, host: RTMPHost) -> None:
        self.connection = connection
        self.host = host
        self.ctx = host.ctx
        self.session = ServerSession(os.urandom(1528), self.ctx.clock())
        self.publications: dict[int, Publication] = {}
        self.cursor: Cursor | None = None
        self._stream: Stream | None = None
        self._playing = 0
        self._since = 0.0
        self._request = ConnectRequested("", "")
        self._heard = self.ctx.clock()
        self._pinged = self._heard
        self._scope = trio.CancelScope()
        self._stopped = ""
        self._nursery: trio.Nursery | None = None

    # --- the life of a connection ----------------------------------------------------------------

    async def run(self) -> None:
        self.host.sweeper._served.add(self)
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    await self._read(nursery)
                    await self._say_last_words()
                    nursery.cancel_scope.cancel()
        finally:
            self.host.sweeper._served.discard(self)
            for publication in self.publications.values():
                publication.end(self._stopped or "it has disconnected")
            self._stop_playing()
        if self._stopped:
            self.ctx.emit(Dropped(peer=str(self.connection.peer), stream=self._name(), reason=self._stopped))

    async def _read(self, nursery: trio.Nursery) -> None:
        while not self.session.closing:
            data = await self.connection.recv()
            if not data:
                return
            self._heard = self.ctx.clock()
            try:
                for event in self.session.receive(data, self._heard):
                    await self._handle(event, nursery)
            except RemoteProtocolError:
                await self._flush()
                raise
            await self._flush()

    async def _flush(self) -> None:
        data = self.session.data_to_send()
        if not data:
            return
        if self.cursor is not None:
            self.cursor.reply(data)
        else:
            await self.connection.send_all(data)

    async def _say_last_words(self) -> None:
        """Give a player the time to take what is queued for it; nothing of the stream leaves any more."""
        if self.cursor is None or not self.cursor.alive:
            return
        with trio.move_on_after(LAST_WORDS):
            rest = await self.cursor.leave()
            await self.connection.send_all(rest + self.session.data_to_send())

    async def _end_in_order(self) -> None:
        await self._say_last_words()
        self._scope.cancel()

    # --- what it asks ----------------------------------------------------------------------------

    async def _handle(self, event: ServerEvent, nursery: trio.Nursery) -> None:
        if isinstance(event, Media):
            if (publication := self.publications.get(event.stream_id)) is not None:
                publication.send(event.type_id, event.timestamp, event.payload)
        elif isinstance(event, ConnectRequested):
            self._connect(event)
        elif isinstance(event, PublishRequested):
            await self._publish(event)
        elif isinstance(event, PlayRequested):
            await self._play(event, nursery)
        elif isinstance(event, Unpublished):
            if (publication := self.publications.pop(event.stream_id, None)) is not None:
                publication.end("it has unpublished")
        elif isinstance(event, PlayStopped):
            if event.stream_id == self._playing:
                self._stop_playing()
                self.session.closing = True
        elif isinstance(event, PauseRequested):
            # A live stream goes on meanwhile; the player is answered, and sees what comes when it is back.
            self.session.accept_pause(event.stream_id, event.paused)
        elif isinstance(event, SeekRequested):
            self.session.accept_seek(event.stream_id, event.ms)

    def _connect(self, event: ConnectRequested) -> None:
        self._request = event
        try:
            self.host.admit(event)
        except RTMPRefusal as refusal:
            self.session.reject_connect(refusal.code, str(refusal))
        else:
            self.session.accept_connect()

    async def _publish(self, event: PublishRequested) -> None:
        try:
            publication = await self.host.publish(event.route, str(self.connection.peer))
        except Busy as error:
            self.session.reject_publish(event.stream_id, "NetStream.Publish.BadName", str(error))
        except RTMPRefusal as refusal:
            self.session.reject_publish(event.stream_id, refusal.code, str(refusal))
        else:
            publication.on_end = lambda: self.stop("another publisher has taken its name over")
            self.publications[event.stream_id] = publication
            self.session.accept_publish(event.stream_id)
            self.connection.settled()

    async def _play(self, event: PlayRequested, nursery: trio.Nursery) -> None:
        if self.cursor is not None or event.stream_id != 1:
            # What the ring has encoded is for message stream 1.
            self.session.reject_play(event.stream_id, "NetStream.Play.Failed", "one stream for each connection")
            return
        try:
            stream = await self.host.play(event.route, self._request)
        except RTMPRefusal as refusal:
            self.session.reject_play(event.stream_id, refusal.code, str(refusal))
            return
        self.session.accept_play(event.stream_id)
        self.connection.settled()
        self._stream, self._playing, self._since = stream, event.stream_id, self.ctx.clock()
        self._nursery = nursery
        stream.players.add(self)
        self.cursor = stream.ring.attach(self.connection, self._given_up, first=self.session.data_to_send())
        self.host.joined(stream)
        self.ctx.emit(ViewerJoined(peer=str(self.connection.peer), stream=stream.name))

    def _given_up(self, reason: str) -> None:
        """The cursor cannot go on: with a reason where we give the player up."""
        self._stopped = self._stopped or reason
        self._scope.cancel()

    def _stop_playing(self) -> None:
        stream, cursor = self._stream, self.cursor
        if stream is None or cursor is None:
            return
        self._stream = None
        cursor.detach()
        stream.players.discard(self)
        self.host.left(stream)
        self.ctx.emit(
            ViewerLeft(
                peer=str(self.connection.peer),
                stream=stream.name,
                seconds=self.ctx.clock() - self._since,
                bytes_out=self.connection.bytes_out,
                skipped=cursor.skipped,
            )
        )

    # --- what others ask of it -------------------------------------------------------------------

    def end(self, code: str, reason: str) -> None:
        """The stream has ended for good."""
        if self.cursor is not None and self.cursor.alive:
            self.session.end_play(self._playing, code)
            assert self._nursery is not None
            self._nursery.start_soon(self._end_in_order, name=f"{self.ctx.tier} last words")

    def resumed(self) -> None:
        """A new publisher has begun."""
        if self.cursor is not None and not self.cursor.sent:
            self.session.resume_play(self._playing)
            self.cursor.reply(self.session.data_to_send())

    def stop(self, reason: str) -> None:
        """End it now."""
        self._stopped = self._stopped or reason
        self._scope.cancel()

    def drain(self) -> None:
        """Let it go elsewhere, if it knows how (Enhanced RTMP)."""
        if self.cursor is not None and self._request.can_reconnect:
            self.session.request_reconnect()
            self.cursor.reply(self.session.data_to_send())

    def look(self, now: float) -> None:
        """Ping it, or drop it."""
        if self.publications:
            if now - self._heard > SILENCE:
                self.stop(f"it sent nothing for {SILENCE:g} s")
        elif self.cursor is not None:
            if now - self._heard > SILENCE:
                self.stop(f"it has not answered pings for {SILENCE:g} s")
            elif now - max(self._pinged, self._heard) > PING_EVERY:
                self._pinged = now
                self.session.ping(now)
                self.cursor.reply(self.session.data_to_send())

    def names(self) -> list[str]:
        """The streams that it publishes or plays."""
        published = [each.stream.name for each in self.publications.values()]
        return [*published, self._stream.name] if self._stream is not None else published

    def _name(self) -> str:
        return next(iter(self.names()), "")


async def serve_rtmp(connection: Connection, host: RTMPHost) -> None:
    """Speak with one publisher or player until it ends.

    Raises RemoteProtocolError for what breaks the rules, after it was answered; ConnectionLost where the
    connection ends under us.
    """
    served = _Served(connection, host)
    try:
        await served.run()
    except* ConnectionLost:
        pass
