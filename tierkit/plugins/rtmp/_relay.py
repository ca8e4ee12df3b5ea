"""The relay at work: what the core, those who connect, and the pulls and pushes ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_hex

import trio
from attrs import evolve, field, frozen

from tierkit.access import Access, AccessStatistics
from tierkit.codecs.rtmp_session import ConnectRequested
from tierkit.events import UpstreamBack, UpstreamLost
from tierkit.http import new_request_id
from tierkit.live import Publication, Stream, Streams, StreamStatistics, streams_of
from tierkit.off_air import OffAir, OffAirOptions
from tierkit.plugin import (
    Attempt,
    Candidate,
    Connection,
    Context,
    FanoutPolicy,
    Figures,
    NotServed,
    PumpStatistics,
    Running,
    StreamState,
    UpstreamError,
)
from tierkit.rtmp import REQUEST_ID_KEY, RTMPHost, RTMPRefusal, RTMPTimeouts, Sweeper, request_id_of, serve_rtmp

from ._places import SCHEMES
from ._pull import Pull, PullState
from ._push import Push, PushState

__all__ = ["Bounds", "RTMPStatistics", "Relay"]

#: Key in RTMP's connect object that names the tiers a stream has come through.  Each tier adds its name with a
#: number of its own, so that two tiers of one name, in graphs of different people, are no loop.
PATH_KEY = "tierkitPath"
#: Tiers that a stream may come through before that is taken for a loop.
MAX_HOPS = 16
#: Seconds between looks at what has gone off air.
LOOK = 0.5


@frozen(kw_only=True)
class Bounds:
    """The times and counts of `RTMP`'s options, in seconds."""

    grace: float
    linger: float
    patience: float
    connect: float
    answer: float
    no_media: float
    max_streams: int
    takeover: str | bool
    farewell: float
    off_air: OffAirOptions
    max_bitrate: int
    pull: tuple[str, ...] = ()
    redirect: str = ""

    @property
    def timeouts(self) -> RTMPTimeouts:
        """How long servers may take."""
        return RTMPTimeouts(connect=self.connect, answer=self.answer, no_media=self.no_media)


@frozen(kw_only=True)
class RTMPStatistics:
    """An RTMP relay now and so far."""

    #: Players now, those that wait for a stream which is not on air, and publishers.
    players: int = field(metadata={"merge": "sum"})
    waiting: int = field(metadata={"merge": "sum"})
    publishers: int = field(metadata={"merge": "sum"})
    #: Requests to play so far, and those of them that were refused.
    requests: int = field(metadata={"merge": "sum"})
    refused: int = field(metadata={"merge": "sum"})
    #: Pulls under way now, those of them that get media, pulls begun so far, and attempts that failed.
    pulling: int = field(metadata={"merge": "sum"})
    pulled: int = field(metadata={"merge": "sum"})
    pulls: int = field(metadata={"merge": "sum"})
    pull_failures: int = field(metadata={"merge": "sum"})
    #: Pushes connected now, attempts that failed, and messages that a slow target did not get.
    pushing: int = field(metadata={"merge": "sum"})
    push_failures: int = field(metadata={"merge": "sum"})
    push_skipped: int = field(metadata={"merge": "sum"})
    #: Publishers dropped because they sent more than `max_bitrate`.
    too_fast: int = field(metadata={"merge": "sum"})
    #: What its authorisers have decided.
    access: AccessStatistics = field(metadata={"merge": "sum"})
    #: Every pull and every push, as it is now.
    upstream: tuple[PullState, ...] = field(metadata={"merge": "last"})
    targets: tuple[PushState, ...] = field(metadata={"merge": "last"})
    #: The process's one pump.
    pump: PumpStatistics = field(metadata={"merge": "last"})
    #: Every stream.
    streams: tuple[StreamStatistics, ...] = field(metadata={"merge": "last"})


class Relay(Running, RTMPHost):
    """One tier's relay."""

    access: Access

    def __init__(
        self, ctx: Context, nursery: trio.Nursery, access: Access, policy: FanoutPolicy, bounds: Bounds
    ) -> None:
        self.ctx = ctx
        self.access = access
        self.sweeper = Sweeper(ctx)
        self.live: Streams = streams_of(ctx)
        self.live.provider = self
        self.off_air = OffAir(ctx, "rtmp", begun=self.push_on)
        self.adopt(policy, bounds)
        self.began = self.pull_failures = self.push_failures = self.push_skipped = 0
        self._nursery = nursery
        #: Who we are in a path of hops.
        self._hop = f"{ctx.tier}#{token_hex(4)}"
        #: Upstreams and targets that are known to be down: told once, not for each stream.
        self._down: set[str] = set()
        self._pulls: dict[str, Pull] = {}
        self._pushes: dict[tuple[str, str], Push] = {}
        self._requests = self._refused = self._hits = self._misses = 0

    def adopt(self, policy: FanoutPolicy, bounds: Bounds) -> None:
        """Work by these bounds from now on."""
        self.live.policy = policy
        self.bounds = bounds
        self.patience = bounds.patience
        self.sweeper.farewell = bounds.farewell
        self.off_air.adopt(bounds.off_air)
        self.sweeper.max_bitrate = bounds.max_bitrate
        self.sweeper.elsewhere = bounds.redirect

    # --- what the core asks ----------------------------------------------------------------------

    async def handle(self, connection: Connection) -> None:
        await serve_rtmp(connection, self)

    def statistics(self) -> RTMPStatistics:
        return RTMPStatistics(
            players=self.sweeper.players,
            waiting=self.sweeper.waiting,
            publishers=self.sweeper.publishers,
            requests=self._requests,
            refused=self._refused,
            pulling=len(self._pulls),
            pulled=sum(each.connected for each in self._pulls.values()),
            pulls=self.began,
            pull_failures=self.pull_failures,
            pushing=sum(each.connected for each in self._pushes.values()),
            push_failures=self.push_failures,
            push_skipped=self.push_skipped + sum(each.skipped for each in self._pushes.values()),
            too_fast=self.sweeper.too_fast,
            access=self.access.statistics(),
            upstream=tuple(each.state() for each in self._pulls.values()),
            targets=tuple(each.state() for each in self._pushes.values()),
            pump=self.live.pump.statistics(),
            streams=tuple(stream.statistics() for stream in self.live),
        )

    def figures(self) -> Figures:
        connected = sum(each.connected for each in self._pulls.values())
        return evolve(
            self.live.figures(),
            viewers=self.sweeper.players,
            requests=self._requests,
            hits=self._hits,
            results={"hits": self._hits, "misses": self._misses, "errors": self._refused},
            upstream_connections=connected,
            upstream_errors=self.pull_failures,
            upstream_bytes=self.live.bytes_in if self.ctx.upstream.names else 0,
        )

    def streams(self) -> Sequence[StreamState]:
        return self.live.states()

    def draining(self) -> None:
        self.sweeper.draining()

    def kick(self, pattern: str) -> int:
        return self.sweeper.kick(pattern)

    async def expire(self) -> None:
        """End streams that have been off air for too long."""
        while True:
            await trio.sleep(LOOK)
            for stream in self.live.expire(self.bounds.linger):
                if (pulling := self._pull_of(stream.name)) is not None:
                    pulling.scope.cancel()

    # --- what those who connect ask --------------------------------------------------------------

    def admit(self, request: ConnectRequested) -> None:
        way = _way(request)
        if self._hop in way or len(way) >= MAX_HOPS:
            shown = " -> ".join(each.partition("#")[0] for each in (*way, self._hop))
            raise RTMPRefusal("NetConnection.Connect.Rejected", f"a loop: {shown}; mend upstream=")

    async def play(self, attempt: Attempt, request: ConnectRequested) -> Stream:
        self._requests += 1
        try:
            stream, hit = await self._find(attempt.path, request)
        except RTMPRefusal:
            self._refused += 1
            raise
        self._hits += hit
        self._misses += not hit
        return stream

    async def want(self, path: str, *, id: str = "") -> Stream:
        """A stream for another service of this tier, which counts its own requests (`tierkit.live.Provider`)."""
        stream, _ = await self._find(path, ConnectRequested("", "", {REQUEST_ID_KEY: id}))
        return stream

    async def _find(self, path: str, request: ConnectRequested) -> tuple[Stream, bool]:
        """The stream, and whether nothing had to be asked for it upstream."""
        if self.sweeper.leaving:
            raise RTMPRefusal("NetStream.Play.Failed", f"{self.ctx.tier} is about to stop")
        if not self.ctx.upstream.names:
            stream = self._open(path, "NetStream.Play.Failed")
            return stream, stream.on_air
        # The canonical spelling is asked for upstream, too: two spellings are one stream and one pull.
        name = self.ctx.upstream.key(path)
        pulling = self._pull_of(name)
        if pulling is None:
            await self._check_served(name)
            pulling = self._pull_of(name)  # somebody else may have begun meanwhile
        if pulling is not None:
            return pulling.stream, True
        return self._begin(name, (*_way(request), self._hop), request_id_of(request)).stream, False

    def _begin(self, name: str, way: Sequence[str], id: str = "") -> Pull:
        """Pull a stream; `id` is what the play is called in logs that it is pulled for."""
        said = {PATH_KEY: ",".join(way), REQUEST_ID_KEY: id or new_request_id()}
        pulling = Pull(self, self._open(name, "NetStream.Play.Failed"), said)
        self.began += 1
        self._pulls[name] = pulling
        self._nursery.start_soon(self._keep, name, pulling, name=f"{self.ctx.tier} pulls {name}")
        return pulling

    def keep_up(self) -> None:
        """Pull what the option `pull` names, whether or not anybody plays it, and let others end as usual."""
        wanted = {self.ctx.upstream.key("/" + name.strip("/")) for name in self.bounds.pull}
        for name in wanted:
            (self._pull_of(name) or self._begin(name, (self._hop,))).keep(True)
        for name, pulling in self._pulls.items():
            if pulling.kept and name not in wanted:
                pulling.keep(False)

    async def publish(self, attempt: Attempt) -> Publication:
        if self.sweeper.leaving:
            raise RTMPRefusal("NetStream.Publish.Denied", f"{self.ctx.tier} is about to stop")
        if self.ctx.upstream.names:
            raise RTMPRefusal("NetStream.Publish.Denied", f"{self.ctx.tier} pulls its streams: publish to its upstream")
        stream = self._open(attempt.path, "NetStream.Publish.Denied")
        publication = stream.publish(str(attempt.peer), takeover=self.bounds.takeover)
        self.push_on(stream)
        return publication

    def left(self, stream: Stream) -> None:
        if (pulling := self._pull_of(stream.name)) is not None:
            pulling.last_left()
        elif not stream.epochs:
            self.live.discard(stream)  # a name that was only asked for

    def joined(self, stream: Stream) -> None:
        if (pulling := self._pull_of(stream.name)) is not None:
            pulling.somebody_is_here()

    def _pull_of(self, name: str) -> Pull | None:
        """The pull under this name, unless it is about to end: then it takes no new players."""
        pulling = self._pulls.get(name)
        return None if pulling is None or pulling.scope.cancel_called else pulling

    def _open(self, name: str, code: str) -> Stream:
        if self.live.get(name) is None and len(self.live) >= self.bounds.max_streams:
            raise RTMPRefusal(code, f"{self.ctx.tier} has {len(self.live)} streams, its bound: raise max_streams")
        return self.live.open(name)

    async def _check_served(self, path: str) -> None:
        """Whether any upstream could have this path.  Raises RTMPRefusal."""
        refusal = "there is no upstream that speaks RTMP"
        for candidate in self.ctx.upstream.candidates(SCHEMES, path):
            try:
                await candidate.source.target(path, SCHEMES)
                return
            except NotServed as error:
                refusal = str(error)
            except UpstreamError:
                return  # it may yet come up
        raise RTMPRefusal("NetStream.Play.StreamNotFound", refusal)

    # --- pulling and pushing ---------------------------------------------------------------------

    async def _keep(self, name: str, pulling: Pull) -> None:
        try:
            await pulling.run()
        finally:
            if self._pulls.get(name) is pulling:
                del self._pulls[name]
                self.live.discard(pulling.stream)

    def push_on(self, stream: Stream) -> None:
        """Push a stream that has come on air, or is shown the off-air clip, to every target."""
        for candidate in self.ctx.push:
            key = (stream.name, candidate.name)
            if key not in self._pushes and candidate.source.takes(stream.name):
                pushing = self._pushes[key] = Push(self, stream, candidate, {PATH_KEY: self._hop})
                self._nursery.start_soon(self._push, key, pushing, name=f"{self.ctx.tier} pushes to {candidate.name}")

    async def _push(self, key: tuple[str, str], pushing: Push) -> None:
        try:
            await pushing.run()
        finally:
            del self._pushes[key]
            self.push_skipped += pushing.skipped

    def lost(self, candidate: Candidate, reason: str) -> float:
        """Note that a server has failed; returns for how many seconds it rests."""
        rest = self.ctx.upstream.failed(candidate, reason)
        if candidate.name not in self._down:
            self._down.add(candidate.name)
            self.ctx.emit(UpstreamLost(upstream=candidate.name, reason=reason, retry_in=rest))
        return rest

    def back(self, candidate: Candidate) -> None:
        """Note that a server answers."""
        self.ctx.upstream.succeeded(candidate)
        if candidate.name in self._down:
            self._down.discard(candidate.name)
            self.ctx.emit(UpstreamBack(upstream=candidate.name))


def _way(request: ConnectRequested) -> list[str]:
    said = request.object.get(PATH_KEY)
    return [each for each in said.split(",")[: MAX_HOPS + 1] if each] if isinstance(said, str) else []
