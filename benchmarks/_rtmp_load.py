"""Publishers and players in one loop on one core, cheap enough that the server is what is measured.

Publishers send a clip in real time, again and again, and note when each message left.  Players shake hands, ask to
play, and from then on throw away in the kernel what they get (`MSG_TRUNC`, tcp(7)), woken when there is enough of it
(`SO_RCVLOWAT`), and acknowledge it as players do.  Every `READ`th of them reads instead and notes how long after its
departure each message has come: the server's added latency, with what this loop adds, for publishers and readers share
a clock.  A message is told by its payload, because servers write timestamps anew.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import select
import socket
import ssl
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from benchmarks import _load
from benchmarks._procs import Void
from tierkit.codecs import rtmp_message as m
from tierkit.codecs.flv import FLVReader, Tag, classify
from tierkit.codecs.rtmp_chunk import encode_message
from tierkit.codecs.rtmp_session import ClientSession, Media, PublishStarted

__all__ = ["Clip", "House", "Player", "make_clip"]

#: Every so many players one reads all that it gets.
READ = 50
#: Events taken from the kernel at once: few, so that publishers and readers are never far from their turn.
TURN = 128
#: Players come from so many addresses of loopback: servers bound what one may open (tierkit: 4,000).
ADDRESSES = 8
#: What one receive may throw away.
_SINK = bytearray(4 << 20)
#: Seconds that a server may take to let somebody publish.
PATIENCE = 10.0
#: Bytes that wake a player that throws them away, and after which it acknowledges: half the window of most servers.
WAKE, ACKNOWLEDGE = 32768, 1_250_000
#: Bytes of S0, S1 and S2.
_GREETING = 1 + 2 * 1536

CLIP = ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=44100"]
#: 1.1 Mbit/s of H.264 and AAC, a keyframe every two seconds.
ENCODE = ["-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-b:v", "1000k", "-minrate", "1000k"]
ENCODE += ["-maxrate", "1000k", "-bufsize", "500k", "-x264-params", "nal-hrd=cbr", "-c:a", "aac", "-b:a", "96k"]
CLIP_SECONDS = 20


@attrs.frozen
class Clip:
    """What is published: what players need first, and a round of media with timestamps from 0."""

    first: tuple[Tag, ...]
    media: tuple[Tag, ...]
    #: Milliseconds until the round begins again.
    length: int

    @property
    def bits_per_second(self) -> float:
        """Of the payloads."""
        return sum(len(tag.payload) for tag in self.media) * 8000 / self.length


def make_clip(folder: Path) -> Clip:
    """Encode it with ffmpeg."""
    made = folder / "clip.flv"
    command = ["ffmpeg", "-loglevel", "error", "-y", *CLIP, "-t", str(CLIP_SECONDS), *ENCODE, "-f", "flv", str(made)]
    subprocess.run(command, check=True)
    tags = FLVReader().receive(made.read_bytes())
    first = tuple(tag for tag in tags if tag.kind.is_pinned)
    # What ends a file is no part of a stream that goes on.
    media = tuple(tag for tag in tags if not tag.kind.is_pinned and len(tag.payload) > 5)
    return Clip(first, media, CLIP_SECONDS * 1000)


@attrs.frozen
class Door:
    """Where a server is, and whether it speaks TLS."""

    port: int
    app: str = "live"
    tls: bool = False

    def dial(self, number: int) -> socket.socket:
        """A connection; the kernel's buffers are as a player's."""
        return _load.connect(self.port, source=f"127.0.1.{1 + number % ADDRESSES}")


class Publisher:
    """Sends the clip in real time."""

    def __init__(self, house: House, door: Door, name: str) -> None:
        self.sent = 0
        self._house = house
        self._socket = _load.connect(door.port)
        self._socket.settimeout(PATIENCE)
        self._session = ClientSession(door.app, f"rtmp://127.0.0.1:{door.port}/{door.app}", nonce=os.urandom(16))
        self._session.publish(name)
        self._begin()
        self._socket.setblocking(False)
        self._at = 0
        self._round = 0
        self._rest = b""
        self._began = time.monotonic()
        for tag in house.clip.first:
            self._send(tag, 0)

    def _begin(self) -> None:
        while True:
            if data := self._session.data_to_send():
                self._socket.sendall(data)
            got = self._socket.recv(65536)
            if not got:
                raise Void("the server closed a publisher's connection")
            if any(isinstance(each, PublishStarted) for each in self._session.receive(got, time.monotonic())):
                return

    def due(self) -> float:
        """When its next message is to leave, by `time.monotonic`."""
        clip = self._house.clip
        return self._began + (clip.media[self._at].timestamp + self._round * clip.length) / 1000

    def turn(self, now: float) -> None:
        """Send what is due."""
        clip = self._house.clip
        while self.due() <= now:
            tag = clip.media[self._at]
            self._house.left[hash(tag.payload)] = time.monotonic()
            self._send(tag, tag.timestamp + self._round * clip.length)
            self._at += 1
            if self._at == len(clip.media):
                self._at, self._round = 0, self._round + 1
        try:
            self._socket.recv(65536)  # acknowledgements and pings: a run is shorter than anybody's patience
        except BlockingIOError:
            pass

    def _send(self, tag: Tag, timestamp: int) -> None:
        data = self._rest + self._session.encode_media(tag.type_id, timestamp, tag.payload)
        try:
            taken = self._socket.send(data)
        except BlockingIOError:
            taken = 0
        self._rest = data[taken:]
        self.sent += len(tag.payload)
        if len(self._rest) > 1 << 20:
            raise Void("the server takes nothing from its publisher")

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def _acknowledgement(count: int) -> bytes:
    return encode_message(m.CSID_CONTROL, m.ACKNOWLEDGEMENT, 0, 0, m.u32_payload(count), 128)


def _asking(door: Door, name: str) -> bytes:
    """C2, then connect, createStream and play in one go, as for a server whose answers are known."""

    def command(stream: int, *values: object) -> bytes:
        payload = m.command_payload(*values)  # type: ignore[arg-type]
        return encode_message(m.CSID_COMMAND, m.COMMAND, stream, 0, payload, 128)

    url = f"rtmp://127.0.0.1:{door.port}/{door.app}"
    asked = {"app": door.app, "flashVer": "LNX 9,0,124,2", "tcUrl": url, "fpad": False, "capabilities": 15.0}
    asked |= {"audioCodecs": 4071.0, "videoCodecs": 252.0, "videoFunction": 1.0, "objectEncoding": 0.0}
    window = encode_message(m.CSID_CONTROL, m.WINDOW_ACK_SIZE, 0, 0, m.u32_payload(2_500_000), 128)
    buffer = m.UserControl(m.SET_BUFFER_LENGTH, 1, 1000).payload()
    return b"".join(
        (
            bytes(1536),
            command(0, "connect", 1.0, asked),
            window,
            command(0, "createStream", 2.0, None),
            command(1, "play", 0.0, None, name, -1000.0),
            encode_message(m.CSID_CONTROL, m.USER_CONTROL, 0, 0, buffer, 128),
        )
    )


class Player:
    """One that throws away what it gets.

    Attributes:
        taken: bytes so far, from the server's greeting on.
        began: when it asked to play; playing since: when the first byte behind the greeting and the answers came.
    """

    reads = False
    #: Bytes of answers to what is asked; more than that, and media has come.
    ANSWERS = 2048

    def __init__(self, house: House, door: Door, name: str, number: int) -> None:
        self.house, self.name, self.door = house, name, door
        self.taken = 0
        self.began = time.monotonic()
        self.playing_since: float | None = None
        self.stalled = False
        self.socket = door.dial(number)
        if door.tls:
            self._secure()
        self.socket.setblocking(False)
        self.taken = 0
        self._asked = False
        self._acknowledged = 0
        self._write(b"\x03" + bytes(8) + os.urandom(1528))

    # TLS: a player enciphers what it asks and looks at nothing that comes.

    def _secure(self) -> None:
        self.socket.settimeout(PATIENCE)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = self.house.tls.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        while True:
            try:
                self.tls.do_handshake()
                self.socket.sendall(self.outgoing.read())
                return
            except ssl.SSLWantReadError:
                self.socket.sendall(self.outgoing.read())
                data = self.socket.recv(1 << 16)
                if not data:
                    raise Void("the server closed a connection in its handshake") from None
                self.incoming.write(data)

    def _write(self, data: bytes) -> None:
        if self.door.tls:
            self.tls.write(data)
            data = self.outgoing.read()
        self.socket.send(data)

    def turn(self) -> None:
        """Take what is there."""
        try:
            got = self.socket.recv_into(_SINK, len(_SINK), socket.MSG_TRUNC)
        except BlockingIOError:
            return
        if not got:
            raise Void(f"the server closed a player's connection after {self.taken} bytes")
        self.taken += got
        if not self._asked:
            if self.taken >= _GREETING:
                self._asked = True
                self.began = time.monotonic()
                self._write(_asking(self.door, self.name))
        elif self.playing_since is None:
            if self.taken > _GREETING + self.ANSWERS:
                self.playing_since = time.monotonic()
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, WAKE)
        elif self.taken - self._acknowledged >= ACKNOWLEDGE:
            self._acknowledged = self.taken
            self._write(_acknowledgement(self.taken - _GREETING))

    def arrived(self) -> int:
        """Bytes that have come, taken or not."""
        waiting: int = struct.unpack("i", fcntl.ioctl(self.socket, termios.FIONREAD, bytes(4)))[0]
        return self.taken + waiting

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


class Reader(Player):
    """One that looks at every message.

    Attributes:
        late: seconds from a message's departure to its arrival, while `house.counting`.
        keyframe_after: seconds from asking to play to the first keyframe.
        gaps: how often the timestamps of its pictures leapt by more than a second.
    """

    reads = True

    def __init__(self, house: House, door: Door, name: str, number: int) -> None:
        super().__init__(house, door, name, number)
        self.late: list[float] = []
        self.keyframe_after: float | None = None
        self.gaps = 0
        self._newest: int | None = None
        url = f"rtmp://127.0.0.1:{door.port}/{door.app}"
        self._session = ClientSession(door.app, url, nonce=os.urandom(16), schema=None)
        self._session.play(name, start=-1, buffer_ms=1000)
        super()._write(self._session.data_to_send())

    def _write(self, data: bytes) -> None:
        """What a `Player` says by rote, a session says by itself."""

    def turn(self) -> None:
        try:
            if said := self._session.data_to_send():
                super()._write(said)
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        if not data:
            raise Void(f"the server closed a player's connection after {self.taken} bytes")
        now = time.monotonic()
        self.taken += len(data)
        for event in self._session.receive(data, now):
            if isinstance(event, Media):
                self._media(event, now)
        if said := self._session.data_to_send():
            super()._write(said)

    def _media(self, media: Media, now: float) -> None:
        kind = classify(media.type_id, media.payload)
        if kind.is_pinned:
            return
        if media.type_id == m.VIDEO:
            if self.keyframe_after is None and kind.is_keyframe:
                self.keyframe_after = now - self.began
                self.playing_since = now
            if self._newest is not None and media.timestamp - self._newest > 1000:
                self.gaps += 1
            self._newest = media.timestamp
        # What came before the window was a burst for who joins, and is as old as it must be.
        if self.house.counting and (left := self.house.left.get(hash(media.payload))) is not None:
            self.late.append(now - left)


@attrs.define(eq=False)
class House:
    """All publishers and players of a measurement, and the loop that gives each its turn."""

    clip: Clip
    tls: ssl.SSLContext
    #: When each message left last, by the hash of its payload.
    left: dict[int, float] = attrs.Factory(dict)
    publishers: list[Publisher] = attrs.Factory(list)
    players: list[Player] = attrs.Factory(list)
    counting: bool = False
    #: Whether players may be hung up on: where that is no fault, it is the end of that player.
    patient: bool = False
    _poll: select.epoll = attrs.Factory(select.epoll)
    _by_number: dict[int, Player] = attrs.Factory(dict)
    _due: list[tuple[float, int]] = attrs.Factory(list)

    def publish(self, door: Door, name: str) -> Publisher:
        """Begin to publish."""
        made = Publisher(self, door, name)
        self.publishers.append(made)
        heapq.heappush(self._due, (made.due(), len(self.publishers) - 1))
        return made

    def join(self, door: Door, name: str, *, reads: bool | None = None) -> Player:
        """One player more; every `READ`th reads."""
        number = len(self.players)
        wanted = number % READ == 0 if reads is None else reads
        made = (Reader if wanted and not door.tls else Player)(self, door, name, number)
        self.players.append(made)
        self._by_number[made.socket.fileno()] = made
        self._poll.register(made.socket, select.EPOLLIN)
        return made

    def unpublish(self, publisher: Publisher) -> None:
        """Hang up a publisher, in the middle of whatever it was sending."""
        publisher.close()
        self._due = [each for each in self._due if self.publishers[each[1]] is not publisher]
        heapq.heapify(self._due)

    def leave(self, player: Player) -> None:
        """Hang up a player."""
        self.players.remove(player)
        self._by_number.pop(player.socket.fileno(), None)
        player.close()

    @property
    def readers(self) -> list[Reader]:
        """Those who look."""
        return [each for each in self.players if isinstance(each, Reader)]

    def stall(self, players: Sequence[Player]) -> None:
        """These take nothing from now on."""
        for each in players:
            each.stalled = True
            self._poll.unregister(each.socket)

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Give turns for so long, or until something holds; publishers first."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end and not until():
            while self._due and self._due[0][0] <= now:
                _, number = heapq.heappop(self._due)
                self.publishers[number].turn(now)
                heapq.heappush(self._due, (self.publishers[number].due(), number))
            wait = min(end, self._due[0][0] if self._due else end) - time.monotonic()
            for number, _ in self._poll.poll(max(0.0, min(wait, 0.05)), TURN):
                self._turn(number)

    def _turn(self, number: int) -> None:
        player = self._by_number.get(number)
        if player is None:  # it has left since
            return
        try:
            player.turn()
        except (Void, OSError):
            if not self.patient:
                raise
            self._poll.unregister(player.socket)

    def join_all(self, door: Door, names: Sequence[str], players: int, *, per_second: float = 2000.0) -> None:
        """So many players more, at a pace, over all the streams in turn; until all play."""
        first, began = len(self.players), time.monotonic()
        while (more := len(self.players) - first) < players:
            if more <= (time.monotonic() - began) * per_second:
                self.join(door, names[more % len(names)])
            self.run(0.0005 if more % 4 == 0 else 0.0)
        self.run(20, lambda: all(each.playing_since for each in self.players[first:]))
        if missing := sum(each.playing_since is None for each in self.players[first:]):
            raise Void(f"{missing} of {players} players got nothing")

    def close(self) -> None:
        """Hang up everywhere."""
        for each in (*self.players, *self.publishers):
            each.close()
        self._poll.close()
