"""What is kept beside an object's bytes, and what is remembered of streams and keys."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from typing import TypeVar

from attrs import define, evolve, field

from tierkit.codecs.http_cache import Lifetime, reuse
from tierkit.codecs.http_reuse import is_fresh
from tierkit.codecs.viewings import Media
from tierkit.http import Ready

from ._about import About

__all__ = ["Memory", "Meta", "folders"]

K = TypeVar("K")
T = TypeVar("T")

#: How many keys or streams one memory holds: a few hundred bytes each.
REMEMBERED = 1024


@define(kw_only=True, eq=False)
class Meta:
    """What is kept beside an object's bytes."""

    status: int
    #: As upstream sent them, without those of the hop.
    fields: tuple[tuple[bytes, bytes], ...]
    #: As they go to viewers, without Age and whatever else differs between them.
    headers: tuple[tuple[bytes, bytes], ...]
    lifetime: Lifetime
    #: On the tier's clock.
    arrived: float
    about: About
    #: What it is to those who watch, once that is known: see `Watch.media_of`.
    media: Media | None = field(default=None, init=False, repr=False)
    #: The whole answer to a plain GET, that to one who has it already, and until when they may be sent as they are;
    #: made by `Answers.ready`.
    ready: Ready | None = field(default=None, init=False, repr=False)
    ready_304: Ready | None = field(default=None, init=False, repr=False)
    ready_until: float = field(default=-math.inf, init=False, repr=False)

    def age(self, now: float) -> float:
        """Seconds since the origin made or confirmed it (RFC 9111 section 4.2.3)."""
        return self.lifetime.age + now - self.arrived

    def fresh(self, now: float) -> bool:
        """Whether it may be served as it is."""
        return is_fresh(self.lifetime, self.age(now))

    def usable_if_error(self, now: float) -> bool:
        """Whether it may be served where upstream fails."""
        return reuse(self.lifetime, self.age(now), failed=True).served

    def staled(self, now: float) -> Meta:
        """The same, fresh no longer."""
        return evolve(self, lifetime=evolve(self.lifetime, fresh=min(self.lifetime.fresh, self.age(now))))

    def softened(self, now: float) -> Meta:
        """The same, stale while one request looks upstream, for as long as it would have been fresh."""
        old, new = self.lifetime, self.staled(now).lifetime
        behind = max(old.while_revalidated, old.fresh - new.fresh)
        return evolve(self, lifetime=evolve(new, while_revalidated=behind, if_error=max(old.if_error, behind)))


class Memory(OrderedDict[K, T]):
    """The newest few by key: what a stranger can make us remember is bounded.  `get` is the dictionary's own."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self.most = REMEMBERED if most is None else most

    def put(self, key: K, value: T) -> None:
        """Remember, and forget the oldest where there are too many."""
        self[key] = value
        self.move_to_end(key)
        while len(self) > self.most:
            self.popitem(last=False)

    def forget(self, key: K) -> None:
        """Remember no longer."""
        self.pop(key, None)


def folders(path: str) -> Iterator[str]:
    """The folder that a path is in, then those above it: segments may lie below their playlist."""
    folder = path.partition("?")[0]
    while folder:
        folder = folder.rpartition("/")[0]
        yield folder
