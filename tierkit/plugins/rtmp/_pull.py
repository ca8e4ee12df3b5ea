"""One stream that is pulled from upstream, whatever the number of its players."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol
from zlib import crc32

import trio
from attrs import field, frozen

from tierkit.live import Publication, Stream
from tierkit.plugin import Address, Candidate, Context, NotServed, UpstreamError
from tierkit.rtmp import RTMPRefused, RTMPTimeouts, pull

from ._places import SCHEMES, places

__all__ = ["Pull", "PullState"]

#: Seconds before upstreams that are well are asked for a stream again that they did not have or that has ended:
#: first, and at most.  An encoder that comes back is on air again within the players' patience.
FIRST_REST = 0.5
LONGEST_REST = 8.0
#: How often a source may answer one server with another address.
MAX_CHALLENGES = 3


class PullBounds(Protocol):
    """The times that a pull goes by."""

    @property
    def grace(self) -> float:
        """Seconds that it goes on without players."""

    @property
    def timeouts(self) -> RTMPTimeouts:
        """How long servers may take."""


class PullHost(Protocol):
    """What a pull asks of its relay."""

    ctx: Context
    pull_failures: int

    @property
    def bounds(self) -> PullBounds:
        """The times that it goes by."""

    def lost(self, candidate: Candidate, reason: str) -> float:
        """A server has failed."""

    def back(self, candidate: Candidate) -> None:
        """A server answers."""

    def push_on(self, stream: Stream) -> None:
        """The stream has come on air."""


@frozen(kw_only=True)
class PullState:
    """One pull now."""

    stream: str = field(metadata={"merge": "last"})
    #: The upstream that sends media now, or that was tried last.
    upstream: str = field(metadata={"merge": "last"})
    #: Whether media comes.
    connected: bool = field(metadata={"merge": "max"})
    #: Whether it goes on without players (the option `pull`).
    kept: bool = field(metadata={"merge": "max"})
    #: Why no media comes, empty while it does.
    trouble: str = field(metadata={"merge": "last"})


class Pull:
    """One pull, from its first player to the end of the grace after its last one; or one that is kept up for ever.

    Attributes:
        connected: whether media comes.
        kept: whether it goes on without players.
        scope: cancel it to end the pull.
    """

    def __init__(self, host: PullHost, stream: Stream, extra: Mapping[str, object]) -> None:
        self.stream = stream
        self.connected = False
        self.kept = False
        self.scope = trio.CancelScope()
        self._upstream = ""
        self._host = host
        self._extra = extra
        self._rests = 0

    def somebody_is_here(self) -> None:
        """A player has come."""
        self.scope.deadline = math.inf

    def keep(self, kept: bool) -> None:
        """Have it go on without players, or end a grace after the last one has left."""
        self.kept = self.stream.kept = kept
        self.somebody_is_here()
        self.last_left()

    def state(self) -> PullState:
        """How it fares."""
        return PullState(
            stream=self.stream.name,
            upstream=self._upstream,
            connected=self.connected,
            kept=self.kept,
            trouble="" if self.connected else self.stream.trouble,
        )

    def last_left(self) -> None:
        """A player has left: where it was the last, the grace begins."""
        if not self.stream.players and not self.kept:
            grace = self._host.bounds.grace if self.stream.playable else 0.0
            self.scope.deadline = trio.current_time() + grace

    async def run(self) -> None:
        """Pull from one upstream after the other, for as long as the stream is wanted."""
        with self.scope:
            while True:
                wait = await self._round()
                await trio.sleep(wait)

    async def _round(self) -> float:
        """Try those that are not at rest, in order; returns how long to wait before the next round."""
        upstream = self._host.ctx.upstream
        resting = math.inf
        for candidate in upstream.candidates(SCHEMES, self.stream.name):
            began = upstream.delay(candidate) <= 0 and await self._try(candidate)
            rest = upstream.delay(candidate)
            if began:
                # One that was lost rests, and the next is tried at once; one that has ended the stream is well.
                return 0.0 if rest > 0 else self._rest()
            if rest > 0:
                resting = min(resting, rest)
        return min(resting, self._rest())

    async def _try(self, candidate: Candidate) -> bool:
        """Pull from one upstream until it ends; False where it never began.  Why is told to those who wait."""
        stream = self.stream
        before = stream.epochs
        self._upstream = candidate.name
        try:
            code = await self._once(candidate)
            stream.trouble = f"{candidate.name} has ended it ({code})"
        except NotServed as error:
            stream.trouble = str(error)
        except UpstreamError as error:
            self._host.pull_failures += 1
            stream.trouble = str(error)
            self._host.lost(candidate, error.reason)
        began = stream.epochs != before
        if began:
            self._rests = 0
        return began

    async def _once(self, candidate: Candidate) -> str:
        """Pull until the upstream ends it; returns its status code.  Raises NotServed or UpstreamError."""
        publication: Publication | None = None

        def started() -> Callable[[int, int, bytes], None]:
            nonlocal publication
            self.connected = True
            self._host.back(candidate)
            publication = self.stream.publish(candidate.name, takeover="always", pulled=True)
            self._host.push_on(self.stream)
            return publication.send

        reason = "nobody plays it any more"
        try:
            code = await self._dial(candidate, started)
            reason = f"{candidate.name} has ended it ({code})"
            return code
        except (NotServed, UpstreamError) as error:
            reason = str(error)
            raise
        finally:
            self.connected = False
            if publication is not None:
                publication.end(reason)

    async def _dial(self, candidate: Candidate, started: Callable[[], Callable[[int, int, bytes], None]]) -> str:
        source = candidate.source
        target: Address | None = await source.target(self.stream.name, SCHEMES)
        others = [each for each in self._host.ctx.upstream.candidates(SCHEMES, self.stream.name) if each != candidate]
        elsewhere = await places(others, self.stream.name)
        refused = UpstreamError(candidate.name, "refuses")
        for _ in range(MAX_CHALLENGES):
            if target is None:
                break
            try:
                return await pull(
                    self._host.ctx.network,
                    target,
                    started=started,
                    room=lambda more: self.stream.rings.room(more=more),
                    trust=candidate.trust,
                    others=elsewhere,
                    greeting=source.greeting,
                    connect_object={**source.connect_arguments(target), **self._extra},
                    timeouts=self._host.bounds.timeouts,
                )
            except RTMPRefused as error:
                refused = error
                target = source.challenge(target, error.description)
        raise refused

    def _rest(self) -> float:
        rest = min(LONGEST_REST, FIRST_REST * 2.0 ** min(self._rests, 16))
        self._rests += 1
        # Half fixed, half by name and number: tiers that lost a stream together do not return together.
        drawn = crc32(f"{self._host.ctx.tier}{self.stream.name}{self._rests}".encode()) / 0xFFFFFFFF
        return rest * (0.5 + 0.5 * drawn)
