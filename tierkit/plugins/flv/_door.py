"""What is asked over HTTP: who may play, which stream, and the answer that becomes a player."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final
from urllib.parse import unquote

from attrs import evolve, field, frozen

from tierkit.access import Access, AccessDenied, AccessStatistics
from tierkit.codecs.rtmp_url import Route
from tierkit.http import BodySink, Request, Response, serve_http, text_response
from tierkit.live import FLV_TAGS, WEBSOCKET_FLV, Provider, Stream, Streams, Unavailable, streams_of
from tierkit.plugin import Connection, Context, Figures, RemoteProtocolError, Running, StreamState
from tierkit.rtmp import Sweeper
from tierkit.websocket import WebSocket, accept, wants_websocket

from ._attempt import attempt_of, denied_status, route_of
from ._viewer import Viewer

__all__ = ["Bounds", "Door", "FLVStatistics"]

_METHODS: Final = b"GET, HEAD, OPTIONS"
#: What the codes say with which a stream is refused; whatever else is said, this player may not.
_STATUS: Final = {"NetStream.Play.StreamNotFound": 404, "NetStream.Play.Failed": 503}
_MAY_NOT: Final = 403


@frozen(kw_only=True)
class Bounds:
    """`FLV`'s options."""

    patience: float
    farewell: float
    cors: bytes
    origins: frozenset[bytes]


@frozen(kw_only=True)
class FLVStatistics:
    """FLV over HTTP and WebSocket, now and so far."""

    #: Players now, those of them that play over WebSocket, and those that wait for a stream which is not on air.
    players: int = field(metadata={"merge": "sum"})
    websockets: int = field(metadata={"merge": "sum"})
    waiting: int = field(metadata={"merge": "sum"})
    #: Requests so far, and those of them that were refused, with whatever status.
    requests: int = field(metadata={"merge": "sum"})
    refused: int = field(metadata={"merge": "sum"})
    #: What its authorisers have decided.
    access: AccessStatistics = field(metadata={"merge": "sum"})


class Door(Running):
    """The service at work in one tier."""

    def __init__(self, ctx: Context, access: Access, bounds: Bounds) -> None:
        self.ctx = ctx
        self.access = access
        self.sweeper = Sweeper(ctx)
        self.live: Streams = streams_of(ctx)
        self.adopt(bounds)
        #: Players now over WebSocket, and requests refused.
        self.websockets = 0
        self.refused = 0
        self._requests = self._hits = self._misses = 0

    def adopt(self, bounds: Bounds) -> None:
        """Work by these bounds from now on."""
        self.bounds = bounds
        self.sweeper.farewell = bounds.farewell

    @property
    def provider(self) -> Provider | None:
        """Who fetches streams; asked for at each use, because services may begin in any order."""
        return self.live.provider

    # --- what the core asks ----------------------------------------------------------------------

    async def handle(self, connection: Connection) -> None:
        await serve_http(connection, self.answer, log=self.ctx.access_log)

    def statistics(self) -> FLVStatistics:
        return FLVStatistics(
            players=self.sweeper.players,
            websockets=self.websockets,
            waiting=self.sweeper.waiting,
            requests=self._requests,
            refused=self.refused,
            access=self.access.statistics(),
        )

    def figures(self) -> Figures:
        # A stream that had to be fetched is the other service's to tell: the rings are its own.
        return evolve(
            self.live.figures_of_others(),
            viewers=self.sweeper.players,
            requests=self._requests,
            hits=self._hits,
            results={"hits": self._hits, "misses": self._misses, "errors": self.refused},
        )

    def streams(self) -> Sequence[StreamState]:
        return self.live.states()

    def draining(self) -> None:
        self.sweeper.draining()

    def kick(self, pattern: str) -> int:
        return self.sweeper.kick(pattern)

    # --- requests --------------------------------------------------------------------------------

    async def answer(self, request: Request) -> Response:
        """Answer one request; where that plays, the player takes the connection over."""
        self._requests += 1
        origin = request.get(b"origin")
        if origin is not None and self.bounds.origins and origin.lower() not in self.bounds.origins:
            return self.refuse(403, "pages of this site may not play here")
        cors = self._cors(origin)
        if request.method == "OPTIONS":
            return Response(204, [*cors, (b"Allow", _METHODS)])
        if request.method not in ("GET", "HEAD"):
            return self.refuse(405, "only GET and HEAD", (b"Allow", _METHODS), *cors)
        try:
            asked = self._spelled(route_of(request))
        except RemoteProtocolError as error:
            return self.refuse(404, f"ask for /APP/NAME.flv: {error}", *cors)
        if request.method == "HEAD":
            return await self._describe(request, asked, cors)
        if not wants_websocket(request):
            return await self._play(request, asked, cors, None)
        socket = accept(request)
        if isinstance(socket, Response):
            self.refused += 1
            return socket
        return await self._play(request, asked, cors, socket)

    def refuse(self, status: int, reason: str, *headers: tuple[bytes, bytes]) -> Response:
        """An answer that tells why not."""
        self.refused += 1
        return text_response(status, reason, *headers)

    async def _play(
        self, request: Request, asked: Route, cors: list[tuple[bytes, bytes]], socket: WebSocket | None
    ) -> Response:
        encoding = FLV_TAGS if socket is None else WEBSOCKET_FLV
        viewer = Viewer(self, request.connection, encoding, socket, cors)
        try:
            allowed = await self.access.admit(attempt_of(request, asked), viewer.stop)
        except AccessDenied as denial:
            return self.refuse(denied_status(denial), str(denial), *cors)
        with ExitStack() as until_it_plays:
            until_it_plays.callback(allowed.end)
            try:
                stream = await self._find(allowed.attempt.path, request.id)
            except Unavailable as error:
                return self.refuse(_STATUS.get(error.code, _MAY_NOT), str(error), *cors)
            until_it_plays.pop_all()
        self._hits += stream.on_air
        self._misses += not stream.on_air
        allowed.timestamp = lambda: stream.last_timestamp
        status, headers = (200, _media_headers(cors)) if socket is None else (101, socket.headers)
        release = allowed.end if allowed.live else None
        return Response(status, headers, take_over=partial(viewer.run, stream), release=release)

    async def _find(self, path: str, id: str) -> Stream:
        if self.sweeper.leaving:
            raise Unavailable("NetStream.Play.Failed", f"{self.ctx.tier} is about to stop")
        if self.provider is not None:
            return await self.provider.want(path, id=id)
        stream = self.live.get(path)
        if stream is None:
            # Nobody is to fill the table with names that are only asked for.
            raise Unavailable("NetStream.Play.StreamNotFound", f"nobody publishes {path}")
        return stream

    def _spelled(self, asked: Route) -> Route:
        """A name that was published with what a URL must escape is found by its escaped spelling, too."""
        plain = unquote(asked.path)
        if self.live.get(asked.path) is None and self.live.get(plain) is not None:
            return evolve(asked, path=plain)
        return asked

    async def _describe(self, request: Request, asked: Route, cors: list[tuple[bytes, bytes]]) -> Response:
        """The answer to HEAD: nothing is pulled for it."""
        try:
            allowed = await self.access.admit(attempt_of(request, asked), lambda reason: None)
        except AccessDenied as denial:
            return self.refuse(denied_status(denial), str(denial), *cors)
        allowed.end()
        path = allowed.attempt.path
        stream = self.live.get(path)
        if stream is None or not stream.playable:
            return self.refuse(404, f"{path} is not on air", *cors)
        return Response(200, _media_headers(cors), _unwritten)

    def _cors(self, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        """The headers with which players on other sites' pages may read what we send (Fetch standard, CORS)."""
        allowed = self.bounds.cors
        varies: list[tuple[bytes, bytes]] = []
        if self.bounds.origins:
            varies = [(b"Vary", b"Origin")]
            allowed = origin or b""
        if not allowed:
            return varies
        return [
            *varies,
            (b"Access-Control-Allow-Origin", allowed),
            (b"Access-Control-Allow-Methods", _METHODS),
            (b"Access-Control-Allow-Headers", b"Authorization, Content-Type, Range"),
            (b"Access-Control-Max-Age", b"86400"),
        ]


def _media_headers(cors: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [
        (b"Content-Type", b"video/x-flv"),
        (b"Cache-Control", b"no-store"),
        # An nginx before us would gather what comes until its buffers are full.
        (b"X-Accel-Buffering", b"no"),
        *cors,
    ]


async def _unwritten(sink: BodySink) -> None:
    """The body that an answer to HEAD would have."""
