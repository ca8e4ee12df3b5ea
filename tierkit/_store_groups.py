"""Whose turn it is to make room: what is stored, by the group that it is counted in.

The fullest group gives its oldest entry that nobody reads; of equally full ones the oldest group does.

Theory of operation: a heap of (weight, group), the heaviest on top.  Each change of a weight adds a line, and lines
that are not true any more are dropped when they come to the top; once most are such, the heap is made anew.  So a
store of a hundred thousand folders, as a plain cache has them, finds its victim as fast as one of ten streams.
"""

from __future__ import annotations

import heapq
from itertools import count

from ._store_entry import Entry

__all__ = ["Groups"]

#: Lines of the heap for each group, before it is made anew.
LINES = 4
SPARE = 64


class _Group:
    """The stored entries of one group, oldest first, and what they weigh."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.entries: dict[str, Entry] = {}
        self.bytes = 0

    def weight(self) -> int:
        return self.bytes

    @property
    def line(self) -> tuple[int, int, _Group]:
        """The heap's; no two groups have one number, so groups themselves are never compared."""
        return -self.weight(), self.number, self

    def oldest(self) -> Entry | None:
        return next((each for each in self.entries.values() if not each.readers), None)


class Groups:
    """All groups of a store."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._heap: list[tuple[int, int, _Group]] = []
        self._numbers = count()

    def add(self, entry: Entry) -> None:
        """It is stored, and weighs what it is charged."""
        group = self._groups.get(entry.group)
        if group is None:
            group = self._groups[entry.group] = _Group(next(self._numbers))
        group.entries[entry.key] = entry
        group.bytes += entry.charged
        self._weighed(group)

    def remove(self, entry: Entry) -> None:
        """It is stored no longer; its charge is what it was."""
        group = self._groups[entry.group]
        del group.entries[entry.key]
        group.bytes -= entry.charged
        if group.entries:
            self._weighed(group)
        else:
            del self._groups[entry.group]

    def clear(self) -> None:
        """Nothing is stored."""
        self._groups.clear()
        self._heap.clear()

    def victim(self) -> Entry | None:
        """The oldest that nobody reads, of the fullest group that has one."""
        read: list[tuple[int, int, _Group]] = []
        found = None
        while self._heap and found is None:
            weight, _, group = line = self._heap[0]
            if group.entries and -weight == group.weight():
                found = group.oldest()
                if found is not None:
                    break
                read.append(line)  # all of it is being read: rare
            heapq.heappop(self._heap)
        for line in read:
            heapq.heappush(self._heap, line)
        return found

    def _weighed(self, group: _Group) -> None:
        heapq.heappush(self._heap, group.line)
        if len(self._heap) > LINES * len(self._groups) + SPARE:
            self._heap = [each.line for each in self._groups.values()]
            heapq.heapify(self._heap)
