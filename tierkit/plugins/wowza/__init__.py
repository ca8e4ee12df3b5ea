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

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

from attrs import frozen

from tierkit.codecs.wowza_token import ALGORITHMS, DEFAULT_PREFIX, prefix_problem
from tierkit.events import UpstreamFound
from tierkit.plugin import Context, LiveSource, Origin, Source, hookimpl, option

from ._administration import control_address, control_problem, open_administration
from ._live import LiveWowza
from ._paths import DEFAULT_INSTANCE
from ._statistics import WowzaStatistics

__all__ = ["LiveWowza", "Wowza", "WowzaStatistics"]


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
    signing_secret: str = option(
        "",
        "The shared secret of SecureToken version 2, where the application asks tiers for tokens too: whatever is "
        "asked for is signed by it.",
        secret=True,
    )
    signing_prefix: str = option(DEFAULT_PREFIX, "How the parameters of such a token begin.")
    signing_algorithm: str = option("sha256", "The hash algorithm of such a token.", choices=ALGORITHMS)
    signing_address: str = option(
        "", "The address that this tier comes from, where the server includes it in the hash; empty where it does not."
    )
    admin: str = option(
        "",
        "The port of `connectioncounts`, 8086 on a stock server: [USER:PASSWORD@]HOST[:PORT], without HOST the "
        "server's own. It is looked at in the background: who plays what, as the server counts.",
        secret=True,
    )
    rest: str = option(
        "",
        "The port of the REST interface, 8087 on a stock server, spelt as `admin`: what comes in and is connected, and "
        "the server's load.",
        secret=True,
    )
    look_every: float = option(10.0, "Between two looks at `admin` and `rest`.", minimum=1.0, unit="s")
    stream_files: bool = option(
        False,
        "Connect a stream file (NAME.stream) by `rest` when somebody wants its stream, and disconnect it when nobody "
        "has for a while.",
    )
    stream_files_grace: float = option(
        60.0, "Without anybody who wants it, before a stream that was connected is disconnected.", minimum=1.0, unit="s"
    )
    query: tuple[str, ...] = option(
        (),
        "Query parameters that this server must see besides `DVR` and those of low latency; all others say nothing "
        "about what is served, and are not passed on.",
    )
    tls: bool = option(False, "Ask by HTTPS and RTMPS; Wowza serves both at 443 where a certificate is set up.")

    def problems(self) -> list[str]:
        """What is wrong with this recipe by itself, one line each."""
        found = super().problems()
        for label, value in (("app", self.app), ("instance", self.instance)):
            if "/" in str(value).strip("/") or ".." in str(value):
                found.append(f"option {label}={value!r} is no single name: give for instance 'live'")
        if told := prefix_problem(str(self.signing_prefix)):
            found.append(f"option signing_prefix: {told}")
        for label, value in (("admin", self.admin), ("rest", self.rest)):
            if value and (told := control_problem(str(value))):
                found.append(f"option {label}: {told}")
        if self.stream_files and not self.rest:
            found.append("option stream_files needs rest: give the address of the REST interface, such as ':8087'")
        return found

    @asynccontextmanager
    async def open(self, origin: Origin, ctx: Context) -> AsyncIterator[LiveSource]:
        """Begin to use the server at `origin.address`."""
        address = origin.address
        assert address is not None, "check() has seen to it"
        async with open_administration(
            ctx.network,
            ctx.clock,
            admin=control_address(self.admin, address) if self.admin else None,
            rest=control_address(self.rest, address) if self.rest else None,
            trust=origin.trust,
            app=self.app.strip("/"),
            period=self.look_every,
            run_sync=ctx.run_sync,
            stream_files=self.stream_files,
            grace=self.stream_files_grace,
            tell=lambda line: ctx.emit(UpstreamFound(upstream=origin.name, found=line)),
        ) as administration:
            yield LiveWowza(self, origin.name, address, clock=ctx.clock, emit=ctx.emit, administration=administration)


@hookimpl
def tierkit_sources() -> Sequence[type[Source]]:
    """Brings `Wowza`."""
    return [Wowza]
