"""A stranger's plugin in one file: MPEG-TS over plain TCP, fanned out.

Encoders and set-top boxes speak it, ffmpeg and VLC play it, and tierkit has never heard of it.  It uses public
names only, and gets what the built-in plugins have: the shared ring, the pump, health of upstreams.

    ffmpeg -re -i FILE -c copy -f mpegts 'tcp://127.0.0.1:9900?listen=1'
    tierkit relay ts tcp://127.0.0.1:9900 --listen 127.0.0.1:9901 --plugin examples/one_file_plugin.py
    ffplay tcp://127.0.0.1:9901

Installed, it needs no --plugin: an entry point in its distribution's pyproject.toml is all.

    [project.entry-points.tierkit]
    ts = "one_file_plugin"
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

import trio
from attrs import field, frozen

from tierkit.events import UpstreamBack, UpstreamLost, ViewerJoined, ViewerLeft
from tierkit.plugin import (
    Candidate,
    Connection,
    ConnectionLost,
    Context,
    FanoutPolicy,
    Figures,
    Node,
    NotServed,
    Pump,
    Running,
    Service,
    UpstreamError,
    hookimpl,
    option,
)

#: An MPEG-TS packet (ISO/IEC 13818-1 section 2.4.3.2): 188 bytes, the first of them 0x47.
PACKET, SYNC = 188, 0x47


@frozen
class TS(Service):
    """MPEG-TS over TCP: pulled once while somebody watches, fanned out to all who do."""

    name: ClassVar[str] = "ts"
    roles: ClassVar = frozenset({"relay"})
    schemes: ClassVar[tuple[str, ...]] = ("tcp",)
    pulls: ClassVar[tuple[str, ...]] = ("tcp",)

    silence: float = option(
        10.0, "Time without a packet after which an upstream counts as failed.", minimum=1, unit="s"
    )

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        """Begin to serve in `tier`."""
        running = _Fan(self, ctx)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(running.pull)
            yield running
            nursery.cancel_scope.cancel()


@frozen(kw_only=True)
class TSStatistics:
    """A TS relay now and so far."""

    #: Players now.
    viewers: int = field(metadata={"merge": "sum"})
    #: Packets received, and bytes that were not part of one.
    packets: int = field(metadata={"merge": "sum"})
    garbage: int = field(metadata={"merge": "sum"})


class _Fan(Running):
    def __init__(self, recipe: TS, ctx: Context) -> None:
        self.recipe = recipe
        self.ctx = ctx
        self.ring = ctx.shared(Pump).ring(FanoutPolicy(), lambda timestamp: b"")
        self.viewers = self.packets = self.garbage = self.upstreams = 0
        self._wanted = trio.Event()

    def statistics(self) -> TSStatistics:
        return TSStatistics(viewers=self.viewers, packets=self.packets, garbage=self.garbage)

    def figures(self) -> Figures:
        return Figures(viewers=self.viewers, upstream_connections=self.upstreams)

    async def handle(self, connection: Connection) -> None:
        connection.settled()  # a player of this protocol says nothing, so there is no request to wait for
        began, peer, scope = self.ctx.clock(), str(connection.peer), trio.CancelScope()
        self.viewers += 1
        self._wanted.set()
        self.ctx.emit(ViewerJoined(peer=peer, stream="/"))
        cursor = self.ring.attach(connection, lambda reason: scope.cancel())
        try:
            with scope:
                while await connection.recv():
                    pass
        finally:
            cursor.detach()
            self.viewers -= 1
            if not self.viewers:
                self._wanted = trio.Event()
            seconds = self.ctx.clock() - began
            self.ctx.emit(ViewerLeft(peer=peer, stream="/", seconds=seconds, bytes_out=cursor.sent))

    async def pull(self) -> None:
        """While somebody watches: one upstream after the other, each after its rest."""
        while True:
            await self._wanted.wait()
            for candidate in self.ctx.upstream.candidates(self.recipe.pulls):
                await trio.sleep(self.ctx.upstream.delay(candidate))
                try:
                    await self._pull_from(candidate)
                except (ConnectionLost, NotServed, UpstreamError) as error:
                    rest = self.ctx.upstream.failed(candidate, str(error))
                    self.ctx.emit(UpstreamLost(upstream=candidate.name, reason=str(error), retry_in=rest))
                    break

    async def _pull_from(self, candidate: Candidate) -> None:
        target = await candidate.source.target("/", self.recipe.pulls)
        connection = await self.ctx.network.connect(target, trust=candidate.trust)
        self.upstreams += 1
        try:
            buffer, first = bytearray(), True
            while self.viewers:
                with trio.move_on_after(self.recipe.silence) as patience:
                    data = await connection.recv()
                if patience.cancelled_caught or not data:
                    raise UpstreamError(candidate.name, "sends nothing" if patience.cancelled_caught else "has ended")
                if first:
                    first = False
                    self.ctx.upstream.succeeded(candidate)
                    self.ctx.emit(UpstreamBack(upstream=candidate.name))
                buffer += data
                self._take(buffer)
        finally:
            self.upstreams -= 1
            self.ring.close_syncs()
            connection.close()

    def _take(self, buffer: bytearray) -> None:
        """Whole packets to the ring, from one place where a player may begin to the next."""
        while len(buffer) >= PACKET:
            if buffer[0] != SYNC:
                skip = buffer.find(SYNC, 1)
                skip = len(buffer) if skip < 0 else skip
                self.garbage += skip
                del buffer[:skip]
                continue
            end = PACKET
            while end + PACKET <= len(buffer) and buffer[end] == SYNC and not _is_pat(buffer, end):
                end += PACKET
            self.packets += end // PACKET
            self.ring.append(bytes(buffer[:end]), 0, sync=_is_pat(buffer, 0))
            del buffer[:end]


def _is_pat(buffer: bytearray, at: int) -> bool:
    """Whether a packet begins the program association table (PID 0), with which a decoder can begin."""
    return (buffer[at + 1] << 8 | buffer[at + 2]) & 0x5FFF == 0x4000


@hookimpl
def tierkit_services() -> Sequence[type[Service]]:
    """Brings `TS`."""
    return [TS]
