"""The rings of one stream: what the first player of another encoding finds, and what the log gives for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from tests.fanout.support import Tap
from tierkit._fanout import FanoutPolicy, Log, Pump
from tierkit._live_encoding import FLV_TAGS, RTMP_CHUNKS, WEBSOCKET_FLV, Encoding, decode_chunks
from tierkit._live_rings import Rings
from tierkit.codecs.flv import FLVReader, Tag, parse_tag
from tierkit.codecs.rtmp_message import VIDEO
from tierkit.testing import MemoryNetwork

from .media import Sent, gop, headers, key, letter, video_header

TYPES = st.sampled_from((8, 9, 18))
MESSAGES = st.lists(st.tuples(TYPES, st.integers(0, 2**32 - 1), st.binary(max_size=200)), max_size=20)


class Bench:
    """Rings without a stream: the test appends."""

    def __init__(self, **policy: int) -> None:
        self.pinned: list[tuple[int, bytes]] = [(each.type_id, each.payload) for each in headers()]
        self.pump = Pump(MemoryNetwork(), trio.current_time, meter=lambda: 0.0)
        self.rings = Rings(self.pump, FanoutPolicy(**policy), lambda: self.pinned)

    def append(self, sent: list[Sent]) -> None:
        for each in sent:
            sync = letter(each.type_id, each.payload) == "K"
            self.rings.append(each.type_id, each.timestamp, each.payload, at=each.timestamp, sync=sync)

    def attach(self, encoding: Encoding = FLV_TAGS) -> Tap:
        tap = Tap()
        self.rings.attach(encoding, tap, lambda reason: None, b"")
        return tap


def tags(tap: Tap) -> list[Tag]:
    return FLVReader().receive(b"FLV\x01\x05\0\0\0\x09\0\0\0\0" + bytes(tap.got))


def letters(tap: Tap) -> str:
    return "".join(letter(each.type_id, each.payload) for each in tags(tap))


@pytest.fixture
async def bench(autojump_clock: MockClock, nursery: trio.Nursery) -> Bench:
    made = Bench(gop_bytes=4000)
    nursery.start_soon(made.pump.run)
    return made


async def test_the_first_player_is_given_what_has_not_left_yet_too(bench: Bench) -> None:
    over_rtmp = bench.attach(RTMP_CHUNKS)
    bench.append(gop(0, 4))
    await trio.sleep(1)
    bench.append(gop(160, 4)[:3])  # waits for the next pass
    tap = bench.attach()
    assert letters(tap) == "MVAKSP"
    bench.append(gop(160, 4)[3:])
    await trio.sleep(1)
    assert letters(tap) == "MVAKSPSPSPS"
    assert over_rtmp.calls == 3  # prelude, GOP, the rest: its batches were not cut for the other


async def test_of_a_gop_that_is_too_large_to_keep_the_end_is_waited_for(bench: Bench) -> None:
    bench.append([key(0, 5000), *gop(0, 3)[1:]])
    tap = bench.attach()
    await trio.sleep(1)
    assert letters(tap) == ""
    bench.append(gop(200, 3))
    await trio.sleep(1)
    assert letters(tap) == "MVAKSPSPS"


async def test_behind_a_change_of_headers_the_next_keyframe_is_waited_for(bench: Bench) -> None:
    bench.append(gop(0, 3))
    first = bench.attach()
    bench.pinned[1] = (VIDEO, video_header(mark=9).payload)
    bench.rings.close_syncs()
    second = bench.attach(WEBSOCKET_FLV)
    bench.append(gop(200, 2))
    await trio.sleep(1)
    assert letters(first) == "MVAKSPSPSKSPS"
    assert second.got.count(b"config\x09") == 1
    assert second.got.count(b"config\x00") == 0


async def test_headers_go_to_every_ring(bench: Bench) -> None:
    bench.append(gop(0, 2))
    taps = [bench.attach(encoding) for encoding in (RTMP_CHUNKS, FLV_TAGS, WEBSOCKET_FLV)]
    bench.rings.append_headers(300)
    bench.append(gop(300, 2))
    await trio.sleep(1)
    assert letters(taps[1]) == "MVAKSPSMVAKSPS"
    assert [each.got.count(b"onMetaData") for each in taps] == [2, 2, 2]


async def test_a_ring_whose_player_fails_at_once_is_let_go(bench: Bench) -> None:
    bench.append(gop(0, 2))
    broken = Tap()
    broken.lost = "gone"
    ended: list[str] = []
    bench.rings.attach(FLV_TAGS, broken, ended.append, b"")
    assert ended == [""]
    assert bench.rings.statistics() == ()


async def test_the_writer_waits_for_every_ring(bench: Bench) -> None:
    bench.rings.rtmp.log.gop_bytes = 64 << 20
    bench.append([key(0)])
    tap = bench.attach()
    bench.append([key(20, 3 << 20), key(40, 3 << 20)])
    assert bench.rings.rtmp.log.pending < 1 << 20  # nobody plays it: it is not held
    with trio.fail_after(1):
        await bench.rings.room()
    assert len(tap.got) > 6 << 20


@given(MESSAGES)
def test_what_the_rtmp_ring_keeps_is_read_back(messages: list[tuple[int, int, bytes]]) -> None:
    data = b"".join(RTMP_CHUNKS.message(*each) for each in messages)
    assert [(each.type_id, each.timestamp, each.payload) for each in decode_chunks(data)] == messages


@given(MESSAGES)
def test_tags_are_messages(messages: list[tuple[int, int, bytes]]) -> None:
    data = b"".join(FLV_TAGS.message(*each) for each in messages)
    found = FLVReader().receive(b"FLV\x01\x05\0\0\0\x09\0\0\0\0" + data)
    assert found == [parse_tag(*each) for each in messages]


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.booleans()), max_size=30), st.data())
def test_the_log_gives_all_since_a_position(appended: list[tuple[bytes, bool]], data: st.DataObject) -> None:
    log, whole = Log(_clock().__next__, 1 << 20), b""
    for piece, seal in appended:
        log.append(piece, 0, sync=False)
        whole += piece
        if seal:
            log.seal()
    log.forget(data.draw(st.integers(0, log.end)))
    position = data.draw(st.integers(log.start, log.tail))
    assert log.since(position) == whole[position:]


def _clock() -> Iterator[float]:
    while True:
        yield 0.0
