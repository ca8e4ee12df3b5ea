"""RTMP fan-out: the relay that players connect to.

With upstreams it pulls each stream once, on demand: the first player of `app/name` starts the pull, all others
read the same ring, and the last one's departure ends it after a grace.  Without upstreams it takes publishers.
Either way what it has can be pushed on to other servers, each target with its own fate.

A pull tries the upstreams in order; one that fails rests for a while (jittered), and players stay meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import trio
from attrs import field, frozen

from tierkit.codecs.flv import classify
from tierkit.codecs.rtmp_session import ConnectRequested
from tierkit.codecs.rtmp_url import Route
from tierkit.events import UpstreamBack, UpstreamLost
from tierkit.live import Publication, Stream, Streams, StreamStatistics, streams_of
from tierkit.plugin import (
    Address,
    Candidate,
    Connection,
    ConnectionLost,
    Context,
    FanoutPolicy,
    Figures,
    Node,
    NotServed,
    Running,
    Service,
    StreamState,
    UpstreamError,
    hookimpl,
    option,
)
from tierkit.rtmp import RTMPHost, RTMPRefusal, RTMPTimeouts, Sweeper, open_publisher, pull, serve_rtmp

__all__ = ["RTMP", "RTMPStatistics"]

SCHEMES = ("rtmp", "rtmps")
#: Key in RTMP's connect object that names the tiers a stream has come through, for loops.
PATH_KEY = "tierkitPath"
#: Tiers that a stream may come through before that is taken for a loop.
MAX_HOPS = 16
#: Messages that may wait for a push target; then it skips to the next keyframe.
PUSH_QUEUE = 2048


@frozen
class RTMP(Service):
    """An RTMP relay: pulls each stream once, or takes publishers, and fans out to any number of players."""

    name: ClassVar[str] = "rtmp"
    roles: ClassVar = frozenset({"relay"})
    schemes: ClassVar[tuple[str, ...]] = SCHEMES
    pulls: ClassVar[tuple[str, ...]] = SCHEMES
    pushes: ClassVar[tuple[str, ...]] = SCHEMES
    send_lowat: ClassVar[int] = 262144

    grace: float = option(
        10.0, "Time that a pull goes on after its last player has left.", minimum=0, maximum=86400, unit="s"
    )
    linger: float = option(
        30.0,
        "Time that players stay when the publisher or the upstream has gone; then they are told that it ended.",
        minimum=0,
        maximum=86400,
        unit="s",
    )
    connect_timeout: float = option(5.0, "Time for connecting to an upstream.", minimum=0.1, maximum=120, unit="s")
    no_media_timeout: float = option(
        15.0, "Time without any media after which an upstream counts as failed.", minimum=1, maximum=600, unit="s"
    )
    max_streams: int = option(1000, "Streams at once; each holds a GOP in memory.", minimum=1, maximum=100_000)
    takeover: bool = option(
        False,
        "A new publisher of a name ends the one that is there, instead of being refused; for encoders that "
        "come back before their old connection is known to be dead.",
    )
    batch: float = option(
        0.3,
        "Longest time for which media is held to be sent in one go; it is reached only with thousands of players.",
        minimum=0.01,
        maximum=2,
        unit="s",
    )
    gop_bytes: int = option(
        8 << 20, "Largest GOP kept so that players can start at once.", minimum=65536, maximum=256 << 20, unit="bytes"
    )
    slow_after: float = option(
        10.0,
        "How far a player may fall behind before it jumps to the newest keyframe.",
        minimum=0.5,
        maximum=300,
        unit="s",
    )
    drop_after: float = option(
        30.0, "Time for which a player may take nothing before it is closed.", minimum=1, maximum=600, unit="s"
    )

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        """Begin to serve in `tier`."""
        async with trio.open_nursery() as nursery:
            running = _Relay(self, ctx, nursery)
            nursery.start_soon(running.sweeper.run, name=f"{ctx.tier} looks after the silent")
            nursery.start_soon(running.expire, name=f"{ctx.tier} ends what is off air")
            try:
                yield running
            finally:
                nursery.cancel_scope.cancel()


@frozen(kw_only=True)
class RTMPStatistics:
    """An RTMP relay now and so far."""

    #: Players and publishers now.
    players: int = field(metadata={"merge": "sum"})
    publishers: int = field(metadata={"merge": "sum"})
    #: Pulls under way now, begun so far, and attempts that failed.
    pulling: int = field(metadata={"merge": "sum"})
    pulls: int = field(metadata={"merge": "sum"})
    pull_failures: int = field(metadata={"merge": "sum"})
    #: Pushes connected now, and attempts that failed.
    pushing: int = field(metadata={"merge": "sum"})
    push_failures: int = field(metadata={"merge": "sum"})
    #: Every stream.
    streams: tuple[StreamStatistics, ...] = field(metadata={"merge": "last"})


class _Relay(Running, RTMPHost):
    def __init__(self, recipe: RTMP, ctx: Context, nursery: trio.Nursery) -> None:
        self.recipe = recipe
        self.ctx = ctx
        self.sweeper = Sweeper(ctx)
        self.live: Streams = streams_of(ctx)
        self.live.policy = FanoutPolicy(
            gop_bytes=recipe.gop_bytes,
            soft_bytes=max(recipe.gop_bytes, FanoutPolicy().soft_bytes),
            soft_seconds=recipe.slow_after,
            hard_seconds=recipe.drop_after,
            max_delay=recipe.batch,
        )
        self._nursery = nursery
        #: Upstreams and targets that are known to be down: told once, not for each stream.
        self.down: dict[str, bool] = {}
        self._pulls: dict[str, _Pull] = {}
        self._pushes: dict[tuple[str, str], _Push] = {}
        self._requests = 0
        self._began = self._pull_failures = self._push_failures = 0

    # --- what the core asks ----------------------------------------------------------------------

    async def handle(self, connection: Connection) -> None:
        await serve_rtmp(connection, self)

    def statistics(self) -> RTMPStatistics:
        return RTMPStatistics(
            players=self.sweeper.players,
            publishers=self.sweeper.publishers,
            pulling=len(self._pulls),
            pulls=self._began,
            pull_failures=self._pull_failures,
            pushing=sum(each.connected for each in self._pushes.values()),
            push_failures=self._push_failures,
            streams=tuple(stream.statistics() for stream in self.live),
        )

    def figures(self) -> Figures:
        connected = sum(each.connected for each in self._pulls.values())
        return Figures(
            viewers=self.sweeper.players,
            requests=self._requests,
            hits=self._requests - self._began if self.ctx.upstream.names else self._requests,
            upstream_connections=connected,
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
            await trio.sleep(0.5)
            for stream in self.live.expire(self.recipe.linger):
                if (pulling := self._pulls.get(stream.name)) is not None:
                    pulling.scope.cancel()

    # --- what those who connect ask --------------------------------------------------------------

    def admit(self, request: ConnectRequested) -> None:
        path = _path(request)
        if self.ctx.tier in path or len(path) >= MAX_HOPS:
            way = " -> ".join([*path, self.ctx.tier])
            raise RTMPRefusal("NetConnection.Connect.Rejected", f"a loop: {way}; mend upstream=")

    async def play(self, route: Route, request: ConnectRequested) -> Stream:
        self._requests += 1
        path = f"{route.path}?{route.query}" if route.query else route.path
        name = self.ctx.upstream.key(route.path)
        if not self.ctx.upstream.names:
            return self._open(name)
        await self._served(path)
        stream = self._open(name)
        if name not in self._pulls:
            self._began += 1
            pulling = self._pulls[name] = _Pull(self, stream, path, _path(request))
            self._nursery.start_soon(pulling.run, name=f"{self.ctx.tier} pulls {name}")
        return stream

    async def publish(self, route: Route, peer: str) -> Publication:
        if self.ctx.upstream.names:
            raise RTMPRefusal("NetStream.Publish.Denied", f"{self.ctx.tier} pulls its streams: publish to its upstream")
        stream = self._open(route.path)
        publication = stream.publish(peer, takeover=self.recipe.takeover)
        self._push_on(stream)
        return publication

    def left(self, stream: Stream) -> None:
        if (pulling := self._pulls.get(stream.name)) is not None:
            pulling.last_left()

    def joined(self, stream: Stream) -> None:
        if (pulling := self._pulls.get(stream.name)) is not None:
            pulling.somebody_is_here()

    def _open(self, name: str) -> Stream:
        if self.live.get(name) is None and len(self.live) >= self.recipe.max_streams:
            raise RTMPRefusal("NetStream.Play.Failed", f"{self.ctx.tier} has {len(self.live)} streams: too many")
        return self.live.open(name)

    async def _served(self, path: str) -> None:
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

    # --- pushing ---------------------------------------------------------------------------------

    def _push_on(self, stream: Stream) -> None:
        for candidate in self.ctx.push:
            key = (stream.name, candidate.name)
            if key not in self._pushes:
                pushing = self._pushes[key] = _Push(self, stream, candidate)
                self._nursery.start_soon(pushing.run, name=f"{self.ctx.tier} pushes {stream.name} to {candidate.name}")


class _Pull:
    """One stream that is pulled from upstream, whatever the number of its players."""

    def __init__(self, relay: _Relay, stream: Stream, path: str, way: list[str]) -> None:
        self.relay = relay
        self.stream = stream
        self.path = path
        self.connected = False
        self.scope = trio.CancelScope()
        self._way = way

    def somebody_is_here(self) -> None:
        self.scope.deadline = float("inf")

    def last_left(self) -> None:
        if not self.stream.players:
            self.scope.deadline = trio.current_time() + self.relay.recipe.grace

    async def run(self) -> None:
        relay = self.relay
        try:
            with self.scope:
                await self._keep()
        finally:
            relay._pulls.pop(self.stream.name, None)

    async def _keep(self) -> None:
        """Pull from one upstream after the other, for as long as the stream is wanted."""
        ctx = self.relay.ctx
        unknown: NotServed | None = None
        while True:
            candidates = ctx.upstream.candidates(SCHEMES, self.path)
            tried_all = True
            for candidate in candidates:
                if (rest := ctx.upstream.delay(candidate)) > 0:
                    await trio.sleep(rest)
                try:
                    await self._once(candidate)
                    tried_all = False
                    break
                except NotServed as error:
                    unknown = error
                except UpstreamError as error:
                    self._failed(candidate, error)
                    tried_all = False
                    break
            if tried_all:
                # Nobody knows the name: those who wait are told so, and may ask again.
                self.stream.end("NetStream.Play.StreamNotFound", str(unknown))
                return

    async def _once(self, candidate: Candidate) -> None:
        """Pull until the upstream ends it.  Raises NotServed or UpstreamError."""
        relay = self.relay
        ctx, recipe = relay.ctx, relay.recipe
        target = await candidate.source.target(self.path, SCHEMES)
        publication: Publication | None = None

        def started() -> Any:
            nonlocal publication
            self.connected = True
            ctx.upstream.succeeded(candidate)
            if self._down.pop(candidate.name, None):
                ctx.emit(UpstreamBack(upstream=candidate.name))
            publication = self.stream.publish(f"upstream {candidate.name}", takeover=True)
            relay._push_on(self.stream)
            return publication.send

        extra = {**candidate.source.connect_arguments(target), PATH_KEY: ",".join([*self._way, ctx.tier])}
        reason = "the relay no longer wants it"
        try:
            code = await self._pull(candidate, target, started, extra, recipe)
            reason = f"{candidate.name} ended it ({code})"
            # An encoder that comes back is pulled again; one that has ended keeps its upstream at rest.
            ctx.upstream.failed(candidate, reason)
        except (NotServed, UpstreamError) as error:
            reason = str(error)
            raise
        finally:
            self.connected = False
            if publication is not None:
                publication.end(reason)

    async def _pull(
        self, candidate: Candidate, target: Address, started: Any, extra: Mapping[str, Any], recipe: RTMP
    ) -> str:
        timeouts = RTMPTimeouts(connect=recipe.connect_timeout, no_media=recipe.no_media_timeout)
        return await pull(
            self.relay.ctx.network,
            target,
            started=started,
            trust=candidate.trust,
            connect_object=extra,
            timeouts=timeouts,
        )

    @property
    def _down(self) -> dict[str, bool]:
        return self.relay.down

    def _failed(self, candidate: Candidate, error: UpstreamError) -> None:
        relay = self.relay
        relay._pull_failures += 1
        rest = relay.ctx.upstream.failed(candidate, error.reason)
        if candidate.name not in self._down:
            self._down[candidate.name] = True
            relay.ctx.emit(UpstreamLost(upstream=candidate.name, reason=error.reason, retry_in=rest))


class _Push:
    """One stream pushed to one target; what becomes of it harms nobody else."""

    def __init__(self, relay: _Relay, stream: Stream, candidate: Candidate) -> None:
        self.relay = relay
        self.stream = stream
        self.candidate = candidate
        self.connected = False

    async def run(self) -> None:
        relay, candidate = self.relay, self.candidate
        ctx = relay.ctx
        try:
            while self.stream.on_air:
                try:
                    await self._once()
                except (UpstreamError, NotServed, ConnectionLost) as error:
                    relay._push_failures += 1
                    rest = ctx.upstream.failed(candidate, str(error))
                    if candidate.name not in relay.down:
                        relay.down[candidate.name] = True
                        ctx.emit(UpstreamLost(upstream=candidate.name, reason=str(error), retry_in=rest))
                    await trio.sleep(rest)
        finally:
            relay._pushes.pop((self.stream.name, candidate.name), None)

    async def _once(self) -> None:
        relay, candidate = self.relay, self.candidate
        ctx = relay.ctx
        target = await candidate.source.target(self.stream.name, SCHEMES)
        extra = {**candidate.source.connect_arguments(target), PATH_KEY: ctx.tier}
        queue = _PushQueue()
        async with open_publisher(ctx.network, target, trust=candidate.trust, connect_object=extra) as publisher:
            self.connected = True
            ctx.upstream.succeeded(candidate)
            if relay.down.pop(candidate.name, None):
                ctx.emit(UpstreamBack(upstream=candidate.name))
            cancel = self.stream.subscribe(queue.put)
            try:
                while self.stream.on_air:
                    message = await queue.get()
                    if message is not None:
                        await publisher.send(*message)
            finally:
                self.connected = False
                cancel()


class _PushQueue:
    """Messages on their way to a slow target: bounded, and what is lost is whole GOPs."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[tuple[int, int, bytes]](PUSH_QUEUE)
        self._skipping = True

    def put(self, type_id: int, timestamp: int, payload: bytes) -> None:
        kind = classify(type_id, payload)
        if self._skipping and type_id == 9 and not kind.is_pinned:
            if not kind.is_keyframe:
                return
            self._skipping = False
        try:
            self._send.send_nowait((type_id, timestamp, payload))
        except trio.WouldBlock:
            self._skipping = True

    async def get(self) -> tuple[int, int, bytes] | None:
        """The next message, or None where none came for a while: a look at the stream is due."""
        with trio.move_on_after(1.0):
            return await self._receive.receive()
        return None


def _path(request: ConnectRequested) -> list[str]:
    said = request.object.get(PATH_KEY)
    return [each for each in said.split(",")[: MAX_HOPS + 1] if each] if isinstance(said, str) else []


@hookimpl
def tierkit_services() -> Sequence[type[Service]]:
    """Brings `RTMP`."""
    return [RTMP]
