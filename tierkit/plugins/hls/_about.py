"""What an object is, and what it says of itself."""

from __future__ import annotations

from attrs import evolve, frozen

from tierkit.codecs.dash import MpdFacts, is_older
from tierkit.codecs.hls import Kind, PlaylistFacts

__all__ = ["About"]


@frozen(kw_only=True)
class About:
    """What is known of an object by what it is."""

    kind: Kind
    #: Of a playlist.
    facts: PlaylistFacts | None = None
    #: Of a DASH manifest.
    mpd: MpdFacts | None = None

    @property
    def media_playlist(self) -> bool:
        """Whether it lists segments."""
        return self.facts is not None and not self.facts.multivariant

    def brief(self) -> About:
        """The same without the lists: what is kept beside an object."""
        return self if self.facts is None else evolve(self, facts=self.facts.brief())

    def older_than(self, shown: About) -> bool:
        """Whether it is an older version of a manifest than what is shown; playlists have their `Track` for that."""
        return self.mpd is not None and shown.mpd is not None and is_older(shown.mpd, self.mpd)
