"""What the packaging tests share: signals made once, a packager with clocks of its own, and PyAV to look inside."""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import cache

import av
from attrs import evolve, frozen

from tierkit.codecs.flv import Tag, VideoTag
from tierkit.packaging import MediaSegment, Packager, Packaging
from tierkit.testing.signal import TestSignal

AUDIO, VIDEO = 8, 9
#: libav's muxer puts this many ticks between its clock and the first frame (SegmentMuxer's max_delay, twice).
LEAD = 63000


@cache
def signal(seconds: float = 8, **options: int | float | bool) -> tuple[Tag, ...]:
    """A small test signal: 25 pictures a second, keyframes every second."""
    wanted = {"width": 128, "height": 72, "gop": 1.0, "video_bitrate": 200_000} | options
    return tuple(TestSignal(**wanted).messages(seconds))  # type: ignore[arg-type]


class Studio:
    """A packager whose clock follows the timestamps that it is given."""

    def __init__(self, packaging: Packaging | None = None, first_sequence: int = 0) -> None:
        self.now = 0.0
        self.told: list[str] = []
        self.packager = Packager(
            packaging,
            first_sequence=first_sequence,
            clock=lambda: self.now,
            wall=lambda: 1_700_000_000 + self.now,
            tell=self.told.append,
        )

    def send(self, tags: Iterable[Tag], *, shift: int = 0, realtime: bool = True) -> Studio:
        """Give it messages, their timestamps moved by `shift` ms; the clock goes on with them."""
        last = None
        for tag in tags:
            if realtime and last is not None and tag.timestamp > last:
                self.now += (tag.timestamp - last) / 1000
            last = tag.timestamp
            self.packager.receive(tag.type_id, (tag.timestamp + shift) & 0xFFFFFFFF, tag.payload)
        return self

    def finish(self) -> Studio:
        self.packager.finish()
        return self

    @property
    def segments(self) -> tuple[MediaSegment, ...]:
        return self.packager.window.listed

    @property
    def chunklist(self) -> str:
        return self.packager.window.chunklist.decode()

    @property
    def data(self) -> bytes:
        return b"".join(segment.data for segment in self.segments)


#: A window large enough for every segment of a test.
WIDE = Packaging(window=100, keep=0)


def package(tags: Iterable[Tag], **options: object) -> Studio:
    """All segments of these messages."""
    return Studio(evolve(WIDE, **options)).send(tags).finish()  # type: ignore[arg-type]


@frozen
class Frame:
    """A frame as a player reads it from MPEG-TS; times in ticks, less the muxer's lead."""

    kind: str
    pts: int
    dts: int
    key: bool
    data: bytes


def frames(data: bytes) -> list[Frame]:
    found = []
    with av.open(io.BytesIO(data), format="mpegts") as container:
        for packet in container.demux():
            if packet.size and packet.pts is not None and packet.dts is not None:
                kind = packet.stream.type
                found.append(Frame(kind, packet.pts - LEAD, packet.dts - LEAD, packet.is_keyframe, bytes(packet)))
    return found


def of_kind(kind: str, found: Iterable[Frame]) -> list[Frame]:
    return [frame for frame in found if frame.kind == kind]


def decode(data: bytes, kind: str, format: str = "mpegts") -> list[bytes]:
    """The decoded pictures (their planes) or sound of a stream."""
    with av.open(io.BytesIO(data), format=format) as container:
        return [b"".join(map(bytes, frame.planes)) for frame in container.decode(**{kind: 0})]


def pictures(tags: Iterable[Tag]) -> list[VideoTag]:
    """The coded pictures among messages."""
    return [tag for tag in tags if isinstance(tag, VideoTag) and tag.avc_packet_type == 1]


def sounds(tags: Iterable[Tag]) -> list[Tag]:
    """The coded sound among messages."""
    return [tag for tag in tags if tag.type_id == AUDIO and not tag.kind.is_sequence_header]


def playlist_tags(text: str, name: str) -> list[str]:
    return [line.partition(":")[2] for line in text.splitlines() if line.partition(":")[0] == f"#EXT-X-{name}"]
