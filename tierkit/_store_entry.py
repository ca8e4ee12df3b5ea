"""An object in the store, and the flight that brings it: see `_store` for what they promise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from ._blob import GrowingBlob
from ._ports import Descriptors
from .errors import TierkitError

__all__ = ["Entry", "Flight", "NotShared", "StoreFull"]


class StoreFull(TierkitError):
    """There is no room for more bytes within the budget."""


class NotShared(TierkitError):
    """The filler found that its object is not for others: each who waited asks for himself."""


class Entry:
    """An object: complete, or still growing.

    Attributes:
        meta: what the filler keeps beside the bytes; it may be replaced (a revalidation does).
        length: bytes in all, None while that is not known.
        complete: whether all of it is there.
        failure: why it will never be complete, None while it may.
        charged: bytes of the budget that are held for it.
        beside: those of them that are not the object's own: what is kept beside it.
        readers: how many hold it.
        group: whose share of the store it is counted in.
        stored: whether it is to be had by its key.
        gone: whether the store has let go of it: it is freed with its last reader.
    """

    def __init__(
        self, key: str, meta: Any, length: int | None, descriptors: Descriptors, turned: Callable[[Entry], None]
    ) -> None:
        self.key = key
        self.meta = meta
        self.length = length
        self.complete = False
        self.blob = GrowingBlob(descriptors)
        self.failure: Exception | None = None
        self.charged = 0
        self.beside = 0
        self.readers = 0
        self.group = ""
        self.stored = False
        self.gone = False
        #: Told when its first reader has come, and when its last has gone.
        self._turned = turned
        self._grown = trio.Event()

    @property
    def size(self) -> int:
        """Bytes that are there now."""
        return self.blob.size

    def acquire(self) -> None:
        """Keep the bytes, evicted or not, until `release`."""
        self.readers += 1
        if self.readers == 1:
            self._turned(self)

    def release(self) -> None:
        """The other end of `acquire`: what was evicted goes with its last reader."""
        self.readers -= 1
        if not self.readers:
            self._turned(self)

    async def more(self, offset: int) -> int:
        """Bytes that are there from `offset` on, waiting for at least one; 0 at the end.

        Raises what the filler raised, where it failed.
        """
        while self.size <= offset and not self.complete:
            if self.failure is not None:
                # Without what it gathered at other readers: each would add its frames to one exception.
                raise self.failure.with_traceback(None)
            await self._grown.wait()
        return max(0, self.size - offset)

    def wake(self) -> None:
        """Let those who wait for more look again."""
        grown, self._grown = self._grown, trio.Event()
        grown.set()


class Flight:
    """One fill and all who wait for it.

    Attributes:
        old: what was stored under the key when it began, held until it ends; None where nothing was.
        waiters: how many wait for its head now.
    """

    def __init__(self, key: str, old: Entry | None, group: str = "") -> None:
        self.key = key
        self.group = group
        self.old = old
        self.waiters = 0
        self._landed = trio.Event()
        self._entry: Entry | None = None
        self._failure: Exception | None = None

    @property
    def landed(self) -> bool:
        """Whether its head is there, or never will be."""
        return self._landed.is_set()

    async def head(self) -> Entry:
        """The entry, once its head is there, held for the caller: who releases it.

        Raises NotShared where the object is not for others, or what the filler raised.
        """
        if self.landed:
            if self._entry is not None:
                self._entry.acquire()
        else:
            self.waiters += 1
            try:
                await self._landed.wait()
            except BaseException:
                if self._entry is not None:
                    self._entry.release()
                raise
            finally:
                self.waiters -= 1
        if self._entry is None:
            assert self._failure is not None
            raise self._failure.with_traceback(None)
        return self._entry

    def land(self, entry: Entry | None, failure: Exception | None = None) -> None:
        """Give those who wait an entry, held for each of them, or a failure."""
        self._entry, self._failure = entry, failure
        for _ in range(self.waiters if entry is not None else 0):
            entry.acquire()  # type: ignore[union-attr]
        self._landed.set()
