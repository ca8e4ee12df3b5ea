"""The origin of the benchmarks: deterministic objects, emitted slowly on request, each request counted.

    python -m benchmarks._origin

One thread and epoll, because it shares its core with the load; it prints its port and serves until it is
ended.  What it has, by the first part of the path (any name may follow):

| path | what |
|---|---|
| /seg/ | a segment of 750 KB, fresh for an hour |
| /big/ | 16 MB, fresh for an hour |
| /vod/ | a finished playlist of 0.5 KB, fresh for an hour |
| /live/ | a live playlist of target duration 4 (fresh for 2 s), answered after half a second |
| /slow/ | a segment of 750 KB, chunked, in 100 pieces over two seconds |
| /pass/ | 20 KB, `Cache-Control: private` |
| /count | how often each path was asked for so far, JSON |
"""

from __future__ import annotations

import heapq
import itertools
import json
import random
import re
import select
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator

SEGMENT, BIG, PRIVATE = 750_000, 16_000_000, 20_000
#: Seconds that a slow segment takes, its pieces, and the delay of a live playlist.
EMISSION, PIECES, DELAY = 2.0, 100, 0.5
#: Seconds for which a live playlist of `TARGET` is fresh, by what the origin says and by half its target.
TARGET, FRESH = 4, 2
_GET = re.compile(rb"GET (?:http://[^/ ]+)?(/[^ ?]*)(?:\?[^ ]*)? HTTP/1\.1\r\n")

#: What is sent: bytes, each with the seconds to wait before it.
Plan = list[tuple[float, bytes]]


def head(length: int | None, control: str, kind: str) -> bytes:
    """A response head; chunked where there is no length."""
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return (
        f"HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: {kind}\r\n{framing}\r\n"
        f"Last-Modified: Sat, 23 Nov 2013 10:00:00 GMT\r\nCache-Control: {control}\r\n\r\n"
    ).encode()


def playlist(*, live: bool, length: int = 500) -> bytes:
    """A media playlist of about `length` bytes."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{TARGET}", "#EXT-X-MEDIA-SEQUENCE:100"]
    number = 100
    while len("\n".join(lines)) < length - 30:
        lines += [f"#EXTINF:{TARGET}.000,", f"media_w1234567_{number}.ts"]
        number += 1
    return "\n".join([*lines, *([] if live else ["#EXT-X-ENDLIST"]), ""]).encode()


def objects(seed: int = 2013) -> dict[bytes, Plan]:
    """What is served, by the first part of the path."""
    body = random.Random(seed).randbytes(BIG)
    hour, video, text = "public, max-age=3600", "video/mp2t", "application/vnd.apple.mpegurl"
    piece = SEGMENT // PIECES
    pieces = [body[at : at + piece] for at in range(0, SEGMENT, piece)]
    chunks = [b"%x\r\n%b\r\n" % (len(each), each) for each in pieces]
    chunks[-1] += b"0\r\n\r\n"
    finished, live = playlist(live=False), playlist(live=True)
    return {
        b"seg": [(0.0, head(SEGMENT, hour, video) + body[:SEGMENT])],
        b"big": [(0.0, head(BIG, hour, video) + body)],
        b"vod": [(0.0, head(len(finished), hour, text) + finished)],
        b"live": [(DELAY, head(len(live), f"public, max-age={FRESH}", text) + live)],
        b"slow": [(0.0, head(None, hour, video)), *((EMISSION / PIECES, each) for each in chunks)],
        b"pass": [(0.0, head(PRIVATE, "private", "application/octet-stream") + body[:PRIVATE])],
    }


class Origin:
    """Connections, what is still to be sent on each, and when."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.served = objects()
        self.counts: Counter[str] = Counter()
        self.poll = select.epoll()
        self.poll.register(listener, select.EPOLLIN)
        self.open: dict[int, socket.socket] = {}
        self.asked: dict[int, bytes] = {}
        self.unsent: dict[int, list[memoryview]] = {}
        self.blocked: set[int] = set()
        self.later: list[tuple[float, int, int, socket.socket, bytes]] = []
        self.order = itertools.count()

    def run(self) -> None:
        """Serve until the process is ended."""
        while True:
            wait = max(0.0, self.later[0][0] - time.monotonic()) if self.later else -1
            for number, event in self.poll.poll(wait):
                if number == self.listener.fileno():
                    self._accept()
                elif number in self.open:
                    self._ready(number, event)
            self._due(time.monotonic())

    def _accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.open[connection.fileno()] = connection
        self.asked[connection.fileno()] = b""
        self.poll.register(connection, select.EPOLLIN)

    def _ready(self, number: int, event: int) -> None:
        if event & select.EPOLLOUT:
            self._flush(number)
        if number not in self.open or not event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            return
        try:
            data = self.open[number].recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(number)
            return
        *requests, self.asked[number] = (self.asked[number] + data).split(b"\r\n\r\n")
        for request in requests:
            self._answer(number, request + b"\r\n")

    def _answer(self, number: int, request: bytes) -> None:
        found = _GET.match(request)
        path = found.group(1) if found else b"/"
        if path == b"/count":
            told = json.dumps(self.counts).encode()
            plan: Iterable[tuple[float, bytes]] = [(0.0, head(len(told), "no-store", "application/json") + told)]
        else:
            self.counts[path.decode("latin-1")] += 1
            missing = [(0.0, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")]
            plan = self.served.get(path.split(b"/")[1], missing)
        self._follow(number, plan)

    def _follow(self, number: int, plan: Iterable[tuple[float, bytes]]) -> None:
        now = due = time.monotonic()
        for delay, data in plan:
            due += delay
            if due > now:
                heapq.heappush(self.later, (due, next(self.order), number, self.open[number], data))
            else:
                self._send(number, data)

    def _due(self, now: float) -> None:
        while self.later and self.later[0][0] <= now:
            _, _, number, connection, data = heapq.heappop(self.later)
            if self.open.get(number) is connection:  # else it has gone, and its number may be another's
                self._send(number, data)

    def _send(self, number: int, data: bytes) -> None:
        waiting = self.unsent.setdefault(number, [])
        waiting.append(memoryview(data))
        if len(waiting) == 1:
            self._flush(number)

    def _flush(self, number: int) -> None:
        waiting = self.unsent.get(number, [])
        try:
            while waiting:
                sent = self.open[number].send(waiting[0])
                waiting[0] = waiting[0][sent:]
                if not waiting[0]:
                    waiting.pop(0)
        except BlockingIOError:
            self._watch(number, writable=True)
        except OSError:
            self._drop(number)
        else:
            self._watch(number, writable=False)

    def _watch(self, number: int, *, writable: bool) -> None:
        if writable != (number in self.blocked):
            self.poll.modify(number, select.EPOLLIN | (select.EPOLLOUT if writable else 0))
            (self.blocked.add if writable else self.blocked.discard)(number)

    def _drop(self, number: int) -> None:
        self.poll.unregister(number)
        self.unsent.pop(number, None)
        self.blocked.discard(number)
        del self.asked[number]
        self.open.pop(number).close()


def names(kind: str, count: int, ending: str) -> Iterator[str]:
    """Paths of one kind."""
    return (f"/{kind}/{number}{ending}" for number in range(count))


def main() -> None:
    """Listen, say where, serve."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        listener.setblocking(False)
        print(listener.getsockname()[1], flush=True)
        Origin(listener).run()


if __name__ == "__main__":
    main()
