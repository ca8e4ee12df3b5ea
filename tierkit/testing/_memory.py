"""A network in memory: every rule of the real one, no socket, no thread, no clock.

Deterministic by construction, up to trio's own choice among tasks that may run at the same moment: a
listener without a port gets the next number from 40001 on, a dialler likewise.  Every host name works, so a
whole graph of machines fits into one test: a listener on "a1.example:80" is reached by that name alone, one
on ":80" by every name.

What a real network does to people can be asked for: see `MemoryNetwork.fault`.
"""

from __future__ import annotations

import errno
from collections import deque

import trio
from attrs import define, field, frozen

from tierkit import Address, Listener, Trust
from tierkit.errors import ConnectionLost, ListenError, RemoteProtocolError
from tierkit.plugin import Bound, Connection, Descriptors, Door, Network, Networks, Peer

from ._pipe import MemoryConnection, Pipe

__all__ = ["Dialled", "Fault", "MemoryNetwork"]

#: As much as a socket on loopback holds for a reader who does not read.
BUFFER_BYTES = 262144
_FIRST_PORT = 40001
_LOOPBACK = "127.0.0.1"


@frozen(kw_only=True)
class Fault:
    """What goes wrong with connections to one address."""

    #: The dial is refused.
    refuse: bool = False
    #: The dial never ends.
    black_hole: bool = False
    #: Both ends see a reset once the dialler has been sent this many bytes.
    cut_after: int | None = None
    #: Nothing arrives any more, either way, once the dialler has been sent this many bytes.
    stall_after: int | None = None


@define(eq=False)
class Dialled:
    """One connection that somebody has opened, for tests to count."""

    #: As it was dialled, with scheme, path and credentials.
    address: Address
    #: The dialler's address.
    source: Peer
    #: The door it came in by.
    door: Door
    _up: Pipe = field(repr=False)
    _down: Pipe = field(repr=False)

    @property
    def bytes_up(self) -> int:
        """Bytes that the dialler has sent."""
        return self._up.total

    @property
    def bytes_down(self) -> int:
        """Bytes that the dialler has been sent."""
        return self._down.total

    @property
    def open(self) -> bool:
        """Whether neither end has closed it."""
        return not (self._up.over or self._down.over)


@define
class _Pending:
    fault: Fault
    times: int | None


class MemoryNetwork(Network):
    """A network in memory.

    TLS is marked (`secure`, and a mismatch of the two ends fails as in reality) but nothing is encrypted,
    and no certificate file is opened; PROXY headers are not read: `source` says who dials.

    Args:
        buffer_bytes: what one direction of a connection holds unread; a small one forces short writes.
        descriptors: the budget; its `limit` may be lowered to have accepting pause.
    """

    def __init__(self, *, buffer_bytes: int = BUFFER_BYTES, descriptors: Descriptors | None = None) -> None:
        self.descriptors = Descriptors(limit=1 << 20) if descriptors is None else descriptors
        self.buffer_bytes = buffer_bytes
        #: Every connection opened so far, in order.
        self.connections: list[Dialled] = []
        self._listeners: dict[tuple[str, int], _MemoryBound] = {}
        self._faults: dict[tuple[str, int], _Pending] = {}
        self._next_port = _FIRST_PORT

    # --- faults ----------------------------------------------------------------------------------

    def fault(self, address: str | Address, *, times: int | None = None, **fault: object) -> None:
        """Have connections to `address` go wrong, the next `times` of them or all until `heal`.

        The keywords are those of `Fault`: ``network.fault("origin:80", refuse=True, times=2)``.
        """
        self._faults[_key(Address.parse(address))] = _Pending(Fault(**fault), times)  # type: ignore[arg-type]

    def heal(self, address: str | Address) -> None:
        """Forget the fault of `address`; what it did to open connections stays done, except a stall."""
        key = _key(Address.parse(address))
        self._faults.pop(key, None)
        for dialled in self.connections:
            if _key(dialled.address) == key:
                dialled._up.resume()
                dialled._down.resume()

    def _fault_for(self, address: Address) -> Fault:
        key = _key(address)
        pending = self._faults.get(key)
        if pending is None:
            return Fault()
        if pending.times is not None:
            pending.times -= 1
            if pending.times <= 0:
                del self._faults[key]
        return pending.fault

    # --- the network -----------------------------------------------------------------------------

    async def listen(self, listener: Listener, *, backlog: int = 1024, send_lowat: int = 131072) -> Bound:
        """Open a listener; every host is taken for one of ours."""
        await trio.lowlevel.checkpoint()
        address = listener.address
        if not address.unix:
            port = address.dial_port or self._port()
            host = "::" if address.host in ("", "*") else address.host
            address = address.with_(host=host, port=port)
        if self._listener(address) is not None or (address.wildcard and self._any(address)):
            raise ListenError(f"{address} is already taken: choose another port")
        bound = self._listeners[_key(address)] = _MemoryBound(self, Door(listener, address), backlog)
        return bound

    def _port(self) -> int:
        self._next_port += 1
        return self._next_port - 1

    def _any(self, address: Address) -> bool:
        return any(port == address.port for _, port in self._listeners)

    def _listener(self, address: Address) -> _MemoryBound | None:
        key = _key(address)
        return self._listeners.get(key) or (None if address.unix else self._listeners.get(("", key[1])))

    async def connect(self, address: Address, *, trust: Trust | None = None, source: str = _LOOPBACK) -> Connection:
        """Dial a listener of this network.  `source` is the dialler's host as the listener sees it."""
        await trio.lowlevel.checkpoint()
        if not self.descriptors.connections_free:
            raise ConnectionLost(f"{address} was not dialled: no descriptor is free")
        if trust is not None and trust.networks and not _within(address.host, trust.networks):
            raise ConnectionLost(f"{address} was not dialled: it is not in {', '.join(trust.networks)}")
        fault = self._fault_for(address)
        if fault.black_hole:
            await trio.sleep_forever()
        bound = self._listener(address)
        if fault.refuse or bound is None:
            raise ConnectionLost(f"{address} refuses connections: nothing listens there")
        if address.secure and not bound.door.address.secure:
            raise ConnectionLost(f"{address}: no TLS handshake: no TLS at all, or a version that does not exist")
        await bound.room()
        return self._join(bound, address, source, fault)

    def _join(self, bound: _MemoryBound, address: Address, source: str, fault: Fault) -> Connection:
        up, down = Pipe(self.buffer_bytes), Pipe(self.buffer_bytes)
        down.cut_after, down.stall_after, down.twin = fault.cut_after, fault.stall_after, up
        secure, door = bound.door.address.secure, bound.door
        if address.unix:
            caller = listener = Peer("unix")
        else:
            caller, listener = Peer(source, self._port()), Peer(address.host, address.dial_port)
        budget = self.descriptors
        near = MemoryConnection(down, up, budget, peer=listener, secure=address.secure)
        far = MemoryConnection(up, down, budget, peer=caller, door=door, secure=secure)
        if secure and not address.secure:
            far.refusal = RemoteProtocolError(f"{caller}: no TLS handshake: no TLS at all")
        self.connections.append(Dialled(address, caller, door, up, down))
        near.count()
        bound.arrived(far)
        return near


def _within(host: str, networks: tuple[str, ...]) -> bool:
    """Whether a host is in one of some networks; a name is taken for a public one."""
    try:
        return host in Networks(networks)
    except ValueError:
        return "public" in networks


def _key(address: Address) -> tuple[str, int]:
    if address.unix:
        return address.unix, -1
    host = "" if address.wildcard else address.host.lower()
    return (_LOOPBACK if host == "localhost" else host), address.dial_port


class _MemoryBound(Bound):
    def __init__(self, network: MemoryNetwork, door: Door, backlog: int) -> None:
        self.door = door
        self._network = network
        self._backlog = backlog
        self._queue: deque[MemoryConnection] = deque()
        self._arrival = trio.lowlevel.ParkingLot()
        self._room = trio.lowlevel.ParkingLot()
        self._closed = False

    async def room(self) -> None:
        """Wait until the queue takes one more, as a dialler whose SYN is dropped does."""
        while not self._closed and len(self._queue) >= self._backlog:
            await self._room.park()
        if self._closed:
            raise ConnectionLost(f"{self.address} refuses connections: nothing listens there")

    def arrived(self, connection: MemoryConnection) -> None:
        self._queue.append(connection)
        self._arrival.unpark_all()

    async def accept(self) -> Connection:
        while not self._queue and not self._closed:
            await self._arrival.park()
        if self._closed:
            raise ConnectionLost(f"listener {self.address} is closed")
        if self._network.descriptors.connections_free <= 0:
            raise OSError(errno.EMFILE, "the budget of descriptors is used up")
        connection = self._queue.popleft()
        connection.count()
        self._room.unpark()  # one place, one dialler, in the order in which they came
        return connection

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        listeners = self._network._listeners
        listeners.pop(_key(self.address), None)
        while self._queue:
            self._queue.popleft().abort()
        self._arrival.unpark_all()
        self._room.unpark_all()
