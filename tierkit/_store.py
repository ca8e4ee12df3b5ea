"""Bytes under opaque keys: one memory budget, single-flight fills, readers during the fill.

It knows no protocol: keys are strings, `meta` is whatever the caller keeps beside the bytes.

* **A fill belongs to the store**, not to the first who asked: it runs in the store's own nursery, and goes
  on when that one leaves.  All who ask meanwhile wait for one `Flight`.
* **Cut-through.**  A reader gets the head when the filler has it and bytes as they arrive.  Readers are woken
  for the head at once and then by batches paced by their number: a thousand readers woken for each of five
  hundred pieces fill a core.
* **A failed fill is never a clean end.**  Each reader gets the error, nothing is kept, and the next who asks
  begins a new flight.
* **Who reads, holds.**  `Entry.acquire` keeps the bytes, evicted or not, until `release`.  `Flight.head` gives
  an entry that is held already: between the landing of a flight and the turn of those who waited for it,
  anything may have been evicted.
* **One budget** covers what is stored, what is in flight, and what was evicted while somebody still reads
  it; a memfd counts in whole pages.  Eviction takes from the `group` that holds most (a stream, where the caller
  says so) the oldest that nobody reads: somebody who goes through one stream's archive does not cost another its
  live window.  What does not fit is refused: the caller streams it past the store.

The bound: bytes held <= budget, whatever the readers do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import trio
from attrs import field, frozen

from ._blob import SMALL, pages
from ._ports import Descriptors
from ._store_entry import Entry, Flight, NotShared, StoreFull
from ._store_groups import Groups
from .errors import TierkitError

__all__ = ["Entry", "Filler", "Flight", "NotShared", "Store", "StoreFull", "StoreStatistics", "open_store"]

#: Seconds between two wake-ups of the readers of a growing object.  20 ms is below what a viewer notices
#: and makes at most 100 wake-ups of a 2 s segment, however many pieces it came in.
PACE = 0.020
#: The same with many readers: one costs some 40 µs (a task's turn and a send), and waking is to take a third
#: of a core at most; but no reader waits longer than 300 ms, the pump's own cap.
PACE_PER_READER = 0.000120
LONGEST_PACE = 0.300


@frozen(kw_only=True)
class StoreStatistics:
    """A store now and so far."""

    #: Bytes of the budget, and how many are in use: stored, in flight, and evicted but still read.
    budget: int = field(metadata={"merge": "sum"})
    used: int = field(metadata={"merge": "sum"})
    #: Objects stored or in flight, and how many of those held, for whatever reason, are memfds.
    objects: int = field(metadata={"merge": "sum"})
    memfds: int = field(metadata={"merge": "sum"})
    #: Fills under way now.
    filling: int = field(metadata={"merge": "sum"})
    #: So far: fills begun, fills that failed, objects evicted for room, objects refused for lack of it.
    fills: int = field(metadata={"merge": "sum"})
    failed: int = field(metadata={"merge": "sum"})
    evicted: int = field(metadata={"merge": "sum"})
    refused: int = field(metadata={"merge": "sum"})


class Filler:
    """What a fill function writes to."""

    def __init__(self, store: Store, flight: Flight) -> None:
        #: What is stored under the key already, for as long as the fill lasts; None where nothing is.
        self.old = flight.old
        #: What `start` has begun.
        self.entry: Entry | None = None
        #: Whether it is stored once it is complete; else it is for those alone who wait and read meanwhile.
        self.keep = True
        self._store = store
        self._flight = flight

    @property
    def key(self) -> str:
        """What was asked for."""
        return self._flight.key

    def start(self, meta: Any, length: int | None = None, *, beside: int = 0, key: str = "") -> Entry:
        """The head is there: whoever waits may begin.  Raises StoreFull where `length` cannot fit.

        Args:
            meta: kept beside the bytes.
            length: bytes in all, None where that is not known.
            beside: bytes that `meta` and what is made of it take; they count in the budget.
            key: to be stored under, where that is another than was asked for.
        """
        flight, store = self._flight, self._store
        entry = Entry(key or flight.key, meta, length, store.descriptors, store._turned)
        entry.group, entry.beside = flight.group, beside
        self._store._charge(entry, length or 0)
        self._store._growing.add(entry)
        self.entry = entry
        self._flight.land(entry)
        return entry

    def write(self, data: bytes) -> None:
        """Bytes that have arrived.  Raises StoreFull where they do not fit."""
        entry = self.entry
        assert entry is not None, "start() comes first"
        self._store._charge(entry, entry.size + len(data))
        entry.blob.append(data)
        self._store._dirty.add(entry)
        self._store._anything.set()

    def alone(self) -> bool:
        """Let nobody join from now on; whether exactly one waits for it already."""
        flights, flight = self._store._flights, self._flight
        if flights.get(flight.key) is flight:
            del flights[flight.key]
        return flight.waiters == 1

    def confirm(self, entry: Entry | None = None) -> None:
        """`old`, or another object that is stored, is still good: whoever waits gets that."""
        entry = entry or self.old
        assert entry is not None, "there is nothing to confirm"
        self._flight.land(entry)


Fill = Callable[[Filler], Awaitable[None]]


class Store:
    """See the head of this module.  Make it with `open_store`."""

    def __init__(self, budget: int, descriptors: Descriptors, nursery: trio.Nursery) -> None:
        self.budget = budget
        self.descriptors = descriptors
        self.used = 0
        #: Bytes of these that eviction could give: of what is stored and read by nobody.
        self._idle = 0
        #: Told of each object when it is stored, and when it is stored no longer: for who keeps an index.  Synchronous.
        self.on_stored: Callable[[Entry], None] = _unheard
        self.on_dropped: Callable[[Entry], None] = _unheard
        self._nursery = nursery
        self._entries: dict[str, Entry] = {}
        self._groups = Groups()
        self._flights: dict[str, Flight] = {}
        self._growing: set[Entry] = set()
        self._lingering: set[Entry] = set()
        self._dirty: set[Entry] = set()
        self._anything = trio.Event()
        self._filling = self._fills = self._failed = self._evicted = self._refused = 0

    def get(self, key: str) -> Entry | None:
        """The object that is stored under a key, complete.  Acquire it before the next await."""
        return self._entries.get(key)

    def flight(self, key: str) -> Flight | None:
        """The fill under way for a key."""
        return self._flights.get(key)

    @property
    def filling(self) -> int:
        """How many fills are under way, those among them that nobody may join any more."""
        return self._filling

    def fill(self, key: str, fill: Fill, group: str = "") -> Flight:
        """The flight for a key: the one under way, or a new one that runs `fill`, for an object of `group`.

        `fill` is given a `Filler`; what it raises is what everybody gets.  When it ends in order after
        `start`, the object is stored under the key in place of the one before; when it ends without
        `start`, the one before stays as it is, and those who wait are told NotShared.
        """
        flight = self._flights.get(key)
        if flight is None:
            old = self._entries.get(key)
            if old is not None:
                old.acquire()
            flight = self._flights[key] = Flight(key, old, group)
            self._fills += 1
            self._filling += 1
            self._nursery.start_soon(self._run, flight, fill, name=f"fill {key}")
        return flight

    def put(self, key: str, meta: Any, data: bytes, group: str = "", *, beside: int = 0) -> Entry:
        """Store an object that is at hand whole, in place of the one before.  Raises StoreFull.

        A fill that is under way for the key goes on, and what it brings takes the place of this.
        """
        entry = Entry(key, meta, len(data), self.descriptors, self._turned)
        entry.group, entry.beside = group, beside
        self._charge(entry, len(data))
        entry.blob.append(data)
        self._finish(entry, None, keep=True)
        return entry

    def remove(self, key: str) -> bool:
        """Forget an object, and what a fill under way will bring; whoever reads either reads on."""
        flight = self._flights.pop(key, None)
        entry = self._entries.get(key)
        if entry is not None:
            self._drop(entry)
        return entry is not None or flight is not None

    def keys(self) -> tuple[str, ...]:
        """The keys of what is stored, oldest first, then those of what is under way."""
        return tuple(dict.fromkeys((*self._entries, *self._flights)))

    def under_way(self) -> tuple[str, ...]:
        """The keys of the fills that may be joined."""
        return tuple(self._flights)

    def statistics(self) -> StoreStatistics:
        """The store now and so far."""
        held = (*self._entries.values(), *self._growing, *self._lingering)
        return StoreStatistics(
            budget=self.budget,
            used=self.used,
            objects=len(self._entries) + len(self._growing),
            memfds=sum(entry.blob.in_kernel for entry in held),
            filling=self._filling,
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
            self._filling -= 1
            current = self._flights.get(flight.key) is flight
            if current:
                del self._flights[flight.key]
            self._failed += failure is not None and not isinstance(failure, (NotShared, StoreFull))
            if filler.entry is not None:
                self._finish(filler.entry, failure, keep=current and filler.keep)
            elif not flight.landed:
                flight.land(None, failure or NotShared(f"{flight.key} is not for others"))
            if flight.old is not None:
                flight.old.release()
                flight.old = None

    def _finish(self, entry: Entry, failure: Exception | None, *, keep: bool) -> None:
        self._growing.discard(entry)
        self._dirty.discard(entry)
        if failure is None and entry.length is not None and entry.size != entry.length:
            failure = TierkitError(f"{entry.key} has {entry.size} of {entry.length} bytes")
            self._failed += 1
        if failure is None:
            entry.blob.finish()
            cost = entry.blob.cost + entry.beside
            self.used += cost - entry.charged
            entry.charged = cost
            entry.length = entry.size
            entry.complete = True
        else:
            entry.failure = failure
        if entry.complete and keep:
            if (old := self._entries.get(entry.key)) is not None:
                self._drop(old)
            self._entries[entry.key] = entry
            self._groups.add(entry)
            entry.stored = True
            self._idle += 0 if entry.readers else entry.charged
            self.on_stored(entry)
        else:
            self._let_go(entry)
        entry.wake()

    # --- memory ----------------------------------------------------------------------------------

    def _charge(self, entry: Entry, size: int) -> None:
        """Hold budget for an entry of `size` bytes.  Raises StoreFull where that cannot be had."""
        # Counted as if it were in whole pages, because it may become a memfd.
        want = (pages(size) if size > SMALL else size) + entry.beside
        if want <= entry.charged:
            return
        if want > self.budget:
            self._refused += 1
            raise StoreFull(f"{size} bytes do not fit into a budget of {self.budget}")
        if want - entry.charged > self._could_give():
            self._refuse(size)
        while self.used + want - entry.charged > self.budget:
            victim = self._groups.victim()
            if victim is None:
                self._refuse(size)
            self._evicted += 1
            self._drop(victim)
        self.used += want - entry.charged
        entry.charged = want

    def _could_give(self) -> int:
        """Bytes that are free or could be made so: nothing is evicted for what will not fit all the same."""
        return self.budget - self.used + self._idle

    def _refuse(self, size: int) -> NoReturn:
        self._refused += 1
        busy = self.used - self._idle
        raise StoreFull(f"no room for {size} bytes: {busy} of {self.budget} are being read or filled")

    def _drop(self, entry: Entry) -> None:
        """Take an entry out of what is stored."""
        del self._entries[entry.key]
        entry.stored = False
        self._idle -= 0 if entry.readers else entry.charged
        self._groups.remove(entry)
        self.on_dropped(entry)
        self._let_go(entry)

    def _let_go(self, entry: Entry) -> None:
        entry.gone = True
        self._lingering.add(entry)
        self._maybe_free(entry)

    def _turned(self, entry: Entry) -> None:
        """Its first reader has come, or its last has gone."""
        if entry.stored:
            self._idle += -entry.charged if entry.readers else entry.charged
        else:
            self._maybe_free(entry)

    def _maybe_free(self, entry: Entry) -> None:
        if entry.gone and not entry.readers and entry in self._lingering:
            self._lingering.discard(entry)
            self.used -= entry.charged
            entry.charged = 0
            entry.blob.close()

    async def _pacer(self) -> None:
        while True:
            await self._anything.wait()
            self._anything = trio.Event()
            dirty, self._dirty = self._dirty, set()
            readers = sum(entry.readers for entry in dirty)
            for entry in dirty:
                entry.wake()
            await trio.sleep(min(LONGEST_PACE, max(PACE, readers * PACE_PER_READER)))

    def _close(self) -> None:
        for entry in (*self._entries.values(), *self._growing, *self._lingering):
            entry.blob.close()
        self._entries.clear()
        self._groups.clear()


def _unheard(entry: Entry) -> None:
    """Nobody keeps an index."""


@asynccontextmanager
async def open_store(budget: int, descriptors: Descriptors) -> AsyncIterator[Store]:
    """A store for as long as the block lasts.

    Args:
        budget: bytes, for everything it holds.
        descriptors: the process's budget, for memfds.
    """
    store = None
    try:
        async with trio.open_nursery() as nursery:
            store = Store(budget, descriptors, nursery)
            nursery.start_soon(store._pacer, name="store pacer")
            try:
                yield store
            finally:
                # Fills end first, each telling its readers; the nursery waits for them.
                nursery.cancel_scope.cancel()
    finally:
        if store is not None:
            store._close()
