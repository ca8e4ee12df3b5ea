"""What can go wrong, named by who is to blame.

Every message is one line that says what happened, where, and what to do about it.  `GraphError` and
`PluginError` are about configuration; `UpstreamError` is about a server that we pull from;
`ProtocolError` is about bytes on a connection, and says whose fault they are; `ConnectionLost` is
nobody's fault: networks end.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "TierkitError",
    "AddressError",
    "GraphError",
    "PluginError",
    "ListenError",
    "UpstreamError",
    "UpstreamTimeout",
    "NotServed",
    "ConnectionLost",
    "GivenUp",
    "ProtocolError",
    "LocalProtocolError",
    "RemoteProtocolError",
]


class TierkitError(Exception):
    """The root of everything that tierkit raises on purpose."""


class AddressError(TierkitError, ValueError):
    """An address or URL that cannot be understood; the message shows the spelling that is expected."""


class GraphError(TierkitError):
    """A graph that cannot run.

    `problems` holds every problem found, one line each, naming the tier and the remedy: the reader
    mends all of them at once, not one a run.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems: tuple[str, ...] = tuple(problems)
        super().__init__("\n".join(self.problems))


class PluginError(TierkitError):
    """A plugin that failed to load, or that broke a promise of its hooks."""

    def __init__(self, plugin: str, reason: str) -> None:
        self.plugin = plugin
        self.reason = reason
        super().__init__(f"plugin {plugin}: {reason}")

    def __reduce__(self) -> tuple[type[PluginError], tuple[str, str]]:
        return type(self), (self.plugin, self.reason)


class ListenError(TierkitError):
    """An address that cannot be listened on: taken, not ours, or not permitted."""


class UpstreamError(TierkitError):
    """An upstream that is down, refuses, or answers nonsense.  It is worth trying the next one."""

    def __init__(self, upstream: str, reason: str) -> None:
        self.upstream = upstream
        self.reason = reason
        super().__init__(f"upstream {upstream}: {reason}")

    def __reduce__(self) -> tuple[type[UpstreamError], tuple[str, str]]:
        return type(self), (self.upstream, self.reason)


class UpstreamTimeout(UpstreamError):
    """An upstream that did not answer in time: its gateway says 504 for it, and 502 for any other failure."""


class NotServed(TierkitError):
    """A path that is outside what an upstream or a service is configured to serve (404, StreamNotFound)."""


class ConnectionLost(TierkitError):
    """The connection has ended under us: reset, timed out by the kernel, or already closed by ourselves."""


class GivenUp(ConnectionLost):
    """We have ended the connection because its peer was too slow: it took nothing, or too long for the whole.

    For whoever serves it an end like any other; its guard tells observers, as `Dropped`.

    Attributes:
        reason: why, as it was given: a `Because` keeps the word that it is counted by.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class ProtocolError(TierkitError):
    """Somebody broke the rules of a protocol: see the two subclasses for who.

    `hint` is what to answer before closing, in the protocol's own terms (an HTTP status, an RTMP
    status code), or None where nothing sensible can be answered.
    """

    def __init__(self, message: str, *, hint: int | str | None = None) -> None:
        self.hint = hint
        super().__init__(message)


class LocalProtocolError(ProtocolError):
    """*We* tried something that the protocol forbids in this state: a bug on our side of the wire."""


class RemoteProtocolError(ProtocolError):
    """The *peer* sent something that the protocol forbids; the connection cannot go on."""
