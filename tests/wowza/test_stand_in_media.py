"""Chunks: real MPEG-TS, the same bytes each time, one going on where the other ends."""

from __future__ import annotations

import io
import itertools
from fractions import Fraction
from typing import Any

import pytest

from tierkit.testing.wowza import Epoch, Rendition, Server, _chunks, place_of
from tierkit.testing.wowza._chunks import Chunks
from tierkit.testing.wowza._media import the_loop
from tierkit.testing.wowza._streams import GOP_SECONDS, PATTERN

av = pytest.importorskip("av")

EPOCH = Epoch(0, 0.0, PATTERN)
WRAP = Fraction(1 << 33, 90_000)


def packets(data: bytes) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {"video": [], "audio": []}
    with av.open(io.BytesIO(data), format="mpegts") as container:
        for packet in container.demux():
            if packet.dts is not None:
                found[packet.stream.type].append(packet)
    return found


def chunk(number: int, label: str = "x") -> bytes:
    return the_loop().chunk(EPOCH.chunk(number), label)


def test_a_chunk_is_whole_packets_and_the_same_each_time() -> None:
    data = chunk(3)
    assert data == chunk(3)
    assert len(data) % 188 == 0
    assert set(data[::188]) == {0x47}
    assert (data[1] & 0x1F, data[2]) in ((0, 0), (0, 17))  # SDT or PAT comes first


@pytest.mark.parametrize("number", [0, 1, 5, 6, 7, 100, 12345])
def test_it_begins_with_a_keyframe_and_lasts_as_long_as_it_says(number: int) -> None:
    found = packets(chunk(number))
    assert found["video"][0].is_keyframe
    assert len(found["video"]) == EPOCH.chunk(number).gops * 24
    assert len(found["audio"]) == EPOCH.chunk(number).gops * 45


@pytest.mark.parametrize("number", [0, 2, 3, 4, 5, 11, 999])
def test_the_next_goes_on_where_it_ends(number: int) -> None:
    one, other = packets(chunk(number)), packets(chunk(number + 1))
    frame = {"video": Fraction(1, 25), "audio": Fraction(1024, 48_000)}
    for kind, last in ((kind, each[-1]) for kind, each in one.items()):
        first = other[kind][0]
        step = (first.dts - last.dts) * last.time_base
        # FLV has its times in milliseconds.
        assert abs(step - frame[kind]) <= Fraction(2, 1000), (kind, step)


def test_times_within_a_chunk_never_jump() -> None:
    for kind, found in packets(chunk(1)).items():
        steps = [(b.dts - a.dts) * a.time_base for a, b in itertools.pairwise(found)]
        frame = Fraction(1, 25) if kind == "video" else Fraction(1024, 48_000)
        assert max(abs(each - frame) for each in steps) <= Fraction(2, 1000), kind


def stamps(data: bytes) -> list[int]:
    """The times of pictures as they are written (ISO/IEC 13818-1 2.4.3.7), 33 bits each."""
    found = []
    for head in heads(data):
        begin = 4 + (1 + head[4] if head[3] & 0x20 else 0)
        if head[1] & 0x40 and head[begin : begin + 4] == b"\0\0\1\xe0":
            assert head[begin + 7] & 0xC0 == 0x80  # a PTS, and no DTS beside it
            bits = "".join(f"{byte:08b}" for byte in head[begin + 9 : begin + 14])
            found.append(int(bits[4:7] + bits[8:23] + bits[24:39], 2))
            assert bits[7] == bits[23] == bits[39] == "1"
    return found


def heads(data: bytes) -> list[bytes]:
    return [data[at : at + 188] for at in range(0, len(data), 188)]


def clocks(data: bytes) -> list[int]:
    """The clock (PCR) wherever it is told (2.4.3.5), in ticks of 90 kHz."""
    told = [head for head in heads(data) if head[3] & 0x20 and head[4] and head[5] & 0x10]
    return [int.from_bytes(head[6:11], "big") >> 7 for head in told]


@pytest.mark.parametrize("number", [0, 5, 6, 1000])
def test_the_clock_goes_with_the_pictures(number: int) -> None:
    # A receiver has 0.35 s to fill its buffer, in every chunk.
    found, times = clocks(chunk(number)), stamps(chunk(number))
    assert times[0] - found[0] == 31_500
    assert 0 < times[-1] - found[-1] <= 31_500 + 9_000
    assert all(0 < b - a <= 9_000 for a, b in itertools.pairwise(found))


def test_a_chunk_says_once_that_it_begins() -> None:
    said = [(head[1] & 0x1F, head[2]) for head in heads(chunk(0)) if head[3] & 0x20 and head[4] and head[5] & 0x80]
    assert len(said) == len(set(said)) >= 2


def test_times_wrap_at_33_bits() -> None:
    # Around the chunk in which 2**33 ticks have gone by since the beginning.
    gops = int(WRAP / Fraction(GOP_SECONDS).limit_denominator(100))
    number = gops // sum(PATTERN) * len(PATTERN)
    seen = [each for at in range(number - 3, number + len(PATTERN)) for each in stamps(chunk(at))]
    assert min(seen) < 90_000 < (1 << 33) - 90_000 < max(seen)
    steps = {(b - a) % (1 << 33) for a, b in itertools.pairwise(seen)}
    assert steps == {3600}


def test_continuity_counters_count_through() -> None:
    data, counters = chunk(0), dict[int, int]()
    for at in range(0, len(data), 188):
        pid = (data[at + 1] & 0x1F) << 8 | data[at + 2]
        if pid != 0x1FFF and data[at + 3] & 0x10:
            counter = data[at + 3] & 15
            assert counter == (counters.get(pid, -1) + 1) % 16
            counters[pid] = counter
    assert len(counters) == 5  # PAT, PMT, SDT, picture, sound


def test_a_label_makes_it_another_one_of_the_same_media() -> None:
    one, other = chunk(0, "epoch 0"), chunk(0, "epoch 1")
    assert one != other
    assert one[:-188] == other[:-188]
    assert b"epoch 1" in other[-188:]
    long = [chunk(0, "x" * 1000 + end) for end in "ab"]
    assert long[0] != long[1]
    assert len(long[0]) == len(one)


def test_no_more_are_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(lambda: 0.0)
    server.publish("live/s", pattern=(1,))
    chunks, place = Chunks(server), place_of("live/s")
    size = len(chunks.bytes(place, Rendition(), 0))
    monkeypatch.setattr(_chunks, "KEPT", 3 * size + size // 2)
    for number in range(10):
        assert chunks.bytes(place, Rendition(), number) is chunks.bytes(place, Rendition(), number)
    assert chunks._size == sum(map(len, chunks._kept.values())) <= 4 * size
    with pytest.raises(KeyError, match="live/_definst_/x"):
        chunks.bytes(place_of("live/x"), Rendition(), 0)


def test_what_is_in_it_is_told_as_old_servers_do() -> None:
    loop = the_loop()
    kind, profile, level = loop.codecs.split(",")[0].split(".")
    assert (kind, profile, loop.codecs.split(",")[1]) == ("avc1", "66", "mp4a.40.2")
    assert 10 <= int(level) <= 31
    with av.open(io.BytesIO(chunk(0)), format="mpegts") as container:
        video = container.streams.video[0]
        assert ((video.width, video.height), video.profile) == (loop.resolution, "Constrained Baseline")
