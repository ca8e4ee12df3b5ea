"""HTTP-FLV and WebSocket-FLV: a tier's live streams for players in web pages, and for whatever opens a URL.

    http://HOST/live/s.flv     one answer without end, which closes with the stream
    ws://HOST/live/s.flv       the same bytes in WebSocket messages, one for each tag

It brings no streams itself: it stands beside a service that does, in a relay beside `RTMP`, and plays what that pulls
or what is published there.  A stream is encoded once for each of the two, joined once and sent once by the process's
pump; the GOP at once for who joins, the bounds for slow players, and players that stay while a publisher is away, are
those of the players over RTMP.

* HTTP: the body ends with the connection, so that the bytes are the same for everybody, whatever the version.
* A player whose stream is not on air waits, `patience` seconds at most, and is then answered 404.  The head of the
  answer leaves with the first picture; so the FLV header says truthfully whether there is sound.
* Tags have the stream's own timestamps, metadata is stamped 0.
* Its own authorisers are asked once for each request; whom they deny is answered 403.
* What a player says besides its request is bounded; a WebSocket's pings and its close are answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar
from urllib.parse import urlsplit

import trio
from attrs import frozen

from tierkit.access import authorise_option, decide_within_option, open_access
from tierkit.plugin import Authoriser, Context, Node, Running, Service, hookimpl, option

from ._door import Bounds, Door, FLVStatistics

__all__ = ["FLV", "FLVStatistics"]


@frozen
class FLV(Service):
    """Live streams as FLV over HTTP and WebSocket, out of the rings of the service beside it."""

    name: ClassVar[str] = "flv"
    roles: ClassVar = frozenset({"relay", "origin"})
    schemes: ClassVar[tuple[str, ...]] = ("http", "https")
    send_lowat: ClassVar[int] = 262144  # as for RTMP: two batches

    patience: float = option(
        10.0,
        "Time that a player waits for a stream that is not on air before it is answered 404.",
        minimum=0.1,
        maximum=3600,
        unit="s",
    )
    farewell: float = option(
        5.0,
        "Time that players go on once the tier drains; then they are ended in order.",
        minimum=0,
        maximum=3600,
        unit="s",
    )
    authorise: tuple[Authoriser, ...] = authorise_option(
        "Who may play: authorisers, all of which must allow.  None lets everybody; those of the service beside it are "
        "not asked."
    )
    decide_within: float = decide_within_option()
    cors: str = option(
        "*", "What Access-Control-Allow-Origin says to players on other sites' pages; empty sends no such header."
    )
    origins: tuple[str, ...] = option(
        (),
        "Sites whose pages may play, such as 'https://www.example'; pages of others are answered 403, over WebSocket "
        "too. Programs, which name no site, are served. Empty serves all.",
    )

    @property
    def bounds(self) -> Bounds:
        """The options, as the service at work goes by them."""
        return Bounds(
            patience=self.patience,
            farewell=self.farewell,
            cors=self.cors.encode("ascii"),
            origins=frozenset(each.lower().encode("ascii") for each in self.origins),
        )

    def problems(self) -> list[str]:
        """The ranges of the options, and what can stand in a header."""
        found = super().problems()
        if not (str(self.cors).isascii() and str(self.cors).isprintable()):
            found.append(
                f"option cors={self.cors!r} cannot stand in a header: give '*' or one origin such as https://a.example"
            )
        found += [
            f"option origins: {each!r} is no site: write for instance 'https://www.example', without a path"
            for each in self.origins
            if not _is_site(each)
        ]
        return found

    @asynccontextmanager
    async def open(self, tier: Node, ctx: Context) -> AsyncIterator[Running]:
        """Begin to serve in `tier`."""
        async with (
            open_access(self.authorise, ctx, within=self.decide_within) as access,
            trio.open_nursery() as nursery,
        ):
            door = _Door(ctx, access, self.bounds)
            nursery.start_soon(door.sweeper.run, name=f"{ctx.tier} looks after its FLV players")
            try:
                yield door
            finally:
                nursery.cancel_scope.cancel()


class _Door(Door):
    """Takes changed options as they are."""

    def replace(self, service: Service) -> bool:
        if not isinstance(service, FLV):
            return False
        self.adopt(service.bounds)
        self.access.replace(service.authorise, service.decide_within)
        return True


def _is_site(origin: str) -> bool:
    """Whether it is what a browser sends as Origin (RFC 6454 section 7): scheme, host, and a port at most."""
    try:
        parts = urlsplit(origin)
        named = bool(parts.scheme and parts.hostname) and parts.port != 0
    except ValueError:
        return False
    bare = origin.lower() == f"{parts.scheme}://{parts.netloc}".lower() and "@" not in origin
    return named and bare and origin.isascii() and origin.isprintable()


@hookimpl
def tierkit_services() -> Sequence[type[Service]]:
    """Brings `FLV`."""
    return [FLV]
