"""What happens, as frozen values.

An event is for what happens once a connection or more rarely, never for each request or message:
one costs about 3 µs through an observer and 13 µs as a log line, where a request takes 17 µs.
What happens more often is counted in plain ints and read by whoever scrapes.
`text` is the line a person reads at night: what, where, and what to do.
"""

from __future__ import annotations

from attrs import frozen

from ._address import Address
from ._event import Event, peer_field
from ._events_process import (
    AcceptPaused,
    AccessLogBack,
    AccessLogFailed,
    CertificateKept,
    CertificateTaken,
    GraphLeaving,
    GraphReady,
    GraphStopped,
    Kicked,
    LoopBlocked,
    ProcessEnded,
    Purged,
    Reread,
)

__all__ = [
    "Event",
    "GraphReady",
    "GraphLeaving",
    "GraphStopped",
    "ProcessEnded",
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
    peer: str = peer_field()
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
    origin: str = peer_field("")

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
class PluginFailed(Event):
    """A plugin has failed to load, or one of its observers raised; the others go on.

    An authoriser that has failed at somebody tells who, as `peer`, and what it has `denied` him for that; `count` of
    them since the last such event.
    """

    level = "error"

    plugin: str
    reason: str
    peer: str = peer_field("")
    denied: str = ""
    count: int = 1

    @property
    def text(self) -> str:
        denied = f"; {self.peer} may not {self.denied} for that" if self.denied else ""
        more = f" ({self.count} times)" if self.count > 1 else ""
        return f"plugin {self.plugin}: {self.reason}{denied}{more}"
