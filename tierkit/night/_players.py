"""Players that read everything: ffmpeg, and whether what it got is what was sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from ._clip import QUIET, Clip, Packet, read_md5, source_form

__all__ = ["Played", "compare", "judge", "play_command"]

#: Seconds between two packets, beyond what the clip has there, that are a gap; where the loop begins again it is some
#: tens of milliseconds.
_SLACK = 0.15


@frozen
class Played:
    """What a player got, of one kind of packets."""

    #: Packets that stand in the clip, each behind the one before.
    same: int
    #: Packets that do not stand in the clip at all.
    other: int
    #: Times that something was left out.
    gaps: int

    @property
    def fine(self) -> bool:
        """Whether all of it is as it was sent."""
        return self.same > 0 and not self.other and not self.gaps


def play_command(url: str, seconds: float, out: Path) -> list[str]:
    """Play for some seconds of media, packets as they are, and write the MD5 of each."""
    scheme = url.partition(":")[0]
    live = ["-rtmp_live", "live"] if scheme.startswith("rtmp") else ["-live_start_index", "-3"]
    # The certificate is the load's to verify: ffmpeg's HLS reader hands no authority on to its connections.
    return [*QUIET, *live, "-i", url, "-t", f"{seconds:g}", *source_form(scheme), str(out)]


def compare(sent: Sequence[Packet], got: Sequence[Packet]) -> Played:
    """What a player got, beside the packets of a clip that goes round."""
    where = {packet.md5: n for n, packet in enumerate(sent)}
    other = gaps = same = 0
    before: tuple[int, float] | None = None
    for packet in got:
        place = where.get(packet.md5)
        if place is None:
            other += 1
            continue
        same += 1
        if before is not None:
            behind, at = before
            # From the last to the first nobody knows: it is what the encoder makes of it, a frame or so.
            passed = sent[place].at - sent[behind].at if place else 0.0
            # By place, and by time: a whole round left out stands at the right place.
            if place != (behind + 1) % len(sent) or abs(packet.at - at - passed) > _SLACK:
                gaps += 1
        before = place, packet.at
    return Played(same, other, gaps)


def judge(clip: Clip, listing: Path) -> dict[str, Played]:
    """What a player's list says, by kind; nothing of a kind that it has not got."""
    got = read_md5(listing) if listing.exists() else {}
    return {kind: compare(sent, got.get(kind, ())) for kind, sent in clip.packets.items()}
