"""What the RTMP codec tests share: a writer with every habit, readable transcripts, two sessions back to back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tierkit.codecs import rtmp_message as m
from tierkit.codecs.rtmp_chunk import ChunkReader, Message, encode_message
from tierkit.codecs.rtmp_handshake import SIZE, ClientHandshake
from tierkit.codecs.rtmp_session import ClientSession, ServerSession

DATA = Path(__file__).parent.parent / "data" / "rtmp"
HANDSHAKE = 1 + 2 * SIZE


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def chunk(fmt: int, csid: int, *header: bytes, body: bytes = b"") -> bytes:
    """One chunk, spelt out."""
    assert 2 <= csid <= 63
    return bytes((fmt << 6 | csid,)) + b"".join(header) + body


def u24(value: int) -> bytes:
    return value.to_bytes(3, "big")


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def head0(timestamp: int, length: int, type_id: int, stream_id: int = 1) -> bytes:
    return u24(timestamp) + u24(length) + bytes((type_id,)) + stream_id.to_bytes(4, "little")


def head1(delta: int, length: int, type_id: int) -> bytes:
    return u24(delta) + u24(length) + bytes((type_id,))


def read_all(data: bytes, size: int = 0, **options: Any) -> list[Message]:
    """Everything in `data`, fed in pieces of `size` bytes (0: whole).  Must not leave anything unfinished."""
    reader = ChunkReader(**options)
    out: list[Message] = []
    for piece in pieces(data, size or max(len(data), 1)):
        out += reader.receive(piece)
    if reader.error is not None:
        raise reader.error
    return out


def describe(message: Message) -> str:
    """One line of a transcript: message stream, then what it says."""
    where = f"[{message.stream_id}] "
    kind = message.type_id
    if kind in (m.COMMAND, m.COMMAND_AMF3):
        command = m.Command.decode(message)
        args = ", ".join(_short(value) for value in command.args)
        return where + f"{command.name}#{command.transaction:g}({args})"
    if kind == m.USER_CONTROL:
        event = m.UserControl.decode(message.payload)
        return where + f"user {event.event} {event.value}" + (f" {event.extra}" if event.extra else "")
    if kind in (m.SET_CHUNK_SIZE, m.ABORT, m.ACKNOWLEDGEMENT, m.WINDOW_ACK_SIZE, m.SET_PEER_BANDWIDTH):
        return where + f"control {kind} {m.unpack_u32(message)}"
    if kind in (m.DATA, m.DATA_AMF3):
        return where + f"data {m.data_name(message)}"
    return where + f"type {kind} {len(message.payload)} bytes"


def _short(value: Any) -> str:
    return (
        str(value["code"])
        if isinstance(value, dict) and "code" in value
        else "{}"
        if isinstance(value, dict)
        else repr(value)
    )


def transcript(data: bytes) -> list[str]:
    return [describe(message) for message in read_all(data)]


def command(name: str, transaction: float = 0.0, *args: Any, stream_id: int = 0, chunk_size: int = 128) -> bytes:
    return encode_message(3, m.COMMAND, stream_id, 0, m.command_payload(name, transaction, *args), chunk_size)


def connect(app: str = "live", transaction: float = 1.0, **more: Any) -> bytes:
    said = {"app": app, "tcUrl": f"rtmp://h/{app}", **more}
    return command("connect", transaction, said)


def shaken() -> ServerSession:
    """A server session behind its handshake."""
    session = ServerSession(b"s" * 32)
    list(session.receive(ClientHandshake(b"c" * 32).hello() + bytes(SIZE), 0.0))
    assert len(session.data_to_send()) == HANDSHAKE
    return session


def connected(app: str = "live", **more: Any) -> ServerSession:
    session = shaken()
    for _ in session.receive(connect(app, **more), 0.0):
        session.accept_connect()
    session.data_to_send()
    return session


def listening(session: ServerSession) -> Callable[[], list[str]]:
    """A reader of the transcript of what `session` sends from now on."""
    reader = ChunkReader()
    reader.chunk_size = session.chunk_size

    def heard() -> list[str]:
        return [describe(message) for message in reader.receive(session.data_to_send())]

    return heard


class Pair:
    """A client and a server back to back; `step` is how many bytes move at a time (0: all)."""

    def __init__(self, client: ClientSession, server: ServerSession, step: int = 0) -> None:
        self.client, self.server, self.step = client, server, step
        self.client_events: list[Any] = []
        self.server_events: list[Any] = []

    def run(self, answer: Callable[[ServerSession, Any], None], now: float = 0.0) -> None:
        while True:
            up, down = self.client.data_to_send(), self.server.data_to_send()
            if not up and not down:
                return
            for piece in pieces(up, self.step or max(len(up), 1)):
                for event in self.server.receive(piece, now):
                    self.server_events.append(event)
                    answer(self.server, event)
            for piece in pieces(down, self.step or max(len(down), 1)):
                self.client_events += self.client.receive(piece, now)
