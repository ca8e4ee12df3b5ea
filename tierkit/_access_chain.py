"""The authorisers of one service at work.

* One attempt is asked of them one by one, under one deadline; what each is shown is what those before it made of it.
* Whoever was allowed is a `Pass` until its end.  An authoriser that had allowed somebody whom a later one denied is
  told of that end, too, so that a back end's counts come out even.
* A changed recipe opens anew beside the old ones, which live until the last of their passes has ended.
* What goes wrong is told once a second, with how often it happened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from urllib.parse import unquote

import trio
from attrs import field, frozen

from ._access_notices import Notices
from ._access_telling import Telling
from ._authorise import Allowed, Attempt, Authoriser, Denied, LiveAuthoriser, Rewritten, Verdict, Visit
from ._plugin import Context
from .codecs.signing import Unsigned, check_path
from .errors import TierkitError

__all__ = ["Access", "AccessDenied", "AccessStatistics", "Pass", "open_access"]

#: Seconds between looks at what is to be told, and who is to be asked again.
LOOK = 1.0
#: Characters of a path in a log.
SHOWN = 200


class AccessDenied(TierkitError):
    """Somebody may not publish or play; the text is for them.  `code` as in `Denied`."""

    def __init__(self, reason: str, code: str = "") -> None:
        self.code = code
        super().__init__(reason)


@frozen(kw_only=True)
class AccessStatistics:
    """What the authorisers of a service have decided so far."""

    #: Attempts that were asked of them, and those of them that they denied.
    asked: int = field(default=0, metadata={"merge": "sum"})
    denied: int = field(default=0, metadata={"merge": "sum"})
    #: Attempts denied because an authoriser failed or took too long.
    failed: int = field(default=0, metadata={"merge": "sum"})
    #: Presences that they were asked again about and ended.
    ended: int = field(default=0, metadata={"merge": "sum"})
    #: Of what they are told later: what waits now, what failed, and what was left out because too much waited.
    notices_waiting: int = field(default=0, metadata={"merge": "sum"})
    notices_failed: int = field(default=0, metadata={"merge": "sum"})
    notices_lost: int = field(default=0, metadata={"merge": "sum"})


@frozen(eq=False)
class _Seat:
    name: str
    live: LiveAuthoriser


class _Bench:
    """The authorisers that were opened together, and how many passes still need them."""

    def __init__(self, seats: Sequence[_Seat]) -> None:
        self.seats = tuple(seats)
        self.superseded = trio.Event()
        self.free = trio.Event()
        self._holders = 0
        self.free.set()

    def hold(self) -> None:
        if not self._holders:
            self.free = trio.Event()
        self._holders += 1

    def let_go(self) -> None:
        self._holders -= 1
        if not self._holders:
            self.free.set()


class Pass:
    """One presence that was allowed, until its `end`.

    Attributes:
        attempt: what it means: its path is the stream's.
        live: whether anybody is to be told of its end, or asked about it again; what is not need not be kept.
        timestamp: asked for the stream's newest timestamp, ms, when an authoriser is told of it; set it.
    """

    def __init__(self, access: Access, bench: _Bench, attempt: Attempt, on_denied: Callable[[str], None]) -> None:
        self.attempt = attempt
        self.timestamp: Callable[[], int] = int
        self.live = True
        self._access, self._bench, self._on_denied = access, bench, on_denied
        #: Who has allowed it, and what each has seen.
        self._seen: list[tuple[_Seat, Attempt]] = []
        self._since = access.clock()
        bench.hold()

    def end(self) -> None:
        """It has left.  Idempotent."""
        if self.live:
            self.live = False
            for seat, attempt in self._seen:
                self._access.notices.forget((self, seat))
                if seat.live.told_of_ends:
                    self._access.notify(self, seat, attempt, ends=True)
            self._bench.let_go()

    def begin(self) -> None:
        """All have allowed it: have those be asked again who want to be."""
        if not any(seat.live.told_of_ends or seat.live.update_every > 0 for seat, _ in self._seen):
            self.end()
        for seat, attempt in self._seen:
            if (every := seat.live.update_every) > 0:
                ask = partial(self._access.notify, self, seat, attempt, ends=False)
                self._access.notices.every((self, seat), every, ask, self._access.clock())

    def allowed_by(self, seat: _Seat) -> None:
        """An authoriser has allowed what the attempt is now."""
        self._seen.append((seat, self.attempt))

    def denied(self, reason: str) -> None:
        """An authoriser that was asked again has said no."""
        if self.live:
            self._on_denied(reason)

    def visit(self, attempt: Attempt) -> Visit:
        """It, as an authoriser is told of it that has seen `attempt`."""
        return Visit(attempt=attempt, seconds=self._access.clock() - self._since, timestamp=self.timestamp())

    def hold(self) -> Callable[[], None]:
        """Keep its authorisers open until what this returns is called."""
        self._bench.hold()
        return self._bench.let_go


class Access:
    """The authorisers of one service; `open_access` makes it."""

    def __init__(self, ctx: Context, nursery: trio.Nursery, recipes: Sequence[Authoriser], within: float) -> None:
        self.clock = ctx.clock
        self._ctx, self._nursery = ctx, nursery
        self._recipes, self._within = tuple(recipes), within
        self._bench = _Bench(())
        self._telling = Telling(ctx)
        self.notices = Notices(within)
        #: Updates that are not over yet.
        self._asking: set[tuple[Pass, _Seat]] = set()
        self._asked = self._denied = self._failed = self._ended = 0

    async def admit(self, attempt: Attempt, on_denied: Callable[[str], None]) -> Pass:
        """Ask all of them.

        Args:
            on_denied: called with a reason where one that is asked again later says no.

        Raises AccessDenied.
        """
        entry = Pass(self, self._bench, attempt, on_denied)
        seats = [each for each in self._bench.seats if attempt.action in each.live.actions]
        self._asked += bool(seats)
        try:
            if seats:
                await self._ask(entry, seats, self._bench)
        except BaseException:
            entry.end()
            raise
        entry.begin()
        return entry

    async def _ask(self, entry: Pass, seats: Sequence[_Seat], bench: _Bench) -> None:
        seat = seats[0]
        with trio.move_on_after(self._within) as scope:
            for seat in seats:
                try:
                    verdict = await seat.live.check(entry.attempt)
                    changed = _apply(verdict, entry.attempt)
                except AccessDenied as denial:
                    self._denied += 1
                    shown = self._shown(entry.attempt, bench)
                    self._telling.refused(seat.name, shown, str(denial))
                    raise
                except Exception as error:
                    raise self._fault(seat, entry.attempt, bench, _told(error)) from error
                entry.allowed_by(seat)
                entry.attempt = changed
        if scope.cancelled_caught:
            raise self._fault(seat, entry.attempt, bench, f"has not answered within {self._within:g} s")

    def _fault(self, seat: _Seat, attempt: Attempt, bench: _Bench, reason: str) -> AccessDenied:
        self._failed += 1
        self._telling.failed(seat.name, self._shown(attempt, bench), reason)
        return AccessDenied(f"who may {attempt.action} cannot be told just now: try again later")

    def _shown(self, attempt: Attempt, bench: _Bench) -> Attempt:
        try:
            for seat in bench.seats:
                attempt = seat.live.shown(attempt)
        except Exception:
            return attempt.with_(path="/...")
        return attempt.with_(path=attempt.path[:SHOWN])

    def replace(self, recipes: Sequence[Authoriser], within: float) -> None:
        """Decide by other recipes from now on.  Where one of them does not open, those before stay, and it is told."""
        self._within = self.notices.within = within
        if tuple(recipes) != self._recipes:
            self._recipes = tuple(recipes)
            self._nursery.start_soon(self._swap, self._recipes, name=f"{self._ctx.tier} opens authorisers")

    def statistics(self) -> AccessStatistics:
        """What they have decided so far."""
        return AccessStatistics(
            asked=self._asked,
            denied=self._denied,
            failed=self._failed,
            ended=self._ended,
            notices_waiting=self.notices.waiting,
            notices_failed=self.notices.failed,
            notices_lost=self.notices.lost,
        )

    # --- what they are told later ----------------------------------------------------------------

    def notify(self, entry: Pass, seat: _Seat, attempt: Attempt, *, ends: bool) -> None:
        """Tell one that somebody has left, or ask it whether somebody may stay."""
        if not ends and (entry, seat) in self._asking:
            return  # a slow back end is not asked the same twice: ends would not get through to it
        visit, let_go = entry.visit(attempt), entry.hold()

        async def tell() -> None:
            if ends:
                await seat.live.done(visit)
            elif entry.live and isinstance(verdict := await seat.live.update(visit), Denied) and entry.live:
                self._ended += 1
                entry.denied(f"{seat.name}: {verdict.reason}")

        if not ends:
            self._asking.add((entry, seat))

        def over(trouble: str) -> None:
            let_go()
            if not ends:
                self._asking.discard((entry, seat))
            if trouble:
                self._telling.failed(seat.name, None, trouble)

        self.notices.put(tell, over)

    # --- opening and closing ---------------------------------------------------------------------

    async def run(self) -> None:
        """Look after what is due."""
        self.notices.start(self._nursery, self._ctx.tier)
        while True:
            await trio.sleep(LOOK)
            self._telling.flush()
            self.notices.look(self.clock())

    async def close(self) -> None:
        """Give what is still to be told the time that one attempt has."""
        with trio.move_on_after(self._within):
            await self.notices.empty()
        self._telling.flush()

    async def keep(self, recipes: Sequence[Authoriser], *, task_status: trio.TaskStatus[Exception | None]) -> None:
        """Hold the authorisers of some recipes open for as long as they are needed."""
        async with AsyncExitStack() as stack:
            try:
                seats = [_Seat(each.name, await stack.enter_async_context(each.open(self._ctx))) for each in recipes]
            except Exception as error:
                task_status.started(error)
                return
            old, self._bench = self._bench, _Bench(seats)
            bench = self._bench
            old.superseded.set()
            task_status.started(None)
            await bench.superseded.wait()
            while not bench.free.is_set():
                await bench.free.wait()

    async def _swap(self, recipes: Sequence[Authoriser]) -> None:
        failure = await self._nursery.start(self.keep, recipes)
        if failure is not None:
            self._telling.failed("authorise", None, f"{_told(failure)}; those before it go on to decide")


@asynccontextmanager
async def open_access(recipes: Sequence[Authoriser], ctx: Context, *, within: float = 5.0) -> AsyncIterator[Access]:
    """The authorisers of a service at work; `within` is the seconds that they have for one attempt.

    Raises what the first recipe that does not open raises.
    """
    async with trio.open_nursery() as nursery:
        access = Access(ctx, nursery, recipes, within)
        failure = await nursery.start(access.keep, recipes)
        if failure is None:
            nursery.start_soon(access.run, name=f"{ctx.tier} looks after its authorisers")
            try:
                yield access
            finally:
                try:
                    await access.close()
                finally:
                    nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _apply(verdict: Verdict, attempt: Attempt) -> Attempt:
    """The attempt as those behind see it.  Raises AccessDenied, and TierkitError for what is no verdict."""
    if isinstance(verdict, Allowed):
        return attempt
    if isinstance(verdict, Denied):
        raise AccessDenied(verdict.reason, verdict.code)
    if not isinstance(verdict, Rewritten):
        raise TierkitError(f"answered with a {type(verdict).__name__}, which is no verdict")
    segments = verdict.path.split("/")
    try:
        check_path(verdict.path)
    except Unsigned:
        segments = []
    if len(segments) < 2 or not all(segments[1:]) or any("/" in unquote(each) for each in segments[1:]):
        raise TierkitError("has rewritten the stream to what is no path: /APP/NAME is one")
    return attempt.with_(path=verdict.path, query=attempt.query if verdict.query is None else verdict.query)


def _told(error: Exception) -> str:
    said = " ".join(str(error).split())
    return said if isinstance(error, TierkitError) else f"failed: {type(error).__name__}: {said}"
