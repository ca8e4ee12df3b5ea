"""One tier at work: its doors, the guard of each connection, its drain.

Life and death:

* All doors are opened before anything starts, so a port that is taken is told before a single viewer was
  let in.
* Two nurseries, accept inside connections.  *Leaving* ends the acceptors, tells the services, half-closes
  idle connections and waits until a deadline; *cancelling* drops everybody at once.
* A connection's Exception ends that connection and becomes an event.  A service's own failure propagates
  to whoever opened the tier.
* Only the guard closes a connection.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import trio
from attrs import field, frozen

from ._address import Address
from ._because import Because
from ._check import listen_address
from ._events import (
    AcceptPaused,
    CertificateKept,
    CertificateTaken,
    ConnectionFailed,
    Draining,
    Dropped,
    PluginFailed,
    Refused,
    TierFailed,
    TierStarted,
    TierStopped,
    UpstreamChosen,
)
from ._limits import Admission, accept_loop
from ._merge import merged
from ._model import Node, Origin
from ._plugin import Figures, Running, Service
from ._ports import Bound, CertificateState, Connection
from ._process import Process, TierContext
from ._sources import open_candidate
from ._traffic import Ledger, Traffic
from ._upstream import UpstreamSet, UpstreamState
from .errors import ConnectionLost, GivenUp, ListenError, ProtocolError, TierkitError

__all__ = ["LiveTier", "TierStatistics", "open_doors"]

#: Seconds between looks at connections that may have become idle while a tier drains.
DRAIN_LOOK = 0.05


@frozen(kw_only=True)
class TierStatistics:
    """One tier, now and so far.  `merge` in a field's metadata says how it adds up over processes."""

    name: str = field(metadata={"merge": "last"})
    role: str = field(metadata={"merge": "last"})
    site: str = field(metadata={"merge": "last"})
    #: "running", "draining" or "stopped".
    state: str = field(metadata={"merge": "last"})
    #: Where it can be reached, URLs.
    addresses: tuple[str, ...] = field(metadata={"merge": "last"})
    #: Seconds since it began to accept.
    uptime: float = field(metadata={"merge": "max"})
    #: Connections open now.
    connections: int = field(metadata={"merge": "sum"})
    #: Connections accepted so far.
    accepted: int = field(metadata={"merge": "sum"})
    #: Connections turned away by a bound.
    refused: int = field(metadata={"merge": "sum"})
    #: Connections that ended with an error.
    failed: int = field(metadata={"merge": "sum"})
    #: Bytes received from and sent to those who connected, so far.
    bytes_in: int = field(metadata={"merge": "sum"})
    bytes_out: int = field(metadata={"merge": "sum"})
    #: Memory that the kernel holds for them, bytes, at most a quarter of a minute old.
    socket_bytes: int = field(metadata={"merge": "sum"})
    #: The same connections and bytes by protocol.
    traffic: tuple[Traffic, ...] = field(metadata={"merge": "last"})
    #: Those turned away so far, connections and attempts to play or publish, by a word for the reason: "full",
    #: "address", "denied".
    refusals: Mapping[str, int] = field(metadata={"merge": "sum"})
    #: Connections that ended with an error so far, by a word for it: "protocol" (what the peer said was not right),
    #: "no_request" (it said nothing in time), "internal" (a mistake of ours).
    failures: Mapping[str, int] = field(metadata={"merge": "sum"})
    #: The certificates of its listeners.
    certificates: tuple[CertificateState, ...] = field(metadata={"merge": "last"})
    #: How its upstreams fare.
    upstreams: tuple[UpstreamState, ...] = field(metadata={"merge": "last"})


async def open_doors(process: Process, node: Node, elsewhere: Sequence[Address] = ()) -> list[Bound]:
    """Open every listener of a tier; none stays open where one cannot be.  Raises ListenError.

    Args:
        elsewhere: the addresses that it had before it was started again; a port 0 takes its old port.
    """
    doors: list[Bound] = []
    lowat = max((service.send_lowat for service in node.serves), default=131072)
    try:
        for index, listener in enumerate(node.listen):
            address = listen_address(node, node.scheme_of(listener), listener.address)
            if address.port == 0 and index < len(elsewhere):
                address = address.with_(port=elsewhere[index].port)
            filled = type(listener)(address, listener.certificates, listener.proxy_from)
            doors.append(await process.network.listen(filled, send_lowat=lowat))
    except BaseException as error:
        for door in doors:
            door.close()
        if isinstance(error, ListenError):
            raise ListenError(f"{node.name}: {error}") from error
        raise
    process.bound(node.name, [dialable(node, door.address) for door in doors])
    return doors


def dialable(node: Node, address: Address) -> Address:
    """A bound address as something to dial on this machine: a wildcard is also the loopback."""
    if address.unix or not address.wildcard:
        return address
    six = node.host == "::1" and address.host != "0.0.0.0"
    return address.with_(host="::1" if six else "127.0.0.1")


class LiveTier:
    """One tier of this process, from its doors to its end.

    Args:
        doors: its open listeners, in the order of `node.listen`.
        drain: seconds that connections have to end once it leaves.
    """

    def __init__(self, process: Process, node: Node, doors: Sequence[Bound], *, drain: float) -> None:
        self.process = process
        self.node = node
        self.doors = tuple(doors)
        self.running: dict[str, Running] = {}
        self.state = "starting"
        self._drain = drain
        #: Set once it has drained, or has failed.
        self.stopped = trio.Event()
        self._leave = trio.Event()
        self._admission = Admission(node.limits)
        self._tally = process.tally(node.name)
        self._ledger = Ledger()
        for listener in node.listen:
            scheme = node.scheme_of(listener)
            if (service := node.service_for(scheme)) is not None:
                self._ledger.expect(service.name, scheme)
        self._upstreams: UpstreamSet | None = None
        self._since = process.clock()
        self._refused = 0
        self._dropped = 0
        self._deadline = math.inf

    def leave(self, deadline: float | None = None) -> None:
        """Stop accepting and drain; `run` ends when that is done, by `deadline` on trio's clock at the latest."""
        self._deadline = trio.current_time() + self._drain if deadline is None else deadline
        self._leave.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `leave`, then drain."""
        try:
            async with AsyncExitStack() as stack:
                ctx = TierContext(self.process, self.node.name)
                await self._open_upstreams(stack, ctx)
                for service in self.node.serves:
                    self.running[service.name] = await stack.enter_async_context(service.open(self.node, ctx))
                await self._serve(task_status)
        except Exception as error:
            self.process.emit(TierFailed(tier=self.node.name, reason=_reason(error)))
            raise
        finally:
            self.state = "stopped"
            self.stopped.set()
            for door in self.doors:
                door.close()

    def statistics(self) -> TierStatistics:
        """The tier as a whole; each service has its own beside it."""
        traffic = self._ledger.statistics()
        return TierStatistics(
            name=self.node.name,
            role=self.node.role,
            site=self.node.site,
            state=self.state,
            addresses=tuple(str(address) for address in self.process.addresses(self.node.name)),
            uptime=self.process.clock() - self._since,
            connections=len(self._ledger),
            accepted=sum(each.accepted for each in traffic),
            refused=self._refused,
            failed=sum(self._tally.failures.values()),
            bytes_in=sum(each.bytes_in for each in traffic),
            bytes_out=sum(each.bytes_out for each in traffic),
            socket_bytes=self._ledger.kernel_bytes(self.process.clock()),
            traffic=traffic,
            refusals=dict(self._tally.refusals),
            failures=dict(self._tally.failures),
            certificates=tuple(each for door in self.doors for each in door.certificates),
            upstreams=() if self._upstreams is None else self._upstreams.statistics(),
        )

    def figures(self) -> dict[str, Figures]:
        """The figures of each of its services, by name."""
        return {name: running.figures() for name, running in self.running.items()}

    def together(self, figures: Mapping[str, Figures]) -> Figures:
        """The figures of the tier: those of its services, and whom it has dropped."""
        drops = Figures(drops=dict(self._tally.drops))
        return merged(Figures, [*figures.values(), drops])

    # --- upstreams -------------------------------------------------------------------------------

    async def _open_upstreams(self, stack: AsyncExitStack, ctx: TierContext) -> None:
        found = {}
        for node in (*self.node.upstreams, *self.node.targets):
            if node.name not in found:
                found[node.name] = await open_candidate(stack, self.process, ctx, node)
        self._upstreams = UpstreamSet(
            [found[node.name] for node in self.node.upstreams],
            policy=getattr(self.node, "policy", "ordered"),
            clock=self.process.clock,
            jitter=self.process.jitter,
            chosen=self._tell_chosen,
            addresses={
                each.name: str(each.address)
                for each in self.node.upstreams
                if isinstance(each, Origin) and each.address is not None
            },
        )
        ctx.upstream = self._upstreams
        ctx.push = tuple(found[node.name] for node in self.node.targets)

    def _tell_chosen(self, name: str, instead_of: str) -> None:
        self.process.emit(UpstreamChosen(tier=self.node.name, upstream=name, instead_of=instead_of))

    # --- connections -----------------------------------------------------------------------------

    async def _serve(self, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as acceptors:
                for door in self.doors:
                    acceptors.start_soon(self._accept, door, connections, name=f"{self.node.name} accepts")
                acceptors.start_soon(self._tell_troubles, name=f"{self.node.name} refusals")
                self.state, self._since = "running", self.process.clock()
                addresses = tuple(door.address for door in self.doors)
                self.process.emit(TierStarted(tier=self.node.name, addresses=addresses))
                task_status.started()
                await self._leave.wait()
                acceptors.cancel_scope.cancel()
            for door in self.doors:
                door.close()
            await self._drained(connections.cancel_scope)
        self.process.emit(TierStopped(tier=self.node.name, dropped=self._dropped))

    async def _drained(self, scope: trio.CancelScope) -> None:
        self.state = "draining"
        if self._ledger:
            left = self._deadline - trio.current_time()
            # For a person: the tiers that leave first have all of it, whatever the scheduling took.
            seconds = self._drain if left > 0.9 * self._drain else max(0.0, round(left, 1))
            self.process.emit(Draining(tier=self.node.name, seconds=seconds, connections=len(self._ledger)))
        for name, running in self.running.items():
            try:
                running.draining()
            except Exception as error:  # those who watch are not to pay for it
                self.process.emit(PluginFailed(tier=self.node.name, plugin=name, reason=_reason(error)))
        with trio.move_on_at(self._deadline):
            while self._ledger:
                for connection in self._ledger:
                    if connection.idle:
                        connection.end_input()
                await trio.sleep(DRAIN_LOOK)
        self._dropped = len(self._ledger)
        scope.cancel()

    async def _accept(self, door: Bound, connections: trio.Nursery) -> None:
        service = self.node.service_for(door.door.scheme)
        assert service is not None, "check() has seen to it"

        def welcome(connection: Connection) -> None:
            host = connection.peer.host
            if self._admission.admit(host):  # told once a second by _tell_troubles
                self._refused += 1
                connection.abort()
                return
            self._ledger.came(connection, service.name)
            connections.start_soon(self._guard, connection, service, host, name=f"{self.node.name} {service.name}")

        def pause(reason: str, seconds: float) -> None:
            self.process.emit(AcceptPaused(tier=self.node.name, reason=reason, seconds=seconds))

        await accept_loop(door, on_connection=welcome, on_pause=pause, burst=self.node.limits.accept_burst)

    async def _tell_troubles(self) -> None:
        told = dict.fromkeys(self.doors, "")
        taken = {door: door.taken for door in self.doors}
        while True:
            await trio.sleep(1)
            for door in self.doors:
                if door.taken != taken[door]:
                    taken[door] = door.taken
                    self.process.emit(CertificateTaken(tier=self.node.name, address=str(door.address)))
                if door.trouble and door.trouble != told[door]:
                    self.process.emit(
                        CertificateKept(tier=self.node.name, address=str(door.address), reason=door.trouble)
                    )
                told[door] = door.trouble
            for reason, peer, count in self._admission.due(self.process.clock()):
                self.process.emit(Refused(tier=self.node.name, peer=peer, reason=reason, count=count))

    async def _guard(self, connection: Connection, service: Service, host: str) -> None:
        limit = self.node.limits.first_request
        scope = trio.CancelScope(deadline=trio.current_time() + limit)

        def settled() -> None:
            scope.deadline = math.inf

        connection.when_settled = settled
        failure = given_up = ""
        try:
            with scope:
                await connection.establish()
                if connection.peer.host != host:  # a PROXY header told us who it really is
                    self._admission.release(host)
                    host = connection.peer.host
                    if self._admission.admit(host):  # told once a second by _tell_troubles
                        self._refused += 1
                        host = ""
                        connection.abort()
                        return
                await self.running[service.name].handle(connection)
            if scope.cancelled_caught:
                failure = Because(f"no request within {limit:g} s of connecting", word="no_request")
        except* Exception as errors:
            # By except*: a handler that is cancelled may bring a Cancelled and an Exception in one group,
            # and only the first of them is for those above.
            failure, given_up = _failure(errors), _given_up(errors)
        finally:
            if failure:
                peer = str(connection.peer)
                self.process.emit(ConnectionFailed(tier=self.node.name, peer=peer, reason=failure))
            elif given_up:
                self.process.emit(Dropped(tier=self.node.name, peer=str(connection.peer), reason=given_up))
            self._ledger.left(connection, service.name)
            if host:
                self._admission.release(host)
            connection.close()


def _failure(error: Exception) -> str:
    """The reason to tell for what ended a connection; empty where that is an ordinary end."""
    leaves = list(_leaves(error))
    odd = [leaf for leaf in leaves if not isinstance(leaf, ConnectionLost)]
    if not odd:
        return ""
    return Because(_reason(odd[0]), word="protocol" if isinstance(odd[0], ProtocolError) else "internal")


def _given_up(error: Exception) -> str:
    """Why we have ended a connection whose peer was too slow; empty where it was not so."""
    return next((leaf.reason for leaf in _leaves(error) if isinstance(leaf, GivenUp)), "")


def _leaves(error: BaseException) -> Any:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _reason(error: BaseException) -> str:
    leaf = next(iter(_leaves(error)))
    # Whatever it says, an event is one line.
    said = " ".join(str(leaf).split())
    if isinstance(leaf, TierkitError):
        return said
    where = ""
    trace = leaf.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is not None:
        where = f" (in {trace.tb_frame.f_globals.get('__name__', '?')}, line {trace.tb_lineno})"
    return f"{type(leaf).__name__}: {said}{where}"
