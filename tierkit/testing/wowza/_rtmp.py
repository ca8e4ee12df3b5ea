"""RTMP on the streaming port: who connects, plays and publishes, one connection after the other.

    port = RtmpPort(server, RtmpOptions(secret="#ed%h0#w@1"))
    await port.serve(connection, first)

Three tasks a connection.  One reads and feeds the session; one is the only writer, and sends what the session has to
say and the media that is due; one pings, and drops who does not answer.
"""

from __future__ import annotations

import math

import trio

from tierkit.codecs.rtmp_message import Command
from tierkit.codecs.rtmp_session import (
    CallReceived,
    ConnectRequested,
    Media,
    PauseRequested,
    PlayRequested,
    PlayStopped,
    Pong,
    PublishRequested,
    SeekRequested,
    ServerEvent,
    Unpublished,
)
from tierkit.errors import ConnectionLost, RemoteProtocolError
from tierkit.plugin import Connection

from ._rtmp_play import Player
from ._rtmp_publish import Publisher
from ._rtmp_session import WowzaSession
from ._rtmp_stage import RtmpOptions, Stage
from ._rtmp_where import instance_of, place_in
from ._sessions import RtmpSession
from ._shown_rtmp import (
    CONNECT_ORDER,
    ENCODERS,
    NO_SUCH_APPLICATION,
    PING_EVERY,
    PING_TIMEOUT,
    RESULT,
    SECURE_TOKEN,
    TOKEN_REFUSED,
    TOKEN_TEXT,
    UNIDENTIFIED,
)
from ._tea import encrypt

__all__ = ["RtmpOptions", "RtmpPort"]

#: Seconds that a peer has to take the last words before it is closed.
LAST_WORDS = 3.0


class RtmpPort(Stage):
    """The streaming port's RTMP."""

    async def serve(self, connection: Connection, first: bytes) -> None:
        """Speak with one client until it ends; `first` was read already.  The caller closes the connection."""
        await _Served(self, connection, first).run()


class _Served:
    """One connection."""

    def __init__(self, port: RtmpPort, connection: Connection, first: bytes) -> None:
        self.port = port
        self.server = port.server
        self.options: RtmpOptions = port.options
        self.connection = connection
        self._first = first
        nonce = port.nonce()
        self.session = WowzaSession(nonce, self.server.now())
        #: What the server knows of it, once it is connected.
        self.known: RtmpSession | None = None
        self.player: Player | None = None
        self.publisher: Publisher | None = None
        #: The text under the secure token, until it was said.
        self._token = nonce.hex()[:16] if self.options.secret else ""
        self._may_publish = not self.server.publishers
        self._since = trio.current_time()
        self._pinged: float | None = None
        self._ping_next = math.inf
        self._leaving = False
        self._left = trio.Event()
        self._woken = trio.Event()
        self._scope = trio.CancelScope()

    async def run(self) -> None:
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    nursery.start_soon(self._watch)
                    await self._read()
                    nursery.cancel_scope.cancel()
        finally:
            self._forget()

    def _forget(self) -> None:
        """It plays and publishes no more, and is counted no more."""
        self._unpublish()
        if self.player is not None:
            self.player.close()
            self.player = None
        if self.known in self.server.rtmp:
            self.server.rtmp.remove(self.known)

    def drop(self) -> None:
        """End it now."""
        self.connection.abort()
        self._scope.cancel()
        self._forget()

    # --- the three tasks ---------------------------------------------------------------------------

    async def _read(self) -> None:
        session = self.session
        try:
            while not session.closing and (data := self._first or await self.connection.recv()):
                self._first = b""
                for event in session.receive(data, self.server.now()):
                    self._handle(event)
                self.wake()
        except ConnectionLost:
            return
        except RemoteProtocolError:
            session.closing = True
        if session.closing:
            await self._say_last_words()

    async def _say_last_words(self) -> None:
        """Send what is left, and read on to the peer's end: a close with unread input would be a reset."""
        self._leaving = True
        self._forget()
        self.wake()
        with trio.move_on_after(LAST_WORDS):
            await self._left.wait()
            try:
                self.connection.end_output()
                while await self.connection.recv():
                    pass
            except ConnectionLost:
                pass

    async def _write(self) -> None:
        try:
            while True:
                self._woken = trio.Event()
                data = self.session.data_to_send()
                if self.player is not None:
                    data += self.player.data(self.server.now())
                if data:
                    await self.connection.send_all(data)
                    self._count(len(data))
                    await trio.lowlevel.checkpoint()
                elif self._leaving:
                    self._left.set()
                    return
                else:
                    with trio.move_on_after(self._until_due()):
                        await self._woken.wait()
        except ConnectionLost:
            self._scope.cancel()

    def _until_due(self) -> float:
        due = None if self.player is None else self.player.due()
        return math.inf if due is None else max(0.0, due - self.server.now())

    def _count(self, sent: int) -> None:
        known = self.known
        if known is None:
            self.server.count_sent(sent)
        else:
            played = known.place.stream if known.place is not None and not known.publishing else ""
            self.server.count_sent(sent, known.application, known.instance, played)

    def wake(self) -> None:
        """There may be something to send."""
        self._woken.set()

    @PING_TIMEOUT.shown
    @PING_EVERY.shown
    @UNIDENTIFIED.shown
    async def _watch(self) -> None:
        options = self.options
        while True:
            now = trio.current_time()
            connected = self._ping_next < math.inf
            if not connected:
                deadline = self._since + options.unidentified
            elif self._pinged is not None:
                deadline = self._pinged + options.ping_timeout
            else:
                deadline = self._ping_next
            if now < deadline:
                # A second at most: the pong that is waited for moves the deadline.
                await trio.sleep_until(min(deadline, now + 1))
            elif connected and self._pinged is None:
                self.port.shows(PING_EVERY)
                self.session.ping(self.server.now())
                self._ping_sent()
                self.wake()
            else:
                self.port.shows(PING_TIMEOUT if connected else UNIDENTIFIED)
                self.drop()
                return

    def _ping_sent(self) -> None:
        self._pinged = trio.current_time()
        self._ping_next = self._pinged + self.options.ping_every

    # --- what it asks --------------------------------------------------------------------------------

    def _handle(self, event: ServerEvent) -> None:
        if isinstance(event, Media):
            self._receive(event)
        elif isinstance(event, ConnectRequested):
            self._connect(event)
        elif isinstance(event, PlayRequested):
            self._play(event)
        elif isinstance(event, PublishRequested):
            self._publish(event)
        elif isinstance(event, Unpublished):
            if self.publisher is not None and self.publisher.stream_id == event.stream_id:
                self._unpublish()
        elif isinstance(event, PlayStopped):
            self._stop_playing(event.stream_id)
        elif isinstance(event, Pong):
            self._pinged = None
        elif isinstance(event, CallReceived):
            self._call(event.command)
        elif isinstance(event, PauseRequested):
            self.session.accept_pause(event.stream_id, event.paused)
        elif isinstance(event, SeekRequested):
            self.session.accept_seek(event.stream_id, event.ms)

    def _connect(self, event: ConnectRequested) -> None:
        said, _, query = event.app.partition("?")
        application, instance = instance_of(said)
        refusal = self._refusal(application) or self._question(event, query)
        if refusal:
            self.server.rejected(application, instance)
            self.session.reject_connect(*refusal)
            return
        self.server.accepted(application, instance)
        peer = self.connection.peer
        self.known = RtmpSession(
            id=self.server.new_id(),
            address=peer.host,
            port=peer.port,
            application=application,
            instance=instance,
            flash_version=event.flash_ver,
            referrer=str(event.object.get("pageUrl") or ""),
            uri=event.tc_url.partition("?")[0],
            since=self.server.now(),
            secure=self.connection.secure,
            disconnect=self.drop,
        )
        self.server.rtmp.append(self.known)
        self.port.shows(CONNECT_ORDER, RESULT)
        self.session.welcome(
            self.server.now(), more=self._asking_for_token(), check_bandwidth=self.options.check_bandwidth
        )
        self._ping_sent()

    @NO_SUCH_APPLICATION.shown
    def _refusal(self, application: str) -> tuple[str, str] | None:
        found = self.server.applications.get(application)
        if found is not None and found.loaded:
            return None
        self.port.shows(NO_SUCH_APPLICATION)
        return "NetConnection.Connect.InvalidApp", f"[ server.Reject ] : there is no application {application}"

    def _question(self, event: ConnectRequested, query: str) -> tuple[str, str] | None:
        """What an encoder is asked about who it is."""
        if not self.port.publishers.asks(event.flash_ver):
            return None
        verdict = self.port.publishers.judge(query)
        self.port.shows(ENCODERS, *verdict.shows)
        if verdict.refusal:
            return "NetConnection.Connect.Rejected", verdict.refusal
        self._may_publish = True
        return None

    @SECURE_TOKEN.shown
    @TOKEN_TEXT.shown
    def _asking_for_token(self) -> dict[str, object]:
        if not self._token:
            return {}
        self.port.shows(SECURE_TOKEN, TOKEN_TEXT)
        return {"secureToken": encrypt(self._token, self.options.secret)}

    @TOKEN_REFUSED.shown
    def _call(self, command: Command) -> None:
        if command.name != "secureTokenResponse" or not self._token:
            return
        if command.arg(0) == self._token:
            self._token = ""
        else:
            self.port.shows(TOKEN_REFUSED)
            self.session.turn_away(0, "NetConnection.Connect.Rejected", "the secure token is wrong")

    def _play(self, event: PlayRequested) -> None:
        assert self.known is not None, "the session lets nobody play who is not connected"
        self.connection.settled()
        if self._token:
            self.port.shows(TOKEN_REFUSED)
            self.session.turn_away(event.stream_id, "NetConnection.Connect.Rejected", "the secure token is missing")
        elif self.player is not None:
            self.session.reject_play(event.stream_id, "NetStream.Play.Failed", "one stream for each connection")
        else:
            place = place_in(self.server, self.session.app, event.route)
            player = Player(self.port, self.session, event.stream_id, place, self.wake)
            if player.begin():
                self.player, self.known.place = player, place

    def _stop_playing(self, stream_id: int) -> None:
        if self.player is not None and self.player.stream_id == stream_id:
            self.player.close()
            self.player = None
            if self.known is not None:
                self.known.place = None

    def _publish(self, event: PublishRequested) -> None:
        assert self.known is not None, "the session lets nobody publish who is not connected"
        self.connection.settled()
        publisher = Publisher(self.port, event.stream_id, place_in(self.server, self.session.app, event.route))
        refusal = publisher.refusal(allowed=self._may_publish)
        if refusal is None and self.publisher is not None:
            refusal = "NetStream.Publish.BadName", "one stream for each connection"
        if refusal is not None:
            self.session.reject_publish(event.stream_id, *refusal)
            return
        publisher.begin(f"rtmp://{self.connection.peer}")
        self.publisher = publisher
        self.known.place, self.known.publishing = publisher.place, True
        self.session.accept_publish(event.stream_id)

    def _receive(self, media: Media) -> None:
        if self.publisher is not None and self.publisher.stream_id == media.stream_id:
            self.publisher.receive(media)

    def _unpublish(self) -> None:
        if self.publisher is not None:
            self.publisher.end()
            self.publisher = None
            if self.known is not None:
                self.known.place, self.known.publishing = None, False
