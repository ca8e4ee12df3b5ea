"""Bytes under opaque keys: one memory budget, single-flight fills, readers during the fill.

It knows no protocol: keys are strings, `meta` is whatever the caller keeps beside the bytes.

* **A fill belongs to the store**, not to the first who asked: it runs in the store's own nursery, and goes
  on when that one leaves.  All who ask meanwhile wait for one `Flight`.
* **Cut-through.**  A reader gets the head when the filler has it and bytes as they arrive.  Readers are woken
  for the head at once and then by paced batches: a thousand readers woken for each of five hundred pieces
  fill a core.
* **A failed fill is never a clean end.**  Each reader gets the error, nothing is kept, and the next who asks
  begins a new flight.
* **One budget** covers what is stored, what is in flight, and what was evicted while somebody still reads
  it; a memfd counts in whole pages.  Eviction takes the oldest first.  What does not fit is refused: the
  caller streams it past the store.

The bound: bytes held <= budget, whatever the readers do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from attrs import field, frozen

from ._blob import SMALL, GrowingBlob, pages
from ._ports import Descriptors
from .errors import TierkitError

__all__ = ["Entry", "Filler", "Flight", "NotShared", "Store", "StoreFull", "StoreStatistics", "open_store"]

#: Seconds between two wake-ups of the readers of a growing object.  20 ms is below what a viewer notices
#: and makes at most 100 wake-ups of a 2 s segment, however many pieces it came in.
PACE = 0.020


class StoreFull(TierkitError):
    """There is no room for more bytes within the budget."""


class NotShared(TierkitError):
    """The filler found that its object is not for others: each who waited asks for himself."""


@frozen(kw_only=True)
class StoreStatistics:
    """A store now and so far."""

    #: Bytes of the budget, and how many are in use: stored, in flight, and evicted but still read.
    budget: int = field(metadata={"merge": "sum"})
    used: int = field(metadata={"merge": "sum"})
    #: Objects stored or in flight, and how many of them are memfds.
    objects: int = field(metadata={"merge": "sum"})
    memfds: int = field(metadata={"merge": "sum"})
    #: Fills under way now.
    filling: int = field(metadata={"merge": "sum"})
    #: So far: fills begun, fills that failed, objects evicted for room, objects refused for lack of it.
    fills: int = field(metadata={"merge": "sum"})
    failed: int = field(metadata={"merge": "sum"})
    evicted: int = field(metadata={"merge": "sum"})
    refused: int = field(metadata={"merge": "sum"})


class Entry:
    """An object: complete, or still growing.

    Attributes:
        meta: what the filler keeps beside the bytes; it may be replaced (a revalidation does).
        length: bytes in all, None while that is not known.
        complete: whether all of it is there.
    """

    def __init__(self, store: Store, key: str, meta: Any, length: int | None) -> None:
        self.key = key
        self.meta = meta
        self.length = length
        self.complete = False
        self.blob = GrowingBlob(store.descriptors)
        self.failure: Exception | None = None
        self._store = store
        #: Bytes of the budget that are held for it.
        self.charged = 0
        self._readers = 0
        self._gone = False
        self._grown = trio.Event()

    @property
    def size(self) -> int:
        """Bytes that are there now."""
        return self.blob.size

    def acquire(self) -> None:
        """Keep the bytes, evicted or not, until `release`."""
        self._readers += 1

    def release(self) -> None:
        """The other end of `acquire`: what was evicted goes with its last reader."""
        self._readers -= 1
        self._store._maybe_free(self)

    async def more(self, offset: int) -> int:
        """Bytes that are there from `offset` on, waiting for at least one; 0 at the end.

        Raises what the filler raised, where it failed.
        """
        while self.size <= offset and not self.complete:
            if self.failure is not None:
                raise self.failure
            await self._grown.wait()
        return max(0, self.size - offset)

    def _wake(self) -> None:
        grown, self._grown = self._grown, trio.Event()
        grown.set()


class Filler:
    """What a fill function writes to."""

    def __init__(self, store: Store, flight: Flight) -> None:
        self._store = store
        self._flight = flight
        self.entry: Entry | None = None

    def start(self, meta: Any, length: int | None = None) -> Entry:
        """The head is there: whoever waits may begin.  Raises StoreFull where `length` cannot fit."""
        entry = Entry(self._store, self._flight.key, meta, length)
        if length is not None:
            self._store._charge(entry, length)
        self.entry = entry
        self._flight.entry = self.entry
        self._store._growing.add(self.entry)
        self._flight.landed.set()
        return self.entry

    def write(self, data: bytes) -> None:
        """Bytes that have arrived.  Raises StoreFull where they do not fit."""
        entry = self.entry
        assert entry is not None, "start() comes first"
        self._store._charge(entry, entry.size + len(data))
        entry.blob.append(data)
        self._store._dirty.add(entry)
        self._store._anything.set()

    def confirm(self, entry: Entry) -> None:
        """What is stored is still good (a revalidation said so): whoever waits gets that."""
        self._flight.entry = entry
        self._flight.landed.set()


class Flight:
    """One fill and all who wait for it.

    Attributes:
        waiters: how many wait for its head now.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.waiters = 0
        self.landed = trio.Event()
        self.entry: Entry | None = None
        self.failure: Exception | None = None

    async def head(self) -> Entry:
        """The entry, once its head is there.

        Raises NotShared where the object is not for others, or what the filler raised.
        """
        self.waiters += 1
        try:
            await self.landed.wait()
        finally:
            self.waiters -= 1
        if self.entry is None:
            assert self.failure is not None
            raise self.failure
        return self.entry


Fill = Callable[[Filler], Awaitable[None]]


class Store:
    """See the head of this module.  Make it with `open_store`."""

    def __init__(self, budget: int, descriptors: Descriptors, nursery: trio.Nursery) -> None:
        self.budget = budget
        self.descriptors = descriptors
        self.used = 0
        self._nursery = nursery
        self._entries: dict[str, Entry] = {}
        self._flights: dict[str, Flight] = {}
        self._growing: set[Entry] = set()
        self._dirty: set[Entry] = set()
        self._anything = trio.Event()
        self._fills = self._failed = self._evicted = self._refused = 0
        self._lingering: set[Entry] = set()

    def get(self, key: str) -> Entry | None:
        """The object that is stored under a key, complete."""
        return self._entries.get(key)

    def flight(self, key: str) -> Flight | None:
        """The fill under way for a key."""
        return self._flights.get(key)

    def fill(self, key: str, fill: Fill) -> Flight:
        """The flight for a key: the one under way, or a new one that runs `fill`.

        `fill` is given a `Filler`; what it raises is what everybody gets.  When it ends in order after
        `start`, the object is stored under the key in place of the one before; when it ends without
        `start`, the one before stays as it is, and those who wait are told NotShared.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = Flight(key)
            self._fills += 1
            self._nursery.start_soon(self._run, flight, fill, name=f"fill {key}")
        return flight

    def remove(self, key: str) -> bool:
        """Forget an object; whoever reads it reads on."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._let_go(entry)
        return entry is not None

    def keys(self) -> tuple[str, ...]:
        """The keys of what is stored, oldest first."""
        return tuple(self._entries)

    def statistics(self) -> StoreStatistics:
        """The store now and so far."""
        held = (*self._entries.values(), *self._growing, *self._lingering)
        return StoreStatistics(
            budget=self.budget,
            used=self.used,
            objects=len(self._entries) + len(self._growing),
            memfds=sum(entry.blob.in_kernel for entry in held),
            filling=len(self._flights),
            fills=self._fills,
            failed=self._failed,
            evicted=self._evicted,
            refused=self._refused,
        )

    # --- filling ---------------------------------------------------------------------------------

    async def _run(self, flight: Flight, fill: Fill) -> None:
        filler = Filler(self, flight)
        # What stands if the fill is cancelled, because the tier drops: never a clean end.
        failure: Exception | None = TierkitError(f"{flight.key}: the tier ends")
        try:
            await fill(filler)
            failure = None
        except Exception as error:
            failure = error
        finally:
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]
            self._land(flight, filler.entry, failure)

    def _land(self, flight: Flight, entry: Entry | None, failure: Exception | None) -> None:
        if entry is None and flight.entry is not None:
            return  # confirmed
        if entry is None:
            flight.failure = failure or NotShared(f"{flight.key} is not for others")
            flight.landed.set()
            self._failed += failure is not None and not isinstance(failure, (NotShared, StoreFull))
            return
        self._growing.discard(entry)
        self._dirty.discard(entry)
        if failure is None and entry.length is not None and entry.size != entry.length:
            failure = TierkitError(f"{flight.key} has {entry.size} of {entry.length} bytes")
        if failure is None:
            entry.blob.finish()
            self.used += entry.blob.cost - entry.charged
            entry.charged = entry.blob.cost
            entry.length = entry.size
            entry.complete = True
            if (old := self._entries.pop(entry.key, None)) is not None:
                self._let_go(old)
            self._entries[entry.key] = entry
        else:
            self._failed += 1
            entry.failure = failure
            self._let_go(entry)
        entry._wake()

    # --- memory ----------------------------------------------------------------------------------

    def _charge(self, entry: Entry, size: int) -> None:
        """Hold budget for an entry of `size` bytes.  Raises StoreFull where that cannot be had."""
        # Counted as if it were in whole pages, because it may become a memfd.
        want = pages(size) if size > SMALL else size
        if want <= entry.charged:
            return
        if want > self.budget:
            self._refused += 1
            raise StoreFull(f"{size} bytes do not fit into a budget of {self.budget}")
        while self.used + want - entry.charged > self.budget:
            oldest = next((each for each in self._entries.values() if not each._readers), None)
            if oldest is None:
                self._refused += 1
                raise StoreFull(f"no room for {size} bytes: {self.used} of {self.budget} are being read or filled")
            del self._entries[oldest.key]
            self._evicted += 1
            self._let_go(oldest)
        self.used += want - entry.charged
        entry.charged = want

    def _let_go(self, entry: Entry) -> None:
        entry._gone = True
        self._lingering.add(entry)
        self._maybe_free(entry)

    def _maybe_free(self, entry: Entry) -> None:
        if entry._gone and not entry._readers and entry in self._lingering:
            self._lingering.discard(entry)
            self.used -= entry.charged
            entry.blob.close()

    async def _pacer(self) -> None:
        while True:
            await self._anything.wait()
            self._anything = trio.Event()
            dirty, self._dirty = self._dirty, set()
            for entry in dirty:
                entry._wake()
            await trio.sleep(PACE)

    def _close(self) -> None:
        for entry in (*self._entries.values(), *self._growing, *self._lingering):
            entry.blob.close()
        self._entries.clear()


@asynccontextmanager
async def open_store(budget: int, descriptors: Descriptors) -> AsyncIterator[Store]:
    """A store for as long as the block lasts.

    Args:
        budget: bytes, for everything it holds.
        descriptors: the process's budget, for memfds.
    """
    async with trio.open_nursery() as nursery:
        store = Store(budget, descriptors, nursery)
        nursery.start_soon(store._pacer, name="store pacer")
        try:
            yield store
        finally:
            nursery.cancel_scope.cancel()
            # Fills end first, each telling its readers; then the memory goes.
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
    store._close()
