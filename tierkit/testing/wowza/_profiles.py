"""What differs from release to release, as a table; see `PROFILES`.

Boundaries between the profiles are those of the recordings; the release at which each thing really changed is not
known.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from attrs import evolve, frozen

from ._shown_hls import BOUNDARIES, VERSIONS

__all__ = ["PROFILES", "Mode", "Profile", "profile_of"]

Authentication = Literal["none", "basic", "digest"]


class Mode(StrEnum):
    """How the server names what it hands out over HLS."""

    #: Every multivariant playlist begins a session of its own, and the names under it carry its id.
    sessions = "sessions"
    #: HTTP origin mode: the names are the same for everybody, and carry no id.
    origin = "origin"
    #: HTTP origin mode as some have seen it: one id for everybody, another on each server.
    origin_fixed = "origin-fixed"


@frozen(kw_only=True)
class Profile:
    """One release."""

    name: str
    #: Of the server, as REST and the Server field of HTTP say it.
    version: str
    build: str
    #: What `GET /` says.
    product: str
    #: The Server field on the streaming port.
    server: str
    #: The root element of `connectioncounts`, and of `serverinfo`.
    root: str
    info_root: str
    #: Access-Control-* on the streaming port (from 4.4.0, S40).
    cors: bool
    #: EXT-X-ALLOW-CACHE:NO in media playlists ("older releases only", S22 S23).
    allow_cache: bool
    #: PROGRAM-ID=1 in multivariant playlists (S36).
    program_id: bool
    #: ``?wowzasessionid=N`` behind every name in place of ``_wN`` in it (S26 S35).
    query_sessions: bool
    #: SessionsMPEGDash in `connectioncounts` ("only in newer builds").
    dash_counts: bool
    #: Whether there is REST at all, how it authenticates, and whether its bodies have restURI and absolute hrefs.
    rest: bool
    rest_authentication: Authentication
    rest_uris: bool
    #: How 8086 authenticates (conf/VHost.xml as it is shipped: admin-digest, S20 S21).
    admin_authentication: Authentication = "digest"


_WMS3: Final = Profile(
    name="wms3",
    version="3.6.4",
    build="11392",
    product="Wowza Media Server 3 Monthly Edition 3.6.4 build11392",
    server="WowzaMediaServer/3.6.4",
    root="WowzaMediaServer",
    info_root="WowzaMediaServerPro",
    cors=False,
    allow_cache=True,
    program_id=True,
    query_sessions=True,
    dash_counts=False,
    rest=False,
    rest_authentication="none",
    rest_uris=False,
)
_WSE42: Final = evolve(
    _WMS3,
    name="wse42",
    version="4.2.0",
    build="15089",
    product="Wowza Streaming Engine 4 Monthly Edition 4.2.0 build15089",
    server="WowzaStreamingEngine/4.2.0",
    root="WowzaStreamingEngine",
    info_root="WowzaStreamingEngine",
    program_id=False,
    query_sessions=False,
    rest=True,
    rest_authentication="digest",
    rest_uris=True,
)
_WSE47: Final = evolve(
    _WSE42,
    name="wse47",
    version="4.7.0",
    build="20186",
    product="Wowza Streaming Engine 4 Developer Edition 4.7.0 build20186",
    server="WowzaStreamingEngine/4.7.0",
    cors=True,
    allow_cache=False,
    dash_counts=True,
    rest_uris=False,
)
_WSE49: Final = evolve(
    _WSE47,
    name="wse49",
    version="4.10.0+14",
    build="20260101000000",
    product="Wowza Streaming Engine 4 Monthly Edition 4.10.0+14 build20260101000000",
    server="WowzaStreamingEngine/4.10.0+14",
    rest_authentication="basic",
)

PROFILES: Final = {each.name: each for each in (_WMS3, _WSE42, _WSE47, _WSE49)}


@BOUNDARIES.shown
@VERSIONS.shown
def profile_of(value: str | Profile) -> Profile:
    """A profile by its name.  Raises ValueError for none."""
    if isinstance(value, Profile):
        return value
    try:
        return PROFILES[value]
    except KeyError:
        raise ValueError(f"no profile is called {value!r}: there are {', '.join(PROFILES)}") from None
