"""A live stream cut into FLV files: messages in, the bytes of files out.

* A file begins with a picture that a decoder can begin with, headers first, its time at 0.  Sound alone begins
  anywhere: where the metadata names no picture, or where none has come for some seconds.
* A file ends at the first such place after `seconds` or `size`; behind a hole of `HOLE` ms; and after a header that
  differs from the one that it began with, so that one file has one configuration.
* Time never goes back within a file for either kind of media; RTMP's clock may wrap in the middle.
* `onMetaData` is the publisher's own, with `duration`, `filesize` and `lasttimestamp` in front: 0 while the file grows.
  They are numbers of a fixed length, so a finished file has its head written over in place (`End.head`).
* A message comes with whether there is *room* for it.  Without, everything is left out until a place to begin, whole
  GOPs but for the first, and counted.
* Each piece is whole tags: a file that is cut between two pieces is as good as a finished one, but for those numbers.

FLV specification 10.1, annex E.
"""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from tierkit.errors import LocalProtocolError, RemoteProtocolError

from . import amf0
from .flv import create_flv_header, create_flv_tag
from .flv_packet import Kind, classify
from .rtmp_message import AUDIO, DATA, VIDEO

__all__ = ["HOLE", "Begin", "End", "FLVCutter", "Step"]

#: Milliseconds without media behind which another file begins: another clock, or a line that was down.
HOLE: Final = 15_000
#: Milliseconds by which a keyframe may come early and still be cut at: stamps are rounded.
_EARLY: Final = 20
#: Milliseconds of sound without a picture after which it counts as alone: at the beginning, and later.
_ALONE_FIRST: Final = 2_000
_ALONE_LATER: Final = 10_000
#: Signed milliseconds of 32 bits reach for 24.8 days; no file is longer than 20.
_LONGEST: Final = 20 * 86_400_000
#: What is kept for the next file's head: as many headers, of at most this size, as the live kit keeps.
_MAX_PINNED: Final = 64
_MAX_PINNED_BYTES: Final = 65536
_MAX_TAG: Final = 0xFFFFFF
_MAX_STEP: Final = 1000
_OURS: Final = ("duration", "filesize", "lasttimestamp")
#: What a recording's metadata must not repeat: ours, and places in somebody else's file.
_LEFT_OUT: Final = frozenset((*_OURS, "keyframes", "lastkeyframetimestamp", "lastkeyframelocation"))


@frozen
class Begin:
    """A file begins, with these bytes."""

    data: bytes


@frozen
class End:
    """The open file has ended; `head` is to be written over its beginning.  `seconds` is its length in media."""

    head: bytes
    seconds: float


#: `bytes` are whole tags to append.
Step = Begin | bytes | End


class FLVCutter:
    """One publisher's stream, cut.

    Args:
        seconds: of media after which a file ends at the next keyframe.
        size: bytes after which it does; 0 for no such bound.

    Attributes:
        lost: messages left out for want of room; `lost_gops`: keyframes among them, so GOPs lost from their beginning.
    """

    def __init__(self, seconds: float, size: int = 0) -> None:
        self.seconds = seconds
        self.size = size
        self.lost = self.lost_gops = 0
        self._pinned: dict[tuple[int, str, int], bytes] = {}
        self._open: _File | None = None
        self._gap = False
        self._renew = False
        self._track: int | None = None  # the video track whose keyframes count
        self._pictures = False
        self._silent_since: int | None = None  # timestamp of the last picture, or of the first sound

    def receive(self, type_id: int, timestamp: int, payload: bytes, *, room: bool = True) -> list[Step]:
        """One message: type 8, 9 or 18 (others are ignored), ms modulo 2**32, payload."""
        if not payload or len(payload) > _MAX_TAG or type_id not in (AUDIO, VIDEO, DATA):
            return []
        kind = classify(type_id, payload)
        if kind.is_end_of_sequence:
            return []  # an encoder may go on behind it
        if kind.is_pinned:
            return self._pin(type_id, timestamp, payload, kind, room)
        begins = self._may_begin(type_id, timestamp, kind)
        if not room or (self._gap and not begins):
            self._gap = True
            self.lost += 1
            self.lost_gops += begins and type_id == VIDEO
            return []
        steps: list[Step] = []
        if (begins and self._due(timestamp)) or self._too_long(timestamp):
            steps += self.end()
        if begins and self._open is None:
            steps.append(self._begin(type_id, timestamp))
        if self._open is not None and self._fits(type_id, self._open):
            again = self._headers(self._open, timestamp) if self._gap else b""
            steps.append(again + self._open.tag(type_id, timestamp, payload))
            self._gap = False
        return steps

    def end(self) -> list[Step]:
        """The stream has ended: so has the file."""
        file, self._open = self._open, None
        return [] if file is None else [End(file.head(final=True), file.seconds)]

    def abandon(self) -> None:
        """The open file could not be written: what comes is left out until another can begin."""
        self._open = None
        self._gap = True

    # --- where a file may begin and must end ------------------------------------------------------

    def _may_begin(self, type_id: int, timestamp: int, kind: Kind) -> bool:
        if type_id == VIDEO:
            if not self._pictures:
                self._pictures = self._renew = True
            self._silent_since = timestamp
            if kind.is_keyframe and (self._track is None or kind.track < self._track):
                self._track = kind.track
            return kind.is_keyframe and kind.track == self._track
        return type_id == AUDIO and self._alone(timestamp)

    def _alone(self, timestamp: int) -> bool:
        """Whether sound leads now."""
        if self._silent_since is None:
            self._silent_since = timestamp
        silent = abs(_signed(timestamp - self._silent_since))
        if self._pictures and silent >= _ALONE_LATER:
            self._pictures = False
            self._renew = True
        if self._pictures or (self._open is not None and not self._open.sound_leads and not self._renew):
            return False
        known = self._open is not None or self._renew
        return known or silent >= _ALONE_FIRST or self._no_picture_is_announced()

    def _no_picture_is_announced(self) -> bool:
        said = self._pinned.get((DATA, "metadata", 0))
        return said is not None and b"videocodecid" not in said and not any(key[0] == VIDEO for key in self._pinned)

    def _fits(self, type_id: int, file: _File) -> bool:
        """A picture that refers to others does not belong behind sound alone: it waits for its keyframe."""
        return type_id != VIDEO or not file.sound_leads

    def _due(self, timestamp: int) -> bool:
        file = self._open
        if file is None:
            return False
        at = _signed(timestamp - file.base)
        full = at >= self.seconds * 1000 - _EARLY or (self.size > 0 and file.size >= self.size)
        return full or self._renew or at - file.latest > HOLE

    def _too_long(self, timestamp: int) -> bool:
        return self._open is not None and abs(_signed(timestamp - self._open.base)) > _LONGEST

    # --- headers ----------------------------------------------------------------------------------

    def _pin(self, type_id: int, timestamp: int, payload: bytes, kind: Kind, room: bool) -> list[Step]:
        key = (type_id, kind.role, kind.track)
        before = self._pinned.get(key)
        full = before is None and len(self._pinned) >= _MAX_PINNED
        if before == payload or len(payload) > _MAX_PINNED_BYTES or full:
            return []
        self._pinned[key] = payload
        if self._open is None or type_id == DATA:
            return []  # of metadata the newest counts, for the next file
        self._renew = self._renew or (before is not None and kind.is_sequence_header)
        if self._gap or not room:
            self._gap = True
            return []
        return [self._open.tag(type_id, timestamp, payload)]

    def _headers(self, file: _File, timestamp: int) -> bytes:
        wanted = [(key[0], payload) for key, payload in self._pinned.items() if key[0] != DATA]
        return b"".join(file.tag(type_id, timestamp, payload) for type_id, payload in wanted)

    def _begin(self, lead: int, timestamp: int) -> Begin:
        self._renew = self._gap = False
        announced = {key[0] for key in self._pinned} | {lead}
        file = self._open = _File(self._metadata(), timestamp, announced, sound_leads=lead == AUDIO)
        data = file.head()
        file.size = len(data)
        return Begin(data + self._headers(file, timestamp))

    def _metadata(self) -> dict[str, Any]:
        said = self._pinned.get((DATA, "metadata", 0), b"")
        try:
            found = next((each for each in amf0.decode_all(said) if isinstance(each, dict)), {})
            kept = {key: value for key, value in found.items() if key not in _LEFT_OUT}
            amf0.encode(kept)
        except (RemoteProtocolError, LocalProtocolError):
            return {}  # it says nothing that a decoder needs
        return kept


class _File:
    """One file that grows."""

    def __init__(self, metadata: dict[str, Any], base: int, announced: set[int], *, sound_leads: bool) -> None:
        self.base = base
        self.sound_leads = sound_leads
        self.size = 0
        self.latest = 0  # ms in this file
        self._metadata = metadata
        self._announced = announced
        self._written: set[int] = set()
        self._last: dict[int, int] = {}
        self._step = 0

    @property
    def seconds(self) -> float:
        """To the end of its last frame."""
        return (self.latest + self._step) / 1000

    def tag(self, type_id: int, timestamp: int, payload: bytes) -> bytes:
        """A tag at its place in this file."""
        last = self._last.get(type_id, 0)
        at = max(_signed(timestamp - self.base), last)
        self._last[type_id] = at
        if at > last and type_id == (AUDIO if self.sound_leads else VIDEO):
            self._step = min(at - last, _MAX_STEP)
        self.latest = max(self.latest, at)
        self._written.add(type_id)
        data = create_flv_tag(type_id, at, payload)
        self.size += len(data)
        return data

    def head(self, *, final: bool = False) -> bytes:
        """The file's header and metadata: as long, and as long only, before it is finished as after."""
        kinds = self._written if final else self._announced
        numbers = (self.seconds, float(self.size), self.latest / 1000) if final else (0.0, 0.0, 0.0)
        said = amf0.ECMAArray(dict(zip(_OURS, numbers, strict=True)) | self._metadata)
        return create_flv_header(audio=AUDIO in kinds, video=VIDEO in kinds) + create_flv_tag(
            DATA, 0, amf0.encode("onMetaData", said)
        )


def _signed(difference: int) -> int:
    return (difference + 0x80000000 & 0xFFFFFFFF) - 0x80000000
