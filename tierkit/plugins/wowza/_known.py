"""What is known of a Wowza, as values: one look at a server, and what is told of the looking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve, field, frozen

from tierkit.codecs.wowza_counts import DEFAULT_INSTANCE, Counts
from tierkit.codecs.wowza_rest import MachineLoad, ServerStatus

from ._rest import OnAir

__all__ = ["KnowingStatistics", "Known", "KnownStream", "joined", "summed"]


@frozen(kw_only=True)
class KnownStream:
    """One stream, as a Wowza tells of it."""

    #: Application, instance and name, decoded.
    app: str = field(metadata={"merge": "last"})
    instance: str = field(metadata={"merge": "last"})
    name: str = field(metadata={"merge": "last"})
    #: Whether its source is connected; None where only the counters were asked, which do not say.
    connected: bool | None = field(default=None, metadata={"merge": "last"})
    #: Sessions that Wowza counts, by protocol; in HTTP origin mode it counts none.
    viewers: Mapping[str, int] = field(factory=dict, metadata={"merge": "last"})
    #: Where it comes from, as REST says it.
    source: str = field(default="", metadata={"merge": "last"})

    @property
    def path(self) -> str:
        """As it stands in URLs: ``app/name``, with the instance where that is not the default."""
        middle = "" if self.instance == DEFAULT_INSTANCE else f"{self.instance}/"
        return f"{self.app}/{middle}{self.name}"

    @property
    def key(self) -> tuple[str, str, str]:
        """Application, instance and name."""
        return self.app, self.instance, self.name


@frozen(kw_only=True)
class Known:
    """One look at a server."""

    #: On the looker's clock.
    at: float
    #: "4.7.0"; "" where REST was not asked, or does not say.
    version: str = ""
    applications: tuple[str, ...] = ()
    streams: tuple[KnownStream, ...] = ()
    #: Whether a stream that is not among them does not come in: REST was asked, and answered.
    complete: bool = False
    #: Connections of all kinds that the server has now; None where nobody says.
    connections: int | None = None
    #: Media in and out of it, bytes a second; None where the counters were not asked.
    bytes_in_rate: float | None = None
    bytes_out_rate: float | None = None
    #: Of its machine, as REST tells it now and then.
    load: MachineLoad = field(factory=MachineLoad)

    @property
    def instances(self) -> tuple[tuple[str, str], ...]:
        """Application and instance of everything that it lists."""
        return tuple(sorted({(each.app, each.instance) for each in self.streams}))

    def stream(self, app: str, name: str, instance: str = DEFAULT_INSTANCE) -> KnownStream | None:
        """One of its streams."""
        wanted = (app, instance, name)
        return next((each for each in self.streams if each.key == wanted), None)


@frozen(kw_only=True)
class KnowingStatistics:
    """What is known of a Wowza, and how the looking goes.

    Several tiers look at one server, so what it says of itself is merged by the largest, not by the sum.
    """

    #: Whether the last look had an answer; False before the first.
    up: bool = field(default=False, metadata={"merge": "max"})
    #: Looks so far, and questions in them that had no usable answer.
    looks: int = field(default=0, metadata={"merge": "sum"})
    failures: int = field(default=0, metadata={"merge": "sum"})
    #: Why the last one that failed did; empty once all is well again.  Never has credentials in it.
    failure: str = field(default="", metadata={"merge": "last"})
    #: Seconds since the last look that had an answer; None before the first.
    age: float | None = field(default=None, metadata={"merge": "max"})
    #: Of the server.
    version: str = field(default="", metadata={"merge": "last"})
    #: Applications that are known, streams of them, and those of these that are connected.
    applications: int = field(default=0, metadata={"merge": "max"})
    streams: int = field(default=0, metadata={"merge": "max"})
    on_air: int = field(default=0, metadata={"merge": "max"})
    #: Players that Wowza counts itself, tiers among them; in HTTP origin mode it counts none.
    viewers: int = field(default=0, metadata={"merge": "max"})
    #: The same by protocol.
    viewers_by_protocol: Mapping[str, int] = field(factory=dict, metadata={"merge": "max"})
    #: Connections of all kinds to the server; None where nobody says.
    connections: int | None = field(default=None, metadata={"merge": "max"})
    #: Media in and out of it, bytes a second; None where the counters are not asked.
    bytes_in_rate: float | None = field(default=None, metadata={"merge": "max"})
    bytes_out_rate: float | None = field(default=None, metadata={"merge": "max"})
    #: How busy its machine is, per cent, and bytes of the Java heap in use; None where REST is not asked.
    cpu_busy: float | None = field(default=None, metadata={"merge": "max"})
    heap_used: float | None = field(default=None, metadata={"merge": "max"})


def joined(
    at: float,
    counts: Counts | None,
    incoming: tuple[OnAir, ...] | None,
    status: ServerStatus,
    load: MachineLoad,
    app: str = "",
) -> Known:
    """One look, out of what the two ports have said; None is a port that has said nothing.

    Args:
        at: on the looker's clock.
        status, load: as they were told last, which need not be now.
        app: the only application that matters; "" for all.
    """
    streams = {
        (each.app, each.instance, each.name): KnownStream(
            app=each.app, instance=each.instance, name=each.name, connected=each.connected, source=each.source
        )
        for each in incoming or ()
    }
    for each in counts.streams if counts is not None else ():
        if app in ("", each.app):
            key = (each.app, each.instance, each.name)
            # REST lists all that comes in: what it leaves out does not.
            only = KnownStream(
                app=each.app, instance=each.instance, name=each.name, connected=None if incoming is None else False
            )
            streams[key] = evolve(streams.get(key, only), viewers=each.sessions)
    apps = {each.app for each in streams.values()}
    if counts is not None:
        apps |= {name for name, state in counts.applications.items() if state == "loaded" and app in ("", name)}
    return Known(
        at=at,
        version=status.version,
        applications=tuple(sorted(apps)),
        streams=tuple(streams.values()),
        complete=incoming is not None,
        connections=status.connections if counts is None else counts.counters.current,
        bytes_in_rate=None if counts is None else counts.counters.bytes_in_rate,
        bytes_out_rate=None if counts is None else counts.counters.bytes_out_rate,
        load=load,
    )


def summed(streams: Iterable[KnownStream]) -> dict[str, int]:
    """Players by protocol over streams."""
    found: dict[str, int] = {}
    for each in streams:
        for word, count in each.viewers.items():
            found[word] = found.get(word, 0) + count
    return found
