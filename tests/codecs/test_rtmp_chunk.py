from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierkit.codecs.rtmp_chunk import (
    MAX_CHUNK_STREAMS,
    ChunkReader,
    ChunkWriter,
    Message,
    encode_message,
)
from tierkit.errors import LocalProtocolError, RemoteProtocolError

from .rtmp_helpers import chunk, head0, head1, pieces, read_all, u24, u32

csids = st.one_of(st.integers(2, 63), st.sampled_from([64, 319, 320, 321, 65_599]))
messages = st.builds(
    Message,
    st.sampled_from([8, 9, 15, 17, 18, 20, 22]),
    st.integers(0, 2**32 - 1),
    st.one_of(st.integers(0, 2**32 - 1), st.sampled_from([0xFFFFFE, 0xFFFFFF, 0x1000000, 2**32 - 1])),
    st.binary(max_size=700),
    csids,
)


def wire(message: Message, chunk_size: int) -> bytes:
    kind, stream_id, timestamp, payload, csid = message
    return encode_message(csid, kind, stream_id, timestamp, payload, chunk_size)


def feed(reader: ChunkReader, data: Iterable[bytes]) -> None:
    for piece in data:
        reader.receive(piece)


def raises(data: bytes, match: str, **options: Any) -> None:
    """`data` is refused whole and byte by byte, and so is whatever follows."""
    for step in (len(data), 1):
        reader = ChunkReader(**options)
        with pytest.raises(RemoteProtocolError, match=match):
            feed(reader, [*pieces(data, step), b""])
        with pytest.raises(RemoteProtocolError, match=match):
            reader.receive(encode_message(3, 20, 0, 0, b""))


def test_the_wire_form_of_a_message() -> None:
    assert encode_message(4, 8, 1, 0x010203, b"abc").hex() == "04" + "010203" + "000003" + "08" + "01000000" + "616263"


def test_the_wire_form_of_long_and_late_messages() -> None:
    data = encode_message(6, 9, 1, 0x01000000, b"abcde", 2)
    assert data.hex() == "06ffffff00000509010000000100000061 62 c601000000 6364 c601000000 65".replace(" ", "")


@pytest.mark.parametrize(
    ("csid", "header"), [(2, "02"), (63, "3f"), (64, "0000"), (319, "00ff"), (320, "010001"), (65_599, "01ffff")]
)
def test_the_three_forms_of_chunk_stream_numbers(csid: int, header: str) -> None:
    data = encode_message(csid, 8, 1, 0, b"xy", 1)
    assert data.hex().startswith(header)
    assert read_all(u32_set(1) + data) == [Message(1, 0, 0, u32(1), 2), Message(8, 1, 0, b"xy", csid)]


def u32_set(size: int) -> bytes:
    return encode_message(2, 1, 0, 0, u32(size))


@given(st.lists(messages, max_size=6), st.integers(1, 300), st.integers(1, 900))
def test_what_is_written_is_read_in_pieces_of_any_size(content: list[Message], chunk_size: int, step: int) -> None:
    data = u32_set(chunk_size) + b"".join(wire(message, chunk_size) for message in content)
    assert read_all(data, step)[1:] == content


@given(st.lists(messages, min_size=2, max_size=5, unique_by=lambda message: message.csid), st.data())
def test_messages_of_different_chunk_streams_may_interleave(content: list[Message], data: st.DataObject) -> None:
    queues = [list(chunks_of(message, 100)) for message in content]
    out = u32_set(100)
    while any(queues):
        queue = data.draw(st.sampled_from([queue for queue in queues if queue]))
        out += queue.pop(0)
    assert sorted(read_all(out)[1:]) == sorted(content)
    assert sorted(read_all(out, 1)[1:]) == sorted(content)


def chunks_of(message: Message, chunk_size: int) -> list[bytes]:
    """The chunks of a message one by one."""
    whole = wire(message, chunk_size)
    later = len(wire(message._replace(payload=b"x" * (chunk_size + 1)), chunk_size)) - len(
        wire(message._replace(payload=b"x" * chunk_size), chunk_size)
    )
    first = (
        len(whole) if len(message.payload) <= chunk_size else len(wire(message._replace(payload=b""), 1)) + chunk_size
    )
    return [whole[:first], *pieces(whole[first:], later - 1 + chunk_size)]


def test_the_writer_switches_its_chunk_size_behind_the_announcement() -> None:
    writer = ChunkWriter()
    data = (
        writer.message(3, 20, 0, 0, b"a" * 200) + writer.set_chunk_size(500) + writer.message(3, 20, 0, 0, b"b" * 400)
    )
    assert [message.payload for message in read_all(data)] == [b"a" * 200, u32(500), b"b" * 400]
    assert writer.chunk_size == 500


@pytest.mark.parametrize("size", [0, -1, 1 << 24])
def test_the_writer_refuses_chunk_sizes_that_nobody_takes(size: int) -> None:
    with pytest.raises(LocalProtocolError):
        ChunkWriter().set_chunk_size(size)


def test_the_writer_refuses_what_the_format_cannot_carry() -> None:
    for csid in (0, 1, 65_600):
        with pytest.raises(LocalProtocolError, match="numbered"):
            encode_message(csid, 8, 1, 0, b"")
    with pytest.raises(LocalProtocolError, match="16,777,215"):
        encode_message(4, 8, 1, 0, bytes(1 << 24))


# Headers as they are found


def test_deltas_and_what_a_new_fmt3_message_repeats() -> None:
    data = (
        chunk(0, 4, head0(1000, 1, 8), body=b"a")
        + chunk(1, 4, head1(23, 2, 8), body=b"bb")
        + chunk(2, 4, u24(20), body=b"cc")
        + chunk(3, 4, body=b"dd")
        + chunk(3, 4, body=b"ee")
    )
    for step in (0, 1):
        assert [(m.timestamp, m.payload) for m in read_all(data, step)] == [
            (1000, b"a"), (1023, b"bb"), (1043, b"cc"), (1063, b"dd"), (1083, b"ee"),
        ]  # fmt: skip


def test_fmt3_behind_fmt0_begins_a_message_of_the_same_time() -> None:
    data = chunk(0, 4, head0(1000, 1, 8), body=b"a") + chunk(3, 4, body=b"b")
    assert [m.timestamp for m in read_all(data)] == [1000, 1000]


def test_librtmp_begins_a_chunk_stream_with_fmt1() -> None:
    (message,) = read_all(bytes.fromhex("42 000000 000006 04 0006 00000bb8"))
    assert message == Message(4, 0, 0, b"\x00\x06\x00\x00\x0b\xb8", 2)


@pytest.mark.parametrize("fmt", [2, 3])
def test_a_chunk_stream_cannot_begin_without_a_length(fmt: int) -> None:
    raises(chunk(fmt, 9, u24(0) if fmt == 2 else b"", body=b"x"), "leaves out the length")


def test_timestamps_wrap_at_32_bits() -> None:
    data = chunk(0, 4, head0(0xFFFFFF, 1, 8), u32(0xFFFFFFF0), body=b"a") + chunk(1, 4, head1(0x20, 1, 8), body=b"b")
    assert [m.timestamp for m in read_all(data)] == [0xFFFFFFF0, 0x10]


LATE = 0x01000000


@pytest.mark.parametrize("repeated", [True, False], ids=["ext-in-fmt3", "no-ext-in-fmt3"])
def test_extended_timestamps_in_continuations_are_there_or_not(repeated: bool) -> None:
    body = bytes(range(256)) + b"tail"
    again = u32(LATE) if repeated else b""
    data = (
        chunk(0, 6, head0(0xFFFFFF, 260, 9), u32(LATE), body=body[:128])
        + chunk(3, 6, again, body=body[128:256])
        + chunk(3, 6, again, body=body[256:])
    )
    for step in (0, 1):
        assert read_all(data, step) == [Message(9, 1, LATE, body, 6)]


@pytest.mark.parametrize("repeated", [True, False], ids=["ext-in-fmt3", "no-ext-in-fmt3"])
def test_extended_timestamps_in_fmt3_that_begins_a_message(repeated: bool) -> None:
    again = u32(LATE) if repeated else b""
    data = chunk(0, 6, head0(0xFFFFFF, 6, 9), u32(LATE), body=b"first!") + chunk(3, 6, again, body=b"second")
    for step in (0, 1):
        assert [(m.timestamp, m.payload) for m in read_all(data, step)] == [(LATE, b"first!"), (LATE, b"second")]


def test_a_short_payload_without_the_repeated_timestamp_does_not_wait_for_more() -> None:
    data = chunk(0, 6, head0(0xFFFFFF, 1, 9), u32(LATE), body=b"a") + chunk(3, 6, body=b"b")
    assert [m.payload for m in read_all(data)] == [b"a", b"b"]


def test_an_extended_delta_counts_and_is_repeated() -> None:
    data = (
        chunk(0, 6, head0(5, 1, 9), body=b"a")
        + chunk(1, 6, head1(0xFFFFFF, 200, 9), u32(LATE), body=b"b" * 128)
        + chunk(3, 6, u32(LATE), body=b"b" * 72)
        + chunk(3, 6, u32(LATE), body=b"c" * 128)
        + chunk(3, 6, u32(LATE), body=b"c" * 72)
    )
    for step in (0, 1):
        assert [m.timestamp for m in read_all(data, step)] == [5, 5 + LATE, 5 + 2 * LATE]


def test_a_stream_runs_past_4_hours_and_39_minutes() -> None:
    times = range(0xFFFFFF - 100, 0xFFFFFF + 100, 40)
    data = b"".join(encode_message(6, 9, 1, time, b"x" * 300, 128) for time in times)
    assert [m.timestamp for m in read_all(data, 7)] == list(times)


# Set Chunk Size and Abort


@pytest.mark.parametrize("size", [0xFFFFFF, 0x1000000, 134_217_728, 0x7FFFFFFF])
def test_huge_chunk_sizes_are_clamped_not_refused_and_allocate_nothing(size: int) -> None:
    reader = ChunkReader()
    reader.receive(u32_set(size))
    assert reader.chunk_size == 0xFFFFFF
    assert reader.buffered == 0
    assert reader.receive(encode_message(6, 9, 1, 0, b"x" * 5000))[0].payload == b"x" * 5000


@pytest.mark.parametrize("size", [0, 0x80000000, 0xFFFFFFFF])
def test_impossible_chunk_sizes_are_refused(size: int) -> None:
    raises(u32_set(size), "Set Chunk Size asks for")


def test_a_chunk_size_changed_in_the_middle_of_a_message_counts_from_the_next_chunk() -> None:
    data = (
        chunk(0, 6, head0(0, 400, 9), body=b"a" * 128)
        + chunk(0, 2, head0(0, 4, 1, 0), u32(200))
        + chunk(3, 6, body=b"b" * 200)
        + chunk(0, 2, head0(0, 4, 1, 0), u32(16))
        + b"".join(chunk(3, 6, body=piece) for piece in pieces(b"c" * 72, 16))
    )
    for step in (0, 1, 5):
        assert read_all(data, step)[-1].payload == b"a" * 128 + b"b" * 200 + b"c" * 72


def test_abort_drops_one_partial_message_and_its_time_counts() -> None:
    data = (
        chunk(0, 6, head0(1000, 300, 9), body=b"a" * 128)
        + chunk(0, 4, head0(500, 200, 8), body=b"s" * 128)
        + encode_message(2, 2, 0, 0, u32(6))
        + chunk(3, 4, body=b"s" * 72)
        + chunk(1, 6, head1(40, 1, 9), body=b"b")
    )
    for step in (0, 1):
        got = read_all(data, step)
        assert [(m.type_id, m.timestamp, len(m.payload)) for m in got] == [(2, 0, 4), (8, 500, 200), (9, 1040, 1)]


def test_abort_of_a_chunk_stream_that_does_not_exist_is_borne() -> None:
    assert len(read_all(encode_message(2, 2, 0, 0, u32(40)) + encode_message(4, 8, 1, 0, b"x"))) == 2


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("length", range(4))
def test_short_set_chunk_size_and_abort_are_refused(kind: int, length: int) -> None:
    raises(encode_message(2, kind, 0, 0, bytes(length)), "shorter than 4 bytes")


# Bounds


def test_sixteen_megabytes_declared_on_every_chunk_stream_cost_nothing() -> None:
    reader = ChunkReader(max_message=0xFFFFFF)
    for csid in range(2, 2 + 60):
        reader.receive(chunk(0, csid, head0(0, 0xFFFFFF, 9), body=b"x"))
        reader.receive(b"x" * 127)
    assert reader.buffered == 60 * 128


def test_unfinished_messages_have_a_budget() -> None:
    reader = ChunkReader(max_buffered=1000)
    parts = [chunk(0, csid, head0(0, 200, 9), body=b"x" * 128) for csid in range(2, 12)]
    with pytest.raises(RemoteProtocolError, match="unfinished"):
        feed(reader, parts)
    assert reader.buffered == 0


def test_a_message_longer_than_the_bound_is_refused_by_its_header() -> None:
    raises(chunk(0, 6, head0(0, 1001, 9)), "1001 bytes", max_message=1000)


def test_too_many_chunk_streams_are_refused() -> None:
    data = b"".join(encode_message(csid, 8, 1, 0, b"") for csid in range(2, 3 + MAX_CHUNK_STREAMS))
    reader = ChunkReader()
    assert len(reader.receive(data)) == MAX_CHUNK_STREAMS
    with pytest.raises(RemoteProtocolError, match="more than 64"):
        reader.receive(b"")


@pytest.mark.parametrize("fmt", [0, 1, 2])
def test_a_new_header_inside_a_message_is_refused(fmt: int) -> None:
    header = {0: head0(0, 500, 9), 1: head1(0, 500, 9), 2: u24(0)}[fmt]
    raises(chunk(0, 6, head0(0, 200, 9), body=b"x" * 128) + chunk(fmt, 6, header, body=b"y" * 128), "inside another")


def test_one_byte_chunks_are_borne_for_a_while_and_then_refused() -> None:
    reader = ChunkReader()
    reader.receive(u32_set(1))
    assert reader.receive(encode_message(6, 9, 1, 0, b"x" * 1000, 1))[0].payload == b"x" * 1000
    with pytest.raises(RemoteProtocolError, match="use 128 at least"):
        feed(reader, [encode_message(6, 9, 1, 0, b"x" * 1000, 1)] * 30)


def test_messages_in_front_of_a_fault_are_handed_out() -> None:
    data = encode_message(4, 8, 1, 0, b"good") + chunk(3, 9)
    reader = ChunkReader()
    assert [m.payload for m in reader.receive(data)] == [b"good"]
    assert reader.error is not None
    with pytest.raises(RemoteProtocolError):
        reader.receive(b"")


@given(st.binary(max_size=400), st.integers(1, 60))
def test_any_bytes_give_messages_or_a_protocol_error(data: bytes, step: int) -> None:
    reader = ChunkReader(max_message=1000, max_buffered=2000)
    try:
        for piece in pieces(data, step):
            reader.receive(piece)
            assert reader.buffered <= 2000
    except RemoteProtocolError:
        pass


@given(st.lists(messages, min_size=1, max_size=3), st.integers(0, 600), st.binary(max_size=80))
def test_real_messages_cut_and_followed_by_noise_read_alike_whole_and_byte_by_byte(
    content: list[Message], cut: int, noise: bytes
) -> None:
    data = b"".join(wire(message, 128) for message in content)[:cut] + noise
    results = []
    for step in (max(len(data), 1), 1):
        reader, out = ChunkReader(), []
        try:
            for piece in pieces(data, step):
                out += reader.receive(piece)
            reader.receive(b"")
        except RemoteProtocolError as exc:
            out.append(str(exc))
        results.append(out)
    assert results[0] == results[1]
