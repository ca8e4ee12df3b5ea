"""Who may publish and play: what is asked, what can be answered, and the abstract classes of those who answer.

An authoriser is a *recipe*, a frozen value such as ``Keys(file=...)`` that a user puts into a service.  State is
born when the service opens it, once per tier, and lives in the `LiveAuthoriser` that this yields.  Nothing here
knows a protocol: what only one of them has stands in `Attempt.details`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from attrs import evolve, field, frozen

from ._ports import Peer
from ._recipe import Recipe

if TYPE_CHECKING:
    from ._plugin import Context

__all__ = ["Action", "Allowed", "Attempt", "Authoriser", "Denied", "LiveAuthoriser", "Rewritten", "Verdict", "Visit"]

#: "connect" comes first where a protocol connects before it names a stream; the path is then the application's.
Action: TypeAlias = Literal["connect", "publish", "play"]


@frozen(kw_only=True)
class Attempt:
    """Somebody wants to publish or play a stream, or to connect for that.

    What may hold credentials (the query, `details`, addresses of pages) is in no `repr`.
    """

    action: Action
    #: The stream, with a slash in front: "/live/s".
    path: str
    #: What stood behind the question mark, as it was sent.
    query: str = field(default="", repr=False)
    peer: Peer
    #: By which scheme it came: "rtmp", "https" ...; and whether nobody on the way could listen.
    scheme: str = ""
    secure: bool = False
    #: Number of the connection, unique in the process's life.
    id: int = 0
    #: What it says that it is: User-Agent in HTTP, flashVer in RTMP.
    agent: str = field(default="", repr=False)
    #: The page that it says it stands in: Referer in HTTP, pageUrl in RTMP.
    page: str = field(default="", repr=False)
    #: What else its protocol says.  For RTMP: "app", "tc_url", "swf_url"; "prefix" of the name ("mp4"), which the path
    #: has not; publishing "type"; playing "start" and "duration" (ms, as they were sent) and "reset".
    details: Mapping[str, str | int] = field(factory=dict, repr=False, hash=False)

    def with_(self, **changes: object) -> Attempt:
        """A copy with some fields changed."""
        return evolve(self, **changes)  # type: ignore[arg-type]


@frozen
class Allowed:
    """It may."""


@frozen
class Denied:
    """It may not, for a reason that it is told; without credentials in it.

    `code` is a status of its protocol to refuse it with; empty for what is usual there.
    """

    reason: str
    code: str = ""


@frozen
class Rewritten:
    """It may, and what it means is another stream: `path`, with a slash in front.

    `query`, where it is given, is what the authorisers behind this one see instead: a key that was good has served.
    """

    path: str
    query: str | None = field(default=None, repr=False)


Verdict: TypeAlias = Allowed | Denied | Rewritten


@frozen(kw_only=True)
class Visit:
    """One presence that was allowed, as an authoriser is told of it later."""

    #: As this authoriser has seen it.
    attempt: Attempt
    #: Seconds since it was allowed.
    seconds: float = 0.0
    #: The stream's newest timestamp, ms; 0 where there is none.
    timestamp: int = 0


class LiveAuthoriser(ABC):
    """An authoriser at work in one tier.

    Attributes:
        actions: what it is asked about; all else it allows.
        update_every: seconds between two calls of `update` for a presence; 0 for none.
        told_of_ends: whether `done` is to be called.
    """

    actions: frozenset[Action] = frozenset({"publish", "play"})
    update_every: float = 0.0
    told_of_ends: bool = False

    @abstractmethod
    async def check(self, attempt: Attempt) -> Verdict:
        """Decide.  Whatever it raises, and not answering in time, counts as a denial."""

    def shown(self, attempt: Attempt) -> Attempt:
        """The attempt as a log may show it: without credentials that stand in its path."""
        return attempt

    async def update(self, visit: Visit) -> Verdict:
        """Somebody is still there; Denied ends the presence.  What it raises is told, and ends nobody."""
        return Allowed()

    async def done(self, visit: Visit) -> None:
        """Somebody whom this one had allowed has left."""


class Authoriser(Recipe):
    """Who may publish and play: the recipe.  Opened once for each service that holds it."""

    #: How it stands in the hook's list and in TOML.
    name: ClassVar[str]

    @abstractmethod
    def open(self, ctx: Context) -> AbstractAsyncContextManager[LiveAuthoriser]:
        """Begin to decide for one tier."""
