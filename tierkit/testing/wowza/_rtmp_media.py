"""What players over RTMP are sent: the test signal's own messages, or what somebody publishes into the stand-in.

Theory of operation:

* The signal is the loop that HLS is made of (`_media.py`), before it was packed: GOP number g of an epoch is GOP g
  modulo the loop's, with its times moved on.  Nothing is kept: which message is due follows from the time.
* A publication keeps its headers and its newest messages, a bounded number of them.  A player that has fallen behind
  what is kept goes on at the newest keyframe.

Both give out a cursor for each player: `take` what is due, and `due` says when there is more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cache
from itertools import islice
from typing import Final, Protocol

from attrs import define, field, frozen

from tierkit.codecs.flv import Tag, classify
from tierkit.codecs.rtmp_message import AUDIO, VIDEO
from tierkit.codecs.rtmp_session import Media

from ._media import the_signal
from ._streams import GOP_SECONDS

__all__ = ["Cursor", "Programme", "Publication", "the_programme"]

#: Messages taken at once: a second and a half of picture and sound.
_AT_ONCE: Final = 100
#: Messages of a publication that are kept, and bytes of them: twenty seconds, and what a double may cost.
_KEPT: Final = 1500
_KEPT_BYTES: Final = 32 << 20
#: Headers of a publication: real ones have up to 8 tracks.
_HEADERS: Final = 64
_GOP_MS: Final = round(GOP_SECONDS * 1000)


class Cursor(Protocol):
    """Where one player is."""

    def take(self, now: float) -> list[Media]:
        """What is due, some of it at least; timestamps in ms since the encoder began."""

    def due(self) -> float | None:
        """When there is more; None where somebody else will say so."""


@frozen
class Programme:
    """The loop: metadata and sequence headers, and GOPs whose messages count their times from their keyframe."""

    headers: tuple[Tag, ...]
    gops: tuple[tuple[Tag, ...], ...]

    def at(self, gop: int) -> tuple[Tag, ...]:
        """The messages of a GOP of an epoch."""
        return self.gops[gop % len(self.gops)]


@cache
def the_programme() -> Programme:
    """The one that all streams have.  Raises ImportError, with a line for people, where PyAV is not installed."""
    tags = the_signal()
    headers = [each for each in tags if each.kind.is_pinned]
    rest = [each for each in tags if not each.kind.is_pinned]
    # The first and the last ones are left out, as `_media.the_loop` does: their sound may be short.
    keys = [each.timestamp for each in rest if each.type_id == VIDEO and each.kind.is_keyframe][1:-2]
    gops = [
        tuple(
            Tag(each.type_id, each.timestamp - key, each.payload)
            for each in rest
            if key <= each.timestamp < key + _GOP_MS
        )
        for key in keys
    ]
    return Programme(tuple(headers), tuple(gops))


@define
class SignalCursor:
    """A player of the signal: it begins with the GOP that is on the air."""

    began: float
    gop: int
    programme: Programme = field(factory=the_programme, repr=False)
    _at: int = 0
    _headers: bool = True

    @classmethod
    def join(cls, began: float, now: float) -> SignalCursor:
        """At the newest keyframe of an epoch that `began` then."""
        return cls(began, max(0, int((now - began + 1e-6) / GOP_SECONDS)))

    def take(self, now: float) -> list[Media]:
        """What is due."""
        found: list[Media] = []
        if self._headers and now >= self.due() - 1e-6:
            self._headers = False
            found = [Media(each.type_id, self.gop * _GOP_MS, each.payload) for each in self.programme.headers]
        while len(found) < _AT_ONCE and now >= self.due() - 1e-6:
            tag = self.programme.at(self.gop)[self._at]
            found.append(Media(tag.type_id, self.gop * _GOP_MS + tag.timestamp & 0xFFFFFFFF, tag.payload))
            self._at += 1
            if self._at == len(self.programme.at(self.gop)):
                self.gop, self._at = self.gop + 1, 0
        return found

    def due(self) -> float:
        """When the next message is."""
        return self.began + self.gop * GOP_SECONDS + self.programme.at(self.gop)[self._at].timestamp / 1000


class Publication:
    """What one publisher sends."""

    def __init__(self) -> None:
        #: Told when there is more.
        self.listeners: set[Callable[[], None]] = set()
        #: Of all messages so far, with their payloads alone.
        self.bytes_in = 0
        self._headers: dict[tuple[int, str, int], Media] = {}
        self._kept: deque[Media] = deque()
        self._kept_bytes = 0
        self._first = 0  # number of the oldest that is kept
        self._key = 0  # number of the newest that a player may begin with
        self._pictures = False

    def receive(self, media: Media) -> None:
        """Take a message."""
        self.bytes_in += len(media.payload)
        kind = classify(media.type_id, media.payload)
        if kind.is_pinned and len(self._headers) < _HEADERS:
            self._headers[media.type_id, kind.role, kind.track] = media
        self._pictures = self._pictures or media.type_id == VIDEO
        # Where there are no pictures one may begin with any sound.
        if kind.is_keyframe or (media.type_id == AUDIO and not self._pictures and not kind.is_pinned):
            self._key = self._end
        self._kept.append(media)
        self._kept_bytes += len(media.payload)
        while len(self._kept) > _KEPT or self._kept_bytes > _KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popleft().payload)
            self._first += 1
        for each in tuple(self.listeners):
            each()

    @property
    def _end(self) -> int:
        return self._first + len(self._kept)

    def join(self) -> PublicationCursor:
        """A player: it begins with the headers and the newest keyframe."""
        return PublicationCursor(self)

    def headers(self) -> list[Media]:
        """Metadata and sequence headers, the newest of each."""
        return list(self._headers.values())

    def begin(self) -> int:
        """The number of the message to begin with."""
        return max(self._key, self._first)

    def since(self, number: int, count: int) -> tuple[list[Media], int]:
        """Up to `count` messages from `number` on, and the number of the next."""
        if number < self._first:
            number = self.begin()
        found = list(islice(self._kept, number - self._first, number - self._first + count))
        return found, number + len(found)


@define
class PublicationCursor:
    """A player of a publication."""

    publication: Publication
    _at: int | None = None

    def take(self, now: float) -> list[Media]:
        """What has come in since the last time."""
        found: list[Media] = []
        if self._at is None:
            self._at = self.publication.begin()
            found = self.publication.headers()
        more, self._at = self.publication.since(self._at, _AT_ONCE)
        return found + more

    def due(self) -> None:
        """The publication tells its listeners."""
