"""What happens, as frozen values.

An event is for what happens once a connection or more rarely, never for each request or message:
one costs about 3 µs through an observer and 13 µs as a log line, where a request takes 17 µs.
What happens more often is counted in plain ints and read by whoever scrapes.
`text` is the line a person reads at night: what, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, TypeVar

from attrs import NOTHING, evolve, field, fields, frozen

from ._address import Address

__all__ = [
    "Event",
    "GraphReady",
    "GraphLeaving",
    "GraphStopped",
    "Reread",
    "TierStarted",
    "TierStopped",
    "TierFailed",
    "ViewerJoined",
    "ViewerLeft",
    "PublisherJoined",
    "PublisherLeft",
    "StreamStarted",
    "StreamEnded",
    "ConnectionFailed",
    "Refused",
    "Dropped",
    "UpstreamLost",
    "UpstreamBack",
    "UpstreamFound",
    "UpstreamChosen",
    "AcceptPaused",
    "AccessLogFailed",
    "AccessLogBack",
    "CertificateKept",
    "CertificateTaken",
    "Purged",
    "Kicked",
    "LoopBlocked",
    "PluginFailed",
    "StreamFault",
    "Recorded",
    "RecordingFailed",
    "RecordingLeft",
    "Draining",
]


EventT = TypeVar("EventT", bound="Event")


def _peer(default: Any = NOTHING) -> Any:
    """A field that may hold somebody's address: no other does, so that it can be told in part or not at all."""
    return field(default=default, metadata={"address": True})


@frozen(kw_only=True)
class Event:
    """The root of all events.  `tier` is the tier's name, empty for what concerns the whole process.

    Addresses of viewers and publishers stand in fields called `peer`, or marked by ``metadata={"address": True}``, and
    nowhere else: a `text` takes them from there.
    """

    #: How urgent it is: "warning" is for the morning, "error" for the night.
    level: ClassVar[Literal["info", "warning", "error"]] = "info"

    tier: str = ""

    def masked(self: EventT, show: Callable[[str], str]) -> EventT:
        """The event as it may be told where `show` says how much of an address may be."""
        told = {
            each.name: show(value)
            for each in fields(type(self))
            if (each.name == "peer" or "address" in each.metadata)
            and isinstance(value := getattr(self, each.name), str)
        }
        return evolve(self, **told) if told else self

    @property
    def text(self) -> str:
        """One line for a person."""
        return type(self).__name__


@frozen(kw_only=True)
class GraphReady(Event):
    """Every tier that runs here accepts connections, `seconds` after that was begun with."""

    version: str
    tiers: tuple[str, ...]
    seconds: float

    @property
    def text(self) -> str:
        return f"tierkit {self.version} is ready after {self.seconds:.1f} s: {', '.join(self.tiers)}"


@frozen(kw_only=True)
class GraphLeaving(Event):
    """The process was told to end, `by` what: it drains, or, told again, drops everybody."""

    by: str
    drops: bool = False

    @property
    def text(self) -> str:
        return f"told to end by {self.by}" + (" again: everybody is dropped" if self.drops else "")


@frozen(kw_only=True)
class GraphStopped(Event):
    """Every tier that ran here has stopped, after `seconds` in all."""

    seconds: float

    @property
    def text(self) -> str:
        return f"everything has stopped, after {self.seconds:.0f} s"


@frozen(kw_only=True)
class Reread(Event):
    """By SIGHUP: certificates were read again, which `kept` listeners could not take, and logs were opened anew."""

    listeners: int
    kept: int = 0

    @property
    def text(self) -> str:
        kept = f", {self.kept} of them keep what they had" if self.kept else ""
        return f"told by SIGHUP to read certificates and open logs again: {self.listeners} listeners{kept}"


@frozen(kw_only=True)
class TierStarted(Event):
    """A tier accepts connections.  `addresses` are the bound ones, in the order of its listeners."""

    addresses: tuple[Address, ...]

    @property
    def text(self) -> str:
        return f"{self.tier} is ready on {', '.join(map(str, self.addresses))}"


@frozen(kw_only=True)
class TierStopped(Event):
    """A tier has stopped, after its drain; `dropped` connections outlived the deadline and were cut."""

    dropped: int = 0

    @property
    def text(self) -> str:
        return f"{self.tier} has stopped" + (f", {self.dropped} connections cut" if self.dropped else "")


@frozen(kw_only=True)
class TierFailed(Event):
    """A tier itself has failed; its supervisor decides what becomes of the process."""

    level = "error"

    reason: str

    @property
    def text(self) -> str:
        return f"{self.tier} failed: {self.reason}"


@frozen(kw_only=True)
class Draining(Event):
    """A tier accepts no more and waits up to `seconds` for its connections to end."""

    seconds: float
    connections: int

    @property
    def text(self) -> str:
        return f"{self.tier} drains: {self.connections} connections have {self.seconds:g} s to end"


@frozen(kw_only=True)
class _OfConnection(Event):
    peer: str = _peer()
    stream: str = ""


@frozen(kw_only=True)
class ViewerJoined(_OfConnection):
    """A player has begun to play `stream`."""

    @property
    def text(self) -> str:
        return f"{self.tier}: viewer {self.peer} plays {self.stream}"


@frozen(kw_only=True)
class ViewerLeft(_OfConnection):
    """A player has gone; `skipped` GOPs were jumped over for it."""

    seconds: float
    bytes_out: int
    skipped: int = 0

    @property
    def text(self) -> str:
        return f"{self.tier}: viewer {self.peer} left {self.stream} after {self.seconds:.0f} s"


@frozen(kw_only=True)
class PublisherJoined(_OfConnection):
    """A publisher has begun to send `stream`."""

    @property
    def text(self) -> str:
        return f"{self.tier}: {self.peer} publishes {self.stream}"


@frozen(kw_only=True)
class PublisherLeft(_OfConnection):
    """A publisher has ended or vanished; `reason` tells which."""

    reason: str

    @property
    def text(self) -> str:
        return f"{self.tier}: publisher {self.peer} of {self.stream} left: {self.reason}"


@frozen(kw_only=True)
class StreamStarted(Event):
    """A stream is on air at this tier, `origin` telling from where."""

    stream: str
    origin: str = _peer("")

    @property
    def text(self) -> str:
        return f"{self.tier}: {self.stream} is on air" + (f" from {self.origin}" if self.origin else "")


@frozen(kw_only=True)
class StreamEnded(Event):
    """A stream is no longer on air at this tier."""

    stream: str
    reason: str

    @property
    def text(self) -> str:
        return f"{self.tier}: {self.stream} is off air: {self.reason}"


@frozen(kw_only=True)
class StreamFault(Event):
    """Something went wrong inside one stream that did not end it: a packager that had to start again."""

    level = "warning"

    stream: str
    reason: str

    @property
    def text(self) -> str:
        return f"{self.tier}: {self.stream}: {self.reason}"


@frozen(kw_only=True)
class Recorded(Event):
    """A file of `stream` is finished: `seconds` of media, `bytes` long."""

    stream: str
    file: str
    seconds: float
    bytes: int

    @property
    def text(self) -> str:
        return f"{self.tier}: {self.stream} is recorded: {self.file}, {self.seconds:.1f} s, {self.bytes / 1e6:.1f} MB"


@frozen(kw_only=True)
class RecordingFailed(Event):
    """`file` cannot be written; the stream goes on, and the next file is tried in `retry_in` seconds.

    0 stands for a folder that was not there at the start: it is tried when a stream begins.
    """

    level = "warning"

    stream: str
    file: str
    reason: str
    retry_in: float

    @property
    def text(self) -> str:
        when = f"in {self.retry_in:g} s" if self.retry_in else "when a stream begins"
        return f"{self.tier}: {self.stream} is not recorded, {self.file}: {self.reason}; next try {when}"


@frozen(kw_only=True)
class RecordingLeft(Event):
    """A file that nobody finishes: whoever wrote it has ended in the middle.  It plays as it is."""

    level = "warning"

    file: str
    bytes: int

    @property
    def text(self) -> str:
        return (
            f"{self.tier}: {self.file} was left by a process that ended while it recorded, {self.bytes / 1e6:.1f} MB: "
            "it plays up to there; rename or delete it"
        )


@frozen(kw_only=True)
class ConnectionFailed(_OfConnection):
    """One connection has ended with an error; all others go on."""

    level = "warning"

    reason: str

    @property
    def text(self) -> str:
        return f"{self.tier}: connection from {self.peer} failed: {self.reason}"


@frozen(kw_only=True)
class Refused(_OfConnection):
    """Somebody was turned away by a bound or an authoriser; `count` of them since the last such event."""

    level = "warning"

    reason: str
    count: int = 1

    @property
    def text(self) -> str:
        more = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.tier}: refused {self.peer}: {self.reason}{more}"


@frozen(kw_only=True)
class Dropped(_OfConnection):
    """A viewer or publisher was closed by us for `reason` (too slow, stalled, kicked)."""

    level = "warning"

    reason: str

    @property
    def text(self) -> str:
        return f"{self.tier}: dropped {self.peer}: {self.reason}"


@frozen(kw_only=True)
class UpstreamLost(Event):
    """An upstream has failed; it is tried again in `retry_in` seconds."""

    level = "warning"

    upstream: str
    reason: str
    retry_in: float = 0.0

    @property
    def text(self) -> str:
        return f"{self.tier}: upstream {self.upstream}: {self.reason}; next try in {self.retry_in:.1f} s"


@frozen(kw_only=True)
class UpstreamBack(Event):
    """An upstream that had failed answers again."""

    upstream: str

    @property
    def text(self) -> str:
        return f"{self.tier}: upstream {self.upstream} answers again"


@frozen(kw_only=True)
class UpstreamFound(Event):
    """What a source has found out about its server, where that decides how it is used."""

    upstream: str
    found: str

    @property
    def text(self) -> str:
        return f"{self.tier}: upstream {self.upstream}: {self.found}"


@frozen(kw_only=True)
class UpstreamChosen(Event):
    """An upstream has failed, and this one is asked first from now on."""

    level = "warning"

    upstream: str
    instead_of: str

    @property
    def text(self) -> str:
        return f"{self.tier}: upstream {self.upstream} is asked first, while {self.instead_of} fails"


@frozen(kw_only=True)
class AccessLogFailed(Event):
    """The access log cannot be written; its lines are lost, and counted, until it can be."""

    level = "warning"

    file: str
    reason: str

    @property
    def text(self) -> str:
        return f"access log {self.file}: {self.reason}: lines are lost until that is mended"


@frozen(kw_only=True)
class AccessLogBack(Event):
    """An access log is written again; `lost` lines were not written since it failed."""

    file: str
    lost: int

    @property
    def text(self) -> str:
        return f"access log {self.file} is written again: {self.lost} lines are lost"


@frozen(kw_only=True)
class Purged(Event):
    """By the control address, somebody has had tiers forget what matches; None where one has failed.

    `by` is where he has asked from: he is no viewer, and told whole.
    """

    by: str
    pattern: str
    soft: bool = False
    objects: tuple[tuple[str, int | None], ...] = ()

    @property
    def text(self) -> str:
        how = "purged softly" if self.soft else "purged"
        return f"{self.by} has {how} {self.pattern}: {_told(self.objects)}"


@frozen(kw_only=True)
class Kicked(Event):
    """By the control address, somebody has had tiers close connections; None where one has failed.

    `by` is where he has asked from: he is no viewer, and told whole.
    """

    by: str
    pattern: str
    connections: tuple[tuple[str, int | None], ...] = ()

    @property
    def text(self) -> str:
        return f"{self.by} has kicked {self.pattern}: {_told(self.connections)}"


def _told(counts: tuple[tuple[str, int | None], ...]) -> str:
    return ", ".join(f"{name} {'failed' if count is None else count}" for name, count in counts)


@frozen(kw_only=True)
class AcceptPaused(Event):
    """No descriptor is free: accepting pauses for `seconds`; the tier lives on."""

    level = "warning"

    reason: str
    seconds: float

    @property
    def text(self) -> str:
        return f"{self.tier}: accepting pauses {self.seconds:g} s: {self.reason}"


@frozen(kw_only=True)
class CertificateKept(Event):
    """A certificate file that has changed is no good: the listener goes on with the one before."""

    level = "warning"

    address: str
    reason: str

    @property
    def text(self) -> str:
        return f"{self.tier}: {self.address} keeps its old certificate: {self.reason}"


@frozen(kw_only=True)
class CertificateTaken(Event):
    """A certificate file has changed, and is shown to whoever connects from now on."""

    address: str

    @property
    def text(self) -> str:
        return f"{self.tier}: {self.address} has taken its new certificate"


@frozen(kw_only=True)
class LoopBlocked(Event):
    """The event loop stood still for `seconds` inside one step of `task`: everybody waited."""

    level = "warning"

    task: str
    seconds: float
    count: int = 1

    @property
    def text(self) -> str:
        return (
            f"the event loop stood still for {self.seconds * 1000:.0f} ms in {self.task}"
            f" ({self.count} such steps): move that work to ctx.run_sync"
        )


@frozen(kw_only=True)
class PluginFailed(Event):
    """A plugin has failed to load, or one of its observers raised; the others go on.

    An authoriser that has failed at somebody tells who, as `peer`, and what it has `denied` him for that; `count` of
    them since the last such event.
    """

    level = "error"

    plugin: str
    reason: str
    peer: str = _peer("")
    denied: str = ""
    count: int = 1

    @property
    def text(self) -> str:
        denied = f"; {self.peer} may not {self.denied} for that" if self.denied else ""
        more = f" ({self.count} times)" if self.count > 1 else ""
        return f"plugin {self.plugin}: {self.reason}{denied}{more}"
