"""The rings of one stream: one in RTMP chunks, always; one for each other encoding while somebody plays it.

A stream that nobody plays otherwise costs nothing more than before.  The first player of an encoding has its ring
made, and filled with what the RTMP ring keeps for those who join, so that this player too begins at the current GOP at
once; the last one's departure lets the ring go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import field, frozen

from ._fanout import Cursor, FanoutPolicy, Pump, Ring, RingStatistics
from ._live_encoding import RTMP_CHUNKS, Encoding, decode_chunks
from ._ports import Connection

__all__ = ["EncodingStatistics", "Rings"]

#: Most that may wait unread in the kernel while a publisher's reader rests: three quarters of the window that Linux
#: begins with (tcp_rmem, half of 131,072), so that nobody is held up by it.
MAX_UNREAD = 49152
#: Seconds between two looks at whose picture stands still.
LOOK = 0.5


@frozen(kw_only=True)
class EncodingStatistics:
    """What players of another encoding than RTMP read."""

    #: "flv" or "websocket-flv".
    encoding: str = field(metadata={"merge": "last"})
    ring: RingStatistics = field(metadata={"merge": "sum"})


class Rings:
    """All rings of one stream.

    Args:
        pinned: gives type and payload of what a newcomer needs first.

    Attributes:
        rtmp: the one that is always there.
    """

    def __init__(self, pump: Pump, policy: FanoutPolicy, pinned: Callable[[], Iterable[tuple[int, bytes]]]) -> None:
        self._pump = pump
        self._pinned = pinned
        self._others: dict[Encoding, Ring] = {}
        #: Sent by rings that were let go, and the GOPs that their players lost.
        self._gone_bytes = self._gone_gops = self._gone_rebufferings = 0
        self._look_at = 0.0
        #: How far the stream had come at the last `room`, and when that was.
        self._seen = (0, pump.clock())
        self.rtmp = self._ring(policy, RTMP_CHUNKS)

    def _ring(self, policy: FanoutPolicy, encoding: Encoding) -> Ring:
        return self._pump.ring(policy, lambda timestamp: encoding.prelude(self._pinned(), timestamp))

    @property
    def bytes_sent(self) -> int:
        """Bytes sent to players so far, in every encoding."""
        return self.rtmp.bytes_sent + self._gone_bytes + sum(ring.bytes_sent for ring in self._others.values())

    @property
    def skipped_gops(self) -> int:
        """GOPs that players have lost so far, in every encoding."""
        return self._gone_gops + sum(ring.skipped_gops for ring in self._all)

    @property
    def rebufferings(self) -> tuple[int, int]:
        """How often a player's picture has come to stand still so far: over RTMP, and in all other encodings."""
        return self.rtmp.rebufferings, self._gone_rebufferings + sum(r.rebufferings for r in self._others.values())

    def chopped(self, silence: float) -> tuple[int, int]:
        """Players whose picture stands still or has a moment ago, where nothing has come for `silence` seconds: over
        RTMP, and in all other encodings."""
        if (now := self._pump.clock()) >= self._look_at:
            # Whoever asks, and however many: a thousand players are a millisecond.
            self._look_at = now + LOOK
            for ring in self._all:
                ring.look(silence)
        return self.rtmp.chopped, sum(ring.chopped for ring in self._others.values())

    @property
    def bytes_kept(self) -> int:
        """Bytes kept for players now, in every encoding."""
        return sum(ring.log.tail - ring.log.start for ring in self._all)

    @property
    def lag(self) -> float:
        """Seconds of media that the slowest player is behind."""
        return max(ring.lag for ring in self._all)

    @property
    def _all(self) -> tuple[Ring, ...]:
        return (self.rtmp, *self._others.values())

    # --- the publisher ---------------------------------------------------------------------------

    def append(self, type_id: int, timestamp: int, payload: bytes, *, at: int, sync: bool) -> None:
        """Add a message, with the timestamp that it has on the wire; `at` is where it stands in the stream."""
        self.rtmp.append(RTMP_CHUNKS.message(type_id, timestamp, payload), at, sync=sync)
        for encoding, ring in self._others.items():
            ring.append(encoding.message(type_id, timestamp, payload), at, sync=sync)

    def append_headers(self, at: int) -> None:
        """Add what players that have stayed need before the next picture."""
        self.rtmp.append(RTMP_CHUNKS.prelude(self._pinned(), at), at)
        for encoding, ring in self._others.items():
            ring.append(encoding.prelude(self._pinned(), at), at)

    def close_syncs(self) -> None:
        """Nobody who comes from now on may begin at what was appended so far."""
        # A player that is pushed on by this may fail, and its ring be let go.
        for ring in (self.rtmp, *self._others.values()):
            ring.close_syncs()

    async def room(self, *, more: bool = True) -> None:
        """Until the pump has come round to what waits in each of them.

        Args:
            more: whether the publisher may have more for us now.  Where it has not, and somebody plays, this waits
                until it is worth while to read again.
        """
        for ring in (self.rtmp, *self._others.values()):
            await ring.room()
        if not more:
            await self._rest()

    async def _rest(self) -> None:
        (before, then), now = self._seen, self._pump.clock()
        self._seen = (self.rtmp.log.tail, now)
        came = self.rtmp.log.tail - before
        if came and (self.rtmp.cursors or self._others):
            await self._pump.rest((now - then) * MAX_UNREAD / came)

    # --- players ---------------------------------------------------------------------------------

    def attach(self, encoding: Encoding, connection: Connection, on_end: Callable[[str], None], first: bytes) -> Cursor:
        """Let a connection play in an encoding; see `Ring.attach`."""
        ring = self.rtmp if encoding is RTMP_CHUNKS else self._others.get(encoding)
        return (ring or self._begin(encoding)).attach(connection, on_end, first=first)

    def _begin(self, encoding: Encoding) -> Ring:
        ring = self._others[encoding] = self._ring(self.rtmp.policy, encoding)
        ring.when_empty = lambda: self._let_go(encoding, ring)
        sync = self.rtmp.log.sync
        if sync is not None:
            for index, message in enumerate(decode_chunks(self.rtmp.log.since(sync.position))):
                data = encoding.message(message.type_id, message.timestamp, message.payload)
                ring.append(data, message.timestamp, sync=index == 0)
        return ring

    def _let_go(self, encoding: Encoding, ring: Ring) -> None:
        if self._others.get(encoding) is ring:
            del self._others[encoding]
            self._gone_bytes += ring.bytes_sent
            self._gone_gops += ring.skipped_gops
            self._gone_rebufferings += ring.rebufferings

    def statistics(self) -> tuple[EncodingStatistics, ...]:
        """The others, counted when asked."""
        return tuple(
            EncodingStatistics(encoding=encoding.name, ring=ring.statistics())
            for encoding, ring in self._others.items()
        )
