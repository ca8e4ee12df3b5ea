"""Rows of memory: a long live run through a small budget, idle connections, viewers that stop reading.

Memory has three parts, and RSS shows one: what the process has for itself, the blocks of its memfds, and what
the kernel holds for its sockets.  The last is read by `ss -m` and counts what was sent by sendfile from a
memfd a second time, so that the sum errs upwards.
"""

from __future__ import annotations

import select
import time
from contextlib import ExitStack

import attrs

from benchmarks import _load, _load_tls
from benchmarks._figures import Bench, Figure, Goal, Row, Sample
from benchmarks._load import Taker
from benchmarks._origin import SEGMENT
from benchmarks._peers import Peer
from benchmarks._procs import cpu_seconds, resident_bytes, socket_bytes
from tierkit.night._outside import memfd_bytes

MB, KIB = 1e6, 1024
#: Row 8: how much comes from the origin, in how many streams, and who watches.
VOLUME, STREAMS, FAST, SLOW = 10_000_000_000, 8, 2, 100
BUDGET = 256 << 20
#: A slow viewer takes this much each time that we look, ten times a second: 1.3 Mbit/s.
SIP = 16_384
IDLE, STALLED, ENCRYPTED, TAKEN = 6000, 500, 300, 1_000_000
#: They come from several addresses: servers bound what one may open (tierkit: 4,000).
ADDRESSES = 4
#: A receive buffer for those who stall, so that the rest is the server's to keep.
NARROW = 65_536


@attrs.define
class Peak:
    """The most that a process had, in all three parts at once."""

    peer: Peer
    origin: int
    parts: dict[str, float] = attrs.Factory(dict)
    due: float = 0.0

    def look(self, every: float = 0.2) -> None:
        """Measure, where the last time is a while ago."""
        if (now := time.monotonic()) < self.due:
            return
        pid = self.peer.pid
        # What is mapped of a memfd is among its blocks already.
        resident = resident_bytes(pid) - resident_bytes(pid, "Pss_Shmem")
        kernel = socket_bytes(self.peer.port) + socket_bytes(self.origin, side="dport")
        found = {"resident": resident / MB, "memfds": memfd_bytes(pid) / MB, "sockets": kernel / MB}
        found["peak"] = sum(found.values())
        self.parts = max(self.parts, found, key=lambda parts: parts.get("peak", 0.0))
        self.due = time.monotonic() + every + (time.monotonic() - now)


def through_budget() -> Row:
    """Live segments, each fetched once and watched by some, far more than the cache may hold."""

    def run(peer: Peer, bench: Bench) -> Sample:
        volume = VOLUME // 10 if bench.quick else VOLUME
        before = cpu_seconds(peer.pid)
        peak = Peak(peer, bench.origin)
        fetched = _watch(peer.port, volume // SEGMENT // STREAMS, peak)
        return {**peak.parts, "gb": fetched * SEGMENT / 1e9, "cpu": cpu_seconds(peer.pid) - before}

    what = f"{VOLUME / 1e9:.0f} GB of live segments through {BUDGET >> 20} MiB"
    figures = (
        Figure("peak", f"{what}: peak of memory, memfds and sockets, MB", (Goal(450, at_least=False),)),
        Figure("resident", "of that: resident, MB"),
        Figure("memfds", "of that: blocks of memfds, MB"),
        Figure("sockets", "of that: the kernel for its sockets, MB"),
        Figure("gb", "fetched, GB"),
    )
    return Row("budget", run, figures, ("tierkit",), fresh=True, options=(f"cache_bytes={BUDGET}",))


def _watch(port: int, segments: int, peak: Peak) -> int:
    """Viewers of streams from their first segment to their last; how many segments there were."""
    with ExitStack() as stack:
        poll = stack.enter_context(select.epoll())
        fast: dict[int, Taker] = {}
        for stream in range(STREAMS):
            paths = [f"/seg/{stream}-{number}.ts" for number in range(segments)]
            for _ in range(FAST):
                taker = Taker(port, paths, 0)
                stack.callback(taker.socket.close)
                fast[taker.socket.fileno()] = taker
                poll.register(taker.socket, select.EPOLLIN)
        slow = [_Slow(port, fast, number) for number in range(SLOW)]
        for viewer in slow:
            stack.callback(viewer.taker.socket.close)
        sip = 0.0
        while fast:
            for number, _ in poll.poll(0.1):
                if fast[number].take() and fast[number].next > segments:
                    poll.unregister(number)
                    del fast[number]
            if (now := time.monotonic()) >= sip:
                sip = now + 0.1
                for viewer in slow:
                    viewer.sip()
            peak.look()
    return segments * STREAMS


class _Slow:
    """A viewer of the newest segment whose line is narrow."""

    def __init__(self, port: int, fast: dict[int, Taker], number: int) -> None:
        leader = list(fast.values())[number % len(fast)]
        self.taker = Taker(port, [], 0, NARROW, lambda: leader.requests[min(leader.next, len(leader.requests)) - 1])

    def sip(self) -> None:
        """Take a little."""
        self.taker.take(SIP)


def idle_connections(connections: int = IDLE) -> Row:
    """Keep-alive connections that have asked for one playlist each and rest."""

    def run(peer: Peer, bench: Bench) -> Sample:
        amount = connections // 10 if bench.quick else connections
        with ExitStack() as stack:
            _open_idle(stack, peer.port, 20)
            first = resident_bytes(peer.pid, "Pss_Anon")
            _open_idle(stack, peer.port, amount)
            time.sleep(1)
            return {"memory": (resident_bytes(peer.pid, "Pss_Anon") - first) / amount / KIB}

    title = f"idle keep-alive connections, {connections:,}: user space of each, KiB"
    return Row("idle", run, (Figure("memory", title, (Goal(8, at_least=False),)),), fresh=True)


def _open_idle(stack: ExitStack, port: int, amount: int) -> None:
    request = _load.get("/vod/1.m3u8", port)
    for number in range(amount):
        client = stack.enter_context(_load.connect(port, source=f"127.0.0.{2 + number % ADDRESSES}"))
        client.settimeout(20)
        client.sendall(request)
        data = client.recv(8192)
        head, body = _load.parse_head(data)
        while len(data) < head + body:
            data += client.recv(8192)


def stalled_viewers(viewers: int = STALLED) -> Row:
    """Viewers who stop reading in the middle of 16 MB."""

    def run(peer: Peer, bench: Bench) -> Sample:
        amount = viewers // 10 if bench.quick else viewers
        _load.fetch(peer.port, "/big/1.ts")
        with ExitStack() as stack:
            first = resident_bytes(peer.pid, "Pss_Anon")
            for _ in range(amount):
                client = stack.enter_context(_load.connect(peer.port, NARROW))
                client.settimeout(20)
                client.sendall(_load.get("/big/1.ts", peer.port))
                taken = 0
                while taken < TAKEN:
                    taken += len(client.recv(1 << 16))
            time.sleep(2)
            grown = resident_bytes(peer.pid, "Pss_Anon") - first
            return {"memory": grown / amount / KIB, "kernel": socket_bytes(peer.port) / amount / KIB}

    figures = (
        Figure("memory", f"stalled in 16 MB, {viewers} viewers: user space of each, KiB", (Goal(30, at_least=False),)),
        Figure("kernel", "the same: the kernel's buffers of each, KiB"),
    )
    return Row("stalled", run, figures, fresh=True)


def tls_viewers(viewers: int = ENCRYPTED) -> Row:
    """Viewers in the middle of 16 MB by TLS, whose line is what holds them up."""

    def run(peer: Peer, bench: Bench) -> Sample:
        assert peer.tls is not None
        amount = viewers // 10 if bench.quick else viewers
        _load.fetch(peer.port, "/big/1.ts")
        with ExitStack() as stack:
            # What TLS costs once is not what a connection costs.
            _open_tls(stack, peer.tls, 20)
            first = resident_bytes(peer.pid, "Pss_Anon")
            _open_tls(stack, peer.tls, amount)
            time.sleep(2)
            return {"memory": (resident_bytes(peer.pid, "Pss_Anon") - first) / amount / KIB}

    title = f"HTTPS, {viewers} viewers in the middle of 16 MB: user space of each, KiB"
    figures = (Figure("memory", title, (Goal(60, at_least=False),)),)
    return Row("tls-memory", run, figures, ("tierkit", "nginx"), fresh=True)


def _open_tls(stack: ExitStack, port: int, amount: int) -> None:
    for taker in _load_tls.open_takers(stack, port, ["/vod/1.m3u8", "/big/1.ts"], amount, same=True).values():
        taker.ask()
        taken = 0
        taker.socket.settimeout(20)
        while taken < TAKEN:
            taken += len(taker.socket.recv(1 << 16))


ROWS = {
    "8": (through_budget(),),
    "9": (idle_connections(),),
    "10": (stalled_viewers(),),
}
