"""HLS as Wowza serves it: which session, which names, which chunks; answers, without a connection in sight.

A URL is looked at in this order: is there such a stream, is its token good, is it a file that would have been handed
out, for a session that is alive, and is the chunk still kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import evolve, frozen

from tierkit.codecs.signing import Unsigned

from ._behaviours import Behaviour
from ._chunks import Chunks
from ._media import the_loop
from ._model import Server
from ._names import PLAYLIST, Asked, Names
from ._playlists import Entry, MediaPlaylist, master_playlist
from ._profiles import Mode
from ._reply import CacheControl, Kind, Reply, empty, found
from ._sessions import HlsSession, Place
from ._shown_hls import (
    CHILDREN_NEED_SESSION,
    CHUNKLIST_BODY,
    DVR,
    DVR_LENGTH,
    EVICTED,
    FIRST_QUERY,
    FORBIDDEN,
    IDLE_REAP,
    KEY_LINE,
    KEY_SESSION,
    LIVE_PREFIX,
    LOW_LATENCY,
    MASTER_BODY,
    MASTER_ECHO,
    NOT_FOUND,
    NOT_PACKETIZED,
    OFF_AIR,
    ORIGIN_FIXED,
    ORIGIN_NAMES,
    PREFIXES,
    QUERY_ECHO,
    QUERY_NAMES,
    QUERY_SESSION_CONTINUES,
    QUERY_SESSION_RELEASE,
    RANDOM_NAMES,
    REAPED_403,
    REAPED_PLAYLIST,
    SESSION_NAMES,
    SESSION_PER_PLAYLIST,
    TOKEN_403,
    TOKEN_NAMES,
    UNKNOWN_APPLICATION,
    UNKNOWN_SESSION,
    WINDOW,
)
from ._streams import IncomingStream, Rendition

__all__ = ["Hls"]

#: Target durations that a request is held back at most: RFC 8216bis has servers refuse what is further ahead.
LONGEST_WAIT: Final = 3


@frozen
class _Version:
    """One rendition of what was asked for, and the stream that it is of."""

    rendition: Rendition
    stream: IncomingStream
    place: Place


class Hls:
    """The answers.

    Attributes:
        cache_control: in origin mode.
        reaped_status: for a session that has ended: 403, or 404.
        chunks: the bytes.
    """

    def __init__(self, server: Server, *, cache_control: CacheControl | None = None, reaped_status: int = 403) -> None:
        self.server = server
        self.cache_control = cache_control or CacheControl()
        self.reaped_status = reaped_status
        self.chunks = Chunks(server)

    def answer(self, asked: Asked, address: str, *, referrer: str = "") -> tuple[Kind, Reply]:
        """The answer to a GET, and what it was for."""
        kind = _kind(asked.file)
        versions = self._versions(asked.place)
        if not versions or kind is Kind.other:
            return kind, self._not_found(
                NOT_FOUND if asked.place.application in self.server.applications else UNKNOWN_APPLICATION
            )
        if not any(each.stream.is_connected for each in versions):
            return kind, self._not_found(OFF_AIR)
        try:
            token = self._token(asked, address, kind)
        except Unsigned:
            return kind, self._refused(403, TOKEN_403)
        if kind is Kind.master:
            return kind, self._master(asked, versions, token, address, referrer)
        return kind, self._child(asked, kind, versions, token)

    # --- what there is -----------------------------------------------------------------------------------

    @PREFIXES.shown
    @LIVE_PREFIX.shown
    def _versions(self, place: Place) -> list[_Version]:
        """The renditions of a stream or a group, in the order of its playlist."""
        group = self.server.group(place)
        if group is not None:
            return [each for rendition in group.renditions for each in self._of(place, rendition)]
        stream = self.server.find(place)
        prefix, colon, rest = place.stream.partition(":")
        if stream is None and colon and prefix in ("mp4", "flv"):
            place = evolve(place, stream=rest)
            stream = self.server.find(place)
        return [] if stream is None else [_Version(each, stream, place) for each in stream.renditions]

    def _of(self, place: Place, rendition: Rendition) -> Iterator[_Version]:
        source = evolve(place, stream=rendition.of)
        stream = self.server.find(source)
        if stream is not None:
            yield _Version(rendition, stream, source)

    @TOKEN_NAMES.shown
    def _token(self, asked: Asked, address: str, kind: Kind) -> str:
        """The query of the token that names carry; "" where none is asked for.  Raises Unsigned."""
        server = self.server
        token = server.applications[asked.place.application].token
        if token is None:
            return ""
        if kind is not Kind.master:
            # A child has it in its name, which is held against the one that was handed out.
            if server.mode is Mode.sessions:
                return server.sessions.token(asked.session)
            return server.first_tokens.get(asked.place, "")
        ticket = token.verify(asked.content, asked.query, server.wall(), address)
        given = "&".join(sorted(ticket.query.split("&")))
        return given if server.mode is Mode.sessions else server.first_tokens.setdefault(asked.place, given)

    # --- multivariant playlists ------------------------------------------------------------------------------

    @WINDOW.shown
    @NOT_PACKETIZED.shown
    def _master(self, asked: Asked, versions: list[_Version], token: str, address: str, referrer: str) -> Reply:
        now = self.server.now()
        there = [each for each in versions if each.stream.listed(now)]
        if not there:
            return self._not_found(NOT_PACKETIZED)
        number, shows = self._session(asked, token, address, referrer)
        loop = the_loop()
        grouped = self.server.group(asked.place) is not None
        entries = []
        for each in there:
            names = self._names(each, number, asked.dvr, token)
            entries.append(
                Entry(
                    uri=names.uri(names.chunklist, self._echoed(asked)),
                    bandwidth=each.rendition.bitrate or each.stream.bitrate,
                    codecs="" if grouped else loop.codecs,
                    resolution=loop.resolution,
                )
            )
        body = master_playlist(entries, program_id=self.server.profile.program_id)
        traits = self._traits(names, MASTER_ECHO if self._echoed(asked) else None)
        return self._found(Kind.master, body, *shows, MASTER_BODY, *traits, *((PREFIXES,) if grouped else ()))

    @SESSION_PER_PLAYLIST.shown
    @ORIGIN_FIXED.shown
    @QUERY_SESSION_CONTINUES.shown
    def _session(
        self, asked: Asked, token: str, address: str, referrer: str
    ) -> tuple[int | None, tuple[Behaviour, ...]]:
        """The id for the names of this playlist."""
        server, now = self.server, self.server.now()
        if server.mode is Mode.origin:
            return None, (ORIGIN_NAMES,)
        if server.mode is Mode.origin_fixed:
            return server.fixed_id, (ORIGIN_FIXED,)
        if (living := self._seen(asked)) is not None:
            living.token = token
            return living.id, (QUERY_SESSION_CONTINUES,)
        session = server.sessions.begin(
            asked.place, address, self._without_token(asked), now, referrer=referrer, token=token
        )
        server.accepted(asked.place.application, asked.place.instance)
        return session.id, (SESSION_PER_PLAYLIST,)

    @QUERY_NAMES.shown
    @QUERY_SESSION_RELEASE.shown
    def _names(self, version: _Version, number: int | None, dvr: bool, token: str) -> Names:
        return Names(
            rendition=version.rendition,
            session=number,
            by_query=self.server.profile.query_sessions,
            dvr=dvr,
            token=token,
            random=version.stream.epoch.token,
        )

    @QUERY_ECHO.shown
    @MASTER_ECHO.shown
    @FIRST_QUERY.shown
    def _echoed(self, asked: Asked) -> str:
        """What the children of a playlist have behind their "?"."""
        if self.server.mode is Mode.sessions:
            return self._without_token(asked)
        return self.server.first_queries.setdefault(asked.place, self._without_token(asked))

    def _without_token(self, asked: Asked) -> str:
        token = self.server.applications[asked.place.application].token
        pairs = asked.echoed.split("&")
        return "&".join(pair for pair in pairs if token is None or not token.owns(pair))

    # --- what is under them ----------------------------------------------------------------------------------

    @IDLE_REAP.shown
    def _child(self, asked: Asked, kind: Kind, versions: list[_Version], token: str) -> Reply:
        server = self.server
        number: int | None = None
        if server.mode is Mode.sessions:
            if asked.session is None:
                return self._not_found(CHILDREN_NEED_SESSION)
            if self._seen(asked) is None:
                return self._refused(self.reaped_status, self._why_ended(asked.session, kind))
            number = asked.session
        elif server.mode is Mode.origin_fixed:
            number = server.fixed_id
            if asked.session != number:
                return self._not_found(ORIGIN_FIXED)
        for each in versions:
            names = self._names(each, number, asked.dvr, token)
            if kind is Kind.chunklist and asked.file == names.chunklist:
                return self._chunklist(asked, each, names, versions, token)
            if kind is Kind.chunk and (wanted := names.number_of(asked.file)) is not None:
                return self._chunk(asked, each, names, wanted)
        return self._not_found(NOT_FOUND)

    def _seen(self, asked: Asked) -> HlsSession | None:
        """The session that is named, where it is this stream's and has not ended."""
        if asked.session is None:
            return None
        return self.server.sessions.seen(asked.session, asked.place, self.server.now())

    def _why_ended(self, session: int, kind: Kind) -> Behaviour:
        if not self.server.sessions.was(session):
            return UNKNOWN_SESSION
        return REAPED_403 if kind is Kind.chunk else REAPED_PLAYLIST

    @DVR.shown
    @DVR_LENGTH.shown
    def _chunklist(self, asked: Asked, version: _Version, names: Names, versions: list[_Version], token: str) -> Reply:
        now, stream = self.server.now(), version.stream
        chunks = stream.listed(now, dvr=asked.dvr)
        if not chunks:
            return self._not_found(NOT_PACKETIZED)
        echoed = self._echoed(asked)
        reports = []
        if stream.low_latency:
            # The request's query as it came, directives and all.
            others = [self._names(each, names.session, asked.dvr, token) for each in versions if each is not version]
            reports = [
                (each.uri(each.chunklist, _less(asked.query, "wowzasessionid=")), chunks[-1].number) for each in others
            ]
        playlist = MediaPlaylist(
            target=stream.epoch.target,
            sequence=chunks[0].number,
            chunks=[(each.seconds, names.uri(names.chunk(each.number), echoed)) for each in chunks],
            allow_cache=self.server.profile.allow_cache,
            key_uri=self._key_uri(stream, names.session),
            low_latency=stream.low_latency,
            reports=reports,
        )
        shows = [CHUNKLIST_BODY, *self._traits(names, QUERY_ECHO if echoed else None)]
        shows += [each for each, has in ((KEY_LINE, stream.key_uri), (LOW_LATENCY, stream.low_latency)) if has]
        return self._found(Kind.chunklist, playlist.render(), *shows)

    def _traits(self, names: Names, echo: Behaviour | None) -> list[Behaviour]:
        """What names show, by what they have in them."""
        told = {
            Mode.origin: ORIGIN_NAMES,
            Mode.origin_fixed: ORIGIN_FIXED,
            Mode.sessions: QUERY_NAMES if names.by_query else SESSION_NAMES,
        }
        found = [told[self.server.mode]]
        found += [each for each, has in ((RANDOM_NAMES, names.random), (TOKEN_NAMES, names.token)) if has]
        found += [DVR, DVR_LENGTH] if names.dvr else []
        return found + ([echo] if echo is not None else [])

    @KEY_SESSION.shown
    def _key_uri(self, stream: IncomingStream, session: int | None) -> str:
        if not stream.key_uri or session is None:
            return stream.key_uri
        return f"{stream.key_uri}{'&' if '?' in stream.key_uri else '?'}wowzasessionid={session}"

    @EVICTED.shown
    def _chunk(self, asked: Asked, version: _Version, names: Names, number: int) -> Reply:
        if version.stream.chunk(number, self.server.now(), dvr=asked.dvr) is None:
            return self._not_found(EVICTED)
        data = self.chunks.bytes(version.place, version.rendition, number)
        return self._found(Kind.chunk, data, *self._traits(names, None))

    # --- answers ---------------------------------------------------------------------------------------------

    def waits(self, asked: Asked) -> float:
        """Seconds for which a playlist of low latency is held back, until it has what was asked for."""
        number = asked.waits_for
        stream = next((each.stream for each in self._versions(asked.place)), None)
        if number is None or stream is None or not stream.low_latency or _kind(asked.file) is not Kind.chunklist:
            return 0.0
        wait = stream.epoch.there_at(number) - self.server.now()
        return max(0.0, wait) if wait < LONGEST_WAIT * stream.epoch.target else 0.0

    def _found(self, kind: Kind, body: str | bytes, *shows: Behaviour) -> Reply:
        data = body if isinstance(body, bytes) else body.encode()
        return found(self.server, self.cache_control, kind, data, *shows)

    def _not_found(self, *shows: Behaviour) -> Reply:
        return self._refused(404, *shows)

    @FORBIDDEN.shown
    def _refused(self, status: int, *shows: Behaviour) -> Reply:
        return empty(self.server, self.cache_control, status, *shows)


def _kind(file: str) -> Kind:
    if file == PLAYLIST:
        return Kind.master
    if file.startswith("chunklist") and file.endswith(".m3u8"):
        return Kind.chunklist
    if file.startswith("media") and file.endswith(".ts"):
        return Kind.chunk
    return Kind.other


def _less(query: str, prefix: str) -> str:
    return "&".join(pair for pair in query.split("&") if pair and not pair.startswith(prefix))
