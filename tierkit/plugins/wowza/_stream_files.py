"""Stream files connected while somebody wants their stream, by Wowza's REST interface.

A stream file (``foo.stream``) names a source that Wowza pulls by itself, a camera for instance; it does so once the
file is connected, and until its stream is disconnected.  Rules:

- Whoever wants a stream waits a moment at most, and never hears of a failure here: a stream that is on the air is
  served whether or not REST answers, and one that is not is refused by the server itself.
- Only a file that the application lists is connected: what a viewer asks for is no order to a server.  The list is
  kept for a while, so a crowd that asks for a name that is none costs one question.
- One connecting for all who want the same; one that failed is not tried again for a few seconds.
- What was connected by somebody else is left to them.  What was connected here and has gone (a server restarted) is
  connected again while it is wanted.
- A stream that nobody has wanted for the grace is disconnected, unless Wowza counts players on it: they came by
  another tier, or by none.  In HTTP origin mode it counts none, so there several tiers want a grace that outlasts
  the longest time for which one of them has no viewer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

import trio
from attrs import define, field

from tierkit.codecs.wowza_counts import DEFAULT_INSTANCE
from tierkit.codecs.wowza_rest import StreamFile, Traffic

from ._client import WowzaFailure
from ._rest import OnAir

__all__ = ["Connecting", "StreamFiles"]

#: Seconds for which an application's list of stream files is gone by.
LIST_SECONDS: Final = 10.0
#: Seconds after which a failure to connect may be followed by another try.
AGAIN: Final = 5.0
#: Seconds that somebody waits for a stream to be connected; it goes on without them.
PATIENCE: Final = 2.0
#: Files that are connected, or applications that are looked at, at once.
MAX_JOBS: Final = 64
#: Seconds between two looks at what is wanted.
EVERY: Final = 5.0
#: Seconds that a source has to come in once its file is connected, before that is tried anew; MediaCaster tries for
#: some 30.
SETTLING: Final = 60.0
#: Seconds for the disconnecting when a tier leaves.
LEAVING: Final = 5.0
#: Applications whose lists are kept.
MAX_LISTS: Final = 200

Key = tuple[str, str, str]


class Connecting(Protocol):
    """Who connects them: `WowzaRest`.  Every method raises WowzaFailure."""

    async def stream_files(self, app: str) -> tuple[StreamFile, ...]:
        """Of an application."""

    async def incoming(self, app: str = "") -> tuple[OnAir, ...]:
        """What comes in."""

    async def traffic(self, app: str = "", instance: str = DEFAULT_INSTANCE, stream: str = "") -> Traffic:
        """Of a stream."""

    async def connect(self, app: str, file: str, *, caster: str = "rtp", instance: str = DEFAULT_INSTANCE) -> None:
        """Connect a file."""

    async def disconnect(self, app: str, file: str, *, instance: str = DEFAULT_INSTANCE) -> None:
        """Disconnect its stream."""


@define
class _Wanted:
    at: float
    #: Whether it was connected here, and is ours to disconnect.
    ours: bool = False
    lock: trio.Lock = field(factory=trio.Lock)
    ready: bool = False
    ready_at: float = 0.0
    #: Until when it is not tried again, after a failure.
    not_before: float = -math.inf


@define
class _List:
    """The stream files of an application; none where they could not be asked for."""

    until: float
    names: frozenset[str]


class StreamFiles:
    """Connects stream files of one server on demand, while `run` runs.

    Args:
        app: the only application whose files are connected; "" for all.
        grace: seconds without anybody who wants a stream, after which it is disconnected.
        caster: what Wowza pulls it by (`mediaCasterType`).
        tell: is told in a line of what was connected, disconnected, and could not be.
    """

    def __init__(
        self,
        rest: Connecting,
        clock: Callable[[], float],
        *,
        app: str = "",
        grace: float = 60.0,
        caster: str = "rtp",
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        #: Connected and disconnected so far, and questions that had no usable answer.
        self.connected = self.disconnected = self.failures = 0
        self._rest = rest
        self._clock = clock
        self._app = app
        self._grace = grace
        self._caster = caster
        self._tell = tell
        self._wanted: dict[Key, _Wanted] = {}
        self._lists: dict[str, _List] = {}
        self._asked: dict[str, trio.Event] = {}
        self._jobs: dict[Key, trio.Event] = {}
        self._nursery: trio.Nursery | None = None

    @property
    def open(self) -> int:
        """Streams that were connected here and are still."""
        return sum(each.ours for each in self._wanted.values())

    async def wanted(self, app: str, name: str, instance: str = DEFAULT_INSTANCE) -> None:
        """Somebody wants a stream: have it connected, if a stream file is what it comes from.

        Returns at once where it is, or where there is no such file, and after `PATIENCE` seconds in any case.
        """
        if not name.endswith(".stream") or self._app not in ("", app):
            return
        key = (app, instance, name)
        each, now = self._wanted.get(key), self._clock()
        if each is not None:
            each.at = now
            if each.ready or now < each.not_before:
                return
        elif (known := self._lists.get(app)) is not None and now < known.until and _bare(name) not in known.names:
            return
        with trio.move_on_after(PATIENCE):
            await self._job(key)

    async def _job(self, key: Key) -> None:
        """Until a file is connected, or is not; by a task of ours, whoever waits for it."""
        done = self._jobs.get(key)
        if done is None:
            if self._nursery is None or len(self._jobs) >= MAX_JOBS:
                return
            done = self._jobs[key] = trio.Event()
            self._nursery.start_soon(self._do, key, done, name=f"connects {key[2]}")
        await done.wait()

    async def _do(self, key: Key, done: trio.Event) -> None:
        try:
            if key in self._wanted or _bare(key[2]) in await self._listed(key[0]):
                await self._ready(key, self._wanted.setdefault(key, _Wanted(self._clock())))
        finally:
            del self._jobs[key]
            done.set()

    async def run(self) -> None:
        """Connect what is wanted, disconnect what nobody wants, until cancelled; then disconnect the rest."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                while True:
                    await trio.sleep(min(EVERY, self._grace))
                    await self.sweep()
        finally:
            self._nursery = None
            with trio.move_on_after(LEAVING, shield=True):
                await self._leave()

    async def sweep(self) -> None:
        """Look once at all that was wanted."""
        now = self._clock()
        for key, each in list(self._wanted.items()):
            if now - each.at > self._grace:
                await self._let_go(key, each)
        if self._wanted:
            await self._look_after()

    async def _listed(self, app: str) -> frozenset[str]:
        """The stream files of an application; one question for all who want to know."""
        while True:
            known = self._lists.get(app)
            if known is not None and self._clock() < known.until:
                return known.names
            if (asked := self._asked.get(app)) is None:
                break
            await asked.wait()
        asked = self._asked[app] = trio.Event()
        try:
            known = await self._list(app)
            while len(self._lists) >= MAX_LISTS:
                del self._lists[next(iter(self._lists))]
            self._lists[app] = known
        finally:
            del self._asked[app]
            asked.set()
        return known.names

    async def _list(self, app: str) -> _List:
        try:
            files = await self._rest.stream_files(app)
        except WowzaFailure as error:
            # An application that it does not know has no stream files either.
            if error.kind != "missing":
                self._failed(f"stream files of {app} cannot be listed", error)
            return _List(self._clock() + AGAIN, frozenset())
        return _List(self._clock() + LIST_SECONDS, frozenset(_bare(each.name) for each in files))

    async def _ready(self, key: Key, each: _Wanted) -> None:
        app, instance, name = key
        async with each.lock:
            if each.ready or self._clock() < each.not_before:
                return
            try:
                if not await self._comes_in(key):
                    await self._rest.connect(app, name, caster=self._caster, instance=instance)
                    each.ours = True
                    self.connected += 1
                    self._tell(f"stream file {app}/{name} connected: somebody wants it")
            except WowzaFailure as error:
                # Connected since we looked, by somebody else: theirs, then.
                if error.kind != "conflict":
                    each.not_before = self._clock() + AGAIN
                    self._failed(f"stream file {app}/{name} cannot be connected", error)
                    return
            each.ready, each.ready_at = True, self._clock()

    async def _comes_in(self, key: Key) -> bool:
        found = await self._rest.incoming(key[0])
        return any((each.app, each.instance, each.name) == key and each.connected for each in found)

    async def _let_go(self, key: Key, each: _Wanted) -> None:
        async with each.lock:
            before = each.at
            # Whoever wants it from here on waits for the lock, and connects it again.
            each.ready = False
            if each.ours and not await self._disconnected(key, each):
                each.ready = True
            elif each.at == before and self._wanted.get(key) is each:
                del self._wanted[key]

    async def _disconnected(self, key: Key, each: _Wanted) -> bool:
        """Disconnect a stream of ours; False where it stays."""
        app, instance, name = key
        try:
            if await self._played(key):
                each.at = self._clock()
                return False
            await self._rest.disconnect(app, name, instance=instance)
        except WowzaFailure as error:
            # One that has gone by itself is as good as disconnected.
            if error.kind != "missing":
                self._failed(f"stream file {app}/{name} cannot be disconnected", error)
                return False
        each.ours = False
        self.disconnected += 1
        self._tell(f"stream file {app}/{name} disconnected: nobody wants it")
        return True

    async def _played(self, key: Key) -> bool:
        """Whether Wowza counts players on a stream; one of which it has no figures has none."""
        app, instance, name = key
        try:
            return bool((await self._rest.traffic(app, instance, name)).connections)
        except WowzaFailure as error:
            if error.kind != "missing":
                raise
            return False

    async def _look_after(self) -> None:
        """Connect again what is wanted and has gone."""
        for app in {key[0] for key in self._wanted}:
            try:
                found = {(each.app, each.instance, each.name) for each in await self._rest.incoming(app)}
            except WowzaFailure as error:
                self._failed(f"application {app} cannot be looked at", error)
                continue
            for key, each in list(self._wanted.items()):
                gone = key[0] == app and key not in found and each.ready
                if gone and self._clock() - each.ready_at > SETTLING:
                    each.ready = each.ours = False
                    await self._ready(key, each)

    async def _leave(self) -> None:
        for key, each in list(self._wanted.items()):
            if each.ours:
                await self._let_go(key, each)

    def _failed(self, what: str, error: WowzaFailure) -> None:
        self.failures += 1
        self._tell(f"{what}: {error}")


def _bare(name: str) -> str:
    """What the interface calls a stream file."""
    return name.removesuffix(".stream")
