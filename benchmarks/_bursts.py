"""Rows of many viewers at one moment: a cold segment that is still being emitted, and an expired playlist."""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack

import attrs

from benchmarks import _load
from benchmarks._figures import Bench, Figure, Goal, Row, Sample
from benchmarks._origin import EMISSION, FRESH, SEGMENT
from benchmarks._peers import Peer
from benchmarks._procs import Void

VIEWERS = 1000
#: Seconds between two looks at a viewer that has its first byte: what it then takes is not timed, and one
#: look for many pieces leaves the load's core to those that still wait.
LOOK = 0.05
#: Seconds after which a viewer that has not got everything is told as an error.
PATIENCE = 15.0
_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


@attrs.define(eq=False)
class Viewer:
    """One viewer: when it asks, when it had the first byte of a body, and how much it has."""

    socket: socket.socket
    due: float
    asked: float = 0.0
    first: float = 0.0
    head: bytes = b""
    left: int = -1
    chunked: bool = False
    tail: bytes = b""

    def begin(self, request: bytes) -> None:
        """Ask."""
        self.asked = time.monotonic()
        self.socket.send(request)

    def wait(self) -> bool:
        """Something has come; whether the first byte of the body is among it."""
        data = self.socket.recv(65536)
        if not data:
            raise Void("a viewer was cut off before the first byte")
        self.head += data
        head, end, body = self.head.partition(_HEAD_END)
        if not end or not body:
            return False
        if not head.startswith(b"HTTP/1.1 200"):
            raise Void(f"a viewer was refused: {head[:200]!r}")
        self.first = time.monotonic() - self.asked
        self._expect(head + b"\r\n", body)
        return True

    def _expect(self, head: bytes, body: bytes) -> None:
        length = re.search(rb"\r\ncontent-length: *([0-9]+)\r\n", head, re.IGNORECASE)
        self.chunked = length is None
        self.left = int(length.group(1)) if length else 1
        self._count(body)

    def _count(self, data: bytes) -> None:
        """Of a chunked body the framing is not known beforehand: the end is its last chunk."""
        self.tail = (self.tail + data[-5:])[-5:]
        self.left = (self.tail != _LAST_CHUNK) if self.chunked else self.left - len(data)

    def rest(self) -> bool:
        """Take what is there; whether that was all."""
        while self.left > 0:
            try:
                data = self.socket.recv(1 << 18)
            except BlockingIOError:
                return False
            if not data:
                raise Void("a viewer was cut off in the middle of a body")
            self._count(data)
        return True


def crowd(port: int, request: bytes, arrivals: Sequence[float]) -> list[float]:
    """Viewers who connect beforehand and ask when their time comes; seconds to each one's first body byte."""
    with ExitStack() as stack:
        poll = stack.enter_context(select.epoll())
        viewers = {}
        for due in arrivals:
            viewer = Viewer(stack.enter_context(_load.connect(port)), due)
            viewer.socket.setblocking(False)
            viewers[viewer.socket.fileno()] = viewer
            poll.register(viewer.socket, select.EPOLLIN)
        _play(poll, viewers, request)
        return [viewer.first for viewer in viewers.values()]


def _play(poll: select.epoll, viewers: dict[int, Viewer], request: bytes) -> None:
    coming = sorted(viewers.values(), key=lambda viewer: -viewer.due)
    started, look = time.monotonic(), 0.0
    reading: list[Viewer] = []
    unserved = len(viewers)
    while unserved or reading:
        now = time.monotonic() - started
        if now > PATIENCE:
            raise Void(f"after {PATIENCE:.0f} s {unserved} viewers wait and {len(reading)} are not through")
        while coming and coming[-1].due <= now:
            coming.pop().begin(request)
        for number, _ in poll.poll(0.002 if coming else LOOK):
            if viewers[number].wait():
                poll.unregister(number)
                reading.append(viewers[number])
                unserved -= 1
        if now >= look:
            look = now + LOOK
            reading = [viewer for viewer in reading if not viewer.rest()]


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def cold_segment(viewers: int = VIEWERS) -> Row:
    """Viewers arrive evenly while the origin emits the segment; the first of them makes the one request."""

    def run(peer: Peer, bench: Bench) -> Sample:
        path = f"/slow/{peer.name}-{bench.repetition}.ts"
        arrivals = [0.95 * EMISSION * number / viewers for number in range(viewers)]
        with _load.metered(peer.pid) as cost:
            first = crowd(peer.port, _load.get(path, peer.port), arrivals)
        late = first[viewers // 20 :]  # those who come after a tenth of a second: something is there for them
        return {
            "requests": _load.counts(bench.origin)[path],
            "p50": 1000 * quantile(late, 0.5),
            "p99": 1000 * quantile(late, 0.99),
            "cpu": cost[1],
        }

    what = f"cold segment, {SEGMENT // 1000} KB in {EMISSION:.0f} s, {viewers:,} viewers arriving meanwhile"
    figures = (
        Figure("requests", f"{what}: origin requests", (Goal(1, at_least=False),)),
        Figure("p50", "the same: a late joiner's first byte, median, ms"),
        Figure("p99", "the same: a late joiner's first byte, p99, ms", (Goal(50, at_least=False),)),
        Figure("cpu", "the same: CPU-seconds in all", (Goal(1, at_least=False),)),
    )
    return Row("cold", run, figures)


def expired_playlist(viewers: int = VIEWERS) -> Row:
    """All ask at once for a playlist that is stale but may be served while one request looks for the new one."""

    def run(peer: Peer, bench: Bench) -> Sample:
        path = f"/live/{peer.name}-{bench.repetition}.m3u8"
        _load.fetch(peer.port, path)
        before = _load.counts(bench.origin)[path]
        # nginx counts in whole seconds; a moment more, and tierkit no longer serves the stale one.
        time.sleep(FRESH + 1.2)
        with _load.metered(peer.pid) as cost:
            first = crowd(peer.port, _load.get(path, peer.port), [0.0] * viewers)
        time.sleep(0.2)
        return {
            "requests": _load.counts(bench.origin)[path] - before,
            "p50": 1000 * quantile(first, 0.5),
            "p99": 1000 * quantile(first, 0.99),
            "most": 1000 * max(first),
            "cpu": cost[1],
        }

    what = f"expired playlist, {viewers:,} viewers at once, origin answers after 0.5 s"
    figures = (
        Figure("requests", f"{what}: origin requests", (Goal(1, at_least=False),)),
        Figure("p50", "the same: first byte, median, ms"),
        Figure("p99", "the same: first byte, p99, ms"),
        Figure("most", "the same: first byte of the last, ms", (Goal(500, at_least=False),)),
    )
    return Row("expired", run, figures)


ROWS = {"6": (cold_segment(),), "7": (expired_playlist(),)}
