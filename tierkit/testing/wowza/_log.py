"""What was asked of the stand-in, and by how many connections: what proofs are asserted on."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from attrs import define, field

from ._behaviours import Behaviour

__all__ = ["Asking", "Contact", "Log"]


@define(eq=False)
class Contact:
    """One TCP connection."""

    #: 1 for the first, at whichever port.
    number: int
    #: "streaming", "admin" or "rest".
    port: str
    address: str
    #: Seconds of the clock.
    opened: float
    #: "http" or "rtmp"; empty while nothing has come.
    protocol: str = ""
    #: None while it is open.
    closed: float | None = None
    #: What was asked last over HTTP.
    latest: Asking | None = field(default=None, repr=False)


@define(eq=False)
class Asking:
    """One request over HTTP."""

    method: str
    #: As it was sent: path and query.
    target: str
    #: Seconds of the clock.
    at: float
    contact: Contact
    #: 0 until it is answered.
    status: int = 0
    #: Bytes that were sent for it, head included; 0 until they have left.
    sent: int = 0
    #: A checksum of the body, head and framing left out: another one for each version of a playlist.
    version: int = 0
    #: What the answer shows.
    shows: tuple[Behaviour, ...] = field(default=(), repr=False)

    @property
    def connection(self) -> int:
        """The number of its connection."""
        return self.contact.number

    @property
    def port(self) -> str:
        """Where it was asked: "streaming", "admin" or "rest"."""
        return self.contact.port

    @property
    def path(self) -> str:
        """Without the query."""
        return self.target.partition("?")[0]


class Log:
    """Everything so far, oldest first; of what is older than `remember` requests and connections nothing is left."""

    def __init__(self, remember: int) -> None:
        self.requests: deque[Asking] = deque(maxlen=remember)
        self.contacts: deque[Contact] = deque(maxlen=remember)
        #: How many connections there have been.
        self.numbered = 0
        #: The most connections that were open at once, by port.
        self.most: Counter[str] = Counter()
        #: What was shown over RTMP, with how often.
        self.shown: Counter[Behaviour] = Counter()
        self._open: Counter[str] = Counter()

    def open(self, *ports: str) -> int:
        """How many connections are open now, at these ports or all."""
        return sum(count for port, count in self._open.items() if not ports or port in ports)

    def came(self, contact: Contact) -> None:
        """A connection has been accepted."""
        self.numbered = contact.number
        self.contacts.append(contact)
        self._open[contact.port] += 1
        self.most[contact.port] = max(self.most[contact.port], self._open[contact.port])

    def went(self, contact: Contact, now: float) -> None:
        """A connection has ended."""
        contact.closed = now
        self._open[contact.port] -= 1

    def fetches(self, requests: Iterable[Asking] | None = None) -> Counter[str]:
        """How often each target was asked for."""
        return Counter(each.target for each in (self.requests if requests is None else requests))

    @property
    def relied_on(self) -> Counter[Behaviour]:
        """What the stand-in has shown so far, with how often: what a test has relied on."""
        return self.shown + Counter(behaviour for each in self.requests for behaviour in each.shows)
