"""What an edge knows of one version of a playlist: frozen values, each list bounded."""

from __future__ import annotations

from attrs import evolve, frozen

__all__ = ["MAX_LISTED", "MAX_PARTS", "MAX_URIS", "Hint", "ListedPart", "ListedSegment", "PlaylistFacts", "Report"]

#: Segments of one playlist that are listed with what is known of each, the newest; nine hours of 2 s.  A fact
#: costs about 200 bytes, so this is 3 MB.
MAX_LISTED = 16384
#: Parts that are listed, the newest: three target durations of them are (RFC 8216bis section 6.2.2), so some 60.
MAX_PARTS = 2048
#: URIs of each other kind (init sections, keys, variants, renditions ...).
MAX_URIS = 1024
#: Seconds to assume where no target duration is told: Apple's recommendation (HLS authoring specification 7.5).
ASSUMED_TARGET = 6.0
#: Longest target duration that counts: a misspelt one must not freeze a stream.
LONGEST_TARGET = 60.0


@frozen(kw_only=True)
class ListedSegment:
    """One media segment as a playlist lists it."""

    #: As written.
    uri: str
    #: Its media sequence number.
    sequence: int
    #: Seconds; 0 where it is not told.
    duration: float = 0.0
    #: Whether it does not continue the one before (EXT-X-DISCONTINUITY).
    discontinuity: bool = False
    #: First byte and length of the range that it is of its resource; None for the whole.
    byte_range: tuple[int, int] | None = None
    #: EXT-X-GAP: the server says itself that it is not there.
    gap: bool = False
    #: Wall time of its first sample, Unix seconds, where it has an EXT-X-PROGRAM-DATE-TIME of its own.
    at: float | None = None


@frozen(kw_only=True)
class ListedPart:
    """One partial segment (EXT-X-PART, RFC 8216bis section 4.4.4.9)."""

    uri: str
    #: Media sequence number of the segment that it is part of, and its place there from 0.
    sequence: int
    index: int
    duration: float = 0.0
    byte_range: tuple[int, int] | None = None
    independent: bool = False
    gap: bool = False


@frozen(kw_only=True)
class Hint:
    """What will come next (EXT-X-PRELOAD-HINT, RFC 8216bis section 4.4.5.3)."""

    #: PART or MAP.
    kind: str
    uri: str
    start: int = 0
    #: Bytes; None while that is not known: to the end of the resource.
    length: int | None = None


@frozen(kw_only=True)
class Report:
    """How far another rendition is (EXT-X-RENDITION-REPORT, RFC 8216bis section 4.4.5.4)."""

    uri: str
    #: None where it is not told: the same as here.
    last_sequence: int | None = None
    last_part: int | None = None


@frozen(kw_only=True)
class PlaylistFacts:
    """What a cache has to know of one version of a playlist.

    What is malformed counts as not told: a playlist that players can play is not refused for one odd line.
    """

    multivariant: bool
    #: Seconds; 0 for a multivariant playlist, and where it is not told.
    target_duration: float = 0.0
    #: Of the first segment of the window, whether it is listed or skipped.
    media_sequence: int = 0
    #: How many discontinuities have left the window.
    discontinuity_sequence: int = 0
    #: Seconds that the segments of the window last together; skipped ones count a target duration each.
    window: float = 0.0
    #: Seconds that a partial segment lasts at most (EXT-X-PART-INF); 0 without low latency.
    part_target: float = 0.0
    #: EXT-X-ENDLIST: nothing will be added.
    ended: bool = False

    #: The newest `MAX_LISTED`, oldest first.
    segments: tuple[ListedSegment, ...] = ()
    #: How many are listed, those beyond `MAX_LISTED` too.
    listed: int = 0
    #: How many a delta update leaves out at its start (EXT-X-SKIP, RFC 8216bis section 4.4.5.2).
    skipped: int = 0
    #: The newest `MAX_PARTS`, oldest first.
    parts: tuple[ListedPart, ...] = ()
    hints: tuple[Hint, ...] = ()
    reports: tuple[Report, ...] = ()
    #: Init sections (EXT-X-MAP) in the order of their first use, each once.
    maps: tuple[str, ...] = ()
    #: URIs of keys (EXT-X-KEY), likewise.
    keys: tuple[str, ...] = ()
    #: EVENT, VOD, or empty.
    playlist_type: str = ""
    #: EXT-X-DEFINE: URIs may have variables in them.
    variables: bool = False
    #: EXT-X-SERVER-CONTROL (RFC 8216bis section 4.4.3.8); seconds, 0 where it is not told.
    can_block_reload: bool = False
    can_skip_until: float = 0.0
    hold_back: float = 0.0
    part_hold_back: float = 0.0

    #: Of a multivariant playlist, URIs as written, each once.
    variants: tuple[str, ...] = ()
    renditions: tuple[str, ...] = ()
    i_frame_playlists: tuple[str, ...] = ()
    session_keys: tuple[str, ...] = ()
    #: SERVER-URI of EXT-X-CONTENT-STEERING, or empty.
    steering: str = ""

    def brief(self) -> PlaylistFacts:
        """The same without its segments and URIs, for whoever keeps many: some 500 bytes, and 150 for each part.

        Lifetimes, delivery directives and positions are told by it as by the whole.
        """
        return evolve(
            self, segments=(), maps=(), keys=(), variants=(), renditions=(), i_frame_playlists=(), session_keys=()
        )

    @property
    def pace(self) -> float:
        """Seconds from one version to the next at most: the target duration, where that is told and not absurd."""
        return min(self.target_duration, LONGEST_TARGET) or ASSUMED_TARGET

    @property
    def next_sequence(self) -> int:
        """Media sequence number of the segment that comes next."""
        return self.media_sequence + self.skipped + self.listed

    @property
    def last_sequence(self) -> int:
        """Of the last whole segment; one less than `media_sequence` where there is none."""
        return self.next_sequence - 1

    @property
    def open_parts(self) -> int:
        """How many parts of the segment that comes next are there already."""
        last = self.parts[-1] if self.parts else None
        return last.index + 1 if last is not None and last.sequence == self.next_sequence else 0

    @property
    def edge(self) -> tuple[int, int]:
        """How far the playlist reaches: the segment that comes next, and how many parts of it are there."""
        return self.next_sequence, self.open_parts
