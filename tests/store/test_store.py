"""The store: single-flight, cut-through, failures that nobody takes for the end, and a budget that holds."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
import trio
import trio.lowlevel
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from trio.testing import MockClock

from tierkit._blob import SMALL, GrowingBlob, pages
from tierkit._store_groups import Groups, _Group
from tierkit.plugin import Descriptors, Entry, Filler, NotShared, Store, StoreFull, open_store

MB = 1 << 20


def filling(*pieces: bytes, pause: float = 0.0, length: int | None = None, fail: Exception | None = None,
            meta: object = "meta") -> Callable[[Filler], Awaitable[None]]:  # fmt: skip
    async def fill(filler: Filler) -> None:
        if pause:
            await trio.sleep(pause)
        filler.start(meta, length)
        for piece in pieces:
            filler.write(piece)
            await trio.sleep(pause)
        if fail is not None:
            raise fail

    return fill


async def read(entry: Entry) -> bytes:
    """Everything of an entry that is held, which is then let go."""
    data = b""
    try:
        while ready := await entry.more(len(data)):
            data += entry.blob.read(len(data), ready)
    finally:
        entry.release()
    return data


async def stored(store: Store, key: str, data: bytes) -> Entry:
    entry = await store.fill(key, filling(data, length=len(data))).head()
    assert await read(entry) == data
    return entry


@asynccontextmanager
async def small_store(budget: int = MB, **descriptors: int) -> AsyncIterator[Store]:
    async with open_store(budget, Descriptors(**descriptors)) as store:
        yield store


# --- one flight for all --------------------------------------------------------------------------


async def test_one_fill_for_all_who_ask(autojump_clock: MockClock) -> None:
    async with small_store() as store:
        fill, bodies = filling(b"one", b"two", pause=1), []

        async def ask() -> None:
            bodies.append(await read(await store.fill("k", fill).head()))

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(ask)
                await trio.sleep(0.02)
        assert bodies == [b"onetwo"] * 100
        counted = store.statistics()
        assert (counted.fills, counted.objects, counted.used, counted.filling) == (1, 1, 6, 0)
        entry = store.get("k")
        assert entry is not None
        assert (entry.meta, entry.length, entry.complete, entry.size) == ("meta", 6, True, 6)


async def test_readers_have_the_head_at_once_and_bytes_as_they_come(autojump_clock: MockClock) -> None:
    async with small_store() as store:
        start = trio.current_time()
        entry = await store.fill("k", filling(b"one", b"two", b"six", pause=10)).head()
        times = [trio.current_time() - start]
        seen = 0
        while ready := await entry.more(seen):
            seen += ready
            times.append(trio.current_time() - start)
        entry.release()
        assert times == [10, 10, 20, 30]


@pytest.mark.parametrize(("readers", "longest"), [(1, 0.02), (1000, 0.12), (5000, 0.3)])
async def test_readers_are_woken_by_paced_batches(readers: int, longest: float, autojump_clock: MockClock) -> None:
    async with small_store() as store:
        wakes: list[float] = []

        async def fill(filler: Filler) -> None:
            filler.start(None)
            for _ in range(500):
                filler.write(b"x")
                await trio.sleep(0.004)

        async def watch(entry: Entry) -> None:
            seen = 0
            while ready := await entry.more(seen):
                seen += ready
                wakes.append(trio.current_time())
            entry.release()

        async with trio.open_nursery() as nursery:
            first = await store.fill("k", fill).head()
            for _ in range(readers - 1):
                first.acquire()
            nursery.start_soon(watch, first)
        gaps = [b - a for a, b in pairwise(wakes)]
        assert max(gaps) <= longest + 0.005
        assert len(wakes) <= 2 / longest + 3  # far from 500
        for _ in range(readers - 1):
            first.release()


async def test_a_fill_does_not_end_with_who_began_it(autojump_clock: MockClock) -> None:
    async with small_store() as store:
        with trio.move_on_after(1):
            await store.fill("k", filling(b"x", pause=5)).head()
        assert store.flight("k") is not None
        await trio.sleep(10)
        entry = store.get("k")
        assert entry is not None
        assert entry.readers == 0


async def test_waiters_are_counted(autojump_clock: MockClock) -> None:
    async with small_store() as store, trio.open_nursery() as nursery:
        flight = store.fill("k", filling(b"x", pause=5))
        for _ in range(3):
            nursery.start_soon(flight.head)
        await trio.testing.wait_all_tasks_blocked()
        assert (flight.waiters, flight.landed) == (3, False)
        await trio.sleep(6)
        assert (flight.waiters, flight.landed) == (0, True)


# --- failures ------------------------------------------------------------------------------------


async def test_a_fill_that_fails_is_an_error_to_every_reader_and_keeps_nothing(autojump_clock: MockClock) -> None:
    async with small_store() as store:
        ends: list[str] = []

        async def ask() -> None:
            entry = await store.fill("k", filling(b"x" * 100_000, pause=1, fail=ValueError("broken"))).head()
            try:
                await read(entry)
            except ValueError as error:
                ends.append(str(error))

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(ask)
        assert ends == ["broken"] * 10
        assert store.get("k") is None
        assert (store.used, store.descriptors.memfds, store.statistics().failed) == (0, 0, 1)
        assert await read(await store.fill("k", filling(b"good")).head()) == b"good"


async def test_a_fill_that_fails_before_its_head() -> None:
    async def fill(filler: Filler) -> None:
        await trio.lowlevel.checkpoint()
        raise ValueError("no head")

    async with small_store() as store:
        flight = store.fill("k", fill)
        for _ in range(3):  # also for who comes too late
            with pytest.raises(ValueError, match="no head"):
                await flight.head()
        assert store.flight("k") is None


async def test_a_short_fill_is_a_failure() -> None:
    async with small_store() as store:
        entry = await store.fill("k", filling(b"xyz", length=4)).head()
        with pytest.raises(Exception, match="k has 3 of 4 bytes"):
            await read(entry)
        assert store.get("k") is None


async def test_what_is_not_for_others_leaves_what_was_there() -> None:
    async def fill(filler: Filler) -> None:
        await trio.lowlevel.checkpoint()

    async with small_store() as store:
        await stored(store, "k", b"before")
        with pytest.raises(NotShared):
            await store.fill("k", fill).head()
        entry = store.get("k")
        assert entry is not None
        assert entry.blob.read(0, 10) == b"before"
        assert store.statistics().failed == 0


async def test_a_failed_refill_leaves_what_was_there() -> None:
    async with small_store() as store:
        await stored(store, "k", b"before")
        entry = await store.fill("k", filling(b"after", fail=ValueError())).head()
        with pytest.raises(ValueError):
            await read(entry)
        before = store.get("k")
        assert before is not None
        assert before.blob.read(0, 10) == b"before"
        assert store.used == 6


async def test_readers_of_a_store_that_ends_get_an_error(autojump_clock: MockClock) -> None:
    ends: list[str] = []
    async with trio.open_nursery() as nursery, small_store() as store:

        async def ask() -> None:
            entry = await store.fill("k", filling(b"x", pause=100)).head()
            try:
                await read(entry)
            except Exception as error:
                ends.append(str(error))

        async def wait() -> None:
            try:
                await store.fill("other", filling(b"x", pause=1000)).head()
            except Exception as error:
                ends.append(str(error))

        nursery.start_soon(ask)
        nursery.start_soon(wait)
        await trio.sleep(150)
    assert sorted(ends) == ["k: the tier ends", "other: the tier ends"]


async def test_a_store_that_is_cancelled_gives_its_memory_back() -> None:
    with trio.CancelScope() as scope:
        async with small_store() as store:
            await stored(store, "k", bytes(100_000))
            assert store.descriptors.memfds == 1
            scope.cancel()
            await trio.sleep(1)
    assert scope.cancelled_caught
    assert store.descriptors.memfds == 0


# --- revalidation --------------------------------------------------------------------------------


async def test_what_is_confirmed_is_given_to_those_who_wait(autojump_clock: MockClock) -> None:
    async def confirm(filler: Filler) -> None:
        await trio.sleep(5)
        assert filler.old is not None
        filler.old.meta = "confirmed"
        filler.confirm()

    async with small_store(budget=200_000) as store:
        await stored(store, "k", b"x" * 100)
        flight = store.fill("k", confirm)
        await trio.sleep(1)
        for number in range(5):  # would be evicted, if the flight did not hold it
            await stored(store, f"other-{number}", bytes(100_000))
        entry = await flight.head()
        assert (entry.meta, await read(entry)) == ("confirmed", b"x" * 100)
        assert store.get("k") is entry


# --- holding -------------------------------------------------------------------------------------


async def test_who_waited_holds_what_he_waited_for() -> None:
    """Between the landing of a flight and the turn of those who waited, its object may be evicted."""
    async with small_store(budget=100_000) as store:
        bodies = []

        async def ask() -> None:
            bodies.append(await read(await flight.head()))

        async def fill(filler: Filler) -> None:
            await trio.testing.wait_all_tasks_blocked()
            filler.start(None, 60_000)
            filler.write(b"a" * 60_000)
            store.remove("k")  # and so it ends unkept, before any of those who waited has had a turn

        async with trio.open_nursery() as nursery:
            flight = store.fill("k", fill)
            for _ in range(10):
                nursery.start_soon(ask)
        assert bodies == [b"a" * 60_000] * 10
        assert store.get("k") is None
        assert store.used == 0


@pytest.mark.parametrize("size", [100, 100_000])
async def test_what_is_removed_while_it_is_read_is_read_to_its_end(size: int) -> None:
    async with small_store() as store:
        data = os.urandom(size)
        entry = await stored(store, "k", data)
        entry.acquire()
        assert store.remove("k")
        assert store.get("k") is None
        assert store.used == (size if size <= SMALL else pages(size))
        assert await read(entry) == data
        assert (store.used, store.descriptors.memfds) == (0, 0)


async def test_what_is_removed_while_it_is_fetched_is_not_stored(autojump_clock: MockClock) -> None:
    async with small_store() as store:
        entry = await store.fill("k", filling(b"old", pause=1)).head()
        assert store.keys() == ("k",)
        assert store.remove("k")
        newer = await store.fill("k", filling(b"new", pause=5)).head()
        assert await read(entry) == b"old"
        assert store.get("k") is None
        assert await read(newer) == b"new"
        found = store.get("k")
        assert found is not None
        assert found.blob.read(0, 3) == b"new"
        assert not store.remove("other")


# --- room ----------------------------------------------------------------------------------------


async def test_the_oldest_goes_first() -> None:
    async with small_store(budget=10_000) as store:
        for number in range(5):
            await stored(store, f"{number}", bytes(3000))
        assert store.keys() == ("2", "3", "4")
        assert store.statistics().evicted == 2


async def test_what_is_kept_beside_an_object_counts() -> None:
    async def fill(filler: Filler) -> None:
        filler.start("meta", 3, beside=4000)
        filler.write(b"abc")

    async with small_store(10_000) as store:
        for key in "abc":
            (await store.fill(key, fill).head()).release()
            await trio.testing.wait_all_tasks_blocked()
        assert store.keys() == ("b", "c")
        assert store.statistics().used == 8006
        store.remove("b")
        assert store.statistics().used == 4003


async def test_a_filler_may_store_under_another_key() -> None:
    async def fill(filler: Filler) -> None:
        filler.start("meta", 3, key="asked for\0in French")
        filler.write(b"abc")

    async with small_store(10_000) as store:
        (await store.fill("asked for", fill).head()).release()
        await trio.testing.wait_all_tasks_blocked()
        assert store.keys() == ("asked for\0in French",)
        assert store.flight("asked for") is None


async def test_the_fullest_group_gives_its_oldest() -> None:
    async with small_store(10_000) as store:
        for key, group, size in (("a1", "a", 1000), ("b1", "b", 2000), ("b2", "b", 2000), ("b3", "b", 2000)):
            entry = await store.fill(key, filling(bytes(size), length=size), group).head()
            entry.release()
            await trio.testing.wait_all_tasks_blocked()
        await stored(store, "c", bytes(4000))
        assert store.keys() == ("a1", "b2", "b3", "c")
        await stored(store, "d", bytes(3000))
        assert store.keys() == ("a1", "b3", "c", "d")


async def test_a_victim_costs_the_same_among_ten_thousand_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain cache has as many folders as it has objects, and nobody may weigh them all for each that comes."""
    weighed = 0
    weight = _Group.weight

    def counted(self: _Group) -> int:
        nonlocal weighed
        weighed += 1
        return weight(self)

    async with small_store(MB) as store:
        for number in range(10_000):
            store.put(f"{number}", None, bytes(100), f"group {number}")
        monkeypatch.setattr(_Group, "weight", counted)
        for number in range(10_000, 12_000):
            store.put(f"{number}", None, bytes(100), f"group {number}")
        assert store.statistics().evicted > 1000
        assert weighed < 20 * 2000


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "remove", "read"]), st.integers(0, 7), st.integers(0, 2), st.integers(1, 9)),
        max_size=60,
    )
)
def test_the_victim_is_whom_weighing_all_would_find(steps: list[tuple[str, int, int, int]]) -> None:
    groups, there, begun = Groups(), {}, {}
    numbers = itertools.count()
    for what, key, group, size in steps:
        entry = there.get(key)
        if what == "add" and entry is None:
            entry = there[key] = Entry(str(key), None, size, Descriptors(), lambda _: None)
            entry.group, entry.charged = str(group), size
            if not any(each.group == entry.group for each in there.values() if each is not entry):
                begun[entry.group] = next(numbers)
            groups.add(entry)
        elif what == "remove" and entry is not None:
            groups.remove(there.pop(key))
        elif what == "read" and entry is not None:
            entry.readers = size % 2
        idle = [each for each in there.values() if not each.readers]

        def weight(each: Entry) -> tuple[int, int]:
            return sum(other.charged for other in there.values() if other.group == each.group), -begun[each.group]

        assert groups.victim() is max(idle, key=weight, default=None)


async def test_where_all_of_the_fullest_is_read_the_next_gives() -> None:
    async with small_store(10_000) as store:
        for key, group, size in (("a", "a", 1000), ("b", "b", 8000)):
            entry = await store.fill(key, filling(bytes(size), length=size), group).head()
            entry.release()
            await trio.testing.wait_all_tasks_blocked()
        entry.acquire()
        await stored(store, "c", bytes(2000))
        assert store.keys() == ("b", "c")
        entry.release()


async def test_what_is_read_is_not_evicted_for_nothing() -> None:
    async with small_store(budget=10_000) as store:
        held = [await stored(store, f"{number}", bytes(3000)) for number in range(3)]
        for entry in held:
            entry.acquire()
        with pytest.raises(StoreFull, match="no room for 3000 bytes: 9000 of 10000"):
            await store.fill("more", filling(bytes(3000), length=3000)).head()
        assert store.keys() == ("0", "1", "2")
        held[1].release()
        await stored(store, "more", bytes(3000))
        assert store.keys() == ("0", "2", "more")
        for entry in (held[0], held[2]):
            entry.release()


async def test_nothing_is_evicted_for_what_will_not_fit_all_the_same() -> None:
    async with small_store(budget=10_000) as store:
        for number in range(4):
            await stored(store, f"{number}", bytes(1000))
        held = await stored(store, "held", bytes(5000))
        held.acquire()
        with pytest.raises(StoreFull, match="no room for 6000 bytes: 5000 of 10000"):
            await store.fill("more", filling(bytes(6000), length=6000)).head()
        assert store.keys() == ("0", "1", "2", "3", "held")
        await stored(store, "more", bytes(5000))
        assert store.keys() == ("held", "more")
        held.release()
        await stored(store, "6000", bytes(6000))
        assert store.keys() == ("6000",)


async def test_what_grows_beyond_its_room_fails() -> None:
    async with small_store(budget=10_000) as store:
        entry = await store.fill("k", filling(*[bytes(1000)] * 11)).head()
        with pytest.raises(StoreFull, match="do not fit into a budget of 10000"):
            await read(entry)
        assert (store.used, store.statistics().refused) == (0, 1)


async def test_memfds_take_their_share_of_the_descriptors_and_no_more() -> None:
    async with small_store(budget=100 * MB, limit=20, reserve=4) as store:
        entries = [await stored(store, f"{number}", os.urandom(100_000)) for number in range(10)]
        assert [entry.blob.in_kernel for entry in entries] == [True] * 5 + [False] * 5
        assert store.descriptors.memfds == store.statistics().memfds == 5
        assert store.used == 5 * pages(100_000) + 5 * 100_000
    assert store.descriptors.memfds == 0


# --- blobs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[10], [SMALL], [SMALL, 1], [SMALL + 1], [1] * 100, [50_000] * 5])
def test_a_blob_grows_at_its_end(sizes: list[int]) -> None:
    blob, whole = GrowingBlob(Descriptors()), b""
    for size in sizes:
        piece = os.urandom(size)
        blob.append(piece)
        whole += piece
        assert (blob.size, blob.read(0, 1 << 30)) == (len(whole), whole)
        assert blob.read(len(whole) - 1, 5) == whole[-1:]
    assert blob.in_kernel == (len(whole) > SMALL)
    blob.finish()
    assert blob.read(0, len(whole)) == whole
    assert blob.cost == (pages(len(whole)) if blob.in_kernel else len(whole))
    if blob.in_kernel:
        assert os.fstat(blob.fileno()).st_size == len(whole)
    else:
        with pytest.raises(ValueError, match="not in the kernel"):
            blob.fileno()
    blob.close()
    blob.close()
    with pytest.raises(ValueError, match="closed"):
        blob.append(b"x")


# --- the budget holds, whatever happens ----------------------------------------------------------

BUDGET = 400_000
KEYS = st.sampled_from("abcdef")
SIZES = st.sampled_from([0, 1, 1000, SMALL - 1, SMALL, SMALL + 1, 100_000, 150_000, 500_000])


class StoreMachine(RuleBasedStateMachine):
    """Fills, readers, removals and failures in any order; run inside trio step by step."""

    @initialize(memfds=st.sampled_from([0, 8, 400]))
    def begin(self, memfds: int) -> None:
        self.tasks: list[Callable[[], Awaitable[None]]] = []
        self.descriptors = Descriptors(limit=memfds)
        self.store = Store.__new__(Store)
        self.held: list[tuple[Entry, bytes]] = []
        self.open_fills: dict[str, tuple[Filler, bytearray, trio.Event]] = {}
        self.runner = Stepper(self)

    @rule(key=KEYS, size=st.none() | SIZES)
    def begin_fill(self, key: str, size: int | None) -> None:
        self.runner.step(self._begin_fill, key, size)

    async def _begin_fill(self, key: str, size: int | None) -> None:
        if self.store.flight(key) is not None:
            return

        async def fill(filler: Filler) -> None:
            filler.start(None, size)
            done = trio.Event()
            self.open_fills[key] = (filler, bytearray(), done)
            try:
                await done.wait()
            finally:
                self.open_fills.pop(key, None)
            if getattr(filler, "bad", False):
                raise ValueError("bad")

        try:
            entry = await self.store.fill(key, fill).head()
        except StoreFull:
            return
        self.held.append((entry, b""))

    @precondition(lambda self: self.open_fills)
    @rule(data=st.data(), size=SIZES)
    def write(self, data: st.DataObject, size: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.open_fills)))
        filler, _, done = self.open_fills[key]
        try:
            filler.write(bytes(size))
        except StoreFull:
            filler.bad = True  # type: ignore[attr-defined]
            done.set()
        self.runner.step(trio.testing.wait_all_tasks_blocked)

    @precondition(lambda self: self.open_fills)
    @rule(data=st.data(), bad=st.booleans())
    def end_fill(self, data: st.DataObject, bad: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.open_fills)))
        filler, _, done = self.open_fills[key]
        filler.bad = bad  # type: ignore[attr-defined]
        done.set()
        self.runner.step(trio.testing.wait_all_tasks_blocked)

    @rule(key=KEYS)
    def hold(self, key: str) -> None:
        entry = self.store.get(key)
        if entry is not None:
            entry.acquire()
            self.held.append((entry, entry.blob.read(0, entry.size)))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def let_go(self, data: st.DataObject) -> None:
        entry, seen = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        if entry.complete:
            assert len(entry.blob.read(0, entry.size)) == entry.size
            assert entry.blob.read(0, len(seen)) == seen
        entry.release()

    @rule(key=KEYS)
    def remove(self, key: str) -> None:
        self.store.remove(key)

    @invariant()
    def the_budget_holds(self) -> None:
        if not hasattr(self, "runner"):
            return
        store = self.store
        kept = {*store._entries.values(), *store._growing, *store._lingering}
        assert store.used == sum(entry.charged for entry in kept) <= BUDGET
        assert store._idle == sum(entry.charged for entry in store._entries.values() if not entry.readers)
        assert all(entry.blob.cost <= entry.charged for entry in kept)
        assert {entry for entry, _ in self.held} <= kept
        assert store.descriptors.memfds == sum(entry.blob.in_kernel for entry in kept) <= self.descriptors.limit // 4
        assert store.descriptors.memfd_bytes == sum(entry.blob.cost for entry in kept if entry.blob.in_kernel)
        assert all(entry.readers or not entry.gone for entry in kept)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.end()
            assert self.descriptors.memfds == 0


class Stepper:
    """Trio, one step at a time, for a test that is no coroutine."""

    def __init__(self, machine: StoreMachine) -> None:
        self._machine = machine
        self._wanted: tuple[Callable[..., Awaitable[None]], tuple[object, ...]] | None = None
        self._done: list[object] = []
        self._finished = False
        self._scheduled: list[Callable[[], object]] = []
        trio.lowlevel.start_guest_run(
            self._main,
            run_sync_soon_threadsafe=self._scheduled.append,
            done_callback=self._ended,
            host_uses_signal_set_wakeup_fd=True,
            clock=MockClock(autojump_threshold=0),
        )
        self._spin(lambda: hasattr(self, "_asked"))

    async def _main(self) -> None:
        async with open_store(BUDGET, self._machine.descriptors) as store:
            self._machine.store = store
            self._send, self._asked = trio.open_memory_channel[object](1)
            async for fn, args in self._asked:  # type: ignore[misc]
                await fn(*args)
                await trio.testing.wait_all_tasks_blocked()
                self._done.append(None)

    def _ended(self, outcome: object) -> None:
        self._finished = True
        outcome.unwrap()  # type: ignore[attr-defined]

    def _spin(self, until: Callable[[], bool]) -> None:
        for _ in range(1_000_000):
            if until():
                return
            if self._scheduled:
                self._scheduled.pop(0)()
        raise AssertionError("trio makes no progress")

    def step(self, fn: Callable[..., Awaitable[None]], *args: object) -> None:
        self._done.clear()
        self._send.send_nowait((fn, args))
        self._spin(lambda: bool(self._done))

    def end(self) -> None:
        self._send.close()
        self._spin(lambda: self._finished)


StoreMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestTheBudgetHolds = StoreMachine.TestCase
