"""A clip to be looped: an FLV file that begins with a keyframe, ready to be sent again and again.

What a file says of itself as a whole (its duration, its size, where its keyframes are) is taken out of its metadata:
of a loop it is not true, and players stop at a duration.  Marks of a sequence's end are taken out, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import evolve, frozen

from tierkit.errors import RemoteProtocolError

from . import amf0
from .flv import FLVReader, Tag
from .rtmp_message import AUDIO, DATA, VIDEO

__all__ = ["LONGEST_CLIP", "MOST_TAGS", "SHORTEST_CLIP", "Clip", "parse_clip"]

SHORTEST_CLIP: Final = 1.0
"""Seconds: what is shorter is most probably one picture by mistake."""
LONGEST_CLIP: Final = 600.0
"""Seconds: it stands in memory as a whole."""
MOST_TAGS: Final = 200_000
"""Ten minutes have 60,000 with 50 pictures a second; this many are read in a second."""

#: Milliseconds by which a kind of media may step back in a file that is in order: muxers interleave.
_STEP_BACK: Final = 1000
#: What a frame is thought to last where there is one alone.
_FRAME: Final = 40
#: True of a file and not of a loop.
_OF_A_FILE: Final = frozenset(
    ("duration", "filesize", "keyframes", "lasttimestamp", "lastkeyframetimestamp", "lastkeyframelocation", "datasize")
)
#: Codecs whose frames nobody can decode without a configuration.
_HEADED: Final = frozenset(("avc1", "hvc1", "av01", "vp09", "mp4a"))
_WORDS: Final = {AUDIO: "sound", VIDEO: "pictures"}


@frozen
class Clip:
    """Messages to be sent in order, `timestamp` in ms from 0.

    `headers` come first, once: metadata and decoder configurations, all at 0.  `frames` come at their times; the
    first picture of them is a keyframe.  After `duration` ms they may begin again.  `codecs` names the codec of each
    kind of media (8 sound, 9 pictures).
    """

    headers: tuple[Tag, ...]
    frames: tuple[Tag, ...]
    duration: int
    codecs: Mapping[int, str]


def parse_clip(pieces: Iterable[bytes]) -> Clip:
    """The clip in an FLV file, which comes in pieces of any size.  What is cut off at its end is left out.

    Raises:
        RemoteProtocolError: no FLV, or none that can be looped; the text says why.
    """
    reader, tags = FLVReader(), list[Tag]()
    for piece in pieces:
        tags += reader.receive(piece)
        if len(tags) > MOST_TAGS:
            raise RemoteProtocolError(f"it has more than {MOST_TAGS:,} tags")
    reader.receive(b"")  # a fault behind the last tag is told now, however the file was cut
    media = [tag for tag in tags if tag.type_id in _WORDS and tag.payload]
    frames = [tag for tag in media if _is_frame(tag)]
    codecs = _codecs(frames)
    if not codecs:
        raise RemoteProtocolError("it has neither sound nor pictures")
    first_picture = next((tag for tag in frames if tag.type_id == VIDEO), None)
    if first_picture is not None and not first_picture.kind.is_keyframe:
        raise RemoteProtocolError("its pictures do not begin with a keyframe")
    headers = _headers(media, codecs)
    frames = _in_time(frames)
    duration = _duration(frames)
    if not SHORTEST_CLIP <= duration / 1000 <= LONGEST_CLIP:
        bounds = f"{SHORTEST_CLIP:g} to {LONGEST_CLIP:g} s"
        raise RemoteProtocolError(f"it lasts {duration / 1000:g} s, and a clip lasts {bounds}")
    return Clip((*_metadata(tags), *headers), tuple(frames), duration, codecs)


def _is_frame(tag: Tag) -> bool:
    # What has no codec is a command to the player ("seek begins"), or nothing that we know.
    kind = tag.kind
    return bool(kind.codec) and not kind.is_pinned and not kind.is_end_of_sequence


def _codecs(frames: Iterable[Tag]) -> dict[int, str]:
    found: dict[int, str] = {}
    for tag in frames:
        found.setdefault(tag.type_id, tag.kind.codec)
    return found


def _headers(media: Sequence[Tag], codecs: Mapping[int, str]) -> list[Tag]:
    found: dict[tuple[int, str, int], Tag] = {}
    for tag in media:
        kind = tag.kind
        if kind.is_pinned:
            before = found.setdefault((tag.type_id, kind.role, kind.track), tag)
            if before.payload != tag.payload:
                raise RemoteProtocolError(f"the configuration of its {_WORDS[tag.type_id]} changes in the middle")
    for type_id, codec in codecs.items():
        if codec in _HEADED and not any(key[:2] == (type_id, "header") for key in found):
            raise RemoteProtocolError(f"there is no sequence header for its {_WORDS[type_id]}")
    return [evolve(tag, timestamp=0) for tag in found.values()]


def _in_time(frames: Sequence[Tag]) -> list[Tag]:
    begin = min(tag.timestamp for tag in frames)
    newest = dict.fromkeys(_WORDS, begin)
    for tag in frames:
        if tag.timestamp < newest[tag.type_id] - _STEP_BACK:
            raise RemoteProtocolError(f"the time of its {_WORDS[tag.type_id]} goes back")
        newest[tag.type_id] = max(newest[tag.type_id], tag.timestamp)
    return [evolve(tag, timestamp=tag.timestamp - begin) for tag in frames]


def _duration(frames: Sequence[Tag]) -> int:
    """Until the last frame of each kind has been shown: a frame lasts what those of its kind last on average."""
    ends = []
    for type_id in _WORDS:
        times = [tag.timestamp for tag in frames if tag.type_id == type_id]
        if times:
            last = max(times)
            frame = max(1, round((last - min(times)) / (len(times) - 1))) if len(times) > 1 else _FRAME
            ends.append(last + frame)
    return max(ends)


def _metadata(tags: Iterable[Tag]) -> list[Tag]:
    for tag in tags:
        if tag.type_id == DATA and tag.kind.is_metadata:
            try:
                values = amf0.decode_all(tag.payload)
            except RemoteProtocolError:
                return []
            said = next((each for each in values if isinstance(each, dict)), {})
            kept = amf0.ECMAArray({key: each for key, each in said.items() if key not in _OF_A_FILE})
            return [Tag(DATA, 0, amf0.encode("onMetaData", kept))]
    return []
