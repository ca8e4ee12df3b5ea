"""One HLS viewer: playlists reloaded as players do, segments read or dropped, and the picture's buffer beside it.

Every viewer has one connection (one more for each other host that a playlist names) and fetches one thing at a time:
of the variant that it watches and, where that has its sound in a playlist of its own, of both in turn, the one of which
it has less first.  Subtitles and pictures for seeking are not fetched.  Its picture has the media that it has of both,
and begins with the first segment, as hls.js has it.  `_hls_track` says where it starts, `_abr` which variant it
watches.
"""

from __future__ import annotations

import uuid
from functools import lru_cache
from typing import Protocol

import trio

from tierkit import Address
from tierkit.errors import RemoteProtocolError

from ._abr import Choice, Estimate, choose
from ._cmcd import Cmcd, ObjectType, in_fields, said, with_query
from ._hls_track import Track
from ._http import Answer, HttpConnection
from ._mpegts import summarise
from ._playback import Playback
from ._playlist import Part, Playlist, Variant, join, parse
from ._report import Tally
from ._run import RETRY
from ._watched import Watched
from ._wire import FAILURES, Refused, kind_of

__all__ = ["HlsHouse", "HlsViewer"]

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_MAX_REDIRECTS = 5
#: Seconds that a player loads ahead: hls.js's maxBufferLength.  Only a recording lets it come so far.
_MAX_AHEAD = 30.0


class HlsHouse(Protocol):
    """What all viewers of a run share."""

    tally: Tally
    #: Wall time at zero of the event loop's clock: read once, so that a step of the former changes nothing.
    wall: float
    url: str
    choice: Choice
    cmcd: Cmcd

    async def connection(self, address: Address) -> HttpConnection:
        """To where a URL leads."""


@lru_cache(maxsize=4096)
def _address(url: str) -> Address:
    return Address.parse(url)


class HlsViewer:
    """One viewer, reading what it gets or not."""

    def __init__(self, house: HlsHouse, number: int, *, reads: bool) -> None:
        self._house = house
        self._tally = house.tally
        self._number = number
        self._reads = reads
        self._session = str(uuid.uuid4())
        self._connections: dict[str, HttpConnection] = {}
        self._playback = Playback()
        self._variants: tuple[Variant, ...] = ()
        self._variant = 0
        self._estimate = Estimate()
        self._tracks: list[Track] = []  # picture, or both; then sound
        self._given = 0.0  # seconds of media that playback has
        self._told_frozen = 0.0  # seconds of standing still that CMCD has told of
        self._begun = trio.current_time()
        self._seen = False  # anything at all: a segment, or a failure
        self._tally.playbacks.append(self._playback)

    async def watch(self) -> None:
        """Until cancelled, or until a playlist's end."""
        self._begun = trio.current_time()
        while True:
            asked = trio.current_time()
            try:
                await self.load()
            except FAILURES as error:
                self._fail(kind_of(error))
                self._variants = ()
                await trio.sleep(RETRY)
                continue
            while await self._fetch():
                pass
            if all(track.ended for track in self._tracks):
                self._playback.end(trio.current_time())
                return
            await trio.sleep_until(asked + min(track.wait for track in self._tracks))

    async def load(self) -> None:
        """The media playlists as they are now.  Raises what `_get` does, and RemoteProtocolError for no playlist."""
        known = await self._enter() if not self._variants else None
        for track in self._tracks:
            track.listed(known or await self._media_playlist(track.url))

    def look(self, now: float) -> None:
        """Give up what has been silent for too long, and see a stall while it lasts."""
        self._playback.check(now)
        for each in self._connections.values():
            each.look(now)

    def waiting(self) -> int:
        """Bytes of a body that have come and were not looked at."""
        return sum(each.waiting() for each in self._connections.values())

    def neglected(self) -> int:
        """Bytes that wait although they are enough to be looked at."""
        return sum(each.neglected() for each in self._connections.values())

    def leave(self, now: float) -> Watched:
        """Count a stall that still lasts, and a viewer who never saw anything."""
        local = tuple(place for each in self._connections.values() for place in each.local)
        for each in self._connections.values():
            each.close()
        self._playback.check(now)
        if not self._seen:
            self._fail("nothing came")
        wall = self._house.wall
        return Watched(
            viewer=self._number,
            reads=self._reads,
            session=self._session,
            local=local,
            joined=round(wall + self._begun, 3),
            left=round(wall + now, 3),
            **self._playback.told(wall),
        )

    # What it watches

    async def _enter(self) -> Playlist | None:
        """Find the playlists to watch, and what the only one of them says where it was asked for by name.

        Of a stream that is known the viewer goes on where it was.
        """
        url, playlist = await self._playlist(self._house.url)
        self._variants = playlist.variants or (Variant(url, 0),)
        bandwidths = [each.bandwidth for each in self._variants]
        self._variant = choose(bandwidths, self._house.choice, bits=self._estimate.bits)
        self._tune(self._variants[self._variant])
        return None if playlist.variants else playlist

    def _tune(self, variant: Variant) -> None:
        """Have the tracks of this variant."""
        wanted = [(variant.url, variant.bandwidth), *([(variant.audio, 0)] if variant.audio else [])]
        for index, (url, bandwidth) in enumerate(wanted):
            if index == len(self._tracks):
                self._tracks.append(Track(url, self._fail, bandwidth, media=self._given))
            elif self._tracks[index].url != url:
                self._tracks[index].switch(url, bandwidth)
        del self._tracks[len(wanted) :]

    async def _adapt(self) -> None:
        """Another variant, where that is better now.  Raises what `load` does."""
        if len(self._variants) < 2 or self._house.choice != "abr":
            return
        bandwidths = [each.bandwidth for each in self._variants]
        better = choose(bandwidths, "abr", bits=self._estimate.bits, present=self._variant)
        if better == self._variant:
            return
        self._tally.switches["up" if bandwidths[better] > bandwidths[self._variant] else "down"] += 1
        self._variant = better
        before = [track.url for track in self._tracks]
        self._tune(self._variants[better])
        for index, track in enumerate(self._tracks):
            if track.url not in before[index : index + 1]:
                track.listed(await self._media_playlist(track.url))

    # What it fetches

    async def _fetch(self) -> bool:
        """The next segment of what it has least of; False where nothing is left."""
        ready = [(track.media, index) for index, track in enumerate(self._tracks) if track.peek() is not None]
        if not ready:
            return False
        if (ahead := self._playback.ahead(trio.current_time())) > _MAX_AHEAD:
            await trio.sleep(ahead - _MAX_AHEAD)
        _, index = min(ready)
        track = self._tracks[index]
        part = track.peek()
        assert part is not None
        track.take(part)
        if part.missing:
            track.lost("gap")
            return True
        try:
            await self._segment(track, part, index)
            if index == 0:
                await self._adapt()
        except FAILURES as error:
            track.lost(kind_of(error))
        return True

    async def _segment(self, track: Track, part: Part, index: int) -> None:
        kind: ObjectType = "a" if index else "v" if len(self._tracks) > 1 else "av"
        if part.init and part.init != track.init:
            await self._get(part.init, "i", keep=False)
            track.init = part.init
        asked = trio.current_time()
        _, answer = await self._get(part.url, kind, keep=self._reads, track=track, part=part)
        now = trio.current_time()
        self._estimate.downloaded(answer.size, now - asked)
        self._seen = True
        track.media += part.duration
        track.size = answer.size
        if not index and len(self._variants) > 1:
            self._tally.variants[track.bandwidth] += 1
        self._play(now)
        if self._reads:
            self._check(track, part, answer)

    def _play(self, now: float) -> None:
        """Give playback what is there of picture and sound."""
        both = min(track.media for track in self._tracks)
        if both <= self._given:
            return
        if not self._playback.started and not self._given:
            self._tally.startups.append(now - self._begun)
        self._playback.received(now, both - self._given)
        self._given = both

    def _check(self, track: Track, part: Part, answer: Answer) -> None:
        if track.live and part.ends_at is not None:
            self._tally.latencies.append(self._house.wall + trio.current_time() - part.ends_at)
        # Packed audio, fMP4 and what is encrypted have no counters to look at.
        if not part.encrypted and (answer.body[:1] == b"\x47" or part.url.partition("?")[0].endswith(".ts")):
            for problem in track.continuity.segment(summarise(answer.body)):
                self._fail(problem)

    def _fail(self, kind: str) -> None:
        self._seen = True
        self._tally.errors[kind] += 1

    # How it asks

    async def _media_playlist(self, url: str) -> Playlist:
        _, playlist = await self._playlist(url)
        if playlist.variants:
            raise RemoteProtocolError("the multivariant playlist leads to another one")
        return playlist

    async def _playlist(self, url: str) -> tuple[str, Playlist]:
        url, answer = await self._get(url, "m", keep=True)
        return url, parse(answer.body, url)

    async def _get(
        self, url: str, kind: ObjectType, *, keep: bool, track: Track | None = None, part: Part | None = None
    ) -> tuple[str, Answer]:
        """The answer, and where it was in the end.  Raises OSError, TooSlowError, TierkitError; Refused but for 200."""
        keys = self._said(kind, track, part) if self._house.cmcd != "none" else None
        for _ in range(_MAX_REDIRECTS):
            address = _address(url)
            if address.scheme not in ("http", "https"):
                raise RemoteProtocolError(f"{address} is no http or https URL")
            where = f"{address.scheme}://{address.authority}"
            connection = self._connections.get(where)
            if connection is None:
                connection = self._connections[where] = await self._house.connection(address)
            target, fields = address.target, ""
            if keys is not None and self._house.cmcd == "query":
                target = with_query(target, keys)
            elif keys is not None:
                fields = in_fields(keys)
            answer = await connection.get(target, keep=keep, fields=fields, likely=track.size if track else 0)
            if answer.status in _REDIRECTS and answer.location:
                url = join(url, answer.location)
                continue
            if answer.status != 200:
                raise Refused(
                    f"http {answer.status}", f"the server answers {answer.status} for {address}: check the path"
                )
            return url, answer
        raise Refused("redirects", f"more than {_MAX_REDIRECTS} redirects, the last to {_address(url)}")

    def _said(self, kind: ObjectType, track: Track | None, part: Part | None) -> dict[str, str]:
        live = not any(each.ended for each in self._tracks)
        if track is None or part is None:
            return said(self._session, kind, live=live)
        now = trio.current_time()
        self._playback.check(now)
        frozen, self._told_frozen = self._playback.frozen - self._told_frozen, self._playback.frozen
        buffered = self._playback.buffered(now)
        return said(
            self._session,
            kind,
            live=live,
            kbps=track.bandwidth // 1000,
            duration=part.duration,
            buffered=buffered,
            starved=frozen > 0,
            hurry=buffered <= 0,
        )
