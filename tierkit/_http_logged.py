"""What HTTP has asked of us, as lines of an access log.

Without a log nothing of this is called.  With one, an answer at hand costs a counter; where its turn has come, an
object that knows when all of it has left (one that a viewer takes a minute for is logged with that minute), and a note.
Heads are read for what a line tells of them later, by the thread that writes.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from functools import partial

import trio
from attrs import define

from ._accesslog import AccessRecorder, Shape
from ._http_ready import Held, Ready
from ._ports import Connection
from .codecs.access_line import Entry, request_id_in

__all__ = ["REQUEST_ID", "Log", "new_request_id"]

#: The field that an id travels in, from tier to tier.
REQUEST_ID = b"x-request-id"
#: What stands for a request that was not understood.
ODD = "-"

_FIELD = re.compile(rb"\r\n(user-agent|referer|x-request-id):[ \t]*([^\r\n]*)", re.IGNORECASE)


def new_request_id() -> str:
    """An id for a request that came with none: 64 bits of chance, 16 characters."""
    return os.urandom(8).hex()


class Log:
    """One connection's."""

    __slots__ = ("_connection", "_recorder")

    def __init__(self, recorder: AccessRecorder, connection: Connection) -> None:
        self._recorder = recorder
        self._connection = connection

    @property
    def _where(self) -> tuple[str, str]:
        """Whom it is with, as a PROXY header has told, and by which scheme."""
        connection = self._connection
        scheme = connection.door.scheme if connection.door is not None else "https" if connection.secure else "http"
        return connection.peer.host, scheme

    def at_hand(self, quick: Callable[[bytes], Ready | None]) -> Callable[[bytes], Ready | None]:
        """`quick`, whose answers are logged once they have left."""
        recorder = self._recorder

        def logged(data: bytes) -> Ready | None:
            ready = quick(data)
            if ready is None or not recorder.due():
                return ready
            tell = partial(self._note_ready, data, ready.data[9:12])
            return _LoggedReady(ready.data, ready.body, ready.count, ready.offset, ready.held, tell)

        return logged

    def _note_ready(self, data: bytes, status: bytes, sent: int, began: float) -> None:
        seconds = trio.current_time() - began if began else 0.0
        self._recorder.note(partial(_entry_of_head, data, *self._where, int(status), sent, time.time(), seconds))

    def answered(self, head: Said, status: int, sent: int, began: float) -> None:
        """A request was answered, or as much of that as could be."""
        if self._recorder.due(status):
            now = trio.current_time()
            self._recorder.note(partial(_entry, head, *self._where, status, sent, time.time(), now - began))


@define
class Said:
    """What a request has said, and what became of it."""

    method: str = ODD
    target: str = ODD
    version: str = ODD
    referer: bytes = b""
    agent: bytes = b""
    request_id: str = ""
    outcome: str = ""


def _entry(
    head: Said, host: str, scheme: str, status: int, sent: int, at: float, seconds: float, shape: Shape
) -> Entry:
    return Entry(
        at=at,
        seconds=seconds,
        tier=shape.tier,
        site=shape.site,
        address=shape.address(host),
        scheme=scheme,
        method=head.method,
        target=shape.target(head.target),
        version=head.version,
        status=status,
        bytes_out=sent,
        referer=shape.target(head.referer.decode("latin-1")),
        agent=head.agent.decode("latin-1"),
        cache=head.outcome,
        request_id=head.request_id,
        sample=1 if status >= 500 else shape.sample,
    )


def _entry_of_head(
    data: bytes, host: str, scheme: str, status: int, sent: int, at: float, seconds: float, shape: Shape
) -> Entry:
    """Of a head that `plain_get` has taken: a GET by HTTP/1.1, answered from what is stored."""
    fields = {name.lower(): value.strip(b" \t") for name, value in _FIELD.findall(data)}
    head = Said(
        method="GET",
        target=data[4 : data.index(b" ", 4)].decode("latin-1"),
        version="HTTP/1.1",
        referer=fields.get(b"referer", b""),
        agent=fields.get(b"user-agent", b""),
        request_id=request_id_in(fields.get(REQUEST_ID)),
        outcome="HIT",
    )
    return _entry(head, host, scheme, status, sent, at, seconds, shape)


class _LoggedReady(Ready):
    """An answer at hand that is logged when it has left, or cannot."""

    __slots__ = ("_began", "_sent", "_tell")

    def __init__(self, *parts: object) -> None:
        data, body, count, offset, held, tell = parts
        super().__init__(data, body, count, offset, _Last(self, held))  # type: ignore[arg-type]
        self._tell: Callable[[int, float], None] | None = tell  # type: ignore[assignment]
        self._sent = 0
        self._began = 0.0

    def send_nowait(self, connection: Connection, start: int = 0) -> int:
        try:
            self._sent = super().send_nowait(connection, start)
        except BaseException:
            self.end()
            raise
        if self._sent == self.size:
            self.end()
        elif not self._began:
            self._began = trio.current_time()
        return self._sent

    def end(self) -> None:
        """Nothing more of it will be sent."""
        if (tell := self._tell) is not None:
            self._tell = None
            tell(self._sent, self._began)


class _Last:
    """What holds an answer's bytes, and knows when nobody sends them any more."""

    __slots__ = ("_held", "_ready")

    def __init__(self, ready: _LoggedReady, held: Held | None) -> None:
        self._ready = ready
        self._held = held

    def acquire(self) -> None:
        if self._held is not None:
            self._held.acquire()

    def release(self) -> None:
        if self._held is not None:
            self._held.release()
        self._ready.end()
