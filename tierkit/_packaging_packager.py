"""The FLV messages of one live stream in, HLS out; remuxed, never transcoded.

A `Packager` is given the messages of one stream as they arrive (`receive`) and keeps a sliding window of
MPEG-TS segments and the playlists over them.  It is synchronous: some 5 microseconds a message, half a
millisecond a cut, no task, no thread.

Theory of operation
-------------------
* Where there is video it *leads*: segments are cut at its keyframes, once `target` seconds are full.  Without
  video, sound leads and is cut by time.  Nothing that was announced is waited for longer than `patience`.
* The pieces: `_packaging_segment.py` is the segment in the making, `_packaging_series.py` what joins one to the
  next, `_packaging_window.py` what is served.
* Nothing is taken on trust.  libav sees only packets that this library has built (`_packaging_tracks.py`),
  and a muxer lives for one segment (`_packaging_mpegts.py`).  Time is made monotonic (`_packaging_clock.py`).
* A *break* ends the open segment, and the next begins at a keyframe with EXT-X-DISCONTINUITY.  Breaks are: a
  malformed picture, an error of libav, a jump of time, another publisher.  A change of the decoder
  configuration shows by itself, as segments know their `signature`.
* A stream that breaks again within a second is held off for one, and cuts are rationed, so that neither garbage
  nor timestamps can buy a segment a frame.
* Sound on a clock of its own is left out until the picture follows it, or stays away.
* `receive` never raises: faults are counted and told, at most one line a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ._packaging_clock import JUMP, STRAY, Timeline
from ._packaging_figures import Faults, PackagerStatistics, Packaging
from ._packaging_segment import OpenSegment
from ._packaging_series import Series
from ._packaging_tracks import (
    AUDIO_SLOT,
    VIDEO_SLOT,
    AudioTrack,
    Unsupported,
    VideoTrack,
    audio_body,
    mp3_header,
    video_body,
)
from ._packaging_window import Window
from .codecs import amf0
from .codecs.flv_packet import Kind, classify
from .codecs.rtmp_message import AUDIO, DATA, VIDEO
from .errors import RemoteProtocolError

__all__ = ["Packager"]

#: Ticks by which a keyframe may come early and still be cut at: stamps are rounded, and 29.97 is not 30.
_EARLY: Final = 20 * 90
#: Milliseconds by which a picture may be shown after it is decoded; ten seconds are no reordering.
_MAX_COMPOSITION: Final = 10_000
#: Frames of sound on another clock, without a picture between them, before it goes on alone: ten seconds of AAC.
_MAX_STRAYS: Final = 500


class Packager:
    """One stream's HLS, over all its publishers.

    Args:
        packaging: how.
        first_sequence: where the media sequence begins; give something that rises from one process to the
            next (Unix seconds), and players and caches survive a restart.
        clock: seconds that never go back; wall: Unix seconds.
        tell: called with one line for each fault, at most once a second.
        cut: called after each segment has joined the playlist; must raise nothing.
    """

    def __init__(
        self,
        packaging: Packaging | None = None,
        *,
        first_sequence: int = 0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        tell: Callable[[str], None] | None = None,
        cut: Callable[[], None] | None = None,
    ) -> None:
        self.packaging = how = packaging or Packaging()
        #: The finished segments and the playlists over them.
        self.window = Window(
            size=how.window,
            keep=how.keep,
            target=how.target,
            first_sequence=first_sequence,
            keep_bytes=how.keep_bytes,
        )
        self._series = Series(self.window, wall, cut)
        self._faults = Faults(clock, tell)
        self._timeline = Timeline()
        self._target = round(how.target * 90000)
        self._patience = round(how.patience * 90000)
        self._tracks: dict[int, VideoTrack | AudioTrack] = {}
        self._waiting_since: int | None = None  # timestamp of the first frame since nothing could begin
        self._strays = 0
        self._alone = False  # sound has been given up waiting for a picture
        self._forced_cuts = self._frames_dropped = 0

    # --- what is served ---------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether there is a segment to play."""
        return len(self.window) > 0

    def statistics(self) -> PackagerStatistics:
        """A snapshot."""
        return PackagerStatistics(
            segments=self._series.finished,
            bytes_kept=self.window.bytes,
            faults=self._faults.faults,
            breaks=self._faults.breaks,
            forced_cuts=self._forced_cuts,
            frames_dropped=self._frames_dropped,
        )

    # --- what comes in ----------------------------------------------------------------------------

    def restart(self) -> None:
        """Another publisher begins: nothing goes on from before but the numbers."""
        self.finish()
        self._timeline.stop()
        self._tracks.clear()
        self._faults.forget()
        self._series.announced_size = None
        self.window.renew()
        self._waiting_since = None
        self._alone = False

    def finish(self) -> None:
        """The publisher has ended: what is open becomes the last segment."""
        try:
            self._close()
        except Exception as exc:
            self._faults.fault(f"the last segment is lost: {_words(exc)}")
        self._series.broken = True

    def receive(self, type_id: int, timestamp: int, payload: bytes) -> None:
        """One FLV message: RTMP type (8, 9, 18; others are ignored), milliseconds modulo 2**32, payload."""
        if not payload:
            return
        try:
            if type_id == VIDEO:
                self._video(timestamp, payload)
            elif type_id == AUDIO:
                self._audio(timestamp, payload)
            elif type_id == DATA:
                self._data(payload)
        except Unsupported as exc:
            self._frames_dropped += 1
            self._faults.tell_once(str(exc))
        except Exception as exc:
            # Ours (malformed media) or libav's: either way the segment ends here.
            self._faults.fault(_words(exc))
            self._break()

    def _data(self, payload: bytes) -> None:
        if not classify(DATA, payload).is_metadata:
            return
        try:
            values = amf0.decode_all(payload)
        except RemoteProtocolError:
            return  # of what it says, only the size matters, and that only for HEVC
        for each in values:
            if isinstance(each, dict):
                width, height = each.get("width"), each.get("height")
                if isinstance(width, float) and isinstance(height, float) and 0 < width < 65536 and 0 < height < 65536:
                    self._series.announced_size = (int(width), int(height))

    def _video(self, timestamp: int, payload: bytes) -> None:
        kind = classify(VIDEO, payload)
        if kind.track or kind.is_metadata or kind.is_end_of_sequence:
            return
        if (where := video_body(payload, kind)) is None:
            return
        at, composition = where
        if kind.is_sequence_header:
            self._video_header(payload[at:], kind.codec)
            return
        track = self._tracks.get(VIDEO_SLOT)
        if not isinstance(track, VideoTrack):
            self._frames_dropped += 1
            return
        key = kind.is_keyframe
        if abs(composition) > _MAX_COMPOSITION:
            raise RemoteProtocolError(f"a picture that is to be shown {composition} ms after it is decoded")
        data = track.sample(payload, at, key)
        dts = self._place_video(timestamp, key)
        if dts is None:
            self._frames_dropped += 1
            return
        self._add(VIDEO_SLOT, dts, dts + max(composition, 0) * 90, key, data)

    def _place_video(self, timestamp: int, key: bool) -> int | None:
        """Where a picture goes, with a segment open for it; None where it cannot be used."""
        segment = self._series.open
        if segment is not None and segment.lead == AUDIO_SLOT:
            if not key:
                return None
            self._picture_joins(segment)
            segment = self._series.open
        if segment is not None:
            dts = self._timeline.place(VIDEO_SLOT, timestamp, leads=True)
            if dts >= 0:
                self._strays = 0
                self._cut_video(segment, dts, key)
                return dts
            self._break()
        if not key:
            self._be_patient(timestamp)
            return None
        return self._start(VIDEO_SLOT, timestamp)

    def _picture_joins(self, segment: OpenSegment) -> None:
        """The first picture of a stream that was sound alone."""
        if (self._series.finished and not self._series.broken) or self._timeline.end - segment.start >= self._target:
            self._close()
        else:
            # It has only just begun: better without that moment of sound than with a segment of its own for it.
            self._series.drop()

    def _cut_video(self, segment: OpenSegment, dts: int, key: bool) -> None:
        length = dts - segment.start
        if key and length >= self._target - _EARLY:
            self._cut(dts, VIDEO_SLOT)
        elif length >= self._patience or segment.size >= self.packaging.max_bytes:
            self._forced_cut(dts, VIDEO_SLOT)

    def _audio(self, timestamp: int, payload: bytes) -> None:
        kind = classify(AUDIO, payload)
        if kind.track or kind.is_metadata or kind.is_end_of_sequence:
            return
        at = audio_body(payload, kind)
        try:
            data = self._sound(payload, at, kind)
        except RemoteProtocolError as exc:
            # A gap in the sound is no reason to take the picture away.
            self._faults.fault(str(exc))
            data = b""
        if kind.is_sequence_header:
            return
        dts = self._place_audio(timestamp) if data else None
        if dts is None:
            self._frames_dropped += 1
            return
        self._add(AUDIO_SLOT, dts, dts, True, data)

    def _sound(self, payload: bytes, at: int, kind: Kind) -> bytes:
        """One frame of sound; nothing for a configuration, or for a frame that came before any."""
        if kind.is_sequence_header:
            self._audio_header(payload[at:], kind.codec)
            return b""
        if kind.codec == "mp3":
            self._audio_header(mp3_header(payload, at), kind.codec)
        track = self._tracks.get(AUDIO_SLOT)
        return track.sample(payload, at) if isinstance(track, AudioTrack) else b""

    def _place_audio(self, timestamp: int) -> int | None:
        """Where a frame of sound goes, with a segment open for it; None where it cannot be used."""
        segment = self._series.open
        if segment is None:
            if VIDEO_SLOT in self._tracks and not self._alone and not self._be_patient(timestamp):
                return None
            return self._start(AUDIO_SLOT, timestamp)
        leads = segment.lead == AUDIO_SLOT
        dts = self._timeline.place(AUDIO_SLOT, timestamp, leads=leads)
        if dts == STRAY:
            self._strays += 1
            if self._strays < _MAX_STRAYS:
                return None
            self._faults.tell("no picture, and sound on another clock: it goes on alone")
            dts = JUMP
        if dts == JUMP:
            self._break()
            return self._start(AUDIO_SLOT, timestamp)
        self._cut_audio(segment, dts, leads)
        return dts

    def _cut_audio(self, segment: OpenSegment, dts: int, leads: bool) -> None:
        length = dts - segment.start
        if leads:
            if length >= self._target - _slack(self._tracks.get(AUDIO_SLOT)):
                self._cut(dts, AUDIO_SLOT)
        elif length >= self._patience or segment.size >= self.packaging.max_bytes:
            seen = segment.last(VIDEO_SLOT)
            self._alone = seen is None or dts - seen > self._patience // 2
            self._forced_cut(dts, AUDIO_SLOT if self._alone else VIDEO_SLOT)

    # --- segments ---------------------------------------------------------------------------------

    def _start(self, lead: int, timestamp: int) -> int | None:
        """Open a segment whose first frame has this timestamp; None while the stream is held off or rationed."""
        if self._faults.held_off or not self._faults.spend_a_cut():
            return None
        if self._timeline.begin(timestamp):
            self._series.broken = True
        self._waiting_since = None
        self._strays = 0
        self._alone = lead == AUDIO_SLOT
        dts = self._timeline.place(lead, timestamp, leads=True)  # neither JUMP nor STRAY, as it has just begun here
        self._series.start(dts, lead, self._tracks.values())
        return dts

    def _add(self, slot: int, dts: int, pts: int, key: bool, data: bytes) -> None:
        if not self._series.add(slot, dts, pts, key, data):
            self._frames_dropped += 1

    def _cut(self, dts: int, lead: int) -> None:
        if not self._faults.spend_a_cut():
            raise RemoteProtocolError("the timestamps run many times faster than time")
        self._series.cut(dts, lead, self._tracks.values())

    def _forced_cut(self, dts: int, lead: int) -> None:
        self._forced_cuts += 1
        segment, how = self._series.open, self.packaging
        large = segment is not None and segment.size >= how.max_bytes
        since = f"{how.max_bytes >> 20} MiB" if large else f"{how.patience:g} s"
        self._faults.tell(f"no keyframe for {since}: the segment ends without one")
        self._cut(dts, lead)

    def _close(self) -> None:
        """Finish the open segment where its frames end."""
        self._series.close(self._timeline.end)

    # --- what goes wrong --------------------------------------------------------------------------

    def _be_patient(self, timestamp: int) -> bool:
        """Nothing can begin without a keyframe: True once that has been so for too long."""
        if self._waiting_since is None:
            self._waiting_since = timestamp
        waited = (timestamp - self._waiting_since + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        if abs(waited) * 90 < self._patience:
            return False
        self._faults.tell(f"no keyframe for {self.packaging.patience:g} s")
        self._waiting_since = timestamp
        return True

    def _break(self) -> None:
        """End the open segment here; the next begins at a keyframe, and says that it does not go on from this."""
        self._faults.broke()
        try:
            self._close()
        except Exception as exc:
            self._faults.fault(_words(exc))
        self._series.broken = True

    # --- decoder configurations -------------------------------------------------------------------

    def _video_header(self, header: bytes, fourcc: str) -> None:
        old = self._tracks.get(VIDEO_SLOT)
        if old is not None and old.header == header:
            return  # repeated by many encoders
        self._tracks[VIDEO_SLOT] = VideoTrack(header, fourcc)
        if self._series.open is not None and self._series.open.lead == VIDEO_SLOT:
            self._close()

    def _audio_header(self, header: bytes, codec: str) -> None:
        old = self._tracks.get(AUDIO_SLOT)
        if old is not None and old.header == header:
            return
        self._tracks[AUDIO_SLOT] = AudioTrack(header, codec)
        segment = self._series.open
        if segment is None:
            return
        if segment.lead == AUDIO_SLOT:
            self._close()
        else:
            segment.deaf = True


def _slack(track: VideoTrack | AudioTrack | None) -> int:
    """Ticks by which sound alone may be cut early: half a frame, so that the mean is the target."""
    return round(track.frame / 2) if isinstance(track, AudioTrack) else 0


def _words(exc: BaseException) -> str:
    if isinstance(exc, RemoteProtocolError):
        return str(exc)
    return f"libav: {type(exc).__name__}: {exc}"[:300]
