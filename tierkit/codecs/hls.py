"""HLS playlists (RFC 8216): what a cache must know of one, and how an origin writes one.

Reading rests on the `m3u8` library behind a guard: a playlist comes from an upstream that may be anybody,
so its size is bounded and whatever the library makes of nonsense comes out as RemoteProtocolError.
Writing is our own: a live media playlist is a dozen lines, and must be the same bytes for the same window.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import m3u8
from attrs import frozen

from ..errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "MAX_PLAYLIST",
    "Kind",
    "MediaPlaylist",
    "MultivariantPlaylist",
    "PlaylistFacts",
    "Segment",
    "Variant",
    "classify",
    "read_playlist",
]

#: Bytes of the longest playlist that is read: a day of 2 s segments has about 2 MB.
MAX_PLAYLIST = 4 << 20

#: Seconds of the longest segment that is believed; what is longer counts as not told.
LONGEST_SEGMENT = 3600.0

Kind = Literal["playlist", "segment", "other"]

# What Wowza, FFmpeg, Shaka and the DASH packagers call their media; everything else is "other".
_SEGMENT = re.compile(r"\.(ts|aac|ac3|mp3|m4s|m4a|m4v|mp4|cmf[atv]|vtt|webvtt|key)\Z", re.IGNORECASE)
_PLAYLIST = re.compile(r"\.m3u8?\Z", re.IGNORECASE)
_PLAYLIST_TYPES = frozenset(
    {"application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl", "audio/x-mpegurl"}
)


def classify(path: str, content_type: str = "") -> Kind:
    """What an object is, by its media type where that says it, else by the ending of its path.

    RFC 8216 section 4: a playlist is known by either.  Wowza writes ``video/MP2T``, so case does not count.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _PLAYLIST_TYPES:
        return "playlist"
    if kind.startswith(("video/", "audio/")):
        return "segment"
    only = path.partition("?")[0]
    if _PLAYLIST.search(only):
        return "playlist"
    return "segment" if _SEGMENT.search(only) else "other"


@frozen(kw_only=True)
class PlaylistFacts:
    """What a cache has to know of one version of a playlist."""

    multivariant: bool
    #: Seconds; 0 for a multivariant playlist, and where it is not told.
    target_duration: float = 0.0
    #: Of the first segment that is listed.
    media_sequence: int = 0
    #: How many discontinuities have left the window.
    discontinuity_sequence: int = 0
    #: Seconds that the listed segments last together.
    window: float = 0.0
    #: Seconds that a partial segment lasts at most (EXT-X-PART-INF); 0 without low latency.
    part_target: float = 0.0
    #: EXT-X-ENDLIST: nothing will be added.
    ended: bool = False


def read_playlist(data: bytes) -> PlaylistFacts:
    """The facts of a playlist.  Raises RemoteProtocolError for what is none."""
    if len(data) > MAX_PLAYLIST:
        raise RemoteProtocolError(f"the playlist is longer than {MAX_PLAYLIST} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RemoteProtocolError(f"the playlist is not UTF-8 at byte {error.start} (RFC 8216 section 4)") from None
    if not text.removeprefix("\ufeff").startswith("#EXTM3U"):
        raise RemoteProtocolError("the playlist does not begin with #EXTM3U (RFC 8216 section 4.3.1.1)")
    try:
        parsed = m3u8.loads(text.removeprefix("\ufeff"))
        if parsed.is_variant:
            return PlaylistFacts(multivariant=True)
        return PlaylistFacts(
            multivariant=False,
            target_duration=_seconds(parsed.target_duration),
            media_sequence=max(0, int(parsed.media_sequence or 0)),
            discontinuity_sequence=max(0, int(parsed.discontinuity_sequence or 0)),
            window=sum(_seconds(segment.duration) for segment in parsed.segments),
            part_target=_seconds(parsed.part_inf.part_target) if parsed.part_inf else 0.0,
            ended=bool(parsed.is_endlist),
        )
    except Exception as error:
        # The library raises what its regular expressions and int() happen to raise.
        raise RemoteProtocolError(f"the playlist cannot be read: {type(error).__name__}: {error}") from None


def _seconds(value: float | None) -> float:
    # The library lets through what float() takes: signs, infinity and numbers that no segment has.
    return float(value) if value is not None and 0 < value <= LONGEST_SEGMENT else 0.0


@frozen(kw_only=True)
class Segment:
    """One media segment of a live playlist."""

    #: Relative to the playlist.
    uri: str
    #: Seconds.
    duration: float
    #: Whether its media does not continue that of the segment before (EXT-X-DISCONTINUITY).
    discontinuity: bool = False
    #: Wall time of its first sample, Unix seconds; None leaves EXT-X-PROGRAM-DATE-TIME out.
    at: float | None = None


@frozen(kw_only=True)
class MediaPlaylist:
    """A media playlist to be written (RFC 8216 section 4.3.3)."""

    segments: Sequence[Segment]
    #: Of the first segment.
    media_sequence: int
    #: How many discontinuities have left the window.
    discontinuity_sequence: int = 0
    #: Whole seconds; never less than a segment rounds to, and it must not change (RFC 8216 section 4.3.3.1).
    target_duration: int
    ended: bool = False

    def render(self) -> bytes:
        """The playlist as it is served.  Raises LocalProtocolError for a URI that would break its line."""
        # Version 3: decimal durations (RFC 8216 section 7).
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:3",
            f"#EXT-X-TARGETDURATION:{self.target_duration}",
            f"#EXT-X-MEDIA-SEQUENCE:{self.media_sequence}",
        ]
        if self.discontinuity_sequence:
            lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{self.discontinuity_sequence}")
        for segment in self.segments:
            if segment.discontinuity:
                lines.append("#EXT-X-DISCONTINUITY")
            if segment.at is not None:
                lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_date(segment.at)}")
            lines += [f"#EXTINF:{segment.duration:.3f},", _line(segment.uri)]
        if self.ended:
            lines.append("#EXT-X-ENDLIST")
        return "\n".join([*lines, ""]).encode()


@frozen(kw_only=True)
class Variant:
    """One variant stream of a multivariant playlist (RFC 8216 section 4.3.4.2)."""

    uri: str
    #: Peak bits per second.
    bandwidth: int
    #: RFC 6381, such as "avc1.64001f,mp4a.40.2"; empty leaves it out.
    codecs: str = ""
    #: Width and height in pixels, or None.
    resolution: tuple[int, int] | None = None


@frozen
class MultivariantPlaylist:
    """A multivariant playlist to be written."""

    variants: Sequence[Variant]

    def render(self) -> bytes:
        """The playlist as it is served."""
        lines = ["#EXTM3U", "#EXT-X-VERSION:3"]
        for each in self.variants:
            attributes = [f"BANDWIDTH={max(1, each.bandwidth)}"]
            if each.codecs:
                attributes.append(f'CODECS="{_quoted(each.codecs)}"')
            if each.resolution is not None:
                attributes.append(f"RESOLUTION={each.resolution[0]}x{each.resolution[1]}")
            lines += [f"#EXT-X-STREAM-INF:{','.join(attributes)}", _line(each.uri)]
        return "\n".join([*lines, ""]).encode()


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _line(uri: str) -> str:
    if not uri or uri.startswith("#") or re.search(r"[\x00-\x20\x7f]", uri):
        raise LocalProtocolError(f"{uri!r} cannot stand in a playlist")
    return uri


def _quoted(value: str) -> str:
    if re.search(r'[\x00-\x1f"]', value):
        raise LocalProtocolError(f"{value!r} cannot stand in a quoted attribute")
    return value
