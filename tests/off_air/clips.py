"""Clips as files, and messages that tell by their last byte who has sent them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.rtmp.media import Sent, audio_header, gop, metadata, video_header
from tierkit.codecs.flv import Tag, create_flv_header, create_flv_tag

#: What the messages of the clip end with; publishers have 1, 2, 3 ...
CLIP = 200


def signed(sent: Iterable[Sent], who: int) -> list[Sent]:
    return [Sent(each.type_id, each.timestamp, each.payload + bytes([who])) for each in sent]


def opening(who: int) -> list[Sent]:
    return [metadata(), *signed([video_header(), audio_header()], who)]


def seconds(count: int, who: int, *, start: int = 0) -> list[Sent]:
    """GOPs of a second, 25 pictures and 25 sounds each."""
    return [each for index in range(count) for each in signed(gop(start + index * 1000, 25), who)]


def flv(sent: Iterable[Sent | Tag]) -> bytes:
    tags = [create_flv_tag(each.type_id, each.timestamp, each.payload) for each in sent]
    return b"".join([create_flv_header(), *tags])


def write_clip(path: Path, count: int = 3, who: int = CLIP) -> str:
    path.write_bytes(flv([*opening(who), *seconds(count, who)]))
    return str(path)
