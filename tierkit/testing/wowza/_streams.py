"""A live stream as the server knows it, and which chunks of it there are: arithmetic on time alone.

* An encoder sends pictures in GOPs of `GOP_SECONDS`.  The packetizer cuts at keyframes, so that chunks differ in
  length: `IncomingStream.pattern` says of how many GOPs each one is, over and over.
* An `Epoch` is what one connection of the encoder sends.  Its chunks are numbered from `Epoch.first`, and a chunk is
  there once its last GOP has come in.  Nothing is kept: which chunks there are follows from the time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import Final

from attrs import define, field, frozen

from ._meter import Meter

__all__ = ["GOP_SECONDS", "Chunk", "Epoch", "IncomingStream", "Rendition"]

#: 24 pictures at 25 a second, and 45 frames of AAC at 48 kHz to the sample: so both go on over any boundary.
GOP_SECONDS: Final = 0.96
#: GOPs of one chunk after the other: from 0.96 to 10.56 s, as in the recordings (S22 S23).
PATTERN: Final = (10, 11, 10, 1, 9, 11)
#: The playlist holds the newest three, and ten can be fetched (S6 S31).
LISTED: Final = 3
KEPT: Final = 10
#: Chunks of a playlist that was asked for with ?DVR.
DVR_KEPT: Final = 60


@frozen(kw_only=True)
class Rendition:
    """One entry of a multivariant playlist.  What is None or empty is left out of its names."""

    #: Bits a second: ``_b764000``, and BANDWIDTH.
    bitrate: int | None = None
    #: ``_slbul``.
    language: str = ""
    #: ``_vo``.
    video_only: bool = False
    #: ``_t64`` with this in base64.
    label: str = ""
    #: The incoming stream that its media comes from, for a rendition of a group; "" for the stream itself.
    of: str = ""
    #: In which order the parts of a name stand: it varies from server to server (S10 S24 S27 S33).
    order: tuple[str, ...] = ("w", "b", "vo", "sl", "t64", "tk", "DVR")


@frozen
class Chunk:
    """One chunk: a media segment."""

    #: Its media sequence number, which is in its name.
    number: int
    #: The first of its GOPs, counted from the beginning of the epoch, and how many they are.
    gop: int
    gops: int

    @property
    def seconds(self) -> float:
        """EXTINF."""
        return self.gops * GOP_SECONDS


@frozen
class Epoch:
    """What one connection of an encoder sends."""

    #: 0 for the first, rising.
    index: int
    #: Seconds of the server's clock at which the encoder began.
    began: float
    #: GOPs of each chunk, over and over.
    pattern: tuple[int, ...]
    #: The number of its first chunk.
    first: int = 0
    #: The random token in names (`httpRandomizeMediaName`), or "".
    token: str = ""

    def finished(self, now: float) -> int:
        """How many chunks are whole."""
        ends = list(accumulate(self.pattern))
        # A microsecond on top: sums of 0.96 s are not exact, and a chunk is there at the very moment it ends.
        gops = int((now - self.began + 1e-6) / GOP_SECONDS)
        if gops <= 0:
            return 0
        rounds, rest = divmod(gops, ends[-1])
        return rounds * len(ends) + bisect_right(ends, rest)

    def chunk(self, number: int) -> Chunk:
        """The chunk with this number, whether it is there or not."""
        rounds, place = divmod(number - self.first, len(self.pattern))
        before = rounds * sum(self.pattern) + sum(self.pattern[:place])
        return Chunk(number, before, self.pattern[place])

    def newest(self, now: float, count: int) -> list[Chunk]:
        """The newest `count` chunks that are whole, oldest first."""
        until = self.first + self.finished(now)
        return [self.chunk(number) for number in range(max(self.first, until - count), until)]

    def there_at(self, number: int) -> float:
        """When a chunk is whole, seconds of the clock."""
        chunk = self.chunk(number)
        return self.began + (chunk.gop + chunk.gops) * GOP_SECONDS

    @property
    def target(self) -> int:
        """EXT-X-TARGETDURATION: the longest, rounded."""
        return max(1, int(max(self.pattern) * GOP_SECONDS + 0.5))


@define(eq=False, kw_only=True)
class IncomingStream:
    """A stream that an encoder publishes, or has published."""

    name: str
    #: As REST spells it: ``wowz://192.168.3.32:55557``, or an address.
    source_ip: str
    epoch: Epoch
    is_connected: bool = True
    #: One without anything is a plain stream with a single rendition.
    renditions: tuple[Rendition, ...] = (Rendition(),)
    #: Bits a second that come in.
    bitrate: int = 896_000
    #: The URI of EXT-X-KEY: for a playlist that says AES-128; "" for none.
    key_uri: str = ""
    #: Whether playlists are those of low latency, with a report on each rendition.
    low_latency: bool = False
    #: Seconds from the encoder's beginning until there is HLS; None as soon as a playlist can be filled.
    packetized_after: float | None = None
    #: What has been sent of it.
    sent: Meter = field(factory=Meter, repr=False)
    #: Gives the bytes that have come in over the present connection, where somebody counts them.
    received: Callable[[], int] | None = field(default=None, repr=False)
    _bytes_before: int = field(default=0, alias="_bytes_before", repr=False)

    @property
    def since(self) -> float:
        """Seconds of the server's clock at which the encoder connected."""
        return self.epoch.began

    def bytes_in(self, now: float) -> int:
        """Bytes that have come in so far, over all connections; they rise while it is connected."""
        if not self.is_connected:
            return self._bytes_before
        if self.received is not None:
            return self._bytes_before + self.received()
        return self._bytes_before + int(max(0.0, now - self.epoch.began) * self.bitrate / 8)

    def listed(self, now: float, *, dvr: bool = False) -> list[Chunk]:
        """What its media playlist lists, oldest first; empty while it is not packetized or off the air."""
        if not self.is_connected or now < self.epoch.began + (self.packetized_after or 0):
            return []
        chunks = self.epoch.newest(now, DVR_KEPT if dvr else LISTED)
        # A server that is told a time keeps to it; otherwise a playlist comes when it is full.
        return chunks if len(chunks) >= LISTED or self.packetized_after is not None else []

    def chunk(self, number: int, now: float, *, dvr: bool = False) -> Chunk | None:
        """A chunk by its number, while it is kept."""
        if not self.listed(now, dvr=dvr):
            return None
        newest = self.epoch.first + self.epoch.finished(now) - 1
        oldest = max(self.epoch.first, newest + 1 - (DVR_KEPT if dvr else KEPT))
        return self.epoch.chunk(number) if oldest <= number <= newest else None

    def disconnect(self, now: float) -> None:
        """The encoder has gone."""
        self._bytes_before = self.bytes_in(now)
        self.is_connected = False
        self.received = None

    def reconnect(self, epoch: Epoch) -> None:
        """The encoder is there, again: what it sends is numbered anew."""
        self.disconnect(epoch.began)
        self.epoch = epoch
        self.is_connected = True
