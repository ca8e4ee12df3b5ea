"""Players that know for certain when their picture stands still, on the network in memory.

They behave as the load tool's viewers do (three segments from the end, the playlist again after a target duration, one
thing at a time), and besides they pause, zap, leave and come back.  The truth is `tierkit.load.Playback`.
"""

from __future__ import annotations

import math
from random import Random

import trio
from attrs import define, field

from tests.support_http import Viewer
from tierkit import Address
from tierkit.errors import ConnectionLost
from tierkit.load import Playback
from tierkit.load._playlist import Playlist, parse
from tierkit.testing import MemoryNetwork

#: Seconds ahead of the picture that a player loads.
AHEAD = 30.0


class Screen(Playback):
    """Playback that can be paused: then neither clock nor media goes on."""

    def paused(self, seconds: float) -> None:
        """It was."""
        if self._base is not None:
            self._base += seconds


@define(kw_only=True, eq=False)
class Player:
    """One person before a screen."""

    network: MemoryNetwork
    base: str
    streams: tuple[str, ...]
    source: str
    random: Random
    #: Says with each segment who it is, and how its buffer stands.
    cmcd: bool = False
    #: Seconds into its time at which it pauses, and for how long; at which it zaps; at which it leaves.
    pauses: tuple[tuple[float, float], ...] = ()
    zaps: tuple[float, ...] = ()
    stays: float = math.inf
    #: Asks by a connection for each request.
    fickle: bool = False
    #: While it is paused it goes on asking for the playlist.
    polls: bool = False
    screens: list[Screen] = field(factory=list)
    ports: set[int] = field(factory=set)
    begun: float = 0.0
    errors: int = 0
    _viewer: Viewer | None = None
    _told_stalls: int = 0
    _paused_until: float = 0.0
    _stream: int = 0
    _next: int | None = None

    @property
    def stalls(self) -> int:
        """How often its picture has stood still."""
        return sum(each.stalls for each in self.screens)

    @property
    def sid(self) -> str:
        """Of its session."""
        return f"s{id(self):x}"

    async def watch(self) -> None:
        """Until it leaves, or is cancelled."""
        self.begun = trio.current_time()
        self.screens.append(Screen())
        try:
            with trio.move_on_after(self.stays):
                await self._watch()
        finally:
            self._hang_up()

    def leave(self) -> None:
        """The run is over: a stall that still lasts counts."""
        now = trio.current_time()
        if self.stays == math.inf:
            self.screens[-1].check(now)

    async def _watch(self) -> None:
        pauses, zaps = list(self.pauses), list(self.zaps)
        previous: Playlist | None = None
        while True:
            asked = trio.current_time()
            if zaps and asked - self.begun >= zaps[0]:
                zaps.pop(0)
                self._zap()
                previous = None
            if pauses and asked - self.begun >= pauses[0][0]:
                await self._pause(pauses.pop(0)[1])
                asked = trio.current_time()
            playlist = await self._playlist()
            if playlist is None:
                await trio.sleep(1.0)
                continue
            await self._play(playlist)
            wait = playlist.target_duration / (2 if playlist is previous else 1)
            previous = playlist
            await trio.sleep_until(asked + wait)

    def _zap(self) -> None:
        self.screens[-1].check(trio.current_time())
        self._stream = (self._stream + 1) % len(self.streams)
        self._next = None
        self.screens.append(Screen())
        self._told_stalls = 0

    async def _pause(self, seconds: float) -> None:
        begun = trio.current_time()
        self.screens[-1].check(begun)
        while self.polls and trio.current_time() + 1.0 < begun + seconds:
            await self._playlist()
            await trio.sleep(1.0)
        await trio.sleep_until(begun + seconds)
        self.screens[-1].paused(trio.current_time() - begun)
        if seconds > 6:  # players go to the live edge then
            self._next = None
            self.screens[-1].end(trio.current_time())

    @property
    def _folder(self) -> str:
        return f"/live/{self.streams[self._stream]}"

    async def _playlist(self) -> Playlist | None:
        path = f"{self._folder}/playlist.m3u8"
        body = await self._get(path + (f"?CMCD=sid%3D%22{self.sid}%22" if self.cmcd else ""))
        return None if body is None else parse(body, f"{self.base}{path}")

    async def _play(self, playlist: Playlist) -> None:
        last = playlist.media_sequence + len(playlist.parts)
        if self._next is None or last < self._next:
            self._next = playlist.first
        self._next = max(self._next, playlist.media_sequence)
        while self._next < last:
            part = playlist.parts[self._next - playlist.media_sequence]
            self._next += 1
            if (ahead := self.screens[-1].ahead(trio.current_time())) > AHEAD:
                await trio.sleep(ahead - AHEAD)
            if await self._get(Address.parse(part.url).path + self._says()) is not None:
                self.screens[-1].received(trio.current_time(), part.duration)

    def _says(self) -> str:
        if not self.cmcd:
            return ""
        screen, now = self.screens[-1], trio.current_time()
        screen.check(now)
        # As a player knows it: whether it has stood still since it asked last, and what is left in its buffer.
        starved = "bs%2C" if screen.stalls > self._told_stalls else ""
        self._told_stalls = screen.stalls
        left = round(max(0.0, screen.ahead(now)) * 10) * 100
        return f"?CMCD=bl%3D{left}%2C{starved}sid%3D%22{self.sid}%22"

    async def _get(self, path: str) -> bytes | None:
        try:
            if self._viewer is None:
                address = Address.parse(self.base)
                self._viewer = Viewer(await self.network.connect(address, source=self.source))
                self.ports.add(self.network.connections[-1].source.port)
            answer = await self._viewer.ask(path, "User-Agent: player")
        except (ConnectionLost, EOFError):
            self.errors += 1
            self._hang_up()
            return None
        if self.fickle:
            self._hang_up()
        if answer.status != 200:
            self.errors += 1
            return None
        return answer.body

    def _hang_up(self) -> None:
        if self._viewer is not None:
            self._viewer.connection.close()
            self._viewer = None
