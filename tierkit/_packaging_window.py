"""The sliding window of a live stream: finished segments, and the two playlists over them.

* Sequence numbers only rise, whoever publishes; a segment's name has its number in it, so a name never
  stands for two contents and a segment may be cached for ever.
* A segment that has left the playlist is kept for those who read an older one (RFC 8216 section 6.2.2).
* EXT-X-TARGETDURATION must not change, and nobody can know the longest segment beforehand: it begins as the
  configured one, grows when a segment needs more, and is taken back only where a new publisher begins.
* Memory: (window + keep) segments a stream; of those behind the playlist fewer where `keep_bytes` is exceeded.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from math import ceil
from typing import Final

from attrs import frozen

from .codecs.hls import MediaPlaylist, MultivariantPlaylist, Segment, Variant

__all__ = ["CHUNKLIST", "PLAYLIST", "MediaSegment", "Window"]

#: Wowza's spelling: players ask for the first, which names the second.
PLAYLIST: Final = "playlist.m3u8"
CHUNKLIST: Final = "chunklist.m3u8"

#: BANDWIDTH is rounded up to steps of this many bits per second, so that it stands still while the rate does.
_STEP: Final = 10_000


@frozen(kw_only=True)
class MediaSegment:
    """One finished segment."""

    sequence: int
    #: Seconds, exact to RTMP's millisecond.
    duration: float
    #: Its media does not go on from the segment before.
    discontinuity: bool
    #: Unix seconds at which its first frame came in.
    at: float
    #: A strong entity tag, with its quotation marks.
    etag: str
    data: bytes

    @property
    def name(self) -> str:
        """Its file name, relative to the playlists."""
        return f"media_{self.sequence}.ts"


@frozen(kw_only=True)
class Description:
    """What is in a segment, as the multivariant playlist tells it."""

    codecs: str
    resolution: tuple[int, int] | None = None


def entity_tag(data: bytes) -> str:
    """A strong ETag for these bytes: the same for the same bytes, whoever made them."""
    return f'"{blake2b(data, digest_size=12).hexdigest()}"'


class Window:
    """The newest segments of one stream."""

    def __init__(self, *, size: int, keep: int, target: float, first_sequence: int, keep_bytes: int = 1 << 62) -> None:
        self._size = size
        self._keep = keep
        self._keep_bytes = keep_bytes
        self._target = self._declared = max(1, round(target))
        self._listed: deque[MediaSegment] = deque()
        self._all: dict[int, MediaSegment] = {}
        self._discontinuities = 0
        self._peak = 0
        self._description = Description(codecs="")
        self.next_sequence = first_sequence
        #: Bytes of all segments that are kept.
        self.bytes = 0
        #: The playlists as they are served; empty until the first segment.
        self.chunklist = self.playlist = b""
        self.chunklist_etag = self.playlist_etag = ""

    def __len__(self) -> int:
        return len(self._listed)

    @property
    def listed(self) -> tuple[MediaSegment, ...]:
        """The segments that the playlist names, oldest first."""
        return tuple(self._listed)

    @property
    def target_duration(self) -> int:
        """EXT-X-TARGETDURATION as it stands, seconds."""
        return self._declared

    def segment(self, name: str) -> MediaSegment | None:
        """A segment by its name, while it is kept."""
        number = name.removeprefix("media_").removesuffix(".ts")
        # One spelling only: "media_+1.ts" and "media_01.ts" would be other keys for the same bytes.
        if len(number) > 20 or not number.isascii() or not number.isdigit():
            return None
        found = self._all.get(int(number))
        return found if found is not None and found.name == name else None

    def renew(self) -> None:
        """Another publisher: measure and declare anew."""
        self._declared = max(self._target, *(_rounded(each.duration) for each in self._listed), 1)
        self._peak = 0

    def add(self, data: bytes, *, duration: float, at: float, discontinuity: bool, description: Description) -> None:
        """A segment is finished: list it, and let the oldest go."""
        sequence = self.next_sequence
        self.next_sequence += 1
        segment = MediaSegment(
            sequence=sequence,
            duration=duration,
            discontinuity=discontinuity,
            at=at,
            # Not a hash of the bytes: that would take longer than making them.  The name says which they are;
            # the time and size tell it from the same name of another process.
            etag=f'"{sequence:x}-{int(at * 1000):x}-{len(data):x}"',
            data=data,
        )
        self._listed.append(segment)
        self._all[sequence] = segment
        self.bytes += len(data)
        if len(self._listed) > self._size and self._listed.popleft().discontinuity:
            self._discontinuities += 1
        while len(self._all) > self._size + self._keep or (
            self.bytes > self._keep_bytes and len(self._all) > len(self._listed)
        ):
            self.bytes -= len(self._all.pop(next(iter(self._all))).data)
        self._declared = max(self._declared, _rounded(duration))
        self._description = description
        # A segment cut short by a fault says nothing about the rate.
        if duration >= self._target / 2:
            self._peak = max(self._peak, len(data) * 8 / duration)  # type: ignore[assignment]
        self._render()

    def _render(self) -> None:
        playlist = MediaPlaylist(
            segments=[
                Segment(uri=each.name, duration=each.duration, discontinuity=each.discontinuity, at=each.at)
                for each in self._listed
            ],
            media_sequence=self._listed[0].sequence,
            discontinuity_sequence=self._discontinuities,
            target_duration=self._declared,
        )
        self.chunklist = playlist.render()
        self.chunklist_etag = entity_tag(self.chunklist)
        newest = self._listed[-1]
        rate = self._peak or len(newest.data) * 8 / max(newest.duration, 0.1)
        variant = Variant(
            uri=CHUNKLIST,
            bandwidth=ceil(rate / _STEP) * _STEP,
            codecs=self._description.codecs,
            resolution=self._description.resolution,
        )
        self.playlist = MultivariantPlaylist((variant,)).render()
        self.playlist_etag = entity_tag(self.playlist)


def _rounded(duration: float) -> int:
    # RFC 8216 4.3.3.1: rounded to the nearest integer; Python's round() takes 2.5 down.
    return int(duration + 0.5)
