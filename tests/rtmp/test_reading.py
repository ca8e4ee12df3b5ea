"""When the connection that feeds a stream is read: by one wake-up for each batch that leaves, and no later for that."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from tests.core.rig import opened
from tests.fanout.support import Meter, Tap
from tierkit._fanout import FanoutPolicy, Pump
from tierkit._live_encoding import RTMP_CHUNKS
from tierkit._live_rings import MAX_UNREAD, Rings
from tierkit.errors import UpstreamError
from tierkit.testing import MemoryNetwork

from .media import Sent, frame, gop, headers, key
from .rig import published, relay, send, url, viewer


class Line:
    """A publisher's connection, its reader and its stream, which four play; a pass costs what is said."""

    def __init__(self, nursery: trio.Nursery, *, cost: float) -> None:
        self.meter = Meter(cost / 4)
        self.pump = Pump(MemoryNetwork(), trio.current_time, meter=self.meter)
        self.rings = Rings(self.pump, FanoutPolicy(), lambda: ())
        self.start = trio.current_time()
        self.reads: list[int] = []
        self.most_unread = 0
        self._inbox: list[Sent] = []
        self._arrived = trio.lowlevel.ParkingLot()
        taps = [Tap(on_send=self.meter.count) for _ in range(4)]
        for tap in taps:
            self.rings.attach(RTMP_CHUNKS, tap, lambda reason: None, b"")
        self.taps = taps
        nursery.start_soon(self.pump.run)
        nursery.start_soon(self._read)

    def arrive(self, sent: Sent) -> None:
        self._inbox.append(sent)
        self.most_unread = max(self.most_unread, sum(len(each.payload) for each in self._inbox))
        self._arrived.unpark_all()

    async def frames(self, seconds: float, size: int, gap: float = 0.04) -> None:
        """A keyframe, then a frame every `gap` seconds, whose timestamp is when it arrives, ms."""
        self.arrive(key(0, size))
        for number in range(1, int(seconds / gap)):
            await trio.sleep_until(self.start + number * gap)
            self.arrive(frame(round(number * gap * 1000), size))

    async def _read(self) -> None:
        """As `serve_rtmp` does; where something is there already, `Connection.recv` takes a tick of the scheduler."""
        while True:
            if self._inbox:
                taken, self._inbox = self._inbox, []
                await trio.lowlevel.checkpoint()
            else:
                await self._arrived.park()
                taken, self._inbox = self._inbox, []
            self.reads.append(len(taken))
            for type_id, timestamp, payload in taken:
                self.rings.append(type_id, timestamp, payload, at=timestamp, sync=payload[0] == 0x17)
            await self.rings.room(more=bool(self._inbox))


def ages(line: Line, batches: list[tuple[float, bytes]]) -> list[float]:
    """How long after its arrival each message left, seconds."""
    found = []
    for at, data in batches:
        place = 0
        while (place := data.find(b"\x27\x01\x00\x00\x00P", place)) >= 0:
            arrived = line.start + int.from_bytes(data[place + 6 : place + 14], "big") / 1000
            found.append(at - arrived)
            place += 6
    return found


@pytest.mark.parametrize(("cost", "delay"), [(0.001, 0.032), (0.005, 0.2), (0.02, 0.29)])
async def test_what_comes_between_two_passes_is_read_at_once_and_leaves_with_the_next(
    autojump_clock: MockClock, nursery: trio.Nursery, cost: float, delay: float
) -> None:
    line = Line(nursery, cost=cost)
    first = line.taps[0]
    batches: list[tuple[float, bytes]] = []
    first._on_send = lambda: (batches.append((trio.current_time(), b"")), line.meter.count())[1]
    await line.frames(8, 1000, gap=0.01)
    await trio.sleep(1)
    sent = [(at, bytes(data)) for (at, _), data in zip(batches, first.objects, strict=True)]
    late = ages(line, sent)
    assert len(late) == 799
    # No message waits for longer than it would if each were read when it comes.
    assert max(late) <= delay + 0.001
    passes = line.pump.statistics().passes
    assert passes == pytest.approx(8 / delay, rel=0.15)
    assert len(line.reads) == pytest.approx(passes, rel=0.1)


async def test_a_fast_publisher_is_read_before_its_window_is_full(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    line = Line(nursery, cost=0.02)
    await line.frames(5, 20_000, gap=0.02)  # 8 Mbit/s
    # What does not fit the window waits at the publisher for a moment, and has Linux widen it.
    assert line.most_unread <= 2 * MAX_UNREAD + 20_000
    assert len(line.reads) > 5 * 1_000_000 / 65536


async def test_who_is_read_by_few_players_is_read_at_once(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    line = Line(nursery, cost=0.0001)
    await line.frames(2, 1000)
    assert set(line.reads) == {1}
    assert len(line.reads) >= 49  # the last may be on its way


async def test_where_nobody_plays_nobody_rests(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    line = Line(nursery, cost=0.005)
    other = Rings(line.pump, FanoutPolicy(), lambda: ())
    nursery.start_soon(line.frames, 2, 1000)
    await trio.sleep(0.3)
    other.append(9, 0, key(0).payload, at=0, sync=True)
    before = trio.current_time()
    for _ in range(3):
        await other.room(more=False)
    assert trio.current_time() == before


async def test_nobody_rests_for_ever_where_nothing_leaves(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    """The pump has nothing to send any more while somebody rests for its next pass."""
    line = Line(nursery, cost=0.005)
    line.arrive(key(0))
    await trio.sleep(0.01)
    line.arrive(frame(10))
    await trio.sleep(0.01)
    with trio.fail_after(0.5):
        await line.pump.rest(10)  # a pass is 0.2 s away
    before = trio.current_time()
    await trio.sleep(1)
    await line.pump.rest(10)
    assert trio.current_time() == before + 1


async def test_who_comes_back_at_once_is_not_refused_its_own_name(autojump_clock: MockClock) -> None:
    """Its old connection has ended, and whoever reads it rests: that must be found out before the name is judged."""
    async with opened(relay()) as rig:
        pump = rig.handle._process.shared(Pump)
        pump._meter = Meter()
        async with viewer(rig.network, url("relay")) as player:
            with suppress(UpstreamError):  # it is hung up
                async with published(rig.network, url("relay")) as publisher:
                    await send(publisher, gop(0, 5))
                    await player.until(lambda v: "K" in v.letters)
                    pump._meter = iter(range(10**6)).__next__  # a pass costs seconds: as long a rest as there is
                    for index in range(5):
                        await send(publisher, gop(200 * (index + 1), 5), pace=True)
                    publisher._connection.close()
            before = trio.current_time()
            async with published(rig.network, url("relay"), [*headers(), *gop(0, 5)]):
                assert trio.current_time() == before
                await player.until(lambda v: v.letters.count("K") >= 7)
