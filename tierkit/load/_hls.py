"""HLS viewers: playlists reloaded as players do, segments read or dropped, and the picture's buffer beside it.

Every viewer has one connection (one more for each other host that a playlist names) and fetches one thing at a
time.  It starts three segments from the end of a live playlist (RFC 8216 section 6.3.3) and reloads it a target
duration after it has last asked, half of one when nothing had changed (6.3.4).  What has left the window before it
was fetched is a "gap", and so is what the server lists as one.  A playlist that ends before what was fetched already
is counted ("sequence went back"); where it overlaps the last one it is a stale copy and is waited out, as players
do, else the server began anew, and so does the viewer.
"""

from __future__ import annotations

import time
from functools import lru_cache

import trio

from tierkit import Address, Trust
from tierkit.errors import AddressError, RemoteProtocolError, TierkitError

from ._http import Answer, HttpConnection
from ._mpegts import Continuity, summarise
from ._playback import Playback
from ._playlist import Part, Playlist, join, parse
from ._report import Report, Tally
from ._run import RETRY, attend, check_numbers, raise_descriptor_limit
from ._wire import FAILURES, Refused, Target, kind_of, reachable, told

__all__ = ["run_hls"]

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_MAX_REDIRECTS = 5
#: Seconds that a player loads ahead: hls.js's maxBufferLength.  Only a recording lets it come so far.
_MAX_AHEAD = 30.0


async def run_hls(
    url: str | Address,
    *,
    viewers: int,
    seconds: float,
    ramp: float = 0,
    read_every: int = 20,
    trust: Trust | None = None,
) -> Report:
    """Watch an HLS stream with many viewers.

    Args:
        url: of a multivariant playlist, whose first variant is watched, or of a media playlist.
        viewers: how many; thousands are fine.
        seconds: how long the whole audience watches.
        ramp: seconds over which they come, evenly; before `seconds` begin.
        read_every: every nth reads what it gets and checks its continuity, the others drop segments in the kernel
            (TLS and chunked bodies are always read); 0 for none.
        trust: how the server's certificate is verified.

    Raises:
        TierkitError: the stream cannot be watched at all, found by one viewer before all others.
    """
    check_numbers(viewers, seconds, ramp, read_every)
    address = Address.parse(url)
    if address.scheme not in ("http", "https") or address.unix or address.wildcard:
        raise AddressError(f"{address} cannot be watched over HLS: write http://HOST:PORT/PATH.m3u8, or https")
    raise_descriptor_limit(viewers)
    house = _House(trust)
    await _probe(house, address)
    tally = house.tally = Tally()
    begin = join(address.reveal(), "")

    def make(number: int) -> HlsViewer:
        return HlsViewer(house, begin, reads=read_every > 0 and number % read_every == 0)

    return await attend(make, tally, viewers=viewers, seconds=seconds, ramp=ramp)


async def _probe(house: _House, address: Address) -> None:
    viewer = HlsViewer(house, join(address.reveal(), ""), reads=True)
    try:
        await viewer.load()
    except FAILURES as error:
        raise TierkitError(f"{address} cannot be watched: {told(error)}") from None
    finally:
        viewer.leave(trio.current_time())


class _House:
    """What all viewers of a run share: the tally, and where each server is, looked up once."""

    def __init__(self, trust: Trust | None) -> None:
        self.tally = Tally()
        #: Wall time at zero of the event loop's clock: read once, so that a step of the former changes nothing.
        self.wall = time.time() - trio.current_time()
        self._trust = trust
        self._found: dict[str, Target] = {}

    async def connection(self, address: Address) -> HttpConnection:
        where = f"{address.scheme}://{address.authority}"
        if where not in self._found:
            self._found[where] = await reachable(address, self._trust)
        return HttpConnection(self._found[where], address.authority, self.tally)


@lru_cache(maxsize=4096)
def _address(url: str) -> Address:
    return Address.parse(url)


class HlsViewer:
    """One viewer, reading what it gets or not."""

    def __init__(self, house: _House, url: str, *, reads: bool) -> None:
        self._house = house
        self._tally = house.tally
        self._first_url = url
        self._url = ""  # of the media playlist, once it is known
        self._reads = reads
        self._connections: dict[str, HttpConnection] = {}
        self._playback = Playback()
        self._continuity = Continuity()
        self._next: int | None = None  # media sequence number
        self._init = ""  # URL of the initialisation section that it has
        self._live = False  # what is fetched has only just been listed
        self._begun = trio.current_time()
        self._finished = False
        self._seen = False  # anything at all: a segment, or a failure
        self._tally.playbacks.append(self._playback)

    async def watch(self) -> None:
        """Until cancelled, or until a playlist's end."""
        self._begun = trio.current_time()
        previous: Playlist | None = None
        while not self._finished:
            asked = trio.current_time()
            try:
                playlist = await self.load()
            except FAILURES as error:
                self._fail(kind_of(error))
                self._url = ""
                await trio.sleep(RETRY)
                continue
            await self._play(playlist)
            if playlist.ended:
                self._finished = True
                self._playback.end(trio.current_time())
                return
            # RFC 8216 section 6.3.4, from when it was asked for.
            wait = playlist.target_duration / (2 if playlist is previous else 1)
            previous = playlist
            await trio.sleep_until(asked + wait)

    def waiting(self) -> int:
        """Bytes of a body that have come and were not looked at."""
        return sum(each.waiting() for each in self._connections.values())

    def leave(self, now: float) -> None:
        """Count a stall that still lasts, and a viewer who never saw anything."""
        for each in self._connections.values():
            each.close()
        self._playback.check(now)
        if not self._seen:
            self._fail("nothing came")

    async def load(self) -> Playlist:
        """The media playlist as it is now.  Raises what `_get` does, and RemoteProtocolError for no playlist."""
        url = self._url or self._first_url
        for _ in range(2):
            url, answer = await self._get(url, keep=True)
            playlist = parse(answer.body, url)
            if not playlist.variant:
                self._url = url
                return playlist
            url = playlist.variant
        raise RemoteProtocolError("the multivariant playlist leads to another one")

    async def _play(self, playlist: Playlist) -> None:
        last = playlist.media_sequence + len(playlist.parts)
        # What was listed before we came is as old as it must be: it says nothing of the delivery's latency.
        self._live = self._next is not None
        if self._next is None:
            self._next = playlist.first
        elif last < self._next:
            if self._next <= last + len(playlist.parts):
                self._fail("sequence went back")
                return
            self._lost("sequence went back")
            self._next = playlist.first
        elif self._next < playlist.media_sequence:
            self._lost("gap")
            self._next = playlist.media_sequence
        while self._next < last:
            part = playlist.parts[self._next - playlist.media_sequence]
            self._next += 1
            await self._segment(part)

    async def _segment(self, part: Part) -> None:
        if (ahead := self._playback.ahead(trio.current_time())) > _MAX_AHEAD:
            await trio.sleep(ahead - _MAX_AHEAD)
        if part.discontinuity:
            self._continuity.restart()
        if part.missing:
            self._lost("gap")
            return
        try:
            if part.init and part.init != self._init:
                await self._get(part.init, keep=False)
                self._init = part.init
            _, answer = await self._get(part.url, keep=self._reads)
        except FAILURES as error:
            self._lost(kind_of(error))
            return
        now = trio.current_time()
        if not self._playback.started:
            self._tally.startups.append(now - self._begun)
        self._seen = True
        self._playback.received(now, part.duration)
        if self._reads:
            self._check(part, answer)

    def _check(self, part: Part, answer: Answer) -> None:
        if self._live and part.ends_at is not None:
            self._tally.latencies.append(self._house.wall + trio.current_time() - part.ends_at)
        # Packed audio, fMP4 and what is encrypted have no counters to look at.
        if not part.encrypted and (answer.body[:1] == b"\x47" or part.url.partition("?")[0].endswith(".ts")):
            for problem in self._continuity.segment(summarise(answer.body)):
                self._fail(problem)

    def _lost(self, kind: str) -> None:
        """Media is missing, and what comes next does not continue what was there."""
        self._fail(kind)
        self._continuity.restart()

    def _fail(self, kind: str) -> None:
        self._seen = True
        self._tally.errors[kind] += 1

    async def _get(self, url: str, *, keep: bool) -> tuple[str, Answer]:
        """The answer, and where it was in the end.  Raises OSError, TooSlowError, TierkitError; Refused but for 200."""
        for _ in range(_MAX_REDIRECTS):
            address = _address(url)
            if address.scheme not in ("http", "https"):
                raise RemoteProtocolError(f"{address} is no http or https URL")
            where = f"{address.scheme}://{address.authority}"
            connection = self._connections.get(where)
            if connection is None:
                connection = self._connections[where] = await self._house.connection(address)
            answer = await connection.get(address.target, keep=keep)
            if answer.status in _REDIRECTS and answer.location:
                url = join(url, answer.location)
                continue
            if answer.status != 200:
                raise Refused(
                    f"http {answer.status}", f"the server answers {answer.status} for {address}: check the path"
                )
            return url, answer
        raise Refused("redirects", f"more than {_MAX_REDIRECTS} redirects, the last to {_address(url)}")
