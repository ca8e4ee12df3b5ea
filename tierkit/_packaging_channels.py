"""HLS out of a tier's streams, over HTTP: which of them are packaged, from when on, and what a request gets.

* A channel is a stream and its packager.  One begins with its stream, or when its playlist is first asked for, as the
  service has it.
* A playlist that has no segment yet is held back until the first is there, for `first_wait` seconds at most, then
  answered 404 (not to be stored).
* A stream whose publisher has left keeps its playlist for as long as the tier keeps the stream.
* Media sequence numbers begin at the Unix time of the channel's first segment.  As segments last a second or more, a
  name that comes back, even after this process was started again, has higher ones; caches and players never see one
  name with two contents.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from urllib.parse import unquote

import trio

from ._events import StreamFault
from ._packaging_answer import answer, cors_headers, refuse_method
from ._packaging_figures import PackagerStatistics, Packaging
from ._packaging_packager import Packager
from ._packaging_window import CHUNKLIST, PLAYLIST
from ._plugin import Context
from ._ports import Connection
from .codecs.rtmp_url import route
from .errors import RemoteProtocolError
from .http import Request, Response, serve_http, text_response
from .live import Stream, Streams

__all__ = ["Channel", "Channels"]

#: Seconds between looks at what has gone off air or is no longer asked for.
_LOOK = 0.25


class Channel:
    """One stream and its HLS.  It is an audience of the stream while `watches` says so.

    Attributes:
        asked: when somebody last asked for it, on the tier's clock.
    """

    def __init__(self, stream: Stream, packager: Packager, now: float, watches: Callable[[], bool]) -> None:
        self.stream = stream
        self.packager = packager
        self.asked = now
        self._news = trio.Event()
        self._splices = stream.splices
        self._unsubscribe = stream.subscribe(self._receive)
        self._unwatch = stream.watch(watches)

    def _receive(self, type_id: int, timestamp: int, payload: bytes) -> None:
        if self.stream.splices != self._splices:
            # Another publisher, or the off-air clip: this is the first of its messages.
            self._splices = self.stream.splices
            self.packager.restart()
        self.packager.receive(type_id, timestamp, payload)

    def follow(self) -> None:
        """See whether there is nothing to show any more."""
        if not self.stream.playable:
            self.packager.finish()

    async def wait(self) -> None:
        """Until there is another segment, or none will come."""
        await self._news.wait()

    def wake(self) -> None:
        """Let those who wait for the next segment look again."""
        self._news.set()
        self._news = trio.Event()

    def close(self) -> None:
        """Take no more of the stream."""
        self._unsubscribe()
        self._unwatch()
        self.wake()


class Channels:
    """The channels of one service.  Run `look_after` beside it.

    Args:
        at_once: whether a stream of this name is packaged for as long as it is on air; the others are when they are
            asked for, and until nobody has for `idle` seconds.

    Attributes:
        packaging, first_wait, cors, idle: may be changed; what is packaged already stays as it began.
        audience: seconds for which somebody who has asked counts as one for whom the off-air clip goes on.
        standing: opens a stream that nobody has published yet, where it is a programme all the same.
        connections: over HTTP, now.
        requests: answered so far; not_found: those of them for what is not there.
    """

    def __init__(
        self,
        ctx: Context,
        live: Streams,
        packaging: Packaging,
        *,
        first_wait: float,
        cors: str = "*",
        at_once: Callable[[str], bool] = lambda name: True,
        idle: float = math.inf,
    ) -> None:
        self.packaging = packaging
        self.first_wait = first_wait
        self.cors = cors
        self.at_once = at_once
        self.idle = idle
        self.audience = 60.0
        self.standing: Callable[[str], Stream | None] = lambda name: None
        self.connections = self.requests = self.not_found = 0
        self._ctx = ctx
        self._live = live
        self._channels: dict[str, Channel] = {}
        #: Above every sequence number given so far.
        self._sequence = 0

    def __iter__(self) -> Iterator[Channel]:
        return iter(tuple(self._channels.values()))

    def __len__(self) -> int:
        return len(self._channels)

    @property
    def bytes_kept(self) -> int:
        """Bytes of all segments that are kept now."""
        return sum(each.packager.window.bytes for each in self)

    def statistics(self) -> tuple[tuple[Stream, PackagerStatistics], ...]:
        """Each stream that is packaged, and what became of it."""
        return tuple((each.stream, each.packager.statistics()) for each in self)

    # --- what is asked for ------------------------------------------------------------------------

    async def handle(self, connection: Connection) -> None:
        """Speak HTTP with one viewer."""
        self.connections += 1
        try:
            await serve_http(connection, self.answer, log=self._ctx.access_log)
        finally:
            self.connections -= 1

    async def answer(self, request: Request) -> Response:
        """Answer one HTTP request for ``/APP/NAME/FILE``."""
        self.requests += 1
        if (refusal := refuse_method(request, cors=self.cors)) is not None:
            return refusal
        name, file = _split(request.path)
        channel = self._channels.get(name) or self._begin_for(name, file)
        if channel is None:
            return self._nothing(f"nobody publishes {name}" if name else f"ask for /APP/NAME/{PLAYLIST}")
        channel.asked = self._ctx.clock()
        if file in (PLAYLIST, CHUNKLIST):
            await self._until_ready(channel)
        found = answer(request, channel.packager.window, file, cors=self.cors)
        if found is None:
            return self._nothing(f"{name} has no {file}, or has it no more")
        return found

    def _begin_for(self, name: str, file: str) -> Channel | None:
        """Package what a player asks for, where that is on air or a programme, and not packaged yet."""
        if file not in (PLAYLIST, CHUNKLIST):
            return None
        stream = next((each for each in self._live if each.playable and _key(each.name) == name), None)
        stream = stream or self.standing(name)
        return self._begin(name, stream) if stream is not None else None

    async def _until_ready(self, channel: Channel) -> None:
        if channel.packager.ready or not channel.stream.goes_on:
            return
        with trio.move_on_after(self.first_wait):
            await channel.wait()

    def _nothing(self, reason: str) -> Response:
        self.not_found += 1
        return text_response(404, reason, *cors_headers(self.cors))

    def wake(self) -> None:
        """Let whoever waits look again: the tier is about to stop."""
        for channel in self:
            channel.wake()

    # --- looking after streams --------------------------------------------------------------------

    async def look_after(self) -> None:
        """Follow publishers, and let go what is off air for good or what nobody asks for."""
        cancel = self._live.follow(self.look_at)
        try:
            while True:
                self.sweep()
                await trio.sleep(_LOOK)
        finally:
            cancel()

    def look_at(self, stream: Stream) -> None:
        """A stream has gone on air, or off."""
        key = _key(stream.name)
        channel = self._channels.get(key)
        if channel is not None and channel.stream is not stream:
            # Another spelling of the name, or another stream under it before we had noticed the end of the last.
            if self._live.get(channel.stream.name) is channel.stream:
                return
            self._forget(channel)
            channel = None
        if channel is not None:
            channel.follow()
        elif stream.playable and self.at_once(stream.name):
            self._begin(key, stream)

    def sweep(self) -> None:
        """Let go what the tier has no more, and what nobody has asked for in a while.

        A stream that another spelling of its name stood in the way of is taken up here.
        """
        now = self._ctx.clock()
        for stream in self._live:
            self.look_at(stream)
        for channel in self:
            gone = self._live.get(channel.stream.name) is not channel.stream
            if gone or (now - channel.asked >= self.idle and not self.at_once(channel.stream.name)):
                self._forget(channel)

    def _begin(self, key: str, stream: Stream) -> Channel:
        packager = Packager(
            self.packaging,
            first_sequence=max(self._sequence, int(time.time())),
            clock=self._ctx.clock,
            tell=lambda reason: self._ctx.emit(StreamFault(stream=stream.name, reason=reason)),
            cut=lambda: channel.wake(),
        )
        clock = self._ctx.clock
        channel = Channel(stream, packager, clock(), lambda: clock() - channel.asked < self.audience)
        self._channels[key] = channel
        return channel

    def _forget(self, channel: Channel) -> None:
        self._sequence = max(self._sequence, channel.packager.window.next_sequence)
        del self._channels[_key(channel.stream.name)]
        channel.close()


def _split(path: str) -> tuple[str, str]:
    """The stream and the file that a request path means; an empty stream where it can mean none."""
    directory, _, file = path.rpartition("/")
    try:
        return _key(route(directory, "").path), file
    except RemoteProtocolError:
        return "", file


def _key(name: str) -> str:
    """One spelling for a name in RTMP, where it comes as it is, and in a URL, where it is percent-encoded."""
    return unquote(name)
