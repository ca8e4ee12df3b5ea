"""The probe's questions over RTMP: what a Wowza says before anything is played, and of a name that nobody publishes.

Everything is heard twice: by the session that the relay uses, which answers what must be answered, and by a reader of
its own, which keeps what the session has no use for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

import trio
from attrs import define, field

from tierkit import AddressError
from tierkit.codecs import amf0
from tierkit.codecs import rtmp_message as m
from tierkit.codecs.rtmp_chunk import ChunkReader, Message
from tierkit.codecs.rtmp_session import ClientSession, Connected, ConnectRefused, Media, PlayEnded, PlayStarted, Status
from tierkit.codecs.rtmp_url import dial
from tierkit.plugin import Address, ConnectionLost, Network, RemoteProtocolError, Trust

from ._probe_http import NOBODY, Target
from ._probe_rows import Answers

__all__ = ["RtmpProbe"]

#: Seconds for a connection, for what a server makes of a name that nobody publishes, and for a stream's first media.
CONNECT: Final = 8.0
SILENCE: Final = 6.0
#: Bytes before the first message: S0, S1 and S2.
_HANDSHAKE: Final = 1 + 1536 + 1536
#: Commands and control messages that are kept.
MOST: Final = 64

_KEYS: Final = ("rtmp-result", "rtmp-controls", "rtmp-bandwidth", "rtmp-subscribe", "rtmp-unpublished")
_CONTROLS: Final[Mapping[int, str]] = {
    m.SET_CHUNK_SIZE: "SetChunkSize",
    m.WINDOW_ACK_SIZE: "WindowAckSize",
    m.SET_PEER_BANDWIDTH: "SetPeerBandwidth",
}


@define
class _Tap:
    """What a server says, message by message, behind its handshake."""

    skip: int = _HANDSHAKE
    controls: list[str] = field(factory=list)
    commands: list[m.Command] = field(factory=list)
    _reader: ChunkReader = field(factory=ChunkReader)

    def hear(self, data: bytes) -> None:
        if self.skip:
            skipped = min(self.skip, len(data))
            self.skip, data = self.skip - skipped, data[skipped:]
        try:
            for message in self._reader.receive(data):
                self._note(message)
        except RemoteProtocolError:
            pass  # the session tells

    def _note(self, message: Message) -> None:
        if message.type_id in _CONTROLS and len(self.controls) < MOST:
            kind = f" type {message.payload[4]}" if len(message.payload) > 4 else ""
            self.controls.append(f"{_CONTROLS[message.type_id]} {int.from_bytes(message.payload[:4], 'big')}{kind}")
        elif message.type_id == m.USER_CONTROL and len(self.controls) < MOST:
            event = int.from_bytes(message.payload[:2], "big")
            self.controls.append("ping" if event == m.PING_REQUEST else f"event {event}")
        elif message.type_id in (m.COMMAND, m.COMMAND_AMF3) and len(self.commands) < MOST:
            self.commands.append(m.Command.decode(message))
            self.controls.append(self.commands[-1].name)


@define
class RtmpProbe:
    """Asks over RTMP.

    Args:
        base: the port, with its scheme.
    """

    network: Network
    base: Address
    target: Target
    answers: Answers
    trust: Trust | None = None

    async def run(self) -> None:
        """Ask everything; what fails is a row without an answer."""
        try:
            await self._nobodys()
            await self._stream()
        except (ConnectionLost, RemoteProtocolError, AddressError) as error:
            self.answers.cannot(str(error), *_KEYS)

    async def _nobodys(self) -> None:
        """Connect, and play what nobody publishes."""
        tap, heard = _Tap(), _Heard()
        await self._play(NOBODY, tap, heard, SILENCE)
        if heard.refused is not None:
            self.answers.cannot(f"it refuses the connection: {heard.refused}", *_KEYS)
            return
        if heard.connected is None:
            how = ", ".join(heard.statuses) or f"it has not answered to connect within {CONNECT:g} s"
            self.answers.cannot(how, *_KEYS)
            return
        self._result(heard.connected, tap)
        self.answers.say("rtmp-unpublished", _outcome(heard))

    def _result(self, said: Connected, tap: _Tap) -> None:
        properties = ", ".join(_pair(each) for each in said.properties.items())
        info = ", ".join(_pair(each) for each in said.info.items())
        self.answers.say("rtmp-result", f"properties {properties or 'none'}; information {info or 'none'}")
        before = tap.controls[: tap.controls.index("_result")] if "_result" in tap.controls else tap.controls
        self.answers.say("rtmp-controls", ", ".join(before) or "none")
        called = [each for each in tap.commands if each.name == "onBWDone"]
        arguments = f" with {len(called[0].args)} arguments" if called else ""
        self.answers.say("rtmp-bandwidth", f"yes{arguments}" if called else f"not within {SILENCE:g} s")

    async def _stream(self) -> None:
        """Play the stream, without FCSubscribe, until its first media."""
        heard = _Heard()
        await self._play(self.target.stream, _Tap(), heard, CONNECT)
        if heard.media_after is not None:
            self.answers.say("rtmp-subscribe", f"yes: media after {heard.media_after:.1f} s")
        elif heard.connected is not None:
            self.answers.say("rtmp-subscribe", f"no media: {_outcome(heard)}")
        else:
            self.answers.cannot(f"no connection: {heard.refused or _outcome(heard)}", "rtmp-subscribe")

    async def _play(self, name: str, tap: _Tap, heard: _Heard, patience: float) -> None:
        """Play a name until there is an outcome, for `patience` seconds from the acceptance on."""
        target = self.target
        middle = f"/{target.instance}" if target.instance else ""
        query = f"?{target.query}" if target.query and name == target.stream else ""
        where = f"{self.base.scheme}://{self.base.authority}/{target.app}{middle}"
        said = dial(f"{where}/{name}{query}", app=target.app + middle)
        session = ClientSession(said.app, said.tc_url, nonce=os.urandom(32), now=trio.current_time())
        session.play(said.name)
        with trio.move_on_after(CONNECT) as scope:
            connection = await self.network.connect(self.base, trust=self.trust)
            try:
                while not heard.over:
                    await connection.send_all(session.data_to_send())
                    data = await connection.recv()
                    if not data:
                        heard.end("it ends the connection")
                        break
                    tap.hear(data)
                    for event in session.receive(data, trio.current_time()):
                        if heard.hear(event):
                            scope.deadline = trio.current_time() + patience
                session.stop()
                connection.send_nowait(session.data_to_send())
            except ConnectionLost as error:
                heard.end(f"the connection is lost: {error}")
            finally:
                connection.close()


@define
class _Heard:
    """What became of a play."""

    clock: Callable[[], float] = trio.current_time
    connected: Connected | None = None
    refused: str | None = None
    started: bool = False
    statuses: list[str] = field(factory=list)
    media_after: float | None = None
    over: bool = False
    _since: float = 0.0

    def hear(self, event: object) -> bool:
        """Take an event; True for the acceptance of the connection."""
        if isinstance(event, Connected):
            self.connected, self._since = event, self.clock()
            return True
        if isinstance(event, ConnectRefused):
            self.refused, self.over = m.plain(f"{event.code} {event.description}").strip(), True
        elif isinstance(event, Status):
            self.statuses.append(m.plain(event.code))
            self.over = event.fatal
        elif isinstance(event, PlayEnded):
            self.end(event.code)
        elif isinstance(event, PlayStarted):
            self.started = True
            self.statuses.append(m.plain(event.code))
        elif isinstance(event, Media) and event.type_id in (m.AUDIO, m.VIDEO):
            self.media_after, self.over = self.clock() - self._since, True
        return False

    def end(self, how: str) -> None:
        self.statuses.append(how)
        self.over = True


def _outcome(heard: _Heard) -> str:
    said = ", ".join(dict.fromkeys(heard.statuses)) or "nothing"
    if heard.over:
        return said
    return f"{said}, then silence for {SILENCE:g} s" if heard.statuses else f"silence for {SILENCE:g} s"


#: Values that are somebody's own.
_OWN: Final = frozenset({"clientid", "securetoken", "tcurl"})


def _pair(each: tuple[str, Any]) -> str:
    name, value = each
    if name.lower() in _OWN:
        return f"{name}=***"
    if isinstance(value, dict):
        return f"{name}={{{', '.join(map(_pair, list(value.items())[:8]))}}}"
    text = amf0.as_text(value) or (f"{value:g}" if isinstance(value, float) else type(value).__name__)
    return f"{m.plain(name)}={m.plain(text)[:80]}"
