"""Bounds, bursts, and pauses that end nothing."""

from __future__ import annotations

import errno
import os
import resource
from itertools import pairwise

import pytest
import trio
import trio.lowlevel
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tierkit import Limits, Listener
from tierkit._limits import Admission, accept_loop
from tierkit._net import RealNetwork
from tierkit._ports import Bound, Connection, Door
from tierkit.errors import ConnectionLost
from tierkit.testing import MemoryNetwork

# --- admission -----------------------------------------------------------------------------------


def test_a_tier_is_full() -> None:
    admission = Admission(Limits(connections=2))
    assert admission.admit("a") is None
    assert admission.admit("b") is None
    assert admission.admit("c") == "the tier is full: 2 connections (limits.connections)"
    admission.release("a")
    assert admission.admit("c") is None


def test_one_address_has_a_bound() -> None:
    admission = Admission(Limits(per_address=2))
    assert [admission.admit("198.51.100.7") for _ in range(3)] == [
        None,
        None,
        "2 connections from one address already (limits.per_address)",
    ]
    assert admission.admit("198.51.100.8") is None
    admission.release("198.51.100.7")
    assert admission.admit("198.51.100.7") is None


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("198.51.100.7", "198.51.100.8", False),
        ("a1.example", "a2.example", False),
        ("odd:name", "odd:other", False),
        ("unix", "unix", False),
    ],
)
def test_what_counts_as_one_address(first: str, second: str, same: bool) -> None:
    admission = Admission(Limits(per_address=1))
    assert admission.admit(first) is None
    assert (admission.admit(second) is not None) == same


def test_refusals_are_told_once_a_second_for_each_reason() -> None:
    admission = Admission(Limits(connections=2, per_address=1))
    admission.admit("a")
    assert admission.due(0.0) == []
    one = admission.admit("a")
    admission.admit("b")
    full = admission.admit("c")
    assert admission.due(0.0) == [(one, "a", 1), (full, "c", 1)]
    for host in "abcde":
        admission.admit(host)
    assert admission.due(0.5) == []
    assert admission.due(1.0) == [(full, "e", 5)]
    assert admission.due(9.0) == []


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "b", "2001:db8::1", "2001:db8::2", "unix"]))))
def test_counting_in_and_out_never_drifts(steps: list[tuple[bool, str]]) -> None:
    admission = Admission(Limits(connections=5, per_address=2))
    inside: list[str] = []
    for come, host in steps:
        if come:
            if admission.admit(host) is None:
                inside.append(host)
        elif host in inside:
            inside.remove(host)
            admission.release(host)
        assert admission.connections == len(inside) <= 5
    for host in inside:
        admission.release(host)
    assert admission.connections == 0
    assert admission._by_address == {}


# --- the accept loop -----------------------------------------------------------------------------


class Script(Bound):
    """A listener that accepts what it was told: connections as strings, errors as numbers."""

    def __init__(self, *steps: str | int) -> None:
        self.steps = list(steps)
        self.door = Door(Listener.parse("http://:80"), Listener.parse("http://:80").address)
        self.asked: list[float] = []

    async def accept(self) -> Connection:
        self.asked.append(trio.current_time())
        if not self.steps:
            raise ConnectionLost("closed")
        step = self.steps.pop(0)
        if isinstance(step, int):
            raise OSError(step, os.strerror(step))
        return step  # type: ignore[return-value]

    def close(self) -> None:
        pass


async def ran(bound: Bound, burst: int = 64) -> tuple[list[object], list[tuple[str, float]]]:
    accepted: list[object] = []
    pauses: list[tuple[str, float]] = []
    await accept_loop(bound, on_connection=accepted.append, on_pause=lambda *each: pauses.append(each), burst=burst)
    return accepted, pauses


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
async def test_a_full_table_pauses_and_never_ends(number: int, autojump_clock) -> None:
    bound = Script("a", *[number] * 8, "b", number, "c")
    accepted, pauses = await ran(bound)
    assert accepted == ["a", "b", "c"]
    gaps = [round(late - early, 3) for early, late in pairwise(bound.asked)]
    assert gaps == [0, 0.1, 0.2, 0.4, 0.8, 1, 1, 1, 1, 0, 0.1, 0]
    # Told at most once a second; after an accept that succeeded, the pauses begin anew.
    assert [seconds for _, seconds in pauses] == [0.1, 1, 1, 1, 1, 0.1]
    assert all("\n" not in reason for reason, _ in pauses)


async def test_what_waiting_does_not_mend_is_raised(autojump_clock) -> None:
    with pytest.raises(OSError, match="Bad file descriptor"):
        await ran(Script("a", errno.EBADF))


async def test_after_a_burst_everybody_else_gets_a_turn() -> None:
    accepted: list[object] = []
    turns: list[int] = []

    async def somebody_else() -> None:
        while len(accepted) < 80:
            turns.append(len(accepted))
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(somebody_else)
        await accept_loop(Script(*"a" * 80), on_connection=accepted.append, on_pause=lambda *_: None, burst=8)
    # Two tasks that may run at the same moment run in either order, so at most two bursts stand in between.
    assert max(late - early for early, late in pairwise(turns)) <= 16
    assert len(turns) >= 5


@pytest.mark.parametrize("network", [MemoryNetwork, RealNetwork])
async def test_a_loop_ends_quietly_with_its_listener(network) -> None:
    bound = await network().listen(Listener.parse("http://127.0.0.1:0"))
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ran, bound)
            await trio.testing.wait_all_tasks_blocked()
            bound.close()


async def test_a_storm_is_taken_whole() -> None:
    network = RealNetwork()
    bound = await network.listen(Listener.parse("http://127.0.0.1:0"))
    accepted: list[Connection] = []
    everybody = trio.Event()

    def welcome(connection: Connection) -> None:
        accepted.append(connection)
        if len(accepted) == 300:
            everybody.set()

    near: list[Connection] = []

    async def dial() -> None:
        near.append(await network.connect(bound.address))

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            for _ in range(300):
                nursery.start_soon(dial)
            await trio.lowlevel.checkpoint()
            nursery.start_soon(lambda: accept_loop(bound, on_connection=welcome, on_pause=print, burst=16))
            await everybody.wait()
            bound.close()
    assert len({connection.peer.port for connection in accepted}) == 300
    for connection in (*near, *accepted):
        connection.close()
    assert network.descriptors.connections == 0


async def test_a_kernel_without_descriptors_pauses_the_door_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tierkit._limits.FIRST_PAUSE", 0.005)
    network = RealNetwork()
    bound = await network.listen(Listener.parse("http://127.0.0.1:0"))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    accepted: list[Connection] = []
    paused, arrived = trio.Event(), trio.Event()
    reasons: list[str] = []

    def pause(reason: str, seconds: float) -> None:
        reasons.append(reason)
        paused.set()

    def welcome(connection: Connection) -> None:
        accepted.append(connection)
        arrived.set()

    near = await network.connect(bound.address)
    taken: list[int] = []
    try:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken_now()) + 2, before[1]))
                taken += use_up()
                nursery.start_soon(lambda: accept_loop(bound, on_connection=welcome, on_pause=pause))
                await paused.wait()
                assert not accepted
                os.close(taken.pop())
                await arrived.wait()
                bound.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in taken:
            os.close(descriptor)
    assert reasons == [
        "no descriptor is free in this process (raise the limit, ulimit -n, or lower limits.connections)"
    ]
    near.close()
    accepted[0].close()


def use_up() -> list[int]:
    """Take every descriptor that is left."""
    taken: list[int] = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        assert error.errno == errno.EMFILE  # noqa: PT017
    return taken


def taken_now() -> list[int]:
    return [int(name) for name in os.listdir("/proc/self/fd")]


async def test_the_budget_pauses_a_door_in_memory_too(autojump_clock) -> None:
    network = MemoryNetwork()
    bound = await network.listen(Listener.parse("http://a1.example:80"))
    near = [await network.connect(bound.address) for _ in range(3)]
    budget = network.descriptors
    budget.limit = budget.reserve + 4
    accepted: list[Connection] = []
    pauses: list[float] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            lambda: accept_loop(
                bound, on_connection=accepted.append, on_pause=lambda _, seconds: pauses.append(seconds)
            )
        )
        await trio.sleep(0.05)
        assert (len(accepted), pauses) == (1, [0.1])
        near[0].close()
        await trio.sleep(0.1)
        assert len(accepted) == 2
        for connection in (*near, *accepted):
            connection.close()
        await trio.sleep(1)
        assert len(accepted) == 3
        bound.close()
