"""RTMP on a connection, the server's role: one publisher or player, over the live kit's streams.

One task a connection reads and feeds the session.  What the session wants to say leaves by that task while
nobody plays, and over the player's cursor from then on, because a player's cursor is the only writer on its
connection.  Media never passes through the session: the cursor sends what the stream's ring has encoded.

A player's request is answered once its stream is on air, so that players see the order they know (begin, start,
headers, keyframe) and a refusal is a refusal; `RTMPHost.patience` bounds the wait.

Silence: a player is pinged every `PING_EVERY` seconds and dropped when it has not been heard of for
`SILENCE`; a publisher that sends nothing for that long is half dead, and is dropped as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import trio

from ._authorise import Attempt
from ._because import Because
from ._events import Dropped, ViewerJoined, ViewerLeft
from ._fanout import Cursor, Pump
from ._ports import Connection
from ._rtmp_attempt import Passes
from ._rtmp_host import RTMPHost, RTMPRefusal
from ._rtmp_logged import PLAY, PUBLISH, SessionLog, named
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
from .errors import RemoteProtocolError
from .live import Busy, Publication, Stream

__all__ = ["serve_rtmp"]

#: Seconds between pings of a player, and of silence after which it (or a publisher) is dropped.
#: nginx-rtmp pings after 60 s and waits 30; Wowza drops a client that does not answer within 12.
PING_EVERY = 30.0
SILENCE = 75.0
#: Seconds that somebody who has stopped may stay without asking for anything else.
IDLE = 60.0
#: Seconds that a peer has to take the last words before it is closed.
LAST_WORDS = 3.0


class _Served:
    """One connection."""

    __slots__ = (
        "_ended",
        "_heard",
        "_idle_since",
        "_log",
        "_passes",
        "_pinged",
        "_playing",
        "_pump",
        "_request",
        "_scope",
        "_sending",
        "_since",
        "_stopped",
        "_stream",
        "connection",
        "ctx",
        "cursor",
        "host",
        "publications",
        "session",
    )

    def __init__(self, connection: Connection, host: RTMPHost) -> None:
        self.connection = connection
        self.host = host
        self.ctx = host.ctx
        self._pump = host.ctx.shared(Pump)
        self._heard = self._pinged = self._since = self.ctx.clock()
        self.session = ServerSession(os.urandom(32), self._heard)
        self.publications: dict[int, Publication] = {}
        #: Set while it plays.
        self.cursor: Cursor | None = None
        #: What it plays or waits for, and the message stream that it does so on.
        self._stream: Stream | None = None
        self._playing = 0
        self._request = ConnectRequested("", "")
        log = self.ctx.access_log
        self._log = SessionLog(log, connection) if log is not None else None
        self._passes = Passes(host.access, connection, self.stop, self._timestamp)
        self._scope = trio.CancelScope()
        #: Why we gave it up: it gets no last words.
        self._stopped = ""
        self._ended = False
        #: The reader's task is in the middle of a write.
        self._sending = False
        #: Since when it does nothing, once it did something.
        self._idle_since: float | None = None

    # --- the life of a connection ----------------------------------------------------------------

    async def run(self) -> None:
        self.host.sweeper.served.add(self)
        try:
            with self._scope:
                await self._read()
            if not self._stopped:
                await self._say_last_words()
        finally:
            self.host.sweeper.served.discard(self)
            self.host.sweeper.publishing.discard(self)
            name = next(iter(self.names()), "")
            for publication in self.publications.values():
                publication.end(self._stopped or "it has disconnected")
            self._stop_playing()
            if self._log is not None:
                self._log.end_all(self._request, self.ctx.clock(), self._stopped or "it has disconnected")
            self._passes.close()
            if self._stopped:
                # It does not read, or is not to: what waits in the kernel for it is thrown away.
                self.connection.abort()
                self.ctx.emit(Dropped(peer=str(self.connection.peer), stream=name, reason=self._stopped))

    async def _read(self) -> None:
        session = self.session
        while not session.closing:
            data = await self.connection.recv()
            if not data:
                return
            self._heard = self.ctx.clock()
            try:
                for event in session.receive(data, self._heard):
                    await self._handle(event)
            except RemoteProtocolError:
                session.closing = True
                await self._say_last_words()
                raise
            del data  # a player may say no more for hours
            await self._flush()
            for publication in self.publications.values():
                await publication.room(more=self.connection.readable_now())

    async def _flush(self) -> None:
        data = self.session.data_to_send()
        if self.cursor is not None:
            self.cursor.reply(data)
        elif data:
            await self._send(data)

    async def _send(self, data: bytes) -> None:
        """Write from the reader's task; a play that is answered meanwhile begins behind it."""
        self._sending = True
        try:
            await self.connection.send_all(data)
        finally:
            self._sending = False
        self._begin_if_on_air()

    async def _say_last_words(self) -> None:
        """Give the peer the time to take what is queued for it, and wait for its end: a close with unread input
        would be a reset, which destroys them on their way."""
        cursor, self._ended = self.cursor, True
        if cursor is not None and not cursor.alive:
            return
        with trio.move_on_after(LAST_WORDS):
            rest = b"" if cursor is None else await cursor.leave()
            words = rest + self.session.data_to_send()
            if words or self.session.closing:
                await self.connection.send_all(words)
                self.connection.end_output()
                while await self.connection.recv():
                    pass

    # --- what it asks ----------------------------------------------------------------------------

    async def _handle(self, event: ServerEvent) -> None:
        if isinstance(event, Media):
            if (publication := self.publications.get(event.stream_id)) is not None:
                publication.send(event.type_id, event.timestamp, event.payload)
        elif isinstance(event, ConnectRequested):
            await self._connect(event)
        elif isinstance(event, PublishRequested):
            await self._publish(event)
        elif isinstance(event, PlayRequested):
            await self._play(event)
        elif isinstance(event, Unpublished):
            if (publication := self.publications.pop(event.stream_id, None)) is not None:
                publication.end("it has unpublished")
                if not self.publications:
                    self.host.sweeper.publishing.discard(self)
                if self._log is not None:
                    self._log.end(event.stream_id, self._request, self._heard, "it has unpublished")
                self._idle_since = self._heard
            self._passes.end(event.stream_id)
        elif isinstance(event, PlayStopped):
            if event.stream_id == self._playing:
                await self._leave()
                self._passes.end(event.stream_id)
        elif isinstance(event, PauseRequested):
            # A live stream goes on meanwhile; the player is answered, and sees what comes when it is back.
            self.session.accept_pause(event.stream_id, event.paused)
        elif isinstance(event, SeekRequested):
            self.session.accept_seek(event.stream_id, event.ms)

    async def _connect(self, event: ConnectRequested) -> None:
        self._request = event = named(event)
        try:
            if self.host.sweeper.leaving:
                raise RTMPRefusal("NetConnection.Connect.AppShutdown", "the server is about to stop")
            self.host.admit(event)
            await self._admit(event)
        except RTMPRefusal as error:
            self.session.reject_connect(error.code, str(error))
        else:
            self.session.accept_connect()

    async def _publish(self, event: PublishRequested) -> None:
        self.connection.settled()
        try:
            attempt = await self._admit(event)
            await self._pump.wake_readers()  # a publisher that comes back at once must not find itself there
            publication = await self.host.publish(attempt)
        except Busy as error:
            self._refused(PUBLISH, event, "NetStream.Publish.BadName", error)
            self.session.reject_publish(event.stream_id, "NetStream.Publish.BadName", str(error))
        except RTMPRefusal as error:
            self._refused(PUBLISH, event, error.code, error)
            self.session.reject_publish(event.stream_id, error.code, str(error))
        else:
            taken = Because("another publisher has taken its name over", word="taken_over")
            publication.on_end = lambda: self.stop(taken)
            self.publications[event.stream_id] = publication
            self.host.sweeper.publishing.add(self)
            self._idle_since = None
            if self._log is not None:
                self._log.begin(event.stream_id, PUBLISH, attempt.path, attempt.query, self._heard)
            self.session.accept_publish(event.stream_id)

    async def _play(self, event: PlayRequested) -> None:
        self.connection.settled()
        try:
            if self._stream is not None or event.stream_id != 1:
                # What the ring has encoded is for message stream 1.
                raise RTMPRefusal("NetStream.Play.Failed", "one stream for each connection: open another one")
            attempt = await self._admit(event)
            stream = await self.host.play(attempt, self._request)
        except RTMPRefusal as error:
            self._refused(PLAY, event, error.code, error)
            self.session.reject_play(event.stream_id, error.code, str(error))
            return
        self._stream, self._playing, self._since = stream, event.stream_id, self.ctx.clock()
        self._idle_since = None
        if self._log is not None:
            self._log.begin(event.stream_id, PLAY, attempt.path, attempt.query, self._since)
        stream.players.add(self)
        self.host.joined(stream)
        if not self._begin_if_on_air():
            self.host.sweeper.waits.add(self)

    async def _admit(self, event: ConnectRequested | PublishRequested | PlayRequested) -> Attempt:
        """Ask the authorisers; gives what it means.  Raises RTMPRefusal."""
        attempt, self._request = await self._passes.admit(event, self._request)
        self.session.app = self._request.app
        return attempt

    def _refused(self, verb: str, event: PublishRequested | PlayRequested, code: str, error: Exception) -> None:
        self._passes.end(event.stream_id)
        if self._log is not None:
            path, query = event.route.path, event.route.query
            self._log.refused(verb, path, query, self._request, self._heard, code, str(error))

    def _timestamp(self) -> int:
        """Of the newest message that it has sent or could see, ms."""
        published = next((each.stream for each in self.publications.values()), self._stream)
        return published.last_timestamp if published is not None else 0

    def _begin_if_on_air(self) -> bool:
        """Answer a play whose stream is on air: from now on the cursor writes."""
        stream = self._stream
        if stream is None or not stream.playable or self.cursor is not None or self._sending or self._ended:
            return False
        self.host.sweeper.waits.discard(self)
        self._since = self.ctx.clock()
        self.session.accept_play(self._playing)
        self.ctx.emit(ViewerJoined(peer=str(self.connection.peer), stream=stream.name))
        self.cursor = stream.ring.attach(self.connection, self._given_up, first=self.session.data_to_send())
        self.host.sweeper.players += 1
        return True

    def _given_up(self, reason: str) -> None:
        """The cursor cannot go on: with a reason where we give the player up."""
        self._stopped = self._stopped or reason
        self._ended = True
        self._scope.cancel()

    async def _leave(self) -> None:
        """It has stopped playing; it may ask for something else on the same connection."""
        cursor = self.cursor
        if cursor is not None:
            rest = await cursor.leave()
            self._stop_playing()
            await self._send(rest)
        self._stop_playing()
        self._idle_since = self._heard

    def _stop_playing(self) -> None:
        stream, cursor = self._stream, self.cursor
        if stream is None:
            return
        self._stream = self.cursor = None
        self.host.sweeper.players -= cursor is not None
        self.host.sweeper.waits.discard(self)
        stream.players.discard(self)
        if self._log is not None:
            status, skipped = (200, cursor.skipped) if cursor is not None else (404, 0)
            now, reason = self.ctx.clock(), self._stopped
            self._log.end(self._playing, self._request, now, reason, status=status, skipped=skipped)
        if cursor is not None:
            cursor.detach()
            self.ctx.emit(
                ViewerLeft(
                    peer=str(self.connection.peer),
                    stream=stream.name,
                    seconds=self.ctx.clock() - self._since,
                    bytes_out=self.connection.bytes_out,
                    skipped=cursor.skipped,
                )
            )
        self.host.left(stream)

    # --- what others ask of it -------------------------------------------------------------------

    def end(self, code: str, reason: str) -> None:
        """Its stream has ended for good: tell it, and let it take what is on the way to it."""
        with self._alone():
            self._end(code, reason)

    def _end(self, code: str, reason: str) -> None:
        if self._stream is None or self._ended:
            return
        if self.cursor is None:
            self.session.reject_play(self._playing, "NetStream.Play.StreamNotFound", reason)
        else:
            self.session.end_play(self._playing, code)
        self._ended = True
        self._scope.cancel()

    def resumed(self) -> None:
        """A publisher has begun, or the off-air clip.  Who plays already goes on with the ring; who waits may begin."""
        with self._alone():
            self._begin_if_on_air()

    def begun(self) -> None:
        """There is something to begin with: the ring sees to that."""

    def stop(self, reason: str) -> None:
        """End it now."""
        self._stopped = self._stopped or reason
        self._scope.cancel()

    def drain(self) -> None:
        """Let it go elsewhere, if it knows how (Enhanced RTMP): who plays, who waits, who publishes."""
        if self._request.can_reconnect and not self._ended and not self.session.closing:
            with self._alone():
                self.session.request_reconnect(_with_app(self.host.sweeper.elsewhere, self.session.app))
                self._speak()

    def _speak(self) -> None:
        """Send what the session has to say, from another task than the reader's."""
        if self._sending:
            return  # it leaves with what the reader's task says next; where that is nothing, it is not told
        data = self.session.data_to_send()
        if self.cursor is not None:
            self.cursor.reply(data)
        elif self.connection.send_nowait(data) < len(data):
            self.stop(Because("it takes nothing", word="slow"))

    def say_farewell(self) -> None:
        """End it in order: the tier is about to stop."""
        if self._stream is not None:
            self.end("NetStream.Play.UnpublishNotify", "the server is about to stop")
        elif not self._ended:
            self.session.closing = self._ended = True
            self._scope.cancel()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """What goes wrong ends this connection, and not whoever has called all of them in turn."""
        try:
            yield
        except Exception as error:
            self.stop(f"{type(error).__name__}: {error}")

    def look(self, now: float) -> None:
        """Ping it, or drop it."""
        if self.publications:
            if now - self._heard > SILENCE:
                self.stop(Because(f"it sent nothing for {SILENCE:g} s", word="silent"))
        elif self.cursor is not None:
            if now - self._heard > SILENCE:
                self.stop(Because(f"it has not answered pings for {SILENCE:g} s", word="silent"))
            elif now - max(self._pinged, self._heard) > PING_EVERY:
                self._pinged = now
                self.session.ping(now)
                self.cursor.reply(self.session.data_to_send())
        elif self._stream is None and self._idle_since is not None and now - self._idle_since > IDLE:
            self.stop(Because(f"it has asked for nothing for {IDLE:g} s", word="idle"))

    def look_at_wait(self, now: float) -> None:
        """Refuse it where its stream has not come on air in time."""
        if self._stream is not None and now - self._since >= self.host.patience:
            name = self._stream.name
            self.end("", self._stream.trouble or f"{name} is not on air")

    def names(self) -> list[str]:
        """The streams that it publishes, plays or waits for."""
        published = [each.stream.name for each in self.publications.values()]
        return [*published, self._stream.name] if self._stream is not None else published


def _with_app(url: str, app: str) -> str:
    """A tcUrl for somebody who is connected to `app`."""
    _, _, rest = url.partition("://")
    return f"{url.rstrip('/')}/{app.partition('?')[0].strip('/')}" if rest and "/" not in rest.rstrip("/") else url


async def serve_rtmp(connection: Connection, host: RTMPHost) -> None:
    """Speak with one publisher or player until it ends.

    Raises RemoteProtocolError for what breaks the rules, after it was answered; ConnectionLost where the
    connection ends under us.
    """
    await _Served(connection, host).run()
