"""Answers over HTTP: none without the behaviour that it shows, and with the fields that a profile has."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from tierkit.http import BodySink, Response
from tierkit.plugin import ConnectionLost

from ._behaviours import Behaviour
from ._model import Server
from ._profiles import Mode
from ._shown_hls import CORS, FIELDS, NO_CACHE, ORIGIN_CACHE, OTHER_RELEASES, WMS_SERVER

__all__ = ["CacheControl", "Kind", "Reply", "empty", "found", "truncated"]


class Kind(StrEnum):
    """What a request asks for."""

    master = "master"
    chunklist = "chunklist"
    chunk = "chunk"
    other = "other"


_TYPES = {
    Kind.master: "application/vnd.apple.mpegurl",
    Kind.chunklist: "application/vnd.apple.mpegurl",
    Kind.chunk: "video/MP2T",
}
#: Profiles whose fields were dumped.
RECORDED = ("wse42", "wse47")


@frozen(kw_only=True)
class CacheControl:
    """Cache-Control in origin mode, as `Application.xml` has it; None for no such field."""

    playlist: str | None = "max-age=1"
    chunk: str | None = "max-age=3600"
    #: `httpCacheControlStatus4xx`.
    status_4xx: str | None = None

    @ORIGIN_CACHE.shown
    def of(self, kind: Kind) -> str | None:
        """The value for what was found."""
        return self.chunk if kind is Kind.chunk else self.playlist


@frozen
class Reply:
    """An answer, and what it shows."""

    response: Response
    shows: tuple[Behaviour, ...]


@FIELDS.shown
@WMS_SERVER.shown
@CORS.shown
def _fields(server: Server) -> list[tuple[bytes, bytes]]:
    fields = [(b"Server", server.profile.server.encode()), (b"Accept-Ranges", b"bytes")]
    if server.profile.cors:
        fields += [
            (b"Access-Control-Allow-Origin", b"*"),
            (b"Access-Control-Allow-Credentials", b"true"),
            (b"Access-Control-Allow-Methods", b"OPTIONS, GET, POST, HEAD"),
            (b"Access-Control-Expose-Headers", b"Date, Server, Content-Type, Content-Length"),
            (b"Access-Control-Allow-Headers", b"Content-Type, User-Agent, If-Modified-Since, Cache-Control, Range"),
        ]
    return fields


@NO_CACHE.shown
def found(
    server: Server, cache_control: CacheControl, kind: Kind, body: bytes, *shows: Behaviour, content_type: str = ""
) -> Reply:
    """What was asked for."""
    fields = [*_fields(server), (b"Content-Type", (content_type or _TYPES[kind]).encode())]
    value = "no-cache" if server.mode is Mode.sessions else cache_control.of(kind)
    if value is not None:
        fields.append((b"Cache-Control", value.encode()))
    cached = NO_CACHE if server.mode is Mode.sessions else ORIGIN_CACHE
    return Reply(Response(200, fields, body), (*shows, cached, *_guessed(server)))


def _guessed(server: Server) -> tuple[Behaviour, ...]:
    """What is assumed of the fields of a release of which none were recorded."""
    return () if server.profile.name in RECORDED else (OTHER_RELEASES,)


def empty(
    server: Server,
    cache_control: CacheControl,
    status: int,
    *shows: Behaviour,
    more: tuple[tuple[bytes, bytes], ...] = (),
) -> Reply:
    """An answer without a body."""
    fields = [*_fields(server), *more]
    if status >= 400 and server.mode is not Mode.sessions and cache_control.status_4xx is not None:
        fields.append((b"Cache-Control", cache_control.status_4xx.encode()))
    return Reply(Response(status, fields, b""), (*shows, *_guessed(server)))


def truncated(reply: Reply, part: float, shows: Behaviour) -> Reply:
    """The same, of which only a part of the body comes, and then a reset."""
    whole = reply.response.body
    assert isinstance(whole, bytes)
    sent = whole[: int(len(whole) * part)]

    async def body(sink: BodySink) -> None:
        await sink.write(sent)
        raise ConnectionLost("cut short on purpose")

    return Reply(
        Response(reply.response.status, reply.response.headers, body, length=len(whole)), (*reply.shows, shows)
    )
