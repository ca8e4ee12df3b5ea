"""The whole stand-in: a server's state, its ports, and what a test asks and does to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import evolve

from tierkit import Address, Listener, RealNetwork
from tierkit.plugin import Bound, Network

from ._admin import Admin
from ._door import Door, Pages, Rtmp
from ._hls import Hls
from ._log import Asking, Log
from ._media import the_loop
from ._model import ON_AIR_FOR, STARTED, Group, Server, place_of
from ._profiles import Authentication, Mode, Profile, profile_of
from ._reply import CacheControl, Kind
from ._rest import Rest
from ._rtmp import RtmpPort
from ._rtmp_stage import RtmpOptions
from ._sessions import Place
from ._shown_hls import ENCODER_RESTART, SECOND_ORIGIN, SERVER_RESTART
from ._shown_rest import NO_REST
from ._streams import GOP_SECONDS, IncomingStream, Rendition
from ._web import Faults, Web

__all__ = ["StandIn", "open_wowza"]

ANYWHERE: Final = "127.0.0.1:0"
#: Requests and connections that the log has: with 300 bytes each, 300 MB at most.
REMEMBERED: Final = 1_000_000
#: Where an address has no port (S1 S20).
STOCK_PORTS: Final = {"streaming": 1935, "admin": 8086, "rest": 8087}


class StandIn:
    """What `open_wowza` gives.

    Attributes:
        server: its state: applications, streams, sessions, counters.
        log: every request and every connection so far.
    """

    def __init__(
        self, server: Server, hls: Hls, rtmp: RtmpOptions | None = None, *, remember: int = REMEMBERED
    ) -> None:
        self.server = server
        self.log = Log(remember)
        self._hls = hls
        self._web = Web(server, hls)
        self._rtmp = RtmpPort(server, rtmp, self.log.shown)
        self._pages: dict[str, Pages] = {
            "streaming": self._web.answer,
            "admin": Admin(server, self._web.version).answer,
            "rest": Rest(server, self._ports).answer,
        }
        self._doors: dict[str, Door] = {}
        self._bound: dict[str, Bound] = {}

    # --- where it is ---------------------------------------------------------------------------------

    @property
    def address(self) -> Address:
        """The streaming port, for HTTP and RTMP alike, without a scheme."""
        return self._at("streaming")

    @property
    def admin_address(self) -> Address:
        """The port of the HTTP providers, 8086 elsewhere."""
        return self._at("admin")

    @property
    def rest_address(self) -> Address:
        """The port of the REST API, 8087 elsewhere.  LookupError where the profile has none."""
        return self._at("rest")

    def _at(self, port: str) -> Address:
        if port not in self._bound:
            raise LookupError(f"this stand-in has no {port} port")
        return self._bound[port].address.with_(scheme="")

    @property
    def addresses(self) -> dict[str, Address]:
        """Every port that is open, by its name: "streaming", "admin", "rest"."""
        return {port: self._at(port) for port in self._bound}

    def url(self, where: str | Place, scheme: str = "http") -> str:
        """Where a stream is played: by HLS (``http``) or RTMP (``rtmp``)."""
        path = f"/{where}" if isinstance(where, Place) else "/" + where.strip("/")
        return str(self.address.with_(scheme=scheme, path=f"{path}/playlist.m3u8" if scheme == "http" else path))

    # --- what was asked ----------------------------------------------------------------------------------

    @property
    def requests(self) -> list[Asking]:
        """What was asked by HTTP on the streaming port, oldest first."""
        return [each for each in self.log.requests if each.port == "streaming"]

    @property
    def open_connections(self) -> int:
        """TCP connections at the streaming port that are open now, of HTTP and RTMP."""
        return self.log.open("streaming")

    @property
    def most_connections(self) -> int:
        """The most that were open at once so far."""
        return self.log.most["streaming"]

    def chunk(self, where: str | Place, number: int, rendition: int = 0) -> bytes:
        """The bytes of a chunk of the stream's present epoch, by its media sequence number."""
        place = place_of(where)
        stream = self.server.find(place)
        if stream is None:
            raise KeyError(f"no stream at {place}")
        return self._hls.chunk_bytes(place, stream.renditions[rendition], number)

    # --- what is done to it ----------------------------------------------------------------------------------

    @property
    def faults(self) -> Faults:
        """What goes wrong on purpose."""
        return self._web.faults

    @property
    def hls(self) -> Hls:
        """How HLS is answered: `cache_control`, `reaped_status`."""
        return self._hls

    @property
    def rtmp(self) -> Rtmp | None:
        """What speaks RTMP on the streaming port."""
        return self._doors["streaming"].rtmp

    @rtmp.setter
    def rtmp(self, speaks: Rtmp | None) -> None:
        self._doors["streaming"].rtmp = speaks

    def publish(self, where: str | Place, **more: object) -> IncomingStream:
        """An encoder begins to publish; the arguments are those of `Server.publish`."""
        return self.server.publish(where, **more)  # type: ignore[arg-type]

    def group(self, where: str | Place, *renditions: Rendition) -> None:
        """Have a name for several renditions, each `of` a stream of the same instance: ``live/smil:ch1.smil``."""
        place = place_of(where)
        self.server.instance(place.application, place.instance).groups[place.stream] = Group(place.stream, renditions)

    def off_air(self, where: str | Place) -> None:
        """The encoder of a stream goes."""
        self.server.unpublish(where)

    @ENCODER_RESTART.shown
    def restart_encoder(self, where: str | Place, *, randomise: bool | None = None) -> IncomingStream:
        """The encoder connects again: numbers from 0, the same names or new ones, other bytes.

        `randomise` is as it was where it is not said.  HLS is back once there are chunks for a playlist.
        """
        found = self.server.find(place_of(where))
        was = found is not None and bool(found.epoch.token)
        return self.server.publish(where, randomise=was if randomise is None else randomise)

    @SERVER_RESTART.shown
    def restart(self) -> None:
        """The server ends, and is back at once: no session is known, and all connections are reset."""
        for each in self._doors.values():
            each.reset()
        self.server.restart()

    def slow(self, seconds: float, *kinds: Kind | str) -> None:
        """Hold answers of these kinds, or all of HLS, back for some seconds; 0 ends it."""
        for each in kinds or (Kind.master, Kind.chunklist, Kind.chunk):
            self.faults.slow[Kind(each)] = seconds

    def truncate(self, times: int = 1, *, at: float = 0.5) -> None:
        """Cut the next chunks off behind a part of their bytes, by a reset."""
        self.faults.truncate, self.faults.truncate_at = times, at

    # --- its ports -----------------------------------------------------------------------------------------------

    async def listen(self, network: Network, port: str, where: str | Address | Listener, nursery: trio.Nursery) -> None:
        """Open a port, whose connections are served in `nursery`.  Raises ListenError."""
        listener = Listener.parse(where)
        address = listener.address
        scheme = address.scheme or ("https" if listener.certificates else "http")
        number = STOCK_PORTS[port] if address.port is None else address.port
        bound = await network.listen(evolve(listener, address=address.with_(scheme=scheme, port=number)))
        self._bound[port] = bound
        answered = self._web.answered if port == "streaming" else None
        self._doors[port] = door = Door(port, self.log, self.server.now, self._pages[port], answered)
        door.rtmp = self._rtmp.serve
        nursery.start_soon(door.serve, bound)

    def _ports(self) -> tuple[int, int]:
        """The streaming and the administration port, stock ones where they are not open."""
        streaming, admin = (
            self._bound[name].address.dial_port if name in self._bound else STOCK_PORTS[name]
            for name in ("streaming", "admin")
        )
        return streaming, admin

    def close(self) -> None:
        """Listen no more."""
        for each in self._bound.values():
            each.close()


@asynccontextmanager
async def open_wowza(
    *,
    network: Network | None = None,
    listen: str | Address | Listener = ANYWHERE,
    admin: str | Address | Listener | None = ANYWHERE,
    rest: str | Address | Listener | None = ANYWHERE,
    profile: str | Profile = "wse47",
    mode: str | Mode = Mode.sessions,
    streams: Iterable[str] = ("live/myStream",),
    seed: int = 0,
    idle: float = 60.0,
    origin_available: bool = True,
    cache_control: CacheControl | None = None,
    reaped_status: int = 403,
    clock: Callable[[], float] = trio.current_time,
    started: float | None = None,
    administrators: Mapping[str, str] | None = None,
    publishers: Mapping[str, str] | None = None,
    admin_authentication: Authentication | None = None,
    rest_authentication: Authentication | None = None,
    rtmp: RtmpOptions | None = None,
) -> AsyncIterator[StandIn]:
    """A stand-in for a Wowza server, until the context is left.

    Args:
        network: to listen on, such as a `MemoryNetwork`; the machine's where it is not given.
        listen: the streaming port, for RTMP and HTTP.
        admin: the port of `connectioncounts`; None for none.
        rest: the port of the REST API; None for none, and a profile without REST has none anyway.
        profile: the release: a name of `PROFILES`, or one of your own.
        mode: how HLS is served.
        streams: what is on the air from the beginning, and has been for an hour: ``app/name``.
        seed: another one makes another server: other ids, other numbers.
        idle: seconds after which an idle session of HLS is reaped.
        origin_available: False for a licence without HTTP origin mode.
        cache_control: in origin mode.
        reaped_status: what a session that has ended is answered: 403, or 404.
        clock: seconds that never go back.
        started: Unix seconds at which it starts; a recorded time where it is not given.
        administrators: who may use `connectioncounts` and the REST API: passwords by name; admin, admin where it is not
            given.
        publishers: who may publish over RTMP: passwords by name; everybody where there are none.
        admin_authentication: how 8086 asks who it is; as the profile has it where it is not given.
        rest_authentication: the same for the REST API.
        rtmp: what differs from server to server over RTMP.

    Raises ValueError for what cannot be (`Server`), ListenError where it cannot listen, and ImportError where PyAV is
    missing, which makes the chunks.
    """
    release = profile_of(profile)
    server = Server(
        clock,
        profile=evolve(
            release,
            admin_authentication=admin_authentication or release.admin_authentication,
            rest_authentication=rest_authentication or release.rest_authentication,
        ),
        mode=mode,
        seed=seed,
        idle=idle,
        origin_available=origin_available,
        started=STARTED if started is None else started,
    )
    if administrators is not None:
        server.administrators = dict(administrators)
    server.publishers.update(publishers or {})
    the_loop()  # now, and not while somebody waits for a chunk
    for each in streams:
        server.publish(each, on_air_for=_on_air_for(seed))
    stand_in = StandIn(server, Hls(server, cache_control=cache_control, reaped_status=reaped_status), rtmp)
    wanted = {"streaming": listen, "admin": admin, "rest": _rest_listener(server, rest)}
    network = network or RealNetwork()
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            for port, where in wanted.items():
                if where is not None:
                    await stand_in.listen(network, port, where, nursery)
            yield stand_in
        except Exception as error:
            # Raised again outside, so that it is not wrapped in a group of one: tests say `pytest.raises` around this.
            failure = error
        finally:
            nursery.cancel_scope.cancel()
            stand_in.close()
    if failure is not None:
        raise failure


@NO_REST.shown
def _rest_listener(server: Server, rest: str | Address | Listener | None) -> str | Address | Listener | None:
    return rest if server.profile.rest else None


@SECOND_ORIGIN.shown
def _on_air_for(seed: int) -> float:
    """Seconds: another whole number of GOPs for each server, so that no two count alike."""
    return round(ON_AIR_FOR / GOP_SECONDS) * GOP_SECONDS + seed % 1000 * 37 * GOP_SECONDS
