"""An HLS edge as the core sees it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from attrs import evolve, field, frozen

from tierkit.http import HttpClient, Park, ServerTimeouts, serve_http
from tierkit.plugin import Connection, Figures, NotServed, Pattern, Running, StoreStatistics, StreamState

from ._flow import Flow
from ._live import Programme
from ._places import Refused, folder_of

__all__ = ["Edge", "HLSStatistics"]


@frozen(kw_only=True)
class HLSStatistics:
    """An HLS edge now and so far."""

    #: Requests so far, by what became of them: served fresh; stale, while one looked upstream; by joining a
    #: fetch under way; by a fetch of its own; passed on for one viewer; stale, because upstream failed;
    #: refused or failed.
    hits: int = field(metadata={"merge": "sum"})
    stale: int = field(metadata={"merge": "sum"})
    collapsed: int = field(metadata={"merge": "sum"})
    misses: int = field(metadata={"merge": "sum"})
    passed: int = field(metadata={"merge": "sum"})
    stale_if_error: int = field(metadata={"merge": "sum"})
    errors: int = field(metadata={"merge": "sum"})
    #: Requests sent upstream so far, those of them that only revalidated, and those that failed.
    upstream_requests: int = field(metadata={"merge": "sum"})
    revalidated: int = field(metadata={"merge": "sum"})
    upstream_errors: int = field(metadata={"merge": "sum"})
    #: Requests that were sent beside a slow one; bodies that broke off and went on elsewhere, and those that did not.
    hedged: int = field(metadata={"merge": "sum"})
    resumed: int = field(metadata={"merge": "sum"})
    broken: int = field(metadata={"merge": "sum"})
    #: Fetches that a playlist has begun, before anybody asked; versions of playlists held back because they were older
    #: than what is shown; streams that began anew.
    prefetched: int = field(metadata={"merge": "sum"})
    held_back: int = field(metadata={"merge": "sum"})
    restarts: int = field(metadata={"merge": "sum"})
    #: Viewers in the last half minute, by token, CMCD session, or address and user agent: see `tierkit.codecs.audience`
    #: for what each of these cannot tell apart.
    audience: int = field(metadata={"merge": "sum"})
    #: Viewers whose picture has stood still in the last ten seconds, and how often that has begun so far: inferred, see
    #: `tierkit.codecs.rebuffering`.
    chopped: int = field(metadata={"merge": "sum"})
    rebufferings: int = field(metadata={"merge": "sum"})
    #: Connections to upstreams open now, opened so far, and bytes received over them.
    upstream_connections: int = field(metadata={"merge": "sum"})
    upstream_connected: int = field(metadata={"merge": "sum"})
    upstream_bytes: int = field(metadata={"merge": "sum"})
    #: The cache.
    store: StoreStatistics = field(metadata={"merge": "sum"})


class Edge(Running):
    """An HLS edge at work."""

    def __init__(self, flow: Flow, client: HttpClient, timeouts: ServerTimeouts) -> None:
        self.flow = flow
        self.ctx = flow.ctx
        self.store = flow.store
        self.client = client
        self._timeouts = timeouts
        self._park = flow.ctx.shared(Park)
        self._viewers: set[Connection] = set()

    # --- what the core asks ----------------------------------------------------------------------

    async def handle(self, connection: Connection) -> None:
        self._viewers.add(connection)
        try:
            await serve_http(
                connection,
                self.flow.answer,
                self._timeouts,
                quick=partial(self.flow.quick, connection, self.flow.watch.came(connection)),
                park=self._park,
                log=self.ctx.access_log,
            )
        finally:
            self.flow.watch.left(connection)
            self._viewers.discard(connection)

    def statistics(self) -> HLSStatistics:
        return HLSStatistics(
            **self.flow.counts,
            upstream_requests=self.flow.fetcher.asker.requests,
            revalidated=self.flow.fetcher.revalidated,
            upstream_errors=self.flow.fetcher.asker.errors,
            hedged=self.flow.fetcher.asker.hedged,
            resumed=self.flow.fetcher.asker.resumed,
            broken=self.flow.fetcher.asker.broken,
            prefetched=self.flow.fetcher.prefetched,
            held_back=self.flow.fetcher.streams.held_back,
            restarts=self.flow.fetcher.streams.restarts,
            audience=self.flow.audience.count(self.ctx.clock()),
            chopped=self.flow.watch.rebuffering.chopped(self.ctx.clock()),
            rebufferings=self.flow.watch.rebuffering.rebufferings,
            upstream_connections=self.client.connections,
            upstream_connected=self.client.connected,
            upstream_bytes=self.client.bytes_in,
            store=self.store.statistics(),
        )

    def figures(self) -> Figures:
        counts = self.flow.counts
        return Figures(
            viewers=len(self._viewers),
            chopped=self.flow.watch.rebuffering.chopped(self.ctx.clock()),
            rebufferings=self.flow.watch.rebuffering.rebufferings,
            requests=sum(counts.values()),
            hits=counts["hits"] + counts["stale"] + counts["collapsed"] + counts["stale_if_error"],
            results=dict(counts),
            upstream_connections=self.client.connections,
            upstream_errors=self.flow.fetcher.asker.errors,
            upstream_bytes=self.client.bytes_in,
            memory={"store": self.store.used},
        )

    def streams(self) -> Sequence[StreamState]:
        found: dict[str, StreamState] = {}
        for each in self.flow.fetcher.streams.values():
            state = self._stream(each)
            # Renditions in one folder are one stream, on air while one of them is.
            if state.name not in found or (state.on_air and not found[state.name].on_air):
                found[state.name] = state
        return list(found.values())

    def _stream(self, programme: Programme) -> StreamState:
        now, folder = self.ctx.clock(), folder_of(self.flow.gate.name(programme.track.path))
        on_air = not programme.facts.ended and now - programme.at < 3 * programme.facts.pace
        return StreamState(
            name=folder.strip("/"),
            path=programme.track.path,
            on_air=on_air,
            source="live" if on_air else "",
            viewers=self.flow.audience.count(now, folder),
            bytes_out=self.flow.audience.bytes(folder),
        )

    def draining(self) -> None:
        """From now on each answer ends its connection, so that players go where somebody stays."""
        self.flow.leaving = True

    def purge(self, pattern: str, *, soft: bool = False) -> int:
        """Forget the paths that match; softly, they are stale at once and may still serve while revalidated."""
        wanted = self._spelt(Pattern.parse(pattern))
        now, count = self.ctx.clock(), 0
        for key in self.store.keys():  # noqa: SIM118 (it is no mapping)
            plain = key.partition("\n")[0]
            if not wanted.matches(plain):
                continue
            entry = self.store.get(key)
            if not soft:
                count += self.store.remove(key)
                # By its path, and by its path and host where each host has its own.
                for known in (plain, "\n".join(key.split("\n", 2)[:2])):
                    self.flow.fetcher.unlearn(known)
            elif entry is not None:
                entry.meta = entry.meta.softened(now)
                count += 1
        return count

    def _spelt(self, wanted: Pattern) -> Pattern:
        """With a path in the spelling that it is stored under: ids of sessions and tokens are no part of that."""
        if not wanted.path:
            # A folder has ids of sessions in its name as well; what is cut off within a name is taken as it is.
            whole = wanted.prefix.endswith("/")
            return evolve(wanted, prefix=self.flow.gate.name(wanted.prefix)) if whole else wanted
        try:
            return evolve(wanted, path=self.flow.gate.child(wanted.path).key)
        except (Refused, NotServed):  # so would be whoever asked for it
            return wanted
