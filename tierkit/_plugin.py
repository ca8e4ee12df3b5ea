"""What a plugin is made of, as abstract classes.

A plugin brings *recipes*: frozen values such as ``HLS(cache_bytes=...)`` that a user holds, shares and
puts into a graph.  State is born when the core calls `open`, once per tier, and lives in what that
yields.  Names, roles and schemes are class attributes, so a graph is checked without a socket.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar
from urllib.parse import unquote

from attrs import field, frozen

from ._accesslog import AccessRecorder
from ._address import Address, Trust
from ._events import Event
from ._ports import Connection, Network
from ._recipe import Recipe
from .errors import NotServed, UpstreamError

if TYPE_CHECKING:
    from ._model import Node, Origin

__all__ = [
    "Candidate",
    "Context",
    "Direct",
    "Fetch",
    "Figures",
    "Known",
    "LiveSource",
    "Observer",
    "Role",
    "Running",
    "Service",
    "Shared",
    "Source",
    "StreamState",
    "Upstreams",
]

T = TypeVar("T")
SharedT = TypeVar("SharedT", bound="Shared")
Role = Literal["origin", "edge", "relay", "restream"]
#: Called with each event, synchronously; must not block.  One that raises is reported and left out of nothing.
Observer = Callable[[Event], None]


# --- services ------------------------------------------------------------------------------------


@frozen(kw_only=True)
class StreamState:
    """One stream as a tier sees it now."""

    #: ``app/name``: in HLS the folder of its playlists, so that a programme has one name whatever it is watched by.
    name: str = field(metadata={"merge": "last"})
    #: The path that it is watched by, where the name does not say it: a media playlist's.
    path: str = field(default="", metadata={"merge": "last"})
    #: Whether media arrives for it.
    on_air: bool = field(default=True, metadata={"merge": "max"})
    #: What is shown: "live", "off_air" for a clip that stands in for it, or nothing.
    source: str = field(default="", metadata={"merge": "last"})
    #: Viewers now.
    viewers: int = field(default=0, metadata={"merge": "sum"})
    #: Bytes received and sent for it so far.
    bytes_in: int = field(default=0, metadata={"merge": "sum"})
    bytes_out: int = field(default=0, metadata={"merge": "sum"})


@frozen(kw_only=True)
class Figures:
    """The few numbers that every service can tell, whatever it speaks: what tables and graphs show."""

    #: Players and clients served now; those of them whose picture has stood still in the last ten seconds; and how
    #: often that has begun so far.
    viewers: int = field(default=0, metadata={"merge": "sum"})
    chopped: int = field(default=0, metadata={"merge": "sum"})
    rebufferings: int = field(default=0, metadata={"merge": "sum"})
    #: Requests answered so far, and those of them that needed nothing from upstream.
    requests: int = field(default=0, metadata={"merge": "sum"})
    hits: int = field(default=0, metadata={"merge": "sum"})
    #: The same requests by what became of them, in the service's own few words: "hits", "misses", "errors".
    results: Mapping[str, int] = field(factory=dict, metadata={"merge": "sum"})
    #: Connections to upstreams open now; failures there and bytes received over them so far.
    upstream_connections: int = field(default=0, metadata={"merge": "sum"})
    upstream_errors: int = field(default=0, metadata={"merge": "sum"})
    upstream_bytes: int = field(default=0, metadata={"merge": "sum"})
    #: Seconds of media that the slowest player which is still served is behind.
    lag: float = field(default=0.0, metadata={"merge": "max"})
    #: GOPs that slow players have lost so far.
    skipped_gops: int = field(default=0, metadata={"merge": "sum"})
    #: Viewers and publishers that we have closed so far, by a word for the reason: "slow", "silent", "kicked".
    drops: Mapping[str, int] = field(factory=dict, metadata={"merge": "sum"})
    #: Bytes of media held now, by where: "store", "ring", "window".
    memory: Mapping[str, int] = field(factory=dict, metadata={"merge": "sum"})


class Running(ABC):
    """A service at work in one tier."""

    @abstractmethod
    async def handle(self, connection: Connection) -> None:
        """Speak with one connection until it ends; called in a task of its own, already established.

        Return to end it in order.  An Exception ends this connection alone and becomes an event; for a
        ProtocolError that is its own line, without the place in the code; ConnectionLost is an ordinary
        end and told to nobody.  Never close the connection: the guard does.
        """

    @abstractmethod
    def statistics(self) -> object:
        """A frozen attrs value with a docstring per field; `merge` in a field's metadata says how it adds up."""

    def figures(self) -> Figures:
        """The numbers that every service can tell; for tables and graphs over tiers of all kinds."""
        return Figures()

    def streams(self) -> Sequence[StreamState]:
        """The streams that this service knows of now."""
        return ()

    def draining(self) -> None:
        """The tier has stopped accepting: let viewers go where the protocol knows how."""

    def replace(self, service: Service) -> bool:
        """Take a changed recipe and keep the state; False where that needs a restart of the tier."""
        return False

    def purge(self, pattern: str, *, soft: bool = False) -> int:
        """Forget what matches (see `Pattern`), softly: have it be stale; returns how many objects.

        Raises LocalProtocolError for what is no pattern.
        """
        return 0

    def kick(self, pattern: str) -> int:
        """Close the connections that play or publish ``app/name``, or with ``*`` at the end those that begin so.

        Returns how many.
        """
        return 0


class Service(Recipe):
    """What a tier serves: the recipe."""

    #: What kinds of tier it can stand in.
    roles: ClassVar[frozenset[Role]]
    #: Schemes of the doors it answers at, the first is what a bare ``:PORT`` gets; empty for one that needs no door
    #: and works on the tier's streams alone.  Nobody ever calls `handle` of such a one.
    schemes: ClassVar[tuple[str, ...]]
    #: Schemes it can pull from an upstream; empty for one that has no upstream.
    pulls: ClassVar[tuple[str, ...]] = ()
    #: Schemes it can push to; empty for one that cannot push.
    pushes: ClassVar[tuple[str, ...]] = ()
    #: TCP_NOTSENT_LOWAT for its connections, bytes: HTTP wants 128 KiB, RTMP two batches at least.
    send_lowat: ClassVar[int] = 131072

    def problems_in(self, node: Node) -> list[str]:
        """What is wrong with it where it stands in a graph, one line each."""
        return []

    @abstractmethod
    def open(self, tier: Node, ctx: Context) -> AbstractAsyncContextManager[Running]:
        """Begin to serve in `tier`: an async context manager whose nursery holds all background work."""


# --- sources -------------------------------------------------------------------------------------


@frozen
class Known:
    """An answer over HTTP, whole."""

    status: int
    #: Lower-case names and values, in order.
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


#: Asks the server for a URL, by the connections of whoever serves; playlists only, the body is bounded.  Raises
#: UpstreamError.
Fetch = Callable[[Address], Awaitable[Known]]


class LiveSource(ABC):
    """An upstream server as one tier sees it: where things are there, and what is peculiar about them."""

    #: Schemes that it can be asked by.
    schemes: frozenset[str]

    @abstractmethod
    async def target(self, path: str, schemes: Collection[str]) -> Address:
        """The URL to fetch or play for a path of ours (``/app/name/...?query``), by one of `schemes`.

        Raises NotServed for a path outside what this source covers, UpstreamError where it cannot say.
        """

    async def prepare(self, path: str, fetch: Fetch) -> Known | None:
        """What must be known before the server is asked for a path over HTTP: a session, whatever `target` needs.

        Called before each request, and again before the second try that `observe` has asked for.  Returns the answer
        itself where it is known, and the server is not to be asked for it; else None.  Raises as `target` does.
        """
        return None

    def lane(self, path: str) -> str:
        """What a request over HTTP belongs to, where all of that is best asked for by one connection; empty for none.

        Requests of one lane go one after the other, though none waits for longer than two seconds.
        """
        return ""

    @property
    def scope(self) -> str:
        """A path that it covers whatever streams there are: ``check --live`` asks for its target."""
        return "/"

    def takes(self, path: str) -> bool:
        """Whether a stream of ours is meant to be pushed here; `target` may still say that it cannot be."""
        return True

    def key(self, path: str) -> str:
        """The canonical spelling of a path: what a cache keys on and a relay calls the stream."""
        return path

    @property
    def ignored(self) -> tuple[str, ...]:
        """Query parameters that are no part of what is asked for: ids of sessions; names, or patterns with ``*``."""
        return ()

    def rewrite(self, path: str, playlist: bytes) -> bytes:
        """The playlist at `path` as viewers may see it."""
        return playlist

    def observe(self, target: Address, status: int, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Look at an upstream answer; True asks for one more try, with a new `target`."""
        return False

    def connect_arguments(self, target: Address) -> Mapping[str, object]:
        """Additions to RTMP's connect object."""
        return {}

    def greeting(self, said: Mapping[str, object]) -> Sequence[tuple[object, ...]]:
        """Commands with their arguments for an RTMP server that has accepted us, from what it `said` with that."""
        return ()

    def challenge(self, target: Address, description: str) -> Address | None:
        """What to dial after an RTMP server has refused with `description`; None to give up.

        The RTMP kit answers `authmod` by itself, with the credentials of the address; this is for anything else.
        """
        return None

    def statistics(self) -> object | None:
        """A frozen value, or None where there is nothing to tell."""
        return None

    @property
    def clients(self) -> int | None:
        """How many clients the server itself counts at the stream that has most; None where it is not asked.

        One for each tier, where nobody but the tiers plays it.
        """
        return None


class Source(Recipe):
    """How an external server speaks: the recipe.  Opened once for each tier that pulls from it."""

    #: Schemes it can be asked by.
    schemes: ClassVar[tuple[str, ...]]

    @abstractmethod
    def open(self, origin: Origin, ctx: Context) -> AbstractAsyncContextManager[LiveSource]:
        """Begin to use the server at `origin.address` on behalf of one tier."""


class Direct(LiveSource):
    """Paths pass through: a path of ours is the same path there.

    Where the address has a path, only what lies below it is served.  The address is asked for at each
    call, because a tier in the same run may be bound to another port after a restart.
    """

    def __init__(self, name: str, address: Callable[[Collection[str]], Address | None], schemes: Collection[str]):
        self.name = name
        self.schemes = frozenset(schemes)
        self._address = address

    @property
    def scope(self) -> str:
        base = self._address(self.schemes)
        return (base.path if base is not None else "") or "/"

    async def target(self, path: str, schemes: Collection[str]) -> Address:
        base = self._address(schemes)
        if base is None:
            raise UpstreamError(self.name, f"has no address for {' or '.join(sorted(schemes))} yet: is it running?")
        scope = base.path.rstrip("/")
        only, _, query = path.partition("?")
        if scope and not {".", ".."}.isdisjoint(map(unquote, only.split("/"))):
            raise NotServed(f"{only} has dots for a directory: {self.name} might leave {scope} by them")
        if scope and only != scope and not only.startswith(scope + "/"):
            raise NotServed(f"{only} is outside {scope}, the only path that {self.name} is asked for")
        return base.with_(path=only, query=query)


@frozen
class Candidate:
    """One upstream to try: by name, never by reference to another tier's live object."""

    name: str
    source: LiveSource
    #: How to verify it when it is dialled by TLS.
    trust: Trust | None = None
    #: Of a push target: whom to try in order while it fails.
    backups: tuple[Candidate, ...] = ()


class Upstreams(ABC):
    """A tier's upstreams, with their health.  Decisions are synchronous; the caller does the I/O."""

    @abstractmethod
    def candidates(self, schemes: Collection[str], key: str = "") -> list[Candidate]:
        """Whom to try for `key`, in order, now: those thought healthy first, none left out."""

    @abstractmethod
    def failed(self, candidate: Candidate, reason: str) -> float:
        """Note a failure; returns the seconds for which it goes to the end of the line (jittered)."""

    @abstractmethod
    def succeeded(self, candidate: Candidate) -> None:
        """Note that it answered: whatever failures it had are forgiven."""

    @abstractmethod
    def delay(self, candidate: Candidate) -> float:
        """Seconds until this candidate should be tried again; 0 when now is fine."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The upstreams' names in the order of the recipe; empty for a tier that has none."""

    def key(self, path: str) -> str:
        """The canonical spelling of a path: the first upstream's source knows best."""
        return path

    @property
    def ignored(self) -> tuple[str, ...]:
        """Query parameters that are no part of what is asked for, as the sources know them."""
        return ()


class Shared(ABC):
    """Something that a process has one of, such as the pump: made on first use by `Context.shared`."""

    def __init__(self, network: Network, clock: Callable[[], float]) -> None:
        self.network = network
        self.clock = clock

    @abstractmethod
    async def run(self) -> None:
        """Its background work; runs in the process's own nursery until that is cancelled."""


class Context(ABC):
    """What a service or source is given to work with."""

    #: The tier's name.
    tier: str
    #: To listen and dial on.
    network: Network
    #: What this tier pulls from; empty for one without upstreams.
    upstream: Upstreams
    #: Seconds on a clock that never goes back.
    clock: Callable[[], float]
    #: Whatever the services of one tier share, by name: the live kit keeps the streams here, so that
    #: HTTP-FLV comes out of the same ring as RTMP and neither imports the other.
    streams: MutableMapping[str, Any]
    #: Where to push streams on to, for a tier that pushes.
    push: tuple[Candidate, ...]
    #: Where to note what viewers have asked for; None where the graph has no access log.
    access_log: AccessRecorder | None = None

    @abstractmethod
    def shared(self, kind: type[SharedT]) -> SharedT:
        """The process's one instance of `kind`, made and started on first use."""

    @abstractmethod
    def emit(self, event: Event) -> None:
        """Tell the observers; never blocks, never raises.  The tier's name is filled in if it is missing."""

    @abstractmethod
    async def run_sync(self, fn: Callable[..., T], *args: Any) -> T:
        """Run something that blocks in a thread (tests: inline), with a limiter of our own."""
