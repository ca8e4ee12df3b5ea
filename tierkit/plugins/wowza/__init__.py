"""Wowza as an upstream: where a Wowza Streaming Engine keeps its HLS and RTMP.

`Origin("wowza", "wowza.example:1935", speaks=Wowza(app="live"))`: one port carries RTMP and all of HTTP
streaming (vendor's ports table).  Paths of ours are Wowza's own spelling, so a graph moves between the
embedded origin and a Wowza unchanged:

    /live/myStream/playlist.m3u8      HLS, and the chunklists and segments beside it
    /live/myStream                    RTMP: application `live`, stream name `myStream`

Wowza knows a stream by two spellings, with and without the default instance (`live/_definst_/myStream`);
for a cache and a relay they are one stream.

Tested against what others recorded of Wowza servers, not against a Wowza itself.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar
from urllib.parse import unquote

from attrs import frozen

from tierkit.codecs.rtmp_auth import secure_token, token_asked_for
from tierkit.plugin import (
    Address,
    Context,
    LiveSource,
    NotServed,
    Origin,
    Source,
    UpstreamError,
    hookimpl,
    option,
)

__all__ = ["LiveWowza", "Wowza"]

#: The instance that a URL without one means (vendor: "about playing Wowza Streaming Engine streams").
DEFAULT_INSTANCE = "_definst_"
#: The port that carries RTMP and all HTTP streaming on a stock server.
STOCK_PORT = 1935
# What stands behind the stream's name in a URL of HTTP streaming, by the vendor's post-fixes.  A name in
# RTMP has no such file behind it, though it may end in `.stream` or, with a prefix, in `.mp4`.
_FILE = re.compile(r"^[^:]*\.(m3u8|mpd|f4m|ts|aac|m4s|mp4|cmf[vat]|vtt|webvtt|key)\Z")


@frozen
class Wowza(Source):
    """A Wowza Streaming Engine, or a Wowza Media Server before it."""

    name: ClassVar[str] = "wowza"
    schemes: ClassVar[tuple[str, ...]] = ("http", "https", "rtmp", "rtmps")

    app: str = option("", "The only application to ask for; empty lets every application through.")
    instance: str = option(
        DEFAULT_INSTANCE, "The application instance that is meant where a path names none; upstream it is left out."
    )
    http_port: int = option(
        0, "The port for HLS, where it is not the origin's own; 0 means the origin's.", minimum=0, maximum=65535
    )
    rtmp_port: int = option(
        0, "The port for RTMP, where it is not the origin's own; 0 means the origin's.", minimum=0, maximum=65535
    )
    flash_version: str = option(
        "", "What we say we are (flashVer), for servers that take only some encoders (publishValidEncoders)."
    )
    token: str = option("", "The shared secret of SecureToken version 1, for RTMP.", secret=True)
    tls: bool = option(False, "Ask by HTTPS and RTMPS; Wowza serves both at 443 where a certificate is set up.")

    def problems(self) -> list[str]:
        """What is wrong with this recipe by itself, one line each."""
        found = super().problems()
        for label, value in (("app", self.app), ("instance", self.instance)):
            if "/" in str(value).strip("/") or ".." in str(value):
                found.append(f"option {label}={value!r} is no single name: give for instance 'live'")
        return found

    @asynccontextmanager
    async def open(self, origin: Origin, ctx: Context) -> AsyncIterator[LiveSource]:
        """Begin to use the server at `origin.address`."""
        assert origin.address is not None, "check() has seen to it"
        yield LiveWowza(self, origin.name, origin.address)


class LiveWowza(LiveSource):
    """One Wowza server as one tier sees it."""

    def __init__(self, recipe: Wowza, name: str, address: Address) -> None:
        self.recipe = recipe
        self.name = name
        self.address = address
        #: The only application to ask for; an address that names one, as encoders write it, means that one.
        self.app = recipe.app.strip("/") or address.path.strip("/").partition("/")[0]
        secure = recipe.tls or address.secure
        self.schemes = frozenset({"https", "rtmps"} if secure else {"http", "rtmp"})

    @property
    def scope(self) -> str:
        """The application, where there is only one."""
        return f"/{self.app}"

    async def target(self, path: str, schemes: Collection[str]) -> Address:
        """Where a path of ours is on the server, by one of `schemes`.

        Raises NotServed for another application than the recipe's.
        """
        usable = [scheme for scheme in schemes if scheme in self.schemes]
        if not usable:
            raise UpstreamError(self.name, f"speaks {', '.join(sorted(self.schemes))}, not {', '.join(schemes)}")
        only, _, query = self.key(path).partition("?")
        parts = only.strip("/").split("/")
        if not {".", ".."}.isdisjoint(map(unquote, parts)):
            raise NotServed(f"{only} has dots for a directory: {self.name} might leave the application by them")
        if self.app and parts[0] != self.app:
            raise NotServed(f"{only} is not in application {self.app!r}, the only one that {self.name} is asked for")
        return self.address.with_(scheme=usable[0], port=self._port(usable[0]), path="/" + "/".join(parts), query=query)

    def key(self, path: str) -> str:
        """The short spelling: a default instance is left out where that is legal, another one put in.

        Wowza takes ``app/stream`` for ``app/_definst_/stream`` where the stream's name has no slash.
        """
        only, mark, query = path.partition("?")
        parts = only.lstrip("/").split("/")
        file = [parts.pop()] if len(parts) > 2 and _FILE.search(parts[-1]) else []
        instance = self.recipe.instance
        if instance != DEFAULT_INSTANCE:
            # Here a path that says _definst_ means it, so it stays.
            if len(parts) == 2 and not (file and parts[1] in (instance, DEFAULT_INSTANCE)):
                parts.insert(1, instance)
        elif len(parts) == 3 and parts[1] == DEFAULT_INSTANCE:
            del parts[1]
        return "/" + "/".join(parts + file) + mark + query

    @property
    def ignored(self) -> tuple[str, ...]:
        """The id of a viewer's session, which Wowza puts into playlists in its normal mode."""
        return ("wowzasessionid",)

    def connect_arguments(self, target: Address) -> Mapping[str, object]:
        """What this server wants us to be."""
        return {"flashVer": self.recipe.flash_version} if self.recipe.flash_version else {}

    def greeting(self, said: Mapping[str, object]) -> Sequence[tuple[object, ...]]:
        """The answer to SecureToken version 1, where the server asks and we have the secret."""
        asked = token_asked_for(said)
        if not asked or not self.recipe.token:
            return ()
        return (("secureTokenResponse", secure_token(asked, self.recipe.token)),)

    def urls(self, stream: str, *, app: str = "", dvr: bool = False) -> dict[str, str]:
        """The URLs at which this server should serve a stream, by kind: "hls" and "rtmp".

        `stream` may carry Wowza's prefixes (``mp4:``, ``ngrp:``, ``smil:``) and suffixes (``.stream``);
        they stand in the path as they are.  `dvr` asks for the nDVR playlist.
        """
        application = app.strip("/") or self.app or "live"
        instance = "" if self.recipe.instance == DEFAULT_INSTANCE else f"/{self.recipe.instance}"
        base = f"/{application}{instance}/{stream}"
        hls, rtmp = ("https", "rtmps") if "https" in self.schemes else ("http", "rtmp")
        return {
            "hls": str(self.address.with_(scheme=hls, port=self._port(hls), path=f"{base}/playlist.m3u8"))
            + ("?DVR" if dvr else ""),
            "rtmp": str(self.address.with_(scheme=rtmp, port=self._port(rtmp), path=base)),
        }

    def _port(self, scheme: str) -> int:
        recipe = self.recipe
        special = recipe.http_port if scheme.startswith("http") else recipe.rtmp_port
        if special:
            return special
        if self.address.port is not None:
            return self.address.port
        return 443 if scheme in ("https", "rtmps") else STOCK_PORT


@hookimpl
def tierkit_sources() -> Sequence[type[Source]]:
    """Brings `Wowza`."""
    return [Wowza]
