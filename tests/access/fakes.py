"""Authorisers that do as they are told, and a context to open them in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import trio
from attrs import field, frozen

from tests.core.fakes import Record
from tierkit.access import Access, open_access
from tierkit.events import Event
from tierkit.plugin import Allowed, Attempt, Authoriser, Context, LiveAuthoriser, Peer, Verdict, Visit


class Context_:
    """As much of a context as authorisers use; the clock is trio's."""

    tier = "tier"

    def __init__(self) -> None:
        self.events = Record()

    def clock(self) -> float:
        return trio.current_time()

    def emit(self, event: Event) -> None:
        self.events(event)


Check = Callable[[Attempt], Awaitable[Verdict]]


@frozen(eq=False)
class Says(Authoriser):
    """Answers by a function, and keeps what it was asked and told."""

    name: ClassVar[str] = "says"

    check: Check
    called: str = "says"
    update: Callable[[Visit], Awaitable[Verdict]] | None = None
    update_every: float = 0
    done: Callable[[Visit], Awaitable[None]] | None = None
    log: list[Any] = field(factory=list)
    hide: str = ""
    actions: frozenset[Any] = frozenset({"publish", "play"})

    @asynccontextmanager
    async def open(self, ctx: Context) -> AsyncIterator[LiveAuthoriser]:
        self.log.append("open")
        try:
            yield _Live(self)
        finally:
            self.log.append("close")


class _Live(LiveAuthoriser):
    def __init__(self, recipe: Says) -> None:
        self.recipe = recipe
        self.update_every = recipe.update_every
        self.told_of_ends = recipe.done is not None
        self.actions = recipe.actions

    async def check(self, attempt: Attempt) -> Verdict:
        self.recipe.log.append(("check", attempt.action, attempt.path, attempt.query))
        return await self.recipe.check(attempt)

    def shown(self, attempt: Attempt) -> Attempt:
        if self.recipe.hide == "raise":
            raise ValueError("hunter2")
        return attempt.with_(path=attempt.path.replace(self.recipe.hide, "...")) if self.recipe.hide else attempt

    async def update(self, visit: Visit) -> Verdict:
        self.recipe.log.append(("update", visit.attempt.path, visit.seconds, visit.timestamp))
        return await self.recipe.update(visit) if self.recipe.update is not None else Allowed()

    async def done(self, visit: Visit) -> None:
        self.recipe.log.append(("done", visit.attempt.path, visit.seconds))
        assert self.recipe.done is not None
        await self.recipe.done(visit)


def always(verdict: Any) -> Check:
    async def check(attempt: Attempt) -> Verdict:
        if isinstance(verdict, Exception):
            raise verdict
        return verdict  # type: ignore[no-any-return]

    return check


async def nothing(visit: Visit) -> None:
    pass


def attempt(action: Any = "publish", path: str = "/live/s", query: str = "", host: str = "192.0.2.7") -> Attempt:
    return Attempt(action=action, path=path, query=query, peer=Peer(host, 5000))


@asynccontextmanager
async def at_work(*recipes: Authoriser, within: float = 5.0) -> AsyncIterator[tuple[Access, Record]]:
    ctx = Context_()
    async with open_access(recipes, ctx, within=within) as access:  # type: ignore[arg-type]
        yield access, ctx.events
