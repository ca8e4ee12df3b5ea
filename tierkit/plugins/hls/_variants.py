"""What objects vary by, for as long as a variant of them is stored (RFC 9111 section 4.1).

A variant is stored under the key of its object, a line feed, and what the request said in the fields that Vary names.
Whoever asks has the object's key alone, so the names must be known for as long as there is something to be found by
them: a cache of a hundred thousand objects that vary, as any that are compressed do, knows as many.  They go with the
last variant; those of what is still on its way, and may never be stored, are the newest few.
"""

from __future__ import annotations

from tierkit.plugin import Entry, Store

from ._objects import Memory, Meta

__all__ = ["Variants"]

Names = tuple[bytes, ...]


class Variants:
    """The names by which what is stored in one store varies.

    Args:
        store: it tells what it has taken in and given up.
    """

    def __init__(self, store: Store) -> None:
        self._arriving: Memory[str, Names] = Memory()
        self._names: dict[str, Names] = {}
        self._stored: dict[str, set[str]] = {}
        store.on_stored, store.on_dropped = self._took, self._gave_up

    def __bool__(self) -> bool:
        return bool(self._arriving or self._names)

    def get(self, key: str) -> Names | None:
        """The names for an object; None where it does not vary, as far as is known."""
        return self._arriving.get(key) or self._names.get(key)

    def put(self, key: str, names: Names) -> None:
        """An answer has come that varies by these."""
        self._arriving.put(key, names)

    def forget(self, key: str) -> None:
        """It varies no longer."""
        self._arriving.forget(key)
        self._names.pop(key, None)

    def keys(self, key: str) -> tuple[str, ...]:
        """The keys of its variants that are stored."""
        return tuple(self._stored.get(key, ()))

    def _took(self, entry: Entry) -> None:
        meta: Meta = entry.meta
        if meta.lifetime.vary:
            key = _object(entry)
            self._arriving.forget(key)
            self._names[key] = meta.lifetime.vary
            self._stored.setdefault(key, set()).add(entry.key)

    def _gave_up(self, entry: Entry) -> None:
        key = _object(entry)
        stored = self._stored.get(key)
        if stored is None:
            return
        stored.discard(entry.key)
        if not stored:
            del self._stored[key]
            self._names.pop(key, None)


def _object(variant: Entry) -> str:
    """The key of the object: no field's value has a line feed."""
    return variant.key.rpartition("\n")[0]
