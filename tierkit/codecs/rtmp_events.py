"""What RTMP sessions report, as values.  `rtmp_session` gives them out; nothing here has behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from attrs import field, frozen

from .rtmp_message import Command
from .rtmp_url import Route

__all__ = [
    "CallReceived",
    "ClientEvent",
    "ConnectRefused",
    "ConnectRequested",
    "Connected",
    "Media",
    "PauseRequested",
    "PlayEnded",
    "PlayRequested",
    "PlayStarted",
    "PlayStopped",
    "Pong",
    "PublishRequested",
    "PublishStarted",
    "ReconnectRequested",
    "SeekRequested",
    "ServerEvent",
    "Status",
    "Unpublished",
]


class Media(NamedTuple):
    """An audio, video or data message.

    `type_id` is 8, 9 or 18 (AMF3 data has become 18); `payload` is that of the message, for data without
    `@setDataFrame`.
    """

    type_id: int
    timestamp: int
    payload: bytes
    stream_id: int = 1


@frozen
class Pong:
    """The peer answered a `ping`; `seconds` is the round trip."""

    seconds: float


@frozen
class CallReceived:
    """A command that the session does not know: usually to be ignored."""

    stream_id: int
    command: Command


# To a server


@frozen
class ConnectRequested:
    """A client wants to connect: answer with `accept_connect` or `reject_connect`.

    `object` holds everything it said; `args` what came behind it (Wowza tokens, user names).
    """

    app: str
    tc_url: str
    object: Mapping[str, Any] = field(factory=dict, repr=False)
    args: tuple[Any, ...] = field(default=(), repr=False)
    flash_ver: str = ""
    caps_ex: int = 0
    """Enhanced RTMP capabilities: 1 reconnect, 2 multitrack, 4 ModEx, 8 nanosecond offsets."""

    @property
    def can_reconnect(self) -> bool:
        """True for a client that understands `request_reconnect`."""
        return bool(self.caps_ex & 1)


@frozen
class PublishRequested:
    """A client wants to publish: answer with `accept_publish` or `reject_publish`."""

    stream_id: int
    route: Route
    kind: str = "live"
    """"live", or "record" and "append" from those who would have us write a file."""
    name: str = ""
    """The name as the client spelt it; `route` says what it means."""


@frozen
class Unpublished:
    """A publisher has ended its stream in an orderly way, by `reason` (the command it used)."""

    stream_id: int
    reason: str


@frozen
class PlayRequested:
    """A client wants to play: answer with `accept_play` or `reject_play`, now or when the stream begins.

    `start` is -2 for live or recorded, -1 for live only, else ms into a recording; `duration` is -1 for all.
    """

    stream_id: int
    route: Route
    start: int = -2
    duration: int = -1
    reset: bool = True
    name: str = ""
    args: tuple[Any, ...] = field(default=(), repr=False)
    """The arguments as they were sent: what of them was left out shows in their number."""


@frozen
class PlayStopped:
    """A player has stopped, or has withdrawn its request, by `reason` (the command it used)."""

    stream_id: int
    reason: str


@frozen
class PauseRequested:
    """A player pauses or (`paused` False) goes on, at `ms`: answer with `accept_pause`."""

    stream_id: int
    paused: bool
    ms: int = 0


@frozen
class SeekRequested:
    """A player wants to be at `ms`: answer with `accept_seek`."""

    stream_id: int
    ms: int


# To a client


@frozen
class Connected:
    """The server accepted the connection.  What `play` or `publish` asked for is sent when the next event is fetched:
    calls made in between go out before it (Wowza's secure token)."""

    properties: dict[str, Any] = field(factory=dict)
    info: dict[str, Any] = field(factory=dict)


@frozen
class ConnectRefused:
    """The server refused to connect; the session is over.  `description` may hold a challenge (`authmod=adobe`)."""

    code: str
    description: str
    info: dict[str, Any] = field(factory=dict, repr=False)


@frozen
class PlayStarted:
    """Media will come: Play.Start, or Play.PublishNotify when the stream begins (again)."""

    stream_id: int
    code: str


@frozen
class PlayEnded:
    """The stream has ended at the server, by `code`; it may begin again (PlayStarted)."""

    stream_id: int
    code: str


@frozen
class PublishStarted:
    """The server takes our media from now on, and not before."""

    stream_id: int


@frozen
class ReconnectRequested:
    """The server drains: connect again, to `tc_url` where it is not empty, then leave this connection."""

    tc_url: str
    description: str = ""


@frozen
class Status:
    """Any other status.  `fatal` ones (errors, refusals) end what was asked for; nothing more will come."""

    stream_id: int
    level: str
    code: str
    description: str
    fatal: bool
    info: dict[str, Any] = field(factory=dict, repr=False)


ServerEvent: TypeAlias = (
    Media
    | ConnectRequested
    | PublishRequested
    | Unpublished
    | PlayRequested
    | PlayStopped
    | PauseRequested
    | SeekRequested
    | Pong
    | CallReceived
)

ClientEvent: TypeAlias = (
    Media
    | Connected
    | ConnectRefused
    | PlayStarted
    | PlayEnded
    | PublishStarted
    | ReconnectRequested
    | Status
    | Pong
    | CallReceived
)
