"""Reading along on a connection that somebody else forwards: HTTP/1.1 and RTMP, without I/O.

HTTP rests on h11, which has been fed by two peers here instead of one: a server's view of what the client sends, and
a client's view of what the server sends.  Their other halves are played from what was seen, so that answers are
framed by their requests (HEAD has no body, however long its Content-Length).
"""

from __future__ import annotations

from collections import deque
from hashlib import sha256
from typing import Any, Protocol

import h11
from attrs import define, field

from tierkit.codecs import rtmp_message as m
from tierkit.codecs.rtmp_chunk import ChunkReader
from tierkit.errors import RemoteProtocolError

__all__ = ["Exchange", "Sniffer"]

#: C0 or C1, then S1 and S2 (RTMP specification section 5.2): nothing of it is read.
_HANDSHAKE = 1 + 2 * 1536
_RTMP_VERSION = 3


@define(eq=False)
class Exchange:
    """One request and its answer."""

    method: str
    target: str
    #: Field names in lower case; of repeated ones the last.
    headers: dict[str, str] = field(factory=dict, repr=False)
    #: 0 until the answer has begun.
    status: int = 0
    #: Bytes of the answer's body so far, and their SHA-256 in hexadecimal once it is whole.
    size: int = 0
    sha256: str = ""

    @property
    def line(self) -> str:
        """As in a log: method and target."""
        return f"{self.method} {self.target}"


class _Log(Protocol):
    protocol: str
    sent: int
    received: int
    requests: list[Exchange]
    plays: list[str]
    publishes: list[str]
    problem: str
    open: bool


class _Reader(Protocol):
    def feed(self, data: bytes, *, up: bool) -> None: ...

    def end(self, *, up: bool) -> None: ...


class Sniffer:
    """Feed it both directions; it writes down what it understands."""

    def __init__(self, log: _Log) -> None:
        self._log = log
        self._reader: _Reader | None = None

    def feed(self, data: bytes, *, up: bool) -> None:
        """Bytes of the client (`up`) or of the server; never raises."""
        if up:
            self._log.sent += len(data)
        else:
            self._log.received += len(data)
        if self._reader is None and not self._log.problem:
            if not up:
                self._fail("the server speaks first")
                return
            rtmp = data[0] == _RTMP_VERSION
            self._log.protocol = "rtmp" if rtmp else "http"
            self._reader = _Rtmp(self._log) if rtmp else _Http(self._log)
        self._guard(data, up)

    def end(self, *, up: bool) -> None:
        """No more bytes come from there."""
        self._guard(b"", up)

    def _guard(self, data: bytes, up: bool) -> None:
        if self._reader is None:
            return
        try:
            if data:
                self._reader.feed(data, up=up)
            else:
                self._reader.end(up=up)
        except (h11.RemoteProtocolError, h11.LocalProtocolError, RemoteProtocolError) as error:
            self._fail(str(error))

    def _fail(self, problem: str) -> None:
        self._log.problem = problem
        self._reader = None


class _Http:
    def __init__(self, log: _Log) -> None:
        self._log = log
        self._asked = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        self._answers = bytearray()
        self._waiting: deque[tuple[Exchange, h11.Request]] = deque()
        self._current: tuple[Exchange, h11.Connection, Any] | None = None

    def feed(self, data: bytes, *, up: bool) -> None:
        if up:
            self._asked.receive_data(data)
            self._requests()
        else:
            self._answers += data
            self._responses(ended=False)

    def end(self, *, up: bool) -> None:
        if not up:
            self._responses(ended=True)

    def _requests(self) -> None:
        while True:
            event = self._asked.next_event()
            if event is h11.PAUSED:
                # One whole request is behind us.  Answer it on paper, so that h11 goes on to the next.
                if self._asked.our_state is h11.SEND_RESPONSE:
                    self._asked.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                    self._asked.send(h11.EndOfMessage())
                if self._asked.our_state is not h11.DONE or self._asked.their_state is not h11.DONE:
                    return
                self._asked.start_next_cycle()
            elif isinstance(event, h11.Request):
                exchange = Exchange(
                    event.method.decode("ascii"),
                    event.target.decode("ascii"),
                    {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers},
                )
                self._log.requests.append(exchange)
                self._waiting.append((exchange, event))
            elif isinstance(event, h11.EndOfMessage):
                self._asked.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                self._asked.send(h11.EndOfMessage())
                if self._asked.our_state is not h11.DONE:
                    return
                self._asked.start_next_cycle()
            elif event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return

    def _responses(self, *, ended: bool) -> None:
        while self._answers or ended:
            if self._current is None:
                if not self._waiting:
                    return
                self._current = self._begin(*self._waiting.popleft())
            exchange, connection, digest = self._current
            if self._answers:
                connection.receive_data(bytes(self._answers))
                self._answers.clear()
            if ended:
                connection.receive_data(b"")
            if not self._body(exchange, connection, digest):
                return
            exchange.sha256 = digest.hexdigest()
            self._answers += connection.trailing_data[0]
            self._current = None
            if ended and not self._answers:
                return

    def _begin(self, exchange: Exchange, request: h11.Request) -> tuple[Exchange, h11.Connection, Any]:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
        # Method and version decide how the answer is framed; its own body has gone the other way.
        headers = [("host", "-"), ("content-length", "0")]
        connection.send(h11.Request(method=request.method, target=request.target, headers=headers))
        connection.send(h11.EndOfMessage())
        return exchange, connection, sha256()

    def _body(self, exchange: Exchange, connection: h11.Connection, digest: Any) -> bool:
        """Whether the answer is whole."""
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                exchange.status = event.status_code
            elif isinstance(event, h11.Data):
                exchange.size += len(event.data)
                digest.update(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return True
            elif event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return False


class _Rtmp:
    def __init__(self, log: _Log) -> None:
        self._log = log
        self._skip = _HANDSHAKE
        self._reader = ChunkReader()
        self._app = ""

    def feed(self, data: bytes, *, up: bool) -> None:
        if not up:
            return
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        self._reader.feed(data[skipped:])
        while (message := self._reader.next_message()) is not None:
            if message.type_id in (m.COMMAND, m.COMMAND_AMF3):
                self._command(m.Command.decode(message))

    def end(self, *, up: bool) -> None:
        pass

    def _command(self, command: m.Command) -> None:
        if command.name == "connect" and isinstance(command.object, dict):
            self._app = str(command.object.get("app", ""))
        elif command.name in ("play", "publish"):
            names = self._log.plays if command.name == "play" else self._log.publishes
            names.append(f"{self._app}/{command.arg(0, '')}")
