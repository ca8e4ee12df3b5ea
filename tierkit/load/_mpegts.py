"""Whether MPEG-TS segments go on where the one before ended (RFC 8216 section 3).

A segment is boiled down to a few numbers per PID, once for all viewers that got the same bytes; what a viewer
keeps is the last of them.  Looked at:

* *sync*: every packet is 188 bytes and begins with 0x47 (ISO/IEC 13818-1 section 2.4.3.2);
* *continuity*: the counter goes up by one with each packet that has a payload; a packet may be sent twice, and a
  discontinuity_indicator excuses the packet that carries it (2.4.3.3, 2.4.3.5);
* *timestamps*: decoding times of audio and video never go back, nor on by more than MAX_STEP.
"""

from __future__ import annotations

from functools import lru_cache

from attrs import define, field, frozen

__all__ = ["MAX_STEP", "Continuity", "SegmentFacts", "summarise"]

#: Seconds between two frames of a PID: more is a hole, as long as a stall.
MAX_STEP = 1.0
_PACKET = 188
_CLOCK = 90_000
_WRAP = 1 << 33
_NULL_PID = 0x1FFF


@frozen
class _Pid:
    """What one segment has of a PID."""

    first: int  # continuity counter of the first packet, -1 where an indicator excuses it
    last: int
    first_dts: int | None
    last_dts: int | None


@frozen
class SegmentFacts:
    """A segment, for comparing with the next: its PIDs, and how often it breaks off inside."""

    pids: dict[int, _Pid]
    problems: tuple[str, ...]


@define(eq=False)
class _Track:
    first: int
    last: int
    payload: bytes | None = None
    repeated: bool = False
    first_dts: int | None = None
    last_dts: int | None = None


@define(eq=False)
class _Reader:
    tracks: dict[int, _Track] = field(factory=dict)
    problems: list[str] = field(factory=list)

    def packet(self, data: bytes, at: int) -> None:
        pid = (data[at + 1] & 0x1F) << 8 | data[at + 2]
        flags = data[at + 3]
        if pid == _NULL_PID or not flags & 0x30:
            return
        body = at + 4
        excused = False
        if flags & 0x20:
            length = data[body]
            excused = length > 0 and bool(data[body + 1] & 0x80)
            body += 1 + length
        counter = flags & 0x0F
        track = self.tracks.get(pid)
        if not flags & 0x10:
            # No payload: the counter stands still, unless an indicator says that it begins anew.
            if excused:
                self._excuse(pid, track, counter)
            return
        end = at + _PACKET
        if body > end:
            self.problems.append("sync")
            return
        if track is None:
            track = self.tracks[pid] = _Track(-1 if excused else counter, counter)
        elif not self._follows(track, counter, excused, data[at + 4 : end]):
            return
        # What comes twice is as good as a comparison of the whole packet: the counter stands in its head.
        track.payload = data[at + 4 : end]
        if data[at + 1] & 0x40 and (dts := _decoding_time(data, body, end)) is not None:
            self._time(track, dts)

    def _excuse(self, pid: int, track: _Track | None, counter: int) -> None:
        if track is None:
            self.tracks[pid] = _Track(-1, counter)
        else:
            track.last, track.payload = counter, None

    def _follows(self, track: _Track, counter: int, excused: bool, payload: bytes) -> bool:
        """Whether this packet is to be read: False for one that came twice."""
        if counter == track.last and payload == track.payload and not track.repeated and not excused:
            track.repeated = True
            return False
        if not excused and counter != (track.last + 1) & 15:
            self.problems.append("continuity")
        track.last, track.repeated = counter, False
        return True

    def _time(self, track: _Track, dts: int) -> None:
        if track.last_dts is not None and not _goes_on(track.last_dts, dts):
            self.problems.append("timestamps")
        if track.first_dts is None:
            track.first_dts = dts
        track.last_dts = dts


def _decoding_time(data: bytes, at: int, end: int) -> int | None:
    """Of the PES packet that begins here, if it is audio or video and has one (2.4.3.6, 2.4.3.7)."""
    if at + 14 > end or data[at : at + 3] != b"\0\0\1":
        return None
    stream_id = data[at + 3]
    # 0xC0 to 0xEF are audio and video, 0xBD is private stream 1 (AC-3), 0xFD is extended.
    if not (0xC0 <= stream_id <= 0xEF or stream_id in (0xBD, 0xFD)):
        return None
    flags = data[at + 7] >> 6
    if flags < 2:
        return None
    at += 14 if flags == 3 and at + 19 <= end else 9
    return (
        (data[at] >> 1 & 7) << 30
        | data[at + 1] << 22
        | (data[at + 2] >> 1) << 15
        | data[at + 3] << 7
        | data[at + 4] >> 1
    )


def _goes_on(before: int, now: int) -> bool:
    return (now - before) % _WRAP <= MAX_STEP * _CLOCK


# The reading viewers of a stream get the same segments within moments of each other.
@lru_cache(maxsize=16)
def summarise(data: bytes) -> SegmentFacts:
    """Boil a segment down.  Any bytes are taken: what is no MPEG-TS has the problem "sync"."""
    reader = _Reader()
    whole = len(data) - len(data) % _PACKET
    if whole != len(data) or not data:
        reader.problems.append("sync")
    for at in range(0, whole, _PACKET):
        if data[at] != 0x47:
            reader.problems.append("sync")
            break
        reader.packet(data, at)
    pids = {pid: _Pid(t.first, t.last, t.first_dts, t.last_dts) for pid, t in reader.tracks.items()}
    return SegmentFacts(pids, tuple(reader.problems))


class Continuity:
    """One viewer's segments, one after the other."""

    def __init__(self) -> None:
        self._pids: dict[int, _Pid] = {}

    def restart(self) -> None:
        """The next segment need not continue anything: EXT-X-DISCONTINUITY, or one was lost."""
        self._pids.clear()

    def segment(self, facts: SegmentFacts) -> list[str]:
        """What is wrong with the next segment; "sync", "continuity" or "timestamps", once each time."""
        problems = list(facts.problems)
        for pid, new in facts.pids.items():
            old = self._pids.get(pid)
            first_dts, last_dts = new.first_dts, new.last_dts
            if old is not None:
                if new.first not in (-1, (old.last + 1) & 15):
                    problems.append("continuity")
                if old.last_dts is not None:
                    if first_dts is not None and not _goes_on(old.last_dts, first_dts):
                        problems.append("timestamps")
                    last_dts = old.last_dts if last_dts is None else last_dts
            self._pids[pid] = _Pid(new.first, new.last, first_dts, last_dts)
        return problems
