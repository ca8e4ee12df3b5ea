"""Whose picture stands still at a relay: by how far behind its cursor is, and behind what it began with."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from tests.fanout.support import bench
from tierkit._fanout import FanoutPolicy


async def test_nobody_stands_still_while_all_is_sent(autojump_clock: MockClock) -> None:
    async with bench() as b:
        for _ in range(3):
            b.join(b.tap())
            await b.gops(2)
        b.ring.look(0.0)
        assert (b.ring.chopped, b.ring.rebufferings) == (0, 0)


async def test_who_falls_behind_by_more_than_a_second_stands_still_until_it_has_played_on(
    autojump_clock: MockClock,
) -> None:
    async with bench() as b:
        b.write("K")
        await trio.sleep(1)
        slow, fast = b.tap(room=64), b.tap()
        b.join(slow)
        b.join(fast)
        for _ in range(40):
            b.write()
            await trio.sleep(0.1)
        assert (b.ring.chopped, b.ring.rebufferings) == (1, 1)
        slow.open(None)
        for _ in range(90):
            b.write()
            await trio.sleep(0.1)
        assert b.ring.chopped == 1  # of late
        await trio.sleep(4)
        assert (b.ring.chopped, b.ring.rebufferings) == (0, 1)
        assert b.ring.statistics().rebufferings == 1


async def test_who_began_behind_has_media_in_hand(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.write("K")
        b.join(b.tap())  # so that what is written is sealed as it comes
        for _ in range(40):
            b.write()
            await trio.sleep(0.1)
        late = b.tap(room=None)
        b.join(late)  # four seconds of GOP at once
        late.room = 0
        for _ in range(45):
            b.write()
            await trio.sleep(0.1)
        assert b.ring.chopped == 0
        for _ in range(12):
            b.write()
            await trio.sleep(0.1)
        assert b.ring.chopped == 1


async def test_what_the_kernel_holds_back_is_seen_when_somebody_looks(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.write("K")
        tap = b.tap()
        b.join(tap)
        for _ in range(30):
            b.write()
            await trio.sleep(0.1)
        tap.held = 20 * 20  # of the last two seconds
        assert b.ring.chopped == 0
        b.ring.look(0.0)
        assert (b.ring.chopped, b.ring.rebufferings) == (1, 1)


async def test_who_lost_a_gop_stands_still_until_the_next_keyframe(autojump_clock: MockClock) -> None:
    async with bench(FanoutPolicy(soft_seconds=2, hard_seconds=60)) as b:
        tap = b.tap(room=100)
        b.join(tap)
        await b.gops(3, 30, gap=0.1)
        assert b.ring.skipped_gops >= 1
        assert b.ring.chopped == 1
        tap.open(None)
        await b.gops(6, 30, gap=0.1)
        assert b.ring.chopped == 0


async def test_a_stream_that_falls_silent_leaves_everybody_standing(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.write("K")
        b.join(b.tap())
        b.join(b.tap())
        await trio.sleep(0.5)
        b.ring.look(0.9)
        assert b.ring.chopped == 0
        b.ring.look(1.1)
        assert b.ring.chopped == 2
        b.ring.look(1.6)
        assert b.ring.rebufferings == 2


async def test_who_has_left_is_not_counted_and_what_it_has_suffered_is(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.write("K")
        cursor = b.join(b.tap())
        await trio.sleep(0.5)
        b.ring.look(3.0)
        cursor.detach()
        assert (b.ring.chopped, b.ring.rebufferings) == (0, 1)
