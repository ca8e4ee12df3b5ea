"""Who watches: the sessions of HLS, which nobody ends, and those of RTMP, which their connections end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import define, field, frozen

__all__ = ["HlsSession", "HlsSessions", "Place", "RtmpSession"]

#: Sessions that have ended and are still known, for whoever looks at the stand-in.
REMEMBERED: Final = 10_000


@frozen
class Place:
    """Where a stream is."""

    application: str
    instance: str
    stream: str

    def __str__(self) -> str:
        return f"{self.application}/{self.instance}/{self.stream}"


@define(eq=False, kw_only=True)
class HlsSession:
    """What one multivariant playlist has begun."""

    #: The number in names.
    id: int
    place: Place
    #: Who asked for the playlist.
    address: str
    #: What the request had behind its "?", without the session's own id.
    query: str
    referrer: str
    #: The query of its SecureToken, which stands in its names; "" for none.
    token: str = field(repr=False)
    #: Seconds of the server's clock.
    since: float
    last_seen: float
    #: Whether it has been idle for too long, and its names mean nothing any more.
    reaped: bool = False


class HlsSessions:
    """The sessions of HLS in the order in which they were seen last.

    Args:
        make_id: gives a number; one that is taken is asked for anew.
        idle: seconds without a request after which one is reaped; may be changed at any time.
    """

    def __init__(self, make_id: Callable[[], int], idle: float) -> None:
        self.idle = idle
        self._make_id = make_id
        self._alive: dict[int, HlsSession] = {}
        self._ended: dict[int, HlsSession] = {}

    @property
    def ended(self) -> list[HlsSession]:
        """Those that have been reaped, oldest first."""
        return list(self._ended.values())

    def was(self, number: int) -> bool:
        """Whether a session with this id has been reaped."""
        return number in self._ended

    def begin(
        self, place: Place, address: str, query: str, now: float, *, referrer: str = "", token: str = ""
    ) -> HlsSession:
        """A new one."""
        self.reap(now)
        number = self._make_id()
        while number in self._alive:
            number = self._make_id()
        made = HlsSession(
            id=number,
            place=place,
            address=address,
            query=query,
            referrer=referrer,
            token=token,
            since=now,
            last_seen=now,
        )
        self._alive[number] = made
        return made

    def seen(self, number: int, place: Place, now: float) -> HlsSession | None:
        """The session with this id, which is for this stream and has not ended; it counts as seen now."""
        self.reap(now)
        found = self._alive.get(number)
        if found is None or found.place != place:
            return None
        found.last_seen = now
        # The one seen longest ago stays the first, so that reaping looks at no more than it reaps.
        del self._alive[number]
        self._alive[number] = found
        return found

    def reap(self, now: float) -> None:
        """End those that have been idle for too long."""
        while self._alive:
            oldest = next(iter(self._alive.values()))
            if now - oldest.last_seen < self.idle:
                return
            self._end(oldest)

    def alive(self, now: float) -> list[HlsSession]:
        """Those that have not ended."""
        self.reap(now)
        return list(self._alive.values())

    def forget(self) -> None:
        """None is known any more, as after a restart."""
        self._alive.clear()
        self._ended.clear()

    def token(self, number: int | None) -> str:
        """The token of a session that has not ended."""
        found = self._alive.get(number) if number is not None else None
        return found.token if found is not None else ""

    def _end(self, session: HlsSession) -> None:
        session.reaped = True
        del self._alive[session.id]
        self._ended[session.id] = session
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]


@define(eq=False, kw_only=True)
class RtmpSession:
    """One client over RTMP: a player, or a publisher."""

    #: ``ClientId`` of `serverinfo`.
    id: int
    address: str
    port: int = 0
    #: None until it has said what it plays.
    place: Place | None = None
    application: str = ""
    instance: str = ""
    publishing: bool = False
    flash_version: str = ""
    referrer: str = ""
    #: The tcUrl that it connected with, without what stood behind a question mark.
    uri: str = ""
    #: Seconds of the server's clock.
    since: float = 0.0
    secure: bool = False
    #: Ends its connection; None for one that cannot be ended from outside.
    disconnect: Callable[[], None] | None = field(default=None, repr=False)
