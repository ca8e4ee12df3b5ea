"""The segments of a stream in a row: the open one, what joins it to the last, and the wall clock beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from ._packaging_segment import OpenSegment, Signature
from ._packaging_tracks import AUDIO_SLOT, VIDEO_SLOT, AudioTrack, VideoTrack
from ._packaging_window import Description, Window

__all__ = ["Series"]

#: Seconds by which EXT-X-PROGRAM-DATE-TIME may move at a cut; players bear ten times as much.
_SLEW: Final = 0.005


class Series:
    """Opens and closes segments; what is decided by whom stands in `packaging`.

    Attributes:
        open: the segment in the making, None between a break and the next keyframe.
        broken: the next segment does not go on from the last.
        announced_size: of the pictures, as the metadata tell it.
        finished: segments so far.
    """

    def __init__(self, window: Window, wall: Callable[[], float], cut: Callable[[], None] | None) -> None:
        self.window = window
        self.open: OpenSegment | None = None
        self.broken = False
        self.announced_size: tuple[int, int] | None = None
        self.finished = 0
        self._wall = wall
        self._cut_listener = cut
        self._signature: Signature = ()
        self._anchor = (0, 0.0)  # ticks, and the Unix time they stand for

    def start(self, dts: int, lead: int, tracks: Iterable[VideoTrack | AudioTrack]) -> None:
        """Open a segment where none is; its first frame is decoded at `dts`."""
        if self.broken:
            self._anchor = (dts, self._wall())
        self._begin(dts, lead, tracks)

    def cut(self, dts: int, lead: int, tracks: Iterable[VideoTrack | AudioTrack]) -> None:
        """Finish the open segment at `dts` and open the next.  libav's errors come through; then none is open."""
        self.close(dts)
        self._follow_the_wall(dts)
        self._begin(dts, lead, tracks)

    def add(self, slot: int, dts: int, pts: int, key: bool, data: bytes) -> bool:
        """Give the open segment a frame; False where it has no place for it.  libav's errors come through."""
        segment = self.open
        if segment is None or (slot == AUDIO_SLOT and segment.deaf):
            return False
        return segment.add(slot, dts, pts, key, data)

    def drop(self) -> None:
        """Forget the open segment."""
        if self.open is not None:
            self.open.abandon()
            self.open = None

    def close(self, end: int) -> None:
        """Finish the open segment, which lasts until `end`, and list it.  libav's errors come through."""
        segment, self.open = self.open, None
        if segment is None or not segment.size:
            return
        try:
            data = segment.finish()
            if not data:
                raise RuntimeError("a segment without bytes")
        except BaseException:
            segment.abandon()
            self.broken = True
            raise
        changed = self.broken or segment.signature != self._signature
        self.window.add(
            data,
            duration=max(end - segment.start, 90) / 90000,
            at=self._time_of(segment.start),
            # Of the very first there is nothing that it could go on from.
            discontinuity=changed and self.finished > 0,
            description=self._describe(segment),
        )
        self.broken, self._signature = False, segment.signature
        self.finished += 1
        if self._cut_listener is not None:
            self._cut_listener()

    def _begin(self, dts: int, lead: int, tracks: Iterable[VideoTrack | AudioTrack]) -> None:
        wanted = {each.slot: each for each in tracks if lead == VIDEO_SLOT or each.slot == AUDIO_SLOT}
        self.open = OpenSegment(dts, lead, wanted)

    def _describe(self, segment: OpenSegment) -> Description:
        size = None
        for track in segment.tracks:
            if isinstance(track, VideoTrack):
                size = track.size or self.announced_size
        return Description(codecs=",".join(track.codec for track in segment.tracks), resolution=size)

    def _time_of(self, dts: int) -> float:
        at, then = self._anchor
        return then + (dts - at) / 90000

    def _follow_the_wall(self, dts: int) -> None:
        """No encoder's clock is the true one: within a day they part by seconds.  Follow, too slowly to be seen."""
        error = self._wall() - self._time_of(dts)
        at, then = self._anchor
        self._anchor = (at, then + max(-_SLEW, min(_SLEW, error / 16)))
