"""The newest few by key: what a server or a stranger can make a tier remember is bounded."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

__all__ = ["Newest"]

K = TypeVar("K")
T = TypeVar("T")


class Newest(OrderedDict[K, T]):
    """At most `most` of them; `get` is the dictionary's own, and makes nothing newer."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def put(self, key: K, value: T) -> None:
        """Remember, and forget the oldest where there are too many."""
        self[key] = value
        self.move_to_end(key)
        while len(self) > self._most:
            self.popitem(last=False)
