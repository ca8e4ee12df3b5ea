"""Writing playlists: a live media playlist is a dozen lines, and must be the same bytes for the same window."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from attrs import frozen

from ..errors import LocalProtocolError

__all__ = ["MediaPlaylist", "MultivariantPlaylist", "Segment", "Variant"]


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
