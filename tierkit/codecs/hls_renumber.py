"""A media playlist counted on: that of an encoder which was started again, as the continuation of what was there.

Segments that count from the beginning again, in a playlist under the same URL, stop many a player for good: it waits
for the number after the last that it knows.  RFC 8216 section 6.2.1 has a way for a stream that changes in between: go
on counting, and mark the place by EXT-X-DISCONTINUITY; once the mark has left the window, it is counted by
EXT-X-DISCONTINUITY-SEQUENCE (section 6.2.2).

Lines are told apart as `hls_lines` says; what is not named here stays as it is, byte by byte.
"""

from __future__ import annotations

import re

from attrs import frozen

from .hls_lines import BLANKS, is_playlist

__all__ = ["Window", "renumbered", "window"]

_NUMBER = re.compile(r"[0-9]{1,18}\Z")
_MEDIA, _DISCONTINUITIES = "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE"


@frozen
class Window:
    """Which segments a media playlist lists: their numbers from `first` on, up to and without `end`."""

    first: int
    end: int


def window(playlist: bytes) -> Window | None:
    """What a media playlist lists; None for one that is none, or that has parts or skips, which are not renumbered."""
    if b"#EXTINF" not in playlist or b"#EXT-X-PART" in playlist or b"#EXT-X-SKIP" in playlist:
        return None
    text = playlist.decode("utf-8", "surrogateescape")
    if not is_playlist(text):
        return None
    first = count = 0
    for line in text.split("\n")[1:]:
        core = line.strip(BLANKS)
        if core.startswith(_MEDIA + ":"):
            first = _value(core)
        elif core and not core.startswith("#"):
            count += 1
    return Window(first, first + count)


def renumbered(playlist: bytes, by: int, runs: int, begins: int) -> bytes:
    """A media playlist that `window` knows, counted on.

    Args:
        by: what is added to its numbers.
        runs: how often the stream has begun anew so far.
        begins: the number, before that, of the first segment since it did so last.
    """
    shown = window(playlist)
    if shown is None:
        return playlist
    marked = shown.first <= begins < shown.end
    lines = playlist.decode("utf-8", "surrogateescape").split("\n")
    ending = "\r" if lines[0].endswith("\r") else ""
    before = next((_value(each) for each in map(_core, lines) if each.startswith(_DISCONTINUITIES + ":")), 0)
    out = [lines[0], f"{_MEDIA}:{shown.first + by}{ending}"]
    if count := before + runs - marked:
        out.append(f"{_DISCONTINUITIES}:{count}{ending}")
    number = shown.first
    due = marked
    for line in lines[1:]:
        core = _core(line)
        if core.startswith((_MEDIA + ":", _DISCONTINUITIES + ":")):
            continue
        if due and number == begins and core.startswith("#EXTINF"):
            out.append(f"#EXT-X-DISCONTINUITY{ending}")
            due = False
        out.append(line)
        number += bool(core) and not core.startswith("#")
    return "\n".join(out).encode("utf-8", "surrogateescape")


def _core(line: str) -> str:
    return line.strip(BLANKS)


def _value(core: str) -> int:
    told = core.partition(":")[2].strip()
    return int(told) if _NUMBER.match(told) else 0
