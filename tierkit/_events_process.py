"""What happens to a process as a whole: its life, its logs and certificates, and what operators do to it."""

from __future__ import annotations

from attrs import frozen

from ._event import Event

__all__ = [
    "GraphReady",
    "GraphLeaving",
    "GraphStopped",
    "ProcessEnded",
    "Reread",
    "AccessLogFailed",
    "AccessLogBack",
    "Purged",
    "Kicked",
    "AcceptPaused",
    "CertificateKept",
    "CertificateTaken",
    "LoopBlocked",
]


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
class ProcessEnded(Event):
    """A process that ran a tier by itself has ended, or cannot be started; `then` says what becomes of that."""

    level = "error"

    reason: str
    then: str = ""

    @property
    def text(self) -> str:
        return f"{self.tier}: its process {self.reason}" + (f": {self.then}" if self.then else "")


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
