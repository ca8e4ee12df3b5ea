"""Handshakes in turns: nobody is held up, nobody is forgotten, and nobody waits for nothing.

Costs are those of a meter that the tests turn themselves, so that every count is exact.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
import trio.testing

from tierkit import Certificate, Listener, Relay, open_tier
from tierkit._net import RealNetwork
from tierkit._ports import Connection
from tierkit._tls import TLSConnection, _new_turns, _run_wide, _turns
from tierkit._tls_turns import GAIN, HandshakeTurns
from tierkit.errors import GivenUp
from tierkit.events import Dropped, Event
from tierkit.plugins.rtmp import RTMP

from .conftest import Papers

#: A budget of five steps.
COST, BUDGET = 1.0, 5.0


class Bench:
    """Turns on a meter that moves when a handshake is computed; the clock also moves by `look` when looked at."""

    def __init__(self, budget: float = BUDGET, patience: float = 1000.0, look: float = 0.0) -> None:
        self.spent = 0.0
        self.looked = 0.0
        self.look = look
        self.done: list[object] = []
        self.turns = HandshakeTurns(lambda: self.spent, self.clock, budget=budget, patience=patience)

    def clock(self) -> float:
        self.looked += self.look
        return self.spent + self.looked

    async def join(self, name: object, *, begun: bool = False) -> None:
        def shake() -> bool:
            self.spent += COST
            self.done.append(name)
            return True

        assert await self.turns.take(shake, begun=begun)

    async def fill(self) -> None:
        """Spend the budget, so that whoever comes now waits."""
        for _ in range(int(self.turns.budget / COST)):
            await self.join("first")
        self.done.clear()


async def test_alone_a_handshake_is_computed_where_it_stands() -> None:
    bench = Bench()
    with trio.CancelScope() as scope:
        scope.cancel()  # with no queue there is no checkpoint
        await bench.join("only")
    assert bench.done == ["only"]
    assert not scope.cancelled_caught


async def test_between_two_turns_of_others_there_is_one_budget() -> None:
    bench = Bench()
    seen = []

    async def watch() -> None:
        while len(bench.done) < 100:
            seen.append(bench.spent)
            await trio.lowlevel.checkpoint()

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            for number in range(100):
                nursery.start_soon(bench.join, number)
    steps = [after - before for before, after in pairwise(seen)]
    # Tasks run in any order within a turn of the loop: two steps of one task may have two of another between them.
    assert max(steps) <= 2 * BUDGET
    assert len(seen) >= 100 * COST / BUDGET - 2
    assert sorted(bench.done) == list(range(100))  # type: ignore[type-var]


async def test_first_come_first_served() -> None:
    bench = Bench()
    await bench.fill()
    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(bench.join, number)
            while bench.turns.waiting + len(bench.done) <= number:
                await trio.lowlevel.checkpoint()
    assert bench.done == list(range(12))
    assert bench.turns.waiting == 0


async def test_who_has_had_an_answer_goes_first() -> None:
    bench = Bench(budget=1.0)
    await bench.fill()
    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(bench.join, number)
        while bench.turns.waiting < 5:
            await trio.lowlevel.checkpoint()
        before = len(bench.done)
        nursery.start_soon(lambda: bench.join("begun", begun=True))
    # It comes in during one turn, and is computed in that or the next one.
    assert bench.done.index("begun") <= before + 2


async def test_newcomers_are_not_forgotten_for_those_who_have_begun() -> None:
    bench = Bench(budget=1.0)
    await bench.fill()

    async def whole(number: int) -> None:
        await bench.join(("hello", number))
        await bench.join(("finish", number), begun=True)

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(whole, number)
    for number in range(50):
        hello, finish = bench.done.index(("hello", number)), bench.done.index(("finish", number))
        assert hello < finish <= hello + 4


async def test_whoever_leaves_the_queue_costs_nothing() -> None:
    bench = Bench(budget=1.0)
    await bench.fill()
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as leaving:
                for number in range(5):
                    leaving.start_soon(bench.join, f"leaves {number}")
                scope.cancel()
        assert bench.turns.waiting == 0
        nursery.start_soon(bench.join, "stays")
    assert bench.done == ["stays"]


async def test_a_mistake_comes_out_where_it_was_made() -> None:
    bench = Bench()
    await bench.fill()

    def breaks() -> bool:
        bench.spent += COST
        raise ValueError("no handshake")

    async def broken() -> None:
        with pytest.raises(ValueError, match="no handshake"):
            await bench.turns.take(breaks, begun=False)
        bench.done.append("told")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(broken)
        nursery.start_soon(bench.join, "other")
    assert sorted(map(str, bench.done)) == ["other", "told"]


async def test_a_mistake_is_charged_too() -> None:
    bench = Bench(budget=1.0)

    def breaks() -> bool:
        bench.spent += COST
        raise ValueError

    with pytest.raises(ValueError):
        await bench.turns.take(breaks, begun=False)
    with trio.CancelScope() as scope:
        scope.cancel()
        await bench.join("next")
    assert scope.cancelled_caught  # there was a queue to wait in


async def test_there_is_no_keeper_without_a_queue() -> None:
    bench = Bench()
    await bench.fill()
    await bench.join("waited")
    await trio.testing.wait_all_tasks_blocked()
    root = trio.lowlevel.current_root_task()
    assert root is not None
    system = [task.name for nursery in root.child_nurseries for task in nursery.child_tasks]
    assert "tierkit TLS handshakes" not in system


async def test_who_has_waited_too_long_is_let_go_unserved() -> None:
    bench = Bench(patience=60.0, look=61.0)
    await bench.fill()
    with pytest.raises(GivenUp, match="waited 60 s for its TLS handshake"):
        await bench.join("late")
    assert bench.done == []
    assert bench.turns.waiting == 0


async def test_who_has_begun_is_served_however_late() -> None:
    bench = Bench(patience=60.0, look=61.0)
    await bench.fill()
    await bench.join("begun", begun=True)
    assert bench.done == ["begun"]


async def test_a_queue_longer_than_patience_is_told_at_the_door() -> None:
    bench = Bench(budget=1.0, patience=20.0)
    bench.turns.knock()
    await bench.fill()
    async with trio.open_nursery() as nursery:
        for number in range(40):
            nursery.start_soon(bench.join, number)
        while len(bench.done) < 3:
            await trio.lowlevel.checkpoint()
        # One newcomer takes a second here, and some 35 are before whoever knocks now.
        with pytest.raises(GivenUp, match=r"3\d TLS handshakes wait already, 3\d\.\d s of work"):
            bench.turns.knock()
        while bench.turns.waiting > 20:
            await trio.lowlevel.checkpoint()
        bench.turns.knock()
        nursery.cancel_scope.cancel()


async def test_one_slow_turn_does_not_shut_the_door() -> None:
    bench = Bench(budget=1.0, patience=20.0)
    for _ in range(50):
        bench.turns._learn(0.1)
    bench.turns._learn(0.1 + 1.0)
    assert bench.turns._apart == pytest.approx(0.1 + GAIN)


# --- on real connections -------------------------------------------------------------------------


async def joined(papers: Papers, certificate: Certificate, count: int, budget: float) -> list[float]:
    """`count` clients join at once while somebody watches; how many handshakes stood between turns of the watcher."""
    network = RealNetwork()
    bound = await network.listen(Listener("https://127.0.0.1:0", (certificate,)))
    ends: list[Connection] = []
    computed = 0
    seen: list[int] = []

    async def dial() -> None:
        ends.append(await network.connect(bound.address, trust=papers.trust))

    async def accept() -> TLSConnection:
        connection = await bound.accept()
        assert isinstance(connection, TLSConnection)
        plain = connection._shake

        def shake() -> bool:
            nonlocal computed
            computed += 1
            return plain()

        connection._shake = shake  # type: ignore[method-assign]
        # Every step of a server's handshake is one on this meter.
        connection._turns.budget, connection._turns._meter = budget, lambda: float(computed)
        return connection

    async def watch() -> None:
        while True:
            seen.append(computed)
            await trio.lowlevel.checkpoint()

    with trio.fail_after(30):
        async with trio.open_nursery() as watching:
            async with trio.open_nursery() as nursery:
                for _ in range(count):
                    nursery.start_soon(dial)
                joining = [await accept() for _ in range(count)]
                ends += joining
                while not all(each._inner.readable_now() for each in joining):
                    await trio.sleep(0.001)
                watching.start_soon(watch)
                for each in joining:  # all their hellos have arrived
                    nursery.start_soon(each.establish)
            watching.cancel_scope.cancel()
    assert computed >= 2 * count  # a hello and a finish each
    for end in ends:
        end.abort()
    bound.close()
    return [after - before for before, after in pairwise(seen)]


async def test_joins_leave_a_viewer_its_turns(papers: Papers, local_certificate: Certificate) -> None:
    assert max(await joined(papers, local_certificate, 40, budget=2)) <= 4
    # Without the rule, all that have arrived together are computed together.
    assert max(await joined(papers, local_certificate, 40, budget=1e9)) >= 20


async def test_a_full_queue_ends_a_connection_at_its_door(papers: Papers, local_certificate: Certificate) -> None:
    network = RealNetwork()
    bound = await network.listen(Listener("https://127.0.0.1:0", (local_certificate,)))
    stream = await trio.open_tcp_stream("127.0.0.1", bound.address.port or 0)
    connection = await bound.accept()
    assert isinstance(connection, TLSConnection)
    connection._turns._newcomers, connection._turns._apart = 2000, 0.01
    with pytest.raises(GivenUp, match="2000 TLS handshakes wait already"):
        await connection.establish()
    connection.close()
    await stream.aclose()
    bound.close()


async def test_whoever_is_dropped_at_the_door_is_told_of(local_certificate: Certificate) -> None:
    told: list[Event] = []
    relay = Relay("r1", listen=Listener("rtmps://127.0.0.1:0", (local_certificate,)), serves=RTMP())
    with trio.fail_after(20):
        async with open_tier(relay, observers=(told.append,), drain=0) as tier:
            turns = _run_wide(_turns, _new_turns)
            turns._newcomers, turns._apart = 2000, 0.01
            stream = await trio.open_tcp_stream("127.0.0.1", tier.addresses[0].port or 0)
            assert await stream.receive_some(1) == b""
            while not (dropped := [each for each in told if isinstance(each, Dropped)]):
                await trio.sleep(0.005)
            await stream.aclose()
    assert "2000 TLS handshakes wait already, 20.0 s of work" in dropped[0].text
