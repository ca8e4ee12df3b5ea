"""The runs of an encoder: one that connects again has Wowza count its segments from the beginning, in the same names.

Viewers are shown one run: numbers go on where the last one ended, the place is marked as a discontinuity, and segments
have names of their own (``media_r1_0.ts`` for ``media_0.ts``), because the old ones are in the caches of browsers and
of whatever else is on the way.  The mark ``_r1`` means nothing to the server, so it is taken out where that is asked.
"""

from __future__ import annotations

import re

from attrs import define, field

from tierkit.codecs.hls_epoch import MAX_LAG, NEAR_START
from tierkit.codecs.hls_renumber import renumbered, window
from tierkit.codecs.wowza_names import pattern

from ._newest import Newest

__all__ = ["Run", "Runs"]

#: Media playlists of one stream whose numbers are followed.
MAX_LISTS = 64
#: Numbers by which a copy that was under way for longer may be behind, however near the start.
LATE = 2
_MARK = re.compile(r"_r([0-9]{1,9})(?=_[0-9#]+(?:_m3u8)?\.)")


@define
class Run:
    """One media playlist's numbers, before anything is added."""

    first: int
    end: int
    #: What is added for viewers, how many runs there were before this one, and the number that this one began with.
    added: int = 0
    before: int = 0
    begins: int = 0

    def follow(self, first: int, end: int) -> None:
        """Another version of it has come."""
        behind = self.first - first
        if behind > LATE and (first <= NEAR_START or behind > MAX_LAG):
            self.added += self.end - first
            self.before += 1
            self.begins = first
        elif behind > 0:
            return  # an older copy
        self.first, self.end = first, end


@define(eq=False)
class Runs:
    """One stream's."""

    _lists: Newest[str, Run] = field(factory=lambda: Newest(MAX_LISTS))
    #: By patterns of segments: how many runs there were before the one that they were listed in last.
    _before: Newest[str, int] = field(factory=lambda: Newest(4 * MAX_LISTS))

    def shown(self, file: str, playlist: bytes) -> tuple[bytes, int]:
        """A media playlist as viewers see it, but for its names; and how many runs there were before this one."""
        listed = window(playlist)
        if listed is None:
            return playlist, 0
        run = self._lists.get(file)
        if run is None:
            run = Run(listed.first, listed.end)
            self._lists.put(file, run)
        run.follow(listed.first, listed.end)
        if not run.before:
            return playlist, 0
        return renumbered(playlist, run.added, run.before, run.begins), run.before

    def marked(self, plain: str, before: int) -> str:
        """A segment's canonical name in a run; any other child's name as it is."""
        of, number = pattern(plain)
        if not number:
            return plain
        self._before.put(of, before)
        return of.replace("_#", f"_r{before}_{number}", 1) if before else plain

    def unmarked(self, file: str) -> tuple[str, bool]:
        """What the server calls a segment, and whether it is of the run that is on now, as far as is known."""
        found = _MARK.search(file)
        plain = _MARK.sub("", file, count=1)
        known = self._before.get(pattern(plain)[0])
        return plain, known is None or known == (int(found.group(1)) if found else 0)
