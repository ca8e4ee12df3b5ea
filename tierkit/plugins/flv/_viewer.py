"""One player, from its request to its end, over HTTP or WebSocket.

The kit has handed the connection over: this task reads what little a player says, and the cursor writes.  Before the
first picture nothing has been sent, so whoever waits in vain is still told so by a status.
"""

from __future__ import annotations

from typing import Protocol

import trio

from tierkit.codecs.flv import create_flv_header
from tierkit.codecs.rtmp_message import AUDIO, VIDEO
from tierkit.codecs.websocket import binary_frame
from tierkit.events import Dropped, ViewerJoined, ViewerLeft
from tierkit.http import Response, response_head
from tierkit.live import Encoding, Provider, Publication, Stream
from tierkit.plugin import Because, Connection, Context, Cursor
from tierkit.rtmp import Sweeper
from tierkit.websocket import GOING_AWAY, NORMAL, WebSocket

__all__ = ["Viewer"]

#: What a player may say besides its request, in bytes, and what more for each second.  Players over HTTP say nothing;
#: over WebSocket some ping every second, with 131 bytes at most.
SAY = 65536
SAY_EACH_SECOND = 512
#: Seconds that a player has to take the last words before it is closed.
LAST_WORDS = 3.0


class Bounds(Protocol):
    """What a player goes by."""

    @property
    def patience(self) -> float:
        """Seconds that it waits for a stream which is not on air."""


class Host(Protocol):
    """What a player asks of its service."""

    ctx: Context
    sweeper: Sweeper
    websockets: int

    @property
    def bounds(self) -> Bounds:
        """What players go by."""

    @property
    def provider(self) -> Provider | None:
        """Who must be told of players."""

    def refuse(self, status: int, reason: str, *headers: tuple[bytes, bytes]) -> Response:
        """An answer that tells why not."""


class Viewer:
    """One player: the live kit's `Player`, and what its `Sweeper` looks after.

    Args:
        socket: its WebSocket; None over HTTP.
        headers: for an answer that is none of media.
    """

    __slots__ = (
        "_connection",
        "_ctx",
        "_encoding",
        "_ended",
        "_first",
        "_headers",
        "_host",
        "_reason",
        "_said",
        "_scope",
        "_since",
        "_socket",
        "_stopped",
        "_stream",
        "cursor",
        "publications",
    )

    def __init__(
        self,
        host: Host,
        connection: Connection,
        encoding: Encoding,
        socket: WebSocket | None,
        headers: list[tuple[bytes, bytes]],
    ) -> None:
        self.publications: dict[int, Publication] = {}
        #: Set while it plays.
        self.cursor: Cursor | None = None
        self._host = host
        self._ctx = host.ctx
        self._connection = connection
        self._encoding = encoding
        self._socket = socket
        self._headers = headers
        self._since = self._ctx.clock()
        self._scope = trio.CancelScope()
        #: What leaves before media.
        self._first = b""
        #: Bytes that it has said.
        self._said = 0
        #: It is to be ended in order, for this reason.
        self._ended = False
        self._reason = ""
        #: Why we gave it up: it gets no last words.
        self._stopped = ""

    # --- the life of a player --------------------------------------------------------------------

    async def run(self, stream: Stream, head: bytes, early: bytes) -> None:
        """Play a stream until either side ends it: the rest is what `Response.take_over` gives."""
        sweeper = self._host.sweeper
        self._stream = stream
        self._first = head
        sweeper.served.add(self)
        self._host.websockets += self._socket is not None
        try:
            self._join()
            with self._scope:
                await self._read(early)
            if self._ended and not self._stopped:
                await self._say_last_words()
        finally:
            sweeper.served.discard(self)
            self._host.websockets -= self._socket is not None
            self._leave()
            if self._stopped:
                # It does not read, or is not to: what waits in the kernel for it is thrown away.
                self._connection.abort()
                self._ctx.emit(Dropped(peer=str(self._connection.peer), stream=stream.name, reason=self._stopped))

    def _join(self) -> None:
        self._stream.players.add(self)
        if (provider := self._host.provider) is not None:
            provider.joined(self._stream)
        if not self._begin_if_begun():
            self._host.sweeper.waits.add(self)

    async def _read(self, data: bytes) -> None:
        while True:
            if data:
                self._hear(data)
            if self._socket is not None and self._socket.closed:
                self._ended = True
                return
            data = await self._connection.recv()
            if not data:
                return

    def _hear(self, data: bytes) -> None:
        self._said += len(data)
        if self._said > SAY + SAY_EACH_SECOND * (self._ctx.clock() - self._since):
            self.stop(Because(f"it says more than a player has to: {self._said} bytes", word="greedy"))
        elif self._socket is not None and (answers := self._socket.receive(data)):
            if self.cursor is not None:
                self.cursor.reply(answers)
            else:
                self._first += answers

    def _begin_if_begun(self) -> bool:
        """Let it play where its stream has something to begin with: from now on the cursor writes."""
        stream = self._stream
        if self.cursor is not None or self._ended or not stream.begun:
            return False
        self._host.sweeper.waits.discard(self)
        self._since = self._ctx.clock()
        self._ctx.emit(ViewerJoined(peer=str(self._connection.peer), stream=stream.name))
        opening = create_flv_header(audio=stream.carries(AUDIO), video=stream.carries(VIDEO))
        if self._socket is not None:
            opening = binary_frame(opening)
        first, self._first = self._first + opening, b""
        self.cursor = stream.attach(self._encoding, self._connection, self._given_up, first=first)
        self._host.sweeper.players += 1
        return True

    def _given_up(self, reason: str) -> None:
        """The cursor cannot go on: with a reason where we give the player up."""
        self._stopped = self._stopped or reason
        self._ended = True
        self._scope.cancel()

    async def _say_last_words(self) -> None:
        """Give it the time to take what is on its way to it; the kit ends the connection."""
        cursor = self.cursor
        if cursor is not None and not cursor.alive:
            return
        with trio.move_on_after(LAST_WORDS):
            words = self._refusal() if cursor is None else await cursor.leave() + self._goodbye()
            await self._connection.send_all(words)

    def _goodbye(self) -> bytes:
        if self._socket is None:
            return b""
        return self._socket.close(GOING_AWAY if self._host.sweeper.leaving else NORMAL, self._reason)

    def _refusal(self) -> bytes:
        if self._socket is not None and self._socket.closed:
            return b""  # it has closed before it was answered: odd, and past telling
        response = self._host.refuse(503 if self._host.sweeper.leaving else 404, self._reason, *self._headers)
        assert isinstance(response.body, bytes)
        head = response_head(response, length=len(response.body), chunked=False, keep=False, minor=1)
        return head + response.body

    def _leave(self) -> None:
        stream, cursor = self._stream, self.cursor
        self._ended = True
        self.cursor = None
        self._host.sweeper.players -= cursor is not None
        self._host.sweeper.waits.discard(self)
        stream.players.discard(self)
        if cursor is not None:
            cursor.detach()
            self._ctx.emit(
                ViewerLeft(
                    peer=str(self._connection.peer),
                    stream=stream.name,
                    seconds=self._ctx.clock() - self._since,
                    bytes_out=self._connection.bytes_out,
                    skipped=cursor.skipped,
                )
            )
        if (provider := self._host.provider) is not None:
            provider.left(stream)

    # --- what its stream asks --------------------------------------------------------------------

    def end(self, code: str, reason: str) -> None:
        """Its stream has ended for good, or does not come: let it take what is on the way to it."""
        if not self._ended:
            self._ended, self._reason = True, reason
            self._scope.cancel()

    def resumed(self) -> None:
        """A publisher has begun, or the off-air clip: there is nothing to play yet."""

    def begun(self) -> None:
        """There is something to begin with; who plays already goes on with the ring."""
        try:
            self._begin_if_begun()
        except Exception as error:  # ends this player, and not whoever has called all of them in turn
            self.stop(f"{type(error).__name__}: {error}")

    # --- what the sweeper asks -------------------------------------------------------------------

    def names(self) -> list[str]:
        """The stream that it plays or waits for."""
        return [self._stream.name]

    def stop(self, reason: str) -> None:
        """End it now."""
        self._stopped = self._stopped or reason
        self._ended = True
        self._scope.cancel()

    def drain(self) -> None:
        """It cannot be told to go elsewhere: it is ended with the farewell."""

    def say_farewell(self) -> None:
        """End it in order: the tier is about to stop."""
        self.end("", "the server is about to stop")

    def look(self, now: float) -> None:
        """Media tells whether it lives: a player that takes none for long enough is given up by its cursor."""

    def look_at_wait(self, now: float) -> None:
        """Refuse it where its stream has not come on air in time."""
        if now - self._since >= self._host.bounds.patience:
            stream = self._stream
            lacks = "has nothing yet that a player can begin with" if stream.playable else "is not on air"
            self.end("", stream.trouble or f"{stream.name} {lacks}")
