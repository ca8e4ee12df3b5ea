"""A tier's connections, and what went over them, by protocol."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field, frozen

from ._ports import Connection, Meter

__all__ = ["Ledger", "Traffic"]

#: Seconds for which the kernel's figures are good: asking costs 2 to 3 µs a connection, and Prometheus asks every 15 s.
GOOD_FOR = 15.0


@frozen(kw_only=True)
class Traffic:
    """What went through a tier's doors of one kind, now and so far."""

    #: The service that answers there, such as "hls", and the scheme of the doors, such as "https".
    protocol: str = field(metadata={"merge": "last"})
    scheme: str = field(metadata={"merge": "last"})
    #: Connections open now, and accepted so far.
    connections: int = field(metadata={"merge": "sum"})
    accepted: int = field(metadata={"merge": "sum"})
    #: Bytes received and sent so far, without the overhead of TLS.
    bytes_in: int = field(metadata={"merge": "sum"})
    bytes_out: int = field(metadata={"merge": "sum"})


@define
class _Kind:
    connections: set[Connection] = field(factory=set)
    accepted: int = 0
    meter: Meter = field(factory=Meter)


class Ledger:
    """Who is connected to a tier, and how much those who were have taken and brought."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], _Kind] = {}
        self._kernel = (float("-inf"), 0)

    def __len__(self) -> int:
        return sum(len(kind.connections) for kind in self._kinds.values())

    def __iter__(self) -> Iterator[Connection]:
        return (each for kind in self._kinds.values() for each in kind.connections)

    def expect(self, protocol: str, scheme: str) -> None:
        """There is such a door: it is told of from now on, with zeros until somebody comes."""
        self._kinds.setdefault((protocol, scheme), _Kind())

    def came(self, connection: Connection, protocol: str) -> None:
        """A connection was accepted."""
        kind = self._kind(connection, protocol)
        connection.meter = kind.meter
        kind.connections.add(connection)
        kind.accepted += 1

    def left(self, connection: Connection, protocol: str) -> None:
        """It has ended: what it has taken stays counted."""
        self._kind(connection, protocol).connections.discard(connection)

    def _kind(self, connection: Connection, protocol: str) -> _Kind:
        scheme = connection.door.scheme if connection.door is not None else ""
        return self._kinds.setdefault((protocol, scheme), _Kind())

    def statistics(self) -> tuple[Traffic, ...]:
        """By service and scheme, in the order of the doors."""
        return tuple(
            Traffic(
                protocol=protocol,
                scheme=scheme,
                connections=len(kind.connections),
                accepted=kind.accepted,
                bytes_in=kind.meter.bytes_in,
                bytes_out=kind.meter.bytes_out,
            )
            for (protocol, scheme), kind in self._kinds.items()
        )

    def kernel_bytes(self, now: float) -> int:
        """Memory that the kernel holds for the connections of now, at most `GOOD_FOR` seconds old."""
        at, found = self._kernel
        if now - at >= GOOD_FOR:
            found = sum(each.kernel_bytes() for each in self)
            self._kernel = (now, found)
        return found
