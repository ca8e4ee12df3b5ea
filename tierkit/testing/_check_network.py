"""A conformance check for networks: every rule of `Network`, `Bound` and `Connection`, as runnable checks.

`check_network` is for whoever writes a network of their own; the project's own (TCP over IPv4 and IPv6,
unix, TLS, memory) pass it too.  Each check is an async function of a `Ground`, raises AssertionError with
the rule that was broken, and can be run by itself: ``NETWORK_CHECKS`` is made for
``pytest.mark.parametrize``, though nothing here needs pytest.
"""

from __future__ import annotations

import errno
import os
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache

import trio
import trio.testing
from attrs import frozen

from tierkit import Address, Listener, Trust
from tierkit.errors import ConnectionLost, ListenError
from tierkit.plugin import Blob, Bound, Connection, Network

__all__ = ["Ground", "Memfd", "check_network", "dialled", "ensure", "fill", "joined", "pattern", "read_exactly"]

#: Seconds (of trio's clock) after which a check that hangs has failed.
PATIENCE = 20.0


@frozen(kw_only=True)
class Ground:
    """What a check stands on: a network, and where to listen on it."""

    network: Network
    #: With its scheme; port 0 or a unix path, so that checks do not meet each other.
    listener: Listener
    #: For dialling it by TLS.
    trust: Trust | None = None
    #: Whether an abort can be told from an end; unix sockets have no reset.
    resets: bool = True


Check = Callable[[Ground], Awaitable[None]]


async def check_network(factory: Callable[[], AbstractAsyncContextManager[Ground]]) -> None:
    """Run every check, each on a ground of its own.

    Args:
        factory: makes a fresh ground, as an async context manager.

    Raises:
        AssertionError: a rule is broken; the message names it.
    """
    from . import NETWORK_CHECKS

    for check in NETWORK_CHECKS:
        async with factory() as ground:
            await check(ground)


# --- tools ---------------------------------------------------------------------------------------


def ensure(condition: object, rule: str) -> None:
    """An assertion that survives ``python -O``."""
    if not condition:
        raise AssertionError(rule)


@cache
def pattern(count: int, seed: int = 0) -> bytes:
    """Bytes whose every stretch tells where it belongs: the numbers from `seed` on, four bytes each."""
    return array("I", range(seed, seed + (count + 3) // 4)).tobytes()[:count]


async def read_exactly(connection: Connection, count: int) -> bytes:
    """Read `count` bytes, fewer only where the input ends."""
    parts = []
    while count and (data := await connection.recv(min(count, 65536))):
        parts.append(data)
        count -= len(data)
    return b"".join(parts)


async def dialled(ground: Ground, bound: Bound) -> tuple[Connection, Connection]:
    """Both ends of a new connection, established: the dialler's and the listener's."""
    ends: dict[str, Connection] = {}

    async def accept() -> None:
        far = ends["far"] = await bound.accept()
        await far.establish()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        ends["near"] = await ground.network.connect(bound.address, trust=ground.trust)
    return ends["near"], ends["far"]


@asynccontextmanager
async def joined(ground: Ground) -> AsyncIterator[tuple[Connection, Connection]]:
    """Both ends of a connection, and no more patience than a check deserves."""
    with trio.fail_after(PATIENCE):
        bound = await ground.network.listen(ground.listener)
        try:
            near, far = await dialled(ground, bound)
        finally:
            bound.close()
        try:
            yield near, far
        finally:
            near.close()
            far.close()


async def raises_lost(wait: Callable[[], Awaitable[object]], rule: str) -> None:
    """That something raises ConnectionLost, which has a reason."""
    try:
        await wait()
    except ConnectionLost as error:
        ensure(str(error), "ConnectionLost has a reason for people")
    else:
        raise AssertionError(rule)


class Memfd(Blob):
    """A blob that grows."""

    def __init__(self, data: bytes) -> None:
        self._fd = os.memfd_create("check", os.MFD_CLOEXEC)
        self.size = 0
        self.append(data)

    def append(self, data: bytes) -> None:
        self.size += os.pwrite(self._fd, data, self.size)

    def fileno(self) -> int:
        return self._fd

    def read(self, offset: int, count: int) -> bytes:
        return os.pread(self._fd, count, offset)

    def close(self) -> None:
        os.close(self._fd)


def fill(connection: Connection, data: bytes, piece: int = 100_000) -> int:
    """Send until nothing fits any more; returns how much went."""
    sent = 0
    while step := connection.send_nowait(data[sent : sent + piece]):
        sent += step
    return sent


# --- listening and dialling ----------------------------------------------------------------------


async def check_addresses(ground: Ground) -> None:
    """A bound address can be dialled: its port is real, its scheme is the listener's."""
    async with joined(ground) as (near, far):
        ensure(far.door is not None, "an accepted connection knows its door")
        assert far.door is not None
        address = far.door.address
        ensure(address.scheme == ground.listener.address.scheme, "a door has the scheme of its listener")
        ensure(far.door.scheme == address.scheme, "a door's scheme is that of its address")
        ensure(far.door.listener == ground.listener, "a door knows its listener")
        ensure(bool(address.unix) or bool(address.port), "port 0 becomes a real port")
        ensure(near.door is None, "a dialled connection has no door")
        ensure(near.secure == far.secure == address.secure, "secure is what the scheme says")
        ensure(not near.idle and not far.idle, "a new connection is not idle")
        ensure(far.peer.host, "the far end knows who dialled")


async def check_two_listeners(ground: Ground) -> None:
    """One address is listened on once; the second attempt is told so in a line that names it."""
    bound = await ground.network.listen(ground.listener)
    try:
        taken = Listener(bound.address, ground.listener.certificates)
        try:
            second = await ground.network.listen(taken)
        except ListenError as error:
            ensure(bound.address.authority in str(error), "a ListenError names the address")
            ensure("\n" not in str(error), "a ListenError is one line")
        else:
            second.close()
            raise AssertionError("an address that is taken raises ListenError")
    finally:
        bound.close()


async def check_listener_closes(ground: Ground) -> None:
    """Closing a listener wakes its acceptor, refuses newcomers and leaves connections alone."""
    with trio.fail_after(PATIENCE):
        bound = await ground.network.listen(ground.listener)
        near, far = await dialled(ground, bound)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(raises_lost, bound.accept, "accept on a closed listener raises ConnectionLost")
            await trio.testing.wait_all_tasks_blocked()
            bound.close()
            bound.close()
        await raises_lost(bound.accept, "accept after close raises ConnectionLost")
        try:
            await ground.network.connect(bound.address, trust=ground.trust)
        except ConnectionLost as error:
            ensure(_name(bound.address) in str(error), "a refusal names the address")
        else:
            raise AssertionError("nobody answers at a closed listener")
        await far.send_all(b"still here")
        ensure(await read_exactly(near, 10) == b"still here", "connections outlive their listener")
        near.close()
        far.close()
        again = await ground.network.listen(Listener(bound.address, ground.listener.certificates))
        again.close()


def _name(address: Address) -> str:
    return address.unix or str(address.port)


async def check_descriptors(ground: Ground) -> None:
    """Connections are counted while they are open, and one too many fails as EMFILE does."""
    budget = ground.network.descriptors
    before = budget.connections
    async with joined(ground) as (near, far):
        ensure(budget.connections == before + 2, "both ends of a connection are counted")
        near.abort()
        near.close()
        far.close()
        far.abort()
        ensure(budget.connections == before, "a closed connection is counted out, once")
    limit = budget.limit
    bound = await ground.network.listen(ground.listener)
    try:
        budget.limit = budget.reserve + budget.memfds + budget.connections
        await raises_lost(
            lambda: ground.network.connect(bound.address, trust=ground.trust),
            "dialling over budget raises ConnectionLost",
        )
        budget.limit += 1  # one more: the dialler's
        await _one_too_many(ground, bound, limit)
    finally:
        budget.limit = limit
        bound.close()


async def _one_too_many(ground: Ground, bound: Bound, limit: int) -> None:
    ends: list[Connection] = []

    async def dial() -> None:
        ends.append(await ground.network.connect(bound.address, trust=ground.trust))

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dial)
            try:
                await bound.accept()
            except OSError as error:
                ensure(error.errno == errno.EMFILE, "accepting over budget raises EMFILE")
            else:
                raise AssertionError("accepting over budget raises OSError")
            ground.network.descriptors.limit = limit
            ends.append(await bound.accept())
            await ends[0].establish()
        for end in ends:
            end.close()


LISTENING: tuple[Check, ...] = (check_addresses, check_two_listeners, check_listener_closes, check_descriptors)
