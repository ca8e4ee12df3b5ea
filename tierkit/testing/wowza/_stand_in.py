"""The whole stand-in: a server's state, its ports, and what a test asks and does to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import evolve

from tierkit import Address, Listener
from tierkit.plugin import Bound, Network

from ._admin import Admin
from ._door import Door, Pages, Rtmp
from ._hls import Hls
from ._log import Asking, Log
from ._model import Group, Server, place_of
from ._reply import Kind
from ._rest import Rest
from ._rtmp import RtmpPort
from ._rtmp_stage import RtmpOptions
from ._sessions import Place
from ._shown_hls import ENCODER_RESTART, SERVER_RESTART
from ._streams import IncomingStream, Rendition
from ._web import Faults, Web

__all__ = ["StandIn"]

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
        return self._hls.chunks.bytes(place, stream.renditions[rendition], number)

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

    @asynccontextmanager
    async def serving(
        self, network: Network, ports: Mapping[str, str | Address | Listener | None]
    ) -> AsyncIterator[None]:
        """Listen on these ports, by their names, until the context is left.  Raises ListenError."""
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            try:
                for port, where in ports.items():
                    if where is not None:
                        await self._listen(network, port, where, nursery)
                yield
            except Exception as error:
                # Raised again outside, so that it is not wrapped in a group of one: tests say `pytest.raises`.
                failure = error
            finally:
                nursery.cancel_scope.cancel()
                for bound in self._bound.values():
                    bound.close()
        if failure is not None:
            raise failure

    async def _listen(
        self, network: Network, port: str, where: str | Address | Listener, nursery: trio.Nursery
    ) -> None:
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
