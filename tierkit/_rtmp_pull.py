"""RTMP on a connection, the client's role: playing an upstream's stream.

Whoever plays waits for media, not for bytes: a server that goes on answering pings while its publisher has
stalled is a failed upstream after `RTMPTimeouts.no_media`, and one that sends nothing at all is pinged.

A server that is about to stop asks its players to connect again (Enhanced RTMP).  The old connection is played until
the new one has a keyframe, so nobody further down notices more than a step back in the picture.  Where the new one
comes to nothing, the old one is played to its end.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import trio

from ._address import Address, Trust
from ._ports import Network
from ._rtmp_dial import Dialler, Greeting, Line, Redirected, RTMPPlace, RTMPTimeouts, refuse
from .codecs.flv import classify
from .codecs.rtmp_message import AUDIO
from .codecs.rtmp_session import ClientEvent, Media, PlayEnded, PlayStarted, ReconnectRequested, Status
from .errors import ConnectionLost, NotServed, RemoteProtocolError, TierkitError, UpstreamError

__all__ = ["pull"]

#: Given the first media, says what takes it and all that follows: its type, its timestamp in ms, its payload.
Started = Callable[[], Callable[[int, int, bytes], None]]

#: Seconds over which those who are sent away together are spread, and that one who has been must have played
#: before it may be sent again.
SPREAD = 1.0
SETTLED = 5.0
#: Sounds without a picture after which a stream is taken to have none: a second of AAC.
SOUNDS_ALONE = 50
#: Seconds without a word after which a server is pinged at the earliest.
SHORTEST_SILENCE = 0.5
#: Headers and metadata kept until it begins: real streams have up to 8 tracks.
MAX_HELD = 64


async def pull(
    network: Network,
    url: Address,
    *,
    started: Started,
    room: Callable[[bool], Awaitable[None]] | None = None,
    trust: Trust | None = None,
    others: Sequence[RTMPPlace] = (),
    connect_object: Mapping[str, Any] | None = None,
    greeting: Greeting | None = None,
    timeouts: RTMPTimeouts | None = None,
) -> str:
    """Play the stream at `url` until it ends; returns why it did (an RTMP status code).

    Args:
        started: called when the first media is there; gives what each message is handed to: its type, its
            timestamp in ms, its payload.  Called again when another connection goes on.
        room: awaited between reads, and told whether more can be read at once; holds a server back that sends
            faster than players take.
        others: where the server may send us besides its own host.
        connect_object: additions to what `connect` says.
        greeting: what to call once it has accepted the connection.

    Credentials in `url` answer the server's questions.

    Raises:
        NotServed: the server does not know the name, or sends nothing for it.
        RTMPRefused: it refuses the connection.
        UpstreamError: it cannot be reached, refuses, is silent for too long, or breaks off.
    """
    limits = timeouts or RTMPTimeouts()

    def dialler(place: RTMPPlace) -> Dialler:
        return Dialler(
            network,
            place,
            # Live streams behind CDNs and Wowza's edges want to be subscribed to; others ignore it.
            lambda session, name: session.play(name, subscribe=True),
            limits=limits,
            others=(RTMPPlace(url, trust), *others),
            connect_object=connect_object,
            greeting=greeting,
        )

    return await _Pull(dialler, started, room).run(RTMPPlace(url, trust))


class _Pull:
    """One stream, over as many connections as its servers ask for, one after the other."""

    def __init__(
        self, dialler: Callable[[RTMPPlace], Dialler], started: Started, room: Callable[[bool], Awaitable[None]] | None
    ) -> None:
        self._dialler = dialler
        self._started = started
        self._room = room
        self._outcome: str | Exception = ""
        self._nursery: trio.Nursery | None = None

    async def run(self, place: RTMPPlace) -> str:
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._play, place, None)
        # Raised outside the nursery, so that it comes out as itself.
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    async def _play(self, place: RTMPPlace, before: _Player | None) -> None:
        """Play from one place; what came of it counts, unless it has never begun or somebody has taken over."""
        began = before is None

        def begin() -> Callable[[int, int, bytes], None]:
            nonlocal began
            began = True
            if before is not None:
                before.scope.cancel()
            return self._started()

        try:
            if before is not None:
                await trio.sleep(before.unsettled + SPREAD * os.urandom(1)[0] / 256)
            outcome: str | Exception | None = await self._player(self._dialler(place), begin, before is not None)
        except Exception as error:
            if not began and not isinstance(error, TierkitError):
                raise  # a fault of ours: nobody else would hear of it
            outcome = error
        if began and outcome is not None:
            self._outcome = outcome

    async def _player(
        self, dialler: Dialler, begin: Callable[[], Callable[[int, int, bytes], None]], later: bool
    ) -> str | None:
        """Play from where it is; returns why it ended, None where another connection has taken over."""
        while True:
            try:
                line = await dialler.line()
                player = _Player(line, dialler.limits, begin, self._go_on(dialler), later)
                try:
                    with player.scope:
                        return await player.run(self._room)
                    with suppress(ConnectionLost):
                        line.session.stop()
                        line.connection.send_nowait(line.session.data_to_send())
                    return None
                finally:
                    line.connection.close()
            except Redirected as elsewhere:
                dialler.redirect(elsewhere.tc_url)

    def _go_on(self, dialler: Dialler) -> Callable[[_Player, str], None]:
        def go_on(player: _Player, tc_url: str) -> None:
            """The server of `player` asks us to connect again."""
            try:
                place = dialler.allowed(dialler.place, tc_url)
            except UpstreamError:
                return  # it will end by itself, and whoever pulls goes on by its own list
            assert self._nursery is not None
            self._nursery.start_soon(self._play, place, player)

        return go_on


class _Player:
    """One connection that plays.

    Attributes:
        scope: cancel it to leave.

    Args:
        begin: called with the first media.
        later: another connection still plays: begin at a keyframe, with what a decoder needs before it.
    """

    def __init__(
        self,
        line: Line,
        limits: RTMPTimeouts,
        begin: Callable[[], Callable[[int, int, bytes], None]],
        go_on: Callable[[_Player, str], None],
        later: bool,
    ) -> None:
        self.scope = trio.CancelScope()
        self._line = line
        self._limits = limits
        self._begin = begin
        self._go_on = go_on
        self._later = later
        self._sink: Callable[[int, int, bytes], None] | None = None
        #: Headers and metadata that came before a keyframe, and sounds that did.
        self._held: list[Media] = []
        self._sounds = 0
        self._since = trio.current_time()
        self._deadline = line.deadline
        self._playing = self._asked = False

    @property
    def unsettled(self) -> float:
        """Seconds before it may be asked away again; the first of all may be at once."""
        return max(0.0, self._since + SETTLED - trio.current_time()) if self._later else 0.0

    async def run(self, room: Callable[[bool], Awaitable[None]] | None) -> str:
        session, place = self._line.session, self._line.place
        try:
            ended = self._heed(self._line.early)
            while not ended:
                with trio.move_on_at(self._deadline) as scope:
                    await self._line.connection.send_all(session.data_to_send())
                    data = await self._recv()
                if scope.cancelled_caught:
                    self._too_late()
                if not data:
                    raise UpstreamError(place.where, "ended the connection")
                ended = self._heed(session.receive(data, trio.current_time()))
                if room is not None and not ended:
                    await room(self._line.connection.readable_now())
            return ended
        except RemoteProtocolError as error:
            raise UpstreamError(place.where, f"broke the protocol: {error}") from None
        except ConnectionLost as error:
            raise UpstreamError(place.where, f"the connection was lost: {error}") from None

    def _heed(self, events: Iterable[ClientEvent]) -> str:
        """Go through what the server says; returns why the stream has ended, empty where it has not."""
        for event in events:
            if isinstance(event, Media):
                self._media(event)
            elif isinstance(event, PlayStarted):
                self._playing = True
            elif isinstance(event, PlayEnded):
                return event.code
            elif isinstance(event, ReconnectRequested) and not self._asked:
                self._asked = True
                self._go_on(self, event.tc_url)
            elif isinstance(event, Status):
                refuse(self._line.place, event)
        return ""

    async def _recv(self) -> bytes:
        """What comes; half-way to the deadline a ping, so that a dead line is told from a silent publisher."""
        connection, session = self._line.connection, self._line.session
        left = self._deadline - trio.current_time()
        if not self._playing or left < 2 * SHORTEST_SILENCE:
            return await connection.recv()
        with trio.move_on_after(left / 2):
            return await connection.recv()
        session.ping(trio.current_time())
        await connection.send_all(session.data_to_send())
        return await connection.recv()

    def _media(self, event: Media) -> None:
        if self._sink is None:
            if self._later and not self._may_begin(event):
                return
            self._sink = self._begin()
            self._since = trio.current_time()
            for held in self._held:
                self._sink(held.type_id, held.timestamp, held.payload)
            self._held = []
        self._deadline = trio.current_time() + self._limits.no_media
        self._sink(event.type_id, event.timestamp, event.payload)

    def _may_begin(self, event: Media) -> bool:
        kind = classify(event.type_id, event.payload)
        if kind.is_pinned and len(self._held) < MAX_HELD:
            self._held.append(event)
        self._sounds += event.type_id == AUDIO and not kind.is_pinned
        return kind.is_keyframe or self._sounds > SOUNDS_ALONE

    def _too_late(self) -> None:
        where, limits = self._line.place.where, self._limits
        if self._sink is not None:
            raise UpstreamError(where, f"has sent no media for {limits.no_media:g} s")
        raise NotServed(f"{where} has sent nothing of the stream for {limits.answer:g} s: is it published?")
