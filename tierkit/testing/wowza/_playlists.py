"""Playlists as Wowza writes them: fields and their order are those of the recordings in `recorded/`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from ._shown_hls import CHUNKLIST_BODY, HLS_LEAK, KEY_LINE, LOW_LATENCY, MASTER_BODY, RELATIVE

__all__ = ["Entry", "MediaPlaylist", "master_playlist"]


@frozen(kw_only=True)
class Entry:
    """One rendition in a multivariant playlist."""

    uri: str
    #: Bits a second.
    bandwidth: int
    #: "" leaves it out.
    codecs: str = ""
    resolution: tuple[int, int] | None = None


@MASTER_BODY.shown
@RELATIVE.shown
def master_playlist(entries: Iterable[Entry], *, program_id: bool = False) -> str:
    """A multivariant playlist."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3"]
    for each in entries:
        told = ["PROGRAM-ID=1"] if program_id else []
        told.append(f"BANDWIDTH={each.bandwidth}")
        if each.codecs:
            told.append(f'CODECS="{each.codecs}"')
        if each.resolution is not None:
            told.append(f"RESOLUTION={each.resolution[0]}x{each.resolution[1]}")
        lines += [f"#EXT-X-STREAM-INF:{','.join(told)}", each.uri]
    return _text(lines)


@frozen(kw_only=True)
class MediaPlaylist:
    """A media playlist."""

    target: int
    sequence: int
    #: EXTINF and URI of each chunk.
    chunks: Sequence[tuple[float, str]]
    #: EXT-X-ALLOW-CACHE:NO.
    allow_cache: bool = False
    key_uri: str = ""
    low_latency: bool = False
    #: Of low latency: the URIs of the other renditions, and the number of their newest chunk.
    reports: Sequence[tuple[str, int]] = ()

    @CHUNKLIST_BODY.shown
    @LOW_LATENCY.shown
    def render(self) -> str:
        """The playlist as it is served."""
        lines = ["#EXTM3U", f"#EXT-X-VERSION:{6 if self.low_latency else 3}"]
        if self.allow_cache:
            lines.append("#EXT-X-ALLOW-CACHE:NO")
        lines.append(f"#EXT-X-TARGETDURATION:{self.target}")
        if self.low_latency:
            lines.append("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES")
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{self.sequence}")
        lines += self._key()
        for seconds, uri in self.chunks:
            # As Java prints a number: 9.433, and 5.0.
            lines += [f"#EXTINF:{round(seconds, 3)},", uri]
        return _text(lines + self._reports())

    @KEY_LINE.shown
    def _key(self) -> list[str]:
        return [f'#EXT-X-KEY:METHOD=AES-128,URI="{self.key_uri}"'] if self.key_uri else []

    @HLS_LEAK.shown
    def _reports(self) -> list[str]:
        return [f'#EXT-X-RENDITION-REPORT:URI="{uri}",LAST-MSN={newest}' for uri, newest in self.reports]


def _text(lines: Iterable[str]) -> str:
    return "\n".join([*lines, ""])
