"""What all RTMP connections of one server share, and what differs from server to server."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import Literal

from attrs import field, frozen

from ._behaviours import Behaviour
from ._model import Server
from ._rtmp_media import Publication
from ._rtmp_publishers import Opaque, Publishers
from ._sessions import Place

__all__ = ["RtmpOptions", "Stage"]


@frozen(kw_only=True)
class RtmpOptions:
    """What differs from server to server, or is not known."""

    #: The shared secret of SecureToken version 1; "" for none.
    secret: str = field(default="", repr=False)
    #: Whether `authmod=adobe` asks with an opaque part, and whether that is the challenge.
    opaque: Opaque = "same"
    #: What becomes of play for a name that nobody publishes.
    unpublished: Literal["not-found", "wait"] = "not-found"
    #: User control events 31 and 32 during play.
    buffer_events: bool = True
    #: A strict array in the metadata of the signal.
    strict_array: bool = True
    #: `onBWDone` behind the result of connect.
    check_bandwidth: bool = False
    #: Seconds between pings, that one may stay unanswered, and that a client may take to connect.
    ping_every: float = 8.0
    ping_timeout: float = 12.0
    unidentified: float = 30.0


class Stage:
    """One server's RTMP.

    Args:
        shown: where it is counted what was shown.

    Attributes:
        publications: what is published into it now.
    """

    def __init__(
        self, server: Server, options: RtmpOptions | None = None, shown: Counter[Behaviour] | None = None
    ) -> None:
        self.server = server
        self.options = options or RtmpOptions()
        self.publications: dict[Place, Publication] = {}
        self.publishers = Publishers(users=server.publishers, opaque=self.options.opaque, seed=str(server.seed))
        self._shown = Counter[Behaviour]() if shown is None else shown
        self._visits = 0

    def shows(self, *behaviours: Behaviour) -> None:
        """Count what a client has just been shown."""
        self._shown.update(behaviours)

    def nonce(self) -> bytes:
        """32 bytes, other ones for each connection and the same on every run."""
        self._visits += 1
        return sha256(f"{self.server.seed} rtmp {self._visits}".encode()).digest()
