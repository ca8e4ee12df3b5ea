"""The MPEG-TS checker: a stream cut anywhere goes on, and each kind of break is found."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.load._mpegts import Continuity, summarise

from .support import packet, pes, ts

SECOND = 90_000
WRAP = 1 << 33


def problems(*segments: bytes) -> list[str]:
    continuity = Continuity()
    return [each for segment in segments for each in continuity.segment(summarise(segment))]


def stream(packets: list[tuple[int, bool]], start: int = 0) -> list[bytes]:
    """A sound stream: of each packet its PID, and whether it has a payload.  Frames are 0.1 s apart."""
    counters: dict[int, int] = {}
    clock = start
    out = []
    for number, (pid, has_payload) in enumerate(packets):
        counter = counters.get(pid, -1)
        if has_payload:
            counter = counters[pid] = counter + 1
            clock += SECOND // 10
            out.append(packet(pid, counter, pes(clock % WRAP) + number.to_bytes(4, "big"), start=True))
        elif counter >= 0:  # nothing can be said of a counter that is not there yet
            out.append(packet(pid, counter))
    return out


PIDS = st.sampled_from([0x100, 0x101])
STREAMS = st.lists(st.tuples(PIDS, st.booleans()), min_size=3, max_size=60)


def sparse(packets: list[bytes]) -> bool:
    """Whether some PID is silent for longer than a frame may be away."""
    last: dict[bytes, int] = {}
    for at, each in enumerate(packets):
        if at - last.setdefault(each[1:3], at) > 9:
            return True
        last[each[1:3]] = at
    return False


@given(STREAMS, st.data())
def test_a_sound_stream_is_sound_however_it_is_cut(spec: list[tuple[int, bool]], data: st.DataObject) -> None:
    packets = stream(spec, start=data.draw(st.sampled_from([0, WRAP - SECOND])))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(packets)), max_size=4)))
    edges = [0, *cuts, len(packets)]
    segments = [b"".join(packets[a:b]) for a, b in pairwise(edges) if a < b]
    found = problems(*segments)
    assert found == problems(b"".join(packets)) if packets else found == []
    if not sparse(packets):
        assert found == []


@given(st.integers(20, 60), st.integers(1, 14), st.data())
def test_lost_packets_are_found_however_the_stream_is_cut(count: int, lost: int, data: st.DataObject) -> None:
    packets = stream([(0x100, True)] * count)
    at = data.draw(st.integers(1, count - lost - 1))
    left = packets[:at] + packets[at + lost :]
    cut = data.draw(st.integers(1, len(left) - 1))
    found = problems(b"".join(left[:cut]), b"".join(left[cut:]))
    assert found.count("continuity") == 1
    assert ("timestamps" in found) == (lost > 9)


@given(st.binary(max_size=188 * 4))
def test_any_bytes_are_taken(data: bytes) -> None:
    assert "sync" in summarise(data).problems or len(data) % 188 == 0


@given(st.lists(st.binary(min_size=187, max_size=187), min_size=1, max_size=4))
def test_any_packets_are_taken(bodies: list[bytes]) -> None:
    problems(*(b"\x47" + body for body in bodies), b"".join(b"\x47" + body for body in bodies))


def test_the_tests_own_segments_are_sound() -> None:
    assert problems(*(ts(number) for number in range(7, 12))) == []


@pytest.mark.parametrize("data", [b"", b"\x47" * 187, b"G" + bytes(187) + b"H" + bytes(187), b"\0" * 188])
def test_what_is_no_mpegts_has_no_sync(data: bytes) -> None:
    assert "sync" in summarise(data).problems


def test_a_packet_may_come_twice_and_not_three_times() -> None:
    one, two, three = stream([(0x100, True)] * 3)
    assert problems(one + two + two + three) == []
    assert problems(one + two + two + two + three) == ["continuity"]


def test_an_indicator_excuses_a_counter_that_begins_anew() -> None:
    first = b"".join(stream([(0x100, True)] * 5))
    payload = pes(SECOND)
    assert problems(first, packet(0x100, 0, payload, start=True)) == ["continuity"]
    assert problems(first, packet(0x100, 0, payload, start=True, excused=True)) == []
    assert problems(first, packet(0x100, 9, excused=True) + packet(0x100, 10, payload, start=True)) == []
    assert problems(first + packet(0x100, 0, payload, start=True, excused=True)) == []


def test_times_must_go_on() -> None:
    def at(counter: int, dts: int) -> bytes:
        return packet(0x100, counter, pes(dts % WRAP), start=True)

    assert problems(at(0, 0), at(1, SECOND)) == []
    assert problems(at(0, 0), at(1, SECOND + 1)) == ["timestamps"]
    assert problems(at(0, 10), at(1, 9)) == ["timestamps"]
    assert problems(at(0, WRAP - 10), at(1, 10)) == []


def test_a_restart_forgets() -> None:
    continuity = Continuity()
    continuity.segment(summarise(ts(0)))
    assert continuity.segment(summarise(ts(5))) != []
    continuity.restart()
    assert continuity.segment(summarise(ts(0))) == []


def test_padding_is_nobodys() -> None:
    padding = packet(0x1FFF, 5, bytes(100))
    assert problems(padding + packet(0x1FFF, 9, bytes(100)), padding) == []
