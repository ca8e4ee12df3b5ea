"""One Wowza server as one tier sees it.

In its normal mode Wowza begins a session for each master playlist that it is asked for, and puts the session's id into
the name of everything that the playlist leads to: two viewers have no URL in common, and nothing can be cached.  So the
tier is one viewer for all of its own:

* Viewers see *canonical* names, without ids.  `rewrite` takes the ids out of every playlist.
* Each stream has one session at the server.  Its master playlist is asked for once, and given to everybody for as long
  as the session holds (`prepare` answers it); children are asked for by the session's own names (`target`).
* Wowza ends a session that nobody has asked for a while.  Its children are refused then (403, or 404 by some
  accounts): a new session is begun, and the same child asked for by its new name, in the same breath (`observe`).

Which mode a server is in, its application's configuration decides, and no version tells.  So the first master playlist
of an application is fetched twice.  Ids that differ are sessions; ids that do not are the server's own, as an older
kind of its HTTP origin mode has them: they are taken out as well, so that several servers stand for each other.  Where
there are none, nothing need be done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from urllib.parse import unquote, urlsplit

import trio

from tierkit.codecs.hls_rewrite import children
from tierkit.codecs.http1 import get
from tierkit.codecs.rtmp_auth import secure_token, token_asked_for
from tierkit.codecs.wowza_names import Ids, canonical, ids_of, is_child, kept_query
from tierkit.codecs.wowza_token import SecureToken, resign
from tierkit.events import Event, UpstreamFound
from tierkit.plugin import (
    Address,
    Fetch,
    Known,
    LiveSource,
    LocalProtocolError,
    NotServed,
    RemoteProtocolError,
    UpstreamError,
)

from ._administration import Administration
from ._paths import DEFAULT_INSTANCE, application, short
from ._sessions import MISSING_SECONDS, Mode, StreamNames, Streams
from ._settings import Settings
from ._statistics import MAX_TOLD, WowzaStatistics

__all__ = ["LiveWowza"]

#: The port that carries RTMP and all HTTP streaming on a stock server.
STOCK_PORT = 1935
#: The query parameter that asks for the recorded past (nDVR); all others change nothing in what is served.
KEPT = ("DVR",)
#: What a child of low latency may be asked for besides (RFC 8216bis section 6.2.5).
DIRECTIVES = ("_HLS_msn", "_HLS_part", "_HLS_skip")
#: What is said of a session that is gone.
GONE = frozenset({403, 404})


class LiveWowza(LiveSource):
    """One Wowza server as one tier sees it."""

    def __init__(
        self,
        recipe: Settings,
        name: str,
        address: Address,
        *,
        clock: Callable[[], float],
        emit: Callable[[Event], None] = lambda event: None,
        administration: Administration | None = None,
    ) -> None:
        self.recipe = recipe
        self.name = name
        self.address = address
        self._clock = clock
        self._emit = emit
        self._administration = administration
        #: The only application to ask for; an address that names one, as encoders write it, means that one.
        self.app = recipe.app.strip("/") or application(address.path)
        secure = recipe.tls or address.secure
        self.schemes = frozenset({"https", "rtmps"} if secure else {"http", "rtmp"})
        self._kept = (*KEPT, *recipe.query)
        self._token: SecureToken | None = None
        if secret := recipe.signing_secret:
            bound = bool(recipe.signing_address)
            self._token = SecureToken(secret, recipe.signing_prefix, recipe.signing_algorithm, bound)
        self._streams = Streams()
        self._looking = trio.Lock()
        self._begun = self._renewed = self._spared = 0

    @property
    def scope(self) -> str:
        """The application, where there is only one."""
        return f"/{self.app}"

    # --- names -----------------------------------------------------------------------------------

    def key(self, path: str) -> str:
        """The short spelling, without a viewer's ids and without what of a query changes nothing."""
        only, mark, query = path.partition("?")
        folder, file = short(only, self.recipe.instance)
        if not file:
            return folder + mark + query
        query = kept_query(query, (*self._kept, *DIRECTIVES) if is_child(file) else self._kept)
        return f"{folder}/{canonical(file)}{'?' if query else ''}{query}"

    @property
    def ignored(self) -> tuple[str, ...]:
        """The id of a viewer's session, which Wowza puts into playlists in its normal mode."""
        return ("wowzasessionid",)

    async def target(self, path: str, schemes: Collection[str]) -> Address:
        """Where a path of ours is on the server, by one of `schemes`.

        Raises NotServed for another application than the recipe's.
        """
        usable = [scheme for scheme in schemes if scheme in self.schemes]
        if not usable:
            raise UpstreamError(self.name, f"speaks {', '.join(sorted(self.schemes))}, not {', '.join(schemes)}")
        only, _, query = self.key(path).partition("?")
        self._check(only)
        if self._administration is not None:
            await self._administration.wanted(only)
        folder, _, file = only.rpartition("/")
        stream = self._streams.get(folder)
        if stream is not None and is_child(file):
            plain, current = stream.runs.unmarked(file)
            if not current:
                raise NotServed(f"{only} is of a run of the encoder that has ended: {self.name} has it no more")
            file, own = stream.actual(plain)
            only, query = f"{folder}/{file}", "&".join(filter(None, (query, own)))
        query = self._signed(only, query, stream=usable[0].startswith("rtmp"))
        return self.address.with_(scheme=usable[0], port=self._port(usable[0]), path=only, query=query)

    def _signed(self, path: str, query: str, *, stream: bool) -> str:
        """The query with a token of ours, where the server asks for one; what is no stream's needs none."""
        if self._token is None or path.count("/") < (2 if stream else 3):
            return query
        try:
            return resign(path, query, self._token, time.time(), address=self.recipe.signing_address, stream=stream)
        except LocalProtocolError as error:
            raise NotServed(f"{error}: {self.name} is asked for signed paths alone") from None

    def _check(self, path: str) -> None:
        if not {".", ".."}.isdisjoint(map(unquote, path.split("/"))):
            raise NotServed(f"{path} has dots for a directory: {self.name} might leave the application by them")
        if self.app and application(path) != self.app:
            raise NotServed(f"{path} is not in application {self.app!r}, the only one that {self.name} is asked for")

    def rewrite(self, path: str, playlist: bytes) -> bytes:
        """The playlist as viewers may see it: with canonical names, and without what was echoed of our request."""
        folder, file, master = self._split(path)
        stream = self._streams.of(folder)
        if not is_child(file):
            self._heed(folder, stream, master, ids_in(playlist))
        listed = self._listed(file, path.partition("?")[2])
        if is_list(file):
            stream.note(listed, playlist, self._clock())
        return stream.rewritten(listed, playlist, self._kept)

    def _listed(self, file: str, query: str) -> str:
        """What a media playlist is known by, whatever the session and the version that is waited for."""
        return f"{canonical(file)}?{kept_query(query, self._kept)}"

    def _split(self, path: str) -> tuple[str, str, str]:
        """The folder of a path, the file in it, and the file with its query."""
        only, mark, query = self.key(path).partition("?")
        folder, _, file = only.rpartition("/")
        return folder, file, file + mark + query

    def _heed(self, folder: str, stream: StreamNames, master: str, found: Ids) -> None:
        """A master playlist says what the ids are, where whoever serves has asked for it by himself."""
        app = application(folder)
        mode, session = self._streams.mode(app), stream.sessions.get(master)
        if mode is Mode.FIXED and (session is None or session.ids != found):
            if session is not None:
                # A server that was started again, or one that has no origin mode any more: look twice again.
                self._streams.modes[app] = Mode.UNKNOWN
            self._begin(stream, master, found, None)
        elif mode is Mode.PLAIN and found:
            self._streams.modes[app] = Mode.UNKNOWN

    def lane(self, path: str) -> str:
        """A stream: one connection carries it.  What is asked for before it is there would hold the others up."""
        folder, file, master = self._split(path)
        return "" if "_HLS_" in master or not is_hls(file) else folder

    # --- sessions --------------------------------------------------------------------------------

    async def prepare(self, path: str, fetch: Fetch) -> Known | None:
        """See to it that a stream has its session; answers a master playlist that a session began with."""
        folder, file, master = self._split(path)
        self._check(folder)
        known, listed = self._streams.get(folder), self._listed(file, path.partition("?")[2])
        if known is not None and (held := known.shown_for(listed, self._clock())) is not None:
            return held
        mode = self._streams.mode(application(folder))
        if mode is Mode.PLAIN or folder.count("/") < 2 or not is_hls(file):
            return None
        stream = self._streams.of(folder)
        if is_child(file):
            of, session = stream.session_of(file)
            if session is None or session.stale:
                begun = await self._master(folder, stream, of, fetch)
                if begun is not None and begun.status != 200:
                    return stream.last(listed, self._clock())
            return None
        stream.master = master
        session = stream.sessions.get(master)
        if mode is Mode.FIXED and not (session is not None and session.stale):
            return None  # whoever serves asks for it when its copy is old
        self._spared += session is not None and session.holds(self._clock())
        return await self._master(folder, stream, master, fetch)

    async def _master(self, folder: str, stream: StreamNames, master: str, fetch: Fetch) -> Known | None:
        """A master playlist; what it names is of its session from now on.  One asks for all who wait.

        None where nobody is to ask for it by this: it was not there a moment ago.
        """
        async with stream.lock:
            now, session = self._clock(), stream.sessions.get(master)
            if session is not None and session.known is not None and session.holds(now):
                return session.known
            if now < stream.missing_until:
                return None
            try:
                known = await self._ask(folder, master, fetch)
            except UpstreamError:
                stream.missing_until = self._clock() + MISSING_SECONDS
                raise
            if known.status != 200:
                stream.missing_until = self._clock() + MISSING_SECONDS
                stream.end(master)
                return known
            found = ids_in(known.body)
            await self._look(folder, master, found, fetch)
            self._renewed += session is not None and session.stale
            self._begin(stream, master, found, known)
            return known

    async def _ask(self, folder: str, master: str, fetch: Fetch) -> Known:
        target = await self.target(f"{folder}/{master}", ("http", "https"))
        known = await fetch(target)
        self._check_redirect(target, known.status, known.headers)
        return known

    def _check_redirect(self, target: Address, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        if not 300 <= status < 400 or status == 304:
            return
        location = urlsplit((get(tuple(headers), b"location") or b"").decode("latin-1"))
        here = location.netloc in ("", target.authority) and location.scheme in ("", target.scheme)
        if here and (location.path, location.query) == (target.path, target.query):
            raise UpstreamError(
                self.name, f"redirects {target.path} to itself ({status}): look at its redirects and load balancing"
            )

    async def _look(self, folder: str, master: str, found: Ids, fetch: Fetch) -> None:
        """Find out what an application's ids are, where that is not known."""
        app = application(folder)
        async with self._looking:  # streams that begin together find out once
            before = self._streams.mode(app)
            if before is Mode.SESSIONS and found:
                return
            mode = Mode.PLAIN
            if found:
                again = await self._ask(folder, master, fetch)
                mode = Mode.FIXED if ids_in(again.body) == found else Mode.SESSIONS
            if mode is not before:
                self._streams.modes[app] = mode
                self._emit(UpstreamFound(upstream=self.name, found=f"application {app!r}: {mode.value}"))

    def _begin(self, stream: StreamNames, master: str, found: Ids, known: Known | None) -> None:
        self._begun += bool(found)
        stream.begin(master, found, known if found else None, self._clock())
        if found and known is not None:
            # For the names in it: viewers may have the one before still.
            stream.rewritten(master, known.body, self._kept)

    def observe(self, target: Address, status: int, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """A child that is refused may mean that the session is gone: then once more, by another one.

        Raises UpstreamError for a redirect to where it was asked: viewers would go round in circles.
        """
        self._check_redirect(target, status, headers)
        folder, _, file = target.path.rpartition("/")
        stream = self._streams.get(folder)
        if stream is None or not is_child(file):
            return False
        refused = status in GONE
        again = stream.judge(file, target.query, refused=refused, now=self._clock())
        if refused and not again and is_list(file):
            return stream.hold(self._listed(file, target.query), self._clock())
        return again

    def statistics(self) -> WowzaStatistics:
        """Counted when asked."""
        control = self._administration
        known = control.knowing.known if control is not None else None
        return WowzaStatistics(
            control=control.statistics() if control is not None else None,
            streams=known.streams[:MAX_TOLD] if known is not None else (),
            modes={app: mode.value for app, mode in self._streams.modes.items()},
            sessions=len(self._streams),
            begun=self._begun,
            renewed=self._renewed,
            masters_spared=self._spared,
        )

    @property
    def clients(self) -> int | None:
        control = self._administration
        known = control.knowing.known if control is not None else None
        told = [sum(each.viewers.values()) for each in known.streams if each.viewers] if known is not None else []
        return max(told, default=None)

    # --- RTMP ------------------------------------------------------------------------------------

    def connect_arguments(self, target: Address) -> Mapping[str, object]:
        """What this server wants us to be."""
        return {"flashVer": self.recipe.flash_version} if self.recipe.flash_version else {}

    def greeting(self, said: Mapping[str, object]) -> Sequence[tuple[object, ...]]:
        """The answer to SecureToken version 1, where the server asks and we have the secret."""
        asked = token_asked_for(said)
        if not asked or not self.recipe.token:
            return ()
        return (("secureTokenResponse", secure_token(asked, self.recipe.token)),)

    # --- for people ------------------------------------------------------------------------------

    def urls(self, stream: str, *, app: str = "", dvr: bool = False) -> dict[str, str]:
        """The URLs at which this server should serve a stream, by kind: "hls" and "rtmp".

        `stream` may carry Wowza's prefixes (``mp4:``, ``ngrp:``, ``smil:``) and suffixes (``.stream``);
        they stand in the path as they are.  `dvr` asks for the nDVR playlist.
        """
        name = app.strip("/") or self.app or "live"
        instance = "" if self.recipe.instance == DEFAULT_INSTANCE else f"/{self.recipe.instance}"
        base = f"/{name}{instance}/{stream}"
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


def is_hls(file: str) -> bool:
    """Whether a file is of HLS: a master playlist, or what one lists."""
    return is_child(file) or file.endswith(".m3u8")


def is_list(file: str) -> bool:
    """Whether a child is a media playlist."""
    return is_child(file) and file.endswith(".m3u8")


def ids_in(playlist: bytes) -> Ids:
    """The ids that a master playlist gives its children; none where it gives them none, or is no playlist."""
    try:
        listed = children(playlist)
    except RemoteProtocolError:
        return Ids()
    for child in listed:
        path, _, query = child.uri.partition("?")
        if found := ids_of(path.rpartition("/")[2], query):
            return found
    return Ids()
