"""A playlist as a player understands it (RFC 8216), parsed once for all viewers that got the same bytes."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote, urldefrag, urljoin

import m3u8
from attrs import frozen

from tierkit.codecs.hls import read_playlist
from tierkit.errors import RemoteProtocolError

__all__ = ["Part", "Playlist", "Variant", "join", "parse"]

#: How the codecs of sound begin in CODECS (RFC 6381).
_SOUND = ("mp4a", "ac-3", "ec-3", "opus", "flac")

#: Seconds of the longest segment that is believed.
_LONGEST = 3600.0


@frozen
class Part:
    """One media segment.  `ends_at` is the wall time of its end (Unix seconds), None where nobody says."""

    url: str
    duration: float
    discontinuity: bool = False
    ends_at: float | None = None
    #: Whether there is a key to it; it is loaded like any other, but nobody here can look inside.
    encrypted: bool = False
    #: EXT-X-GAP: the server says itself that it is not there.
    missing: bool = False
    #: URL of its EXT-X-MAP, or empty.
    init: str = ""


@frozen
class Variant:
    """One of a multivariant playlist: what a viewer watches together."""

    url: str
    #: Bits a second, at most.
    bandwidth: int
    #: URL of the sound that goes with it, empty where it is in there: the rendition of its AUDIO group with
    #: DEFAULT=YES, else the group's first.
    audio: str = ""


@frozen
class Playlist:
    """A media playlist, or a multivariant one, which is then its `variants` alone.

    Variants of sound alone are left out where there are others, as players do.
    """

    variants: tuple[Variant, ...] = ()
    target_duration: float = 0.0
    media_sequence: int = 0
    parts: tuple[Part, ...] = ()
    ended: bool = False

    @property
    def first(self) -> int:
        """Where playback begins: three segments from the end of what is live (RFC 8216 section 6.3.3)."""
        return self.media_sequence if self.ended else self.media_sequence + max(0, len(self.parts) - 3)


def join(base: str, reference: str) -> str:
    """The URL that `reference` means at `base`, as it is asked for: no fragment, and spaces and the like encoded.

    Raises RemoteProtocolError where it means none.
    """
    try:
        url, _ = urldefrag(urljoin(base, reference))
    except ValueError:
        raise RemoteProtocolError("the server names an odd URL") from None
    # What RFC 3986 section 2.2 reserves stays, and so does what is encoded already.
    return quote(url, safe="%/:?#[]@!$&'()*+,;=~|")


# Viewers of one stream get the same bytes, and parsing takes longer than all else that a viewer does.
@lru_cache(maxsize=256)
def parse(body: bytes, url: str) -> Playlist:
    """Raises RemoteProtocolError for what is none, or what cannot be watched here: byte ranges."""
    facts = read_playlist(body)
    try:
        parsed = m3u8.loads(body.decode("utf-8").removeprefix("\ufeff"))
        if facts.multivariant:
            return Playlist(variants=_variants(parsed.playlists, url))
        parts = tuple(_part(each, url) for each in parsed.segments)
    except Exception as error:
        # The library raises what its regular expressions and int() happen to raise.
        raise RemoteProtocolError(f"the playlist cannot be read: {type(error).__name__}: {error}") from None
    if facts.target_duration <= 0:
        raise RemoteProtocolError("the playlist has no EXT-X-TARGETDURATION (RFC 8216 section 4.3.3.1)")
    return Playlist((), facts.target_duration, facts.media_sequence, parts, facts.ended)


def _variants(found: list[m3u8.Playlist], url: str) -> tuple[Variant, ...]:
    seen = [each for each in found if not _sound_alone(each.stream_info.codecs or "")] or found
    variants = tuple(
        Variant(join(url, each.uri), int(each.stream_info.bandwidth or 0), _audio(each.media, url)) for each in seen
    )
    if not variants:
        raise ValueError("no variant")
    return variants


def _sound_alone(codecs: str) -> bool:
    return bool(codecs) and all(each.strip().lower().startswith(_SOUND) for each in codecs.split(","))


def _audio(media: list[m3u8.Media], url: str) -> str:
    group = [each for each in media if each.type == "AUDIO"]
    chosen = next((each for each in group if each.default == "YES"), group[0] if group else None)
    return join(url, chosen.uri) if chosen is not None and chosen.uri else ""


def _part(segment: m3u8.Segment, url: str) -> Part:
    init = segment.init_section
    if segment.byterange or (init is not None and init.byterange):
        raise ValueError("byte ranges are not supported")
    duration = float(segment.duration)
    if not 0 <= duration <= _LONGEST:
        raise ValueError(f"a segment of {duration:g} s")
    begins = segment.current_program_date_time
    ends_at = begins.timestamp() + duration if begins is not None else None
    return Part(
        join(url, segment.uri),
        duration,
        bool(segment.discontinuity),
        ends_at,
        encrypted=segment.key is not None and segment.key.method != "NONE",
        missing=bool(segment.gap_tag),
        init=join(url, init.uri) if init is not None and init.uri else "",
    )
