"""The server as plain state: applications, instances, streams, sessions and counters.

Rules of the file:

* No I/O and no tasks: three listeners look at one `Server` and change it.  Everything is synchronous.
* Time is `Server.clock`; chance is one generator with a seed.  With the same seed and the same calls at the same
  times, everything is the same, ids included.
* What depends on time is worked out when it is asked for: chunks, bytes that came in, idle sessions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from attrs import define, field, frozen

from tierkit.codecs.wowza_token import SecureToken

from ._meter import Meter
from ._profiles import Mode, Profile, profile_of
from ._sessions import HlsSession, HlsSessions, Place, RtmpSession
from ._shown_hls import ORIGIN_FIXED_RESTART
from ._streams import PATTERN, Epoch, IncomingStream, Rendition

__all__ = ["DEFAULT_INSTANCE", "Application", "Connections", "Group", "Instance", "Server", "place_of"]

DEFAULT_INSTANCE: Final = "_definst_"
#: Unix seconds of the recorded server's start (S13: `"version":"1499348681000"`).
STARTED: Final = 1_499_348_681.0
#: Where a stream comes from, as it was recorded (S13).
ENCODER: Final = "wowz://192.168.3.32:55557"
#: Seconds for which what is on the air when the server opens has been there, so that all lists are full.
ON_AIR_FOR: Final = 3600.0


@define
class Connections:
    """What has been accepted and refused at one level so far."""

    accepted: int = 0
    rejected: int = 0

    @property
    def total(self) -> int:
        """Both."""
        return self.accepted + self.rejected


@frozen
class Group:
    """A name for several renditions: ``smil:ch1.smil``, ``ngrp:ch1_all``."""

    name: str
    renditions: tuple[Rendition, ...]


@define(eq=False)
class Instance:
    """One application instance."""

    name: str = DEFAULT_INSTANCE
    since: float = 0.0
    streams: dict[str, IncomingStream] = field(factory=dict)
    groups: dict[str, Group] = field(factory=dict)
    connections: Connections = field(factory=Connections)
    sent: Meter = field(factory=Meter, repr=False)


@define(eq=False)
class Application:
    """One application.  One that is not loaded is on disk alone."""

    name: str
    app_type: str = "Live"
    since: float = 0.0
    loaded: bool = True
    instances: dict[str, Instance] = field(factory=dict)
    #: Names of stream files, without ``.stream``.
    stream_files: dict[str, str] = field(factory=dict)
    #: What players must show (SecureToken, version 2), and for version 1 of RTMP the shared secret alone.
    token: SecureToken | None = None
    connections: Connections = field(factory=Connections)
    sent: Meter = field(factory=Meter, repr=False)


class Server:
    """One server.

    Args:
        clock: seconds that never go back.
        profile: a name of `PROFILES`, or one of your own.
        idle: seconds after which an idle session of HLS is reaped; the real default is not known.
        origin_available: False for a licence without HTTP origin mode (`httpOriginAvailable`).
        started: Unix seconds at which the clock says what it says now.

    Raises ValueError for an unknown profile or mode, and for origin mode where it is not available.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        profile: str | Profile = "wse47",
        mode: str | Mode = Mode.sessions,
        seed: int = 0,
        idle: float = 60.0,
        origin_available: bool = True,
        started: float = STARTED,
    ) -> None:
        self.clock = clock
        self.profile = profile_of(profile)
        self.mode = Mode(mode)
        self.origin_available = origin_available
        if self.mode is not Mode.sessions and not origin_available:
            raise ValueError("HTTP origin mode is not available with this licence: use mode='sessions'")
        self.seed = seed
        #: Every id comes from here.
        self.chance = random.Random(seed)
        #: The one id of origin-fixed mode.
        self.fixed_id = self.new_id()
        #: Seconds of the clock at which it started, the last time.
        self.since = clock()
        self._unix = started - self.since
        self.applications: dict[str, Application] = {}
        self.sessions = HlsSessions(self.new_id, idle)
        self.rtmp: list[RtmpSession] = []
        #: In origin mode: the query and the token of the first request for each stream.
        self.first_queries: dict[Place, str] = {}
        self.first_tokens: dict[Place, str] = {}
        self.connections = Connections()
        self.sent = Meter()
        #: Who may use 8086 and 8087, and who may publish: passwords by name.
        self.administrators = {"admin": "admin"}
        self.publishers: dict[str, str] = {}
        #: Called with a place when its stream goes off the air, comes back or begins anew.
        self.changed: list[Callable[[Place], None]] = []

    # --- time and chance ---------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds of the clock."""
        return self.clock()

    def wall(self) -> float:
        """Unix seconds."""
        return self.clock() + self._unix

    def new_id(self) -> int:
        """31 bits, decimal in names (S22)."""
        return self.chance.randrange(1, 1 << 31)

    # --- applications and streams --------------------------------------------------------------------

    def application(self, name: str) -> Application:
        """An application, made where there is none."""
        found = self.applications.get(name)
        if found is None:
            found = self.applications[name] = Application(name, since=self.now())
            self.instance(name)
        return found

    def instance(self, application: str, name: str = DEFAULT_INSTANCE) -> Instance:
        """An instance, made where there is none."""
        instances = self.application(application).instances
        if name not in instances:
            instances[name] = Instance(name, since=self.now())
        return instances[name]

    def find(self, place: Place) -> IncomingStream | None:
        """The stream at a place, on the air or not."""
        instance = self._instance(place)
        return instance.streams.get(place.stream) if instance is not None else None

    def group(self, place: Place) -> Group | None:
        """The group of that name."""
        instance = self._instance(place)
        return instance.groups.get(place.stream) if instance is not None else None

    def _instance(self, place: Place) -> Instance | None:
        application = self.applications.get(place.application)
        return application.instances.get(place.instance) if application is not None and application.loaded else None

    def streams(self) -> Iterator[tuple[Place, IncomingStream]]:
        """Every stream with its place, on the air or not."""
        for application in self.applications.values():
            for instance in application.instances.values():
                for stream in instance.streams.values():
                    yield Place(application.name, instance.name, stream.name), stream

    def publish(
        self,
        where: str | Place,
        *,
        source_ip: str = "",
        renditions: Iterable[Rendition] = (),
        pattern: Iterable[int] = (),
        on_air_for: float = 0.0,
        randomise: bool = False,
        **more: object,
    ) -> IncomingStream:
        """An encoder connects and publishes; one that is there already begins a new epoch.

        Args:
            where: ``app/name``, or ``app/instance/name``.
            pattern: GOPs of each chunk, over and over; as before, or `PATTERN`, where it is not given.
            on_air_for: seconds since it began.
            source_ip: as REST spells it; as before, or a recorded one, where it is not given.
            randomise: names get a random token, another one each time (`httpRandomizeMediaName`).
            more: other fields of `IncomingStream`.
        """
        place = place_of(where)
        instance = self.instance(place.application, place.instance)
        began = self.now() - on_air_for
        stream = instance.streams.get(place.stream)
        index = stream.epoch.index + 1 if stream is not None else 0
        token = str(self.new_id()) if randomise else ""
        lengths = tuple(pattern) or (stream.epoch.pattern if stream is not None else PATTERN)
        epoch = Epoch(index, began, lengths, token=token)
        if stream is None:
            stream = IncomingStream(
                name=place.stream,
                source_ip=source_ip or ENCODER,
                epoch=epoch,
                renditions=tuple(renditions) or (Rendition(),),
                **more,  # type: ignore[arg-type]
            )
            instance.streams[place.stream] = stream
        else:
            stream.source_ip = source_ip or stream.source_ip
            stream.reconnect(epoch)
        self.tell(place)
        return stream

    def unpublish(self, where: str | Place) -> None:
        """The encoder at a place goes; the stream is off the air.  KeyError where there is none."""
        place = place_of(where)
        self._existing(place).disconnect(self.now())
        self.tell(place)

    def forget(self, where: str | Place) -> None:
        """Like `unpublish`, and the stream is listed no more."""
        place = place_of(where)
        self.unpublish(place)
        del self.instance(place.application, place.instance).streams[place.stream]

    def restart(self) -> None:
        """The server begins anew: nobody is known any more, and its encoders have come back at once."""
        self.since = self.now()
        self._forget_viewers()
        self.connections, self.sent = Connections(), Meter()
        for application in self.applications.values():
            application.since, application.connections, application.sent = self.since, Connections(), Meter()
            for instance in application.instances.values():
                instance.since, instance.connections, instance.sent = self.since, Connections(), Meter()
        for place, stream in list(self.streams()):
            stream.sent = Meter()
            if stream.is_connected:
                self.publish(place, randomise=bool(stream.epoch.token))

    @ORIGIN_FIXED_RESTART.shown
    def _forget_viewers(self) -> None:
        self.sessions.forget()
        self.first_queries.clear()
        self.first_tokens.clear()
        self.fixed_id = self.new_id()
        for each in list(self.rtmp):
            if each.disconnect is not None:
                each.disconnect()

    def _existing(self, place: Place) -> IncomingStream:
        found = self.find(place)
        if found is None:
            raise KeyError(f"no stream at {place}")
        return found

    def tell(self, place: Place) -> None:
        """Tell whoever listens that something has happened to a stream."""
        for each in tuple(self.changed):
            each(place)

    # --- viewers ---------------------------------------------------------------------------------------

    def hls(self, place: Place | None = None) -> list[HlsSession]:
        """The sessions of HLS that have not ended, all or a stream's; in origin mode none is counted."""
        if self.mode is not Mode.sessions:
            return []
        found = self.sessions.alive(self.now())
        return found if place is None else [each for each in found if each.place == place]

    def players(self, place: Place | None = None) -> list[RtmpSession]:
        """The clients over RTMP that play, all or a stream's."""
        playing = [each for each in self.rtmp if not each.publishing and each.place is not None]
        return playing if place is None else [each for each in playing if each.place == place]

    def accepted(self, application: str = "", instance: str = DEFAULT_INSTANCE) -> None:
        """Count a client that was taken, at each level."""
        for each in self._levels(application, instance):
            each.connections.accepted += 1

    def rejected(self, application: str = "", instance: str = DEFAULT_INSTANCE) -> None:
        """Count a client that was refused, at each level."""
        for each in self._levels(application, instance):
            each.connections.rejected += 1

    def count_sent(self, count: int, application: str = "", instance: str = DEFAULT_INSTANCE, stream: str = "") -> None:
        """Count bytes that went out, at each level that is known."""
        for each in self._levels(application, instance):
            each.sent.add(self.now(), count)
        if stream and (found := self.find(Place(application, instance, stream))) is not None:
            found.sent.add(self.now(), count)

    def _levels(self, application: str, instance: str) -> list[Server | Application | Instance]:
        found: list[Server | Application | Instance] = [self]
        known = self.applications.get(application)
        if known is not None:
            found.append(known)
            if instance in known.instances:
                found.append(known.instances[instance])
        return found


def place_of(where: str | Place) -> Place:
    """``app/name`` or ``app/instance/name``.  Raises ValueError for anything else."""
    if isinstance(where, Place):
        return where
    application, _, rest = where.strip("/").partition("/")
    instance, slash, name = rest.partition("/")
    if not application or not instance or (slash and not name):
        raise ValueError(f"{where!r} is no stream: write APP/NAME, or APP/INSTANCE/NAME")
    return Place(application, instance, name) if slash else Place(application, DEFAULT_INSTANCE, rest)
