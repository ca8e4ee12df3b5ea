"""`open_wowza`: what can be chosen of a stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import evolve

from tierkit import Address, Listener, RealNetwork
from tierkit.plugin import Network

from ._hls import Hls
from ._media import the_loop
from ._model import ON_AIR_FOR, STARTED, Server
from ._profiles import Authentication, Mode, Profile, profile_of
from ._reply import CacheControl
from ._rtmp_stage import RtmpOptions
from ._shown_hls import SECOND_ORIGIN
from ._shown_rest import NO_REST
from ._stand_in import StandIn
from ._streams import GOP_SECONDS

__all__ = ["open_wowza"]

ANYWHERE: Final = "127.0.0.1:0"


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

    Raises ValueError for what cannot be (`Server`), ListenError where it cannot listen, and TierkitError where PyAV is
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
    async with stand_in.serving(network or RealNetwork(), wanted):
        yield stand_in


@NO_REST.shown
def _rest_listener(server: Server, rest: str | Address | Listener | None) -> str | Address | Listener | None:
    return rest if server.profile.rest else None


@SECOND_ORIGIN.shown
def _on_air_for(seed: int) -> float:
    """Seconds: another whole number of GOPs for each server, so that no two count alike."""
    return round(ON_AIR_FOR / GOP_SECONDS) * GOP_SECONDS + seed % 1000 * 37 * GOP_SECONDS
