"""What a tier knows of its Wowza: looked up in the background, every few seconds, by both control ports.

Theory of operation.  `Knowing.look` asks once: REST for what comes in and is connected, the counters for who plays it;
either may be missing.  What one of the two says stands, whatever becomes of the other.  `run` looks again and again,
with some jitter so that several tiers do not ask in step, and less often while nothing answers.  Whoever asks `on_air`
or `known` gets the last look, and nothing that is older than a few periods: what is not known is None, never "no".

Polling and not asking when a viewer comes, because a server that is asked once for each viewer is what tiers are there
to prevent.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

import trio
from attrs import evolve

from tierkit.codecs.wowza_counts import DEFAULT_INSTANCE, Counts
from tierkit.codecs.wowza_rest import MachineLoad, ServerStatus, Traffic

from ._client import WowzaFailure
from ._known import KnowingStatistics, Known, joined, summed
from ._rest import OnAir

__all__ = ["Counting", "Knowing", "Managing"]

#: Seconds between two looks; the vendor's own console refreshes every 5.
PERIOD: Final = 10.0
#: Seconds between two looks at most, while nothing answers.
LONGEST_PAUSE: Final = 120.0
#: Periods after which a look says nothing any more.
STALE: Final = 3.0
#: Streams whose players are asked for one by one, where the counters are not there to tell all at once.
MAX_ASKED: Final = 50
#: Failures after which there is no use in asking another thing of the same port.
_TELLS_NOTHING: Final = frozenset({"unreachable", "slow", "credentials", "forbidden", "loop"})
#: Looks between two questions for the version, which changes with a restart, and for the machine's load.
STATUS_EVERY: Final = 6

T = TypeVar("T")


class Counting(Protocol):
    """Who counts players: `WowzaCounters`."""

    async def counts(self) -> Counts:
        """All of them.  Raises WowzaFailure."""


class Managing(Protocol):
    """Who knows what comes in: `WowzaRest`."""

    async def status(self) -> ServerStatus:
        """Of the server.  Raises WowzaFailure."""

    async def machine(self) -> MachineLoad:
        """What it runs on.  Raises WowzaFailure."""

    async def incoming(self, app: str = "") -> tuple[OnAir, ...]:
        """What comes in.  Raises WowzaFailure."""

    async def traffic(self, app: str = "", instance: str = DEFAULT_INSTANCE, stream: str = "") -> Traffic:
        """Of a stream.  Raises WowzaFailure."""


class Knowing:
    """Looks at one Wowza now and then.

    Args:
        counters: the administration port, or None.
        rest: the REST interface, or None.
        app: the only application that matters; "" for all.
        period: seconds between two looks.
        jitter: gives numbers from 0 to 1.
        tell: is told in a line when the looking begins to fail and when it works again.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        counters: Counting | None = None,
        rest: Managing | None = None,
        app: str = "",
        period: float = PERIOD,
        jitter: Callable[[], float] = random.random,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.period = period
        self._clock = clock
        self._counters = counters
        self._rest = rest
        self._app = app
        self._jitter = jitter
        self._tell = tell
        self._known: Known | None = None
        self._status, self._load = ServerStatus(), MachineLoad()
        self._looks = self._failures = self._in_a_row = 0
        self._failure = ""
        self._up = False
        #: What had no usable answer in the last look.
        self.troubles: tuple[WowzaFailure, ...] = ()

    @property
    def known(self) -> Known | None:
        """The last look; None where there is none, or none that is new enough to go by."""
        known = self._known
        return None if known is None or self._clock() - known.at > STALE * self.period else known

    def on_air(self, app: str, name: str, instance: str = DEFAULT_INSTANCE) -> bool | None:
        """Whether a stream is connected; None where nobody knows."""
        known = self.known
        if known is None:
            return None
        stream = known.stream(app, name, instance)
        if stream is not None:
            return stream.connected
        # REST lists all that comes in, the counters do not say that they do.
        return False if known.complete else None

    def statistics(self) -> KnowingStatistics:
        """What is known, and how the looking goes."""
        known = self._known or Known(at=self._clock())
        by_protocol = summed(known.streams)
        return KnowingStatistics(
            up=self._up,
            looks=self._looks,
            failures=self._failures,
            failure=self._failure,
            age=None if self._known is None else self._clock() - known.at,
            version=known.version,
            applications=len(known.applications),
            streams=len(known.streams),
            on_air=sum(each.connected is True for each in known.streams),
            viewers=sum(by_protocol.values()),
            viewers_by_protocol=by_protocol,
            connections=known.connections,
            bytes_in_rate=known.bytes_in_rate,
            bytes_out_rate=known.bytes_out_rate,
            cpu_busy=None if known.load.cpu_idle is None else max(0.0, 100.0 - known.load.cpu_idle),
            heap_used=known.load.heap_used,
        )

    async def run(self) -> None:
        """Look until cancelled; a look that fails is counted, told once and tried again later."""
        while True:
            await self.look()
            await trio.sleep(self._pause())

    def _pause(self) -> float:
        longer = min(self.period * 2.0 ** min(self._in_a_row, 10), max(LONGEST_PAUSE, self.period))
        return longer * (0.9 + 0.2 * self._jitter())

    async def look(self) -> Known | None:
        """Look once; what is known then, None where nothing answered."""
        failed: list[WowzaFailure] = []
        counts = incoming = None
        if self._counters is not None:
            try:
                counts = await self._counters.counts()
            except WowzaFailure as error:
                failed.append(error)
        if self._rest is not None:
            try:
                incoming = await self._come_in(self._rest)
            except WowzaFailure as error:
                failed.append(error)
        self._looks += 1
        found = None
        if counts is not None or incoming is not None:
            found = joined(self._clock(), counts, incoming, self._status, self._load, self._app)
            if counts is None and self._rest is not None:
                found = await self._with_players(found, self._rest)
            self._known = found
        self._note(found is not None, failed)
        return found

    async def _come_in(self, rest: Managing) -> tuple[OnAir, ...]:
        if not self._looks % STATUS_EVERY or self._in_a_row:
            self._status = await _told(rest.status, self._status)
            self._load = await _told(rest.machine, self._load)
        return await rest.incoming(self._app)

    async def _with_players(self, known: Known, rest: Managing) -> Known:
        """The same with who plays, one question a stream: what REST alone has to offer."""
        streams = list(known.streams)
        for at, each in enumerate(streams[:MAX_ASKED]):
            try:
                traffic = await rest.traffic(each.app, each.instance, each.name)
            except WowzaFailure as error:
                if error.kind in _TELLS_NOTHING:
                    break
                continue  # it has gone since it was listed, or this release does not know the question
            streams[at] = evolve(each, viewers=traffic.by_protocol)
        return evolve(known, streams=tuple(streams))

    def _note(self, answered: bool, failed: list[WowzaFailure]) -> None:
        before = self._failure
        self.troubles = tuple(failed)
        self._up = answered
        self._failures += len(failed)
        self._failure = str(failed[0]) if failed else ""
        self._in_a_row = 0 if answered else self._in_a_row + 1
        if self._failure and not before:
            self._tell(self._failure)
        elif before and not self._failure:
            self._tell("answers again")


async def _told(ask: Callable[[], Awaitable[T]], before: T) -> T:
    """What is told now, or was before: what comes in may be told all the same, but by a server that tells nothing."""
    try:
        return await ask()
    except WowzaFailure as error:
        if error.kind in _TELLS_NOTHING:
            raise
        return before
