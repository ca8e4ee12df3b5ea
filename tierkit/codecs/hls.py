"""HLS playlists (RFC 8216): what a cache must know of one, and how an origin writes one.

The door to the modules beside it: `hls_facts` (what is known of a version), `hls_read` (reading it), `hls_write`
(writing), `hls_uris` and `hls_rewrite` (what its URIs mean, and others in their place), `hls_query` (low-latency
delivery directives), `hls_track` (one version after the other).
"""

from __future__ import annotations

import re
from typing import Literal

from .hls_facts import Hint, ListedPart, ListedSegment, PlaylistFacts, Report
from .hls_read import LONGEST_SEGMENT, MAX_PLAYLIST, read_playlist
from .hls_write import MediaPlaylist, MultivariantPlaylist, Segment, Variant

__all__ = [
    "LONGEST_SEGMENT",
    "MAX_PLAYLIST",
    "Hint",
    "Kind",
    "ListedPart",
    "ListedSegment",
    "MediaPlaylist",
    "MultivariantPlaylist",
    "PlaylistFacts",
    "Report",
    "Segment",
    "Variant",
    "classify",
    "read_playlist",
]

#: "mpd" is a DASH manifest: see `dash`.
Kind = Literal["playlist", "mpd", "segment", "other"]

# What Wowza, FFmpeg, Shaka and the DASH packagers call their media; everything else is "other".
_SEGMENT = re.compile(r"\.(ts|aac|ac3|mp3|m4[savfi]|mp4|cmf[atvm]|dash|vtt|webvtt|key)\Z", re.IGNORECASE)
_PLAYLIST = re.compile(r"\.m3u8?\Z", re.IGNORECASE)
_MPD = re.compile(r"\.mpd\Z", re.IGNORECASE)
_PLAYLIST_TYPES = frozenset(
    {"application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl", "audio/x-mpegurl"}
)
# ISO/IEC 23009-1 annex C; the second is what Android and old packagers say.
_MPD_TYPES = frozenset({"application/dash+xml", "video/vnd.mpeg.dash.mpd"})


def classify(path: str, content_type: str = "") -> Kind:
    """What an object is, by its media type where that says it, else by the ending of its path.

    RFC 8216 section 4: a playlist is known by either, so one that is sent as ``video/mpegurl`` or ``audio/mpeg`` is one
    all the same.  Wowza writes ``video/MP2T``, so case does not count.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind in _PLAYLIST_TYPES:
        return "playlist"
    if kind in _MPD_TYPES:
        return "mpd"
    only = path.partition("?")[0]
    if _MPD.search(only):
        return "mpd"
    if _PLAYLIST.search(only):
        return "playlist"
    # Subtitles in CMAF (ISO/IEC 23000-19) are application/mp4.
    if kind.startswith(("video/", "audio/")) or kind == "application/mp4":
        return "segment"
    return "segment" if _SEGMENT.search(only) else "other"
