"""Joining, falling behind, skipping, replies: what one player sees."""

from __future__ import annotations

import gc
import sys

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tierkit._fanout import MAX_REPLIES, FanoutPolicy
from tierkit._fanout_cursor import WAITING

from .support import Part, bench, check_legal, message, parse


def kinds(tap_bytes: bytes) -> str:
    return "".join(part.kind for part in parse(tap_bytes))


async def test_a_joiner_gets_prelude_and_gop_at_once(autojump_clock: MockClock) -> None:
    async with bench() as b:
        await b.gops(3)
        tap = b.tap()
        b.join(tap, first=message("R", 7))
        # No await has passed: not at the next pass, now.
        assert parse(bytes(tap.got)) == [("R", 7), ("H", 6), ("K", 6), ("p", 7), ("p", 8)]
        b.write()
        await trio.sleep(1)
        assert parse(bytes(tap.got))[-1] == ("p", 9)


async def test_a_joiner_at_a_keyframe_that_has_just_come_gets_it(autojump_clock: MockClock) -> None:
    async with bench() as b:
        others = [b.tap(), b.tap()]
        for tap in others:
            b.join(tap)
        await b.gops(1)
        b.write("K")  # not sent yet
        tap = b.tap()
        b.join(tap)
        assert parse(bytes(tap.got)) == [("H", 3), ("K", 3)]
        b.write()
        await trio.sleep(1)
        for each in others:
            assert kinds(bytes(each.got)) == "HKppKp"
        assert kinds(bytes(tap.got)) == "HKp"


async def test_what_has_left_is_not_kept(autojump_clock: MockClock) -> None:
    async with bench() as b:
        await b.gops(1)
        tap = b.tap()
        b.join(tap, first=message("R", 7, 5000))
        (first,) = [each for each in tap.objects if isinstance(each, bytes) and len(each) > 5000]
        tap.objects.clear()
        assert not any(isinstance(each, (bytes, memoryview)) for each in gc.get_referrers(first))
        assert sys.getrefcount(first) == 2


async def test_all_who_join_in_one_gop_are_sent_one_prelude(autojump_clock: MockClock) -> None:
    made: list[int] = []
    async with bench() as b:
        b.ring._prelude = lambda timestamp: made.append(timestamp) or message("H", timestamp)  # type: ignore[func-returns-value]
        await b.gops(2)
        for _ in range(50):
            b.join(b.tap())
        assert made == [3]


async def test_without_a_keyframe_a_joiner_waits_for_the_next(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.write("p")
        tap = b.tap()
        b.join(tap)
        b.write("p")
        await trio.sleep(1)
        assert not tap.got
        assert b.ring.statistics().waiting == 1
        b.write("K")
        b.write("p")
        await trio.sleep(1)
        assert kinds(bytes(tap.got)) == "HKp"


async def test_changed_headers_close_what_came_before(autojump_clock: MockClock) -> None:
    async with bench() as b:
        there = b.tap()
        b.join(there)
        await b.gops(1)
        b.ring.close_syncs()
        late = b.tap()
        b.join(late)
        b.write("p")
        await trio.sleep(1)
        assert not late.got
        await b.gops(1)
        assert kinds(bytes(late.got)) == "HKpp"
        assert kinds(bytes(there.got)) == "HKpppKpp"


async def test_who_waited_for_a_keyframe_gets_it_though_the_headers_change_behind_it(autojump_clock: MockClock) -> None:
    async with bench() as b:
        waits, there = b.tap(), b.tap()
        b.join(waits)
        b.join(there)
        b.write("p")
        b.write("K")
        b.write("p")
        b.ring.close_syncs()  # before any pass
        b.join(late := b.tap())
        await trio.sleep(1)
        assert kinds(bytes(waits.got)) == kinds(bytes(there.got)) == "HKp"
        assert not late.got


async def test_a_gop_beyond_its_bound_is_not_kept(autojump_clock: MockClock) -> None:
    async with bench(FanoutPolicy(gop_bytes=500_000)) as b:
        await b.gops(1, 60, size=10_000, gap=0.04)
        found = b.ring.statistics()
        assert found.bytes_gop == 0
        assert found.bytes_kept <= 262144 + 10_000
        tap = b.tap()
        b.join(tap)
        b.write("p")
        await trio.sleep(1)
        assert not tap.got
        b.write("K")
        await trio.sleep(1)
        assert kinds(bytes(tap.got)) == "HK"


async def test_an_idle_ring_keeps_its_gop_and_no_more(autojump_clock: MockClock) -> None:
    async with bench() as b:
        await b.gops(50, 25, size=4000, gap=0.04)
        found = b.ring.statistics()
        assert found.bytes_gop == 25 * 4000
        # What stands before the keyframe in its batch, at most.
        assert found.bytes_kept <= 2 * 25 * 4000


async def test_a_ring_with_players_at_the_head_keeps_its_gop_and_no_more(autojump_clock: MockClock) -> None:
    async with bench() as b:
        b.join(b.tap())
        await b.gops(50, 25, size=4000, gap=0.04)
        assert b.ring.statistics().bytes_kept == 25 * 4000


async def test_a_short_write_goes_on_where_it_stopped(autojump_clock: MockClock) -> None:
    async with bench() as b:
        fast, slow = b.tap(), b.tap(room=30)
        b.join(fast)
        b.join(slow)
        await b.gops(2)
        assert len(slow.got) == 30
        for _ in range(20):
            slow.open(7)
            await trio.sleep(0.1)
        slow.open(None)
        b.write()
        await trio.sleep(1)
        assert slow.got == fast.got
        found = b.ring.statistics()
        assert (found.lagging, found.skips) == (0, 0)


async def test_a_slow_player_skips_whole_gops_and_is_counted(autojump_clock: MockClock) -> None:
    async with bench(FanoutPolicy(soft_seconds=5)) as b:
        fast, slow = b.tap(), b.tap(room=20 + 20 + 7)
        b.join(fast)
        cursor = b.join(slow)
        await b.gops(4)  # 3 s each: after 5 s of lag it jumps, and again
        slow.open(None)
        await trio.sleep(1)
        await b.gops(1)
        got = parse(bytes(slow.got))
        # H K0 and the message that it was in the middle of, then the newest GOP.
        assert got == [("H", 0), ("K", 0), ("p", 1), ("H", 6), *parse(bytes(fast.got))[-9:]]
        assert got[4] == ("K", 6)
        assert cursor.skipped == 2
        found = b.ring.statistics()
        assert found.skipped_gops == 2
        assert found.skips == 1
        assert kinds(bytes(fast.got)) == "H" + "Kpp" * 5


async def test_bytes_of_lag_count_as_well_as_seconds(autojump_clock: MockClock) -> None:
    async with bench(FanoutPolicy(soft_bytes=5000, soft_seconds=1000)) as b:
        slow = b.tap(room=0)
        b.join(slow)
        await b.gops(3, 10, size=400, gap=0.1)
        slow.open(None)
        await trio.sleep(1)
        assert parse(bytes(slow.got))[:2] == [("H", 20), ("K", 20)]


async def test_what_the_kernel_still_holds_is_lag(autojump_clock: MockClock) -> None:
    async with bench(FanoutPolicy(soft_bytes=5000, soft_seconds=1000)) as b:
        slow = b.tap(room=0)
        slow.held = 5000
        b.join(slow)
        await b.gops(2, 3, size=40, gap=0.1)
        assert b.ring.statistics().skips > 0


async def test_where_no_keyframe_is_ahead_a_slow_player_waits_for_one(autojump_clock: MockClock) -> None:
    async with bench(FanoutPolicy(soft_seconds=2, hard_seconds=1000)) as b:
        slow = b.tap(room=50)
        cursor = b.join(slow)
        await b.gops(1, 10)  # one long GOP
        assert b.ring.statistics().waiting == 1
        assert cursor.skipped == 1
        slow.open(None)
        b.write("p")
        await trio.sleep(1)
        assert kinds(bytes(slow.got)) == "HKp"  # the message was finished, no more
        await b.gops(1, 2)
        assert kinds(bytes(slow.got)) == "HKpHKp"
        assert cursor.skipped == 1


async def test_who_began_far_behind_may_fall_as_far_behind_again(autojump_clock: MockClock) -> None:
    async with bench(FanoutPolicy(soft_seconds=5, hard_seconds=1000)) as b:
        await b.gops(1, 12)  # 12 s old
        slow = b.tap(room=30)
        b.join(slow)
        b.write()
        await trio.sleep(1)
        assert b.ring.statistics().skips == 0


async def test_who_takes_nothing_is_closed_with_a_reason(autojump_clock: MockClock) -> None:
    async with bench(FanoutPolicy(soft_seconds=5, hard_seconds=30)) as b:
        fast, dead = b.tap(), b.tap(room=0)
        b.join(fast)
        cursor = b.join(dead)
        await b.gops(10, 3)
        assert b.ended == []
        await b.gops(1, 3)
        assert b.ended == [(cursor, "too slow: took nothing for 30 s")]
        assert b.ring.statistics().dropped == 1
        assert len(b.nursery.child_tasks) == 1  # the pump's
        assert parse(bytes(fast.got))[-1].number == 32


async def test_a_player_that_gets_on_slowly_is_not_closed(autojump_clock: MockClock) -> None:
    async with bench(FanoutPolicy(soft_seconds=5, hard_seconds=10)) as b:
        slow = b.tap(room=0)
        b.join(slow)
        for _ in range(20):
            await b.gops(1, 3)
            slow.open(25)
        slow.open(None)
        await trio.sleep(1)
        assert b.ended == []
        check_legal(parse(bytes(slow.got)))


async def test_replies_leave_at_the_next_message_boundary(autojump_clock: MockClock) -> None:
    async with bench() as b:
        slow = b.tap(room=20 + 9)
        cursor = b.join(slow)
        await b.gops(1)
        cursor.reply(message("R", 1))
        cursor.reply(message("R", 2))
        slow.open(None)
        await trio.sleep(1)
        assert parse(bytes(slow.got)) == [("H", 0), ("K", 0), ("R", 1), ("R", 2), ("p", 1), ("p", 2)]
        cursor.reply(message("R", 3))  # at the head: now
        assert parse(bytes(slow.got))[-1] == ("R", 3)


async def test_replies_are_bounded(autojump_clock: MockClock) -> None:
    async with bench() as b:
        cursor = b.join(b.tap(room=0))
        b.write("K")
        await trio.sleep(1)
        for _ in range(MAX_REPLIES // 1000 + 1):
            cursor.reply(bytes(1000))
        ((ended, reason),) = b.ended
        assert ended is cursor
        assert reason.startswith("asks for more answers than it reads")


async def test_leaving_hands_over_the_rest_of_the_message(autojump_clock: MockClock) -> None:
    async with bench() as b:
        tap = b.tap(room=20 + 9)
        cursor = b.join(tap)
        await b.gops(1)
        cursor.reply(message("R", 1))
        rest = await cursor.leave()
        assert parse(bytes(tap.got) + rest) == [("H", 0), ("K", 0), ("R", 1)]
        tap.open(None)
        b.write()
        await trio.sleep(1)
        assert len(tap.got) == 29
        await tap.wait_writable()  # nobody else waits any more


async def test_the_writer_waits_where_passes_cannot_keep_up(autojump_clock: MockClock) -> None:
    async with bench(each=1.0) as b:
        b.join(b.tap())
        b.write("K")
        await trio.sleep(0.1)
        for _ in range(5):
            b.write(size=1 << 20)
        start = trio.current_time()
        await b.ring.room()
        assert trio.current_time() - start == pytest.approx(0.05)
        await b.ring.room()
        assert trio.current_time() - start == pytest.approx(0.05)


Step = st.one_of(
    st.tuples(st.just("open"), st.integers(1, 400)),
    st.tuples(st.just("write"), st.integers(1, 6)),
    st.tuples(st.just("key"), st.integers(20, 300)),
    st.tuples(st.just("reply"), st.integers(9, 40)),
    st.tuples(st.just("headers"), st.just(0)),
    st.tuples(st.just("join"), st.integers(0, 300)),
)


@given(st.lists(st.lists(Step, max_size=6), max_size=25), st.booleans())
def test_any_pattern_of_writability_gives_whole_messages_in_a_legal_order(
    script: list[list[tuple[str, int]]], tight: bool
) -> None:
    """Every player sees whole messages; each gap ends at a keyframe with its prelude; replies in order, none lost."""

    async def play() -> None:
        policy = FanoutPolicy(gop_bytes=2000, soft_bytes=600, soft_seconds=3) if tight else FanoutPolicy()
        async with bench(policy) as b:
            players = [(b.tap(room=0), 0)]
            cursors = [b.join(players[0][0])]
            replies = [0]
            for steps in script:
                for what, value in steps:
                    if what == "open":
                        players[value % len(players)][0].open(value)
                    elif what == "write":
                        for _ in range(value):
                            b.write("p", size=17 * value)
                    elif what == "key":
                        b.write("K", size=value)
                    elif what == "headers":
                        b.ring.close_syncs()
                    elif what == "join":
                        players.append((b.tap(room=value), b.number))
                        cursors.append(b.join(players[-1][0]))
                        replies.append(0)
                    else:
                        index = value % len(cursors)
                        cursors[index].reply(message("R", replies[index], value))
                        replies[index] += 1
                await trio.sleep(0.5)
                assert b.ring.waiting == sum(each.position == WAITING for each in b.ring.cursors)
                assert b.ring.skipped_gops == sum(each.skipped for each in cursors)
            for tap, _ in players:
                tap.open(None)
            await trio.sleep(1)
            b.write("K")
            await trio.sleep(1)
            for (tap, since), said, cursor in zip(players, replies, cursors, strict=True):
                parts = parse(bytes(tap.got))
                check_legal(parts)
                assert [part for part in parts if part.kind == "R"] == [Part("R", i) for i in range(said)]
                assert parts[-1] == ("K", b.number - 1)
                seen = {part.number for part in parts if part.kind in "Kp"}
                if not tight and cursor.skipped == 0 and seen:
                    assert seen == set(range(min(seen), b.number))
                assert since <= b.number
            found = b.ring.statistics()
            assert (found.lagging, found.waiting, found.dropped) == (0, 0, 0)

    trio.run(play, clock=MockClock(autojump_threshold=0))


async def test_a_connection_that_raises_oddly_ends_its_player_alone(autojump_clock: MockClock) -> None:
    def odd() -> None:
        raise ValueError("odd")

    async with bench() as b:
        bad, good = b.tap(), b.tap()
        cursor = b.join(bad)
        b.join(good)
        bad._on_send = odd
        await b.gops(2)
        assert b.ended == [(cursor, "ValueError: odd")]
        assert kinds(bytes(good.got)) == "HKppKpp"


async def test_who_waited_long_for_the_first_message_is_not_slow(autojump_clock: MockClock) -> None:
    async with bench(FanoutPolicy(hard_seconds=5)) as b:
        slow = b.tap(room=3)
        await trio.sleep(1000)
        b.join(slow, first=message("R", 1))
        await b.gops(1)
        assert b.ended == []
