"""The probe's questions to a Wowza's streaming port: what a cache has to know of its HLS."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urljoin

import trio
from attrs import define, field, frozen

from tierkit.codecs.hls_rewrite import children
from tierkit.http import ClientTimeouts, HttpClient
from tierkit.plugin import Address, Network, RemoteProtocolError, Trust, UpstreamError

from ._client import Answer
from ._counters import product_in
from ._probe_rows import Answers

__all__ = ["HttpProbe", "Target"]

#: Bytes of a playlist, and of a segment's range; a whole segment is never read.
PLAYLIST: Final = 1 << 20
PIECE: Final = 100
#: Requests on one connection.
IN_A_ROW: Final = 12
#: Seconds for one request.
DEADLINE: Final = 10.0
#: An application, a stream and an instance that nobody has.
NOBODY: Final = "tierkit-probe-nobody"

_KEYS: Final = (
    "session-names",
    "session-names-twice",
    "cache-control",
    "headers",
    "media-names",
    "session-idle",
    "session-foreign",
    "head",
    "range",
    "if-modified-since",
    "gzip",
)
#: What announces a media playlist in a master.
_LISTS: Final = ("#EXT-X-STREAM-INF", "")
_ID = re.compile(r"_w[0-9]+(?=[_.])|(?<=wowzasessionid=)[0-9]+")
_OF_INTEREST: Final = (
    b"accept-ranges",
    b"access-control-allow-origin",
    b"age",
    b"content-type",
    b"etag",
    b"expires",
    b"last-modified",
    b"pragma",
    b"set-cookie",
    b"transfer-encoding",
    b"vary",
)


@frozen(kw_only=True)
class Target:
    """The stream that a probe asks about."""

    #: The streaming port, without a path and without credentials.
    base: Address
    app: str
    instance: str
    stream: str
    #: As it was given, behind the question mark: a token perhaps.
    query: str = ""

    @property
    def master(self) -> str:
        """The path of its master playlist."""
        return self.path(self.app, self.instance, self.stream)

    def path(self, app: str, instance: str, stream: str) -> str:
        """The path of another's."""
        return "/" + "/".join(each for each in (app, instance, stream, "playlist.m3u8") if each)


@define
class HttpProbe:
    """Asks the streaming port."""

    network: Network
    clock: Callable[[], float]
    target: Target
    answers: Answers
    trust: Trust | None = None
    #: Seconds to leave a session alone for; 0 is not to.
    idle: float = 0.0
    _http: HttpClient = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._http = self._client()

    def _client(self) -> HttpClient:
        return HttpClient(self.network, self.clock, timeouts=ClientTimeouts(first_byte=DEADLINE), idle_connections=1)

    async def run(self) -> None:
        """Ask everything; what fails is a row without an answer."""
        try:
            await self._nobodys()
            await self._in_a_row()
            await self._stream()
        finally:
            self._http.close()

    # --- the stream ------------------------------------------------------------------------------

    async def _stream(self) -> None:
        try:
            first = await self._ask(self.target.master, self.target.query)
            if first.status != 200:
                self.answers.cannot(f"the master playlist answers {first.status}: give a stream that is on air", *_KEYS)
                return
            second = await self._ask(self.target.master, self.target.query)
            await self._children(first, second)
        except (UpstreamError, RemoteProtocolError) as error:
            self.answers.cannot(_told(error), *_KEYS)

    async def _children(self, first: Answer, second: Answer) -> None:
        names = [[child.uri for child in children(each.body) if child.tag in _LISTS] for each in (first, second)]
        if not names[0]:
            self.answers.cannot("the master playlist names no children", *_KEYS)
            return
        self._named(names[0], names[1])
        playlist = await self._ask_url(first.url, names[0][0])
        listed = children(playlist.body) if playlist.status == 200 else ()
        segments = [child.uri for child in listed if child.tag == "#EXTINF"]
        self.answers.say("cache-control", f"master {_cache(first)}")
        self.answers.say("cache-control", f"media playlist {playlist.status} {_cache(playlist)}")
        self.answers.say("headers", f"master {_fields(first)}")
        await self._conditions(first, playlist)
        await self._foreign(first.url, names[0][0])
        if segments:
            await self._segment(playlist.url, segments)
        else:
            self.answers.cannot(f"the media playlist ({playlist.status}) lists no segments", "media-names", "range")
        await self._idle(first.url, names[0][0], playlist.url, segments)

    def _named(self, first: list[str], second: list[str]) -> None:
        ids = [_ID.findall(" ".join(each)) for each in (first, second)]
        kind = "none" if not ids[0] else "_w in names" if ids[0][0].startswith("_w") else "?wowzasessionid="
        digits = ", ".join(sorted({str(len(each.removeprefix("_w"))) for each in ids[0]}))
        self.answers.say("session-names", f"{kind}{f', {digits} digits' if digits else ''}: {first[0]}")
        if first == second:
            said = "the same: origin mode" + (", with an id that stays" if ids[0] else "")
        else:
            plain = [[_ID.sub("", name) for name in each] for each in (first, second)]
            said = "others, but for the ids the same" if plain[0] == plain[1] else "others"
        self.answers.say("session-names-twice", said)

    async def _conditions(self, master: Answer, playlist: Answer) -> None:
        said = []
        for name, path in (("master", master), ("media playlist", playlist)):
            got = await self._ask(path.url.path, path.url.query, method="HEAD")
            said.append(f"{name} {got.status}, Content-Length {got.text(b'content-length') or 'not said'}")
        self.answers.say("head", "; ".join(said))
        later = (b"If-Modified-Since", b"Fri, 01 Jan 2038 00:00:00 GMT")
        got = await self._ask(playlist.url.path, playlist.url.query, later)
        self.answers.say("if-modified-since", f"{got.status} for a media playlist and a date to come")
        got = await self._ask(playlist.url.path, playlist.url.query, (b"Accept-Encoding", b"gzip"))
        coding, vary = got.text(b"content-encoding") or "none", got.text(b"vary") or "none"
        self.answers.say("gzip", f"{got.status}, Content-Encoding {coding}, Vary {vary}")

    async def _foreign(self, base: Address, child: str) -> None:
        if not _ID.search(child):
            self.answers.cannot("names have no ids here", "session-foreign")
            return
        got = await self._ask_url(base, re.sub(r"(?<=_w)[0-9]+(?=[_.])|(?<=wowzasessionid=)[0-9]+", "1", child))
        self.answers.say("session-foreign", f"{got.status}, Cache-Control {_cache(got)}, {len(got.body)} bytes")

    async def _segment(self, base: Address, segments: list[str]) -> None:
        last = segments[-1]
        got = await self._ask_url(base, last, whole=False)
        self.answers.say("cache-control", f"segment {got.status} {_cache(got)}")
        self.answers.say("headers", f"segment {_fields(got)}")
        self.answers.say("media-names", f"{len(segments)} segments, the last is {last.partition('?')[0]}")
        head = await self._ask(got.url.path, got.url.query, method="HEAD")
        self.answers.say("head", f"segment {head.status}, Content-Length {head.text(b'content-length') or 'not said'}")
        part = await self._ask(got.url.path, got.url.query, (b"Range", b"bytes=0-%d" % (PIECE - 1)), whole=False)
        said = part.text(b"content-range") or "none"
        length = part.text(b"content-length") or "not said"
        self.answers.say("range", f"{part.status}, Content-Range {said}, Content-Length {length}")

    async def _idle(self, base: Address, child: str, media: Address, segments: list[str]) -> None:
        if not self.idle:
            self.answers.cannot("that takes minutes of waiting: give --idle S to wait S seconds", "session-idle")
            return
        await trio.sleep(self.idle)
        said = [f"playlist {(await self._ask_url(base, child)).status}"]
        if segments:
            said.append(f"segment of before {(await self._ask_url(media, segments[-1], whole=False)).status}")
        self.answers.say("session-idle", f"after {self.idle:g} s without a request: {', '.join(said)}")

    # --- what is nobody's ------------------------------------------------------------------------

    async def _nobodys(self) -> None:
        target = self.target
        for key, path in (
            ("unknown-stream", target.path(target.app, target.instance, NOBODY)),
            ("unknown-instance", target.path(target.app, NOBODY, target.stream)),
            ("unknown-application", target.path(NOBODY, "", target.stream)),
        ):
            try:
                got = await self._ask(path)
            except UpstreamError as error:
                self.answers.cannot(_told(error), key)
                continue
            self.answers.say(key, f"{got.status}, {len(got.body)} bytes, Cache-Control {_cache(got)}")
            if key == "unknown-stream":
                self.answers.say("cache-control", f"{got.status} {_cache(got)}")

    async def _in_a_row(self) -> None:
        """Several requests one after the other, and on how many connections they went."""
        client = self._client()
        try:
            got = None
            for _ in range(IN_A_ROW):
                got = await self._ask("/", client=client)
            assert got is not None
            fields = ", ".join(
                f"{name.decode().title()} {got.text(name)}" for name in (b"connection", b"keep-alive") if got.text(name)
            )
            said = f"{IN_A_ROW} requests on {client.connected} connections{f', {fields}' if fields else ''}"
            self.answers.say("keep-alive", said)
            product = product_in(got.body) or f"status {got.status}, {len(got.body)} bytes without a product's name"
            self.answers.say("version", f"Server {got.text(b'server') or 'not said'}, page: {product}")
        except UpstreamError as error:
            self.answers.cannot(_told(error), "keep-alive", "version")
        finally:
            client.close()

    # --- asking ----------------------------------------------------------------------------------

    async def _ask_url(self, base: Address, uri: str, *, whole: bool = True) -> Answer:
        """A child by its URI, on this server alone."""
        here = f"{base.scheme}://{base.authority}"
        try:
            joined = urljoin(f"{here}{base.target}", uri)
        except ValueError:
            raise UpstreamError(here, "names a child that is no URI") from None
        if not joined.startswith(f"{here}/"):
            raise UpstreamError(here, "names a child on another server, which is not asked")
        path, _, query = joined.removeprefix(here).partition("?")
        return await self._ask(path, query, whole=whole)

    async def _ask(
        self,
        path: str,
        query: str = "",
        *fields: tuple[bytes, bytes],
        method: str = "GET",
        whole: bool = True,
        client: HttpClient | None = None,
    ) -> Answer:
        """One request; the body too, unless `whole` is False: then its beginning at most."""
        url = self.target.base.with_(path=path, query=query)
        headers = [(b"User-Agent", b"tierkit"), (b"Accept", b"*/*"), *fields]
        with trio.move_on_after(DEADLINE):
            async with (client or self._http).request(method, url, headers, trust=self.trust) as response:
                body = await (response.read(PLAYLIST) if whole else response.read_some(PIECE))
                return Answer(url, response.status, response.headers, body)
        raise UpstreamError(f"{url.scheme}://{url.authority}", f"has not answered within {DEADLINE:g} s")


def _cache(got: Answer) -> str:
    return got.text(b"cache-control") or "none"


def _fields(got: Answer) -> str:
    return ", ".join(f"{name.decode()} {got.text(name)}" for name in _OF_INTEREST if got.text(name)) or "none"


def _told(error: Exception) -> str:
    return getattr(error, "reason", "") or str(error)
