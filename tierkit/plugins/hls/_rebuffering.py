"""Whose picture stands still at this edge: what the rules of `tierkit.codecs.rebuffering` have to be told."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import trio

from tierkit.codecs.cmcd_status import status_of
from tierkit.codecs.rebuffering import LOOK, Rebuffering
from tierkit.codecs.viewings import Flight, Line, Media
from tierkit.http import Request, Response
from tierkit.plugin import Connection, Entry

from ._live import Streams
from ._objects import Meta

__all__ = ["Watch"]


class Watch:
    """The viewers of one edge, by their connections.

    Args:
        streams: whose playlists tell what a segment is and how long it lasts.
        clock: the tier's, seconds.
    """

    def __init__(self, streams: Streams, clock: Callable[[], float]) -> None:
        self.rebuffering = Rebuffering()
        self._streams = streams
        self._clock = clock
        self._lines: dict[Connection, Line] = {}

    def came(self, connection: Connection) -> Line:
        """A connection has come."""
        line = self._lines[connection] = Line(connection)
        return line

    def left(self, connection: Connection) -> None:
        """It has ended, and is not closed yet."""
        self.rebuffering.ended(self._lines.pop(connection), self._clock())

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            await trio.sleep(LOOK)
            self.rebuffering.look(self._clock())

    # --- for each request ------------------------------------------------------------------------

    def media_of(self, meta: Meta, base: str) -> Media | None:
        """What an object is to those who watch; None for what is neither a media playlist nor listed in one."""
        media = meta.media
        if media is None:
            media = meta.media = self._streams.media(base)
        return media

    def waits(self, request: Request, base: str) -> Media | None:
        """A viewer has asked for something that may have to be waited for; returns what it is."""
        media = self._streams.media(base)
        if (line := self._lines.get(request.connection)) is not None:
            self.rebuffering.waits(line, media, self._clock())
        return media

    def waited(self, request: Request, media: Media | None, *, refused: bool) -> None:
        """It is answered, or refused."""
        if (line := self._lines.get(request.connection)) is not None:
            self.rebuffering.waited(line, media, self._clock(), refused=refused)

    def answers(self, request: Request, target: bytes, who: int, entry: Entry, base: str, response: Response) -> None:
        """It is about to be answered, by a body that may still be coming."""
        line, media = self._lines.get(request.connection), self.media_of(entry.meta, base)
        if line is None or media is None or request.method != "GET" or response.status not in (200, 206, 304):
            return
        fields = request.head.fields
        status = status_of(target, fields.names, fields.headers) if media.duration else None
        flight = self.rebuffering.asked(line, who, media, self._clock(), None, status)
        if flight is not None:
            response.release = partial(_sent, flight, request.connection, response.release)


def _sent(flight: Flight, connection: Connection, release: Callable[[], None] | None) -> None:
    flight.until = connection.bytes_out
    if release is not None:
        release()
